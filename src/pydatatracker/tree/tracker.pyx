# Trackers, options and the links between containers.
#
# Invariants (checked by check_tracker):
#  - a link's count is the number of the parent's slots that hold the child;
#  - links that are not `back` make a directed acyclic graph, so that every walk upwards ends;
#  - a dict's or attribute's link knows its key while count is 1; with more, or after one of several
#    went, the key is `missing` and found by identity. A list's link has a hint and looks around it.

cdef class Options:
    """Tracking options of containers; -1 where not said."""

    def __init__(self, auto_convert=UNSAID, snapshots=UNSAID, stack=UNSAID, max_changes=UNSAID, keep_values=UNSAID,
                 raise_errors=UNSAID, remember_last=UNSAID, redact=None):
        self.auto_convert = auto_convert
        self.snapshots = snapshots
        self.stack = stack
        self.max_changes = NO_LIMIT if max_changes is None else max_changes
        self.keep_values = keep_values
        self.raise_errors = raise_errors
        self.remember_last = remember_last
        self.redact = redact

    def __reduce__(self):
        return Options, (self.auto_convert, self.snapshots, self.stack,
                         None if self.max_changes == NO_LIMIT else self.max_changes, self.keep_values,
                         self.raise_errors, self.remember_last, self.redact)

    def __eq__(self, other):
        return isinstance(other, Options) and self.__reduce__() == other.__reduce__()

    def __hash__(self):
        return hash(self.__reduce__()[1])


cdef Options UNSAID_OPTIONS = Options()
cdef Options DEFAULT_OPTIONS = Options(0, 0, 0, DEFAULT_MAX_CHANGES, 1, 0, 0)
cdef Options ATTR_OPTIONS = Options(1)


cdef Options merged(Options own, Options above):
    # what own does not say is taken from above
    cdef Options both
    if own is None:
        return above
    both = Options.__new__(Options)
    both.auto_convert = above.auto_convert if own.auto_convert == UNSAID else own.auto_convert
    both.snapshots = above.snapshots if own.snapshots == UNSAID else own.snapshots
    both.stack = above.stack if own.stack == UNSAID else own.stack
    both.max_changes = above.max_changes if own.max_changes == UNSAID else own.max_changes
    both.keep_values = above.keep_values if own.keep_values == UNSAID else own.keep_values
    both.raise_errors = above.raise_errors if own.raise_errors == UNSAID else own.raise_errors
    both.remember_last = above.remember_last if own.remember_last == UNSAID else own.remember_last
    both.redact = own.redact
    return both


cdef class Link:
    """One parent of a container."""


cdef class Place:
    """Where a container sits: immutable."""

    def __repr__(self):
        return f"Place({path_of(self, None)!r})"


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


cdef bint is_above(Tracker top, Tracker t):
    """True if top is t or an ancestor of t. O(ancestors)."""
    cdef set seen = None
    cdef list todo = None
    cdef Link link
    while True:
        if t is top:
            return True
        link = t.link
        if link is None:
            if not todo:
                return False
            t = todo.pop()
            continue
        if link.next is None and todo is None:
            if link.back:
                return False
            t = link.parent
            continue
        if seen is None:
            seen = set()
            todo = []
        while link is not None:
            if not link.back and link.parent.number not in seen:
                seen.add(link.parent.number)
                todo.append(link.parent)
            link = link.next
        if not todo:
            return False
        t = todo.pop()


cdef int link_child(Tracker parent, object child, object key, Py_ssize_t hint) except -1:
    """Note that a slot of parent holds child, if child is tracked. O(parents of child)."""
    cdef int gc = pdt_pause_gc()        # the change is done and not recorded yet: nobody comes in between
    try:
        return make_link(parent, child, key, hint)
    finally:
        pdt_resume_gc(gc)


cdef int make_link(Tracker parent, object child, object key, Py_ssize_t hint) except -1:
    global back_links
    cdef Tracker ct = tracker_of(child)
    cdef Link link
    if ct is None or parent.state & T_SORTING:
        return 0
    link = ct.link
    while link is not None and link.parent is not parent:
        link = link.next
    if link is not None:
        link.count += 1
        if parent.kind == K_ATTR:
            if isinstance(link.key, list):
                (<list>link.key).append(key)
            else:
                link.key = [link.key, key]
        else:
            link.key = missing
    else:
        link = Link.__new__(Link)
        link.parent = parent
        link.key = key
        link.hint = hint
        link.count = 1
        if is_above(ct, parent):
            link.back = True
            back_links += 1
        link.next = ct.link
        ct.link = link
    parent.children += 1
    ct.epoch = 0
    if ct.children:
        bump()
    return 1


