# Owns: what the four hooks share: how to find the hook of an object, its birth, and how every mutator begins.
# May touch: the tracker and birth fields of the hooks; the tree, to bring a tracker up to date.
# Invariants:
#  - hook_of finds kind, tracker and birth of an object. Only what looks inside any value tests the type itself
#    (record/summary.pyx, write/inside.pyx, pdt_builtin_container);
#  - a container gets its tracker when there is something to remember, and its birth when it is initialised;
#  - after `enter`, the tracker is up to date, the container may be changed, and no step of a bulk call waits.

cdef inline Hook hook_of(object c) noexcept:
    """Find kind, tracker and birth of a tracked container. Runs no user code. O(1)."""
    cdef Hook hook
    hook.kind = K_NONE
    hook.tracker = NULL
    hook.birth = NULL
    hook.twin = PDT_NO_TWIN
    if PyDict_Check(c):
        if isinstance(c, DictHook):
            hook.kind = K_DICT
            hook.tracker = <PyObject *>(<DictHook>c).tracker
            hook.birth = &(<DictHook>c).birth
        else:
            hook_of_twin(c, K_DICT, pdt_twin_of_dict(c), &hook)
    elif PyList_Check(c):
        if isinstance(c, ListHook):
            hook.kind = K_LIST
            hook.tracker = <PyObject *>(<ListHook>c).tracker
            hook.birth = &(<ListHook>c).birth
    elif isinstance(c, AttrHook):
        hook.kind = K_ATTR
        hook.tracker = <PyObject *>(<AttrHook>c).tracker
        hook.birth = &(<AttrHook>c).birth
    elif isinstance(c, SetHook):
        hook.kind = K_SET
        hook.tracker = <PyObject *>(<SetHook>c).tracker
        hook.birth = &(<SetHook>c).birth
    elif pdt_is_deque(c):
        hook_of_twin(c, K_DEQUE, PDT_DEQUE, &hook)
    if hook.kind == K_NONE and (pdt_watching or isinstance(c, Watching)):
        find_watched(c, &hook)
    return hook


cdef inline bint is_dict_hook(object value) noexcept:
    return PyDict_Check(value) and (isinstance(value, DictHook) or pdt_twin_of_dict(value) != PDT_NO_TWIN)


cdef void find_watched(object c, Hook *hook) noexcept:
    cdef Tracker t = watched_tracker(c)
    if t is not None:
        hook.kind = t.kind
        hook.tracker = <PyObject *>t        # the table, or a Watching, refers to it
        hook.birth = &(<WatchedTracker>t).birth


cdef inline void hook_of_twin(object c, int kind, int twin, Hook *hook) noexcept:
    cdef pdt_twin *fields
    if twin != PDT_NO_TWIN:
        fields = pdt_twin_in(c, twin)
        hook.kind = kind
        hook.twin = twin
        hook.tracker = <PyObject *>None if fields.tracker == NULL else fields.tracker
        hook.birth = <Birth *>fields.birth


cdef Tracker tracker_of(object c):
    """Return the tracker of a tracked container and make it if needed; None for anything else. O(1)."""
    cdef Hook hook
    if not pdt_heap_type(c):
        return watched_tracker(c) if isinstance(c, WatchedTracker) else None
    hook = hook_of(c)
    if hook.kind == K_NONE:
        return watched_tracker(c) if isinstance(c, Watching) else None      # also when nothing is watched any more
    if hook.tracker != <PyObject *>None:
        return <Tracker>hook.tracker
    return first_tracker(c, hook)


cdef Tracker first_tracker(object c, Hook hook):
    cdef Tracker t = new_tracker(c, hook.kind)
    if hook.twin != PDT_NO_TWIN:
        if hook.twin == PDT_ORDERED:
            t.marks |= X_ORDERED
        Py_INCREF(t)
        pdt_twin_in(c, hook.twin).tracker = <PyObject *>t
    elif hook.kind == K_DICT:
        (<DictHook>c).tracker = t
    elif hook.kind == K_LIST:
        (<ListHook>c).tracker = t
    elif hook.kind == K_SET:
        (<SetHook>c).tracker = t
    else:
        (<AttrHook>c).tracker = t
    try:
        know(c, t, hook)
    except:                             # next time anew, and completely
        t.owner = NULL
        forget_tracker(c, hook)
        raise
    return t


