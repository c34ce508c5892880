# Owns: summaries of values, bounded in time and size, for values that can change after they are recorded.
# May touch: the items of builtin and tracked containers.
# Invariants:
#  - runs no user code: neither __repr__ nor __iter__ nor __eq__, only a callable given as tracking_redact;
#  - a container inside is shown by its own rules; those in `known`, a mark_of(), were applied before;
#  - a summary has about SUMMARY_CHARS characters, whatever the value.
# All other text is built when somebody reads it.

cdef enum:
    SUMMARY_CHARS = 1000        # approximately; a longer summary ends in "..."
    SUMMARY_ITEMS = 100         # per container
    SUMMARY_DEPTH = 6


cdef class Words:
    """The summary of a value that the history does not keep (``tracking_keep_values=False``)."""

    def __init__(self, str text, str type):
        self.text = text
        self.type = type

    def __repr__(self):
        return self.text

    def __str__(self):
        return self.text

    def __eq__(self, other):
        return isinstance(other, Words) and (<Words>other).text == self.text and (<Words>other).type == self.type

    def __hash__(self):
        return hash((self.text, self.type))

    def __reduce__(self):
        return Words, (self.text, self.type)


cdef str class_name(object cls):
    """Return the name of a class. Whatever its metaclass defines, this runs none of its code."""
    return PyType_GetName(<PyTypeObject *>cls)


cdef int summarize(object value, list parts, Py_ssize_t *room, int depth, tuple known) except -1:
    cdef Py_ssize_t n = 0
    cdef str text
    cdef type cls = type(value)
    cdef Tracker t
    if room[0] <= 0:
        return 0
    if redacting and pdt_heap_type(value):
        t = tracker_of(value)
        if t is not None:
            value = shown_alone(t, value, known)
            cls = type(value)
    if value is None or cls is bool or cls is int or cls is float or cls is complex or value is missing:
        if cls is int and value.bit_length() > 10000:
            text = f"<int of {value.bit_length()} bits>"
        else:
            text = repr(value) if value is missing else pdt_repr(value)
    elif cls is str or cls is bytes or cls is bytearray:
        text = pdt_repr(value[:room[0]]) + "..." if len(value) > room[0] else pdt_repr(value)
    elif value is REDACTED:
        text = "REDACTED"
    elif isinstance(value, WatchedTracker):
        text = "<" + class_name((<WatchedTracker>value).cls) + ">"
    elif cls is list or isinstance(value, ListHook) or cls is redacted_list or pdt_is_deque(value):
        return summarize_items(value, "[", "]", parts, room, depth, known)
    elif cls is tuple:
        return summarize_items(value, "(", ",)" if len(<tuple>value) == 1 else ")", parts, room, depth, known)
    elif cls is dict or is_dict_hook(value) or cls is redacted_dict:
        return summarize_dict(value, parts, room, depth, known)
    elif cls is set or isinstance(value, SetHook):
        if set.__len__(value) == 0:
            text = "set()"
        else:
            return summarize_items(value, "{", "}", parts, room, depth, known)
    elif cls is frozenset:
        if len(<frozenset>value) == 0:
            text = "frozenset()"
        else:
            return summarize_items(value, "frozenset({", "})", parts, room, depth, known)
    elif isinstance(value, type):
        text = "<class " + class_name(value) + ">"
    elif cls is frozen_mapping:
        parts.append("frozendict(")
        summarize_dict({key: frozen_item(value, key) for key in frozen_keys(value)}, parts, room, depth, known)
        parts.append(")")
        return 0
    else:
        text = "<" + class_name(cls) + ">"
    parts.append(text)
    room[0] -= len(text)
    return 0


cdef object frozen_mapping = getattr(_builtins, "frozendict", ())       # of CPython 3.15 (PEP 814); no dict
cdef object frozen_keys = None if frozen_mapping == () else frozen_mapping.__iter__
cdef object frozen_item = None if frozen_mapping == () else frozen_mapping.__getitem__


cdef int summarize_items(object items, str opening, str closing, list parts, Py_ssize_t *room, int depth, tuple known) except -1:
    cdef Py_ssize_t n = 0
    parts.append(opening)
    if depth >= SUMMARY_DEPTH:
        parts.append("...")
    else:
        if PDT_FREE_THREADED and type(items) is set:
            items = set.copy(items)         # others may change it meanwhile
        if isinstance(items, list):
            iterator = list.__iter__(items)
        elif isinstance(items, set):
            iterator = set.__iter__(items)
        elif pdt_is_deque(items):
            iterator = deque_iter(items)
        else:
            iterator = iter(items)
        for item in iterator:
            if n:
                parts.append(", ")
            if n == SUMMARY_ITEMS or room[0] <= 0:
                parts.append("...")
                break
            summarize(item, parts, room, depth + 1, known)
            n += 1
            room[0] -= 2
    parts.append(closing)
    return 0


