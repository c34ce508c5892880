# What the Python layer sees of the core: changes taken out of the ring, and plain functions on containers.

cdef object entry_class = None      # ChangeLogEntry, set by the package
cdef object settle_entries = None   # called with a list of entries whose record is about to leave the ring
cdef list process_ids = [(0, 0, _os.urandom(8).hex())]     # (last seq, last number, random part) at every fork


cdef str uuid_text(uint64_t number, bint container):
    # what happened before a fork keeps its id on both sides of it
    cdef Py_ssize_t i = len(process_ids) - 1
    while i > 0 and number <= <uint64_t>(<tuple>process_ids[i])[1 if container else 0]:
        i -= 1
    return f"{(<tuple>process_ids[i])[2]}{number | (<uint64_t>container << 63):016x}"


def _forked():
    global line_pid
    line_pid = 0
    process_ids.append((last_seq, last_number, _os.urandom(8).hex()))
    forget_telling()


if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_forked)


cdef class Change:
    """One record, taken out of the ring; fields as recorded, see record/codes.pyx for shapes."""

    @property
    def uuid(self):
        """Id of this change: 32 hex digits, the same from wherever it is seen. O(1)."""
        if self.action_code == A_INIT:
            return uuid_text(self.place.tracker.number | <uint64_t>1 << 62, True)
        return uuid_text(self.seq, False)

    @property
    def _node(self):
        return self.place.tracker

    @property
    def _shape(self):
        return SHAPES[self.shape]

    @property
    def _withholds(self):
        return self.place.tracker.state & T_REDACT != 0

    def _withheld(self, key, value):
        """Value of the place ``key``, without what tracking_redact names below it."""
        if not self.place.tracker.state & T_REDACT:
            return value
        places = [self.place]
        if self.rare is not None and self.rare.places is not None:
            places.extend(self.rare.places)
        return without_secrets(rules_of(places), (key,), value, 0)

    @property
    def _bases(self):
        return bases(self, self.viewer)

    @property
    def _order(self):
        if self.shape == S_SORT:
            return order_of(self.old, self.new)
        if self.shape == S_ORDER:
            return self.new
        return tuple(range(self.index - 1, -1, -1))

    def _seen_from(self, Tracker viewer):
        return seen_from(self, viewer)


cdef Change make_change(uint64_t seq, int64_t time_ns, Py_ssize_t index, int action, int method, int shape,
                        Place place, object key, object old, object new, object scope, object extra, Tracker viewer):
    cdef Change c = <Change>pdt_new(entry_class)
    c.seq = seq
    c.time_ns = time_ns
    c.index = index
    c.action_code = action
    c.method_code = method
    c.shape = shape
    c.place = place
    c.key = key
    c.old = old
    c.new = new
    c.scope = scope
    c.rare = extra
    c.viewer = viewer
    return c


cdef Change seen_from(Change c, Tracker viewer):
    """The same change, from another container: in the viewer's own tree, where it happened in several."""
    cdef Place place = c.place
    cdef Extra extra = c.rare
    if extra is not None and extra.places is not None:
        top = root_of(place) if runs_through(place, viewer) else None
        inside = []
        for each in (place, *<tuple>extra.places):
            if runs_through(<Place>each, viewer) and (top is None or root_of(<Place>each) is top):
                top = root_of(<Place>each)
                inside.append(each)
        if inside:
            place = <Place>inside[0]
            extra = Extra.__new__(Extra)
            extra.stack = c.rare.stack
            extra.old_text = c.rare.old_text
            extra.new_text = c.rare.new_text
            extra.places = tuple(inside[1:]) or None
    return make_change(c.seq, c.time_ns, c.index, c.action_code, c.method_code, c.shape, place, c.key, c.old,
                       c.new, c.scope, extra, viewer)


cdef Change change_at(Log log, Py_ssize_t i, Tracker viewer):
    # record number i, 0 = oldest
    cdef Py_ssize_t at = ring_index(log, i)
    cdef Stamp *stamp = &log.stamps[at]
    cdef Py_ssize_t b = at * SLOTS
    return make_change(stamp.seq, stamp.time_ns, stamp.index, stamp.action, stamp.method, stamp.shape,
                       log.objects[b], log.objects[b + 1], log.objects[b + 2], log.objects[b + 3],
                       log.objects[b + 4], log.objects[b + 5], viewer)


