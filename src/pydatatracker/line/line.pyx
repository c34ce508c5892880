# Owns: the line of a change, as bytes, whole or compact.
# May touch: the fields of a Change, native/json.h. It reads thread name and process id.
# Invariants:
#  - a line has the same JSON as `change.mapping` and the Python encoder make of the same change, in the same order;
#  - what that encoder has to write makes the draft unfit: what tracking_redact may withhold, an earlier change that has
#    containers, snapshots, what would be cut. `line_of` then returns None;
#  - a draft is written outside of any lock, and nothing leaves it before the whole line is known.

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


cdef inline void begin_draft(Draft *d) noexcept:
    pdt_out_begin(&d.out)
    d.change = d.viewer = d.roots = NULL
    d.compact = d.silent = d.withholds = d.is_init = d.in_graph = d.unfit = d.refers = d.has_also = d.has_odd_keys = False
    d.ran_code = d.is_old = d.loose = False
    pdt_out_begin(&d.ids)
    d.count = d.level = 0
    d.spot = 0
    d.newest = True


cdef inline void end_draft(Draft *d) noexcept:
    pdt_out_end(&d.out)
    pdt_out_end(&d.ids)


cdef bint can_be_drafted(Change change, Tracker viewer, bint compact) except -1:
    """True unless the line surely needs the Python encoder."""
    if change.place is None or change.settled is not None:      # it was read from a log; its texts were kept
        return False
    if redacting and may_withhold(change):
        return False
    if change.place.tracker.cls is None:
        return False
    return compact or viewer.effective is None or viewer.effective.values[O_SNAPSHOTS] != 1


cdef int put_values(Draft *d, Change change) except -1:
    """Put before, after, splice, changes, order and position."""
    cdef Py_ssize_t n
    if change.place.tracker.kind == K_SET and has_objects(change):
        d.unfit = True
        return 0
    if change.shape == S_SLOT:
        if change.old is not missing:
            pdt_out_literal(&d.out, b',"before":')
            put_old(d, change.old)
        if change.new is not missing:
            pdt_out_literal(&d.out, b',"after":')
            put_value(d, change.new, 0)
    elif change.action_code == A_INIT:
        if change.new is not missing:
            if not isinstance(change.new, (dict, list, set, tuple)):
                d.unfit = True          # it is computed when it is read
            pdt_out_literal(&d.out, b',"after":')
            put_value(d, change.new, 0)
    elif change.shape == S_SPLICE:
        pdt_out_literal(&d.out, b',"splice":[')
        pdt_out_int(&d.out, change.index)
        put_items(d, change.old, True)
        put_items(d, change.new, False)
        pdt_out_literal(&d.out, b']')
    elif change.shape == S_ROWS or change.shape == S_FILL or change.shape == S_ELEMENTS:
        put_rows(d, change)
    elif change.shape != S_WHOLE:
        put_order(d, change)
    if change.index == I_BESIDE or (change.shape == S_ROWS and change.index < I_LAST):
        position = change.position
        if position is not None:
            pdt_out_literal(&d.out, b',"position":')
            put_json(d, list(position) if type(position) is tuple else position)
    return put_ids(d)


cdef bint has_objects(Change change) except -1:
    """True if an element that a set got or lost is an object that is followed."""
    if change.shape == S_SLOT:
        return tracker_of(change.key) is not None
    if change.shape == S_ELEMENTS:
        for element in (*change.old, *change.new):
            if tracker_of(element) is not None:
                return True
    return False


cdef int put_old(Draft *d, object value) except -1:
    """Put a value that was there before the change."""
    d.is_old = True
    put_value(d, value, 0)
    d.is_old = False
    return 0


