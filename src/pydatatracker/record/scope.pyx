# Owns: the current scope: the actor, context and transaction under which changes are recorded.
# May touch: native/scope.h, which caches the value of the context variable.
# Invariants:
#  - actor, context and transaction of a Scope never change; all records written under it share it;
#  - the context variable is set here only, because the cache has to know;
#  - a Scope belongs to one entry of one block. A block that ends in another context than it began in (a generator that
#    another task closes), or out of order, leaves the current scope of whoever ends it alone; where it is still the
#    current one, it is skipped from then on (`lasting`).

cdef class Scope:
    """Actor, context and transaction of the changes that are made under it."""

    def __init__(self, str actor, context=None, transaction=None, uint64_t undoes=0):
        self.actor = actor
        self.context = context
        self.transaction = transaction
        self.undoes = undoes

    def __repr__(self):
        return f"Scope({self.actor!r}, {self.context!r}, {self.transaction!r})"


scope_variable = _contextvars.ContextVar("pydatatracker_scope", default=None)


cdef PyObject *lasting(PyObject *scope) noexcept:
    """Return the innermost scope, from this one outwards, whose block did not end early in this context. O(depth)."""
    cdef object here = None
    while scope != <PyObject *>None and (<Scope>scope).over:
        if here is None:
            here = pdt_context()
        if (<Scope>scope).home is not here:
            break               # a task that was started in the block keeps its actor
        scope = <PyObject *>(<Scope>scope).outer
    return scope


pdt_scope_init(scope_variable, lasting)


def scope_now():
    """Return the current scope, or None. O(1)."""
    return <object>pdt_scope()


def context_now():
    """Return the weak reference of the running context, which identifies it; None if it has none yet. O(1)."""
    return pdt_context()


cdef tuple set_scope(Scope scope):
    """Make a scope the current one and return what reset_scope needs. Enter a Scope object once, None at will."""
    cdef object before = <object>pdt_scope()
    cdef object home = pdt_context()
    cdef tuple entry
    if home is None:                    # to set the variable makes the context
        pdt_scope_set(before, before)
        home = pdt_context()
    entry = (scope, before, home)
    if scope is not None:
        scope.outer = before
        scope.home = home
    pdt_scope_set(before, scope)        # the last step that can fail for want of memory
    pdt_scope_changed(<PyObject *>scope)
    return entry


cdef int reset_scope(tuple entry) except -1:
    """End what set_scope began: restore the scope of before if this one is still current here, else only mark it."""
    cdef Scope scope = <Scope>entry[0]
    cdef object outer
    if pdt_scope_is(scope, entry[2]):
        outer = <object>lasting(<PyObject *>entry[1])
        try:
            pdt_scope_set(scope, outer)
            pdt_scope_changed(<PyObject *>outer)
            if scope is not None:
                scope.outer = scope.home = None
            return 0
        except MemoryError:
            if scope is None:
                raise
    if scope is not None:
        scope.over = True
        pdt_scopes_over()
    pdt_scope_unknown()
    pdt_scope()                         # replaces what is over in this context
    return 0


cdef inline object current_scope():
    return <object>pdt_scope()
