# Owns: which types of the core are freed with a bounded C stack, and how the collector breaks cycles of containers.
# May touch: native/freeing.h.
# Invariant: every type that can be a step of a chain without end is here. A type that is not can only be freed between two
# that are. A container lets go of its items when the collector says so, and keeps its tracker to its end (no_gc_clear).

def _bound_freeing():
    for each in (Change, DictHook, ListHook, SetHook, AttrHook, Tracker, Link, Place, Log, Rare, Scope, Transaction):
        pdt_bound_freeing(<PyTypeObject *>each)
    for each in (DictHook, ListHook, SetHook):
        pdt_clear_as_base(<PyTypeObject *>each)
    for twin in (PDT_ORDERED, PDT_DEFAULT, PDT_DEQUE):
        pdt_bound_freeing(pdt_twin_hook(twin))


_bound_freeing()
