# Owns: the links from children to parents.
# May touch: trackers, the items of containers (to read), the epoch.
# Invariants (check_tracker tests them):
#  - a link's count is the number of slots of the parent that hold the child;
#  - the link of a dict or an attribute knows its key while count is 1. With several slots, or after one of several
#    was emptied, the key is `missing` and has to be searched. The link of a list has a hint and searches around it;
#  - in the chain of a container, the links that are followed upwards stand before those that close a cycle (`back`):
#    who walks upwards stops at the first of these, of which a model that all its agents refer to has very many.
# tree/cycles.pyx says which links are followed upwards.

cdef enum:
    FEW_PARENTS = 32                    # of more, an index finds the link of one


cdef class Link:
    """A parent of a container."""

    def __dealloc__(self):
        unhook(<PyObject *>self)
        unhook_way(<PyObject *>self)


cdef inline void chain_behind(Link before, Link link) noexcept:
    link.next = before.next
    link.prev = <PyObject *>before
    before.next = link
    if link.next is not None:
        link.next.prev = <PyObject *>link


cdef void chain(Tracker ct, Link link) noexcept:
    """Put a link into the chain of ct, by whether it is back. O(1)."""
    cdef Link first = ct.link
    cdef bint followed = first is not None and not first.back   # the chain begins with links to follow
    if followed and (link.back or ct.marks & X_WATCHED):
        # the oldest parent of a watched object gives its first path: it is the one that people know
        chain_behind(<Link>first.prev, link)
        if not link.back:
            first.prev = <PyObject *>link
        return
    link.next = first
    link.prev = NULL if link.back else first.prev if followed else <PyObject *>link
    if first is not None:
        first.prev = <PyObject *>link
    ct.link = link


cdef void unchain(Tracker ct, Link gone) noexcept:
    """Take a link out of the chain of ct; it keeps its `next` for who walks there. O(1)."""
    cdef Link next = gone.next
    cdef Link first = ct.link
    if first is gone:
        ct.link = next
        if next is not None:
            next.prev = NULL if next.back else gone.prev
    elif gone.prev != NULL:                 # else it was taken out already
        (<Link>gone.prev).next = next
        if next is not None:
            next.prev = gone.prev
        if first.prev == <PyObject *>gone:
            first.prev = gone.prev
    gone.prev = NULL


cdef void turn(Tracker ct, Link link, bint back) noexcept:
    """Follow a link of ct no more, or again. O(1)."""
    unchain(ct, link)
    link.back = back
    if not back:
        link.lone = False
    chain(ct, link)


cdef int put_link(Tracker ct, Link link) except -1:
    """Put a new link into the chain of ct. O(1)."""
    chain(ct, link)
    if ct.rare is not None and ct.rare.by_parent is not None and (<link_user>note_link)(ct, link) < 0:
        PyErr_Clear()
        ct.rare.by_parent = None            # no memory: links are searched again
    return 0


ctypedef int (*link_user)(Tracker, Link) noexcept
ctypedef PyObject *(*link_finder)(Tracker, Tracker) noexcept


cdef int note_link(Tracker ct, Link link) except -1:
    ct.rare.by_parent[link.parent.number] = link
    return 0


cdef int index_links(Tracker ct, Link link) except -1:
    cdef dict found = {}
    while link is not None:
        if link.parent is not None:
            found[link.parent.number] = link
        link = link.next
    rare_of(ct).by_parent = found
    return 0


cdef PyObject *indexed_link(Tracker ct, Tracker parent) except? NULL:
    return PyDict_GetItemWithError(ct.rare.by_parent, parent.number)


cdef Link link_to(Tracker ct, Tracker parent):
    """Return the link from a container to a parent, or None. O(1) amortized; O(parents) without memory."""
    cdef Link link = ct.link
    cdef PyObject *found
    cdef int n = 0
    if ct.rare is not None and ct.rare.by_parent is not None:
        found = (<link_finder>indexed_link)(ct, parent)
        if found != NULL:
            return <Link>found
        if PyErr_Occurred() == NULL:
            return None
        PyErr_Clear()
        n = -(1 << 30)
    while link is not None and link.parent is not parent:
        link = link.next
        n += 1
    if n > FEW_PARENTS and (<link_user>index_links)(ct, ct.link) < 0:
        PyErr_Clear()
    return link


cdef inline void unhook(PyObject *link) noexcept:
    """Take a link out of the list of those through which places were found. No reference is touched. O(1)."""
    cdef PyObject **before = (<Link>link).before
    cdef PyObject *after = (<Link>link).after
    if before != NULL:
        before[0] = after
        if after != NULL:
            (<Link>after).before = before
        (<Link>link).before = NULL
        (<Link>link).after = NULL


cdef inline void hook_to(PyObject *parent, PyObject *link) noexcept:
    """Put a link that is in no list into that of a parent. O(1)."""
    cdef PyObject *first = (<Tracker>parent).dependents
    (<Link>link).after = first
    if first != NULL:
        (<Link>first).before = &(<Link>link).after
    (<Link>link).before = &(<Tracker>parent).dependents
    (<Tracker>parent).dependents = link


