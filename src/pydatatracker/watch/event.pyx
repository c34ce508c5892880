# Owns: turning the events of watched dicts into records, and what has to wait until an event is over.
# May touch: the trackers of watched objects, links, `commit`.
# Invariants:
#  - an event comes before the change, and CPython is in the middle of it. So nothing here may run Python code: no
#    observer, no __del__, no __hash__ or __eq__ of a key, and no collection (from CPython 3.12 on, memory starts none);
#  - what would run Python code waits for the next safe moment (`settle_events`), which comes within a few instructions;
#  - the callback raises nothing. A change that it could not record is a gap: in the log it belongs to, which then knows
#    no earlier state, and for observers, as far as they mark gaps.

cdef enum:
    MISSED_LOGS = 16        # logs with a gap that observers have yet to hear of; of more, only the logs know

cdef int in_event = 0                   # events in progress
cdef list told_later = []               # (tracker, change) to notify of at the next safe moment
cdef list freed_later = []              # what records let go during an event
cdef bint settle_is_due = False
cdef uint64_t missed_events = 0         # changes in the process that could not be recorded
cdef PyObject *missed_by[MISSED_LOGS]    # a tracker for each log whose observers have not heard of it yet
cdef int missed_logs = 0
cdef int method_instead = -1            # method of the record that the next event makes, or -1


ctypedef int (*event_taker)(WatchedTracker, int, PyObject *, PyObject *) noexcept


cdef int on_event(int event, PyObject *d, PyObject *key, PyObject *value) noexcept:
    global in_event
    cdef PyObject *tracker = pdt_watched_find(d)
    if tracker == NULL or (d == ignored and event != PDT_DEALLOCATED):
        return 0
    in_event += 1
    if event == PDT_MODIFIED and stored_plainly(<WatchedTracker>tracker, d, key, value):
        in_event -= 1
        return 0
    Py_INCREF(<object>tracker)
    if (<event_taker>take_event)(<WatchedTracker>tracker, event, key, value) < 0:
        PyErr_Clear()
        miss(<WatchedTracker>tracker)
    in_event -= 1
    Py_DECREF(<object>tracker)
    return 0


cdef inline bint stored_plainly(WatchedTracker t, PyObject *d, PyObject *key, PyObject *value) noexcept:
    """Record that a plain value takes the place of another under a str, as `slot_event` would, and return True. O(1).

    False, and nothing is done, where there is more to it: observers, stacks, children, compared objects beside.
    """
    global last_seq
    cdef PyObject *old
    cdef PyObject *scope
    if (t.state & T_SPECIAL or t.epoch != epoch or t.nearby is not None or t.is_module or method_instead >= 0
            or not pdt_plain(<object>value) or not PyUnicode_CheckExact(<object>key)):
        return False
    if t.link is not None and (t.link.next is not None or t.link.parent.marks & X_COMPARED):
        return False
    old = pdt_value_of_same(d, key)
    if old == NULL or not pdt_plain(<object>old) or (<Log>t.active).held is not None:
        return False
    scope = pdt_scope_or_null()
    if scope == NULL or push(t.active, last_seq + 1, pdt_now_ns(), A_UPDATE, M_SETATTR if t.kind == K_ATTR else M_SETITEM,
                             S_SLOT, -1, <PyObject *>t.place, key, old, value, scope, <PyObject *>None) < 0:
        PyErr_Clear()
        return False
    last_seq += 1
    t.version += 1
    return True


cdef void miss(WatchedTracker gone_by) noexcept:
    """Note that the log of a tracker lacks a change. O(1), and needs no memory."""
    global missed_events, last_seq, missed_logs
    cdef Tracker t = gone_by
    cdef int i
    missed_events += 1
    last_seq += 1
    if not t.epoch:
        # it has never recorded, and its log is that of the watch, or of the tracked container
        t = gone_by.home.node if gone_by.home.nodes is None else gone_by.home.top
    if t is not None and t.active != NULL:
        (<Log>t.active).missed += 1
        (<Log>t.active).last_missed = last_seq
        for i in range(missed_logs):
            if (<Tracker>missed_by[i]).active == t.active:
                break
        else:
            if missed_logs < MISSED_LOGS:
                Py_INCREF(t)
                missed_by[missed_logs] = <PyObject *>t
                missed_logs += 1
    settle_soon()


