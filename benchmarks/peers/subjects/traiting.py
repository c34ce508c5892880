"""traits and atom: classes with declared, checked, observed fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atom.api import Atom, ContainerList, Int
from atom.api import Dict as AtomDict
from atom.api import Set as AtomSet
from traits.api import Any as AnyTrait
from traits.api import Dict, HasTraits, List, Property, Set, Str
from traits.api import Int as IntTrait
from traits.observation.api import trait

from subjects.base import Listener, Seen, Subject, levels


class Holder(HasTraits):  # type: ignore[misc]
    """An object with a field of each kind."""

    d = Dict()
    l = List()  # noqa: E741
    s = Set()
    a = IntTrait()
    double = Property(IntTrait, observe="a")

    def _get_double(self) -> int:
        return int(self.a) * 2


class Nested(HasTraits):  # type: ignore[misc]
    """An object with dicts in each other."""

    d = Dict(Str, Dict(Str, Dict(Str, Dict(Str, Dict(Str, AnyTrait)))))


IN_NESTED = trait("d").dict_items().dict_items().dict_items().dict_items().dict_items()
FIELDS = {"dict": "d", "list": "l", "set": "s", "object": "a"}


class Traits(Subject):
    """traits."""

    title = short = distribution = "traits"

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def keep(self, holder: Any) -> Any:
        """Keep an object alive."""
        self.kept.append(holder)
        return holder

    def close(self) -> None:
        """Let go of the objects."""
        self.kept.clear()

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return the dict of a field."""
        return self.keep(Holder(d=data)).d

    def make_list(self, data: list[Any]) -> Any:
        """Return the list of a field."""
        return self.keep(Holder(l=data)).l

    def make_set(self, data: set[Any]) -> Any:
        """Return the set of a field."""
        return self.keep(Holder(s=data)).s

    def make_object(self) -> Any:
        """Return an object."""
        return Holder()

    def make_new(self, data: dict[Any, Any]) -> Any:
        """Return an object with a dict, which it has made its own."""
        return Holder(d=data).d

    def make_nested(self) -> Any:
        """Return dicts in each other, with the observer that a notice needs."""
        holder = self.keep(Nested(d=levels()))
        self.listener = Listener()
        holder.observe(lambda event: None, IN_NESTED)
        return holder.d

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a dict with one observer."""
        holder = self.keep(Holder(d={"a": 0}))
        holder.observe(callback, "d.items")
        return holder.d

    def see(self, kind: str) -> Seen | None:
        """Return the value of a field, and its events."""
        listener = Listener()
        if kind == "nested":
            holder = self.keep(Nested(d=levels()))
            holder.observe(listener, IN_NESTED)
            return holder.d, listener.take
        holder, name = self.keep(Holder()), FIELDS[kind]
        holder.observe(listener, name if kind == "object" else f"{name}.items")
        return holder if kind == "object" else getattr(holder, name), listener.take

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return before and after."""
        return change.removed.get("a"), change.added.get("a")

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener)["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one attribute only."""
        holder, listener = Holder(), Listener()
        holder.observe(listener, "a")
        holder.d = {"b": 1}
        holder.a = 1
        return len(listener.take()) == 1

    def can_computed(self) -> bool:
        """Notify of a value that depends on another one."""
        holder, listener = Holder(), Listener()
        holder.observe(listener, "double")
        holder.a = 4
        return [event.new for event in listener.take()] == [8]

    def can_types(self) -> bool:
        """Refuse a value of another type than that of the field."""
        holder: Any = Holder()
        try:
            holder.a = "text"
        except Exception:
            return bool(holder.a == 0)
        return False


class AtomObject(Atom):
    """An object with a field of each kind."""

    a = Int()
    l = ContainerList()  # noqa: E741
    d = AtomDict()
    s = AtomSet()


class Atoms(Subject):
    """atom."""

    title = short = distribution = "atom"

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def close(self) -> None:
        """Let go of the objects."""
        self.kept.clear()

    def make_list(self, data: list[Any]) -> Any:
        """Return the list of a field."""
        self.kept.append(AtomObject(l=data))
        return self.kept[-1].l

    def make_object(self) -> Any:
        """Return an object."""
        return AtomObject(a=0)

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return an object with one observer."""
        made = AtomObject(a=0)
        made.observe("a", callback)
        return made

    def see(self, kind: str) -> Seen | None:
        """Return the value of a field, and its events."""
        if kind == "nested":
            return None
        made, listener, name = AtomObject(a=0), Listener(), FIELDS[kind]
        self.kept.append(made)
        found = made if kind == "object" else getattr(made, name)
        made.observe(name, listener)
        return found, listener.take

    def before_after(self) -> tuple[Any, Any]:
        """Return before and after of an attribute."""
        made, listener = AtomObject(a=0), Listener()
        made.a = 0
        made.observe("a", listener)
        made.a = 1
        (change,) = listener.take()
        return change.get("oldvalue"), change["value"]

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener).a = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one attribute only."""
        made, listener = AtomObject(a=0), Listener()
        made.observe("a", listener)
        made.d = {"b": 1}
        made.a = 1
        return len(listener.take()) == 1

    def can_batch(self) -> bool | str:
        """Deliver several stores as one event."""
        return "notifications can be suppressed, not joined"

    def can_types(self) -> bool:
        """Refuse a value of another type than that of the field."""
        made: Any = AtomObject(a=0)
        try:
            made.a = "text"
        except TypeError:
            return bool(made.a == 0)
        return False
