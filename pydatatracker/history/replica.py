"""Replicas: containers that follow a log, change by change.

What was recorded, in memory or as JSON lines, in this process or another, rebuilds the same value. `Replica` applies
changes in order and once each, `replay` returns the value that a whole log describes.
"""

from __future__ import annotations

import collections
import datetime
import os
from collections.abc import Callable, Iterable
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.history.apply_step import apply_step
from pydatatracker.history.steps import (
    GapError,
    Line,
    ReplicaError,
    Step,
    is_quick,
    quick_step,
    step_of,
)
from pydatatracker.io.line import LogLine

__all__ = ["GapError", "Replica", "ReplicaError", "apply_change", "empty_for", "empty_of", "replay"]


def apply_change(container: Any, change: Line) -> None:
    """Apply one change to a container: a change, a dict or a JSON line.

    A change of this process, a dict that `to_dict` made, or a line of a log. ``container`` is tracked or plain. The
    change is applied at all its paths, with copies of its values as they were just after it. O(change); O(records) for
    a change in memory that holds containers and is not the newest.

    Raises ReplicaError if the container does not hold what the log says was there, and GapError for a gap line; then
    nothing was changed. ``lock`` and ``unlock`` concern the source alone, and change no data.

    >>> from pydatatracker import TrackedDict
    >>> source, copy = TrackedDict(), {}
    >>> source.tracking_add_observer(lambda change: apply_change(copy, change.to_dict()))
    >>> source["a"] = (1, {2})
    >>> copy
    {'a': (1, {2})}
    """
    apply_step(container, step_of(change))


class Replica:
    """A container that follows a log: changes are applied in order, once each.

    ``apply`` returns False for a change that was applied before, and raises GapError at a gap and ReplicaError for one
    that comes too late or does not fit. ``seq`` is the newest that was applied. The last 100,000 seqs are remembered.

    >>> from pydatatracker import TrackedList
    >>> source = TrackedList()
    >>> source.append(1)
    >>> line = source.last_change().to_dict()
    >>> replica = Replica([])
    >>> replica.apply(line), replica.apply(line), replica.value
    (True, False, [1])
    """

    def __init__(self, container: Any) -> None:
        self.value = container
        self.seq = 0
        self.root = ""
        self._recent: collections.deque[int] = collections.deque()
        self._known: set[int] = set()

    def apply(self, change: Line) -> bool:
        """Apply one change; return False if it was applied before.

        Costs and raises what `apply_change` does.
        """
        step = quick_step(change) if isinstance(change, LogLine) else None
        return self.follow(step or step_of(change))

    def follow_head(self, head: Any, known: Any = None) -> bool:
        """Apply a line that changes one slot or a part of a list.

        O(path + what was there). False if it is another line, or may not fit: then nothing was changed, and it takes
        `apply`.

        :param head: for a replay, see `io.parsing.HEADS`.
        :param known: what is to be changed, if that is known.
        """
        if not is_quick(head):
            return False
        seq, before, after, splice = head.seq, head.before, head.after, head.splice
        if seq <= self.seq or head.root != self.root:
            return False
        if splice is not None and (before is not MISSING or after is not MISSING):
            return False
        if not _core.replay_line(self.value, head.path, before, after, splice, known):
            return False
        self.seq = seq
        self._remember(seq)
        return True

    def follow(self, step: Step) -> bool:
        """Do what `apply` does, for the step of a line."""
        if self.root and step.also and self.root != step.root:
            step = step.seen_from(self.root)
        if not self.takes(step):
            return False
        apply_step(self.value, step)
        self.note(step)
        return True

    def takes(self, step: Step) -> bool:
        """Return whether a step is the next one; False if it was applied before.

        O(1). Raises ReplicaError if it comes too late, or is of another container.
        """
        if self.root and step.root and step.root != self.root:
            raise ReplicaError(
                f"{step} belongs to another container ({step.root}) than the changes before it ({self.root});"
                " use one replica for each container"
            )
        if step.seq in self._known and step.action != "init":
            return False
        if step.seq < self.seq and step.action != "init":
            if len(self._recent) == 100_000 and step.seq < self._recent[0]:
                return False
            raise ReplicaError(
                f"{step} comes too late: change {self.seq} was applied before it; sort the lines by seq, or start again"
            )
        return True

    def note(self, step: Step) -> None:
        """Note that a step was applied. O(1)."""
        self.seq = max(self.seq, step.seq)
        self.root = self.root or step.root
        self._remember(step.seq)

    def _remember(self, seq: int) -> None:
        self._recent.append(seq)
        self._known.add(seq)
        if len(self._recent) > 100_000:
            self._known.discard(self._recent.popleft())


def replay(
    lines: Iterable[Line] | str | os.PathLike[str],
    at: int | datetime.datetime | None = None,
    *,
    root: str | None = None,
) -> Any:
    """Return the value that a log describes, as plain data.

    A dict, list or set; for an object with attributes a dict. O(log). Raises ReplicaError, GapError, LogFormatError.

    :param lines: changes, dicts, JSON lines, or the path of a log. Lines of a file are sorted by seq, as threads write
        theirs in any order; lines that cannot be read are an error. What occurs twice is applied once.
    :param at: the state just after that seq, or at that time.
    :param root: the id of one container; needed if the log has several.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict(a=1)
    >>> d["b"] = (2,)
    >>> replay(d.tracking_changes())
    {'a': 1, 'b': (2,)}
    """
    if at is not None and not isinstance(at, (int, datetime.datetime)):
        raise TypeError(
            f"at= takes a seq or a datetime, not {at!r}; for a text, use datetime.datetime.fromisoformat({at!r})"
        )
    from pydatatracker.history.whole_log import replay_file, replay_lines

    if isinstance(lines, os.PathLike) or (isinstance(lines, str) and "\n" not in lines and "{" not in lines):
        return replay_file(lines, at, root)
    return replay_lines(lines.splitlines() if isinstance(lines, (str, bytes)) else lines, at, root)


_KINDS: dict[str, Callable[[], Any]] = {"TrackedDict": dict, "TrackedList": list, "TrackedSet": set}
_KINDS |= {"TrackedOrderedDict": dict, "TrackedDefaultDict": dict, "TrackedCounter": dict, "TrackedDeque": list}
_LIST_METHODS = frozenset(("append", "insert", "extend", "__iadd__", "__imul__", "sort", "reverse"))
_LIST_METHODS |= {"appendleft", "extendleft"}
_SET_METHODS = frozenset(_core.METHODS[_core.METHODS.index("add") : _core.METHODS.index("__setattr__")])


def empty_for(first: Line) -> Any:
    """Return the empty container that a log with this first line starts from.

    A dict, list or set. An empty container needs no init line: its first change says what it is. O(line). Raises what
    `apply_change` does.

    >>> from pydatatracker import TrackedList
    >>> source = TrackedList()
    >>> source.append(1)
    >>> empty_for(source.last_change())
    []
    """
    return empty_of(step_of(first))


def empty_of(step: Step) -> Any:
    if step.action == "init":
        return type(step.after)() if isinstance(step.after, (list, set)) else {}
    if step.top in _KINDS:
        return _KINDS[step.top]()
    path = step.paths[0]
    if len(path) > 1 or not step.is_slot:
        return [] if step.splice is not None or step.order is not None or (path and type(path[0]) is int) else {}
    if step.method in _LIST_METHODS:
        return []
    return set() if step.method in _SET_METHODS else {}
