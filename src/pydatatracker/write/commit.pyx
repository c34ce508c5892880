# Owns: the one function through which every change becomes a record.
# May touch: the tracker, the ring; guards, redaction, journal and observers, in this order.
# Invariants:
#  - a hook calls `commit` once per change, after the builtin did its work;
#  - nothing that could run Python code or start the collector comes between the change and its record, except a guard
#    and a function given as tracking_redact;
#  - observers are notified last, when the record is complete.
#  - a change that cannot be recorded for want of memory is kept, and recorded before anything else (write/later.pyx).
# commit() is the hot path. It updates the tracker (mostly one comparison), takes number, time and scope, and calls
# `push`. Everything rare is behind one test of flags, in commit_special().

cdef int commit(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old, object new,
                int32_t growth) except -1:
    """Record a change of the container of t, which has `growth` more items now. O(1) amortized."""
    global last_seq
    cdef Py_ssize_t i
    cdef uint64_t seq
    cdef PyObject *scope
    if t.epoch != epoch and not brought_up_to_date(t):
        t.version += 1
        t.net += growth
        return later(t, action, method, shape, index, key, old, new, None, 0)
    t.version += 1
    t.net += growth
    if t.state & T_SPECIAL:
        if t.state & T_SPECIAL != T_NOTIFY:
            return commit_special(t, action, method, shape, index, key, old, new, None)
        if is_wanted(t, action, shape, index, key):
            return commit_told(t, action, method, shape, index, key, old, new)
    last_seq += 1
    seq = last_seq
    scope = pdt_scope_or_null()
    i = -1 if scope == NULL else push(t.active, seq, pdt_now_ns(), action, method, shape, index, <PyObject *>t.place, <PyObject *>key,
             <PyObject *>old, <PyObject *>new, scope, <PyObject *>None)
    if i < 0:
        return later(t, action, method, shape, index, key, old, new, None, seq)
    if not ((pdt_plain(new) or new is missing) and (pdt_plain(old) or old is missing)):
        if t.epoch != epoch:            # overwriting the oldest record ran user code
            refresh(t)
        return complete(<Log>t.active, i, seq, with_summaries(None, shape, old, new, None))
    if t.epoch != epoch:                # overwriting the oldest record freed a container, or ran user code
        refresh(t)
    if (<Log>t.active).held is not None:
        settle_oldest(<Log>t.active)
    return 0


ctypedef PyObject *(*extra_maker)() noexcept
ctypedef PyObject *(*change_maker)(uint64_t, int64_t, Py_ssize_t, int, int, int, PyObject *, PyObject *, PyObject *,
                                   PyObject *, PyObject *, PyObject *, PyObject *) noexcept


cdef int commit_told(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                     object new) except -1:
    """Record a change that observers want and that needs nothing else: of plain values, it is the ordinary record."""
    global last_seq
    cdef Py_ssize_t i = -1
    cdef uint64_t seq
    cdef int64_t now
    cdef PyObject *scope
    cdef PyObject *made = NULL
    cdef int gc
    if t.marks & X_WATCHED or scope_instead is not missing or not (
            (pdt_plain(new) or new is missing) and (pdt_plain(old) or old is missing)):
        return commit_special(t, action, method, shape, index, key, old, new, None)
    gc = pdt_pause_gc()
    last_seq += 1
    seq = last_seq
    now = pdt_now_ns()
    scope = pdt_scope_or_null()
    if scope != NULL:
        made = (<change_maker>make_change)(seq, now, index, action, method, shape, <PyObject *>t.place, <PyObject *>key,
                                           <PyObject *>old, <PyObject *>new, scope, <PyObject *>None, <PyObject *>t)
        if made != NULL:
            i = push(t.active, seq, now, action, method, shape, index, <PyObject *>t.place, <PyObject *>key,
                     <PyObject *>old, <PyObject *>new, scope, <PyObject *>None)
    pdt_resume_gc(gc)
    if i < 0:
        Py_XDECREF(made)
        return later(t, action, method, shape, index, key, old, new, None, seq)
    try:
        if t.epoch != epoch:            # overwriting the oldest record freed a container, or ran user code
            refresh(t)
        if (<Log>t.active).held is not None:
            settle_oldest(<Log>t.active)
        return notify(t, <Change>made)
    finally:
        give_back(made)


cdef Extra new_extra():
    return Extra.__new__(Extra)


