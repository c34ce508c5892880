# Owns: what the log of a watch keeps of values: nothing that would keep an object of the program alive.
# May touch: records of watched objects, before they are written and after they are read; the items of objects that end.
# Invariants:
#  - a record refers to scalars and the like as they are, to a watched object by its tracker, to anything else by a weak
#    reference and words. So finalizers run, files close and weak references end when they would without a watch;
#  - who reads a record gets the object while it lives. Afterwards its tracker stands for it, with what it held last;
#  - the words are those of the moment, made without running code of the object.

cdef class Weakly:
    """Stands in a record for an object that is not kept."""

    def __repr__(self):
        return self.words.text


cdef object weakly(object value):
    cdef Weakly made = Weakly.__new__(Weakly)
    cdef Words words = Words.__new__(Words)
    words.text = summary_of(value)
    words.type = class_name(type(value))
    made.words = words
    if pdt_has_weakref(value):
        made.ref = _weakref.ref(value)
    return made


cdef bint lasts(object value):
    """True for a value whose end nobody can notice, or that does not end."""
    cdef type cls = type(value)
    if pdt_plain(value) or value is missing or not pdt_is_gc(value):
        return True
    if isinstance(value, type) or cls is module_type or cls is builtin_type or is_a(<object>Py_TYPE(cls), enum_type):
        return True
    if cls is function_type:
        return value.__closure__ is None and value.__defaults__ is None and value.__kwdefaults__ is None
    if isinstance(value, (Words, Weakly, WatchedTracker)):
        return True
    if cls is tuple or cls is frozenset:
        return all_last(value, 0)
    return module_of(cls) in value_modules


cdef bint all_last(object items, int depth):
    for each in items:
        if type(each) is tuple or type(each) is frozenset:
            if depth > 20 or not all_last(each, depth + 1):
                return False
        elif not lasts(each):
            return False
    return True


cdef object builtin_type = type(len)
cdef object function_type = type(lambda: 0)


cdef object kept_value(object value):
    """Return what a record keeps of a value."""
    cdef Tracker t
    if lasts(value):
        return value
    t = tracker_of(value)
    if t is None:
        return weakly(value)
    if not t.marks & X_WATCHED:
        return value                    # a tracked container: it was written for this library
    (<WatchedTracker>t).in_log = True
    return t


cdef object kept_values(int shape, object given):
    """The same for `old` or `new` of a record of any shape. O(items)."""
    if given is missing or shape == S_WHOLE or shape == S_ORDER or shape == S_REVERSE:
        return given
    if shape == S_FILL:
        return {key: kept_value(value) for key, value in (<dict>given).items()}
    if isinstance(given, tuple) and shape != S_SLOT:
        return tuple([kept_value(each) for each in given])
    if isinstance(given, list) and shape != S_SLOT:
        return [kept_value(each) for each in given]
    return kept_value(given)


cdef object read_value(object value):
    """Return the object that a record means, while it lives; else what stands for it."""
    cdef object found
    if isinstance(value, WatchedTracker):
        found = object_of(<WatchedTracker>value)
        return value if found is None else found
    if isinstance(value, Weakly):
        found = None if (<Weakly>value).ref is None else (<Weakly>value).ref()
        return (<Weakly>value).words if found is None else found
    return value


cdef object read_values(int shape, object given):
    if given is missing or shape == S_WHOLE or shape == S_ORDER or shape == S_REVERSE:
        return given
    if shape == S_FILL:
        return {key: read_value(value) for key, value in (<dict>given).items()}
    if isinstance(given, tuple) and shape != S_SLOT:
        return tuple([read_value(each) for each in given])
    if isinstance(given, list) and shape != S_SLOT:
        return [read_value(each) for each in given]
    return read_value(given)


cdef int freeze(WatchedTracker t) except -1:
    """Keep what an object holds before it ends or is let go, if a record may ask for it. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t i
    if not t.in_log or t.last is not None or t.owner == NULL:
        return 0
    last = []
    if t.way == Y_DICT or t.way == Y_ATTR:
        while PyDict_Next(<object>t.owner, &position, &key, &value):
            if not is_hidden(t, <object>key):
                k = <object>key
                last.append((k, kept_value(<object>value)))
    elif t.kept is not None:
        for each in t.kept:
            if isinstance(each, WatchedTracker):
                (<WatchedTracker>each).in_log = True
        last = list(t.kept)
        if t.way == Y_SLOTS:
            last = [(row[0], v) for row, v in zip(slots_of(t.cls), last) if v is not missing]
    t.last = last
    return 0


cdef object last_state(WatchedTracker t):
    """Return what an object that is gone held last, as `plain` does. O(items)."""
    if t.kind == K_DICT or t.kind == K_ATTR:
        return {key: read_value(value) for key, value in t.last}
    items = [read_value(each) for each in t.last]
    return set(items) if t.way == Y_SET else tuple(items) if t.way == Y_TUPLE else items


cdef dict reviving = {}         # id -> tracker, of objects that undo makes again: they go on with the trackers they had


cdef object made_again(object value, dict made):
    """Return an object like one that is gone, for undo; the value itself if it is none. MISSING: it cannot be made."""
    if not isinstance(value, (Words, WatchedTracker)):
        return value
    Py_EnterRecursiveCall(" while objects were made again")
    try:
        return make_again(value, made)
    finally:
        Py_LeaveRecursiveCall()


cdef object make_again(object value, dict made):
    cdef WatchedTracker t
    cdef object state
    cdef object again
    if isinstance(value, Words):
        return missing
    if not isinstance(value, WatchedTracker):
        return value
    t = <WatchedTracker>value
    if t in made:
        return made[t]
    if t.last is None and t.owner != NULL and t.way == Y_ATTR:
        t.in_log = True                 # it may be alive, but nothing says where: another one takes its place
        let_go(t, False)
    if t.last is None:
        return missing
    state = last_state(t)
    cls = t.cls
    if t.way == Y_DICT and (cls is dict or cls is ordered_dict or cls is _collections.Counter):
        again = made[t] = cls()
        for key, each in (<dict>state).items():
            each = made_again(each, made)
            if each is missing:
                return missing
            dict.__setitem__(again, key, each) if cls is not ordered_dict else ordered_dict.__setitem__(again, key, each)
        return again
    if t.way == Y_ATTR and (pdt_is_simple(<PyTypeObject *>cls) or cls is simple_namespace):
        again = made[t] = cls() if cls is simple_namespace else object.__new__(cls)
        for key, each in (<dict>state).items():
            each = made_again(each, made)
            if each is missing:
                return missing
            object.__getattribute__(again, "__dict__")[key] = each
        return again
    if t.way == Y_LIST and cls is list or t.way == Y_DEQUE and cls is deque_type:
        again = made[t] = cls()
        for each in state:
            each = made_again(each, made)
            if each is missing:
                return missing
            again.append(each)
        return again
    if t.way == Y_SET and cls is set or t.way == Y_TUPLE and cls is tuple:
        items = [made_again(each, made) for each in state]
        if any([each is missing for each in items]):
            return missing
        again = made[t] = cls(items)
        return again
    return missing
