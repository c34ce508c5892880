# Owns: the queue of a delivery: the items in it, and the entrance for changes that need no waiting.
# May touch: the line of a change; the queue object, which the delivery's thread empties.
# Invariants:
#  - an item is encoded and appended under the GIL alone, without a lock;
#  - a change is taken completely or not at all; if it is not, the observer is called and does it the slow way;
#  - `open` is False while everything has to take the slow path: no thread yet, a gap to report, a spill file.

cdef class ChangeItem:
    """A change and its line as exporters deliver them; root and id are derived on demand."""

    @property
    def seq(self):
        return self.change.seq

    @property
    def time_ns(self):
        return self.change.time_ns

    @property
    def id(self):
        return self.change.uuid

    @property
    def root(self):
        return self.viewer.uuid

    def __repr__(self):
        return f"ChangeItem({self.line!r})"


cdef inline ChangeItem new_item(Change change, bytes line, Tracker viewer):
    cdef ChangeItem item = ChangeItem.__new__(ChangeItem)
    item.line = line
    item.change = change
    item.viewer = viewer
    return item


def item_for(Change change, bytes line):
    """Return the item of a change of this process and its line. O(1)."""
    return new_item(change, line, change.viewer)


def never_free(value):
    """Keep an object until the process ends, without its destructor. O(1).

    For a connection that a forked child must not close: it is the parent's, too.
    """
    Py_INCREF(value)


@cython.final
cdef class Intake(Feed):
    """The entrance to the queue of a delivery for changes that need no waiting."""

    def __init__(self, wake, Py_ssize_t max_items, Py_ssize_t max_bytes, Py_ssize_t batch_items,
                 Py_ssize_t batch_bytes):
        self.wake = wake
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.batch_items = batch_items
        self.batch_bytes = batch_bytes

    def reset(self, queue):
        """Start with another queue, closed."""
        self.queue = queue
        self.append = queue.append
        self.bytes = 0
        self.open = False
        self.sender = 0

    def add(self, item, bint counts=True):
        """Append an item that was encoded elsewhere."""
        self.append(item)
        self.bytes += len(item.line)
        self.accepted += counts

    def taken(self, Py_ssize_t size):
        """Note that so many bytes left the queue; a negative number: that they returned."""
        self.bytes -= size

    cdef bint accept(self, Change change, Tracker viewer) except -1:
        cdef bytes line
        if not self.open or self.encode is None or PyThread_get_thread_ident() == self.sender or TRACE in modules:
            return False
        if len(self.queue) >= self.max_items:
            return False                    # full: do not encode anything
        if several(change):
            change = seen_from(change, viewer)
        line = line_of(change, viewer, self.compact)
        return line is not None and self.take(change, line, viewer)

    cdef bint accept_encoded(self, Change change) except -1:
        if self.encode is None or not self.open or PyThread_get_thread_ident() == self.sender:
            return False
        if len(self.queue) >= self.max_items:
            return False                    # full: do not encode anything
        return self.take(change, self.encode(change), change.viewer)

    cdef bint take(self, Change change, bytes line, Tracker viewer) except -1:
        cdef ChangeItem item
        cdef Py_ssize_t n = len(self.queue)
        cdef Py_ssize_t size = len(line)
        cdef bint full
        if n >= self.max_items or self.bytes + size > self.max_bytes or not self.open:
            return False
        item = new_item(change, line, viewer)
        full = self.bytes < self.batch_bytes <= self.bytes + size
        self.append(item)
        self.bytes += size
        self.accepted += 1
        if n == 0 or n + 1 == self.batch_items or full:
            call = self.wake()
            if call is not None:
                call()
        return True
