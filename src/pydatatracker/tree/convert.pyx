# Owns: conversion of plain containers into tracked ones.
# May touch: the hooks' birth, trackers and links; it makes instances of the package's classes (connect.pyx).
# Invariants:
#  - what is converted is copied; the plain container is never changed;
#  - a container that occurs twice, or inside itself, is converted once;
#  - only exact dict, list and set, and OrderedDict, defaultdict, Counter and deque (twin_types) are converted:
#    subclasses, tuples and other objects stay as they are.

CONVERTED = frozenset((dict, list, set, _collections.OrderedDict, _collections.defaultdict, _collections.Counter,
                       _collections.deque))


cdef enum:
    MAX_LEVELS = 10_000                 # of plain data that is converted: what reads it again, as repr(), needs the C stack

cdef tuple converted_types = tuple(CONVERTED)


cdef bint is_converted(object cls):
    """True for a class of CONVERTED. A set would call the __hash__ of its metaclass. O(1)."""
    for each in converted_types:
        if each is cls:
            return True
    return False


def convert(value, Options options):
    """Convert nested plain data into tracked data; return it, and parts with more references than value has. O(items).

    Tuples and other objects stay as they are.
    """
    cdef list originals = []
    cdef dict again = {}                # id of a part that value holds in several places -> in how many
    cdef list shared = []
    cdef Py_ssize_t i
    made = converted(value, options, {"originals": originals, "again": again})
    for i in range(1, PyList_GET_SIZE(originals)):
        if Py_REFCNT(PyList_GET_ITEM(<PyObject *>originals, i)) > 1 + <Py_ssize_t>again.get(id(originals[i]), 1):
            shared.append(originals[i])
    return made, shared


cdef inline object convert_for(Tracker t, object value):
    """Return what a store into the container of t stores: value, or its tracked copy."""
    if t.state & T_CONVERT and not pdt_plain(value) and (
            not pdt_heap_type_of(Py_TYPE(value)) or is_converted(type(value))):
        return converted(value, t.effective, None)
    return value


cdef object converted(object value, Options options, dict memo):
    """Return a tracked copy of a plain container; anything else as it is. O(items)."""
    target = target_of(value)
    return value if target is None else converted_tree(value, target, options, {} if memo is None else memo)


cdef object target_of(object value):
    """Return the tracked class for a plain container, or None. O(1)."""
    cdef type cls = type(value)
    return dict_type if cls is dict else list_type if cls is list else set_type if cls is set else \
        twin_types.get(cls) if is_converted(cls) else None


cdef object converted_tree(object value, type target, Options options, dict memo):
    """Return a tracked copy of a container and all below it. O(items); the C stack is the same for any depth.

    Raises RecursionError for more than MAX_LEVELS.

    ``memo``: the copy of each part by its id; None if value has no part in two places.
    """
    cdef list todo = []                 # lists and dicts whose items are still plain; None: those behind it are a level up
    cdef Py_ssize_t levels = 0
    cdef int gc = pdt_pause_gc()        # nothing that is made here is garbage before all of it is there
    try:
        made = converted_part(value, target, options, memo, memo is None, todo)
        while todo:
            each = todo.pop()
            if each is None:
                levels -= 1
                continue
            levels += 1
            if levels > MAX_LEVELS:
                raise RecursionError(f"maximum depth exceeded while nested data was made tracked: {MAX_LEVELS:,} levels")
            todo.append(None)
            if PyList_Check(each):
                convert_items_of(each, options, memo, todo)
            else:
                convert_values_of(each, options, memo, todo)
        return made
    finally:
        pdt_resume_gc(gc)


