# Owns: following the objects that tracked containers hold (tracking_follow), and listing what they hold and do not follow.
# May touch: the trackers of watched objects; links; Rare.home of tracked containers.
# Invariants:
#  - a tracked container that holds what is followed has a Watching of its own, its **group**, which keeps the trackers.
#    The table of watched objects does not: so the collector sees every reference, and a container, what it holds and
#    their logs are freed together, cycles included;
#  - a group refers to other groups that follow what its container holds; at the end of a container, what another one
#    or a watch still holds moves to the group of that, and the rest is let go;
#  - a compared object that is taken out of a tracked container is kept until the record of that has left the log, which
#    refers to it as well.

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
        while link is not None and link.back:
            link = link.next
        if link is None:
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
    while link is not None:
        if not link.back and alive(link.parent):
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


# ---- what is not followed -----------------------------------------------------------------------------------------

def untracked_in(container):
    """Return (path, class, reason) of what a tracked container holds, may change, and does not record. O(items)."""
    looked_at(container)
    return shown_rows(untracked_from([((), container)]))


cdef Watching any_group():
    """Return a Watching that judges values as groups do."""
    cdef Watching home = Watching.__new__(Watching)
    home.nodes = set()
    home.package = ""
    return home


cdef list untracked_from(list todo):
    """Return the rows of tracked or followed objects, given as (path, object). O(items)."""
    cdef Watching home = any_group()
    cdef list rows = []
    cdef set seen = set()
    cdef Tracker t
    cdef Tracker ct
    cdef bint follow
    for path, each in todo:
        t = <Tracker>each if isinstance(each, Tracker) else tracker_of(each)
        if t is None or t.number in seen:
            continue
        seen.add(t.number)
        if t.marks & X_WATCHED:
            todo.extend(rows_below(<WatchedTracker>t, path, rows))
            continue
        if t.owner == NULL:
            continue
        held = plain(<object>t.owner)
        follow = follow_option(t)
        pairs = held.items() if isinstance(held, dict) else enumerate(held)
        for key, value in pairs:
            if pdt_plain(value):
                continue
            ct = tracker_of(value)
            if ct is not None and (not ct.marks & X_WATCHED or is_linked(t, ct)):
                todo.append(((*path, key), value))
                continue
            why = why_not_recorded(home, value, follow)
            if why is not None:
                rows.append(((*path, key), type(value), why))
    return rows


cdef str why_not_recorded(Watching home, object value, bint follow):
    """Return why changes of a value in a tracked container are not recorded; None if it cannot change."""
    cdef int way = way_of(home, value)
    if is_converted(type(value)):
        return "plain data: tracking_auto_convert, or track(), makes it tracked"
    return None if way == Y_VALUE else why_not_adopted(home, value, way, follow)


cdef bint is_linked(Tracker parent, Tracker ct):
    cdef Link link = ct.link
    while link is not None:
        if link.parent is parent:
            return True
        link = link.next
    return False


cdef str why_not_adopted(Watching home, object value, int way, bint follow):
    if way == Y_OPAQUE and isinstance(value, (bytearray, memoryview)):
        return why_opaque(value)
    if not PDT_CAN_WATCH:
        return "an object: its class is not tracked; CPython 3.12 and newer can follow it (tracking_follow)"
    if not follow:
        return "not tracked: tracking_follow, or watch(), follows it"
    if way == Y_OPAQUE:
        return f"class of another package ({module_of(type(value))}); watch(), with into=, follows it"
    if cannot_follow:
        return "other tools have taken all dict watchers of this interpreter"
    if pdt_watched_count() >= MAX_FOLLOWED:
        return f"{MAX_FOLLOWED} objects are followed already"
    return "not followed for want of memory, or it came here in a way that is not seen"


# ---- tracking_untracked ------------------------------------------------------------------------------------------

cdef enum:
    MAX_REPORTED = 100              # warnings for one tree; the last one says that there are no more

cdef list added_later = []          # (tracker, key, class, reason, capture): untracked objects to warn of when it is safe


