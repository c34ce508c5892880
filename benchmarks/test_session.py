"""Replay a real editing session into a tracked and a plain list."""

from __future__ import annotations

import time
from typing import Any

import pytest
from rows import RESULTS
from session import document

from pydatatracker import TrackedList


def replay(into: Any, patches: list[Any]) -> Any:
    """Apply all splices."""
    for position, deleted, inserted in patches:
        into[position : position + deleted] = inserted
    return into


def test_editing_session(benchmark: Any) -> None:
    """The ratio for 19,749 splices, mostly of one character, is measured."""
    found = document()
    if found is None:
        pytest.skip("the editing session is missing: set PYDATATRACKER_DATA to its folder")
    patches = [(at, gone, list(new)) for at, gone, new in found.patches]
    least = [float("inf")] * 2
    for _ in range(3):
        for n, kind in enumerate((list, TrackedList)):
            start = time.perf_counter()
            replay(kind(found.start), patches)
            least[n] = min(least[n], time.perf_counter() - start)
    plain, tracked = least
    RESULTS.append(
        ("editing session", f"{plain * 1e3:.0f} ms", f"{tracked * 1e3:.0f} ms", f"{tracked / plain:.2f} x", "")
    )
    benchmark.pedantic(replay, args=(TrackedList(found.start), patches), rounds=1)
