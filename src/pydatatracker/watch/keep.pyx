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
    made.words = Words(summary_of(value), class_name(type(value)))
    if pdt_has_weakref(value):
        made.ref = _weakref.ref(value)
    return made


cdef bint lasts(object value):
    """True for a value whose end nobody can notice, or that does not end."""
    cdef type cls = type(value)
    if pdt_plain(value) or value is missing or not pdt_is_gc(value):
        return True
    if isinstance(value, type) or cls is module_type or is_a(<object>Py_TYPE(cls), enum_type):
        return True
    if cls is builtin_type:             # `[].append` keeps the list
        return value.__self__ is None or isinstance(value.__self__, (type, module_type))
    if cls is function_type:
        return value.__closure__ is None and value.__defaults__ is None and value.__kwdefaults__ is None
    if isinstance(value, (Words, Weakly, WatchedTracker)):
        return True
    if cls is tuple or cls is frozenset:
        return all_last(value, 0)
    if isinstance(value, tuple) and not pdt_has_weakref(value) and not pdt_has_dict(value):
        # a namedtuple: `tuple` itself says what it holds
        return of_class(cls, "__del__") is missing and all_last(tuple.__getitem__(value, slice(None)), 0)
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


cdef object kept_item(object value):
    """Return what is kept of an object: itself if it lasts, its tracker, or a weak reference and words."""
    cdef Tracker t
    if lasts(value):
        return value
    t = tracker_of(value)
    return weakly(value) if t is None else t


cdef object kept_value(object value):
    """Return what a record keeps of a value: the same, but tracked containers, which were written for this library."""
    cdef object kept = kept_item(value)
    if isinstance(kept, WatchedTracker):
        (<WatchedTracker>kept).in_log = True
        return kept
    return value if isinstance(kept, Tracker) else kept


cdef object read_value(object kept):
    """Return the object that is meant while it lives; else what stands for it: its tracker, or words."""
    cdef object found = None
    if isinstance(kept, WatchedTracker):
        found = object_of(<WatchedTracker>kept)
        return kept if found is None else found
    if isinstance(kept, Weakly):
        if (<Weakly>kept).ref is not None:
            found = (<Weakly>kept).ref()
        return (<Weakly>kept).words if found is None else found
    if isinstance(kept, Tracker):
        found = (<Tracker>kept).container
        return Words(f"<{class_name((<Tracker>kept).cls)}>", class_name((<Tracker>kept).cls)) if found is None else found
    return kept


ctypedef object (*value_map)(object)


cdef object mapped(int shape, object given, value_map change):
    """Return `old` or `new` of a record of any shape with each value replaced. O(items)."""
    if given is missing or shape == S_WHOLE or shape == S_ORDER or shape == S_REVERSE:
        return given
    if shape == S_FILL:
        return {key: change(value) for key, value in (<dict>given).items()}
    if shape != S_SLOT and isinstance(given, tuple):
        return tuple([change(each) for each in given])
    if shape != S_SLOT and isinstance(given, list):
        return [change(each) for each in given]
    return change(given)


cdef inline object kept_values(int shape, object given):
    return mapped(shape, given, kept_value)


cdef inline object read_values(int shape, object given):
    return mapped(shape, given, read_value)


cdef bint freeze(WatchedTracker t) except? False:
    """Keep what an object holds before it ends or is let go, if a record may ask for it. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    if not t.in_log or t.last is not None or t.owner == NULL:
        return 0
    last = []
    if t.way == Y_DICT or t.way == Y_ATTR:
        while PyDict_Next(<object>t.owner, &position, &key, &value):
            if not is_hidden(t, <object>key):
                k = <object>key
                last.append((kept_value(k), kept_value(<object>value)))
        if t.has_attributes:
            k = attributes_below(t)
            k = t.last_attributes if k is None else kept_value(k)
            if k is not None:
                last.append((ATTRIBUTES, k))
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
        return {read_value(key): read_value(value) for key, value in t.last}
    items = [read_value(each) for each in t.last]
    return set(items) if t.way == Y_SET else tuple(items) if t.way == Y_TUPLE else items


cdef dict reviving = {}         # id -> tracker, of objects that undo makes again: they go on with the trackers they had


cdef object made_again(object value, dict made):
    """Return an object like one that is gone, for undo; the value itself if it is none. MISSING: it cannot be made."""
    if not isinstance(value, (Words, WatchedTracker)):
        return value
    pdt_enter_recursion(" while objects were made again")
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
            if key is ATTRIBUTES:
                pdt_own_dict(again).update(each)
                continue
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
