# Owns: the links from children to parents.
# May touch: trackers, the items of containers (to read), the epoch.
# Invariants (check_tracker tests them):
#  - a link's count is the number of slots of the parent that hold the child;
#  - links that are not `back` form a directed acyclic graph, so every walk upwards ends;
#  - a parent has a lower level than its child, but for back links: a link that leads from a lower level to a higher one
#    closes no cycle, and whoever looks for a container above another one looks at no level below it;
#  - the link of a dict or an attribute knows its key while count is 1. With several slots, or after one of several
#    was emptied, the key is `missing` and has to be searched. The link of a list has a hint and searches around it;
#  - of the links of a cycle, one that leads to its oldest container is `back` where that can be had: a model stays a
#    root when its agents, which refer to it, are put into it, and when they are taken out and still refer to it;
#  - what is below a root by way of a back link only is not below an older one: such a link is followed again;
#  - a back link rests on one way of links from its child down to its parent, which are in `ways` of their parents. If
#    one of these goes, the back link is looked at: another way is found, or it is no longer back. One that leads to
#    what is older than its parent stays back without a way (`lone`).

cdef enum:
    FEW_PARENTS = 32                    # of more, an index finds the link of one

cdef PyObject *unsure_links = NULL      # back links whose way has gone
cdef bint any_looped = False            # some container was in a cycle once: X_LOOPED
cdef Py_ssize_t strays = 0              # containers with `Rare.stranded`, and some more if there was no memory


cdef class Link:
    """A parent of a container."""

    def __dealloc__(self):
        unhook(<PyObject *>self)
        unhook_way(<PyObject *>self)


cdef int put_link(Tracker ct, Link link, Link before) except -1:
    """Put a new link into the chain of ct, behind another one or (None) first. O(1)."""
    if before is None:
        link.next = ct.link
        ct.link = link
    else:
        link.next = before.next
        before.next = link
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


cdef inline void unhook_way(PyObject *link) noexcept:
    """The same for the list of links that are on the way to a back link. O(1)."""
    cdef PyObject **before = (<Link>link).way_before
    cdef PyObject *after = (<Link>link).way_after
    if before != NULL:
        before[0] = after
        if after != NULL:
            (<Link>after).way_before = before
        (<Link>link).way_before = NULL
        (<Link>link).way_after = NULL


cdef inline void hook_way(PyObject **first, PyObject *link) noexcept:
    """Put a link that is in no list of ways into one. O(1)."""
    (<Link>link).way_after = first[0]
    if first[0] != NULL:
        (<Link>first[0]).way_before = &(<Link>link).way_after
    (<Link>link).way_before = first
    first[0] = link


cdef inline int64_t level_of(Tracker t):
    return (<int64_t>t.number << 20) - t.lowered    # the space between two leaves room for those that are lowered


cdef int put_above(Tracker parent, Tracker child) except -1:
    """Give parent a lower level than child, and so on upwards; no way leads down from child to parent.

    O(1) if the levels are right, as when the parent was made first. Otherwise O(ancestors that are not lower).
    """
    cdef int64_t top = level_of(child)
    cdef Link link = parent.link
    if level_of(parent) < top:
        return 0
    while link is not None:
        if not link.back and link.parent is not None and level_of(link.parent) >= top - 1:
            return put_all_above(parent, child)
        link = link.next
    parent.lowered += level_of(parent) - top + 1
    return 0


cdef int put_all_above(Tracker parent, Tracker child) except -1:
    cdef dict levels = {}               # number: (tracker, level that it gets); nothing is changed before all are known
    cdef list todo = [(parent, child)]
    cdef list found
    cdef set seen
    cdef Tracker t
    cdef Link link
    cdef int64_t level
    cdef Py_ssize_t i
    while todo:
        t, below = todo.pop()
        level = planned(levels, below)
        if planned(levels, t) < level:
            continue
        seen = {t.number}
        found = [t]
        i = 0
        while i < len(found):
            link = (<Tracker>found[i]).link
            while link is not None:
                if not link.back and link.parent is not None and link.parent.number not in seen and (
                        planned(levels, link.parent) >= level):
                    seen.add(link.parent.number)
                    found.append(link.parent)
                link = link.next
            i += 1
        # the lowest stay the lowest; what they displace comes next
        rows = [(planned(levels, each), (<Tracker>each).number, each) for each in found]
        rows.sort(reverse=True)
        for _, number, each in rows:
            level -= 1
            levels[number] = each, level
        for each in found:
            link = (<Tracker>each).link
            while link is not None:
                if not link.back and link.parent is not None and (
                        planned(levels, link.parent) >= planned(levels, <Tracker>each)):
                    todo.append((link.parent, each))
                link = link.next
    for t, level in levels.values():
        t.lowered += level_of(t) - level
    return 1


