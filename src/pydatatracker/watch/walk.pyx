# Owns: which objects a watch follows, and following what is below an object.
# May touch: the trackers of watched objects; classes, to read. It runs no code of what it looks at.
# Invariants:
#  - an object is followed once, however many paths lead to it;
#  - a class is judged once for each watch, by its own dict and those of its bases;
#  - what is not followed and may change is found again by `untracked_rows`, with the reason.

import enum as _enum

cdef object enum_type = type(_enum.Enum)
cdef object module_type = type(_enum)


cdef frozenset value_modules = frozenset((
    "datetime", "_datetime", "decimal", "_decimal", "_pydecimal", "fractions", "uuid", "pathlib", "pathlib._local", "re", "_sre", "zoneinfo",
    "_zoneinfo", "pydatatracker.values.standins", "ipaddress", "string", "string.templatelib", "typing",
))
cdef tuple value_types = (
    type(lambda: 0), type(len), type((lambda: 0).__get__(0)), type(str.join), type("".__add__), type(dict.__dict__["fromkeys"]),
    type, module_type, range, slice, type(Ellipsis), type(NotImplemented), complex, bool, property, staticmethod,
    classmethod, type(int.__add__), _weakref.ref, type((lambda: 0).__code__), type(list[int]), type(int | str),
)


cdef object class_dict(object cls):
    """Return the dict of a class, without asking its metaclass."""
    return type.__dict__["__dict__"].__get__(cls)


cdef object of_class(object cls, str name):
    """Return what a class or one of its bases defines under a name, or missing. No code of the class runs."""
    cdef PyObject *found = pdt_type_lookup(<PyTypeObject *>cls, name)
    return missing if found == NULL else <object>found


cdef inline bint is_a(object cls, object base):
    # isinstance() would ask an object for its __class__, which can wake a lazy proxy
    return PyType_IsSubtype(<PyTypeObject *>cls, <PyTypeObject *>base)


cdef bint is_one_of(object cls, tuple bases):
    for base in bases:
        if is_a(cls, base):
            return True
    return False


cdef str module_of(object cls):
    found = class_dict(cls).get("__module__") if pdt_heap_type_of(<PyTypeObject *>cls) else None
    if type(found) is str:
        return found
    name = (<PyTypeObject *>cls).tp_name.decode("utf-8", "replace")
    return name.rpartition(".")[0] or "builtins"


cdef bint takes(Watching home, object cls):
    """True if instances of a class are entered: by `into`, by its kind, or by the package that defines it."""
    cdef str module
    if home.nodes is not None and is_of_program(cls):
        return True
    for each in home.into:
        if isinstance(each, type):
            for base in (<type>cls).__mro__:
                if base is each:
                    return True
        elif is_in_module(module_of(cls), <str>each):
            return True
    for name in ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_core_schema__", "__pydantic_fields__"):
        if of_class(cls, name) is not missing:
            return True
    module = module_of(cls)
    if module == "__main__" or cls is simple_namespace or (home.package and is_in_module(module, home.package)):
        return True
    return False


cdef bint is_in_module(str module, str package):
    return module == package or module.startswith(package + ".")


cdef object simple_namespace = type(_sys.implementation)


cdef int judge(Watching home, object cls, object value) except -1:
    """Return Y_VALUE, Y_OPAQUE, Y_ATTR or Y_SLOTS for the instances of a class. O(bases) once."""
    cdef int way
    entry = home.verdicts.get(<size_t><PyObject *>cls)
    if entry is not None and entry[0]() is cls:
        return entry[1]
    if is_a(<object>Py_TYPE(cls), enum_type) or module_of(cls) in value_modules:
        way = Y_VALUE
    elif is_one_of(cls, value_types):
        way = Y_VALUE
    elif not takes(home, cls):
        way = Y_OPAQUE
    elif pdt_has_dict(value):
        way = Y_ATTR
    elif slots_of(cls):
        way = Y_SLOTS
    else:
        way = Y_VALUE if (<PyTypeObject *>cls).tp_basicsize <= OBJECT_SIZE else Y_OPAQUE
    home.verdicts[<size_t><PyObject *>cls] = (_weakref.ref(cls), way)
    return way


cdef Py_ssize_t OBJECT_SIZE = (<PyTypeObject *>object).tp_basicsize


