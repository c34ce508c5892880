# Owns: applying tracking_redact, whose rules values/redact.py compiles: replaces values before a record holds them.
# May touch: options, places and links, to find the rules; builtin and tracked containers, to look inside values.
# Invariants:
#  - what a rule matches never enters a record, and neither does anything below it;
#  - a record from before a rule applied keeps its values, which only undo, rollback and the rewinding of states use. What
#    leaves the library goes through as_shown, or redacted_at for states: they obey the rules of the places that the
#    record has and of those where its containers are now. A summary, which cannot be looked into, is shown if it was
#    made under the same rules (mark_of, covered);
#  - a key is part of the path and stays visible, unless a rule may match something inside it: then it and its value are
#    withheld. A key has something inside if it is a tuple, a frozenset or an object with text of its own;
#  - it fails closed. Where a rule may match something below, a value that cannot be looked into is replaced whole: one
#    whose __repr__ is its own, one that contains itself, one that is too deep or too large. A key without text is
#    matched by every segment of a glob, and a callable that raises has matched;
#  - a container that leaves a tree keeps the rules that applied to it (Rare.rules), and so does all that it holds;
#  - the collector is paused, and globs over keys that are str, int, float, bytes, bool or None run no user code, so
#    nothing comes between the change and its record. A callable, and the __str__ of other keys, is user code: while it
#    runs, other threads may record.
# ANY_KEY, a key that is not known, is in paths of rules and of callers only.
# A rule is (globs or callable, keys, texts, skip): it applies to the location keys + (path below the container)[skip:].

cdef enum:
    LOOK_DEPTH = 100            # levels of a value that are looked into
    LOOK_CONTAINERS = 500000    # containers of a value that are looked into
    LOOK_OBJECTS = 10000        # objects that are searched for containers in values that cannot be looked into
    MAX_RULES = 16              # that a container keeps; more are made less exact


cdef enum:                      # what kind_inside() says of a value
    V_LEAF                      # it has no parts
    V_MAPPING
    V_SEQUENCE
    V_NAMED                     # a named tuple
    V_ELEMENTS
    V_ATTRIBUTES
    V_OPAQUE                    # it has parts, or may have, and cannot be looked into


cdef bint redacting = False     # whether any container of the process was given tracking_redact
cdef tuple EVERYTHING = ((None,),)


cdef class Looking:
    """One look into a value for what has to be redacted."""


cdef Looking new_look(dict nodes, bint is_state=False, Tracker holder=None):
    cdef Looking look = Looking.__new__(Looking)
    look.holder = holder
    look.left = LOOK_CONTAINERS
    look.above = set()
    look.nodes = nodes
    look.is_state = is_state or nodes is not None
    return look


# ---- the rules -----------------------------------------------------------------------------------

cdef list own_rules(Tracker t):
    """Return [(globs or callable, keys, texts)] of the rules that a container itself was given, or keeps. O(rules)."""
    cdef list rules = []
    if t.options is not None and t.options.redact is not None:
        rules.append((t.options.redact, (), ()))
    if t.rare is not None and t.rare.rules is not None:
        rules.extend(t.rare.rules)
    if t.marks & X_WITHHELD:
        rules.append((EVERYTHING, (), ()))
    return rules


cdef list rules_for(Tracker t):
    """Return the rules that apply to a container in all its places. O(places x depth)."""
    return rules_of(places_in(targets_of(t)))


cdef list rules_of(list places):
    cdef list rules = []
    cdef Place step
    for place in places:
        step = place
        while step is not None:
            for redact, keys, texts in own_rules(step.tracker):
                below = path_of(<Place>place, step.tracker)
                rules.append((redact, keys + below, texts + texts_of(below), 0))
            step = step.parent
    return rules


