# Owns: what tracked and watched data holds, may change and does not record: the rows of it, and tracking_untracked, which
# warns of it or refuses it.
# May touch: nothing but the notes of what was added; it reads trackers, links and options.
# Invariants:
#  - an object that is noted keeps nothing alive, and is warned of when no event is in progress;
#  - a place and a class are warned of once in a tree.

# ---- what is not followed -----------------------------------------------------------------------------------------

def untracked_in(container):
    """Return (path, class, reason) of what a tracked container holds, may change, and does not record. O(items)."""
    looked_at(container)
    return shown_rows(untracked_from([((), container)]))


cdef Watching any_group():
    """Return a Watching that judges values as groups do."""
    cdef Watching home = Watching.__new__(Watching)
    home.nodes = set()
    home.package = ""
    return home


cdef list untracked_from(list todo):
    """Return the rows of tracked or followed objects, given as (path, object). O(items)."""
    cdef Watching home = any_group()
    cdef list rows = []
    cdef set seen = set()
    cdef Tracker t
    cdef Tracker ct
    cdef bint follow
    for path, each in todo:
        t = <Tracker>each if isinstance(each, Tracker) else tracker_of(each)
        if t is None or t.number in seen:
            continue
        seen.add(t.number)
        if t.marks & X_WATCHED:
            todo.extend(rows_below(<WatchedTracker>t, path, rows))
            continue
        if t.owner == NULL:
            continue
        held = plain(<object>t.owner)
        follow = follow_option(t)
        pairs = held.items() if isinstance(held, dict) else enumerate(held)
        for key, value in pairs:
            if pdt_plain(value):
                continue
            ct = tracker_of(value)
            if ct is not None and (not ct.marks & X_WATCHED or is_linked(t, ct)):
                todo.append(((*path, key), value))
                continue
            why = why_not_recorded(home, value, follow)
            if why is not None:
                rows.append(((*path, key), type(value), why))
    return rows


cdef str why_not_recorded(Watching home, object value, bint follow):
    """Return why changes of a value in a tracked container are not recorded; None if it cannot change."""
    cdef int way = way_of(home, value)
    if is_converted(type(value)):
        return "plain data: tracking_auto_convert, or track(), makes it tracked"
    return None if way == Y_VALUE else why_not_adopted(home, value, way, follow)


cdef bint is_linked(Tracker parent, Tracker ct):
    cdef Link link = ct.link
    while link is not None:
        if link.parent is parent:
            return True
        link = link.next
    return False


cdef str why_not_adopted(Watching home, object value, int way, bint follow):
    if way == Y_OPAQUE and isinstance(value, (bytearray, memoryview)):
        return why_opaque(value)
    if not PDT_CAN_WATCH:
        return "an object: its class is not tracked; CPython 3.12 and newer can follow it (tracking_follow)"
    if not follow:
        return "not tracked: tracking_follow, or watch(), follows it"
    if way == Y_OPAQUE:
        return f"class of another package ({module_of(type(value))}); watch(), with into=, follows it"
    if cannot_follow:
        return "other tools have taken all dict watchers of this interpreter"
    if pdt_watched_count() >= MAX_FOLLOWED:
        return f"{MAX_FOLLOWED} objects are followed already"
    return "not followed for want of memory, or it came here in a way that is not seen"


# ---- tracking_untracked ------------------------------------------------------------------------------------------

cdef enum:
    MAX_REPORTED = 100              # warnings for one tree; the last one says that there are no more

cdef list added_later = []          # (tracker, key, class, reason, capture): untracked objects to warn of when it is safe