ctypedef int (*link_maker)(Tracker, object, object, Py_ssize_t) noexcept


cdef int link_child(Tracker parent, object child, object key, Py_ssize_t hint) except -1:
    """Count that a slot of parent holds child, if child is tracked. O(parents of child)."""
    cdef int gc = pdt_pause_gc()        # the change is made and not recorded yet, so nothing may come between
    cdef int made = (<link_maker>make_link)(parent, child, key, hint)
    if made < 0 and pdt_no_memory():
        later_with(parent)
        made = 0
    pdt_resume_gc(gc)
    return made


cdef int make_link(Tracker parent, object child, object key, Py_ssize_t hint) except -1:
    cdef Tracker ct = tracker_of(child)
    cdef Link link
    cdef list gave_way = None
    cdef int64_t lowered = 0 if ct is None else ct.lowered
    cdef bint had = ct is not None and ct.link is not None
    if ct is None or parent.state & T_SORTING or isinstance(child, Watching):
        return adopt(parent, child, key, hint) if ct is None and pdt_following else 0
    if ct.marks & X_WATCHED and (<WatchedTracker>ct).home.nodes is not None:
        share(parent, <WatchedTracker>ct)
    link = link_to(ct, parent)
    if link is not None:
        if parent.kind == K_ATTR:
            if isinstance(link.key, list):
                (<list>link.key).append(key)
            else:
                link.key = [link.key, key]
        else:
            link.key = missing
        link.count += 1
    else:
        link = Link.__new__(Link)
        link.parent = parent
        link.key = key
        link.hint = hint
        link.count = 1
        if ct is parent or (level_of(ct) <= level_of(parent) and ct.children and not in_another_tree(ct, parent)
                            and is_above(ct, parent)):
            if ct is not parent:
                gave_way = links_to_give_way(ct, parent)
            if gave_way is None:
                rare_of(ct)
                rest(ct, link)
                link.back = True
                note_looped(ct)
                note_looped(parent)
            else:
                set_back(gave_way, True)
                raise_level(ct)
        if not link.back:
            try:
                put_above(parent, ct)
            except MemoryError:
                if gave_way is not None:
                    set_back(gave_way, False)
                    ct.lowered = lowered
                raise
        put_link(ct, link)
    parent.children += 1
    if link.back:
        note_stranded(ct)
        if strays:
            come_back(ct, link)
    else:
        note_parent(ct)
        invalidate(ct)
        if any_looped and parent.epoch == epoch and (
                ct.marks & X_LOOPED or (ct.rare is not None and ct.rare.has_cycles)):
            note_cycles(parent)
        if gave_way is not None:
            give_way(gave_way)
            if strays:
                for t, each in gave_way:
                    come_back(<Tracker>t, <Link>each)
        if had and any_looped and strays and ct.children:
            bring_back(ct, parent)
    if ct.marks & X_REDACTS and not parent.marks & X_REDACTS:
        mark_redacting(parent)
    return 1


cdef int unlink_child(Tracker parent, object child, object key) except -1:
    """Count that one slot of parent no longer holds child. O(parents of child)."""
    cdef int gc
    if not parent.children or parent.state & T_SORTING:
        return 0
    gc = pdt_pause_gc()
    try:
        return cut_link(parent, child, key)
    finally:
        pdt_resume_gc(gc)


cdef int cut_link(Tracker parent, object child, object key) except -1:
    cdef Tracker ct = tracker_of(child)
    return 0 if ct is None else cut_tracker(parent, ct, key)


ctypedef int (*out_taker)(Tracker, WatchedTracker) noexcept
ctypedef int (*comer)(Tracker, Link) noexcept


cdef int cut_tracker(Tracker parent, Tracker ct, object key) except -1:
    """Count that one slot of parent no longer holds the container of ct. O(parents)."""
    cdef Link link = link_to(ct, parent)
    cdef bint was_back
    if link is None:
        return 0
    was_back = link.back
    link.count -= 1
    if parent.children > 0:
        parent.children -= 1
    if link.count <= 0:
        if parent.kind == K_DICT:
            link.key = key
        drop_link(ct, link)
        if not was_back and ct.link is not None and ct.marks & X_LOOPED and (<comer>come_back)(ct, None) < 0:
            PyErr_Clear()               # no memory: ct is a root for now
        if ct.marks & X_COMPARED and not parent.marks & X_WATCHED:
            if (<out_taker>taken_out)(parent, <WatchedTracker>ct) < 0:
                PyErr_Clear()           # no memory to keep it, and the removal is still to be recorded
                (<WatchedTracker>ct).held = None
                let_go(<WatchedTracker>ct, False)
    elif parent.kind == K_ATTR:
        if isinstance(link.key, list):
            remove_key(<list>link.key, key)
            if PyList_GET_SIZE(link.key) == 1:
                link.key = (<list>link.key)[0]
    else:
        link.key = missing
    if not was_back:
        invalidate(ct)
    return 1


