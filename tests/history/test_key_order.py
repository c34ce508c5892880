"""Whatever brings an earlier state of a dict back, its keys are in order."""

import copy
import json

import pytest
from builds import needs_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, tracking_transaction
from pydatatracker.history import Replica, replay

pytestmark = needs_tables
KEYS = st.sampled_from(["a", "b", "c", "d", 1, 2.5, (1, "x"), None, b"k", True])
VALUES = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, VALUES),
    st.tuples(st.just("del"), KEYS),
    st.tuples(st.just("pop"), KEYS),
    st.tuples(st.just("popitem")),
    st.tuples(st.just("setdefault"), KEYS, VALUES),
    st.tuples(st.just("update"), st.lists(st.tuples(KEYS, VALUES), max_size=4)),
    st.tuples(st.just("merge"), st.dictionaries(KEYS, VALUES, max_size=4)),
    st.tuples(st.just("ior"), st.dictionaries(KEYS, VALUES, max_size=4)),
    st.tuples(st.just("clear")),
    st.tuples(st.just("rename"), KEYS, KEYS),
    st.tuples(st.just("undo"), st.integers(1, 3)),
    st.tuples(st.just("redo"), st.integers(1, 2)),
    st.tuples(st.just("revert_to"), st.integers(0, 8)),
    st.tuples(st.just("rollback"), st.lists(st.tuples(KEYS, VALUES), max_size=3), KEYS),
)
PROGRAMS = st.lists(STEPS, max_size=14)
STARTS = st.dictionaries(KEYS, VALUES, max_size=8)


def act(d, step):
    """Do one step of a program."""
    name, *rest = step
    if name == "set":
        d[rest[0]] = rest[1]
    elif name == "del":
        if rest[0] in d:
            del d[rest[0]]
    elif name == "pop":
        d.pop(rest[0], None)
    elif name == "popitem":
        if d:
            d.popitem()
    elif name == "setdefault":
        d.setdefault(*rest)
    elif name in ("update", "merge"):
        d.update(rest[0])
    elif name == "ior":
        d |= rest[0]
    elif name == "clear":
        d.clear()
    elif name == "rename":
        if rest[0] in d:
            d[rest[1]] = d.pop(rest[0])
    elif name == "undo":
        d.tracking_undo(rest[0])
    elif name == "redo":
        d.tracking_redo(rest[0])
    elif name == "revert_to":
        changes = d.tracking_changes()[1:]
        if changes:
            d.tracking_revert_to(changes[max(0, len(changes) - 1 - rest[0])])
    else:
        before = items(d)
        with pytest.raises(ZeroDivisionError), tracking_transaction() as tx:
            d.update(rest[0])
            middle = items(d)
            with pytest.raises(ZeroDivisionError), tracking_transaction():
                d.pop(rest[1], None)
                d["new"] = 1
                d.clear()
                raise ZeroDivisionError
            assert items(d) == middle
            d.pop(rest[1], None)
            tx.rollback()
            assert items(d) == before
            d.pop(rest[1], None)
            raise ZeroDivisionError
        assert items(d) == before


def items(d):
    """Return the items of a dict, in order."""
    return copy.deepcopy(list(dict.items(d)))


@settings(max_examples=400, deadline=None)
@given(STARTS, PROGRAMS)
def test_every_way_back_gives_the_order_of_then(start, program):
    d = TrackedDict(start)
    wrong, lines, states = [], [], []
    followers, tracked = [Replica(dict(start)), Replica(dict(start))], Replica(TrackedDict(start))

    def follow(change):
        line = json.dumps(change.to_dict(compact=True))
        lines.append(line)
        followers[0].apply(line)
        followers[1].apply(change)
        wrong.extend((line, items(each.value), items(d)) for each in followers if items(each.value) != items(d))
        states.append((change.seq, items(d)))

    d.tracking_add_observer(follow, when="immediate")
    for step in program:
        act(d, step)
        assert not wrong
        for line in lines:  # not while the transaction of the source is open: it would be rolled back with it
            tracked.apply(line)
        lines.clear()
        assert items(tracked.value) == items(d)
    now = items(d)
    for seq, state in states:
        assert list(d.tracking_state_at(seq).items()) == state
    if states:
        before = d.tracking_changes()[0]
        first = before.after if before.action == "init" else {}
        assert list(first.items()) == list(start.items())
        assert list(replay(d.tracking_changes()).items()) == now
    last = states[-1][0] if states else 0
    d.tracking_undo(10_000)
    assert items(d) == list(start.items())
    if not any(step[0] == "undo" for step in program):
        d.tracking_redo(10_000)
        assert items(d) == now
        d.tracking_undo(10_000)
        assert items(d) == list(start.items())
    if states:
        d.tracking_revert_to(last)
        assert items(d) == now
        d.tracking_revert(since=states[0][0] - 1)
        assert items(d) == list(start.items())
        assert items(followers[0].value) == items(d)


