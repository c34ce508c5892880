# Owns: a value of a change as JSON text, written straight into the buffer of its line.
# May touch: native/json.h; the items of builtin and tracked containers.
# Invariants:
#  - the text is that of `values.encode`, which writes what is not a builtin; whatever would be cut, tagged as a cycle or
#    withheld makes the draft unfit, and the Python encoder writes the whole line;
#  - a container that is elsewhere in the data is written as its path there (read/elsewhere.pyx);
#  - where there are cycles, the line has the id of each container in a new value; everywhere that of one that was a root,
#    or is in data that is not tracked. If one is deeper than INSIDE, the line is written in Python;
#  - only `values.encode` and `text_of` run code of the program: a `__repr__`, and not for a watched object.

cdef enum:
    VALUE_DEPTH = 90            # levels of a value; deeper ones go to the Python encoder, which does not recurse
    VALUE_BYTES = 1 << 20       # of a line, far below what the Python encoder cuts

cdef enum:                      # Inside.tag
    IN_LIST
    IN_TUPLE
    IN_PAIRS


cdef int put_text(Draft *d, str text) except -1:
    """Put a str with its quotes."""
    if pdt_out_scalar(&d.out, text) != 0:       # a lone surrogate, or very long
        d.unfit = True
    return 0


cdef int put_name(Draft *d, object name, bint first) except -1:
    """Put the name of an entry of an object, and what is before and behind it."""
    pdt_out_literal(&d.out, b'"' if first else b',"')
    if pdt_out_str(&d.out, name, False) != 0:
        d.unfit = True
    pdt_out_literal(&d.out, b'":')
    return 0


cdef int put_json(Draft *d, object data, int depth=0) except -1:
    """Put what the Python encoder made of a value: dicts, lists and scalars."""
    cdef bint first = True
    if depth > VALUE_DEPTH or d.out.size > VALUE_BYTES:
        d.unfit = True
    if d.unfit or pdt_out_scalar(&d.out, data) == 0:
        return 0
    if type(data) is dict:
        pdt_out_literal(&d.out, b'{')
        for key, item in (<dict>data).items():
            put_name(d, key, first)
            first = False
            put_json(d, item, depth + 1)
        pdt_out_literal(&d.out, b'}')
    elif type(data) is list:
        pdt_out_literal(&d.out, b'[')
        for item in <list>data:
            if not first:
                pdt_out_literal(&d.out, b',')
            first = False
            put_json(d, item, depth + 1)
        pdt_out_literal(&d.out, b']')
    elif type(data) is int:
        digits = repr(data)
        pdt_out_str(&d.out, digits, False)
    else:
        d.unfit = True
    return 0


cdef int put_encoded(Draft *d, object value, bint is_key) except -1:
    """Put a value that has no short form here: a date, an object's text, a stand-in."""
    d.ran_code = True
    return put_json(d, encode_for_line(value, is_key, d.silent))


cdef int put_key(Draft *d, object key) except -1:
    """Put a step of a path, or the key of a pair."""
    if pdt_out_scalar(&d.out, key) == 0:
        return 0
    d.has_odd_keys = True               # in which a name may stand otherwise than as text
    return put_encoded(d, key, True)


cdef int put_value(Draft *d, object value, int depth) except -1:
    """Put a value."""
    cdef Tracker t
    cdef bint loose = d.loose
    if d.unfit or pdt_out_scalar(&d.out, value) == 0:
        return 0
    if depth > VALUE_DEPTH or d.out.size > VALUE_BYTES or isinstance(value, WatchedTracker):
        d.unfit = True
        return 0
    t = tracker_of(value)
    if t is not None and not d.is_init:
        if d.newest and t.marks & X_COMPARED and t.owner == <PyObject *>value:
            compare(<WatchedTracker>t)  # what changed in it is in lines of its own
            d.newest = (<Change>d.change).seq == last_seq
        if not d.newest:                # what it was then has to be found
            d.unfit = True
            return 0
        if (<PyObject *>t == d.viewer or may_be_elsewhere(t, d.in_graph)) and (
                put_reference(d, t) or d.unfit or was_written(d, t)):
            return 0
        if was_root(d, t) and has_many(value):
            d.unfit = True              # it is referred to by its id
            return 0
        if not d.is_old and (d.in_graph or loose or t.marks & X_LOOPED or was_root(d, t)) and not was_named(d, t):
            d.unfit = True
            return 0
    if t is not None and d.is_init and (loose or t.marks & X_LOOPED):
        note_named()
        d.unfit = True
        return 0
    d.loose = t is None
    put_container(d, value, t, depth)
    d.loose = loose
    return 0