cdef bint may_withhold(Change c) except -1:
    """True if rules may apply to a change: where it was recorded, or where its containers are now. O(depth)."""
    cdef Place step
    cdef Tracker t
    if not redacting or c.place is None:
        return False
    for place in recorded_places(c):
        step = <Place>place
        while step is not None:
            t = step.tracker
            if alive(t):
                refresh(t)
            if t.state & T_REDACT or t.marks & X_REDACTS:
                return True
            if t.place is step and not t.state & T_SEVERAL and alive(t):
                break                   # and so are those above
            step = step.parent
    return holds_rules(c.key) or holds_rules(c.old) or holds_rules(c.new)


cdef bint holds_rules(object value) except -1:
    """True if a value is or holds a container that rules may apply to, or may hold one. O(value)."""
    cdef list todo
    cdef set seen
    cdef Py_ssize_t objects = 0
    cdef int kind
    cdef Tracker t
    if id(type(value)) in scalar_ids or value is missing:
        return False
    todo = [value]
    seen = set()
    while todo:
        value = todo.pop()
        if id(type(value)) in scalar_ids:
            continue
        kind = kind_inside(value)
        if kind == V_LEAF or id(value) in seen:
            continue
        seen.add(id(value))
        t = tracker_of(value) if pdt_heap_type(value) else None
        if len(seen) > LOOK_CONTAINERS or t is not None and under_rules(t):
            return True
        if PyDict_Check(value):
            for k, v in list(dict.items(value)):
                todo.append(k)
                todo.append(v)
        elif PyList_Check(value):
            todo.extend(list.copy(value))
        elif isinstance(value, tuple):
            todo.extend(tuple.__iter__(value))
        elif isinstance(value, (set, frozenset)):
            todo.extend(list(set.__iter__(value) if PySet_Check(value) else frozenset.__iter__(value)))
        elif isinstance(value, AttrHook):
            todo.extend([v for _, v in attributes_of(value)])
        else:
            objects += 1
            if objects > LOOK_OBJECTS:
                return True             # it cannot be looked into
            todo.extend(_referents_of(value))
    return False


# no text shows what they hold
cdef tuple program_types = (type, type(_sys), type(_sys._getframe()), type(_collections.namedtuple.__code__))


cdef list _referents_of(object value):
    return [each for each in _gc.get_referents(value)
            if id(type(each)) not in scalar_ids and not isinstance(each, program_types)]


cdef bint under_rules(Tracker t) except -1:
    """True if a container, or one above it, has rules or had some below it. O(ancestors)."""
    cdef list todo = [t]
    cdef set seen = None
    cdef Link link
    while todo:
        t = <Tracker>todo.pop()
        if t.marks & X_REDACTS:
            return True
        link = t.link
        while link is not None:
            if not link.back:
                if link.next is None and not todo:
                    todo.append(link.parent)
                else:
                    seen = set() if seen is None else seen
                    if link.parent.number not in seen:
                        seen.add(link.parent.number)
                        todo.append(link.parent)
            link = link.next
    return False


cdef list rules_of_record(Change c):
    """Return the rules for a change: by the places of its record, and by those of its containers now.

    O(places x depth^2), mostly O(depth).
    """
    return rules_then_and_now(list(recorded_places(c)))


cdef list rules_then_and_now(list places):
    cdef list rules = rules_of(places)
    cdef Place step
    cdef Tracker t
    for place in places:
        step = <Place>place
        while step is not None:
            t = step.tracker
            if alive(t):
                refresh(t)
                if t.place is step and not t.state & T_SEVERAL:
                    break               # what is above is where it was
                below = path_of(<Place>place, t)
                for redact, keys, texts, _ in rules_for(t):
                    keys, texts = keys + below, texts + texts_of(below)
                    for other in rules:
                        if other[0] is redact and other[2] == texts:
                            break
                    else:
                        rules.append((redact, keys, texts, 0))
            step = step.parent
    return rules


cdef dict known_marks = {}


