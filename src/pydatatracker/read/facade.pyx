# Owns: plain functions on containers for the Python layer: what a container is, holds and is called.
# May touch: everything, to read; clear_changes drops records.
# Invariant: every function takes a container, or nothing, and returns plain Python data.

def tracker(container):
    """Return the tracker of a tracked container; None for anything else. O(1)."""
    return tracker_of(container)


def describe(container):
    """Return (uuid, name, locked, dropped, Options) of a container. O(places)."""
    cdef Tracker t = tracker_of(container)
    cdef uint64_t dropped = 0
    refresh(t)
    dropped = (<Log>t.active).dropped
    return t.uuid, t.name, bool(t.state & T_LOCKED), dropped, t.effective


def places(container):
    """Return the places of a container as tuples of (key, tracker) from the root down. O(places x depth)."""
    found = []
    for place in places_of(tracker_of(container)):
        steps = []
        while place is not None:
            steps.append(((<Place>place).key, (<Place>place).tracker))
            place = (<Place>place).parent
        steps.reverse()
        found.append(tuple(steps))
    return found


def born(container):
    """Return (time_ns, newest seq at that time) of the container's init. O(1)."""
    cdef Hook hook
    tracker_of(container)               # a container whose __init__ did not run gets its birth here
    hook = hook_of(container)
    return hook.birth.time_ns, hook.birth.seq


def size(container):
    """Return how many items a container holds. O(1)."""
    cdef Tracker t = looked_at(container)
    return len(plain_watched(<WatchedTracker>t)) if t.marks & X_WATCHED else size_of(container, t.kind)


def begun(container):
    """Return whether the container is initialised. O(1)."""
    cdef Hook hook = hook_of(container)
    return hook.birth.time_ns != 0


def expected_size(container):
    """Return how many items a dict, list or set holds if nothing bypassed tracking. O(1)."""
    cdef Tracker t = tracker_of(container)
    cdef Hook hook = hook_of(container)
    return hook.birth.size + t.net


def init_change(container, after):
    """Return the first change of a container, its ``init``, which is derived; ``after`` is its state then. O(1)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    time_ns, seq = born(container)
    return make_change(seq, time_ns, -1, A_INIT, M_INIT, S_WHOLE, new_place(None, None, t), missing, missing, after,
                       None, None, t)


def state_change(container, after):
    """Return an ``init`` with the present state of a container: the first line of a log that begins now. O(1)."""
    cdef Tracker t = tracker_of(container)
    cdef int method = M_AGAIN if writing_graph == PyThread_get_thread_ident() else M_INIT
    refresh(t)
    return make_change(last_seq, pdt_now_ns(), -1, A_INIT, method, S_WHOLE, new_place(None, None, t), missing, missing,
                       after, current_scope(), None, t)


def plain(container):
    """Return the items of a container as an exact dict, list (of a deque, too) or set; of an object, its attributes. O(items)."""
    cdef Tracker t = looked_at(container)
    if t.marks & X_WATCHED:
        return plain_watched(<WatchedTracker>t)
    if t.kind == K_DICT:
        return PyDict_Copy(container)
    if t.kind == K_LIST:
        return list(list.__iter__(container))
    if t.kind == K_SET:
        return set(set.__iter__(container))
    if t.kind == K_DEQUE:
        return list(deque_iter(container))
    return attributes(container)


def contents(container):
    """Return what a container holds: values, items, elements or tracked attributes. O(items)."""
    return contents_of(container)


def children(container):
    """Return the tracked containers that a container holds. O(1) if there are none, else O(items).

    Of a watched object that is gone, those that it held last: nothing counts them any more.
    """
    cdef Tracker t = tracker_of(container)
    if t.owner == NULL and t.marks & X_WATCHED:
        return [each for each in contents_of_tracker(t) if tracker_of(each) is not None]
    if not t.children:
        return []
    return [each for each in contents_of(container) if tracker_of(each) is not None]


def settings(container):
    """Return the dict in which the package keeps what belongs to a container. O(1)."""
    cdef Rare rare = rare_of(tracker_of(container))
    if rare.settings is None:
        rare.settings = {}
    return rare.settings


def clear_changes(container):
    """Drop the records of the container's tree. O(records)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    for log in logs_of(t):
        held = (<Log>log).held
        (<Log>log).held = None
        if held:
            entries = [e for refs in held.values() for e in [r() for r in refs] if e is not None]
            settle_entries(entries)
        clear_log(<Log>log)
        if (<Log>log).last is not None:
            (<Log>log).last = {}
            (<Log>log).held = {}


def bare_class_name(cls):
    """Return the name of a class. Its metaclass is not asked. O(1)."""
    return class_name(cls)


def is_quiet(key):
    """True if hashing and comparing key runs no user code. O(1)."""
    return pdt_quiet_key(key)


def newest_seq():
    """Return the sequence number of the newest change in the process. O(1)."""
    return last_seq


def places_looked_up():
    """Return how often a container's place was looked up in this process, which tests count. O(1)."""
    return places_found


def error_count():
    """Return how often observers failed in this process. O(1)."""
    return observer_errors


def use_system_clock(bint only):
    """True: read the system clock for every record, so that instruction counts repeat. False: use native/clock.h."""
    pdt_clock_setup(only)


pdt_clock_setup(False)
