"""Changes of a log undone: what the filters select, or what they do not.

With filters, ``at`` undoes the changes that are not selected. ``diff``, ``patch`` and ``undo-script`` compare the data
with what it would be without the selected changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydatatracker import _core
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.points import Point
from pydatatracker.cli.replay.patch import patch_from_changes
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.cli.replay.roots import Key, Roots
from pydatatracker.history.undo import take_back_all
from pydatatracker.history.walk import plain_copy
from pydatatracker.io.line import LogLine

__all__ = ["Undone", "undo_unwanted", "undo_wanted", "undoing_operations"]


@dataclass
class Undone:
    """A root of which changes were undone."""

    root: Rebuilt
    before: Any  # the state with them
    after: Any  # the state without them
    kept: list[LogLine]  # changes that could not be undone, as a later one that is kept depends on them
    count: int  # of the changes that were to be undone

    @property
    def done(self) -> int:
        """The number of changes that were undone."""
        return self.count - len(self.kept)


def undo_wanted(
    roots: Roots, key: Key, wanted: Filter, after: Point = (-1, None), until: Point = (None, None)
) -> Undone:
    """Undo the wanted changes after a point, in the state at another point.

    O(lines).
    """
    root = Rebuilt(roots, key, until, wanted)
    return _undone(root, root.seqs(True, after), root.count(after))


def undo_unwanted(roots: Roots, key: Key, wanted: Filter, until: Point) -> Undone:
    """Undo the changes that are not wanted, in the state at a point. O(lines)."""
    root = Rebuilt(roots, key, until, wanted)
    return _undone(root, root.seqs(False), len(root.lines) - root.count())


def _undone(root: Rebuilt, seqs: set[int], count: int) -> Undone:
    before = plain_copy(root.value)
    kept = dict.fromkeys(root.number_of(change) for change in take_back_all(root.value, seqs))
    lines = [root.lines[n] for n in kept if n is not None]
    return Undone(root, before, plain_copy(root.value), lines, count)


def undoing_operations(undone: Undone) -> list[dict[str, Any]]:
    """Return RFC 6902 operations that undo what was undone."""
    end = undone.root.seq_at((None, None))
    return patch_from_changes(undone.root, end, _core.newest_seq(), undone.before, undone.after)
