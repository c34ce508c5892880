"""Undo, redo and revert: the data, the log, and what is refused."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from builds import needs_gil
from gardener import Gardener, alike, plain_copy
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import (
    HistoryLostError,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    _core,
    track,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker._core import undone_by
from pydatatracker.history.undo import UndoConflictError


class Name(str):
    """A key that is compared by its class."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


def undo_all(x: Any) -> int:
    steps = 0
    while x.tracking_undo():
        steps += 1
        assert steps < 10_000, "undo does not come to an end"
    return steps


def redo_all(x: Any) -> int:
    steps = 0
    while x.tracking_redo():
        steps += 1
        assert steps < 10_000, "redo does not come to an end"
    return steps


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_undo_all_gives_the_start_and_redo_all_the_end(seed: int, operations: int) -> None:
    """Undoing everything gives the start, redoing everything the end.

    Whatever was moved, shared, detached, changed while detached and put back, also the second time.
    """
    chance = random.Random(seed)
    x = track({"rows": [[1], {"a": 2}], "cfg": {"ports": [80, 443], "tags": {1}}}, tracking_max_changes=None)
    start = plain_copy(x)
    gardener = Gardener(x, chance)
    for _ in range(operations):
        gardener.step()
    end = plain_copy(x)
    for _ in range(2):
        undo_all(x)
        assert alike(start, plain_copy(x))
        x._check()
        redo_all(x)
        assert alike(end, plain_copy(x))
        x._check()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 80), st.data())
def test_revert_to_gives_every_state_that_was(seed: int, operations: int, data: Any) -> None:
    """tracking_revert_to(k) gives the state after k, and can be undone.

    Also where undo, redo and reverts lie between.
    """
    chance = random.Random(seed)
    x = track({"rows": [[1], {"a": 2}], "cfg": {"ports": [80, 443], "tags": {1}}}, tracking_max_changes=None)
    gardener = Gardener(x, chance)
    states = [(_core.newest_seq(), plain_copy(x))]
    for _ in range(operations):
        pick = chance.random()
        if pick < 0.1:
            x.tracking_undo(chance.randrange(3))
        elif pick < 0.15:
            x.tracking_redo()
        else:
            gardener.step()
        states.append((_core.newest_seq(), plain_copy(x)))
    for _ in range(3):
        seq, then = data.draw(st.sampled_from(states))
        before = plain_copy(x)
        assert alike(then, x.tracking_state_at(seq))
        done = x.tracking_revert_to(seq)
        assert alike(then, plain_copy(x))
        x._check()
        if done:
            x.tracking_undo()
            assert alike(before, plain_copy(x))
            x.tracking_redo()


def test_undo_restores_the_same_object() -> None:
    """Undo restores the same object, not a copy."""
    a, b = object(), object()
    x = TrackedDict(one=a, many=TrackedList([a, b]))
    many = x["many"]
    del x["many"]
    x["one"] = b
    x.tracking_undo(2)
    assert x["many"] is many
    assert x["one"] is a
    many.clear()
    many.tracking_undo()
    assert [True, True] == [many[0] is a, many[1] is b]


def test_undo_is_recorded_and_names_the_undone_change() -> None:
    """Undo is recorded, with the seq of the change that it undid."""
    x = TrackedList([3, 1, 2])
    x.sort()
    sort = x.last_change()
    assert sort is not None
    x.tracking_undo()
    undone = x.last_change()
    assert undone is not None
    assert ("tracking_undo", sort.seq, [3, 1, 2]) == (undone.method, undone.undoes, list(x))
    assert 3 == len(x.tracking_changes())
    assert sort.seq == undone.to_dict()["undoes"]


def test_a_fresh_change_empties_the_redo_stack() -> None:
    """A new change empties the redo stack."""
    x = TrackedDict()
    x["a"] = 1
    x.tracking_undo()
    x["b"] = 2
    assert [] == x.tracking_redo()
    assert {"b": 2} == x


def test_a_change_elsewhere_in_the_tree_does_not_empty_it() -> None:
    """A change elsewhere in the tree keeps the redo stack of a child."""
    root = track({"a": {}, "b": {}})
    root["a"]["n"] = 1
    root["a"].tracking_undo()
    root["b"]["n"] = 2
    assert 1 == len(root["a"].tracking_redo())
    assert {"a": {"n": 1}, "b": {"n": 2}} == root


