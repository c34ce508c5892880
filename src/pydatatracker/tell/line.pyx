# Owns: line

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


def nests_deeper(data, Py_ssize_t levels):
    """Return whether JSON text, as str or bytes, nests more levels. O(length), 50 ns for 1 KB."""
    cdef bytes text
    if isinstance(data, bytes):
        text = data
    else:
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    return pdt_json_is_deeper(text, len(text), levels)


def one_nests_deeper(bytes lines not None, Py_ssize_t levels):
    """Return whether one of several lines of JSON nests more levels. O(length)."""
    return pdt_json_line_is_deeper(lines, len(lines), levels)


def compact_line(Change change):
    """The compact line of a change as bytes, without newline; None if it is none of the common ones.

    O(path + values).
    """
    return line_of(change, change.viewer)
