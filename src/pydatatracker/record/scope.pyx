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


def set_scope(Scope scope):
    """Make a scope the current one and return what reset_scope needs. Enter a Scope object once, None at will."""
    before = <object>pdt_scope()
    home = pdt_context()
    if home is None:                    # to set the variable makes the context
        pdt_scope_set(before)
        home = pdt_context()
    entry = (scope, before, home)
    if scope is not None:
        scope.outer = before
        scope.home = home
    pdt_scope_set(scope)                # the last step that can fail for want of memory
    pdt_scope_changed()
    return entry


def reset_scope(tuple entry):
    """End what set_scope began: restore the scope of before if this one is still current here, else only mark it."""
    cdef Scope scope = entry[0]
    is_over = False
    if entry[2] is pdt_context() and scope_variable.get() is scope:
        try:
            pdt_scope_set(<object>lasting(<PyObject *>entry[1]))
            is_over = True
        except MemoryError:
            if scope is None:
                raise
    if is_over and scope is not None:
        scope.outer = scope.home = None
    elif scope is not None:
        scope.over = True
        pdt_scopes_over()
    pdt_scope_changed()
    pdt_scope()                         # replaces what is over in this context


cdef inline object current_scope():
    return <object>pdt_scope()
