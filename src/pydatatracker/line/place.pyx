# Owns: where a change happened, as JSON text: pointer, path, further paths, other roots, the containers above.
# May touch: places, to read.
# Invariants:
#  - keys are shown as they are: a change that rules of tracking_redact concern never comes here;
#  - one place, which is the rule, is read off the record without making an object.

cdef enum:
    PLACE_DEPTH = 64            # keys from the viewer to the change; of deeper ones a tuple is made


cdef int put_step(Draft *d, object key, bint is_text) except -1:
    """Put a key as a segment of a pointer, or as an item of a path."""
    cdef bint exact
    if not is_text:
        return put_key(d, key)
    pdt_out_literal(&d.out, b'/')
    if PyLong_CheckExact(key):
        if pdt_out_scalar(&d.out, key) == 0:
            return 0
    elif not PyUnicode_CheckExact(key):
        d.ran_code = True
    if pdt_out_str(&d.out, text_of_key(key, &exact), True) != 0:
        d.unfit = True
    return 0


cdef int put_steps(Draft *d, PyObject **keys, Py_ssize_t count, bint backwards, object last, bint is_text) except -1:
    """Put keys and, unless it is missing, a last one."""
    cdef Py_ssize_t i
    for i in range(count):
        if i and not is_text:
            pdt_out_literal(&d.out, b',')
        put_step(d, <object>keys[count - 1 - i if backwards else i], is_text)
    if last is not missing:
        if count and not is_text:
            pdt_out_literal(&d.out, b',')
        put_step(d, last, is_text)
    return 0


cdef int put_path(Draft *d, tuple base, object last) except -1:
    """Put a path of several as a JSON array."""
    pdt_out_literal(&d.out, b'[')
    put_steps(d, (<PyTupleObject *>base).ob_item, PyTuple_GET_SIZE(base), False, last, False)
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_place(Draft *d, Change change, object last) except -1:
    """Put pointer, path, paths, also and location."""
    cdef PyObject *near[PLACE_DEPTH]            # borrowed: the place holds them
    cdef PyObject **keys = near
    cdef Py_ssize_t depth = 0
    cdef Place place = change.place
    cdef Tracker viewer = <Tracker>d.viewer
    cdef list found = None
    cdef tuple base = ()
    cdef bint backwards = True
    if not several(change):
        while place.parent is not None and place.tracker is not viewer:
            if depth < PLACE_DEPTH:
                near[depth] = <PyObject *>place.key
            depth += 1
            place = place.parent
    if several(change) or depth > PLACE_DEPTH:
        found = bases(change, viewer)
        if found:
            base = <tuple>found[0]
        keys = (<PyTupleObject *>base).ob_item
        depth = PyTuple_GET_SIZE(base)
        backwards = False
    if depth or last is not missing or not d.compact:
        pdt_out_literal(&d.out, b',"pointer":"')
        put_steps(d, keys, depth, backwards, last, True)
        pdt_out_literal(&d.out, b'"')
    pdt_out_literal(&d.out, b',"path":[')
    put_steps(d, keys, depth, backwards, last, False)
    pdt_out_literal(&d.out, b']')
    if found is not None and len(found) > 1:
        put_paths(d, found, last)
    if change.others is not None:
        put_also(d, change, last)
    if change.details is not None and change.details.left_out:
        pdt_out_literal(&d.out, b',"also_cut":')
        pdt_out_int(&d.out, change.details.left_out)
    if last is not missing and last is not None:
        pdt_out_literal(&d.out, b',"location":')
        put_key(d, last)
    return 0


cdef int put_paths(Draft *d, list found, object last) except -1:
    cdef bint first = True
    pdt_out_literal(&d.out, b',"paths":[')
    for base in found:
        if not first:
            pdt_out_literal(&d.out, b',')
        first = False
        put_path(d, <tuple>base, last)
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_also(Draft *d, Change change, object last) except -1:
    cdef tuple rows = also_of(change)
    cdef bint first = True
    if not rows:
        return 0
    d.has_also = True
    pdt_out_literal(&d.out, b',"also":[')
    for tracker, base in rows:
        pdt_out_literal(&d.out, b'["' if first else b',["')
        first = False
        put_uuid(&d.out, (<Tracker>tracker).number, True)
        pdt_out_literal(&d.out, b'",')
        put_path(d, <tuple>base, last)
        pdt_out_literal(&d.out, b']')
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_tree(Draft *d, Place place) except -1:
    """Put the containers from the root down to the one that changed."""
    cdef PyObject *places[PLACE_DEPTH]
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t i
    cdef Place each
    while place is not None:
        if depth == PLACE_DEPTH:
            d.unfit = True
            return 0
        places[depth] = <PyObject *>place
        depth += 1
        place = place.parent
    pdt_out_literal(&d.out, b',"tree":[')
    for i in range(depth - 1, -1, -1):
        each = <Place>places[i]
        pdt_out_literal(&d.out, b'{"type":')
        put_text(d, class_name(each.tracker.cls))
        pdt_out_literal(&d.out, b',"uuid":"')
        put_uuid(&d.out, each.tracker.number, True)
        pdt_out_literal(&d.out, b'","location":')
        if each.parent is None:
            pdt_out_literal(&d.out, b'null')
        else:
            put_key(d, each.key)
        pdt_out_literal(&d.out, b'},' if i else b'}')
    pdt_out_literal(&d.out, b']')
    return 0
