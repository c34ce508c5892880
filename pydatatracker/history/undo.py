"""Undo and redo: stacks of steps beside a container, from its records.

They are made on first use. Undoing is a change like any other, recorded with the method ``tracking_undo`` and the seq
of what it undoes (`ChangeLogEntry.undoes`). So the log stays append-only and true, and the stacks follow from it: a
record that undoes nothing is a new change, and clears the redo stack. A committed transaction is one step.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import Any

from pydatatracker import _core
from pydatatracker._core import Change, undone_by
from pydatatracker.change.entry import DATA_ACTIONS, ChangeLogEntry
from pydatatracker.change.rewind import HistoryLostError, require_kept
from pydatatracker.history.inverse import Operation, Unwinding, inverse, not_recorded, operation, take_back
from pydatatracker.history.points import Point, seq_of
from pydatatracker.history.transaction import tracking_transaction
from pydatatracker.values.pointer import compile_glob
from pydatatracker.values.redact import RedactedError

__all__ = ["UndoConflictError", "redo", "revert", "revert_to", "take_back_all", "undo"]

_UNDO = _core.M_CODES["tracking_undo"]
_ROLLBACK = _core.M_CODES["rollback"]
_REDO = _core.M_CODES["tracking_redo"]


class UndoConflictError(RuntimeError):
    """A change cannot be undone: its location is not as the record left it.

    Nothing was changed.
    """


class _Stacks:
    """What can be undone and redone at or below one container.

    All logs are read that the container, or one that came into it, wrote to: what a container did while it was
    elsewhere is undone once it is back. ``raw``: undo, redo and rollback count as changes like any other, except those
    recorded after the start.
    """

    def __init__(self, container: Any, raw: bool = False) -> None:
        self.born = _core.born(container)[1]
        self.start = _core.newest_seq() if raw else 0
        self.logs: dict[int, tuple[Any, int]] = {}  # id of the weak reference -> it, newest seq read
        self.undo: list[Change] = []  # ordered by seq
        self.redo: list[Change] = []  # ordered by seq too
        self.touched: dict[Any, int] = {}  # tracker -> newest fresh change made elsewhere while there is a redo
        self.parked: list[Change] = []  # of containers that are elsewhere now
        self.past: set[int] = set()  # seqs that left the stack
        self.seen = 0  # newest seq in the process when records were last read
        self._meet(container)

    def catch_up(self, container: Any) -> None:
        """Read the records since last time. O(records since).

        Changes that others make meanwhile are left to the next time, or it might never end.
        """
        self._meet_own(container)
        newest = self.seen = _core.newest_seq()
        met: dict[int, Any] = {}
        more = True
        while more:
            more = False
            fresh: dict[int, Change] = {}
            for key, (ref, last) in list(self.logs.items()):
                log = ref()
                if log is None:
                    del self.logs[key]
                    continue
                found = [change for change in _core.log_changes(log, last) if change.seq <= newest]
                if found:
                    self.logs[key] = (ref, found[-1].seq)
                    fresh.update((change.seq, change) for change in found)
            for seq in sorted(fresh):
                if len(self.logs) == 1 or not (seq in self.past or self._has(seq)):
                    more |= self._take_in(fresh[seq], container, met)
        limit = _core.describe(container)[4].max_changes
        if limit >= 0:
            for stack in (self.undo, self.parked):
                if len(stack) > 2 * limit + 16:
                    del stack[: len(stack) - limit]
            if len(self.past) > 8 * limit + 64:
                self.past = set(sorted(self.past)[-4 * limit :])

    def _has(self, seq: int) -> bool:
        at = bisect.bisect_left(self.undo, seq, key=_seq)
        return at < len(self.undo) and self.undo[at].seq == seq

    def _meet_own(self, container: Any) -> None:
        for log in _core.logs(container):
            self.logs.setdefault(id(log.ref), (log.ref, self.born))

    def _meet(self, value: Any, met: dict[int, Any] | None = None) -> bool:
        """Add the logs of a container and all below it; True if some were new.

        ``met``: {id: container} of those that were met just now; nested ones are met once, not once per level.
        """
        before = len(self.logs)
        todo, met = [value], {} if met is None else met
        while todo:
            each = todo.pop()
            if id(each) not in met:
                met[id(each)] = each
                self._meet_own(each)
                todo.extend(_core.children(each))
        return len(self.logs) > before

    def _take_in(self, change: Change, container: Any, met: dict[int, Any]) -> bool:
        """Put a record where it belongs; True if there are more logs to read."""
        if change.action_code not in DATA_ACTIONS or change.seq <= self.born:
            return False
        back = undone_by(change)
        if self.start and (not back or change.seq <= self.start):
            self._add(change)
        elif self.start:
            pass
        elif change.method_code not in (_UNDO, _REDO, _ROLLBACK) or not back:
            self._add(change)
            if self.redo and _core.seen_by(change, container):
                self._forget_redo()
            elif self.redo:
                self.touched[change._node] = change.seq
        elif self._drop(self.redo, back):  # an undo was undone
            self._add(change)
        else:
            taken = self._drop(self.undo, back)
            if change.method_code == _UNDO or (taken is not None and taken.method_code == _REDO):
                self.redo.append(change)
            self.past.add(change.seq)
        new = [self._meet(value, met) for value in _values(change)]
        if new and self.parked:
            self.undo = sorted([*self.undo, *self.parked], key=_seq)
            self.parked = []
        return any(new)

    def _add(self, change: Change) -> None:
        if self.undo and self.undo[-1].seq > change.seq:
            bisect.insort(self.undo, change, key=_seq)
        else:
            self.undo.append(change)

    def _drop(self, stack: list[Change], seq: int) -> Change | None:
        self.past.add(seq)
        at = bisect.bisect_left(stack, seq, key=_seq)
        return stack.pop(at) if at < len(stack) and stack[at].seq == seq else None

    def _forget_redo(self) -> None:
        self.redo.clear()
        self.touched.clear()

    def top(self, stack: list[Change], container: Any) -> Change | None:
        """Return the newest step on a stack that concerns what is here now."""
        while stack:
            if _core.is_below(stack[-1]._node, container):
                if stack is self.redo and self.touched.get(stack[-1]._node, 0) > stack[-1].seq:
                    self._forget_redo()  # it was changed while it was elsewhere, and returned
                    return None
                return stack[-1]
            change = stack.pop()
            if stack is self.undo:
                self.parked.append(change)
        return None


def _seq(change: Change) -> int:
    return change.seq


def _values(change: Change) -> list[Any]:
    """Return the tracked containers that a record stored or removed."""
    found: list[Any] = [change.old, change.new]
    for items in (change.old, change.new):
        if type(items) in (tuple, list) and change._shape in ("splice", "rows", "elements"):
            found.extend(items)
        elif type(items) is dict and change._shape == "fill":
            found.extend(items.values())
    return [value for value in found if _core.tracker(value) is not None]


def _stacks(container: Any) -> _Stacks:
    rare = _core.settings(container)
    stacks: _Stacks | None = rare.get("undo")
    if stacks is None:
        stacks = rare["undo"] = _Stacks(container)
    stacks.catch_up(container)
    return stacks


def undo(container: Any, n: int) -> list[ChangeLogEntry]:
    """Implement `tracking_undo`."""
    return _back(container, n, "tracking_undo")


def redo(container: Any, n: int) -> list[ChangeLogEntry]:
    """Implement `tracking_redo`."""
    return _back(container, n, "tracking_redo")


def _back(container: Any, n: int, method: str) -> list[ChangeLogEntry]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise TypeError(f"n is a number of steps, 0 or more, not {n!r}")
    done: list[Change] = []
    for step in range(n):
        try:
            more = _one_step(container, method)
        except (UndoConflictError, RedactedError):
            if step:  # all steps, or none
                _back(container, step, "tracking_redo" if method == "tracking_undo" else "tracking_undo")
            raise
        if not more:
            break
        done += more
    if n and not done and method == "tracking_undo" and _lost(container):
        raise HistoryLostError(
            f"nothing is left to undo here: {_core.describe(container)[3]} older changes are no longer kept;"
            " a larger tracking_max_changes keeps more"
        )
    return _seen(done, container)


def _one_step(container: Any, method: str) -> list[Change]:
    """Undo or redo one step; return its changes, newest first."""
    stacks = _stacks(container)
    stack = stacks.undo if method == "tracking_undo" else stacks.redo
    top = stacks.top(stack, container)
    if top is None:
        return []
    done: list[Change] = []
    first, group = top, top.transaction  # type: ignore[attr-defined]
    if group is None and not _in_parts(top):
        _one(container, top, method, stacks.seen)
        done.append(top)
    else:
        with tracking_transaction():
            while top is first or (top is not None and top.transaction == group is not None):  # type: ignore[attr-defined]
                _one(container, top, method, stacks.seen)
                done.append(top)
                stacks.catch_up(container)  # which removes it from its stack
                top = stacks.top(stack, container)
    stacks.catch_up(container)
    return done


def _in_parts(change: Change) -> bool:
    """Return whether what undoes a change can be several records."""
    keys = (
        operation(change).keys if change._shape in ("rows", "fill", "elements") and change._node.kind != "list" else ()
    )
    return not all(map(_core.is_quiet, keys))


def _seen(changes: list[Change], container: Any) -> list[ChangeLogEntry]:
    """Return changes as they may be shown, with paths from the container."""
    viewer = _core.tracker(container)
    assert viewer is not None
    return [_core.as_shown(change._seen_from(viewer)) for change in changes]


def _lost(container: Any) -> bool:
    born = _core.born(container)[1]
    return any(log.last_lost > born for log in _core.logs(container))


def _one(container: Any, change: Change, method: str, seen: int) -> None:
    # kept short: where a handler behind the 256th instruction finds no memory, CPython loops without end
    step = inverse(operation(change), change._node.kind, change.action_code)
    try:
        if take_back(change, step, method) is not None:
            return
    except RedactedError:
        raise not_recorded(_seen([change], container)[0], method) from None
    raise _conflict(container, change, method, seen)


def _conflict(container: Any, change: Change, method: str, seen: int) -> UndoConflictError:
    """Return the error for a change that is not as the log left it."""
    others = [
        other
        for log in _core.logs(container)
        for other in _core.log_changes(log, seen)
        if other._node is change._node and other.action_code in DATA_ACTIONS
    ]
    why = (
        f"the data was changed meanwhile, by {len(others)} other change{'s'[: len(others) != 1]}; try again"
        if others
        else "the data is not as the change left it (something bypassed tracking, see tracking_verify(), or values were"
        " not kept)"
    )
    return UndoConflictError(f"{method}: {_seen([change], container)[0]!r} cannot be undone: {why}")


def revert_to(container: Any, point: Point) -> list[ChangeLogEntry]:
    """Implement `tracking_revert_to`."""
    seq = seq_of(container, point)
    _require(container, seq)
    done: list[Change] = []
    with tracking_transaction():
        stacks = _Stacks(container, raw=True)
        while True:
            stacks.catch_up(container)
            top = stacks.top(stacks.undo, container)
            if top is None or top.seq <= seq:
                break
            stacks.undo.pop()
            stacks.past.add(top.seq)
            _one(container, top, "tracking_revert_to", stacks.seen)
            done.append(top)
        _require(container, seq)
    return _seen(done, container)


def _require(container: Any, seq: int) -> None:
    for log in _core.logs(container):
        require_kept(log, seq)


def revert(
    container: Any, actor: str | None, path: str | None, transaction: str | None, since: Point | None
) -> list[ChangeLogEntry]:
    """Implement `tracking_revert`."""
    first = 0 if since is None else seq_of(container, since)
    pattern = None if path is None else compile_glob(path)
    wanted = set()
    for change in _core.recorded_changes(container):
        entry: Any = change
        if (
            change.action_code in DATA_ACTIONS
            and (since is None or change.seq > first)
            and (actor is None or entry.actor == actor)
            and (transaction is None or entry.transaction == transaction)
            and (pattern is None or _core.matches(change, pattern, container))
        ):
            wanted.add(change.seq)
    if not wanted:
        return []

    if pattern is None:
        return take_back_all(container, wanted)
    return take_back_all(container, wanted, lambda change: _part_at(change, pattern, container))


def _part_at(change: Change, pattern: Any, container: Any) -> Operation:
    """Return what a change did at the paths that a glob matches.

    Of a bulk call only the matching rows or elements.
    """
    done = operation(change)
    if done.shape not in ("rows", "elements") or change._node.kind == "list":
        return done
    if done.shape == "elements":
        old, new = (
            tuple(each for each in elements if _core.matches_at(change, pattern, container, each))
            for elements in (done.old, done.new)
        )
        return Operation("elements", old=old, new=new)
    rows = done.new
    kept = [n for n in range(0, len(rows), 3) if _core.matches_at(change, pattern, container, rows[n])]
    beside = None if done.beside is None else tuple(done.beside[n // 3] for n in kept)
    return Operation("rows", new=tuple(part for n in kept for part in rows[n : n + 3]), beside=beside)


def take_back_all(
    container: Any, seqs: set[int], part: Callable[[Change], Operation] = operation
) -> list[ChangeLogEntry]:
    """Undo the changes with these seqs, newest first, in one transaction.

    Returns those that cannot be undone. ``part``: what is to be undone of a change. O(records).
    """
    changes = _histories(container)
    if not seqs or not changes:
        return []
    newest = changes[-1].seq

    def newer() -> list[Change]:
        nonlocal newest
        found = _core.recorded_changes(container, newest)
        newest = found[-1].seq if found else newest
        return found

    with tracking_transaction():
        _, conflicts = Unwinding(changes, newer, "tracking_revert", part).run(
            lambda change: change.seq in seqs, lambda change: _core.is_below(change._node, container)
        )
    return _seen(conflicts, container)


def _histories(container: Any) -> list[Change]:
    """Return all changes of all containers that are or were at or below one.

    Wherever they were made.
    """
    found: dict[int, Change] = {}
    stacks = _Stacks(container, raw=True)
    stacks.catch_up(container)
    for change in stacks.undo:
        found[change.seq] = change
    return [found[seq] for seq in sorted(found)]