cdef int way_of(Watching home, object value) except -1:
    """Return how a value is followed, or why not. Runs none of its code. O(items) for a tuple."""
    if pdt_plain(value):
        return Y_VALUE
    if PyDict_Check(value):
        return Y_TRACKED if is_dict_hook(value) else Y_DICT
    if PyList_Check(value):
        return Y_TRACKED if isinstance(value, ListHook) else Y_LIST
    if PyTuple_CheckExact(value) or isinstance(value, tuple):
        return Y_TUPLE if holds_parts(home, value, 0) or has_filled_dict(value) else Y_VALUE
    if isinstance(value, frozenset):
        return Y_VALUE
    if PySet_Check(value):
        return Y_TRACKED if isinstance(value, SetHook) else Y_SET
    if is_a(<object>Py_TYPE(value), deque_type):
        return Y_TRACKED if pdt_is_deque(value) else Y_DEQUE
    if isinstance(value, AttrHook):
        return Y_TRACKED
    if isinstance(value, (bytearray, memoryview)):
        return Y_OPAQUE
    if isinstance(value, Watching) or value is missing:
        return Y_VALUE
    return judge(home, type(value), value)


cdef bint has_filled_dict(object value):
    cdef PyObject *held = pdt_dict_of(value) if pdt_has_dict(value) else NULL
    return held != NULL and PyDict_Size(<object>held) > 0


cdef bint holds_parts(Watching home, object items, int depth) except -1:
    cdef Py_ssize_t i
    cdef object item
    if depth > 8:
        return True
    for i in range(PyTuple_GET_SIZE(items)):
        item = <object>PyTuple_GET_ITEM(items, i)
        if pdt_plain(item):
            continue
        if isinstance(item, tuple):
            if holds_parts(home, item, depth + 1):
                return True
        elif way_of(home, item) != Y_VALUE:
            return True
    return False


cdef dict slots_by_class = {}       # address of a class -> (weak reference, names, member descriptors)


cdef tuple slots_of(object cls):
    """Return the entries of __slots__ of a class and its bases as ((name, member), ...). O(bases) once."""
    entry = slots_by_class.get(<size_t><PyObject *>cls)
    if entry is not None and entry[0]() is cls:
        return entry[1]
    found = {}
    for base in reversed((<type>cls).__mro__):
        if not pdt_heap_type_of(<PyTypeObject *>base):
            continue
        for name, held in list(class_dict(base).items()):
            if type(held) is member_type and type(name) is str:
                found[name] = held
    rows = tuple(found.items())
    slots_by_class[<size_t><PyObject *>cls] = (_weakref.ref(cls), rows)
    return rows


cdef int follow(WatchedTracker p, object value, object key, Py_ssize_t hint) except -1:
    """Follow a value that p holds, or is about to hold, and all that is below it. O(objects that are new).

    Without memory for all of it nothing of it is followed, and it is untracked.
    """
    cdef list todo = []
    try:
        meet(p, value, key, hint, todo)
        return open_all(todo)
    except BaseException:
        for t in todo:
            if t is not None:               # its tracker could not be made
                let_go(<WatchedTracker>t, False)
        raise


cdef int open_all(list todo) except -1:
    """Follow what new nodes hold, and what is new below that. O(objects)."""
    cdef Py_ssize_t n = 0
    while n < PyList_GET_SIZE(todo):
        open_node(<WatchedTracker>todo[n], todo)
        n += 1
        if n == 4096:
            del todo[:n]
            n = 0
    return 0


cdef int meet(WatchedTracker p, object value, object key, Py_ssize_t hint, list todo) except -1:
    """Link a value that p holds; if it is new, make its tracker and append it to todo."""
    cdef int way
    if pdt_plain(value):
        return 0
    if is_a(<object>Py_TYPE(value), module_type):
        return 0                        # a value wherever it is held, also if it is watched itself
    if tracker_of(value) is None:
        way = way_of(p.home, value)
        if way < Y_DICT or is_full(p.home) or (0 <= p.home.depth <= p.depth):
            if way != Y_VALUE and reports_added(p.home):
                if (<adder>note_added)(p, key if key is not None else hint, value,
                                       why_opaque(value) if way == Y_OPAQUE else why_left_out(p)) < 0:
                    PyErr_Clear()           # no memory: `untracked_rows` lists it all the same
            return 0
        todo.append(None)
        todo[len(todo) - 1] = new_node(p.home, value, way, p.depth + 1)
    return tie(p, value, key, hint)


