# Owns: the hooks of TrackedOrderedDict and TrackedDefaultDict: types over those of the standard library, whose layout
# is private (native/twins.h); and counting, for TrackedCounter.
# May touch: the object below the hook, through OrderedDict and defaultdict themselves; the functions of hooks/dict.pyx.
# Invariants:
#  - a slot or method here does what that of DictHook does, by the same functions, so a record does not tell them apart;
#  - the list of keys of an OrderedDict and its table have the same order. So everything that knows the order of a dict
#    knows that of an OrderedDict. move_to_end(last=False) is O(items) for it;
#  - a class below that has its own __setitem__ is called where the standard library calls it.

from collections.abc import Mapping as _Mapping

cdef extern from "Python.h":
    ctypedef struct PyMethodDef:
        const char *ml_name
        void *ml_meth
        int ml_flags
        const char *ml_doc
    enum:
        METH_O, METH_NOARGS, METH_VARARGS, METH_KEYWORDS
        Py_tp_init, Py_tp_methods, Py_tp_doc, Py_mp_subscript, Py_mp_ass_subscript, Py_sq_contains
        Py_nb_inplace_or, Py_sq_ass_item, Py_sq_concat, Py_sq_repeat, Py_sq_inplace_concat, Py_sq_inplace_repeat
    int PyObject_SetItem(object, object, object) except -1

cdef object ordered_type = _collections.OrderedDict
cdef object default_type = _collections.defaultdict
cdef object factory_of = default_type.default_factory.__get__
cdef object move_key = ordered_type.move_to_end
cdef object first_keys = ordered_type.__iter__
cdef object last_keys = ordered_type.__reversed__
cdef object clear_ordered = ordered_type.clear


cdef inline PyObject *field(object self, int twin) noexcept:
    cdef PyObject *tracker = pdt_twin_in(self, twin).tracker
    return <PyObject *>None if tracker == NULL else tracker


cdef inline Birth *birth_of(object self, int twin) noexcept:
    return <Birth *>pdt_twin_in(self, twin).birth


# ---- what both share -----------------------------------------------------------------------------

cdef inline int assign(object self, Tracker t, object key, PyObject *value) except -1:
    if value == NULL:
        return delete_key(self, t, key)
    return store(self, t, key, convert_for(t, <object>value), M_SETITEM)


cdef inline object popped(object self, Tracker t, object args):
    if PyTuple_GET_SIZE(args) == 1 or PyTuple_GET_SIZE(args) == 2:
        return pop_key(self, t, <tuple>args)
    return dict.pop(self, *<tuple>args)


cdef int begin_dict(object self, int twin, object options) except -1:
    """Begin the life of a new container, which is filled."""
    cdef Tracker t
    begin_life(self, K_DICT, birth_of(self, twin))
    if has_options(self, options):
        t = converting(self, options)
        if t is not None:
            convert_values(self, t.effective)
    link_new_dict(self)
    if has_options(self, options):
        report_untracked_now(self)
    return 0


cdef int dict_contains(object self, object key) except -1:
    return PyDict_Contains(self, key)


cdef object dict_item(object self, object key):
    return pdt_dict_subscript(self, key)


# ---- OrderedDict ---------------------------------------------------------------------------------

cdef int ordered_init(object self, object args, PyObject *given) except -1:
    cdef dict kwargs = {} if given == NULL else <dict>given
    cdef bint again = birth_of(self, PDT_ORDERED).time_ns != 0
    cdef object options = None
    cdef Tracker t
    if kwargs:
        options, kwargs = split_options(kwargs)
    if again:
        t = enter(self, field(self, PDT_ORDERED))
        options_only_once(options)
        return update_ordered(self, t, <tuple>args, kwargs, M_INIT)
    if pdt_twin_stores(self, PDT_ORDERED):
        made = ordered_type(*<tuple>args, **kwargs)
        for key, value in [(key, value) for key, value in (<dict>made).items()]:
            PyODict_SetItem(self, key, value)
        return begin_dict(self, PDT_ORDERED, options)
    birth_of(self, PDT_ORDERED).time_ns = pdt_now_ns()
    t = tracker_of(self)                # its __setitem__ comes to our hook: not recorded, this is what it begins with
    t.state |= T_QUIET
    t.epoch = 0
    try:
        if options is not None:
            configure(self, options[0], options[1])
        pdt_twin_init(PDT_ORDERED, self, args, <PyObject *>kwargs)
    finally:
        t.state &= ~T_QUIET
        t.epoch = 0
        t.net = 0
        begin_life(self, K_DICT, birth_of(self, PDT_ORDERED))
    return 0


