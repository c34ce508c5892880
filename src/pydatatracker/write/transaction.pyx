# Owns: transactions: blocks whose changes are kept or rolled back together, and the journal they need.
# May touch: the epoch, so that containers notice an open transaction; observers, after a commit.
# Invariants:
#  - while a transaction is open anywhere, the journal holds every change of the process since the oldest one began, in
#    order, however small the ring is: the block's changes and those that others made meanwhile;
#  - an entry has the change as it was recorded, and `real`: the same with the values that tracking_redact and
#    tracking_keep_values=False keep out of the record. Only a rollback reads those, and they go with the entry;
#  - containers see this by the flag T_JOURNAL, so a store costs nothing while no transaction is open.

cdef list journal = []                  # (tracker, change, real) since the oldest open transaction began
cdef Py_ssize_t journal_base = 0        # number of the journal's first entry, counted from the start of the process
cdef list open_list = []                # the open transactions
cdef int open_transactions = 0


cdef class Transaction:
    """A block whose changes are kept or rolled back together."""

    def __init__(self, str id, Transaction parent, roots):
        self.id = id
        self.parent = parent
        self.roots = None if roots is None else tuple([tracker_of(root) for root in roots])

    def __enter__(self):
        # no Python code runs here: an interrupt finds the block entered, or not
        cdef object above = <object>pdt_scope()
        cdef object context = None
        cdef str actor = ""
        if self.token is not None or self.ended:
            raise RuntimeError("a transaction is entered once; make a new one with tracking_transaction()")
        if above is not None:
            actor, context = (<Scope>above).actor, (<Scope>above).context
        if self.message is not None:
            context = _MappingProxyType({**(context or {}), "message": self.message})
        scope = Scope(actor, context, self)
        look_everywhere()               # what was changed before is not part of it
        self._open()
        try:
            self.token = set_scope(scope)
        except:
            self._close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        cdef object ending = None       # the first exception: a conflict of the rollback, or an interrupt at any moment
        cdef list lasting = []
        cdef tuple token
        cdef int i
        if self.token is None:
            raise RuntimeError(
                f"this transaction is {'over' if self.ended else 'not entered'}, so it cannot be left; write it as a"
                " with statement, or call __exit__ once after __enter__"
            )
        look_everywhere()
        for i in range(2):              # once more if it was interrupted: a failed transaction must not stay half done
            if error is None or not self.is_open:
                break
            try:
                self._roll_back_for(error)
                break
            except Exception as conflict:
                ending = ending or conflict
                break
            except BaseException as interrupt:
                ending = ending or interrupt
        self.ended = True
        for i in range(2):
            if self.parent is not None or not self.is_open:
                break
            try:
                lasting = self._lasting()
                break
            except BaseException as interrupt:
                ending = ending or interrupt
        try:
            self._remember()
        except BaseException as interrupt:
            ending = ending or interrupt
        self._close()
        token, self.token = self.token, None
        reset_scope(token)
        try:
            self._tell(lasting)
        except BaseException as failed:
            if ending is None:
                raise
        if ending is not None:
            raise ending

    def _scope(self):
        """Return a new scope with the actor and context of the block, which has to be entered."""
        cdef Scope scope = self.token[0]
        return Scope(scope.actor, scope.context, self)

    def _open(self):
        """Begin to keep changes in the journal. O(open transactions)."""
        global open_transactions
        cdef int gc = pdt_pause_gc()
        self.start = journal_base + len(journal)
        self.thread = PyThread_get_thread_ident()
        self.is_open = True
        open_list.append(self)
        open_transactions += 1
        bump()
        pdt_resume_gc(gc)

    def _close(self):
        """End, and drop what no other transaction needs from the journal. O(open transactions)."""
        if self.is_open:
            end_transactions(self, 0)

    def _entries(self, Py_ssize_t after=0):
        """Return [(tracker, change, own)] since the transaction began, without the first `after`. O(changes)."""
        cdef list entries = journal         # held, because another thread may replace it during the slice
        entries = entries[self.start - journal_base + after:]
        return [(t, as_shown(change), owns(self, <Change>change)) for t, change, _ in entries]

    def _real_entries(self, Py_ssize_t after=0):
        """Return [(change, own)] as `_entries`, with the values that are not recorded, for a rollback. O(changes)."""
        cdef list entries = journal
        entries = entries[self.start - journal_base + after:]
        return [(real, owns(self, <Change>real)) for _, _, real in entries]

    def _id_at(self, uint64_t seq):
        """Return the id of the transaction, or of the nearest around it, that was open at change seq; or None."""
        cdef Transaction each = self
        while each is not None:
            if each.is_open or seq <= each.last_seq:
                return each.id
            each = each.parent
        return None

    def _tell(self, list entries):
        """Notify observers of (tracker, change) pairs, except those that were notified immediately."""
        cdef Tracker t
        cdef list failed = []
        cdef object ending = None
        for each, change in entries:
            t = each
            (<Change>change).audience = W_DEFERRED
            # the path of the record decides, not where the container is now: it may have moved or be removed
            if observed(<Change>change):
                try:
                    notify(t, <Change>change)
                except ExceptionGroup as group:
                    failed.extend(group.exceptions)
                except BaseException as error:      # KeyboardInterrupt, SystemExit: raised once all were reported
                    if ending is None:
                        ending = error
        self.observed = None
        if ending is not None:
            raise ending
        if failed:
            raise ExceptionGroup("observers of a tracked container failed", failed)


