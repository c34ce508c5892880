"""A log brought to life: its roots as tracked containers, whose changes are the changes of the log.

What the library can do with a container's own history (blame, patches, taking back) it can then do with a log.
"""

from __future__ import annotations

import bisect
import contextlib
from array import array
from collections.abc import Callable, Iterator
from typing import Any, Self

from pydatatracker import _core
from pydatatracker.cli.filters import Filter, Point
from pydatatracker.cli.replay.kept import Kept, Source
from pydatatracker.cli.replay.logs import Logs
from pydatatracker.containers import TrackedDict, TrackedList, TrackedSet
from pydatatracker.history.blame import blame_all, history_of
from pydatatracker.history.replica import Replica, ReplicaError, empty_for
from pydatatracker.io.line import LogLine
from pydatatracker.io.reader import LogFormatError

__all__ = ["Point", "Rebuilt", "Roots", "state_at"]

Report = Callable[[LogFormatError], object]
Key = tuple[int | None, str]  # process and id of a root
Told = Callable[["Roots", int, LogLine], object]
_BIRTH = 2  # an init: it can be blamed, and is no change that could be taken back


class Roots:
    """The lines of logs by their root, in the order of ``seq``; and what is wrong with them, told once each.

    O(lines) time, 40 bytes a line. Closes its files as a context manager.

    :param foreign: called with (roots, which log, line) for each line that cannot be put in order, as it says of no
        seq. Without it the first is told.
    :param gap: called so for each line that says that changes are missing.
    """

    def __init__(self, logs: Logs, report: Report, foreign: Told | None = None, gap: Told | None = None) -> None:
        self.by_root: dict[Key, Kept] = {}
        self.bar = logs.bar
        self._logs = logs
        self._report = report
        self._sources: list[Source] = []
        try:
            self._sources += map(Source, logs.names)
            self._read(foreign, gap)
        except BaseException:
            self.close()
            raise
        for kept in self.by_root.values():
            kept.arrange()

    def _read(self, foreign: Told | None, gap: Told | None) -> None:
        first: tuple[int, LogLine] | None = None
        others = 0
        for number, line in self._logs.numbered():
            if line.is_gap:
                if gap is not None:
                    gap(self, number, line)
                continue
            if line.v != 0:
                kept = self.by_root.get((line.pid, line.root))
                if kept is None:
                    kept = Kept(self._sources)
                if kept.add(number, line):
                    self.by_root[line.pid, line.root] = kept
                    continue
            if foreign is not None:
                foreign(self, number, line)
            elif first is None:
                first = number, line
            else:
                others += 1
        if first is not None:
            more = f", and {others:,} more like it" if others else ""
            self.tell(*first, f"has no seq, so it cannot be put in order (written by version 0.1.0?){more}")

    def tell(self, source: int, line: LogLine, reason: str) -> None:
        """Report what is wrong with a line of a log."""
        self._logs.faults += 1
        self.bar.hide()
        self._report(LogFormatError(self._sources[source].name, line.line, line.offset, reason))

    def misfit(self, kept: Kept, n: int, error: Exception) -> None:
        """Report that line n of a root does not fit what the log says before it."""
        self._logs.faults += 1
        self.bar.hide()
        line, name = kept[n], kept.source(n).name
        reason = f"does not fit what the log says before it: {error}"
        self._report(LogFormatError(name, line.line, line.offset, reason))

    def labels(self) -> list[str]:
        """Return how the roots are called: "" for the first, then #2, #3, as `show` has it."""
        return ["" if n == 0 else f"#{n + 1}" for n in range(len(self.by_root))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for source in self._sources:
            source.close()


class _Follower:
    """Applies the lines of one root, and tells the first that does not fit."""

    def __init__(self, roots: Roots, kept: Kept, value: Any) -> None:
        self._roots = roots
        self._kept = kept
        self._replica = Replica(value)
        self.misfits = 0

    def lines(self, start: int, stop: int) -> Iterator[tuple[int, LogLine]]:
        """Yield the lines from start up to stop with their numbers, and show how far it is."""
        bar = self._roots.bar
        bar.start("replaying", len(self._kept))
        for n in range(start, stop):
            if not n & 63:
                bar.update(n)
            yield n, self._kept[n]
        bar.hide()

    def apply(self, n: int, line: LogLine) -> None:
        try:
            self._replica.apply(line)
        except (ReplicaError, RecursionError, TypeError, ValueError, LookupError) as error:
            self.misfits += 1
            if self.misfits == 1:
                self._roots.misfit(self._kept, n, error)


def state_at(roots: Roots, key: Key, *points: Point) -> list[Any]:
    """Return the plain states of a root at points, which are in order. O(lines + sizes of the states)."""
    import copy

    kept = roots.by_root[key]
    value = _empty(kept)
    follower = _Follower(roots, kept, value)
    states: list[Any] = []
    done = 0
    for point in points:
        stop = max(done, kept.upto(point))
        for n, line in follower.lines(done, stop):
            follower.apply(n, line)
        done = stop
        states.append(value if len(states) + 1 == len(points) else copy.deepcopy(value))  # nothing comes after the last
    return states


def _empty(kept: Kept) -> Any:
    # what the root is, by the first line that says it
    for line in kept:
        with contextlib.suppress(ReplicaError):
            return empty_for(line)
    return {}


class Rebuilt:
    """One root: ``value`` is a tracked container; its changes belong to lines of the log. O(lines) time and records.

    :param until: the last point; by default the end.
    :param wanted: which lines `is_wanted` shall be true of; by default all.
    :param remember: keep the last change of every place alone, and not all: O(places) of memory.
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
        empty = _empty(self.lines)
        made: Any = TrackedList if type(empty) is list else TrackedSet if type(empty) is set else TrackedDict
        kept: dict[str, Any] = {"tracking_max_changes": 8, "tracking_remember_last": True} if remember else {
            "tracking_max_changes": None
        }  # fmt: skip
        self.value: Any = made(tracking_auto_convert=True, **kept)
        self.start = _core.newest_seq()
        self._ends = array("q")  # newest change of ours after each line
        self._wanted = bytearray()
        follower = _Follower(roots, self.lines, self.value)
        for n, line in follower.lines(0, self.lines.upto(until)):
            follower.apply(n, line)
            self._ends.append(_core.newest_seq())
            birth = _BIRTH if line.action == "init" else 0
            self._wanted.append(birth | (wanted is None or wanted.keeps(line)))
        self.misfits = follower.misfits

    def number_of(self, change: Any) -> int | None:
        """Return which line made a change of value; None for its own birth, before the first. O(log lines)."""
        if change.seq <= self.start or not self._ends:
            return None
        return min(bisect.bisect_left(self._ends, change.seq), len(self._ends) - 1)

    def line_of(self, change: Any) -> LogLine | None:
        """Return the line that made a change of value. O(line)."""
        n = self.number_of(change)
        line: LogLine | None = None if n is None else self.lines[n]
        return line

    def is_wanted(self, change: Any) -> bool:
        """Return whether the line that made a change of value is wanted. O(log lines)."""
        n = self.number_of(change)
        return n is not None and bool(self._wanted[n] & 1)

    def blame(self, pointer: str | None) -> Iterator[tuple[str, LogLine]]:
        """Yield (place, line) for the last change that is wanted of a place, or of every place. O(records)."""
        if pointer is None:
            places = blame_all(self.value, self.is_wanted)
        else:
            found = next(filter(self.is_wanted, history_of(self.value, pointer)), None)
            places = {} if found is None else {pointer: found}
        for place, change in places.items():
            line = self.line_of(change)
            if line is not None:
                yield place, line

    def history(self, pointer: str) -> Iterator[LogLine]:
        """Yield the lines of the changes of a place that are wanted, oldest first. O(records)."""
        numbers = map(self.number_of, filter(self.is_wanted, self.value.tracking_history(pointer)))
        for n in dict.fromkeys(numbers):
            if n is not None:
                yield self.lines[n]

    def seq_at(self, point: Point) -> int:
        """Return the number of our change that a point of the log comes to. O(log lines)."""
        n = min(self.lines.upto(point), len(self._ends))
        return self._ends[n - 1] if n else self.start

    def seqs(self, wanted: bool = True, after: Point = (-1, None)) -> set[int]:
        """Return the numbers of our changes that come from lines that are wanted, or are not. O(lines).

        What a root began with is neither. ``after``: only lines after a point.
        """
        found: set[int] = set()
        for n in range(self.lines.upto(after), len(self._ends)):
            if self._wanted[n] == wanted:
                found.update(range((self._ends[n - 1] if n else self.start) + 1, self._ends[n] + 1))
        return found

    def count(self, after: Point = (-1, None)) -> int:
        """Return how many lines are wanted. O(lines)."""
        return sum(each == 1 for each in self._wanted[self.lines.upto(after) :])
