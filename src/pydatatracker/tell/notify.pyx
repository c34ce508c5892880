# Owns: notifying observers of a container and of all containers above it, lower ones first.
# May touch: trackers and places, to find observers; changes, to show them as each observer sees them.
# Invariants:
#  - the path of the record decides who is notified, also after the commit of a transaction that moved the container;
#  - observers are called when the record is complete, and no lock is held;
#  - a thread that is notifying queues the changes that its observers make; the queue belongs to the thread;
#  - filters are tested before the change is converted to what the observed container sees;
#  - a log (Observer.log) is called once with a change, however many containers above it the log observes: `several_of`;
#  - an observer that raises an Exception stops neither the others nor the change. It is logged, or, once all were called,
#    raised in an ExceptionGroup (tracking_observer_errors="raise"). Another exception (KeyboardInterrupt, SystemExit) is
#    raised once the others have heard of the change and of those that wait;
#  - an observer that raised, at whatever moment, is called once more with what it may have missed: `tell_missed`.

cdef struct Notifier:               # a thread that is notifying observers
    unsigned long thread
    PyObject *queue                 # owned list of (tracker, change) to notify of; NULL: none yet


cdef Notifier *notifiers = NULL         # one per thread that is notifying: few, so a linear search is fast
cdef int notifying = 0
cdef int notifiers_room = 0
cdef uint64_t observer_errors = 0


cdef inline int notifier_of(unsigned long thread):
    cdef int i
    for i in range(notifying):
        if notifiers[i].thread == thread:
            return i
    return -1


cdef int start_notifying(unsigned long thread) except -1:
    global notifying, notifiers, notifiers_room
    cdef Notifier *more
    if notifying == notifiers_room:
        more = <Notifier *>PyMem_Realloc(notifiers, (notifiers_room + 8) * sizeof(Notifier))
        if more == NULL:
            raise MemoryError()
        notifiers = more
        notifiers_room += 8
    notifiers[notifying].thread = thread
    notifiers[notifying].queue = NULL
    notifying += 1
    return 0


cdef void stop_notifying(unsigned long thread) noexcept:
    global notifying
    cdef int i = notifier_of(thread)
    cdef PyObject *queue
    if i < 0:
        return
    queue = notifiers[i].queue
    notifying -= 1
    notifiers[i] = notifiers[notifying]
    Py_XDECREF(queue)


cdef void forget_notifiers(unsigned long thread) noexcept:
    """After a fork, forget all threads, and this one's queue: the parent goes through it.

    A child that was forked in an observer may never return there: what it changes has to be reported synchronously.
    """
    global notifying
    notifying = 0


cdef bint observed(Change change):
    """Return whether an observer listens at a path of the record, at or above its container. O(depth)."""
    cdef Place step
    for place in recorded_places(change):
        step = place
        while step is not None:
            if step.tracker.rare is not None and step.tracker.rare.observers is not None:
                return True
            step = step.parent
    return False


cdef inline tuple recorded_places(Change change):
    """Return all places at which the change was recorded."""
    if change.details is None or change.details.places is None:
        return (change.place,)
    return (change.place, *<tuple>change.details.places)


cdef list roots_of(Change change):
    """Return the roots of all places of the change, each once. O(places x depth)."""
    cdef dict roots = {}
    cdef Tracker root
    for place in recorded_places(change):
        root = root_of(<Place>place)
        roots[root.number] = root
    return list(roots.values())