cdef int tell_of_missed() except -1:
    """Let exporters mark the gap in each log. O(observers)."""
    global missed_logs
    cdef Place step
    cdef Tracker t
    error = MemoryError("a change of watched data could not be recorded")
    while missed_logs:
        missed_logs -= 1
        t = <Tracker>missed_by[missed_logs]
        Py_DECREF(t)
        if t.place is None or t.active == NULL:
            continue                        # nobody observes it
        change = make_change((<Log>t.active).last_missed, pdt_now_ns(), -1, A_UPDATE, M_FOUND, S_WHOLE, t.place, missing,
                             missing, missing, None, None, t)
        step = t.place
        while step is not None:
            for call in observers_of(step.tracker):
                if call is not None:
                    tell_missed(call, change, error)
            step = step.parent
        if process_observer is not None:
            tell_missed(process_observer, seen_from(change, root_of(t.place)), error)
    return 0


cdef int take_event(WatchedTracker t, int event, PyObject *key, PyObject *value) except -1:
    if in_doubt is not None:
        settle_doubt()
        if t.owner == NULL:
            return 0
    if event == PDT_DEALLOCATED:
        return dying(t)
    if t.state & T_QUIET:
        return 0
    if t.nearby is not None or t.link is not None:
        look_near(t)
    if event <= PDT_DELETED:
        slot_event(t, event, <object>key, missing if value == NULL else <object>value)
    elif event == PDT_CLEARED:
        cleared(t)
    else:
        cloned(t, <object>key)
    return settle_loose() if loose else 0


cdef int commit_watched(WatchedTracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                        object new, int32_t growth, Extra extra) except -1:
    """As `commit`; what the record keeps of values is in keep.pyx."""
    if extra is None and shape == S_SLOT and (pdt_plain(old) or old is missing) and (
            pdt_plain(new) or new is missing) and PyUnicode_CheckExact(key):
        return commit(t, action, method, shape, index, key, old, new, growth)
    if t.epoch != epoch:
        refresh(t)
    t.version += 1
    t.net += growth
    return commit_special(t, action, method, shape, index, key, old, new, extra)


ctypedef int (*follower)(WatchedTracker, object, object, Py_ssize_t) noexcept


cdef int slot_event(WatchedTracker t, int event, object key, object value) except -1:
    cdef PyObject *stored
    cdef PyObject *beside = NULL
    cdef Tracker ct
    cdef object old
    cdef Extra extra = None
    cdef int where, method
    if t.is_module and is_hidden(t, key):
        return 0
    old = missing
    if event != PDT_ADDED:
        old = held_before(t, event, key, NULL if value is missing else <PyObject *>value, &stored)
        if stored == NULL:
            return doubt(t, event, key, value)
        key = <object>stored
        if old is missing:
            event = PDT_ADDED
    if event == PDT_DELETED:
        where = spot_of(t, key, &beside)
    if old is not missing and t.children and not pdt_plain(old):
        ct = tracker_of(old)
        if ct is not None:
            untie(t, ct, key)
    if value is not missing and not pdt_plain(value) and (<follower>follow)(t, value, key, 0) < 0:
        PyErr_Clear()                       # no memory: the change is recorded, and what is below is untracked
    method = method_for(t, event == PDT_DELETED)
    if event == PDT_DELETED:
        if where == PDT_LAST:
            return commit_watched(t, A_REMOVE, method, S_SLOT, I_LAST, key, old, missing, -1, None)
        if where != I_FIRST:
            extra = Extra.__new__(Extra)
            extra.beside = None if beside == NULL else kept_value(<object>beside)
        return commit_watched(t, A_REMOVE, method, S_SLOT, where, key, old, missing, -1, extra)
    return commit_watched(t, A_ADD if event == PDT_ADDED else A_UPDATE, method, S_SLOT, -1, key, old, value,
                          event == PDT_ADDED, None)


cdef int spot_of(WatchedTracker t, object key, PyObject **beside) except -100:
    """Return where a key is that is about to be removed. O(1); O(items) where only Python code could hash it."""
    if pdt_hash_is_quiet(key):
        return pdt_spot_of(<object>t.owner, key, PyObject_Hash(key), beside)
    t.turn_of_keys = pdt_position_of_same(<object>t.owner, key, t.turn_of_keys)
    return PDT_LAST if t.turn_of_keys < 0 else pdt_spot_at(<object>t.owner, t.turn_of_keys, beside)


cdef inline int method_for(WatchedTracker t, bint deletes):
    global method_instead
    cdef int method = method_instead
    if method >= 0:
        return method
    if t.kind == K_ATTR:
        return M_DELATTR if deletes else M_SETATTR
    return M_DELITEM if deletes else M_SETITEM


