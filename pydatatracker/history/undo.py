"""Undo and redo: stacks of steps beside a container, from its records.

The stacks are the core's (`write/undo.pyx`), and made on first use. Undoing is a change like any other, recorded with
the method ``tracking_undo`` and the seq of what it undoes (`ChangeLogEntry.undoes`). So the log stays append-only and
true, and the stacks follow from it: a record that undoes nothing is a new change, and clears the redo stack. A
committed transaction is one step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pydatatracker import _core
from pydatatracker._core import Change
from pydatatracker.change.entry import DATA_ACTIONS, ChangeLogEntry
from pydatatracker.change.rewind import HistoryLostError, require_kept
from pydatatracker.history.inverse import Operation, Unwinding, inverse, not_recorded, operation, take_back
from pydatatracker.history.points import Point, seq_of
from pydatatracker.history.transaction import tracking_transaction
from pydatatracker.values.pointer import compile_glob
from pydatatracker.values.redact import RedactedError

__all__ = ["UndoConflictError", "redo", "revert", "revert_to", "take_back_all", "undo"]

_UNDO = _core.M_CODES["tracking_undo"]
_REDO = _core.M_CODES["tracking_redo"]


class UndoConflictError(RuntimeError):
    """A change cannot be undone: its location is not as the record left it.

    Nothing was changed.
    """


def _back(method: int, container: Any, n: int) -> list[ChangeLogEntry]:
    if type(n) is int and n == 1:  # which is the rule
        done = _core.step_back(container, method, tracking_transaction, _one)
        if done:
            return _core.shown_from(done, container)
    elif isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise TypeError(f"n is a number of steps, 0 or more, not {n!r}")
    done = []
    for step in range(n):
        try:
            more = _core.step_back(container, method, tracking_transaction, _one)
        except (UndoConflictError, RedactedError):
            if step:  # all steps, or none
                _back(_REDO if method == _UNDO else _UNDO, container, step)
            raise
        if not more:
            break
        done += more
    if n and not done and method == _UNDO and _lost(container):
        raise HistoryLostError(
            f"nothing is left to undo here: {_core.describe(container)[3]} older changes are no longer kept;"
            " a larger tracking_max_changes keeps more"
        )
    return _core.shown_from(done, container)


undo = functools.partial(_back, _UNDO)  # implements `tracking_undo`
redo = functools.partial(_back, _REDO)


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
        raise not_recorded(_core.shown_from([change], container)[0], method) from None
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
    return UndoConflictError(f"{method}: {_core.shown_from([change], container)[0]!r} cannot be undone: {why}")


def revert_to(container: Any, point: Point) -> list[ChangeLogEntry]:
    """Implement `tracking_revert_to`."""
    seq = seq_of(container, point)
    _require(container, seq)
    done: list[Change] = []
    with tracking_transaction():
        stacks = _core.Stacks(container, raw=True, after=seq)
        while True:
            stacks.catch_up(container)
            top = stacks.top(container)
            if top is None or top.seq <= seq:
                break
            stacks.undo.pop()
            stacks.past.add(top.seq)
            _one(container, top, "tracking_revert_to", stacks.seen)
            done.append(top)
        _require(container, seq)
    return _core.shown_from(done, container)


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
    return _core.shown_from(conflicts, container)


def _histories(container: Any) -> list[Change]:
    """Return all changes of all containers that are or were at or below one.

    Wherever they were made.
    """
    found: dict[int, Change] = {}
    stacks = _core.Stacks(container, raw=True)
    stacks.catch_up(container)
    for change in stacks.undo:
        found[change.seq] = change
    return [found[seq] for seq in sorted(found)]
