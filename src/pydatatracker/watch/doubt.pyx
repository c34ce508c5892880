# Owns: finding out which entry of a dict an event means where comparing the keys would run code of the program.
# May touch: the entries of watched dicts, to read; links to what they hold; the epoch; it records through `record_special`.
# Invariants:
#  - a key is hashed or compared only where that runs no Python code;
#  - where this leaves several entries, what each of them holds is noted, and the one that has changed afterwards was
#    meant. Finding it comes before the next event of any dict, before anything else is recorded and before a log is
#    read: while a change is in doubt, the epoch is newer than every tracker (as in write/later.pyx);
#  - a change in doubt has the number, time, scope and stack of its event, and nothing has a later number before it;
#  - nothing lives longer: of what an entry holds, no more is kept than a record keeps.

cdef enum:
    FEW_ENTRIES = 64                # of more, only one with the very key is noted: each event would take long

cdef struct Entry:                  # one that an event may mean
    Py_ssize_t before               # the position that gives PyDict_Next this entry
    Py_ssize_t after                # and the one that it leaves
    PyObject *key                   # borrowed; after a removal, only its address
    PyObject *value                 # the address of what it held


cdef class Doubt:
    """A change of a watched dict of which the entry is still to be found."""

    def __dealloc__(self):
        PyMem_Free(self.entries)


cdef Doubt in_doubt = None          # the change that is in doubt


cdef inline PyObject *held_quietly(object d, object key) except? NULL:
    """Return what a dict holds under a key, NULL if only code of the program could say. O(1)."""
    cdef PyObject *stored
    if pdt_only_str_keys(d) and PyUnicode_CheckExact(key):
        return PyDict_GetItemWithError(d, key)
    return pdt_entry(d, key, PyObject_Hash(key), &stored) if pdt_hash_is_quiet(key) else NULL


cdef object held_before(WatchedTracker t, int event, object key, PyObject *value, PyObject **stored):
    """Return what a dict holds under the key of an event, and the key that it holds. Mostly O(1).

    None in `stored` means that several entries may be meant. Runs no Python code.
    """
    cdef PyObject *found = NULL
    cdef object d = <object>t.owner
    cdef Py_hash_t hash = -1
    stored[0] = <PyObject *>key
    if PyUnicode_CheckExact(key) and pdt_only_str_keys(d):
        found = PyDict_GetItemWithError(d, key)
        if found == NULL:
            return missing              # CPython 3.12 calls an attribute that was deleted and comes back modified
        return <object>found
    if pdt_hash_is_quiet(key):
        hash = PyObject_Hash(key)
        found = pdt_entry(d, key, hash, stored)
        if found != NULL:
            return <object>found
    return only_entry(t, event, key, hash, value, stored)


cdef inline bint may_be_meant(object d, Entry *entry, object key, Py_hash_t hash, bint is_quiet, PyObject *value) except -1:
    """True unless an entry surely is not the one that an event with this key means. hash: -1 if it is not known."""
    cdef object held = <object>entry.key
    cdef Py_hash_t other
    if entry.value == value:
        return False                    # storing what is there is no event
    if hash != -1:
        other = pdt_hash_at(d, held, entry.after)
        if other != hash and other != -1:
            return False
    if held is key:
        return True
    if not (is_quiet and pdt_eq_is_quiet(held)):
        return True
    return PyObject_RichCompareBool(held, key, Py_EQ)


cdef object only_entry(WatchedTracker t, int event, object key, Py_hash_t hash, PyObject *value, PyObject **stored):
    """As `held_before`, where it takes a look at every entry. O(items)."""
    cdef object d = <object>t.owner
    cdef bint is_quiet = pdt_eq_is_quiet(key)
    cdef Entry entry
    cdef Entry first
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t n = 0
    if hash == -1 and PyDict_Size(d) > FEW_ENTRIES and pdt_position_of_same(d, key, t.turn_of_keys) >= 0:
        stored[0] = NULL
        return None
    first.key = first.value = NULL
    while True:
        entry.before = position
        if not PyDict_Next(d, &position, &entry.key, &entry.value):
            break
        entry.after = position
        if may_be_meant(d, &entry, key, hash, is_quiet, value):
            n += 1
            if n == 2:
                stored[0] = NULL
                return None
            first = entry
    if n == 0:
        return missing if event == PDT_MODIFIED and t.kind == K_ATTR else not_known()
    stored[0] = first.key
    return <object>first.value


cdef object not_known():
    return Words("<not known: the class of the key has its own __eq__>", "object")


cdef int doubt(WatchedTracker t, int event, object key, object value) except -1:
    """Note what each entry holds that an event may mean, and all else that its record needs. O(items)."""
    global in_doubt, last_seq
    cdef Doubt made = Doubt.__new__(Doubt)
    cdef Tracker ct
    note_entries(made, t, event, key, NULL if event == PDT_DELETED else <PyObject *>value)
    if t.epoch != epoch:
        refresh(t)
    made.tracker = t
    made.event = event
    made.method = method_for(t, event == PDT_DELETED)
    made.value = NULL if event == PDT_DELETED else <PyObject *>value
    made.given = kept_item(key)
    made.extra = Extra.__new__(Extra)
    if t.state & T_STACK:
        made.extra.stack = capture_stack(t.effective.values[O_STACK])
    made.scope = scope_of_call()
    forget_scope_of_call()
    if made.value != NULL and not pdt_plain(value):
        if (<follower>follow)(t, value, key, 0) < 0:
            PyErr_Clear()                   # no memory: the change is recorded, and what is below is untracked
        ct = tracker_of(value)
        if ct is not None:
            exchange_key(link_to(ct, t), key, made)     # what keeps the link keeps no key that the dict does not hold
    last_seq += 1
    made.seq = last_seq
    made.time_ns = pdt_now_ns()
    in_doubt = made
    bump()
    settle_soon()
    return 0


