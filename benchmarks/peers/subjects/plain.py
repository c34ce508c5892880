"""The builtins, a subclass that does nothing, and one that keeps a list."""

from __future__ import annotations

import json
import time
from typing import Any

from subjects.base import Seen, Subject


class PlainObject:
    """An ordinary object with one attribute."""

    def __init__(self) -> None:
        self.a = 0


class NothingDict(dict[Any, Any]):
    """A dict whose methods only call those of dict."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Do what dict does."""
        super().update(*args, **kwargs)


class NothingList(list[Any]):
    """A list whose methods only call those of list."""

    def append(self, value: Any) -> None:
        """Do what list does."""
        super().append(value)


class NothingSet(set[Any]):
    """A set whose methods only call those of set."""

    def add(self, value: Any) -> None:
        """Do what set does."""
        super().add(value)


class NothingObject(PlainObject):
    """An object whose ``__setattr__`` only calls that of object."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)


class Nothing(Subject):
    """A Python subclass that records nothing."""

    title = short = "a subclass that does nothing"
    make_dict = staticmethod(NothingDict)
    make_list = staticmethod(NothingList)
    make_set = staticmethod(NothingSet)
    make_object = staticmethod(NothingObject)


class ListingDict(dict[Any, Any]):
    """A dict that keeps a list of its changes, as one would write it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.changes: list[tuple[float, Any, Any, Any]] = []
        self.file: Any = None
        self.callback: Any = None

    def __setitem__(self, key: Any, value: Any) -> None:
        change = (time.time(), key, self.get(key), value)
        super().__setitem__(key, value)
        self.changes.append(change)
        if self.callback is not None:
            self.callback(change)
        if self.file is not None:
            self.file.write(json.dumps(change) + "\n")
            self.file.flush()

    def __delitem__(self, key: Any) -> None:
        change = (time.time(), key, self[key], None)
        super().__delitem__(key)
        self.changes.append(change)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Store each item."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value


class ListingList(list[Any]):
    """A list that keeps a list of its changes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.changes: list[tuple[float, Any, Any, Any]] = []

    def append(self, value: Any) -> None:
        """Append, and keep the change."""
        super().append(value)
        self.changes.append((time.time(), len(self) - 1, None, value))


class ListingSet(set[Any]):
    """A set that keeps a list of its changes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.changes: list[tuple[float, Any]] = []

    def add(self, value: Any) -> None:
        """Add, and keep the change."""
        if value not in self:
            super().add(value)
            self.changes.append((time.time(), value))


class ListingObject:
    """An object that keeps a list of its changes."""

    def __init__(self) -> None:
        self.__dict__["changes"] = []
        self.__dict__["a"] = 0

    def __setattr__(self, name: str, value: Any) -> None:
        change = (time.time(), name, self.__dict__.get(name), value)
        super().__setattr__(name, value)
        self.changes.append(change)


class ByHand(Subject):
    """A Python subclass that keeps a list of changes."""

    title = short = "a subclass that keeps a list"
    make_dict = staticmethod(ListingDict)
    make_list = staticmethod(ListingList)
    make_set = staticmethod(ListingSet)
    make_object = staticmethod(ListingObject)

    def make_observed(self, callback: Any) -> Any:
        """Return a dict that calls back."""
        made = ListingDict(a=0)
        made.callback = callback
        return made

    def make_lines(self, path: str) -> Any:
        """Return a dict that writes lines."""
        made = ListingDict(a=0)
        made.file = open(path, "w")  # noqa: SIM115 - closed with the dict
        return made

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Copy, and undo the changes since."""
        made = ListingDict(data)

        def read(mark: int) -> dict[Any, Any]:
            state = dict(made)
            for _, key, old, _ in reversed(made.changes[mark:]):
                state[key] = old
            return state

        return made, lambda: len(made.changes), read

    def see(self, kind: str) -> Seen | None:
        """Return a container and its changes since the last time."""
        makers: dict[str, Any] = {"dict": ListingDict, "list": ListingList, "set": ListingSet}
        made = ListingObject() if kind == "object" else makers[kind]() if kind in makers else None
        if made is None:
            return None

        def take() -> list[Any]:
            changes = [*made.changes]
            made.changes.clear()
            return changes

        return made, take

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return before and after."""
        return change[2], change[3]

    def can_history(self) -> bool:
        """List the changes later."""
        made = ListingDict(a=0)
        made["a"] = 1
        made["a"] = 2
        return [change[3] for change in made.changes] == [1, 2]

    def can_time(self) -> bool:
        """Look at the time of a change."""
        made, before = ListingDict(a=0), time.time()
        made["a"] = 1
        return before <= made.changes[-1][0] <= time.time()

    def can_past(self) -> bool:
        """Read an earlier state."""
        made, mark, read = self.make_earlier({"a": 0})
        then = mark()
        made["a"] = 1
        return bool(read(then) == {"a": 0})

    def can_observer(self) -> bool:
        """Call back for a store."""
        called: list[Any] = []
        made = self.make_observed(called.append)
        made["a"] = 1
        return len(called) == 1

    def can_jsonl(self) -> bool:
        """Write one line of JSON for each change."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            made = self.make_lines(f"{folder}/log.jsonl")
            made["a"] = 1
            with open(f"{folder}/log.jsonl") as lines:
                (line,) = lines
            made.file.close()
        return bool(json.loads(line)[1:] == ["a", 0, 1])
