"""A root of a log as a tracked container with the changes of the log.

So the library can do with a log whatever it can do with a container's own history: blame, patches, undo.
"""

from __future__ import annotations

import bisect
import contextlib
from array import array
from collections.abc import Iterator
from typing import Any

from pydatatracker import _core
from pydatatracker.cli.base import fail
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.points import Point
from pydatatracker.cli.replay.roots import Key, Roots
from pydatatracker.cli.replay.states import Follower, empty_of
from pydatatracker.containers import TrackedDict, TrackedList, TrackedSet
from pydatatracker.history.blame import blame_all, blame_of, history_of
from pydatatracker.io.line import LogLine

__all__ = ["Rebuilt"]

_BIRTH = 2  # an init: it can be blamed, but it is not a change that can be undone


class Rebuilt:
    """One root: ``value`` is a tracked container with the changes of the log.

    O(lines) time and records.

    :param until: the last point; by default the end.
    :param wanted: the lines for which `is_wanted` is true; by default all.
    :param remember: keep only the last change of every path, in O(paths) of memory.
    """

    def __init__(
        self,
        roots: Roots,
        key: Key,
        until: Point = (None, None),
        wanted: Filter | None = None,
        remember: bool = False,
    ) -> None:
        self.lines = roots.by_root[key]
        empty = empty_of(self.lines)
        made: Any = TrackedList if type(empty) is list else TrackedSet if type(empty) is set else TrackedDict
        options: dict[str, Any] = {"tracking_max_changes": 8, "tracking_remember_last": True} if remember else {
            "tracking_max_changes": None
        }  # fmt: skip
        self.value: Any = made(tracking_auto_convert=True, **options)
        self.start = _core.newest_seq()
        self._ends = array("q")  # the newest change of value after each line
        self._wanted = bytearray()
        if wanted is not None and wanted.is_empty:
            wanted = None
        follower = Follower(roots, self.lines, self.value)
        for n, head in follower.heads(0, self.lines.count_until(until)):
            self._ends.append(_core.newest_seq())
            if head is not None and wanted is None:
                action, is_wanted = head.action, True
            else:
                line = self.lines[n]
                action, is_wanted = line.action, wanted is None or wanted.keeps(line, self.lines.root)
            self._wanted.append((_BIRTH if action == "init" else 0) | is_wanted)
        self.misfits = follower.misfits

    def number_of(self, change: Any) -> int | None:
        """Return the number of the line that made a change of value.

        None for its creation, before the first line. O(log lines).
        """
        if change.seq <= self.start or not self._ends:
            return None
        return min(bisect.bisect_left(self._ends, change.seq), len(self._ends) - 1)

    def line_of(self, change: Any) -> LogLine | None:
        """Return the line that made a change of value. O(line)."""
        n = self.number_of(change)
        line: LogLine | None = None if n is None else self.lines[n]
        return line

    def is_wanted(self, change: Any) -> bool:
        """Return whether the line of a change of value is wanted. O(log lines)."""
        n = self.number_of(change)
        return n is not None and bool(self._wanted[n] & 1)

    def blame(self, pointer: str | None) -> Iterator[tuple[str, LogLine]]:
        """Yield (path, line) of the last wanted change of a path, or of every one.

        O(records).
        """
        if pointer is None:
            paths = blame_all(self.value, self.is_wanted)
        else:
            with _for_people(pointer):
                found = blame_of(self.value, pointer, self.is_wanted)
            paths = {} if found is None else {pointer: found}
        for path, change in paths.items():
            line = self.line_of(change)
            if line is not None:
                yield path, line

    def history(self, pointer: str) -> Iterator[LogLine]:
        """Yield the lines of the wanted changes of a path, oldest first.

        O(records).
        """
        with _for_people(pointer):
            changes = history_of(self.value, pointer)
        numbers = map(self.number_of, filter(self.is_wanted, reversed(changes)))
        for n in dict.fromkeys(numbers):
            if n is not None:
                yield self.lines[n]

    def seq_at(self, point: Point) -> int:
        """Return the seq of value's change at a point of the log. O(log lines)."""
        n = min(self.lines.count_until(point), len(self._ends))
        return self._ends[n - 1] if n else self.start

    def seqs(self, wanted: bool = True, after: Point = (-1, None)) -> set[int]:
        """Return the seqs of value's changes from wanted, or unwanted, lines.

        What a root began with belongs to neither. O(lines).

        :param after: only lines after this point.
        """
        found: set[int] = set()
        for n in range(self.lines.count_until(after), len(self._ends)):
            if self._wanted[n] == wanted:
                found.update(range((self._ends[n - 1] if n else self.start) + 1, self._ends[n] + 1))
        return found

    def count(self, after: Point = (-1, None)) -> int:
        """Return the number of wanted lines after a point. O(lines)."""
        return sum(each == 1 for each in self._wanted[self.lines.count_until(after) :])


@contextlib.contextmanager
def _for_people(pointer: str) -> Iterator[None]:
    """End the command if several keys have a pointer."""
    try:
        yield
    except ValueError as error:
        fail(f"{str(error).partition(';')[0]}; show --path {pointer} lists the changes of all of them")
