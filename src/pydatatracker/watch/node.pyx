# Owns: the trackers of watched objects: how they are found by address, made and let go.
# May touch: the table of watched objects and the dict watcher (native/watched.h); trackers and links.
# Invariants:
#  - a watched object is referred to by address only, and stays what it is: its class, identity and life do not change;
#  - a dict, and an object through its dict, reports its stores and its own end: it is **noticed**. Anything else is
#    **compared** (compare.pyx) and reports nothing: it is used only after `is_held_in` or `is_sure` found an object alive that holds it;
#  - an object with a dict is known by that dict, so `vars(o)` and o are one node;
#  - what a tracker keeps of the items of a compared object refers to no object that could be part of a cycle, or an
#    object that refers to itself through a list would never die.

cdef enum:                      # WatchedTracker.way: how changes are found
    Y_VALUE = 0                 # not followed: it has no parts that can change
    Y_OPAQUE                    # not followed, although it may change: it is listed as untracked
    Y_TRACKED                   # a tracked container, which records by itself
    Y_DICT                      # a dict: noticed
    Y_ATTR                      # an object with a dict: noticed
    Y_SLOTS                     # an object whose class has __slots__ alone: heard (slots.pyx), and compared
    Y_LIST                      # compared
    Y_DEQUE                     # compared
    Y_SET                       # compared
    Y_CLASS                     # a class, with its instances
    Y_TUPLE                     # holds what can change; it does not change itself


cdef object ATTRIBUTES = "".join(["__dict", "__"])     # the step from a dict to its attributes; no key is this object
cdef list open_watches = []     # weak references to every Watching that is open
cdef list loose = []            # compared objects that nothing is known to hold, until the record in progress is written
cdef PyObject *ignored = NULL   # a dict that the core changes itself: its events are no changes


@cython.no_gc_clear             # an event can come for a tracker that the collector frees
cdef class WatchedTracker(Tracker):
    """The tracker of an object that was not written for this library."""

    def __dealloc__(self):
        if self.owner != NULL and pdt_watched_find(self.owner) == <PyObject *>self:
            pdt_watched_take(<object>self.owner)        # only those of a Watching with `nodes` come here
            if not self.marks & X_COMPARED:
                pdt_unwatch_dict(<object>self.owner)
            pdt_set_watching(pdt_watched_count())
            self.home.count -= 1
        PyMem_Free(self.seen)
        self.seen = NULL

    def __repr__(self):
        return f"<{class_name(self.cls)}>"

    @property
    def way(self):
        return WAYS[self.way]


WAYS = ("value", "opaque", "tracked", "dict", "attributes", "slots", "list", "deque", "set", "class", "tuple")


cdef Tracker watched_tracker(object c):
    """Return the tracker of a watched object, of a Watching, or of itself; None for anything else. O(1)."""
    cdef PyObject *found
    cdef PyObject *attributes
    if isinstance(c, WatchedTracker):
        return <WatchedTracker>c if (<WatchedTracker>c).owner != NULL or (<WatchedTracker>c).last is not None else None
    if isinstance(c, Watching):
        return (<Watching>c).node
    if in_doubt is not None:
        settle_doubt()                  # it may let go of a list whose address another object has by now
    found = pdt_watched_find(<PyObject *>c)
    if found != NULL:
        if (<WatchedTracker>found).way == Y_TUPLE and PyTuple_CheckExact(c) and not is_tuple_seen(
                c, <WatchedTracker>found):
            let_go(<WatchedTracker>found, False)        # another tuple has its address by now
            return None
        if (<WatchedTracker>found).way == Y_ATTR or <PyObject *>Py_TYPE(c) == <PyObject *>(<WatchedTracker>found).cls:
            return <WatchedTracker>found
        if (<WatchedTracker>found).way != Y_DICT:
            let_go(<WatchedTracker>found, False)        # another object has its address by now
        elif PyDict_Check(c):
            return <WatchedTracker>found                # its __class__ was set
    if not pdt_has_dict(c):
        return None
    attributes = pdt_dict_of(c)
    if attributes == NULL:
        return None
    found = pdt_watched_find(attributes)
    return None if found == NULL else <WatchedTracker>found


cdef bint is_tuple_seen(object c, WatchedTracker t):
    """True if a tuple holds what the tuple of a tracker held: otherwise another one has its address. O(items)."""
    return t.seen == NULL or (
        PyTuple_GET_SIZE(c) == t.count and pdt_same_items((<PyTupleObject *>c).ob_item, t.seen, t.count))