cdef int update_ordered(object self, Tracker t, tuple args, object kwargs, int method) except -1:
    if len(args) > 1:
        ordered_type().update(*args)    # raises
    if pdt_twin_stores(self, PDT_ORDERED):
        return update_from(self, t, args, kwargs, method)
    for rows in (*args, kwargs):
        if isinstance(rows, dict):
            for key in list(rows):
                PyObject_SetItem(self, key, rows[key])
        elif hasattr(rows, "keys"):
            for key in rows.keys():
                PyObject_SetItem(self, key, rows[key])
        elif hasattr(rows, "items"):
            for key, value in rows.items():
                PyObject_SetItem(self, key, value)
        else:
            for key, value in rows:
                PyObject_SetItem(self, key, value)
    return 0


cdef int ordered_assign(object self, object key, PyObject *value) except -1:
    return assign(self, enter(self, field(self, PDT_ORDERED)), key, value)


cdef object ordered_pop(object self, object args, PyObject *given):
    cdef tuple both = <tuple>args
    if given != NULL and <dict>given:
        both = named_arguments("pop", both, <dict>given, ("key", "default"))
    return popped(self, enter(self, field(self, PDT_ORDERED)), both)


cdef object ordered_setdefault(object self, object args, PyObject *given):
    cdef Tracker t
    cdef PyObject *held
    cdef tuple both = <tuple>args
    if given != NULL and <dict>given:
        both = named_arguments("setdefault", both, <dict>given, ("key", "default"))
    if len(both) != 1 and len(both) != 2:
        return ordered_type.setdefault(self, *both)     # raises
    t = enter(self, field(self, PDT_ORDERED))
    held = PyDict_GetItemWithError(self, both[0])
    if held != NULL:
        return <object>held
    default = convert_for(t, both[1]) if len(both) == 2 else None
    if pdt_twin_stores(self, PDT_ORDERED):
        store(self, t, both[0], default, M_SETDEFAULT)
    else:
        PyObject_SetItem(self, both[0], default)
    return default


cdef tuple named_arguments(str function, tuple args, dict given, tuple names):
    """Return all arguments of a call by position. Raises TypeError as the standard library does."""
    cdef list found = list(args)
    for name in names[len(args):]:
        if name in given:
            found.append(given[name])
    if len(found) != len(args) + len(given) or not found or (len(args) == 0 and names[0] not in given):
        raise TypeError(f"{function}() takes {' and '.join(names)}, not {', '.join(given)}")
    return tuple(found)


cdef object ordered_popitem(object self, object args, PyObject *given):
    cdef Tracker t
    cdef tuple both = <tuple>args
    if given != NULL and <dict>given:
        both = named_arguments("popitem", both, <dict>given, ("last",))
    if len(both) > 1:
        return ordered_type.popitem(self, *both)        # raises
    t = enter(self, field(self, PDT_ORDERED))
    if PyDict_Size(self) == 0:
        raise KeyError("dictionary is empty")
    key = next(last_keys(self) if not both or both[0] else first_keys(self))
    return key, take(self, t, key, M_POPITEM)


cdef object ordered_clear(object self, PyObject *unused):
    clear_all(self, enter(self, field(self, PDT_ORDERED)))


cdef object ordered_update(object self, object args, PyObject *given):
    update_ordered(self, enter(self, field(self, PDT_ORDERED)), <tuple>args, {} if given == NULL else <dict>given, M_UPDATE)