class Key:
    """A key that is compared in Python."""

    def __init__(self, n):
        self.n = n

    def __hash__(self):
        return self.n % 3

    def __eq__(self, other):
        return isinstance(other, Key) and self.n == other.n

    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize("make", [str, int, Key, lambda n: (n, str(n)), lambda n: frozenset([n])])
@pytest.mark.parametrize("size", [1, 2, 5, 6, 200, 300, 70_000])
def test_keys_of_every_kind_come_back_where_they_were(make, size):
    keys = [make(n) for n in range(min(size, 300) if make is Key else size)]
    d = TrackedDict.fromkeys(keys, 0)
    before = list(d)
    picked = {0, len(keys) // 2, len(keys) - 1, len(keys) // 3, len(keys) // 3 + 1 if len(keys) > 3 else 0}
    born = d.last_change().seq if d.last_change() else None
    for n in sorted(picked, key=lambda n: n * 7 % 5):
        del d[make(n)]
    if born is not None:
        assert list(d.tracking_state_at(born)) == before
    d.tracking_undo(len(picked))
    assert list(d) == before


@pytest.mark.parametrize("order", ["forwards", "backwards", "inwards"])
def test_a_long_gap_costs_little(order):
    keys = list(range(30_000))
    d = TrackedDict.fromkeys(keys)
    half = keys[1:-1]
    if order == "backwards":
        half.reverse()
    elif order == "inwards":
        half = [
            key for pair in zip(half[: len(half) // 2], half[: len(half) // 2 - 1 : -1], strict=True) for key in pair
        ]
    for key in half:
        del d[key]
    assert list(d) == [0, 29_999]
    d.tracking_undo(100)
    assert list(d) == [0, *sorted(half[-100:]), 29_999]


def test_a_ring_that_dropped_its_beginning_keeps_the_order_of_the_rest():
    d = TrackedDict(tracking_max_changes=6)
    d.update(dict.fromkeys("abcdefgh"))
    states = []
    for key in "cagbhx":
        if key in d:
            del d[key]
        else:
            d[key] = 1
        states.append((d.last_change().seq, items(d)))
        d["last " + key] = 1
        states.append((d.last_change().seq, items(d)))
    for seq, state in states[-6:]:
        assert list(d.tracking_state_at(seq).items()) == state
    d.tracking_undo(5)
    assert items(d) == states[-6][1]


def test_a_refused_change_leaves_the_order_alone():
    d = TrackedDict.fromkeys("abcd", 0)
    d.tracking_break("/*", do="raise")
    for act_ in (lambda: d.pop("b"), lambda: d.__delitem__("a"), lambda: d.update(z=1)):
        with pytest.raises(Exception, match=r".+"):
            act_()
        assert list(d) == list("abcd")


class Plain(TrackedAttr):
    """An object with attributes."""


def test_attributes_come_back_where_they_were():
    o = Plain()
    for name in "abcd":
        setattr(o, name, 1)
    states = []
    for name in "bac":
        delattr(o, name)
        states.append((o.last_change().seq, list(vars(o))))
    for seq, names in states:
        assert list(o.tracking_state_at(seq)) == names
    o.tracking_undo(3)
    assert list(vars(o)) == list("abcd")
    assert list(replay(o.tracking_changes())) == list("abcd")
    o.tracking_redo(2)
    assert list(vars(o)) == ["c", "d"]
