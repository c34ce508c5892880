# Owns: collecting changes without a call of Python code, for `ChangeCollector`.
# May touch: the container that it appends to, through the function it was given.
# Invariant: it keeps the same objects as the observer would, in the same order.

@cython.final
cdef class Collection(Feed):
    """Appends changes to what an observer keeps them in."""

    def __init__(self, append, bint inits):
        self.append = append
        self.inits = inits

    cdef bint accept(self, Change change, Tracker viewer) except -1:
        return False

    cdef bint accept_encoded(self, Change change) except -1:
        if self.inits or change.action_code != A_INIT:
            self.append(change)
        return True
