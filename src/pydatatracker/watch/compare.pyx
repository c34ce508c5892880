# Owns: finding changes of what reports none, by comparing it with what it held before: lists, sets, deques, __slots__.
# May touch: what the trackers of compared objects keep; links; it records through `record_special`.
# Invariants:
#  - items are compared by identity, never with ==;
#  - a change that is found has the method "found", and says between which two changes it happened; it has no actor and no stack;
#  - an object is looked at only after something that holds it: so it is alive;
#  - a comparison costs a change near it a bounded number of steps on average, whatever the size: see `patience`.

cdef enum:
    ITEMS_A_LOOK = 32           # items compared for one change near them, on average
    NEAR_A_LOOK = 8             # compared children looked at for one change
    PARENTS_A_LOOK = 32         # parents looked at for one change, the oldest ones


cdef int remember_items(WatchedTracker t, list items) except -1:
    """Keep what a compared object holds now. O(items)."""
    cdef Py_ssize_t n = PyList_GET_SIZE(items)
    cdef Py_ssize_t i
    cdef PyObject **seen
    seen = <PyObject **>PyMem_Realloc(t.seen, (n or 1) * sizeof(PyObject *))
    if seen == NULL:
        raise MemoryError()
    t.seen = seen
    for i in range(n):
        seen[i] = PyList_GET_ITEM(<PyObject *>items, i)
    if t.kept is None:
        t.birth.size = n
    t.kept = [kept_item(<object>seen[i]) for i in range(n)]
    t.count = n
    t.compared = last_seq
    t.patience = n // ITEMS_A_LOOK
    t.stale = False
    return 0


cdef bint is_as_seen(WatchedTracker t):
    """True if a compared object holds the same items as before, as far as addresses tell. O(items)."""
    cdef object owner = <object>t.owner
    if t.stale or t.seen == NULL:
        return False
    if t.way == Y_LIST:
        return PyList_GET_SIZE(owner) == t.count and pdt_same_items((<PyListObject *>owner).ob_item, t.seen, t.count)
    if t.way == Y_SET:
        return PySet_GET_SIZE(owner) == t.count and pdt_set_is(owner, t.seen)
    items = items_now(t)
    return PyList_GET_SIZE(items) == t.count and pdt_same_items((<PyListObject *>items).ob_item, t.seen, t.count)


cdef int compare(WatchedTracker t, int method=M_FOUND) except -1:
    """Record what changed in a compared object that is alive. O(items)."""
    compare_one(t, method)
    return settle_loose()


def compare_now(container):
    """Record what changed in a compared object, before a line has what it holds. O(items).

    Nothing of a tracker that stands for its object: that may be gone, and nobody noticed it yet.
    """
    cdef Tracker t = tracker_of(container)
    if t is not None and t.marks & X_COMPARED and t.owner == <PyObject *>container:
        compare(<WatchedTracker>t)


cdef int compare_one(WatchedTracker t, int method) except -1:
    cdef list now
    if t.way == Y_TUPLE or t.owner == NULL:
        return 0
    if is_as_seen(t):
        t.compared = last_seq
        t.patience = t.count // ITEMS_A_LOOK
        return 0
    now = items_now(t)
    if t.way == Y_SET:
        return compare_set(t, now, method)
    if t.way == Y_SLOTS:
        return compare_slots(t, now, method)
    return compare_list(t, now, method)


cdef inline bint is_same(WatchedTracker t, Py_ssize_t i, PyObject *value):
    """True if item i of what was seen is this object still, and not another one at the same address."""
    cdef PyObject *kept
    if t.seen[i] != value:
        return False
    kept = PyList_GET_ITEM(<PyObject *>t.kept, i)
    if isinstance(<object>kept, Tracker):
        return tracker_of(<object>value) is <object>kept
    if isinstance(<object>kept, Weakly) and (<Weakly>kept).ref is not None:
        return (<Weakly>kept).ref() is <object>value
    return True


cdef object seen_item(WatchedTracker t, Py_ssize_t i, dict alive_now):
    """Return an item as it was seen: the object if it is alive, else its tracker or words."""
    cdef object kept = t.kept[i]
    cdef object found = alive_now.get(<size_t>t.seen[i], missing)
    if found is not missing and is_same(t, i, <PyObject *>found):
        return found
    if isinstance(kept, WatchedTracker):
        (<WatchedTracker>kept).in_log = True
    return read_value(kept)


