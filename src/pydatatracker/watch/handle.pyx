# Owns: what the package does with a watch: begin, end, and undo changes of watched objects.
# May touch: the trackers of watched objects; the objects themselves only in `restore_watched`.
# Invariants:
#  - beginning a watch changes no object: it is found by its address;
#  - the end of a watch leaves what another open watch follows;
#  - what is restored is stored through the type that CPython defines, never through methods of the program.

@cython.no_gc_clear
cdef class Watching:
    """One watch: what it follows, with which limits. Base of the package's Watch."""

    def __cinit__(self, *args, **kwargs):
        self.verdicts = {}
        self.compared = set()
        self.into = ()

    def __del__(self):
        # the collector calls this before it takes anything apart, and events of what it frees would find parts of a log
        if self.nodes is not None:
            let_group_go(self)
        elif self.node is not None and self.node.owner == NULL:
            self.node = None            # they refer to each other, and the collector clears neither

    @property
    def is_open(self):
        return self.open and self.node is not None and self.node.owner != NULL

    @property
    def objects(self):
        """Number of objects that are followed now."""
        settle_doubt()
        return self.count

    @property
    def missed(self):
        """Number of events in the process that could not be recorded."""
        return missed_events


def can_watch():
    """Return 0 if objects can be watched here, 1 if all watchers of the interpreter are taken, 2 before CPython 3.12."""
    return pdt_begin_watching(on_event)


cdef bint watching_is_over = False


def end_watching():
    """Give the dict watcher back, at the end of the process."""
    global watching_is_over
    if pdt_watched_count():
        look_everywhere()
    watching_is_over = True
    hear_no_slots()
    pdt_births_begin(NULL, NULL)
    pdt_end_watching()


def way_to_watch(Watching w, value):
    """Return how a value would be followed as the root of a watch: a name of WAYS."""
    cdef int way = way_of(w, value)
    if way == Y_OPAQUE or way == Y_VALUE:
        if not pdt_plain(value) and not isinstance(value, type):
            if pdt_has_dict(value):
                way = Y_ATTR
            elif slots_of(type(value)):
                way = Y_SLOTS
    return WAYS[way]


def begin_watch(Watching w, value, Options options, str name, tuple into, Py_ssize_t depth, Py_ssize_t max_objects,
                str package, bint keep):
    """Follow an object and all that is below it. O(objects)."""
    cdef WatchedTracker t
    cdef list todo = []
    cdef int way = WAYS.index(way_to_watch(w, value))
    w.options = options
    w.into = into
    w.depth = depth
    w.max_objects = max_objects
    w.package = package
    w.verdicts = {}                     # `into` and `package` decide what is entered
    t = <WatchedTracker>watched_tracker(value)
    if t is None:
        t = new_node(w, value, way, 0)
        todo.append(t)
    w.node = t
    if t.home is not w and t.home.nodes is not None:
        share_with(w, t.home)
    t.is_root = True
    t.is_module = is_a(<object>Py_TYPE(value), module_type)
    if keep or (way == Y_SLOTS and not pdt_has_weakref(value)):
        t.held = value
    elif way == Y_SLOTS and t.ref is None:
        t.ref = _weakref.ref(value)
    if name is not None:
        rare_of(t).name = name
    w.open = True
    open_watches.append(_weakref.ref(w))
    open_all(todo)
    refresh(t)


