# Owns: the hook of TrackedDict: every mutator of dict, and the two readers that a Python subclass would slow down.
# May touch: the dict below the hook, links, `commit`.
# Invariants:
#  - behaves as dict does, exceptions and order included;
#  - keys that are str run no user code, so their old value is looked up first, and nothing comes between the store and
#    its record;
#  - what is recorded is the key that the dict holds, which is not always the one that was given: 1, 1.0 and True are
#    one key. It has to be looked for only if one of the two is not an exact str or int: X_OTHER_KEYS says whether the
#    dict may hold such a key;
#  - a key that is stored is hashed once. Its __eq__ can let other code change the dict meanwhile: t.version and t.net show
#    that, and the record then says what really happened.

cdef object put_item(object self, Tracker t, object key, object value, bint *added, uint32_t *newer):
    """Do self[key] = value; return what it held, or missing. newer: number of changes by others meanwhile."""
    cdef PyObject *held
    cdef object old
    if PyUnicode_CheckExact(key):
        held = PyDict_GetItemWithError(self, key)
        if (held == NULL and not t.marks & X_ORDERED) or \
                t.marks & (X_KEYS_KNOWN | X_OTHER_KEYS | X_ORDERED) == X_KEYS_KNOWN:
            old = missing if held == NULL else <object>held
            PyDict_SetItem(self, key, value)
            added[0] = held == NULL
            newer[0] = 0
            return old
    return put_hashed(self, t, key, PyObject_Hash(key), value, added, newer)


cdef object put_hashed(object self, Tracker t, object key, Py_hash_t hash, object value, bint *added, uint32_t *newer):
    """The same for a key with this hash."""
    cdef object stored
    cdef PyObject *held
    cdef object old
    cdef Py_ssize_t size
    cdef uint32_t version
    cdef int32_t net
    newer[0] = 0
    while True:
        version = t.version
        stored = key
        held = pdt_dict_get_hashed(self, key, hash)
        old = missing if held == NULL else <object>held
        if held != NULL and not (is_exact_key(key) and (t.marks & (X_KEYS_KNOWN | X_OTHER_KEYS) == X_KEYS_KNOWN or
                                                        not has_other_keys(self, t))):
            stored = stored_key(self, key, hash)
        if t.version == version:
            break
    net = t.net
    size = PyDict_Size(self)
    # to the key that the dict holds, as it is found without comparing
    if old is missing and t.marks & X_ORDERED:
        PyODict_SetItem(self, key, value)
    else:
        pdt_dict_set_hashed(self, stored, value, hash)
    added[0] = old is missing
    if t.version != version:
        # the dict changed while the key's __eq__ ran, so its size tells whether the key was new
        newer[0] = t.version - version
        added[0] = PyDict_Size(self) - size - (t.net - net) == 1
    if added[0]:
        if not is_exact_key(key):
            t.marks |= X_OTHER_KEYS
    elif stored is not key:
        look_for_other(stored, key, newer)
    return old


# an OrderedDict keeps a list of its keys beside the table; only these know it. Table and list have the same order

cdef inline int set_item(object d, Tracker t, object key, object value) except -1:
    """Store past the hook. Does not look whether the key is new. O(1)."""
    return PyODict_SetItem(d, key, value) if t.marks & X_ORDERED else PyDict_SetItem(d, key, value)


cdef inline object pop_item(object d, Tracker t, object key):
    """Remove past the hook; return the value, or missing. O(1)."""
    cdef PyObject *held
    if not t.marks & X_ORDERED:
        return dict.pop(d, key, missing)
    held = PyDict_GetItemWithError(d, key)
    if held == NULL:
        return missing
    value = <object>held
    PyODict_DelItem(d, key)
    return value


cdef inline int clear_items(object d, Tracker t) except -1:
    if t.marks & X_ORDERED:
        clear_ordered(d)
    else:
        dict.clear(d)
    return 0


