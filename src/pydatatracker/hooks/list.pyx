# Owns: the hook of TrackedList: every mutator of list, and the two readers that a Python subclass would slow down.
# May touch: the list below the hook, links, `commit`.
# Invariants:
#  - behaves as list does, exceptions included;
#  - one item is a slot, a slice with a step is rows, sort and reverse are a permutation, and everything else is a splice
#    (start, removed, inserted);
#  - an argument that iterates is consumed before the list changes, so a splice is atomic (extend is a bulk call);
#  - while list.sort runs, nothing is recorded; the last of overlapping sorts records what they left.

cdef int insert_at(ListHook self, Tracker t, Py_ssize_t i, object value, int method) except -1:
    """Insert at i, which is in range, and record it."""
    cdef bint inside = i < PyList_GET_SIZE(self)
    PyList_Insert(self, i, value)
    if pdt_heap_type(value):
        link_child(t, value, None, i)
    if inside and t.children:
        bump_below(t)
    return commit(t, A_ADD, method, S_SLOT, i, missing, missing, value, 1)


cdef object remove_at(ListHook self, Tracker t, Py_ssize_t i, int method, object passed):
    """Remove item i, which is in range, and record it; passed: the index as the caller gave it, or missing."""
    cdef object value = <object>PyList_GET_ITEM(<PyObject *>self, i)
    PyList_SetSlice(self, i, i + 1, EMPTY)
    if t.children:
        unlink_child(t, value, None)
        bump_below(t)
    commit(t, A_REMOVE, method, S_SLOT, i, passed, value, missing, -1)
    return value


cdef object EMPTY = []


cdef list all_converted(Tracker t, object items):
    # no comprehension: where its list cannot grow, Cython 3.3 drops the item twice
    cdef list made = list(items)
    cdef Py_ssize_t i
    for i in range(PyList_GET_SIZE(made)):
        made[i] = convert_for(t, made[i])
    return made


cdef int splice(ListHook self, Tracker t, Py_ssize_t start, Py_ssize_t stop, object items, int method,
                bint own=False) except -1:
    """Do self[start:stop] = items as one record. own: nothing else refers to that list or tuple. O(items)."""
    cdef object removed
    cdef object inserted
    cdef Py_ssize_t size
    cdef Py_ssize_t i
    cdef int heap = 0
    cdef int gc
    cdef bint at_end = start > 0 and start == stop and start == PyList_GET_SIZE(self)
    if t.state & T_CONVERT:
        items = all_converted(t, items)
        own = True
    if own or PyTuple_CheckExact(items):
        inserted = items
        heap = pdt_any_heap_in(inserted)
    else:
        inserted = pdt_copy_items(items, PyList_GET_SIZE(items), &heap)
    gc = pdt_pause_gc()
    try:
        size = PyList_GET_SIZE(self)    # another thread may have changed the list until here
        if at_end:
            start = stop = size
        start = min(start, size)
        stop = min(stop, size)
        removed = PyList_GetSlice(self, start, stop) if stop > start else ()
        if stop <= start and not inserted:
            return 0
        if start >= size:
            list.extend(self, inserted)
        else:
            PyList_SetSlice(self, start, stop, inserted)
        if t.children:
            for item in removed:
                if pdt_heap_type(item):
                    unlink_child(t, item, None)
        if heap:
            for i, item in enumerate(inserted):
                if pdt_heap_type(item):
                    link_child(t, item, None, start + i)
        if t.children and start < size:
            bump_below(t)
    finally:
        pdt_resume_gc(gc)
    return commit(t, A_UPDATE if removed and inserted else (A_ADD if inserted else A_REMOVE), method, S_SPLICE, start,
                  missing, removed, inserted, len(inserted) - len(removed))


