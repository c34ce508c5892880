# Owns: places: where a container is, found when its epoch is old and cached until the epoch rises or it moves.
# May touch: trackers and links; the items of parents, to find the key of a child.
# Invariants:
#  - `refresh` brings a tracker and its ancestors up to date, parents first, without recursion;
#  - a place never changes: it is reused while it is true, and replaced otherwise;
#  - derive() computes everything that a tracker caches: place, log, options and flags.

cdef class Place:
    """Where a container is; immutable."""

    def __repr__(self):
        return f"Place({shown_keys(self, None)!r})"


cdef Place new_place(Place parent, object key, Tracker t):
    cdef Place place = Place.__new__(Place)
    place.parent = parent
    place.key = key
    place.tracker = t
    return place


cdef tuple path_of(Place place, Tracker viewer):
    """Return the keys from viewer (None: the root) down to place. O(depth)."""
    cdef list keys = []
    while place.parent is not None and place.tracker is not viewer:
        keys.append(place.key)
        place = place.parent
    keys.reverse()
    return tuple(keys)


cdef bint runs_through(Place place, Tracker viewer):
    while place is not None:
        if place.tracker is viewer:
            return True
        place = place.parent
    return False


cdef Tracker root_of(Place place):
    while place.parent is not None:
        place = place.parent
    return place.tracker


cdef inline bint several(Change change):
    return change.details is not None and change.details.places is not None


cdef list bases(Change change, Tracker viewer):
    """Return the paths from viewer to the container that changed, its first place first. O(places x depth)."""
    cdef list found = []
    cdef list places = [change.place]
    if change.details is not None and change.details.places is not None:
        places.extend(change.details.places)
    for place in places:
        if runs_through(<Place>place, viewer):
            base = path_of(<Place>place, viewer)
            if base not in found if all_quiet(base) else True:
                found.append(base)
    return found


cdef inline bint same_key(object a, object b):
    if a is b:
        return True
    if PyLong_CheckExact(a) and PyLong_CheckExact(b):
        return PyObject_RichCompareBool(a, b, Py_EQ) == 1
    if PyUnicode_CheckExact(a) and PyUnicode_CheckExact(b):
        return PyObject_RichCompareBool(a, b, Py_EQ) == 1
    return False


cdef inline PyObject *held_as(Tracker ct) noexcept:
    # what its parents hold: an object with a dict is known by that dict
    if ct.marks & X_WATCHED and (<WatchedTracker>ct).instance != NULL:
        return (<WatchedTracker>ct).instance
    return ct.owner


cdef object find_one(Link link, Tracker ct):
    """Return the key of a child that its parent holds once, or missing. Mostly O(1), else O(items)."""
    cdef Tracker parent = link.parent
    cdef PyObject *owner = parent.owner
    cdef PyObject *child = held_as(ct)
    cdef PyObject *key
    cdef PyObject *value
    cdef PyObject *held
    cdef Py_ssize_t n, d, h
    cdef Py_ssize_t position = 0
    if parent.marks & X_COMPARED:
        return find_seen(<WatchedTracker>parent, link, ct)
    if parent.marks & X_WATCHED and (<WatchedTracker>parent).way == Y_CLASS:
        return link.key
    if parent.kind == K_LIST:
        n = PyList_GET_SIZE(<object>owner)
        h = link.hint
        if h >= n:
            h = n - 1
        for d in range(n):          # outwards from where it was last found
            if h - d < 0 and h + d >= n:
                break
            if h - d >= 0 and PyList_GET_ITEM(owner, h - d) == child:
                link.hint = h - d
                return link.hint
            if d and h + d < n and PyList_GET_ITEM(owner, h + d) == child:
                link.hint = h + d
                return link.hint
        return link.hint if parent.state & T_SORTING else missing    # list.sort empties the list
    if parent.kind == K_DICT:
        if link.key is ATTRIBUTES:
            return link.key if pdt_dict_of(<object>owner) == child else missing
        if link.key is not missing and pdt_quiet_key(link.key):
            held = held_quietly(<object>owner, link.key)
            if held == child:
                return link.key
        while PyDict_Next(<object>owner, &position, &key, &value):
            if value == child:
                link.key = <object>key
                return link.key
        return missing
    if parent.kind == K_ATTR:
        return link.key
    if parent.kind == K_DEQUE:
        return spot_in_deque(link, <object>owner, child)
    return ct.uuid                  # an element of a set has no key, so its id is used