cdef object ordered_ior(object self, object other):
    update_ordered(self, enter(self, field(self, PDT_ORDERED)), (other,), {}, M_IOR)
    return self


cdef object ordered_move_to_end(object self, object args, PyObject *given):
    cdef tuple both = <tuple>args
    cdef Tracker t
    cdef bint last
    if given != NULL and <dict>given:
        both = named_arguments("move_to_end", both, <dict>given, ("key", "last"))
    if len(both) != 1 and len(both) != 2:
        return move_key(self, *both)                    # raises
    last = len(both) == 1 or bool(both[1])
    t = enter(self, field(self, PDT_ORDERED))
    if not PyDict_Contains(self, both[0]):
        raise KeyError(both[0])
    move(self, t, held_key(self, t, both[0]), None if last else (), M_MOVE_TO_END)


cdef bint is_move(tuple rows):
    """True for the rows of one key that goes and comes again with the same value."""
    return len(rows) == 6 and rows[0] is rows[3] and rows[2] is missing and rows[4] is missing and rows[1] is rows[5]


cdef int move(object self, Tracker t, object key, object beside, int method) except -1:
    """Move a key, which the dict holds, to where it belongs (see Change._beside) as one record. O(1), or O(items)."""
    cdef pdt_spot spot
    cdef PyObject *neighbour = NULL
    cdef object was = None
    cdef Py_ssize_t at
    cdef int where
    cdef int gc
    if key is next(last_keys(self) if beside is None else first_keys(self)) and not beside:
        return 0
    pdt_spot_find(self, PyObject_Hash(key), &spot)
    gc = pdt_pause_gc()
    try:
        value = pop_item(self, t, key)
        if value is missing:
            raise KeyError(key)
        where = pdt_spot_gap(self, &spot, &neighbour)
        if where == PDT_FIRST:
            was = ()
        elif where == PDT_AFTER:
            was = (<object>neighbour,)
        elif where == PDT_BEFORE:
            was = (<object>neighbour, None)
        try:
            PyODict_SetItem(self, key, value)
        except:                         # no memory: it is gone
            if t.children:
                unlink_child(t, value, key)
            commit(t, A_REMOVE, method, S_SLOT, I_LAST, key, value, missing, -1)
            raise
        at = put_at(self, t, beside)
    finally:
        pdt_resume_gc(gc)
    commit_beside(t, A_UPDATE, method, S_ROWS, I_BESIDE, missing, missing, (key, value, missing, key, missing, value), 0,
                  (was, None if at < 0 else at))
    return 0


cdef bint restore_move(object self, Tracker t, tuple rows, int method, object beside) except -1:
    if dict.get(self, rows[0], missing) is not rows[1] or not t.marks & X_ORDERED:
        return False
    move(self, t, held_key(self, t, rows[0]), None if beside is None else (<tuple>beside)[1], method)
    return True


# ---- defaultdict ---------------------------------------------------------------------------------

cdef int default_init(object self, object args, PyObject *given) except -1:
    cdef dict kwargs = {} if given == NULL else <dict>given
    cdef bint again = birth_of(self, PDT_DEFAULT).time_ns != 0
    cdef object options = None
    cdef Tracker t
    if kwargs:
        options, kwargs = split_options(kwargs)
    if again:
        t = enter(self, field(self, PDT_DEFAULT))
        options_only_once(options)
        pdt_twin_init(PDT_DEFAULT, self, (<tuple>args)[:1], NULL)   # the factory
        return update_from(self, t, (<tuple>args)[1:], kwargs, M_INIT)
    pdt_twin_init(PDT_DEFAULT, self, args, <PyObject *>kwargs if kwargs else NULL)
    return begin_dict(self, PDT_DEFAULT, options)


cdef int default_assign(object self, object key, PyObject *value) except -1:
    return assign(self, enter(self, field(self, PDT_DEFAULT)), key, value)