cdef int extend_from(ListHook self, object iterable, int method) except -1:
    cdef Py_ssize_t size
    cdef Tracker t
    cdef Pending pending
    if PyTuple_CheckExact(iterable) or PyList_CheckExact(iterable):
        size = PyList_GET_SIZE(self)
        return splice(self, enter(self, <PyObject *>self.tracker), size, size, iterable, method)
    t = enter(self, <PyObject *>self.tracker)
    pending = begin_bulk(t, method)
    try:
        list.extend(self, iterable)
    finally:
        end_bulk(t, pending)
    return 0


def _what_list_says():
    try:
        list.__setitem__([], slice(0, 0), 0)
    except TypeError as error:
        return str(error)


cdef str NOT_ITERABLE = _what_list_says()       # from 3.13 on, the message for extended slices


cdef object as_items(object value, bint extended):
    """Return value as a list or tuple, as slice assignment of list takes it, iterated once."""
    if PyList_CheckExact(value) or PyTuple_CheckExact(value):
        return value
    try:
        iterator = iter(value)
    except TypeError:
        raise TypeError("must assign iterable to extended slice" if extended else NOT_ITERABLE) from None
    return list(iterator) if not isinstance(value, (list, tuple)) else list(value)


cdef int assign_stepped(ListHook self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t step, object items, bint delete,
                        int method) except -1:
    """Do l[a:b:c] = items or del l[a:b:c] with a step other than 1; rows of (index, before, after). O(items)."""
    cdef Tracker t = enter(self, <PyObject *>self.tracker)
    cdef tuple rows
    cdef Py_ssize_t n, i, length
    cdef object index                   # an object, so that the two calls below do not each make one
    cdef object old
    cdef object new
    cdef int gc
    if not delete and t.state & T_CONVERT:
        items = all_converted(t, items)
    gc = pdt_pause_gc()             # nothing else may change the list until the record is written
    try:
        length = PySlice_AdjustIndices(PyList_GET_SIZE(self), &start, &stop, step)
        if not delete and len(items) != length:
            raise ValueError(f"attempt to assign sequence of size {len(items)} to extended slice of size {length}")
        if length == 0:
            return 0
        key = slice(start, stop if stop >= 0 else None, step)
        if delete and step < 0:
            start += (length - 1) * step
            step = -step
        rows = PyTuple_New(3 * length)
        for n in range(length):
            i = start + n * step
            index = i
            Py_INCREF(index)
            PyTuple_SET_ITEM(rows, 3 * n, index)
            old = <object>PyList_GET_ITEM(<PyObject *>self, i)
            Py_INCREF(old)
            PyTuple_SET_ITEM(rows, 3 * n + 1, old)
            new = missing if delete else items[n]
            Py_INCREF(new)
            PyTuple_SET_ITEM(rows, 3 * n + 2, new)
        pdt_list_ass_subscript(self, key, NULL if delete else <PyObject *>items)
        for n in range(length):
            if t.children:
                unlink_child(t, rows[3 * n + 1], None)
            if pdt_heap_type(rows[3 * n + 2]):
                link_child(t, rows[3 * n + 2], None, rows[3 * n])
        if t.children:
            bump_below(t)
    finally:
        pdt_resume_gc(gc)
    return commit(t, A_REMOVE if delete else A_UPDATE, method, S_ROWS, -1, missing, missing, rows,
                  -length if delete else 0)


cdef int reorder(ListHook self, Tracker t, tuple before, tuple after) except -1:
    """Record the order that sort left, unless it is the one of before. O(items)."""
    cdef Py_ssize_t i
    cdef Py_ssize_t size = PyList_GET_SIZE(self)
    cdef bint same = True
    for i in range(size):
        if PyList_GET_ITEM(<PyObject *>self, i) != <PyObject *>PyTuple_GET_ITEM(before, i):
            same = False
            break
    if same:
        return 0
    if t.children:
        bump_below(t)
    return commit(t, A_UPDATE, M_SORT, S_SORT, -1, missing, before, after, 0)


