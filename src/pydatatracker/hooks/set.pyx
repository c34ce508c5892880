# Owns: the hook of TrackedSet: every mutator of set, and `in`, which a Python subclass would slow down.
# May touch: the set below the hook, links, `commit`.
# Invariants:
#  - behaves as set does, exceptions included;
#  - of equal elements the set holds the one that the builtin would hold, also after an intersection;
#  - add, discard, remove and pop are one element; every other call is one record of the elements removed and added;
#  - whether an element was there shows in the size, so it is looked up once; t.net allows for changes by others;
#  - __hash__ and __eq__ of an element are not called more often than by set. What set or a dict has stored comes with its
#    hash, and what is the same object or another one afterwards is found by identity.

cdef int change_elements(SetHook self, Tracker t, set removed, set added, int method) except -1:
    """Remove elements that are there and add elements that are not, as one record. O(elements)."""
    cdef tuple out
    cdef tuple into
    cdef int gc
    if not removed and not added:
        return 0
    out = tuple(removed) if removed else ()
    into = tuple(added) if added else ()
    if not (all_quiet(out) and all_quiet(into)):
        return one_by_one(self, t, removed, out, added, into, method)
    gc = pdt_pause_gc()
    try:
        if removed:
            for element in out:             # one by one, as this takes no memory
                set.discard(self, element)
        if added:
            try:
                set.update(self, added)
            except MemoryError:             # nothing was added
                if out:
                    record_elements(t, out, (), method)
                raise
    finally:
        pdt_resume_gc(gc)
    return record_elements(t, out, into, method)


cdef int one_by_one(SetHook self, Tracker t, object removed, tuple out, object added, tuple into, int method) except -1:
    """Do the same step by step for elements with a Python __eq__, which can change the set. O(elements)."""
    cdef Pending pending = begin_bulk(t, method)
    try:
        if out:
            take_all(self, t, pending, removed, out)
        if into:
            put_all(self, t, pending, added, into)
    finally:
        end_bulk(t, pending)
    return 0


cdef inline bint has_hashes(object other):
    """True for what set takes elements from without hashing them."""
    return PyAnySet_Check(other) or PyDict_CheckExact(other)


cdef inline tuple elements_with_hashes(object other):
    return pdt_set_as_tuple(other) if PyAnySet_Check(other) else tuple(other)


cdef int put_all(SetHook self, Tracker t, Pending p, object other, tuple elements) except -1:
    """Add the elements of a set or dict as steps of a bulk call. O(elements)."""
    cdef object hashes
    cdef Py_ssize_t i
    if all_quiet(elements):
        for element in elements:
            put_element(self, t, p, element, -1)
        return 0
    hashes = pdt_hashes(other, elements)
    for i in range(PyTuple_GET_SIZE(elements)):
        put_element(self, t, p, elements[i], (<Py_hash_t *>PyBytes_AS_STRING(hashes))[i])
    return 0


cdef int take_all(SetHook self, Tracker t, Pending p, object other, tuple elements) except -1:
    """Discard the elements of a set or dict as steps of a bulk call. O(elements)."""
    cdef object hashes = pdt_hashes(other, elements)
    cdef Py_ssize_t i
    for i in range(PyTuple_GET_SIZE(elements)):
        take_element(self, t, p, elements[i], (<Py_hash_t *>PyBytes_AS_STRING(hashes))[i])
    return 0


cdef int put_element(SetHook self, Tracker t, Pending p, object element, Py_hash_t hash) except -1:
    """Add an element as a step of a bulk call; hash: -1 if it is not known."""
    cdef int gc
    cdef int32_t net = t.net
    cdef Py_ssize_t size = PySet_GET_SIZE(self)
    pdt_list_reserve(p.into, 1)
    if hash == -1 or runs_no_code(element):     # hashing it again costs less
        pdt_set_add(self, element)
    else:
        pdt_set_add_hashed(self, element, hash)
    if PySet_GET_SIZE(self) - size - (t.net - net) != 1:
        return 0
    gc = pdt_pause_gc()
    try:
        waiting = take_over(t, p)
        t.version += 1
        t.net += 1
        p.into.append(element)
        if pdt_heap_type(element):
            link_child(t, element, missing, 0)
    finally:
        pdt_resume_gc(gc)
    if waiting:
        notify_later(waiting)
    return 0


cdef object discard_quiet(SetHook self, Tracker t, object element):
    """Discard an element without code of its own; return the one that was there, or missing. O(1)."""
    cdef int32_t net = t.net
    cdef Py_ssize_t size = PySet_GET_SIZE(self)
    gone = held_element(self, element)
    set.discard(self, element)
    # another thread may have changed the set, and recorded it
    return gone if size - PySet_GET_SIZE(self) + (t.net - net) == 1 else missing