cdef int64_t planned(dict levels, Tracker t) except? -1:
    cdef PyObject *row = PyDict_GetItemWithError(levels, t.number)
    return level_of(t) if row == NULL else (<tuple>row)[1]


cdef inline bint leads_up(Link link, int64_t lowest):
    """True if a walk upwards that looks for a container of a level goes on at the parent."""
    return not link.back and link.parent is not None and level_of(link.parent) >= lowest


cdef int rest(Tracker top, Link back) except -1:
    """Find a way down from top, whose link it is, to the parent of a back link; 0 if there is none.

    The nearest parents are searched first. O(ancestors of the parent that are not above top).
    """
    cdef Tracker t = back.parent
    cdef Link link
    cdef dict came
    cdef list todo
    cdef Py_ssize_t i = 0
    cdef int64_t lowest = level_of(top)
    if t is None:
        return 0                            # the collector frees it
    came = {t.number: None}
    todo = [t]
    while t is not top:
        if i == len(todo):
            return 0
        t = <Tracker>todo[i]
        i += 1
        link = t.link
        while link is not None:
            if leads_up(link, lowest) and link.parent.number not in came and alive(link.parent):
                came[link.parent.number] = (link, t)
                if link.parent is top:
                    break
                todo.append(link.parent)
            link = link.next
        if link is not None:
            t = top
    back.child = <PyObject *>top
    unhook_way(<PyObject *>back)
    hook_way(&back.parent.ways, <PyObject *>back)
    step = came[t.number]
    while step is not None:
        link = <Link>(<tuple>step)[0]
        t = <Tracker>(<tuple>step)[1]
        if link.way_before == NULL:
            link.child = <PyObject *>t
            hook_way(&link.parent.ways, <PyObject *>link)
        step = came[t.number]
    return 1


ctypedef int (*rester)(Tracker, Link) noexcept
ctypedef int (*orderer)(Tracker, Tracker) noexcept


cdef void settle_ways(Tracker t) noexcept:
    """A link that led down to t has gone: have the back links whose way led through it looked at.

    It is done when their child looks up its place (`prune`), so that a graph that is taken apart is not searched at each
    link. O(these and their ways).
    """
    global unsure_links
    cdef PyObject *work = <PyObject *>t
    cdef PyObject *link
    cdef PyObject *child
    cdef int gc
    while (<Tracker>work).ways != NULL:             # takes neither memory nor references
        link = (<Tracker>work).ways
        unhook_way(link)
        if (<Link>link).back:
            hook_way(&unsure_links, link)
            continue
        child = (<Link>link).child
        while child != work and (<Tracker>child).ways != NULL:
            link = (<Tracker>child).ways
            unhook_way(link)
            hook_way(&(<Tracker>work).ways, link)
    if unsure_links == NULL:
        return
    gc = pdt_pause_gc()
    while unsure_links != NULL:
        link = unsure_links
        unhook_way(link)
        child = (<Link>link).child
        if Py_REFCNT(link) == 0 or Py_REFCNT(child) == 0:
            continue                                # waits to be freed
        invalidate(<Tracker>child)
    pdt_resume_gc(gc)


cdef int found_way(Tracker top, Link back) noexcept:
    """As `rest`; a link for which there is no way is not back any more."""
    cdef int found = (<rester>rest)(top, back)
    if found < 0:
        PyErr_Clear()
    elif found == 0:
        if back.parent is not None and top.number < back.parent.number:
            back.lone = True            # what is older stays a root
        elif back.parent is not None and (<orderer>put_above)(back.parent, top) < 0:
            PyErr_Clear()               # no memory: it stays back
            found = -1
        else:
            back.back = False
            note_parent(top)
    return found


cdef bint is_above(Tracker top, Tracker t):
    """True if top is t or an ancestor of t. The nearest are searched first. O(ancestors of t that are not above top)."""
    cdef set seen = None
    cdef list todo = None
    cdef Link link
    cdef Py_ssize_t i = 0
    cdef int64_t lowest = level_of(top)
    while t is not top:
        link = t.link
        if todo is None and (link is None or link.next is None):    # no memory is taken where all have one parent
            if link is None or not leads_up(link, lowest):
                return False
            t = link.parent
            continue
        if seen is None:
            seen = set()
            todo = []
        while link is not None:
            if leads_up(link, lowest) and link.parent.number not in seen:
                if link.parent is top:
                    return True
                seen.add(link.parent.number)
                todo.append(link.parent)
            link = link.next
        if i == len(todo):
            return False
        t = <Tracker>todo[i]
        i += 1
    return True


