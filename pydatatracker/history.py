"""The past, from records: the state of a container as it was, by undoing what came later.

Every container is taken back on its own, newest record first, and what it then holds is taken back in
turn. A record knows its container for good, so this is right for containers that were moved, removed,
or sit in several trees: the process-wide sequence number puts the logs in one order.
"""

from __future__ import annotations

from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, Change, Tracker

__all__ = ["HistoryLostError", "state_at"]


class HistoryLostError(LookupError):
    """A point in the past is older than the oldest record that is kept."""


def state_at(container: Any, seq: int) -> Any:
    """Return plain data as container was just after change seq. O(result + changes undone).

    Raises HistoryLostError if records that would be needed are no longer kept.
    """
    return _Past(seq).of(container)


class _Past:
    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.records: dict[int, list[Change]] = {}  # id of tracker -> its changes, newest first
        self.read: dict[int, Any] = {}  # id of log -> the log, kept alive so that the id stays its own
        self.made: dict[int, Any] = {}  # id of tracker -> plain data

    def changes_of(self, container: Any, tracker: Tracker) -> list[Change]:
        for log in _core.logs(container):
            if id(log) in self.read:
                continue
            self.read[id(log)] = log
            if log.last_dropped > self.seq:
                raise HistoryLostError(
                    f"the state after change {self.seq} is gone: {log.dropped} older changes are no longer kept, the"
                    f" newest of them is {log.last_dropped}; a larger tracking_max_changes keeps more"
                )
            for change in _core.log_changes(log, self.seq):
                self.records.setdefault(id(change._node), []).append(change)
        found = self.records.get(id(tracker), [])
        found.sort(key=lambda change: change.seq, reverse=True)
        return found

    def of(self, value: Any) -> Any:
        tracker = _core.tracker(value)
        if tracker is None:
            return value
        if id(tracker) in self.made:
            return self.made[id(tracker)]
        state = _core.plain(value)
        changes = self.changes_of(value, tracker)
        last = 0
        for change in changes:
            if change.seq != last:  # a change in two trees stands in two logs
                _take_back(state, change)
            last = change.seq
        return self.plain(tracker, state)

    def plain(self, tracker: Tracker, state: Any) -> Any:
        self.made[id(tracker)] = state
        if isinstance(state, dict):
            for key, item in state.items():
                state[key] = self.of(item)
        elif isinstance(state, list):
            for index, item in enumerate(state):
                state[index] = self.of(item)
        return state


def _take_back(state: Any, change: Change) -> None:
    """Undo one change of a container on a plain copy of it. O(1), or O(items of the change)."""
    shape = change._shape
    if isinstance(state, list):
        _take_back_list(state, change, shape)
    elif isinstance(state, set):
        if shape == "slot":
            (state.discard if change.old is MISSING else state.add)(change.key)
        elif shape == "elements":
            state.difference_update(change.new)
            state.update(change.old)
    elif shape == "slot":
        _put_back(state, change.key, change.old)
    elif shape == "rows":
        rows = change.new
        for n in range(len(rows) - 3, -1, -3):
            _put_back(state, rows[n], rows[n + 1])
    elif shape == "fill":
        for key in change.new:
            state.pop(key, None)


def _put_back(state: dict[Any, Any], key: Any, before: Any) -> None:
    if before is MISSING:
        state.pop(key, None)
    else:
        state[key] = before


def _take_back_list(state: list[Any], change: Change, shape: str) -> None:
    if shape == "slot":
        if change.old is MISSING:
            del state[change.index]
        elif change.new is MISSING:
            state.insert(change.index, change.old)
        else:
            state[change.index] = change.old
    elif shape == "splice":
        state[change.index : change.index + len(change.new)] = change.old
    elif shape in ("sort", "order", "reverse"):
        now = list(state)
        for new, old in enumerate(change._order):
            state[old] = now[new]
    elif shape == "rows":
        rows = change.new
        for n in range(0, len(rows), 3):
            if rows[n + 2] is MISSING:
                state.insert(rows[n], rows[n + 1])
            else:
                state[rows[n]] = rows[n + 1]
