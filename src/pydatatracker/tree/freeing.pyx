# Owns: which types of the core are freed with a bounded C stack, and how the collector breaks cycles of containers.
# May touch: native/freeing.h.
# Invariant: every type that can be a step of a chain without end is here. A type that is not can only be freed between two
# that are. A container lets go of its items when the collector says so, and keeps its tracker to its end (no_gc_clear).

cdef Py_ssize_t place_of_tracker(object c):
    """Return the offset of the tracker in a new dict, list or set of the core: of the field before its birth."""
    cdef PyObject **field = <PyObject **>(&(<DictHook>c).birth if isinstance(c, DictHook) else
                                          &(<ListHook>c).birth if isinstance(c, ListHook) else &(<SetHook>c).birth) - 1
    if field[0] != <PyObject *>None:
        raise SystemError("the tracker of a container does not stand before its birth")
    return <char *>field - <char *><PyObject *>c


def _bound_freeing():
    for each in (DictHook, ListHook, SetHook):
        pdt_bound_freeing(<PyTypeObject *>each, place_of_tracker(each.__new__(each)))
    for each in (AttrHook, Change, Tracker, Link, Place, Log, Rare, Scope, Transaction):
        pdt_bound_freeing(<PyTypeObject *>each, 0)
    for each in (DictHook, ListHook, SetHook):
        pdt_clear_as_base(<PyTypeObject *>each)
    for twin in (PDT_ORDERED, PDT_DEFAULT, PDT_DEQUE):
        pdt_bound_freeing(pdt_twin_hook(twin), 0)


_bound_freeing()
