# Owns: the change of data as a line of a log says, for the lines that most logs consist of.
# May touch: dicts and lists, plain ones directly, tracked ones by their methods: what a reader of a log has made.
# Invariants:
#  - nothing is changed unless all that the line says was there is there; who gets False asks history/apply_step.py, which
#    knows all kinds of data and what to tell;
#  - no code of a program runs, but for `__eq__` of keys that a reader has made itself.

cdef enum:
    SAME_LEVELS = 50                    # what nests deeper is compared by the package


cdef inline bint is_key(PyObject *key):
    return PyUnicode_CheckExact(<object>key) or PyLong_CheckExact(<object>key)


cdef inline bint is_dict(PyObject *container):
    return PyDict_CheckExact(<object>container) or isinstance(<object>container, DictHook)


cdef inline bint is_list(PyObject *container):
    return PyList_CheckExact(<object>container) or isinstance(<object>container, ListHook)


cdef Py_ssize_t index_of(PyObject *key, Py_ssize_t size) except? -1:
    """Return the index that a key of a path is in a list, or -1. O(1)."""
    cdef Py_ssize_t index
    if not PyLong_CheckExact(<object>key):
        return -1
    try:
        index = PyLong_AsSsize_t(<object>key)
    except OverflowError:
        return -1
    return index if 0 <= index < size else -1


cdef PyObject *item_at(PyObject *container, PyObject *key) except? NULL:
    """Return what a dict or list has under a key of a path, borrowed; NULL if nothing, or for other containers. O(1)."""
    cdef Py_ssize_t index
    if is_dict(container):
        return PyDict_GetItemWithError(<object>container, <object>key) if is_key(key) else NULL
    if not is_list(container):
        return NULL
    index = index_of(key, PyList_GET_SIZE(<object>container))
    return NULL if index < 0 else PyList_GET_ITEM(container, index)


cdef bint same_plain(PyObject *held, PyObject *logged, int levels) except -1:
    """True if data is surely what a line says. O(size)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef PyObject *other
    cdef Py_ssize_t i
    cdef Py_ssize_t position = 0
    if held == logged:
        return True
    if not levels:
        return False
    if PyUnicode_CheckExact(<object>logged) or PyLong_CheckExact(<object>logged) or PyFloat_CheckExact(<object>logged):
        return Py_TYPE(<object>held) is Py_TYPE(<object>logged) and (
            PyObject_RichCompareBool(<object>held, <object>logged, Py_EQ))
    if PyList_CheckExact(<object>logged):
        if not is_list(held) or PyList_GET_SIZE(<object>held) != PyList_GET_SIZE(<object>logged):
            return False
        for i in range(PyList_GET_SIZE(<object>logged)):
            if not same_plain(PyList_GET_ITEM(held, i), PyList_GET_ITEM(logged, i), levels - 1):
                return False
        return True
    if not PyDict_CheckExact(<object>logged) or not is_dict(held) or PyDict_Size(<object>held) != PyDict_Size(<object>logged):
        return False
    while PyDict_Next(<object>logged, &position, &key, &value):
        other = item_at(held, key)
        if other == NULL or not same_plain(other, value, levels - 1):
            return False
    return True


cdef bint has_marks(PyObject *value, int levels) except -1:
    """True if JSON data may stand for something else: an object in it has a key that begins with "$". O(size)."""
    cdef PyObject *key
    cdef PyObject *each
    cdef Py_ssize_t i
    cdef Py_ssize_t position = 0
    if PyList_CheckExact(<object>value):
        for i in range(PyList_GET_SIZE(<object>value)):
            if not levels or has_marks(PyList_GET_ITEM(value, i), levels - 1):
                return True
    elif PyDict_CheckExact(<object>value):
        while PyDict_Next(<object>value, &position, &key, &each):
            if not levels or not PyUnicode_CheckExact(<object>key) or has_marks(each, levels - 1) or (
                    PyUnicode_GET_LENGTH(<object>key) and PyUnicode_READ_CHAR(<object>key, 0) == c"$"):
                return True
    return False


def replay_line(root, list path, before, after, splice, known):
    """Change data as a line says; False, and nothing is changed, if it takes more to say whether the line fits.

    O(path + what was there). Raises MemoryError alone, for plain data.

    :param path: to what changed; for a splice to the list.
    :param before: JSON data, or MISSING; as after.
    :param splice: (position, removed, inserted), or None.
    :param known: what is to be changed, if that is known, or None.
    """
    cdef PyObject *container = <PyObject *>root
    cdef Py_ssize_t keys = PyList_GET_SIZE(path) - (splice is None)
    cdef Py_ssize_t i
    if has_marks(<PyObject *>before, SAME_LEVELS) or has_marks(<PyObject *>after, SAME_LEVELS) or (
            splice is not None and has_marks(<PyObject *>splice, SAME_LEVELS)):
        return False
    for i in range(keys):
        container = item_at(container, PyList_GET_ITEM(<PyObject *>path, i))
        if container == NULL:
            return False
    if known is not None and container != <PyObject *>known:
        return False
    if splice is not None:
        return replay_splice(container, splice)
    return keys >= 0 and replay_slot(container, <object>PyList_GET_ITEM(<PyObject *>path, keys), before, after)


cdef bint replay_slot(PyObject *container, object key, object before, object after) except -1:
    cdef PyObject *held = item_at(container, <PyObject *>key)
    cdef object target = <object>container
    if is_list(container) and before is missing:
        i = index_of(<PyObject *>key, PyList_GET_SIZE(target) + 1)
        if i < 0 or after is missing:
            return False
        if PyList_CheckExact(target):
            PyList_Insert(target, i, after)
        else:
            target.insert(i, after)
        return True
    if held == NULL:
        if before is not missing or after is missing or not is_dict(container) or not is_key(<PyObject *>key):
            return False
    elif before is missing or not same_plain(held, <PyObject *>before, SAME_LEVELS):
        return False
    if after is missing:
        del target[key]
    else:
        target[key] = after
    return True


cdef bint replay_splice(PyObject *container, object splice) except -1:
    cdef Py_ssize_t start, i
    cdef list removed, inserted
    if not PyList_CheckExact(<object>container) or not isinstance(splice, list) or len(splice) != 3 or (
            type(splice[1]) is not list or type(splice[2]) is not list):
        return False
    removed, inserted = splice[1], splice[2]
    start = index_of(PyList_GET_ITEM(<PyObject *>splice, 0), PyList_GET_SIZE(<object>container) + 1)
    if start < 0 or start + PyList_GET_SIZE(removed) > PyList_GET_SIZE(<object>container):
        return False
    for i in range(PyList_GET_SIZE(removed)):
        if not same_plain(PyList_GET_ITEM(container, start + i), PyList_GET_ITEM(<PyObject *>removed, i), SAME_LEVELS):
            return False
    PyList_SetSlice(<object>container, start, start + PyList_GET_SIZE(removed), inserted)
    return True
