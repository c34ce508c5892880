"""Measure every row of the table of costs, and its builtin, in one run.

No test fails because of a time.
"""

from __future__ import annotations

import sys
import timeit
import tracemalloc
from typing import Any

import pytest
from rows import PREPARE, RESULTS, ROWS, Row

from pydatatracker import TrackedDict, _core

NAMES: dict[str, Any] = {}
exec(PREPARE, NAMES)


def fastest(row: Row, repeats: int = 7) -> tuple[float, float]:
    """Return the least nanoseconds of the statement, builtin and tracked.

    The samples are interleaved.
    """
    timers = [timeit.Timer(statement, setup, globals=NAMES) for setup, statement in (row.plain, row.tracked)]
    least = [float("inf"), float("inf")]
    for _ in range(repeats):
        for n, timer in enumerate(timers):
            least[n] = min(least[n], timer.timeit(row.number) / row.number * 1e9)
            with _core.ScopeBlock(None):  # ends the actor of the set-up
                pass
    return least[0], least[1]


@pytest.fixture(scope="session")
def u() -> float:
    """Return the nanoseconds of d[k] = v on a plain dict in this run.

    The clock of records, which the first ones set against the system's, is set when it returns.
    """
    timeit.timeit("d['a'] = 1", "d = TrackedDict(a=0)", number=1_000_000, globals={"TrackedDict": TrackedDict})
    return min(timeit.repeat("d['a'] = 1", "d = {'a': 0}", number=20_000, repeat=40)) / 20_000 * 1e9


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.strip())
def test_cost(row: Row, u: float, benchmark: Any) -> None:
    """A tracked statement is saved, and its ratio goes into the table."""
    plain, tracked = fastest(row)
    if row.unit == "u":
        measured, said = (tracked - plain) / u, "u over"
    elif row.unit == "us":
        measured, said = (tracked - plain) / 1_000_000, "us more"
    else:
        measured, said = tracked / plain, "x"
    mark = "met" if measured <= row.goal else "missed"
    RESULTS.append((row.name, f"{plain:,.0f} ns", f"{tracked:,.0f} ns", f"{measured:.2f} {said}", f"{row.goal} {mark}"))
    setup, statement = row.tracked
    names = dict(NAMES)
    exec(setup, names)
    benchmark.pedantic(timeit.Timer(statement, setup, globals=names).timeit, args=(row.number,), rounds=3)
    _core.ScopeBlock(None).__enter__()


def test_memory(benchmark: Any) -> None:
    """Measure the bytes of a record, and of an empty TrackedDict.

    A record is counted without the values that it refers to, a TrackedDict without the size of a dict.
    """
    d = TrackedDict(a=0)
    d["a"] = 1
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(4095):
        d["a"] = 1
    record = (tracemalloc.get_traced_memory()[0] - before) / 4095
    tracemalloc.stop()
    empty = sys.getsizeof(TrackedDict()) - sys.getsizeof({})
    RESULTS.append(("memory of a record", "", f"{record:.0f} bytes", "", f"110 {'met' if record <= 110 else 'missed'}"))
    RESULTS.append(
        ("empty TrackedDict, more than a dict", "", f"{empty} bytes", "", f"150 {'met' if empty <= 150 else 'missed'}")
    )
    benchmark.pedantic(TrackedDict, rounds=3)