cdef int put_items(Draft *d, object items, bint are_old) except -1:
    cdef bint first = True
    pdt_out_literal(&d.out, b',[')
    for item in items:
        if not first:
            pdt_out_literal(&d.out, b',')
        first = False
        if are_old:
            put_old(d, item)
        else:
            put_value(d, item, 0)
            d.spot += 1
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_rows(Draft *d, Change change) except -1:
    """Put the rows of a bulk call: key, before, after."""
    cdef bint first = True
    cdef Py_ssize_t n
    cdef tuple rows
    if not change.new and not change.old:
        return 0
    pdt_out_literal(&d.out, b',"changes":[')
    if change.shape == S_ROWS:
        rows = change.new
        for n in range(0, PyTuple_GET_SIZE(rows) - 2, 3):
            put_row(d, rows[n], rows[n + 1], rows[n + 2], n == 0)
    elif change.shape == S_FILL:
        for key, value in list((<dict>change.new).items()):
            put_row(d, key, missing, value, first)
            first = False
    else:
        for element in change.old:
            put_row(d, element, element, missing, first)
            first = False
        for element in change.new:
            put_row(d, element, missing, element, first)
            first = False
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_row(Draft *d, object key, object before, object after, bint first) except -1:
    pdt_out_literal(&d.out, b'[' if first else b',[')
    put_key(d, key)
    d.is_old = True
    put_side(d, before)
    d.is_old = False
    put_side(d, after)
    d.spot += 1
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_side(Draft *d, object value) except -1:
    if value is missing:
        pdt_out_literal(&d.out, b',{"$missing":true}')
        return 0
    pdt_out_literal(&d.out, b',')
    return put_value(d, value, 0)


cdef int put_order(Draft *d, Change change) except -1:
    cdef tuple order = tuple(change._order)
    cdef Py_ssize_t n
    if not order and d.compact:
        return 0
    pdt_out_literal(&d.out, b',"order":[')
    for n in range(len(order)):
        if n:
            pdt_out_literal(&d.out, b',')
        pdt_out_int(&d.out, order[n])
    pdt_out_literal(&d.out, b']')
    return 0


cdef int put_origin(Draft *d, Change change) except -1:
    """Put who did it, and why, and in which container."""
    cdef Scope scope = change.scope
    cdef Tracker viewer = <Tracker>d.viewer
    cdef str name
    if change.details is not None and change.details.between is not None:
        pdt_out_literal(&d.out, b',"between":')
        put_json(d, list(change.details.between))
    elif scope is not None and scope.actor:
        pdt_out_literal(&d.out, b',"actor":')
        put_text(d, scope.actor)
    elif not d.compact:
        pdt_out_literal(&d.out, b',"actor":""')
    if scope is not None and scope.context:
        put_context(d, dict(scope.context))
    elif not d.compact:
        pdt_out_literal(&d.out, b',"context":{}')
    if scope is not None and scope.transaction is not None:
        transaction = (<Transaction>scope.transaction)._id_at(change.seq)
        if transaction is not None:
            pdt_out_literal(&d.out, b',"transaction":')
            put_text(d, transaction)
    if scope is not None and scope.undoes and M_UNDO <= change.method_code <= M_ROLLBACK:
        pdt_out_literal(&d.out, b',"undoes":')
        pdt_out_int(&d.out, <int64_t>scope.undoes)
    pdt_out_literal(&d.out, b',"root":"')
    put_uuid(&d.out, viewer.number, True)
    pdt_out_literal(&d.out, b'"')
    name = None if viewer.rare is None else viewer.rare.name
    if name and (not d.compact or d.is_init):
        pdt_out_literal(&d.out, b',"name":')
        put_text(d, name)
    pdt_out_literal(&d.out, b',"tracked_item_uuid":"')
    put_uuid(&d.out, change.place.tracker.number, True)
    pdt_out_literal(&d.out, b'"')
    return put_stack(d, None if change.details is None else change.details.stack)


cdef int put_context(Draft *d, dict context) except -1:
    cdef bint first = True
    pdt_out_literal(&d.out, b',"context":{')
    for key, value in context.items():
        put_name(d, key, first)
        first = False
        if pdt_out_scalar(&d.out, value) != 0:
            put_encoded(d, value, False)
    pdt_out_literal(&d.out, b'}')
    return 0


