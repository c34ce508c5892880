"""Rows of bulk changes whose order matters."""

from __future__ import annotations

from typing import Any

from pydatatracker._core import MISSING

__all__ = ["in_turn", "is_move"]


def in_turn(rows: Any) -> tuple[Any, ...]:
    """Return the rows as parts that apply one after the other.

    A deque with a ``maxlen`` removes at one end and inserts at the other: these are two parts, with the indices before
    and those at each one's turn. All other changes are one part. O(rows).
    """
    if rows[2] is not MISSING or rows[-2] is not MISSING:
        return (rows,)
    at = next(n for n in range(0, len(rows), 3) if rows[n + 1] is MISSING)
    return rows[:at], rows[at:]


def is_move(rows: Any) -> bool:
    """Return whether the rows of a dict move one key.

    It goes, and comes again with its value. O(1).
    """
    return len(rows) == 6 and rows[0] is rows[3] and rows[2] is MISSING and rows[4] is MISSING