cdef int note_entries(Doubt made, WatchedTracker t, int event, object key, PyObject *value) except -1:
    cdef object d = <object>t.owner
    cdef bint is_quiet = pdt_eq_is_quiet(key)
    cdef Py_hash_t hash = PyObject_Hash(key) if pdt_hash_is_quiet(key) else -1
    cdef Py_ssize_t size = PyDict_Size(d)
    cdef Py_ssize_t position = 0
    cdef Entry entry
    made.values = []
    made.keys = []
    if hash == -1 and size > FEW_ENTRIES:
        entry.before = pdt_position_of_same(d, key, t.turn_of_keys)
        if entry.before >= 0:
            t.turn_of_keys = position = entry.before
            size = 1
    made.entries = <Entry *>PyMem_Realloc(NULL, size * sizeof(Entry))
    if made.entries == NULL:
        raise MemoryError
    while made.count < size:
        entry.before = position
        if not PyDict_Next(d, &position, &entry.key, &entry.value):
            break
        entry.after = position
        if may_be_meant(d, &entry, key, hash, is_quiet, value):
            made.entries[made.count] = entry
            made.count += 1
            made.values.append(<object>entry.value if pdt_plain(<object>entry.value) else kept_until_found(<object>entry.value))
            if event == PDT_DELETED:
                made.keys.append(<object>entry.key if pdt_plain(<object>entry.key) else kept_item(<object>entry.key))
        elif size == 1:
            break                           # the very key holds the value already, so another one is meant
    return 0


cdef object kept_until_found(object value):
    cdef object kept = kept_item(value)
    return value if isinstance(kept, Tracker) and not isinstance(kept, WatchedTracker) else kept


cdef int exchange_key(Link link, object before, object after) except -1:
    """Put another key in place of one in a link, which may be None."""
    cdef Py_ssize_t i
    if link is None:
        return 0
    if link.key is before:
        link.key = after
    elif isinstance(link.key, list):
        for i in range(PyList_GET_SIZE(link.key)):
            if (<list>link.key)[i] is before:
                (<list>link.key)[i] = after
    return 0


ctypedef int (*doubt_settler)(Doubt) noexcept


cdef void settle_doubt() noexcept:
    """Record the change that is in doubt, by what its dict holds now. O(entries noted)."""
    global in_doubt, in_event
    cdef Doubt was = in_doubt
    if was is None:
        return
    in_doubt = None
    in_event += 1
    if (<doubt_settler>record_doubt)(was) < 0:
        PyErr_Clear()
        miss(was.tracker)
    put_aside(was)
    was = None
    in_event -= 1


cdef Py_ssize_t found_entry(Doubt was) except -2:
    """Return the number of the entry that has changed, or -1."""
    cdef object d = <object>was.tracker.owner
    cdef Py_ssize_t i, position
    cdef Entry now
    for i in range(was.count):
        position = was.entries[i].before
        if not PyDict_Next(d, &position, &now.key, &now.value):
            return i if was.event == PDT_DELETED else -1
        if was.event == PDT_DELETED:
            if now.key != was.entries[i].key or position != was.entries[i].after:
                return i
        elif now.value != was.entries[i].value:
            return i
    return -1


cdef int record_doubt(Doubt was) except -1:
    global scope_instead
    cdef WatchedTracker t = was.tracker
    cdef Py_ssize_t at
    cdef int where = -1
    cdef PyObject *beside = NULL
    cdef object key = None
    cdef object old
    cdef object scope = scope_instead
    cdef object value = missing if was.value == NULL else <object>was.value
    cdef bint removes = was.event == PDT_DELETED
    cdef Tracker ct
    cdef Change change
    if t.owner == NULL:
        return 0
    at = found_entry(was)
    if at < 0:
        key = read_value(was.given)
        old = not_known()
        where = I_LAST if removes else -1
    else:
        old = kept_text(was.values[at], was.extra)
        if removes:
            key = read_value(was.keys[at])
            where = pdt_spot_at(<object>t.owner, was.entries[at].after - 1, &beside)
        else:
            key = <object>was.entries[at].key
        if t.children and not pdt_plain(old):
            ct = tracker_of(old)
            if ct is not None:
                untie(t, ct, key)
    if not removes and not pdt_plain(value):
        ct = tracker_of(value)
        if ct is not None:
            exchange_key(link_to(ct, t), was, key)
    if where == I_BEFORE or where == I_AFTER:
        was.extra.beside = kept_value(<object>beside)
        if t.state & T_NOVALUES and not pdt_quiet_key(was.extra.beside):
            was.extra.beside = None
            where = I_LAST
    refresh(t)
    t.version += 1
    t.net -= removes
    scope_instead = was.scope
    try:
        change = record_special(t, A_REMOVE if removes else A_UPDATE, was.method, S_SLOT, where, key, old, value,
                                was.extra, was.seq, was.time_ns)
    finally:
        scope_instead = scope
    if change is not None and t.state & T_NOTIFY:
        notify(t, change)
    return settle_loose() if loose else 0


cdef object kept_text(object kept, Extra extra):
    """Return the value that is meant by what was kept of it; of a list or the like, `extra` gets the text if it is gone."""
    cdef object value = read_value(kept)
    if type(value) is WatchedTracker and (<WatchedTracker>value).marks & X_COMPARED:
        (<WatchedTracker>value).in_log = True
        extra.old_text = summary_of(plain_watched(<WatchedTracker>value))
    return value
