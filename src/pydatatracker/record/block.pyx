# Owns: entering and leaving the blocks of tracking_actor, and of whatever else sets a scope.
# May touch: the current scope, through set_scope and reset_scope.
# Invariants:
#  - no Python code runs while a block is entered or left. CPython calls handlers of signals between instructions of
#    Python code only, so an interrupt finds a block entered and left, or not entered at all;
#  - one object can be entered many times at once, and each entry is its own.

import contextlib as _contextlib

cdef object EMPTY_CONTEXT = _MappingProxyType({})
cdef dict exit_stacks = vars(_contextlib)       # the globals of the frames that enter blocks for an ExitStack


cdef class ActorBlock:
    """The block of tracking_actor."""

    def __init__(self, actor, /, **context):
        if not isinstance(actor, str):
            raise TypeError(f"an actor is a str, not {type(actor).__name__}")
        self._actor = actor
        self._context = context

    def __enter__(self):
        self.enter(frame_number())
        return self

    def __exit__(self, kind, error, trace):
        self.leave(frame_number())

    def _enter(self, size_t frame):
        """Enter the block in a frame; see frame_number."""
        self.enter(frame)

    def _leave(self, size_t frame):
        """Leave the entry of this frame, best in this context, else the newest."""
        self.leave(frame)

    cdef int enter(self, size_t frame) except -1:
        cdef object above = <object>pdt_scope()
        cdef object context = EMPTY_CONTEXT
        cdef object transaction = None
        cdef Scope scope
        if above is not None:
            transaction = (<Scope>above).transaction
        if above is not None and (<Scope>above).context:
            context = _MappingProxyType({**(<Scope>above).context, **self._context})
        elif self._context:
            context = _MappingProxyType(dict(self._context))
        scope = Scope.__new__(Scope)
        scope.actor = self._actor
        scope.context = context
        scope.transaction = transaction
        if self.token is None and not self.entries:
            self.token = set_scope(scope)
            self.frame = frame
            return 0
        if self.entries is None:
            self.entries = []
        entry = [frame, None]
        self.entries.append(entry)
        try:
            entry[1] = set_scope(scope)
        except:
            self.entries.remove(entry)
            raise
        return 0

    cdef int leave(self, size_t frame) except -1:
        cdef tuple token = self.token
        cdef list entry
        cdef Py_ssize_t i
        cdef Py_ssize_t found = -1      # the first one
        cdef int fit = -1
        cdef int fits
        if token is None and not self.entries:
            raise RuntimeError(
                "this tracking_actor is left more often than it was entered; write it as a with statement, or call"
                " __exit__ once for each __enter__"
            )
        if self.entries:
            here = pdt_context()
            for i in range(len(self.entries) - 1, -1, -1):
                entry = <list>self.entries[i]
                fits = 2 * (entry[0] == frame) + ((<tuple>entry[1])[2] is here)
                if fits > fit:
                    fit = fits
                    found = i
            if token is not None and 2 * (self.frame == frame) + (token[2] is here) > fit:
                found = -1
        if found < 0:
            self.token = None
        else:
            token = <tuple>(<list>self.entries[found])[1]
            del self.entries[found]
        reset_scope(token)
        return 0


cdef class ScopeBlock:
    """A block under a given scope; None at will, a Scope object once."""

    def __init__(self, scope):
        self.scope = scope

    def __enter__(self):
        self.token = set_scope(self.scope)
        return self

    def __exit__(self, kind, error, trace):
        reset_scope(self.token)


cdef size_t frame_number() noexcept:
    """Return what identifies the calling with statement while it runs; 0 for an ExitStack, whose frames come and go."""
    return 0 if PyEval_GetGlobals() == <PyObject *>exit_stacks else pdt_frame_address()
