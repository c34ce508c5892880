"""Steps: one change with plain values of its own, whatever its form.

A log reaches a replica as changes of this process, dicts, JSON lines or lines that a reader yields. Each becomes one
`Step`, whose values are as they were just after the change and are shared with nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, nests_deeper
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.references import References, references_of
from pydatatracker.change.rewind import Rewind
from pydatatracker.io.line import LogLine, read_json
from pydatatracker.io.parsing import TOO_DEEP
from pydatatracker.values.decode import decode, decode_known
from pydatatracker.values.encode import NESTING
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.standins import At
from pydatatracker.values.text import shown

__all__ = [
    "ONE_PLACE",
    "PUT_BACK",
    "GapError",
    "Line",
    "ReplicaError",
    "Step",
    "copied",
    "is_quick",
    "quick_step",
    "step_of",
    "steps_of",
]

Line = ChangeLogEntry | LogLine | Mapping[str, Any] | str | bytes

_TYPES = {"seq": int, "root": str, "action": str, "method": str, "type": str, "top": str}
# they can have a position, which the head of a line does not tell
PUT_BACK = frozenset(("tracking_undo", "tracking_redo", "tracking_revert", "tracking_revert_to", "rollback"))
ONE_PLACE = frozenset(("add", "update", "remove"))


class ReplicaError(ValueError):
    """A change does not fit the state of the replica; nothing was applied."""


class GapError(ReplicaError):
    """The log says that changes are missing here."""


@dataclass(slots=True)
class Step:
    """A change with plain values of its own."""

    seq: int
    root: str
    action: str
    method: str
    type: str
    time_ns: int
    paths: tuple[tuple[Any, ...], ...]
    before: Any
    after: Any
    splice: Any
    order: Any
    rows: tuple[tuple[Any, Any, Any], ...]
    top: str  # type of the root of its tree
    position: Any = None  # of a dict's key that comes, if not at the end; for rows a tuple
    also: tuple[tuple[str, tuple[Any, ...]], ...] = ()  # (root, path) of further places
    item: str = ""  # id of the container that changed
    ids: tuple[tuple[Any, str], ...] = ()  # (container, id) of those in the new values that the line names

    @property
    def is_slot(self) -> bool:
        """True if it changed one key, index, element or attribute.

        It is the last segment of its path.
        """
        return self.action != "init" and (self.before is not MISSING or self.after is not MISSING)

    @property
    def roots(self) -> tuple[str, ...]:
        """The ids of the roots that it is about, its own first."""
        return tuple(dict.fromkeys((self.root, *(root for root, _ in self.also)))) if self.also else (self.root,)

    def seen_from(self, root: str, shared: Mapping[int, Any] = MappingProxyType({})) -> Step:
        """Return the step as another one of its roots has it.

        O(values): it gets values of its own, but for what is shared: by the id of a value, what is there instead.
        """
        paths = tuple(path for each, path in self.also if each == root)
        if root == self.root or not paths:
            return self
        made = _Seen(root)
        made.update(shared)
        return replace(self._with_copies(made), root=root, paths=paths, top=self.type, also=())

    def copy(self, shared: Mapping[int, Any]) -> Step:
        """Return the step with values of its own, but for what is shared.

        O(values).
        """
        return self._with_copies(dict(shared))

    def _with_copies(self, made: dict[int, Any]) -> Step:
        splice = self.splice
        return replace(
            self,
            before=copied(self.before, made),
            after=copied(self.after, made),
            splice=splice and (splice[0], *(copied(list(items), made) for items in splice[1:])),
            rows=copied(self.rows, made),
            ids=(),
        )

    def __str__(self) -> str:
        return f"change {self.seq} ({self.action} {to_pointer(self.paths[0]) or 'of the whole'} by {self.method})"


# ---- a line


def step_of(line: Line) -> Step:
    """Return the step of a line.

    O(values); O(records) for a change in memory that holds containers. Raises GapError for a gap, ReplicaError for
    anything else that is not a change, TypeError for other objects.
    """
    return _settled(_entry_of(line))


def is_quick(head: Any) -> bool:
    """Return whether a line with this head changes one place by itself.

    Only then `quick_step` may take it. O(1).
    """
    if head.action not in ONE_PLACE or head.v != 1 or head.method in PUT_BACK:
        return False
    if type(head.seq) is not int or type(head.time_ns) is not int:
        return False
    return not (head.order or head.changes or head.paths or head.also or head.ids)


def quick_step(line: LogLine) -> Step | None:
    """Return the step of a line that changes one slot or a part of a list.

    None for any other line. It needs a third of the time of `step_of`, because it uses the head of the line. Its
    ``top`` is the type of the container that changed; only the first line of a root has to know better.
    """
    head = line.head
    if not is_quick(head) or not head.path:
        return None
    path = line.path
    splice = None
    if head.splice:
        splice = _splice_of(line)
        if splice is None or head.before or head.after:
            return None
    elif not path:
        return None
    return Step(
        seq=head.seq,
        root=head.root,
        action=head.action,
        method=head.method,
        type=head.type,
        time_ns=head.time_ns,
        paths=(path,),
        before=line.before,
        after=line.after,
        splice=splice,
        order=None,
        rows=(),
        top=head.type,
        item=head.tracked_item_uuid,
    )


def _splice_of(line: LogLine) -> Any:
    """Return (start, removed, inserted) of a line.

    None if it has a field of another type there.
    """
    splice = read_json(line.head.splice)
    if type(splice) is not list or [type(each) for each in splice] != [int, list, list] or splice[0] < 0:
        return None
    if bytes(line.head.path)[:1] != b"[":
        return None
    start, removed, inserted = splice
    return start, [decode(item) for item in removed], [decode(item) for item in inserted]


def steps_of(lines: Iterable[Line]) -> Iterator[Step]:
    """Yield the steps of lines in their order; blank lines are skipped.

    Raises what `step_of` does. The changes of one container of this process cost O(records) together.
    """
    if isinstance(lines, list) and lines and all(isinstance(each, ChangeLogEntry) and _is_live(each) for each in lines):
        changes: list[ChangeLogEntry] = lines
        if len({id(each.viewer) for each in changes}) == 1:
            yield from _settle_all(changes)
            return
    begun: set[str] = set()  # roots of which there was a line
    for line in lines:
        if isinstance(line, (str, bytes)) and not line.strip():
            continue
        step = quick_step(line) if isinstance(line, LogLine) and line.head.root in begun else None
        if step is None:
            step = step_of(line)
            begun.update(step.roots)
        yield step


def _entry_of(line: Any) -> ChangeLogEntry:
    if isinstance(line, ChangeLogEntry):
        return line
    if isinstance(line, LogLine):
        if line.is_gap:
            raise _gap(line.data)
        return line.entry()
    data: Any = line
    if isinstance(line, (str, bytes, bytearray)):
        if nests_deeper(line, NESTING):
            raise ReplicaError(f"not a change: {shown(line, 80)} is {TOO_DEEP}")
        try:
            data = json.loads(line)
        except ValueError as error:
            raise ReplicaError(f"not a change: {shown(line, 80)} is not JSON ({error})") from None
    if not isinstance(data, Mapping):
        raise TypeError(f"a line is a change, a dict or JSON, not {type(line).__name__}")
    if data.get("action") == "gap":
        raise _gap(data)
    if "seq" not in data or "action" not in data:
        raise ReplicaError(f"not a change: {shown(data, 80)} has no seq and action")
    return ChangeLogEntry.from_dict(data)


def _gap(data: Mapping[str, Any]) -> GapError:
    return GapError(
        f"the log has a gap: changes {data.get('from')} to {data.get('to')} are missing ({data.get('reason')});"
        " start again from an init line, or from a copy of the source"
    )


# ---- its values


def _settled(change: ChangeLogEntry) -> Step:
    """Return the step of a change, with its values as they were just after it."""
    if not _is_live(change):
        try:
            step = _step(change, lambda value: value)
            line = change.__dict__["_line"]
            if line.get("ids"):
                step = _identified(step, line)
            _check_types(step)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            line = shown(change.to_dict(), 80)
            raise ReplicaError(
                f"not a change: {line} is not as the log has it ({type(error).__name__}: {error})"
            ) from None
        return step
    if not _holds_tracked(change):
        return _step(change, _plain_now)
    if change.seq == _core.newest_seq():
        references = references_of(change)
        step = _step(change, lambda value: copied(value, _Referring(references)))
        if change.seq == _core.newest_seq():  # no other thread changed a place meanwhile
            return step
    return next(_settle_all([change]))


def _identified(step: Step, line: Mapping[str, Any]) -> Step:
    """Return the step of a line that has the ids of containers."""
    by_value: dict[str, dict[str, str]] = {}
    for pointer, name in line["ids"].items():
        parts = pointer.split("/")
        n = {"after": 2, "splice": 4, "changes": 4}.get(parts[1], 0)
        by_value.setdefault("/".join(parts[:n]), {})["".join(f"/{each}" for each in parts[n:])] = name
    found: list[tuple[Any, str]] = []

    def value(pointer: str, data: Any, value: Any) -> Any:
        if pointer not in by_value:
            return value
        value, known = decode_known(data, by_value[pointer])
        found.extend(known)
        return value

    after = value("/after", line.get("after"), step.after)
    splice, rows = step.splice, step.rows
    if splice is not None:
        inserted = line["splice"][2]
        splice = (*splice[:2], [value(f"/splice/2/{n}", inserted[n], item) for n, item in enumerate(splice[2])])
    if rows:
        given = line["changes"]
        rows = tuple(
            (key, before, value(f"/changes/{n}/2", given[n][2], new)) for n, (key, before, new) in enumerate(rows)
        )
    return replace(step, after=after, splice=splice, rows=rows, ids=tuple(found))


def _settle_all(changes: list[ChangeLogEntry]) -> Iterator[Step]:
    """Return the steps of changes of one container.

    It is rewound once for all of them.
    """
    container = changes[-1].viewer.container
    first = min(change.seq for change in changes)
    rewind = Rewind(container, first) if container is not None else None
    found = []
    for change in reversed(changes):
        if rewind is not None and change.action != "init":
            rewind.back_to(change.seq)
            found.append(_step(_core.as_shown(change), lambda value: copied(rewind.plain_of(value), {}), rewind))
        else:
            found.append(_step(change, _plain_now))
    return reversed(found)


def _step(change: ChangeLogEntry, plain_value: Callable[[Any], Any], rewind: Rewind | None = None) -> Step:
    splice, rows = change.splice, change.changes
    tree = change.tree
    withholds = rewind is not None and change._withholds

    def plain(key: Any, value: Any) -> Any:
        made = plain_value(value)
        return change._withheld(key, made) if withholds and made is not value else made

    return Step(
        change.seq,
        change.root,
        change.action,
        change.method,
        change.type,
        change.time_ns,
        change.paths,
        plain(change.location, change.before),
        plain(change.location, change.after),
        None
        if splice is None
        else (splice[0], *([plain(splice[0] + n, v) for n, v in enumerate(items)] for items in splice[1:])),
        change.order,
        tuple((key, plain(key, before), plain(key, after)) for key, before, after in rows),
        next((node["type"] for node in tree if node.get("uuid") == change.root), tree[0]["type"])
        if tree
        else change.type,
        change.position,
        change.also,
        change.tracked_item_uuid,
    )


def _is_live(change: ChangeLogEntry) -> bool:
    """Return True for a change of this process, False for one that was read."""
    return "_line" not in getattr(change, "__dict__", ())


def _check_types(step: Step) -> None:
    """Raise TypeError or ValueError for a field of the wrong type.

    No writer of ours makes one, but a log may come from anywhere.
    """
    for name, kind in _TYPES.items():
        if type(getattr(step, name)) is not kind:
            raise TypeError(f"{name} is a {type(getattr(step, name)).__name__}, not a {kind.__name__}")
    if not step.paths:
        raise ValueError("paths is empty")
    for at in step.position if type(step.position) is tuple else (step.position,):
        if at is not None and (type(at) is not int or at < 0):
            raise ValueError("position is not a position")
    if step.splice is not None and (type(step.splice[0]) is not int or step.splice[0] < 0):
        raise ValueError("splice does not begin with a position")


def _holds_tracked(change: ChangeLogEntry) -> bool:
    values = [change.old, change.new]
    for items in (change.old, change.new):
        if type(items) in (tuple, list):
            values.extend(items)
        elif type(items) is dict:
            values.extend(items.values())
    return any(_core.tracker(value) is not None for value in values)


def _plain_now(value: Any) -> Any:
    if value is MISSING or isinstance(value, (str, int, float, bytes, type(None))):
        return value
    return copied(value, {})


class _Seen(dict[int, Any]):
    """The copies made for another root of a line."""

    def __init__(self, root: str) -> None:
        self.root = root


class _Referring(dict[int, Any]):
    """The copies made for a change of this process, with what it refers to."""

    def __init__(self, references: References) -> None:
        self.references = references

    def at(self, value: Any) -> At | None:
        """Return where a container is, besides in the value; None if nowhere."""
        identity = self.references.identity(value)
        return None if identity is None else self.references.at(identity)


def copied(value: Any, made: dict[int, Any]) -> Any:
    """Return a value as plain data with containers of its own.

    All other objects are shared. O(size). ``made`` has the copies made so far, by the id of what they copy: one
    container is copied once.
    """
    if id(value) in made:
        return made[id(value)]
    if type(value) is At:
        return value.seen_from(made.root) if isinstance(made, _Seen) else value
    if type(made) is _Referring and (at := made.at(value)) is not None:
        return at
    kind = None if _core.tracker(value) is None else _core.tracker(value).kind  # type: ignore[union-attr]
    if kind == "set" or type(value) is set:
        return set(value)
    if kind != "tuple" and (kind is not None or type(value) in (dict, list)):
        held = _core.plain(value) if kind is not None else copy.copy(value)
        made[id(value)] = held
        if isinstance(held, dict):
            for key, item in held.items():
                held[key] = copied(item, made)
        else:
            held[:] = [copied(item, made) for item in held]
        return held
    if kind == "tuple" or type(value) is tuple:
        return tuple(copied(item, made) for item in tuple.__iter__(value))
    return value