def test_a_part_and_the_whole_share_one_history() -> None:
    """What a child undid is undone for the root, which can redo it."""
    root = track({"a": {}})
    root["a"]["n"] = 1
    root["top"] = 1
    root["a"].tracking_undo()
    assert {"a": {}, "top": 1} == root
    root.tracking_redo()
    assert {"a": {"n": 1}, "top": 1} == root
    root.tracking_undo(2)
    assert {"a": {}} == root


def test_a_transaction_is_one_step() -> None:
    """Undo and redo treat a transaction as one step."""
    x = TrackedDict(tracking_auto_convert=True)
    x["z"] = []
    with tracking_transaction():
        x["a"] = 1
        x["z"].append(1)
    assert 2 == len(x.tracking_undo())
    assert {"z": []} == x
    assert 2 == len(x.tracking_redo())
    assert {"z": [1], "a": 1} == x


@pytest.mark.parametrize(
    "key", ["e", 5, (1, "x"), frozenset({1}), Name("e")], ids=["str", "int", "tuple", "set", "own"]
)
@pytest.mark.parametrize("kind", ["dict", "set"])
def test_a_bulk_call_is_one_step_whatever_its_keys(kind: str, key: Any) -> None:
    """Undo and redo of a bulk call take all of it, with any keys."""
    x: Any = track({"a": 0, key: 1, "c": 2}) if kind == "dict" else TrackedSet(["a", key, "c"])
    full = x.copy()
    x.clear()
    empty = x.copy()
    for _ in range(2):
        x.tracking_undo()
        assert full == x
        x.tracking_redo()
        assert empty == x
    x.tracking_undo()
    before = _core.newest_seq()
    assert [] == x.tracking_revert(since=0)
    assert (full, before) == (x, _core.newest_seq())


def test_a_rolled_back_transaction_leaves_no_step() -> None:
    """Undo skips a transaction that was rolled back."""
    x = TrackedDict()
    x["a"] = 1
    with pytest.raises(ZeroDivisionError), tracking_transaction():
        x["b"] = 1
        x["b"] = 1 / 0
    x.tracking_undo()
    assert {} == x
    assert [] == x.tracking_undo()


def test_undo_in_a_transaction_is_rolled_back() -> None:
    """A rollback reverses an undo, which can be done again afterwards."""
    x = TrackedDict()
    x["a"] = 1
    with pytest.raises(KeyError), tracking_transaction():
        x.tracking_undo()
        raise KeyError
    assert {"a": 1} == x
    x.tracking_undo()
    assert {} == x


def test_lock_refuses_undo_and_nothing_is_lost() -> None:
    """A locked container refuses undo; after unlock it works."""
    x = TrackedList()
    x.append(1)
    x.lock()
    with pytest.raises(TrackingLockedError):
        x.tracking_undo()
    assert [1] == x
    x.unlock()
    x.tracking_undo()
    assert [] == x


def test_undo_does_not_overwrite_untracked_changes() -> None:
    """Undo refuses to overwrite data that was changed without tracking."""
    x = TrackedDict(a=1)
    x["a"] = 2
    dict.__setitem__(x, "a", 99)
    with pytest.raises(UndoConflictError, match="not as the change left it"):
        x.tracking_undo()
    assert {"a": 99} == x


def test_undo_beyond_the_ring_is_an_error() -> None:
    """Undo beyond the ring is an error; with nothing done at all it is not."""
    x = TrackedDict(tracking_max_changes=2)
    assert [] == x.tracking_undo()
    for n in range(5):
        x["n"] = n
    assert 2 == len(x.tracking_undo(2))
    assert {"n": 2} == x
    with pytest.raises(HistoryLostError, match="no longer kept"):
        x.tracking_undo()


@needs_gil  # references that are given back when the call ends take 20,000 bytes more there
def test_a_thousand_undos_on_a_long_list() -> None:
    """Undo costs what the change cost: it does not copy the list.

    Measured by allocations, not by a clock.
    """
    import tracemalloc

    x = TrackedList(range(100_000))
    for n in range(1000):
        x[n * 7] = -n
    x.tracking_undo()
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    x.tracking_undo(999)
    peak = tracemalloc.get_traced_memory()[1] - base
    tracemalloc.stop()
    assert list(range(100_000)) == x
    assert peak < 800_000, f"{peak} bytes: a copy of the list is 800,000"


