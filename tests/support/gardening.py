"""Random sessions on a nested document, for hypothesis.

The draws are small numbers, so that they shrink. Every step is four numbers: a container, an operation and two
choices. Containers are moved, stored twice, removed, changed outside and put back. The plain state after every step
is kept with its seq.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pydatatracker import TrackedAttr, _core, track
from pydatatracker.history.walk import plain_copy

STEPS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 13), st.integers(0, 11), st.integers(0, 11)), max_size=25)
KEYS = ["a", "b", "c/d~", "", "1", "-", "e", 1, None, ("t", 1)]


class Node(TrackedAttr):
    """An object whose attributes are tracked."""


def size(value: Any) -> int:
    """Count the values in plain data."""
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, (list, set)) else []
    return 1 + sum(map(size, items))


def reaches(value: Any, target: Any) -> bool:
    """Return whether target is value or is contained in it."""
    return value is target or (
        _core.tracker(value) is not None and any(reaches(each, target) for each in _core.contents(value))
    )


class Session:
    """A document, the containers removed from it, and its past states."""

    def __init__(self, odd_keys: bool = True) -> None:
        self.keys = KEYS if odd_keys else KEYS[:7]
        self.root = track(
            {"rows": [[1], {"a": 2}, 3, 4], "cfg": {"ports": [80, 443], "tags": {1}}, "n": 1}, tracking_max_changes=None
        )
        self.root["node"] = Node()
        self.loose: list[Any] = [track([7, {"x": 8}]), track({"y": [9]})]
        self.roots = list(self.loose)  # a freed root would lose the changes of the containers that it held
        self.past = [(_core.newest_seq(), plain_copy(self.root))]

    def take_out(self, value: Any) -> None:
        """Keep a value that was removed from a container."""
        self.loose.append(value)
        self.roots.append(value)

    def run(self, steps: list[tuple[int, int, int, int]]) -> Session:
        """Do the steps and keep the state after each."""
        for which, what, one, other in steps:
            known = self.known()
            self.step(known[which % len(known)], what, one, other)
            self.past.append((_core.newest_seq(), plain_copy(self.root)))
        return self

    def known(self) -> list[Any]:
        """Return all containers of the document and all removed ones."""
        found: list[Any] = []
        todo = [*reversed(self.loose[:4]), self.root]
        while todo:
            each = todo.pop()
            if _core.tracker(each) is not None and not any(each is one for one in found):
                found.append(each)
                todo.extend(_core.contents(each))
        return found

    def value(self, target: Any, one: int, other: int) -> Any:
        """Return a value to store in target.

        A number, new data, or a container that is stored elsewhere or was removed.
        """
        if one < 4:
            return [other, None, True, "text"][one]
        if size(plain_copy(self.root)) < 60:
            if one == 4:
                return {"k": [other], "s": {other}}
            if one == 5:
                return [[other], other]
            if one == 6:
                return Node()
            known = self.known()
            chosen = known[other % len(known)] if one < 9 or not self.loose else self.loose.pop(other % len(self.loose))
            if chosen is not self.root and not reaches(chosen, target):
                return chosen
        return other

    def step(self, target: Any, what: int, one: int, other: int) -> None:
        """Do one thing to one container."""
        if isinstance(target, dict):
            self.in_dict(target, what, one, other)
        elif isinstance(target, list):
            self.in_list(target, what, one, other)
        elif isinstance(target, set):
            some = {one, other}
            act = [target.add, target.discard][what % 2] if what < 6 else None
            if act is not None:
                act(one)
            else:
                [target.update, target.difference_update, target.symmetric_difference_update][what % 3](some)
        elif what < 4 and hasattr(target, "xyz"[one % 3]):
            self.take_out(getattr(target, "xyz"[one % 3]))
            delattr(target, "xyz"[one % 3])
        else:
            setattr(target, "xyz"[other % 3], self.value(target, one, what))

    def in_dict(self, d: Any, what: int, one: int, other: int) -> None:
        key = self.keys[one % (len(self.keys) if d is not self.root or what == 13 else 7)]
        near = list(d)[other % len(d)] if d else key
        if what == 0:
            self.take_out(d.pop(near, None))
        elif what == 1 and d:
            self.take_out(d.popitem()[1])
        elif what == 2 and len(d) > 1:
            far = list(d)[one % len(d)]
            d[near], d[far] = d[far], d[near]
        elif what == 3:
            d.update({key: self.value(d, other, one), near: self.value(d, one, other)})
        elif what == 4:
            d.update([(key, self.value(d, other, one)), (key, self.value(d, other, other))])
        elif what == 5 and d is not self.root and one < 4:
            d.clear()
        elif what == 6:
            d.setdefault(key, self.value(d, other, one))
        elif what == 7:
            d[near] = self.value(d, one, other)
        elif what == 8:
            d |= {near: self.value(d, one, other), "e": one}
        else:
            d[key] = self.value(d, other, one)

    def in_list(self, items: Any, what: int, one: int, other: int) -> None:
        n = len(items)
        if what == 0 and n:
            self.take_out(items.pop(one % n))
        elif what == 1:
            items[one % (n + 1) : other % (n + 1)] = [self.value(items, other, one), one]
        elif what == 2:
            items[:: 1 + one % 3] = [self.value(items, other, one) for _ in items[:: 1 + one % 3]]
        elif what == 3:
            del items[:: -1 - one % 3]
        elif what == 4:
            items.reverse()
        elif what == 5:
            items.sort(key=lambda item: (str(type(item)), item if type(item) is int else 0), reverse=bool(one % 2))
        elif what == 6 and n > 1:
            a, b = one % n, other % n
            items[a], items[b] = items[b], items[a]
        elif what == 7 and n:
            items[one % n] = self.value(items, other, one)
        elif what == 8 and n < 6:
            items.extend(items[:2])
        elif what == 9 and n < 4:
            items *= one % 3
        elif what == 10 and n:  # moves the last item to the front, so that a sort is one short move
            ranks = {id(item): rank for rank, item in enumerate([items[-1], *items[:-1]])}
            items.sort(key=lambda item: ranks[id(item)])
        elif what == 11:
            items.extend([one, other, other])
        else:
            items.insert(one % (n + 1), self.value(items, other, one))


def alike(a: Any, b: Any) -> bool:
    """Compare plain data so that 1, 1.0 and True are three values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    return bool(a == b)
