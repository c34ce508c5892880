"""Marks: the last change of each list item, for records that are dropped.

`tracking_remember_last` keeps them for a list as it was at the oldest record that the ring holds. `back` leads from the
present to that point.
"""

from __future__ import annotations

from pydatatracker._core import MISSING, Change
from pydatatracker.change.bulk_rows import in_turn
from pydatatracker.history.inverse import Operation, operation

__all__ = ["back", "mark", "marks_before"]


def marks_before(size: int, later: list[Change]) -> list[Change | None]:
    """Return empty marks of a list as it was before the later changes.

    ``size``: its items after them; ``later``: newest first. O(later).
    """
    now = [-1] * size
    for change in later:
        back(now, operation(change))
    return [None] * len(now)


def mark(marks: list[Change | None], change: Change) -> None:
    """Note a change at the items that it touched.

    O(1), or O(items of the change).
    """
    done = operation(change)
    if done.shape == "order":
        marks[:] = [marks[old] for old in done.new]
    elif done.shape == "slot":
        if done.old is MISSING:
            marks.insert(done.index, change)
        elif done.new is MISSING:
            del marks[done.index]
        else:
            marks[done.index] = change
    elif done.shape == "splice":
        marks[done.index : done.index + len(done.old)] = [change] * len(done.new)
    else:
        for rows in in_turn(done.new):
            if rows[1] is MISSING:
                for at in rows[::3]:
                    marks.insert(at, change)
            elif rows[2] is MISSING:
                for at in reversed(rows[::3]):
                    del marks[at]
            else:
                for at in rows[::3]:
                    marks[at] = change


def back(now: list[int], done: Operation) -> list[int]:
    """Rewind a list of present indices over one operation.

    Items that are gone now come in as -1. Returns the present indices of the items that the operation changed.
    """
    if done.shape == "order":
        after = list(now)
        for new, old in enumerate(done.new):
            now[old] = after[new]
        return []
    if done.shape == "slot":
        if done.old is MISSING:
            return [now.pop(done.index)]
        if done.new is MISSING:
            now.insert(done.index, -1)
            return []
        return [now[done.index]]
    if done.shape == "splice":
        stop = done.index + len(done.new)
        touched = now[done.index : stop]
        kept = touched[: len(done.old)]
        now[done.index : stop] = kept + [-1] * (len(done.old) - len(kept))
        return touched
    touched = []
    for rows in reversed(in_turn(done.new)):
        indices = rows[::3]
        if rows[1] is MISSING:
            touched += [now.pop(at) for at in reversed(indices)]
        elif rows[2] is MISSING:
            for at in indices:
                now.insert(at, -1)
        else:
            touched += [now[at] for at in indices]
    return touched