cdef int settle_oldest(Log log) except -1:
    """Before the oldest record is overwritten, let entries that somebody holds keep their answers."""
    cdef uint64_t seq
    cdef list entries = []
    if log.last is not None and log.count == log.limit and log.stamps[ring_index(log, 0)].seq > log.noted:
        note_oldest(log)
    if log.last is not None and not log.held:
        return 0
    if log.held is None or log.count < log.capacity or log.capacity != log.limit or log.count == 0:
        return 0
    if log.stamps[ring_index(log, 0)].seq not in log.held:
        return 0
    # the way back is long, so many are settled on one
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


def is_quiet(key):
    """True if comparing key runs no user code. O(1)."""
    return pdt_quiet_key(key)


cdef Change watched(Change change):
    """With snapshots on: settle change before its record leaves the ring, as they follow from later records."""
    cdef Log log
    if change.viewer.settled is None or change.viewer.settled.snapshots != 1:
        return change
    for log in logs_of(change.viewer):
        if log.limit != NO_LIMIT and log.count and log.stamps[ring_index(log, 0)].seq <= change.seq:
            if log.held is None:
                log.held = {}
            log.held.setdefault(change.seq, []).append(_weakref.ref(change))
    return change


cdef list logs_of(Tracker t):
    """All logs that t is known to have written to and that still live, its present one last."""
    cdef list logs = []
    refresh(t)
    if t.rare is not None and t.rare.past is not None:
        for ref, seq in t.rare.past:
            log = ref()
            if log is not None and log not in logs:
                logs.append(log)
    if t.log is not None and t.log not in logs:
        logs.append(t.log)
    for target in targets_of(t):
        log = (<tuple>target)[0]
        if log in logs:
            logs.remove(log)
        logs.append(log)
    return logs


