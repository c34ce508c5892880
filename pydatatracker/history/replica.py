"""Replicas: what was recorded here, in memory or as JSONL, rebuilds the same value there, change by change.

A change says where it happened, what was there and what is there now. Before anything is done the place is looked
at: a replica that is not where the log thinks it is says so instead of drifting away.
"""

from __future__ import annotations

import collections
import copy
import datetime
import json
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.rewind import Rewind
from pydatatracker.history.points import micros
from pydatatracker.io.line import LogLine
from pydatatracker.values.encode import encode
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.standins import Cut, Redacted, Ref, Repr

__all__ = ["GapError", "Replica", "ReplicaError", "apply_change", "replay"]

Line = ChangeLogEntry | LogLine | Mapping[str, Any] | str | bytes
_ADVICE = (
    "Lines are missing or came in another order, or the replica was changed by somebody else;"
    " start again from an init line, or from a copy of the source"
)
_TYPES = {"seq": int, "root": str, "action": str, "method": str, "type": str, "top": str}
_PROGRAM = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)  # no data
_NO_DATA = frozenset(("lock", "unlock"))


class ReplicaError(ValueError):
    """A change does not fit: the replica is not in the state that the log goes on from. Nothing was applied."""


class GapError(ReplicaError):
    """The log says that changes are missing here."""


@dataclass(slots=True)
class _Step:
    """A change with plain values of its own, from wherever it came."""

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
    top: str

    @property
    def named(self) -> bool:
        return self.action != "init" and (self.before is not MISSING or self.after is not MISSING)

    def __str__(self) -> str:
        return f"change {self.seq} ({self.action} {to_pointer(self.paths[0]) or 'of the whole'} by {self.method})"


# ---- reading


def _entry_of(line: Any) -> ChangeLogEntry:
    if isinstance(line, ChangeLogEntry):
        return line
    if isinstance(line, LogLine):
        if line.is_gap:
            raise _gap(line.data)
        return line.entry()
    data: Any = line
    if isinstance(line, (str, bytes, bytearray)):
        try:
            data = json.loads(line)
        except ValueError as error:
            raise ReplicaError(f"not a change: {_short(line)} is no JSON ({error})") from None
    if not isinstance(data, Mapping):
        raise TypeError(f"a change, a dict or a JSON line is needed, not {type(line).__name__}")
    if data.get("action") == "gap":
        raise _gap(data)
    if "seq" not in data or "action" not in data:
        raise ReplicaError(f"not a change: {_short(data)} has no seq and action")
    return ChangeLogEntry.from_dict(data)


