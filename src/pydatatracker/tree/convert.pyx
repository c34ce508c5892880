# Owns: conversion of plain containers into tracked ones.
# May touch: the hooks' birth, trackers and links; it makes instances of the package's classes (connect.pyx).
# Invariants:
#  - what is converted is copied; the plain container is never changed;
#  - a container that occurs twice, or inside itself, is converted once;
#  - only exact dict, list and set, and OrderedDict, defaultdict, Counter and deque (twin_types) are converted:
#    subclasses, tuples and other objects stay as they are.

CONVERTED = frozenset((dict, list, set, _collections.OrderedDict, _collections.defaultdict, _collections.Counter,
                       _collections.deque))


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
    cdef type cls = type(value)
    cdef object target = dict_type if cls is dict else list_type if cls is list else set_type if cls is set else \
        twin_types.get(cls) if is_converted(cls) else None
    if target is None:
        return value
    pdt_enter_recursion(" while nested data was made tracked")
    try:
        return converted_one(value, cls, target, options, memo)
    finally:
        Py_LeaveRecursiveCall()


cdef object converted_one(object value, type cls, type target, Options options, dict memo):
    cdef Hook hook
    cdef Tracker t
    if memo is None:
        memo = {}
    elif id(value) in memo:
        if "again" in memo:
            memo["again"][id(value)] = memo["again"].get(id(value), 1) + 1
        return memo[id(value)]
    made = target.__new__(target)
    memo[id(value)] = made
    if "originals" in memo:
        memo["originals"].append(value)
    hook = hook_of(made)
    begin_life(made, hook.kind, hook.birth)     # before it is filled, so that its changes come after its init
    t = tracker_of(made)
    t.options = options
    note_redact(t)
    if hook.kind == K_DICT:
        if hook.twin == PDT_DEFAULT:
            pdt_twin_init(PDT_DEFAULT, made, (factory_of(value),), NULL)
        if hook.twin == PDT_ORDERED:
            for key in list(first_keys(value)):
                PyODict_SetItem(made, key, dict.__getitem__(value, key))
        else:
            PyDict_Merge(made, value, 1)
        convert_values(made, options, memo)
        if cls is not dict and cls is not default_type and vars(value):     # attributes of an OrderedDict or Counter
            vars(made).update(vars(value))
    elif cls is list:
        for item in list(value):
            list.append(made, converted(item, options, memo))
    elif hook.kind == K_DEQUE:
        pdt_twin_init(PDT_DEQUE, made, ((), maxlen_of(value)), NULL)
        for item in deque_items(value):
            deque_append(made, converted(item, options, memo))
    else:
        set.update(made, value)
    hook.birth.size = size_of(made, hook.kind)
    link_all(t)
    return made


cdef int convert_values(object made, Options options, dict memo) except -1:
    # replacing the value of an existing key is allowed during the iteration
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    while PyDict_Next(made, &position, &key, &value):
        k = <object>key
        v = <object>value
        if not pdt_plain(v):
            w = converted(v, options, memo)
            if w is not v:
                PyDict_SetItem(made, k, w)
    return 0