cdef tuple mark_of(list rules):
    """Return what is kept of rules with a summary that was made under them; the same tuple for the same rules."""
    cdef tuple mark = tuple([(redact, texts) for redact, _, texts, _ in rules])
    key = tuple([(id(redact), texts) for redact, texts in mark])
    known = known_marks.get(key)
    if known is None:
        if len(known_marks) > 1000:
            known_marks.clear()
        known = known_marks[key] = mark
    return known


cdef bint covered(object mark, list rules, tuple texts) except -1:
    """True if a summary of what is at texts, made under the rules in mark, shows nothing that these rules withhold."""
    cdef bint same
    for redact, above, above_texts, skip in rules:
        full = <tuple>above_texts + texts[skip:]
        now = None if type(redact) is not tuple else left_of(redact, full)
        if now is not None and not now:
            continue                    # it matches nothing here or below
        same = False
        for other, other_above in mark or ():
            if other is redact and (other_above == above_texts or
                                    (now is not None and now <= left_of(redact, <tuple>other_above + texts[skip:]))):
                same = True
                break
        if not same:
            return False
    return True


cdef set left_of(tuple redact, tuple texts):
    """Return what of the globs can still match at or below a path: {(glob, position)}. O(globs x path)."""
    cdef set found = set()
    cdef set at, next
    cdef tuple pattern
    for n, each in enumerate(redact):
        pattern = <tuple>each
        at = {0}
        for text in texts:
            next = set()
            for p in opened(pattern, at):
                if p == len(pattern):
                    next.add(p)         # it matches above: all that is below is withheld
                elif pattern[p] is None:
                    next.add(p)
                elif segment_matches(pattern[p], text):
                    next.add(p + 1)
            at = next
        found.update([(n, p) for p in opened(pattern, at)])
    return found


cdef set opened(tuple pattern, set at):
    """Return positions of a glob with those behind each ``**``."""
    cdef set both = set(at)
    for p in at:
        while p < len(pattern) and pattern[p] is None:
            p += 1
            both.add(p)
    return both


cdef int mark_redacting(Tracker t) except -1:
    """Note in a container and all above it that there are rules, or were some below. O(ancestors)."""
    cdef list todo = [t]
    cdef Tracker each
    cdef Link link
    global redacting
    redacting = True
    t.epoch = 0
    if t.children or t.link is not None:
        bump()
    while todo:
        each = <Tracker>todo.pop()
        if each.marks & X_REDACTS:
            continue
        each.marks |= X_REDACTS
        link = each.link
        while link is not None:
            todo.append(link.parent)
            link = link.next
    return 0


cdef inline int note_redact(Tracker t) except -1:
    """Call this when a container got its options. O(1), O(ancestors) if they have rules."""
    if t.options is not None and t.options.redact is not None and not t.marks & X_REDACTS:
        mark_redacting(t)
    return 0


ctypedef int (*rule_keeper)(Tracker, Link) noexcept


cdef int keep_rules(Tracker t, Link link) except -1:
    """Let a container that leaves a parent keep the rules that applied there, or withhold all. O(ancestors)."""
    if (<rule_keeper>note_rules)(t, link) < 0:      # no memory, and the store was done
        PyErr_Clear()
        t.marks |= X_WITHHELD | X_REDACTS
        t.epoch = 0
    return 0


cdef int note_rules(Tracker t, Link link) except -1:
    cdef list kept = rules_by_links([(link.parent, (link, None))])
    if kept:
        add_rules(t, kept)
    return 0


cdef list rules_by_links(list todo):
    """Return [(globs or callable, keys, texts)] by the links upwards from each (tracker, way down). O(ancestors)."""
    cdef set seen = set()
    cdef list kept = []
    cdef Tracker each
    cdef Link up
    while todo:                         # by links, which outlive a parent; places do not
        each, way = todo.pop()
        for redact, keys, texts in own_rules(each):
            kept.append(rule_below(redact, keys, texts, way))
        up = each.link
        while up is not None:
            if not up.back and up.parent.number not in seen:
                seen.add(up.parent.number)
                todo.append((up.parent, (up, way)))
            up = up.next
    return kept


