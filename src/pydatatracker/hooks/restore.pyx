# Owns: restoring: the inverse of a record, done to the live container and recorded as one record of its own.
# May touch: the functions of the four hooks.
# Invariants:
#  - a container is changed only if it is as the record left it, compared by identity; otherwise nothing is done and
#    the result is False;
#  - what is stored is stored as it is: the same objects, and nothing is converted.

def restore(container, str shape, Py_ssize_t index, key, old, new, int method, uint64_t seen=0, beside=None):
    """Change what a record names from old to new; return False and do nothing if it is not at old now.

    ``seen``, in a transaction: also False if the container changed after change ``seen``, because the index may mean
    another item then. ``beside``: where a dict's key that returns belongs, see Change._beside; for rows, a tuple of them.
    O(1), or O(items of the record); O(items) for a key that belongs between others. Raises TrackingLockedError if the container is locked.
    """
    if seen and journaled_since(tracker_of(container), seen):
        return False
    return restore_shape(container, SHAPES.index(shape), index, key, old, new, method, beside)


cdef bint restore_shape(object container, int code, Py_ssize_t index, object key, object old, object new, int method,
                        object beside) except -1:
    cdef Tracker t = tracker_of(container)
    if code == S_WHOLE:
        if key is missing:
            return set_lock_as(container, new, method)
        return set_name_lock_as(container, key, new, method)
    if t.marks & X_WATCHED:
        return restore_watched(<WatchedTracker>t, code, index, key, old, new, method, beside)
    if t.kind == K_DICT:
        return restore_dict(container, code, key, old, new, method, beside)
    if t.kind == K_LIST:
        return restore_list(container, code, index, old, new, method)
    if t.kind == K_DEQUE:
        return restore_deque(container, code, index, old, new, method)
    if t.kind == K_SET:
        return restore_set(container, code, key, old, new, method)
    return restore_attr(container, key, old, new, method, beside)


M_CODES = {name: code for code, name in enumerate(METHODS)}