cdef object spot_in_deque(Link link, object deque, PyObject *child):
    """Return the index of a child, searched from where it was last found, or missing. Mostly O(1), else O(items)."""
    cdef Py_ssize_t i
    if 0 <= link.hint < pdt_deque_size(deque):
        held = pdt_deque_item(deque, link.hint)
        if <PyObject *>held == child:
            return link.hint
    for i, item in enumerate(deque_items(deque)):
        if <PyObject *>item == child:
            link.hint = i
            return i
    return missing


cdef list find_all(Link link, Tracker ct):
    """Return all keys under which the parent holds the child. O(items of the parent)."""
    cdef PyObject *owner = link.parent.owner
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t i
    cdef Py_ssize_t position = 0
    cdef list keys = []
    cdef PyObject *child = held_as(ct)
    if link.count == 1:
        one = find_one(link, ct)
        return keys if one is missing else [one]
    if link.parent.marks & X_COMPARED:
        return find_all_seen(<WatchedTracker>link.parent, link, ct)
    if link.parent.marks & X_WATCHED and (<WatchedTracker>link.parent).way == Y_CLASS:
        return [link.key]
    if link.parent.kind == K_LIST:
        for i in range(PyList_GET_SIZE(<object>owner)):
            if PyList_GET_ITEM(owner, i) == child:
                keys.append(i)
        if not keys and link.parent.state & T_SORTING:
            keys.append(link.hint)
    elif link.parent.kind == K_DICT:
        if link.key is ATTRIBUTES:
            return [link.key]
        while PyDict_Next(<object>owner, &position, &key, &value):
            if value == child:
                keys.append(<object>key)
    elif link.parent.kind == K_ATTR:
        keys.extend(link.key if isinstance(link.key, list) else [link.key])
    elif link.parent.kind == K_DEQUE:
        keys.extend([i for i, item in enumerate(deque_items(<object>owner)) if <PyObject *>item == child])
    else:
        keys.append(ct.uuid)
    return keys


cdef int prune(Tracker t) except -1:
    """Drop links to dead parents; reopen a link that no longer closes a cycle. O(parents), and its unsure links."""
    cdef Link link = t.link
    cdef Link next
    cdef bint lost = False
    while link is not None and not link.back:
        next = link.next
        if not alive(link.parent):
            drop_link(t, link)
            lost = True
        link = next
    if t.rare is not None and t.rare.unsure != NULL:
        look_at_unsure(t)
    if lost and t.link is not None and t.marks & X_LOOPED:
        come_back(t, None)
    return 0


cdef int look_at_unsure(Tracker t) except -1:
    """Drop or reopen back links to t, or find another way for them. O(these and their ancestors)."""
    cdef PyObject *later = NULL
    cdef Link link
    while t.rare.unsure != NULL:
        link = <Link>t.rare.unsure
        unhook_way(<PyObject *>link)
        if not alive(link.parent):
            drop_link(t, link)
        elif found_way(t, link) < 0:        # no memory: it is looked at again
            hook_way(&later, <PyObject *>link)
    while later != NULL:
        link = <Link>later
        unhook_way(<PyObject *>link)
        hook_way(&t.rare.unsure, <PyObject *>link)
    return 0


