# Owns: cycles: which links are `back`, so that the others can be followed upwards, and the levels that show it quickly.
# May touch: trackers and links.
# Invariants (check_tracker in tree/links.pyx tests them):
#  - links that are not `back` form a directed acyclic graph, so every walk upwards ends;
#  - a parent has a lower level than its child, but for back links: a link that leads from a lower level to a higher one
#    closes no cycle, and whoever looks for a container above another one looks at no level below it;
#  - of the links of a cycle, one that leads to its oldest container is `back` where that can be had: a model stays a
#    root when its agents, which refer to it, are put into it, and when they are taken out and still refer to it;
#  - what is below a root by way of a back link only is not below an older one: such a link is followed again;
#  - a back link rests on one way of links from its child down to its parent, which are in `ways` of their parents. If
#    one of these goes, the back link is looked at: another way is found, or it is no longer back. One that leads to
#    what is older than its parent stays back without a way (`lone`);
#  - a back link is in `ways` of its parent, or in `unsure` of its child, which looks at it when it looks up its place.

cdef enum:
    FEW_ITEMS = 16                      # of more, the levels are not looked at when there is a new one

cdef bint any_looped = False            # some container was in a cycle once: X_LOOPED
cdef list newly_looped = None           # containers that came into a cycle since the log of the process asked; or None
cdef Py_ssize_t strays = 0              # containers with `Rare.stranded`, and some more if there was no memory


cdef inline void unhook_way(PyObject *link) noexcept:
    """Take a link out of the list of those that are on the way to a back link. No reference is touched. O(1)."""
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
    while link is not None and not link.back:
        if link.parent is not None and level_of(link.parent) >= top - 1:
            return put_all_above(parent, child)
        link = link.next
    parent.lowered += level_of(parent) - top + 1
    return 0