cdef int unlink_child(Tracker parent, object child, object key) except -1:
    """Note that one slot of parent no longer holds child."""
    cdef int gc
    if not parent.children or parent.state & T_SORTING:
        return 0
    gc = pdt_pause_gc()
    try:
        return cut_link(parent, child, key)
    finally:
        pdt_resume_gc(gc)


cdef int cut_link(Tracker parent, object child, object key) except -1:
    cdef Tracker ct
    cdef Link link
    ct = tracker_of(child)
    if ct is None:
        return 0
    link = ct.link
    while link is not None and link.parent is not parent:
        link = link.next
    if link is None:
        return 0
    link.count -= 1
    if parent.children > 0:
        parent.children -= 1
    if link.count <= 0:
        drop_link(ct, link)
    elif parent.kind == K_ATTR:
        if isinstance(link.key, list):
            names = [name for name in <list>link.key if name != key]
            link.key = names[0] if len(names) == 1 else names
    else:
        link.key = missing
    ct.epoch = 0
    if ct.children or back_links:
        bump()
    return 1


cdef void drop_link(Tracker ct, Link gone):
    global back_links
    cdef Link link = ct.link
    if gone.back:
        back_links -= 1
        gone.back = False
    if link is gone:
        ct.link = gone.next
        return
    while link is not None:
        if link.next is gone:
            link.next = gone.next
            return
        link = link.next


cdef int link_all(Tracker t) except -1:
    """Link what the container holds already (after init, copy, a set operation). O(items)."""
    cdef PyObject *owner = t.owner
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t i
    cdef Py_ssize_t position = 0
    if t.kind == K_DICT:
        while PyDict_Next(<object>owner, &position, &key, &value):
            if pdt_heap_type(<object>value):
                k = <object>key
                link_child(t, <object>value, k, 0)
    elif t.kind == K_LIST:
        for i in range(PyList_GET_SIZE(<object>owner)):
            if i < PyList_GET_SIZE(<object>owner) and pdt_heap_type(<object>PyList_GET_ITEM(owner, i)):
                link_child(t, <object>PyList_GET_ITEM(owner, i), None, i)
    elif t.kind == K_SET:
        for item in list(set.__iter__(<object>owner)):
            if pdt_heap_type(item):
                link_child(t, item, missing, 0)
    return 0


def check_tracker(container):
    """Raise AssertionError if the links, places and log of a tracked container are not right. O(items)."""
    cdef Tracker t = tracker_of(container)
    cdef Tracker ct
    cdef Link link
    cdef Py_ssize_t links = 0
    assert t is not None, container
    assert t.owner == <PyObject *>container
    counts = {}
    for child in contents_of(container):
        ct = tracker_of(child)
        if ct is not None:
            counts[ct.number] = counts.get(ct.number, 0) + 1
            link = ct.link
            while link is not None and link.parent is not t:
                link = link.next
            assert link is not None, f"{child!r} sits in {container!r} and is not linked"
    for child in contents_of(container):
        ct = tracker_of(child)
        if ct is not None:
            link = ct.link
            while link.parent is not t:
                link = link.next
            assert link.count == counts[ct.number], (link.count, counts[ct.number])
    for n in counts.values():
        links += n
    assert t.children == links, (t.children, links)
    refresh(t)
    assert t.epoch == epoch
    for place in places_of(t):
        assert (<Place>place).tracker is t
        step = <Place>place
        while (<Place>step).parent is not None:
            above = (<Place>step).parent
            assert holds((<Place>above).tracker, (<Place>step).key, (<Place>step).tracker), place
            step = above
    if t.log is not None:
        t.log._check()


cdef bint holds(Tracker parent, object key, Tracker child):
    container = <object>parent.owner
    if parent.kind == K_LIST:
        return list.__getitem__(container, key) is <object>child.owner
    if parent.kind == K_DICT:
        return dict.__getitem__(container, key) is <object>child.owner
    if parent.kind == K_ATTR:
        return object.__getattribute__(container, key) is <object>child.owner
    return key == child.uuid


cdef list contents_of(object container):
    cdef Tracker t = tracker_of(container)
    if t.kind == K_DICT:
        return list(dict.values(container))
    if t.kind == K_LIST:
        return list.copy(container)
    if t.kind == K_SET:
        return list(set.__iter__(container))
    return [value for name, value in attributes_of(container) if is_monitored(t, name)]
