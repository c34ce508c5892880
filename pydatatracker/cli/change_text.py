"""The path and the values of a change as short text."""

from __future__ import annotations

from typing import Any

from pydatatracker._core import MISSING
from pydatatracker.cli.terminal import clean, short
from pydatatracker.io.line import LogLine

__all__ = ["path_of", "values_of"]


def path_of(line: LogLine) -> str:
    """Return the path that changed: the pointer, or what 0.1.0 wrote instead."""
    if line.pointer:
        return clean(line.pointer)
    if line.v == 0:
        location = line.location
        if location is not None and location is not MISSING:
            return clean(location) if isinstance(location, str) else short(location, 40)
    return "(root)"


def values_of(line: LogLine, room: int) -> tuple[str | None, str | None]:
    """Return the values before and after as text, None for nothing."""
    before, after = line.before, line.after
    if before is not MISSING or after is not MISSING:
        return _short(before, room), _short(after, room)
    splice = line.splice
    if splice is not None:
        start, removed, inserted = splice
        here = f"[{start}:{start + len(removed)}] "
        if not removed:
            return None, f"[{start}:{start}] {short(list(inserted), room)}"
        return here + short(list(removed), room), short(list(inserted), room) if inserted else None
    order = line.order
    if order is not None:
        return None, f"new order of {len(order)} items"
    return _rows(line.changes, room)


def _rows(rows: tuple[tuple[Any, ...], ...], room: int) -> tuple[str | None, str | None]:
    few = rows[: room // 4 + 1]  # no row is shorter than four characters
    gone: Any = {_key(key): before for key, before, _ in few if before is not MISSING}
    come: Any = {_key(key): after for key, _, after in few if after is not MISSING}
    if all(key == value for key, value in (*gone.items(), *come.items())):  # a set: the elements
        gone, come = list(gone), list(come)
    return (short(gone, room) if gone else None), (short(come, room) if come else None)


def _key(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        return short(key, 40)
    return key


def _short(value: Any, room: int) -> str | None:
    return None if value is MISSING else short(value, room)