cdef list rules_elsewhere(Tracker t, list rules, Tracker holder, Py_ssize_t skip):
    """Return the rules of a container inside a value which do not apply to it by the value's own place. O(ancestors).

    ``holder``: the container that the value is in. Runs neither refresh() nor user code, since a change may be on its way.
    """
    cdef list more = []
    if t.marks & X_REDACTS:
        more = [(redact, keys, texts, skip) for redact, keys, texts in own_rules(t)]
    if t.link is None or (t.link.parent is holder and t.link.next is None) or not under_rules(t):
        return more
    for redact, keys, texts in rules_by_links([(t, None)]):
        if keys and not any([other[0] is redact for other in rules]):
            more.append((redact, keys, texts, skip))
    return more


cdef object shown_alone(Tracker t, object value, tuple known):
    """Return a container as a summary may show it: by its own rules, but for those known, which were applied. O(value)."""
    cdef list rules = [(redact, (), (), 0) for redact, _ in known or ()]
    cdef list more = rules_elsewhere(t, rules, None, 0)
    cdef Looking look
    if not more:
        return value
    if withheld_at(more, (), ()):
        return REDACTED
    look = new_look(None, True)
    return inside(look, more, (), (), value, 0)


cdef tuple rule_below(object redact, tuple keys, tuple texts, object way):
    """Return a rule for the container at the end of a way down: (link, (link, ... None))."""
    cdef list more = []
    cdef list more_texts = []
    cdef Link link
    while way is not None:
        link, way = way
        if link.parent.kind == K_LIST:
            more.append(link.hint)
            more_texts.append(ANY_KEY)          # items are shifted
        elif link.key is missing or link.key is None or isinstance(link.key, list) or link.parent.kind == K_SET:
            more.append(ANY_KEY)
            more_texts.append(ANY_KEY)
        else:
            more.append(link.key)
            more_texts.append(texts_of((link.key,))[0])
    return redact, keys + tuple(more), texts + tuple(more_texts)


cdef int add_rules(Tracker t, list rules) except -1:
    cdef list kept = list(rare_of(t).rules or ())
    for rule in rules:
        for other in kept:
            if other[0] is rule[0] and other[2] == rule[2]:
                break
        else:
            kept.append(rule)
    if len(kept) > MAX_RULES:           # by the depth of what they were given for, whatever the keys are
        exact, kept = kept, []
        for redact, keys, texts in exact:
            if not any([other[0] is redact and len(<tuple>other[1]) == len(<tuple>keys) for other in kept]):
                unknown = (ANY_KEY,) * len(<tuple>keys)
                kept.append((redact, unknown, unknown))
    if len(kept) > MAX_RULES:
        kept = [(EVERYTHING, (), ())]
    t.rare.rules = tuple(kept)
    return mark_redacting(t)


# ---- matching ------------------------------------------------------------------------------------

cdef bint calls_it_secret(object redact, tuple path):
    # a callable that raises, or that cannot be given the path, fails closed
    if ANY_KEY in path:
        return True
    try:
        return bool(redact(path))
    except Exception:
        return True


cdef bint matched(object redact, tuple keys, tuple texts) except -1:
    """True if a rule matches exactly this location."""
    if type(redact) is not tuple:
        return calls_it_secret(redact, keys)
    for pattern in <tuple>redact:
        if glob_matches(<tuple>pattern, 0, texts, 0):
            return True
    return False


cdef bint withheld_here(list rules, tuple keys, tuple texts) except -1:
    """True if a rule matches the location below the container. O(rules x path)."""
    for redact, above, above_texts, skip in rules:
        if matched(redact, <tuple>above + keys[skip:], <tuple>above_texts + texts[skip:]):
            return True
    return False