cdef bint take_element(SetHook self, Tracker t, Pending p, object element, Py_hash_t hash) except -1:
    """Discard an element as a step of a bulk call, return whether it was there; hash: -1 if it is not known."""
    cdef int gc
    pdt_list_reserve(p.out, 1)
    if pdt_quiet_key(element):
        element = discard_quiet(self, t, element)
    else:
        element = discard_hashed(self, t, element, PyObject_Hash(element) if hash == -1 else hash)
    if element is missing:
        return False
    gc = pdt_pause_gc()
    try:
        waiting = take_over(t, p)
        t.version += 1
        t.net -= 1
        p.out.append(element)
        if t.children:
            unlink_child(t, element, missing)
    finally:
        pdt_resume_gc(gc)
    if waiting:
        notify_later(waiting)
    return True


cdef object discard_hashed(SetHook self, Tracker t, object element, Py_hash_t hash):
    """Discard an element that has this hash; return the one that the set held, or missing. O(1).

    What is gone of several elements with one hash is seen afterwards, so no __eq__ has to be called to find it.
    """
    cdef PyObject *first = pdt_stored_element(self, element, hash, 0)
    cdef int32_t net = t.net
    cdef Py_ssize_t size = PySet_GET_SIZE(self)
    cdef Py_ssize_t n = 1
    cdef PyObject *each
    cdef list others = None
    if first == NULL:
        return missing              # set compares with those only that have the hash
    held = <object>first
    if held is not element:
        each = pdt_stored_element(self, element, hash, 1)
        if each != NULL:
            others = []
        while each != NULL:
            n += 1
            others.append(<object>each)
            each = pdt_stored_element(self, element, hash, n)
    pdt_set_discard_hashed(self, element, hash)
    if size - PySet_GET_SIZE(self) + (t.net - net) != 1:
        return missing
    if others is not None and pdt_stored_element(self, held, hash, PY_SSIZE_T_MAX) != NULL:
        for other in others:
            if pdt_stored_element(self, other, hash, PY_SSIZE_T_MAX) == NULL:
                return other
    return held


cdef tuple only_here(object one, tuple elements, object other, tuple others):
    """Return the elements of a set that are not in another one, by identity. O(elements)."""
    cdef object hashes = pdt_hashes(one, elements)
    cdef Py_hash_t *hash = <Py_hash_t *>PyBytes_AS_STRING(hashes)
    cdef Py_ssize_t n = PyTuple_GET_SIZE(elements)
    cdef Py_ssize_t i
    if n and hash[0] == -1:             # of a CPython whose tables are not known
        same = {<size_t><PyObject *>e for e in others}
        return tuple([e for e in elements if <size_t><PyObject *>e not in same])
    return tuple([elements[i] for i in range(n)
                  if pdt_stored_element(other, elements[i], hash[i], PY_SSIZE_T_MAX) == NULL])


cdef int exchange(SetHook self, Tracker t, set made, int method) except -1:
    """Let the set hold what another one holds, as one record; runs no code before it is written. O(elements)."""
    cdef tuple before
    cdef tuple after
    cdef tuple out
    cdef tuple into
    cdef int gc = pdt_pause_gc()
    try:
        before = pdt_set_as_tuple(self)
        after = pdt_set_as_tuple(made)
        out = only_here(self, before, made, after)
        into = only_here(made, after, self, before)
        if not out and not into:
            return 0
        if not pdt_set_swap(self, made):
            set.clear(self)
            set.update(self, made)      # a copy, which compares nothing
    finally:
        pdt_resume_gc(gc)
    return record_elements(t, out, into, method)


cdef int record_elements(Tracker t, tuple out, tuple into, int method) except -1:
    if t.children:
        for item in out:
            if pdt_heap_type(item):
                unlink_child(t, item, missing)
    if pdt_any_heap_in(into):
        for item in into:
            if pdt_heap_type(item):
                link_child(t, item, missing, 0)
    return commit(t, A_UPDATE if out and into else (A_ADD if into else A_REMOVE), method, S_ELEMENTS, -1, missing,
                  out, into, len(into) - len(out))