cdef int merge_items(object d, Tracker t, object other) except -1:
    """Store all items of another dict past the hook. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    if not t.marks & X_ORDERED:
        return PyDict_Merge(d, other, 1)
    while PyDict_Next(other, &position, &key, &value):
        k = <object>key
        v = <object>value
        PyODict_SetItem(d, k, v)
    return 0


cdef enum:
    OTHER_KEY = 0xFFFFFFFF              # put_item's `newer`: nothing came between, and the dict holds other_key

cdef object other_key = missing         # the key that the dict holds, from put_item to its caller; else missing


cdef int look_for_other(object stored, object key, uint32_t *newer) except -1:
    global other_key
    if stored is not key:
        other_key = stored
        if newer[0] == 0:
            newer[0] = OTHER_KEY
    return 0


cdef object taken_key(object key):
    """Return the key that put_item found in the dict, or the given one."""
    global other_key
    if other_key is missing:
        return key
    stored = other_key
    other_key = missing
    return stored


cdef inline bint runs_no_code(object key):
    """True for keys whose hash and comparison run no Python code, tuples of such included."""
    return pdt_quiet_key(key) or (PyTuple_CheckExact(key) and pdt_all_quiet(key))


cdef inline bint is_exact_key(object key):
    return PyUnicode_CheckExact(key) or PyLong_CheckExact(key)


cdef bint has_other_keys(object d, Tracker t) except -1:
    """True if some keys of a dict may be neither an exact str nor an exact int. O(1), O(items) once."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    if not t.marks & (X_KEYS_KNOWN | X_OTHER_KEYS):
        t.marks |= X_KEYS_KNOWN
        if not pdt_only_str_keys(d):
            while PyDict_Next(d, &position, &key, &value):
                if not is_exact_key(<object>key):
                    t.marks |= X_OTHER_KEYS
                    break
    return t.marks & X_OTHER_KEYS != 0


cdef object held_key(object d, Tracker t, object key):
    """Return the key that a dict holds and that is equal to key; key itself if there is none. O(1).

    Runs no user code unless keys that are not equal have the same hash, or key has a __hash__ of its own.
    """
    if PyDict_Size(d) == 0 or (is_exact_key(key) and not has_other_keys(d, t)):
        return key
    return stored_key(d, key, PyObject_Hash(key))


cdef object stored_key(object d, object key, Py_hash_t hash):
    return one_of(pdt_stored_key(d, key, hash, 0), pdt_stored_key(d, key, hash, 1), d, key, hash)


def key_in(dict d, key):
    """Return the key that a dict holds and that is equal to key; key itself if there is none. O(1)."""
    return stored_key(d, key, PyObject_Hash(key))


cdef object one_of(PyObject *first, PyObject *second, object container, object key, Py_hash_t hash):
    # key itself, or one of the candidates in the container, which have the same hash
    cdef list candidates
    cdef Py_ssize_t n = 1
    if first == NULL:
        return key
    candidates = [<object>first]
    if second == NULL or candidates[0] is key:
        return candidates[0]
    while second != NULL:
        candidates.append(<object>second)
        n += 1
        second = pdt_stored_element(container, key, hash, n) if PySet_Check(container) else \
            pdt_stored_key(container, key, hash, n)
    for each in candidates:
        try:
            if each == key:
                return each
        except Exception:
            pass                # the builtin's own comparison raises it, too, or never comes here
    return key


cdef inline int store(object self, Tracker t, object key, object value, int method) except -1:
    """Do self[key] = value and record it."""
    cdef bint added
    cdef uint32_t newer
    cdef object old = put_item(self, t, key, value, &added, &newer)
    if newer:
        key = taken_key(key)
        if newer != OTHER_KEY:
            return store_contended(self, t, key, old, value, method, newer, added)
    if (pdt_plain(old) or added) and pdt_plain(value):
        return commit(t, A_ADD if added else A_UPDATE, method, S_SLOT, -1, key, old, value, added)
    return store_linked(t, key, old, value, method, added)


cdef int store_row(object self, Tracker t, Pending p, object key, Py_hash_t hash, object value) except -1:
    """Do self[key] = value as a step of a bulk call; hash: -1 if it is not known."""
    cdef bint added
    cdef uint32_t newer
    cdef object old
    cdef list rows
    cdef int gc
    value = convert_for(t, value)
    pdt_list_reserve(p.rows, 3)
    if hash == -1 or pdt_quiet_key(key):
        old = put_item(self, t, key, value, &added, &newer)
    else:
        old = put_hashed(self, t, key, hash, value, &added, &newer)
    if newer:
        key = taken_key(key)
    if newer and newer != OTHER_KEY:    # others changed the dict meanwhile, so the step gets its own record
        return store_contended(self, t, key, old, value, p.method, newer, added)
    gc = pdt_pause_gc()
    try:
        waiting = take_over(t, p)
        t.version += 1                  # shows others that the dict changed, though the record comes later
        t.net += added
        rows = p.rows
        rows.append(key)
        rows.append(old)
        rows.append(value)
        if t.children and old is not missing:
            unlink_child(t, old, key)
        if pdt_heap_type(value):
            link_child(t, value, key, 0)
    finally:
        pdt_resume_gc(gc)
    if waiting:
        notify_later(waiting)
    return 0


