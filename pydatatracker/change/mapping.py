"""A change as a JSON-ready dict, and a change read from one.

Memory and disk share one vocabulary: a line of a log is this dict.
"""

from __future__ import annotations

import datetime
import functools
import traceback
from collections.abc import Mapping
from traceback import FrameSummary, StackSummary
from types import MappingProxyType
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.change.compact import compacted
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.library import culprit_index
from pydatatracker.change.references import BEGUN, References, references_of
from pydatatracker.change.stack import culprit_in, in_line
from pydatatracker.values.codec import decoder
from pydatatracker.values.encode import decode, encode, encode_graph, encode_in_place, encode_key, is_object_key
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.secrets import FIELDS
from pydatatracker.values.text import silently

__all__ = ["ReadChange", "dict_of", "seen_from", "to_dict"]

_VALUES = ("before", "after", "splice", "changes")
_SCALARS = (str, int, float, bytes, type(None))


@functools.cache
def _decoder() -> Any:
    return decoder()


def dict_of(change: ChangeLogEntry, compact: bool) -> dict[str, Any]:
    """Return what `ChangeLogEntry.to_dict` returns.

    To write a line in the core and read it takes a tenth of the time of `to_dict`.
    """
    line = _core.change_line(change, compact, False, BEGUN.get().roots) if FIELDS.get() is None else None
    if line is None:
        return to_dict(change, compact)
    made: dict[str, Any] = _decoder()(line)
    del made["pid"], made["thread"]
    return made


def to_dict(change: ChangeLogEntry, compact: bool) -> dict[str, Any]:
    """Build what `ChangeLogEntry.to_dict` returns, of any change."""
    if isinstance(change._node, _core.WatchedTracker):
        with silently():
            return _to_dict(change, compact)
    return _to_dict(change, compact)


def _to_dict(change: ChangeLogEntry, compact: bool) -> dict[str, Any]:
    line: dict[str, Any] = {
        "v": 1,
        "seq": change.seq,
        "uuid": change.uuid,
        "created_time": change.created_time.isoformat(timespec="microseconds"),
        "time_ns": change.time_ns,
        "action": change.action,
        "method": change.method,
        "type": change.type,
    }
    _put_place(line, change)
    _put_values(line, change)
    _put_origin(line, change)
    if compact:
        return compacted(line)
    line["tree"] = [
        {**node, "location": None if node["location"] is None else encode_key(node["location"])} for node in change.tree
    ]
    line["extra"] = change.extra
    return line


def _put_place(line: dict[str, Any], change: ChangeLogEntry) -> None:
    paths = change.paths
    line["pointer"] = to_pointer(paths[0])
    line["path"] = [encode_key(key) for key in paths[0]]
    if len(paths) > 1:
        line["paths"] = [[encode_key(key) for key in path] for path in paths]
    also = change.also
    if also:
        line["v"] = 2  # who does not know it would leave the other roots as they were
        line["also"] = [[root, [encode_key(key) for key in path]] for root, path in also]
    if change.also_cut:
        line["also_cut"] = change.also_cut
    if change.location is not None:
        line["location"] = encode_key(change.location)


def seen_from(line: Mapping[str, Any], root: str) -> Mapping[str, Any]:
    """Return a line with one of the roots in its ``also`` as its root.

    What was its root is in ``also`` instead. ``tree``, ``extra`` and ``name`` are left out: they describe the line's
    own root. O(paths). The line itself if it does not mention the root.

    >>> line = {"v": 2, "root": "r", "path": ["a"], "pointer": "/a", "also": [["s", ["b", "a"]]]}
    >>> seen_from(line, "s")["pointer"], seen_from(line, "s")["also"]
    ('/b/a', [['r', ['a']]])
    """
    given = line.get("also", ())
    also = [each for each in given if type(each) in (list, tuple) and len(each) == 2]
    mine = [each for each in also if each[0] == root]
    if not mine or root == line.get("root"):
        return line
    own = [[line.get("root", ""), path] for path in line.get("paths") or [line.get("path", [])]]
    view = {key: value for key, value in line.items() if key not in ("tree", "extra", "name", "paths", "pointer")}
    view.update(root=root, path=mine[0][1], pointer=to_pointer([decode(key) for key in mine[0][1]]))
    if len(mine) > 1:
        view["paths"] = [path for _, path in mine]
    view["also"] = own + [each for each in also if each[0] != root]
    for name in _VALUES:
        if name in view:
            view[name] = _turned(view[name], str(line.get("root", "")), root)
    return view


