"""Undo ends, and says what was wrong, while others store all the time."""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import Any

import pytest

from pydatatracker import TrackedDict
from pydatatracker.history import undo as module
from pydatatracker.history.undo import UndoConflictError


def test_reading_the_records_ends_while_others_store() -> None:
    """Changes that come meanwhile are left to the next call.

    The collector runs at each allocation, on 3.11 also while records are read, and each time something is stored.
    """
    d: Any = TrackedDict(a=1)
    calls: list[str] = []

    def store(phase: str, info: Any) -> None:
        calls.append(phase)
        if len(calls) > 20_000:  # reading does not end
            return
        child = TrackedDict()
        child["n"] = len(calls)  # so that it brings a log of its own
        d["other"] = child

    d["a"] = 2
    d.tracking_undo()
    d["a"] = 3
    before = gc.get_threshold()
    gc.callbacks.append(store)
    try:
        gc.set_threshold(1)
        with contextlib.suppress(UndoConflictError):
            d.tracking_undo()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(store)
    assert len(calls) < 20_000
    assert d.tracking_verify() is None


def test_undo_ends_while_threads_store() -> None:
    """A step is undone or refused in bounded time."""
    d = TrackedDict()
    over = threading.Event()
    said: list[str] = []

    def store() -> None:
        n = 0
        while not over.is_set():
            n += 1
            d["n"] = TrackedDict(n=n)

    threads = [threading.Thread(target=store) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            try:
                d.tracking_undo()
            except UndoConflictError as error:
                said.append(str(error))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert all("changed meanwhile" in text for text in said), said
    d._check()


def test_a_conflict_with_a_newer_change_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others changed the data between the look at the records and the undo."""
    d = TrackedDict(a=1, b=1)
    d.update(a=2, b=2)
    take_back = module.take_back

    def late(change: Any, *args: Any) -> Any:
        d["a"] = 3
        return take_back(change, *args)

    monkeypatch.setattr(module, "take_back", late)
    with pytest.raises(UndoConflictError, match="changed meanwhile, by 1 other change; try again"):
        d.tracking_undo()
    assert d == {"a": 3, "b": 2}


def test_a_conflict_with_an_untracked_change_says_so() -> None:
    """Nothing was recorded meanwhile."""
    d = TrackedDict(a=1)
    d["a"] = 2
    dict.__setitem__(d, "a", 9)
    with pytest.raises(UndoConflictError, match="something bypassed tracking"):
        d.tracking_undo()