cdef int store_linked(Tracker t, object key, object old, object value, int method, bint added) except -1:
    # links first: observers see a child that moves where it is now
    cdef int gc
    if t.children or pdt_heap_type(value):
        gc = pdt_pause_gc()
        try:
            if old is not missing:
                unlink_child(t, old, key)
            if pdt_heap_type(value):
                link_child(t, value, key, 0)
        finally:
            pdt_resume_gc(gc)
    return commit(t, A_ADD if added else A_UPDATE, method, S_SLOT, -1, key, old, value, added)


cdef int store_contended(object self, Tracker t, object key, object old, object value, int method, uint32_t newer,
                         bint added) except -1:
    """Record a store during which others changed the dict, then find out what it replaced. O(records since).

    The record must stand before any comparison runs, or another store could be recorded before it.
    """
    cdef list since
    cdef list waiting = None
    cdef uint64_t seq
    cdef Py_ssize_t i
    cdef Log log
    cdef int gc = pdt_pause_gc()
    try:
        if t.state & T_PENDING and waits(t):
            waiting = flush_first(t)
        since = [] if added else changes_since_version(t, newer)
        seq = last_seq + 1
    finally:
        pdt_resume_gc(gc)
    store_linked(t, key, missing if added else old, value, method, added)
    if waiting:
        notify_later(waiting)
    if not since:
        return 0
    log = <Log>t.active
    for k, after in since:
        if k is key or k == key:
            for i in range(log.count - 1, -1, -1):
                if log.stamps[ring_index(log, i)].seq <= seq:
                    if log.stamps[ring_index(log, i)].seq == seq:
                        log.objects[ring_index(log, i) * SLOTS + 2] = after
                    break
            return 0
    return 0


cdef list changes_since_version(Tracker t, uint32_t newer):
    """Return (key, after) of the `newer` newest records of t, newest first. Runs no user code. O(records since)."""
    cdef Log log = <Log>t.active
    cdef Py_ssize_t i, at, n
    cdef list found = []
    for i in range(log.count - 1, -1, -1):
        if newer == 0:
            break
        at = ring_index(log, i)
        if (<Place>log.objects[at * SLOTS]).tracker is not t:
            continue
        newer -= 1
        if log.stamps[at].shape == S_SLOT:
            found.append((log.objects[at * SLOTS + 1], log.objects[at * SLOTS + 3]))
        elif log.stamps[at].shape == S_FILL:
            found.extend((<dict>log.objects[at * SLOTS + 3]).items())
        elif log.stamps[at].shape == S_ROWS:
            rows = <tuple>log.objects[at * SLOTS + 3]
            for n in range(len(rows) - 3, -1, -3):
                found.append((rows[n], rows[n + 2]))
    return found


cdef object take(object self, Tracker t, object key, int method):
    """Remove key, record it and between which keys it was; return its value, or missing."""
    cdef pdt_spot spot
    cdef PyObject *neighbour = NULL
    cdef PyObject *found
    cdef object beside = None
    cdef object held = missing
    cdef object value = missing
    cdef Py_hash_t hash
    cdef uint32_t version
    cdef int where
    if PyDict_Size(self) == 0:
        return missing              # as dict.pop, which does not hash the key then
    if not pdt_quiet_key(key):
        hash = PyObject_Hash(key)
        version = t.version
        found = pdt_dict_get_hashed(self, key, hash)
        if found == NULL:
            return missing
        value = <object>found
        held = stored_key(self, key, hash)
        if t.version != version:
            held = missing          # the dict changed while the key's __eq__ ran
        else:
            pdt_spot_find(self, hash, &spot)
            if t.marks & X_ORDERED:
                PyODict_DelItem(self, held)
            else:
                pdt_dict_delete_hashed(self, held, hash)
    if held is missing:
        held = held_key(self, t, key)
        pdt_spot_find(self, PyObject_Hash(key), &spot)
        value = pop_item(self, t, key)
        if value is missing:
            return value
    key = held
    where = pdt_spot_gap(self, &spot, &neighbour)
    if neighbour != NULL:
        beside = <object>neighbour
    if t.children:
        unlink_child(t, value, key)
    if where == PDT_LAST:
        commit(t, A_REMOVE, method, S_SLOT, I_LAST, key, value, missing, -1)
    else:
        commit_beside(t, A_REMOVE, method, S_SLOT, where, key, value, missing, -1, beside)
    return value


