# Owns: queries over the logs: which changes happened at or below a container, and where a change matches a glob.
# May touch: rings, places and links, to read only (refresh may update places).
# Invariants:
#  - a query sees the changes of every log that the container wrote to and that still lives, each change once;
#  - what leaves the library went through as_shown (read/shown.pyx): changes_of does it, recorded_changes does not;
#  - changes are in the order of seq.

def changes_of(container, uint64_t after=0, Py_ssize_t most_recent=-1):
    """Return the changes at or below container with seq > after, oldest first. O(records of its logs).

    What tracking_redact names is withheld, also if it did not apply when the change was recorded.
    """
    cdef Tracker t = looked_at(container)
    return collect(t, logs_of(t), after, most_recent, redacting)


def recorded_changes(container, uint64_t after=0, Py_ssize_t most_recent=-1):
    """As `changes_of`, with the values as they were recorded: for undo and blame, not to be handed out."""
    cdef Tracker t = looked_at(container)
    return collect(t, logs_of(t), after, most_recent, False)


def logs(container):
    """Return the living logs that a container wrote to. O(logs)."""
    return logs_of(looked_at(container))


def log_changes(Log log, uint64_t after):
    """Return all changes in a log with seq > after, oldest first. O(changes found)."""
    cdef list found = []
    cdef Py_ssize_t i
    for i in range(log.count - 1, -1, -1):
        if i >= log.count or log.stamps[ring_index(log, i)].seq <= after:
            break
        found.append(change_at(log, i, None))
    found.reverse()
    return found


cdef list logs_of(Tracker t):
    """Return the living logs that t wrote to, its present one last, and before it those of its trees. O(logs)."""
    cdef dict logs = {}
    cdef list todo
    if t.owner == NULL and t.marks & X_WATCHED and not (<WatchedTracker>t).is_root:
        return logs_of_gone(t)
    refresh(t)
    if t.rare is not None and t.rare.past is not None:
        for ref, seq in t.rare.past:
            log = ref()
            if log is not None:
                logs[id(log)] = log
    if t.log is not None:
        logs[id(t.log)] = t.log
    todo = list(logs.values())
    for log, _ in targets_of(t):
        logs.pop(id(log), None)
        todo.append(log)
    while todo:
        log = todo.pop()
        if (<Log>log).further is not None:
            for each in (<Log>log).further.values():
                if id(each) not in logs:
                    logs[id(each)] = each
                    todo.append(each)
    for log, _ in targets_of(t):
        logs.pop(id(log), None)
        logs[id(log)] = log
    return list(logs.values())


cdef list logs_of_gone(Tracker t):
    """Return the living logs that the tracker of an object that is gone wrote to. O(logs)."""
    cdef list found = [] if t.rare is None or t.rare.past is None else [ref() for ref, _ in t.rare.past]
    if t.logref is not None:
        found.append(t.logref())
    return [log for log in found if log is not None]


cdef list collect(Tracker t, list logs, uint64_t after, Py_ssize_t most_recent, bint shown):
    cdef list found = []
    cdef list part
    cdef Log log
    cdef Py_ssize_t i
    cdef dict known
    cdef bint whole
    cdef set seqs
    for log in logs:
        part = []
        known = {}
        whole = t.place is not None and t.place.parent is None and log is t.log and not t.state & T_SEVERAL and \
            (t.rare is None or t.rare.past is None)
        for i in range(log.count - 1, -1, -1):
            if i >= log.count or log.stamps[ring_index(log, i)].seq <= after or len(part) == most_recent:
                break
            if whole or concerns(log, ring_index(log, i), t, known):
                part.append(watched(as_shown(seen_at(log, i, t)) if shown else seen_at(log, i, t)))
        part.reverse()
        if not found:
            found = part
        elif part:
            seqs = {(<Change>c).seq for c in found}
            found.extend([c for c in part if (<Change>c).seq not in seqs])
            found.sort(key=_seq_of)
    if most_recent >= 0 and len(found) > most_recent:
        found = found[len(found) - most_recent:]
    return found


def _seq_of(Change c):
    return c.seq


cdef bint concerns(Log log, Py_ssize_t i, Tracker viewer, dict known):
    """True if record i of log happened at or below viewer; `known` caches answers by place. O(depth)."""
    cdef Place place = log.objects[i * SLOTS]
    found = known.get(id(place))
    if found is None:
        found = runs_through(place, viewer)
        known[id(place)] = found
    if found:
        return True
    extra = log.objects[i * SLOTS + 5]
    if extra is not None and (<Extra>extra).places is not None:
        found = known.get(id((<Extra>extra).places))    # records share it
        if found is None:
            found = False
            for other in <tuple>(<Extra>extra).places:
                if runs_through(<Place>other, viewer):
                    found = True
                    break
            known[id((<Extra>extra).places)] = found
        return found
    return False


