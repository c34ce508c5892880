# Owns: the stacks of what can be undone and redone beside a container, and undoing and redoing one step.
# May touch: logs, to read records; the scope and `restore`, to undo; it calls the package for what is not one slot.
# Invariants:
#  - the stacks follow from the records: what undoes nothing is a new change, and clears what can be redone;
#  - a stack is ordered by seq, and a change is on one stack at most;
#  - what the package has to do (other shapes, errors) finds the container as the step found it.

cdef class Stacks:
    """What can be undone and redone at or below one container.

    All logs are read that the container, or one that came into it, wrote to: what a container did while it was
    elsewhere is undone once it is back. ``raw``: undo, redo and rollback count as changes like any other, except those
    recorded after the start. ``after``: changes up to that seq are not read.
    """

    cdef uint64_t born                  # changes up to this seq are not read
    cdef uint64_t start                 # raw: newest seq when it was made; else 0
    cdef readonly uint64_t seen         # newest seq in the process when records were last read
    cdef list logs                      # [weak reference of a log, newest seq read] of each
    cdef set known                      # ids of these weak references
    cdef readonly list undo             # of Change
    cdef readonly list redo
    cdef list parked                    # of containers that are elsewhere now
    cdef dict touched                   # tracker -> newest fresh change made elsewhere while there is a redo
    cdef readonly set past              # seqs that left the stack

    def __init__(self, container, bint raw=False, uint64_t after=0):
        cdef Hook hook
        tracker_of(container)           # a container whose __init__ did not run gets its birth here
        hook = hook_of(container)
        self.born = max(<uint64_t>hook.birth.seq, after)
        self.start = last_seq if raw else 0
        self.logs = []
        self.known = set()
        self.undo = []
        self.redo = []
        self.parked = []
        self.touched = {}
        self.past = set()
        meet_logs(self, container, {})

    def catch_up(self, container):
        """Read the records since last time. O(records since).

        Changes that others make meanwhile are left to the next time, or it might never end.
        """
        read_on(self, container)

    def top(self, container):
        """Return the newest step to undo that concerns what is here now, or None. O(steps of what is elsewhere)."""
        return top_of(self, False, container)


cdef Log only_log_of(Tracker t):
    """Return the log of a tracker if it is the only one that `logs_of` finds; None if there may be more. O(1)."""
    cdef Log log
    if t.owner == NULL or t.epoch != epoch or t.state & T_SEVERAL or t.active == NULL:
        return None
    log = <Log>t.active
    if log.further is not None or (t.log is not None and t.log is not log):
        return None
    return log if t.rare is None or t.rare.past is None else None


cdef int meet_own(Stacks self, Tracker t) except -1:
    """Add the logs that a container wrote to. O(logs)."""
    cdef Log log
    if t.epoch != epoch:
        refresh(t)
    log = only_log_of(t)
    if log is not None:
        return meet_log(self, log)
    for each in logs_of(t):
        meet_log(self, <Log>each)
    return 0


cdef inline int meet_log(Stacks self, Log log) except -1:
    if id(log.ref) not in self.known:
        self.known.add(id(log.ref))
        self.logs.append([log.ref, self.born])
    return 0


cdef bint meet_logs(Stacks self, object value, dict met) except -1:
    """Add the logs of a container and all below it; return whether some were new.

    met: {id: container} of those that were met just now; nested ones are met once, not once per level.
    """
    cdef Py_ssize_t before = len(self.logs)
    cdef list todo = [value]
    while todo:
        each = todo.pop()
        if id(each) not in met:
            met[id(each)] = each
            meet_own(self, looked_at(each))
            todo.extend(children(each))
    return len(self.logs) > before


cdef list read_since(Log log, uint64_t after, uint64_t newest):
    """Return all changes of a log with after < seq <= newest, oldest first; None if there are none. O(changes found)."""
    cdef list found = None
    cdef Py_ssize_t i
    cdef uint64_t seq
    for i in range(log.count - 1, -1, -1):
        if i >= log.count:
            break
        seq = log.stamps[ring_index(log, i)].seq
        if seq <= after:
            break
        if seq <= newest:
            if found is None:
                found = []
            found.append(change_at(log, i, None))
    if found is not None:
        found.reverse()
    return found


