# Owns: transaction

cdef list journal = []                  # (tracker, change) since the oldest open transaction began
cdef Py_ssize_t journal_base = 0        # number of the journal's first entry, since the process began
cdef list open_list = []                # the open transactions
cdef int open_transactions = 0


cdef class Transaction:
    """A block whose changes are made or taken back as one."""

    def __init__(self, str id, Transaction parent, roots):
        self.id = id
        self.parent = parent
        self.roots = None if roots is None else tuple([tracker_of(root) for root in roots])

    def _open(self):
        """Begin: from here on changes are kept. O(open transactions)."""
        global open_transactions
        self.start = journal_base + len(journal)
        self.is_open = True
        open_list.append(self)
        open_transactions += 1
        bump()

    def _close(self):
        """End: what nobody else needs of the journal is dropped. O(open transactions)."""
        global open_transactions, journal, journal_base
        cdef Transaction each
        cdef Py_ssize_t first
        if not self.is_open:
            return
        self.is_open = False
        self.last_seq = last_seq
        open_list[:] = [each for each in open_list if each is not self]
        open_transactions = len(open_list)
        first = journal_base + len(journal)
        for each in open_list:
            first = min(first, each.start)
        gone = journal
        journal = gone[first - journal_base:]
        journal_base = first
        bump()

    def _entries(self, Py_ssize_t after=0):
        """(tracker, change, own) of every change since the transaction began but the first few. O(changes)."""
        return [(t, change, owns(self, <Change>change)) for t, change in journal[self.start - journal_base + after:]]

    def _id_at(self, uint64_t seq):
        """Id of the transaction, or of the nearest around it, that was open at change seq; or None."""
        cdef Transaction each = self
        while each is not None:
            if each.is_open or seq <= each.last_seq:
                return each.id
            each = each.parent
        return None

    def _tell(self, list entries):
        """Tell observers of (tracker, change) pairs, but those who were told at once."""
        cdef Tracker t
        cdef list failed = []
        for each, change in entries:
            t = each
            (<Change>change).told = W_DEFERRED
            if t.owner != NULL and t.epoch != epoch:
                refresh(t)
            if t.state & T_NOTIFY:
                try:
                    notify(t, <Change>change)
                except ExceptionGroup as group:
                    failed.extend(group.exceptions)
        if failed:
            raise ExceptionGroup("observers of a tracked container failed", failed)


cdef bint covers(Transaction tx, Change change):
    if tx.roots is None:
        return True
    for root in tx.roots:
        if runs_through(change.place, <Tracker>root):
            return True
        if change.rare is not None and change.rare.places is not None:
            for place in <tuple>change.rare.places:
                if runs_through(<Place>place, <Tracker>root):
                    return True
    return False


cdef bint owns(Transaction tx, Change change):
    # was it made in the block, or in a savepoint of it?
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


cdef int keep_in_journal(Tracker t, Change change) except -1:
    cdef object scope = change.scope
    cdef Transaction each
    journal.append((t, change))
    if scope is not None and isinstance((<Scope>scope).transaction, Transaction):
        each = (<Scope>scope).transaction
        while each is not None and not (each.is_open and covers(each, change)):
            each = each.parent
        if each is not None:
            change.told = W_IMMEDIATE
    return 0
