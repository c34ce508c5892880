"""A container rewound change by change, and plain copies of its states."""

from __future__ import annotations

import heapq
from typing import Any

from pydatatracker import _core
from pydatatracker._core import Change, Words
from pydatatracker.change.rewind import HistoryLostError, Node, Rewind, require_kept

__all__ = ["Walk", "addressable", "linked_copy", "plain_copy", "span"]

_ATOMS = frozenset((str, int, float, bool, type(None), bytes, complex))
_AGAIN = 1_000_000


def span(container: Any, since: int | None, until: int | None) -> tuple[int, int]:
    """Return (since, until) as seqs: None is the birth, and now.

    Neither lies before the container's birth. O(1). Raises TypeError for anything but a seq, ValueError if since is
    after until.
    """
    for name, seq in (("since", since), ("until", until)):
        if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
            raise TypeError(f"{name} is the seq of a change or None, not {seq!r}")
    if since is not None and until is not None and since > until:
        raise ValueError(f"since={since} is after until={until}; swap them, and use inverse=True for the way back")
    born = _core.born(container)[1]
    since = born if since is None else max(since, born)
    return since, _core.newest_seq() if until is None else max(until, since)


def plain_copy(value: Any) -> Any:
    """Return a value as plain data that shares no container with it.

    Dicts, lists, sets and tuples are copied, other objects are kept. A tracked object becomes the dict of its
    attributes; elements of sets stay what they are; what is there twice is copied twice. O(size). Raises ValueError if
    value holds itself, or what is there twice would become a million containers; HistoryLostError if it was not kept.

    >>> from pydatatracker import TrackedList
    >>> plain_copy({"a": TrackedList([1])})
    {'a': [1]}
    """
    return _copy(value, frozenset(), _Again())


class _Again:
    """Counts the containers that are copied again."""

    __slots__ = ("count", "met")

    def __init__(self) -> None:
        self.met: dict[int, Any] = {}  # what was copied, which keeps its id valid
        self.count = 0

    def add(self, value: Any) -> None:
        if id(value) not in self.met:
            self.met[id(value)] = value
            return
        self.count += 1
        if self.count > _AGAIN:
            raise ValueError(
                f"the value has the same containers in more than {_AGAIN:,} places, and a patch writes each of them"
            )


def _copy(value: Any, above: frozenset[int], again: _Again) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Words):
        raise _not_kept(value)
    tracked = _core.tracker(value) is not None
    if not tracked and not isinstance(value, (dict, list, set)) and type(value) is not tuple:
        return value
    if id(value) in above:
        raise ValueError(f"a {type(value).__name__} holds itself, which a patch cannot express")
    again.add(value)
    above = above | {id(value)}
    if tracked:
        value = _core.plain(value)
    if isinstance(value, dict):
        return {key: _copy(item, above, again) for key, item in dict.items(value)}
    if isinstance(value, list):
        return [_copy(item, above, again) for item in list.__iter__(value)]
    if isinstance(value, set):
        return set(set.__iter__(value))
    return tuple(_copy(item, above, again) for item in value)


def linked_copy(value: Any, known: dict[int, tuple[Any, Any]] | None = None) -> Any:
    """Return value as plain data that shares no container with it, links kept.

    As `plain_copy`, but each container is copied once: what is there twice is one copy in two places, and what holds
    itself is copied as such. O(size). Raises HistoryLostError if a value was not kept. ``known`` becomes {id: (what was
    copied, its copy)}.

    >>> from pydatatracker import TrackedList
    >>> row = TrackedList([1])
    >>> copy = linked_copy({"a": row, "b": row})
    >>> copy, copy["a"] is copy["b"]
    ({'a': [1], 'b': [1]}, True)
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Words):
        raise _not_kept(value)
    if known is None:
        known = {}
    elif id(value) in known:
        return known[id(value)][1]
    held = value if _core.tracker(value) is None else _core.plain(value)
    made: Any
    if isinstance(held, dict):
        known[id(value)] = value, (made := {})  # value: to keep its id
        made.update((key, linked_copy(item, known)) for key, item in list(dict.items(held)))
    elif isinstance(held, list):
        known[id(value)] = value, (made := [])
        made.extend(linked_copy(item, known) for item in list(list.__iter__(held)))
    elif isinstance(held, set):
        made = set(set.__iter__(held))
        known[id(value)] = value, made
    elif type(held) is tuple:
        known[id(value)] = value, value  # if it holds itself, through a list, the old one is there
        made = tuple(linked_copy(item, known) for item in held)
        known[id(value)] = value, made
    else:
        return value
    return made


def _not_kept(value: Words) -> HistoryLostError:
    return HistoryLostError(f"a value of type {value.type} was not kept; tracking_keep_values=True keeps values")


def addressable(key: object) -> bool:
    """Return True if a pointer finds a key.

    It finds a str, if it is not of a subclass that hashes or compares in its own way. O(1).
    """
    cls = type(key)
    return cls is str or (isinstance(key, str) and cls.__hash__ is str.__hash__ and cls.__eq__ is str.__eq__)


class Walk(Rewind):
    """A container rewound one change at a time, in the order of all changes.

    A step costs only its change.

    >>> from pydatatracker import TrackedList
    >>> l = TrackedList("a")
    >>> l.append("b")
    >>> walk = Walk(l, 0, l.last_change().seq)
    >>> node, change = walk.newest()
    >>> node.state
    ['a', 'b']
    >>> walk.undo(node, change)
    >>> node.state
    ['a']
    """

    def __init__(self, container: Any, since: int, until: int) -> None:
        super().__init__(container, since)
        self._since = since
        self.root = self.back_to(until)
        self._line_up()

    def newest(self) -> tuple[Node, Change] | None:
        """Return the newest change that is not undone, and its container.

        The container is as it was just after the change. None if there is no more after since.
        """
        while self._heap:
            node = self._heap[0][2]
            if not node.changes or node.changes[-1].seq <= self._since:
                heapq.heappop(self._heap)
            elif -self._heap[0][0] != node.changes[-1].seq:
                heapq.heapreplace(self._heap, (-node.changes[-1].seq, id(node), node))
            elif node.changes[-1].seq == node.last:  # a change in two trees is in two logs
                node.changes.pop()
            else:
                return node, node.changes[-1]
        return None

    def undo(self, node: Node, change: Change) -> None:
        """Undo the change that newest returned.

        O(change + the contents of what it brings back).
        """
        self._fresh = []
        node.changes.pop()
        node.last = change.seq
        self._take_back(node, change)
        while self._fresh:  # it returns as it was at that time
            todo, self._fresh = self._fresh, []
            for each in todo:
                while each.changes and each.changes[-1].seq > change.seq:
                    later = each.changes.pop()
                    if later.seq != each.last:
                        self._take_back(each, later)
                    each.last = later.seq
                if each.changes:
                    heapq.heappush(self._heap, (-each.changes[-1].seq, id(each), each))
        if self._logs_in_line != len(self._logs):
            self._line_up()

    def _line_up(self) -> None:
        # a log that is new may have changes of nodes that are not
        self._logs_in_line = len(self._logs)
        for log in self._logs:
            require_kept(log, self._since)
        self._heap = [(-node.changes[-1].seq, id(node), node) for node in self._nodes.values() if node.changes]
        heapq.heapify(self._heap)
