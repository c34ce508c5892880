# Owns: what is kept of records that leave the ring: answers of entries that the program holds (snapshots), and the last
# change of every location (tracking_remember_last).
# May touch: the ring; it calls the package for entries and for the marks of lists (connect.pyx).
# Invariants:
#  - settle_oldest runs after a record is written and before the oldest one can be overwritten; it may allocate;
#  - the last changes of a dict, set or object are kept by key, and by identity of the key if its __eq__ is Python
#    code, which must not run here;
#  - a list has marks, one per item, as it was at seq `noted`;
#  - a kept change belongs to the log alone, which may rewrite it: what is handed out is a copy.
# When the oldest record is about to be overwritten and is not noted yet, the older half of the ring is noted at once,
# newest first, because only the last change of a location counts. So an often written counter costs one comparison.

cdef Change watched(Change change):
    """With snapshots on, make sure that change is settled before its record leaves the ring; return it. O(logs)."""
    cdef Log log
    if change.viewer.effective is None or change.viewer.effective.values[O_SNAPSHOTS] != 1:
        return change
    for log in logs_of(change.viewer):
        if log.limit != NO_LIMIT and log.count and log.stamps[ring_index(log, 0)].seq <= change.seq:
            if log.held is None:
                log.held = {}
            log.held.setdefault(change.seq, []).append(_weakref.ref(change))
    return change


