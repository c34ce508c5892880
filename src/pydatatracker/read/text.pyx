# Owns: repr() of a value, as far as it is wanted.
# May touch: the items of builtin and tracked containers, and their __repr__.
# Invariants:
#  - the text is the beginning of what repr() gives;
#  - the time is that of the text: a graph of containers has more paths than anybody can visit, and repr() visits all.

cdef int write_repr(object value, list parts, Py_ssize_t *room) except -1:
    """Append repr(value), or the beginning of it once the room is used up."""
    cdef int kind = pdt_repr_kind(value)
    cdef str opening = "{" if kind == c"d" else "[" if kind == c"l" else "("
    cdef str closing = "}" if kind == c"d" else "]" if kind == c"l" else ")"
    if room[0] <= 0:
        return 0
    if kind == 0:
        return write_text(repr(value), parts, room)
    if Py_ReprEnter(value):
        return write_text(f"{opening}...{closing}", parts, room)
    try:
        pdt_enter_recursion(" while getting the repr of an object")
        try:
            write_text(opening, parts, room)
            if kind == c"d":
                write_pairs(value, parts, room)
            else:
                write_items(value, kind == c"l", parts, room)
            write_text(",)" if kind == c"t" and len(<tuple>value) == 1 else closing, parts, room)
        finally:
            Py_LeaveRecursiveCall()
    finally:
        Py_ReprLeave(value)
    return 0


cdef int write_text(object text, list parts, Py_ssize_t *room) except -1:
    if room[0] > 0:
        parts.append(text)
        room[0] -= len(text)
    return 0


cdef int write_items(object value, bint is_list, list parts, Py_ssize_t *room) except -1:
    cdef Py_ssize_t n = 0
    while room[0] > 0 and n < (PyList_GET_SIZE(value) if is_list else PyTuple_GET_SIZE(value)):     # a __repr__ may change it
        if n:
            write_text(", ", parts, room)
        write_repr((<list>value)[n] if is_list else (<tuple>value)[n], parts, room)
        n += 1
    return 0


cdef int write_pairs(object value, list parts, Py_ssize_t *room) except -1:
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *item
    cdef bint again = False
    value = pdt_steady(value)
    while room[0] > 0 and PyDict_Next(value, &position, &key, &item):
        k, v = <object>key, <object>item        # a __repr__ may remove them
        if again:
            write_text(", ", parts, room)
        write_repr(k, parts, room)
        write_text(": ", parts, room)
        write_repr(v, parts, room)
        again = True
    return 0


def start_of_repr(value, Py_ssize_t room):
    """Return repr(value), or at least the first room characters of it. O(text), besides what a __repr__ takes."""
    cdef list parts = []
    write_repr(value, parts, &room)
    return "".join(parts)