cdef WatchedTracker new_node(Watching home, object value, int way, Py_ssize_t depth):
    """Make the tracker of an object and begin to watch it. O(1), or O(attributes) for an object with a dict."""
    global last_number
    cdef WatchedTracker t
    cdef object attributes
    entry = reviving.get(id(value)) if reviving else None
    if entry is None:
        t = WatchedTracker.__new__(WatchedTracker)
        last_number += 1
        t.number = last_number
        t.birth.time_ns = pdt_now_ns()
        t.birth.seq = last_seq
    else:
        t = entry[0]                    # undo made an object again that was gone
        t.last = None
        t.kept = None
        t.instance = NULL
        t.ref = None
        t.children = 0
        t.net = 0
    t.cls = type(value)
    t.way = way
    t.home = home
    t.depth = depth
    t.options = home.options
    t.marks |= X_WATCHED
    if way == Y_DICT:
        t.kind = K_DICT
        t.owner = <PyObject *>value
        t.birth.size = PyDict_Size(value)
    elif way == Y_ATTR:
        t.kind = K_ATTR
        attributes = pdt_own_dict(value)
        t.owner = <PyObject *>attributes
        t.instance = <PyObject *>value
        if pdt_has_weakref(value):
            t.ref = _weakref.ref(value)
    else:
        t.kind = K_ATTR if way == Y_SLOTS else K_SET if way == Y_SET else K_TUPLE if way == Y_TUPLE else K_LIST
        t.owner = <PyObject *>value
        t.marks |= X_COMPARED
    if way == Y_DICT or way == Y_ATTR:
        pdt_watch_dict(<object>t.owner)
    elif way == Y_SLOTS:
        hear_slots(t)
    note_redact(t)
    try:
        if t.marks & X_COMPARED and way != Y_TUPLE:
            home.compared.add(t)
            if home.nodes is not None and not home.listed:
                list_group(home)
        if home.nodes is not None:
            home.nodes.add(t)
        pdt_watched_put(<object>t.owner, t)     # last: what is in the table is complete
    except MemoryError:
        if not t.marks & X_COMPARED:
            pdt_unwatch_dict(<object>t.owner)
        t.owner = NULL
        home.compared.discard(t)
        if home.nodes is not None:
            home.nodes.discard(t)
        raise
    if home.nodes is not None:
        Py_DECREF(t)                            # the table refers to it, and does not keep it
    pdt_set_watching(pdt_watched_count())
    home.count += 1
    return t


cdef int let_go(WatchedTracker t, bint dying) except -1:
    """End the watch of one object. `dying`: it is being freed. Its log stays readable for who holds it. O(parents).

    It needs no memory: an object that has ended must not stay in the table.
    """
    cdef PyObject *owner = t.owner
    cdef PyObject *taken
    cdef Link link = t.link
    if owner == NULL:
        return 0
    if t.way == Y_CLASS:
        t.owner = NULL
        bump()
        return 0
    settle_doubt()
    if t.owner == NULL:
        return 0
    frozen(t)
    taken = pdt_watched_take(<object>owner)
    pdt_set_watching(pdt_watched_count())
    if heard_classes and not pdt_watched_count():
        hear_no_slots()
    if t.marks & X_COMPARED:
        t.home.compared.discard(t)
    elif not dying:
        pdt_unwatch_dict(<object>owner)
    t.home.count -= 1
    while link is not None:
        if alive(link.parent):
            if link.parent.children >= link.count:
                link.parent.children -= <int32_t>link.count
            if link.parent.marks & X_WATCHED:
                (<WatchedTracker>link.parent).stale = True
                if (<WatchedTracker>link.parent).nearby is not None:
                    forget_near(<WatchedTracker>link.parent, t)
        link = link.next
    t.kept = None
    t.nearby = None
    t.held = None
    PyMem_Free(t.seen)
    t.seen = NULL
    t.count = 0
    if t.is_root:
        t.owner = NULL          # its log stays: somebody may still ask what happened
        bump()
    else:
        t.link = None
        if t.rare is not None:
            t.rare.by_parent = None
        detach(t)
    if t.home.nodes is not None:
        t.home.nodes.discard(t)
    elif taken != NULL:
        Py_DECREF(<object>taken)
    return 0


