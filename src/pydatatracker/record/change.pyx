# Owns: Change, a record taken out of the ring, with what is read most often of it.
# May touch: the ring (to read), places (to say from where a change is seen).
# Invariant: a Change never changes, apart from `audience` (notifications) and `settled` (answers kept when it is dropped).

cdef class Extra:
    """What only some records have: stack, summaries, further places."""

    def __repr__(self):
        return f"Extra(old_text={self.old_text!r}, new_text={self.new_text!r}, places={self.places!r})"


cdef Extra at_places(Extra extra, tuple further):
    """Return extra with these further places instead of its own; None if nothing is left."""
    cdef Extra both
    if not further and (extra is None or extra.places is None):
        return extra
    both = Extra.__new__(Extra) if extra is None else copy_of(extra)
    both.places = further or None
    return both


cdef Extra copy_of(Extra extra):
    cdef Extra copied = Extra.__new__(Extra)
    copied.places = extra.places
    copied.left_out = extra.left_out
    copied.beside = extra.beside
    copied.between = extra.between
    copied.stack = extra.stack
    copied.old_text = extra.old_text
    copied.new_text = extra.new_text
    copied.rules = extra.rules
    return copied


cdef class Change:
    """One record, taken out of the ring. The fields are as recorded; record/codes.pyx describes the shapes."""

    @property
    def uuid(self):
        """Id of this change: 32 hex digits, the same from wherever it is seen. O(1)."""
        if self.action_code == A_INIT:
            return uuid_text(self.place.tracker.number | <uint64_t>1 << 62, True)
        return uuid_text(self.seq, False)

    @property
    def action(self):
        """`init`, `add`, `update`, `remove`, `lock` or `unlock`."""
        return ACTIONS[self.action_code]

    @property
    def method(self):
        """Name of the method that made it."""
        return METHODS[self.method_code]

    @property
    def path(self):
        """Keys and indices from the container that was queried."""
        cdef list found
        cdef tuple base = ()
        if not redacting and not several(self):
            base = path_of(self.place, self.viewer)
        else:
            found = shown_bases(self)
            if found:
                base = <tuple>found[0]
        return base + step_of(self) if base else step_of(self)

    @property
    def _step(self):
        return step_of(self)

    @property
    def location(self):
        """The key, index or attribute that changed.

        None for a change of the whole container.
        """
        if self.shape == S_SLOT:
            return self._shown_key if self.index < 0 else self.index
        return self.key if self.shape == S_WHOLE and self.key is not missing else None

    @property
    def before(self):
        """The value before, MISSING if there was none."""
        if self.shape != S_SLOT:
            return missing
        return as_it_was((<Change>as_shown(self)).old if redacting else self.old, self.seq - 1)

    @property
    def after(self):
        """The value after, MISSING if there is none."""
        if self.action_code == A_INIT:
            return first_state(self.new)
        if self.shape != S_SLOT:
            return missing
        return as_it_was((<Change>as_shown(self)).new if redacting else self.new, self.seq)

    @property
    def actor(self):
        """Name given to `tracking_actor`, "" if there was none."""
        return "" if self.scope is None else self.scope.actor

    @property
    def _node(self):
        return self.place.tracker

    @property
    def _shape(self):
        return SHAPES[self.shape]

    @property
    def _withholds(self):
        return redacting and self.place is not None

    def _withheld(self, key, value, nodes=None):
        """Return the value at ``key`` without what tracking_redact names there or below."""
        if not redacting or self.place is None:
            return value
        return without_secrets(rules_of_record(self), (key,), value, new_look(nodes, True, self.place.tracker))

    @property
    def _shown_key(self):
        if id(type(self.key)) in scalar_ids or self.key is missing or not may_withhold(self):
            return self.key
        return (<Change>as_shown(self)).key

    @property
    def _bases(self):
        return shown_bases(self)

    @property
    def _also(self):
        """(tracker, path) of the container that changed, below each of the others that its line is about."""
        return () if self.others is None else also_of(self)

    @property
    def _left_out(self):
        return 0 if self.details is None else self.details.left_out

    @property
    def _inner(self):
        """The trackers at and above the container that changed, without those of roots, each once. O(places x depth)."""
        return inner_of(self)

    @property
    def _beside(self):
        """Where a dict's key was or came: None at the end, () first, (key,) behind key, (key, None) before key, or an int.

        For rows, None or a tuple with one of these for each row: an int for a key that came (its position when the
        row is applied), for keys that are gone what stands for the order before all rows.
        """
        if self.index >= I_LAST or self.place is None:
            return None
        if self.index == I_FIRST:
            return ()
        if self.details is None:
            return None
        if self.index == I_AFTER:
            return (read_value(self.details.beside),)
        if self.index == I_BEFORE:
            return (read_value(self.details.beside), None)
        return self.details.beside

    @property
    def _order(self):
        if self.shape == S_SORT:
            return order_of(self.old, self.new)
        if self.shape == S_ORDER:
            return self.new
        if self.shape == S_ROTATE:
            return (*range(self.index - self.new, self.index), *range(self.index - self.new))
        return tuple(range(self.index - 1, -1, -1))

    def _seen_from(self, Tracker viewer):
        return seen_from(self, viewer)


cdef tuple step_of(Change c):
    """Return the last step of the path of a change, or () for one of the whole container."""
    if c.shape == S_SLOT:
        return (c._shown_key if c.index < 0 else c.index,)
    if c.shape == S_WHOLE and c.key is not missing:
        return (c.key,)
    return ()


cdef inline object as_it_was(object value, uint64_t seq):
    """Return a value of a record; of a watched object that is gone, its state then. O(1), or what `state_at` costs."""
    return value_at(value, seq) if type(value) is WatchedTracker else value


