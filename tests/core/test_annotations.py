"""Annotations are never evaluated, so one that cannot be is no error.

From CPython 3.14 on (PEP 649) they are computed when somebody reads them, which runs code of the program.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pydatatracker import TrackedAttr, TrackedDict, track, tracked


class Lazy(type):
    """A class whose annotations cannot be computed yet."""

    read = 0

    @property
    def __annotations__(cls) -> Any:
        Lazy.read += 1
        raise NameError("name 'Later' is not defined")

    @property
    def __annotate__(cls) -> Any:
        Lazy.read += 1
        raise NameError("name 'Later' is not defined")


class Point(TrackedAttr, metaclass=Lazy):
    def __init__(self) -> None:
        self.x: Any = 1


@tracked
class Decorated(metaclass=Lazy):
    def __init__(self) -> None:
        self.x: Any = 1


class Plain(metaclass=Lazy):
    def __init__(self) -> None:
        self.x: Any = 1


@tracked
@dataclasses.dataclass
class Record:
    x: Later = 1  # noqa: F821 - nobody defines it, which is the test


@pytest.mark.parametrize("make", [Point, Decorated, Record, lambda: track({"a": Plain()})["a"]])
def test_a_class_with_annotations_that_cannot_be_evaluated(make: Any) -> None:
    """It is made, changed, logged, undone and shown."""
    thing = make()
    doc = TrackedDict(thing=thing)
    thing.x = 2
    thing.x = 3
    change = doc.last_change()
    repr(doc.tracking_changes())
    change.to_dict()
    if not isinstance(thing, Plain):
        assert ("/thing/x", 2, 3) == (change.pointer, change.before, change.after)
        doc.tracking_undo()
        assert thing.x == 2
    assert Lazy.read == 0
