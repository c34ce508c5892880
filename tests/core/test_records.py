"""The change record, attribute by attribute."""

from __future__ import annotations

import datetime
import json
import re
import traceback
from typing import Any

import pytest

from pydatatracker import (
    MISSING,
    ChangeLogEntry,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    _core,
    track,
    tracking_actor,
)
from pydatatracker.change.text import _SEPARATORS


class Thing(TrackedAttr):
    pass


def facts(change: Any) -> tuple[Any, ...]:
    return change.action, change.method, change.path, change.before, change.after


DICT = [
    (lambda d: d.__setitem__("n", 1), ("add", "__setitem__", ("n",), MISSING, 1)),
    (lambda d: d.__setitem__("a", 1), ("update", "__setitem__", ("a",), 0, 1)),
    (lambda d: d.__setitem__("a", 0), ("update", "__setitem__", ("a",), 0, 0)),
    (lambda d: d.__setitem__("a", None), ("update", "__setitem__", ("a",), 0, None)),
    (lambda d: d.setdefault("n", 5), ("add", "setdefault", ("n",), MISSING, 5)),
    (lambda d: d.setdefault("n"), ("add", "setdefault", ("n",), MISSING, None)),
    (lambda d: d.__delitem__("a"), ("remove", "__delitem__", ("a",), 0, MISSING)),
    (lambda d: d.pop("a"), ("remove", "pop", ("a",), 0, MISSING)),
    (lambda d: d.popitem(), ("remove", "popitem", ("b",), None, MISSING)),
]
LIST = [
    (lambda x: x.append(9), ("add", "append", (3,), MISSING, 9)),
    (lambda x: x.insert(-1, 9), ("add", "insert", (2,), MISSING, 9)),
    (lambda x: x.insert(100, 9), ("add", "insert", (3,), MISSING, 9)),
    (lambda x: x.insert(-100, 9), ("add", "insert", (0,), MISSING, 9)),
    (lambda x: x.__setitem__(-1, 9), ("update", "__setitem__", (2,), 2, 9)),
    (lambda x: x.__setitem__(True, 9), ("update", "__setitem__", (1,), 1, 9)),
    (lambda x: x.__delitem__(-3), ("remove", "__delitem__", (0,), 0, MISSING)),
    (lambda x: x.pop(), ("remove", "pop", (2,), 2, MISSING)),
    (lambda x: x.pop(-2), ("remove", "pop", (1,), 1, MISSING)),
    (lambda x: x.remove(1), ("remove", "remove", (1,), 1, MISSING)),
]
SET = [
    (lambda s: s.add(9), ("add", "add", (9,), MISSING, 9)),
    (lambda s: s.discard(0), ("remove", "discard", (0,), 0, MISSING)),
    (lambda s: s.remove(0), ("remove", "remove", (0,), 0, MISSING)),
]


@pytest.mark.parametrize(
    ("made", "do", "expected"),
    [(lambda: TrackedDict(a=0, b=None), *row) for row in DICT]
    + [(lambda: TrackedList([0, 1, 2]), *row) for row in LIST]
    + [(lambda: TrackedSet([0, 1, 2]), *row) for row in SET],
)
def test_a_change_of_one_item(made: Any, do: Any, expected: Any) -> None:
    """A call of one item has one action, normalised path, before and after."""
    container = made()
    do(container)
    changes = container.tracking_changes()
    assert [c.action for c in changes] == ["init", expected[0]]
    assert facts(changes[1]) == expected
    assert changes[1].location == expected[2][0]
    assert (changes[1].splice, changes[1].order, changes[1].changes) == (None, None, ())


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (lambda x: x.extend((7, 8)), ("add", "extend", (3, (), (7, 8)))),
        (lambda x: x.__iadd__([7]), ("add", "__iadd__", (3, (), (7,)))),
        (lambda x: x.__imul__(2), ("add", "__imul__", (3, (), (2, 0, 1)))),
        (lambda x: x.__imul__(0), ("remove", "__imul__", (0, (2, 0, 1), ()))),
        (lambda x: x.clear(), ("remove", "clear", (0, (2, 0, 1), ()))),
        (lambda x: x.__setitem__(slice(-2, None), "ab"), ("update", "__setitem__", (1, (0, 1), ("a", "b")))),
        (lambda x: x.__setitem__(slice(9, 1), [5]), ("add", "__setitem__", (3, (), (5,)))),
        (lambda x: x.__delitem__(slice(0, 2)), ("remove", "__delitem__", (0, (2, 0), ()))),
        (lambda x: x.__setitem__(slice(2, 0), [5]), ("add", "__setitem__", (2, (), (5,)))),
    ],
)
def test_a_splice(do: Any, expected: Any) -> None:
    """A change of a stretch is (start, removed, inserted) at the list's path."""
    items = TrackedList([2, 0, 1])
    do(items)
    change = items.last_change()
    assert (change.action, change.method, change.splice) == expected
    assert (change.path, change.location, change.before, change.after) == ((), None, MISSING, MISSING)


