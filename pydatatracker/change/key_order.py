"""The order of a dict's keys while the dict is rewound.

A key that was removed returns between the keys it stood between, which the record says (`Change._beside`). From the
first such key on the order is kept as links, so that a step costs O(1); the dict is sorted once, when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["KeyOrder"]


class KeyOrder:
    """An order of keys in which one can be added or removed anywhere.

    >>> order = KeyOrder("abc")
    >>> order.add("x", ("a",))
    >>> order.add("y", ("c", None))
    >>> order.add("z", ())
    >>> order.remove("b")
    >>> order.in_turn()
    ['z', 'a', 'x', 'y', 'c']
    """

    __slots__ = ("_end", "_next", "_previous")

    def __init__(self, keys: Iterable[Any]) -> None:
        self._end: Any = object()  # before the first key and behind the last
        self._next: dict[Any, Any] = {}
        self._previous: dict[Any, Any] = {}
        before = self._end
        for key in keys:
            self._next[before] = key
            self._previous[key] = before
            before = key
        self._next[before] = self._end
        self._previous[self._end] = before

    def add(self, key: Any, beside: Any = None) -> None:
        """Add a key at the end, or where ``beside`` says. O(1)."""
        if key in self._next:
            return
        before = self._previous[self._end]
        if beside == ():
            before = self._end
        elif type(beside) is tuple and beside[0] in self._next:
            before = beside[0] if len(beside) == 1 else self._previous[beside[0]]
        after = self._next[before]
        self._next[before] = self._previous[after] = key
        self._next[key], self._previous[key] = after, before

    def remove(self, key: Any) -> None:
        """Remove a key if it is there. O(1)."""
        if key in self._next:
            before, after = self._previous.pop(key), self._next.pop(key)
            self._next[before], self._previous[after] = after, before

    def in_turn(self) -> list[Any]:
        """Return the keys in order. O(keys)."""
        found = []
        key = self._next[self._end]
        while key is not self._end:
            found.append(key)
            key = self._next[key]
        return found