def end_watch(Watching w):
    """Let go of all that only this watch follows; its log stays readable. O(objects)."""
    cdef WatchedTracker t
    cdef Tracker ct
    cdef list todo = []
    cdef dict others = {}               # number -> Watching that follows it, too
    if not w.open:
        return
    look(w)
    w.open = False
    if w.cls is not None:
        w.node.last = [(name, each) for name, each in w.roots.items()]
        for each in w.roots.values():
            (<WatchedTracker>each).in_log = True
        end_class_watch(w)
        let_go(w.node, False)
    open_watches[:] = [ref for ref in open_watches if ref() is not None and ref() is not w]
    for ref in open_watches:
        other = ref()
        if other is not None and (<Watching>other).node is not None and (<Watching>other).node.owner != NULL:
            todo.append(((<Watching>other).node, other))
    roots = {(<Tracker>node).number for node, _ in todo}
    todo.extend(held_by_tracked())
    while todo:
        each, other = todo.pop()
        t = <WatchedTracker>each
        if t.number in others or t.owner == NULL:
            continue
        others[t.number] = other
        for value in contents_of_tracker(t):
            ct = None if pdt_plain(value) else tracker_of(value)
            if ct is not None and ct.marks & X_WATCHED:
                todo.append((ct, other))
    w.node.is_root = w.node.number in roots
    for each in pdt_watched_all():      # who asks for the state later gets the last one
        t = <WatchedTracker>each
        if t.number not in others and (t.home is w or (not open_watches and t.home.nodes is None)):
            t.in_log = True
    w.node.in_log = True
    keep_log = w.node.log
    keep_place = w.node.place
    for each in pdt_watched_all():
        t = <WatchedTracker>each
        if t.number in others:
            if t.home is w:
                move_home(t, <Watching>others[t.number])
        elif t.home is w or (not open_watches and t.home.nodes is None):
            let_go(t, False)
    if w.node.owner == NULL:
        w.node.log = keep_log
        w.node.place = keep_place
    w.node.held = None if w.node.owner == NULL else w.node.held
    settle_events()


cdef int move_home(WatchedTracker t, Watching other) except -1:
    cdef Watching before = t.home
    if t.marks & X_COMPARED and t.way != Y_TUPLE:
        other.compared.add(t)
        if other.nodes is not None and not other.listed:
            list_group(other)
    if other.nodes is not None:
        other.nodes.add(t)
    t.home = other
    before.count -= 1
    other.count += 1
    before.compared.discard(t)
    if before.nodes is not None:
        if other.nodes is None:
            Py_INCREF(t)                # the table keeps it
        before.nodes.discard(t)
    elif other.nodes is not None:
        Py_DECREF(t)
    if before.nodes is not None or other.nodes is not None:
        t.options = other.options
        t.epoch = 0
    return 0


def enter_too(Watching w, cls, str package, str name):
    """Follow objects of one more class, and of the package that it belongs to, from now on. O(objects).

    ``name``: the key of what is new in the object of the watch. True if objects are followed now that are elsewhere:
    a log that has their words only needs the state once more.
    """
    cdef Py_ssize_t before
    cdef uint64_t known
    cdef set seen
    if w.node is None or w.node.owner == NULL or way_by_class(w, cls):
        return False
    look(w)                             # before the rest is followed, what is pending is recorded
    before = w.count
    w.into = (*w.into, cls) if not package else (*w.into, cls, package)
    w.verdicts = {}
    seen = {w.node.number}
    own, others = [], []
    for key, value in pairs_of(w.node):
        (own if PyUnicode_CheckExact(key) and <str>key == name else others).append((key, value))
    known = last_number
    enter_all(w, w.node, others, seen, known)
    elsewhere = w.count != before
    enter_all(w, w.node, own, seen, known)
    return elsewhere


cdef int enter_all(Watching w, WatchedTracker top, list pairs, set seen, uint64_t known) except -1:
    """Follow what was not followed of the items of an object, and below what was. O(objects).

    ``known``: what has a higher number is new, and is linked to each slot that holds it.
    """
    cdef list todo = [(top, pairs)]
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t i
    cdef WatchedTracker t
    cdef Tracker ct
    while n < PyList_GET_SIZE(todo):
        each, items = todo[n]
        todo[n] = None
        n += 1
        t = <WatchedTracker>each
        if t.owner == NULL:
            continue
        met = False
        for i, (key, value) in enumerate(items):
            if pdt_plain(value):
                continue
            ct = tracker_of(value)
            if ct is None or ct.number > known:
                met = True
                follow(t, value, None if t.kind == K_LIST or t.kind == K_SET or t.kind == K_TUPLE else key, i)
            elif ct.marks & X_WATCHED and (<WatchedTracker>ct).home is w and ct.number not in seen:
                seen.add(ct.number)
                todo.append((ct, pairs_of(<WatchedTracker>ct)))
        if met and t.marks & X_COMPARED:
            remember_items(t, items_now(t))
    return 0