cdef int forget_near(WatchedTracker p, WatchedTracker t) except -1:
    cdef Py_ssize_t i
    for i in range(PyList_GET_SIZE(p.nearby)):
        if PyList_GET_ITEM(<PyObject *>p.nearby, i) == <PyObject *>t:
            del p.nearby[i]
            return 0
    return 0


cdef int tie(WatchedTracker p, object child, object key, Py_ssize_t hint) except -1:
    """Link a child that has a tracker to p. O(parents of child)."""
    cdef Tracker ct = tracker_of(child)
    if ct is None or isinstance(child, Watching):
        return 0
    make_link(p, child, key, hint)          # without memory it raises, and `follow` gives up the child
    if ct.marks & X_COMPARED:
        if p.nearby is None:
            p.nearby = []
        if ct not in p.nearby[:8]:
            p.nearby.append(ct)
    return 0


cdef int untie(WatchedTracker p, Tracker ct, object key) except -1:
    """Cut the link of one slot of p to a child. Before p's own code goes on, `settle_loose` has to be called. O(parents)."""
    cdef WatchedTracker t
    cdef Link link
    cut_tracker(p, ct, key)
    if not ct.marks & X_COMPARED:
        return 0
    t = <WatchedTracker>ct
    link = t.link
    while link is not None:
        if link.parent is p:
            return 0                    # another slot of p holds it
        link = link.next
    if p.nearby is not None:
        forget_near(p, t)
    if not is_held(t):
        loose.append(t)
    return 0


cdef int settle_loose() except -1:
    """Let go of compared objects that nothing holds any more: they do not say when they end. O(objects)."""
    global loose
    while loose:
        gone = loose
        loose = []
        for t in gone:
            if not is_held(<WatchedTracker>t):
                close_compared(<WatchedTracker>t)
    return 0


cdef inline bint needs_no_holder(WatchedTracker t):
    """True if an object is alive whoever holds it: it is held here, or says when it ends, or a weak reference tells."""
    return t.held is not None or t.born_as is not None or (t.is_root and t.ref is not None and t.ref() is not None)


cdef bint is_held(WatchedTracker t):
    """True if an object that is alive is known to hold this one. O(parents)."""
    cdef Link link = t.link
    if needs_no_holder(t):
        return True
    while link is not None:
        if alive(link.parent) and not (link.back and link.parent.marks & X_COMPARED):
            return True
        link = link.next
    return False


cdef bint is_sure(WatchedTracker t, int depth) except -1:
    """True if an object is surely alive now: unlike `is_held`, this looks whether its parents hold it. O(items of parents)."""
    cdef Link link = t.link
    if t.owner == NULL:
        return False
    if t.held is not None or t.born_as is not None or t.way == Y_DICT or t.way == Y_CLASS:
        return True
    if t.ref is not None:
        return t.ref() is not None
    while link is not None:
        if alive(link.parent) and (holds_now(<WatchedTracker>link.parent, held_as(t), link.key, depth)
                                   if link.parent.marks & X_WATCHED else is_in_tracked(link, t)):
            return True
        link = link.next
    return False


cdef bint holds_now(WatchedTracker p, PyObject *child, object key, int depth) except -1:
    """True if a parent that is surely alive holds the object at an address, which is not looked at."""
    cdef PyObject *each
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    if p.way == Y_DICT or p.way == Y_ATTR:
        if PyUnicode_CheckExact(key) and held_quietly(<object>p.owner, key) == child:
            return True
        while PyDict_Next(<object>p.owner, &position, &each, &value):
            if value == child:
                return True
        return False
    if depth > 50 or not is_sure(p, depth + 1):
        return False
    for item in items_now(p):
        if <PyObject *>item == child:
            return True
    return False


cdef PyObject *living_instance(WatchedTracker t) except? NULL:
    """Return the object whose dict a tracker has, if it is surely alive. O(1), or O(items of parents)."""
    return t.instance if t.instance != NULL and is_sure(t, 0) else NULL


cdef object object_of(WatchedTracker t):
    """Return the object of a tracker, or None if it cannot be had. O(parents)."""
    cdef PyObject *instance
    if t.owner == NULL:
        return None
    if t.held is not None:
        return t.held
    if t.way == Y_DICT:
        return <object>t.owner
    if t.way != Y_ATTR:
        return <object>t.owner if is_sure(t, 0) else None
    instance = living_instance(t)
    return None if instance == NULL else <object>instance