cdef bint withheld_at(list rules, tuple keys, tuple texts) except -1:
    """True if a rule matches the location below the container, or one above that. O(rules x path^2)."""
    cdef Py_ssize_t n
    cdef tuple path
    cdef tuple path_texts
    for redact, above, above_texts, skip in rules:
        path = <tuple>above + keys[skip:]
        path_texts = <tuple>above_texts + texts[skip:]
        for n in range(1, len(path) + 1):
            if matched(redact, path[:n], path_texts[:n]):
                return True
    return False


cdef bint withheld_below(list rules, tuple texts) except -1:
    """True if a rule may match something below this location. O(rules x path)."""
    for redact, above, above_texts, skip in rules:
        if type(redact) is not tuple:
            return True
        for pattern in <tuple>redact:
            if glob_reaches(<tuple>pattern, <tuple>above_texts + texts[skip:]):
                return True
    return False


# ---- values --------------------------------------------------------------------------------------

cdef object without_secrets(list rules, tuple keys, object value, Looking look):
    """Return value, a plain copy with redacted values inside, or REDACTED. ``keys``: where it is in the container."""
    cdef tuple texts
    if value is missing:
        return value
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
    if kind == V_OPAQUE or depth > LOOK_DEPTH or look.left <= 0 or id(value) in look.above:
        return value if apart and (id(value) in look.above or not holds_rules(value)) else REDACTED
    look.left -= 1
    look.above.add(id(value))
    look.holder = t
    try:
        if kind == V_MAPPING or kind == V_ATTRIBUTES:
            return mapping_inside(look, rules, keys, texts, value, kind, depth)
        return items_inside(look, rules, keys, texts, value, kind, depth)
    finally:
        look.holder = holder
        look.above.discard(id(value))


cdef Tracker tracker_in(Looking look, object value):
    """Return the tracker of a container, or of the one that a plain state is of; None if there is none."""
    if pdt_heap_type(value):
        return tracker_of(value)
    return None if look.nodes is None else look.nodes.get(id(value))


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
    cdef PyObject *held = _PyType_Lookup(<PyTypeObject *>cls, "__str__")
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
    else:
        items = list(tuple.__iter__(value))
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


# ---- what can be looked into ---------------------------------------------------------------------

cdef set scalar_types = {type(None), bool, int, float, complex, str, bytes, bytearray, range, type(Ellipsis),
                         type(NotImplemented), type(len), type(_collections.namedtuple), _MemberDescriptorType}
cdef set scalar_ids = {id(cls) for cls in scalar_types}     # no code of a metaclass runs
# without imports: most programs have none of them
cdef set scalar_names = {
    ("datetime", "date"), ("datetime", "time"), ("datetime", "datetime"), ("datetime", "timedelta"),
    ("datetime", "timezone"), ("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"), ("ipaddress", "IPv4Address"), ("ipaddress", "IPv6Address"),
    ("ipaddress", "IPv4Network"), ("ipaddress", "IPv6Network"), ("pathlib", "PosixPath"), ("pathlib", "WindowsPath"),
    ("pathlib", "PurePosixPath"), ("pathlib", "PureWindowsPath"), ("pathlib._local", "PosixPath"),
    ("pathlib._local", "WindowsPath"), ("pathlib._local", "PurePosixPath"), ("pathlib._local", "PureWindowsPath"),
}
cdef tuple scalar_bases = (str, int, float, bytes, complex, bytearray)
# __repr__ that show the items only
cdef set known_reprs = {id(cls.__dict__["__repr__"]) for cls in (
    dict, list, tuple, set, frozenset, str, int, float, bytes, complex, bytearray,
    _collections.OrderedDict, _collections.defaultdict, _collections.Counter)}
cdef object default_repr = object.__dict__["__repr__"]
cdef object default_str = object.__dict__["__str__"]


