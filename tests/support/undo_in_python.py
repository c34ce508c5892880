"""Undo and redo in plain Python, which tests compare the core with.

What the core leaves to the package, one step that is not one slot, and the errors, is the package's here, too.
"""

from __future__ import annotations

import bisect
from typing import Any

from pydatatracker import HistoryLostError, _core, tracking_transaction
from pydatatracker._core import Change, undone_by
from pydatatracker.change.entry import DATA_ACTIONS, ChangeLogEntry
from pydatatracker.history.inverse import operation
from pydatatracker.history.undo import UndoConflictError, _lost, _one
from pydatatracker.values.redact import RedactedError

__all__ = ["back"]

_UNDO = _core.M_CODES["tracking_undo"]
_ROLLBACK = _core.M_CODES["rollback"]
_REDO = _core.M_CODES["tracking_redo"]


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

    def next_in_step(self, undoes: bool, container: Any, first: Change) -> Change | None:
        """As top, below the first change of a step."""
        stack = self.undo if undoes else self.redo
        if not stack or stack[-1].seq < first.seq:
            return self.top(stack, container)
        for change in reversed([each for each in stack if each.seq < first.seq]):
            if _core.is_below(change._node, container):
                return change
            stack.remove(change)
            if undoes:
                self.parked.append(change)
        return None

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
    stacks: _Stacks | None = rare.get("undo in Python")
    if stacks is None:
        stacks = rare["undo in Python"] = _Stacks(container)
    stacks.catch_up(container)
    return stacks


def back(container: Any, n: int, method: str) -> list[ChangeLogEntry]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise TypeError(f"n is a number of steps, 0 or more, not {n!r}")
    done: list[Change] = []
    for step in range(n):
        try:
            more = _one_step(container, method)
        except (UndoConflictError, RedactedError):
            if step:  # all steps, or none
                back(container, step, "tracking_redo" if method == "tracking_undo" else "tracking_undo")
            raise
        if not more:
            break
        done += more
    if n and not done and method == "tracking_undo" and _lost(container):
        raise HistoryLostError(
            f"nothing is left to undo here: {_core.describe(container)[3]} older changes are no longer kept;"
            " a larger tracking_max_changes keeps more"
        )
    viewer: Any = _core.tracker(container)
    return [_core.as_shown(change._seen_from(viewer)) for change in done]


def _one_step(container: Any, method: str) -> list[Change]:
    """Undo or redo one step; return its changes, newest first."""
    stacks = _stacks(container)
    undoes = method == "tracking_undo"
    top: Any = stacks.top(stacks.undo if undoes else stacks.redo, container)
    if top is None:
        return []
    done: list[Change] = []
    first, group = top, top.transaction
    if group is None and not _in_parts(top):
        _one(container, top, method, stacks.seen)
        done.append(top)
    else:
        with tracking_transaction():
            while top is first or (top is not None and top.transaction == group is not None):
                _one(container, top, method, stacks.seen)
                done.append(top)
                stacks.catch_up(container)  # which removes it from its stack
                top = stacks.next_in_step(undoes, container, first)
    stacks.catch_up(container)
    return done


def _in_parts(change: Change) -> bool:
    """Return whether what undoes a change can be several records."""
    keys = (
        operation(change).keys if change._shape in ("rows", "fill", "elements") and change._node.kind != "list" else ()
    )
    return not all(map(_core.is_quiet, keys))
