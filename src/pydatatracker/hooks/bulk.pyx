# Owns: bulk calls that run user code: an iterator, the keys of a mapping, the __eq__ of an element.
# May touch: the tracker's Pending; it records through `commit`.
# Invariants:
#  - the builtins change the container step by step while they iterate, and so do we: an iterator can look at the
#    container or change it, and so can other threads;
#  - a step that is made and not recorded waits in the tracker. Whoever changes the container next (every hook calls
#    `enter`) first records what waits, so the order of the log is the order of the changes;
#  - a bulk call that nothing interrupts is one record.

cdef class Pending:
    """A bulk call in progress."""


cdef Pending begin_bulk(Tracker t, int method):
    cdef Rare rare = rare_of(t)
    cdef Pending p = Pending.__new__(Pending)
    if t.state & T_PENDING:
        flush_bulk(t)
    p.method = method
    p.scope = <object>pdt_scope()
    p.thread = PyThread_get_thread_ident()
    p.tracker = t
    if t.kind == K_LIST:
        p.start = PyList_GET_SIZE(<object>t.owner)
    elif t.kind == K_DICT:
        p.rows = []
    else:
        p.out = []
        p.into = []
    bulk_list.append(p)
    rare.bulk_calls += 1
    rare.pending = p
    t.state |= T_PENDING
    return p


cdef int end_bulk(Tracker t, Pending p) except -1:
    cdef Rare rare = t.rare
    cdef Py_ssize_t i
    rare.bulk_calls -= 1
    for i in range(len(bulk_list) - 1, -1, -1):
        if bulk_list[i] is p:
            del bulk_list[i]
            break
    try:
        flush_bulk(t)
    except MemoryError:
        later_with(t)
        raise
    finally:
        if rare.bulk_calls == 0 and not (alive(t) and steps_wait(t)):
            t.state &= ~T_PENDING
            rare.pending = None
    return 0


cdef int flush_kept(Tracker t) except -1:
    """Record steps that a bulk call left because there was no memory."""
    flush_bulk(t)
    if t.rare.bulk_calls == 0:
        t.state &= ~T_PENDING
        t.rare.pending = None
    return 0


cdef bint steps_wait(Tracker t):
    return waits(t) or (t.kind == K_LIST and t.rare.pending is not None and
                        t.rare.pending.start < PyList_GET_SIZE(<object>t.owner))


cdef inline list take_over(Tracker t, Pending p):
    """Before a step of p is kept, record steps of another call; return what to notify of afterwards, or None."""
    cdef list waiting = None
    if t.rare.pending is not p:
        if waits(t):
            waiting = flush_first(t)
        t.rare.pending = p
    return waiting


cdef int notify_later(list waiting) except -1:
    cdef object first = None
    for t, change in waiting:
        try:
            notify(<Tracker>t, <Change>change)
        except BaseException as error:      # raised once all were reported
            if first is None:
                first = error
    if first is not None:
        raise first
    return 0


cdef int flush_bulk(Tracker t) except -1:
    """Record the steps that wait, without running user code before the record is written. O(steps)."""
    cdef Pending p = t.rare.pending
    if p is None or t.owner == NULL:
        return 0
    if t.kind == K_LIST:
        return flush_items(t, p)
    if t.kind == K_DICT:
        return flush_rows(t, p)
    if t.kind == K_DEQUE:
        return flush_ends(t, p)
    return flush_elements(t, p)


ctypedef int (*item_converter)(Tracker, Py_ssize_t, list, Py_ssize_t *) noexcept


cdef int flush_items(Tracker t, Pending p) except -1:
    # list.extend appends by itself: what is behind p.start is not recorded yet
    global scope_instead
    cdef list items
    cdef Py_ssize_t n
    cdef Py_ssize_t start = p.start
    cdef bint failed = False
    cdef PyObject *kind
    cdef PyObject *error
    cdef PyObject *traceback
    cdef int gc
    if PyList_GET_SIZE(<object>t.owner) <= start:
        return 0
    gc = pdt_pause_gc()
    try:
        items = PyList_GetSlice(<object>t.owner, start, PyList_GET_SIZE(<object>t.owner))
        if t.state & T_CONVERT:
            if (<item_converter>convert_items)(t, start, items, &n) < 0:
                failed = True
                PyErr_Fetch(&kind, &error, &traceback)
                # as if the iterator had failed at this item
                PyList_SetSlice(<object>t.owner, start + n, start + PyList_GET_SIZE(items), EMPTY)
                PyList_SetSlice(items, n, PyList_GET_SIZE(items), EMPTY)
        if pdt_any_heap_in(items):
            for n, item in enumerate(items):
                if pdt_heap_type(item):
                    link_child(t, item, None, start + n)
        p.start = PyList_GET_SIZE(<object>t.owner)
    finally:
        pdt_resume_gc(gc)
    if items:
        scope_instead = p.scope
        commit(t, A_ADD, p.method, S_SPLICE, start, missing, (), items, <int32_t>len(items))
    if failed:
        PyErr_Restore(kind, error, traceback)
        return -1
    return 0


