# Owns: the rules of tracking_redact: which of them apply to a container or a record, and what they match.
# May touch: options, places and links, to find the rules; Rare.rules, to keep them.
# Invariants:
#  - a container that leaves a tree keeps the rules that applied to it (Rare.rules), and so does all that it holds;
#  - globs over keys that are str, int, float, bytes, bool or None run no user code. A callable, and the __str__ of other
#    keys, is user code: while it runs, other threads may record. A callable that raises has matched.
# ANY_KEY, a key that is not known, is in paths of rules and of callers only.
# A rule is (globs or callable, keys, texts, skip): it applies to the location keys + (path below the container)[skip:].
# values/redact.py compiles the globs.

cdef enum:
    LOOK_DEPTH = 100            # levels of a value that are looked into
    LOOK_CONTAINERS = 500000    # containers of a value that are looked into
    LOOK_OBJECTS = 10000        # objects that are searched for containers in values that cannot be looked into
    MAX_RULES = 16              # that a container keeps; more are made less exact


cdef bint redacting = False     # whether any container of the process was given tracking_redact
cdef tuple EVERYTHING = ((None,),)


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
    if id(type(value)) in scalar_ids or value is missing or is_program(value):
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


cdef set program_ids = {id(cls) for cls in (type(_sys), type(_sys._getframe()), type(_collections.namedtuple.__code__))}


cdef inline bint is_program(object value):
    """True for a class, module, frame or code: their text shows nothing of what they hold. Runs no code of the value."""
    return isinstance(value, type) or id(type(value)) in program_ids


cdef list _referents_of(object value):
    return [each for each in _gc.get_referents(value) if id(type(each)) not in scalar_ids and not is_program(each)]


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
        while link is not None and not link.back:
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
        while up is not None and not up.back:
            if up.parent.number not in seen:
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
        if link.parent.kind == K_LIST or link.parent.kind == K_DEQUE:
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
