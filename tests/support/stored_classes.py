"""The classes of the pickles in ``tests/fixtures``; they stay unchanged.

A pickle names a class by its module and name, so neither may change here, nor may the objects that `make.py`
stored.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, tracked


class Config(TrackedDict):
    """A dict with a ``__dict__``."""


class Rows(TrackedList):
    """A list with a slot."""

    __slots__ = ("source",)


class Tags(TrackedSet):
    """A set with a ``__dict__``."""


class Stateful(TrackedDict):
    """A dict with its own ``__getstate__``."""

    def __getstate__(self) -> Any:
        return {"saved": self.note}

    def __setstate__(self, state: Any) -> None:
        self.note = state["saved"] + ", loaded"


class Reduced(TrackedDict):
    """A dict with its own ``__reduce_ex__``."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Reduced, (dict(self),)


class Plain(TrackedAttr):
    """An object with attributes."""


class Slotted(TrackedAttr):
    """An object with slots."""

    __slots__ = ("a", "b")


class Account(TrackedAttr, tracking_capture_stack=3):
    """A class with options."""


class Chosen(TrackedAttr):
    """A class that tracks some of its attributes only."""

    tracking_attributes_to_monitor = ["seen"]


@tracked
class Decorated:
    """A decorated class."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hosts = ["a", "b"]


@tracked
@dataclass
class Point:
    """A data class."""

    x: int
    y: int
    labels: list[str] = field(default_factory=list)


@tracked
@dataclass(slots=True)
class SlottedPoint:
    """A data class with slots."""

    x: int
    y: int


class Color(enum.Enum):
    """A value that JSON does not have."""

    RED = 1


def is_secret(path: tuple[Any, ...]) -> bool:
    """Return whether a path is redacted."""
    return path[-1:] == ("password",)
