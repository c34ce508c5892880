"""From mutators to lines and back: lines are valid, exact, and replay."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
from typing import Any

import jsonschema
import pytest
from loglines import LINE, OLD_ADD, Errors

import pydatatracker.observers
from pydatatracker import (
    MISSING,
    ChangeLogEntry,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    track,
    tracking_actor,
)
from pydatatracker.io import LogLine, parse, read_changes, schema, to_line
from pydatatracker.values.encode import Repr, decode, encode


def replay(lines: list[LogLine]) -> Any:
    """Rebuild plain data from a log: the init, then every change."""
    state: Any = None
    for line in lines:
        if line.action == "init":
            state = line.after
        elif line.action not in ("lock", "unlock"):
            apply(line, state)
    return state


def apply(line: LogLine, state: Any) -> None:
    whole = line.location is None and (line.splice or line.order is not None or line.changes)
    path = line.path if whole else line.path[:-1]
    for step in path:
        state = state[step]
    if whole and line.splice is not None:
        start, removed, inserted = line.splice
        assert list(removed) == state[start : start + len(removed)]
        state[start : start + len(removed)] = inserted
    elif whole and line.order is not None:
        state[:] = [state[old] for old in line.order]
    elif whole:
        gone = 0
        for key, before, after in line.changes:
            if isinstance(state, list) and after is MISSING:
                del state[key - gone]
                gone += 1
            else:
                put(state, key, before, after)
    elif isinstance(state, list) and line.before is MISSING:
        state.insert(line.path[-1], line.after)
    else:
        put(state, line.path[-1], line.before, line.after)


def put(state: Any, key: Any, before: Any, after: Any) -> None:
    if isinstance(state, set):
        assert (key in state) == (before is not MISSING)
        (state.add if after is not MISSING else state.discard)(key)
    elif after is MISSING:
        del state[key]
    else:
        state[key] = after


@pytest.fixture(scope="module")
def valid() -> Any:
    """Return a function that checks a line against the package's schema."""
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema()).validate


STRANGE_KEYS = ("$x", "", 1, None, (1, "a"), 2.5, b"b", "\ud800", "/~")
STRANGE_VALUES = (
    (1,), {2}, frozenset("a"), b"\xff", datetime.date(2026, 1, 1), 2**70, float("inf"), "\ud800", [(), {"$": 1}],
    "", [], {},
)  # fmt: skip
NAMES = [
    *("seq", "uuid", "action", "method", "type", "pointer", "path", "paths", "location", "before", "after", "splice"),
    *("order", "changes", "actor", "created_time", "time_ns", "tracked_item_uuid", "root", "transaction"),
]

