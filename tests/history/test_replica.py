"""Replicas are equal to their source at every step, types included.

Through memory, text, a file and a queue.
"""

from __future__ import annotations

import json
import multiprocessing
import pathlib
from typing import Any

import pytest
from gardening import STEPS, Node, Session, alike
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core, track, tracking_transaction
from pydatatracker.history.replica import GapError, Replica, ReplicaError, apply_change, empty_for, replay
from pydatatracker.history.steps import quick_step, step_of
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import parse, to_line
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import encode

VALUES = [
    (1, (2, b"x")),
    {1, "a"},
    frozenset({3}),
    b"bytes",
    2.5,
    None,
    True,
    {"deep": [{"er": (1,)}]},
    {5: "int key"},
    -(10**30),
]


class Fed(Session):
    """A session that reports its changes, with values of many types."""

    def feed(self, tell: Any) -> Fed:
        self.root.tracking_add_observer(tell, when="immediate")
        return self

    def value(self, target: Any, one: int, other: int) -> Any:
        return VALUES[other % len(VALUES)] if one % 3 == 0 else super().value(target, one, other)


def unshared(x: Any) -> Any:
    return plain_copy(x)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_change_by_change_in_memory(steps: Any) -> None:
    """The replica is equal after every change, and shares nothing."""
    session = Fed()
    copy = plain_copy(session.root)
    session.feed(lambda change: apply_change(copy, change))
    session.run(steps)
    assert alike(plain_copy(session.root), copy)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_through_jsonl_text(steps: Any) -> None:
    """Tuples, sets, bytes, int keys and None survive JSON lines."""
    session = Fed()
    lines: list[str] = []
    copy = plain_copy(session.root)
    session.feed(lambda change: lines.append(json.dumps(change.to_dict())))
    session.run(steps)
    replica = Replica(copy)
    for line in lines:
        assert replica.apply(line)
    assert alike(plain_copy(session.root), copy)
    for line in lines:
        assert not replica.apply(line), "it came twice"
    assert alike(plain_copy(session.root), copy)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_a_tracked_replica_follows_too(steps: Any) -> None:
    """A tracked replica is equal, and its own log is true."""
    session = Fed(odd_keys=False)
    copy = track(plain_copy(session.root), tracking_auto_convert=True)
    session.feed(lambda change: apply_change(copy, change.to_dict()))
    session.run(steps)
    assert alike(plain_copy(session.root), plain_copy(copy))
    assert copy.tracking_verify() is None


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_from_the_records_afterwards_at_any_point(steps: Any, data: Any) -> None:
    """replay(changes, at=k) is state_at(k), with the values of that time."""
    session = Fed().run(steps)
    seq, then = data.draw(st.sampled_from(session.past))
    changes = session.root.tracking_changes()
    assert alike(then, replay(changes, at=seq))
    assert alike(plain_copy(session.root), replay(changes))


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, data=st.data())
def test_through_a_file(tmp_path_factory: pytest.TempPathFactory, steps: Any, data: Any) -> None:
    """A log file can be replayed to any point."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    session = Fed()
    with json_file_observer(path) as observer:
        session.root.tracking_add_observer(observer)
        session.past[0] = (_core.newest_seq(), plain_copy(session.root))
        session.run(steps)
    seq, then = data.draw(st.sampled_from(session.past))
    assert alike(then, replay(path, at=seq))
    assert alike(plain_copy(session.root), replay(path.read_text()))
    assert alike(plain_copy(session.root), replay(str(path)))


def _follow(queue: Any, answer: Any) -> None:
    replica = Replica([])
    while (line := queue.get(timeout=60)) is not None:
        replica.apply(line)
    answer.put((replica.value, replica.seq))


def test_through_a_queue_to_another_process() -> None:
    """Another process that gets the lines has the same value."""
    context = multiprocessing.get_context("spawn")
    queue, answer = context.Queue(), context.Queue()
    process = context.Process(target=_follow, args=(queue, answer))
    process.start()
    source = TrackedList(tracking_auto_convert=True)
    source.tracking_add_observer(lambda change: queue.put(json.dumps(change.to_dict(compact=True))))
    source.extend([3, 1, (2, b"x")])
    source.append({"a": {1}})
    source[3]["a"].add(2)
    source.insert(0, None)
    source[1:3] = []
    source.reverse()
    queue.put(None)
    value, seq = answer.get(timeout=60)
    process.join(60)
    assert plain_copy(source) == value
    assert [type(item) for item in plain_copy(source)] == [type(item) for item in value]
    assert source.last_change().seq == seq  # type: ignore[union-attr]


def test_rollback_and_undo_are_followed() -> None:
    """A replica follows rollback and undo like any other change."""
    source = track({"l": [1]})
    lines: list[Any] = []
    source.tracking_add_observer(lambda change: lines.append(change.to_dict()), when="immediate")
    copy = {"l": [1]}
    with pytest.raises(KeyError), tracking_transaction():
        source["l"].extend([2, 3])
        source["l"][::2] = [8, 9]
        del source["l"][::2]
        raise KeyError
    source["l"].append(5)
    source.tracking_undo()
    for line in lines:
        apply_change(copy, line)
    assert {"l": [1]} == copy
    assert 8 == len(lines)


def test_every_kind_from_nothing(tmp_path: pathlib.Path) -> None:
    """A container that was empty needs no init line."""
    for source, act in [
        (TrackedDict(), lambda x: x.update(a=1)),
        (TrackedList(), lambda x: x.append(1)),
        (TrackedSet(), lambda x: x.add(1)),
        (Node(), lambda x: setattr(x, "n", 1)),
    ]:
        path = tmp_path / f"{type(source).__name__}.jsonl"
        with json_file_observer(path) as observer:
            source.tracking_add_observer(observer)
            act(source)
        assert plain_copy(source) == replay(path)


def test_a_change_that_is_applied_late_has_its_value_of_then() -> None:
    """A change that is kept in memory brings what it brought at its time."""
    source = TrackedDict(tracking_auto_convert=True)
    source["a"] = []
    first = source.last_change()
    source["a"].append(1)
    assert first is not None
    replica = Replica({})
    assert 0 == replica.seq
    assert replica.apply(first)
    assert ({"a": []}, first.seq) == (replica.value, replica.seq)


class Items(TrackedList[Any]):
    """A list of a class that a reader of its log does not know."""


class Tags(TrackedSet[Any]):
    """A set of such a class."""


class Table(TrackedDict[Any, Any]):
    """A dict of such a class."""


@pytest.mark.parametrize(
    ("make", "change", "expected"),
    [
        (Items, lambda x: x.append(1), []),
        (Items, lambda x: x.insert(0, 1), []),
        (Items, lambda x: x.extend([1, 2]), []),
        (Tags, lambda x: x.add(1), set()),
        (Table, lambda x: x.update({1: 1, 2: 2}), {}),
        (Table, lambda x: x.__setitem__(1, 1), {}),
        (Table, lambda x: x.setdefault(1, []).append(2), {}),
    ],
)
def test_the_first_change_says_what_an_unknown_class_is(make: Any, change: Any, expected: Any) -> None:
    """Without an init line, the first change tells list, set and dict."""
    source = make(tracking_auto_convert=True)
    lines: list[str] = []
    source.tracking_add_observer(lambda change: lines.append(json.dumps(change.to_dict(compact=True))))
    change(source)
    for first in (lines[0], source.tracking_changes()[0]):
        found = empty_for(first)
        assert (type(expected), expected) == (type(found), found)
    assert alike(plain_copy(source), replay(lines))


def test_without_changes_there_is_nothing_to_replay() -> None:
    """An empty log is an error, which names the point if there is one."""
    source = TrackedList()
    source.append(1)
    change = source.last_change()
    assert change is not None
    with pytest.raises(ReplicaError, match="the log has no changes$"):
        replay([])
    with pytest.raises(ReplicaError, match=f"the log has no changes up to {change.seq - 1}$"):
        replay([change], at=change.seq - 1)


@pytest.mark.parametrize(("method", "kept"), [("__init__", False), ("again", True)])
def test_only_a_state_that_repeats_leaves_what_it_cannot_tell(method: str, kept: bool) -> None:
    """After a state of its own, a value that was cut is not known any more."""
    head = {"v": 1, "root": "r", "action": "init", "type": "TrackedDict", "path": []}
    cut = {"$cut": 9, "type": "str", "start": "x"}
    first = {**head, "seq": 1, "method": "__init__", "after": {"a": "xxx", "b": [1]}}
    value = replay([first, {**head, "seq": 5, "method": method, "after": {"a": cut, "b": [1]}}])
    assert ("xxx" == value["a"], [1]) == (kept, value["b"])


def test_a_root_that_is_not_in_the_log_is_named() -> None:
    """The error has ids that the log does have, or says that it is too early."""
    first, second = TrackedDict(), TrackedDict()
    changes = []
    for x in (first, second):
        x["a"] = 1
        changes.append(x.last_change())
    assert {"a": 1} == replay(changes, root=second.tracking_uuid)
    with pytest.raises(ReplicaError, match=f"no container 'nobody'.* such as {first.tracking_uuid}"):
        replay(changes, root="nobody")
    seq = changes[0].seq - 1
    with pytest.raises(ReplicaError, match=f"the log has no changes up to {seq}$"):
        replay(changes, root=first.tracking_uuid, at=seq)


def test_the_quick_way_reads_what_the_slow_one_reads() -> None:
    """A line of one slot or splice is read from its head, with one step."""
    x = track({"l": [1, 2], "s": {1}})
    lines: list[bytes] = []
    x.tracking_add_observer(lambda change: lines.append(to_line(change)))
    x["a"] = (1, b"x")
    x["a"] = None
    x["l"][0] = 5
    x["l"].insert(1, 6)
    x["s"].add(2)
    del x["a"]
    x["l"].extend([1, (2,)])
    x["l"][1:3] = []
    for line in lines:
        quick, slow = quick_step(parse(line)), step_of(parse(line))
        assert quick is not None
        assert [(name, getattr(slow, name)) for name in quick.__slots__ if name != "top"] == [
            (name, getattr(quick, name)) for name in quick.__slots__ if name != "top"
        ]
        for name in ("seq", "time_ns", "v"):
            assert quick_step(parse(json.dumps({**json.loads(line), name: None}).encode())) is None
    whole = len(lines)
    x["l"].reverse()
    x.update(b=1, c=2)
    x.tracking_undo()
    assert {None} == {quick_step(parse(line)) for line in lines[whole:]}


def test_a_replica_remembers_what_it_applied_for_100_000_changes() -> None:
    """A repeated line is known, and an older one than that is not an error.

    It answers False to both; what comes too late and is still remembered is an error.
    """
    line = {"v": 1, "root": "x", "action": "update", "method": "__setitem__", "type": "TrackedDict", "path": ["a"]}
    replica = Replica({"a": 0})
    for seq in (10, *range(12, 100_011)):
        replica._recent.append(seq)
        replica._known.add(seq)
    replica.seq, replica.root = 100_010, "x"
    with pytest.raises(ReplicaError, match="comes too late"):
        Replica({"a": 0}).apply({**line, "seq": -1, "before": 0, "after": 1})
    assert not replica.apply({**line, "seq": 9, "before": 0, "after": 1})
    with pytest.raises(ReplicaError, match="comes too late"):
        replica.apply({**line, "seq": 11, "before": 0, "after": 1})
    assert replica.apply({**line, "seq": 100_011, "before": 0, "after": 1})
    assert not replica.apply({**line, "seq": 10, "before": 0, "after": 1}), "older than what it remembers"
    assert not replica.apply({**line, "seq": 12, "before": 0, "after": 1}), "the oldest that it remembers"
    assert (100_000, 100_000, {"a": 1}) == (len(replica._recent), len(replica._known), replica.value)


def test_a_missing_line_is_noticed() -> None:
    """A change that does not fit the value is refused.

    Nothing is applied, and the message says what to do.
    """
    source = TrackedDict()
    lines = []
    source.tracking_add_observer(lambda change: lines.append(json.dumps(change.to_dict())))
    source["a"] = 1
    source["a"] = 2
    source["b"] = [1]
    source["b"] = [1, 2]
    replica = Replica({})
    replica.apply(lines[0])
    replica.apply(lines[1])
    with pytest.raises(ReplicaError, match=r"at /b the log has \[1\], the replica nothing.*start again"):
        replica.apply(lines[3])
    assert {"a": 2} == replica.value
    late = Replica({})
    late.apply(lines[0])
    late.apply(lines[2])
    with pytest.raises(ReplicaError, match="too late"):
        late.apply(lines[1])


def test_nothing_is_half_applied() -> None:
    """A change of which one row or path does not fit is not applied at all."""
    source = TrackedDict(a=1, b=1)
    source.update(a=2, b=2)
    change = source.last_change()
    assert change is not None
    copy = {"a": 1, "b": 99}
    with pytest.raises(ReplicaError):
        apply_change(copy, change)
    assert {"a": 1, "b": 99} == copy
    shared = TrackedList()
    both = TrackedDict(one=shared, two=shared)
    shared.append(1)
    last = both.last_change()
    assert last is not None
    half: dict[str, Any] = {"one": []}
    with pytest.raises(ReplicaError, match="/two"):
        apply_change(half, last)
    assert {"one": []} == half


def test_gaps_and_data_that_is_not_a_change() -> None:
    """A gap line, other JSON, invalid JSON and no data are each refused."""
    with pytest.raises(GapError, match="100 to 131 are missing"):
        apply_change({}, {"v": 1, "action": "gap", "from": 100, "to": 131, "reason": "queue full"})
    with pytest.raises(ReplicaError, match="no seq and action"):
        apply_change({}, '{"level": "info"}')
    with pytest.raises(ReplicaError, match="not JSON"):
        apply_change({}, b"not json")
    with pytest.raises(TypeError, match="not int"):
        apply_change({}, 5)  # type: ignore[arg-type]
    with pytest.raises(ReplicaError, match="the log has no changes"):
        replay([])


def test_several_containers_in_one_log() -> None:
    """In a log of several containers one has to be named."""
    one, two = TrackedDict(), TrackedList()
    lines: list[Any] = []
    for each in (one, two):
        each.tracking_add_observer(lambda change: lines.append(change.to_dict()))  # type: ignore[attr-defined]
    one["a"] = 1
    two.append(2)
    with pytest.raises(ReplicaError, match="2 containers"):
        replay(lines)
    assert {"a": 1} == replay(lines, root=one.tracking_uuid)
    assert [2] == replay(lines, root=two.tracking_uuid)


def test_attributes_of_a_real_object() -> None:
    """A replica may be an object: its attributes are set and deleted."""

    class Point(TrackedAttr):
        pass

    source, copy = Point(), Point()
    source.tracking_add_observer(lambda change: apply_change(copy, change))
    source.x = [1]  # type: ignore[attr-defined]
    source.x.append(2)  # type: ignore[attr-defined]
    source.y = 1  # type: ignore[attr-defined]
    del source.y  # type: ignore[attr-defined]
    assert {"x": [1, 2]} == plain_copy(copy)
    assert copy.x is not source.x  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["__class__", "__dict__", "tracking_changes", 5])
@pytest.mark.parametrize("path", [[], ["a"]])
@pytest.mark.parametrize("how", ["set", "init", "below"])
def test_a_log_stays_out_of_the_program(name: Any, path: list[str], how: str) -> None:
    """A log cannot reach a method, a dunder name, or a key that is a number.

    The error says where the log tried it.
    """

    class Point(TrackedAttr):
        pass

    target = Point()
    replica = Replica({"a": target} if path else target)
    line = {"seq": 1, "root": "x", "type": "Point", "method": "__setattr__", "action": "add", "path": [*path, name]}
    if how == "init":
        line |= {"action": "init", "path": path, "after": {name: 2}}
    elif how == "below":
        line["path"] = [*path, name, "x"]
    if name == 5 and how == "init":
        pytest.skip("a JSON object has no such key")
    there = f"nothing at .*{name}" if how == "below" else "at /a is a Point" if path else "at the root is a Point"
    with pytest.raises(ReplicaError, match=there):
        replica.apply({"v": 1, **line, "after": line.get("after", 2)})
    assert ({}, Point) == (plain_copy(target), type(target))
    assert 0 == replica.seq


@pytest.mark.parametrize("thing", [pathlib.Path, json, len, test_a_missing_line_is_noticed, [].append])
def test_a_log_changes_no_class_module_or_function(thing: Any) -> None:
    """What belongs to the program and lies in the data stays as it is."""
    line = {"v": 1, "seq": 1, "root": "x", "action": "add", "method": "__setattr__", "after": 2}
    with pytest.raises(ReplicaError):
        apply_change({"a": thing}, {**line, "path": ["a", "new"]})
    assert not hasattr(thing, "new")


@pytest.mark.parametrize(
    "value", [float("nan"), [float("nan")], {"k": [1.0]}, (1, 2), {1, 2}, b"x", 1.5, True, None, "x", 5]
)
def test_what_is_there_is_compared_as_the_log_writes_it(value: Any) -> None:
    """A value that the log says was there is found again, whatever its type."""
    source = TrackedDict(a=value)
    copy = {"a": json.loads("NaN") if value != value else plain_copy(value)}
    source["a"] = 1
    apply_change(copy, json.dumps(source.last_change().to_dict()))
    assert {"a": 1} == copy


@pytest.mark.parametrize(("there", "logged"), [("1", 1), (1, "1"), ([1], (1,)), ("a", "b"), (None, 0)])
def test_another_value_than_the_log_has_is_refused(there: Any, logged: Any) -> None:
    """A value of another type or content does not fit, and stays."""
    source = TrackedDict(a=logged)
    source["a"] = 5
    copy = {"a": there}
    with pytest.raises(ReplicaError, match="does not fit"):
        apply_change(copy, json.dumps(source.last_change().to_dict()))
    assert there is copy["a"]


@pytest.mark.parametrize("value", ["x" * 1000, ["x" * 1000, 1], {"k": "x" * 1000}, object, [[object]]])
def test_a_value_that_was_cut_agrees_with_any(value: Any) -> None:
    """What a log could not keep whole cannot be compared, so it fits."""
    source = TrackedDict(a=1)
    source["a"] = 5
    line = source.last_change().to_dict() | {"before": encode(value, limit=100)}
    for there in (value, "other", ["other"], {"k": 2}, 1):
        copy = {"a": there}
        apply_change(copy, json.dumps(line))
        assert {"a": 5} == copy


def test_a_gap_line_of_a_file_is_named(tmp_path: pathlib.Path) -> None:
    """A gap line is reported as a gap, with its range and reason."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"v":1,"action":"gap","from":3,"to":7,"reason":"queue full"}\n')
    with pytest.raises(GapError, match=r"changes 3 to 7 are missing \(queue full\)"):
        replay(log)


def test_one_container_twice_in_one_value_changes_once() -> None:
    """A container that is held twice is one object in the replica, too."""
    x = track({})
    inner = TrackedDict(x=1)
    x["l"] = TrackedList([inner, 0, inner])
    inner["y"] = 2
    del inner["x"]
    assert {"l": [{"y": 2}, 0, {"y": 2}]} == replay(x.tracking_changes())
    held = TrackedList([5])
    x["m"] = TrackedList([held, held])
    held.append(6)
    held.reverse()
    assert [[6, 5], [6, 5]] == replay(x.tracking_changes())["m"]


def test_lines_of_an_observer_called_after_the_commit() -> None:
    """A line has the value as it was just after its change.

    Also where the observer is called after the commit.
    """
    x = TrackedDict()
    lines: list[Any] = []
    x.tracking_add_observer(lambda change: lines.append(change.to_dict(compact=True)))
    with tracking_transaction():
        x["k"] = TrackedList()
        x["k"].append(1)
        x.update(a=TrackedDict(), b=2)
        x["a"]["deep"] = TrackedList([1])
        x["a"]["deep"].append(2)
    assert {"k": [1], "a": {"deep": [1, 2]}, "b": 2} == replay(lines)
