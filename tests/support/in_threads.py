"""Eight threads at once, and the naive judge of what their log says."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from oracle import apply
from restless import restless

THREADS = 8
ROUNDS = int(os.environ.get("PYDATATRACKER_ROUNDS", "100"))


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    """Switch threads as often as possible in each test of a module."""
    with restless():
        yield


def run(work: Callable[[int], None]) -> list[BaseException]:
    """Run work(n) in eight threads at once; return what they raised."""
    failed: list[BaseException] = []
    gate = threading.Barrier(THREADS)

    def each(n: int) -> None:
        gate.wait()
        try:
            work(n)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=each, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def judge(container: Any, start: Any, now: Any, past: bool = True) -> list[Any]:
    """Replay the log, and check each record against the state before it.

    The log has no gaps and ends in the present state.
    """
    changes = container.tracking_changes()[1:]
    assert [c.seq for c in changes] == sorted({c.seq for c in changes})
    for change in changes:
        apply(start, change, lambda value: value, check=past)
    assert start == now
    if isinstance(container, dict) and past:
        assert list(start) == list(now)
    container._check()
    return changes
