# Owns: facade

def tracker(container):
    """Tracker of a tracked container; None for anything else. O(1)."""
    return tracker_of(container)


def describe(container):
    """(uuid, name, locked, dropped, Options) of a container. O(places)."""
    cdef Tracker t = tracker_of(container)
    cdef uint64_t dropped = 0
    refresh(t)
    dropped = (<Log>t.active).dropped
    return t.uuid, t.name, bool(t.state & T_LOCKED), dropped, t.settled


def places(container):
    """Places of a container, as tuples of (key, tracker) from the root down. O(places x depth)."""
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
    """(time_ns, newest seq before) of the container's init. O(1)."""
    tracker_of(container)
    if isinstance(container, DictHook):
        return (<DictHook>container).born_ns, (<DictHook>container).born_seq
    if isinstance(container, ListHook):
        return (<ListHook>container).born_ns, (<ListHook>container).born_seq
    if isinstance(container, SetHook):
        return (<SetHook>container).born_ns, (<SetHook>container).born_seq
    return (<AttrHook>container).born_ns, (<AttrHook>container).born_seq


def expected_size(container):
    """How many items a dict, list or set holds if nothing wrote round it. O(1)."""
    cdef Tracker t = tracker_of(container)
    if t.kind == K_DICT:
        return (<DictHook>container).born_len + t.net
    if t.kind == K_LIST:
        return (<ListHook>container).born_len + t.net
    return (<SetHook>container).born_len + t.net


def init_change(container, after):
    """The derived first change of a container: its init, with ``after`` as it was then."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    time_ns, seq = born(container)
    return make_change(seq, time_ns, -1, A_INIT, M_INIT, S_WHOLE, new_place(None, None, t), missing, missing, after,
                       None, None, t)


def state_change(container, after):
    """An ``init`` that says what a container holds now: the first line of a log that begins here."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    return make_change(last_seq, pdt_now_ns(), -1, A_INIT, M_INIT, S_WHOLE, new_place(None, None, t), missing, missing,
                       after, pdt_scope_object(), None, t)


def plain(container):
    """A container's items as an exact dict, list or set; a tracked object's attributes as a dict. O(items)."""
    cdef Tracker t = tracker_of(container)
    if t.kind == K_DICT:
        return PyDict_Copy(container)
    if t.kind == K_LIST:
        return list(list.__iter__(container))
    if t.kind == K_SET:
        return set(set.__iter__(container))
    return attributes(container)


def contents(container):
    """What a container holds: values, items, elements, tracked attributes. O(items)."""
    return contents_of(container)


def children(container):
    """The tracked containers that a container holds. O(1) if there are none, else O(items)."""
    cdef Tracker t = tracker_of(container)
    if not t.children:
        return []
    return [each for each in contents_of(container) if tracker_of(each) is not None]


def settings(container):
    """The dict in which later layers keep what belongs to a container. O(1)."""
    cdef Rare rare = rare_of(tracker_of(container))
    if rare.settings is None:
        rare.settings = {}
    return rare.settings


def clear_changes(container):
    """Forget the records of the container's tree. O(records)."""
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


def is_quiet(key):
    """True if comparing key runs no user code. O(1)."""
    return pdt_quiet_key(key)


def newest_seq():
    """Sequence number of the newest change in the process."""
    return last_seq


def error_count():
    """How many observers failed so far in this process."""
    return observer_errors


def use_system_clock(bint only):
    """Read the system clock for every record (instruction counts then repeat), or count on between readings."""
    pdt_clock_setup(only)


pdt_clock_setup(False)
