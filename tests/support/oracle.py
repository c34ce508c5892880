"""The naive judge of the log, which replays records on plain data.

It verifies everything that it can. `Oracle` follows a live container, record by record, as soon as the records
exist. It keeps a plain twin of every tracked container, changes only those twins, and compares them with what a
record says of the past. `replay` needs only the records: paths and values as they are in a log that was read from
disk. Only public attributes of a change are used.
"""

from __future__ import annotations

import copy
from typing import Any

from pydatatracker import MISSING, TrackedAttr, TrackedDict, TrackedList, TrackedSet
from pydatatracker._core import contents

TRACKED = (TrackedDict, TrackedList, TrackedSet, TrackedAttr)


class Attributes:
    """The plain twin of an object with tracked attributes.

    Hashable, as the object is.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values


def public(thing: Any) -> dict[str, Any]:
    """Return the public attributes of an object, from its dict and slots."""
    found = {}
    for cls in reversed(type(thing).__mro__):
        for name in getattr(cls, "__slots__", ()) if cls.__module__ != "pydatatracker.containers" else ():
            if not name.startswith("_") and hasattr(thing, name):
                found[name] = getattr(thing, name)
    found.update({n: v for n, v in getattr(thing, "__dict__", {}).items() if not n.startswith("_")})
    return found


def is_slot(change: Any) -> bool:
    """Return whether a change is about one item of its container."""
    return change.before is not MISSING or (change.after is not MISSING and change.action != "init")


def base_of(change: Any, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the path of the container that changed."""
    named = is_slot(change) or (change.action in ("lock", "unlock") and change.location is not None)
    return path[:-1] if named else path


class Oracle:
    """A plain twin of a tracked container, kept up to date by its records."""

    def __init__(self, root: Any) -> None:
        self.twins: dict[str, Any] = {}  # uuid -> plain twin
        self.uuids: dict[int, str] = {}  # id of twin -> uuid
        self.root = self.twin(root)

    def twin(self, value: Any) -> Any:
        """Return the twin of a tracked container, or any other value itself.

        The twin is made from the present state when the container is first seen.
        """
        if not isinstance(value, TRACKED):
            return value
        uuid = value.tracking_uuid
        if uuid in self.twins:
            return self.twins[uuid]
        made: Any
        if isinstance(value, TrackedDict):
            made = {}
        elif isinstance(value, TrackedList):
            made = []
        elif isinstance(value, TrackedSet):
            made = set()
        else:
            made = Attributes({})
        self.twins[uuid] = made
        self.uuids[id(made)] = uuid
        if isinstance(value, TrackedDict):
            made.update({key: self.twin(item) for key, item in dict.items(value)})
        elif isinstance(value, TrackedAttr):
            made.values.update({key: self.twin(item) for key, item in public(value).items()})
        else:
            (made.update if isinstance(made, set) else made.extend)(map(self.twin, list(value)))
        return made

    def step(self, container: Any, key: Any) -> Any:
        if isinstance(container, Attributes):
            return container.values[key]
        if isinstance(container, set):
            return next(e for e in container if self.uuids.get(id(e)) == key)
        return container[key]

    def walk(self, path: tuple[Any, ...]) -> Any:
        """Return the value at a path in the twin of the root."""
        container = self.root
        for key in path:
            container = self.step(container, key)
        return container

    def apply(self, change: Any, placed: bool = True) -> None:
        """Replay one record, and check its past against the twins.

        ``placed`` says that the record is in the log of the root.
        """
        container = self.twins[change.tracked_item_uuid]
        assert len(set(map(repr, change.paths))) == len(change.paths), f"a path comes twice: {change.paths}"
        assert change.path == change.paths[0]
        for path in change.paths if placed else ():
            assert self.walk(base_of(change, path)) is container, f"{change!r} is not at {path}"
        assert change.tree[-1]["uuid"] == change.tracked_item_uuid
        target = container.values if isinstance(container, Attributes) else container
        apply(target, change, self.twin, check=True)

    def catch_up(self, changes: list[Any], elsewhere: list[Any] = []) -> None:  # noqa: B006
        """Replay records of the root, and of containers that were outside."""
        placed = {change.seq for change in changes}
        others = {change.seq: change for change in elsewhere if change.seq not in placed}
        for change in sorted([*changes, *others.values()]):
            self.apply(change, change.seq in placed)

    def agrees(self, root: Any) -> None:
        """Raise AssertionError unless the twin equals the root at all levels."""
        assert self.root is self.twins[root.tracking_uuid]
        self._compare(root, set())

    def _compare(self, live: Any, seen: set[int]) -> None:
        if not isinstance(live, TRACKED) or id(live) in seen:
            return
        seen.add(id(live))
        twin = self.twins[live.tracking_uuid]
        if isinstance(live, TrackedDict):
            assert [(k, id(self.twin(v))) for k, v in dict.items(live)] == [(k, id(v)) for k, v in twin.items()]
        elif isinstance(live, TrackedList):
            assert [id(self.twin(v)) for v in live] == [id(v) for v in twin]
        elif isinstance(live, TrackedSet):
            assert {id(self.twin(v)) for v in live} == {id(v) for v in twin}
        else:
            now = {k: id(self.twin(v)) for k, v in public(live).items()}
            assert now == {k: id(v) for k, v in twin.values.items()}
        for child in contents(live):
            self._compare(child, seen)


