"""Wire formats: how one change is encoded for a receiver.

They are made from the line of the change alone.

- ``native``: the line itself.
- ``cloudevents``: CloudEvents 1.0, structured JSON. ``id`` is the change's, ``source`` the root container,
  ``subject`` the pointer, ``data`` the line; ``traceparent`` (the Distributed Tracing extension) if made in a span.
- ``debezium``: its change envelope. ``op`` is c, u, d, or r for a first state; ``before`` and ``after`` hold
  ``{pointer: value}`` for every path that changed. A change of several list items is ``{"splice": [...]}`` or
  ``{"order": [...]}`` in ``after``.
- ``json-patch``: RFC 6902 operations, pointers from the root. A change of a set cannot be expressed and is an empty
  list. A container with several paths is changed at all of them.

A change in several trees names the further ones in ``also`` of the line; ``debezium`` has it in ``source``.
``json-patch`` names no root, so each root has a patch of its own.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any, Final

from pydatatracker import _core
from pydatatracker.exporters.sink import Item
from pydatatracker.io.tracing import traceparent
from pydatatracker.values.encode import decode
from pydatatracker.values.pointer import to_pointer

__all__ = ["FORMATS", "ROOTLESS", "check_format", "format_item"]

ROOTLESS: Final = frozenset(("json-patch",))  # cannot say that a change is in several roots


def check_format(name: str) -> str:
    """Return name if it is a format; else raise ValueError.

    The message suggests the nearest name.
    """
    if name not in FORMATS:
        near = difflib.get_close_matches(str(name), FORMATS, 1, 0.0)[0]
        raise ValueError(f"unknown format {name!r}; did you mean {near!r}? The formats are {', '.join(FORMATS)}")
    return name


def format_item(item: Item, format: str) -> bytes:
    """Return the change as JSON in that format. O(size of the line).

    >>> item = Item(b'{"v":1,"seq":1,"action":"add","path":["a"],"after":1}', 1, "r", 0, "id")
    >>> format_item(item, "json-patch")
    b'[{"op":"add","path":"/a","value":1}]'
    """
    write = FORMATS[check_format(format)]
    if write is None:
        return item.line
    return json.dumps(write(item, json.loads(item.line)), separators=(",", ":"), ensure_ascii=False).encode()


def _cloudevents(item: Item, line: dict[str, Any]) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": item.id or f"{item.root}-{item.seq}",
        "source": f"urn:pydatatracker:{item.root}",
        "type": f"pydatatracker.change.{line.get('action', 'unknown')}",
        "datacontenttype": "application/json",
        "data": line,
    }
    if line.get("pointer"):
        event["subject"] = line["pointer"]
    if line.get("created_time"):
        event["time"] = line["created_time"]
    parent = traceparent(line)
    if parent is not None:  # the Distributed Tracing extension of CloudEvents
        event["traceparent"] = parent
    return event


_OPS: Final = {"add": "c", "update": "u", "remove": "d", "init": "r"}


def _debezium(item: Item, line: dict[str, Any]) -> dict[str, Any]:
    before, after = {}, {}
    base = to_pointer(_keys(line))
    if "before" in line:
        before[base] = line["before"]
    if "after" in line:
        after[base] = line["after"]
    for key, old, new in line.get("changes", ()):
        pointer = base + to_pointer([decode(key)])
        if not _is_missing(old):
            before[pointer] = old
        if not _is_missing(new):
            after[pointer] = new
    for name in ("splice", "order"):
        if name in line:
            after[name] = line[name]
    return {
        "before": before or None,
        "after": after or None,
        "source": {
            "connector": "pydatatracker",
            "name": item.root,
            "sequence": str(item.seq),
            "pointer": line.get("pointer", base),
            **{
                key: line[key]
                for key in ("method", "actor", "context", "transaction", "pid", "thread", "also", "also_cut")
                if line.get(key)
            },
        },
        "op": _OPS.get(line.get("action", ""), "m"),
        "ts_ms": item.time_ns // 1_000_000,
        "ts_ns": item.time_ns,
    }


def _is_missing(value: Any) -> bool:
    return isinstance(value, dict) and value.get("$missing") is True


def _keys(line: dict[str, Any], path: Any = None) -> list[Any]:
    return [decode(key) for key in (line.get("path", ()) if path is None else path)]


def _json_patch(item: Item, line: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        operation
        for path in line.get("paths") or [line.get("path", [])]
        for operation in _operations(line, to_pointer(_keys(line, path)))
    ]


def _operations(line: dict[str, Any], pointer: str) -> list[dict[str, Any]]:
    action = line.get("action")
    if action == "init":
        return [{"op": "replace", "path": pointer, "value": line.get("after")}]
    if "splice" in line:
        start, removed, inserted = line["splice"]
        return [{"op": "remove", "path": f"{pointer}/{start}"} for _ in removed] + [
            {"op": "add", "path": f"{pointer}/{start + n}", "value": value} for n, value in enumerate(inserted)
        ]
    if "order" in line:
        return _moves(pointer, line["order"])
    if _is_of_a_set(line):
        return []
    if "before" in line or "after" in line:
        return [_operation(pointer, "before" in line, "after" in line, line.get("after"))]
    rows = line.get("changes", [])
    if rows and type(rows[0][0]) is int and _is_missing(rows[0][2]):
        gone = [row for row in rows if _is_missing(row[2])]  # items of a list: from the end, so that indices stay right
        rows = gone[::-1] + [row for row in rows if not _is_missing(row[2])]
    return [
        _operation(pointer + to_pointer([decode(key)]), not _is_missing(old), not _is_missing(new), new)
        for key, old, new in rows
    ]


def _operation(pointer: str, had: bool, has: bool, value: Any) -> dict[str, Any]:
    if not has:
        return {"op": "remove", "path": pointer}
    return {"op": "replace" if had else "add", "path": pointer, "value": value}


# __iand__ and __isub__ are of a Counter, too
_SET_METHODS: Final = frozenset(_core.METHODS[_core.METHODS.index("add") : _core.METHODS.index("__setattr__")]) - {
    "__iand__",
    "__isub__",
}
_OTHER_TYPES: Final = frozenset(
    ("TrackedDict", "TrackedList", "TrackedOrderedDict", "TrackedDefaultDict", "TrackedCounter", "TrackedDeque")
)


def _is_of_a_set(line: dict[str, Any]) -> bool:
    if line.get("type") in _OTHER_TYPES:
        return False
    if line.get("type") == "TrackedSet" or line.get("method") in _SET_METHODS:
        return True
    # an update of a set: each row is an element, and the element itself what came or went
    rows = line.get("changes", [])
    return bool(rows) and type(rows[0][0]) is not int and all(key in (old, new) for key, old, new in rows)


def _moves(pointer: str, order: list[int]) -> list[dict[str, Any]]:
    # An item that has not been moved yet is behind all items that have, and behind those that were before it and have
    # not been moved either. A Fenwick tree counts the latter: a list of a million items would need hours otherwise.
    size = len(order)
    if sorted(order) != list(range(size)):
        raise ValueError("the order of the line is not a permutation of the list's positions")
    waiting = [n & -n for n in range(size + 1)]
    found = []
    for new, old in enumerate(order):
        at, n = new, old
        while n:
            at += waiting[n]
            n &= n - 1
        n = old + 1
        while n <= size:
            waiting[n] -= 1
            n += n & -n
        if at != new:
            found.append({"op": "move", "from": f"{pointer}/{at}", "path": f"{pointer}/{new}"})
    return found


FORMATS: Final[dict[str, Callable[[Item, dict[str, Any]], Any] | None]] = {
    "native": None,
    "cloudevents": _cloudevents,
    "debezium": _debezium,
    "json-patch": _json_patch,
}