def _gap(data: Mapping[str, Any]) -> GapError:
    return GapError(
        f"the log has a gap: changes {data.get('from')} to {data.get('to')} are missing ({data.get('reason')});"
        " start again from an init line, or from a copy of the source"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _step(change: ChangeLogEntry, plain: Callable[[Any], Any]) -> _Step:
    splice, rows = change.splice, change.changes
    tree = change.tree
    return _Step(
        change.seq,
        change.root,
        change.action,
        change.method,
        change.type,
        change.time_ns,
        change.paths,
        plain(change.before),
        plain(change.after),
        None if splice is None else (splice[0], [plain(v) for v in splice[1]], [plain(v) for v in splice[2]]),
        change.order,
        tuple((key, plain(before), plain(after)) for key, before, after in rows),
        tree[0]["type"] if tree else change.type,
    )


_ONE_PLACE = frozenset(("add", "update", "remove"))


def _quick(line: Any) -> _Step | None:
    """The step of a line of a log that changes one place, from its head; None for others. A third of the time."""
    head = line._head
    if head.action not in _ONE_PLACE or head.v != 1 or type(head.seq) is not int or type(head.time_ns) is not int:
        return None
    if head.splice or head.order or head.changes or head.paths or not head.path:
        return None
    path = line.path
    if not path:
        return None
    return _Step(
        seq=head.seq,
        root=head.root,
        action=head.action,
        method=head.method,
        type=head.type,
        time_ns=head.time_ns,
        paths=(path,),
        before=line.before,
        after=line.after,
        splice=None,
        order=None,
        rows=(),
        top=head.type,
    )


def _is_live(change: ChangeLogEntry) -> bool:
    return "_line" not in getattr(change, "__dict__", ())


def _plain_now(value: Any) -> Any:
    if value is MISSING or isinstance(value, (str, int, float, bytes, type(None))):
        return value
    return _copied(value, {})


def _copied(value: Any, made: dict[int, Any]) -> Any:
    # plain data of its own; what is neither container nor tracked stays the same object
    if id(value) in made:
        return made[id(value)]
    kind = None if _core.tracker(value) is None else _core.tracker(value).kind  # type: ignore[union-attr]
    if kind == "set" or type(value) is set:
        return set(value)
    if kind is not None or type(value) in (dict, list):
        held = _core.plain(value) if kind is not None else copy.copy(value)
        made[id(value)] = held
        if isinstance(held, dict):
            for key, item in held.items():
                held[key] = _copied(item, made)
        else:
            held[:] = [_copied(item, made) for item in held]
        return held
    if type(value) is tuple:
        return tuple(_copied(item, made) for item in value)
    return value


def _settled(change: ChangeLogEntry) -> _Step:
    """A change with its values as they were just after it."""
    if not _is_live(change):
        try:
            step = _step(change, lambda value: value)
            _check_types(step)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ReplicaError(
                f"not a change: {_short(change.to_dict())} is not as the log has it ({type(error).__name__}: {error})"
            ) from None
        return step
    if change.seq == _core.newest_seq() or not _holds_tracked(change):
        return _step(change, _plain_now)
    return next(_settle_all([change]))


def _check_types(step: _Step) -> None:
    # what a reader of the log put there may be anything
    for name, kind in _TYPES.items():
        if type(getattr(step, name)) is not kind:
            raise TypeError(f"{name} is a {type(getattr(step, name)).__name__}, not a {kind.__name__}")
    if not step.paths:
        raise ValueError("paths is empty")
    if step.splice is not None and (type(step.splice[0]) is not int or step.splice[0] < 0):
        raise ValueError("splice begins with no position")


def _holds_tracked(change: ChangeLogEntry) -> bool:
    values = [change.old, change.new]
    for items in (change.old, change.new):
        if type(items) in (tuple, list):
            values.extend(items)
        elif type(items) is dict:
            values.extend(items.values())
    return any(_core.tracker(value) is not None for value in values)


def _settle_all(changes: list[ChangeLogEntry]) -> Iterator[_Step]:
    # one way back for all of them
    container = changes[-1].viewer.container
    rewind = Rewind(container) if container is not None else None
    found = []
    for change in reversed(changes):
        if rewind is not None and change.action != "init":
            rewind.back_to(change.seq)
            found.append(_step(change, lambda value: _copied(rewind.plain_of(value), {})))
        else:
            found.append(_step(change, _plain_now))
    return reversed(found)


def _steps(lines: Iterable[Any]) -> Iterator[_Step]:
    together: list[ChangeLogEntry] = []
    if isinstance(lines, list) and lines and all(isinstance(each, ChangeLogEntry) and _is_live(each) for each in lines):
        together = lines
        if len({id(each.viewer) for each in together}) == 1:
            yield from _settle_all(together)
            return
    for line in lines:
        if isinstance(line, (str, bytes)) and not line.strip():
            continue
        yield _settled(_entry_of(line))


# ---- applying


def apply_change(container: Any, change: Line) -> None:
    """Do to a container what a change says: one of this process, a dict of to_dict, or a JSON line.

    ``container`` is tracked or plain. The change is applied at all its places; its values are copies, as they were
    just after it. O(change), and for a change in memory that holds containers and is not the newest O(records).
    Raises ReplicaError if the place does not hold what the log says was there, and GapError for a gap line;
    nothing is done then. ``lock`` and ``unlock`` are of the source, and change no data.

    >>> from pydatatracker import TrackedDict
    >>> source, copy = TrackedDict(), {}
    >>> source.tracking_add_observer(lambda change: apply_change(copy, change.to_dict()))
    >>> source["a"] = (1, {2})
    >>> copy
    {'a': (1, {2})}
    """
    _apply(container, _settled(_entry_of(change)))


def _apply(container: Any, step: _Step) -> None:
    if step.action in _NO_DATA:
        return
    targets = [_walk(container, path[:-1] if step.named else path, step) for path in step.paths]
    if step.action == "init":
        for target, path in zip(targets, step.paths, strict=True):
            _fill(target, step.after, path, step)
        return
    for target, path in zip(targets, step.paths, strict=True):
        _check(target, path, step)
    done: set[int] = set()  # one object may sit in several places here too: it changes once
    for n, target in enumerate(targets):
        if id(target) in done:
            continue
        done.add(id(target))
        _do(target, step.paths[n], step, (lambda value: value) if n == 0 else (lambda value: _copied(value, {})))


def _walk(container: Any, path: tuple[Any, ...], step: _Step) -> Any:
    for n, key in enumerate(path):
        try:
            container = container[key] if isinstance(container, (dict, list)) else _attribute(container, key)
        except (LookupError, TypeError, AttributeError):
            raise ReplicaError(
                f"{step} does not fit: there is nothing at {to_pointer(path[: n + 1])}. " + _ADVICE
            ) from None
    return container


def _attribute(target: Any, name: Any) -> Any:
    """Return an attribute that is the object's own. Raises LookupError for all others.

    A log may come from anywhere. By ``__class__``, or by a method and its ``__globals__``, a path would lead out of the
    data and into the program.
    """
    if _may_hold(target, name):
        held = getattr(target, "__dict__", {})
        if name in held:
            return held[name]
        if hasattr(type(getattr(type(target), name, None)), "__set__"):  # a slot, or a property
            return getattr(target, name)
    raise LookupError(name)


def _may_hold(target: Any, name: Any) -> bool:
    """Return whether a log may say that target has an attribute of that name."""
    if type(name) is not str or name.startswith("__") or isinstance(target, _PROGRAM):
        return False
    kind = getattr(type(target), name, None)
    return hasattr(type(kind), "__set__") or (hasattr(target, "__dict__") and not callable(kind))


def _fill(target: Any, state: Any, path: tuple[Any, ...], step: _Step) -> None:
    if isinstance(target, dict) and isinstance(state, dict):
        target.clear()
        target.update(state)
    elif isinstance(target, list) and isinstance(state, list):
        target[:] = state
    elif isinstance(target, set) and isinstance(state, set):
        target.clear()
        target.update(state)
    elif isinstance(state, dict) and not isinstance(target, (dict, list, set)):
        for key in state:
            _check_attribute(target, key, path, step)
        for key, value in state.items():
            setattr(target, key, value)
    else:
        raise ReplicaError(
            f"{step} does not fit: at {to_pointer(path) or 'the root'} is a {type(target).__name__}, and the log has a"
            f" {type(state).__name__} there"
        )


def _held(target: Any, key: Any) -> Any:
    if isinstance(target, dict):
        return target.get(key, MISSING)
    if isinstance(target, list):
        return target[key] if isinstance(key, int) and 0 <= key < len(target) else MISSING
    if isinstance(target, set):
        return key if key in target else MISSING
    try:
        return _attribute(target, key)
    except (LookupError, AttributeError):
        return MISSING


def _check(target: Any, path: tuple[Any, ...], step: _Step) -> None:
    wanted: list[tuple[Any, Any]] = []
    if not isinstance(target, (dict, list, set)):
        for key in (path[-1],) if step.named else [row[0] for row in step.rows]:
            _check_attribute(target, key, path, step)
    if step.splice is not None:
        start, removed, _ = step.splice
        if not isinstance(target, list) or start > len(target):
            raise _unfit(step, path, f"an item before position {start}", MISSING)
        wanted = [(start + n, item) for n, item in enumerate(removed)]
    elif step.order is not None:
        if not isinstance(target, list) or sorted(step.order) != list(range(len(target))):
            raise _unfit(step, path, f"a list of {len(step.order)} items", target)
    elif step.named:
        if isinstance(target, list) and step.before is MISSING:
            if not isinstance(path[-1], int) or not 0 <= path[-1] <= len(target):
                raise _unfit(step, path, f"a place for position {path[-1]}", MISSING)
        else:
            wanted = [(path[-1] if not isinstance(target, set) else _element(step.before, step.after), step.before)]
    elif isinstance(target, list):
        wanted = [(key, before) for key, before, _ in step.rows if before is not MISSING]
    else:
        met: dict[Any, Any] = {}
        for key, before, after in step.rows:
            if key not in met:
                wanted.append((_element(before, after) if isinstance(target, set) else key, before))
            met[key] = after
    for key, before in wanted:
        held = _held(target, key)
        if not _alike(held, before):
            raise _unfit(step, (*path[:-1], key) if step.named else (*path, key), before, held)


def _check_attribute(target: Any, name: Any, path: tuple[Any, ...], step: _Step) -> None:
    if not _may_hold(target, name):
        raise ReplicaError(
            f"{step} does not fit: at {to_pointer(path[:-1] if step.named else path) or 'the root'} is a"
            f" {type(target).__name__}, which cannot have an attribute {_short(name)} of a log"
        )


def _element(before: Any, after: Any) -> Any:
    return after if before is MISSING else before


def _unfit(step: _Step, path: tuple[Any, ...], expected: Any, held: Any) -> ReplicaError:
    say = {id(MISSING): "nothing"}
    there = say.get(id(held)) or _short(held)
    was = say.get(id(expected)) or (expected if type(expected) is str else _short(expected))
    return ReplicaError(
        f"{step} does not fit: at {to_pointer(path) or 'the root'} the log has {was}, the replica {there}. " + _ADVICE
    )


def _alike(held: Any, logged: Any) -> bool:
    if held is logged:
        return True
    if (held is MISSING) != (logged is MISSING):
        return False
    if isinstance(held, (str, int, type(None))) and type(held) is type(logged):
        return bool(held == logged)
    if _is_partial(logged) or _is_partial(held):
        return True
    return bool(encode(held, limit=None) == encode(logged, limit=None)) or _is_partial_inside(logged)


def _is_partial(value: Any) -> bool:
    return isinstance(value, (Cut, Ref, Repr, Redacted))


def _is_partial_inside(value: Any) -> bool:
    # what could not be brought back cannot be compared
    todo, seen = [value], set()
    while todo:
        each = todo.pop()
        if _is_partial(each):
            return True
        if isinstance(each, (dict, list, tuple, set, frozenset)) and id(each) not in seen:
            seen.add(id(each))
            todo.extend(each.values() if isinstance(each, dict) else each)
    return False


def _do(target: Any, path: tuple[Any, ...], step: _Step, own: Callable[[Any], Any]) -> None:
    if step.splice is not None:
        start, removed, inserted = step.splice
        target[start : start + len(removed)] = [own(item) for item in inserted]
    elif step.order is not None:
        if _core.tracker(target) is not None:  # as one change of order, so that its items are the same ones
            _core.restore(target, "order", -1, MISSING, MISSING, tuple(step.order), _core.M_CODES["sort"])
            return
        items = list(target)
        target[:] = [items[old] for old in step.order]
    elif step.named:
        _put(target, path[-1], step.before, own(step.after))
    else:
        rows = step.rows
        if isinstance(target, list) and rows and rows[0][2] is MISSING:
            rows = rows[::-1]  # removed: from the end, so that indices stay right
        for key, before, after in rows:
            _put(target, key, before, own(after))


def _put(target: Any, key: Any, before: Any, after: Any) -> None:
    if isinstance(target, set):
        if after is MISSING:
            target.discard(before)
        else:
            target.add(after)
    elif isinstance(target, list):
        if before is MISSING:
            target.insert(key, after)
        elif after is MISSING:
            del target[key]
        else:
            target[key] = after
    elif isinstance(target, dict):
        if after is MISSING:
            del target[key]
        else:
            target[key] = after
    elif after is MISSING:
        delattr(target, key)
    else:
        setattr(target, key, after)


# ---- in order


class Replica:
    """A container that follows a log: applies changes in order, once each.

    ``apply`` returns False for a change that came already, and raises GapError at a gap and ReplicaError for one
    that comes too late or does not fit. ``seq`` is the newest applied. Remembers the last 100,000 seqs.

    >>> from pydatatracker import TrackedList
    >>> source = TrackedList()
    >>> source.append(1)
    >>> line = source.last_change().to_dict()
    >>> replica = Replica([])
    >>> replica.apply(line), replica.apply(line), replica.value
    (True, False, [1])
    """

    def __init__(self, container: Any) -> None:
        self.value = container
        self.seq = 0
        self.root = ""
        self._recent: collections.deque[int] = collections.deque()
        self._known: set[int] = set()

    def apply(self, change: Line) -> bool:
        """Apply one change; False if it was applied before. As apply_change."""
        step = _quick(change) if isinstance(change, LogLine) else None
        return self._apply(step or _settled(_entry_of(change)))

    def _apply(self, step: _Step) -> bool:
        if self.root and step.root and step.root != self.root:
            raise ReplicaError(f"{step} is of another container ({step.root}) than the ones before ({self.root})")
        if step.seq in self._known and step.action != "init":
            return False
        if step.seq < self.seq and step.action != "init":
            if len(self._recent) == 100_000 and step.seq < self._recent[0]:
                return False
            raise ReplicaError(
                f"{step} comes too late: change {self.seq} was applied already. Sort the lines by seq, or start again"
            )
        _apply(self.value, step)
        self.seq = max(self.seq, step.seq)
        self.root = self.root or step.root
        self._recent.append(step.seq)
        self._known.add(step.seq)
        if len(self._recent) > 100_000:
            self._known.discard(self._recent.popleft())
        return True


def replay(
    lines: Iterable[Line] | str | os.PathLike[str],
    at: int | datetime.datetime | None = None,
    *,
    root: str | None = None,
) -> Any:
    """Return the value that a log describes, as plain data: a dict, list or set; of an object with attributes a dict.

    ``lines``: changes, dicts, JSON lines, or the path of a log (lines that cannot be read are an error; they are
    sorted by seq, as threads write theirs when they come to it). ``at``: the
    state just after that seq, or at that time. What comes twice is applied once. A log of several containers
    needs ``root``, the id of one. O(log). Raises ReplicaError, GapError, LogFormatError.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict(a=1)
    >>> d["b"] = (2,)
    >>> replay(d.tracking_changes())
    {'a': 1, 'b': (2,)}
    """
    if isinstance(lines, os.PathLike) or (isinstance(lines, str) and "\n" not in lines and "{" not in lines):
        from pydatatracker.io import read_changes

        with read_changes(lines, strict=True) as reader:
            return _replay(sorted(reader, key=_seq_of_line), at, root)
    if isinstance(lines, (str, bytes)):
        lines = lines.splitlines()
    return _replay(lines, at, root)


def _seq_of_line(line: Any) -> int:
    if line.is_gap:
        return line.gap[0] or 0
    return line.seq or 0


def _replay(lines: Iterable[Any], at: int | datetime.datetime | None, root: str | None) -> Any:
    replicas: dict[str, Replica] = {}
    moment = micros(at) if isinstance(at, datetime.datetime) else None
    for step in _steps(lines):
        if root is not None and step.root != root:
            continue
        if moment is not None:
            if step.time_ns // 1000 > moment:
                continue
        elif at is not None and step.seq > at:  # type: ignore[operator]
            continue
        if step.root not in replicas:
            replicas[step.root] = Replica(_empty_for(step))
        replicas[step.root]._apply(step)
    if len(replicas) > 1:
        raise ReplicaError(f"the log is of {len(replicas)} containers; name one: root= one of {', '.join(replicas)}")
    if not replicas:
        raise ReplicaError("there is no change in the log" + ("" if at is None else f" up to {at}"))
    return next(iter(replicas.values())).value


_KINDS: dict[str, Callable[[], Any]] = {"TrackedDict": dict, "TrackedList": list, "TrackedSet": set}
_LIST_METHODS = frozenset(("append", "insert", "extend", "__iadd__", "__imul__", "sort", "reverse"))
_SET_METHODS = frozenset(_core.METHODS[_core.METHODS.index("add") : _core.METHODS.index("__setattr__")])


def _empty_for(step: _Step) -> Any:
    """What a log begins with that starts with this step: an empty container needs no init line."""
    if step.action == "init":
        return type(step.after)() if isinstance(step.after, (list, set)) else {}
    if step.top in _KINDS:
        return _KINDS[step.top]()
    path = step.paths[0]
    if len(path) > 1 or not step.named:
        return [] if step.splice is not None or step.order is not None or (path and type(path[0]) is int) else {}
    if step.method in _LIST_METHODS:
        return []
    return set() if step.method in _SET_METHODS else {}