cdef list untracked_in_change(Tracker t, int shape, Py_ssize_t index, object key, object new):
    """Return (path below t, class, reason) of untracked objects that a change brought. O(items of the change)."""
    cdef Watching home = None
    cdef Py_ssize_t i
    cdef list rows = []
    cdef list todo = []
    cdef list pairs
    cdef bint follow
    if new is missing:
        return None
    if shape == S_SLOT:
        pairs = [(key, key)] if t.kind == K_SET else [(index if t.kind == K_LIST or t.kind == K_DEQUE else key, new)]
        if pdt_plain(pairs[0][1]):
            return None
    elif shape == S_SPLICE:
        pairs = [(index + i, each) for i, each in enumerate(new) if not pdt_plain(each)]
    elif shape == S_ROWS:
        pairs = [(new[i], new[i + 2]) for i in range(0, len(new), 3) if not pdt_plain(new[i + 2])]
    elif shape == S_FILL:
        pairs = [(k, v) for k, v in (<dict>new).items() if not pdt_plain(v)]
    elif shape == S_ELEMENTS:
        pairs = [(each, each) for each in new if not pdt_plain(each)]
    else:
        return None                 # the same items in another order
    if not pairs:
        return None
    home = any_group()
    follow = follow_option(t)
    for k, value in pairs:
        if value is missing:
            continue
        if tracker_of(value) is not None:
            todo.append(((k,), value))
            continue
        why = why_not_recorded(home, value, follow)
        if why is not None:
            rows.append(((k,), type(value), why))
    if todo:
        rows.extend(untracked_from(todo))
    return rows


cdef int report_stored(Tracker t, list rows, Change change) except -1:
    """Warn of untracked objects that a change brought, or refuse it. O(rows)."""
    cdef bint raises = t.effective.values[O_UNTRACKED] == 2
    rows = [((*path_of(t.place, None), *path), cls, why) for path, cls, why in rows]
    if not raises:
        rows = not_reported(root_of(t.place), rows)
    if rows:
        report_untracked(shown_rows(rows), raises, change, None)
    return 0


cdef list not_reported(Tracker root, list rows):
    """Return the rows that are the first of their path, whatever the index, and class in a tree. O(rows)."""
    cdef list found = []
    cdef Rare rare = rare_of(root)
    if rare.reported is None:
        rare.reported = set()
    for path, cls, why in rows:
        if len(rare.reported) >= MAX_REPORTED:
            break
        known = (tuple(["*" if type(step) is int else step if PyUnicode_CheckExact(step) else summary_of(step)
                        for step in path]), id(cls))
        if known in rare.reported:
            continue
        rare.reported.add(known)
        if len(rare.reported) == MAX_REPORTED:
            why += f"; no more than {MAX_REPORTED} are named, tracking_untracked() lists all"
        found.append((path, cls, why))
    return found


def report_untracked_now(container):
    """Obey tracking_untracked for what a new tracked container, or a new watch, holds. O(items)."""
    cdef Tracker t = tracker_of(container)
    cdef int mode
    cdef Options given
    if t is None:
        return
    refresh(t)
    given = (<Watching>container).options if isinstance(container, Watching) else t.effective
    mode = 0 if given is None else <int>given.values[O_UNTRACKED]
    if mode <= 0:
        return
    if isinstance(container, Watching):
        (<Watching>container).reports = True
    rows = untracked_rows(container) if isinstance(container, Watching) else untracked_in(container)
    if rows and mode == 1:
        rows = not_reported(root_of(t.place), rows)
    if rows:
        report_untracked(rows, mode == 2, None, None)


cdef int adopting = 0               # objects that came into a tracked container are being followed: its commit reports


cdef bint reports_added(Watching home) noexcept:
    """True if objects that come to what a watch or a group follows are to be reported."""
    if home.nodes is None:
        return home.reports
    return not adopting and home.top is not None and home.top.effective is not None and (
        home.top.effective.values[O_UNTRACKED] > 0)


ctypedef int (*adder)(WatchedTracker, object, object, str) noexcept


cdef int note_added(WatchedTracker p, object key, object value, str why) except -1:
    """Remember an object that was added and is not followed, to warn of it at the next safe moment. Keeps nothing alive."""
    if len(added_later) < 2 * MAX_REPORTED:
        added_later.append((p, key if PyUnicode_CheckExact(key) or type(key) is int else summary_of(key), type(value),
                            why, capture_stack(25)))
    settle_soon()
    return 0


cdef int report_added() except -1:
    """Warn of what was added to watched objects and is not followed. O(rows)."""
    global added_later
    cdef WatchedTracker p
    notes = added_later
    added_later = []
    for p, key, cls, why, captured in notes:
        if p.owner == NULL or not reports_added(p.home):
            continue
        refresh(p)
        if p.place is None:
            continue
        rows = not_reported(root_of(p.place), [((*path_of(p.place, None), key), cls, why)])
        if rows:
            report_untracked(rows, False, None, captured)
    return 0