def test_sort_and_reverse_are_permutations() -> None:
    """`sort` and `reverse` have an order: old positions by new position."""
    items = TrackedList([2, 0, 1])
    items.sort()
    assert (items.last_change().order, items.last_change().action) == ((1, 2, 0), "update")
    items.reverse()
    assert (items.last_change().order, items.last_change().method) == ((2, 1, 0), "reverse")


def test_bulk_calls_have_rows() -> None:
    """A bulk call has rows (key, before, after), MISSING where there is none.

    The action follows from all rows.
    """
    d = TrackedDict(a=1)
    d.update(a=2, b=None)
    assert d.last_change().changes == (("a", 1, 2), ("b", MISSING, None))
    assert d.last_change().action == "update"
    d |= {"c": 1}
    assert (d.last_change().changes, d.last_change().action) == ((("c", MISSING, 1),), "add")
    d.clear()
    assert d.last_change().changes == (("a", 2, MISSING), ("b", None, MISSING), ("c", 1, MISSING))
    assert d.last_change().action == "remove"
    s = TrackedSet([1])
    s ^= {1, 2}
    assert (s.last_change().changes, s.last_change().action) == (((1, 1, MISSING), (2, MISSING, 2)), "update")
    items = TrackedList(range(4))
    items[::-2] = "ab"
    assert items.last_change().changes == ((3, 3, "a"), (1, 1, "b"))
    del items[::2]
    assert items.last_change().changes == ((0, 0, MISSING), (2, 2, MISSING))


@pytest.mark.parametrize(
    "do",
    [
        lambda d, x, s, t: d.update({}),
        lambda d, x, s, t: d.pop("missing", None),
        lambda d, x, s, t: d.setdefault("a", 9),
        lambda d, x, s, t: x.extend([]),
        lambda d, x, s, t: x.__setitem__(slice(1, 1), []),
        lambda d, x, s, t: x.__imul__(1),
        lambda d, x, s, t: x.sort(),
        lambda d, x, s, t: x.pop("x"),
        lambda d, x, s, t: x.__setitem__(9, 1),
        lambda d, x, s, t: x.__setitem__(slice(None, None, 2), [1]),
        lambda d, x, s, t: s.add(1),
        lambda d, x, s, t: s.discard(9),
        lambda d, x, s, t: s.update([1]),
        lambda d, x, s, t: s.intersection_update([1, 2]),
        lambda d, x, s, t: s.difference_update([9]),
        lambda d, x, s, t: s.remove([]),
        lambda d, x, s, t: TrackedList().clear(),
        lambda d, x, s, t: setattr(t, "_private", 1),
        lambda d, x, s, t: delattr(t, "missing"),
        lambda d, x, s, t: d.unlock(),
    ],
)
def test_calls_without_effect_record_nothing(do: Any) -> None:
    """A call that had nothing to do, or was refused, is not recorded."""
    made = TrackedDict(a=1), TrackedList([1, 2, 3]), TrackedSet([1, 2]), Thing()
    try:
        do(*made)
    except (TypeError, IndexError, ValueError, KeyError, AttributeError):
        pass
    assert [[c.action for c in each.tracking_changes()] for each in made] == [["init"]] * 4