def _turned(data: Any, old: str, new: str) -> Any:
    """Return JSON of values with the paths from another root."""
    if type(data) is list:
        return [_turned(item, old, new) for item in data]
    if type(data) is not dict:
        return data
    if "$at" in data and type(data.get("also", [])) is list:
        also = [row for row in data.get("also", ()) if type(row) is list and len(row) == 2]
        mine = next((path for each, path in also if each == new), None)
        others = [row for row in also if row[0] != new]
        if data["$at"] is not None:
            others.append([old, data["$at"]])
        return {**data, "$at": mine, "also": others}
    return {key: _turned(item, old, new) for key, item in data.items()}


def _put_values(line: dict[str, Any], change: ChangeLogEntry) -> None:
    writer = _Values(change)
    writer.put(line)
    if writer.is_late():  # a value had changed, or another thread changed one: the places may not be those of then
        writer = _Values(change)
        writer.put(line)
    references = writer.references
    if references is not None and references.met_cycle:  # deeper than what the roots know of
        for viewer in (change.viewer, *(change.others or ())):
            _core.note_cycles_below(viewer)
        writer = _Values(change, in_graph=True)
        writer.put(line)
        references = writer.references
    if references is not None and references.used:
        line["v"] = 2  # who does not know it would have copies of what is one
    if change.order is not None:
        line["order"] = list(change.order)
    position = change.position
    if position is not None:
        line["position"] = list(position) if type(position) is tuple else position
    if references is not None and references.ids:
        line["ids"] = references.ids


class _Values:
    """Writes the values of one change as they were just after it."""

    def __init__(self, change: ChangeLogEntry, in_graph: bool = False) -> None:
        self._in_graph = in_graph
        self._newest = _core.newest_seq()
        self.change = change if self._newest == change.seq else _core.as_shown(change)
        self.references: References | None = None  # made for the first container

    def is_late(self) -> bool:
        """Return whether something has changed since."""
        return self.references is not None and _core.newest_seq() != self._newest

    def put(self, line: dict[str, Any]) -> None:
        """Put the values into a line.

        First what was there before: the new values may refer to it.
        """
        change = self.change
        before, after = change.before, change.after
        if before is not MISSING:
            line["before"] = self._was(change.location, before)
        if after is not MISSING:
            line["after"] = self._is(change.location, after, "/after")
        if change.splice is not None:
            start, removed, inserted = change.splice
            line["splice"] = [
                start,
                [self._was(start + n, v) for n, v in enumerate(removed)],
                [self._is(start + n, v, f"/splice/2/{n}") for n, v in enumerate(inserted)],
            ]
        rows = change.changes
        if rows:
            moves = change._node.kind in ("list", "deque", "set")  # the keys of its rows are not those before
            old = [self._was(MISSING if moves else key, before) for key, before, _ in rows]
            line["changes"] = [
                [encode_key(key), was, self._is(key, after, f"/changes/{n}/2")]
                for n, ((key, _, after), was) in enumerate(zip(rows, old, strict=True))
            ]

    def _was(self, key: Any, value: Any) -> Any:
        return self._encoded(key, value, key, None)

    def _is(self, key: Any, value: Any, pointer: str) -> Any:
        return self._encoded(key, value, MISSING, pointer)

    def _encoded(self, key: Any, value: Any, base: Any, pointer: str | None) -> Any:
        if issubclass(type(value), _SCALARS):
            return encode(value)
        if self.change._node.kind == "set" and is_object_key(value):
            return encode_key(value)
        if self.references is None:
            self.references = references_of(self.change, self._in_graph)
        then = self.references.then(value)
        if self._newest != self.change.seq and then is not value and self.change._withholds:
            then = self.change._withheld(key, then)
        self.references.begin(base, pointer)
        if self.change.action == "init" and not self.references.in_graph:
            return encode_graph(then, self.references, named=_core.has_ids())
        return encode_in_place(then, self.references)


def _put_origin(line: dict[str, Any], change: ChangeLogEntry) -> None:
    if change.between is None:
        line["actor"] = change.actor
    else:
        line["between"] = list(change.between)  # nobody knows who it was: `actor` is absent, not ""
    line["context"] = {str(key): encode(value) for key, value in change.context.items()}
    if change.transaction is not None:
        line["transaction"] = change.transaction
    if change.undoes is not None:
        line["undoes"] = change.undoes
    line["root"] = change.root
    name = change.name
    if name:
        line["name"] = name
    line["tracked_item_uuid"] = change.tracked_item_uuid
    stack = change.stack
    line["stack"] = [in_line(frame) for frame in stack]
    if stack:
        line["culprit"] = culprit_index([f.filename for f in stack])


