# Owns: the answer to "where else is this container?", by which a log refers to it instead of copying it.
# May touch: places and links, to read; it brings trackers up to date.
# Invariants:
#  - a path is that of the state just before the change: a reader looks there before it applies the change;
#  - no path leads through a key that the change stored, nor through a set, a withheld key, or a key with code of its own.

cdef bint any_named = False             # a line has had the id of a container in it


cdef inline void note_named() noexcept:
    global any_named
    any_named = True


def note_ids():
    """Note that a line has ids, so that each state that is written from now on has them. O(1)."""
    note_named()


def has_ids():
    """Return whether a line of a log has had ids. O(1)."""
    return any_named


def elsewhere(Change change, Tracker t, Tracker viewer, has=None):
    """Return the keys from viewer to a container that a value of the newest change holds, or None.

    None if the container is nowhere else. O(places x depth). ``has``: called with the id of viewer and keys; False if
    the log does not have what is there.
    """
    cdef tuple keys
    cdef tuple found = None
    if t is viewer:
        return ()
    if t.link is None:
        return None
    for place in places_of(t):
        if runs_through(<Place>place, viewer):
            keys = keys_before(change, <Place>place, viewer)
            if keys is not None and (found is None or len(keys) < len(found)) and (has is None or has(viewer.uuid, keys)):
                found = keys
    return found


cdef inline bint may_be_elsewhere(Tracker t, bint in_graph):
    """True if a container was in a cycle, or is in several places of what has cycles. O(1)."""
    return t.marks & X_LOOPED or (in_graph and t.link is not None and (t.link.next is not None or t.link.count > 1))


def shared(container, bint in_graph):
    """Return the tracker of a container that a value may have to refer to: see `may_be_elsewhere`. None for others.

    Of a watched object, its tracker stands for it.
    """
    cdef Tracker t = <Tracker>container if isinstance(container, Tracker) else tracker_of(container)
    return t if t is not None and may_be_elsewhere(t, in_graph) else None


cdef bint is_graph(Tracker viewer):
    """True if a cycle was ever made below a root of viewer, which is up to date. O(depth of its places)."""
    cdef Tracker root
    if not any_looped or viewer.place is None:
        return False
    if viewer.place.parent is None or not viewer.state & T_SEVERAL:
        root = root_of(viewer.place)
        return root.rare is not None and root.rare.has_cycles
    for place in places_in(targets_kept(viewer)):
        root = root_of(<Place>place)
        if root.rare is not None and root.rare.has_cycles:
            return True
    return False


def has_cycles(Tracker viewer):
    """Return whether a cycle was ever made below a root of a container. O(depth of its places)."""
    if not any_looped or not alive(viewer):
        return False
    refresh(viewer)
    return is_graph(viewer)


def note_cycles_below(Tracker viewer):
    """Note that there are cycles below the roots of a container, deeper in what they hold. O(depth of its places)."""
    if alive(viewer):
        refresh(viewer)
        if viewer.place is not None:
            note_cycles(viewer)


cdef Py_ssize_t few_items = 100         # what holds no more, in all, is copied into a line that could refer to it


def copy_at_most(Py_ssize_t items):
    """Have lines refer to what holds more items, where they can; return how many were copied before. For tests. O(1)."""
    global few_items
    before = few_items
    few_items = items
    return before


def is_large(Tracker t):
    """Return whether a container, with what it holds, has too many items for a copy in a line. O(100)."""
    return alive(t) and has_many(t.container)


cdef bint has_many(object container) except -1:
    cdef list todo = [container]
    cdef set met = set()
    cdef Py_ssize_t count = 0
    cdef PyObject *owner
    for each in todo:
        owner = <PyObject *>each
        if <size_t>owner in met:
            continue
        met.add(<size_t>owner)
        if isinstance(each, WatchedTracker):
            owner = (<Tracker>each).owner
            if owner == NULL:
                continue
        if PyDict_Check(<object>owner):         # the builtin's size: no code of a subclass runs
            count += PyDict_Size(<object>owner)
        elif PyList_Check(<object>owner):
            count += PyList_GET_SIZE(<object>owner)
        elif isinstance(<object>owner, tuple):
            count += PyTuple_GET_SIZE(<object>owner)
        elif isinstance(<object>owner, set):
            count += set.__len__(<object>owner)
        if count > few_items:
            return True
        held = plain(each) if tracker_of(each) is not None else each
        if type(held) is dict:
            todo.extend((<dict>held).values())
        elif type(held) is list or type(held) is tuple:
            todo.extend(held)
        if len(todo) > few_items:
            return True
    return False


cdef tuple keys_before(Change change, Place place, Tracker viewer):
    """Return the keys from viewer to place before the change; None if they are not known. O(depth)."""
    cdef Tracker changed = change.place.tracker
    cdef Tracker above
    cdef list keys = []
    while place.tracker is not viewer:
        above = place.parent.tracker
        key = place.key
        if above is changed:
            key = key_before(change, key)
        if key is missing or above.kind == K_SET or not runs_no_code(key) or shown_key(place) is not place.key:
            return None
        keys.append(key)
        place = place.parent
    keys.reverse()
    return tuple(keys)


cdef bint equal_keys(object a, object b) except -1:
    return same_key(a, b) or (runs_no_code(a) and runs_no_code(b) and PyObject_RichCompareBool(a, b, Py_EQ) == 1)


cdef object key_before(Change change, object key):
    """Return what a key of the container that changed was before; missing if the change stored it. O(rows)."""
    cdef Py_ssize_t n
    cdef tuple rows
    if change.place.tracker.kind == K_LIST or change.place.tracker.kind == K_DEQUE:
        return index_before(change, key)
    if change.shape == S_SLOT:
        return missing if equal_keys(change.key, key) else key
    if change.shape == S_FILL:
        return missing
    if change.shape == S_ROWS:
        rows = change.new
        for n in range(0, len(rows), 3):
            if equal_keys(rows[n], key):
                return missing
    return key


cdef object index_before(Change change, Py_ssize_t index):
    cdef Py_ssize_t inserted, removed
    if change.shape == S_SLOT:
        inserted = change.new is not missing
        removed = change.old is not missing
    elif change.shape == S_SPLICE:
        inserted, removed = len(change.new), len(change.old)
    else:
        return missing
    if index < change.index:
        return index
    return missing if index < change.index + inserted else index - inserted + removed
