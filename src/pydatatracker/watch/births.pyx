# Owns: watches of classes: their instances, from birth to end.
# May touch: the trackers of watched objects, native/births.h.
# Invariants:
#  - the node of a class has its instances as children, under names such as "Order#1"; its log is theirs, so a million
#    instances that come and go leave no more than the log keeps;
#  - nothing keeps an instance alive, and no instance is looked at after its end was reported;
#  - at most `max_objects` are followed at a time; others are counted in `left_out`.

cdef list class_watches = []            # of Watching that are open and watch a class
cdef list newborn = []                  # objects of C classes, such as dict, that were not complete at their birth


cdef void on_birth(PyObject *o) noexcept:
    global in_event
    in_event += 1
    if pdt_complete_at_birth(Py_TYPE(<object>o)):
        (<birth_taker>instance_made)(<object>o, missing)
    elif PyList_Append(newborn, <object>o) == 0:
        settle_soon()
    PyErr_Clear()
    in_event -= 1


cdef void on_end(PyObject *o) noexcept:
    global in_event
    cdef PyObject *kind = NULL
    cdef PyObject *error = NULL
    cdef PyObject *trace = NULL
    if not pdt_watching:
        return
    PyErr_Fetch(&kind, &error, &trace)
    in_event += 1
    (<end_taker>instance_over)(<object>o)
    PyErr_Clear()
    in_event -= 1
    PyErr_Restore(kind, error, trace)


ctypedef int (*birth_taker)(object, object) noexcept
ctypedef int (*end_taker)(object) noexcept


cdef int instance_made(object o, object state) except -1:
    """Follow an instance of a watched class. state: what it held before, of one that exists; else missing. O(attributes)."""
    cdef Watching w
    for each in class_watches:
        w = <Watching>each
        if is_a(<object>Py_TYPE(o), w.cls):
            add_instance(w, o, state)
    return 0


cdef int add_instance(Watching w, object o, object state) except -1:
    cdef WatchedTracker t = None
    cdef Tracker ct
    cdef Link link
    cdef list todo = []
    cdef int way
    w.born += 1
    ct = tracker_of(o)
    if ct is None:
        if w.count >= w.max_objects:
            w.left_out += 1
            return 0
        way = Y_DICT if PyDict_Check(o) else Y_ATTR if pdt_has_dict(o) else Y_SLOTS if slots_of(type(o)) else Y_OPAQUE
        if way == Y_OPAQUE:
            w.left_out += 1
            return 0
        t = new_node(w, o, way, 0)
        if way == Y_SLOTS:
            remember_items(t, items_now(t))
        todo.append(t)
    elif not ct.marks & X_WATCHED:
        return 0
    else:
        t = <WatchedTracker>ct
    name = f"{class_name(type(o))}#{w.born}"
    if t.born_as is None:
        t.born_as = name
    t.instance = <PyObject *>o
    w.roots[name] = t
    link = Link.__new__(Link)
    link.parent = w.node
    link.key = name
    link.count = 1
    put_above(w.node, t)
    put_link(t, link)
    note_parent(t)
    w.node.children += 1
    invalidate(t)
    if state is missing:
        commit_watched(w.node, A_ADD, M_NEW, S_SLOT, -1, name, missing, t, 1, None)
        if t.way == Y_DICT or t.way == Y_ATTR:
            for key, value in list((<dict>t.owner).items()):    # of an object that was not complete at its birth
                follow(t, value, key, 0)
                commit_watched(t, A_ADD, method_for(t, False), S_SLOT, -1, key, missing, value, t.way == Y_DICT, None)
            t.birth.size = 0
    else:
        w.node.birth.size += 1
        open_all(todo)
    return 0


cdef int instance_over(object o) except -1:
    """An instance of a watched class ends: its __del__ has run, and nobody refers to it. O(attributes)."""
    cdef Tracker ct = tracker_of(o)
    cdef WatchedTracker t
    if ct is None or not ct.marks & X_WATCHED:
        return 0
    t = <WatchedTracker>ct
    if t.born_as is None or t.instance != <PyObject *>o:
        return 0
    end_instance(t)
    return 0