cdef int put_container(Draft *d, object value, Tracker t, int depth) except -1:
    """Put what is no scalar of JSON."""
    if PyDict_Check(value):
        if t is not None and t.marks & X_WATCHED and (<WatchedTracker>t).has_attributes:
            d.unfit = True              # its attributes belong to it
            return 0
        return put_dict(d, value, depth)
    if PyList_Check(value):
        return put_list(d, value, depth)
    if PyTuple_CheckExact(value):
        pdt_out_literal(&d.out, b'{"$tuple":')
        put_tuple(d, value, depth)
        pdt_out_literal(&d.out, b'}')
        return 0
    if isinstance(value, (set, frozenset)):
        return put_set(d, value, depth)
    if isinstance(value, tuple):
        d.unfit = d.withholds           # the names of its fields are not in the text
        pdt_out_literal(&d.out, b'{"$tuple":')
        put_tuple(d, tuple(tuple.__iter__(value)), depth)
        pdt_out_literal(&d.out, b'}')
        return 0
    if t is not None:
        d.ran_code = True
        held = plain(value)
        if isinstance(held, dict):
            return put_dict(d, held, depth)
        if isinstance(held, set):
            return put_set(d, held, depth)
        return put_tuple(d, tuple(held), depth, IN_LIST)
    if isinstance(value, int):
        return put_value(d, int.__int__(value), depth) if type(value) is not int else put_encoded(d, value, False)
    if isinstance(value, str) and type(value) is not str:
        return put_value(d, str.__str__(value), depth)
    return put_encoded(d, value, False)


cdef inline bint was_root(Draft *d, Tracker t) except -1:
    return d.roots != NULL and t.number in <set>d.roots


cdef inline void go_in(Draft *d, PyObject *key, Py_ssize_t index, int tag) noexcept:
    """Note that an item of a container is written next; ``level`` goes back by one afterwards."""
    if d.level < INSIDE:
        d.inside[d.level].key = key
        d.inside[d.level].index = index
        d.inside[d.level].tag = tag
    d.level += 1


cdef bint was_named(Draft *d, Tracker t) except -1:
    """Note that the line has the id of a container, which more than a place tells. False: it is too deep."""
    cdef Change change = <Change>d.change
    cdef Inside *step
    cdef int n
    if d.level > INSIDE or (t.marks & X_LOOPED and not d.in_graph):
        return False
    note_named()
    pdt_out_literal(&d.ids, b',"' if d.ids.size else b'"')
    if change.shape == S_SLOT:
        pdt_out_literal(&d.ids, b'/after')
    elif change.shape == S_SPLICE:
        pdt_out_literal(&d.ids, b'/splice/2/')
        pdt_out_int(&d.ids, d.spot)
    else:
        pdt_out_literal(&d.ids, b'/changes/')
        pdt_out_int(&d.ids, d.spot)
        pdt_out_literal(&d.ids, b'/2')
    for n in range(d.level):
        step = &d.inside[n]
        pdt_out_literal(&d.ids, b'/$tuple/' if step.tag == IN_TUPLE else b'/$dict/' if step.tag == IN_PAIRS else b'/')
        if step.key == NULL:
            pdt_out_int(&d.ids, step.index)
        elif pdt_out_str(&d.ids, <object>step.key, True) != 0:
            d.unfit = True
        if step.tag == IN_PAIRS:
            pdt_out_literal(&d.ids, b'/1')
    pdt_out_literal(&d.ids, b'":"')
    put_uuid(&d.ids, t.number, True)
    pdt_out_literal(&d.ids, b'"')
    return True


cdef int put_ids(Draft *d) except -1:
    """Put the ids of containers, by the pointers to them in the line."""
    if d.ids.size:
        pdt_out_literal(&d.out, b',"ids":{')
        pdt_out_bytes(&d.out, d.ids.data, d.ids.size)
        pdt_out_literal(&d.out, b'}')
    return 0


cdef bint was_written(Draft *d, Tracker t) except -1:
    """Note that a container is written in whole; True if it was, or there is no room: the line is unfit."""
    cdef int n
    for n in range(d.count):
        if d.written[n] == t.number:
            d.unfit = True
    if d.count == WRITTEN:
        d.unfit = True
    if not d.unfit:
        d.written[d.count] = t.number
        d.count += 1
    return d.unfit


