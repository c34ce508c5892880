"""Containers that hold themselves or each other are freed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    _core,
)


class Node(TrackedAttr):
    """An object with any attributes."""


class Key:
    """An element of a set that refers to it."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner


PUT: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], object]]] = {
    "dict": (TrackedDict, lambda one, item: one.__setitem__("k", item)),
    "list": (TrackedList, lambda one, item: one.append(item)),
    "object": (Node, lambda one, item: setattr(one, "k", item)),
    "deque": (TrackedDeque, lambda one, item: one.append(item)),
    "OrderedDict": (TrackedOrderedDict, lambda one, item: one.__setitem__("k", item)),
    "defaultdict": (TrackedDefaultDict, lambda one, item: one.__setitem__("k", item)),
    "Counter": (TrackedCounter, lambda one, item: one.__setitem__("k", item)),
}


@pytest.fixture(autouse=True, scope="module")
def only_what_is_made_here() -> Iterator[None]:
    """Leave what other tests hold out of the collections.

    They are many, and each looks at all.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def alive() -> int:
    """Return the number of containers that are alive."""
    gc.collect()
    return sum(_core.tracker(each) is not None for each in gc.get_objects())


@pytest.mark.parametrize("used", [False, True], ids=["untouched", "with history"])
@pytest.mark.parametrize(("one", "other"), list(product(PUT, PUT)))
def test_a_cycle_is_freed(one: str, other: str, used: bool) -> None:
    """No cycle of containers of any two kinds outlives its last reference."""
    before = alive()
    for _ in range(20):
        first, second = PUT[one][0](), PUT[other][0]()
        PUT[one][1](first, second)
        PUT[other][1](second, first)
        PUT[one][1](first, first)
        if used:
            first.tracking_changes()
        del first, second
    assert before == alive()


def test_what_outlives_the_root_of_its_tree_goes_on() -> None:
    """Of a tree that the collector frees, it is a root with a log."""
    for _ in range(50):
        root, child = TrackedDict(), TrackedDict()
        root["self"], root["child"], child["up"] = root, child, root
        child["a"] = 1
        del child["up"], root
        child.tracking_clear_changes()
        gc.collect()
        others = [TrackedDict(a=1) for _ in range(50)]
        child["b"] = 2
        assert ["/b"] == [change.pointer for change in child.tracking_changes()][-1:]
        del others