cdef int refresh(Tracker t) except -1:
    """Bring place, log, options and flags of t up to date. O(stale ancestors).

    The collector is paused, because the caller may have made a change that is not recorded yet. References dropped
    here can free another tree, which raises the epoch; hence the loop.
    """
    cdef int gc
    if t.owner == NULL and t.marks & X_WATCHED and not (<WatchedTracker>t).is_root:
        return 0                        # an object that is gone: it has no place
    gc = pdt_pause_gc()
    try:
        if in_doubt is not None:
            settle_doubt()
        if waiting_count or waiting_tracker_count:
            record_what_waits()
        while t.epoch != epoch:
            if t.link is None:
                derive(t)
            else:
                refresh_from_above(t)
    finally:
        pdt_resume_gc(gc)
    return 0


cdef int refresh_from_above(Tracker t) except -1:
    global places_found
    cdef list todo = [t]
    cdef Tracker x
    cdef Link link
    cdef bint ready
    while todo:
        x = <Tracker>todo[len(todo) - 1]
        places_found += 1
        if x.epoch == epoch:
            todo.pop()
            continue
        prune(x)
        ready = True
        link = x.link
        while link is not None and not link.back:
            if link.parent.epoch != epoch:
                todo.append(link.parent)
                ready = False
            link = link.next
        if ready:
            derive(x)
            todo.pop()
    return 0


cdef int derive(Tracker t) except -1:
    # derives what t caches; all its parents are up to date
    cdef uint64_t now = epoch
    cdef uint64_t moved = moves
    cdef Link link = t.link
    cdef Link only = None
    cdef Place above
    cdef Py_ssize_t links = 0
    cdef uint16_t state = t.state & T_OWN
    cdef Options options
    cdef Log log
    cdef bint choosy = t.marks & X_WATCHED and is_choosy(<WatchedTracker>t)
    while link is not None and not link.back:
        if link.before == NULL:
            link.child = <PyObject *>t
            hook_to(<PyObject *>link.parent, <PyObject *>link)
        if not (choosy and is_orphaned(link.parent)):
            only = link
            links += 1
        link = link.next
    if t.rare is not None and t.rare.places is not None and (links == 0 or (links == 1 and only.count == 1)):
        forget_places(t, links == 1 and only.parent.state & T_SEVERAL)
    if links == 0:
        options = merged(t.options, DEFAULT_OPTIONS)
        if t.place is None or t.place.parent is not None:
            t.place = new_place(None, None, t)
        if t.log is None:
            t.log = Log(options.values[O_MAX_CHANGES], options.values[O_REMEMBER_LAST] == 1)
        log = t.log
    elif links == 1 and only.count == 1 and not only.parent.state & T_SEVERAL:
        key = find_one(only, t)
        if key is missing:          # it was removed in a way that bypassed tracking
            drop_link(t, only)
            if only.parent.children > 0:
                only.parent.children -= 1
            return derive(t)
        above = only.parent.place
        if t.place is None or t.place.parent is not above or not same_key(t.place.key, key):
            t.place = new_place(above, key, t)
        log = <Log>only.parent.active
        options = merged(t.options, only.parent.effective)
        state |= only.parent.state & (T_LOCKED | T_NOTIFY | T_GUARD | T_REDACT)
    else:
        options = derive_several(t, choosy)
        if options is None:
            return derive(t)
        log = <Log>(<tuple>targets_kept(t)[0])[0]
        link = t.link
        while link is not None and not link.back:
            if not (choosy and is_orphaned(link.parent)):
                state |= link.parent.state & (T_LOCKED | T_NOTIFY | T_GUARD | T_REDACT)
            link = link.next
        if len(t.rare.targets) > 1 or len(<tuple>(<tuple>t.rare.targets[0])[1]) > 1:
            state |= T_SEVERAL
    t.effective = options
    t.state = derived_state(t, state, options, log)
    if t.logref is not log.ref:
        come_to(t, log)
    t.active = <PyObject *>log
    if t.marks & X_LOOPED:
        note_cycles(t)
    t.epoch = now if moved == moves else 0      # what was freed on the way may have moved it
    return 0


cdef inline void forget_places(Tracker t, bint several):
    if not several:
        t.rare.targets = None
        t.rare.places = None
        t.rare.left_out = 0