cdef int init_list(ListHook self, tuple args, dict kwargs) except -1:
    """Do __init__. O(items)."""
    cdef object options = None
    cdef Py_ssize_t i
    cdef Tracker t
    if kwargs:
        options, kwargs = split_options(kwargs)
        if kwargs and pdt_same_new(self, <PyTypeObject *>ListHook):
            raise TypeError("list() takes no keyword arguments")
    if self.birth.time_ns != 0:
        options_only_once(options)
        if len(args) > 1:
            list.__init__(self, *args)
        # as list does, before it iterates
        splice(self, enter(self, <PyObject *>self.tracker), 0, PyList_GET_SIZE(self), (), M_INIT)
        if args:
            extend_from(self, args[0], M_INIT)
        return 0
    pdt_init(&PyList_Type, self, args, NULL)
    begin_life(self, K_LIST, &self.birth)
    if has_options(self, options):
        t = converting(self, options)
        if t is not None:
            for i in range(PyList_GET_SIZE(self)):
                value = <object>PyList_GET_ITEM(<PyObject *>self, i)
                list.__setitem__(self, i, convert_for(t, value))
    for i in range(PyList_GET_SIZE(self)):
        if pdt_heap_type(<object>PyList_GET_ITEM(<PyObject *>self, i)):
            if tracker_of(<object>PyList_GET_ITEM(<PyObject *>self, i)) is not None or (
                    pdt_following and follows(<PyObject *>self.tracker)):
                t = tracker_of(self)
                link_child(t, <object>PyList_GET_ITEM(<PyObject *>self, i), None, i)
    if has_options(self, options):
        report_untracked_now(self)
    return 0


