# Owns: conversion of plain dicts, lists and sets into tracked ones.
# May touch: the hooks' birth, trackers and links; it makes instances of the package's classes (connect.pyx).
# Invariants:
#  - what is converted is copied; the plain container is never changed;
#  - a container that occurs twice, or inside itself, is converted once;
#  - only exact dict, list and set are converted: subclasses, tuples and other objects stay as they are.

def convert(value, Options options):
    """Convert nested plain data into tracked data. Tuples and other objects stay as they are. O(items)."""
    return converted(value, options, None)


cdef inline object convert_for(Tracker t, object value):
    """Return what a store into the container of t stores: value, or its tracked copy."""
    if t.state & T_CONVERT and not pdt_plain(value) and not pdt_heap_type(value):
        return converted(value, t.effective, None)
    return value


cdef object converted(object value, Options options, dict memo):
    """Return a tracked copy of a plain dict, list or set; anything else as it is. O(items)."""
    cdef type cls = type(value)
    if cls is not dict and cls is not list and cls is not set:
        return value
    Py_EnterRecursiveCall(" while nested data was made tracked")
    try:
        return converted_one(value, cls, options, memo)
    finally:
        Py_LeaveRecursiveCall()


cdef object converted_one(object value, type cls, Options options, dict memo):
    cdef type target = dict_type if cls is dict else list_type if cls is list else set_type
    cdef Hook hook
    if memo is None:
        memo = {}
    elif id(value) in memo:
        return memo[id(value)]
    made = target.__new__(target)
    memo[id(value)] = made
    hook = hook_of(made)
    begin_life(made, hook.kind, hook.birth)     # before it is filled, so that its changes come after its init
    tracker_of(made).options = options
    note_redact(tracker_of(made))
    if cls is dict:
        PyDict_Merge(made, value, 1)
        convert_values(made, options, memo)
    elif cls is list:
        for item in list(value):
            list.append(made, converted(item, options, memo))
    else:
        set.update(made, value)
    hook.birth.size = size_of(made, hook.kind)
    link_all(tracker_of(made))
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