cdef int forget_tracker(object c, Hook hook) except -1:
    cdef PyObject *gone
    if hook.twin != PDT_NO_TWIN:
        gone = pdt_twin_in(c, hook.twin).tracker
        pdt_twin_in(c, hook.twin).tracker = NULL
        Py_DECREF(<object>gone)
    elif hook.kind == K_DICT:
        (<DictHook>c).tracker = None
    elif hook.kind == K_LIST:
        (<ListHook>c).tracker = None
    elif hook.kind == K_SET:
        (<SetHook>c).tracker = None
    else:
        (<AttrHook>c).tracker = None
    return 0


cdef int know(object c, Tracker t, Hook hook) except -1:
    if hook.birth.time_ns == 0:         # __init__ did not run: the container begins with what it holds
        begin_life(c, hook.kind, hook.birth)
        if hook.birth.size:
            link_all(t)
    if hook.kind == K_ATTR:
        watch_class(<AttrHook>c, t)
    return 0


cdef inline Py_ssize_t size_of(object c, int kind) except -1:
    """Number of items; 0 for an object with attributes. O(1)."""
    if kind == K_DICT:
        return PyDict_Size(c)
    if kind == K_LIST:
        return PyList_GET_SIZE(c)
    if kind == K_SET:
        return PySet_GET_SIZE(c)
    if kind == K_DEQUE:
        return pdt_deque_size(c)
    return 0


cdef inline int begin_life(object c, int kind, Birth *birth) except -1:
    birth.time_ns = pdt_now_ns()
    birth.seq = last_seq
    birth.size = size_of(c, kind)
    return 0


cdef inline Tracker current(object c, PyObject *tracker):
    """Return the tracker of a hook, given its field, made if needed and up to date."""
    cdef Tracker t = <Tracker>tracker
    if t is None:
        t = tracker_of(c)
    if t.epoch != epoch:
        refresh(t)
    return t


cdef inline Tracker enter(object c, PyObject *tracker):
    """Begin a mutator: as `current`; TrackingLockedError if the container is locked."""
    cdef Tracker t = current(c, tracker)
    if t.state & T_SLOW:
        enter_slowly(t)
    return t


cdef int enter_slowly(Tracker t) except -1:
    if t.state & T_LOCKED:
        refuse(t)
    if t.state & T_PENDING:
        flush_bulk(t)
        if t.rare.bulk_calls <= 0:      # the call belonged to a thread that a fork left behind
            t.state &= ~T_PENDING
            t.rare.pending = None
            t.rare.bulk_calls = 0
    if guarding and t.state & T_GUARD and t.kind == K_DICT and not t.state & T_QUIET:
        rare_of(t).order = list(dict.keys(<object>t.owner))     # a removal loses it, and a guard may restore it
    return 0


cdef int options_only_once(object options) except -1:
    """Raise if __init__ is called again with options."""
    if options is not None:
        raise TypeError("tracking options cannot change; pass them when the container is made")
    return 0


cdef inline bint has_options(object c, object options) except -1:
    """True if a new container was given options, or its class was."""
    return options is not None or (type(c) is not dict_type and type(c) is not list_type and
                                   options_of_class(type(c)) is not None)


cdef Tracker converting(object c, tuple options):
    """Apply the options of a new container, if any were given; return its tracker if what it holds is to be converted."""
    cdef Hook hook
    cdef Tracker t
    if options is not None:
        configure(c, options[0], options[1])
        hook = hook_of(c)
        t = <Tracker>hook.tracker
        if t is None:
            return None
    else:
        t = tracker_of(c)
    refresh(t)
    return t if t.state & T_CONVERT else None