cdef int cleared(WatchedTracker t) except -1:
    """Record clear(): of a dict as one record, of an object as one for each attribute. O(items)."""
    cdef list rows = []
    cdef Py_ssize_t n = 0
    cdef Tracker ct
    for key, value in list((<dict>t.owner).items()):
        if is_hidden(t, key):
            continue
        if t.children and not pdt_plain(value):
            ct = tracker_of(value)
            if ct is not None:
                untie(t, ct, key)
        if t.kind == K_ATTR:
            commit_watched(t, A_REMOVE, M_DELATTR, S_SLOT, I_FIRST, key, value, missing, 0, None)
        else:
            rows.extend((key, value, missing))
            n += 1
    if rows:
        commit_watched(t, A_REMOVE, M_CLEAR, S_ROWS, I_LAST, missing, missing, tuple(rows), <int32_t>-n, None)
    return 0


cdef int cloned(WatchedTracker t, object source) except -1:
    """Record that an empty dict takes all items of another at once. O(items)."""
    cdef list rows = []
    cdef bint is_quiet = True
    for key, value in list((<dict>source).items()):
        if not pdt_plain(value):
            follow(t, value, key, 0)
        if t.kind == K_ATTR:
            commit_watched(t, A_ADD, M_SETATTR, S_SLOT, -1, key, missing, value, 0, None)
        elif not pdt_quiet_key(key):
            is_quiet = False                # a copy of the dict could compare it
    if t.kind == K_ATTR or not PyDict_Size(source):
        return 0
    if is_quiet:
        return commit_watched(t, A_ADD, M_UPDATE, S_FILL, -1, missing, missing, PyDict_Copy(source),
                              <int32_t>PyDict_Size(source), None)
    for key, value in list((<dict>source).items()):
        rows.extend((key, missing, value))
    return commit_watched(t, A_ADD, M_UPDATE, S_ROWS, I_LAST, missing, missing, tuple(rows),
                          <int32_t>PyDict_Size(source), None)


ctypedef bint (*step_of_end)(WatchedTracker) noexcept


cdef bint done(step_of_end step, WatchedTracker t) noexcept:
    """Take one step of the end of an object; without memory note a gap, and go on: what has ended has to leave the table."""
    cdef bint answer = step(t)
    if PyErr_Occurred() == NULL:
        return answer
    PyErr_Clear()
    miss(t)
    return False


cdef bint frozen(WatchedTracker t) noexcept:
    return done(<step_of_end>freeze, t)


cdef int dying(WatchedTracker t) except -1:
    """A watched dict, or the dict of a watched object, is being freed. O(items)."""
    if t.way == Y_ATTR and done(<step_of_end>moved_to_another_dict, t):
        return 0
    if t.born_as is not None:
        return end_instance(t)
    if t.is_root or t.link is not None:     # a link: a compared object lost it, which its record will say
        t.in_log = True
    if t.link is not None and t.link.key is ATTRIBUTES and t.link.parent.owner != NULL:
        (<WatchedTracker>t.link.parent).last_attributes = t     # which is about to end, too, or ending already
    end_noticed(t, True)
    return 0


cdef int end_noticed(WatchedTracker t, bint is_freed) except -1:
    settle_doubt()
    frozen(t)
    done(<step_of_end>untie_all, t)
    if t.log is not None and not t.is_root:
        put_aside(t.log)                    # its records may be the last to refer to what has a __del__
    return let_go(t, is_freed)


cdef bint moved_to_another_dict(WatchedTracker t) except? False:
    """True if a dict ends because its object was given another ``__dict__``; its tracker goes on with that. O(items)."""
    cdef PyObject *instance = living_instance(t)
    cdef PyObject *taken
    cdef object before = <object>t.owner
    cdef object now
    if instance == NULL or Py_REFCNT(instance) == 0 or not pdt_has_dict(<object>instance):
        return False
    if pdt_dict_of(<object>instance) == NULL or pdt_dict_of(<object>instance) == t.owner:
        return False
    now = pdt_own_dict(<object>instance)
    if pdt_watched_find(<PyObject *>now) != NULL:
        return False
    pdt_watched_put(now, t)                 # may need memory; all that follows may fail without harm
    taken = pdt_watched_take(before)
    Py_DECREF(<object>taken)
    t.owner = <PyObject *>now
    pdt_set_watching(pdt_watched_count())
    pdt_watch_dict(now)
    if (<attributes_taker>record_attributes)(t, before, now) < 0:
        PyErr_Clear()
        miss(t)
    return True


ctypedef int (*attributes_taker)(WatchedTracker, object, object) noexcept


cdef int record_attributes(WatchedTracker t, object before, object now) except -1:
    """Record what differs between the dict that an object had and the one that it has. O(attributes)."""
    cdef dict had = by_key(before)
    cdef dict has = by_key(now)
    for found, (key, value) in had.items():
        if found not in has:
            replace_attribute(t, key, value, missing)
    for found, (key, value) in has.items():
        old = had[found][1] if found in had else missing
        if old is not value:
            replace_attribute(t, key, old, value)
    return 0


