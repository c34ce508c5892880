# Owns: the hook of TrackedDeque: a type over that of the standard library, whose layout is private (native/twins.h).
# May touch: the deque below the hook, through deque itself; links, `commit`.
# Invariants:
#  - behaves as deque does, exceptions and maxlen included;
#  - one item is a slot; items at an end are a splice, or rows if others fell out at the other end (maxlen): first what
#    was removed, then what was inserted; rotate is S_ROTATE, reverse S_REVERSE;
#  - extend and the like consume an iterator step by step, as deque does: what is not recorded yet is in Pending.out and
#    Pending.into (hooks/bulk.pyx).

cdef object deque_type = _collections.deque
cdef object maxlen_of = deque_type.maxlen.__get__
cdef object deque_append = deque_type.append
cdef object deque_appendleft = deque_type.appendleft
cdef object deque_pop = deque_type.pop
cdef object deque_popleft = deque_type.popleft
cdef object deque_insert = deque_type.insert
cdef object deque_extend = deque_type.extend
cdef object deque_clear = deque_type.clear
cdef object deque_rotate = deque_type.rotate
cdef object deque_reverse = deque_type.reverse
cdef object deque_iter = deque_type.__iter__
cdef object deque_remove = deque_type.remove
cdef object deque_copy = deque_type.copy


cdef inline Tracker enter_deque(object self):
    return enter(self, field(self, PDT_DEQUE))


cdef object deque_items(object self):
    """Return the items as a tuple. O(items)."""
    return tuple(deque_iter(self))


cdef int put_end(object self, Tracker t, object value, bint left, int method) except -1:
    """Do append or appendleft, and record it with what fell out at the other end. O(1)."""
    cdef Py_ssize_t n = pdt_deque_size(self)
    cdef object gone = missing
    cdef Py_ssize_t at
    if t.state & T_CONVERT:
        value = convert_for(t, value)
    if n:
        gone = pdt_deque_item(self, n - 1 if left else 0)
    if left:
        deque_appendleft(self, value)
    else:
        deque_append(self, value)
    if pdt_deque_size(self) > n:
        at = 0 if left else n
        if pdt_heap_type(value):
            link_child(t, value, None, at)
        if left and t.children:
            bump_below(t)
        return commit(t, A_ADD, method, S_SLOT, at, missing, missing, value, 1)
    if n == 0:
        return 0                        # maxlen=0
    if t.children:
        unlink_child(t, gone, None)
    if pdt_heap_type(value):
        link_child(t, value, None, 0 if left else n - 1)
    if t.children:
        bump_below(t)
    return commit(t, A_UPDATE, method, S_ROWS, -1, missing, missing,
                  (n - 1, gone, missing, 0, missing, value) if left else (0, gone, missing, n - 1, missing, value), 0)


cdef object take_end(object self, Tracker t, bint left, int method):
    """Do pop or popleft, and record it. O(1)."""
    cdef Py_ssize_t n = pdt_deque_size(self)
    cdef object value = deque_popleft(self) if left else deque_pop(self)
    if t.children:
        unlink_child(t, value, None)
        if left:
            bump_below(t)
    commit(t, A_REMOVE, method, S_SLOT, 0 if left else n - 1, missing, value, missing, -1)
    return value


cdef int extend_deque(object self, object iterable, bint left, int method) except -1:
    """Do extend, extendleft or +=. O(items)."""
    cdef Tracker t
    cdef Pending pending
    if iterable is self:
        iterable = deque_items(self)
    iterator = iter(iterable)
    t = enter_deque(self)
    pending = begin_bulk(t, method)
    pending.left = left
    try:
        for value in iterator:
            step_deque(self, t, pending, value, left)
    finally:
        end_bulk(t, pending)
    return 0