cdef int open_node(WatchedTracker t, list todo) except -1:
    """Follow what a new node holds. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t i
    cdef Py_ssize_t position = 0
    cdef list items
    if t.way == Y_DICT or t.way == Y_ATTR:
        while PyDict_Next(<object>t.owner, &position, &key, &value):
            if not pdt_plain(<object>value) and not is_hidden(t, <object>key):
                k = <object>key
                v = <object>value
                meet(t, v, k, 0, todo)
        if t.way == Y_DICT and pdt_has_dict(<object>t.owner):
            open_attributes(t, todo)
        return 0
    items = items_now(t)
    for i in range(PyList_GET_SIZE(items)):
        v = <object>PyList_GET_ITEM(<PyObject *>items, i)
        if not pdt_plain(v) and v is not missing:
            meet(t, v, key_at(t, i), i, todo)
    remember_items(t, items)
    return 0


cdef int open_attributes(WatchedTracker t, list todo) except -1:
    """Follow the attributes of a dict of a class that has some, such as the documents of tomlkit."""
    cdef PyObject *held = pdt_dict_of(<object>t.owner)
    if held == NULL or PyDict_Size(<object>held) == 0:
        return 0
    attributes = pdt_own_dict(<object>t.owner)
    if tracker_of(attributes) is not None or is_full(t.home):
        return 0
    todo.append(new_node(t.home, attributes, Y_DICT, t.depth))
    tie(t, attributes, ATTRIBUTES, 0)
    t.has_attributes = True
    t.birth.size += 1
    return 0


cdef object attributes_below(WatchedTracker t):
    """Return the attributes of a dict that are followed below ATTRIBUTES, as the dict that they are in, or None. O(1)."""
    cdef PyObject *held = pdt_dict_of(<object>t.owner) if t.has_attributes and t.owner != NULL else NULL
    return None if held == NULL else <object>held


def followed_attributes(container):
    """Return the attributes that a followed dict of a class has below the step ``__dict__``, or None. O(1)."""
    cdef Tracker t = tracker_of(container)
    return attributes_below(<WatchedTracker>t) if t is not None and t.marks & X_WATCHED else None


cdef object key_at(WatchedTracker t, Py_ssize_t i):
    return slots_of(t.cls)[i][0] if t.way == Y_SLOTS else None


cdef inline bint is_hidden(WatchedTracker t, object key):
    """True for what a module has of the interpreter's: names like __name__."""
    return t.is_module and isinstance(key, str) and (<str>key).startswith("__") and (<str>key).endswith("__")


cdef list items_surely(WatchedTracker t):
    """As `items_now`, of an object that may be gone: what was kept of its items then. O(items)."""
    if is_sure(t, 0):
        return items_now(t)
    return [] if t.kept is None else [read_value(each) for each in t.kept]


cdef list items_now(WatchedTracker t):
    """Return the items of a compared object, in its order; of __slots__ missing where there is none. O(items)."""
    cdef object owner = <object>t.owner
    cdef list found
    cdef PyObject *value
    if t.way == Y_LIST:
        return PyList_GetSlice(owner, 0, PyList_GET_SIZE(owner))
    if t.way == Y_SET:
        return list(pdt_set_as_tuple(owner))
    if t.way == Y_TUPLE:
        return [<object>PyTuple_GET_ITEM(owner, i) for i in range(PyTuple_GET_SIZE(owner))]
    if t.way == Y_DEQUE:
        return list(deque_type.__iter__(owner))
    found = []
    for _, member in slots_of(t.cls):
        value = pdt_slot(owner, member)
        found.append(missing if value == NULL else <object>value)
    return found


def untracked_rows(Watching home):
    """Return (path, class, reason) of what a watch does not follow and may change. O(items)."""
    cdef list rows = []
    cdef list todo
    cdef set seen = set()
    cdef WatchedTracker t
    cdef Tracker ct
    if home.node is None or home.node.owner == NULL:
        return rows
    look(home)
    todo = [((), home.node)]
    for path, each in todo:
        t = <WatchedTracker>each
        if t.number in seen or t.owner == NULL:
            continue
        seen.add(t.number)
        todo.extend([(below, ct) for below, ct in rows_below(t, path, rows) if (<Tracker>ct).marks & X_WATCHED])
    return shown_rows(rows)