cdef int convert_items(Tracker t, Py_ssize_t start, list items, Py_ssize_t *n) except -1:
    """Convert items, which are in the list from start on; n: how many were converted if one cannot be. O(items)."""
    n[0] = 0
    while n[0] < PyList_GET_SIZE(items):
        item = items[n[0]]
        made = convert_for(t, item)
        if made is not item:
            items[n[0]] = made
            list.__setitem__(<object>t.owner, start + n[0], made)
        n[0] += 1
    return 0


cdef int flush_rows(Tracker t, Pending p) except -1:
    global scope_instead
    cdef tuple rows
    cdef Py_ssize_t i
    cdef Py_ssize_t added = 0
    cdef int gc
    if not p.rows:
        return 0
    gc = pdt_pause_gc()
    try:
        rows = tuple(p.rows)
        p.rows = []
        for i in range(1, len(rows), 3):
            added += rows[i] is missing
    finally:
        pdt_resume_gc(gc)
    scope_instead = p.scope
    return commit(t, A_ADD if 3 * added == len(rows) else A_UPDATE, p.method, S_ROWS, -1, missing, missing, rows, 0)


cdef int flush_elements(Tracker t, Pending p) except -1:
    global scope_instead
    cdef tuple out
    cdef tuple into
    cdef int gc
    if not p.out and not p.into:
        return 0
    gc = pdt_pause_gc()
    try:
        out = tuple(p.out)
        into = tuple(p.into)
        left = []
        p.into = []
        p.out = left
    finally:
        pdt_resume_gc(gc)
    scope_instead = p.scope
    return commit(t, A_UPDATE if out and into else (A_ADD if into else A_REMOVE), p.method, S_ELEMENTS, -1, missing,
                  out, into, 0)


cdef bint waits(Tracker t):
    cdef Pending p = t.rare.pending
    return p is not None and (bool(p.rows) or bool(p.out) or bool(p.into))


cdef list flush_first(Tracker t):
    """Record the steps that wait before the change in progress; return what to notify of afterwards."""
    global deferred, deferred_by
    cdef list later = []
    deferred = later
    deferred_by = PyThread_get_thread_ident()
    try:
        flush_bulk(t)
    finally:
        deferred = None
    return later


cdef list deferred = None               # collects notifications while no observer may run
cdef unsigned long deferred_by = 0      # the thread that collects them
cdef object scope_instead = missing     # scope of the record being written, if it is not the current one
cdef list bulk_list = []                # of Pending: the bulk calls in progress
cdef list sort_list = []                # of Tracker: the calls of list.sort in progress; see Rare.sorter


cdef int forget_threads(unsigned long thread) except -1:
    """After a fork, end what threads began that do not exist here: all but this one."""
    global deferred, scope_instead, settle_is_due
    cdef Pending p
    cdef Tracker t
    pdt_forked_gc()
    settle_is_due = False       # the pending call may have been the parent's
    forget_notifiers(thread)
    if deferred is not None and deferred_by != thread:
        deferred = None
    scope_instead = missing     # set and used without a switch of threads, but for user code of another thread
    forget_transactions(thread)
    for p in bulk_list:
        if p.thread != thread:
            p.tracker.rare.bulk_calls -= 1      # `enter_slowly` records the steps that wait and ends it
    bulk_list[:] = [p for p in bulk_list if p.thread == thread]
    for t in [t for t in sort_list if t.rare.sorter != thread]:
        forget_sort(t)
    sort_list[:] = [t for t in sort_list if t.rare.sorter == thread]
    return 0


cdef int forget_sort(Tracker t) except -1:
    """Record, without guards and observers, that a sort of another thread lost the items in this child. O(items)."""
    global deferred
    cdef Rare rare = t.rare
    if rare.sorts == 0 or not alive(t):
        return 0
    refresh(t)
    rare.sorts = 1
    rare.sort_mixed = True
    t.state &= ~T_GUARD
    before = deferred
    deferred = []
    try:
        end_of_sort(<ListHook>t.owner, t, rare)
    finally:
        deferred = before
        bump()
    return 0