cdef bint way_by_class(Watching w, object cls) except -1:
    """True if objects of a class are entered already, or never: values, and containers of the builtin kinds."""
    entry = w.verdicts.get(<size_t><PyObject *>cls)
    return cls in w.into or not pdt_heap_type_of(<PyTypeObject *>cls) or (entry is not None and entry[1] != Y_OPAQUE)


def object_watched(Watching w):
    """Return the object of a watch, or None once it is gone. O(1)."""
    if w.cls is not None:
        return w.cls
    return None if w.node is None else object_of(w.node)


def is_watched(container):
    """True if a container was not written for this library. O(1)."""
    cdef Tracker t = tracker_of(container)
    return t is not None and t.marks & X_WATCHED != 0


# ---- what a watched object holds ---------------------------------------------------------------------------------

cdef int require_alive(Tracker t) except -1:
    if t.owner == NULL:
        raise ReferenceError(
            f"the watched object, a {class_name(t.cls)}, no longer exists or is not watched any more; what was"
            " recorded can be read: tracking_changes(), last_change(), changes_since()")
    return 0


cdef object plain_watched(WatchedTracker t):
    """As `plain`. O(items)."""
    if t.owner == NULL and t.last is not None:
        return last_state(t)
    require_alive(t)
    if t.way == Y_CLASS:
        return dict(pairs_of(t))
    if t.way == Y_DICT:
        return dict(pairs_of(t)) if t.has_attributes else PyDict_Copy(<object>t.owner)
    if t.way == Y_SLOTS:
        return {row[0]: v for row, v in zip(slots_of(t.cls), seen_items(t)) if v is not missing}
    if t.kind == K_ATTR:
        return dict(pairs_of(t))
    items = items_surely(t) if t.way == Y_TUPLE else seen_items(t)
    if t.way == Y_SET:
        return set(items)
    return tuple(items) if t.way == Y_TUPLE else items


cdef list contents_of_tracker(Tracker t):
    """As `contents_of`, given the tracker. O(items)."""
    if t.owner == NULL:
        if t.marks & X_WATCHED and (<WatchedTracker>t).last is not None:
            if t.kind == K_DICT or t.kind == K_ATTR:
                return list((<dict>last_state(<WatchedTracker>t)).values())
            return list(last_state(<WatchedTracker>t))
        return []
    if t.marks & X_WATCHED:
        return [value for _, value in pairs_of(<WatchedTracker>t)]
    return contents_of(<object>t.owner)


# ---- undo --------------------------------------------------------------------------------------------------------

cdef bint restore_watched(WatchedTracker t, int shape, Py_ssize_t index, object key, object old, object new,
                          int method, object beside) except -1:
    """As `restore`, of a watched object."""
    try:
        return restore_alive(t, shape, index, key, old, new, method, beside)
    finally:
        reviving.clear()


cdef bint restore_alive(WatchedTracker t, int shape, Py_ssize_t index, object key, object old, object new, int method,
                        object beside) except -1:
    global method_instead
    require_alive(t)
    refresh(t)
    old = read_values(shape, old)       # what was gone when the record was read may live again
    new = all_made_again(shape, read_values(shape, new))
    if new is None:
        return False                    # what was there is gone, and cannot be made again
    if t.way == Y_TUPLE or t.way == Y_CLASS:
        return False
    if t.marks & X_COMPARED:
        look(t.home)
        if t.owner == NULL or not restore_compared(t, shape, index, key, old, new):
            return False
        compare(t, method)
        return True
    if shape == S_SLOT:
        if (<dict>t.owner).get(key, missing) is not old:
            return False
        method_instead = method
        try:
            put_watched(t, key, new)
        finally:
            method_instead = -1
        if old is missing and beside is not None and t.way == Y_DICT:
            quietly_put_at(t, beside)
        return True
    if shape != S_ROWS and shape != S_FILL:
        return False
    return restore_rows_watched(t, new, method)


cdef object all_made_again(int shape, object given):
    """Return values that undo brings back, with those made again that are gone; None if one cannot be made. O(items)."""
    cdef dict made = {}
    if given is missing:
        return given
    if shape == S_SLOT:
        given = made_again(given, made)
        note_made(made)
        return None if given is missing else given
    if not isinstance(given, (list, tuple)):
        return given
    found = []
    for each in given:
        again = made_again(each, made)
        if again is missing and each is not missing:
            return None
        found.append(again)
    note_made(made)
    return tuple(found) if isinstance(given, tuple) else found


