# Owns: intake

cdef class ChangeItem:
    """A change with its line, as exporters deliver it: an Item that works out root and id when they are asked for."""

    cdef readonly bytes line
    cdef Change change

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
        return root_of(self.change.place).uuid

    def __repr__(self):
        return f"ChangeItem({self.line!r})"


def item_for(Change change, bytes line):
    """The item of a change of this process and its line; root and id are worked out when asked for. O(1)."""
    cdef ChangeItem item = ChangeItem.__new__(ChangeItem)
    item.line = line
    item.change = change
    return item


@cython.final
cdef class Intake:
    """The way into the queue of a delivery for what needs no waiting: encode, append, no lock but the GIL.

    ``open`` is False while everything has to go the slow way: no thread yet, a gap to be told, a spill file.
    """

    def __init__(self, wake, Py_ssize_t max_items, Py_ssize_t max_bytes, Py_ssize_t batch_items,
                 Py_ssize_t batch_bytes):
        self.wake = wake
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.batch_items = batch_items
        self.batch_bytes = batch_bytes

    def reset(self, queue):
        """Begin with another queue."""
        self.queue = queue
        self.append = queue.append
        self.bytes = 0
        self.open = False
        self.sender = 0

    def add(self, item, bint counts=True):
        """Append an item that was made elsewhere."""
        self.append(item)
        self.bytes += len(item.line)
        self.accepted += counts

    def taken(self, Py_ssize_t size):
        """Note that so many bytes left the queue; negative: came back."""
        self.bytes -= size

    cdef bint accept(self, Change change, Tracker viewer) except -1:
        """Take a change if that is simple; False: the observer has to be called."""
        cdef bytes line
        if not (self.compact and self.open) or PyThread_get_thread_ident() == self.sender or TRACE in modules:
            return False
        line = line_of(change, viewer)
        return line is not None and self.take(change, line)

    cdef bint accept_encoded(self, Change change) except -1:
        """Take a change that needs the encoder; False: the observer has to be called. Raises what the encoder raises."""
        if self.encode is None or not self.open or PyThread_get_thread_ident() == self.sender:
            return False
        if len(self.queue) >= self.max_items:
            return False                    # full: before anything is encoded
        return self.take(change, self.encode(change))

    cdef bint take(self, Change change, bytes line) except -1:
        cdef ChangeItem item
        cdef Py_ssize_t n = len(self.queue)
        cdef Py_ssize_t size = len(line)
        cdef bint full
        if n >= self.max_items or self.bytes + size > self.max_bytes or not self.open:
            return False
        item = ChangeItem.__new__(ChangeItem)
        item.line = line
        item.change = change
        full = self.bytes < self.batch_bytes <= self.bytes + size
        self.append(item)
        self.bytes += size
        self.accepted += 1
        if n == 0 or n + 1 == self.batch_items or full:
            call = self.wake()
            if call is not None:
                call()
        return True


cdef dict modules = _sys.modules
cdef str TRACE = "opentelemetry.trace"      # its current span belongs into the line: the slow way knows how