class Account(TrackedAttr):
    def __init__(self) -> None:
        self.balance = 0
        self._rate = 1

    @property
    def rate(self) -> int:
        return self._rate

    @rate.setter
    def rate(self, value: int) -> None:
        self._rate = value


def test_attributes_and_properties_come_back() -> None:
    """Undo restores attributes by their storage, properties by their setter.

    An attribute that was added is deleted.
    """
    x = Account()
    x.balance = 5
    x.rate = 3
    x.note = "hi"  # type: ignore[attr-defined]
    x.tracking_undo(3)
    assert (0, 1, False) == (x.balance, x.rate, hasattr(x, "note"))
    x.tracking_redo(3)
    assert (5, 3, "hi") == (x.balance, x.rate, x.note)  # type: ignore[attr-defined]


# ---- revert: only what matches


def test_revert_of_one_actor_follows_items_through_shifts() -> None:
    """A revert of one actor keeps the inserts and sorts of the other."""
    x = TrackedList(["a", "b", "c"])
    with tracking_actor("eve"):
        x[1] = "EVE"
        x.append("tail")
    x.insert(0, "first")
    x.reverse()
    assert ["tail", "c", "EVE", "a", "first"] == x
    assert [] == x.tracking_revert(actor="eve")
    assert ["c", "b", "a", "first"] == x
    x._check()


def test_revert_reports_what_a_later_change_touched_and_leaves_it() -> None:
    """A revert returns the changes that it could not undo."""
    x = TrackedDict(a=1, b=1)
    with tracking_actor("eve"):
        x.update(a=2, b=2)
    x["b"] = 3
    conflicts = x.tracking_revert(actor="eve")
    assert ["update"] == [change.method for change in conflicts]
    assert {"a": 2, "b": 3} == x
    assert [] == x.tracking_revert(path="/a")
    assert {"a": 1, "b": 3} == x


@pytest.mark.parametrize("how", ["undo", "revert", "undo and redo", "undo, redo and undo", "undo, redo and revert"])
def test_what_is_undone_already_is_not_reverted_again(how: str) -> None:
    """A revert records nothing for a change that has been undone."""
    d = TrackedDict(a=1)
    with tracking_actor("eve"):
        d["a"] = 2
        d["l"] = 3
    for word in how.replace(",", "").split():
        if word == "revert":
            assert [] == d.tracking_revert(actor="eve")
        elif word != "and":
            assert 2 == len((d.tracking_undo if word == "undo" else d.tracking_redo)(2))
    if word == "redo":
        d.tracking_revert(actor="eve")
    before = _core.newest_seq()
    assert [] == d.tracking_revert(actor="eve")
    assert ({"a": 1}, before) == (d, _core.newest_seq())


@pytest.mark.parametrize(
    ("change", "reverted", "conflicts"),
    [
        (lambda x: x.__setitem__(slice(None, None, 2), "abc"), ["x", 0, 1, 2, 3, 4, 5, "y"], 0),
        (lambda x: x.__delitem__(slice(None, None, 2)), ["x", 1, 3, 5, "y"], 1),
        (lambda x: x.__setitem__(slice(1, 3), []), ["x", 0, 1, 2, 3, 4, 5, "y"], 0),
        (lambda x: x.__setitem__(slice(0, 0), [8, 9]), ["x", 0, 1, 2, 3, 4, 5, "y"], 0),
        (lambda x: x.__setitem__(slice(0, 2), [8, 9, 7]), ["x", 0, 1, 2, 3, 4, 5, "y"], 0),
        (lambda x: x.__delitem__(slice(0, 2)), ["x", 0, 1, 2, 3, 4, 5, "y"], 0),
        (lambda x: x.pop(0), ["x", 0, 1, 2, 3, 4, 5, "y"], 0),
        (lambda x: x.sort(reverse=True), ["x", 5, 4, 3, 2, 1, 0, "y"], 1),
    ],
)
@pytest.mark.parametrize("front", [True, False])
def test_a_bulk_change_of_a_list_below_later_ones(change: Any, reverted: Any, conflicts: int, front: bool) -> None:
    """Values put into a slice are reverted below later insertions.

    Scattered removals have no place of their own any more, and an order none at all: these are conflicts, and stay.
    """
    items = TrackedList(range(6))
    with tracking_actor("eve"):
        change(items)
    if front:
        items.insert(0, "x")
    items.append("y")
    assert (conflicts, reverted[not front :]) == (len(items.tracking_revert(actor="eve")), items)
    assert items.tracking_verify() is None


