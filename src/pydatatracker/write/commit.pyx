# One door: every mutation becomes a record here, after the builtin did its work.
#
# commit() is the whole hot path: bring the place up to date (one comparison mostly), number, clock,
# scope, push. What is rare hangs behind one test of flags; words are made only for values that
# could change later, after the record stands, so that nothing that allocates comes between.

cdef class Extra:
    """What only some records have."""

    def __repr__(self):
        return f"Extra(old_text={self.old_text!r}, new_text={self.new_text!r}, places={self.places!r})"


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


cdef bint needs_words(object value, int depth):
    # could what we would say of this value change later?
    cdef Py_ssize_t i
    if pdt_plain(value) or value is missing:
        return False
    if PyTuple_CheckExact(value):
        if depth > 3:
            return True
        for i in range(min(PyTuple_GET_SIZE(value), 3 * WORDS_ITEMS)):
            if needs_words(<object>PyTuple_GET_ITEM(value, i), depth + 1):
                return True
        return False
    return pdt_builtin_container(value) or isinstance(value, AttrHook)


cdef bint items_need_words(object items):
    # only those that the words would show
    cdef Py_ssize_t n = 0
    for item in items:
        if needs_words(item, 1):
            return True
        n += 1
        if n > WORDS_ITEMS:
            break
    return False


cdef Extra text_for(Extra extra, int shape, object old, object new):
    """Words for what could change later."""
    cdef object old_text = None
    cdef object new_text = None
    if shape == S_SLOT:
        if needs_words(old, 0):
            old_text = words(old)
        if needs_words(new, 0):
            new_text = words(new)
    elif shape == S_SPLICE or shape == S_ELEMENTS:
        if items_need_words(old):
            old_text = words(list(old[:WORDS_ITEMS + 1]))
        if items_need_words(new):
            new_text = words(list(new[:WORDS_ITEMS + 1]))
    elif shape == S_FILL:
        if not pdt_dict_of_scalars(new):
            new_text = words(new)
    elif shape == S_ROWS and needs_words(new, 0):
        old_text = words_of_rows(new, 1)
        new_text = words_of_rows(new, 2)
    if old_text is None and new_text is None:
        return extra
    if extra is None:
        extra = Extra.__new__(Extra)
    extra.old_text = old_text
    extra.new_text = new_text
    return extra


cdef str words_of_rows(tuple rows, int which):
    cdef list parts = ["{"]
    cdef Py_ssize_t room = WORDS_CHARS
    cdef Py_ssize_t i
    cdef Py_ssize_t n = 0
    for i in range(0, len(rows) - 2, 3):
        if rows[i + which] is missing:
            continue
        if n:
            parts.append(", ")
        if n == WORDS_ITEMS or room <= 0:
            parts.append("...")
            break
        say(rows[i], parts, &room, 1)
        parts.append(": ")
        say(rows[i + which], parts, &room, 1)
        n += 1
        room -= 4
    parts.append("}")
    return "".join(parts)


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


cdef enum:
    MAX_FRAMES = 512

cdef object capture_stack(int depth):
    """The calling frames as ((code, ...), instruction offsets), innermost first. O(depth), no text."""
    cdef PyObject *codes[MAX_FRAMES]
    cdef int offsets[MAX_FRAMES]
    cdef PyObject *frame = pdt_frame()
    cdef PyObject *back
    cdef Py_ssize_t i
    cdef Py_ssize_t n = 0
    cdef object instructions
    cdef tuple result
    if depth > MAX_FRAMES:
        depth = MAX_FRAMES
    while frame != NULL and n < depth:
        codes[n] = pdt_frame_code(frame)
        offsets[n] = pdt_frame_lasti(frame)
        n += 1
        back = pdt_frame_back(frame)
        Py_DECREF(<object>frame)
        frame = back
    Py_XDECREF(frame)
    result = PyTuple_New(n)
    for i in range(n):
        Py_INCREF(<object>codes[i])
        PyTuple_SET_ITEM(result, i, <object>codes[i])
        Py_DECREF(<object>codes[i])
    instructions = (<char *>offsets)[:n * sizeof(int)]
    return result, instructions


cdef tuple order_of(tuple before, tuple after):
    """New position -> old position, by identity; equal objects that are one keep their order. O(n)."""
    cdef dict places = {}
    cdef Py_ssize_t i
    for i in range(len(before)):
        places.setdefault(id(before[i]), []).append(i)
    for queue in places.values():
        (<list>queue).reverse()
    return tuple([(<list>places[id(item)]).pop() for item in after])


cdef void refuse(Tracker t) except *:
    raise TrackingLockedError(
        f"{class_name(t.cls)}{'' if t.rare is None or t.rare.name is None else ' ' + repr(t.rare.name)} is locked"
        f" ({'by lock()' if t.state & T_LOCK_SELF else 'a container above it is'}); call unlock() first"
    )


def stack_of_caller(int depth):
    """The calling frames, as records keep them; the Python frame that asks is left out. O(depth)."""
    frames = capture_stack(depth + 1)
    return frames[0][1:], frames[1][sizeof(int):]
