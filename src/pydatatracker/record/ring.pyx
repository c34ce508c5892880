# Owns: the ring, which holds the records of one tree in order, up to a limit; the oldest is overwritten first.
# May touch: native/ring.h. It knows nothing of containers, observers or the tree.
# Invariants (Log._check tests them):
#  - count <= capacity, and capacity <= limit if there is a limit;
#  - record number i (0 = oldest) is at (head - count + i) mod capacity;
#  - the ring wraps only once capacity == limit; before that, head == count;
#  - references of unused slots are None, so len(objects) == capacity * SLOTS;
#  - seq rises strictly from the oldest record to the newest.
# Overwriting drops references, which can run user code. The new record is complete before that happens.

cdef class Log:
    """The records of one tree."""

    def __cinit__(self, Py_ssize_t limit=DEFAULT_MAX_CHANGES, bint remember=False):
        self.limit = limit
        if remember and limit > 0:
            self.last = {}
            self.held = {}              # never None, so that every commit calls settle_oldest
        self.objects = []
        self.ref = PyWeakref_NewRef(self, NULL)

    def __dealloc__(self):
        PyMem_Free(self.stamps)

    @property
    def last_lost(self):
        """The seq of the newest change that it had, or should have, and has not. O(1)."""
        return max(self.last_dropped, self.last_missed)

    def _check(self):
        """Raise AssertionError if the ring's invariants do not hold. O(records)."""
        cdef Py_ssize_t i
        cdef uint64_t before = 0
        assert 0 <= self.count <= self.capacity, (self.count, self.capacity)
        assert self.limit == NO_LIMIT or self.capacity <= self.limit, (self.capacity, self.limit)
        assert len(self.objects) == self.capacity * SLOTS, (len(self.objects), self.capacity)
        assert 0 <= self.head <= self.capacity, (self.head, self.capacity)
        for i in range(self.count):
            stamp = &self.stamps[ring_index(self, i)]
            assert stamp.seq > before, (stamp.seq, before)
            before = stamp.seq
            assert isinstance(self.objects[ring_index(self, i) * SLOTS], Place)
        used = {ring_index(self, i) for i in range(self.count)}
        for i in range(self.capacity):
            if i not in used:
                assert self.objects[i * SLOTS:(i + 1) * SLOTS] == [None] * SLOTS, i


cdef inline Py_ssize_t ring_index(Log log, Py_ssize_t i):
    # slot of record number i, 0 = oldest
    cdef Py_ssize_t at = log.head - log.count + i
    return at + log.capacity if at < 0 else at


cdef bint grow(Log log) noexcept:
    """Make room for more records; False, and nothing is changed, if there is no memory."""
    # most objects have a change or two, and there are many of them
    cdef Py_ssize_t capacity = 2 if log.capacity == 0 else max(8, log.capacity * 2)
    cdef Stamp *stamps
    cdef int gc
    cdef int failed
    if log.limit != NO_LIMIT and capacity > log.limit:
        capacity = log.limit
    stamps = <Stamp *>PyMem_Realloc(log.stamps, capacity * sizeof(Stamp))
    if stamps == NULL:
        return False
    log.stamps = stamps
    gc = pdt_pause_gc()             # the change is made: no other may be recorded before it
    failed = pdt_append_none(log.objects, (capacity - log.capacity) * SLOTS)
    pdt_resume_gc(gc)
    if failed:
        return False
    log.capacity = capacity
    return True


cdef bint has_room(Log log) noexcept:
    """Make room for one more record; False if there is no memory."""
    return log.limit == 0 or log.count < log.capacity or log.capacity == log.limit or grow(log)


cdef inline Py_ssize_t push(PyObject *where, uint64_t seq, int64_t time_ns, int action, int method, int shape,
                            Py_ssize_t index, PyObject *place, PyObject *key, PyObject *old, PyObject *new,
                            PyObject *scope, PyObject *extra) noexcept:
    """Write one record and return its slot; -1, and nothing is changed, if there is no memory. O(1) amortized."""
    cdef PyObject *gone[SLOTS]
    cdef Stamp *stamp
    cdef Py_ssize_t i
    cdef int n
    if (<Log>where).count == (<Log>where).capacity:
        if (<Log>where).capacity != (<Log>where).limit:
            if not grow(<Log>where):
                return -1
            (<Log>where).count += 1
        else:
            (<Log>where).dropped += 1
            (<Log>where).last_dropped = (<Log>where).stamps[(<Log>where).head].seq
    else:
        (<Log>where).count += 1
    i = (<Log>where).head
    stamp = &(<Log>where).stamps[i]
    stamp.seq = seq
    stamp.time_ns = time_ns
    stamp.index = index
    stamp.action = action
    stamp.method = method
    stamp.shape = shape
    (<Log>where).head = i + 1
    if i + 1 == (<Log>where).capacity and (<Log>where).capacity == (<Log>where).limit:
        (<Log>where).head = 0
    n = pdt_put((<PyListObject *>(<Log>where).objects).ob_item + i * SLOTS, place, key, old, new, scope, extra, gone)
    while n:
        n -= 1
        if in_event and Py_REFCNT(gone[n]) == 1 and pdt_is_gc(<object>gone[n]):
            put_aside_record(gone[n])   # freeing it could run Python code
        else:
            Py_DECREF(<object>gone[n])
    return i


cdef void set_extra(Log log, Py_ssize_t i, uint64_t seq, object extra):
    # the slot may hold another record by now, because an allocation can run user code
    cdef PyObject **at
    cdef PyObject *gone
    if i < log.capacity and log.stamps[i].seq == seq:
        at = (<PyListObject *>log.objects).ob_item + i * SLOTS + 5
        gone = at[0]
        Py_INCREF(extra)
        at[0] = <PyObject *>extra
        Py_DECREF(<object>gone)


cdef void clear_log(Log log):
    """Drop all records and count them as dropped. O(records)."""
    cdef Py_ssize_t capacity = log.capacity
    if log.count:
        log.dropped += log.count
        log.last_dropped = log.stamps[ring_index(log, log.count - 1)].seq
    old = log.objects
    log.objects = []
    log.capacity = log.head = log.count = 0
    PyMem_Free(log.stamps)
    log.stamps = NULL
    del old                         # last, because dropping references can run user code