cdef int settle_oldest(Log log) except -1:
    """Save what is known from the oldest record before it is overwritten. Mostly O(1)."""
    cdef uint64_t seq
    cdef list entries = []
    if in_event:                        # it could run Python code; what is not settled in time answers that it is lost
        return 0
    if log.last is not None and log.count == log.limit and log.stamps[ring_index(log, 0)].seq > log.noted:
        note_oldest(log)
    if log.last is not None and not log.held:
        return 0
    if log.held is None or log.count < log.capacity or log.capacity != log.limit or log.count == 0:
        return 0
    if log.stamps[ring_index(log, 0)].seq not in log.held:
        return 0
    # settling goes through all later records, so one walk settles many entries
    seq = log.stamps[ring_index(log, min(log.count - 1, 1 + log.count // 8))].seq
    for held in sorted(log.held):
        if held > seq:
            break
        entries.extend([e for e in [r() for r in log.held.pop(held)] if e is not None])
    if not log.held and log.last is None:
        log.held = None
    if entries:
        settle_entries(entries)
    return 0


cdef struct Seen:
    PyObject *place
    PyObject *key


cdef void rewrite(Change c, Log log, Py_ssize_t at) noexcept:
    # makes a kept change a later one of the same location
    cdef Stamp *stamp = &log.stamps[at]
    cdef Py_ssize_t b = at * SLOTS
    c.seq = stamp.seq
    c.time_ns = stamp.time_ns
    c.index = stamp.index
    c.action_code = stamp.action
    c.method_code = stamp.method
    c.shape = stamp.shape
    c.place = log.objects[b]
    c.key = log.objects[b + 1]
    c.old = log.objects[b + 2]
    c.new = log.objects[b + 3]
    c.scope = log.objects[b + 4]
    c.details = log.objects[b + 5]


cdef int note_oldest(Log log) except -1:
    """Note the last change of every location in the older half of the ring. O(half of the ring)."""
    cdef Py_ssize_t batch = max(1, log.limit // 2)
    cdef Py_ssize_t i, at
    cdef Seen seen[256]
    cdef Seen *slot
    cdef PyObject *place
    cdef PyObject *key
    cdef PyObject *last_place = NULL
    cdef PyObject *kept
    cdef dict marks = None
    cdef dict fresh = {}                # tracker -> keys met in this batch
    cdef set met = None
    cdef bint lists = False
    cdef uint64_t newest = log.stamps[ring_index(log, batch - 1)].seq
    cdef Tracker t
    for i in range(256):
        seen[i].place = NULL
    for i in range(batch - 1, -1, -1):
        at = ring_index(log, i)
        place = PyList_GET_ITEM(<PyObject *>log.objects, at * SLOTS)
        key = PyList_GET_ITEM(<PyObject *>log.objects, at * SLOTS + 1)
        if log.stamps[at].shape == S_SLOT and log.stamps[at].index < 0:
            slot = &seen[(<size_t>key >> 4) & 255]
            if slot.key == key and slot.place == place:
                continue
            slot.key = key
            slot.place = place
        elif log.stamps[at].action > A_REMOVE:
            continue
        if place != last_place:
            t = (<Place>place).tracker
            if t.kind == K_LIST or t.kind == K_DEQUE:
                lists = True
                continue
            last_place = place
            marks = log.last.get(t)
            if marks is None:
                marks = log.last[t] = {}
            met = fresh.get(t)
            if met is None:
                met = fresh[t] = set()
        if log.stamps[at].shape == S_SLOT:
            k = <object>key if pdt_quiet_key(<object>key) else id(<object>key)
            if k in met:
                continue
            met.add(k)
            kept = PyDict_GetItemWithError(marks, k)
            if kept != NULL and (<Change>kept).shape == S_SLOT:
                rewrite(<Change>kept, log, at)
            else:
                marks[k] = change_at(log, i, None)
        else:
            change = change_at(log, i, None)
            for each in keys_of(change):
                k = each if pdt_quiet_key(each) else id(each)
                if k not in met:
                    met.add(k)
                    marks[k] = change
    log.noted = newest
    if lists:
        for i in range(batch):
            note_in_list(log, i)
    return forget_dead(log, fresh, batch)


cdef int forget_dead(Log log, dict fresh, Py_ssize_t batch) except -1:
    """Drop what is kept of dead containers, and of locations that the containers in `fresh` no longer have."""
    if len(log.last) > 64 or batch < 64:
        for node in [each for each in log.last if (<Tracker>each).owner == NULL]:
            del log.last[node]                  # nobody can query a dead container
    for node in fresh:
        if not alive(<Tracker>node):
            log.last.pop(node, None)
        else:
            forget_gone(log, node)
    return 0


cdef int forget_gone(Log log, Tracker t) except -1:
    """Drop marks of locations that no longer exist, once they are too many. O(marks)."""
    cdef dict marks = log.last.get(t)
    cdef Py_ssize_t size
    cdef set there
    if marks is None or t.kind == K_ATTR:
        return 0
    size = PyDict_Size(<object>t.owner) if t.kind == K_DICT else PySet_GET_SIZE(<object>t.owner)
    if PyDict_Size(marks) <= 2 * size + 1000:      # keeps at most 1,000, or as many as there are locations
        return 0
    keys = list(dict.keys(<object>t.owner)) if t.kind == K_DICT else list(set.__iter__(<object>t.owner))
    there = {k if pdt_quiet_key(k) else id(k) for k in keys}
    log.last[t] = {k: change for k, change in marks.items() if k in there}
    return 0


cdef int note_in_list(Log log, Py_ssize_t i) except -1:
    cdef Py_ssize_t at = ring_index(log, i)
    cdef Py_ssize_t next, n
    cdef Stamp *stamp = &log.stamps[at]
    cdef Tracker t = (<Place>log.objects[at * SLOTS]).tracker
    cdef list marks
    if (t.kind != K_LIST and t.kind != K_DEQUE) or stamp.action > A_REMOVE:
        return 0
    if stamp.shape == S_SLOT and stamp.action == A_UPDATE and i + 1 < log.count:
        next = ring_index(log, i + 1)
        if log.stamps[next].shape == S_SLOT and log.stamps[next].action == A_UPDATE and \
                log.stamps[next].index == stamp.index and log.stamps[next].seq <= log.noted and \
                log.objects[next * SLOTS] is log.objects[at * SLOTS]:
            return 0                            # an item that is often written
    if not alive(t):
        log.last.pop(t, None)
        return 0
    marks = log.last.get(t)
    if marks is None:
        later = []
        for n in range(log.count - 1, i - 1, -1):
            next = ring_index(log, n)
            if (<Place>log.objects[next * SLOTS]).tracker is t and log.stamps[next].action <= A_REMOVE:
                later.append(change_at(log, n, None))
        marks = log.last[t] = marks_before(size_of(<object>t.owner, t.kind), later)
        stamp = &log.stamps[at]
    if stamp.shape != S_SLOT:
        mark_change(marks, change_at(log, i, None))
    elif stamp.action == A_REMOVE:
        del marks[stamp.index]
    elif stamp.action == A_UPDATE:
        marks[stamp.index] = change_at(log, i, None)
    elif stamp.index == PyList_GET_SIZE(marks):
        PyList_Append(marks, change_at(log, i, None))
    else:
        PyList_Insert(marks, stamp.index, change_at(log, i, None))
    return 0


cdef object keys_of(Change change):
    if change.shape == S_ROWS:
        return (<tuple>change.new)[::3]
    if change.shape == S_FILL:
        return list(change.new)
    if change.shape == S_ELEMENTS:
        return tuple(change.old) + tuple(change.new)
    return ()


def remembered(Log log):
    """Return ({tracker: its last changes}, newest seq noted) with tracking_remember_last, else (None, 0). O(1)."""
    return log.last, log.noted