cdef uint16_t derived_state(Tracker t, uint16_t state, Options options, Log log):
    """Return state, which has the container's own flags and those of its parents, with the derived ones."""
    if state & T_LOCK_SELF:
        state |= T_LOCKED
    if (process_observer is not None and not (t.marks & X_WATCHED and is_orphaned(t))) or (t.rare is not None and t.rare.observers is not None):
        state |= T_NOTIFY
    if (t.rare is not None and t.rare.guards is not None) or (
            options.values[O_UNTRACKED] > 0 and not t.marks & X_WATCHED):
        state |= T_GUARD
    if t.marks & X_REDACTS:
        state |= T_REDACT
    if options.values[O_STACK] > 0:
        state |= T_STACK
    if options.values[O_KEEP_VALUES] == 0:
        state |= T_NOVALUES
    if options.values[O_AUTO_CONVERT] == 1:
        state |= T_CONVERT
    if log.limit == 0:
        state |= T_NORING
    if open_transactions:
        state |= T_JOURNAL
    return state


cdef int come_to(Tracker t, Log log) except -1:
    """Note that t writes to another log from now on, and which one it leaves."""
    cdef Py_ssize_t past
    if t.logref is not None:
        # the old log holds changes of t and of what is below; if the log dies, it matters whether t wrote there
        if rare_of(t).past is None:
            t.rare.past = []
        past = len(t.rare.past)
        if past >= 16 and past & (past - 1) == 0:       # at each power of 2: O(1) amortized, also if all live
            prune_past(t.rare)
        t.rare.past.append((t.logref, last_seq if t.version != t.rare.entered else 0))
    if t.rare is not None or t.version:
        rare_of(t).entered = t.version
    t.logref = log.ref
    return 0


cdef bint is_orphaned(Tracker p):
    """True if a watched object, which is up to date, is no longer below what a watch was given. O(depth)."""
    cdef Tracker top = root_of(p.place)
    return top.marks & X_WATCHED and not (<WatchedTracker>top).is_root


cdef bint is_choosy(WatchedTracker t):
    """True if t ignores parents that were removed from a watch: it is the object of one, or has other parents. O(parents)."""
    cdef Link link = t.link
    if t.is_root:
        return True
    if link is None or link.next is None:
        return False
    while link is not None and not link.back:
        if not is_orphaned(link.parent):
            return True
        link = link.next
    return False


cdef Options derive_several(Tracker t, bint choosy):
    """Find all places of t, grouped by log; return its options, or None if a link had to be dropped.

    O(links), and O(MAX_PLACES) places.
    """
    cdef Link link = t.link
    cdef Options options = None
    cdef dict logs = {}
    cdef dict before = places_before(t)
    cdef list order = []
    cdef list everywhere = []
    cdef list keys
    cdef Py_ssize_t left_out = 0
    cdef Place place
    while link is not None and not link.back:
        if not (choosy and is_orphaned(link.parent)):
            if options is None:
                options = merged(t.options, link.parent.effective)
            if link.parent.state & T_SEVERAL:
                left_out += link.parent.rare.left_out
            if len(everywhere) == MAX_PLACES:
                left_out += link.count * number_of_places(link.parent)
                link = link.next
                continue
            keys = find_all(link, t)
            if not keys:
                drop_link(t, link)
                return None
            for target in targets_of(link.parent):
                log = (<tuple>target)[0]
                for above in <tuple>(<tuple>target)[1]:
                    for key in keys:
                        if len(everywhere) == MAX_PLACES:
                            left_out += 1
                            continue
                        place = place_again(before, <Place>above, key)
                        if place is None:
                            place = new_place(above, key, t)
                        if id(log) not in logs:
                            logs[id(log)] = []
                            order.append(log)
                        (<list>logs[id(log)]).append(place)
                        everywhere.append(place)
        link = link.next
    rare_of(t).left_out = left_out
    # logs by weak reference, because their records can hold this container or a relative of it
    if len(order) > MAX_LOGS or (len(order) > 1 and t.log is not None and t.logref is t.log.ref and t.state & T_SEVERAL):
        t.rare.targets = [(own_log(t, options, order).ref, tuple(everywhere))]
    else:
        t.rare.targets = [((<Log>log).ref, tuple(<list>logs[id(log)])) for log in order]
    everywhere = places_in(t.rare.targets)
    t.rare.places = tuple(everywhere[1:])
    t.place = <Place>everywhere[0]
    return options