cdef inline bint has_observers(Tracker t):
    return t.rare is not None and t.rare.observers is not None


cdef list links_to_give_way(Tracker ct, Tracker parent):
    """Return [(child, link)] from ct towards parent, to close the cycle instead of one from parent to ct; or None.

    None if one of them leads to a container that is younger than ct, or to a watched one; and if somebody listens at
    ct only: who observes a container hears of all that it holds. The nearest are searched first. O(ancestors of parent
    that are not above ct).
    """
    cdef set seen = {parent.number}
    cdef list todo = [parent]
    cdef list found = []
    cdef Tracker t
    cdef Link link
    cdef Py_ssize_t i = 0
    cdef int64_t lowest = level_of(ct)
    while i < len(todo):
        t = <Tracker>todo[i]
        i += 1
        link = t.link
        while link is not None:
            if leads_up(link, lowest):
                if link.parent is ct:
                    if t.number > ct.number or t.marks & X_WATCHED or (has_observers(ct) and not has_observers(t)):
                        return None
                    found.append((t, link))
                elif link.parent.number not in seen:
                    seen.add(link.parent.number)
                    todo.append(link.parent)
            link = link.next
    return found


cdef void set_back(list links, bint back) noexcept:
    for _, each in links:
        (<Link>each).back = back


cdef int give_way(list links) except -1:
    """Finish what `set_back` began, now that another link leads down to their parent. O(ancestors) each."""
    cdef Link link
    cdef Tracker t
    cdef bint was_way
    for child, each in links:
        t = <Tracker>child
        link = <Link>each
        was_way = link.way_before != NULL
        unhook(<PyObject *>link)
        unhook_way(<PyObject *>link)
        invalidate(t)
        note_looped(t)
        note_stranded(t)
        rest(t, link)
        if was_way:
            settle_ways(t)
    return 0


cdef inline void note_looped(Tracker t):
    global any_looped
    any_looped = True
    t.marks |= X_LOOPED


cdef bint has_parent(Tracker t):
    """True if a link that closes no cycle leads to t. O(parents)."""
    cdef Link link = t.link
    while link is not None:
        if not link.back and link.parent is not None and alive(link.parent):
            return True
        link = link.next
    return False


cdef int make_rare(Tracker t) except -1:
    rare_of(t)
    return 0


ctypedef int (*rare_maker)(Tracker) noexcept


cdef void note_stranded(Tracker t) noexcept:
    """Count t if only back links lead to it. O(parents) the first time."""
    global strays
    cdef Link link = t.link
    if link is None or (t.rare is not None and t.rare.stranded) or (
            t.marks & X_WATCHED and (<WatchedTracker>t).is_root):
        return                              # the object of a watch stays a root
    while link is not None:
        if not link.back:
            return                          # if this parent has ended, the link is dropped later, and t looked at again
        link = link.next
    strays += 1
    if t.rare is None and (<rare_maker>make_rare)(t) < 0:
        PyErr_Clear()                       # no memory: it counts for good
    else:
        t.rare.stranded = True


cdef inline void note_parent(Tracker t) noexcept:
    """Do not count t any more: a link that is not back leads to it. O(1)."""
    global strays
    if t.rare is not None and t.rare.stranded:
        t.rare.stranded = False
        strays -= 1


cdef dict held_without(Tracker ct, Tracker parent):
    """Return the ancestors of parent, itself included, by number; ct and what is above it left out. O(ancestors).

    The value is (tracker, whether it is below a root that is older than ct, without ct).
    """
    cdef dict met = {parent.number: parent}
    cdef dict below = {}
    cdef set stays = set()
    cdef list todo = [parent]
    cdef list roots = []
    cdef Tracker t
    cdef Link link
    while todo:
        t = <Tracker>todo.pop()
        if not has_parent(t) and t.number < ct.number:
            roots.append(t.number)
        link = t.link
        while link is not None:
            if not link.back and link.parent is not None and link.parent is not ct and alive(link.parent):
                below.setdefault(link.parent.number, []).append(t.number)
                if link.parent.number not in met:
                    met[link.parent.number] = link.parent
                    todo.append(link.parent)
            link = link.next
    while roots:
        number = roots.pop()
        if number not in stays:
            stays.add(number)
            roots.extend(<list>below.get(number, []))
    for number in met:
        met[number] = met[number], number in stays
    return met