cdef int notify(Tracker t, Change change) except -1:
    if in_event:
        return tell_later(t, change)
    if deferred is not None:
        deferred.append((t, change))
        return 0
    cdef unsigned long thread = PyThread_get_thread_ident()
    cdef int i = notifier_of(thread)
    cdef list failed = None
    cdef list queue
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t round_end = 0       # changes from here on were made by observers of those before it
    cdef Py_ssize_t stop = -1           # after a KeyboardInterrupt or the like: where to end
    cdef int rounds = 0
    if i >= 0:
        if notifiers[i].queue == NULL:
            queue = []
            Py_INCREF(queue)
            notifiers[i].queue = <PyObject *>queue
        (<list>notifiers[i].queue).append((t, change))
        return 0
    start_notifying(thread)
    try:
        failed = notify_all(t, change, failed)
        i = notifier_of(thread)
        if i >= 0 and notifiers[i].queue != NULL:
            queue = <list>notifiers[i].queue
            while n < len(queue) and n != stop:
                if stop < 0 and failed is not None and ends_thread(failed) is not None:
                    stop = len(queue)
                if n >= round_end:
                    rounds += 1
                    round_end = len(queue)
                    if rounds > MAX_ROUNDS:
                        never_ending(<Change>(<tuple>queue[n])[1])
                t, change = <tuple>queue[n]
                n += 1
                failed = notify_all(t, change, failed)
                if n == 1000:       # drop what is done: a chain of changes can be long
                    del queue[:n]
                    round_end -= n
                    stop -= n if stop >= 0 else 0
                    n = 0
    finally:
        stop_notifying(thread)
    if failed is not None:
        error = ends_thread(failed)
        if error is not None:
            raise error
        raise ExceptionGroup("observers of a tracked container failed", failed)
    return 0


cdef object ends_thread(list failed):
    """Return the first error that is not for observers to handle: KeyboardInterrupt, SystemExit; or None."""
    for error in failed:
        if not isinstance(error, Exception):
            return error
    return None


cdef enum:
    MAX_ROUNDS = 100000


cdef int never_ending(Change change) except -1:
    raise RecursionError(
        f"observers went on changing what they observe for {MAX_ROUNDS:,} rounds; the last change, {change!r}, was"
        " not reported to anybody. Give the observer a path or actions that exclude its own changes"
    )


cdef list notify_all(Tracker t, Change change, list failed):
    cdef PyObject *step = <PyObject *>change.place      # borrowed, as all places above: the change has the lowest
    cdef Rare rare
    cdef set told
    cdef bint looked = False
    cdef dict together = None
    if change.details is None or change.details.places is None:
        while step != <PyObject *>None:
            if (<Place>step).tracker.rare is not None and (<Place>step).tracker.rare.observers is not None:
                if not looked:
                    looked = True
                    together = several_above(<Place>step, change)
                failed = notify_registered((<Place>step).tracker.rare.observers, (<Place>step).tracker, change, failed,
                                           together)
            step = <PyObject *>(<Place>step).parent
        if process_observer is not None and change.audience != W_DEFERRED:
            failed = notify_process(root_of(change.place), change, failed)
        return failed
    # several places: notify each container above once, the nearest first
    told = set()
    heights = []
    for each in recorded_places(change):
        step = <PyObject *>each
        height = 0
        while step != <PyObject *>None:
            if (<Place>step).tracker.number not in told:
                told.add((<Place>step).tracker.number)
                heights.append((height, len(heights), (<Place>step).tracker))
            step = <PyObject *>(<Place>step).parent
            height += 1
    heights.sort()
    together = several_of([tracker for _, _, tracker in heights], change)
    for height, n, tracker in heights:
        rare = (<Tracker>tracker).rare
        if rare is not None and rare.observers is not None:
            failed = notify_registered(rare.observers, <Tracker>tracker, change, failed, together)
    if process_observer is not None and change.audience != W_DEFERRED:
        failed = notify_process(None, change, failed)
    return failed


cdef bint is_wanted(Tracker t, int action, int shape, Py_ssize_t index, object key) noexcept:
    """Return whether an observer may want a change, before the change is made an object. O(depth), runs no code."""
    cdef PyObject *step = <PyObject *>t.place
    cdef tuple observers
    cdef PyObject *observer
    cdef Py_ssize_t i
    if process_observer is not None:
        return True
    while step != <PyObject *>None:
        if (<Place>step).tracker.rare is not None and (<Place>step).tracker.rare.observers is not None:
            observers = (<Place>step).tracker.rare.observers
            for i in range(PyTuple_GET_SIZE(observers)):
                observer = PyTuple_GET_ITEM(observers, i)
                if (<Observer>observer).actions and not (<Observer>observer).actions & (1 << action):
                    continue
                if (<Observer>observer).path is not None and shape == S_SLOT and is_elsewhere(
                        (<Observer>observer).path, t.place, key if index < 0 else None, (<Place>step).tracker):
                    continue
                return True
        step = <PyObject *>(<Place>step).parent
    return False


