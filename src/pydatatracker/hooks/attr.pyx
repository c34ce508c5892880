# Owns: the hook of TrackedAttr: setting and deleting attributes, and which attributes are tracked.
# May touch: the instance and its class, links, `commit`, native/attribute_cache.h.
# Invariants:
#  - where an attribute lives decides how its old value is found: in the instance (the class has no attribute of that
#    name), in a slot, behind a property (through its getter), or in the instance above a class default;
#  - names that begin with "_" are not tracked, unless the class or the object lists them;
#  - a class is examined once, at its first instance.

cdef dict class_names = {}      # address of a class -> (weak reference, frozenset of listed names or None, blind)


cdef PyObject *newest_class = NULL      # the class that was looked up last; borrowed: `forget_class` clears it
cdef tuple newest_entry = None          # and its entry


cdef tuple class_entry(object cls):
    global newest_class, newest_entry
    if <PyObject *>cls == newest_class:
        return newest_entry
    entry = class_names.get(<size_t><PyObject *>cls)
    if entry is None:
        return None
    newest_class = <PyObject *>cls
    newest_entry = <tuple>entry
    return newest_entry


cdef int forget_class(size_t address) except -1:
    """Forget a class that is gone, before another one has its address."""
    global newest_class, newest_entry
    cdef int offers = pdt_enter()
    newest_class = NULL
    newest_entry = None
    class_names.pop(address, None)
    pdt_leave(offers)
    return 0


cdef object names_of_class(object cls):
    """Return the names that the class lists as tracked, or None if it has no list; examine a new class."""
    global newest_class
    entry = class_entry(cls)
    if entry is not None:
        return entry[1]
    names = getattr(cls, "tracking_attributes_to_monitor", None)
    if names is not None:
        if isinstance(names, str):
            raise TypeError(f"{cls.__name__}.tracking_attributes_to_monitor is a list of names, not one str")
        names = frozenset(names)
    address = <size_t><PyObject *>cls
    # a class that stores with object.__setattr__ (frozen dataclasses, attrs) sets attributes that bypass the hook
    blind = getattr(cls, "__setattr__", None) is not AttrFast.__setattr__
    class_names[address] = (_weakref.ref(cls, lambda ref: forget_class(address)), names, blind)
    newest_class = NULL
    return names


cdef int watch_class(AttrHook self, Tracker t) except -1:
    """Set up a new tracker for the class of its object. O(attributes) for a class that bypasses the hook."""
    if names_of_class(type(self)) is not None:
        t.state |= T_NAMES
    if class_entry(type(self))[2]:
        link_attributes(self)
    return 0


cdef bint is_monitored(Tracker t, str name):
    if t.marks & X_WATCHED:
        return True
    if t.state & T_NAMES:
        if t.rare is not None and t.rare.monitored is not None and name in t.rare.monitored:
            return True
        names = names_of_class(t.cls)
        if names is not None:
            return name in names
    return PyUnicode_GET_LENGTH(name) > 0 and PyUnicode_READ_CHAR(name, 0) != c'_'


def monitor(container, str name):
    """Track the attribute ``name`` of this object, even if it begins with "_". O(attributes)."""
    cdef Tracker t = tracker_of(container)
    cdef Rare rare = rare_of(t)
    if is_monitored(t, name):
        return
    if rare.monitored is None:
        rare.monitored = set()
    rare.monitored.add(name)
    t.state |= T_NAMES
    for held, value in attributes_of(container):
        if held == name and pdt_heap_type(value):
            link_child(t, value, name, 0)


cdef list attributes_of(object container):
    """Return [(name, value)] of everything that the instance holds, slots first. O(attributes)."""
    cdef list found = []
    for cls in reversed(type(container).__mro__):
        slots = cls.__dict__.get("__slots__", ())
        for name in ((slots,) if isinstance(slots, str) else slots):
            if name in ("__dict__", "__weakref__"):
                continue
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{cls.__name__.lstrip('_')}{name}"
            try:
                found.append((name, object.__getattribute__(container, name)))
            except AttributeError:
                pass
    try:
        attributes = object.__getattribute__(container, "__dict__")
    except AttributeError:
        return found
    found.extend(attributes.items())
    return found


