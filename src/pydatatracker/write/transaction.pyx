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
cdef uint64_t last_transaction = 0      # number of the newest transaction in the process

cdef enum:
    CHANGES_KEPT = 1000                 # changes of a transaction that it knows after its end


cdef class Transaction:
    """A block whose changes are kept or rolled back together."""

    def __init__(self, *roots, message=None):
        global last_transaction
        cdef object above
        cdef Transaction parent = None
        for root in roots:
            if tracker_of(root) is None:
                raise TypeError(
                    f"tracking_transaction takes tracked containers, not {type(root).__name__}; track() makes them"
                )
        if message is not None and not isinstance(message, str):
            raise TypeError(f"message is a str, not {type(message).__name__}")
        above = current_scope()
        if above is not None and isinstance((<Scope>above).transaction, Transaction):
            parent = (<Scope>above).transaction
            while parent is not None and not parent.is_open:
                parent = parent.parent
        self.parent = parent
        self.roots = tuple([tracker_of(root) for root in roots]) if roots else None
        self.message = message
        self.text = None
        if parent is not None:
            self.part = parent.part
            self.number = parent.number
        else:
            last_transaction += 1
            self.part = (<tuple>process_ids[len(process_ids) - 1])[2]
            self.number = last_transaction

    @property
    def id(self):
        """Id of the transaction, 32 hex digits, which its savepoints share. O(1)."""
        if self.text is None:
            self.text = f"{self.part}{self.number | <uint64_t>1 << 62:016x}"   # neither a change nor a container has it
        return self.text

    def __enter__(self):
        # no Python code runs here: an interrupt finds the block entered, or not
        cdef object above = current_scope()
        cdef object context = None
        cdef Scope scope
        if self.token is not None or self.ended:
            raise RuntimeError("a transaction is entered once; make a new one with tracking_transaction()")
        scope = Scope.__new__(Scope)
        scope.actor = ""
        if above is not None:
            scope.actor, context = (<Scope>above).actor, (<Scope>above).context
        if self.message is not None:
            context = _MappingProxyType({**(context or {}), "message": self.message})
        scope.context = context
        scope.transaction = self
        look_everywhere()               # what was changed before is not part of it
        open_transaction(self)
        try:
            self.token = set_scope(scope)
        except:
            close_transaction(self)
            raise
        return self

    def __exit__(self, kind, error, trace):
        cdef object ending = None       # the first exception: a conflict of the rollback, or an interrupt at any moment
        cdef list lasting = None
        cdef tuple token
        cdef int i
        if self.token is None:
            raise RuntimeError(
                f"this transaction is {'over' if self.ended else 'not entered'}, so it cannot be left; write it as a"
                " with statement, or call __exit__ once after __enter__"
            )
        look_everywhere()
        if error is not None:
            for i in range(2):          # once more if it was interrupted: a failed transaction must not stay half done
                if not self.is_open:
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
        if self.is_open:
            for i in range(2):          # a function given as tracking_redact may be interrupted
                try:
                    lasting = settled(self)
                    break
                except BaseException as interrupt:
                    ending = ending or interrupt
        close_transaction(self)
        token, self.token = self.token, None
        reset_scope(token)
        if lasting is not None:
            try:
                tell_deferred(lasting)
            except BaseException:
                if ending is None:
                    self.observed = None
                    raise
        self.observed = None
        if ending is not None:
            raise ending

    def _scope(self):
        """Return a new scope with the actor and context of the block, which has to be entered."""
        cdef Scope scope = self.token[0]
        return Scope(scope.actor, scope.context, self)

    def _open(self):
        """Begin to keep changes in the journal. O(1)."""
        open_transaction(self)

    def _close(self):
        """End, and drop what no other transaction needs from the journal. O(open transactions)."""
        close_transaction(self)

    def _entries(self, Py_ssize_t after=0):
        """Return [(tracker, change, own)] since the transaction began, without the first `after`. O(changes)."""
        cdef list entries = journal         # held, because another thread may replace it during the slice
        entries = entries[self.start - journal_base + after:]
        return [(t, as_shown(change), owns(self, <Change>change)) for t, change, _ in entries]

    def _own(self):
        """Return the changes that the block made and did not undo, oldest first. O(changes since it began)."""
        return [as_shown(change) for _, change, _ in own_entries(self)]

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