cdef int step_deque(object self, Tracker t, Pending p, object value, bint left) except -1:
    cdef Py_ssize_t n
    cdef object gone = missing
    cdef list waiting
    cdef int gc
    if t.epoch != epoch:
        refresh(t)
    if t.state & T_LOCKED:
        refuse(t)
    value = convert_for(t, value)
    gc = pdt_pause_gc()
    try:
        waiting = take_over(t, p)
        n = pdt_deque_size(self)
        if not p.into and not p.out:
            p.start = n
        if n:
            gone = pdt_deque_item(self, n - 1 if left else 0)
        if left:
            deque_appendleft(self, value)
        else:
            deque_append(self, value)
        if pdt_deque_size(self) > n or n > 0:
            p.into.append(value)
            if pdt_deque_size(self) == n:
                p.out.append(gone)
                if t.children:
                    unlink_child(t, gone, None)
            else:
                t.net += 1
            if pdt_heap_type(value):
                link_child(t, value, None, 0 if left else pdt_deque_size(self) - 1)
            t.version += 1
            if t.children:
                bump_below(t)
    finally:
        pdt_resume_gc(gc)
    if waiting:
        notify_later(waiting)
    return 0


cdef int flush_ends(Tracker t, Pending p) except -1:
    """Record the steps of extend or extendleft that wait. O(steps)."""
    global scope_instead
    cdef Py_ssize_t before = p.start
    cdef Py_ssize_t gone, n, at
    cdef list out
    cdef list into
    cdef list rows = []
    cdef int gc
    if not p.into:
        return 0
    gc = pdt_pause_gc()
    try:
        out, into = p.out, p.into
        left = []
        p.out = []
        p.into = left
        gone = min(len(out), before)
        into = into[len(out) - gone:]       # the others came and went within the call
        out = out[:gone]
        if p.left:
            out.reverse()
            into.reverse()
        if out:
            for n in range(gone):
                rows.extend((before - gone + n if p.left else n, out[n], missing))
            at = 0 if p.left else before - gone
            for n in range(len(into)):
                rows.extend((at + n, missing, into[n]))
    finally:
        pdt_resume_gc(gc)
    scope_instead = p.scope
    if rows:
        return commit(t, A_UPDATE, p.method, S_ROWS, -1, missing, missing, tuple(rows), 0)
    return commit(t, A_ADD, p.method, S_SPLICE, 0 if p.left else before, missing, (), into, 0)


cdef int replace_all(object self, Tracker t, tuple before, object after, int method, int shape, Py_ssize_t index,
                     object old, object new, int action) except -1:
    """Let the deque hold other items, and record it as given. O(items)."""
    cdef Py_ssize_t i
    cdef int gc = pdt_pause_gc()
    try:
        deque_clear(self)
        deque_extend(self, after)
        relink_items(self, t, before)
    finally:
        pdt_resume_gc(gc)
    return commit(t, action, method, shape, index, missing, old, new, <int32_t>(pdt_deque_size(self) - len(before)))


cdef int relink_items(object self, Tracker t, tuple before) except -1:
    cdef Py_ssize_t i
    if t.children:
        for item in before:
            if pdt_heap_type(item):
                unlink_child(t, item, None)
    for i, item in enumerate(deque_items(self)):
        if pdt_heap_type(item):
            link_child(t, item, None, i)
    if t.children:
        bump_below(t)
    return 0


cdef int remove_from(object self, Tracker t, Py_ssize_t i, int method) except -1:
    cdef object value = pdt_deque_item(self, i)
    pdt_deque_ass_item(self, i, NULL)
    if t.children:
        unlink_child(t, value, None)
        bump_below(t)
    return commit(t, A_REMOVE, method, S_SLOT, i, missing, value, missing, -1)


cdef int insert_into(object self, Tracker t, Py_ssize_t i, object value, int method) except -1:
    deque_insert(self, i, value)
    if pdt_heap_type(value):
        link_child(t, value, None, i)
    if t.children:
        bump_below(t)
    return commit(t, A_ADD, method, S_SLOT, i, missing, missing, value, 1)


# ---- slots and methods ---------------------------------------------------------------------------