cdef list rows_below(WatchedTracker t, tuple path, list rows):
    """Append the rows of what a watched object holds and does not follow; return [(path, tracker)] of the rest. O(items)."""
    cdef list below = []
    cdef Tracker ct
    if t.owner == NULL:
        return below
    for key, value in pairs_of(t):
        way = way_of(t.home, value)
        ct = tracker_of(value)
        if ct is not None:
            below.append(((*path, key), ct))
        elif way == Y_OPAQUE:
            rows.append(((*path, key), type(value), why_opaque(value)))
        elif way >= Y_DICT:
            rows.append(((*path, key), type(value), why_left_out(t)))
        elif way == Y_VALUE and isinstance(value, frozenset):
            for each in (<frozenset>value):
                if way_of(t.home, each) != Y_VALUE:
                    rows.append(((*path, key), type(each), "an element of a frozenset"))
        if t.way == Y_DICT and way_of(t.home, key) != Y_VALUE:
            rows.append(((*path, key), type(key), "used as a key"))
    why = why_not_in_order(t)
    if why is not None:
        rows.append((path, <object>t.cls, why))
    rows.extend(attribute_rows(t, path))
    return below


cdef str why_not_in_order(WatchedTracker t):
    """Return why the log has another order than an OrderedDict, or None. O(items).

    Only move_to_end makes its order differ from that of the table, which is what is recorded. Its iterator hashes
    each key.
    """
    cdef object owner
    cdef list recorded
    cdef Py_ssize_t i
    if t.way != Y_DICT or t.owner == NULL or not is_a(<object>t.cls, ordered_dict):
        return None
    owner = <object>t.owner
    recorded = list((<dict>owner).keys())
    for key in recorded:
        if not pdt_quiet_key(key):
            return "its order is not compared: the __hash__ of a key is not a builtin one"
    i = 0
    for key in ordered_dict.__iter__(owner):
        if i >= PyList_GET_SIZE(recorded) or key is not recorded[i]:
            return "its order was changed by move_to_end, which is not seen"
        i += 1
    return None


cdef list shown_rows(list rows):
    """Return rows with keys as they are, or as their class where their own text would run code."""
    return [(tuple([key if pdt_quiet_key(key) else summary_of(key) for key in path]), cls, why)
            for path, cls, why in rows]


cdef list attribute_rows(WatchedTracker t, tuple path):
    """Return the rows of attributes that are not followed: of lists and the like, and slots beside a __dict__."""
    cdef PyObject *held
    cdef list rows = []
    if t.way == Y_ATTR:
        if slots_of(t.cls):
            rows = [((*path, name), object, "in __slots__ of an object that has a __dict__ as well")
                    for name, _ in slots_of(t.cls)]
        return rows
    if t.way == Y_SLOTS or t.way == Y_CLASS or t.has_attributes or not is_sure(t, 0) or not pdt_has_dict(<object>t.owner):
        return rows
    held = pdt_dict_of(<object>t.owner)
    if held == NULL:
        return rows
    for name, value in list((<dict>held).items()):
        rows.append(((*path, name), type(value), f"an attribute of a {WAYS[t.way]}, whose items are followed"))
    return rows


cdef str why_opaque(object value):
    if isinstance(value, bytearray):
        return "changes inside a bytearray are not seen"
    if isinstance(value, memoryview):
        return "changes through a memoryview are not seen"
    return f"class of another package ({module_of(type(value))}); into= follows it"


cdef str why_left_out(WatchedTracker p):
    if 0 <= p.home.depth <= p.depth:
        return f"deeper than depth={p.home.depth}"
    if is_full(p.home):
        return f"max_objects={p.home.max_objects} are followed already"
    return "not followed for want of memory, or not found by comparing yet"


cdef list pairs_of(WatchedTracker t):
    """Return [(key, value)] of a node, as paths name them. O(items)."""
    if t.way == Y_CLASS:
        return [(name, <object>(<WatchedTracker>each).instance) for name, each in list(t.home.roots.items())]
    if t.way == Y_DICT or t.way == Y_ATTR:
        pairs = [(k, v) for k, v in (<dict>t.owner).items() if not is_hidden(t, k)]
        attributes = attributes_below(t)
        if attributes is not None:
            pairs.append((ATTRIBUTES, attributes))
        return pairs
    items = items_surely(t)
    if t.way == Y_SLOTS:
        return [(row[0], v) for row, v in zip(slots_of(t.cls), items) if v is not missing]
    return list(enumerate(items))
