# Owns: which changes undo which others.
# May touch: changes, to read only.
# Invariant: nothing of the program runs here; keys and values are not looked at.

cdef inline uint64_t undone_seq(Change change) noexcept:
    """Return the seq of the change that this one undoes, 0 if none."""
    if change.scope is not None and M_UNDO <= change.method_code <= M_ROLLBACK:
        return change.scope.undoes
    return 0


def undone_by(Change change):
    """Return the seq of the change that this one undoes, 0 if none. O(1)."""
    return undone_seq(change)


def cancelled(changes):
    """Return the seqs of the changes that amount to nothing together. O(changes).

    Those are the changes that were undone, and those that undid them. ``changes``: oldest first.
    """
    cdef Change change
    cdef set known, seqs
    cdef set gone = set()
    cdef dict undoing = {}              # id of scope -> the records of one step, which undo one change
    cdef list step
    for change in changes:
        if undone_seq(change):
            break
    else:
        return gone
    known = {(<Change>change).seq for change in changes}
    for change in changes:
        if undone_seq(change) in known:
            undoing.setdefault(id(change.scope), []).append(change)
    for step in reversed(list(undoing.values())):   # what was undone itself, or in part, has undone nothing
        seqs = {(<Change>change).seq for change in step}
        if gone.isdisjoint(seqs):
            gone |= seqs
            gone.add(undone_seq(<Change>step[0]))
    return gone