cdef object default_missing(object self, object key):
    cdef Tracker t
    cdef PyObject *held
    factory = factory_of(self)
    if factory is None:
        raise KeyError(key)
    value = factory()
    if pdt_twin_stores(self, PDT_DEFAULT):
        t = enter(self, field(self, PDT_DEFAULT))
        value = convert_for(t, value)
        store(self, t, key, value, M_MISSING)
        return value
    PyObject_SetItem(self, key, value)
    held = PyDict_GetItemWithError(self, key)       # it may be the tracked copy of value
    return value if held == NULL or tracker_of(<object>held) is None else <object>held


cdef object default_pop(object self, object args):
    return popped(self, enter(self, field(self, PDT_DEFAULT)), args)


cdef object default_setdefault(object self, object args):
    if PyTuple_GET_SIZE(args) == 1 or PyTuple_GET_SIZE(args) == 2:
        return set_default(self, enter(self, field(self, PDT_DEFAULT)), <tuple>args)
    return dict.setdefault(self, *<tuple>args)


cdef object default_popitem(object self, PyObject *unused):
    return pop_last(self, enter(self, field(self, PDT_DEFAULT)))


cdef object default_clear(object self, PyObject *unused):
    clear_all(self, enter(self, field(self, PDT_DEFAULT)))


cdef object default_update(object self, object args, PyObject *given):
    update_from(self, enter(self, field(self, PDT_DEFAULT)), <tuple>args, {} if given == NULL else <dict>given, M_UPDATE)


cdef object default_ior(object self, object other):
    update_from(self, enter(self, field(self, PDT_DEFAULT)), (other,), {}, M_IOR)
    return self


# ---- counting ------------------------------------------------------------------------------------

def tally(container, iterable, dict kwargs, bint down):
    """Do Counter.update or, if down, Counter.subtract as one record, step by step as Counter does. O(elements)."""
    cdef Tracker t = enter(container, <PyObject *>(<DictHook?>container).tracker)
    cdef Pending p = begin_bulk(t, M_SUBTRACT if down else M_UPDATE)
    cdef dict rows_of = {}
    cdef list rows = p.rows
    cdef object other
    cdef PyObject *held
    cdef Py_hash_t hash
    try:
        for other in (iterable, kwargs):
            if other is None or other is kwargs and not kwargs:
                continue
            if isinstance(other, _Mapping):
                if not down and PyDict_Size(container) == 0:
                    store_all(container, t, p, other)
                    continue
                for element, count in other.items():
                    old = dict.get(container, element, 0)
                    rows = tally_one(container, t, p, element, -1, old - count if down else count + old, rows_of, rows)
            else:
                for element in other:
                    hash = PyObject_Hash(element)
                    held = pdt_dict_get_hashed(container, element, hash)
                    old = 0 if held == NULL else <object>held
                    rows = tally_one(container, t, p, element, hash, old - 1 if down else old + 1, rows_of, rows)
    finally:
        end_bulk(t, p)


cdef list tally_one(object self, Tracker t, Pending p, object key, Py_hash_t hash, object value, dict rows_of, list rows):
    """Store a count as a step of a bulk call, in the row that the key has; return the list of rows in use."""
    cdef PyObject *at
    cdef bint quiet = runs_no_code(key) and pdt_plain(value)
    # recorded meanwhile, or the key may be equal to one of them
    if p.rows is not rows or t.rare.pending is not p or not quiet:
        rows_of.clear()
    if t.epoch != epoch:
        refresh(t)
    if t.state & T_LOCKED:
        refuse(t)
    if quiet:
        at = PyDict_GetItemWithError(rows_of, key)
        if at != NULL:
            PyDict_SetItem(self, key, value)
            p.rows[<object>at] = value
            t.version += 1
            return p.rows
    store_row(self, t, p, key, hash, value)
    if quiet and p.rows and len(p.rows) >= 3:
        rows_of[key] = len(p.rows) - 1
    return p.rows


# ---- the types -----------------------------------------------------------------------------------

