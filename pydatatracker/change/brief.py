"""A change in a few short texts: where, what was there, what is there now.

For tables of changes. It reads the attributes that a change in memory and a line of a log have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.values.standins import Repr
from pydatatracker.values.text import clean, shown, text

__all__ = ["line_of", "path_of", "rich_fields", "seq_of", "values_of"]

_ROWS = 8  # of a bulk call


def seq_of(change: Any) -> str:
    """Return the number of a change, or of the changes that a gap misses."""
    if change.action == "gap":
        first, last = change.gap
        return f"{'?' if first is None else first}-{'?' if last is None else last}"
    return "" if change.seq is None else str(change.seq)


def path_of(change: Any) -> str:
    """Return the pointer of a change in printable text."""
    if change.action == "gap":
        return "(changes are missing)"
    return clean(str(change.pointer)) or "(whole)"


def values_of(change: Any, room: int) -> tuple[str | None, str | None]:
    """Return what was there and what is there now, None for nothing.

    ``room``: characters of one. Values that may have changed since are shown as they were then, and withheld ones as
    REDACTED. O(room), besides what a ``__repr__`` of the program takes.
    """
    if isinstance(change, _core.Change):
        change = _core.as_shown(change)
    if change.action == "gap":
        return None, _cut(change.reason, room)
    before, after = change.before, change.after
    old, new = _kept_texts(change)
    if before is not MISSING or after is not MISSING:
        return (
            None if before is MISSING else shown(before, room) if old is None else _cut(old, room),
            None if after is MISSING else shown(after, room) if new is None else _cut(new, room),
        )
    splice = change.splice
    if splice is not None:
        start, removed, inserted = splice
        return (
            f"[{start}:{start + len(removed)}] {shown(list(removed[:room]), room) if old is None else _cut(old, room)}",
            (shown(list(inserted[:room]), room) if new is None else _cut(new, room)) if inserted else None,
        )
    if change.order is not None:
        return None, f"new order of {len(change.order)} items"
    rows = change.changes
    return _rows(rows, 1, room, old), _rows(rows, 2, room, new)


def _kept_texts(change: Any) -> tuple[str | None, str | None]:
    details = change.details if isinstance(change, _core.Change) else None
    return (None, None) if details is None else (details.old_text, details.new_text)


def _cut(given: str, room: int) -> str:
    return clean(text(given, room))


def _rows(rows: Iterable[tuple[Any, Any, Any]], which: int, room: int, kept: str | None) -> str | None:
    there = [row for row in rows if row[which] is not MISSING]
    if not there:
        return None
    if kept is not None:
        return _cut(kept, room)
    parts = []
    for row in there[:_ROWS]:
        key, value = shown(row[0], room), shown(row[which], room)
        parts.append(value if row[0] is row[which] else f"{key}: {value}")  # of a set: the element
    if len(there) > _ROWS:
        parts.append(f"and {len(there) - _ROWS} more")
    return _cut("{" + ", ".join(parts) + "}", room)


def line_of(change: Any) -> tuple[str, int, str, str] | None:
    """Return (file, line, function, source) of the culprit, or None.

    Of a change whose calls are all of libraries, those of the innermost call. O(frames).
    """
    if change.action == "gap":
        return None
    frame = change.culprit
    if frame is None:
        stack = change.stack
        frame = stack[-1] if stack else None
    if isinstance(frame, dict):  # of a line
        line = frame.get("lineno")
        return (
            str(frame.get("filename", "")),
            line if type(line) is int else 0,
            str(frame.get("name", "")),
            str(frame.get("line") or "").strip(),
        )
    if frame is None or not hasattr(frame, "filename"):  # a stack of 0.1.0 is text
        return None
    return str(frame.filename), frame.lineno or 0, str(frame.name), (frame.line or "").strip()


def rich_fields(change: Any) -> Iterator[Any]:
    """Yield what the ``__rich_repr__`` of a change yields. O(1).

    The protocol needs nothing of rich (https://rich.readthedocs.io/en/stable/pretty.html).
    """
    before, after = values_of(change, 200)
    yield Repr(seq_of(change), "")
    yield str(change.action)
    yield path_of(change)
    for name, value in (("before", before), ("after", after)):
        if value is not None:
            yield name, Repr(value, "")
    yield "actor", Repr(shown(change.actor, 200), ""), Repr("''", "")
    where = line_of(change)
    if where is not None:
        yield "line", clean(f"{where[0]}:{where[1]} in {where[2]}")
