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
        self._entries = []

    def __enter__(self):
        self._enter(frame_number())
        return self

    def __exit__(self, kind, error, trace):
        self._leave(frame_number())

    def _enter(self, size_t frame):
        """Enter the block in a frame; see frame_number."""
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
        entry = [frame, None]
        self._entries.append(entry)
        try:
            entry[1] = set_scope(scope)
        except:
            self._entries.remove(entry)
            raise

    def _leave(self, size_t frame):
        """Leave the entry of this frame, best in this context, else the newest."""
        cdef list entry
        cdef list found = None
        cdef list entries = self._entries
        cdef Py_ssize_t i
        cdef int fit = -1
        cdef int fits
        if not entries:
            raise RuntimeError(
                "this tracking_actor is left more often than it was entered; write it as a with statement, or call"
                " __exit__ once for each __enter__"
            )
        if PyList_GET_SIZE(entries) == 1:
            found = <list>entries.pop()
            reset_scope(<tuple>found[1])
            return
        here = pdt_context()
        for i in range(len(entries) - 1, -1, -1):
            entry = <list>entries[i]
            fits = 2 * (entry[0] == frame) + ((<tuple>entry[1])[2] is here)
            if fits > fit:
                fit = fits
                found = entry
        for i in range(len(entries)):
            if entries[i] is found:
                del entries[i]
                break
        reset_scope(<tuple>found[1])


cdef class ScopeBlock:
    """A block under a given scope; None at will, a Scope object once."""

    def __init__(self, scope):
        self.scope = scope

    def __enter__(self):
        self.token = set_scope(self.scope)
        return self

    def __exit__(self, kind, error, trace):
        reset_scope(self.token)


cdef size_t frame_number() except? 0:
    """Return what identifies the calling with statement while it runs; 0 for an ExitStack, whose frames come and go."""
    cdef PyObject *frame = pdt_frame()
    if frame == NULL:
        return 0
    Py_DECREF(<object>frame)                # it is running: it stays
    return 0 if pdt_frame_globals_are(frame, exit_stacks) else <size_t>frame