cdef int read_on(Stacks self, object container) except -1:
    cdef Tracker t = looked_at(container)
    cdef dict met = None                # made when there is something to look into
    cdef list fresh, found, entry
    cdef bint mixed
    cdef bint more = True
    cdef Change change
    cdef uint64_t newest
    cdef Py_ssize_t limit, i
    if last_seq == self.seen:           # a container that moved is a change, too
        return 0
    meet_own(self, t)
    newest = self.seen = last_seq
    while more:
        more = False
        mixed = False
        fresh = None
        i = 0
        while i < len(self.logs):
            entry = <list>self.logs[i]
            i += 1
            log = entry[0]()
            if log is None:
                i -= 1
                self.known.discard(id(entry[0]))
                del self.logs[i]
                continue
            found = read_since(<Log>log, entry[1], newest)
            if found is not None:
                entry[1] = (<Change>found[len(found) - 1]).seq
                if fresh is None:
                    fresh = found
                else:
                    mixed = True
                    fresh.extend(found)
        if fresh is None:
            break
        if mixed:                       # a change in several trees is one change
            fresh = list({(<Change>each).seq: each for each in fresh}.values())
            fresh.sort(key=_seq_of)
        for each in fresh:
            change = <Change>each
            if len(self.logs) == 1 or not (change.seq in self.past or is_on(self.undo, change.seq)):
                if met is None:
                    met = {}
                if take_in(self, change, container, met):
                    more = True
    refresh(t)
    limit = -1 if t.effective is None else t.effective.values[O_MAX_CHANGES]
    if limit >= 0:
        for stack in (self.undo, self.parked):
            if len(<list>stack) > 2 * limit + 16:
                del (<list>stack)[:len(<list>stack) - limit]
        if len(self.past) > 8 * limit + 64:
            found = sorted(self.past)
            self.past = set(found[len(found) - 4 * limit if limit else 0:])
    return 0


cdef Py_ssize_t position_of(list stack, uint64_t seq):
    """Return how many changes of a stack are older than seq. O(log n)."""
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = len(stack)
    cdef Py_ssize_t middle
    if high and (<Change>stack[high - 1]).seq < seq:
        return high
    while low < high:
        middle = (low + high) // 2
        if (<Change>stack[middle]).seq < seq:
            low = middle + 1
        else:
            high = middle
    return low


cdef bint is_on(list stack, uint64_t seq):
    cdef Py_ssize_t at = position_of(stack, seq)
    return at < len(stack) and (<Change>stack[at]).seq == seq


cdef int put_on(list stack, Change change) except -1:
    stack.insert(position_of(stack, change.seq + 1), change)
    return 0


cdef Change drop_from(Stacks self, list stack, uint64_t seq):
    """Take a change from a stack and note that it left; return it, None if it was not there."""
    cdef Py_ssize_t at = position_of(stack, seq)
    self.past.add(seq)
    if at < len(stack) and (<Change>stack[at]).seq == seq:
        return <Change>stack.pop(at)
    return None


cdef int forget_redo(Stacks self) except -1:
    self.redo.clear()
    self.touched.clear()
    return 0


cdef bint take_in(Stacks self, Change change, object container, dict met) except -1:
    """Put a record where it belongs; return whether there are more logs to read."""
    cdef uint64_t back
    cdef Change taken
    cdef bint any_new = False
    cdef list values
    if not A_ADD <= change.action_code <= A_REMOVE or change.seq <= self.born:
        return False
    back = undone_seq(change)
    if self.start:
        if not back or change.seq <= self.start:
            put_on(self.undo, change)
    elif not back or (change.method_code != M_UNDO and change.method_code != M_REDO
                      and change.method_code != M_ROLLBACK):
        put_on(self.undo, change)
        if self.redo:
            if seen_by(change, container):
                forget_redo(self)
            else:
                self.touched[change.place.tracker] = change.seq
    elif drop_from(self, self.redo, back) is not None:      # an undo was undone
        put_on(self.undo, change)
    else:
        taken = drop_from(self, self.undo, back)
        if change.method_code == M_UNDO or (taken is not None and taken.method_code == M_REDO):
            self.redo.append(change)
        self.past.add(change.seq)
    values = tracked_values(change)
    if values is None:
        return False
    for value in values:
        if meet_logs(self, value, met):
            any_new = True
    if self.parked:
        self.undo = self.undo + self.parked
        self.undo.sort(key=_seq_of)
        self.parked = []
    return any_new


cdef list tracked_values(Change change):
    """Return the tracked containers that a record stored or removed; None if there are none. O(values)."""
    cdef list found
    if change.shape == S_SLOT and (pdt_plain(change.old) or change.old is missing) and (
            pdt_plain(change.new) or change.new is missing):
        return None
    found = [change.old, change.new]
    for items in (change.old, change.new):
        if change.shape == S_SPLICE or change.shape == S_ROWS or change.shape == S_ELEMENTS:
            if type(items) is tuple or type(items) is list:
                found.extend(items)
        elif change.shape == S_FILL and type(items) is dict:
            found.extend((<dict>items).values())
    found = [value for value in found if tracker_of(value) is not None]
    return found or None


cdef Change top_of(Stacks self, bint redo, object container):
    """Return the newest step on a stack that concerns what is here now, or None."""
    cdef Change change
    cdef list stack
    while True:
        stack = self.redo if redo else self.undo
        if not stack:
            return None
        change = <Change>stack[len(stack) - 1]
        if is_below(change.place.tracker, container):
            if redo and self.touched and self.touched.get(change.place.tracker, 0) > change.seq:
                forget_redo(self)       # it was changed while it was elsewhere, and returned
                return None
            return change
        stack.pop()
        if not redo:
            self.parked.append(change)


