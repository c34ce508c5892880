# Owns: applying tracking_redact, whose rules values/redact.py compiles: replaces values before a record holds them.
# May touch: options and places, to find the rules; builtin and tracked containers, to look inside values.
# Invariants:
#  - what a rule matches never enters a record, and neither does anything below it;
#  - globs are matched in C with the collector paused, so nothing comes between the change and its record. A callable is
#    user code: while it runs, other threads may record.

cdef list rules_for(Tracker t):
    """Return [(globs or callable, path from where they were given to the container)] for all places of t."""
    return rules_of(places_in(targets_of(t)))


cdef list rules_of(list places):
    cdef list rules = []
    cdef Place step
    cdef Options options
    for place in places:
        step = place
        while step is not None:
            options = step.tracker.effective
            if options is not None and options.redact is not None:
                rules.append((options.redact, path_of(<Place>place, step.tracker)))
            step = step.parent
    return rules


cdef bint withheld_at(list rules, tuple below) except -1:
    """True if a rule matches the location ``below`` the container, or one above that."""
    cdef tuple path
    cdef Py_ssize_t n
    for redact, base in rules:
        path = <tuple>base + below
        for n in range(1, len(path) + 1):
            if type(redact) is tuple:
                for pattern in <tuple>redact:
                    if glob_matches(<tuple>pattern, 0, path[:n], 0):
                        return True
            elif redact(path[:n]):
                return True
    return False


cdef object without_secrets(list rules, tuple below, object value, int depth):
    """Return value, a plain copy with redacted values inside, or REDACTED."""
    if value is missing:
        return value
    if withheld_at(rules, below):
        return REDACTED
    return inside_without_secrets(rules, below, value, depth)


cdef object inside_without_secrets(list rules, tuple below, object value, int depth):
    cdef object out = None
    cdef Py_ssize_t n = 0
    if pdt_plain(value) or depth > 60:
        return value
    if PyDict_Check(value) or isinstance(value, AttrHook):
        pairs = list(dict.items(value)) if PyDict_Check(value) else attributes_of(value)
        for k, v in pairs:
            w = without_secrets(rules, below + (k,), v, depth + 1)
            if w is not v:
                if out is None:
                    out = redacted_dict(pairs)
                dict.__setitem__(out, k, w)
    elif PyList_Check(value) or PyTuple_CheckExact(value) or PySet_Check(value):
        items = list(list.__iter__(value) if PyList_Check(value) else
                     set.__iter__(value) if PySet_Check(value) else value)
        for n, v in enumerate(items):
            w = without_secrets(rules, below + (v if PySet_Check(value) else n,), v, depth + 1)
            if w is not v:
                if out is None:
                    out = redacted_list(items)
                list.__setitem__(out, n, w)
    return value if out is None else out


cdef tuple redacted(Tracker t, int shape, Py_ssize_t index, object key, object old, object new):
    """Return (shape, key, old, new) as they may be recorded. O(values)."""
    cdef list rules = rules_for(t)
    cdef list rows
    cdef Py_ssize_t i
    if shape == S_SLOT:
        below = (key if index < 0 else index,)
        old = without_secrets(rules, below, old, 0)
        new = without_secrets(rules, below, new, 0)
        if t.kind == K_SET and (old is REDACTED or new is REDACTED):
            key = REDACTED
    elif shape == S_SPLICE:
        old = tuple([without_secrets(rules, (index + i,), item, 0) for i, item in enumerate(old)])
        new = tuple([without_secrets(rules, (index + i,), item, 0) for i, item in enumerate(new)])
    elif shape == S_ELEMENTS:
        old = tuple([without_secrets(rules, (item,), item, 0) for item in old])
        new = tuple([without_secrets(rules, (item,), item, 0) for item in new])
    elif shape == S_SORT:
        new = order_of(old, new)
        old = missing
        shape = S_ORDER
    elif shape == S_ROWS or shape == S_FILL:
        rows = list(new) if shape == S_ROWS else [each for k, v in (<dict>new).items() for each in (k, missing, v)]
        shape = S_ROWS
        for i in range(0, len(rows), 3):
            rows[i + 1] = without_secrets(rules, (rows[i],), rows[i + 1], 0)
            rows[i + 2] = without_secrets(rules, (rows[i],), rows[i + 2], 0)
        new = tuple(rows)
    return shape, key, old, new


def redacted_state(container, state):
    """Return state, which is plain data of the container, with its redacted values replaced. O(state)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    if not t.state & T_REDACT:
        return state
    rules = rules_for(t)
    if withheld_at(rules, ()):
        return REDACTED
    return inside_without_secrets(rules, (), state, 0)
