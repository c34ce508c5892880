# Owns: following the objects that tracked containers hold (tracking_follow).
# May touch: the trackers of watched objects; links; Rare.home of tracked containers.
# Invariants:
#  - a tracked container that holds what is followed has a Watching of its own, its **group**, which keeps the trackers.
#    The table of watched objects does not: so the collector sees every reference, and a container, what it holds and
#    their logs are freed together, cycles included;
#  - a group refers to other groups that follow what its container holds; at the end of a container, what another one
#    or a watch still holds moves to the group of that, and the rest is let go;
#  - a compared object that is taken out of a tracked container is kept until the record of that has left the log, which
#    refers to it as well.

cdef int adopting = 0               # objects that came into a tracked container are being followed: its commit reports
cdef dict groups = {}           # id of a group that compares, or is shared -> weak reference to it
cdef dict group_verdicts = {}   # `verdicts` of all groups
cdef int cannot_follow = 0      # why not: as can_watch()
cdef Py_ssize_t MAX_FOLLOWED = 1_000_000     # in the process: more are listed as untracked


cdef bint follow_option(Tracker t) except -1:
    """True if a container follows objects: by its options, or those of the nearest container above. O(depth)."""
    cdef Link link
    while True:
        if t.options is not None and t.options.values[O_FOLLOW] != UNSAID:
            return t.options.values[O_FOLLOW] == 1
        link = t.link
        if link is None or link.back:
            return DEFAULT_OPTIONS.values[O_FOLLOW] == 1
        t = link.parent


cdef bint follows(PyObject *tracker) except -1:
    """True if a container follows objects, given the tracker in its hook."""
    return tracker != <PyObject *>None and follow_option(<Tracker>tracker)


cdef bint is_ready() except -1:
    global cannot_follow
    cannot_follow = 1 if watching_is_over else pdt_begin_watching(on_event)
    return cannot_follow == 0


cdef Watching group_of(Tracker t):
    """Return the group of a tracked container, made if needed."""
    cdef Rare rare = rare_of(t)
    cdef Watching made
    if rare.home is None:
        made = Watching.__new__(Watching)
        made.nodes = set()
        made.verdicts = group_verdicts
        made.package = ""
        made.depth = -1
        made.max_objects = MAX_FOLLOWED
        made.top = t
        rare.home = made
    return rare.home


cdef bint is_full(Watching home):
    return (home.count if home.nodes is None else pdt_watched_count()) >= home.max_objects


cdef int list_group(Watching home) except -1:
    groups[id(home)] = _weakref.ref(home)
    home.listed = True
    return 0


cdef int share(Tracker parent, WatchedTracker ct) except -1:
    """Note that something holds, or is about to hold, what the group of a container follows."""
    cdef Watching home = (<WatchedTracker>parent).home if parent.marks & X_WATCHED else group_of(parent)
    if home is not ct.home:
        share_with(home, ct.home)
    return 0


cdef int share_with(Watching home, Watching group) except -1:
    if home.guests is None:
        home.guests = set()
    home.guests.add(group)
    group.shared = True
    if not group.listed:
        list_group(group)
    return 0


cdef int adopt(Tracker parent, object child, object key, Py_ssize_t hint) except -1:
    """Follow an object that a tracked container holds, if it is to be followed. O(objects that are new).

    Without memory for all of it nothing of it is followed, and it is listed.
    """
    global adopting
    cdef int made
    cdef list todo
    if parent.marks & X_WATCHED or pdt_plain(child) or is_converted(type(child)) or not follow_option(parent):
        return 0
    if is_a(<object>Py_TYPE(child), module_type) or not is_ready():
        return 0
    todo = []
    adopting += 1
    made = (<adopter>adopt_new)(parent, child, key, hint, todo)     # no try: Cython's needs memory
    adopting -= 1
    if made < 0:
        PyErr_Clear()
        for each in todo:
            if each is not None:
                let_go(<WatchedTracker>each, False)
        return 0
    return 1