cdef int end_instance(WatchedTracker t) except -1:
    """Let go of an instance of a watched class, and record that. O(attributes)."""
    cdef Link link = t.link
    cdef list rows = []
    cdef Watching w
    while link is not None:
        if link.parent.marks & X_WATCHED and (<WatchedTracker>link.parent).way == Y_CLASS:
            rows.append(((<WatchedTracker>link.parent).home, link.key))
        link = link.next
    t.born_as = None
    t.instance = NULL
    t.in_log = True
    if t.marks & X_COMPARED:
        close_compared(t)
    else:
        end_noticed(t, False)
    for each, name in rows:
        w = <Watching>each
        if w.open:
            w.roots.pop(name, None)
            commit_watched(w.node, A_REMOVE, M_DEL, S_SLOT, I_LAST, name, t, missing, -1, None)
    return 0


cdef int follow_newborn() except -1:
    """Follow the objects that were not complete at their birth, at the next safe moment."""
    global newborn
    if not newborn:
        return 0
    made = newborn
    newborn = []
    for o in made:
        if tracker_of(o) is None:
            instance_made(o, missing)
    return 0


def begin_class_watch(Watching w, cls, Options options, str name, tuple into, Py_ssize_t depth, Py_ssize_t max_objects,
                      str package, bint existing):
    """Follow every instance of a class that is made from now on; with `existing`, also those that exist."""
    cdef WatchedTracker t = WatchedTracker.__new__(WatchedTracker)
    global last_number
    w.options = options
    w.into = into
    w.depth = depth
    w.max_objects = max_objects
    w.package = package
    w.cls = cls
    w.roots = {}
    t.cls = cls
    t.way = Y_CLASS
    t.kind = K_DICT
    t.home = w
    t.options = options
    t.marks |= X_WATCHED
    last_number += 1
    t.number = last_number
    t.owner = <PyObject *>cls
    t.is_root = True
    t.birth.time_ns = pdt_now_ns()
    t.birth.seq = last_seq
    rare_of(t).name = name
    note_redact(t)
    w.node = t
    refresh(t)
    pdt_births_begin(on_birth, on_end)
    report_class(cls)
    w.open = True
    open_watches.append(_weakref.ref(w))
    class_watches.append(w)
    if existing:
        for o in _gc.get_objects():
            if is_a(<object>Py_TYPE(o), cls):
                add_instance(w, o, None)


def report_class(cls):
    """Report births of a class and of all its subclasses; return those that cannot be. O(subclasses)."""
    cdef list left = []
    cdef list todo = [cls]
    cdef set seen = set()
    for each in todo:
        if each in seen:
            continue
        seen.add(each)
        if not pdt_report_births(<PyTypeObject *>each):
            left.append(each)
        todo.extend(type.__subclasses__(each))
    return left


cdef int end_class_watch(Watching w) except -1:
    cdef list todo = [w.cls]
    class_watches.remove(w)
    for name in list(w.roots):
        t = <WatchedTracker>w.roots.pop(name)
        (<WatchedTracker>t).born_as = None
        for other in class_watches:
            for own, each in (<Watching>other).roots.items():
                if each is t:
                    (<WatchedTracker>t).born_as = own
    for each in todo:
        if not any([is_a(each, (<Watching>other).cls) for other in class_watches]):
            pdt_end_births(<PyTypeObject *>each)
        todo.extend(type.__subclasses__(each))
    return 0


cdef bint untie_all(WatchedTracker t) except? False:
    """Cut the links of everything that a noticed object holds, before it ends. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef Tracker ct
    if t.children:
        while PyDict_Next(<object>t.owner, &position, &key, &value):
            if not pdt_plain(<object>value):
                ct = tracker_of(<object>value)
                if ct is not None:
                    k = <object>key
                    untie_dying(t, ct, k)
    return 0