cdef Py_ssize_t put_at(object d, Tracker t, object beside) except -2:
    """Move the last key to where it belongs (see Change._beside), without a record; return its position. O(items).

    -1: it stays the last.
    """
    cdef list keys
    cdef Py_ssize_t at, i
    cdef Py_ssize_t last = PyDict_Size(d) - 1
    if beside is None or last < 1:
        return -1
    keys = list(dict.keys(d))
    if type(beside) is int:
        at = beside
    elif beside == ():
        at = 0
    else:
        for at in range(last):
            if keys[at] is beside[0]:
                break
        else:
            try:
                at = keys.index(beside[0], 0, last)
            except ValueError:
                return -1           # it is gone, too: others changed the dict since
        at += len(<tuple>beside) == 1
    if at >= last or at < 0:
        return -1
    for i in range(at, last):
        value = pop_item(d, t, keys[i])
        set_item(d, t, keys[i], value)
    return at


cdef bint merge(object self, Tracker t, object rows_from, int method) except -1:
    """Store all items of another dict as one record with a row for each. O(items).

    Returns False, and does nothing, if the __eq__ of a key is Python code: that has to be done step by step.
    """
    cdef PyObject *key
    cdef PyObject *value
    cdef PyObject *held
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t size = PyDict_Size(rows_from)
    cdef Py_ssize_t before = PyDict_Size(self)
    cdef tuple rows
    cdef bint complicated = False
    cdef bint others = False
    cdef object old
    cdef int gc
    if size == 0:
        return True
    if t.state & T_CONVERT:
        rows_from = PyDict_Copy(rows_from)
        convert_values(rows_from, t.effective)
    if before == 0:
        fill(self, t, rows_from, size, method)
        return True
    gc = pdt_pause_gc()
    try:
        before = PyDict_Size(self)
        has_other_keys(self, t)
        rows_from = pdt_steady(rows_from)
        rows = PyTuple_New(3 * size)
        while n < size and PyDict_Next(rows_from, &position, &key, &value):
            k = <object>key
            if not pdt_quiet_key(k):
                break
            held = PyDict_GetItemWithError(self, k)
            old = missing if held == NULL else <object>held
            if not is_exact_key(k) or t.marks & X_OTHER_KEYS:
                if held == NULL:
                    others = not is_exact_key(k) or others
                else:
                    k = held_key(self, t, k)
            if not complicated and old is not missing and pdt_heap_type(old):
                complicated = True
            if not complicated and pdt_heap_type(<object>value):
                complicated = True
            Py_INCREF(k)
            PyTuple_SET_ITEM(rows, 3 * n, k)
            Py_INCREF(old)
            PyTuple_SET_ITEM(rows, 3 * n + 1, old)
            Py_INCREF(<object>value)
            PyTuple_SET_ITEM(rows, 3 * n + 2, <object>value)
            n += 1
        if n < size:
            for n in range(3 * n, 3 * size):        # the collector must not find NULL in a tuple
                Py_INCREF(missing)
                PyTuple_SET_ITEM(rows, n, missing)
            return False
        merge_all(self, t, rows_from, rows)
        if others:
            t.marks |= X_OTHER_KEYS
        if complicated or t.children:
            for n in range(size):
                if rows[3 * n + 1] is not missing:
                    unlink_child(t, rows[3 * n + 1], rows[3 * n])
                if pdt_heap_type(rows[3 * n + 2]):
                    link_child(t, rows[3 * n + 2], rows[3 * n], 0)
    finally:
        pdt_resume_gc(gc)
    commit(t, A_ADD if PyDict_Size(self) - before == size else A_UPDATE, method, S_ROWS, -1, missing, missing, rows,
           PyDict_Size(self) - before)
    return True


cdef int merge_all(object self, Tracker t, object rows_from, tuple rows) except -1:
    """Store all items of rows_from, or none if that fails; no Python code runs. O(items)."""
    cdef Py_ssize_t n
    try:
        merge_items(self, t, rows_from)
    except:
        for n in range(len(rows) - 3, -1, -3):      # takes no memory
            if rows[n + 1] is not missing:
                PyDict_SetItem(self, rows[n], rows[n + 1])
            else:
                pop_item(self, t, rows[n])
        raise
    return 0