cdef int come_back(Tracker ct) except -1:
    """Have a link that closed a cycle hold ct, as no other one does any more. O(ancestors).

    Its parent has to be below a root that is older than ct, and not by way of ct.
    """
    cdef Link closing = ct.link
    cdef Link link
    cdef dict above
    cdef list found = []
    if has_parent(ct) or (ct.marks & X_WATCHED and (<WatchedTracker>ct).is_root):
        return 0
    while closing is not None:
        if closing.parent is not None and closing.parent is not ct and alive(closing.parent):
            above = held_without(ct, closing.parent)
            if (<tuple>above[closing.parent.number])[1]:
                break
        closing = closing.next
    if closing is None:
        return 0
    for t, stays in above.values():
        link = (<Tracker>t).link if stays else None
        while link is not None:             # what only ct holds does not hold what stays
            if not link.back and link.parent is not None and alive(link.parent) and (
                    link.parent is ct or not (<tuple>above[link.parent.number])[1]):
                found.append((t, link))
            link = link.next
    set_back(found, True)
    try:
        put_above(closing.parent, ct)
    except MemoryError:
        set_back(found, False)
        raise
    unhook_way(<PyObject *>closing)
    closing.back = False
    closing.lone = False
    note_parent(ct)
    invalidate(ct)
    give_way(found)
    return 1


cdef int bring_back(Tracker ct) except -1:
    """Have what is above ct come back, where only back links lead to it: ct has one more parent. O(ancestors)."""
    cdef set met = {ct.number}
    cdef list todo = [ct]
    cdef Tracker t
    cdef Link link
    while todo:
        t = <Tracker>todo.pop()
        if t.link is not None and not has_parent(t) and come_back(t):
            return 1
        link = t.link
        while link is not None:
            if not link.back and link.parent is not None and link.parent.number not in met:
                met.add(link.parent.number)
                todo.append(link.parent)
            link = link.next
    return 0


cdef inline bint in_another_tree(Tracker top, Tracker t):
    """True if top is a root and t surely is not in its tree, by the logs that they write to. O(1)."""
    # a watched object that was removed has a log of its own, and may hold what is in the log of a watch
    return not top.marks & X_WATCHED and top.link is None and t.epoch == epoch and not t.state & T_SEVERAL and (
        top.log is None or t.active != <PyObject *>top.log)


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
    cdef Link last
    cdef list gave_way = None
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
                rest(ct, link)
                link.back = True
                note_looped(ct)
            else:
                set_back(gave_way, True)
        if not link.back:
            try:
                put_above(parent, ct)
            except MemoryError:
                if gave_way is not None:
                    set_back(gave_way, False)
                raise
        last = None
        if ct.marks & X_WATCHED and ct.link is not None:
            last = ct.link                  # the oldest parent gives the first path: it is the one that people know
            while last.next is not None and not link.back:
                last = last.next
        put_link(ct, link, last)
    parent.children += 1
    if link.back:
        note_stranded(ct)
    else:
        note_parent(ct)
        invalidate(ct)
        if gave_way is not None:
            give_way(gave_way)
        if had and any_looped and strays:
            bring_back(ct)
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
ctypedef int (*comer)(Tracker) noexcept


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
        if ct.link is not None and ct.marks & X_LOOPED and (<comer>come_back)(ct) < 0:
            PyErr_Clear()               # no memory: ct is a root for now
        if ct.marks & X_COMPARED and not parent.marks & X_WATCHED:
            if (<out_taker>taken_out)(parent, <WatchedTracker>ct) < 0:
                PyErr_Clear()           # no memory to keep it, and the removal is still to be recorded
                (<WatchedTracker>ct).held = None
                let_go(<WatchedTracker>ct, False)
    elif parent.kind == K_ATTR:
        if isinstance(link.key, list) and key in <list>link.key:
            (<list>link.key).remove(key)        # takes no memory
            if PyList_GET_SIZE(link.key) == 1:
                link.key = (<list>link.key)[0]
    else:
        link.key = missing
    if not was_back:
        invalidate(ct)
    return 1


cdef int forget_link(Tracker ct, Link gone) except -1:
    if gone.parent is not None:             # else the collector frees it
        ct.rare.by_parent.pop(gone.parent.number, None)
    return 0


cdef int drop_link(Tracker ct, Link gone) except -1:
    cdef Link link = ct.link
    cdef bint was_way = gone.way_before != NULL and not gone.back
    if redacting:
        keep_rules(ct, gone)
    unhook(<PyObject *>gone)
    unhook_way(<PyObject *>gone)
    gone.back = False
    if ct.rare is not None and ct.rare.by_parent is not None and (<link_user>forget_link)(ct, gone) < 0:
        PyErr_Clear()
        ct.rare.by_parent = None
    if link is gone:
        ct.link = gone.next
    else:
        while link is not None:
            if link.next is gone:
                link.next = gone.next
                break
            link = link.next
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
        assert link.way_before != NULL or link.lone if link.back else link.before != NULL and link.parent.epoch == epoch, link.parent
        link = link.next
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