cdef int summarize_dict(object value, list parts, Py_ssize_t *room, int depth, tuple known) except -1:
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *item
    parts.append("{")
    if depth >= SUMMARY_DEPTH:
        parts.append("...")
    else:
        value = pdt_steady(value)
        while PyDict_Next(value, &position, &key, &item):
            k = <object>key
            v = <object>item
            if n:
                parts.append(", ")
            if n == SUMMARY_ITEMS or room[0] <= 0:
                parts.append("...")
                break
            summarize(k, parts, room, depth + 1, known)
            parts.append(": ")
            summarize(v, parts, room, depth + 1, known)
            n += 1
            room[0] -= 4
    parts.append("}")
    return 0


cdef str summary_of(object value, tuple known=None):
    cdef list parts
    cdef Py_ssize_t room = SUMMARY_CHARS
    if (type(value) is dict or is_dict_hook(value)) and PyDict_Size(value) == 0:     # as most are when they are stored
        return "{}"
    if (type(value) is list or isinstance(value, ListHook)) and PyList_GET_SIZE(value) == 0:
        return "[]"
    parts = []
    try:
        summarize(value, parts, &room, 0, known)
    except RuntimeError:            # another thread changed the value meanwhile
        parts.append("...")
    return "".join(parts)


def words_for(value):
    """Return a bounded summary of value without running a user's ``__repr__``."""
    return summary_of(value)


cdef object kept(object value, object rules):
    """Return what a record keeps of value with tracking_keep_values=False: a small scalar itself, else Words."""
    cdef type cls = type(value)
    cdef Words words
    if value is None or value is missing or value is REDACTED or cls is bool or cls is int or cls is float or \
            isinstance(value, Words):
        return value
    if (cls is str or cls is bytes) and len(value) <= 200:
        return value
    words = Words(summary_of(value, rules), class_name(cls))
    words.rules = rules
    return words


cdef tuple kept_all(object values, object rules):
    return tuple([kept(v, rules) for v in values])


cdef bint needs_summary(object value, int depth):
    """True if the value can change later, and its summary with it."""
    cdef Py_ssize_t i
    if pdt_plain(value) or value is missing:
        return False
    if PyTuple_CheckExact(value):
        if depth > 3:
            return True
        for i in range(min(PyTuple_GET_SIZE(value), 3 * SUMMARY_ITEMS)):
            if needs_summary(<object>PyTuple_GET_ITEM(value, i), depth + 1):
                return True
        return False
    return pdt_builtin_container(value) or isinstance(value, AttrHook) or pdt_is_deque(value)


cdef bint items_need_summary(object items):
    # looks at the items that the summary shows
    cdef Py_ssize_t n = 0
    for item in items:
        if needs_summary(item, 1):
            return True
        n += 1
        if n > SUMMARY_ITEMS:
            break
    return False


cdef Extra with_summaries(Extra extra, int shape, object old, object new, tuple known):
    """Return extra with summaries of the values that can change later; extra may be None, and may stay so."""
    cdef object old_text = None
    cdef object new_text = None
    if shape == S_SLOT:
        if needs_summary(old, 0):
            old_text = summary_of(old, known)
        if needs_summary(new, 0):
            new_text = summary_of(new, known)
    elif shape == S_SPLICE or shape == S_ELEMENTS:
        if items_need_summary(old):
            old_text = summary_of(list(old[:SUMMARY_ITEMS + 1]), known)
        if items_need_summary(new):
            new_text = summary_of(list(new[:SUMMARY_ITEMS + 1]), known)
    elif shape == S_FILL:
        if not pdt_dict_of_scalars(new):
            new_text = summary_of(new, known)
    elif shape == S_ROWS and needs_summary(new, 0):
        old_text = summary_of_rows(new, 1, known)
        new_text = summary_of_rows(new, 2, known)
    if old_text is None and new_text is None:
        return extra
    if extra is None:
        extra = Extra.__new__(Extra)
    extra.old_text = old_text
    extra.new_text = new_text
    return extra


cdef str summary_of_rows(tuple rows, int which, tuple known):
    cdef list parts = ["{"]
    cdef Py_ssize_t room = SUMMARY_CHARS
    cdef Py_ssize_t i
    cdef Py_ssize_t n = 0
    for i in range(0, len(rows) - 2, 3):
        if rows[i + which] is missing:
            continue
        if n:
            parts.append(", ")
        if n == SUMMARY_ITEMS or room <= 0:
            parts.append("...")
            break
        summarize(rows[i], parts, &room, 1, known)
        parts.append(": ")
        summarize(rows[i + which], parts, &room, 1, known)
        n += 1
        room -= 4
    parts.append("}")
    return "".join(parts)
