# Owns: applying the rules (write/rules.pyx): replaces values before a record holds them.
# May touch: builtin and tracked containers, to look inside values.
# Invariants:
#  - what a rule matches never enters a record, and neither does anything below it;
#  - a key is part of the path and stays visible, unless a rule may match something inside it: then it and its value are
#    withheld. A key has something inside if it is a tuple, a frozenset or an object with text of its own;
#  - it fails closed. Where a rule may match something below, a value that cannot be looked into is replaced whole: one
#    whose __repr__ is its own, one that contains itself, one that is too deep or too large. A key without text is
#    matched by every segment of a glob. What refers back to a container around it is shown only if that holds nothing
#    with rules of its own;
#  - what holds nothing to be redacted is looked into once, in however many places it is;
#  - the collector is paused, so nothing comes between the change and its record but what write/rules.pyx names.

cdef class Looking:
    """One look into a value for what has to be redacted."""


cdef Looking new_look(dict nodes, bint is_state=False, Tracker holder=None):
    cdef Looking look = Looking.__new__(Looking)
    look.holder = holder
    look.left = LOOK_CONTAINERS
    look.above = set()
    look.clean = set()
    look.holding = set()
    look.nodes = nodes
    look.is_state = is_state or nodes is not None
    return look


cdef object without_secrets(list rules, tuple keys, object value, Looking look):
    """Return value, a plain copy with redacted values inside, or REDACTED. ``keys``: where it is in the container."""
    cdef tuple texts
    if value is missing:
        return value
    if rules is not look.rules:
        look.rules = rules
        look.clean.clear()
    if not rules:
        return inside(look, rules, keys, keys, value, 0)
    texts = texts_of(keys)
    if withheld_at(rules, keys, texts):
        return REDACTED
    return inside(look, rules, keys, texts, value, 0)


cdef object one_inside(Looking look, list rules, tuple keys, tuple texts, object key, object value, int depth):
    keys = keys + (key,)
    if rules:
        texts = texts + texts_of((key,))
        if withheld_here(rules, keys, texts):
            return REDACTED
    else:
        texts = keys
    return inside(look, rules, keys, texts, value, depth + 1)


cdef object inside(Looking look, list rules, tuple keys, tuple texts, object value, int depth):
    cdef int kind = kind_inside(value)
    cdef Tracker t = None
    cdef list more = None
    cdef bint apart = False
    if kind == V_LEAF:
        if type(value) is Words and not covered((<Words>value).rules, rules, texts):
            return REDACTED
        return value
    cdef Tracker holder = look.holder
    if redacting:
        t = tracker_in(look, value)
        if t is not None:
            more = rules_elsewhere(t, rules, holder, len(keys))
    if more:
        texts = texts_of(keys)
        if withheld_at(more, keys, texts) or withheld_here(more, keys, texts):
            return REDACTED
        rules = rules + more
    elif (t is None or not t.marks & X_REDACTS) and not withheld_below(rules, texts):
        if not redacting or t is not None and not look.is_state:
            return value
        apart = True                    # no rule from above, but what it holds may have its own
        if rules is look.rules and id(value) in look.clean:
            return value
    if kind == V_OPAQUE or depth > LOOK_DEPTH or look.left <= 0 or id(value) in look.above:
        return value if apart and not look_past(look, rules, value) else REDACTED
    look.left -= 1
    look.above.add(id(value))
    look.holder = t
    try:
        if kind == V_MAPPING or kind == V_ATTRIBUTES:
            shown = mapping_inside(look, rules, keys, texts, value, kind, depth)
        else:
            shown = items_inside(look, rules, keys, texts, value, kind, depth)
    finally:
        look.holder = holder
        look.above.discard(id(value))
        look.holding.discard(id(value))
    if apart and shown is value and rules is look.rules:
        look.clean.add(id(value))
    return shown


cdef bint look_past(Looking look, list rules, object value) except -1:
    """True if a container that is not looked into holds some with rules of their own. O(value), once."""
    if id(value) in look.holding:
        return True
    if holds_rules(value):
        if id(value) in look.above:
            look.holding.add(id(value))
        return True
    if rules is look.rules:
        look.clean.add(id(value))
    return False


cdef Tracker tracker_in(Looking look, object value):
    """Return the tracker of a container, or of the one that a plain state is of; None if there is none."""
    cdef Tracker t = tracker_of(value) if pdt_heap_type(value) else None
    return t if t is not None or look.nodes is None else look.nodes.get(id(value))


cdef object mapping_inside(Looking look, list rules, tuple keys, tuple texts, object value, int kind, int depth):
    cdef object out = None
    cdef list pairs = list(dict.items(value)) if kind == V_MAPPING else attributes_of(value)
    cdef list left
    if kind == V_MAPPING:
        left = [pair for pair in pairs if not key_withheld(look, rules, keys, texts, pair[0], depth)]
        if len(left) < len(pairs):
            pairs = left
            pairs.append((REDACTED, REDACTED))
            out = redacted_dict(pairs)
    for k, v in pairs:
        w = one_inside(look, rules, keys, texts, k, v, depth)
        if w is not v:
            if out is None:
                out = redacted_dict(pairs)
            dict.__setitem__(out, k, w)
    return value if out is None else out


