# A change as a compact line of a log, for the common case: one place, a scalar before and after. Same JSON as
# lines.py makes of it, without the dict in between. Anything else is None, and lines.py does it.

cdef extern from "native/json.h":
    ctypedef struct pdt_out:
        char *data
        Py_ssize_t size
    void pdt_out_begin(pdt_out *)
    void pdt_out_end(pdt_out *)
    int pdt_out_put(pdt_out *, const char *, Py_ssize_t) except -1
    int pdt_out_str(pdt_out *, object, bint) except -1
    int pdt_out_int(pdt_out *, int64_t) except -1
    int pdt_out_hex(pdt_out *, uint64_t) except -1
    int pdt_out_scalar(pdt_out *, object) except -1
    int pdt_out_time(pdt_out *, int64_t) except -1

cdef enum:
    LINE_DEPTH = 32

cdef object current_thread = None       # threading.current_thread, when the first line is made
cdef long line_pid = 0                  # 0: ask
cdef unsigned long line_thread = 0      # whose name line_thread_name is, asked in line_second
cdef str line_thread_name = None
cdef int64_t line_second = 0


cdef str name_of_thread(int64_t time_ns):
    # kept for a second: a thread may be renamed
    global current_thread, line_thread, line_thread_name, line_second
    cdef unsigned long thread = PyThread_get_thread_ident()
    cdef int64_t second = time_ns // 1000000000
    if thread == line_thread and second == line_second and line_thread_name is not None:
        return line_thread_name
    if current_thread is None:
        import threading
        current_thread = threading.current_thread
    try:
        name = current_thread().name
    except Exception:                   # a thread that is being taken down
        return ""
    if type(name) is not str:
        return None
    line_thread = thread
    line_second = second
    line_thread_name = name
    return name


cdef int put_text(pdt_out *out, const char *name, Py_ssize_t size, object text) except -1:
    # ,"name":"text"
    pdt_out_put(out, name, size)
    if pdt_out_scalar(out, text) != 0:
        return 1
    return 0


cdef int put_uuid(pdt_out *out, uint64_t number, bint container) except -1:
    cdef Py_ssize_t i = len(process_ids) - 1
    while i > 0 and number <= <uint64_t>(<tuple>process_ids[i])[1 if container else 0]:
        i -= 1
    pdt_out_str(out, (<tuple>process_ids[i])[2], False)
    return pdt_out_hex(out, number | (<uint64_t>container << 63))


cdef int put_line(pdt_out *out, Change change, Tracker viewer, str thread) except -1:
    """Put the line without its newline; 1 if it is none of the common ones."""
    global line_pid
    cdef PyObject *keys[LINE_DEPTH]
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t i
    cdef Place place = change.place
    cdef Scope scope = change.scope
    cdef Tracker node = place.tracker
    cdef object last = change.key if change.index < 0 else change.index
    if change.shape != S_SLOT or change.action_code > A_REMOVE or change.action_code == A_INIT:
        return 1
    if node.state & T_REDACT or change.settled is not None:
        return 1
    if change.rare is not None and (change.rare.places is not None or change.rare.stack is not None):
        return 1
    if scope is not None and (scope.context or scope.transaction is not None or scope.undoes):
        return 1
    pdt_out_put(out, b'{"v":1,"seq":', 13)
    pdt_out_int(out, <int64_t>change.seq)
    pdt_out_put(out, b',"uuid":"', 9)
    put_uuid(out, change.seq, False)
    pdt_out_put(out, b'","created_time":"', 18)
    if pdt_out_time(out, change.time_ns) != 0:
        return 1
    pdt_out_put(out, b'","time_ns":', 12)
    pdt_out_int(out, change.time_ns)
    if put_text(out, b',"action":', 10, ACTIONS[change.action_code]) != 0:
        return 1
    if put_text(out, b',"method":', 10, METHODS[change.method_code]) != 0:
        return 1
    if put_text(out, b',"type":', 8, class_name(node.cls)) != 0:
        return 1
    # the keys from the container that was asked down to the place
    while place.parent is not None and place.tracker is not viewer:
        if depth == LINE_DEPTH - 1:
            return 1
        keys[depth] = <PyObject *>place.key     # the place holds it, and the change the place
        depth += 1
        place = place.parent
    pdt_out_put(out, b',"pointer":"', 12)
    for i in range(depth, -1, -1):
        key = last if i == 0 else <object>keys[i - 1]
        pdt_out_put(out, b'/', 1)
        if type(key) is int:
            if pdt_out_scalar(out, key) != 0:
                return 1
        elif pdt_out_str(out, key, True) != 0:
            return 1
    pdt_out_put(out, b'","path":[', 10)
    for i in range(depth, -1, -1):
        key = last if i == 0 else <object>keys[i - 1]
        if pdt_out_scalar(out, key) != 0:
            return 1
        if i:
            pdt_out_put(out, b',', 1)
    pdt_out_put(out, b'],"location":', 13)
    pdt_out_scalar(out, last)
    if change.old is not missing:
        pdt_out_put(out, b',"before":', 10)
        if pdt_out_scalar(out, change.old) != 0:
            return 1
    if change.new is not missing:
        pdt_out_put(out, b',"after":', 9)
        if pdt_out_scalar(out, change.new) != 0:
            return 1
    if scope is not None and scope.actor:
        if put_text(out, b',"actor":', 9, scope.actor) != 0:
            return 1
    pdt_out_put(out, b',"root":"', 9)
    while place.parent is not None:
        place = place.parent
    put_uuid(out, place.tracker.number, True)
    pdt_out_put(out, b'","tracked_item_uuid":"', 23)
    put_uuid(out, node.number, True)
    pdt_out_put(out, b'","pid":', 8)
    if line_pid == 0:
        line_pid = _os.getpid()
    pdt_out_int(out, line_pid)
    if thread:
        if put_text(out, b',"thread":', 10, thread) != 0:
            return 1
    else:
        pdt_out_put(out, b',"thread":""', 12)
    pdt_out_put(out, b'}', 1)
    return 0


cdef bytes line_of(Change change, Tracker viewer):
    cdef pdt_out out
    cdef str thread
    if change.place is None:            # it was read from a log
        return None
    thread = name_of_thread(change.time_ns)
    if thread is None:
        return None
    pdt_out_begin(&out)
    try:
        if put_line(&out, change, viewer, thread) != 0:
            return None
        return (<char *>out.data)[:out.size]
    finally:
        pdt_out_end(&out)


def compact_line(Change change):
    """The compact line of a change as bytes, without newline; None if it is none of the common ones.

    O(path + values).
    """
    return line_of(change, change.viewer)


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
