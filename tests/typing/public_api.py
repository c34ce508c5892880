"""What a type checker must understand of the public API.

`just types` checks this file. It is never run.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, assert_type

from pydatatracker import (
    ChangeCollector,
    ChangeLogEntry,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    propagate,
    track,
    tracked,
    tracking_actor,
)


def containers_keep_their_types() -> None:
    """Check that a container has the builtin's type parameters."""
    assert_type(TrackedDict(a=1), TrackedDict[str, int])
    assert_type(TrackedDict({1: "a"}), TrackedDict[int, str])
    pairs: list[tuple[int, str]] = [(1, "a")]  # for pyright the literals in it would be types, also in dict(...)
    assert_type(TrackedDict(pairs), TrackedDict[int, str])
    assert_type(TrackedList("ab"), TrackedList[str])
    assert_type(TrackedSet([1, 2]), TrackedSet[int])
    assert_type(TrackedDict(a=1)["a"], int)
    assert_type(TrackedList([1])[0], int)
    assert_type(TrackedList([1])[0:1], list[int])


def options_are_not_items() -> None:
    """Check that options do not affect the type of the contents."""
    payload: TrackedDict[str, Any] = TrackedDict(tracking_capture_snapshots=True, tracking_capture_stack=25)
    payload["status"] = "ready"
    assert_type(TrackedDict({1: "a"}, tracking_name="n"), TrackedDict[int, str])
    assert_type(TrackedDict(a=1, tracking_max_changes=None), TrackedDict[str, int])
    assert_type(TrackedList([1], tracking_auto_convert=True), TrackedList[int])
    assert_type(TrackedSet([1], tracking_keep_values=False, tracking_observer_errors="raise"), TrackedSet[int])
    TrackedList([1], tracking_nmae="typo")  # type: ignore[call-overload]
    TrackedDict({1: "a"}, tracking_name=3)  # type: ignore[call-overload]  # ty: ignore[no-matching-overload]


def containers_are_the_builtin(users: TrackedDict[str, int], ports: TrackedList[int], tags: TrackedSet[int]) -> None:
    """Check that containers are accepted wherever the builtin is."""
    plain: tuple[dict[str, int], list[int], set[int]] = (users, ports, tags)
    sorted(plain[1])
    users |= {"b": 2}
    ports += [3]
    tags |= {4}


def history_is_typed(d: TrackedDict[str, int]) -> None:
    """Check the types of changes and of their attributes."""
    assert_type(d.tracking_changes(), list[ChangeLogEntry])
    assert_type(d.changes_since(datetime.datetime.now()), list[ChangeLogEntry])
    change = d.last_change()
    assert_type(change, ChangeLogEntry | None)
    if change is not None:
        assert_type(change.actor, str)
        assert_type(change.path, tuple[Any, ...])
        assert_type(change.seq, int)
        assert_type(change.created_time, datetime.datetime)
        assert_type(change.splice, tuple[int, tuple[Any, ...], tuple[Any, ...]] | None)
        assert_type(change.extra, dict[str, Any])


def observers_are_typed(d: TrackedDict[str, int]) -> None:
    """Check that an observer is any callable that accepts a change."""
    collector = ChangeCollector(capacity=10)
    d.tracking_add_observer(collector, 10, path="/users/*", actions=["add"], weak=True)
    d.tracking_add_observer(lambda change: print(change.action))
    d.tracking_add_observer("no callable")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    assert_type(collector.as_list(), list[ChangeLogEntry])


def decorators_keep_the_function() -> None:
    """Check that a decorated or propagated function keeps its type."""

    @tracking_actor("importer", reason="nightly")
    def load(name: str) -> int:
        return len(name)

    assert_type(load("x"), int)
    assert_type(propagate(load)("x"), int)
    with tracking_actor("importer"):
        load("y")


class Account(TrackedAttr, tracking_capture_stack=True):
    """A tracked class has ordinary attributes."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner


@tracked
@dataclass
class Point:
    """A decorated class stays the class."""

    x: int


def attributes_keep_their_types() -> None:
    """Check that attributes and __init__ keep their types."""
    account = Account("ann")
    assert_type(account.owner, str)
    account.lock("owner")
    assert_type(account.tracking_changes(), list[ChangeLogEntry])
    assert_type(Point(1).x, int)


def track_returns_any() -> None:
    """Check that track() returns Any, because its result nests freely."""
    assert_type(track({"a": [1]}), Any)