cdef int deque_init(object self, object args, PyObject *given) except -1:
    cdef dict kwargs = {} if given == NULL else <dict>given
    cdef bint again = birth_of(self, PDT_DEQUE).time_ns != 0
    cdef object options = None
    cdef tuple before
    cdef tuple after
    cdef Tracker t
    cdef Py_ssize_t i
    if kwargs:
        options, kwargs = split_options(kwargs)
    if again:
        t = enter_deque(self)
        options_only_once(options)
        before = deque_items(self)
        try:
            pdt_twin_init(PDT_DEQUE, self, args, <PyObject *>kwargs)
        finally:
            after = deque_items(self)
            relink_items(self, t, before)
            if not same_objects(before, after):
                commit(t, A_UPDATE if before and after else A_ADD if after else A_REMOVE, M_INIT, S_SPLICE, 0, missing,
                       before, after, <int32_t>(len(after) - len(before)))
        return 0
    pdt_twin_init(PDT_DEQUE, self, args, <PyObject *>kwargs)
    begin_life(self, K_DEQUE, birth_of(self, PDT_DEQUE))
    t = None
    if has_options(self, options):
        t = converting(self, options)
    for i in range(pdt_deque_size(self)):
        item = pdt_deque_item(self, i)
        if t is not None and not pdt_plain(item) and not pdt_heap_type_of(Py_TYPE(item)):
            item = convert_for(t, item)
            pdt_deque_ass_item(self, i, <PyObject *>item)
        if pdt_heap_type(item) and (tracker_of(item) is not None or (
                pdt_following and follows(hook_of(self).tracker))):
            link_child(tracker_of(self), item, None, i)
    if has_options(self, options):
        report_untracked_now(self)
    return 0


cdef object tracked_append(object self, object value):
    put_end(self, enter_deque(self), value, False, M_APPEND)


cdef object tracked_appendleft(object self, object value):
    put_end(self, enter_deque(self), value, True, M_APPENDLEFT)


cdef object tracked_pop(object self, PyObject *unused):
    return take_end(self, enter_deque(self), False, M_POP)


cdef object tracked_popleft(object self, PyObject *unused):
    return take_end(self, enter_deque(self), True, M_POPLEFT)


cdef object tracked_extend(object self, object iterable):
    extend_deque(self, iterable, False, M_EXTEND)


cdef object tracked_extendleft(object self, object iterable):
    extend_deque(self, iterable, True, M_EXTENDLEFT)


cdef object tracked_iadd(object self, object iterable):
    extend_deque(self, iterable, False, M_IADD)
    return self


