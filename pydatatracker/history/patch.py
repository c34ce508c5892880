"""JSON patches (RFC 6902) from records: what was done, as operations.

The container is rewound, newest change first. At every change its plain state is at hand just after it (the values that
forward operations set) and just before it (those of inverse operations), whatever has become of the values since. The
operations come out newest first, and are reversed for the forward patch.

For what a pointer cannot name (below a set, below a key that is not a str), the nearest container above is replaced as
a whole. Such a replacement stays open while older changes follow: one that lies inside it needs no operation of its
own, and one that moves its location closes it. So n changes of a set cost one copy of it, not n.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, Change
from pydatatracker.change.bulk_rows import in_turn
from pydatatracker.history.walk import Walk, addressable, plain_copy, span
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.standins import is_redacted

__all__ = ["patch"]

_MOST_MOVES = 32  # finding one costs O(items)
_MOST_PLACES = 256  # as many as the core reports

Path = tuple[str | int, ...]
Operation = dict[str, Any]


def patch(
    container: Any, since: int | None = None, until: int | None = None, *, inverse: bool = False, test: bool = False
) -> list[Operation]:
    """Return the RFC 6902 operations from one state to a later one.

    They lead from the state after change since to that after change until; None is the birth of the container, and now.
    They are made from the records, change by change: applied to ``plain_copy(state_at(container, since))``, which like
    JSON has no shared parts, they give the state at until.

    ``inverse=True``: back from until to since. ``test=True``: before every replace, remove and move comes a ``test`` of
    the value that is there. Values are plain copies, one for each operation; a set stays a set, and below a set or a
    key that is not a str the nearest container above is replaced as a whole. Elements of sets are not looked into.

    O(items of container + changes + size of their values). Raises HistoryLostError if records that are needed are no
    longer kept, ValueError if since is after until or a value holds itself, TypeError for anything but a seq.

    >>> from pydatatracker import track
    >>> d = track({"ports": [80]})
    >>> d["ports"].append(443)
    >>> d["on"] = True
    >>> patch(d)
    [{'op': 'add', 'path': '/ports/1', 'value': 443}, {'op': 'add', 'path': '/on', 'value': True}]
    >>> patch(d, inverse=True)
    [{'op': 'remove', 'path': '/on'}, {'op': 'remove', 'path': '/ports/1'}]
    """
    return _Writer(container, *span(container, since, until), inverse, test).operations()


class _Value:
    """A plain value for several operations.

    The first one gets it, the others copies.
    """

    __slots__ = ("_taken", "_value")

    def __init__(self, value: Any) -> None:
        self._value = plain_copy(value)
        self._taken = False

    def take(self) -> Any:
        if self._taken:
            return plain_copy(self._value)
        self._taken = True
        return self._value


class _Edit:
    """One operation on a container, or at a segment below it.

    add, remove, replace or move.
    """

    __slots__ = ("frm", "moved", "new", "old", "op", "step")

    def __init__(self, op: str, step: Any, frm: int = -1, moved: Any = None) -> None:
        self.op = op
        self.step = step  # None: the container itself
        self.frm = frm  # move: where from
        self.moved = moved
        self.old: _Value | None = None
        self.new: _Value | None = None

    def inverse(self) -> _Edit:
        op = {"add": "remove", "remove": "add"}.get(self.op, self.op)
        other = _Edit(op, self.frm if op == "move" else self.step, self.step if op == "move" else -1)
        other.old, other.new = (self.old, None) if op == "move" else (self.new, self.old)
        return other

    def operations(self, base: Path, test: bool) -> list[Operation]:
        """Return it as it is written below base, after a test if requested."""
        target = base if self.step is None else (*base, self.step)
        source = (*base, self.frm) if self.op == "move" else target
        written: list[Operation] = []
        if test and self.old is not None and self.op != "add":
            value = self.old.take()
            if _same_as_itself(value):
                written.append({"op": "test", "path": to_pointer(source), "value": value})
        written.append({"op": self.op, "path": to_pointer(target)})
        if self.op == "move":
            written[-1] = {"op": "move", "from": to_pointer(source), "path": to_pointer(target)}
        elif self.op != "remove" and self.new is not None:
            written[-1]["value"] = self.new.take()
        return written


def _same_as_itself(value: Any) -> bool:
    """Return False for nan, for what is withheld, and what holds either.

    A test of it fails.
    """
    if is_redacted(value):
        return False
    if isinstance(value, float):
        return value == value
    if isinstance(value, dict):
        return all(map(_same_as_itself, value.values()))
    return all(map(_same_as_itself, value)) if isinstance(value, (list, tuple)) else True


class _Writer:
    """Makes the operations of one patch."""

    def __init__(self, container: Any, since: int, until: int, inverse: bool, test: bool) -> None:
        self.container = container
        self.inverse = inverse
        self.test = test
        self.need_old = inverse or test
        self.need_new = test or not inverse
        self.seen: dict[int, Change] = {change.seq: change for change in _core.changes_of(container, since)}
        self.walk = Walk(container, since, until)
        self.blocks: list[tuple[list[Path], list[_Edit]]] = []  # newest first
        self.open: dict[Path, _Edit] = {}  # containers replaced as a whole, which still cover older changes
        self.below: dict[Path, set[Path]] = {}  # path -> those of open at or below it

    def operations(self) -> list[Operation]:
        walk = self.walk
        while (found := walk.newest()) is not None:
            node, change = found
            seen = self.seen.get(change.seq)  # None: it happened outside, and arrived with what stored it again
            edits = [] if seen is None else self._just_after(node.state, seen)
            walk.undo(node, change)
            for edit in edits if self.need_old else ():
                if edit.op in ("remove", "replace"):
                    edit.old = self._value(seen, edit.step, node.state[edit.step])
        self._close(())
        if self.inverse:
            return [
                operation
                for paths, edits in self.blocks
                for path in paths
                for edit in reversed(edits)
                for operation in edit.inverse().operations(path, self.test)
            ]
        return [
            operation
            for paths, edits in reversed(self.blocks)
            for path in paths
            for edit in edits
            for operation in edit.operations(path, self.test)
        ]

    def _value(self, change: Any, step: Any, value: Any) -> _Value:
        """Return a value that a change stored, without what is withheld."""
        if change is not None and change._withholds:
            value = change._withheld(step, value, self.walk.trackers())
        return _Value(value)

    def _whole(self, path: Path) -> _Value:
        value = self._at(path)
        if _core.withholds(self.container):
            value = _core.redacted_at(self.container, path, value, self.walk.trackers())
        return _Value(value)

    def _just_after(self, state: Any, change: Change) -> list[_Edit]:
        """Note the operations of a change, whose container is in state.

        Returns those that still need their old values.
        """
        edits = _edits(change, state)
        exact, whole = self._targets(state, change, edits is None)
        for path in whole:
            self._close(path)
            replaced = _Edit("replace", None)
            if self.need_new:
                replaced.new = self._whole(path)
            self.open[path] = replaced
            for n in range(len(path) + 1):
                self.below.setdefault(path[:n], set()).add(path)
            self.blocks.append(([path], [replaced]))
        if not edits or not exact:
            return []
        shifts = isinstance(state, list) and any(edit.op != "replace" for edit in edits)
        for path in exact:
            for affected in [path] if shifts else [(*path, edit.step) for edit in edits]:
                self._close(affected)
        for edit in edits:
            if edit.op == "move":
                edit.old = self._value(change, edit.step, edit.moved) if self.test else None
            elif edit.op != "remove" and self.need_new:
                edit.new = self._value(change, edit.step, state[edit.step])
        self.blocks.append((exact, edits))
        return edits

    def _targets(self, state: Any, change: Change, is_whole: bool) -> tuple[list[Path], list[Path]]:
        """Return the paths of a container that a pointer names, and replacements.

        The second are the paths above it where none does. What lies in a container that is replaced as a whole, now or
        by a later change, is left out.
        """
        exact: list[Path] = []
        whole: set[Path] = set()
        bases = change._bases or [()]
        for base in bases:
            path, held = self._walk(base)
            if held is state and len(path) == len(base) and not is_whole:
                exact.append(path)
            else:
                whole.add(path if held is state or len(path) < len(base) else ())
        if len(bases) >= _MOST_PLACES:  # there may be more than were reported
            exact, whole = [], {()}
        return (
            [p for p in exact if not any(p[:n] in self.open or p[:n] in whole for n in range(len(p) + 1))],
            [
                p
                for p in whole
                if p not in self.open and not any(p[:n] in self.open or p[:n] in whole for n in range(len(p)))
            ],
        )

    def _walk(self, path: tuple[Any, ...]) -> tuple[Path, Any]:
        """Return a path as far as a pointer leads, and what is there now."""
        at = self.walk.root
        for n, step in enumerate(path):
            if not _names(at, step):
                return path[:n], at
            at = at[step]
        return path, at

    def _at(self, path: Path) -> Any:
        return self._walk(path)[1]

    def _close(self, affected: Path) -> None:
        """Close the replacements at or below a path.

        An older change moves or creates what is there, so they cover no more changes.
        """
        for path in self.below.pop(affected, ()):
            replaced = self.open.pop(path)
            if self.need_old:
                replaced.old = self._whole(path)
            for n in range(len(path) + 1):
                if n != len(affected):
                    self.below[path[:n]].discard(path)


def _names(held: Any, step: Any) -> bool:
    """Return True if a pointer can name this segment, and something is there."""
    if isinstance(held, dict):
        return addressable(step) and step in held
    return isinstance(held, list) and type(step) is int and 0 <= step < len(held)


def _edits(change: Change, state: Any) -> list[_Edit] | None:
    """Return a change as operations below its container, oldest first.

    None if the container has to be replaced as a whole. ``state`` is that of the container just after the change.
    O(change); O(items) for sort and reverse.
    """
    shape = change._shape
    if isinstance(state, set):
        return None
    if isinstance(state, list):
        return _list_edits(change, shape, state)
    if shape == "slot":
        rows = [change.key, change.old, change.new]
    elif shape == "fill":
        rows = [each for key, value in change.new.items() for each in (key, MISSING, value)]
    else:
        rows = list(change.new)
    first: dict[Any, Any] = {}
    last: dict[Any, Any] = {}
    for key, old, new in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        if not addressable(key):
            return None
        first.setdefault(key, old)
        last[key] = new
    return [edit for key in first for edit in _slot(key, first[key], last[key])]


def _slot(step: Any, old: Any, new: Any) -> list[_Edit]:
    if old is new:
        return []
    return [_Edit("add" if old is MISSING else "remove" if new is MISSING else "replace", step)]


def _list_edits(change: Change, shape: str, state: list[Any]) -> list[_Edit] | None:
    if shape == "slot":
        return _slot(change.index, change.old, change.new)
    if shape == "splice":
        start, removed, added = change.index, len(change.old), len(change.new)
        return [
            *(_Edit("remove", start + n) for n in reversed(range(removed))),
            *(_Edit("add", start + n) for n in range(added)),
        ]
    if shape == "rows":
        return [edit for rows in in_turn(change.new) for edit in _row_edits(rows)]
    return _moves(change._order, state)


def _row_edits(rows: Any) -> list[_Edit]:
    indices = rows[::3]
    if rows[2] is MISSING:  # removed, each with its index before
        return [_Edit("remove", index) for index in reversed(indices)]
    if rows[1] is MISSING:  # inserted, each with its index at that time
        return [_Edit("add", index) for index in indices]
    return [edit for n in range(0, len(rows), 3) for edit in _slot(*rows[n : n + 3])]


def _moves(order: tuple[int, ...], state: list[Any]) -> list[_Edit] | None:
    """Return the fewest moves that make this order.

    ``order``: new position -> old position. None if a replace is shorter.
    """
    if len(order) != len(state):
        return None
    staying = _longest_rising(order)
    if len(order) - len(staying) > min(_MOST_MOVES, len(order) // 2):
        return None
    now = list(range(len(order)))
    edits = []
    for new, old in enumerate(order):
        if old not in staying:
            frm = now.index(old)
            del now[frm]
            to = now.index(order[new - 1]) + 1 if new else 0
            now.insert(to, old)
            edits.append(_Edit("move", to, frm, state[new]))
    return edits


def _longest_rising(order: tuple[int, ...]) -> set[int]:
    """Return the values of a longest rising part of a permutation.

    O(n log n).
    """
    tails: list[int] = []  # tails[n]: the smallest value that a rising part of n + 1 values ends with
    before: dict[int, int] = {}
    for value in order:
        at = bisect_left(tails, value)
        if at:
            before[value] = tails[at - 1]
        tails[at : at + 1] = [value]
    found = set()
    value = tails[-1] if tails else -1
    while value >= 0:
        found.add(value)
        value = before.get(value, -1)
    return found