class ReadChange(ChangeLogEntry):
    """A change that was read from a dict, which has all its answers."""

    # no __slots__: its __dict__ holds the line
    _line: Mapping[str, Any]

    @classmethod
    def make(cls, line: Mapping[str, Any]) -> ReadChange:
        if not isinstance(line, Mapping):
            raise TypeError(f"from_dict takes what to_dict made, a mapping, not {type(line).__name__}")
        change = cls.__new__(cls)
        change.__dict__["_line"] = MappingProxyType(dict(line))
        return change

    def _get(self, name: str, default: Any = None) -> Any:
        return self._line.get(name, default)

    def _value(self, name: str) -> Any:
        return decode(self._line[name]) if name in self._line else MISSING

    seq = property(lambda self: self._get("seq", 0))
    uuid = property(lambda self: self._get("uuid", ""))
    time_ns = property(lambda self: self._time_ns())
    action = property(lambda self: self._get("action") or self._get("extra", {}).get("action", ""))
    method = property(lambda self: self._get("method") or self._get("extra", {}).get("method", ""))
    path = property(lambda self: tuple(decode(key) for key in self._get("path", ())))
    pointer = property(lambda self: self._line["pointer"] if "pointer" in self._line else to_pointer(self.path))
    location = property(lambda self: decode(self._get("location")))
    before = property(lambda self: self._value("before"))
    after = property(lambda self: self._value("after"))
    actor = property(lambda self: self._get("actor", ""))
    between = property(lambda self: tuple(self._get("between")) if self._get("between") else None)
    transaction = property(lambda self: self._get("transaction"))
    undoes = property(lambda self: self._get("undoes"))
    tracked_item_uuid = property(lambda self: self._get("tracked_item_uuid", ""))
    type = property(lambda self: self._get("type") or self._get("extra", {}).get("type", ""))
    tree = property(lambda self: list(self._get("tree", ())))
    root = property(lambda self: self._get("root", ""))
    name = property(lambda self: self._get("name"))
    extra = property(lambda self: dict(self._get("extra", {})))

    def _time_ns(self) -> int:
        if "time_ns" in self._line:
            return int(self._line["time_ns"])
        if "created_time" not in self._line:
            return 0  # unknown
        moment = datetime.datetime.fromisoformat(self._line["created_time"])
        return int(moment.timestamp() * 1_000_000) * 1000

    @property
    def created_time(self) -> datetime.datetime:
        if "created_time" in self._line:
            return datetime.datetime.fromisoformat(self._line["created_time"]).astimezone(datetime.UTC)
        return super().created_time

    @property
    def paths(self) -> tuple[tuple[Any, ...], ...]:
        given = self._get("paths")
        return (self.path,) if given is None else tuple(tuple(decode(key) for key in path) for path in given)

    @property
    def also(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        return tuple((root, tuple(decode(key) for key in path)) for root, path in self._get("also", ()))

    also_cut = property(lambda self: self._get("also_cut", 0))

    @property
    def splice(self) -> tuple[int, tuple[Any, ...], tuple[Any, ...]] | None:
        given = self._get("splice")
        if given is None:
            return None
        return given[0], tuple(decode(v) for v in given[1]), tuple(decode(v) for v in given[2])

    @property
    def order(self) -> tuple[int, ...] | None:
        given = self._get("order")
        return None if given is None else tuple(given)

    @property
    def position(self) -> int | tuple[int | None, ...] | None:
        given = self._get("position")
        return tuple(given) if type(given) is list else given

    @property
    def changes(self) -> tuple[tuple[Any, Any, Any], ...]:
        return tuple((decode(key), decode(a), decode(b)) for key, a, b in self._get("changes", ()))

    @property
    def context(self) -> Mapping[str, Any]:
        return MappingProxyType({key: decode(value) for key, value in self._get("context", {}).items()})

    @property
    def stack(self) -> StackSummary:
        return traceback.StackSummary.from_list(
            [
                traceback.FrameSummary(f.get("filename", ""), f.get("lineno"), f.get("name", ""), line=f.get("line"))
                for f in self._get("stack", ())
            ]
        )

    @property
    def culprit(self) -> FrameSummary | None:
        n = culprit_in(self._line, self._get("stack", ()))
        return None if n is None else self.stack[n]

    def to_dict(self, compact: bool = False) -> dict[str, Any]:
        return compacted(self._line) if compact else dict(self._line)

    @property
    def _shape(self) -> str:
        if "splice" in self._line:
            return "splice"
        if "order" in self._line:
            return "order"
        if "changes" in self._line:
            return "rows"
        return "slot" if "before" in self._line or "after" in self._line else "whole"

    old = property(lambda self: self.splice[1] if self.splice else self.before)
    new = property(lambda self: self.splice[2] if self.splice else self.after)
    index = property(lambda self: self.splice[0] if self.splice else -1)