MUTATORS: list[tuple[str, Any, Any]] = [
    ("d[k] = new", {}, lambda d: d.__setitem__("a", 1)),
    ("d[k] = over", {"a": 1}, lambda d: d.__setitem__("a", None)),
    ("d[strange and empty keys]", {}, lambda d: [d.__setitem__(k, k) for k in STRANGE_KEYS]),
    ("d[strange and empty values]", {}, lambda d: [d.__setitem__(str(n), x) for n, x in enumerate(STRANGE_VALUES)]),
    ("del d[k]", {"a": 1, "b": 2}, lambda d: d.__delitem__("a")),
    ("pop", {"a": 1}, lambda d: d.pop("a")),
    ("popitem", {"a": 1}, lambda d: d.popitem()),
    ("setdefault", {"a": 1}, lambda d: (d.setdefault("a", 2), d.setdefault("b"))),
    ("update", {"a": 1, "b": 2}, lambda d: d.update({"b": 3, 4: 5}, c=6)),
    ("|=", {"a": 1}, lambda d: d.__ior__({"a": 2, "b": [1]})),
    ("clear dict", {"a": 1, 2: 3}, lambda d: d.clear()),
    ("dict.__init__", {"a": 1}, lambda d: d.__init__({"b": 1})),
    ("append", [], lambda v: v.append((1,))),
    ("insert", [1, 2], lambda v: (v.insert(0, 0), v.insert(-1, 9), v.insert(100, 3))),
    ("extend", [1], lambda v: v.extend({"a": 1})),
    ("+=", [1], lambda v: v.__iadd__([2, None])),
    ("*=", [1, 2], lambda v: v.__imul__(3)),
    ("*= 0", [1, 2], lambda v: v.__imul__(0)),
    ("l[i] =", [1, 2], lambda v: v.__setitem__(-1, 5)),
    ("l[a:b] =", [1, 2, 3, 4], lambda v: v.__setitem__(slice(1, 3), "xyz")),
    ("l[::2] =", [1, 2, 3, 4], lambda v: v.__setitem__(slice(None, None, 2), "xy")),
    ("l[::-1] =", [1, 2, 3], lambda v: v.__setitem__(slice(None, None, -1), "xyz")),
    ("del l[i]", [1, 2], lambda v: v.__delitem__(0)),
    ("del l[a:b]", [1, 2, 3], lambda v: v.__delitem__(slice(0, 2))),
    ("del l[::2]", [1, 2, 3, 4, 5], lambda v: v.__delitem__(slice(None, None, 2))),
    ("del l[::-2]", [1, 2, 3, 4, 5], lambda v: v.__delitem__(slice(None, None, -2))),
    ("list pop", [1, 2, 3], lambda v: (v.pop(), v.pop(0))),
    ("list remove", [1, 2, 1], lambda v: v.remove(1)),
    ("sort", [3, 1, 2], lambda v: v.sort()),
    ("reverse", [3, 1, 2], lambda v: v.reverse()),
    ("clear list", [1, [2]], lambda v: v.clear()),
    ("list.__init__", [1], lambda v: v.__init__("ab")),
    ("add", set(), lambda s: [s.add(v) for v in (1, "a", (1, 2), None, frozenset({1}))]),
    ("discard", {1, 2}, lambda s: (s.discard(1), s.discard(7))),
    ("set remove", {1, 2}, lambda s: s.remove(1)),
    ("set pop", {1, 2}, lambda s: s.pop()),
    ("clear set", {1, 2}, lambda s: s.clear()),
    ("set update", {1}, lambda s: s.update([2, 3], "a")),
    ("set |=", {1}, lambda s: s.__ior__({2})),
    ("set &=", {1, 2}, lambda s: s.__iand__({2, 3})),
    ("set -=", {1, 2}, lambda s: s.__isub__({2, 3})),
    ("set ^=", {1, 2}, lambda s: s.__ixor__({2, 3})),
    ("difference_update", {1, 2}, lambda s: s.difference_update([1])),
    ("intersection_update", {1, 2}, lambda s: s.intersection_update([1])),
    ("symmetric_difference_update", {1, 2}, lambda s: s.symmetric_difference_update([1, 5])),
    ("nested dict", {"a": {"b": {}}}, lambda d: d["a"]["b"].__setitem__("c", {"d": [1]})),
    ("nested list", {"a": [[1], {2}]}, lambda d: (d["a"][0].append(2), d["a"][1].add(3), d["a"].reverse())),
    ("stored empty, then changed", {}, lambda d: (d.__setitem__("a", []), d["a"].append({}), d["a"][0].update(b=2))),
    ("moved", {"a": [1], "b": 0}, lambda d: (d.__setitem__("b", d["a"]), d.__delitem__("a"), d["b"].append(2))),
    ("swapped", [[1], [2]], lambda v: (v.__setitem__(slice(None), [v[1], v[0]]), v[0].append(3))),
    ("locked", {"a": 1}, lambda d: (d.lock(), d.unlock(), d.__setitem__("a", 2))),
]  # fmt: skip


@pytest.mark.parametrize(("start", "mutate"), [row[1:] for row in MUTATORS], ids=[row[0] for row in MUTATORS])
@pytest.mark.parametrize("compact", [False, True])
def test_every_mutator_to_a_line_and_back(
    tmp_path: pathlib.Path, valid: Any, start: Any, mutate: Any, compact: bool
) -> None:
    """Every mutator writes a valid line that replays to the live state.

    The line says what the change said when it was made.
    """
    path = tmp_path / "log.jsonl"
    data = track(start, tracking_capture_stack=True)
    told: list[tuple[ChangeLogEntry, dict[str, Any]]] = []
    data.tracking_add_observer(
        lambda change: told.append((change, {name: plain(getattr(change, name)) for name in NAMES}))
    )
    with pydatatracker.observers.json_file_observer(path, compact=compact) as observer:
        data.tracking_add_observer(observer)
        with tracking_actor("tester", reason=("x", 1)):
            mutate(data)
    lines = list(read_changes(path, strict=True))
    for line in lines:
        valid(line.data)
    if not start:  # an empty container needs no line
        lines.insert(0, parse(to_line({"v": 1, "action": "init", "after": encode(start)})))
    assert plain(data) == replay(lines)
    assert len(told) == len(lines) - 1
    for (change, facts), line in zip(told, lines[1:], strict=True):
        pointer = facts["pointer"].encode("utf-8", "backslashreplace").decode()
        assert {**facts, "pointer": pointer} == {name: getattr(line, name) for name in NAMES}
        assert {"reason": ("x", 1)} == dict(change.context) == line.context
        assert len(change.stack) == len(line.stack) > 0
        assert (os.getpid(), "MainThread") == (line.pid, line.thread)
        entry = line.entry()
        assert {**facts, "pointer": pointer} == {name: getattr(entry, name) for name in NAMES}
        assert compact or len(change.tree) == len(line.tree)
        assert compact or {"action", "method", "type"} <= set(line.extra)