cdef object find_seen(WatchedTracker p, Link link, Tracker ct):
    """As `find_one`, of a compared parent as it was last seen. O(items)."""
    cdef Py_ssize_t i, at
    if p.way == Y_SET:
        return ct.uuid
    if p.way == Y_SLOTS:
        return link.key
    if p.way == Y_TUPLE:
        return link.hint if p.owner != NULL else missing
    for i in range(p.count):                # from where it was last found
        at = link.hint + i if link.hint + i < p.count else link.hint + i - p.count
        if 0 <= at < p.count and PyList_GET_ITEM(<PyObject *>p.kept, at) == <PyObject *>ct:
            link.hint = at
            return at
    return link.hint if p.seen == NULL else missing


cdef list find_all_seen(WatchedTracker p, Link link, Tracker ct):
    """As `find_all`."""
    cdef Py_ssize_t i
    cdef list keys = []
    if p.way == Y_SET:
        return [ct.uuid]
    if p.way == Y_SLOTS:
        return list(link.key) if isinstance(link.key, list) else [link.key]
    if p.way == Y_TUPLE:
        if p.owner != NULL:
            for i, item in enumerate(items_now(p)):
                if not pdt_plain(item) and tracker_of(item) is ct:
                    keys.append(i)
        return keys
    for i in range(p.count):
        if PyList_GET_ITEM(<PyObject *>p.kept, i) == <PyObject *>ct:
            keys.append(i)
    return keys if keys or p.seen != NULL else [link.hint]


cdef list seen_items(WatchedTracker t):
    """Return what a compared object held when it was last compared, which is what the log says. O(items)."""
    cdef list now = items_surely(t)
    cdef dict around
    if t.owner == NULL or not is_sure(t, 0):
        return now
    if t.seen == NULL or is_as_seen(t):
        return now
    around = by_address(now)
    return [seen_item(t, i, around) for i in range(t.count)]


cdef dict by_address(list items):
    cdef dict found = {}
    cdef Py_ssize_t i
    for i in range(PyList_GET_SIZE(items)):
        found[<size_t>PyList_GET_ITEM(<PyObject *>items, i)] = <object>PyList_GET_ITEM(<PyObject *>items, i)
    return found


cdef int cut_seen(WatchedTracker t, Py_ssize_t i, object key) except -1:
    """Cut the link to an item that is not there any more."""
    kept = t.kept[i]
    if isinstance(kept, Tracker):
        untie(t, <Tracker>kept, key)
    return 0


cdef int compare_list(WatchedTracker t, list now, int method) except -1:
    cdef Py_ssize_t n = PyList_GET_SIZE(now)
    cdef Py_ssize_t m = t.count
    cdef Py_ssize_t a = 0
    cdef Py_ssize_t tail = 0
    cdef Py_ssize_t i
    cdef PyObject *items = <PyObject *>now
    while a < n and a < m and is_same(t, a, PyList_GET_ITEM(items, a)):
        a += 1
    while tail < n - a and tail < m - a and is_same(t, m - 1 - tail, PyList_GET_ITEM(items, n - 1 - tail)):
        tail += 1
    if a == n == m:
        t.stale = False
        t.compared = last_seq
        return 0
    around = by_address(now)
    old = [seen_item(t, i, around) for i in range(a, m - tail)]
    new = now[a:n - tail]
    todo = []
    since = t.compared
    for i in range(a, n - tail):            # first, so that what only moves is never without a link
        v = now[i]
        if not pdt_plain(v):
            meet(t, v, None, i, todo)
    for i in range(a, m - tail):
        cut_seen(t, i, None)
    open_all(todo)
    remember_items(t, now)
    if t.children and tail and n != m:
        bump_below(t)                   # what is behind has another index
    if len(old) == len(new) == 1:
        return found(t, A_UPDATE, method, S_SLOT, a, missing, old[0], new[0], 0, since)
    if len(old) == 0 and len(new) == 1:
        return found(t, A_ADD, method, S_SLOT, a, missing, missing, new[0], 1, since)
    if len(old) == 1 and len(new) == 0:
        return found(t, A_REMOVE, method, S_SLOT, a, missing, old[0], missing, -1, since)
    return found(t, A_ADD if not old else A_REMOVE if not new else A_UPDATE, method, S_SPLICE, a, missing, old, new,
                 <int32_t>(len(new) - len(old)), since)


