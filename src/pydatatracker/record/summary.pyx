# Owns: summaries of values, bounded in time and size, for values that can change after they are recorded.
# May touch: the items of builtin and tracked containers.
# Invariants:
#  - runs no user code: neither __repr__ nor __iter__ nor __eq__;
#  - a summary has about WORDS_CHARS characters, whatever the value.
# All other text is built when somebody reads it.

cdef enum:
    WORDS_CHARS = 1000          # about; what is longer ends in "..."
    WORDS_ITEMS = 100           # of one container
    WORDS_DEPTH = 6


cdef class Words:
    """The words for a value that the history does not keep alive (``tracking_keep_values=False``)."""

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


cdef str class_name(type cls):
    name = (<object>cls).__name__
    return name if type(name) is str else "object"


cdef int say(object value, list parts, Py_ssize_t *room, int depth) except -1:
    cdef Py_ssize_t n = 0
    cdef str text
    cdef type cls = type(value)
    if room[0] <= 0:
        return 0
    if value is None or cls is bool or cls is int or cls is float or cls is complex or value is missing:
        if cls is int and value.bit_length() > 10000:
            text = f"<int of {value.bit_length()} bits>"
        else:
            text = repr(value)
    elif cls is str or cls is bytes or cls is bytearray:
        text = repr(value[:room[0]]) + "..." if len(value) > room[0] else repr(value)
    elif cls is list or isinstance(value, ListHook):
        return say_items(value, "[", "]", parts, room, depth)
    elif cls is tuple:
        return say_items(value, "(", ",)" if len(<tuple>value) == 1 else ")", parts, room, depth)
    elif cls is dict or isinstance(value, DictHook):
        return say_dict(value, parts, room, depth)
    elif cls is set or isinstance(value, SetHook):
        if set.__len__(value) == 0:
            text = "set()"
        else:
            return say_items(value, "{", "}", parts, room, depth)
    elif cls is frozenset:
        if len(<frozenset>value) == 0:
            text = "frozenset()"
        else:
            return say_items(value, "frozenset({", "})", parts, room, depth)
    else:
        text = "<" + class_name(cls) + ">"
    parts.append(text)
    room[0] -= len(text)
    return 0


cdef int say_items(object items, str opening, str closing, list parts, Py_ssize_t *room, int depth) except -1:
    cdef Py_ssize_t n = 0
    parts.append(opening)
    if depth >= WORDS_DEPTH:
        parts.append("...")
    else:
        if isinstance(items, list):
            iterator = list.__iter__(items)
        elif isinstance(items, set):
            iterator = set.__iter__(items)
        else:
            iterator = iter(items)
        for item in iterator:
            if n:
                parts.append(", ")
            if n == WORDS_ITEMS or room[0] <= 0:
                parts.append("...")
                break
            say(item, parts, room, depth + 1)
            n += 1
            room[0] -= 2
    parts.append(closing)
    return 0


cdef int say_dict(object value, list parts, Py_ssize_t *room, int depth) except -1:
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *item
    parts.append("{")
    if depth >= WORDS_DEPTH:
        parts.append("...")
    else:
        while PyDict_Next(value, &position, &key, &item):
            k = <object>key
            v = <object>item
            if n:
                parts.append(", ")
            if n == WORDS_ITEMS or room[0] <= 0:
                parts.append("...")
                break
            say(k, parts, room, depth + 1)
            parts.append(": ")
            say(v, parts, room, depth + 1)
            n += 1
            room[0] -= 4
    parts.append("}")
    return 0


cdef str words(object value):
    cdef list parts = []
    cdef Py_ssize_t room = WORDS_CHARS
    try:
        say(value, parts, &room, 0)
    except RuntimeError:            # changed by another thread while we looked
        parts.append("...")
    return "".join(parts)


def words_for(value):
    """Return bounded words for value; no user ``__repr__`` runs."""
    return words(value)


cdef object kept(object value):
    """What a record keeps of value with tracking_keep_values=False."""
    cdef type cls = type(value)
    if value is None or value is missing or cls is bool or cls is int or cls is float or isinstance(value, Words):
        return value
    if (cls is str or cls is bytes) and len(value) <= 200:
        return value
    return Words(words(value), class_name(cls))


cdef tuple kept_all(object values):
    return tuple([kept(v) for v in values])


cdef bint needs_words(object value, int depth):
    # could what we would say of this value change later?
    cdef Py_ssize_t i
    if pdt_plain(value) or value is missing:
        return False
    if PyTuple_CheckExact(value):
        if depth > 3:
            return True
        for i in range(min(PyTuple_GET_SIZE(value), 3 * WORDS_ITEMS)):
            if needs_words(<object>PyTuple_GET_ITEM(value, i), depth + 1):
                return True
        return False
    return pdt_builtin_container(value) or isinstance(value, AttrHook)


cdef bint items_need_words(object items):
    # only those that the words would show
    cdef Py_ssize_t n = 0
    for item in items:
        if needs_words(item, 1):
            return True
        n += 1
        if n > WORDS_ITEMS:
            break
    return False


cdef Extra text_for(Extra extra, int shape, object old, object new):
    """Words for what could change later."""
    cdef object old_text = None
    cdef object new_text = None
    if shape == S_SLOT:
        if needs_words(old, 0):
            old_text = words(old)
        if needs_words(new, 0):
            new_text = words(new)
    elif shape == S_SPLICE or shape == S_ELEMENTS:
        if items_need_words(old):
            old_text = words(list(old[:WORDS_ITEMS + 1]))
        if items_need_words(new):
            new_text = words(list(new[:WORDS_ITEMS + 1]))
    elif shape == S_FILL:
        if not pdt_dict_of_scalars(new):
            new_text = words(new)
    elif shape == S_ROWS and needs_words(new, 0):
        old_text = words_of_rows(new, 1)
        new_text = words_of_rows(new, 2)
    if old_text is None and new_text is None:
        return extra
    if extra is None:
        extra = Extra.__new__(Extra)
    extra.old_text = old_text
    extra.new_text = new_text
    return extra


cdef str words_of_rows(tuple rows, int which):
    cdef list parts = ["{"]
    cdef Py_ssize_t room = WORDS_CHARS
    cdef Py_ssize_t i
    cdef Py_ssize_t n = 0
    for i in range(0, len(rows) - 2, 3):
        if rows[i + which] is missing:
            continue
        if n:
            parts.append(", ")
        if n == WORDS_ITEMS or room <= 0:
            parts.append("...")
            break
        say(rows[i], parts, &room, 1)
        parts.append(": ")
        say(rows[i + which], parts, &room, 1)
        n += 1
        room -= 4
    parts.append("}")
    return "".join(parts)