@cython.no_gc_clear
cdef class ListHook(list):
    """A list that records its mutations."""

    def __init__(self, *args, **kwargs):
        init_list(self, args, kwargs)

    def __dealloc__(self):
        if self.tracker is not None:
            detach(self.tracker)

    def __getitem__(self, key):
        return pdt_list_subscript(self, key)

    def __contains__(self, value):
        return pdt_list_contains(self, value)

    def append(self, value, /):
        """As list.append."""
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        cdef Py_ssize_t i
        if t.state & T_CONVERT:
            value = convert_for(t, value)
        i = PyList_GET_SIZE(self)
        PyList_Append(self, value)
        if pdt_heap_type(value):
            link_child(t, value, None, i)
        commit(t, A_ADD, M_APPEND, S_SLOT, i, missing, missing, value, 1)

    def insert(self, *args):
        """As list.insert; the index is recorded as it came out."""
        cdef Tracker t
        cdef Py_ssize_t i, n
        if len(args) != 2:
            list.insert(self, *args)
            return
        i = PyLong_AsSsize_t(PyNumber_Index(args[0]))
        t = enter(self, <PyObject *>self.tracker)
        value = convert_for(t, args[1])
        n = PyList_GET_SIZE(self)
        if i < 0:
            i += n
            if i < 0:
                i = 0
        elif i > n:
            i = n
        insert_at(self, t, i, value, M_INSERT)

    def extend(self, iterable, /):
        """As list.extend; one record, also of what came before an iterator failed."""
        enter(self, <PyObject *>self.tracker)
        extend_from(self, iterable, M_EXTEND)

    def __iadd__(self, other):
        enter(self, <PyObject *>self.tracker)
        extend_from(self, other, M_IADD)
        return self

    def __imul__(self, times):
        cdef Tracker t
        cdef Py_ssize_t n, size
        if not PyIndex_Check(times):
            return NotImplemented
        n = PyNumber_AsSsize_t(times, PyExc_OverflowError)
        t = enter(self, <PyObject *>self.tracker)
        size = PyList_GET_SIZE(self)
        if n <= 0:
            splice(self, t, 0, size, (), M_IMUL)
        elif n > 1 and size:
            if size > PY_SSIZE_T_MAX // n:
                raise MemoryError()
            splice(self, t, size, size, pdt_list_as_tuple(self) * (n - 1), M_IMUL)
        return self

    def pop(self, *args):
        """As list.pop."""
        cdef Tracker t
        cdef Py_ssize_t i
        cdef Py_ssize_t n
        if len(args) > 1:
            return list.pop(self, *args)
        i = PyLong_AsSsize_t(PyNumber_Index(args[0])) if args else -1
        t = enter(self, <PyObject *>self.tracker)
        n = PyList_GET_SIZE(self)
        if n == 0:
            raise IndexError("pop from empty list")
        if i < 0:
            i += n
        if i < 0 or i >= n:
            raise IndexError("pop index out of range")
        return remove_at(self, t, i, M_POP, PyNumber_Index(args[0]) if args and type(args[0]) is int else missing)

    def remove(self, value, /):
        """As list.remove."""
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        cdef Py_ssize_t i = 0
        while i < PyList_GET_SIZE(self):
            item = <object>PyList_GET_ITEM(<PyObject *>self, i)
            if PyObject_RichCompareBool(item, value, Py_EQ):
                if i < PyList_GET_SIZE(self):
                    remove_at(self, enter(self, <PyObject *>self.tracker), i, M_REMOVE, missing)
                return
            i += 1
        raise ValueError("list.remove(x): x not in list")

    def clear(self):
        """As list.clear; one record, or none if it is empty."""
        splice(self, enter(self, <PyObject *>self.tracker), 0, PyList_GET_SIZE(self), (), M_CLEAR)

    def reverse(self):
        """As list.reverse."""
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        cdef Py_ssize_t n = PyList_GET_SIZE(self)
        if n < 2:
            return
        list.reverse(self)
        if t.children:
            bump_below(t)
        commit(t, A_UPDATE, M_REVERSE, S_REVERSE, n, missing, missing, missing, 0)

    def sort(self, *args, **kwargs):
        """As list.sort; a sort that changes nothing records nothing."""
        cdef Tracker t = enter(self, <PyObject *>self.tracker)
        cdef Rare rare = rare_of(t)
        cdef int gc = pdt_pause_gc()
        try:
            if rare.sorts == 0:
                rare.quiet_before = t.state & T_QUIET
                rare.sort_before = pdt_list_as_tuple(self)
                rare.sort_net = t.net
                rare.sort_version = t.version
                rare.sort_mixed = False
            else:
                rare.sort_mixed = True
            sort_list.append(t)
            rare.sorts += 1
            rare.sorter = PyThread_get_thread_ident()
            t.state |= T_QUIET | T_SORTING      # list.sort discards what a key function does to the list
        finally:
            pdt_resume_gc(gc)
        try:
            list.sort(self, *args, **kwargs)
        except:                             # the bare except also covers exceptions of dropped references
            rare.sort_mixed = True
            raise
        finally:
            gc = pdt_pause_gc()
            try:
                sort_list.remove(t)
                end_of_sort(self, t, rare)
            finally:
                pdt_resume_gc(gc)

    def __setitem__(self, key, value):
        cdef Tracker t
        cdef Py_ssize_t i, start, stop, step, length
        if PyIndex_Check(key):
            i = PyNumber_AsSsize_t(key, PyExc_IndexError)
            t = enter(self, <PyObject *>self.tracker)
            value = convert_for(t, value)
            if i < 0:
                i += PyList_GET_SIZE(self)
            if i < 0 or i >= PyList_GET_SIZE(self):
                raise IndexError("list assignment index out of range")
            old = <object>PyList_GET_ITEM(<PyObject *>self, i)
            replace_at(self, i, value)
            if not (pdt_plain(value) and pdt_plain(old)):
                if t.children:
                    unlink_child(t, old, None)
                if pdt_heap_type(value):
                    link_child(t, value, None, i)
            commit(t, A_UPDATE, M_SETITEM, S_SLOT, i, missing, old, value, 0)
            return
        if not PySlice_Check(key):
            pdt_list_ass_subscript(self, key, <PyObject *>value)    # raises
            return
        PySlice_Unpack(key, &start, &stop, &step)
        items = as_items(value, step != 1) if value is not self else list(value)
        t = enter(self, <PyObject *>self.tracker)
        if step == 1:
            PySlice_AdjustIndices(PyList_GET_SIZE(self), &start, &stop, step)
            splice(self, t, start, max(start, stop), items, M_SETITEM)
        else:
            assign_stepped(self, start, stop, step, items, False, M_SETITEM)

    def __delitem__(self, key):
        cdef Tracker t
        cdef Py_ssize_t i, start, stop, step, length
        if PyIndex_Check(key):
            i = PyNumber_AsSsize_t(key, PyExc_IndexError)
            t = enter(self, <PyObject *>self.tracker)
            if i < 0:
                i += PyList_GET_SIZE(self)
            if i < 0 or i >= PyList_GET_SIZE(self):
                raise IndexError("list assignment index out of range")
            remove_at(self, t, i, M_DELITEM, missing)
            return
        if not PySlice_Check(key):
            pdt_list_ass_subscript(self, key, NULL)                 # raises
            return
        PySlice_Unpack(key, &start, &stop, &step)
        t = enter(self, <PyObject *>self.tracker)
        if step == 1:
            PySlice_AdjustIndices(PyList_GET_SIZE(self), &start, &stop, step)
            splice(self, t, start, max(start, stop), (), M_DELITEM)
        else:
            assign_stepped(self, start, stop, step, None, True, M_DELITEM)