cdef dict places_before(Tracker t):
    """Return the known places of t by the id of the place above: those that are still true are used again."""
    cdef dict before = {}
    if t.place is not None and t.rare is not None and t.rare.places is not None:
        for place in (t.place, *t.rare.places):
            if (<Place>place).parent is not None:
                before.setdefault(id((<Place>place).parent), []).append(place)
    return before


cdef Place place_again(dict before, Place above, object key):
    for place in <list>before.get(id(above), ()) if id(above) in before else ():
        if same_key((<Place>place).key, key):
            return <Place>place
    return None


cdef inline Py_ssize_t number_of_places(Tracker t):
    cdef Py_ssize_t n = 0
    if not t.state & T_SEVERAL:
        return 1
    for _, places in t.rare.targets:
        n += len(<tuple>places)
    return n


cdef Log own_log(Tracker t, Options options, list others):
    """Return the log of a container in many trees, and have the logs of these trees refer to it. O(others)."""
    cdef Py_ssize_t limit = options.values[O_MAX_CHANGES]
    cdef bint remember = options.values[O_REMEMBER_LAST] == 1
    for other in others:                # it keeps what any of them would have kept
        if limit != NO_LIMIT and ((<Log>other).limit == NO_LIMIT or (<Log>other).limit > limit):
            limit = (<Log>other).limit
        remember = remember or (<Log>other).last is not None
    if t.log is None:
        t.log = Log(limit, remember)
    elif t.log.capacity < t.log.limit and (limit == NO_LIMIT or limit > t.log.limit):
        t.log.limit = limit             # it has not wrapped yet
    if remember and t.log.last is None and t.log.limit > 0:
        t.log.last = {}
        t.log.held = {} if t.log.held is None else t.log.held
    for other in others:
        if other is not t.log:
            refer_to(<Log>other, t.log)
    return t.log


cdef int refer_to(Log log, Log further) except -1:
    """Have queries of a tree read a further log, too; the tree keeps it alive. O(1)."""
    cdef Log gone
    if log.further is None:
        log.further = {}
    if id(further) in log.further:
        return 0
    if len(log.further) >= MAX_FURTHER:
        gone = log.further.pop(next(iter(log.further)))
        log.dropped += gone.count
        log.last_dropped = max(log.last_dropped, gone.last_dropped,
                               gone.stamps[ring_index(gone, gone.count - 1)].seq if gone.count else 0)
    log.further[id(further)] = further
    return 0


cdef int prune_past(Rare rare) except -1:
    """Keep each living log once, and of all dead ones only the newest seq that any of them may have held. O(past)."""
    cdef dict keep = {}
    cdef object dead = None
    for ref, seq in rare.past:
        if ref() is not None:
            earlier = keep.pop(id(ref), None)
            keep[id(ref)] = ref, seq if earlier is None else max(seq, earlier[1])
        elif dead is None or seq > dead[1]:
            dead = (ref, seq)
    rare.past = ([] if dead is None else [dead]) + list(keep.values())
    return 0


cdef list targets_of(Tracker t):
    """Return [(log, places)] of a tracker that is up to date."""
    if t.state & T_SEVERAL:
        return targets_kept(t)
    if t.active == NULL:
        return []                       # a watched object that is gone
    return [(<object>t.active, (t.place,))]


cdef list targets_kept(Tracker t):
    cdef list found = []
    for ref, places in t.rare.targets:
        log = ref()
        if log is not None:
            found.append((log, places))
    return found


cdef list places_in(list targets):
    cdef list places = []
    for target in targets:
        places.extend(<tuple>(<tuple>target)[1])
    return places


cdef list places_of(Tracker t):
    refresh(t)
    return places_in(targets_of(t))
