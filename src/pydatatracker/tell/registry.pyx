# Owns: the observers of containers and of the process.
# May touch: trackers; the epoch, so that containers notice a new observer.
# Invariants:
#  - a tuple of observers is replaced, never modified, so a notification in progress keeps the one it began with;
#  - observers are sorted by priority, and in order of registration within one.

cdef class Observer:
    """One registration of an observer."""

    def __init__(self, call, int priority, path, unsigned int actions, bint weak, bint immediate=False,
                 Feed feed=None):
        self.call = call
        self.priority = priority
        self.path = path
        self.actions = actions
        self.weak = weak
        self.immediate = immediate
        self.feed = feed
        self.log = log_of(call() if weak else call)


cdef object log_of(object call):
    """Return what is the same for all registrations of a log that takes a change once, with `also`; None for others.

    Such a class has ``tracking_once = True``, which an object of it may override; for a bound method ``x.write``, it is
    ``tracking_once_write``.
    """
    if getattr(type(call), "tracking_once", None) is not None and call.tracking_once is True:
        return id(call)
    if PyMethod_Check(call) and getattr(type(call.__self__), f"tracking_once_{call.__name__}", None) is True:
        return id(call.__self__), call.__name__
    return None


cdef unsigned long writing_graph = 0    # the thread that has a log write a state again


cdef int write_graph(Observer observer, object call, Tracker viewer) except -1:
    """Have a log write once more the state of what it observes, now that there are cycles. O(state).

    Up to then a container in several places had a copy in each of them; see "References" in docs/log-format.md.
    """
    global writing_graph
    observer.in_graph = True
    if observer.log is None or viewer.container is None:
        return 0
    attached = getattr(call, "tracking_attached", None)
    if attached is None and PyMethod_Check(call):
        attached = getattr(call.__self__, f"tracking_attached_{call.__name__}", None)
    if attached is not None:
        writing_graph = PyThread_get_thread_ident()
        try:
            attached(viewer.container)
        finally:
            writing_graph = 0
    return 0


cdef void drop_dead_observers(Rare rare) except *:
    # removes weak ones whose function is gone
    cdef Observer o
    if rare.observers is None:
        return
    for o in rare.observers:
        if o.weak and o.call() is None:
            rare.observers = tuple([o for o in rare.observers if not (o.weak and o.call() is None)]) or None
            return


def add_observer(container, Observer observer):
    """Register an observer; it takes effect after a notification in progress. O(observers)."""
    cdef Tracker t = looked_at(container)
    cdef Rare rare = rare_of(t)
    observer.in_graph = any_looped and has_cycles(t)
    drop_dead_observers(rare)
    rare.observers = tuple(sorted((rare.observers or ()) + (observer,), key=lambda o: (<Observer>o).priority))
    bump()


def remove_observer(container, call):
    """Remove every registration of call; return how many there were. O(observers)."""
    cdef Rare rare = rare_of(tracker_of(container))
    cdef Observer o
    if rare.observers is None:
        return 0
    keep = []
    for o in rare.observers:
        held = o.call() if o.weak else o.call
        if held is call or _same_method(held, call) or (o.weak and held is None):
            continue
        keep.append(o)
    gone = len(rare.observers) - len(keep)
    rare.observers = tuple(keep) or None
    bump()
    return gone


def _same_method(a, b):
    # a bound method is a new object at every access
    return (a is not None and getattr(a, "__self__", None) is not None and getattr(a, "__func__", a) is
            getattr(b, "__func__", b) and a.__self__ is getattr(b, "__self__", None))


def observers_of(container):
    """Return the observers registered on this container, or that of a tracker, in order. O(observers)."""
    cdef Tracker t = <Tracker>container if isinstance(container, Tracker) else tracker_of(container)
    if t.rare is None or t.rare.observers is None:
        return ()
    return tuple([o.call() if (<Observer>o).weak else o.call for o in t.rare.observers])


def set_process_observer(call):
    """Call `call` with every change in the process (None: nothing); return the previous one. O(1)."""
    global process_observer, process_feed, newly_looped
    before = process_observer
    process_observer = call
    process_feed = None
    newly_looped = None
    bump()
    return before


def set_process_feed(call, Feed feed):
    """Have a feed take changes that need no call of the observer of the process, if it is this one. O(1)."""
    global process_feed
    if process_observer is call:
        process_feed = feed