cdef int note_made(dict made) except -1:
    """Let objects that are made again go on with the trackers that they had."""
    for t, again in made.items():
        reviving[id(again)] = (t, again)
    return 0


cdef int put_watched(WatchedTracker t, object key, object new) except -1:
    d = <object>t.owner
    if is_a(<object>Py_TYPE(d), ordered_dict):      # has a list of its keys beside the table
        if new is missing:
            ordered_dict.__delitem__(d, key)
        else:
            ordered_dict.__setitem__(d, key, new)
    elif new is missing:
        PyDict_DelItem(d, key)
    else:
        PyDict_SetItem(d, key, new)
    return 0


cdef object ordered_dict = _collections.OrderedDict


cdef int quietly_put_at(WatchedTracker t, object beside) except -1:
    """Move the last key to where it belongs; its record says the end, which state_at shows."""
    global ignored
    if is_a(<object>Py_TYPE(<object>t.owner), ordered_dict):
        return 0
    ignored = t.owner
    try:
        put_at(<object>t.owner, t, beside)
    finally:
        ignored = NULL
    return 0


cdef bint restore_rows_watched(WatchedTracker t, tuple rows, int method) except -1:
    global ignored
    cdef Py_ssize_t i
    cdef Tracker ct
    cdef dict d = <dict>t.owner
    cdef Py_ssize_t before = PyDict_Size(d)
    seen = {}
    for i in range(0, len(rows), 3):
        if (seen[rows[i]] if rows[i] in seen else d.get(rows[i], missing)) is not rows[i + 1]:
            return False
        seen[rows[i]] = rows[i + 2]
    ignored = t.owner
    try:
        for i in range(0, len(rows), 3):
            if rows[i + 1] is not missing and not pdt_plain(rows[i + 1]):
                ct = tracker_of(rows[i + 1])
                if ct is not None:
                    untie(t, ct, rows[i])
            put_watched(t, rows[i], rows[i + 2])
            if rows[i + 2] is not missing:
                follow(t, rows[i + 2], rows[i], 0)
    finally:
        ignored = NULL
    action = A_UPDATE
    if all([rows[i] is missing for i in range(1, len(rows), 3)]):
        action = A_ADD
    elif all([rows[i] is missing for i in range(2, len(rows), 3)]):
        action = A_REMOVE
    commit_watched(t, action, method, S_ROWS, I_LAST, missing, missing, rows, <int32_t>(PyDict_Size(d) - before), None)
    settle_loose()
    return True


cdef bint restore_compared(WatchedTracker t, int shape, Py_ssize_t index, object key, object old, object new) except -1:
    global ignored
    cdef object owner = <object>t.owner
    cdef list items
    if t.way == Y_SET:
        out = ([] if old is missing else [key]) if shape == S_SLOT else list(old)
        into = ([] if new is missing else [key]) if shape == S_SLOT else list(new)
        for each in out:
            if not set.__contains__(owner, each):
                return False
        for each in out:
            set.discard(owner, each)
        for each in into:
            set.add(owner, each)
        return True
    if t.way == Y_SLOTS:
        for name, member in slots_of(t.cls):
            if name == key:
                held = pdt_slot(owner, member)
                if (missing if held == NULL else <object>held) is not old:
                    return False
                ignored = t.owner
                try:
                    if new is missing:
                        member.__delete__(owner)
                    else:
                        member.__set__(owner, new)
                finally:
                    ignored = NULL
                return True
        return False
    items = items_now(t)
    if shape == S_SLOT:
        out = [] if old is missing else [old]
        into = [] if new is missing else [new]
    elif shape == S_SPLICE:
        out = list(old)
        into = list(new)
    else:
        return False
    if index + len(out) > len(items):
        return False
    for i in range(len(out)):
        if items[index + i] is not out[i]:
            return False
    if t.way == Y_LIST:
        PyList_SetSlice(owner, index, index + len(out), into)
    else:
        items[index:index + len(out)] = into
        deque_type.clear(owner)
        deque_type.extend(owner, items)
    return True