cdef int fill(object self, Tracker t, object items, Py_ssize_t size, int method) except -1:
    """Store a dict into an empty one, which the builtin does by cloning it; the record gets a clone, too."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    items = PyDict_Copy(items)
    if PyDict_Size(self):           # another thread filled self during the copy
        return update_from(self, t, ([(k, v) for k, v in (<dict>items).items()],), None, method)
    try:
        merge_items(self, t, items)
    except:
        clear_items(self, t)
        raise
    t.marks &= ~(X_KEYS_KNOWN | X_OTHER_KEYS)
    if not pdt_dict_of_scalars(items):
        while PyDict_Next(items, &position, &key, &value):
            if pdt_heap_type(<object>value):
                k = <object>key
                link_child(t, <object>value, k, 0)
    return commit(t, A_ADD, method, S_FILL, -1, missing, missing, items, size)


cdef int update_from(object self, Tracker t, tuple args, object kwargs, int method) except -1:
    """Do update(*args, **kwargs) step by step, as the builtin does; steps before a failure are recorded."""
    cdef Pending pending
    if len(args) > 1:
        dict.update({}, *args)      # raises
    if not kwargs and args and iterates_as_dict(args[0]) and merge(self, t, args[0], method):
        return 0
    if kwargs and not args and merge(self, t, kwargs, method):
        return 0
    pending = begin_bulk(t, method)
    try:
        if args:
            store_all(self, t, pending, args[0])
        if kwargs:
            for key, value in (<dict>kwargs).items():
                store_row(self, t, pending, key, -1, value)
    finally:
        end_bulk(t, pending)
    return 0


cdef bint iterates_as_dict(object other):
    return PyDict_Check(other) and pdt_dict_iter(other)


cdef int store_all(object self, Tracker t, Pending p, object other) except -1:
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t size
    cdef object pair
    cdef object hashes
    cdef list pairs
    if iterates_as_dict(other) or hasattr(other, "keys"):
        if iterates_as_dict(other):
            size = PyDict_Size(other)
            # Cython makes no iterator of this: one that finds no memory crashes in CPython
            pairs = [(key, value) for key, value in (<dict>other).items()]
            hashes = pdt_hashes(other, tuple([(<tuple>pair)[0] for pair in pairs]))
            for i in range(len(pairs)):
                key, value = <tuple>pairs[i]
                store_row(self, t, p, key, (<Py_hash_t *>PyBytes_AS_STRING(hashes))[i], value)
                if PyDict_Size(other) != size:
                    raise RuntimeError("dict mutated during update")
        else:
            for key in list(other.keys()):
                store_row(self, t, p, key, -1, other[key])
        return 0
    for item in other:
        try:
            pair = item if PyTuple_CheckExact(item) or PyList_CheckExact(item) else list(item)
        except TypeError:
            raise TypeError(f"cannot convert dictionary update sequence element #{i} to a sequence") from None
        if len(pair) != 2:
            raise ValueError(f"dictionary update sequence element #{i} has length {len(pair)}; 2 is required")
        store_row(self, t, p, pair[0], -1, pair[1])
        i += 1
    return 0


cdef int delete_key(object self, Tracker t, object key) except -1:
    if PyDict_Size(self) == 0:
        PyObject_Hash(key)          # dict.pop does not hash the key if the dict is empty
        raise KeyError(key)
    if take(self, t, key, M_DELITEM) is missing:
        raise KeyError(key)
    return 0


cdef object set_default(object self, Tracker t, tuple args):
    """Do setdefault(key) or setdefault(key, default)."""
    cdef object key = args[0]
    cdef object default = convert_for(t, args[1]) if len(args) == 2 else None
    cdef int32_t net = t.net
    cdef Py_ssize_t size = PyDict_Size(self)
    value = pdt_dict_setdefault(self, key, default)
    if value is default and PyDict_Size(self) - size - (t.net - net) == 1:
        if not is_exact_key(key):
            t.marks |= X_OTHER_KEYS
        store_linked(t, key, missing, value, M_SETDEFAULT, True)
    return value


cdef object pop_key(object self, Tracker t, tuple args):
    """Do pop(key) or pop(key, default)."""
    value = take(self, t, args[0], M_POP)
    if value is not missing:
        return value
    if len(args) == 2:
        return args[1]
    raise KeyError(args[0])


cdef object pop_last(object self, Tracker t):
    """Do popitem() of a dict that is not ordered."""
    item = dict.popitem(self)
    key, value = <tuple>item
    if t.children:
        unlink_child(t, value, key)
    commit(t, A_REMOVE, M_POPITEM, S_SLOT, -1, key, value, missing, -1)
    return item


cdef int clear_all(object self, Tracker t) except -1:
    """Do clear() as one record, or none if it is empty. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t size = PyDict_Size(self)
    cdef tuple rows
    cdef int gc
    if size == 0:
        return 0
    gc = pdt_pause_gc()
    try:
        rows = PyTuple_New(3 * size)
        while n < size and PyDict_Next(self, &position, &key, &value):
            Py_INCREF(<object>key)
            PyTuple_SET_ITEM(rows, 3 * n, <object>key)
            Py_INCREF(<object>value)
            PyTuple_SET_ITEM(rows, 3 * n + 1, <object>value)
            Py_INCREF(missing)
            PyTuple_SET_ITEM(rows, 3 * n + 2, missing)
            n += 1
        clear_items(self, t)
        if t.children:
            for n in range(size):
                unlink_child(t, rows[3 * n + 1], rows[3 * n])
    finally:
        pdt_resume_gc(gc)
    return commit(t, A_REMOVE, M_CLEAR, S_ROWS, -1, missing, missing, rows, -size)


