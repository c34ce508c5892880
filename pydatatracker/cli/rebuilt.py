"""A log brought to life: its roots as tracked containers, whose changes are the changes of the log.

What the library can do with a container's own history (blame, patches, taking back) it can then do with a log.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from pydatatracker import _core
from pydatatracker._core import Scope
from pydatatracker.cli.filters import Point
from pydatatracker.containers import TrackedDict, TrackedList, TrackedSet
from pydatatracker.history.replica import Replica, ReplicaError, _empty_for, _entry_of, _settled
from pydatatracker.io import LogFormatError
from pydatatracker.logline import LogLine

__all__ = ["Point", "Rebuilt", "Roots", "rebuild", "roots_of", "state_at"]

Report = Callable[[LogFormatError], object]


class Roots:
    """The lines of a log by their root, in the order of ``seq``; and what is wrong with it, told once each."""

    def __init__(self, lines: Iterable[LogLine], name: str, report: Report) -> None:
        self.by_root: dict[tuple[int | None, str], list[LogLine]] = {}
        self.name = name
        self.bad = 0
        self.gaps: list[LogLine] = []
        self.foreign: list[LogLine] = []
        self._report = report
        for line in lines:
            if line.is_gap:
                self.gaps.append(line)
            elif line.seq is None or line.v == 0:
                self.foreign.append(line)
            else:
                self.by_root.setdefault((line.pid, line.root), []).append(line)
        for found in self.by_root.values():
            found.sort(key=lambda line: (line.seq or 0, line.action != "init"))

    def tell(self, line: LogLine, reason: str) -> None:
        """Report what is wrong with a line."""
        self.bad += 1
        self._report(LogFormatError(self.name, line.line, line.offset, reason))

    def labels(self) -> list[str]:
        """Return how the roots are called: "" for the first, then #2, #3, as `show` has it."""
        return ["" if n == 0 else f"#{n + 1}" for n in range(len(self.by_root))]


def roots_of(lines: Iterable[LogLine], name: str, report: Report) -> Roots:
    """Return the lines by root; lines of 0.1.0 are named, as they do not say where they belong. O(lines)."""
    roots = Roots(lines, name, report)
    if roots.foreign:
        first = roots.foreign[0]
        more = f", and {len(roots.foreign) - 1:,} more like it" if len(roots.foreign) > 1 else ""
        roots.tell(first, f"has no seq, so it cannot be put in order (written by version 0.1.0?){more}")
    return roots


def _past(line: LogLine, point: Point) -> bool:
    seq, ns = point
    if seq is not None:
        return (line.seq or 0) > seq
    return ns is not None and (line.time_ns or 0) > ns


class _Follower:
    """Applies the lines of one root, and tells the first that does not fit."""

    def __init__(self, roots: Roots, value: Any) -> None:
        self._roots = roots
        self._replica = Replica(value)
        self.misfits = 0

    def apply(self, line: LogLine) -> bool:
        try:
            self._replica.apply(_entry_of(line))
        except (ReplicaError, RecursionError, TypeError, ValueError, LookupError) as error:
            self.misfits += 1
            if self.misfits == 1:
                self._roots.tell(line, f"does not fit what the log says before it: {error}")
            return False
        return True


def state_at(roots: Roots, key: tuple[int | None, str], *points: Point) -> list[Any]:
    """Return the plain states of a root at points, which are in order. O(lines + sizes of the states)."""
    import copy

    lines = roots.by_root[key]
    value = _empty(lines)
    follower = _Follower(roots, value)
    states, done = [], 0
    for point in points:
        while done < len(lines) and not _past(lines[done], point):
            follower.apply(lines[done])
            done += 1
        states.append(copy.deepcopy(value))
    return states


def _empty(lines: list[LogLine]) -> Any:
    # what the root is, by the first line that says it
    for line in lines:
        with contextlib.suppress(ReplicaError):
            return _empty_for(_settled(_entry_of(line)))
    return {}


class Rebuilt:
    """One root: ``value`` is a tracked container; its changes belong to lines of the log."""

    def __init__(self, roots: Roots, key: tuple[int | None, str]) -> None:
        self.lines = roots.by_root[key]
        empty = _empty(self.lines)
        made: Any = TrackedList if type(empty) is list else TrackedSet if type(empty) is set else TrackedDict
        self.value: Any = made(tracking_auto_convert=True, tracking_max_changes=None)
        self.start = _core.newest_seq()
        self._ends: list[int] = []  # newest change of ours after each line
        follower = _Follower(roots, self.value)
        for line in self.lines:
            token = _core.set_scope(Scope(line.actor, None, None, 0))
            try:
                follower.apply(line)
            finally:
                _core.reset_scope(token)
            self._ends.append(_core.newest_seq())
        self.misfits = follower.misfits

    def line_of(self, change: Any) -> LogLine | None:
        """Return the line that made a change of value; None for its own birth, before the first. O(log lines)."""
        if change.seq <= self.start:
            return None
        return self.lines[min(bisect.bisect_left(self._ends, change.seq), len(self.lines) - 1)]

    def seq_at(self, point: Point) -> int:
        """Return the number of our change that a point of the log comes to. O(lines)."""
        seq = self.start
        for line, end in zip(self.lines, self._ends, strict=True):
            if _past(line, point):
                break
            seq = end
        return seq

    def seqs_of(self, wanted: Callable[[LogLine], bool]) -> set[int]:
        """Return the numbers of our changes that come from lines that are wanted. O(lines)."""
        found: set[int] = set()
        before = self.start
        for line, end in zip(self.lines, self._ends, strict=True):
            if end > before and wanted(line):
                found.update(range(before + 1, end + 1))
            before = end
        return found


def rebuild(roots: Roots) -> dict[str, Rebuilt]:
    """Return every root of the log by its label. O(lines)."""
    return {label: Rebuilt(roots, key) for label, key in zip(roots.labels(), roots.by_root, strict=True)}
