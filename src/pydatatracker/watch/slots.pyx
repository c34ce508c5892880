# Owns: hearing of stores into the slots (__slots__) of watched objects, so that each is a record with its actor and stack.
# May touch: the classes of watched objects through native/members.h; what their trackers keep of the slots.
# Invariants:
#  - a store comes here before it happens, as that into a dict does: nothing here runs Python code (event.pyx);
#  - what is kept of a slot is what it holds, so comparing finds only what was not heard: where a class cannot be heard,
#    or without memory;
#  - an object whose memory another one gets is let go before anything is stored there;
#  - classes get back what they had when nothing is watched any more.

cdef list heard_classes = []            # (class, its member descriptors that are heard, its address)
cdef set heard_addresses = set()        # addresses of these classes


cdef int hear_slots(WatchedTracker t) except -1:
    """Hear of stores into the slots of an object, if it can be. O(slots) once for a class."""
    cdef list members
    cdef object cls = t.cls
    address = <size_t><PyObject *>cls
    t.rows = slots_of(cls)
    if address in heard_addresses or not pdt_can_hear(<PyTypeObject *>cls):
        return 0
    members = [each for _, each in t.rows]
    heard_classes.append((cls, members, address))
    heard_addresses.add(address)
    for i in range(len(members)):
        if not pdt_hear_member(members[i], on_slot):
            members[i] = None
    pdt_hear_reuse(<PyTypeObject *>cls, on_reuse)
    return 0


cdef int hear_no_slots() except -1:
    """Give all classes back what they had. O(slots of all), and needs no memory."""
    cdef Py_ssize_t i = len(heard_classes)
    while i:
        i -= 1
        cls, members, address = <tuple>heard_classes[i]
        if pdt_stays_heard(<PyTypeObject *>cls) and not watching_is_over:
            continue
        for member in <list>members:
            if member is not None:
                pdt_unhear_member(member)
        pdt_unhear_reuse(<PyTypeObject *>cls)
        heard_addresses.discard(address)
        put_aside(heard_classes[i])
        del heard_classes[i]
    if not in_event:
        slots_by_class.clear()              # the descriptors in it keep their classes
    return 0


cdef int on_slot(PyObject *o, PyObject *member, PyObject *value) noexcept:
    global in_event
    cdef PyObject *tracker = pdt_watched_find(o)
    if tracker == NULL or o == ignored or (<WatchedTracker>tracker).way != Y_SLOTS:
        return 0
    in_event += 1
    if value != NULL and slot_stored_plainly(<WatchedTracker>tracker, <object>o, <object>member, value):
        in_event -= 1
        return 0
    Py_INCREF(<object>tracker)
    if (<slot_taker>take_slot)(<WatchedTracker>tracker, <object>o, <object>member, value) < 0:
        PyErr_Clear()
        (<WatchedTracker>tracker).stale = True
        miss(<WatchedTracker>tracker)
    Py_DECREF(<object>tracker)
    in_event -= 1
    return 0


cdef inline bint slot_stored_plainly(WatchedTracker t, object o, object member, PyObject *value) noexcept:
    """As `stored_plainly`, for a slot: record that a plain value takes the place of another, and return True. O(slots)."""
    global last_seq
    cdef PyObject *old
    cdef PyObject *scope
    cdef PyObject *row
    cdef Py_ssize_t i
    if (t.state & T_SPECIAL or t.epoch != epoch or t.nearby is not None or method_instead >= 0 or t.stale or t.seen == NULL
            or not pdt_plain(<object>value) or <PyObject *>Py_TYPE(o) != <PyObject *>t.cls):
        return False
    if t.link is not None and (t.link.next is not None or t.link.parent.marks & X_COMPARED):
        return False
    old = pdt_slot(o, member)
    if old == NULL or old == value or not pdt_plain(<object>old) or (<Log>t.active).held is not None:
        return False
    for i in range(PyTuple_GET_SIZE(t.rows)):
        row = PyTuple_GET_ITEM(t.rows, i)
        if PyTuple_GET_ITEM(<object>row, 1) == <PyObject *>member:
            break
    else:
        return False
    if t.seen[i] != old:
        return False
    scope = pdt_scope_or_null()
    if scope == NULL or push(t.active, last_seq + 1, pdt_now_ns(), A_UPDATE, M_SETATTR, S_SLOT, -1, <PyObject *>t.place,
                             PyTuple_GET_ITEM(<object>row, 0), old, value, scope, <PyObject *>None) < 0:
        PyErr_Clear()
        return False
    t.seen[i] = value
    t.kept[i] = <object>value
    last_seq += 1
    t.version += 1
    return True


ctypedef int (*slot_taker)(WatchedTracker, object, object, PyObject *) noexcept


cdef void on_reuse(PyObject *o) noexcept:
    """An object is made where one was that is in the table: that one has ended."""
    global in_event
    cdef PyObject *tracker = pdt_watched_find(o)
    if tracker == NULL or not (<WatchedTracker>tracker).marks & X_COMPARED:
        return
    in_event += 1
    t = <WatchedTracker>tracker
    if (<reuse_taker>let_go)(t, True) < 0:
        PyErr_Clear()
    put_aside(t)
    t = None
    in_event -= 1


ctypedef int (*reuse_taker)(WatchedTracker, bint) noexcept


cdef int take_slot(WatchedTracker t, object o, object member, PyObject *stored) except -1:
    """Record a store into a slot, which is about to happen; stored: NULL deletes. O(slots)."""
    cdef PyObject *held = pdt_slot(o, member)
    cdef object old = missing if held == NULL else <object>held
    cdef object value = missing if stored == NULL else <object>stored
    cdef object key = None
    cdef Tracker ct
    cdef Py_ssize_t i = 0
    if old is value or t.seen == NULL or <PyObject *>Py_TYPE(o) != <PyObject *>t.cls:
        return 0
    for name, each in t.rows:
        if each is member:
            key = name
            break
        i += 1
    if key is None or t.state & T_QUIET:
        return 0
    look_near(t)
    if t.owner == NULL:
        return 0
    if not is_as_seen(t):
        if not is_sure(t, 0):               # it is not known any more who holds it
            return let_go(t, False)
        compare(t)
    if old is not missing and t.children and not pdt_plain(old):
        ct = tracker_of(old)
        if ct is not None:
            untie(t, ct, key)
    if value is not missing and not pdt_plain(value) and (<follower>follow)(t, value, key, i) < 0:
        PyErr_Clear()                       # no memory: the change is recorded, and what is below is untracked
    t.kept[i] = kept_item(value)
    t.seen[i] = <PyObject *>value
    commit_watched(t, A_ADD if old is missing else A_REMOVE if value is missing else A_UPDATE,
                   method_for(t, value is missing), S_SLOT, -1, key, old, value, 0, None)
    return settle_loose() if loose else 0
