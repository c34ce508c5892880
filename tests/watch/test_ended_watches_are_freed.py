"""A watch that has ended, and that nobody holds, leaves nothing alive."""

from __future__ import annotations

import collections
import gc
import sys
from typing import Any

import pytest

if sys.version_info < (3, 12):
    pytest.skip("watch() needs CPython 3.12", allow_module_level=True)

from pydatatracker import watch

KINDS = ("Watch", "WatchedTracker", "Place", "Log")


class Thing:
    """An object with attributes."""


def closed() -> None:
    d: dict[str, Any] = {"b": {"c": [1]}}
    with watch(d):
        d["a"] = 1


def read_after_the_end() -> None:
    thing = Thing()
    with watch(thing) as w:
        thing.x = [1]  # type: ignore[attr-defined]
    assert w.tracking_changes()


def of_an_object_that_ended() -> None:
    d: dict[str, Any] = {}
    w = watch(d)
    d["a"] = 1
    del d
    assert w.object is None


@pytest.mark.parametrize("use", [closed, read_after_the_end, of_an_object_that_ended])
def test_an_ended_watch_is_freed(use: Any) -> None:
    """However often it is done."""

    def count() -> list[int]:
        gc.collect()
        gc.collect()
        found = collections.Counter(type(each).__name__ for each in gc.get_objects())
        return [found[kind] for kind in KINDS]

    use()
    before = count()
    for _ in range(50):
        use()
    assert all(n - was < 10 for n, was in zip(count(), before, strict=True))
