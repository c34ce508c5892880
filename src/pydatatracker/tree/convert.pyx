# Owns: conversion

def convert(value, Options options):
    """Turn nested plain data into tracked data; tuples and other objects are left alone. O(items)."""
    return converted(value, options, None)


cdef object converted(object value, Options options, dict memo):
    """A plain dict, list or set as a tracked one, with what is in it; anything else as it is. O(items)."""
    cdef type cls = type(value)
    if cls is not dict and cls is not list and cls is not set:
        return value
    Py_EnterRecursiveCall(" while nested data was made tracked")
    try:
        return converted_one(value, cls, options, memo)
    finally:
        Py_LeaveRecursiveCall()


cdef object converted_one(object value, type cls, Options options, dict memo):
    cdef Tracker t
    if memo is None:
        memo = {}
    elif id(value) in memo:
        return memo[id(value)]
    if cls is dict:
        made = (<type>dict_type).__new__(dict_type)
        memo[id(value)] = made
        begin(made, options)
        PyDict_Merge(made, value, 1)
        (<DictHook>made).born_len = PyDict_Size(made)
        convert_values(made, options, memo)
    elif cls is list:
        made = (<type>list_type).__new__(list_type)
        memo[id(value)] = made
        begin(made, options)
        for item in list(value):
            list.append(made, converted(item, options, memo))
        (<ListHook>made).born_len = PyList_GET_SIZE(made)
    else:
        made = (<type>set_type).__new__(set_type)
        memo[id(value)] = made
        begin(made, options)
        set.update(made, value)
        (<SetHook>made).born_len = PySet_GET_SIZE(made)
    t = tracker_of(made)
    link_all(t)
    return made


cdef int convert_values(object made, Options options, dict memo) except -1:
    # storing under a key that is there may be done while iterating
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


cdef int begin(object made, Options options) except -1:
    cdef Tracker t
    if isinstance(made, DictHook):
        (<DictHook>made).born_ns = pdt_now_ns()
        (<DictHook>made).born_seq = last_seq
    elif isinstance(made, ListHook):
        (<ListHook>made).born_ns = pdt_now_ns()
        (<ListHook>made).born_seq = last_seq
    else:
        (<SetHook>made).born_ns = pdt_now_ns()
        (<SetHook>made).born_seq = last_seq
    t = tracker_of(made)
    t.options = options
    return 0


cdef inline object convert_for(Tracker t, object value):
    # what a store into t really stores
    if t.state & T_CONVERT and not pdt_plain(value) and not pdt_heap_type(value):
        return converted(value, t.settled, None)
    return value
