"""Points in the past: a seq, a change (just after it), or a time."""

from __future__ import annotations

import datetime
from typing import Any

from pydatatracker import _core
from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["Point", "micros", "seq_of"]

Point = int | ChangeLogEntry | datetime.datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def micros(moment: datetime.datetime) -> int:
    """Return whole microseconds since 1970; a naive datetime is local time."""
    return (moment - _EPOCH if moment.tzinfo else moment.astimezone() - _EPOCH) // _MICROSECOND


def seq_of(container: Any, point: Point) -> int:
    """Return the seq of the newest change at or before a point.

    O(1), for a datetime O(changes since). Raises TypeError for anything but a point.
    """
    if isinstance(point, ChangeLogEntry):
        return point.seq
    if isinstance(point, datetime.datetime):
        return _seq_at(container, micros(point))
    if isinstance(point, int) and not isinstance(point, bool):
        return point
    raise TypeError(f"a point in the past is a seq, a change or a datetime, not {point!r}")


def _seq_at(container: Any, moment: int) -> int:
    changes: list[ChangeLogEntry] = _core.recorded_changes(container)
    for change in reversed(changes):
        if change.time_ns // 1000 <= moment:
            return change.seq
    return changes[0].seq - 1 if changes else _core.newest_seq()
