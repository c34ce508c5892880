# Owns: making a container when its class is called, without a tuple and a dict of the arguments.
# May touch: the call of the package's own three classes (native/making.h).
# Invariants:
#  - what is made and what is raised is that of type.__call__, by the same functions;
#  - a class below, or one whose __new__ or __init__ was replaced, is called as any class is.

cdef object make_dict(PyObject *cls, pdt_arguments args, size_t given, PyObject *names):
    cdef Py_ssize_t n = PyVectorcall_NARGS(given)
    cdef Py_ssize_t i
    if n + (names != NULL) > 1 or not pdt_makes_as(cls, <PyTypeObject *>DictHook) or (
            names != NULL and names_option(<tuple>names)):
        return pdt_call_type(cls, args, given, names)
    made = pdt_new(<object>cls)
    if n:
        init_dict(made, (<object>args[0],), None)
        return made
    if names != NULL:
        for i in range(PyTuple_GET_SIZE(<object>names)):
            PyDict_SetItem(made, (<tuple>names)[i], <object>args[i])
    begin_life(made, K_DICT, &(<DictHook>made).birth)
    if names != NULL:
        link_new_dict(made)
    return made


cdef object make_list(PyObject *cls, pdt_arguments args, size_t given, PyObject *names):
    cdef Py_ssize_t n = PyVectorcall_NARGS(given)
    if n > 1 or names != NULL or not pdt_makes_as(cls, <PyTypeObject *>ListHook):
        return pdt_call_type(cls, args, given, names)
    made = pdt_new(<object>cls)
    if n:
        init_list(made, (<object>args[0],), None)
    else:
        begin_life(made, K_LIST, &(<ListHook>made).birth)
    return made


cdef object make_set(PyObject *cls, pdt_arguments args, size_t given, PyObject *names):
    cdef Py_ssize_t n = PyVectorcall_NARGS(given)
    if n > 1 or names != NULL or not pdt_makes_as(cls, <PyTypeObject *>SetHook):
        return pdt_call_type(cls, args, given, names)
    made = pdt_new(<object>cls)
    if n:
        init_set(made, (<object>args[0],), None)
    else:
        begin_life(made, K_SET, &(<SetHook>made).birth)
    return made


cdef int make_directly() except -1:
    """Have the package's own classes make their containers as above."""
    pdt_make_with(<PyObject *>dict_type, make_dict)
    pdt_make_with(<PyObject *>list_type, make_list)
    pdt_make_with(<PyObject *>set_type, make_set)
    return 0