def test_reverse_of_less_than_two_items_records_nothing() -> None:
    """Reversing fewer than two items records nothing."""
    items = TrackedList([1])
    items.reverse()
    assert len(items.tracking_changes()) == 1


def test_ids_numbers_and_order() -> None:
    """Each change has a uuid of 32 hex digits and a seq without gaps.

    seq rises over all containers; hash and order follow from it.
    """
    one, two = TrackedDict(), TrackedList()
    one["a"] = 1
    two.append(1)
    one["b"] = 1
    first, third = one.tracking_changes()[1:]
    second = two.last_change()
    assert [second.seq - first.seq, third.seq - second.seq] == [1, 1]
    assert first < second < third
    assert sorted([third, first, second]) == [first, second, third]
    for change in (first, second, third, one.tracking_changes()[0]):
        assert re.fullmatch("[0-9a-f]{32}", change.uuid)
        assert re.fullmatch("[0-9a-f]{32}", change.tracked_item_uuid)
    assert len({first, second, third, one.tracking_changes()[1]}) == 3
    assert first == one.tracking_changes()[1]
    assert first != second
    assert first != first.uuid
    with pytest.raises(TypeError):
        first < 1
    with pytest.raises(AttributeError):
        first.seq = 5


def test_time_actor_context_and_stack() -> None:
    """A record has its UTC time, actor and context, and no stack by default."""
    d = TrackedDict()
    before = datetime.datetime.now(datetime.UTC)
    with tracking_actor("job", reason="x"):
        d["a"] = 1
    after = datetime.datetime.now(datetime.UTC)
    change = d.last_change()
    assert before <= change.created_time <= after
    assert change.created_time.utcoffset() == datetime.timedelta(0)
    assert change.created_time.timestamp() == pytest.approx(change.time_ns / 1e9, abs=1e-5)
    assert (change.actor, dict(change.context), change.transaction) == ("job", {"reason": "x"}, None)
    assert isinstance(change.stack, traceback.StackSummary)
    assert list(change.stack) == []
    with pytest.raises(TypeError):
        change.context["reason"] = "y"
    d["a"] = 2
    assert (d.last_change().actor, dict(d.last_change().context)) == ("", {})


def test_path_pointer_tree_and_type_of_a_nested_change() -> None:
    """A nested change has path, pointer and tree from the root down.

    int and str keys stay distinct in path; pointer is RFC 6901.
    """
    doc = TrackedDict({"a/b": TrackedDict({"~": TrackedList([TrackedSet()])}), 1: TrackedList(), "1": TrackedList()})
    doc["a/b"]["~"][0].add("x")
    change = doc.last_change()
    assert change.path == ("a/b", "~", 0, "x")
    assert change.pointer == "/a~1b/~0/0/x"
    assert change.type == "TrackedSet"
    assert [step["type"] for step in change.tree] == ["TrackedDict", "TrackedDict", "TrackedList", "TrackedSet"]
    assert [step["location"] for step in change.tree] == [None, "a/b", "~", 0]
    assert [step["uuid"] for step in change.tree][:2] == [doc.tracking_uuid, doc["a/b"].tracking_uuid]
    assert change.tracked_item_uuid == doc["a/b"]["~"][0].tracking_uuid
    assert doc["a/b"].last_change().pointer == "/~0/0/x"
    doc[1].append(0)
    assert doc.last_change().path == (1, 0)
    doc["1"].append(0)
    assert doc.last_change().path == ("1", 0)