def same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(a == b))


def apply(target: Any, change: Any, twin: Any, check: bool = False) -> None:
    """Apply a record to plain data.

    ``check``: the data is as the record says it was.
    """
    if change.action in ("lock", "unlock", "init"):
        return
    if change.splice is not None:
        start, removed, inserted = change.splice
        if check:
            held = target[start : start + len(removed)]
            assert len(held) == len(removed), (held, change)
            assert all(same(a, twin(b)) for a, b in zip(held, removed, strict=True)), (held, removed)
        target[start : start + len(removed)] = [twin(item) for item in inserted]
    elif change.order is not None:
        assert sorted(change.order) == list(range(len(target))), "order is not a permutation"
        target[:] = [target[old] for old in change.order]
    elif is_slot(change):
        apply_row(target, change.location, change.before, change.after, twin, check, change.action)
    else:
        rows = change.changes
        if isinstance(target, list) and all(after is MISSING for _, _, after in rows):
            assert [index for index, _, _ in rows] == sorted(index for index, _, _ in rows)
            rows = rows[::-1]
        for key, before, after in rows:
            apply_row(target, key, before, after, twin, check, None)


def apply_row(target: Any, key: Any, before: Any, after: Any, twin: Any, check: bool, action: str | None) -> None:
    said = "add" if before is MISSING else "remove" if after is MISSING else "update"
    assert action in (None, said), f"{action} of {before!r} -> {after!r}"
    if isinstance(target, set):
        element = twin(before if after is MISSING else after)
        if check:
            assert (element in target) == (after is MISSING), f"{said} of {element!r}: {target!r}"
        (target.discard if after is MISSING else target.add)(element)
    elif isinstance(target, list):
        if check and before is not MISSING:
            assert same(target[key], twin(before)), (target[key], before)
        if before is MISSING:
            assert 0 <= key <= len(target)
            target.insert(key, twin(after))
        elif after is MISSING:
            del target[key]
        else:
            assert 0 <= key < len(target)
            target[key] = twin(after)
    else:
        if check and before is MISSING:
            assert key not in target, f"{key!r} was there"
        elif check:
            assert same(target[key], twin(before)), (target[key], before)
        if after is MISSING:
            del target[key]
        else:
            target[key] = twin(after)


def replay(start: Any, changes: list[Any], check: bool = False) -> Any:
    """Return the state after changes, by paths and values alone.

    It starts from plain data, which is the state before them.
    """
    root = copy.deepcopy(start)
    for change in changes:
        for path in change.paths:
            container = root
            for key in base_of(change, path):
                container = container[key]
            apply(container, change, copy.deepcopy, check)
    return root