cdef list untracked_in_change(Tracker t, int shape, Py_ssize_t index, object key, object new):
    """Return (path below t, class, reason) of untracked objects that a change brought. O(items of the change)."""
    cdef Watching home = None
    cdef Py_ssize_t i
    cdef list rows = []
    cdef list todo = []
    cdef list pairs
    cdef bint follow
    if new is missing:
        return None
    if shape == S_SLOT:
        pairs = [(key, key)] if t.kind == K_SET else [(index if t.kind == K_LIST or t.kind == K_DEQUE else key, new)]
        if pdt_plain(pairs[0][1]):
            return None
    elif shape == S_SPLICE:
        pairs = [(index + i, each) for i, each in enumerate(new) if not pdt_plain(each)]
    elif shape == S_ROWS:
        pairs = [(new[i], new[i + 2]) for i in range(0, len(new), 3) if not pdt_plain(new[i + 2])]
    elif shape == S_FILL:
        pairs = [(k, v) for k, v in (<dict>new).items() if not pdt_plain(v)]
    elif shape == S_ELEMENTS:
        pairs = [(each, each) for each in new if not pdt_plain(each)]
    else:
        return None                 # the same items in another order
    if not pairs:
        return None
    home = any_group()
    follow = follow_option(t)
    for k, value in pairs:
        if value is missing:
            continue
        if tracker_of(value) is not None:
            todo.append(((k,), value))
            continue
        why = why_not_recorded(home, value, follow)
        if why is not None:
            rows.append(((k,), type(value), why))
    if todo:
        rows.extend(untracked_from(todo))
    return rows


cdef int report_stored(Tracker t, list rows, Change change) except -1:
    """Warn of untracked objects that a change brought, or refuse it. O(rows)."""
    cdef bint raises = t.effective.values[O_UNTRACKED] == 2
    rows = [((*path_of(t.place, None), *path), cls, why) for path, cls, why in rows]
    if not raises:
        rows = not_reported(root_of(t.place), rows)
    if rows:
        report_untracked(shown_rows(rows), raises, change, None)
    return 0


cdef list not_reported(Tracker root, list rows):
    """Return the rows that are the first of their path, whatever the index, and class in a tree. O(rows)."""
    cdef list found = []
    cdef Rare rare = rare_of(root)
    if rare.reported is None:
        rare.reported = set()
    for path, cls, why in rows:
        if len(rare.reported) >= MAX_REPORTED:
            break
        known = (tuple(["*" if type(step) is int else step if PyUnicode_CheckExact(step) else summary_of(step)
                        for step in path]), id(cls))
        if known in rare.reported:
            continue
        rare.reported.add(known)
        if len(rare.reported) == MAX_REPORTED:
            why += f"; no more than {MAX_REPORTED} are named, tracking_untracked() lists all"
        found.append((path, cls, why))
    return found


def report_untracked_now(container):
    """Obey tracking_untracked for what a new tracked container, or a new watch, holds. O(items)."""
    cdef Tracker t = tracker_of(container)
    cdef int mode
    cdef Options given
    if t is None:
        return
    refresh(t)
    given = (<Watching>container).options if isinstance(container, Watching) else t.effective
    mode = 0 if given is None else <int>given.values[O_UNTRACKED]
    if mode <= 0:
        return
    if isinstance(container, Watching):
        (<Watching>container).reports = True
    rows = untracked_rows(container) if isinstance(container, Watching) else untracked_in(container)
    if rows and mode == 1:
        rows = not_reported(root_of(t.place), rows)
    if rows:
        report_untracked(rows, mode == 2, None, None)



cdef bint reports_added(Watching home) noexcept:
    """True if objects that come to what a watch or a group follows are to be reported."""
    if home.nodes is None:
        return home.reports
    return not adopting and home.top is not None and home.top.effective is not None and (
        home.top.effective.values[O_UNTRACKED] > 0)


ctypedef int (*adder)(WatchedTracker, object, object, str) noexcept


cdef int note_added(WatchedTracker p, object key, object value, str why) except -1:
    """Remember an object that was added and is not followed, to warn of it at the next safe moment. Keeps nothing alive."""
    if len(added_later) < 2 * MAX_REPORTED:
        added_later.append((p, key if PyUnicode_CheckExact(key) or type(key) is int else summary_of(key), type(value),
                            why, capture_stack(25)))
    settle_soon()
    return 0


cdef int report_added() except -1:
    """Warn of what was added to watched objects and is not followed. O(rows)."""
    global added_later
    cdef WatchedTracker p
    notes = added_later
    added_later = []
    for p, key, cls, why, captured in notes:
        if p.owner == NULL or not reports_added(p.home):
            continue
        refresh(p)
        if p.place is None:
            continue
        rows = not_reported(root_of(p.place), [((*path_of(p.place, None), key), cls, why)])
        if rows:
            report_untracked(rows, False, None, captured)
    return 0