cdef int remove_key(list keys, object key) except -1:
    """Remove one of the keys of a link, without running its ``__eq__`` and without memory. O(keys)."""
    cdef Py_ssize_t i
    for i in range(PyList_GET_SIZE(keys)):
        if same_key(keys[i], key):
            del keys[i]
            return 0
    return 0


cdef int forget_link(Tracker ct, Link gone) except -1:
    if gone.parent is not None:             # else the collector frees it
        ct.rare.by_parent.pop(gone.parent.number, None)
    return 0


cdef int drop_link(Tracker ct, Link gone) except -1:
    cdef bint was_way = gone.way_before != NULL and not gone.back
    if redacting:
        keep_rules(ct, gone)
    unhook(<PyObject *>gone)
    unhook_way(<PyObject *>gone)
    unchain(ct, gone)
    gone.back = False
    if ct.rare is not None and ct.rare.by_parent is not None and (<link_user>forget_link)(ct, gone) < 0:
        PyErr_Clear()
        ct.rare.by_parent = None
    if was_way:
        settle_ways(ct)
    note_stranded(ct)
    return 0


cdef int link_all(Tracker t) except -1:
    """Link everything that the container holds already, after init or a copy. O(items)."""
    cdef PyObject *owner = t.owner
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t i
    cdef Py_ssize_t position = 0
    if t.kind == K_DICT:
        while PyDict_Next(<object>owner, &position, &key, &value):
            if pdt_heap_type(<object>value):
                k = <object>key
                link_child(t, <object>value, k, 0)
    elif t.kind == K_LIST:
        for i in range(PyList_GET_SIZE(<object>owner)):
            if i < PyList_GET_SIZE(<object>owner) and pdt_heap_type(<object>PyList_GET_ITEM(owner, i)):
                link_child(t, <object>PyList_GET_ITEM(owner, i), None, i)
    elif t.kind == K_SET:
        for item in list(set.__iter__(<object>owner)):
            if pdt_heap_type(item):
                link_child(t, item, missing, 0)
    elif t.kind == K_DEQUE:
        for i, item in enumerate(deque_items(<object>owner)):
            if pdt_heap_type(item):
                link_child(t, item, None, i)
    return 0


def check_tracker(container):
    """Raise AssertionError if the links, places or log of a container break an invariant. O(items)."""
    cdef Tracker t = tracker_of(container)
    cdef Tracker ct
    cdef Link link
    cdef Py_ssize_t links = 0
    assert t is not None, container
    assert held_as(t) == <PyObject *>container
    counts = {}
    for child in contents_of(container):
        ct = tracker_of(child)
        if ct is not None:
            counts[ct.number] = counts.get(ct.number, 0) + 1
            link = ct.link
            while link is not None and link.parent is not t:
                link = link.next
            assert link is not None, f"{child!r} is in {container!r} and is not linked"
    for child in contents_of(container):
        ct = tracker_of(child)
        if ct is not None:
            link = ct.link
            while link.parent is not t:
                link = link.next
            assert link.count == counts[ct.number], (link.count, counts[ct.number])
    for n in counts.values():
        links += n
    assert t.children == links, (t.children, links)
    refresh(t)
    assert t.epoch == epoch
    link = t.link
    while link is not None:
        assert link.back or level_of(link.parent) < level_of(t), link.parent
        assert link.way_before != NULL if link.back else link.before != NULL and link.parent.epoch == epoch, link.parent
        if link.next is not None:
            assert link.next.prev == <PyObject *>link and (link.next.back or not link.back), link.parent
        if not link.back and (link.next is None or link.next.back):
            assert t.link.prev == <PyObject *>link, link.parent
        link = link.next
    assert t.rare is None or t.rare.unsure == NULL
    for place in places_of(t):
        assert (<Place>place).tracker is t
        step = <Place>place
        while (<Place>step).parent is not None:
            above = (<Place>step).parent
            assert holds((<Place>above).tracker, (<Place>step).key, (<Place>step).tracker), place
            step = above
    if t.log is not None:
        t.log._check()


cdef bint holds(Tracker parent, object key, Tracker child):
    if not alive(parent):
        return False
    container = <object>parent.owner
    held = missing
    if parent.marks & X_WATCHED:
        for each, value in pairs_of(<WatchedTracker>parent):
            if each is key or same_key(each, key):
                held = value
    elif parent.kind == K_LIST:
        held = list.__getitem__(container, key)
    elif parent.kind == K_DICT:
        held = dict.__getitem__(container, key)
    elif parent.kind == K_ATTR:
        held = object.__getattribute__(container, key)
    elif parent.kind == K_DEQUE:
        held = pdt_deque_item(container, key)
    else:
        return key == child.uuid
    return <PyObject *>held == held_as(child)


cdef list contents_of(object container):
    cdef Tracker t = tracker_of(container)
    if t.marks & X_WATCHED:
        return contents_of_tracker(t)
    if t.kind == K_DICT:
        return list(dict.values(container))
    if t.kind == K_LIST:
        return list.copy(container)
    if t.kind == K_SET:
        return list(set.__iter__(container))
    if t.kind == K_DEQUE:
        return list(deque_iter(container))
    return [value for name, value in attributes_of(container) if is_monitored(t, name)]