cdef inline bint shows_items_only(type cls):
    cdef PyObject *held = _PyType_Lookup(<PyTypeObject *>cls, "__repr__")
    return held != NULL and id(<object>held) in known_reprs


cdef object names_of(type cls):
    """Return _fields of a class, None if it has none."""
    cdef PyObject *held = _PyType_Lookup(<PyTypeObject *>cls, "_fields")
    return None if held == NULL else <object>held


cdef int kind_inside(object value) except -1:
    """Say how to look into a value, V_... O(1)."""
    cdef type cls = type(value)
    if id(cls) in scalar_ids or value is missing or cls is type(REDACTED) or isinstance(value, Words):
        return V_LEAF
    if PyDict_Check(value):
        return V_MAPPING if isinstance(value, DictHook) or shows_items_only(cls) else V_OPAQUE
    if PyList_Check(value):
        return V_SEQUENCE if isinstance(value, ListHook) or shows_items_only(cls) else V_OPAQUE
    if isinstance(value, tuple):
        if type(names_of(cls)) is tuple:
            return V_NAMED
        return V_SEQUENCE if shows_items_only(cls) else V_OPAQUE
    if isinstance(value, (set, frozenset)):
        return V_ELEMENTS if isinstance(value, SetHook) or shows_items_only(cls) else V_OPAQUE
    if isinstance(value, AttrHook):
        return V_ATTRIBUTES
    try:
        return V_LEAF if has_no_parts(value, cls) else V_OPAQUE
    except Exception:
        return V_OPAQUE


cdef bint has_no_parts(object value, type cls) except -1:
    """True if the text of a value cannot show anything else that it holds."""
    cdef PyObject *held = _PyType_Lookup(<PyTypeObject *>cls, "__repr__")
    if held == <PyObject *>default_repr:
        return True                     # <module.Class object at 0x...>
    if isinstance(value, type):
        return held == <PyObject *>class_repr or cls is of_module("enum", "EnumType")
    if cls is slice:
        return id(type(value.start)) in scalar_ids and id(type(value.stop)) in scalar_ids and \
            id(type(value.step)) in scalar_ids
    return issubclass(cls, scalar_bases) and shows_items_only(cls) or is_known_scalar(value, cls)


cdef object class_repr = type.__dict__["__repr__"]
cdef object module_of_class = type.__dict__["__module__"].__get__       # what a metaclass says does not count
cdef object name_of_class = type.__dict__["__name__"].__get__
cdef object bases_of_class = type.__dict__["__mro__"].__get__


cdef object of_module(str module, str name):
    """Return what an imported module has under a name, or None."""
    found = _sys.modules.get(module)
    return None if found is None else vars(found).get(name)


cdef bint is_known_scalar(object value, type cls) except -1:
    """True for dates, numbers, enums and the like, whose text is theirs alone, and for no subclass of them."""
    module, name = module_of_class(cls), name_of_class(cls)
    if (module, name) in scalar_names:
        if cls is not of_module(module, name):
            return False
        if name == "datetime" or name == "time":
            zone = value.tzinfo
            return zone is None or type(zone) is of_module("datetime", "timezone") or \
                type(zone) is of_module("zoneinfo", "ZoneInfo")
        return True
    if module == "numpy":
        numpy = _sys.modules.get(module)
        if numpy is None or vars(numpy).get(name) is not cls:
            return False
        return issubclass(cls, (numpy.number, numpy.str_, numpy.bytes_, numpy.bool_, numpy.datetime64))
    enum = of_module("enum", "Enum")
    if enum is not None and any([each is enum for each in bases_of_class(cls)]):
        return is_plain_member(value, cls)
    return False