ctypedef int (*adopter)(Tracker, object, object, Py_ssize_t, list) noexcept


cdef int adopt_new(Tracker parent, object child, object key, Py_ssize_t hint, list todo) except -1:
    cdef Watching home = group_of(parent)
    cdef int way = way_of(home, child)
    if way < Y_DICT or is_full(home):
        return 0
    todo.append(None)
    todo[0] = new_node(home, child, way, 0)
    make_link(parent, child, key, hint)
    open_all(todo)
    return 0


cdef dict elements_looked_at = {}       # number of a container -> addresses of what it holds, in this look
cdef uint64_t elements_round = 0


cdef set elements_of(Tracker t, object owner):
    """Return the addresses of what a set or deque holds. O(items) once for each look."""
    global elements_round, elements_looked_at
    cdef set found
    if elements_round != look_round or in_look == 0:
        elements_looked_at = {}
        elements_round = look_round
    found = elements_looked_at.get(t.number)
    if found is None:
        found = set()
        for each in (set.__iter__(owner) if t.kind == K_SET else deque_items(owner)):
            found.add(<size_t><PyObject *>each)
        elements_looked_at[t.number] = found
    return found


cdef bint is_in_tracked(Link link, WatchedTracker t) except -1:
    """True if the tracked container of a link, which is alive, holds the object of t now. Mostly O(1), else O(items)."""
    cdef Tracker parent = link.parent
    cdef PyObject *child = held_as(t)
    cdef object owner = <object>parent.owner
    if parent.kind == K_SET or parent.kind == K_DEQUE:
        return <size_t>child in elements_of(parent, owner)
    if parent.kind == K_ATTR:
        for _, each in attributes_of(owner):
            if <PyObject *>each == child:
                return True
        return False
    return find_one(link, t) is not missing


cdef int taken_out(Tracker parent, WatchedTracker t) except -1:
    """A compared object was taken out of a tracked container, which does not hold it any more. O(1) on average."""
    cdef Watching home
    cdef Link link = t.link
    cdef Log log
    if t.owner == NULL or t.held is not None:
        return 0
    home = group_of(parent)
    while link is not None and not link.back:
        if alive(link.parent):
            if t.home is home:          # something else holds it, which knows when that ends
                move_home(t, (<WatchedTracker>link.parent).home if link.parent.marks & X_WATCHED else group_of(link.parent))
            return 0
        link = link.next
    t.held = <object>t.owner
    if home.gone is None:
        home.gone = deque_type()
    home.gone.append((last_seq + 1, t))
    if parent.epoch == epoch and parent.active != NULL:
        log = <Log>parent.active
        if log.limit == 0:
            let_gone_go(home, last_seq)
        elif log.count and log.dropped:
            let_gone_go(home, log.stamps[ring_index(log, 0)].seq)
    return 0


cdef int let_gone_go(Watching home, uint64_t before) except -1:
    """Let go of what was taken out before a change. O(these)."""
    cdef WatchedTracker t
    while home.gone and <uint64_t>home.gone[0][0] < before:
        t = <WatchedTracker>home.gone.popleft()[1]
        if t.held is None:
            continue
        held = t.held
        t.held = None
        if not is_held(t):
            close_compared(t)
        Py_INCREF(held)
        put_aside_record(<PyObject *>held)      # freeing it may run Python code
        held = None
    return 0