def attributes(container):
    """Return {name: value} of the tracked attributes that an object holds. O(attributes)."""
    cdef Tracker t = tracker_of(container)
    return {name: value for name, value in attributes_of(container) if is_monitored(t, name)}


def link_attributes(container):
    """Link what the attributes hold already, for instance after unpickling. O(attributes)."""
    cdef Tracker t = tracker_of(container)
    for name, value in attributes_of(container):
        if pdt_heap_type(value) and is_monitored(t, name):
            link_child(t, value, name, 0)


cdef object read_property(object self, object name):
    # the getter is user code; if it raises, there is no value
    try:
        return getattr(self, name)
    except Exception:
        return missing


cdef object in_instance(object self, object name):
    # the value in the instance, where the class has an attribute of that name, too
    try:
        attributes = object.__getattribute__(self, "__dict__")
    except AttributeError:
        return missing
    return (<dict>attributes).get(name, missing)


cdef dict instance_dict(object self):
    cdef object found = None
    try:
        found = object.__getattribute__(self, "__dict__")
    except AttributeError:
        return None
    if PyDict_Check(found):
        return <dict>found              # unchecked: its class may be one derived from dict
    return None


cdef tuple attribute_spot(object self, Tracker t, str name):
    """Return (I_..., neighbour) of an attribute among the tracked ones in the instance. O(attributes)."""
    cdef dict attributes = instance_dict(self)
    cdef object before = missing
    cdef bint found = False
    if attributes is None:
        return I_LAST, None
    for each in list(attributes):
        if each is name or each == name:
            found = True
        elif type(each) is str and is_monitored(t, each):
            if found:
                return (I_FIRST, None) if before is missing else (I_AFTER, before)
            before = each
    return I_LAST, None


cdef Py_ssize_t put_attribute_at(object self, Tracker t, str name, object beside) except -2:
    """Move the last attribute to where it belongs; return its position among the tracked ones, -1 for the last."""
    cdef dict attributes = instance_dict(self)
    cdef Py_ssize_t at = 0
    if attributes is None or name not in attributes or put_at(attributes, t, beside) < 0:
        return -1
    for each, _ in attributes_of(self):
        if each == name:
            return at
        at += is_monitored(t, each)
    return -1


cdef inline object held_attribute(object self, object name, bint below_class):
    """Return what the instance holds, or missing; below_class: the class has an attribute of that name, too.

    Between this and the store nothing may run other code: another thread's store would be recorded with this `before`.
    """
    cdef PyObject *held
    if below_class:
        return in_instance(self, name)
    held = pdt_generic_get(self, name)
    if held == NULL:
        return missing
    old = <object>held
    Py_DECREF(old)
    return old


cdef int change_computed(AttrHook self, Tracker t, object name, object descriptor, PyObject *value,
                         int method) except -1:
    """Set or delete what a property or another descriptor computes: its values are what its getter returns."""
    if isinstance(descriptor, property) and (descriptor.fset if value != NULL else descriptor.fdel) is None:
        return PyObject_GenericSetAttr(self, name, value)       # raises
    old = read_property(self, name)
    PyObject_GenericSetAttr(self, name, value)
    if value == NULL:
        if t.children:
            unlink_child(t, old, name)
        return commit(t, A_REMOVE, method, S_SLOT, -1, name, old, missing, 0)
    new = read_property(self, name)
    if new is missing:
        new = <object>value
    return commit(t, A_ADD if old is missing else A_UPDATE, method, S_SLOT, -1, name, old, new, 0)


cdef int delete_attribute(object self, Tracker t, str name, bint below_class, int method) except -1:
    cdef int gc = pdt_pause_gc()        # a collection could let other threads run
    try:
        where, beside = attribute_spot(self, t, name)
        old = held_attribute(self, name, below_class)
        PyObject_GenericSetAttr(self, name, NULL)
        if t.children:
            unlink_child(t, old, name)
    finally:
        pdt_resume_gc(gc)
    return commit_beside(t, A_REMOVE, method, S_SLOT, where, name, old, missing, 0, beside)