AWKWARD: list[Any] = [
    None, True, 1.5, float("nan"), float("inf"), 10**30, 10**5000, "\ud800", "\x00", b"\xff", (1, (2,)), frozenset([1]),
    1 + 2j, object, len, datetime.date(2026, 1, 1), [1, [2]], {"a": {1}}, {1, 2}, Ellipsis, "x" * 200_000,
]  # fmt: skip


@pytest.mark.parametrize("value", AWKWARD, ids=lambda value: type(value).__name__)
def test_extra_is_always_json(value: Any) -> None:
    """json.dumps accepts extra and to_dict for any values, in bounded size."""
    d, items, s, thing = TrackedDict(), TrackedList(), TrackedSet(), Thing()
    d["a"] = value
    d["a"] = 1
    d.update(a=value, b=value)
    items.append(value)
    items.extend([value])
    items.pop()
    thing.a = value
    if value.__hash__ is not None:
        d[value] = 1
        d.update({value: 2, "z": 1})
        s.add(value)
        s ^= {value, "other"}
    doc = TrackedDict({"deep": d})
    if value.__hash__ is not None:
        d[value] = 3
    for each in (d, items, s, thing, doc):
        for change in each.tracking_changes():
            assert json.loads(json.dumps(change.extra)).keys() == change.extra.keys()
            assert all(isinstance(v, str) for k, v in change.extra.items() if k != "location")
            assert all(len(str(v)) < 250_000 for k, v in change.extra.items() if k != "location")
            assert json.dumps(change.to_dict())
            assert change.pointer == change.pointer
            assert change.format_detailed()


@pytest.mark.parametrize(
    ("value", "mutate"),
    [
        ([1], lambda v: v.append(2)),
        ({"a": 1}, lambda v: v.clear()),
        ({1}, lambda v: v.add(2)),
        (([1], 2), lambda v: v[0].append(2)),
        ({"a": [1]}, lambda v: v["a"].append(2)),
        (bytearray(b"a"), lambda v: v.extend(b"b")),
        (TrackedList([1]), lambda v: v.append(2)),
        (TrackedDict(a=[1]), lambda v: v["a"].append(2)),
        (TrackedSet([1]), lambda v: v.clear()),
        ((TrackedList([1]),), lambda v: v[0].append(2)),
    ],
)
def test_extra_never_changes_after_the_fact(value: Any, mutate: Any) -> None:
    """`extra` shows a value as it was when the change was recorded."""
    d, items = TrackedDict(), TrackedList()
    d["a"] = value
    d["a"] = 1
    d.update(a=value, b=value)
    d.setdefault("c", value)
    items.append(value)
    items.extend([value, 1])
    items[0] = 2
    items[::2] = [value] * len(items[::2])
    items.clear()
    changes = d.tracking_changes()[1:] + items.tracking_changes()[1:]
    before = [json.dumps(change.extra) for change in changes]
    mutate(value)
    assert [json.dumps(change.extra) for change in changes] == before
    again = d.tracking_changes()[1:] + items.tracking_changes()[1:]
    if not isinstance(value, (TrackedDict, TrackedList, TrackedSet)):
        assert [json.dumps(change.extra) for change in again] == before


def test_to_dict_and_from_dict_are_inverse() -> None:
    """from_dict(to_dict()) gives an equal record, attribute by attribute."""
    doc = track({"rows": [[3, 1, 2]], "s": {1}}, tracking_capture_stack=True)
    with tracking_actor("job", reason="x"):
        doc["rows"][0].sort()
        doc["rows"][0][1:2] = ["a", None]
        doc["rows"].append((1, 2))
        doc["s"] |= {5, 6}
        doc["x"] = None
        del doc["x"]
        doc.update(x=1, rows=None)
        doc.lock()
    names = [
        "seq",
        "uuid",
        "action",
        "method",
        "path",
        "pointer",
        "paths",
        "location",
        "before",
        "after",
        "splice",
        "order",
        "changes",
        "actor",
        "context",
        "transaction",
        "time_ns",
        "tracked_item_uuid",
        "type",
        "tree",
        "extra",
    ]
    for change in doc.tracking_changes():
        back = ChangeLogEntry.from_dict(json.loads(json.dumps(change.to_dict())))
        assert {name: getattr(back, name) for name in names} == {name: getattr(change, name) for name in names}
        assert back == change
        assert hash(back) == hash(change)
        assert back.to_dict() == change.to_dict()
        assert abs(back.created_time - change.created_time) == datetime.timedelta(0)


