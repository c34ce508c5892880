"""Whole logs: the value that all their lines describe.

The lines of a file come in blocks whose heads have the values, and most of them are applied by the core
(`ReplicaSet.follow`). A line of another kind becomes a `Step`, as the lines of any other source do.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from typing import Any

from pydatatracker.history.points import micros
from pydatatracker.history.replica import ReplicaError
from pydatatracker.history.replica_set import Groups, ReplicaSet
from pydatatracker.history.steps import ONE_PLACE, Line, Step, is_quick, quick_step, step_of, steps_of
from pydatatracker.io.parsing import Block, SlowBlock

__all__ = ["replay_file", "replay_lines"]

_NAMED = 5  # containers in the message of an error
Row = tuple[Block, int]  # a line of a block


def replay_lines(lines: Iterable[Line], at: int | datetime.datetime | None, root: str | None) -> Any:
    """Return the value that lines in their order describe."""
    if root is not None and not isinstance(lines, list):
        lines = list(lines)
    log = _Log(at, root)
    if root is not None:
        for line in lines:
            log.groups.add(line)
    for step in steps_of(lines):
        log.apply(step)
    return log.value()


def replay_file(name: str | os.PathLike[str], at: int | datetime.datetime | None, root: str | None) -> Any:
    """Return the value that the lines of a file describe, sorted by seq."""
    from pydatatracker.io import read_changes

    with read_changes(name, strict=True) as reader:
        blocks = list(reader.blocks("replay"))
    log = _Log(at, root)
    if root is not None:
        for block in blocks:
            for n, head in enumerate(block.heads):
                if head.ids:
                    log.groups.add(block.line(n))
    begun: set[str] = set()  # roots of which there was a line
    for block, n in _in_order(blocks):
        head = block.heads[n]
        if isinstance(block, SlowBlock) or head.root not in begun or not log.follow(head):
            line = block.line(n)
            step = quick_step(line) if line.root in begun else None
            if step is None:
                step = step_of(line)
                begun.update(step.roots)
            log.apply(step)
    return log.value()


def _in_order(blocks: list[Block]) -> Iterator[Row]:
    """Return the lines by seq, those of one seq by rank.

    O(lines) if they are in this order already, as usual.
    """
    last: tuple[int, int] = (-1, 0)
    for block in blocks:
        for n in range(len(block.heads)):
            order = _order(block, n)
            if order < last:
                rows = [(block, n) for block in blocks for n in range(len(block.heads))]
                return iter(sorted(rows, key=lambda row: _order(*row)))
            last = order
    return ((block, n) for block in blocks for n in range(len(block.heads)))


def _order(block: Block, n: int) -> tuple[int, int]:
    """Return the order of a line: by seq, of one seq by rank."""
    head = block.heads[n]
    if head.action in ONE_PLACE:
        return head.seq or 0, 1
    line = block.line(n)
    return (line.gap[0] or 0, 1) if line.is_gap else (line.seq or 0, line.rank)


class _Log:
    """The replicas of a log, up to a moment, of one root or all."""

    def __init__(self, at: int | datetime.datetime | None, root: str | None) -> None:
        self.groups = Groups()  # with all lines in it, if one root is wanted
        self._at = at
        self._moment = micros(at) if isinstance(at, datetime.datetime) else None
        self._last = None if isinstance(at, datetime.datetime) else at
        self._root = root
        self._replicas = ReplicaSet()
        self._others: dict[str, None] = {}  # other roots
        self._is_there = False  # whether there was a line of the wanted root
        self._passed: set[str] = set()  # roots that have nothing to do with it

    def follow(self, head: Any) -> bool:
        """Apply a line, if `ReplicaSet.follow` can, or pass one by.

        Returns False if it takes `apply`.
        """
        if not is_quick(head):
            return False
        if self._is_later(head.seq, head.time_ns):
            return self._is_there or self._root is None
        if head.root in self._passed:
            return True
        return self._replicas.follow(head)

    def _is_later(self, seq: int | None, time_ns: int | None) -> bool:
        if self._moment is not None:
            return time_ns is not None and time_ns // 1000 > self._moment
        return self._last is not None and seq is not None and seq > self._last

    def apply(self, step: Step) -> None:
        """Apply a step. Raises ReplicaError if it does not fit."""
        root = self._root
        if root is None or root in step.roots:
            self._is_there = True
        else:
            if len(self._others) < _NAMED:
                self._others[step.root] = None
            if not self.groups:
                self._passed.add(step.root)
                return
        if self._is_later(step.seq, step.time_ns):
            return
        roots = None
        if root is not None:  # what others have is not needed, unless a line says that it is the same
            group = self.groups.of(root)
            roots = [each for each in step.roots if each == root or self.groups.of(each) == group]
            if not roots:
                self._passed.add(step.root)
                return
        for each, error in self._replicas.apply(step, roots):
            if root in (None, each):
                raise error

    def value(self) -> Any:
        """Return the value of the wanted root.

        Raises ReplicaError if there is none.
        """
        values, root = self._replicas.values, self._root
        if root is None and len(values) > 1:
            raise ReplicaError(f"the log has {len(values)} containers; choose one with root=: {', '.join(values)}")
        if self._others and not self._is_there:
            raise ReplicaError(
                f"the log has no container {root!r}: root= takes the id of a container, such as"
                f" {', '.join(self._others)}"
            )
        if not values or (root is not None and root not in values):
            raise ReplicaError("the log has no changes" + ("" if self._at is None else f" up to {self._at}"))
        return next(iter(values.values())) if root is None else values[root]