cdef bint key_withheld(Looking look, list rules, tuple keys, tuple texts, object key, int depth) except -1:
    """True if something inside a key is withheld, or may be. ``keys``, ``texts``: where its container is."""
    if id(type(key)) in scalar_ids or key is missing or not rules and not redacting:
        return False
    keys = keys + (key,)
    texts = texts + texts_of((key,)) if rules else keys
    if kind_inside(key) == V_LEAF:
        return not type(key) is type(REDACTED) and not text_is_plain(key) and withheld_below(rules, texts)
    return inside(look, rules, keys, texts, key, depth + 1) is not key


cdef bint text_is_plain(object key) except -1:
    """True if the str of a key that has no parts cannot show more than its repr."""
    cdef type cls = type(key)
    cdef PyObject *held = pdt_type_lookup(<PyTypeObject *>cls, "__str__")
    if held == <PyObject *>default_str or isinstance(key, Words) or issubclass(cls, scalar_bases) or \
            isinstance(key, type) and has_no_parts(key, cls):
        return True
    return is_known_scalar(key, cls)


cdef object items_inside(Looking look, list rules, tuple keys, tuple texts, object value, int kind, int depth):
    cdef object out = None
    cdef Py_ssize_t n = 0
    cdef list items
    cdef object names = ()
    if kind == V_ELEMENTS:
        items = list(set.__iter__(value) if PySet_Check(value) else frozenset.__iter__(value))
    elif PyList_Check(value):
        items = list(list.__iter__(value))
    elif isinstance(value, tuple):
        items = list(tuple.__iter__(value))
    else:
        items = list(deque_iter(value))
    if kind == V_NAMED:
        names = names_of(type(value))
    for n, v in enumerate(items):
        w = one_inside(look, rules, keys, texts, v if kind == V_ELEMENTS else n, v, depth)
        if n < len(names):
            w = one_inside(look, rules, keys, texts, names[n], w, depth)
        elif kind == V_ELEMENTS and w is v and key_withheld(look, rules, keys, texts, v, depth):
            w = REDACTED
        if w is not v:
            if out is None:
                out = redacted_list(items)
            list.__setitem__(out, n, w)
    return value if out is None else out


# ---- records and states --------------------------------------------------------------------------

cdef tuple redacted(list rules, Tracker t, int shape, Py_ssize_t index, object key, object old, object new, bint deep):
    """Return (shape, key, old, new) as they may be recorded. O(values).

    ``deep``: look for rules of what they hold in containers, too, which a record does not hold.
    """
    cdef Looking look = new_look(None, deep, t)
    cdef int kind = t.kind
    cdef list rows
    cdef Py_ssize_t i
    if shape == S_SLOT:
        below = (key if index < 0 else index,)
        was, will = old, new
        if kind == K_DICT and key_withheld(look, rules, (), (), key, 0):
            return shape, REDACTED, old if old is missing else REDACTED, new if new is missing else REDACTED
        old = without_secrets(rules, below, old, look)
        new = without_secrets(rules, below, new, look)
        if kind == K_SET and (old is not was or new is not will or key_withheld(look, rules, (), (), key, 0)):
            key, old, new = REDACTED, old if old is missing else REDACTED, new if new is missing else REDACTED
    elif shape == S_SPLICE:
        old = tuple([without_secrets(rules, (index + i,), item, look) for i, item in enumerate(old)])
        new = tuple([without_secrets(rules, (index + i,), item, look) for i, item in enumerate(new)])
    elif shape == S_ELEMENTS:
        # an element with something withheld is not one that a set could hold
        old = tuple([element_shown(rules, item, look) for item in old])
        new = tuple([element_shown(rules, item, look) for item in new])
    elif shape == S_SORT:
        new = order_of(old, new)
        old = missing
        shape = S_ORDER
    elif shape == S_ROWS or shape == S_FILL:
        rows = list(new) if shape == S_ROWS else [each for k, v in (<dict>new).items() for each in (k, missing, v)]
        shape = S_ROWS
        for i in range(0, len(rows), 3):
            if kind == K_DICT and key_withheld(look, rules, (), (), rows[i], 0):
                rows[i] = REDACTED
                rows[i + 1] = missing if rows[i + 1] is missing else REDACTED
                rows[i + 2] = missing if rows[i + 2] is missing else REDACTED
                continue
            rows[i + 1] = without_secrets(rules, (rows[i],), rows[i + 1], look)
            rows[i + 2] = without_secrets(rules, (rows[i],), rows[i + 2], look)
        new = tuple(rows)
    return shape, key, old, new


cdef object element_shown(list rules, object item, Looking look):
    if without_secrets(rules, (item,), item, look) is item and not key_withheld(look, rules, (), (), item, 0):
        return item
    return REDACTED
