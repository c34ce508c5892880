# Owns: commit

cdef int commit(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old, object new,
                int32_t growth) except -1:
    """Record what happened to the container of t; growth is how much longer it is now."""
    global last_seq
    cdef Py_ssize_t i
    cdef uint64_t seq
    if t.epoch != epoch:
        refresh(t)
    t.version += 1
    t.net += growth
    if t.state & T_SPECIAL:
        return commit_special(t, action, method, shape, index, key, old, new)
    last_seq += 1
    seq = last_seq
    i = push(t.active, seq, pdt_now_ns(), action, method, shape, index, <PyObject *>t.place, <PyObject *>key,
             <PyObject *>old, <PyObject *>new, pdt_scope(), <PyObject *>None)
    if not ((pdt_plain(new) or new is missing) and (pdt_plain(old) or old is missing)):
        return elaborate(t, i, seq, shape, old, new)
    if t.epoch == epoch and (<Log>t.active).held is not None:
        settle_oldest(<Log>t.active)
    return 0


cdef int elaborate(Tracker t, Py_ssize_t i, uint64_t seq, int shape, object old, object new) except -1:
    cdef Log log
    if t.epoch != epoch:            # dropping the oldest record ran somebody's code
        refresh(t)
    log = <Log>t.active
    extra = text_for(None, shape, old, new)
    if extra is not None:
        set_extra(log, i, seq, extra)
    if log.held is not None:
        settle_oldest(log)
    return 0


cdef int commit_special(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                        object new) except -1:
    """Ask what guards the place, record, tell observers."""
    cdef list waiting = None
    cdef Change change
    cdef int gc
    if t.state & T_QUIET:
        return 0
    if t.state & T_PENDING and t.kind != K_LIST and waits(t):
        waiting = flush_first(t)    # steps of a bulk call that came while our key's __eq__ ran
    if t.state & T_GUARD and action <= A_REMOVE and method != M_ROLLBACK:
        ask_guards(t, action, method, shape, index, key, old, new)
        if t.epoch != epoch:
            refresh(t)
    gc = pdt_pause_gc()
    try:
        change = record_special(t, action, method, shape, index, key, old, new)
    finally:
        pdt_resume_gc(gc)
    if waiting:
        tell_later(waiting)
    if change is not None and t.state & T_NOTIFY:
        notify(t, change)
    return 0


cdef int ask_guards(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                    object new) except -1:
    cdef Extra extra = None
    if t.state & T_SEVERAL:
        extra = Extra.__new__(Extra)
        extra.places = tuple([p for target in targets_kept(t) for p in <tuple>(<tuple>target)[1]][1:])
    look_at_guards(t, make_change(last_seq + 1, pdt_now_ns(), index, action, method, shape, t.place, key, old, new,
                                  pdt_scope_object(), extra, t))
    return 0


cdef Change record_special(Tracker t, int action, int method, int shape, Py_ssize_t index, object key, object old,
                           object new):
    """Write the record; the change, if somebody is to be told."""
    global last_seq
    cdef Log log
    cdef Log first
    cdef Extra extra = None
    cdef Py_ssize_t i = -1
    cdef Place place = t.place
    cdef uint64_t seq
    cdef int64_t time_ns
    cdef list written = None
    cdef list targets = None
    cdef object scope
    cdef Change change
    cdef tuple given
    if t.state & T_REDACT and action <= A_REMOVE:
        given = redacted(t, shape, index, key, old, new)
        shape, key, old, new = given
    if t.state & T_NOVALUES:
        if shape == S_SORT:
            new = order_of(old, new)
            old = missing
            shape = S_ORDER
        elif shape == S_ORDER or shape == S_REVERSE or shape == S_WHOLE:
            pass                        # they hold no values
        elif shape == S_SPLICE or shape == S_ROWS or shape == S_ELEMENTS:
            old = old if old is missing else kept_all(old)
            new = kept_all(new)
        elif shape == S_FILL:
            shape = S_ROWS
            new = tuple([each for k, v in (<dict>new).items() for each in (kept(k), missing, kept(v))])
        else:
            key = key if pdt_plain(key) or key is missing else kept(key)
            old = kept(old)
            new = kept(new)
    last_seq += 1
    seq = last_seq
    time_ns = pdt_now_ns()
    scope = scope_for_this()
    first = <Log>t.active
    if t.state & T_SEVERAL:
        written = []
        targets = targets_kept(t)
        for target in targets:
            log = (<tuple>target)[0]
            places = <tuple>(<tuple>target)[1]
            extra = None
            if len(places) > 1:
                extra = Extra.__new__(Extra)
                extra.places = places[1:]
            if log.limit == 0:
                log.dropped += 1
                log.last_dropped = seq
                i = -1
            else:
                i = push(<PyObject *>log, seq, time_ns, action, method, shape, index, <PyObject *>places[0],
                         <PyObject *>key, <PyObject *>old, <PyObject *>new, <PyObject *>scope, <PyObject *>extra)
            written.append((log, i, extra, places[0]))
    elif t.state & T_NORING:
        first.dropped += 1
        first.last_dropped = seq
        i = -1
    else:
        i = push(<PyObject *>first, seq, time_ns, action, method, shape, index, <PyObject *>place, <PyObject *>key,
                 <PyObject *>old, <PyObject *>new, <PyObject *>scope, <PyObject *>None)
    if t.state & T_PENDING and t.kind == K_LIST and t.owner != NULL:
        t.rare.pending.start = PyList_GET_SIZE(<object>t.owner)
    # The record stands
    if written is None:
        extra = special_extra(t, None, shape, old, new)
        if extra is not None and i >= 0:
            set_extra(first, i, seq, extra)
        if first.held is not None:
            settle_oldest(first)
    else:
        for log, i, extra, place in written:
            extra = special_extra(t, extra, shape, old, new)
            if extra is not None and i >= 0:
                set_extra(log, i, seq, extra)
            if log.held is not None:
                settle_oldest(log)
        # observers may sit above any of the places: they get a change that knows all of them
        everywhere = [each for target in targets for each in <tuple>(<tuple>target)[1]]
        place = <Place>everywhere[0]
        extra = Extra.__new__(Extra)
        extra.places = tuple(everywhere[1:])
        extra = special_extra(t, extra, shape, old, new)
    if t.state & (T_NOTIFY | T_JOURNAL):
        change = make_change(seq, time_ns, index, action, method, shape, place, key, old, new, scope, extra, t)
        if t.state & T_JOURNAL:
            keep_in_journal(t, change)
        return change
    return None


cdef object scope_for_this():
    # the scope of the call whose steps are recorded, or the current one
    global scope_instead
    if scope_instead is missing:
        return <object>pdt_scope()
    scope = scope_instead
    scope_instead = missing
    return scope


cdef Extra special_extra(Tracker t, Extra extra, int shape, object old, object new):
    extra = text_for(extra, shape, old, new)
    if t.state & T_STACK:
        if extra is None:
            extra = Extra.__new__(Extra)
        extra.stack = capture_stack(t.settled.stack)
    return extra
