# Owns: trackers: what every tracked container carries, from its first use to its end.
# May touch: the global epoch and the counter of trackers.
# Invariants:
#  - a tracker belongs to one container and outlives it only inside records, where its owner is NULL;
#  - place, active and state are valid while the tracker's epoch equals the global one;
#  - `bump` is called whenever the place, log, options or flags of some container may have changed;
#  - a container that has no place yet has none below it that is valid: to move it invalidates nothing. A valid tracker
#    may have ancestors that are not, as `bump_below` leaves it valid.

cdef class Rare:
    """What few trackers need."""


cdef class Tracker:
    """What a tracked container carries."""

    def __init__(self):
        raise TypeError("a tracker is made by its container")

    @property
    def uuid(self):
        """Id of the container, 32 hex digits. O(1)."""
        return uuid_text(self.number, True)

    @property
    def type_name(self):
        return class_name(self.cls)

    @property
    def kind(self):
        return KINDS[self.kind]

    @property
    def container(self):
        """The container, or None once it died. Of a watched object, its tracker: see WatchedTracker."""
        if self.marks & X_WATCHED:
            return self if self.owner != NULL else None
        if self.owner == NULL or Py_REFCNT(self.owner) == 0:
            return None
        return <object>self.owner

    @property
    def name(self):
        return None if self.rare is None else self.rare.name


cdef Rare rare_of(Tracker t):
    if t.rare is None:
        t.rare = Rare.__new__(Rare)
    return t.rare


cdef Tracker new_tracker(object owner, int kind):
    global last_number
    cdef Tracker t = Tracker.__new__(Tracker)
    t.owner = <PyObject *>owner
    t.cls = type(owner)
    t.kind = kind
    last_number += 1
    t.number = last_number
    if kind == K_ATTR:
        t.options = merged(options_of_class(t.cls), ATTR_OPTIONS)
        note_redact(t)
    elif t.cls is not dict_type and t.cls is not list_type and t.cls is not set_type:
        t.options = options_of_class(t.cls)
        if t.options is not None:
            note_redact(t)
    return t


cdef inline bint alive(Tracker t):
    # a container in its __dealloc__ must not be used any more
    return t.owner != NULL and Py_REFCNT(t.owner) > 0


cdef inline void bump():
    global epoch
    epoch += 1


cdef inline void bump_below(Tracker t):
    """Note that containers below t may have moved, and that t has not. Only with `back_links` t can be below itself."""
    cdef bint valid = t.epoch == epoch and back_links == 0
    bump()
    if valid:
        t.epoch = epoch


cdef void detach(Tracker t):
    """Cut everything that the tracker of a dying container holds, so that no cycle is left."""
    cdef bint placed = t.place is not None
    t.owner = NULL
    t.place = None
    t.active = NULL
    t.log = None
    t.epoch = 0
    if t.rare is not None:
        t.rare.targets = None
        t.rare.places = None
        t.rare.observers = None     # an observer may hold changes, which refer to this tracker
    if t.children and placed:       # else nothing below has a place yet
        bump()                      # its children are roots now
    if t.rare is not None and t.rare.home is not None:
        end_following(t)