cdef int commit_beside(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                       object new, int32_t growth, object beside) except -1:
    """As commit, for a dict's record with a place among the keys (I_...); beside: Extra.beside, if it has one."""
    global last_seq
    cdef Py_ssize_t i
    cdef uint64_t seq
    cdef PyObject *scope
    cdef PyObject *made
    cdef int gc
    cdef Extra extra = None
    if index != I_FIRST:
        gc = pdt_pause_gc()
        made = (<extra_maker>new_extra)()
        pdt_resume_gc(gc)
        if made == NULL:                # no memory: the order is lost, the change is not
            PyErr_Clear()
            index = I_LAST
        else:
            extra = <Extra>made
            Py_DECREF(extra)
            extra.beside = beside
    if t.epoch != epoch and not brought_up_to_date(t):
        t.version += 1
        t.net += growth
        return later(t, action, method, shape, index, key, old, new, extra, 0)
    t.version += 1
    t.net += growth
    if t.state & T_SPECIAL:
        return commit_special(t, action, method, shape, index, key, old, new, extra)
    last_seq += 1
    seq = last_seq
    scope = pdt_scope_or_null()
    i = -1 if scope == NULL else push(t.active, seq, pdt_now_ns(), action, method, shape, index, <PyObject *>t.place, <PyObject *>key,
             <PyObject *>old, <PyObject *>new, scope, <PyObject *>extra)
    if i < 0:
        return later(t, action, method, shape, index, key, old, new, extra, seq)
    if t.epoch != epoch:
        refresh(t)
    return complete(<Log>t.active, i, seq, with_summaries(extra, shape, old, new, None))


cdef int complete(Log log, Py_ssize_t i, uint64_t seq, Extra extra) except -1:
    """Add `extra` to record i (-1: the log keeps no records), then save what the next record overwrites."""
    if extra is not None and i >= 0:
        set_extra(log, i, seq, extra)
    if log.held is not None:
        settle_oldest(log)
    return 0


cdef int commit_special(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                        object new, Extra extra) except -1:
    """Record a change that needs more than a push: guards, redaction, several places, observers ..."""
    global last_seq
    cdef list waiting = None
    cdef Change change
    cdef uint64_t seq = 0
    cdef int gc
    if t.state & T_QUIET:
        return 0
    try:
        if t.state & T_PENDING and t.kind != K_LIST and waits(t):
            waiting = flush_first(t)    # steps of a bulk call that another thread made while the __eq__ of our key ran
        if t.state & T_GUARD and action <= A_REMOVE and method != M_ROLLBACK:
            ask_guards(t, action, method, shape, index, key, old, new)
            if t.epoch != epoch:
                refresh(t)
        gc = pdt_pause_gc()
        try:
            last_seq += 1
            seq = last_seq
            change = record_special(t, action, method, shape, index, key, old, new, extra, seq, pdt_now_ns())
        finally:
            pdt_resume_gc(gc)
    except MemoryError:
        if seq == 0 or written_seq != seq:
            return later(t, action, method, shape, index, key, old, new, extra, seq)
        raise
    if waiting:
        notify_later(waiting)
    if change is not None and t.state & T_NOTIFY:
        notify(t, change)
    return 0


cdef int ask_guards(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                    object new) except -1:
    """Let guards, and `tracking_untracked`, refuse a change that is not recorded yet. O(guards), O(items)."""
    cdef list rows = None
    cdef list everywhere
    if not t.marks & X_WATCHED and t.effective.values[O_UNTRACKED] > 0:
        rows = untracked_in_change(t, shape, index, key, new)
    if not guarding and not rows:
        return 0
    everywhere = places_in(targets_of(t))
    change = make_change(last_seq + 1, pdt_now_ns(), index, action, method, shape, t.place, key, old, new,
                         current_scope(), at_places(None, tuple(everywhere[1:])), t)
    if rows:
        report_stored(t, rows, change)
    if guarding:
        check_guards(t, change)
    return 0


cdef uint64_t written_seq = 0           # seq of the newest record that record_special wrote


