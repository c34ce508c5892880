# Owns: changes that are made and could not be recorded for want of memory, and children that could not be linked.
# May touch: trackers, links, the epoch; it records through `record_special`.
# Invariants:
#  - keeping a change for later takes no memory: the entries exist from the start;
#  - while something waits, the epoch is newer than every tracker. So every mutator and every query, which bring their
#    tracker up to date first, records what waits before they do anything, or raise MemoryError and do nothing;
#  - a change that waits has its seq, time and scope, and nothing is recorded before it.

cdef enum:
    LATER = 16                          # a mutator that fails ends, so one or two are used


cdef list waiting_changes = []          # the first `waiting_count` of them are in use
cdef int waiting_count = 0
cdef list waiting_trackers = [None] * LATER     # whose children have to be linked anew, or whose steps wait
cdef int waiting_tracker_count = 0
cdef bint recording_later = False


def _make_entries():
    for _ in range(LATER):
        waiting_changes.append(Change.__new__(Change))


_make_entries()


ctypedef int (*refresher)(Tracker) noexcept


cdef int brought_up_to_date(Tracker t) except -1:
    """As `refresh`, after a change; False if there is no memory."""
    if (<refresher>refresh)(t) == 0:
        return True
    return 0 if pdt_no_memory() else -1


cdef int later(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
               object new, Extra extra, uint64_t seq) except -1:
    """Keep a change that is made, and raise MemoryError. seq: 0 if the change has none yet. O(1)."""
    global waiting_count, last_seq
    cdef Change c
    cdef PyObject *scope
    if seq == 0:
        last_seq += 1
        seq = last_seq
    if waiting_count < LATER:
        PyErr_Clear()                       # of the scope, perhaps
        scope = pdt_scope_or_null() if scope_instead is missing else <PyObject *>scope_instead
        if scope == NULL:
            PyErr_Clear()
            scope = <PyObject *>None
        c = <Change>waiting_changes[waiting_count]
        waiting_count += 1
        c.seq = seq
        c.time_ns = pdt_now_ns()
        c.index = index
        c.action_code = action
        c.method_code = method
        c.shape = shape
        c.key = key
        c.old = old
        c.new = new
        c.scope = <object>scope
        c.details = extra
        c.viewer = t
        forget_scope_of_call()
        bump()
    raise MemoryError


cdef void later_with(Tracker t) noexcept:
    """Note that children of t have to be linked, or steps of a bulk call to be recorded, when there is memory. O(1)."""
    global waiting_tracker_count
    cdef int i
    for i in range(waiting_tracker_count):
        if waiting_trackers[i] is t:
            return
    if waiting_tracker_count < LATER:
        waiting_trackers[waiting_tracker_count] = t
        waiting_tracker_count += 1
        bump()


cdef int record_what_waits() except -1:
    """Record and link what waits. O(items) for each container that waits."""
    global waiting_count, waiting_tracker_count, recording_later, scope_instead
    cdef Change c
    cdef Change change
    cdef Tracker t
    cdef object scope
    cdef list notes = []
    cdef int i
    if recording_later:
        return 0
    recording_later = True
    try:
        for i in range(waiting_tracker_count):
            t = <Tracker>waiting_trackers[i]
            if alive(t):
                link_anew(t)
        while waiting_count:
            c = <Change>waiting_changes[0]
            t = c.viewer
            change = None
            refresh(t)
            if not t.state & T_QUIET:
                scope = scope_instead
                scope_instead = c.scope
                try:
                    change = record_special(t, c.action_code, c.method_code, c.shape, c.index, c.key, c.old, c.new,
                                            c.details, c.seq, c.time_ns)
                finally:
                    scope_instead = scope
                    if written_seq == c.seq:
                        forget_first()
            else:
                forget_first()
            if change is not None and t.state & T_NOTIFY:
                notes.append((t, change))
        while waiting_tracker_count:
            t = <Tracker>waiting_trackers[waiting_tracker_count - 1]
            if t.state & T_PENDING and alive(t):
                flush_kept(t)
            waiting_tracker_count -= 1
            waiting_trackers[waiting_tracker_count] = None
    except:
        bump()
        raise
    finally:
        recording_later = False
    notify_later(notes)
    return 0


cdef int forget_first() except -1:
    global waiting_count
    cdef int i
    cdef Change first = <Change>waiting_changes[0]
    waiting_count -= 1
    for i in range(waiting_count):
        waiting_changes[i] = waiting_changes[i + 1]
    waiting_changes[waiting_count] = first
    first.key = first.old = first.new = first.scope = first.viewer = first.details = None
    return 0


cdef int link_anew(Tracker t) except -1:
    """Make the links of all children right, some of which may be missing or count too little. O(items)."""
    cdef Link link
    cdef list held = contents_of(<object>t.owner)
    cdef bint indexed = t.kind == K_LIST or t.kind == K_DEQUE
    for child in held:
        ct = tracker_of(child)
        if ct is not None:
            link = link_to(<Tracker>ct, t)
            if link is not None:
                t.children -= <int32_t>link.count
                link.count = 0
    if t.kind == K_DICT:
        held = list(dict.items(<object>t.owner))
    elif t.kind == K_LIST:
        if t.state & T_PENDING:             # the steps of a bulk call are linked when they are recorded
            held = held[:t.rare.pending.start]
        held = list(enumerate(held))
    elif t.kind == K_DEQUE:
        held = list(enumerate(held))
    elif t.kind == K_SET:
        held = [(missing, child) for child in held]
    else:
        held = [(name, value) for name, value in attributes_of(<object>t.owner) if is_monitored(t, name)]
    for key, child in held:
        ct = tracker_of(child)
        if ct is not None:
            link = link_to(<Tracker>ct, t)
            if link is not None and link.count == 0:
                link.key = None if indexed else key
                link.hint = key if indexed else 0
                link.count = 1
                t.children += 1
            else:
                make_link(t, child, None if indexed else key, key if indexed else 0)
    return 0
