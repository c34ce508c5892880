"""Undo and blame of deep data visit each level once, not once per level."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList
from pydatatracker.history import undo as module


def chain(depth: int, kind: type) -> Any:
    root = at = kind()
    for _ in range(depth):
        below = kind()
        if isinstance(at, list):
            at.append(below)
        else:
            at["k"] = below
        at = below
    return root


@pytest.mark.parametrize("kind", [TrackedDict, TrackedList])
def test_undo_visits_each_level_a_few_times(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the depth takes twice the visits."""
    visits = []
    children = module._core.children
    monkeypatch.setattr(module._core, "children", lambda each: visits.append(1) or children(each))
    root = chain(300, kind)
    assert len(root.tracking_undo(100)) == 100
    assert len(visits) < 5 * 300
    assert len(root.tracking_redo(100)) == 100


def test_blame_keeps_the_order_of_a_segment_once() -> None:
    """The memory is that of the paths and pointers, not of sort keys."""
    root = chain(1000, TrackedDict)
    tracemalloc.start()
    try:
        assert len(root.tracking_blame()) == 1000
        assert tracemalloc.get_traced_memory()[1] < 25 << 20  # 43 MiB with them
    finally:
        tracemalloc.stop()


def test_blame_sorts_by_numbers_and_escapes_keys() -> None:
    """Pointers are in reading order, whatever the keys are."""
    d = TrackedDict(l=TrackedList(range(11)))
    d["a/b"] = TrackedDict()
    d["a/b"]["~"] = 1
    d["a/b"][10] = d["a/b"]["9"] = 2
    d["l"][:] = range(11)
    assert list(d.tracking_blame()) == ["/a~1b", "/a~1b/9", "/a~1b/10", "/a~1b/~0", *(f"/l/{n}" for n in range(11))]
