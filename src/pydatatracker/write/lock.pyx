# Owns: locking containers and single attributes.
# May touch: trackers; a lock is recorded like any change.
# Invariants:
#  - a lock holds for the container and everything below it; T_LOCKED says so after `refresh`;
#  - hooks test T_LOCKED before the builtin does its work, so a refused change leaves everything as it was.

cdef void refuse(Tracker t) except *:
    raise TrackingLockedError(
        f"{class_name(t.cls)}{'' if t.rare is None or t.rare.name is None else ' ' + repr(t.rare.name)} is locked"
        f" ({'by lock()' if t.state & T_LOCK_SELF else 'a container above it is'}); call unlock() first"
    )


def set_lock(container, bint locked):
    """Lock or unlock a container; return whether that changed anything. O(1)."""
    return set_lock_as(container, locked, M_LOCK if locked else M_UNLOCK)


cdef bint set_lock_as(container, bint locked, int method) except -1:
    cdef Tracker t = tracker_of(container)
    refresh(t)
    if bool(t.state & T_LOCK_SELF) == locked:
        return False
    if locked:
        t.state |= T_LOCK_SELF
    else:
        t.state &= ~T_LOCK_SELF
    bump()
    commit(t, A_LOCK if locked else A_UNLOCK, method, S_WHOLE, -1, missing, missing, missing, 0)
    return True


def set_name_lock(container, str name, bint locked):
    """Lock or unlock one attribute; return whether that changed anything. O(1)."""
    return set_name_lock_as(container, name, locked, M_LOCK if locked else M_UNLOCK)


cdef bint set_name_lock_as(container, str name, bint locked, int method) except -1:
    cdef Tracker t = tracker_of(container)
    cdef Rare rare = rare_of(t)
    if rare.locked_names is None:
        rare.locked_names = set()
    if (name in rare.locked_names) == locked:
        return False
    if locked:
        rare.locked_names.add(name)
        t.state |= T_LOCKED_NAMES
    else:
        rare.locked_names.discard(name)
        if not rare.locked_names:
            t.state &= ~T_LOCKED_NAMES
    commit(t, A_LOCK if locked else A_UNLOCK, method, S_WHOLE, -1, name, missing, missing, 0)
    return True
