"""The garbage collector may run other code within a mutator.

Finalizers, callbacks and other threads can change the container then. The sentence of the kind: between reading what is replaced and the store nothing runs that could change the container,
so a record's `before` is what the change replaced.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from no_memory import KINDS, new_child
from oracle import Oracle

from pydatatracker import TrackedDict

MOST = 50  # collections that change the container; the history keeps more changes than that makes
CASES = [(kind, name) for kind, (_, calls) in KINDS.items() for name in calls]


def changer(kind: str, container: Any, number: int) -> None:
    """Change the container where most of the calls change it."""
    if kind == "dict":
        container["a"] = number
        container["new"] = number
        container.pop("b", None)
        container["b"] = number
    elif kind == "list":
        container.insert(0, number)
        container[0] = -number
        container.append(number)
        container.pop()
    elif kind == "set":
        container.discard(1)
        container.add(10)
        container.add(1)
        container.discard(10)
    else:
        container.a = number
        del container.b
        container.b = number
        del container.a
        container.a = -number


@contextlib.contextmanager
def called_at_collections(function: Callable[[], None]) -> Iterator[None]:
    """Call a function at each collection, and collect as often as can be."""
    threshold = gc.get_threshold()
    running = False

    def callback(phase: str, info: dict[str, int]) -> None:
        nonlocal running
        if phase == "start" and not running:
            running = True
            try:
                function()
            finally:
                running = False

    gc.callbacks.append(callback)
    gc.set_threshold(1, 1000, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(callback)


@pytest.mark.parametrize("nested", [False, True], ids=["root", "nested"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind} {name}" for kind, name in CASES])
def test_the_record_is_right_if_the_collector_changes_the_container(kind: str, name: str, nested: bool) -> None:
    """Whatever changes at a collection, the records replay to the state."""
    make, calls = KINDS[kind]
    container = make()
    root = TrackedDict(child=container) if nested else container
    oracle = Oracle(root)
    new = new_child(kind)
    oracle.twin(new)
    seq = max(change.seq for change in root.tracking_changes())
    runs = 0

    def errand() -> None:
        nonlocal runs
        runs += 1
        if runs <= MOST:
            changer(kind, container, runs)

    # what it was to remove may be gone
    gone = contextlib.suppress(KeyError, IndexError, AttributeError, StopIteration, RuntimeError, ValueError)
    with called_at_collections(errand), gone:
        calls[name](container, new)
    for change in root.tracking_changes():
        if change.seq > seq:
            oracle.apply(change)
    oracle.agrees(root)
    container._check()