cdef object converted_part(object value, type target, Options options, dict memo, bint alone, list todo):
    """Return a tracked copy of a container, whose items are still plain; note what is to be done.

    ``alone``: it is in one place, so nobody will ask for its copy again.
    """
    cdef Hook hook
    cdef Tracker t
    cdef type cls = type(value)
    if not alone and id(value) in memo:
        if "again" in memo:
            memo["again"][id(value)] = memo["again"].get(id(value), 1) + 1
        return memo[id(value)]
    made = pdt_new(target)
    if not alone:
        memo[id(value)] = made
        if "originals" in memo:
            memo["originals"].append(value)
    hook = hook_of(made)
    begin_life(made, hook.kind, hook.birth)     # before it is filled, so that its changes come after its init
    t = first_tracker(made, hook)
    t.options = options
    note_redact(t)
    if cls is dict:
        PyDict_Merge(made, value, 1)
        if pdt_following or not pdt_dict_of_scalars(value):
            todo.append(made)
    elif cls is list:
        PyList_SetSlice(made, 0, 0, value)
        todo.append(made)
    elif hook.kind == K_DICT:
        if hook.twin == PDT_DEFAULT:
            pdt_twin_init(PDT_DEFAULT, made, (factory_of(value),), NULL)
        if hook.twin == PDT_ORDERED:
            for key in list(first_keys(value)):
                PyODict_SetItem(made, key, dict.__getitem__(value, key))
        else:
            PyDict_Merge(made, value, 1)
        todo.append(made)
        if cls is not default_type and vars(value):     # attributes of an OrderedDict or Counter
            vars(made).update(vars(value))
    elif hook.kind == K_DEQUE:
        pdt_twin_init(PDT_DEQUE, made, ((), maxlen_of(value)), NULL)
        for item in deque_items(value):
            target = target_of(item)
            deque_append(made, item if target is None else
                         converted_part(item, target, options, memo, memo is None, todo))
        link_all(t)
    else:
        set.update(made, value)
        link_all(t)
    hook.birth.size = size_of(made, hook.kind)
    return made


cdef int convert_values(object made, Options options) except -1:
    """Convert the values of a plain dict, each for itself. O(items)."""
    # replacing the value of an existing key is allowed during the iteration
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    while PyDict_Next(made, &position, &key, &value):
        k = <object>key
        v = <object>value
        if not pdt_plain(v):
            w = converted(v, options, None)
            if w is not v:
                PyDict_SetItem(made, k, w)
    return 0


cdef int convert_values_of(object made, Options options, dict memo, list todo) except -1:
    """Convert the values of a dict that has those of a plain one, and link them. O(items)."""
    # replacing the value of an existing key is allowed during the iteration
    cdef Tracker t = tracker_of(made)
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef bint alone
    while PyDict_Next(made, &position, &key, &value):
        if pdt_plain(<object>value):
            continue
        alone = memo is None or Py_REFCNT(value) == 2       # the plain dict has it, and the new one
        k = <object>key
        v = <object>value
        target = target_of(v)
        if target is not None:
            w = converted_part(v, target, options, memo, alone, todo)
            PyDict_SetItem(made, k, w)
            link_converted(t, w, k, 0)
        elif pdt_heap_type(v):
            link_child(t, v, k, 0)
    return 0


cdef int convert_items_of(object made, Options options, dict memo, list todo) except -1:
    """Convert the items of a list that has those of a plain one, and link them. O(items)."""
    cdef Tracker t = tracker_of(made)
    cdef Py_ssize_t i
    cdef PyObject *item
    cdef bint alone
    for i in range(PyList_GET_SIZE(made)):
        item = PyList_GET_ITEM(<PyObject *>made, i)
        if pdt_plain(<object>item):
            continue
        alone = memo is None or Py_REFCNT(item) == 2        # the plain list has it, and the new one
        v = <object>item
        target = target_of(v)
        if target is not None:
            w = converted_part(v, target, options, memo, alone, todo)
            Py_INCREF(w)
            PyList_SetItem(made, i, w)          # which takes over a reference
            link_converted(t, w, None, i)
        elif pdt_heap_type(v):
            link_child(t, v, None, i)
    return 0


cdef int link_converted(Tracker parent, object child, object key, Py_ssize_t hint) except -1:
    """Link a child that was converted. O(1) if it has no parent yet: it was made after the parent, so it closes no cycle."""
    cdef Tracker ct = (<DictHook>child).tracker if type(child) is dict_type else \
        (<ListHook>child).tracker if type(child) is list_type else <Tracker>hook_of(child).tracker
    cdef Link link
    if ct.link is not None or ct.number <= parent.number or ct.marks & X_REDACTS or parent.lowered or ct.lowered:
        return link_child(parent, child, key, hint)
    link = Link.__new__(Link)
    link.parent = parent
    link.key = key
    link.hint = hint
    link.count = 1
    chain(ct, link)
    parent.children += 1
    return 0