cdef bint restore_dict(object self, int shape, object key, object old, object new, int method,
                       object beside) except -1:
    cdef Tracker t = enter(self, hook_of(self).tracker)
    cdef tuple rows
    cdef list places
    cdef Py_ssize_t i, before, at
    cdef Py_ssize_t added = 0
    cdef Py_ssize_t gone = 0
    cdef bint quiet = True
    cdef int gc
    if shape == S_SLOT:
        if dict.get(self, key, missing) is not old:
            return False
        if new is missing:
            return old is missing or take(self, t, key, method) is not missing
        if old is missing and beside is not None:
            return put_back(self, t, key, new, method, beside)
        store(self, t, key, new, method)
        return True
    if is_move(<tuple>new):
        return restore_move(self, t, <tuple>new, method, beside)
    rows, places = in_order(self, <tuple>new)
    seen = {}
    for i in range(0, len(rows), 3):
        if (seen[rows[i]] if rows[i] in seen else dict.get(self, rows[i], missing)) is not rows[i + 1]:
            return False
        seen[rows[i]] = rows[i + 2]
        if not runs_no_code(rows[i]):
            quiet = False
    if not quiet:                   # their __eq__ may let others change the dict, so one record each
        for i in range(0, len(rows), 3):
            if rows[i + 2] is missing:
                take(self, t, rows[i], method)
            else:
                if rows[i + 1] is missing and beside is not None:
                    put_back(self, t, rows[i], rows[i + 2], method, beside[i // 3])
                else:
                    store(self, t, rows[i], rows[i + 2], method)
        return True
    gc = pdt_pause_gc()
    try:
        before = PyDict_Size(self)
        for i in range(0, len(rows), 3):
            if rows[i + 1] is not missing:
                unlink_child(t, rows[i + 1], rows[i])
            if rows[i + 2] is missing:
                pop_item(self, t, rows[i])
                gone += 1
            else:
                set_item(self, t, rows[i], rows[i + 2])
                if not is_exact_key(rows[i]):
                    t.marks |= X_OTHER_KEYS
                if rows[i + 1] is missing:
                    added += 1
                    if beside is not None and beside[i // 3] is not None:
                        at = put_at(self, t, beside[i // 3])
                        if at >= 0:
                            places = places or [None] * (len(rows) // 3)
                            places[i // 3] = at
                if pdt_heap_type(rows[i + 2]):
                    link_child(t, rows[i + 2], rows[i], 0)
    finally:
        pdt_resume_gc(gc)
    i = A_ADD if 3 * added == len(rows) else A_REMOVE if 3 * gone == len(rows) else A_UPDATE
    if places is None:
        commit(t, i, method, S_ROWS, I_LAST, missing, missing, rows, PyDict_Size(self) - before)
    else:
        commit_beside(t, i, method, S_ROWS, I_BESIDE, missing, missing, rows, PyDict_Size(self) - before, tuple(places))
    return True


cdef bint put_back(object self, Tracker t, object key, object value, int method, object beside) except -1:
    """Store a key that is not there where it belongs, and record its position. O(items)."""
    cdef bint added
    cdef uint32_t newer
    cdef Py_ssize_t at
    cdef object old = put_item(self, t, key, value, &added, &newer)
    cdef int gc
    if newer or not added:
        if newer:
            store_contended(self, t, key, old, value, method, newer, added)
        else:
            store_linked(t, key, old, value, method, added)
        return True
    gc = pdt_pause_gc()
    try:
        at = put_at(self, t, beside)
        if pdt_heap_type(value):
            link_child(t, value, key, 0)
    finally:
        pdt_resume_gc(gc)
    if at < 0:
        commit(t, A_ADD, method, S_SLOT, I_LAST, key, missing, value, 1)
    else:
        commit_beside(t, A_ADD, method, S_SLOT, I_BESIDE, key, missing, value, 1, at)
    return True


cdef tuple in_order(object self, tuple rows):
    """Return (rows, places): rows that remove keys in the order of the dict, and where those are. O(rows), or O(items).

    places is None if the keys are the last of the dict; otherwise it says which key each follows.
    """
    cdef dict gone = {}
    cdef list keys = []
    cdef list places
    cdef tuple row
    cdef Py_ssize_t i
    for i in range(0, len(rows), 3):
        if rows[i + 2] is missing:
            gone[rows[i]] = rows[i:i + 3]
    if not gone:
        return rows, None
    for key in dict.__reversed__(self):
        if key not in gone:
            break
        keys.append(key)
    keep = [part for i in range(0, len(rows), 3) if rows[i + 2] is not missing for part in rows[i:i + 3]]
    if len(keys) == len(gone):
        keys.reverse()
        for key in keys:
            keep.extend(gone[key])
        return tuple(keep), None
    places = [None] * (len(keep) // 3)
    beside = ()
    for key in dict.keys(self):
        if key in gone:
            keep.extend(gone.pop(key))
            places.append(beside)
        beside = (key,)
    for row in gone.values():           # not there: restore finds out
        keep.extend(row)
        places.append(None)
    return tuple(keep), places


cdef bint restore_list(ListHook self, int shape, Py_ssize_t index, object old, object new, int method) except -1:
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef Py_ssize_t n = PyList_GET_SIZE(self)
    cdef Py_ssize_t i
    cdef list items
    cdef int gc
    if shape == S_SLOT:
        if index > n or (old is not missing and (index == n or list.__getitem__(self, index) is not old)):
            return False
        if old is missing:
            insert_at(self, t, index, new, method)
        elif new is missing:
            remove_at(self, t, index, method, missing)
        else:
            replace_at(self, index, new)
            if t.children:
                unlink_child(t, old, None)
            if pdt_heap_type(new):
                link_child(t, new, None, index)
            commit(t, A_UPDATE, method, S_SLOT, index, missing, old, new, 0)
        return True
    if shape == S_SPLICE:
        if index + len(old) > n:
            return False
        for i in range(len(old)):
            if PyList_GET_ITEM(<PyObject *>self, index + i) != <PyObject *>old[i]:
                return False
        splice(self, t, index, index + len(old), list(new), method, True)
        return True
    if shape == S_ROWS:
        return restore_rows(self, t, <tuple>new, method)
    if len(<tuple>new) != n:
        return False
    gc = pdt_pause_gc()
    try:
        items = [<object>PyList_GET_ITEM(<PyObject *>self, i) for i in <tuple>new]
        PyList_SetSlice(self, 0, n, items)
        if t.children:
            bump_below(t)
    finally:
        pdt_resume_gc(gc)
    commit(t, A_UPDATE, method, S_ORDER, -1, missing, missing, new, 0)
    return True


cdef bint restore_rows(ListHook self, Tracker t, tuple rows, int method) except -1:
    # rows all update, all insert (ascending, each index valid at its turn), or all remove (ascending, valid before)
    cdef Py_ssize_t n = PyList_GET_SIZE(self)
    cdef Py_ssize_t i, at
    cdef Py_ssize_t size = len(rows)
    cdef bint inserts = size > 0 and rows[1] is missing
    cdef bint removes = size > 0 and rows[2] is missing
    cdef int gc
    for i in range(0, size, 3):
        at = rows[i]
        if inserts:
            if at > n + i // 3:
                return False
        elif at >= n or PyList_GET_ITEM(<PyObject *>self, at) != <PyObject *>rows[i + 1]:
            return False
    gc = pdt_pause_gc()
    try:
        if removes:
            for i in range(size - 3, -1, -3):
                at = rows[i]
                PyList_SetSlice(self, at, at + 1, EMPTY)
                unlink_child(t, rows[i + 1], None)
        else:
            for i in range(0, size, 3):
                at = rows[i]
                if inserts:
                    PyList_Insert(self, at, rows[i + 2])
                else:
                    replace_at(self, at, rows[i + 2])
                    unlink_child(t, rows[i + 1], None)
                if pdt_heap_type(rows[i + 2]):
                    link_child(t, rows[i + 2], None, at)
        if t.children:
            bump_below(t)
    finally:
        pdt_resume_gc(gc)
    commit(t, A_ADD if inserts else A_REMOVE if removes else A_UPDATE, method, S_ROWS, -1, missing, missing, rows,
           <int32_t>(size // 3 if inserts else -(size // 3) if removes else 0))
    return True


cdef bint restore_set(SetHook self, int shape, object key, object old, object new, int method) except -1:
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef tuple out
    cdef tuple into
    cdef set going
    if shape == S_SLOT:
        out = () if old is missing else (key,)
        into = () if new is missing else (key,)
    else:
        out = tuple(old)
        into = tuple(new)
    for element in out:
        if not set.__contains__(self, element):
            return False
    going = set(out) if out and into else set()
    for element in into:
        if set.__contains__(self, element) and element not in going:
            return False
    if len(out) + len(into) != 1 or not pdt_quiet_key(out[0] if out else into[0]):
        change_elements(self, t, set(out), set(into), method)
        return True
    if out:
        set.discard(self, out[0])
        if t.children:
            unlink_child(t, out[0], missing)
        commit(t, A_REMOVE, method, S_SLOT, -1, out[0], out[0], missing, -1)
    else:
        pdt_set_add(self, into[0])
        if pdt_heap_type(into[0]):
            link_child(t, into[0], missing, 0)
        commit(t, A_ADD, method, S_SLOT, -1, into[0], missing, into[0], 1)
    return True


cdef bint restore_attr(AttrHook self, str name, object old, object new, int method, object beside) except -1:
    cdef Tracker t
    cdef Py_ssize_t at
    cdef PyObject *held = pdt_type_lookup(Py_TYPE(self), name)
    cdef bint described = held != NULL and pdt_data_descriptor(<object>held)
    cdef bint computed = described and type(<object>held) is not member_type
    if not computed and held_attribute(self, name, held != NULL and not described) is not old:
        return False
    t = current(self, <PyObject *>self.tracker)
    if old is missing and beside is not None and held == NULL and not t.state & (T_LOCKED | T_LOCKED_NAMES):
        PyObject_GenericSetAttr(self, name, <PyObject *>new)
        at = put_attribute_at(self, t, name, beside)
        if pdt_heap_type(new):
            link_child(t, new, name, 0)
        commit_beside(t, A_ADD, method, S_SLOT, I_LAST if at < 0 else I_BESIDE, name, missing, new, 0, at)
    elif new is missing:
        change_attribute(self, name, NULL, method)
    else:
        change_attribute(self, name, <PyObject *>new, method)
    return True


cdef bint journaled_since(Tracker t, uint64_t seq):
    """True if t changed after change seq; known while a transaction is open. O(changes since)."""
    cdef Py_ssize_t i
    for i in range(len(journal) - 1, -1, -1):
        tracker, change, _ = journal[i]
        if (<Change>change).seq <= seq:
            return False
        if tracker is t and (<Change>change).shape != S_WHOLE:
            return True
    return False
