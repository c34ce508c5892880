# Owns: how copy and pickle put a container together without recording.
# May touch: the hook's birth; tracker and links.
# Invariant: a container records nothing between begin_rebuild and end_rebuild, and its life begins with the latter.

def begin_rebuild(container, Options options, name):
    """Turn recording off for a container that copy or pickle is making. O(1)."""
    cdef Hook hook = hook_of(container)
    cdef Tracker t
    if hook.kind == K_NONE:
        raise TypeError(f"a {type(container).__name__} is not a tracked container")
    hook.birth.time_ns = pdt_now_ns()   # keeps the tracker from linking what the container holds already
    t = tracker_of(container)
    if options is not None:
        t.options = options
        note_redact(t)
    if name is not None:
        rare_of(t).name = name
    t.state |= T_QUIET
    t.epoch = 0


def end_rebuild(container):
    """Begin the life of a container that is complete now, and record from here on. O(1)."""
    cdef Tracker t = tracker_of(container)
    cdef Hook hook = hook_of(container)
    begin_life(container, hook.kind, hook.birth)
    t.net = 0
    t.marks &= ~(X_KEYS_KNOWN | X_OTHER_KEYS)
    t.state &= ~T_QUIET
    t.epoch = 0


def relink(container):
    """Link the children that a container got without its hooks, unless it has links already. O(items)."""
    cdef Tracker t = tracker_of(container)
    if t.children == 0:
        if t.kind == K_ATTR:
            link_attributes(container)
        else:
            link_all(t)
