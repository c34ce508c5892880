# Owns: trackers: what every tracked container carries, from its first use to its end.
# May touch: the global epoch and the counter of trackers.
# Invariants:
#  - a tracker belongs to one container and outlives it only inside records, where its owner is NULL;
#  - place, active and state are valid while the tracker's epoch equals the global one;
#  - `bump` is called when the options, flags or log of any container may have changed, `invalidate` when one container
#    has moved: that one, and those whose places were found from its own, are not valid any more. So a new link, or one
#    that goes, costs nothing elsewhere;
#  - the parents of a valid tracker are valid, and its links are in their `dependents`, but for back links.

cdef class Rare:
    """What few trackers need."""

    def __dealloc__(self):
        global strays
        if self.stranded:
            strays -= 1
        while self.unsure != NULL:
            unhook_way(self.unsure)


@cython.no_gc_clear             # what is below it writes to its log until its container says that it ends
cdef class Tracker:
    """What a tracked container carries."""

    def __init__(self):
        raise TypeError("a tracker is made by its container")

    def __dealloc__(self):
        cdef Link link = self.link
        while self.dependents != NULL:
            unhook(self.dependents)
        while self.ways != NULL:
            unhook_way(self.ways)
        while link is not None:
            unhook(<PyObject *>link)
            unhook_way(<PyObject *>link)
            link = link.next

    @property
    def uuid(self):
        """Id of the container, 32 hex digits. O(1)."""
        return uuid_text(self.number, True)

    @property
    def number(self):
        """Number of the container, of which its id is made. O(1)."""
        return self.number

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
        if not alive(self):
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
    pdt_can_pin(t.owner)
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
    return t.owner != NULL and pdt_pin(t.owner)


cdef inline void bump():
    global epoch
    epoch += 1


cdef void bump_below(Tracker t) noexcept:
    """Note that containers below t may have moved. O(containers whose place was found since the last time)."""
    cdef PyObject *work = <PyObject *>t
    cdef PyObject *link
    cdef PyObject *child
    global moves
    moves += 1
    while (<Tracker>work).dependents != NULL:       # no memory is taken, and no reference: a child may be ending
        link = (<Tracker>work).dependents
        unhook(link)
        child = (<Link>link).child
        (<Tracker>child).epoch = 0
        while child != work and (<Tracker>child).dependents != NULL:
            link = (<Tracker>child).dependents
            unhook(link)
            hook_to(work, link)


cdef inline void invalidate(Tracker t) noexcept:
    """Note that t and all below it may have moved. O(1) amortized: each place that was found is forgotten once."""
    t.epoch = 0
    bump_below(t)


cdef void detach(Tracker t):
    """Cut everything that the tracker of a dying container holds, so that no cycle is left."""
    t.owner = NULL
    t.place = None
    t.active = NULL
    t.log = None
    invalidate(t)                   # its children are roots now
    if t.ways != NULL:
        settle_ways(t)
    if t.rare is not None:
        t.rare.targets = None
        t.rare.places = None
        t.rare.observers = None     # an observer may hold changes, which refer to this tracker
    if t.rare is not None and t.rare.home is not None:
        end_following(t)