cdef inline bint wants(Observer observer, Change change, Tracker viewer):
    if change.audience != W_ALL and observer.immediate != (change.audience == W_IMMEDIATE):
        return False
    if observer.actions and not observer.actions & (1 << change.action_code):
        return False
    return observer.path is None or touches(observer.path, change, viewer)


cdef dict several_above(Place place, Change change):
    """As `several_of`, for an observed container and those above it. O(depth)."""
    cdef list viewers
    cdef Place step
    cdef PyObject *above = <PyObject *>place.parent
    if PyTuple_GET_SIZE(place.tracker.rare.observers) == 1:     # which is the rule
        while above != <PyObject *>None and (
                (<Place>above).tracker.rare is None or (<Place>above).tracker.rare.observers is None):
            above = <PyObject *>(<Place>above).parent
        if above == <PyObject *>None:
            return None
    step = place.parent
    viewers = [place.tracker]
    while step is not None:
        if step.tracker.rare is not None and step.tracker.rare.observers is not None:
            viewers.append(step.tracker)
        step = step.parent
    return several_of(viewers, change)


cdef dict several_of(list viewers, Change change):
    """Return {log: containers} of the logs that were added to these containers more than once; None if none was."""
    cdef dict found = None
    cdef set several = None
    cdef Rare rare
    cdef Observer observer
    cdef list seen
    for viewer in viewers:
        rare = (<Tracker>viewer).rare
        if rare is None or rare.observers is None:
            continue
        for each in rare.observers:
            observer = <Observer>each
            if observer.log is None or not wants(observer, change, <Tracker>viewer):
                continue
            if observer.weak and observer.call() is None:       # another one may have its id by now
                continue
            if found is None:
                found = {}
            seen = found.get(observer.log)
            if seen is None:
                found[observer.log] = [viewer]
                continue
            if several is None:
                several = set()
            several.add(observer.log)
            if seen[len(seen) - 1] is not viewer:       # wraparound is off
                seen.append(viewer)
    return None if several is None else {log: found[log] for log in several}


cdef list notify_registered(tuple observers, Tracker viewer, Change change, list failed, dict together):
    """Call the observers of one container; together: logs that are called once for several registrations, with `also`."""
    cdef Observer observer
    cdef Change seen = None
    cdef PyObject *answer
    cdef bint dead = False
    for each in observers:
        observer = <Observer>each
        if not wants(observer, change, viewer):
            continue
        call = observer.call
        if observer.weak:
            call = call()
            if call is None:
                dead = True
                continue
        if together is not None and observer.log is not None and observer.log in together:
            failed = notify_once(observer, call, <list>together[observer.log], change, failed)
            continue
        if observer.feed is not None or (any_looped and not observer.in_graph):
            try:
                if any_looped and not observer.in_graph and is_graph(viewer):
                    write_graph(observer, call, viewer)
                if observer.feed is not None and observer.feed.accept(change, viewer):
                    continue
            except BaseException as error:
                seen = seen_from(change, viewer)
                tell_missed(call, seen, error)
                failed = observer_failed(viewer, seen, call, error, failed)
                continue
        if seen is None:
            seen = watched(change if change.viewer is viewer and not several(change) else seen_from(change, viewer))
        if observer.feed is not None:
            try:
                if observer.feed.accept_encoded(seen):
                    continue
            except BaseException as error:
                tell_missed(call, seen, error)
                failed = observer_failed(viewer, seen, call, error, failed)
                continue
        answer = call_or_null(call, seen)       # `try` costs a fifth of the call
        if answer == NULL:
            error = pdt_take_error()
            tell_missed(call, seen, error)
            failed = observer_failed(viewer, seen, call, error, failed)
        else:
            Py_DECREF(<object>answer)
    if seen is not None and seen is not change:
        answer = <PyObject *>seen
        Py_INCREF(seen)
        seen = None
        give_back(answer)
    if dead and viewer.rare is not None:
        drop_dead_observers(viewer.rare)
    return failed


