# Owns: how copy and pickle put a container together without recording.
# May touch: the hook's birth; tracker and links.
# Invariant: a container records nothing between begin_rebuild and end_rebuild, and its life begins with the latter.

def begin_rebuild(container, Options options, name):
    """Turn recording off for a container that copy or pickle is making. O(1)."""
    cdef Hook hook = hook_of(container)
    cdef Tracker t
    if hook.kind == K_NONE:
        raise TypeError(f"a {type(container).__name__} is not a tracked container")
    hook.birth.time_ns = pdt_now_ns()   # keeps the tracker from linking what the container holds already
    t = tracker_of(container)
    if options is not None:
        t.options = options
        note_redact(t)
    if name is not None:
        rare_of(t).name = name
    t.state |= T_QUIET
    t.epoch = 0


def end_rebuild(container):
    """Begin the life of a container that is complete now, and record from here on. O(1)."""
    cdef Tracker t = tracker_of(container)
    cdef Hook hook = hook_of(container)
    begin_life(container, hook.kind, hook.birth)
    t.net = 0
    t.marks &= ~(X_KEYS_KNOWN | X_OTHER_KEYS)
    t.state &= ~T_QUIET
    t.epoch = 0


def relink(container):
    """Link the children that a container got without its hooks, unless it has links already. O(items)."""
    cdef Tracker t = tracker_of(container)
    if t.children == 0:
        if t.kind == K_ATTR:
            link_attributes(container)
        else:
            link_all(t)


# ---- a tree in one ---------------------------------------------------------------------------------------------

cdef enum:
    TREE_LEVELS = 200                   # what nests deeper is no tree: plain data needs the C stack to be freed

cdef enum:
    N_OTHER, N_PLAIN, N_PART            # anything else; a scalar that is no subclass; a container of the package's own class


cdef int sort_of(PyObject *value) noexcept:
    cdef PyTypeObject *cls = Py_TYPE(<object>value)
    if pdt_quiet_key(<object>value):
        return N_PLAIN
    if <PyObject *>cls == <PyObject *>dict_type or <PyObject *>cls == <PyObject *>list_type or (
            <PyObject *>cls == <PyObject *>set_type):
        return N_PART
    return N_OTHER


cdef class _NotATree(Exception):
    """What a container holds has to be pickled one by one."""


def as_tree(container, bint whole=False):
    """Return the contents of a container, with all below it, as plain data; None if a pickle has to look at each part.

    What is below is of the package's own classes and scalars, without a cycle, a name or options of its own. A part that
    something else may refer to stays as it is; with ``whole`` there may be none. O(items).
    """
    if sort_of(<PyObject *>container) != N_PART or tracker_of(container).marks & X_LOOPED:
        return None
    for cls in (dict_type, list_type, set_type):
        if cls in _copyreg.dispatch_table:      # the program has another way to pickle what may be below
            return None
    try:
        return tree_below(container, own_options(container), None if whole else {}, TREE_LEVELS)
    except _NotATree:
        return None


def from_tree(data, Options options):
    """Return tracked data for what `as_tree` returned. O(items)."""
    target = target_of(data)
    if target is None:
        raise TypeError(f"a tree is a dict, list or set, not {class_name(type(data))}")
    return converted_tree(data, target, options, None)


cdef object tree_below(object container, Options options, dict seen, int levels):
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t i
    cdef list items
    cdef dict made
    container = pdt_steady(container)
    if PyDict_Check(container):
        made = {}
        while PyDict_Next(container, &position, &key, &value):
            if not pdt_quiet_key(<object>key):
                raise _NotATree
            PyDict_SetItem(made, <object>key, part_of_tree(value, options, seen, levels))
        return made
    if PyList_Check(container):
        items = []
        for i in range(PyList_GET_SIZE(container)):
            items.append(part_of_tree(PyList_GET_ITEM(<PyObject *>container, i), options, seen, levels))
        return items
    for item in set.__iter__(container):
        if not pdt_quiet_key(item):
            raise _NotATree
    return set(container)


cdef object part_of_tree(PyObject *value, Options options, dict seen, int levels):
    cdef int sort = sort_of(value)
    cdef bint alone = Py_REFCNT(value) == 1
    cdef Tracker t
    if sort == N_PLAIN:
        return <object>value
    if sort == N_OTHER:
        raise _NotATree
    part = <object>value
    if not alone:
        if seen is None:
            raise _NotATree
        if id(part) in seen:
            return part
    t = tracker_of(part)
    if t.marks & X_LOOPED or not levels:
        raise _NotATree
    data = tree_below(part, t.options, seen, levels - 1)
    if alone and t.options is options and (t.rare is None or t.rare.name is None):
        return data
    if seen is None:
        raise _NotATree
    seen[id(part)] = True
    return part