cdef int compare_set(WatchedTracker t, list now, int method) except -1:
    cdef dict around = by_address(now)
    cdef dict before = {}
    cdef Py_ssize_t i
    cdef list out = []
    cdef list into = []
    cdef list todo = []
    cdef uint64_t since = t.compared
    for i in range(t.count):
        before[<size_t>t.seen[i]] = i
        if not (<size_t>t.seen[i] in around and is_same(t, i, t.seen[i])):
            out.append(seen_item(t, i, around))
            cut_seen(t, i, missing)
            before.pop(<size_t>t.seen[i])
    for each in now:
        if <size_t><PyObject *>each not in before:
            into.append(each)
            if not pdt_plain(each):
                meet(t, each, missing, 0, todo)
    open_all(todo)
    remember_items(t, now)
    if not out and not into:
        return 0
    if not out and len(into) == 1:
        return found(t, A_ADD, method, S_SLOT, -1, into[0], missing, into[0], 1, since)
    if not into and len(out) == 1:
        return found(t, A_REMOVE, method, S_SLOT, -1, out[0], out[0], missing, -1, since)
    return found(t, A_ADD if not out else A_REMOVE if not into else A_UPDATE, method, S_ELEMENTS, -1, missing,
                 tuple(out), tuple(into), <int32_t>(len(into) - len(out)), since)


cdef int compare_slots(WatchedTracker t, list now, int method) except -1:
    cdef tuple rows = slots_of(t.cls)
    cdef dict around = by_address(now)
    cdef Py_ssize_t i
    cdef list changes = []
    cdef list todo = []
    cdef uint64_t since = t.compared
    for i in range(min(t.count, len(now))):
        if is_same(t, i, <PyObject *>now[i]):
            continue
        old = seen_item(t, i, around)
        changes.append((rows[i][0], old, now[i]))
        if not pdt_plain(now[i]) and now[i] is not missing:
            meet(t, now[i], rows[i][0], 0, todo)
        cut_seen(t, i, rows[i][0])
    open_all(todo)
    remember_items(t, now)
    for name, old, new in changes:
        found(t, A_ADD if old is missing else A_REMOVE if new is missing else A_UPDATE, method, S_SLOT, -1, name, old,
              new, 0, since)
    return 0


cdef object scope_of_found():
    """Return a scope without an actor, in the transaction that is open: it compared everything when it began."""
    cdef object scope = current_scope()
    if scope is None or (<Scope>scope).transaction is None or not (<Transaction>(<Scope>scope).transaction).is_open:
        return None
    return Scope("", None, (<Scope>scope).transaction)


cdef int found(WatchedTracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
               object new, int32_t growth, uint64_t since) except -1:
    """Record a change that was found; a method of undo and the like is recorded as one that was seen."""
    global last_seq, scope_instead
    cdef Extra extra = None
    cdef Change change
    if method != M_FOUND:
        return commit_watched(t, action, method, shape, index, key, old, new, growth, None)
    refresh(t)
    t.version += 1
    t.net += growth
    if t.state & T_QUIET:
        return 0
    extra = Extra.__new__(Extra)
    extra.between = (since, last_seq)
    scope_instead = scope_of_found()
    last_seq += 1
    try:
        change = record_special(t, action, method, shape, index, key, old, new, extra, last_seq, pdt_now_ns())
    finally:
        scope_instead = missing
    if change is not None and t.state & T_NOTIFY:
        notify(t, change)
    return 0


# ---- when to compare ------------------------------------------------------------------------------------------

cdef uint64_t look_round = 0