cdef int put_dict(Draft *d, object value, int depth) except -1:
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t size = PyDict_Size(value)
    cdef PyObject *key
    cdef PyObject *item
    cdef Py_ssize_t n = 0
    cdef bint pairs = False
    cdef bint first = True
    cdef object order
    if not d.newest:
        d.unfit = True
    if isinstance(value, _OrderedDict):     # its order is its own
        d.ran_code = True
        order = {}
        for k, v in _OrderedDict.items(value):
            if not PyUnicode_CheckExact(k) and not PyLong_CheckExact(k):    # its code could run
                d.unfit = True
                return 0
            PyDict_SetItem(order, k, v)
        value = order
    value = pdt_steady(value)
    while PyDict_Next(value, &position, &key, &item):
        if not PyUnicode_CheckExact(<object>key):
            pairs = True
            if isinstance(<object>key, str):    # as text, if that has no tag; rare enough
                d.unfit = True
        elif PyUnicode_GET_LENGTH(<object>key) and PyUnicode_READ_CHAR(<object>key, 0) == c'$':
            pairs = True
    position = 0
    pdt_out_literal(&d.out, b'{"$dict":[' if pairs else b'{')
    while not d.unfit and PyDict_Next(value, &position, &key, &item):
        k = <object>key
        v = <object>item
        if pairs:
            pdt_out_literal(&d.out, b'[' if first else b',[')
            if PyTuple_CheckExact(k):
                d.has_odd_keys = True
                d.level += INSIDE + 1   # nothing in a key is named
                put_value(d, k, depth + 3)
                d.level -= INSIDE + 1
            else:
                put_key(d, k)
            pdt_out_literal(&d.out, b',')
            go_in(d, NULL, n, IN_PAIRS)
            put_value(d, v, depth + 3)
            d.level -= 1
            pdt_out_literal(&d.out, b']')
        else:
            put_name(d, k, first)
            go_in(d, <PyObject *>k, 0, IN_LIST)
            put_value(d, v, depth + 1)
            d.level -= 1
        first = False
        n += 1
    pdt_out_literal(&d.out, b']}' if pairs else b'}')
    if PyDict_Size(value) != size:          # code of the program changed it meanwhile
        d.unfit = True
    return 0


cdef int put_list(Draft *d, object value, int depth) except -1:
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t size = PyList_GET_SIZE(value)
    if not d.newest:
        d.unfit = True
    pdt_out_literal(&d.out, b'[')
    value = pdt_steady(value)
    while n < PyList_GET_SIZE(value) and not d.unfit:
        item = <object>PyList_GET_ITEM(<PyObject *>value, n)
        if n:
            pdt_out_literal(&d.out, b',')
        go_in(d, NULL, n, IN_LIST)
        put_value(d, item, depth + 1)
        d.level -= 1
        n += 1
    pdt_out_literal(&d.out, b']')
    if PyList_GET_SIZE(value) != size:
        d.unfit = True
    return 0


cdef int put_tuple(Draft *d, object items, int depth, int tag=IN_TUPLE) except -1:
    cdef Py_ssize_t n
    pdt_out_literal(&d.out, b'[')
    for n in range(PyTuple_GET_SIZE(items)):
        if n:
            pdt_out_literal(&d.out, b',')
        go_in(d, NULL, n, tag)
        put_value(d, <object>PyTuple_GET_ITEM(items, n), depth + 2)
        d.level -= 1
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_set(Draft *d, object value, int depth) except -1:
    """Put a set of text or of numbers in order; any other one goes to the Python encoder with the line."""
    cdef list items = list((set if isinstance(value, set) else frozenset).__iter__(value))
    cdef bint texts = True
    cdef bint numbers = True
    if not d.newest and isinstance(value, set):
        d.unfit = True
    if len(items) == 1 and tracker_of(items[0]) is not None:
        d.unfit = True                  # an object that is followed is not data in a set
        return 0
    if len(items) > 1:
        for item in items:
            texts = texts and PyUnicode_CheckExact(item)
            numbers = numbers and PyLong_CheckExact(item)
        if not texts and not numbers:
            d.unfit = True
            return 0
        items.sort()
    pdt_out_literal(&d.out, b'{"$set":' if isinstance(value, set) else b'{"$frozenset":')
    d.level += INSIDE + 1               # nothing in a set is named
    put_tuple(d, tuple(items), depth)
    d.level -= INSIDE + 1
    pdt_out_literal(&d.out, b'}')
    return 0


cdef bint put_reference(Draft *d, Tracker t) except -1:
    """Put the path to a container that is elsewhere, from each root of the line; False: it is nowhere else."""
    cdef Change change = <Change>d.change
    cdef tuple keys = elsewhere(change, t, <Tracker>d.viewer)
    cdef bint first = True
    if keys is None:
        d.unfit = change.others is not None     # from another root it may be
        return False
    d.refers = True
    pdt_out_literal(&d.out, b'{"$at":')
    put_keys(d, keys)
    if change.others is not None:
        pdt_out_literal(&d.out, b',"also":[')
        for other in <tuple>change.others:
            keys = elsewhere(change, t, <Tracker>other)
            if keys is None:            # a copy for that root
                d.unfit = True
                return False
            pdt_out_literal(&d.out, b'["' if first else b',["')
            first = False
            put_uuid(&d.out, (<Tracker>other).number, True)
            pdt_out_literal(&d.out, b'",')
            put_keys(d, keys)
            pdt_out_literal(&d.out, b']')
        pdt_out_literal(&d.out, b']')
    pdt_out_literal(&d.out, b'}')
    return True


cdef int put_keys(Draft *d, tuple keys) except -1:
    """Put a path as a JSON array."""
    cdef Py_ssize_t n
    pdt_out_literal(&d.out, b'[')
    for n in range(len(keys)):
        if n:
            pdt_out_literal(&d.out, b',')
        put_key(d, keys[n])
    pdt_out_literal(&d.out, b']')
    return 0
