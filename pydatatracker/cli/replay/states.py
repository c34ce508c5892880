"""The states of the roots of a log at points of it, as plain data.

A log whose lines say who the containers are is followed as a whole: what one root reaches may be below another one.
"""

from __future__ import annotations

import contextlib
import copy
import heapq
from collections.abc import Iterator
from typing import Any

from pydatatracker.cli.points import Point
from pydatatracker.cli.replay.line_index import LineIndex
from pydatatracker.cli.replay.roots import Key, Roots
from pydatatracker.history.replica import Replica, ReplicaError, empty_for
from pydatatracker.history.replica_set import FAULTS, ReplicaSet
from pydatatracker.history.steps import quick_step, step_of
from pydatatracker.io.line import LogLine
from pydatatracker.io.parsing import heads_of

__all__ = ["Follower", "check", "empty_of", "state_at"]


class Follower:
    """Applies the lines of one root, and reports the first that does not fit."""

    def __init__(self, roots: Roots, index: LineIndex, value: Any) -> None:
        self._roots = roots
        self._index = index
        self._replica = Replica(value)
        self.misfits = 0

    def heads(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Apply the lines from start up to stop, and yield each line's head.

        As `LineIndex.heads` does, after each was applied. One that does not fit changes nothing. Shows the progress.
        """
        bar = self._roots.bar
        bar.start("replaying", len(self._index))
        for n, head in self._index.heads(start, stop):
            if not n & 63:
                bar.update(n)
            if head is None or not self._replica.follow_head(head):
                self._apply(n)
            yield n, head
        bar.hide()

    def _apply(self, n: int) -> None:
        try:
            self._replica.apply(self._index[n])
        except FAULTS as error:
            self.misfits += 1
            if self.misfits == 1:
                self._roots.misfit(self._index, n, error)


class _Together:
    """Applies the lines of several roots together.

    It reports the first of each root that does not fit.

    :param wanted: the only root to report of; all if it is None.
    """

    def __init__(self, roots: Roots, indices: list[LineIndex], wanted: str | None = None) -> None:
        self._roots = roots
        self._wanted = wanted
        self._indices = indices
        self._replicas = ReplicaSet()
        self._unfit: set[str] = set()
        self._lines = self._in_order()
        self._next = next(self._lines, None)

    def go_to(self, point: Point) -> None:
        """Apply the lines up to and including a point. O(lines)."""
        seq, ns = point
        while self._next is not None:
            line, numbers = self._next
            if seq is not None and (line.seq or 0) > seq:
                break
            if seq is None and ns is not None and (line.time_ns or 0) > ns:
                break
            self._apply(line, numbers)
            self._next = next(self._lines, None)

    def value(self, index: LineIndex) -> Any:
        """Return the state of a root. O(roots)."""
        values = self._replicas.values
        return values[index.root] if index.root in values else empty_of(index)

    def _apply(self, line: LogLine, numbers: dict[str, tuple[LineIndex, int]]) -> None:
        if len(numbers) == 1 and self._replicas.follow(heads_of(line.raw, 1)[0]):
            return
        try:
            unfit = self._replicas.apply(quick_step(line) or step_of(line), numbers)
        except FAULTS as error:
            unfit = [(root, error) for root in numbers]
        for root, why in unfit:
            if root in numbers and root not in self._unfit and self._wanted in (None, root):
                self._unfit.add(root)
                self._roots.misfit(*numbers[root], why)

    def _in_order(self) -> Iterator[tuple[LogLine, dict[str, tuple[LineIndex, int]]]]:
        """Yield each line, and its number in the index of each of its roots."""
        rows = heapq.merge(*(self._rows(i) for i in range(len(self._indices))))
        bar = self._roots.bar
        bar.start("replaying", self._roots.count)
        last: Any = None
        numbers: dict[str, tuple[LineIndex, int]] = {}
        done = 0
        for *position, i, n in rows:
            index = self._indices[i]
            if position != last and numbers:
                yield self._line(numbers), numbers
                numbers = {}
                done += 1
                if not done & 63:
                    bar.update(done)
            last = position
            numbers[index.root] = index, n
        if numbers:
            yield self._line(numbers), numbers
        bar.hide()

    def _rows(self, i: int) -> Iterator[tuple[int, int, int, int, int]]:
        for n, position in enumerate(self._indices[i].positions()):
            yield (*position, i, n)

    def _line(self, numbers: dict[str, tuple[LineIndex, int]]) -> LogLine:
        index, n = next(iter(numbers.values()))
        return index.whole(n)


def state_at(roots: Roots, key: Key, *points: Point) -> list[Any]:
    """Return the plain states of a root at points, which must be in order.

    O(lines + sizes of the states).
    """
    index = roots.by_root[key]
    indices = roots.together(key)
    states: list[Any] = []
    if len(indices) > 1:
        together = _Together(roots, indices, wanted=key[1])
        for point in points:
            together.go_to(point)
            states.append(copy.deepcopy(together.value(index)))
        return states
    value = empty_of(index)
    follower = Follower(roots, index, value)
    done = 0
    for point in points:
        stop = max(done, index.count_until(point))
        for _ in follower.heads(done, stop):
            pass
        done = stop
        states.append(value if len(states) + 1 == len(points) else copy.deepcopy(value))  # the last is final
    return states


def check(roots: Roots) -> None:
    """Report of each root the first line that contradicts earlier ones.

    O(lines).
    """
    done: set[int] = set()
    for key, index in roots.by_root.items():
        indices = roots.together(key)
        if len(indices) == 1:
            state_at(roots, key, (None, None))
        elif id(index) not in done:
            done.update(map(id, indices))
            _Together(roots, indices).go_to((None, None))


def empty_of(index: LineIndex) -> Any:
    """Return an empty value of the type that the first usable line implies."""
    for line in index:
        with contextlib.suppress(ReplicaError):
            return empty_for(line)
    return {}