cdef int update_set(SetHook self, tuple others, int method) except -1:
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef Pending pending
    cdef tuple into
    if not others:
        return 0
    if len(others) == 1 and PyAnySet_Check(others[0]):
        into = pdt_set_as_tuple(others[0])
        if not all_quiet(into):
            if PySet_GET_SIZE(self) == 0:
                return exchange(self, t, set(others[0]), method)
            return one_by_one(self, t, None, (), others[0], into, method)
        if PySet_GET_SIZE(self) == 0:
            set.update(self, others[0])         # the builtin copies a set into an empty one
            return record_elements(t, (), into, method) if into else 0
        return change_elements(self, t, None, set(others[0].difference(self)), method)
    pending = begin_bulk(t, method)
    try:
        for other in others:
            if has_hashes(other):
                put_all(self, t, pending, other, elements_with_hashes(other))
                continue
            for element in other:
                put_element(self, t, pending, element, -1)
    finally:
        end_bulk(t, pending)
    return 0


cdef int subtract(SetHook self, tuple others, int method) except -1:
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef Pending pending
    if len(others) == 1 and PyAnySet_CheckExact(others[0]) and all_quiet(pdt_set_as_tuple(others[0])):
        removed = elements_in(self, others[0])
        if removed is not None:
            return change_elements(self, t, removed, None, method)
    pending = begin_bulk(t, method)
    try:
        for other in others:
            if has_hashes(other):
                take_all(self, t, pending, other, elements_with_hashes(other))
                continue
            for element in other:
                take_element(self, t, pending, element, -1)
    finally:
        end_bulk(t, pending)
    return 0


cdef set elements_in(SetHook self, object other):
    """Return the elements of self that are in other, as the objects that self holds. O(smaller set).

    None if that would call the __hash__ of an element of self. The elements of other run no code.
    """
    cdef tuple mine
    if len(other) < PySet_GET_SIZE(self) // 4:
        return {held_element(self, e) for e in other if pdt_set_contains(self, e)}
    mine = pdt_set_as_tuple(self)
    return {e for e in mine if e in other} if all_quiet(mine) else None


cdef object held_element(object s, object element):
    """Return the element that a set holds and that is equal to one; that one itself if there is none. O(1).

    Runs no user code unless elements that are not equal have the same hash, or the one has a __hash__ of its own.
    """
    cdef Py_hash_t hash
    if PySet_GET_SIZE(s) == 0:
        return element
    hash = PyObject_Hash(element)
    return one_of(pdt_stored_element(s, element, hash, 0), pdt_stored_element(s, element, hash, 1), s, element, hash)


cdef int init_set(SetHook self, tuple args, dict kwargs) except -1:
    """Do __init__. O(elements)."""
    cdef object options = None
    if kwargs:
        options, kwargs = split_options(kwargs)
        if kwargs:
            pdt_init(&PySet_Type, self, args, <PyObject *>kwargs)   # raises
            return 0
    if self.birth.time_ns != 0:
        options_only_once(options)
        if len(args) > 1:
            pdt_init(&PySet_Type, self, args, NULL)                 # raises
        enter(self, <PyObject *>self.tracker)
        clear_set(self, M_INIT)             # as set does, before it iterates
        if args:
            update_set(self, args, M_INIT)
        return 0
    pdt_init(&PySet_Type, self, args, NULL)
    begin_life(self, K_SET, &self.birth)
    if options is not None:
        configure(self, (<tuple>options)[0], (<tuple>options)[1])
    for item in set.__iter__(self):
        if pdt_heap_type(item) and (tracker_of(item) is not None or (
                pdt_following and follows(<PyObject *>self.tracker))):
            link_child(tracker_of(self), item, missing, 0)
    if has_options(self, options):
        report_untracked_now(self)
    return 0


