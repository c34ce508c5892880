# Owns: trackers

cdef class Rare:
    """What few trackers have."""


cdef class Tracker:
    """What one tracked container carries."""

    def __init__(self):
        raise TypeError("trackers are made by containers")

    @property
    def uuid(self):
        """Id of the container, 32 hex digits; made when asked. O(1)."""
        return uuid_text(self.number, True)

    @property
    def type_name(self):
        return class_name(self.cls)

    @property
    def kind(self):
        return KINDS[self.kind]

    @property
    def container(self):
        """The container, or None once it died."""
        if self.owner == NULL or Py_REFCNT(self.owner) == 0:
            return None
        return <object>self.owner

    @property
    def name(self):
        return None if self.rare is None else self.rare.name


cdef Rare rare_of(Tracker t):
    if t.rare is None:
        t.rare = Rare.__new__(Rare)
    return t.rare


cdef Tracker new_tracker(object owner, int kind):
    global last_number
    cdef Tracker t = Tracker.__new__(Tracker)
    t.owner = <PyObject *>owner
    t.cls = type(owner)
    t.kind = kind
    last_number += 1
    t.number = last_number
    if kind == K_ATTR:
        t.options = class_options(t.cls)
    return t


cdef inline bint alive(Tracker t):
    # a container that is being deallocated may not be touched any more
    return t.owner != NULL and Py_REFCNT(t.owner) > 0


cdef inline void bump():
    global epoch
    epoch += 1


cdef Tracker tracker_of(object c):
    """Tracker of a tracked container, made if need be; None for anything else."""
    if not pdt_heap_type(c):
        return None
    if PyDict_Check(c):
        if isinstance(c, DictHook):
            if (<DictHook>c).tracker is None:
                (<DictHook>c).tracker = new_tracker(c, K_DICT)
                born_dict(<DictHook>c)
            return (<DictHook>c).tracker
    elif PyList_Check(c):
        if isinstance(c, ListHook):
            if (<ListHook>c).tracker is None:
                (<ListHook>c).tracker = new_tracker(c, K_LIST)
                born_list(<ListHook>c)
            return (<ListHook>c).tracker
    elif isinstance(c, AttrHook):
        if (<AttrHook>c).tracker is None:
            (<AttrHook>c).tracker = new_tracker(c, K_ATTR)
            born_attr(<AttrHook>c)
        return (<AttrHook>c).tracker
    elif isinstance(c, SetHook):
        if (<SetHook>c).tracker is None:
            (<SetHook>c).tracker = new_tracker(c, K_SET)
            born_set(<SetHook>c)
        return (<SetHook>c).tracker
    return None


cdef void let_go(Tracker t):
    """The container dies: cut what its tracker holds, so that no cycle is left."""
    t.owner = NULL
    t.place = None
    t.active = NULL
    t.log = None
    t.epoch = 0
    if t.rare is not None:
        t.rare.targets = None
        t.rare.observers = None     # what they collected refers to this tracker
    if t.children:
        bump()                      # its children notice that they have been let go
