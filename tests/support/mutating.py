"""Logs made by the library, and ways to damage them, for hypothesis.

The draws are small numbers, so that they shrink.
"""

from __future__ import annotations

import copy
import functools
import io
import json
from typing import Any

from command import change
from gardening import Session

from pydatatracker import TrackedList, TrackedSet, track, tracking_actor, tracking_transaction
from pydatatracker.io import ChangeWriter

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2028\r\ud800"
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 1.5, 1e308, float("nan"), float("-inf"), 2**53, 2**63 - 1, 2**63, -(2**70), 10**30),
    *("", "x", "/", "/good", "good", "~", "$", "a/b~c", "-", "0", "9" * 5000, ESCAPES, "\x00", "=1+1", "ann"),
    *("init", "add", "update", "remove", "lock", "gap", "sort", "reverse", "append", "discard", "TrackedSet", "TrackedList", "TrackedDict"),
    *("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999-23:59", "2026-11-23", "2026-11-23T12:45:30", "yesterday"),
    *([], {}, [[]], [None], [1, 2], [0, [], []], [0, [0], ["x"]], [-1, [], [1]], [10**30, [], [1]], [0, [1]], [[1, 2, 3]], ["x", "y", "z"]),
    *([["good", 1, 2]], [["good", {"$missing": True}, 2]], [[0, 1, {"$missing": True}]], [[[], {}, {"$set": [[1]]}]], [[None, None, None]]),
    *({"a": ESCAPES}, {"": {"": []}}, {"good": 1}, {"action": "add"}, {"action": 7, "value": 1}, {"filename": 1, "lineno": "x", "name": None}),
    *([{"filename": ESCAPES, "lineno": 1, "name": ESCAPES, "line": ESCAPES}], [{"type": "TrackedList"}], [{"type": 5}], [7]),
    *({"$missing": True}, {"$missing": 0}, {"$redacted": True}, {"$ref": ""}, {"$ref": "/good"}, {"$ref": 5}, {"$tuple": 5}, {"$tuple": [{"$ref": ""}]}),
    *({"$set": [[1]]}, {"$set": [1, 1.0, True]}, {"$frozenset": [{"$set": []}]}, {"$dict": [[1]]}, {"$dict": [[[1], 2]]}, {"$dict": [[{"$tuple": []}, {"$ref": ""}]]}),
    *({"$dict": [[{"$float": "nan"}, 1], [1, 2], [True, 3]]}, {"$bytes": "x"}, {"$bytes": "AAEC"}, {"$bytes": "AA==", "type": "bytearray"}, {"$datetime": "x"}),
    *({"$datetime": "2026-01-01T00:00:00+00:00"}, {"$date": "0001-01-01"}, {"$time": "25:00"}, {"$timedelta": "9" * 40}, {"$timedelta": "-1.5"}),
    *({"$decimal": "sNaN"}, {"$decimal": "1e999999999"}, {"$uuid": "x"}, {"$path": "a\x00b"}, {"$complex": "nan"}, {"$float": "1e400"}, {"$float": []}),
    *({"$str": "\\ud800"}, {"$str": "\\x"}, {"$str": "é"}, {"$int": "0x" + "f" * 5000}, {"$int": "g"}, {"$repr": ESCAPES, "type": ESCAPES}, {"$repr": 5}),
    *({"$cut": 9, "type": "list", "start": [1]}, {"$cut": "x"}, {"$cut": 1e400, "start": {"$ref": ""}}, {"$new": 1}, {"$": 1}),
)  # fmt: skip
FIELDS = (
    *(
        "v",
        "seq",
        "uuid",
        "created_time",
        "time_ns",
        "action",
        "method",
        "type",
        "pointer",
        "path",
        "paths",
        "location",
    ),
    *("before", "after", "splice", "order", "changes", "actor", "context", "transaction", "undoes", "root", "pid"),
    *("tracked_item_uuid", "thread", "stack", "tree", "extra", "from", "to", "reason", "trace_id", "span_id"),
)
PIECES = (
    *(b"\x00", b"\xff", b"\x80", b"\xc2\x9b", b"\x1b[31m", b"\r", b"\r\n", b"\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b" "),
    *(b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"NaN", b"1e999", b"\\ud800", b"\\u001b", b"\x7f", b"-", b"9" * 30, b"\x0c", b"\x85"),
    *(b"[" * 300, b'{"a":' * 300),
)  # fmt: skip


OLD = {"action": "update", "location": "profile:score", "value": "17", "method": "__setitem__", "type": "TrackedDict"}


@functools.cache
def bases() -> list[list[bytes]]:
    """Return logs as lists of lines.

    Logs of sessions, of small containers, of 0.1.0, and with a gap.
    """
    steps = [(n * 7 % 31, n % 14, n * 5 % 12, n * 11 % 12) for n in range(40)]
    session = Session().run(steps).root
    plain = Session(odd_keys=False).run(steps[::-1]).root
    items: TrackedList = TrackedList([3, 1, 2])
    items.sort()
    items[0:1] = ["a", "b"]
    items.reverse()
    items.insert(1, 5)
    tags: TrackedSet = TrackedSet({1, 2})
    tags |= {3, ("t", 1)}
    tags.discard(1)
    good = track({"good": 0})
    with tracking_actor("ann", reason="r", n=1), tracking_transaction(good):
        good["good"] = 1
        good.update(good=[1, {"x": b"\x00"}], more={1, 2})
    good["good"][1]["x"] = 2.5
    del good["more"]
    good.lock()
    return [
        *([to_bytes(each, compact) for each in (session, plain, items, tags, good) for compact in (False, True)]),
        [change(seq=n + 1, pointer="/good", path=["good"], before=n or None, after=n + 1, actor="ann") for n in range(4)],
        [
            json.dumps({"actor": "job", "created_time": "2020-01-02T03:04:05+00:00", "extra": OLD}).encode() + b"\n",
            b'{"action":"add","location":"name","value":"Ann"}\n',
            b'{"v":1,"action":"gap","from":6,"to":9,"reason":"queue full"}\n',
            change(seq=10, action="init", method="__init__", pointer="", path=[], after={"good": 0}),
            change(seq=11, pointer="/good", path=["good"], before=0, after=1),
        ],
    ]  # fmt: skip


def to_bytes(container: Any, compact: bool) -> list[bytes]:
    """Return the lines of a container's changes, numbered from 1."""
    out = io.BytesIO()
    with ChangeWriter(out, compact=compact) as writer:
        for each in container.tracking_changes():
            writer.write(each)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    first = min(line["seq"] for line in lines) - 1
    return [json.dumps({**line, "seq": line["seq"] - first}).encode() + b"\n" for line in lines]


def mutated(lines: list[bytes], steps: list[tuple[int, int, int, int]]) -> bytes:
    """Return the log after all steps.

    A step is a line, an operation and two choices.
    """
    lines = list(lines)
    for which, what, one, other in steps:
        if not lines:
            break
        n = which % len(lines)
        _STEPS[what % len(_STEPS)](lines, n, one, other)
    return b"".join(lines)


def _drop(lines: list[bytes], n: int, one: int, other: int) -> None:
    del lines[n]


def _again(lines: list[bytes], n: int, one: int, other: int) -> None:
    lines.insert(one % (len(lines) + 1), lines[n])


def _swap(lines: list[bytes], n: int, one: int, other: int) -> None:
    one %= len(lines)
    lines[n], lines[one] = lines[one], lines[n]


def _flip(lines: list[bytes], n: int, one: int, other: int) -> None:
    line = bytearray(lines[n] or b"\0")
    line[one % len(line)] ^= 1 << other % 8
    lines[n] = bytes(line)


def _cut(lines: list[bytes], n: int, one: int, other: int) -> None:
    lines[n] = lines[n][: one % (len(lines[n]) + 1)] + b"\n" * (other % 2)


def _insert(lines: list[bytes], n: int, one: int, other: int) -> None:
    at = one % (len(lines[n]) + 1)
    lines[n] = lines[n][:at] + PIECES[other % len(PIECES)] + lines[n][at:]


def _field(lines: list[bytes], n: int, one: int, other: int) -> None:
    data = _object(lines[n])
    data[FIELDS[one % len(FIELDS)]] = STRANGE[other % len(STRANGE)]
    lines[n] = _line(data)


def _without(lines: list[bytes], n: int, one: int, other: int) -> None:
    data = _object(lines[n])
    names = list(data)
    if names:
        del data[names[one % len(names)]]
    lines[n] = _line(data)


def _inside(lines: list[bytes], n: int, one: int, other: int) -> None:
    data = _object(lines[n])
    places: list[tuple[Any, Any]] = []
    todo: list[Any] = [data]
    while todo:
        each = todo.pop()
        items = list(each.items() if isinstance(each, dict) else enumerate(each))
        places += [(each, key) for key, _ in items]
        todo += [value for _, value in items if isinstance(value, (dict, list))]
    if places:
        holder, key = places[one % len(places)]
        holder[key] = copy.deepcopy(STRANGE[other % len(STRANGE)])
    lines[n] = _line(data)


def _of_another(lines: list[bytes], n: int, one: int, other: int) -> None:
    data, source = _object(lines[n]), _object(lines[one % len(lines)])
    name = FIELDS[other % len(FIELDS)]
    if name in source:
        data[name] = source[name]
    lines[n] = _line(data)


def _number(lines: list[bytes], n: int, one: int, other: int) -> None:
    data = _object(lines[n])
    data["seq"] = one % 50
    lines[n] = _line(data)


_STEPS = (
    _drop,
    _again,
    _swap,
    _flip,
    _cut,
    _insert,
    _field,
    _field,
    _field,
    _inside,
    _inside,
    _inside,
    _without,
    _of_another,
    _number,
)


def _object(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    return data if isinstance(data, dict) else {"v": 1, "action": "add"}


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"