cdef bint is_plain_member(object value, type cls) except -1:
    """True if the texts of a member of an enum are those of the standard library, and its value is a scalar."""
    cdef PyObject *held
    if id(type(value._value_)) not in scalar_ids:
        return False
    if not enum_texts:
        for each in (of_module("enum", name) for name in ("Enum", "Flag", "IntEnum", "IntFlag", "StrEnum", "ReprEnum")):
            if each is not None:
                enum_texts.update([id(getattr(each, name)) for name in ("__repr__", "__str__", "__format__")])
    for name in ("__repr__", "__str__"):
        held = _PyType_Lookup(<PyTypeObject *>cls, name)
        if held == NULL or id(<object>held) not in enum_texts and id(<object>held) not in known_reprs and \
                id(<object>held) not in known_strs:
            return False
    held = _PyType_Lookup(<PyTypeObject *>cls, "_value_repr_")
    return held == NULL or <object>held is None or id(<object>held) in known_reprs or <object>held is repr


cdef set enum_texts = set()
cdef set known_strs = {id(cls.__str__) for cls in (object, str, int, float, bytes)}


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


def as_shown(change):
    """Return a change as it may be shown: the same one, or a copy with what tracking_redact names withheld. O(values)."""
    cdef Change c = change
    cdef Change copied
    cdef Extra extra
    cdef list rules
    if not may_withhold(c):
        return c
    settled = c.settled
    if settled is not None and alive(c.viewer):
        refresh(c.viewer)
        if not covered((<tuple>settled)[2], rules_for(c.viewer), ()):
            settled = None
    if c.action_code > A_REMOVE or c.action_code == A_INIT:
        return c
    rules = rules_of_record(c)
    shape, key, old, new = redacted(rules, c.place.tracker, c.shape, c.index, c.key, c.old, c.new, True)
    if c.shape == S_FILL and all([new[i] is not REDACTED and c.new.get(new[i], missing) is new[i + 2]
                                  for i in range(0, len(<tuple>new), 3)]):
        shape, new = S_FILL, c.new
    extra = c.details
    if extra is not None and (extra.old_text is not None or extra.new_text is not None):
        below = ((key if c.index < 0 else c.index,)) if shape == S_SLOT else ()
        if not covered(extra.rules, rules, texts_of(below)):
            extra = at_places(extra, () if extra.places is None else <tuple>extra.places)
            if extra is c.details:
                extra = copy_of(extra)
            extra.old_text = None if extra.old_text is None else "REDACTED"
            extra.new_text = None if extra.new_text is None else "REDACTED"
            extra.rules = mark_of(rules)
    if shape == c.shape and key is c.key and extra is c.details and settled is c.settled and same_objects(old, c.old) \
            and same_objects(new, c.new):
        return c
    copied = make_change(c.seq, c.time_ns, c.index, c.action_code, c.method_code, shape, c.place, key, old, new,
                         c.scope, extra, c.viewer)
    copied.audience = c.audience
    copied.settled = settled
    return copied


cdef Extra copy_of(Extra extra):
    cdef Extra copied = Extra.__new__(Extra)
    copied.beside = extra.beside
    copied.stack = extra.stack
    copied.places = extra.places
    copied.old_text = extra.old_text
    copied.new_text = extra.new_text
    return copied


cdef bint same_objects(object a, object b) except -1:
    """True if two values, or the items of two tuples, are the same objects."""
    cdef Py_ssize_t i
    if a is b:
        return True
    if type(a) is not tuple or type(b) is not tuple or len(<tuple>a) != len(<tuple>b):
        return False
    for i in range(len(<tuple>a)):
        if (<tuple>a)[i] is not (<tuple>b)[i]:
            return False
    return True


cdef list shown_bases(Change c):
    """Return the paths from the viewer to the container that changed, as they may be shown. O(places x depth)."""
    cdef list found = bases(c, c.viewer)
    cdef list shown = []
    if not redacting or all([all_plain(<tuple>base) for base in found]) or not may_withhold(c):
        return found
    for place in recorded_places(c):
        if runs_through(<Place>place, c.viewer):
            shown.append(shown_keys(<Place>place, c.viewer))
    return shown