def lost_seq(container):
    """Return the newest seq that may be lost with a log that died with its root; 0 if none is. O(logs)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    if t.rare is None or t.rare.past is None:
        return 0
    return max([seq for ref, seq in t.rare.past if ref() is None], default=0)


def changed_since(container, uint64_t seq):
    """True if a container, or anything that is below it now, changed after change seq. O(items + changes since)."""
    cdef Log log
    cdef Py_ssize_t i, at
    cdef set trackers = set()
    cdef list logs = []
    cdef list todo
    if last_seq <= seq or tracker_of(container) is None:
        return False
    todo = [container]
    while todo:
        each = todo.pop()
        t = tracker_of(each)
        if t not in trackers:
            trackers.add(t)
            for one in logs_of(t):
                if one not in logs:
                    logs.append(one)
            todo.extend(children(each))
    for log in logs:
        for i in range(log.count - 1, -1, -1):
            at = ring_index(log, i)
            if log.stamps[at].seq <= seq:
                break
            if (<Place>log.objects[at * SLOTS]).tracker in trackers:
                return True
    return False


def is_below(Tracker t, container):
    """True if the container of t is alive and is, or is below, the other container now. O(ancestors).

    Follows every link upwards, including those that close a cycle.
    """
    cdef Tracker top = tracker_of(container)
    cdef Tracker each
    cdef Link link
    cdef list todo
    cdef set seen
    if t is top:
        return True
    if not alive(t):
        return False
    todo = [t]
    seen = {t.number}
    while todo:
        each = <Tracker>todo.pop()
        link = each.link
        while link is not None:
            if link.parent is top:
                return True
            if link.parent.number not in seen and alive(link.parent):
                seen.add(link.parent.number)
                todo.append(link.parent)
            link = link.next
    return False


def seen_by(Change change, container):
    """True if the change happened at or below container. O(places x depth)."""
    cdef Tracker top = tracker_of(container)
    if runs_through(change.place, top):
        return True
    if change.details is not None and change.details.places is not None:
        for place in <tuple>change.details.places:
            if runs_through(<Place>place, top):
                return True
    return False


def matches(Change change, pattern, container):
    """True if the change, seen from container, is at a path that a compiled glob matches. O(places x depth)."""
    return touches(pattern, change, tracker_of(container))


def matches_at(Change change, pattern, container, key):
    """True if a compiled glob matches ``key`` of the container that changed, or that container. O(places x depth)."""
    for base in bases(change, tracker_of(container)):
        if glob_matches(pattern, 0, base, 0) or glob_matches(pattern, 0, base + (key,), 0):
            return True
    return False


def path_matches(tuple pattern, tuple path):
    """True if a compiled glob matches a path. O(depth), and more for each ``**``."""
    return glob_matches(pattern, 0, path, 0)


cdef bint touches(object pattern, Change change, Tracker viewer):
    """True if a compiled glob matches a path of the change as the viewer sees it. O(paths of the change)."""
    cdef tuple base
    if change.shape == S_SLOT and not several(change) and is_elsewhere(
            pattern, change.place, change.key if change.index < 0 else None, viewer):
        return False
    for base in bases(change, viewer):
        if change.shape == S_SLOT:
            if glob_matches(pattern, 0, base + (change.key if change.index < 0 else change.index,), 0):
                return True
        elif change.shape == S_ROWS:
            for i in range(0, len(<tuple>change.new), 3):
                if glob_matches(pattern, 0, base + ((<tuple>change.new)[i],), 0):
                    return True
        elif change.shape == S_FILL:
            for k in <dict>change.new:
                if glob_matches(pattern, 0, base + (k,), 0):
                    return True
        elif change.shape == S_ELEMENTS:
            for e in <tuple>change.old + <tuple>change.new:
                if glob_matches(pattern, 0, base + (e,), 0):
                    return True
        elif change.shape == S_SPLICE:
            for i in range(change.index, change.index + max(len(change.old), len(change.new))):
                if glob_matches(pattern, 0, base + (i,), 0):
                    return True
        if change.shape != S_SLOT and glob_matches(pattern, 0, base, 0):
            return True
    return False


cdef bint is_elsewhere(tuple pattern, Place place, object key, Tracker viewer) noexcept:
    """True if a glob surely does not match a key at a place: its length or a name differs. O(path), makes nothing."""
    cdef Py_ssize_t n = PyTuple_GET_SIZE(pattern)
    cdef object segment
    if n == 0:
        return True
    for i in range(n):
        if <object>PyTuple_GET_ITEM(pattern, i) is None:
            return False                # ** matches any number of keys
    n -= 1
    segment = <object>PyTuple_GET_ITEM(pattern, n)
    while True:
        if PyUnicode_CheckExact(segment) and PyUnicode_CheckExact(key) and segment is not key and \
                PyObject_RichCompareBool(segment, key, Py_EQ) == 0:
            return True
        if place.parent is None or place.tracker is viewer:
            return n != 0
        if n == 0:
            return True
        n -= 1
        segment = <object>PyTuple_GET_ITEM(pattern, n)
        key = place.key
        place = place.parent


cdef bint glob_matches(tuple pattern, Py_ssize_t p, tuple path, Py_ssize_t k) except -1:
    # a segment of a pattern is a str (literal), None (**), or a function str -> bool
    cdef object segment
    while p < len(pattern):
        segment = pattern[p]
        if segment is None:
            if p + 1 == len(pattern):
                return True
            while k <= len(path):
                if glob_matches(pattern, p + 1, path, k):
                    return True
                k += 1
            return False
        if k == len(path) or not segment_matches(segment, path[k]):
            return False
        p += 1
        k += 1
    return k == len(path)


cdef bint glob_reaches(tuple pattern, tuple path) except -1:
    """True if a compiled glob can match a location below path. O(path)."""
    cdef Py_ssize_t n
    for n in range(len(path)):
        if n == len(pattern):
            return False
        if pattern[n] is None:
            return True
        if not segment_matches(pattern[n], path[n]):
            return False
    return len(path) < len(pattern)


cdef bint segment_matches(object segment, object key) except -1:
    """True if a segment of a compiled glob, but not **, matches a key. ANY_KEY is matched by all."""
    cdef bint exact
    if key is ANY_KEY:
        return True
    text = text_of_key(key, &exact)
    if type(segment) is str:
        return segment == text
    return bool(segment(text))


cdef inline bint all_quiet(tuple keys):
    return pdt_all_quiet(keys)