cdef list notify_once(Observer observer, object call, list viewers, Change change, list failed):
    """Call a log that observes several containers above a change with all of them, and empty the list."""
    cdef Change seen
    if not viewers:                     # it was called
        return failed
    if any_looped:
        failed = write_graphs(observer.log, call, viewers, change, failed)
    seen = watched(seen_from_all(change, viewers))
    viewers.clear()
    try:
        if observer.feed is None or not observer.feed.accept_encoded(seen):
            call(seen)
    except BaseException as error:
        tell_missed(call, seen, error)
        failed = observer_failed(seen.viewer, seen, call, error, failed)
    return failed


cdef list write_graphs(object log, object call, list viewers, Change change, list failed):
    """Have a log write the states of several containers once more: see `write_graph`."""
    cdef Observer observer
    for viewer in viewers:
        for each in (<Tracker>viewer).rare.observers or ():
            observer = <Observer>each
            if not observer.in_graph and is_graph(<Tracker>viewer) and observer.log is not None and observer.log == log:
                try:
                    write_graph(observer, call, <Tracker>viewer)
                except BaseException as error:
                    failed = observer_failed(<Tracker>viewer, seen_from(change, <Tracker>viewer), call, error, failed)
    return failed


cdef list notify_process(Tracker viewer, Change change, list failed):
    """Call the observer of the process; viewer: the root of the change, or None if it has several places."""
    cdef object call = process_observer
    try:
        if process_feed is not None and viewer is not None and process_feed.accept(change, viewer):
            return failed
    except BaseException as error:
        change = seen_from(change, viewer)
        tell_missed(call, change, error)
        return observer_failed(viewer, change, call, error, failed)
    if viewer is None:
        roots = list(roots_of(change))
        change = seen_from_all(change, [root for root in roots if alive(<Tracker>root)] or roots)
        viewer = change.viewer              # a root that died meanwhile has no state that a log could begin with
    else:
        change = seen_from(change, viewer)
    try:
        call(change)
    except BaseException as error:
        tell_missed(call, change, error)
        failed = observer_failed(viewer, change, call, error, failed)
    return failed


cdef int tell_missed(object call, Change change, object error) except -1:
    """Call ``tracking_missed(change, error)`` of an observer that raised.

    An exporter counts a change that is not on its way, and marks a gap. KeyboardInterrupt can come at any moment, also
    before the first statement of an observer, so it cannot do that by itself. Of a bound method ``x.write``, it is
    ``x.tracking_missed_write``.
    """
    cdef int attempt
    for attempt in range(3):                # another Ctrl-C may come meanwhile
        try:
            missed = getattr(type(call), "tracking_missed", None)   # not of an object that has every attribute
            if missed is not None:
                missed(call, change, error)
            elif PyMethod_Check(call):
                missed = getattr(type(call.__self__), f"tracking_missed_{call.__name__}", None)
                if missed is not None:
                    missed(call.__self__, change, error)
            return 0
        except Exception:                   # of a class of the program
            return 0
        except BaseException:
            continue
    return 0


cdef list observer_failed(Tracker viewer, Change change, object call, object error, list failed):
    global observer_errors
    if not isinstance(error, Exception):
        return [error] if failed is None else [*failed, error]
    observer_errors += 1
    if viewer.effective is not None and viewer.effective.values[O_RAISE_ERRORS] == 1:
        if failed is None:
            failed = []
        failed.append(error)
        return failed
    if log_observer_error is not None:
        log_observer_error(change, call, error)
    return failed