cdef int end_following(Tracker top) except -1:
    """The container of a group ends: move what others hold, and let go of the rest. O(objects)."""
    cdef Watching home = top.rare.home
    cdef Watching heir = None
    cdef WatchedTracker t
    top.rare.home = None
    groups.pop(id(home), None)
    if home.gone is not None:
        for _, each in home.gone:
            (<WatchedTracker>each).held = None
        home.gone = None
    nodes = list(home.nodes)
    if home.shared:
        for each in nodes:
            heir = heir_of(<WatchedTracker>each)
            if heir is not None:
                break
    if heir is not None:
        if home.guests is not None:
            for each in home.guests:
                if each is not heir:
                    share_with(heir, <Watching>each)
        for each in nodes:
            if (<WatchedTracker>each).owner != NULL and (<WatchedTracker>each).home is home:
                move_home(<WatchedTracker>each, heir)
        if heir.nodes is not None:
            heir.shared = True
        close_unheld(heir)
    else:
        for each in nodes:
            let_go(<WatchedTracker>each, False)
    if home.guests is not None:
        for each in home.guests:
            close_unheld(<Watching>each)
        home.guests = None
    return 0


cdef int let_group_go(Watching home) except -1:
    """Let go of all that a group follows: it is being freed. O(objects)."""
    for each in list(home.nodes):
        let_go(<WatchedTracker>each, False)
    return 0


cdef int close_unheld(Watching home) except -1:
    for each in list(home.compared):
        if (<WatchedTracker>each).owner != NULL and not is_held(<WatchedTracker>each):
            close_compared(<WatchedTracker>each)
    return 0


cdef Watching heir_of(WatchedTracker t):
    """Return who follows an object beside the group that it is in, or None. O(parents)."""
    cdef Link link = t.link
    cdef Watching home
    if t.owner == NULL:
        return None
    if t.is_root:
        for ref in open_watches:
            w = ref()
            if w is not None and (<Watching>w).node is t:
                return <Watching>w
    while link is not None:
        if alive(link.parent):
            home = (<WatchedTracker>link.parent).home if link.parent.marks & X_WATCHED else group_of(link.parent)
            if home is not t.home:
                return home
        link = link.next
    return None


cdef list held_by_tracked():
    """Return [(tracker, group)] of the watched objects that tracked containers hold and follow. O(watched objects)."""
    cdef list found = []
    cdef Link link
    for each in pdt_watched_all():
        link = (<WatchedTracker>each).link
        while link is not None:
            if alive(link.parent) and not link.parent.marks & X_WATCHED and follow_option(link.parent):
                found.append((each, group_of(link.parent)))
                break
            link = link.next
    return found


cdef int look_in_groups(Tracker t) except -1:
    """Compare what is to be compared in the tree of t; of all trees if it is None. O(groups + items compared)."""
    cdef Watching home
    if t is not None and t.epoch != epoch:
        refresh(t)
    for number, ref in list(groups.items()):
        home = ref()
        if home is None:
            groups.pop(number, None)
            continue
        if not home.compared:
            continue
        if t is not None and not home.shared and not t.state & T_SEVERAL and alive(home.top):
            if home.top.epoch != epoch:
                refresh(home.top)
            if home.top.active != t.active and not home.top.state & T_SEVERAL:
                continue
        look(home)
    return 0


# ---- which classes are entered ------------------------------------------------------------------------------------

cdef tuple library_folders = tuple({
    _os.path.dirname(_os.__file__) + _os.sep, _os.path.realpath(_os.path.dirname(_os.__file__)) + _os.sep})


cdef bint is_of_program(object cls) except -1:
    """True if a class is defined in a file of the program, not of the standard library or of an installed package."""
    cdef PyObject *held
    if not pdt_heap_type_of(<PyTypeObject *>cls):
        return False
    name = module_of(cls)
    if is_in_module(name, "pydatatracker"):
        return False
    module = (<dict>_sys.modules).get(name)
    if module is None or not is_a(<object>Py_TYPE(module), module_type):
        return False
    held = pdt_dict_of(module)
    file = (<dict>held).get("__file__") if held != NULL else None
    if type(file) is not str:
        return False
    for folder in ("site-packages", "dist-packages"):
        if (_os.sep + folder + _os.sep) in <str>file:
            return False
    return not (<str>file).startswith(library_folders)