cdef int init_dict(DictHook self, tuple args, dict kwargs) except -1:
    """Do __init__. O(items)."""
    cdef Tracker t
    cdef bint again = self.birth.time_ns != 0
    cdef object options = None
    if kwargs:
        options, kwargs = split_options(kwargs)
    if again:
        t = enter(self, <PyObject *>self.tracker)
        options_only_once(options)
        return update_from(self, t, args, kwargs, M_INIT)
    pdt_init(&PyDict_Type, self, args, <PyObject *>kwargs if kwargs else NULL)
    begin_life(self, K_DICT, &self.birth)
    if has_options(self, options):
        t = converting(self, options)
        if t is not None:
            convert_values(self, t.effective)
        link_new_dict(self)
        report_untracked_now(self)
        return 0
    return link_new_dict(self)


@cython.no_gc_clear
cdef class DictHook(dict):
    """A dict that records its mutations."""

    def __init__(self, *args, **kwargs):
        init_dict(self, args, kwargs)

    def __dealloc__(self):
        if self.tracker is not None:
            detach(self.tracker)

    def __getitem__(self, key):
        return pdt_dict_subscript(self, key)

    def __contains__(self, key):
        return PyDict_Contains(self, key)

    def __setitem__(self, key, value):
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        if t.state & T_CONVERT:
            value = convert_for(t, value)
        store(self, t, key, value, M_SETITEM)

    def __delitem__(self, key):
        delete_key(self, enter(self, <PyObject *>self.tracker), key)

    def setdefault(self, *args):
        """As dict.setdefault; an ``add`` if the key was not there."""
        if len(args) == 1 or len(args) == 2:
            return set_default(self, enter(self, <PyObject *>self.tracker), args)
        return dict.setdefault(self, *args)

    def pop(self, *args):
        """As dict.pop."""
        if len(args) == 1 or len(args) == 2:
            return pop_key(self, enter(self, <PyObject *>self.tracker), args)
        return dict.pop(self, *args)

    def popitem(self):
        """As dict.popitem."""
        return pop_last(self, enter(self, <PyObject *>self.tracker))

    def clear(self):
        """As dict.clear; one record, or none if it is empty."""
        clear_all(self, enter(self, <PyObject *>self.tracker))

    def update(self, *args, **kwargs):
        """As dict.update; one record with a row for each item, ``tracking_`` names are items here."""
        update_from(self, enter(self, <PyObject *>self.tracker), args, kwargs, M_UPDATE)

    def __ior__(self, other):
        update_from(self, enter(self, <PyObject *>self.tracker), (other,), {}, M_IOR)
        return self


cdef int link_new_dict(object self) except -1:
    """Link what a new dict holds; make a tracker only if one of its values is tracked. O(items)."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    while PyDict_Next(self, &position, &key, &value):
        if pdt_heap_type(<object>value) and (tracker_of(<object>value) is not None or (
                pdt_following and follows(hook_of(self).tracker))):
            link_child(tracker_of(self), <object>value, <object>key, 0)
    return 0