def test_a_revert_is_one_step_to_undo() -> None:
    """Undo reverses a whole revert in one step."""
    x = TrackedDict(a=1)
    with tracking_actor("eve"):
        x["a"] = 2
        x["b"] = 2
    x.tracking_revert(actor="eve")
    assert {"a": 1} == x
    x.tracking_undo()
    assert {"a": 2, "b": 2} == x


def test_revert_by_transaction_and_since() -> None:
    """A revert can be limited by transaction, by a point, and by both."""
    x = TrackedDict()
    with tracking_transaction() as one:
        x["a"] = 1
    x["b"] = 2
    mark = x.last_change()
    x["c"] = 3
    assert [] == x.tracking_revert(transaction=one.id)
    assert {"b": 2, "c": 3} == x
    assert [] == x.tracking_revert(since=mark, path="/c")
    assert {"b": 2} == x
    assert [] == x.tracking_revert(actor="nobody")


def test_since_leaves_what_is_older() -> None:
    """With since, only newer changes are reverted, whatever else is asked."""
    d = TrackedDict()
    with tracking_actor("eve"):
        d["a"] = 1
        since = d.last_change()
        d["b"] = 2
    d["c"] = 3
    assert since is not None
    assert [] == d.tracking_revert(actor="eve", since=since)
    assert {"a": 1, "c": 3} == d
    assert [] == d.tracking_revert(since=since)
    assert {"a": 1} == d
    assert [] == d.tracking_revert()
    assert {} == d


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("undone", [False, True])
@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (lambda x: x.__delitem__(slice(None, None, 2)), [1, 3, 5]),
        (lambda x: x.__delitem__(slice(1, None, 2)), None),
        (lambda x: x.__setitem__(slice(None, None, 2), "abc"), ["a", 1, "b", 3, "c", 5]),
        (lambda x: x.__setitem__(slice(1, None, 2), "abc"), None),
        (lambda x: x.__setitem__(1, "b"), None),
        (lambda x: x.__setitem__(0, "b"), ["b", 1, 2, 3, 4, 5]),
        (lambda x: x.__setitem__(slice(0, 1), "bc"), ["b", "c", 1, 2, 3, 4, 5]),
        (lambda x: x.__setitem__(slice(0, 3), "bc"), None),
        (lambda x: x.pop(1), None),
        (lambda x: x.reverse(), [5, 4, 3, 2, 1, 0]),
    ],
)
def test_an_item_is_reverted_wherever_later_changes_moved_it(
    later: Any, expected: Any, undone: bool, stays: bool
) -> None:
    """It is a conflict if they changed or removed it, and were not undone."""
    items = TrackedList(range(6))
    with tracking_actor("eve"):
        items[1] = "e"
    later(items)
    if undone:
        items.tracking_undo()
        expected = [0, 1, 2, 3, 4, 5]
    if stays:  # a later change that has nothing to do with it
        items.append("y")
        expected = None if expected is None else [*expected, "y"]
    kept = list(items)
    conflicts = items.tracking_revert(actor="eve")
    assert (expected is None, kept if expected is None else expected) == (len(conflicts) == 1, items)
    assert items.tracking_verify() is None


def test_an_emptied_list_is_filled_again() -> None:
    """A removal is reverted also if nothing of that time is left."""
    items = TrackedList([1])
    with tracking_actor("eve"):
        del items[0]
    items.append("x")
    items.pop()
    assert [] == items.tracking_revert(actor="eve")
    assert [1] == items


def test_no_steps_are_no_change() -> None:
    """0 steps are allowed, and undo and redo nothing."""
    d = TrackedDict(a=1)
    d["a"] = 2
    before = _core.newest_seq()
    assert [] == d.tracking_undo(0) == d.tracking_redo(0)
    assert before == _core.newest_seq()