cdef int end_of_sort(ListHook self, Tracker t, Rare rare) except -1:
    """Record what one sort, or several that overlapped, left: another order, or other items. O(items)."""
    cdef Py_ssize_t i
    cdef tuple before
    cdef tuple after
    cdef bint only_moved
    if t.children:
        bump_below(t)
    rare.sorts -= 1
    if rare.sorts > 0:                  # the last of them records
        return 0
    t.state &= ~T_SORTING
    if not rare.quiet_before:
        t.state &= ~T_QUIET
    t.net = rare.sort_net
    before = rare.sort_before
    rare.sort_before = None
    try:
        after = pdt_list_as_tuple(self)
        only_moved = not (rare.sort_mixed or t.version != rare.sort_version) or same_items(self, before)
    except MemoryError:
        if PyList_GET_SIZE(self) == len(before):
            for i in range(len(before)):
                replace_at(self, i, before[i])
        raise
    if only_moved:
        return reorder(self, t, before, after)
    for item in before:                 # links did not change during the sort
        if pdt_heap_type(item):
            unlink_child(t, item, None)
    for i in range(PyList_GET_SIZE(self)):
        if pdt_heap_type(<object>PyList_GET_ITEM(<PyObject *>self, i)):
            link_child(t, <object>PyList_GET_ITEM(<PyObject *>self, i), None, i)
    return splice_record(self, t, before, after)


cdef bint same_items(ListHook self, tuple before) except -1:
    """True if the list holds the objects of before, each as often, in any order. O(items)."""
    cdef Py_ssize_t i
    cdef dict counts = {}
    if PyList_GET_SIZE(self) != len(before):
        return False
    for item in before:
        counts[id(item)] = counts.get(id(item), 0) + 1
    for i in range(PyList_GET_SIZE(self)):
        held = id(<object>PyList_GET_ITEM(<PyObject *>self, i))
        n = counts.get(held, 0)
        if n == 0:
            return False
        counts[held] = n - 1
    return True


cdef inline void replace_at(ListHook self, Py_ssize_t i, object value):
    # the caller holds the old item, so nothing is freed here
    cdef PyObject **at = (<PyListObject *>self).ob_item + i
    cdef PyObject *gone = at[0]
    Py_INCREF(value)
    at[0] = <PyObject *>value
    Py_DECREF(<object>gone)


cdef int splice_record(ListHook self, Tracker t, tuple before, tuple after) except -1:
    # a sort that failed, or several that overlapped, left other items
    return commit(t, A_UPDATE, M_SORT, S_SPLICE, 0, missing, before, after,
                  PyList_GET_SIZE(self) - len(before))