def lost_seq(container):
    """Newest seq that a change of this container may have had in a log that died with its root; 0 if none did. O(logs)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    if t.rare is None or t.rare.past is None:
        return 0
    return max([seq for ref, seq in t.rare.past if ref() is None], default=0)


cdef bint concerns(Log log, Py_ssize_t i, Tracker viewer, dict known):
    # is record i of log at or below viewer? Remembered by place.
    cdef Place place = log.objects[i * SLOTS]
    found = known.get(id(place))
    if found is None:
        found = runs_through(place, viewer)
        known[id(place)] = found
    if found:
        return True
    extra = log.objects[i * SLOTS + 5]
    if extra is not None and (<Extra>extra).places is not None:
        for other in <tuple>(<Extra>extra).places:
            if runs_through(<Place>other, viewer):
                return True
    return False


def changes_of(container, uint64_t after=0, Py_ssize_t most_recent=-1):
    """Changes at or below container, oldest first, seq > after. O(records of its logs)."""
    cdef Tracker t = tracker_of(container)
    return collect(t, logs_of(t), after, most_recent)


cdef list collect(Tracker t, list logs, uint64_t after, Py_ssize_t most_recent):
    cdef list found = []
    cdef list part
    cdef Log log
    cdef Py_ssize_t i
    cdef dict known
    cdef bint whole
    cdef set seqs
    for log in logs:
        part = []
        known = {}
        whole = t.place is not None and t.place.parent is None and log is t.log and not t.state & T_SEVERAL and \
            (t.rare is None or t.rare.past is None)
        for i in range(log.count - 1, -1, -1):
            if i >= log.count or log.stamps[ring_index(log, i)].seq <= after or len(part) == most_recent:
                break
            if whole or concerns(log, ring_index(log, i), t, known):
                part.append(watched(change_at(log, i, t)))
        part.reverse()
        if not found:
            found = part
        elif part:
            seqs = {(<Change>c).seq for c in found}
            found.extend([c for c in part if (<Change>c).seq not in seqs])
            found.sort(key=_seq_of)
    if most_recent >= 0 and len(found) > most_recent:
        found = found[len(found) - most_recent:]
    return found


def _seq_of(Change c):
    return c.seq


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


def own_options(container):
    """Options as given to this container, or None."""
    return tracker_of(container).options


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


def configure(container, Options options, name):
    """Set options and name of a new container."""
    cdef Tracker t
    if options is None and name is None:
        return
    t = tracker_of(container)
    if options is not None:
        t.options = merged(options, t.options) if t.options is not None else options
    if name is not None:
        rare_of(t).name = name
    t.epoch = 0
    if t.children:
        bump()


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


def set_lock(container, bint locked):
    """Lock or unlock; True if that changed anything."""
    return set_lock_as(container, locked, M_LOCK if locked else M_UNLOCK)


cdef bint set_lock_as(container, bint locked, int method) except -1:
    cdef Tracker t = tracker_of(container)
    refresh(t)
    if bool(t.state & T_LOCK_SELF) == locked:
        return False
    if locked:
        t.state |= T_LOCK_SELF
    else:
        t.state &= ~T_LOCK_SELF
    bump()
    commit(t, A_LOCK if locked else A_UNLOCK, method, S_WHOLE, -1, missing, missing, missing, 0)
    return True


def set_name_lock(container, str name, bint locked):
    """Lock or unlock one attribute; True if that changed anything."""
    return set_name_lock_as(container, name, locked, M_LOCK if locked else M_UNLOCK)


cdef bint set_name_lock_as(container, str name, bint locked, int method) except -1:
    cdef Tracker t = tracker_of(container)
    cdef Rare rare = rare_of(t)
    if rare.locked_names is None:
        rare.locked_names = set()
    if (name in rare.locked_names) == locked:
        return False
    if locked:
        rare.locked_names.add(name)
        t.state |= T_LOCKED_NAMES
    else:
        rare.locked_names.discard(name)
        if not rare.locked_names:
            t.state &= ~T_LOCKED_NAMES
    commit(t, A_LOCK if locked else A_UNLOCK, method, S_WHOLE, -1, name, missing, missing, 0)
    return True


cdef void drop_dead_observers(Rare rare) except *:
    # weak ones whose function is gone; replaced, never changed: somebody may be reading it
    cdef Observer o
    if rare.observers is None:
        return
    for o in rare.observers:
        if o.weak and o.call() is None:
            rare.observers = tuple([o for o in rare.observers if not (o.weak and o.call() is None)]) or None
            return


def add_observer(container, Observer observer):
    """Register; takes effect after a notification that is going on. O(observers)."""
    cdef Rare rare = rare_of(tracker_of(container))
    drop_dead_observers(rare)
    rare.observers = tuple(sorted((rare.observers or ()) + (observer,), key=lambda o: (<Observer>o).priority))
    bump()


def remove_observer(container, call):
    """Remove every registration of call; how many there were. O(observers)."""
    cdef Rare rare = rare_of(tracker_of(container))
    cdef Observer o
    if rare.observers is None:
        return 0
    keep = []
    for o in rare.observers:
        held = o.call() if o.weak else o.call
        if held is call or (not o.weak and _same_method(held, call)) or (o.weak and _same_method(held, call)):
            continue
        if o.weak and held is None:
            continue
        keep.append(o)
    gone = len(rare.observers) - len(keep)
    rare.observers = tuple(keep) or None
    bump()
    return gone


def _same_method(a, b):
    # a bound method is made anew at every access
    return (a is not None and getattr(a, "__self__", None) is not None and getattr(a, "__func__", a) is
            getattr(b, "__func__", b) and a.__self__ is getattr(b, "__self__", None))


def observers_of(container):
    """The observers registered on this container, in order."""
    cdef Tracker t = tracker_of(container)
    if t.rare is None or t.rare.observers is None:
        return ()
    return tuple([o.call() if (<Observer>o).weak else o.call for o in t.rare.observers])


def set_process_observer(call):
    """Tell call of every change in the process (None: nobody); returns the one before."""
    global process_observer
    before = process_observer
    process_observer = call
    bump()
    return before


def use_system_clock(bint only):
    """Read the system clock for every record (instruction counts then repeat), or count on between readings."""
    pdt_clock_setup(only)


pdt_clock_setup(False)


def newest_seq():
    """Sequence number of the newest change in the process."""
    return last_seq


def error_count():
    """How many observers failed so far in this process."""
    return observer_errors




def history_setup(marks, mark, redact):
    """Called once by the package: functions of the layers above."""
    global new_marks, mark_list, compile_redact
    new_marks, mark_list, compile_redact = marks, mark, redact


def setup(entry, settle, errors, dict_class, list_class, set_class):
    """Called once by the package: the classes and functions of the layers above."""
    global entry_class, settle_entries, on_observer_error, dict_type, list_type, set_type
    entry_class = entry
    settle_entries = settle
    on_observer_error = errors
    dict_type, list_type, set_type = dict_class, list_class, set_class


cdef object dict_type = None        # what plain containers become when they are converted
cdef object list_type = None
cdef object set_type = None


cdef object converted(object value, Options options, dict memo):
    """A plain dict, list or set as a tracked one, with what is in it; anything else as it is. O(items)."""
    cdef type cls = type(value)
    if cls is not dict and cls is not list and cls is not set:
        return value
    Py_EnterRecursiveCall(" while nested data was made tracked")
    try:
        return converted_one(value, cls, options, memo)
    finally:
        Py_LeaveRecursiveCall()


cdef object converted_one(object value, type cls, Options options, dict memo):
    cdef Tracker t
    if memo is None:
        memo = {}
    elif id(value) in memo:
        return memo[id(value)]
    if cls is dict:
        made = (<type>dict_type).__new__(dict_type)
        memo[id(value)] = made
        begin(made, options)
        PyDict_Merge(made, value, 1)
        (<DictHook>made).born_len = PyDict_Size(made)
        convert_values(made, options, memo)
    elif cls is list:
        made = (<type>list_type).__new__(list_type)
        memo[id(value)] = made
        begin(made, options)
        for item in list(value):
            list.append(made, converted(item, options, memo))
        (<ListHook>made).born_len = PyList_GET_SIZE(made)
    else:
        made = (<type>set_type).__new__(set_type)
        memo[id(value)] = made
        begin(made, options)
        set.update(made, value)
        (<SetHook>made).born_len = PySet_GET_SIZE(made)
    t = tracker_of(made)
    link_all(t)
    return made


cdef int convert_values(object made, Options options, dict memo) except -1:
    # storing under a key that is there may be done while iterating
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    while PyDict_Next(made, &position, &key, &value):
        k = <object>key
        v = <object>value
        if not pdt_plain(v):
            w = converted(v, options, memo)
            if w is not v:
                PyDict_SetItem(made, k, w)
    return 0


cdef int begin(object made, Options options) except -1:
    cdef Tracker t
    if isinstance(made, DictHook):
        (<DictHook>made).born_ns = pdt_now_ns()
        (<DictHook>made).born_seq = last_seq
    elif isinstance(made, ListHook):
        (<ListHook>made).born_ns = pdt_now_ns()
        (<ListHook>made).born_seq = last_seq
    else:
        (<SetHook>made).born_ns = pdt_now_ns()
        (<SetHook>made).born_seq = last_seq
    t = tracker_of(made)
    t.options = options
    return 0


def convert(value, Options options):
    """Turn nested plain data into tracked data; tuples and other objects are left alone. O(items)."""
    return converted(value, options, None)


cdef inline object convert_for(Tracker t, object value):
    # what a store into t really stores
    if t.state & T_CONVERT and not pdt_plain(value) and not pdt_heap_type(value):
        return converted(value, t.settled, None)
    return value


def logs(container):
    """The logs a container is known to have written to and that still live. O(logs)."""
    return logs_of(tracker_of(container))


def log_changes(Log log, uint64_t after):
    """All changes in a log with seq > after, oldest first. O(changes found)."""
    cdef list found = []
    cdef Py_ssize_t i
    for i in range(log.count - 1, -1, -1):
        if i >= log.count or log.stamps[ring_index(log, i)].seq <= after:
            break
        found.append(change_at(log, i, None))
    found.reverse()
    return found


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


def changed_since(container, uint64_t seq):
    """True if a tracked container, or anything below it now, changed after change seq. O(items + changes since)."""
    cdef Log log
    cdef Py_ssize_t i, at
    cdef set trackers = set()
    cdef list logs = []
    cdef list todo
    if last_seq <= seq or tracker_of(container) is None:
        return False
    todo = [container]
    while todo:
        each = todo.pop()
        t = tracker_of(each)
        if t not in trackers:
            trackers.add(t)
            for one in logs_of(t):
                if one not in logs:
                    logs.append(one)
            todo.extend(children(each))
    for log in logs:
        for i in range(log.count - 1, -1, -1):
            at = ring_index(log, i)
            if log.stamps[at].seq <= seq:
                break
            if (<Place>log.objects[at * SLOTS]).tracker in trackers:
                return True
    return False


def is_below(Tracker t, container):
    """True if the container of t lives, and is the other container or somewhere below it, now. O(ancestors).

    Goes up every link, also one that closes a cycle.
    """
    cdef Tracker top = tracker_of(container)
    cdef Tracker each
    cdef Link link
    cdef list todo
    cdef set seen
    if t is top:
        return True
    if not alive(t):
        return False
    todo = [t]
    seen = {t.number}
    while todo:
        each = <Tracker>todo.pop()
        link = each.link
        while link is not None:
            if link.parent is top:
                return True
            if link.parent.number not in seen and alive(link.parent):
                seen.add(link.parent.number)
                todo.append(link.parent)
            link = link.next
    return False


def seen_by(Change change, container):
    """True if the change happened at or below container. O(places x depth)."""
    cdef Tracker top = tracker_of(container)
    if runs_through(change.place, top):
        return True
    if change.rare is not None and change.rare.places is not None:
        for place in <tuple>change.rare.places:
            if runs_through(<Place>place, top):
                return True
    return False


def matches(Change change, pattern, container):
    """True if the change, seen from container, is at a path that a compiled glob matches. O(places x depth)."""
    return touches(pattern, change, tracker_of(container))


def matches_at(Change change, pattern, container, key):
    """True if a compiled glob matches the place ``key`` of the container that changed, or that container."""
    for base in bases(change, tracker_of(container)):
        if glob_matches(pattern, 0, base, 0) or glob_matches(pattern, 0, base + (key,), 0):
            return True
    return False


def settings(container):
    """The dict in which later layers keep what belongs to a container. O(1)."""
    cdef Rare rare = rare_of(tracker_of(container))
    if rare.settings is None:
        rare.settings = {}
    return rare.settings


def begin_rebuild(container, Options options, name):
    """A container made by copy or pickle: quiet until end_rebuild."""
    cdef Tracker t
    if isinstance(container, DictHook):
        (<DictHook>container).born_ns = pdt_now_ns()
    elif isinstance(container, ListHook):
        (<ListHook>container).born_ns = pdt_now_ns()
    elif isinstance(container, SetHook):
        (<SetHook>container).born_ns = pdt_now_ns()
    t = tracker_of(container)
    if options is not None:
        t.options = options
    if name is not None:
        rare_of(t).name = name
    t.state |= T_QUIET
    t.epoch = 0


def end_rebuild(container):
    """The container is whole: its life begins here."""
    cdef Tracker t = tracker_of(container)
    if isinstance(container, DictHook):
        (<DictHook>container).born_ns = pdt_now_ns()
        (<DictHook>container).born_seq = last_seq
        (<DictHook>container).born_len = PyDict_Size(container)
    elif isinstance(container, ListHook):
        (<ListHook>container).born_ns = pdt_now_ns()
        (<ListHook>container).born_seq = last_seq
        (<ListHook>container).born_len = PyList_GET_SIZE(container)
    elif isinstance(container, SetHook):
        (<SetHook>container).born_ns = pdt_now_ns()
        (<SetHook>container).born_seq = last_seq
        (<SetHook>container).born_len = PySet_GET_SIZE(container)
    else:
        (<AttrHook>container).born_ns = pdt_now_ns()
        (<AttrHook>container).born_seq = last_seq
    t.net = 0
    t.state &= ~T_QUIET
    t.epoch = 0


def relink(container):
    """Link what a container got without its hooks; what was linked stays. O(items)."""
    cdef Tracker t = tracker_of(container)
    if t.children == 0:
        if t.kind == K_ATTR:
            link_attributes(container)
        else:
            link_all(t)


def state_change(container, after):
    """An ``init`` that says what a container holds now: the first line of a log that begins here."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    return make_change(last_seq, pdt_now_ns(), -1, A_INIT, M_INIT, S_WHOLE, new_place(None, None, t), missing, missing,
                       after, pdt_scope_object(), None, t)


cdef object pdt_scope_object():
    return <object>pdt_scope()