cdef bint is_held_in(WatchedTracker t, uint64_t now) except -1:
    """True if an object is alive, by what this look knows of its parents. O(parents), or as `is_sure` in a cycle."""
    cdef Link link = t.link
    if needs_no_holder(t):
        return True
    while link is not None:
        if alive(link.parent):
            if not link.parent.marks & X_WATCHED:
                if is_in_tracked(link, t):
                    return True
                link = link.next
                continue
            if not link.parent.marks & X_COMPARED:
                if holds_now(<WatchedTracker>link.parent, held_as(t), link.key, 0):
                    return True
            elif (<WatchedTracker>link.parent).looked == now:
                return True             # compared just now, so its links are true
        link = link.next
    return is_sure(t, 0)


cdef int replace_tuple(WatchedTracker t) except -1:
    """Another tuple has the address of one that is gone: let go of that, and compare what holds the new one. O(items)."""
    cdef Link link = t.link
    cdef list parents = []
    while link is not None:
        parents.append(link.parent)
        link = link.next
    let_go(t, False)
    for p in parents:
        if (<Tracker>p).marks & X_COMPARED and (<Tracker>p).owner != NULL and (<WatchedTracker>p).way != Y_TUPLE:
            compare(<WatchedTracker>p)
    return 0


cdef int look_at(WatchedTracker first, uint64_t now) except -1:
    """Compare an object, after what holds it. O(items)."""
    cdef list todo = [first]
    cdef WatchedTracker t
    cdef Link link
    while todo:
        t = <WatchedTracker>todo[len(todo) - 1]
        if t.looked == now or t.owner == NULL:
            todo.pop()
            continue
        if t.asked != now:
            t.asked = now
            link = t.link
            while link is not None:
                if link.parent.marks & X_COMPARED and (<WatchedTracker>link.parent).asked != now:
                    todo.append(link.parent)
                link = link.next
            if todo[len(todo) - 1] is not t:
                continue
        todo.pop()
        t.looked = now
        if not is_held_in(t, now):
            let_go(t, False)
        elif t.way == Y_TUPLE:
            if not is_tuple_seen(<object>t.owner, t):
                replace_tuple(t)
        else:
            if <PyObject *>Py_TYPE(<object>t.owner) != <PyObject *>t.cls and t.way != Y_SLOTS:
                let_go(t, False)            # another object has its address
            else:
                compare(t)
    return 0


cdef Tracker looked_at(object container):
    """As `tracker_of`, for somebody who asks; of a watch, everything is compared first."""
    cdef Tracker t
    if isinstance(container, Watching):
        look(<Watching>container)
    t = tracker_of(container)
    if groups and t is not None:
        look_in_groups(t)
    return t


cdef int look_everywhere() except -1:
    """Compare what all watches have to compare. O(items compared)."""
    if pdt_watching:
        if open_watches:
            for ref in list(open_watches):
                w = ref()
                if w is not None:
                    look(<Watching>w)
        if groups:
            look_in_groups(None)
    return 0


cdef int in_look = 0            # looks in progress


cdef int look(Watching home) except -1:
    global look_round, in_look
    if (home.node is None and home.nodes is None) or not pdt_watched_count():
        return 0
    settle_events()
    look_round += 1
    in_look += 1
    try:
        for t in list(home.compared):
            look_at(<WatchedTracker>t, look_round)
    finally:
        in_look -= 1
    return 0


cdef int look_near(WatchedTracker t) except -1:
    """Before a change of t is recorded, compare what is near it, as far as it is due. O(ITEMS_A_LOOK) on average."""
    cdef Link link = t.link
    cdef WatchedTracker c
    cdef Py_ssize_t i, n
    global look_round
    i = 0
    while link is not None and i < PARENTS_A_LOOK:
        if link.parent.marks & X_COMPARED:
            due(<WatchedTracker>link.parent)
        link = link.next
        i += 1
    if t.nearby is None:
        return 0
    n = PyList_GET_SIZE(t.nearby)
    for i in range(min(n, NEAR_A_LOOK)):
        if t.turn >= PyList_GET_SIZE(t.nearby):
            t.turn = 0
        if t.turn >= PyList_GET_SIZE(t.nearby):
            break
        c = <WatchedTracker>t.nearby[t.turn]
        t.turn += 1
        due(c)
    return 0


cdef int due(WatchedTracker t) except -1:
    global look_round
    if t.patience > 0:
        t.patience -= 1
        return 0
    if t.way == Y_TUPLE:
        return 0
    look_round += 1
    look_at(t, look_round)
    return 0