cdef PyObject *spare_change = NULL      # owned: a change that nobody kept, emptied; the next one is made of it


cdef inline Change new_change():
    global spare_change
    if spare_change == NULL:
        return <Change>pdt_new(entry_class)
    change = <Change>spare_change
    spare_change = NULL
    Py_DECREF(change)
    PyObject_GC_Track(change)
    return change


cdef void give_back(PyObject *change) noexcept:
    """Drop a reference to a change. One that nobody else has becomes the spare, which is quicker than to free it. O(1)."""
    global spare_change
    cdef Change c
    if spare_change != NULL or not pdt_is_unshared(change, <PyObject *>entry_class):
        Py_DECREF(<object>change)
        return
    c = <Change>change
    PyObject_GC_UnTrack(c)              # nobody finds it, whatever runs while it lets go of what it refers to
    c.place = None
    c.key = c.old = c.new = None
    c.scope = None
    c.details = None
    c.viewer = None
    c.others = None
    c.settled = None
    c.audience = W_ALL
    if spare_change != NULL:
        Py_DECREF(c)
        return
    spare_change = change


cdef Change make_change(uint64_t seq, int64_t time_ns, Py_ssize_t index, int action, int method, int shape,
                        Place place, object key, object old, object new, object scope, object extra, Tracker viewer):
    cdef Change c = new_change()
    c.seq = seq
    c.time_ns = time_ns
    c.index = index
    c.action_code = action
    c.method_code = method
    c.shape = shape
    c.place = place
    c.key = key
    c.old = old
    c.new = new
    c.scope = scope
    c.details = extra
    c.viewer = viewer
    return c


cdef Change seen_from(Change c, Tracker viewer):
    """Return the change as another container sees it. If it happened in several trees: in the viewer's tree."""
    cdef Place place = c.place
    cdef Extra extra = c.details
    if extra is not None and extra.places is not None:
        top = root_of(place) if runs_through(place, viewer) else None
        inside = []
        for each in (place, *<tuple>extra.places):
            if runs_through(<Place>each, viewer) and (top is None or root_of(<Place>each) is top):
                top = root_of(<Place>each)
                inside.append(each)
        if inside:
            place = <Place>inside[0]
            extra = at_places(extra, tuple(inside[1:]))
    return make_change(c.seq, c.time_ns, c.index, c.action_code, c.method_code, c.shape, place, c.key, c.old,
                       c.new, c.scope, extra, viewer)


cdef Change seen_from_all(Change c, list viewers):
    """Return the change as several containers see it together: the first one as usual, the others in `also`."""
    cdef Tracker first = viewers[0]
    cdef list inside = []
    cdef list outside = []
    cdef Change seen
    for each in recorded_places(c):
        if runs_through(<Place>each, first):
            inside.append(each)
        else:
            outside.append(each)
    seen = make_change(c.seq, c.time_ns, c.index, c.action_code, c.method_code, c.shape, <Place>inside[0], c.key, c.old,
                       c.new, c.scope, at_places(c.details, tuple(inside[1:] + outside)), first)
    seen.others = tuple(viewers[1:]) or None
    return seen


cdef tuple also_of(Change c):
    """Return (tracker, path) of the container that changed for each of c.others above it. O(places x depth)."""
    cdef set wanted = {(<Tracker>each).number for each in c.others}
    cdef set met = set()
    cdef list found = []
    cdef list keys
    cdef Place step
    for place in recorded_places(c):
        step = place
        keys = []
        while step is not None:
            if step.tracker.number in wanted:
                base = tuple(reversed(keys))
                if not all_quiet(base) or (step.tracker.number, base) not in met:
                    if all_quiet(base):
                        met.add((step.tracker.number, base))
                    found.append((step.tracker, base))
            keys.append(shown_key(step))
            step = step.parent
    return tuple(found)


cdef tuple inner_of(Change c):
    cdef dict met = {}
    cdef Place step
    for place in recorded_places(c):
        step = place
        while step.parent is not None and step.tracker.number not in met:
            met[step.tracker.number] = step.tracker
            step = step.parent
    return tuple(met.values())


cdef Change change_at(Log log, Py_ssize_t i, Tracker viewer):
    """Return record number i (0 = oldest) as a change."""
    cdef Py_ssize_t at = ring_index(log, i)
    cdef Stamp *stamp = &log.stamps[at]
    cdef Py_ssize_t b = at * SLOTS
    cdef object key = log.objects[b + 1]
    cdef object old = log.objects[b + 2]
    cdef object new = log.objects[b + 3]
    if (<Place>log.objects[b]).tracker.marks & X_WATCHED:
        key, old, new = read_value(key), read_values(stamp.shape, old), read_values(stamp.shape, new)
    return make_change(stamp.seq, stamp.time_ns, stamp.index, stamp.action, stamp.method, stamp.shape,
                       log.objects[b], key, old, new, log.objects[b + 4], log.objects[b + 5], viewer)


cdef Change seen_at(Log log, Py_ssize_t i, Tracker viewer):
    """Return record number i as the viewer sees it: of several trees that it happened in, in the viewer's."""
    cdef Change change = change_at(log, i, viewer)
    return seen_from(change, viewer) if several(change) else change


cdef tuple order_of(tuple before, tuple after):
    """Return the old position of each new position, by identity; an object that occurs twice keeps its order. O(n)."""
    cdef dict places = {}
    cdef Py_ssize_t i
    for i in range(len(before)):
        places.setdefault(id(before[i]), []).append(i)
    for queue in places.values():
        (<list>queue).reverse()
    return tuple([(<list>places[id(item)]).pop() for item in after])
