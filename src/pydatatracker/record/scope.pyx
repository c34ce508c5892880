# Owns: the current scope: the actor, context and transaction under which changes are recorded.
# May touch: native/scope.h, which caches the value of the context variable.
# Invariants:
#  - a Scope never changes; all records written under it share it;
#  - the context variable is set and reset here only, because the cache has to know.

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
pdt_scope_init(scope_variable)


def set_scope(Scope scope):
    """Make scope the current one and return the token for reset_scope."""
    token = scope_variable.set(scope)
    pdt_scope_changed()
    return token


def reset_scope(token):
    """Restore the scope that was current before set_scope returned this token."""
    try:
        scope_variable.reset(token)
    finally:
        pdt_scope_changed()


cdef inline object current_scope():
    return <object>pdt_scope()