@cython.no_gc_clear
cdef class SetHook(set):
    """A set that records its mutations."""

    def __init__(self, *args, **kwargs):
        init_set(self, args, kwargs)

    def __dealloc__(self):
        if self.tracker is not None:
            detach(self.tracker)

    def __contains__(self, element):
        return pdt_set_contains(self, element)

    def add(self, element, /):
        """As set.add; adding an element that is there changes nothing."""
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        cdef int32_t net = t.net
        cdef Py_ssize_t size = PySet_GET_SIZE(self)
        pdt_set_add(self, element)
        if PySet_GET_SIZE(self) - size - (t.net - net) == 1:
            if pdt_heap_type(element):
                link_child(t, element, missing, 0)
            commit(t, A_ADD, M_ADD, S_SLOT, -1, element, missing, element, 1)

    def discard(self, element, /):
        """As set.discard."""
        drop_element(self, element, M_DISCARD)

    def remove(self, element, /):
        """As set.remove."""
        if not drop_element(self, element, M_REMOVE):
            raise KeyError(element)

    def pop(self):
        """As set.pop."""
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        element = set.pop(self)
        if t.children:
            unlink_child(t, element, missing)
        commit(t, A_REMOVE, M_POP, S_SLOT, -1, element, element, missing, -1)
        return element

    def clear(self):
        """As set.clear; one record, or none if it is empty."""
        clear_set(self, M_CLEAR)

    def update(self, *others):
        """As set.update."""
        enter(self, <PyObject *>self.tracker)
        update_set(self, others, M_UPDATE)

    def difference_update(self, *others):
        """As set.difference_update."""
        enter(self, <PyObject *>self.tracker)
        subtract(self, others, M_DIFFERENCE_UPDATE)

    def intersection_update(self, *others):
        """As set.intersection_update."""
        enter(self, <PyObject *>self.tracker)
        if others:
            leave(self, set.intersection(self, *others), M_INTERSECTION_UPDATE)

    def symmetric_difference_update(self, other, /):
        """As set.symmetric_difference_update."""
        enter(self, <PyObject *>self.tracker)
        toggle(self, other if has_hashes(other) else set(other), M_SYMMETRIC_DIFFERENCE_UPDATE)

    def __ior__(self, other):
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        enter(self, <PyObject *>self.tracker)
        update_set(self, (other,), M_IOR)
        return self

    def __iand__(self, other):
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        enter(self, <PyObject *>self.tracker)
        leave(self, set.intersection(self, other), M_IAND)
        return self

    def __isub__(self, other):
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        enter(self, <PyObject *>self.tracker)
        subtract(self, (other,), M_ISUB)
        return self

    def __ixor__(self, other):
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        enter(self, <PyObject *>self.tracker)
        toggle(self, other, M_IXOR)
        return self


cdef int clear_set(SetHook self, int method) except -1:
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef tuple out
    cdef int gc
    if PySet_GET_SIZE(self) == 0:
        return 0
    gc = pdt_pause_gc()
    try:
        out = pdt_set_as_tuple(self)
        set.clear(self)
    finally:
        pdt_resume_gc(gc)
    return record_elements(t, out, (), method)


cdef int leave(SetHook self, set kept_elements, int method) except -1:
    """Keep an intersection: of equal elements set holds one of the other set afterwards, if it goes through that one."""
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef uint32_t version
    cdef set going
    cdef set coming
    cdef tuple mine = pdt_set_as_tuple(self)
    if PDT_IS_PUBLIC or not (all_quiet(mine) and all_quiet(pdt_set_as_tuple(kept_elements))):
        return exchange(self, t, kept_elements, method)
    while True:
        version = t.version
        going = {e for e in mine if e not in kept_elements}
        coming = set()
        for element in kept_elements:
            held = held_element(self, element)
            if held is not element:
                going.add(held)
                coming.add(element)
        if t.version == version:
            return change_elements(self, t, going, coming, method)
        mine = pdt_set_as_tuple(self)


cdef int toggle(SetHook self, object other, int method) except -1:
    """Remove what is in a set or dict too, and add what is only there. O(elements)."""
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef tuple elements = elements_with_hashes(other)
    cdef uint32_t version
    cdef set going
    cdef set coming
    cdef tuple mine = pdt_set_as_tuple(self)
    if not (all_quiet(elements) and all_quiet(mine)):
        return toggle_each(self, t, other, elements, method)
    if other is self:
        other = set(elements)
    while True:
        version = t.version
        going = {e for e in mine if e in other}
        coming = {e for e in other if e not in going}
        if t.version == version:
            return change_elements(self, t, going, coming, method)
        mine = pdt_set_as_tuple(self)


cdef int toggle_each(SetHook self, Tracker t, object other, tuple elements, int method) except -1:
    """Do the same step by step, as set does. O(elements)."""
    cdef object hashes = pdt_hashes(other, elements)
    cdef Pending pending = begin_bulk(t, method)
    cdef Py_hash_t hash
    cdef Py_ssize_t i
    try:
        for i in range(PyTuple_GET_SIZE(elements)):
            hash = (<Py_hash_t *>PyBytes_AS_STRING(hashes))[i]
            if not take_element(self, t, pending, elements[i], hash):
                put_element(self, t, pending, elements[i], hash)
    finally:
        end_bulk(t, pending)
    return 0


cdef bint drop_element(SetHook self, object element, int method) except -1:
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef object gone
    cdef Py_hash_t hash
    if pdt_quiet_key(element):
        gone = discard_quiet(self, t, element)
    else:
        try:
            hash = PyObject_Hash(element)
        except TypeError:
            if not isinstance(element, set):
                raise
            element = frozenset(element)    # set looks for an equal frozenset
            hash = PyObject_Hash(element)
        gone = discard_hashed(self, t, element, hash)
    if gone is missing:
        return False
    if t.children:
        unlink_child(t, gone, missing)
    commit(t, A_REMOVE, method, S_SLOT, -1, gone, gone, missing, -1)
    return True
