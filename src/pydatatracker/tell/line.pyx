# Owns: the compact line of a change, as bytes, for the common case: one place, scalars before and after.
# May touch: the fields of a Change, native/json.h. It reads thread name and process id.
# Invariants:
#  - a line has the same JSON as the Python encoder makes of the same change, without building a dict;
#  - whatever is not the common case returns None, and the Python encoder takes over;
#  - runs no user code, except the `name` of a subclass of Thread; nothing is written before the whole line is known.

cdef enum:
    LINE_DEPTH = 32                     # keys from the viewer to the change; deeper lines are left to Python

from threading import current_thread as _current_thread

cdef long line_pid = 0                  # 0: unknown, also after a fork
cdef unsigned long line_thread = 0      # id of the thread that line_thread_name belongs to
cdef str line_thread_name = None
cdef int64_t line_second = 0            # when the name was read


cdef str name_of_thread(int64_t time_ns):
    """Return the name of this thread, "" if it is ending, None if it is not a str. Cached for a second."""
    global line_thread, line_thread_name, line_second
    cdef unsigned long thread = PyThread_get_thread_ident()
    cdef int64_t second = time_ns // 1000000000
    if thread == line_thread and second == line_second and line_thread_name is not None:
        return line_thread_name
    try:
        name = _current_thread().name
    except Exception:                   # the thread is being taken down
        return ""
    if type(name) is not str:
        return None
    line_thread = thread
    line_second = second
    line_thread_name = name
    return name


cdef inline int put_uuid(pdt_out *out, uint64_t number, bint container) except -1:
    pdt_out_str(out, process_part(number, container), False)
    return pdt_out_hex(out, number | (<uint64_t>container << 63))


cdef bint is_common(Change change):
    """True if the line of the change has none of the rare fields."""
    cdef Scope scope = change.scope
    if change.place is None:            # it was read from a log
        return False
    if change.shape != S_SLOT or change.action_code > A_REMOVE or change.action_code == A_INIT:
        return False
    if change.place.tracker.state & T_REDACT or change.settled is not None or change.index == I_BESIDE:
        return False
    if change.details is not None and (
            change.details.places is not None or change.details.stack is not None or change.details.between is not None):
        return False
    return scope is None or not (scope.context or scope.transaction is not None or scope.undoes)


cdef bint put_place(pdt_out *out, Place place, Tracker viewer, object last) except -1:
    """Put pointer, path and location of a change; False if a key has no compact form."""
    cdef PyObject *keys[LINE_DEPTH]         # borrowed: the place holds them
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t i
    while place.parent is not None and place.tracker is not viewer:
        if depth == LINE_DEPTH - 1:
            return False
        keys[depth] = <PyObject *>place.key
        depth += 1
        place = place.parent
    pdt_out_literal(out, b',"pointer":"')
    for i in range(depth, -1, -1):
        key = last if i == 0 else <object>keys[i - 1]
        pdt_out_literal(out, b'/')
        if type(key) is int:
            if pdt_out_scalar(out, key) != 0:
                return False
        elif pdt_out_str(out, key, True) != 0:
            return False
    pdt_out_literal(out, b'","path":[')
    for i in range(depth, -1, -1):
        key = last if i == 0 else <object>keys[i - 1]
        if pdt_out_scalar(out, key) != 0:
            return False
        if i:
            pdt_out_literal(out, b',')
    pdt_out_literal(out, b'],"location":')
    return pdt_out_scalar(out, last) == 0


cdef bint put_line(pdt_out *out, Change change, Tracker viewer, str thread) except -1:
    """Put the line of a common change, without newline; False if a value has no compact form."""
    global line_pid
    cdef Place place = change.place
    cdef Scope scope = change.scope
    pdt_out_literal(out, b'{"v":1,"seq":')
    pdt_out_int(out, <int64_t>change.seq)
    pdt_out_literal(out, b',"uuid":"')
    put_uuid(out, change.seq, False)
    pdt_out_literal(out, b'","created_time":"')
    if pdt_out_time(out, change.time_ns) != 0:
        return False
    pdt_out_literal(out, b'","time_ns":')
    pdt_out_int(out, change.time_ns)
    pdt_out_literal(out, b',"action":')
    pdt_out_scalar(out, ACTIONS[change.action_code])
    pdt_out_literal(out, b',"method":')
    pdt_out_scalar(out, METHODS[change.method_code])
    pdt_out_literal(out, b',"type":')
    if pdt_out_scalar(out, class_name(place.tracker.cls)) != 0:
        return False
    if not put_place(out, place, viewer, change.key if change.index < 0 else change.index):
        return False
    if change.old is not missing:
        pdt_out_literal(out, b',"before":')
        if pdt_out_scalar(out, change.old) != 0:
            return False
    if change.new is not missing:
        pdt_out_literal(out, b',"after":')
        if pdt_out_scalar(out, change.new) != 0:
            return False
    if scope is not None and scope.actor:
        pdt_out_literal(out, b',"actor":')
        if pdt_out_scalar(out, scope.actor) != 0:
            return False
    pdt_out_literal(out, b',"root":"')
    put_uuid(out, viewer.number, True)
    pdt_out_literal(out, b'","tracked_item_uuid":"')
    put_uuid(out, place.tracker.number, True)
    pdt_out_literal(out, b'","pid":')
    if line_pid == 0:
        line_pid = _os.getpid()
    pdt_out_int(out, line_pid)
    pdt_out_literal(out, b',"thread":')
    if pdt_out_scalar(out, thread) != 0:
        return False
    pdt_out_literal(out, b'}')
    return True


cdef bytes line_of(Change change, Tracker viewer):
    """Return the compact line of a change as the viewer sees it, without newline; None if it is not a common one."""
    cdef pdt_out out
    cdef str thread
    if not is_common(change):
        return None
    thread = name_of_thread(change.time_ns)
    if thread is None:
        return None
    pdt_out_begin(&out)
    try:
        if not put_line(&out, change, viewer, thread):
            return None
        return (<char *>out.data)[:out.size]
    finally:
        pdt_out_end(&out)


def compact_line(Change change):
    """Return the compact line of a change as bytes, without newline; None if it is not a common one.

    O(path + values).
    """
    return line_of(change, change.viewer)