cdef object tracked_imul(object self, Py_ssize_t times):
    cdef Tracker t = enter_deque(self)
    cdef Py_ssize_t size = pdt_deque_size(self)
    cdef object maxlen = maxlen_of(self)
    if times <= 0:
        clear_deque(self, t, M_IMUL)
    elif times > 1 and size:
        if size > PY_SSIZE_T_MAX // times:
            raise MemoryError()
        times -= 1
        if maxlen is not None:
            times = min(times, <Py_ssize_t>maxlen // size + 1)
        extend_deque(self, deque_items(self) * times, False, M_IMUL)
    return self


cdef int clear_deque(object self, Tracker t, int method) except -1:
    cdef tuple items = deque_items(self)
    if not items:
        return 0
    deque_clear(self)
    if t.children:
        for item in items:
            if pdt_heap_type(item):
                unlink_child(t, item, None)
    return commit(t, A_REMOVE, method, S_SPLICE, 0, missing, items, (), <int32_t>-len(items))


cdef object tracked_clear(object self, PyObject *unused):
    clear_deque(self, enter_deque(self), M_CLEAR)


cdef object tracked_insert(object self, object args):
    cdef Tracker t
    cdef Py_ssize_t i, n
    if PyTuple_GET_SIZE(args) != 2:
        return deque_insert(self, *<tuple>args)         # raises
    i = PyNumber_AsSsize_t(args[0], PyExc_OverflowError)
    t = enter_deque(self)
    value = convert_for(t, args[1])
    n = pdt_deque_size(self)
    if n == maxlen_of(self):
        raise IndexError("deque already at its maximum size")
    i = max(0, i + n) if i < 0 else min(i, n)
    insert_into(self, t, i, value, M_INSERT)


cdef object tracked_remove(object self, object value):
    cdef Tracker t = enter_deque(self)
    cdef Py_ssize_t i
    cdef Py_ssize_t n = pdt_deque_size(self)
    cdef uint32_t version = t.version
    for i in range(n):
        item = pdt_deque_item(self, i)
        same = PyObject_RichCompareBool(item, value, Py_EQ)
        if t.version != version or pdt_deque_size(self) != n:
            raise IndexError("deque mutated during remove().")
        if same:
            remove_from(self, enter_deque(self), i, M_REMOVE)
            return None
    return deque_remove(deque_type(), value)            # raises


cdef object tracked_reverse(object self, PyObject *unused):
    cdef Tracker t = enter_deque(self)
    cdef Py_ssize_t n = pdt_deque_size(self)
    if n < 2:
        return None
    deque_reverse(self)
    if t.children:
        bump_below(t)
    commit(t, A_UPDATE, M_REVERSE, S_REVERSE, n, missing, missing, missing, 0)


cdef object tracked_rotate(object self, object args):
    cdef Tracker t
    cdef Py_ssize_t n, times
    if PyTuple_GET_SIZE(args) > 1:
        return deque_rotate(self, *<tuple>args)         # raises
    times = PyNumber_AsSsize_t(args[0], PyExc_OverflowError) if PyTuple_GET_SIZE(args) else 1
    t = enter_deque(self)
    n = pdt_deque_size(self)
    if n < 2 or times % n == 0:
        return None
    rotate_deque(self, t, times, M_ROTATE)


cdef int rotate_deque(object self, Tracker t, Py_ssize_t times, int method) except -1:
    cdef Py_ssize_t n = pdt_deque_size(self)
    cdef Py_ssize_t by = times % n
    if by < 0:
        by += n
    shift = by
    deque_rotate(self, shift)
    if t.children:
        bump_below(t)
    return commit(t, A_UPDATE, method, S_ROTATE, n, missing, missing, shift, 0)


cdef int tracked_assign(object self, Py_ssize_t i, PyObject *value) except -1:
    cdef Tracker t = enter_deque(self)
    cdef object made
    if i < 0 or i >= pdt_deque_size(self):
        return pdt_deque_ass_item(self, i, value)       # raises
    if value == NULL:
        return remove_from(self, t, i, M_DELITEM)
    made = convert_for(t, <object>value)
    set_at(self, t, i, made, M_SETITEM)
    return 0


cdef int set_at(object self, Tracker t, Py_ssize_t i, object value, int method) except -1:
    cdef object old = pdt_deque_item(self, i)
    pdt_deque_ass_item(self, i, <PyObject *>value)
    if not (pdt_plain(value) and pdt_plain(old)):
        if t.children:
            unlink_child(t, old, None)
        if pdt_heap_type(value):
            link_child(t, value, None, i)
    return commit(t, A_UPDATE, method, S_SLOT, i, missing, old, value, 0)


cdef object tracked_concat(object self, object other):
    if not isinstance(other, deque_type):
        return deque_type.__add__(deque_type(), other)  # raises
    made = deque_copy(self)
    return completed(made, other)


cdef object tracked_repeat(object self, Py_ssize_t times):
    made = deque_copy(self)
    return completed(made, deque_type(deque_items(made), maxlen_of(made)) * times, True)


cdef object completed(object made, object items, bint instead=False):
    """Put items into a new deque; they are what it begins with. O(items)."""
    if not pdt_is_deque(made):
        if instead:
            made.clear()
        made.extend(items)
        return made
    begin_rebuild(made, None, None)
    if instead:
        deque_clear(made)
    deque_extend(made, items)
    relink_items(made, tracker_of(made), ())
    end_rebuild(made)
    return made


# ---- undo ----------------------------------------------------------------------------------------

cdef bint restore_deque(object self, int shape, Py_ssize_t index, object old, object new, int method) except -1:
    cdef Tracker t = enter_deque(self)
    cdef Py_ssize_t n = pdt_deque_size(self)
    cdef Py_ssize_t i, at, growth
    cdef tuple before
    cdef list items
    cdef object maxlen = maxlen_of(self)
    cdef int action = A_UPDATE
    if shape == S_SLOT:
        if index > n or (old is not missing and (index == n or pdt_deque_item(self, index) is not old)):
            return False
        if old is missing:
            if n == maxlen:
                return False
            insert_into(self, t, index, new, method)
        elif new is missing:
            remove_from(self, t, index, method)
        else:
            set_at(self, t, index, new, method)
        return True
    before = deque_items(self)
    items = list(before)
    if shape == S_SPLICE:
        if index + len(old) > n:
            return False
        for i in range(len(old)):
            if items[index + i] is not old[i]:
                return False
        items[index:index + len(old)] = new
        action = A_UPDATE if old and new else A_ADD if new else A_REMOVE
    elif shape == S_ROWS:
        if not rows_applied(items, <tuple>new):
            return False
        growth = len(items) - n
        action = A_UPDATE if (<tuple>new)[1] is not missing and (<tuple>new)[len(new) - 1] is not missing else \
            A_ADD if growth > 0 else A_REMOVE
    else:
        if len(<tuple>new) != n:
            return False
        items = [before[i] for i in <tuple>new]
    if maxlen is not None and len(items) > maxlen:
        return False
    replace_all(self, t, before, items, method, S_ORDER if shape == S_ORDER else shape, index if shape == S_SPLICE else -1,
                old if shape == S_SPLICE else missing, new, action)
    return True


cdef bint rows_applied(list items, tuple rows) except -1:
    """Apply the rows of a list (S_ROWS) to plain items; False if they do not fit."""
    cdef Py_ssize_t i, at
    cdef Py_ssize_t removed = 0
    cdef Py_ssize_t n = len(items)
    for i in range(0, len(rows), 3):
        at = rows[i]
        if rows[i + 1] is missing:
            if at > len(items):
                return False
            items.insert(at, rows[i + 2])
            continue
        if at >= n or items[at - removed] is not rows[i + 1]:
            return False
        if rows[i + 2] is missing:
            del items[at - removed]
            removed += 1
        else:
            items[at] = rows[i + 2]
    return True


# ---- the type ------------------------------------------------------------------------------------

cdef PyMethodDef deque_methods[13]
cdef PyType_Slot deque_slots[9]

method(&deque_methods[0], "append", <void *>tracked_append, METH_O, "As deque.append; one record, also of what falls out.")
method(&deque_methods[1], "appendleft", <void *>tracked_appendleft, METH_O, "As deque.appendleft; one record, also of what falls out.")
method(&deque_methods[2], "pop", <void *>tracked_pop, METH_NOARGS, "As deque.pop.")
method(&deque_methods[3], "popleft", <void *>tracked_popleft, METH_NOARGS, "As deque.popleft.")
method(&deque_methods[4], "extend", <void *>tracked_extend, METH_O, "As deque.extend; one record, also of what falls out.")
method(&deque_methods[5], "extendleft", <void *>tracked_extendleft, METH_O, "As deque.extendleft; one record.")
method(&deque_methods[6], "insert", <void *>tracked_insert, METH_VARARGS, "As deque.insert; the index is recorded as it came out.")
method(&deque_methods[7], "remove", <void *>tracked_remove, METH_O, "As deque.remove.")
method(&deque_methods[8], "clear", <void *>tracked_clear, METH_NOARGS, "As deque.clear; one record, or none if it is empty.")
method(&deque_methods[9], "reverse", <void *>tracked_reverse, METH_NOARGS, "As deque.reverse.")
method(&deque_methods[10], "rotate", <void *>tracked_rotate, METH_VARARGS, "As deque.rotate; one record of fixed size.")
method(&deque_methods[11], NULL, NULL, 0, NULL)
slot(&deque_slots[0], Py_tp_init, <void *>deque_init)
slot(&deque_slots[1], Py_tp_methods, <void *>deque_methods)
slot(&deque_slots[2], Py_tp_doc, <void *><char *>"A deque that records its mutations.")
slot(&deque_slots[3], Py_sq_ass_item, <void *>tracked_assign)
slot(&deque_slots[4], Py_sq_concat, <void *>tracked_concat)
slot(&deque_slots[5], Py_sq_repeat, <void *>tracked_repeat)
slot(&deque_slots[6], Py_sq_inplace_concat, <void *>tracked_iadd)
slot(&deque_slots[7], Py_sq_inplace_repeat, <void *>tracked_imul)
slot(&deque_slots[8], 0, NULL)

DequeHook = pdt_make_twin(PDT_DEQUE, deque_type, "pydatatracker._core.DequeHook", deque_slots, detach_twin)