cdef dict by_key(object d):
    """Return the items of a dict by key, or by (address,) of a key whose code comparing could run. O(items)."""
    return {key if pdt_quiet_key(key) else (id(key),): (key, value) for key, value in list((<dict>d).items())}


cdef int replace_attribute(WatchedTracker t, object key, object old, object new) except -1:
    cdef Tracker ct
    if is_hidden(t, key):
        return 0
    if old is not missing and t.children and not pdt_plain(old):
        ct = tracker_of(old)
        if ct is not None:
            untie(t, ct, key)
    if new is not missing:
        follow(t, new, key, 0)
    return commit_watched(t, A_ADD if old is missing else A_REMOVE if new is missing else A_UPDATE,
                          method_for(t, new is missing), S_SLOT, I_LAST, key, old, new, 0, None)


cdef int untie_dying(WatchedTracker p, Tracker ct, object key) except -1:
    """As `untie`, from a parent that ends: what only it held and cannot say when it ends is let go at once."""
    cut_tracker(p, ct, key)
    if ct.marks & X_COMPARED and not is_held(<WatchedTracker>ct):
        close_compared(<WatchedTracker>ct)
    return 0


cdef int close_compared(WatchedTracker first) except -1:
    """Let go of a compared object that nobody is known to hold, and of such objects below it. O(objects)."""
    cdef list todo = [first]
    cdef WatchedTracker t
    while todo:
        t = <WatchedTracker>todo.pop()
        if t.owner == NULL:
            continue
        children = kept_trackers(t)
        let_go(t, False)
        for ct in children:
            if (<Tracker>ct).marks & X_COMPARED and not is_held(<WatchedTracker>ct):
                todo.append(ct)
    return 0


cdef list kept_trackers(WatchedTracker t):
    if t.kept is not None:
        return [each for each in t.kept if isinstance(each, Tracker)]
    return []


# ---- what waits ----------------------------------------------------------------------------------------------

cdef void put_aside(object gone) noexcept:
    """Keep an object until the event is over, because freeing it can run Python code."""
    if in_event:
        Py_INCREF(gone)
        put_aside_record(<PyObject *>gone)


cdef void put_aside_record(PyObject *gone) noexcept:
    """The same for a reference that an overwritten record had; takes it over."""
    if PyList_Append(freed_later, <object>gone) == 0:
        Py_DECREF(<object>gone)
    else:
        PyErr_Clear()                       # no memory: it is never freed
    settle_soon()


cdef int tell_later(Tracker t, Change change) except -1:
    global told_compared
    cdef dict found = {}
    told_compared = found
    mapped(change.shape, change.old, note_compared)
    mapped(change.shape, change.new, note_compared)
    told_compared = None
    told_later.append((t, change, found or None))
    settle_soon()
    return 0


cdef dict told_compared = None          # id -> tracker of the compared objects among the values of one change


cdef object note_compared(object value):
    cdef Tracker t = None if pdt_plain(value) else tracker_of(value)
    if t is not None and t.marks & X_COMPARED:
        told_compared[id(value)] = t
    return value


cdef object or_tracker(object value):
    """Return a value of a change that observers get late; if its watch has ended since, the tracker, which knows what it was."""
    t = told_compared.get(id(value))
    return value if t is None or (<Tracker>t).owner != NULL else t


cdef int mean_trackers(Change change, dict found) except -1:
    """Have a change that observers get late mean compared objects by their trackers, where nothing holds them any more."""
    global told_compared
    told_compared = found
    old, new = mapped(change.shape, change.old, or_tracker), mapped(change.shape, change.new, or_tracker)
    told_compared = None
    change.old = old
    change.new = new
    return 0


cdef void settle_soon() noexcept:
    global settle_is_due
    if not settle_is_due:
        settle_is_due = pdt_call_soon(run_settle) == 0


cdef int run_settle(void *_) noexcept:
    """The pending call. Runs in whichever thread comes first, between two instructions of its program."""
    global settle_is_due
    settle_is_due = False
    if (<settler>settle_events)() < 0:
        if PyErr_ExceptionMatches(Exception):
            PyErr_WriteUnraisable(None)
            return 0
        return -1                           # KeyboardInterrupt, SystemExit: as if it had come here
    return 0


ctypedef int (*settler)() noexcept


cdef int settle_events() except -1:
    """Free and notify what waited for the end of an event."""
    global freed_later, told_later
    if in_event:
        return 0
    settle_doubt()
    follow_newborn()
    if missed_logs:
        tell_of_missed()
    if added_later:
        report_added()
    while freed_later or told_later:
        gone = freed_later
        freed_later = []
        del gone
        told = told_later
        told_later = []
        for t, change, found in told:
            if found is not None:
                mean_trackers(<Change>change, <dict>found)
            notify(<Tracker>t, <Change>change)
    return 0