cdef int put_line(Draft *d, Change change, str thread) except -1:
    """Put the line of a change, without newline."""
    global line_pid
    cdef object last = missing
    cdef str name
    if change.shape == S_SLOT:
        last = change.key if change.index < 0 else change.index
    elif change.shape == S_WHOLE:
        last = change.key
    pdt_out_literal(&d.out, b'{"v":1,"seq":')
    pdt_out_int(&d.out, <int64_t>change.seq)
    pdt_out_literal(&d.out, b',"uuid":"')
    if d.is_init:
        put_uuid(&d.out, change.place.tracker.number | <uint64_t>1 << 62, True)
    else:
        put_uuid(&d.out, change.seq, False)
    pdt_out_literal(&d.out, b'","created_time":"')
    if pdt_out_time(&d.out, change.time_ns) != 0:
        d.unfit = True
        return 0
    pdt_out_literal(&d.out, b'","time_ns":')
    pdt_out_int(&d.out, change.time_ns)
    pdt_out_literal(&d.out, b',"action":')
    put_text(d, ACTIONS[change.action_code])
    pdt_out_literal(&d.out, b',"method":')
    put_text(d, METHODS[change.method_code])
    name = class_name(change.place.tracker.cls)
    if name or not d.compact:
        pdt_out_literal(&d.out, b',"type":')
        put_text(d, name)
    put_place(d, change, last)
    put_values(d, change)
    if d.unfit:
        return 0
    put_origin(d, change)
    if not d.compact:
        put_tree(d, change.place)
        put_words(d, change, last)
    pdt_out_literal(&d.out, b',"pid":')
    if line_pid == 0:
        line_pid = _os.getpid()
    pdt_out_int(&d.out, line_pid)
    pdt_out_literal(&d.out, b',"thread":')
    put_text(d, thread)
    pdt_out_literal(&d.out, b'}')
    if d.has_also or d.refers:
        d.out.data[5] = c'2'            # after {"v":
    return 0


cdef bytes line_of(Change change, Tracker viewer, bint compact, bint withholds=False, set roots=None):
    """Return the line of a change as the viewer sees it, without newline; None if the Python encoder has to write it."""
    cdef Draft d
    begin_draft(&d)
    if roots is not None:
        d.roots = <PyObject *>roots
    try:
        return (<char *>d.out.data)[:d.out.size] if draft_line(&d, change, viewer, compact, withholds) else None
    finally:
        end_draft(&d)


cdef bint draft_line(Draft *d, Change change, Tracker viewer, bint compact, bint withholds) except -1:
    """Write the line of a change into a draft, without newline. False: the Python encoder has to write it."""
    cdef str thread
    if not can_be_drafted(change, viewer, compact):
        return False
    thread = name_of_thread(change.time_ns)
    if thread is None:
        return False
    d.change = <PyObject *>change
    d.viewer = <PyObject *>viewer
    d.compact = compact
    d.withholds = withholds
    d.silent = change.place.tracker.marks & X_WATCHED != 0
    d.is_init = change.action_code == A_INIT
    d.in_graph = is_graph(viewer)
    if change.others is not None:
        for other in <tuple>change.others:
            d.in_graph = d.in_graph or is_graph(<Tracker>other)
    if d.is_init and (d.in_graph or any_named):
        return False                    # it has the id of each container
    d.newest = d.is_init or change.seq == last_seq
    put_line(d, change, thread)
    if d.unfit or (d.ran_code and d.refers and change.seq != last_seq):
        return False
    return not (withholds and (d.has_odd_keys or pdt_may_name_secret(d.out.data, d.out.size)))


def change_line(Change change, bint compact=False, bint withholds=False, set roots=None):
    """Return the line of a change as bytes, without newline; None if it has to be encoded in Python.

    O(path + values). ``withholds``: None as well if the line has a word by which secrets go. ``roots``: numbers of what
    is or was a root of the log, whose ids it has.
    """
    return line_of(change, change.viewer, compact, withholds, roots)