cdef int end_transactions(Transaction one, unsigned long thread) except -1:
    """End one transaction, or (None) those of all threads but one; trim the journal. O(open transactions)."""
    global open_list, open_transactions, journal, journal_base
    cdef Transaction each
    cdef Py_ssize_t first
    cdef list left = []
    cdef list gone = journal
    cdef int gc = pdt_pause_gc()        # another thread may not open or close one meanwhile
    try:
        first = journal_base + len(gone)
        for each in open_list:
            if each is one or (one is None and each.thread != thread):
                each.is_open = False
                each.last_seq = last_seq
            else:
                left.append(each)
                first = min(first, each.start)
        journal = gone[first - journal_base:]
        journal_base = first
        open_list = left
        open_transactions = len(left)
        bump()
    finally:
        pdt_resume_gc(gc)
    return 0


cdef int forget_transactions(unsigned long thread) except -1:
    """After a fork, end the transactions of all threads but this one: nobody is left to end them."""
    if open_list:
        end_transactions(None, thread)
    return 0


cdef bint covers(Transaction tx, Change change):
    if tx.roots is None:
        return True
    for root in tx.roots:
        if runs_through(change.place, <Tracker>root):
            return True
        if change.details is not None and change.details.places is not None:
            for place in <tuple>change.details.places:
                if runs_through(<Place>place, <Tracker>root):
                    return True
    return False


cdef bint owns(Transaction tx, Change change):
    """True if the change was made in the block or in a savepoint of it."""
    cdef object scope = change.scope
    cdef Transaction each
    if scope is None or not isinstance((<Scope>scope).transaction, Transaction):
        return False
    each = (<Scope>scope).transaction
    while each is not None:
        if each is tx:
            return covers(tx, change)
        each = each.parent
    return False


cdef int keep_in_journal(Tracker t, Change change, Change real) except -1:
    cdef object scope = change.scope
    cdef Transaction each
    journal.append((t, change, real))
    if scope is not None and isinstance((<Scope>scope).transaction, Transaction):
        each = (<Scope>scope).transaction
        while each is not None and not (each.is_open and covers(each, change)):
            each = each.parent
        if each is not None:
            change.audience = W_IMMEDIATE
            if t.state & T_NOTIFY:
                keep_observed(each, change)
    return 0


cdef int keep_observed(Transaction tx, Change change) except -1:
    """Keep the observed containers of a record alive until the commit, because observers end with them. O(depth)."""
    cdef Place step
    while tx.parent is not None and tx.parent.is_open:
        tx = tx.parent
    if tx.observed is None:
        tx.observed = {}
    for place in recorded_places(change):
        step = place
        while step is not None:
            if step.tracker.rare is not None and step.tracker.rare.observers is not None and alive(step.tracker):
                tx.observed[step.tracker.number] = <object>step.tracker.owner
            step = step.parent
    return 0