cdef int change_attribute(AttrHook self, object name, PyObject *value, int method) except -1:
    cdef Tracker t
    cdef PyObject *class_value
    cdef PyObject *found
    cdef PyObject *held
    cdef Py_hash_t hash
    cdef object attributes
    cdef object old
    cdef object new
    cdef bint below_class = False
    cdef bint plain = False
    if not PyUnicode_CheckExact(name):
        if not isinstance(name, str):
            return PyObject_GenericSetAttr(self, name, value)      # raises
        name = str.__str__(name)
    t = current(self, <PyObject *>self.tracker)
    if t.state & (T_NAMES | T_LOCKED | T_LOCKED_NAMES):
        if not is_monitored(t, name):
            return PyObject_GenericSetAttr(self, name, value)
        if t.state & T_LOCKED:
            refuse(t)
        if t.state & T_LOCKED_NAMES and name in t.rare.locked_names:
            raise TrackingLockedError(
                f"attribute {name!r} of {class_name(t.cls)} is locked; call unlock({name!r}) first")
    elif pdt_known_plain(self, name):
        plain = True
    elif PyUnicode_GET_LENGTH(name) == 0 or PyUnicode_READ_CHAR(name, 0) == c'_':
        return PyObject_GenericSetAttr(self, name, value)
    class_value = NULL if plain else pdt_type_lookup(Py_TYPE(self), name)
    if class_value != NULL:
        below_class = not pdt_data_descriptor(<object>class_value)
        if not below_class and type(<object>class_value) is not member_type:
            return change_computed(self, t, name, <object>class_value, value, method)
    if value == NULL:
        return delete_attribute(self, t, name, below_class, method)
    new = convert_for(t, <object>value)
    found = pdt_dict_of(self) if plain else NULL
    if found != NULL and type(<object>found) is dict:
        # as the generic functions, which look for the name in the class first, twice
        attributes = <object>found
        hash = PyObject_Hash(name)
        held = pdt_attribute_in(found, name)
        if held == NULL:
            held = pdt_dict_get_hashed(attributes, name, hash)
        old = missing if held == NULL else <object>held
        pdt_dict_set_hashed(attributes, name, new, hash)
    else:
        old = held_attribute(self, name, below_class)
        if class_value == NULL and not plain and not t.state & T_NAMES:
            pdt_remember_plain(self, name)
        PyObject_GenericSetAttr(self, name, <PyObject *>new)
    if not (pdt_plain(new) and (old is missing or pdt_plain(old))):
        if t.children and old is not missing:
            unlink_child(t, old, name)
        if pdt_heap_type(new):
            link_child(t, new, name, 0)
    return commit(t, A_ADD if old is missing else A_UPDATE, method, S_SLOT, -1, name, old, new, 0)


@cython.no_gc_clear
cdef class AttrHook:
    """An object that records changes of its attributes."""

    def __cinit__(self):                # whatever the arguments are
        begin_life(self, K_ATTR, &self.birth)
        if prepare_class is not None and class_entry(type(self)) is None:
            prepare_class(type(self))
            names_of_class(type(self))

    def __dealloc__(self):
        if self.tracker is not None:
            detach(self.tracker)

    def _tracking_setattr(self, name, value, /):
        """``__setattr__`` of TrackedAttr, by look-up; see AttrFast."""
        change_attribute(self, name, <PyObject *>value, M_SETATTR)

    def _tracking_delattr(self, name, /):
        """``__delattr__`` of TrackedAttr, by look-up."""
        change_attribute(self, name, NULL, M_DELATTR)


cdef class AttrFast:
    """``__setattr__`` as a slot, which is 20 ns faster than by look-up.

    CPython refuses ``object.__setattr__(x, ...)``, which attrs and frozen dataclasses call, for classes that
    inherit such a slot. So TrackedAttr itself has none. A class gets it at its first instance if no class
    below TrackedAttr has a ``__setattr__`` of its own.
    """

    def __setattr__(self, name, value):
        change_attribute(<AttrHook>self, name, <PyObject *>value, M_SETATTR)

    def __delattr__(self, name):
        change_attribute(<AttrHook>self, name, NULL, M_DELATTR)
