# Owns: what leaves the library of records and states, under the rules that apply now.
# May touch: changes, places and trackers, to read them.
# Invariants:
#  - a record from before a rule applied keeps its values, which only undo, rollback and the rewinding of states use. What
#    leaves the library goes through as_shown, or redacted_at for states: they obey the rules of the places that the
#    record has and of those where its containers are now;
#  - a summary, which cannot be looked into, is shown if it was made under the same rules (mark_of, covered).

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
    copied.others = c.others
    copied.settled = settled
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
             else enumerate(deque_items(container)) if t.kind == K_DEQUE else attributes_of(container) if t.kind == K_ATTR else [(each, each) for each in contents_of(container)])
    for held, value in pairs:
        ct = tracker_of(value)
        if ct is not None and text_of_key(held, &exact) == text:
            return value
    return None
