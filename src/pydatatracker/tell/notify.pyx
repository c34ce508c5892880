# Owns: notify

cdef struct Teller:                 # a thread that is telling observers
    unsigned long thread
    PyObject *queue                 # owned list of (tracker, change) that wait; NULL: none yet


cdef Teller *tellers = NULL         # few at a time: a linear look-up beats a dict
cdef int telling = 0
cdef int tellers_room = 0
cdef uint64_t observer_errors = 0


cdef inline int teller(unsigned long thread):
    cdef int i
    for i in range(telling):
        if tellers[i].thread == thread:
            return i
    return -1


cdef int start_telling(unsigned long thread) except -1:
    global telling, tellers, tellers_room
    cdef Teller *more
    if telling == tellers_room:
        more = <Teller *>PyMem_Realloc(tellers, (tellers_room + 8) * sizeof(Teller))
        if more == NULL:
            raise MemoryError()
        tellers = more
        tellers_room += 8
    tellers[telling].thread = thread
    tellers[telling].queue = NULL
    telling += 1
    return 0


cdef void stop_telling(unsigned long thread) noexcept:
    global telling
    cdef int i = teller(thread)
    cdef PyObject *queue
    if i < 0:
        return
    queue = tellers[i].queue
    telling -= 1
    tellers[i] = tellers[telling]
    Py_XDECREF(queue)


cdef void forget_telling() noexcept:
    # after a fork only this thread is left
    global telling
    telling = 0


cdef int notify(Tracker t, Change change) except -1:
    if deferred is not None:
        deferred.append((t, change))
        return 0
    cdef unsigned long thread = PyThread_get_thread_ident()
    cdef int i = teller(thread)
    cdef list failed = None
    cdef list queue
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t round_end = 0       # what was told up to there changed what follows
    cdef int rounds = 0
    if i >= 0:
        if tellers[i].queue == NULL:
            queue = []
            Py_INCREF(queue)
            tellers[i].queue = <PyObject *>queue
        (<list>tellers[i].queue).append((t, change))
        return 0
    start_telling(thread)
    try:
        failed = tell_all(t, change, failed)
        i = teller(thread)
        if i >= 0 and tellers[i].queue != NULL:
            queue = <list>tellers[i].queue
            while n < len(queue):
                if n >= round_end:
                    rounds += 1
                    round_end = len(queue)
                    if rounds > MAX_ROUNDS:
                        never_ending(<Change>(<tuple>queue[n])[1])
                t, change = <tuple>queue[n]
                n += 1
                failed = tell_all(t, change, failed)
                if n == 1000:       # a long chain of changes keeps memory flat
                    del queue[:n]
                    round_end -= n
                    n = 0
    finally:
        stop_telling(thread)
    if failed is not None:
        raise ExceptionGroup("observers of a tracked container failed", failed)
    return 0


cdef enum:
    MAX_ROUNDS = 100000


cdef int never_ending(Change change) except -1:
    raise RecursionError(
        f"observers went on changing what they observe {MAX_ROUNDS:,} times, lastly with {change!r}; nobody was told"
        " of that one. Give the observer a path or actions that leave out what it does itself"
    )


cdef list tell_all(Tracker t, Change change, list failed):
    cdef Place place = change.place
    cdef Place step
    cdef Rare rare
    cdef set told
    if not t.state & T_SEVERAL and (change.rare is None or change.rare.places is None):
        step = place
        while step is not None:
            rare = step.tracker.rare
            if rare is not None and rare.observers is not None:
                failed = tell(rare.observers, step.tracker, change, failed)
            step = step.parent
        if process_observer is not None and change.told != W_DEFERRED:
            failed = tell_one(process_observer, root_of(place), change, failed)
        return failed
    # several places: each container above is told once, the nearest first
    told = set()
    heights = []
    for target in (t.rare.targets if t.rare is not None and t.rare.targets is not None else [(None, (place,))]):
        for each in <tuple>(<tuple>target)[1]:
            step = each
            height = 0
            while step is not None:
                if step.tracker.number not in told:
                    told.add(step.tracker.number)
                    heights.append((height, len(heights), step.tracker))
                step = step.parent
                height += 1
    heights.sort()
    for height, n, tracker in heights:
        rare = (<Tracker>tracker).rare
        if rare is not None and rare.observers is not None:
            failed = tell(rare.observers, <Tracker>tracker, change, failed)
    if process_observer is not None and change.told != W_DEFERRED:  # once, from the first tree; it looks at the others itself
        failed = tell_one(process_observer, root_of(place), change, failed)
    return failed


cdef list tell(tuple observers, Tracker viewer, Change change, list failed):
    cdef Observer observer
    cdef Change seen = None
    cdef bint dead = False
    for each in observers:
        observer = <Observer>each
        if change.told != W_ALL and observer.immediate != (change.told == W_IMMEDIATE):
            continue
        if observer.actions and not observer.actions & (1 << change.action_code):
            continue
        if observer.path is not None and not touches(observer.path, change, viewer):
            continue
        call = observer.call
        if observer.weak:
            call = call()
            if call is None:
                dead = True
                continue
        if observer.feed is not None and (<Intake>observer.feed).accept(change, viewer):
            continue
        if seen is None:
            seen = watched(change if change.viewer is viewer and not several(change) else seen_from(change, viewer))
        try:
            if observer.feed is None or not (<Intake>observer.feed).accept_encoded(seen):
                call(seen)
        except Exception as error:
            failed = observer_failed(viewer, seen, call, error, failed)
    if dead and viewer.rare is not None:
        drop_dead_observers(viewer.rare)
    return failed


cdef list tell_one(object call, Tracker viewer, Change change, list failed):
    change = seen_from(change, viewer)
    try:
        call(change)
    except Exception as error:
        failed = observer_failed(viewer, change, call, error, failed)
    return failed


cdef list observer_failed(Tracker viewer, Change change, object call, object error, list failed):
    global observer_errors
    observer_errors += 1
    if viewer.settled is not None and viewer.settled.raise_errors == 1:
        if failed is None:
            failed = []
        failed.append(error)
        return failed
    if on_observer_error is not None:
        on_observer_error(change, call, error)
    return failed