@pytest.mark.parametrize("rounds", [1, 30, *range(45, 53)])
def test_what_was_undone_stays_so_when_another_log_has_it_too(rounds: int) -> None:
    """A tree that comes in later brings no step that was undone before."""
    x, y = track({}, tracking_max_changes=4), track({}, tracking_max_changes=4)
    x["c"] = shared = track({"n": 0})
    x["other"] = 1
    x.tracking_undo()
    y["c"] = shared  # from now on its changes are in both logs
    for n in range(rounds):
        shared["n"] = n + 1
        assert 1 == len(x.tracking_undo())
        assert {"n": 0} == shared
    x["y"] = y
    assert ["/y"] == [change.pointer for change in x.tracking_undo()]
    for _ in range(3):
        with contextlib.suppress(HistoryLostError):
            x.tracking_undo()
        assert {"n": 0} == shared


@pytest.mark.parametrize("method", ["tracking_undo", "tracking_redo", "tracking_revert"])
def test_only_what_undoes_names_another_change(method: str) -> None:
    """`undoes` is None, and 0 inside, for every other change."""
    d = TrackedDict()
    d["a"] = 1
    change: Any = d.last_change()
    assert (None, 0) == (change.undoes, undone_by(change))
    d.tracking_undo() if method != "tracking_revert" else d.tracking_revert()
    first: Any = d.last_change()
    assert (change.seq, change.seq) == (first.undoes, undone_by(first))
    if method == "tracking_redo":
        d.tracking_redo()
        second: Any = d.last_change()
        assert (first.seq, first.seq) == (second.undoes, undone_by(second))


def test_a_change_below_a_replaced_container_is_a_conflict() -> None:
    """A change below a container that was replaced since is a conflict."""
    x = track({"l": [1]})
    with tracking_actor("eve"):
        x["l"].append(2)
    x["l"] = [9]
    assert ["/l/1"] == [change.pointer for change in x.tracking_revert(actor="eve")]
    assert {"l": [9]} == x


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 9)), max_size=25))
def test_reverting_one_actors_list_changes_equals_never_having_made_them(script: list[tuple[bool, int, int]]) -> None:
    """Without conflicts a revert leaves what the other operations alone give.

    Items are unique; the other actor works on items by identity, so that leaving eve's operations out is well defined.
    """
    x = TrackedList([f"start{n}" for n in range(4)])
    alone = list(x)
    for fresh, (by_eve, do, pick) in enumerate(script):
        item = f"{'eve' if by_eve else 'me'}{fresh}"
        if by_eve:
            with tracking_actor("eve"):
                x.insert(pick % (len(x) + 1), item)
        elif do < 2 or not x:
            x.append(item)
            alone.append(item)
        elif do == 2:
            x.insert(0, item)
            alone.insert(0, item)
        elif do == 3:
            mine = [each for each in x if not each.startswith("eve")]
            if mine:
                x.remove(mine[pick % len(mine)])
                alone.remove(mine[pick % len(mine)])
        else:
            x.reverse()
            alone.reverse()
    assert [] == x.tracking_revert(actor="eve")
    assert alone == x
    x._check()


def test_sets_and_every_bulk_call() -> None:
    """Every mutator of every kind can be undone and redone."""
    s = TrackedSet([1, 2])
    states = [set(s)]
    for call, argument in [("update", [3, 4]), ("difference_update", [1]), ("symmetric_difference_update", [2, 9]),
                           ("intersection_update", [9, 3]), ("add", 7), ("discard", 3)]:  # fmt: skip
        getattr(s, call)(argument)
        states.append(set(s))
    s.clear()
    for then in reversed(states):
        s.tracking_undo()
        assert then == s


@pytest.mark.parametrize("n", [-1, True, 1.5, "1"])
def test_a_bad_count_is_refused(n: Any) -> None:
    """A wrong count is refused, and nothing is undone."""
    x = TrackedDict()
    x["a"] = 1
    with pytest.raises(TypeError, match="number of steps"):
        x.tracking_undo(n)
    assert {"a": 1} == x


def test_undo_of_a_sort_without_values() -> None:
    """A sort can be undone without kept values, as its record is an order."""
    x = TrackedList([3, 1], tracking_keep_values=False)
    x.sort()
    x.tracking_undo()
    assert [3, 1] == x
    assert [1, 0] == x.last_change().to_dict()["order"]  # type: ignore[union-attr]
    assert x.tracking_verify() is None