cdef tuple shown_keys(Place place, Tracker viewer):
    """As path_of, with REDACTED for keys that have something inside that is withheld."""
    cdef list keys = []
    while place.parent is not None and place.tracker is not viewer:
        keys.append(shown_key(place))
        place = place.parent
    keys.reverse()
    return tuple(keys)


cdef bint all_plain(tuple path):
    for key in path:
        if id(type(key)) not in scalar_ids:
            return False
    return True


def shown_key(Place place):
    """Return the key of a place, or REDACTED if something inside it is withheld. O(1) for plain keys."""
    if not redacting or place.parent is None or id(type(place.key)) in scalar_ids:
        return place.key
    if key_withheld(new_look(None), rules_then_and_now([place.parent]), (), (), place.key, 0):
        return REDACTED
    return place.key


def shown_path(container, tuple path):
    """Return a path below a container with REDACTED for keys that have something inside that is withheld. O(path)."""
    cdef Tracker t = tracker_of(container)
    cdef list rules
    cdef list shown = []
    cdef Py_ssize_t n
    if not redacting or all_plain(path):
        return path
    refresh(t)
    rules = rules_for(t)
    for n in range(len(path)):
        if key_withheld(new_look(None), rules, path[:n], texts_of(path[:n]), path[n], 0):
            shown.append(REDACTED)
        else:
            shown.append(path[n])
        container = None if container is None else member_of(container, path[n])
        t = None if container is None else tracker_of(container)
        if t is not None:
            rules = rules + [(redact, above, texts, n + 1) for redact, above, texts in own_rules(t)]
    return tuple(shown)


def rules_mark(container):
    """Return what to keep with a summary of a container's state, for as_shown; None without redaction. O(depth)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    return mark_of(rules_for(t)) if t.state & T_REDACT else None


def redacted_state(container, state, nodes=None):
    """Return state, which is plain data of the container, with its redacted values replaced. O(state).

    ``nodes``: {id of a part of state: the tracker of the container that it is the state of}, for rules of parts.
    """
    return redacted_at(container, (), state, nodes)


def withholds(container):
    """True if tracking_redact may name something at or below a container, or in a value there. O(1)."""
    return redacting


def has_rules(container):
    """True if tracking_redact of a container, or of one above or below it, may name something there. O(1)."""
    cdef Tracker t = tracker_of(container)
    refresh(t)
    return t.state & T_REDACT != 0


def redacted_at(container, tuple path, value, nodes=None):
    """Return value, which is plain data at a path below a container, with its redacted values replaced.

    O(value). ANY_KEY in the path stands for a key that is not known.
    """
    cdef Tracker t = tracker_of(container)
    cdef list rules
    cdef Py_ssize_t n
    if not redacting or value is missing:
        return value
    refresh(t)
    rules = rules_for(t)
    for n in range(len(path)):          # the rules of the containers on the way
        container = member_of(container, path[n])
        t = tracker_of(container)
        if t is None:
            break
        rules.extend([(redact, above, texts, n + 1) for redact, above, texts in own_rules(t)])
    return without_secrets(rules, path, value, new_look(nodes, True, t))


cdef object member_of(object container, object key):
    """Return what a tracked container holds at a key, or at the text of one; None if it is not a container. O(items)."""
    cdef Tracker t = tracker_of(container)
    cdef Tracker ct
    cdef bint exact
    text = key if key is ANY_KEY else text_of_key(key, &exact)
    if not t.children or key is ANY_KEY:
        return None
    pairs = (enumerate(list.copy(container)) if t.kind == K_LIST else list(dict.items(container)) if t.kind == K_DICT
             else attributes_of(container) if t.kind == K_ATTR else [(each, each) for each in contents_of(container)])
    for held, value in pairs:
        ct = tracker_of(value)
        if ct is not None and text_of_key(held, &exact) == text:
            return value
    return None