cdef int tell_deferred(list entries) except -1:
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
    if ending is not None:
        raise ending
    if failed:
        raise ExceptionGroup("observers of a tracked container failed", failed)
    return 0


cdef int open_transaction(Transaction tx) except -1:
    global open_transactions
    cdef int gc = pdt_pause_gc()
    try:
        tx.start = journal_base + len(journal)
        tx.thread = PyThread_get_thread_ident()
        open_list.append(tx)
        tx.is_open = True
        open_transactions += 1
        bump()
    finally:
        pdt_resume_gc(gc)
    return 0


cdef inline int close_transaction(Transaction tx) except -1:
    if tx.is_open:
        end_transactions(tx, 0)
    return 0


cdef list own_entries(Transaction tx):
    """Return the entries of the changes that the block made and did not undo, oldest first. O(changes since it began)."""
    cdef list entries = journal         # held, because another thread may replace it
    cdef list own = []
    cdef bint undoes = False
    cdef Py_ssize_t i
    cdef Change change
    cdef set gone
    for i in range(tx.start - journal_base, len(entries)):
        change = <Change>(<tuple>entries[i])[1]
        if owns(tx, change):
            own.append(entries[i])
            undoes = undoes or undone_seq(change) >= (<Change>(<tuple>own[0])[1]).seq
    if undoes:
        gone = cancelled([change for _, change, _ in own])
        own = [entry for entry in own if (<Change>(<tuple>entry)[1]).seq not in gone]
    return own


cdef list settled(Transaction tx):
    """Note which changes the block made; return (tracker, change) of what to notify observers of, or None.

    O(changes since it began x depth).
    """
    cdef list own = own_entries(tx)
    cdef list lasting = None
    cdef list kept
    cdef Change change
    cdef Py_ssize_t i
    kept = [None] * (2 * min(len(own), CHANGES_KEPT))
    for i in range(0, len(kept), 2):
        change = <Change>(<tuple>own[i // 2])[1]
        kept[i] = change.viewer
        kept[i + 1] = change.seq
    tx._kept = kept
    if tx.parent is not None:
        return None
    for entry in own:
        change = <Change>(<tuple>entry)[1]
        if observed(change):
            if lasting is None:
                lasting = []
            lasting.append(((<tuple>entry)[0], as_shown(change)))
    return lasting


cdef int end_transactions(Transaction one, unsigned long thread) except -1:
    """End one transaction, or (None) those of all threads but one; trim the journal. O(open transactions)."""
    global open_transactions, journal, journal_base
    cdef Transaction each
    cdef Py_ssize_t first, i
    cdef list gone = journal            # values are freed when all is done
    cdef list ended = None
    cdef int gc = pdt_pause_gc()        # another thread may not open or close one meanwhile
    try:
        i = len(open_list) - 1
        while i >= 0:                   # the newest one mostly
            each = <Transaction>open_list[i]
            if each is one or (one is None and each.thread != thread):
                each.is_open = False
                each.last_seq = last_seq
                open_transactions -= 1
                if each is one:
                    if i == len(open_list) - 1:
                        open_list.pop()
                    else:
                        del open_list[i]
                    break
                ended = ended or []
                ended.append(each)
                del open_list[i]
            i -= 1
        first = journal_base + len(gone)
        if open_transactions:           # they are in the order in which they began
            first = min(first, (<Transaction>open_list[0]).start)
        if first != journal_base:
            journal = gone[first - journal_base:] if open_transactions else []
            journal_base = first
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
