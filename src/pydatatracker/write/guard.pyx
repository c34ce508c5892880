# Owns: guards (`tracking_break(..., do="raise")`), which refuse a change before it is recorded, and `Stop`, the observer
# of every other `tracking_break`.
# May touch: trackers and places, to find the guards above a change; it calls the package to revert a change.
# Invariants:
#  - a refused change is reverted, quietly, before there is a record, and the statement that made it raises;
#  - the order of a guarded dict's keys is saved before a change, because a removal loses it.

cdef bint guarding = False      # whether any container of the process was given a guard


cdef int check_guards(Tracker t, Change change) except -1:
    """Raise if a guard of the container, or of one above it, refuses the change. O(guards above)."""
    cdef list steps = []
    cdef Place step
    cdef Rare rare
    for place in [change.place] if change.details is None or change.details.places is None else \
            [change.place, *<tuple>change.details.places]:
        step = place
        while step is not None:
            rare = step.tracker.rare
            if rare is not None and rare.guards is not None and step.tracker not in steps:
                steps.append(step.tracker)
            step = step.parent
    for tracker in steps:
        for guard in (<Tracker>tracker).rare.guards:
            pattern, actions, when = <tuple>guard[:3]
            if actions and not actions & (1 << change.action_code):
                continue
            if not touches(pattern, change, <Tracker>tracker):
                continue
            seen = seen_from(change, <Tracker>tracker)
            refused = True
            try:
                if when is not None:
                    refused = when(as_shown(seen))
            except BaseException as error:
                refuse_change(seen, guard, error)
            if refused:
                refuse_change(seen, guard, None)
    return 0


def add_guard(container, tuple guard):
    """Register a guard: (compiled glob, actions, predicate or None, ...). O(guards)."""
    global guarding
    cdef Rare rare = rare_of(tracker_of(container))
    guarding = True
    rare.guards = (rare.guards or ()) + (guard,)
    bump()


def remove_guard(container, tuple guard):
    """Remove a guard; return whether it was registered. O(guards)."""
    cdef Rare rare = rare_of(tracker_of(container))
    keep = tuple([each for each in rare.guards or () if each is not guard])
    found = len(keep) != len(rare.guards or ())
    rare.guards = keep or None
    bump()
    return found


def set_quiet(container, bint quiet):
    """Turn recording of a container off or on again. O(1), or O(items) to restore the order of a guarded dict."""
    cdef Tracker t = tracker_of(container)
    if quiet:
        t.state |= T_QUIET
    else:
        t.state &= ~T_QUIET
        if t.kind == K_DICT and t.rare is not None and t.rare.order is not None:
            put_in_order(container, t, t.rare.order)


cdef int put_in_order(object d, Tracker t, list order) except -1:
    cdef list items
    if len(order) != PyDict_Size(d) or list(dict.keys(d)) == order:
        return 0
    items = [(key, dict.__getitem__(d, key)) for key in order]
    clear_items(d, t)
    for key, value in items:
        set_item(d, t, key, value)
    return 0


cdef class Stop:
    """An observer that calls ``act``, or else the debugger, with each change that ``when`` accepts."""

    cdef object act
    cdef object when
    cdef object announced               # the text that is printed before the debugger starts, as a function of the change

    def __init__(self, act, when, announced):
        self.act = act
        self.when = when
        self.announced = announced

    def __call__(self, change):
        if self.when is not None and not self.when(change):
            return
        if self.act is not None:
            self.act(change)
            return
        _sys.stderr.write(self.announced(change))
        try:
            _sys.breakpointhook()       # no Python frame of ours is between, so the debugger stops in the caller's
        except Exception as error:
            if type(error).__name__ == "BdbQuit":
                raise SystemExit(1) from error
            raise