cdef int raise_level(Tracker t) except -1:
    """Let t have its own level again, as far as what it holds allows, if it holds little. O(FEW_ITEMS).

    Links from what it holds have given way, so there is room between it and what will be above it: those above that
    need not be lowered, for each node of a list whose nodes refer to each other.
    """
    cdef int64_t level = <int64_t>t.number << 20
    cdef PyObject *owner = t.owner
    cdef Tracker ct
    cdef Link link
    if t.lowered <= 0 or t.marks & X_WATCHED or (
            PyDict_Size(<object>owner) > FEW_ITEMS if t.kind == K_DICT else
            PyList_GET_SIZE(<object>owner) > FEW_ITEMS if t.kind == K_LIST else t.kind != K_ATTR):
        return 0
    for child in contents_of(<object>owner):
        ct = tracker_of(child)
        link = None if ct is None else link_to(ct, t)
        if link is not None and not link.back and level_of(ct) <= level:
            level = level_of(ct) - 1
    if level > level_of(t):
        t.lowered = (<int64_t>t.number << 20) - level
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
            while link is not None and not link.back:
                if link.parent is not None and link.parent.number not in seen and (
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
            while link is not None and not link.back:
                if link.parent is not None and (
                        planned(levels, link.parent) >= planned(levels, <Tracker>each)):
                    todo.append((link.parent, each))
                link = link.next
    for t, level in levels.values():
        t.lowered += level_of(t) - level
    return 1


cdef int64_t planned(dict levels, Tracker t) except? -1:
    cdef PyObject *row = PyDict_GetItemWithError(levels, t.number)
    return level_of(t) if row == NULL else (<tuple>row)[1]


cdef inline bint leads_up(Link link, Tracker top):
    """True if a walk upwards that looks for top goes on at the parent of a link that is not back."""
    return link.parent is not None and (link.parent is top or level_of(link.parent) > level_of(top))


cdef int rest(Tracker top, Link back) except -1:
    """Find a way down from top, whose link it is, to the parent of a back link; 0 if there is none.

    The nearest parents are searched first. O(ancestors of the parent that are not above top).
    """
    cdef Tracker t = back.parent
    cdef Link link
    cdef dict came
    cdef list todo
    cdef Py_ssize_t i = 0
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
        while link is not None and not link.back:
            if leads_up(link, top) and link.parent.number not in came and alive(link.parent):
                came[link.parent.number] = (link, t)
                if link.parent is top:
                    t = top
                    break
                todo.append(link.parent)
            link = link.next
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
    cdef PyObject *unsure = NULL
    cdef PyObject *work = <PyObject *>t
    cdef PyObject *link
    cdef PyObject *child
    cdef int gc
    while (<Tracker>work).ways != NULL:             # takes neither memory nor references
        link = (<Tracker>work).ways
        unhook_way(link)
        if (<Link>link).back:
            hook_way(&unsure, link)
            continue
        child = (<Link>link).child
        while child != work and (<Tracker>child).ways != NULL:
            link = (<Tracker>child).ways
            unhook_way(link)
            hook_way(&(<Tracker>work).ways, link)
    if unsure == NULL:
        return
    gc = pdt_pause_gc()
    while unsure != NULL:
        link = unsure
        unhook_way(link)
        child = (<Link>link).child
        if Py_REFCNT(link) == 0 or Py_REFCNT(child) == 0:
            continue                                # waits to be freed
        hook_way(&(<Tracker>child).rare.unsure, link)
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
            back.child = <PyObject *>top
            hook_way(&back.parent.ways, <PyObject *>back)
        elif back.parent is not None and (<orderer>put_above)(back.parent, top) < 0:
            PyErr_Clear()               # no memory: it stays back
            found = -1
        else:
            turn(top, back, False)
            note_parent(top)
    else:
        back.lone = False
    return found


cdef bint is_above(Tracker top, Tracker t):
    """True if top is t or an ancestor of t. The nearest are searched first. O(ancestors of t that are not above top)."""
    cdef set seen = None
    cdef list todo = None
    cdef Link link
    cdef Py_ssize_t i = 0
    while t is not top:
        link = t.link
        if link is not None and link.back:
            link = None
        # no memory is taken where all have one parent
        if todo is None and (link is None or link.next is None or link.next.back):
            if link is None or not leads_up(link, top):
                return False
            t = link.parent
            continue
        if seen is None:
            seen = set()
            todo = []
        while link is not None and not link.back:
            if leads_up(link, top) and link.parent.number not in seen:
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
    while i < len(todo):
        t = <Tracker>todo[i]
        i += 1
        link = t.link
        while link is not None and not link.back:
            if leads_up(link, ct):
                if link.parent is ct:
                    if t.number > ct.number or t.marks & X_WATCHED or (has_observers(ct) and not has_observers(t)):
                        return None
                    found.append((t, link))
                elif link.parent.number not in seen:
                    seen.add(link.parent.number)
                    todo.append(link.parent)
            link = link.next
    return found


cdef int set_back(list links, bint back) except -1:
    for t, _ in links:
        rare_of(<Tracker>t)
    for t, each in links:
        turn(<Tracker>t, <Link>each, back)
    return 0


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
        hook_way(&t.rare.unsure, <PyObject *>link)      # if `rest` finds no memory
        invalidate(t)
        note_looped(t)
        if link.parent is not None:
            note_looped(link.parent)    # who is above it, and not above t any more, has the cycle below it, too
        note_stranded(t)
        rest(t, link)
        if was_way:
            settle_ways(t)
    return 0


ctypedef int (*root_marker)(Tracker) noexcept


cdef void note_looped(Tracker t) noexcept:
    global any_looped
    any_looped = True
    t.marks |= X_LOOPED
    cdef int fresh = (<root_marker>note_cycles)(t) if t.epoch == epoch else 1
    if fresh < 0:
        PyErr_Clear()                   # no memory: when its place is found anew
    if fresh and process_observer is not None and (<root_marker>note_newly)(t) < 0:
        PyErr_Clear()                   # no memory: the log has the cycle when the root of t changes


cdef int note_newly(Tracker t) except -1:
    global newly_looped
    if newly_looped is None:
        newly_looped = []
    newly_looped.append(t)
    return 0


def take_newly_looped():
    """Return the roots above the containers that came into a cycle since the last call. O(these and their places)."""
    global newly_looped
    cdef list found = newly_looped
    cdef dict roots = {}
    newly_looped = None
    for t in found or ():
        if alive(<Tracker>t):
            refresh(<Tracker>t)
            if (<Tracker>t).place is None:
                continue
            for place in places_of(<Tracker>t):
                root = root_of(<Place>place)
                roots[root.number] = root
    return list(roots.values())


cdef int note_cycles(Tracker t) except -1:
    """Note at the roots of a container, which is up to date, that there are cycles below them; 1 if one is new.

    O(depth of its places).
    """
    cdef bint fresh = False
    cdef Rare rare
    if not t.state & T_SEVERAL:
        rare = rare_of(root_of(t.place))
        fresh = not rare.has_cycles
        rare.has_cycles = True
        return fresh
    for place in places_in(targets_kept(t)):
        rare = rare_of(root_of(<Place>place))
        fresh = fresh or not rare.has_cycles
        rare.has_cycles = True
    return fresh


cdef bint has_parent(Tracker t):
    """True if a link that closes no cycle leads to t. O(parents that have ended)."""
    cdef Link link = t.link
    while link is not None and not link.back:
        if link.parent is not None and alive(link.parent):
            return True
        link = link.next
    return False


cdef int make_rare(Tracker t) except -1:
    rare_of(t)
    return 0


ctypedef int (*rare_maker)(Tracker) noexcept


cdef void note_stranded(Tracker t) noexcept:
    """Count t if only back links lead to it. O(1).

    A parent that has ended counts until its link is dropped, and t is looked at again.
    """
    global strays
    if t.link is None or not t.link.back or (t.rare is not None and t.rare.stranded) or (
            t.marks & X_WATCHED and (<WatchedTracker>t).is_root):
        return                              # the object of a watch stays a root
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
        while link is not None and not link.back:
            if link.parent is not None and link.parent is not ct and alive(link.parent):
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


cdef Link closing_from_elsewhere(Tracker ct, Link only):
    """Return a back link to ct from what is below a root older than ct, and not by way of ct; None without. O(ancestors) each.

    ``only``: the one link to look at, or None for all.
    """
    cdef Link link = ct.link if only is None else only
    if has_parent(ct) or (ct.marks & X_WATCHED and (<WatchedTracker>ct).is_root):
        return None
    while link is not None:
        if link.parent is not None and link.parent is not ct and alive(link.parent) and (
                <tuple>held_without(ct, link.parent)[link.parent.number])[1]:
            return link
        link = None if link is only else link.next
    return None


cdef int come_back(Tracker ct, Link only) except -1:
    """Have a link that closed a cycle hold ct if no other one does: one of `closing_from_elsewhere`. O(ancestors) each."""
    cdef Link closing = closing_from_elsewhere(ct, only)
    cdef Link link
    cdef list found = []
    if closing is None:
        return 0
    cdef dict above = held_without(ct, closing.parent)
    for t, stays in above.values():
        link = (<Tracker>t).link if stays else None
        while link is not None and not link.back:       # what only ct holds does not hold what stays
            if link.parent is not None and alive(link.parent) and (
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
    turn(ct, closing, False)
    note_parent(ct)
    invalidate(ct)
    give_way(found)
    return 1


cdef int bring_back(Tracker ct, Tracker parent) except -1:
    """Have what is above ct come back, where only back links lead to it: ct has one more parent. O(ancestors).

    Only if the parent is below a root that is older than what comes back, and ct has something below it that may refer
    to that: O(back links and their ancestors).
    """
    cdef set met = {ct.number}
    cdef list todo = [ct]
    cdef Tracker t
    cdef Link link
    while todo:
        t = <Tracker>todo.pop()
        if t.link is not None and not has_parent(t) and (
                <tuple>held_without(t, parent)[parent.number])[1] and come_back(t, None):
            return 1
        link = t.link
        while link is not None and not link.back:
            if link.parent is not None and link.parent.number not in met:
                met.add(link.parent.number)
                todo.append(link.parent)
            link = link.next
    return 0


cdef inline bint in_another_tree(Tracker top, Tracker t):
    """True if top is a root and t surely is not in its tree, by the logs that they write to. O(1)."""
    # a watched object that was removed has a log of its own, and may hold what is in the log of a watch
    return not top.marks & X_WATCHED and top.link is None and t.epoch == epoch and not t.state & T_SEVERAL and (
        top.log is None or t.active != <PyObject *>top.log)