cdef Change record_special(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                           object new, Extra given, uint64_t seq, int64_t time_ns):
    """Prepare, write and finish a record; return the change if observers or a journal need it, else None.

    What needs memory comes first. If it fails, nothing is written; afterwards `written_seq` is seq.
    """
    global written_seq
    cdef Py_ssize_t i = -1
    cdef Log log = <Log>t.active
    cdef Place place = t.place
    cdef list targets = None            # several places: (log, places in its tree)
    cdef list extras = None             # and what is added to the record in each
    cdef list slots = None
    cdef Extra extra
    cdef Extra whole
    cdef Change change = None
    cdef object scope
    cdef tuple real = None              # what is not recorded as it is: (shape, key, old, new) for the journal
    cdef object mark = None
    cdef Extra beside = given
    cdef Py_ssize_t given_index = index
    if t.state & (T_REDACT | T_NOVALUES):
        real = (shape, key, old, new)
        shape, key, old, new, mark = recordable(t, action, shape, index, key, old, new)
        if given is not None and t.state & T_NOVALUES and not pdt_quiet_key(given.beside):
            given = None                # a key that is not kept, or positions beside such
            index = I_LAST
    scope = scope_of_call()
    extra = whole = details(t, shape, old, new, given, mark)
    if mark is not None and extra is not None:
        extra.rules = mark
    if t.state & T_SEVERAL:
        whole = at_places(extra, t.rare.places)     # observers can be above any of them
        whole.left_out = t.rare.left_out
        targets = targets_of(t)
        if len(targets) == 1:
            targets = None
            extra = whole
        else:
            # no comprehension: where its list cannot grow, Cython 3.3 drops the item twice
            extras = [None] * len(targets)
            for i in range(len(targets)):
                extras[i] = at_places(extra, (<tuple>(<tuple>targets[i])[1])[1:])
    if targets is not None:
        for target, _ in targets:
            if not has_room(<Log>target):
                raise MemoryError
    elif not has_room(log):
        raise MemoryError
    if t.state & (T_NOTIFY | T_JOURNAL):
        change = make_change(seq, time_ns, index, action, method, shape, place, key, old, new, scope, whole, t)
        if t.state & T_JOURNAL:
            keep_in_journal(t, change, change if real is None else make_change(
                seq, time_ns, given_index, action, method, real[0], place, real[1], real[2], real[3], scope,
                with_beside(whole, beside), t))
    if t.marks & X_WATCHED:
        key, old, new = kept_value(key), kept_values(shape, old), kept_values(shape, new)
    forget_scope_of_call()
    written_seq = seq
    if targets is None:
        write(log, seq, time_ns, action, method, shape, index, place, key, old, new, scope, extra)
    else:
        for i in range(len(targets)):
            write(<Log>(<tuple>targets[i])[0], seq, time_ns, action, method, shape, index,
                  <Place>(<tuple>(<tuple>targets[i])[1])[0], key, old, new, scope, <Extra>extras[i])
    if t.state & T_PENDING and t.kind == K_LIST and t.owner != NULL:
        t.rare.pending.start = PyList_GET_SIZE(<object>t.owner)
    if targets is None:
        if log.held is not None:
            settle_oldest(log)
    else:
        for target, _ in targets:
            if (<Log>target).held is not None:
                settle_oldest(<Log>target)
    return change


cdef tuple recordable(Tracker t, int action, int shape, Py_ssize_t index, object key, object old, object new):
    """Step 1, prepare: return (shape, key, old, new, mark of the rules) without what may not be recorded. O(values)."""
    cdef object mark = None
    cdef list rules
    if t.state & T_REDACT and action <= A_REMOVE:
        rules = rules_for(t)
        shape, key, old, new = redacted(rules, t, shape, index, key, old, new, False)
        mark = mark_of(rules)
    if t.state & T_NOVALUES:
        shape, key, old, new = without_values(shape, key, old, new, mark)
    return shape, key, old, new, mark


cdef tuple without_values(int shape, object key, object old, object new, object mark):
    """Return (shape, key, old, new) with summaries in place of values (tracking_keep_values=False)."""
    if shape == S_SORT:
        return S_ORDER, key, missing, order_of(old, new)
    if shape == S_ORDER or shape == S_REVERSE or shape == S_ROTATE or shape == S_WHOLE:
        return shape, key, old, new             # they have no values
    if shape == S_SPLICE or shape == S_ROWS or shape == S_ELEMENTS:
        return shape, key, old if old is missing else kept_all(old, mark), kept_all(new, mark)
    if shape == S_FILL:
        return S_ROWS, key, old, tuple([each for k, v in (<dict>new).items()
                                          for each in (kept(k, mark), missing, kept(v, mark))])
    return shape, key if pdt_plain(key) or key is missing else kept(key, mark), kept(old, mark), kept(new, mark)


cdef inline Py_ssize_t write(Log log, uint64_t seq, int64_t time_ns, int action, int method, int shape,
                             Py_ssize_t index, Place place, object key, object old, object new, object scope,
                             Extra extra) noexcept:
    """Step 2, write: push the record into one log, which has room; return its slot, -1 if the log keeps no records."""
    if log.limit == 0:
        log.dropped += 1
        log.last_dropped = seq
        return -1
    return push(<PyObject *>log, seq, time_ns, action, method, shape, index, <PyObject *>place, <PyObject *>key,
                <PyObject *>old, <PyObject *>new, <PyObject *>scope, <PyObject *>extra)


cdef Extra details(Tracker t, int shape, object old, object new, Extra given, object mark):
    """Return the summaries and the stack of a record, or None."""
    cdef Extra extra = with_summaries(given, shape, old, new, mark)
    if t.state & T_STACK and (given is None or given.between is None and given.stack is None):
        if extra is None:
            extra = Extra.__new__(Extra)
        extra.stack = capture_stack(t.effective.values[O_STACK])
    return extra


cdef Extra with_beside(Extra extra, Extra beside):
    """Return extra with where a dict's key was or came, which a record without values may lack."""
    if beside is None or beside is extra:
        return extra
    return at_places(beside, () if extra is None or extra.places is None else <tuple>extra.places)


cdef object scope_of_call():
    """Return the scope of the bulk call whose steps are being recorded, or the current one."""
    return current_scope() if scope_instead is missing else scope_instead


cdef inline void forget_scope_of_call():
    global scope_instead
    scope_instead = missing