def test_snapshots_of_every_change() -> None:
    """A container gives the state before and after each change of the ring."""
    doc = track({"a": [1]}, tracking_capture_snapshots=True)
    states = [eval(repr(doc))]
    for do in (
        lambda: doc["a"].append(2),
        lambda: doc.update(b={"c": 1}),
        lambda: doc["b"].pop("c"),
        lambda: doc["a"].reverse(),
        lambda: doc.pop("a"),
    ):
        do()
        states.append(eval(repr(doc)))
    seen = [(eval(c.extra["data_pre_change"]), eval(c.extra["data_post_change"])) for c in doc.tracking_changes()[1:]]
    assert seen == list(zip(states, states[1:], strict=False))


def test_an_entry_that_is_held_while_it_leaves_the_ring_keeps_its_snapshot() -> None:
    """An entry that is held keeps its snapshot after it left the ring."""
    d = TrackedDict(tracking_capture_snapshots=True, tracking_max_changes=8)
    held, texts = [], []
    for n in range(60):
        d[n % 5] = [n]
        held.append(d.last_change())
        texts.append((repr({**d, n % 5: None}), repr(dict(d))))
    for n, change in enumerate(held):
        assert change.extra["data_post_change"] == texts[n][1]
    assert [c.extra["data_pre_change"] for c in held[1:]] == [after for _, after in texts[:-1]]
    assert d.tracking_dropped == 52


def test_dropped_changes_are_counted() -> None:
    """tracking_dropped counts what left the ring or was cleared.

    The init record is gone with the first one that is dropped.
    """
    d = TrackedDict(tracking_max_changes=3)
    for n in range(5):
        d["a"] = n
    assert [c.after for c in d.tracking_changes()] == [2, 3, 4]
    assert d.tracking_dropped == 2
    d.tracking_clear_changes()
    assert (d.tracking_changes(), d.last_change(), d.tracking_dropped) == ([], None, 5)
    d["a"] = 9
    assert [c.after for c in d.tracking_changes()] == [9]


def test_changes_since_a_time_a_change_or_a_seq() -> None:
    """changes_since returns changes at or after a point.

    inclusive=False returns those after it; a naive datetime is local time.
    """
    d = TrackedDict()
    for n in range(4):
        d["a"] = n
    init, *changes = d.tracking_changes()
    assert d.changes_since(changes[2]) == changes[2:]
    assert d.changes_since(changes[2], inclusive=False) == changes[3:]
    assert d.changes_since(changes[1].seq) == changes[1:]
    assert d.changes_since(changes[1].seq, inclusive=False) == changes[2:]
    assert d.changes_since(init) == [init, *changes]
    assert d.changes_since(init, inclusive=False) == changes
    assert d.changes_since(0) == [init, *changes]
    long_ago = datetime.datetime(2000, 1, 1)
    assert d.changes_since(long_ago) == [init, *changes]
    assert d.changes_since(changes[-1].created_time)[-1] == changes[-1]
    assert d.changes_since(changes[-1].created_time.astimezone().replace(tzinfo=None))[-1] == changes[-1]
    assert d.changes_since(datetime.datetime.now() + datetime.timedelta(hours=1)) == []
    for wrong in (True, "x", None, 1.5):
        with pytest.raises(TypeError):
            d.changes_since(wrong)


def test_extra_joins_the_keys_below_every_kind_of_container() -> None:
    """`extra["location"]` has a separator for whatever holds a container."""
    assert set(_core.KINDS) == set(_SEPARATORS)
