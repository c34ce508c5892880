"""What a subject offers to work.py and features.py.

A ``make_...`` method returns a fresh container, or None if the library has none. A ``run_...`` method replaces a loop
of work.py where the library has another statement. A ``can_...`` method tries one row of features.py on the real
library and returns what it found: True, False, or a text that says why not. A row without a method is "no such API".
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

Take = Callable[[], Any]  # returns what was noticed since it was called last; false if nothing
Seen = tuple[Any, Take]
PATH = ("a", "b", "c", "d", "e")


def levels() -> dict[str, Any]:
    """Return plain dicts in each other, five levels deep."""
    return {"a": {"b": {"c": {"d": {"e": 0}}}}}


class Listener:
    """A callback that collects what it is called with."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, *args: Any) -> None:
        """Keep the arguments."""
        self.calls.append(args[0] if len(args) == 1 else args)

    def take(self) -> list[Any]:
        """Return the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


def is_mapping(thing: Any) -> bool:
    """Return True for what stores by key, whatever its class."""
    return hasattr(thing, "keys")


class Subject:
    """One library."""

    title = ""  # in the tables
    short = ""  # heading of a narrow column
    distribution = ""  # whose version is shown
    on_demand: tuple[str, ...] = ()  # rows of features.py that need an option, which the first columns do not have
    largest = 10**9  # keys of an earlier state
    native = False  # keeps data where tracemalloc does not see it

    @property
    def version(self) -> str:
        """Return the version of the library."""
        return importlib.metadata.version(self.distribution) if self.distribution else ""

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return a dict that the library tracks."""
        return None

    def make_list(self, data: list[Any]) -> Any:
        """Return a list that the library tracks."""
        return None

    def make_set(self, data: set[Any]) -> Any:
        """Return a set that the library tracks."""
        return None

    def make_object(self) -> Any:
        """Return an object whose attribute ``a`` is 0."""
        return None

    def make_nested(self) -> Any:
        """Return ``levels()``, tracked so that its root notices a store."""
        return None

    def make_new(self, data: dict[Any, Any]) -> Any:
        """Return a new container, in no database and with no observer."""
        return self.make_dict(data)

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a dict, or else an object, with one observer."""
        return None

    def make_stacked(self) -> Any:
        """Return a dict, or else an object, whose changes know their line of code."""
        return None

    def make_lines(self, path: str) -> Any:
        """Return a dict of which the library writes changes as lines."""
        return None

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Return (container, mark, read): read(mark()) is the state then."""
        return None

    def close(self) -> None:
        """End what was made."""

    def see(self, kind: str) -> Seen | None:
        """Return a container of a kind (dict, list, set, object, nested)."""
        return None

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return before and after of a change that ``see("dict")`` noticed."""
        return None, None

    def path(self, change: Any) -> tuple[Any, ...] | None:
        """Return the path of a change that ``see("nested")`` noticed."""
        return None

    def adopt(self, plain: Any) -> Any:
        """Return tracked data for plain data that exists."""
        return None

    def set_attribute(self, thing: Any, value: Any) -> None:
        """Set the attribute ``a``."""
        thing.a = value
