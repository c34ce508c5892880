# Owns: bulk

cdef class Pending:
    """A bulk call that is going on."""


cdef Pending begin_bulk(Tracker t, int method):
    cdef Rare rare = rare_of(t)
    cdef Pending p = Pending.__new__(Pending)
    if t.state & T_PENDING:
        flush_bulk(t)
    p.method = method
    p.scope = <object>pdt_scope()
    rare.bulk_calls += 1
    if t.kind == K_LIST:
        p.start = PyList_GET_SIZE(<object>t.owner)
    elif t.kind == K_DICT:
        p.rows = []
    else:
        p.out = []
        p.into = []
    rare.pending = p
    t.state |= T_PENDING
    return p


cdef int end_bulk(Tracker t, Pending p) except -1:
    cdef Rare rare = t.rare
    rare.bulk_calls -= 1
    try:
        flush_bulk(t)
    finally:
        if rare.bulk_calls == 0:
            t.state &= ~T_PENDING
            rare.pending = None
    return 0


cdef inline list take_over(Tracker t, Pending p):
    """p made a step: what another call's steps left waiting comes first. Returns whom to tell of that afterwards."""
    cdef list waiting = None
    if t.rare.pending is not p:
        if waits(t):
            waiting = flush_first(t)
        t.rare.pending = p
    return waiting


cdef int tell_later(list waiting) except -1:
    for t, change in waiting:
        notify(<Tracker>t, <Change>change)
    return 0


cdef int flush_bulk(Tracker t) except -1:
    """Record what waits. Runs no user code before the record stands."""
    global scope_instead
    cdef Pending p = t.rare.pending
    cdef tuple rows
    cdef tuple out
    cdef tuple into
    cdef list items
    cdef Py_ssize_t i, n, added
    cdef int gc
    if p is None or t.owner == NULL:
        return 0
    gc = pdt_pause_gc()
    if t.kind == K_LIST:
        if PyList_GET_SIZE(<object>t.owner) <= p.start:
            pdt_resume_gc(gc)
            return 0
        items = PyList_GetSlice(<object>t.owner, p.start, PyList_GET_SIZE(<object>t.owner))
        i = p.start
        p.start += len(items)
        if t.state & T_CONVERT:
            for n, item in enumerate(items):
                made = convert_for(t, item)
                if made is not item:
                    items[n] = made
                    list.__setitem__(<object>t.owner, i + n, made)
        if pdt_any_heap_in(items):
            for n, item in enumerate(items):
                if pdt_heap_type(item):
                    link_child(t, item, None, i + n)
        pdt_resume_gc(gc)
        scope_instead = p.scope
        return commit(t, A_ADD, p.method, S_SPLICE, i, missing, (), items, <int32_t>len(items))
    if t.kind == K_DICT:
        if not p.rows:
            pdt_resume_gc(gc)
            return 0
        rows = tuple(p.rows)
        p.rows = []
        added = 0
        for i in range(1, len(rows), 3):
            added += rows[i] is missing
        pdt_resume_gc(gc)
        scope_instead = p.scope
        return commit(t, A_ADD if 3 * added == len(rows) else A_UPDATE, p.method, S_ROWS, -1, missing, missing,
                      rows, 0)
    if not p.out and not p.into:
        pdt_resume_gc(gc)
        return 0
    out = tuple(p.out)
    into = tuple(p.into)
    p.out = []
    p.into = []
    pdt_resume_gc(gc)
    scope_instead = p.scope
    return commit(t, A_UPDATE if out and into else (A_ADD if into else A_REMOVE), p.method, S_ELEMENTS, -1, missing,
                  out, into, 0)


cdef bint waits(Tracker t):
    cdef Pending p = t.rare.pending
    return p is not None and (bool(p.rows) or bool(p.out) or bool(p.into))


cdef list flush_first(Tracker t):
    """Record what waits before the change that is being recorded; returns who is to be told of it afterwards."""
    global deferred
    cdef list told_later = []
    deferred = told_later
    try:
        flush_bulk(t)
    finally:
        deferred = None
    return told_later


cdef list deferred = None               # changes to be told later, while a record must not be held up by observers
cdef object scope_instead = missing     # scope for the record that is being written, if not the current one


cdef int enter_slowly(Tracker t) except -1:
    if t.state & T_LOCKED:
        refuse(t)
    if t.state & T_PENDING:
        flush_bulk(t)
    if t.state & T_GUARD and t.kind == K_DICT and not t.state & T_QUIET:
        rare_of(t).order = list(dict.keys(<object>t.owner))
    return 0