def plain(value: Any) -> Any:
    """Return tracked data as builtins."""
    return decode(encode(value))


def test_attributes_to_lines_and_back(tmp_path: pathlib.Path, valid: Any) -> None:
    """Objects with tracked attributes replay to the dict of their attributes."""

    class Account(TrackedAttr):
        def __init__(self, owner: str) -> None:
            self.owner = owner
            self.tags = ["new"]

    path = tmp_path / "log.jsonl"
    account = Account("ann")
    with pydatatracker.observers.json_file_observer(path) as observer:
        account.tracking_add_observer(observer)
        account.owner = "bob"
        account.tags.append("old")
        account.limit = 5
        del account.limit
        account.lock("owner")
        account.unlock("owner")
    lines = list(read_changes(path, strict=True))
    for line in lines:
        valid(line.data)
    assert {"owner": "bob", "tags": ["new", "old"]} == replay(lines)
    assert ["init", "update", "add", "add", "remove", "lock", "unlock"] == [line.action for line in lines]


def test_text_instead_of_values(tmp_path: pathlib.Path, valid: Any) -> None:
    """With tracking_keep_values=False a line has text for unkept values."""
    path = tmp_path / "log.jsonl"
    data = TrackedDict(tracking_keep_values=False)
    with pydatatracker.observers.json_file_observer(path) as observer:
        data.tracking_add_observer(observer)
        data["a"] = [1]
        data["a"] = 5
        data.update(b={1}, c=2)
    lines = list(read_changes(path, strict=True))
    for line in lines:
        valid(line.data)
    assert Repr("[1]", "list") == lines[0].after


def test_the_schema_refuses_wrong_lines(valid: Any) -> None:
    """The schema refuses wrong lines, and accepts lines with more keys."""
    valid(LINE)
    valid({**LINE, "new_key": {"any": "thing"}})
    valid({"v": 1, "action": "gap", "from": 1, "to": 2, "reason": "queue full"})
    wrong: list[Any] = [
        [],
        {},
        {**LINE, "v": 3},
        {
            **{
                key: value for key, value in LINE.items() if key not in ("before", "after", "splice", "changes", "also")
            },
            "v": 2,
            "after": 1,
        },
        {**LINE, "action": "created"},
        {**LINE, "seq": "41"},
        {**LINE, "uuid": "41"},
        {**LINE, "pointer": "a"},
        {**LINE, "path": "/a"},
        {**LINE, "after": {"$nonsense": 1}},
        {**LINE, "after": [{"a": {"$tuple": 1}}]},
        {**LINE, "after": {"$dict": [[1]]}},
        {**LINE, "splice": [0, []]},
        {**LINE, "changes": [[1, 2]]},
        {**LINE, "created_time": "2026-11-23T12:45:30"},
        {"v": 1, "action": "gap"},
        *(
            {key: value for key, value in LINE.items() if key != name}
            for name in ("v", "seq", "uuid", "action", "path")
        ),
    ]
    for line in wrong:
        with pytest.raises(jsonschema.ValidationError):
            valid(line)


def test_a_real_log_survives_everything_at_once(tmp_path: pathlib.Path, valid: Any) -> None:
    """A torn, damaged log shared with 0.1.0 is read, and damage is reported."""
    path = tmp_path / "log.jsonl"
    data = TrackedList([1])
    other = TrackedSet()
    with pydatatracker.observers.json_file_observer(path) as observer:
        data.tracking_add_observer(observer)
        data.append(2)
    with path.open("ab") as file:
        file.write(json.dumps(OLD_ADD).encode() + b"\n" + json.dumps(OLD_ADD["extra"]).encode() + b"\n{torn")
    with pydatatracker.observers.json_file_observer(path) as observer:
        other.tracking_add_observer(observer)
        other.add(1)
    errors = Errors()
    lines = list(read_changes(path, on_error=errors))
    assert ["init", "add", "add", "add", "add"] == [line.action for line in lines]
    assert [5] == [error.line for error in errors]
    assert b"{torn\n" == path.read_bytes()[errors[0].offset :][:6]
    assert [1, 1, 0, 0, 1] == [line.v for line in lines]