cdef PyMethodDef ordered_methods[8]
cdef PyMethodDef default_methods[8]
cdef PyType_Slot ordered_slots[9]
cdef PyType_Slot default_slots[9]


cdef void method(PyMethodDef *at, const char *name, void *function, int flags, const char *doc):
    at.ml_name = name
    at.ml_meth = function
    at.ml_flags = flags
    at.ml_doc = doc


cdef void slot(PyType_Slot *at, int number, void *function):
    at.slot = number
    at.pfunc = function


cdef void detach_twin(PyObject *tracker) noexcept:
    detach(<Tracker>tracker)


cdef int both_flags = METH_VARARGS | METH_KEYWORDS

method(&ordered_methods[0], "pop", <void *>ordered_pop, both_flags, "As OrderedDict.pop.")
method(&ordered_methods[1], "popitem", <void *>ordered_popitem, both_flags, "As OrderedDict.popitem.")
method(&ordered_methods[2], "setdefault", <void *>ordered_setdefault, both_flags, "As OrderedDict.setdefault; an ``add`` if the key was not there.")
method(&ordered_methods[3], "clear", <void *>ordered_clear, METH_NOARGS, "As OrderedDict.clear; one record, or none if it is empty.")
method(&ordered_methods[4], "update", <void *>ordered_update, both_flags, "As OrderedDict.update; one record with a row for each item.")
method(&ordered_methods[5], "move_to_end", <void *>ordered_move_to_end, both_flags, "As OrderedDict.move_to_end; O(items) with ``last=False``.")
method(&ordered_methods[6], NULL, NULL, 0, NULL)
slot(&ordered_slots[0], Py_tp_init, <void *>ordered_init)
slot(&ordered_slots[1], Py_tp_methods, <void *>ordered_methods)
slot(&ordered_slots[2], Py_tp_doc, <void *><char *>"An OrderedDict that records its mutations.")
slot(&ordered_slots[3], Py_mp_subscript, <void *>dict_item)
slot(&ordered_slots[4], Py_mp_ass_subscript, <void *>ordered_assign)
slot(&ordered_slots[5], Py_sq_contains, <void *>dict_contains)
slot(&ordered_slots[6], Py_nb_inplace_or, <void *>ordered_ior)
slot(&ordered_slots[7], 0, NULL)

method(&default_methods[0], "pop", <void *>default_pop, METH_VARARGS, "As dict.pop.")
method(&default_methods[1], "popitem", <void *>default_popitem, METH_NOARGS, "As dict.popitem.")
method(&default_methods[2], "setdefault", <void *>default_setdefault, METH_VARARGS, "As dict.setdefault; an ``add`` if the key was not there.")
method(&default_methods[3], "clear", <void *>default_clear, METH_NOARGS, "As dict.clear; one record, or none if it is empty.")
method(&default_methods[4], "update", <void *>default_update, both_flags, "As dict.update; one record with a row for each item.")
method(&default_methods[5], "__missing__", <void *>default_missing, METH_O, "As defaultdict.__missing__; what the factory made is an ``add``.")
method(&default_methods[6], NULL, NULL, 0, NULL)
slot(&default_slots[0], Py_tp_init, <void *>default_init)
slot(&default_slots[1], Py_tp_methods, <void *>default_methods)
slot(&default_slots[2], Py_tp_doc, <void *><char *>"A defaultdict that records its mutations.")
slot(&default_slots[3], Py_mp_subscript, <void *>dict_item)
slot(&default_slots[4], Py_mp_ass_subscript, <void *>default_assign)
slot(&default_slots[5], Py_sq_contains, <void *>dict_contains)
slot(&default_slots[6], Py_nb_inplace_or, <void *>default_ior)
slot(&default_slots[7], 0, NULL)

OrderedDictHook = pdt_make_twin(PDT_ORDERED, ordered_type, "pydatatracker._core.OrderedDictHook", ordered_slots, detach_twin)
DefaultDictHook = pdt_make_twin(PDT_DEFAULT, default_type, "pydatatracker._core.DefaultDictHook", default_slots, detach_twin)
