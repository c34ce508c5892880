"""JSON patches made from records, applied by jsonpatch."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import jsonpatch
import pytest
from gardening import STEPS, Node, Session, alike
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import HistoryLostError, TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core, track
from pydatatracker.history import state_at, walk
from pydatatracker.history.patch import _longest_rising, patch
from pydatatracker.history.walk import plain_copy


def applied(state: Any, operations: list[dict[str, Any]]) -> Any:
    """Return what jsonpatch makes of a state.

    Older versions store values by reference, so a value that is shared shows here.
    """
    return jsonpatch.apply_patch(plain_copy(state), operations)


def containers_of(value: Any) -> list[int]:
    """Return the ids of all mutable objects in plain data."""
    if isinstance(value, dict):
        return [id(value), *(each for item in value.values() for each in containers_of(item))]
    if isinstance(value, (list, tuple)):
        return [id(value), *(each for item in value for each in containers_of(item))] if value else [id(value)]
    return [id(value)] if isinstance(value, set) else []


@given(STEPS, st.data())
def test_a_patch_leads_from_any_past_state_to_any_later_one(steps: list[Any], data: st.DataObject) -> None:
    """A patch leads between any two points of a session, forward and back.

    Also with test operations.
    """
    session = Session().run(steps)
    points = st.integers(0, len(session.past) - 1)
    pairs = [(0, len(session.past) - 1), *data.draw(st.lists(st.tuples(points, points), min_size=3, max_size=6))]
    for pair in pairs:
        (since, old), (until, new) = (session.past[n] for n in sorted(pair))
        for test in (False, True):
            forward = patch(session.root, since, until, test=test)
            back = patch(session.root, since, until, inverse=True, test=test)
            assert alike(new, applied(old, forward)), forward
            assert alike(old, applied(new, back)), back
    assert alike(session.past[-1][1], plain_copy(session.root)), "asking changed the container"


@given(STEPS)
def test_a_patch_of_a_container_inside_is_about_that_one(steps: list[Any]) -> None:
    """A patch of a nested container leads between its own states."""
    session = Session()
    child = session.root["rows"]
    start, old = _core.newest_seq(), plain_copy(child)
    session.run(steps)
    assert alike(plain_copy(child), applied(state_at(child, start), patch(child, start)))
    assert alike(old, applied(child, patch(child, start, inverse=True)))


@given(STEPS)
def test_values_are_plain_and_shared_with_nothing(steps: list[Any]) -> None:
    """Values of a patch are plain, and no two operations share one."""
    session = Session().run(steps)
    operations = patch(session.root, session.past[0][0], test=True)
    ids = [each for operation in operations for each in containers_of(operation.get("value"))]
    assert len(ids) == len(set(ids))
    todo = [operation.get("value") for operation in operations]
    while todo:
        value = todo.pop()
        assert _core.tracker(value) is None
        todo.extend(value.values() if isinstance(value, dict) else value if isinstance(value, (list, set)) else ())


def test_every_change_of_an_item_is_one_operation() -> None:
    """Each change of an item is one operation, in order, pointers escaped."""
    d = track({"a/b": {"m~n": [1, 2]}})
    d["a/b"]["m~n"].insert(0, 0)
    d["a/b"]["m~n"][1] = None
    del d["a/b"]["m~n"][2]
    d[""] = "empty"
    expected = [
        {"op": "add", "path": "/a~1b/m~0n/0", "value": 0},
        {"op": "replace", "path": "/a~1b/m~0n/1", "value": None},
        {"op": "remove", "path": "/a~1b/m~0n/2"},
        {"op": "add", "path": "/", "value": "empty"},
    ]
    assert expected == patch(d)


def test_a_bulk_call_is_one_operation_per_row() -> None:
    """A bulk call gives one operation per row that changed."""
    same = object()
    d = TrackedDict(a=1, b=same)
    d.update(a=2, b=same, c=3)
    assert [("replace", "/a"), ("add", "/c")] == [(each["op"], each["path"]) for each in patch(d)]
    before = _core.newest_seq()
    d.clear()
    assert {"/a", "/b", "/c"} == {each["path"] for each in patch(d, before) if each["op"] == "remove"}


def test_a_container_at_two_paths_is_changed_at_both() -> None:
    """A change of a list at two paths gives an operation for each."""
    shared = TrackedList()
    d = TrackedDict(a=shared, b=shared)
    shared.append(1)
    assert {"/a/0", "/b/0"} == {each["path"] for each in patch(d)}
    assert {"a": [1], "b": [1]} == applied(state_at(d, _core.born(d)[1]), patch(d))


@pytest.mark.parametrize(("good", "bad"), [(1, 0), (1, 1), (2, 1), (1, 2), (254, 1), (255, 1), (256, 0), (200, 100)])
def test_a_container_at_many_paths_is_changed_at_all(good: int, bad: int) -> None:
    """Any number of paths, also with some that no pointer names."""
    shared = track({"n": 0})
    x = track({})
    for n in range(good):
        x[str(n)] = shared
    x["tuples"] = {}
    for n in range(bad):
        x["tuples"][n, 0] = shared
    then, since = plain_copy(x), _core.newest_seq()
    shared["n"] = 1
    operations = patch(x, since)
    assert alike(plain_copy(x), applied(then, operations))


def test_a_value_is_given_as_it_was_then() -> None:
    """A value is added as it was when it was stored."""
    d = TrackedDict()
    child = TrackedList([1])
    d["a"] = child
    child.append(2)
    del d["a"]
    child.append(3)
    d["b"] = child
    expected = [
        {"op": "add", "path": "/a", "value": [1]},
        {"op": "add", "path": "/a/1", "value": 2},
        {"op": "remove", "path": "/a"},
        {"op": "add", "path": "/b", "value": [1, 2, 3]},
    ]
    assert expected == patch(d)


def test_unnameable_changes_replace_the_container_above() -> None:
    """A change that a pointer cannot name replaces the container above it.

    For an int key that is the dict, for an element the set; many changes of one are one operation.
    """
    d = track({"ids": {1: [0]}, "tags": {0}, "n": 0})
    for n in range(1, 50):
        d["ids"][1].append(n)
        d["tags"].add(n)
        d["n"] = n
    whole = [each for each in patch(d) if each["path"] != "/n"]
    assert [("replace", "/ids", {1: list(range(50))}), ("replace", "/tags", set(range(50)))] == sorted(
        (each["op"], each["path"], each["value"]) for each in whole
    )
    assert {"ids": {1: [0]}, "tags": {0}, "n": 0} == applied(d, patch(d, inverse=True, test=True))


def test_a_set_is_replaced_at_its_path_of_that_time() -> None:
    """A set is replaced at the path that it had at the time of the change."""
    items = track([{0}])
    items[0].add(1)
    items.insert(0, "front")
    items[1].add(2)
    operations = patch(items, test=True)
    assert [("/0", {0, 1}), ("/0", "front"), ("/1", {0, 1, 2})] == [
        (each["path"], each["value"]) for each in operations if each["op"] != "test"
    ]
    assert ["front", {0, 1, 2}] == applied([{0}], operations)


def test_a_set_of_objects_keeps_the_same_objects() -> None:
    """A change below an element does not replace the set, a new element does."""
    node = Node()
    d = TrackedDict(bag=TrackedSet([node]))
    node.x = 1
    assert [] == patch(d)
    d["bag"].add(0)
    (operation,) = patch(d)
    assert ("replace", "/bag", set) == (operation["op"], operation["path"], type(operation["value"]))
    assert {node, 0} == operation["value"]


@pytest.mark.parametrize("moved", [1, 2])
def test_a_short_reordering_is_moves_and_a_long_one_a_replacement(moved: int) -> None:
    """One or two items that move are moves, a shuffle replaces the list."""
    items = track([[n] for n in range(40)])
    first = [items[n] for n in range(moved)]
    items.sort(key=lambda item: any(item is each for each in first))
    assert ["move"] * moved == [each["op"] for each in patch(items)]
    before = _core.newest_seq()
    items.sort(key=lambda item: item[0] * 7 % 40)
    assert ["replace"] == [each["op"] for each in patch(items, before)]


@pytest.mark.parametrize("size", range(7))
def test_a_reordering_is_as_few_moves_as_possible(size: int) -> None:
    """Of every order, all items but a longest rising part are moved."""
    for order in itertools.permutations(range(size)):
        parts = (part for length in range(size + 1) for part in itertools.combinations(order, length))
        longest = max(len(part) for part in parts if list(part) == sorted(part))
        found = _longest_rising(order)
        assert longest == len(found)
        assert sorted(found) == [n for n in order if n in found]


@given(st.permutations(list(range(9))))
def test_any_order_is_reached(order: list[int]) -> None:
    """A patch reaches any order of a list, forward and back."""
    items = TrackedList(range(9))
    items.sort(key=order.index)
    assert order == applied(list(range(9)), patch(items, test=True))
    assert list(range(9)) == applied(order, patch(items, inverse=True, test=True))


def test_strange_strings_as_keys_are_still_right() -> None:
    """A key of a str subclass is a key if it compares like str.

    Otherwise its dict is replaced.
    """

    class Name(str):
        pass

    class Other(str):
        def __hash__(self) -> int:
            return 7

    d = track({"x": {}})
    d["x"][Name("n")] = 1
    d["x"][Other("o")] = 2
    assert ["/x/n", "/x"] == [patch(d, until=change.seq)[0]["path"] for change in d.tracking_changes()[1:]]
    assert d == applied({"x": {}}, patch(d))


def test_nan_is_not_tested() -> None:
    """There is no test operation for NaN, as it could only fail."""
    d = TrackedDict(a=float("nan"), b=[float("nan")], c=1)
    for key in "abc":
        d[key] = 0
    assert ["replace", "replace", "test", "replace"] == [each["op"] for each in patch(d, test=True)]
    assert {"a": 0, "b": 0, "c": 0} == applied({"a": float("nan"), "b": [float("nan")], "c": 1}, patch(d, test=True))


def test_attributes_are_members() -> None:
    """An object is its public attributes, also as the root."""

    class Point(TrackedAttr):
        pass

    point = Point()
    point.x = {"n": 1}
    point.x["n"] = 2
    point._hidden = 3
    del point.x
    assert [("add", "/x"), ("replace", "/x/n"), ("remove", "/x")] == [(e["op"], e["path"]) for e in patch(point)]


def test_lost_history_is_an_error() -> None:
    """A patch from before dropped records raises, one from after them works."""
    d = TrackedDict(tracking_max_changes=4)
    for n in range(10):
        d["n"] = n
    with pytest.raises(HistoryLostError, match="no longer kept"):
        patch(d)
    kept = _core.changes_of(d)
    assert len(kept) - 1 == len(patch(d, kept[0].seq))
    words = TrackedDict(tracking_keep_values=False)
    words["a"] = {"x": [1]}
    words["a"] = 1
    with pytest.raises(HistoryLostError, match="tracking_keep_values"):
        patch(words, inverse=True)


def test_the_span_is_checked() -> None:
    """The points of a span are ints in order.

    A span before the birth is empty, one past the end goes up to now.
    """
    d = TrackedDict(a=1)
    d["a"] = 2
    seq = d.last_change().seq
    assert [] == patch(d, 0, _core.born(d)[1])
    assert [] == patch(d, seq, seq)
    assert 1 == len(patch(d, 0, seq + 1000))
    with pytest.raises(ValueError, match="inverse=True"):
        patch(d, seq, seq - 1)
    for wrong in (True, 1.5, "1", d.last_change()):
        with pytest.raises(TypeError, match="the seq of a change"):
            patch(d, wrong)


def test_a_container_in_itself_is_refused() -> None:
    """A value that holds itself is refused; changes beside the cycle are not."""
    d = TrackedDict()
    d["me"] = d
    with pytest.raises(ValueError, match="holds itself"):
        patch(d)
    since = _core.newest_seq()
    d["n"] = 1
    assert [{"op": "add", "path": "/n", "value": 1}] == patch(d, since)


def test_the_cost_follows_the_changes_and_not_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document ten times as large is not copied more often.

    Counted in values that are made plain for operations.
    """
    counts = []
    for n in (100, 1000):
        d = track({"big": {str(n): [n] for n in range(n)}, "small": [0], "ids": {1: 2}})
        for k in range(50):
            d["small"].append([k])
            d["big"][str(k)].append(k)
            d["ids"][k] = k
        looked: list[Any] = []
        monkeypatch.setattr(walk, "plain_copy", lambda *args, looked=looked: (looked.append(1), plain_copy(*args))[1])
        monkeypatch.setattr(importlib.import_module("pydatatracker.history.patch"), "plain_copy", walk.plain_copy)
        patch(d, test=True)
        monkeypatch.undo()
        counts.append(len(looked))
    assert counts[0] == counts[1]


def test_the_methods_accept_points() -> None:
    """A seq, a change and nothing name the same state in all four methods."""
    d = track({"a": 1, "l": []})
    d["a"] = 2
    first = d.last_change()
    d["l"].append(3)
    for since in (first, first.seq, first.created_time if first.time_ns < d.last_change().time_ns - 2000 else first):
        assert [{"op": "add", "path": "/l/0", "value": 3}] == d.tracking_patch(since)
        assert ["/l/0"] == [net.pointer for net in d.tracking_net_changes(since)]
        assert {"l": [3]} == d.tracking_merge_patch(since)
    assert [{"op": "replace", "path": "/a", "value": 2}] == d.tracking_patch(None, first)
    d.tracking_apply_patch(d.tracking_patch(inverse=True, test=True))
    assert {"a": 1, "l": []} == d
    assert [] == d.tracking_net_changes()