cdef Change next_in_step(Stacks self, bint redo, object container, uint64_t first):
    """As `top_of`, below change `first`: what came back with something that the step restored waits for the next step."""
    cdef Change change
    cdef list stack = self.redo if redo else self.undo
    cdef Py_ssize_t i = position_of(stack, first)
    if i == len(stack):
        return top_of(self, redo, container)
    while i > 0:
        i -= 1
        change = <Change>stack[i]
        if is_below(change.place.tracker, container):
            return change
        del stack[i]
        if not redo:
            self.parked.append(change)
    return None


cdef Stacks stacks_of(object container):
    """Return the stacks of a container, made when first asked for."""
    cdef dict kept = settings(container)
    cdef object stacks = kept.get("undo")
    if stacks is None:
        stacks = kept["undo"] = Stacks(container)
    return <Stacks>stacks


cdef Transaction transaction_at(Change change):
    """Return the transaction that was open at a change, the nearest around it; None if none was."""
    cdef Transaction each
    if change.scope is None or not isinstance(change.scope.transaction, Transaction):
        return None
    each = <Transaction>change.scope.transaction
    while each is not None and not (each.is_open or change.seq <= each.last_seq):
        each = each.parent
    return each


cdef bint in_parts(Change change):
    """Return whether what undoes a change can be several records. O(keys)."""
    cdef Py_ssize_t i
    if change.place.tracker.kind == K_LIST or change.place.tracker.kind == K_DEQUE:
        return False
    if change.shape == S_ROWS:
        for i in range(0, len(<tuple>change.new), 3):
            if not pdt_quiet_key((<tuple>change.new)[i]):
                return True
    elif change.shape == S_FILL:
        for key in <dict>change.new:
            if not pdt_quiet_key(key):
                return True
    elif change.shape == S_ELEMENTS:
        for items in (change.old, change.new):
            for item in items:
                if not pdt_quiet_key(item):
                    return True
    return False


cdef inline bint is_storable(object value):
    """Return whether a value of a record surely is the one that was there, and not what stands in for it."""
    cdef PyTypeObject *cls
    if pdt_plain(value) or value is missing:
        return True
    cls = Py_TYPE(value)
    return not (type(value) is tuple or type(value) is list or value is REDACTED
                or PyType_IsSubtype(cls, <PyTypeObject *>Words)
                or PyType_IsSubtype(cls, Py_TYPE(REDACTED))
                or PyType_IsSubtype(cls, <PyTypeObject *>redacted_dict)
                or PyType_IsSubtype(cls, <PyTypeObject *>redacted_list))


cdef bint undo_slot(Change change, int method) except -1:
    """Undo a change of one slot; return False and do nothing if it is another one, or cannot be undone. O(1)."""
    cdef Tracker t = change.place.tracker
    cdef Scope now
    cdef Scope scope
    cdef object container, beside, above
    cdef tuple entry
    if change.shape != S_SLOT or not (is_storable(change.key) and is_storable(change.old) and is_storable(change.new)):
        return False
    container = t.container
    if container is None:
        return False
    beside = None
    if change.index < I_LAST and t.kind != K_LIST and t.kind != K_DEQUE:
        beside = change._beside
    scope = Scope.__new__(Scope)
    above = current_scope()
    scope.actor = ""
    if above is not None:
        now = <Scope>above
        scope.actor, scope.context, scope.transaction = now.actor, now.context, now.transaction
    scope.undoes = change.seq
    entry = set_scope(scope)
    try:
        return restore_shape(container, S_SLOT, change.index, change.key, change.new, change.old, method, beside)
    finally:
        reset_scope(entry)


cdef int undo_one(object container, Change change, int method, uint64_t seen, object otherwise) except -1:
    if not undo_slot(change, method):
        otherwise(container, change, METHODS[method], seen)
    return 0


def step_back(container, int method, transaction, otherwise):
    """Undo or redo one step, and return its changes, newest first. O(1) for each, or O(items of the change).

    ``transaction``: makes the one in which a step of several records is undone. ``otherwise(container, change, method,
    seen)`` undoes what is not one slot, or raises.
    """
    cdef Stacks stacks = stacks_of(container)
    cdef bint redo = method == M_REDO
    cdef Change top
    cdef Change first
    cdef Transaction group, other
    cdef list done = []
    read_on(stacks, container)
    top = first = top_of(stacks, redo, container)
    if top is None:
        return done
    group = transaction_at(top)
    if group is None and not in_parts(top):
        undo_one(container, top, method, stacks.seen, otherwise)
        done.append(top)
    else:
        with transaction():
            while top is not None:
                if top is not first:
                    other = transaction_at(top)
                    if group is None or other is None or other.number != group.number or other.part != group.part:
                        break
                undo_one(container, top, method, stacks.seen, otherwise)
                done.append(top)
                read_on(stacks, container)      # which removes it from its stack
                top = next_in_step(stacks, redo, container, first.seq)
    read_on(stacks, container)
    return done


def shown_from(changes, container):
    """Return changes as they may be shown, with paths from the container. O(changes)."""
    cdef Tracker viewer = tracker_of(container)
    return [as_shown(seen_from(<Change>change, viewer)) for change in changes]
