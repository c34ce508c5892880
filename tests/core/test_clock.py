"""The clock of the core: how far its times may be from the system's."""

import threading
import time
from collections.abc import Iterator

import pytest

from pydatatracker import TrackedDict, _core

# How far the clock may be off, in nanoseconds. About ten is usual; a machine that moves the process between
# processors whose counters differ may show more.
SLACK = 2_000


@pytest.fixture(params=[False, True], ids=["counted", "system"])
def _clock(request: pytest.FixtureRequest) -> Iterator[None]:
    _core.use_system_clock(request.param)
    yield
    _core.use_system_clock(False)


def outside(samples: int) -> list[tuple[int, int, int]]:
    """Return the samples (before, recorded, after) out of order by over SLACK."""
    d = TrackedDict()
    found = []
    for n in range(samples):
        before = time.time_ns()
        d["n"] = n
        after = time.time_ns()
        recorded = d.tracking_changes(1)[0].time_ns
        if not before - SLACK <= recorded <= after + SLACK:
            found.append((before, recorded, after))
    return found


@pytest.mark.usefixtures("_clock")
def test_a_record_carries_the_time_of_its_store() -> None:
    """The time of a change lies between clock readings around the store."""
    assert [] == outside(100_000)


@pytest.mark.usefixtures("_clock")
def test_the_time_is_right_after_a_pause() -> None:
    """After a pause of any length the system's clock is read again.

    Between readings the core counts on from the last one.
    """
    wake = threading.Event()
    for pause in (0.00001, 0.00002, 0.0001, 0.001, 0.02, 0.05) * 3:
        wake.wait(pause)
        assert [] == outside(5)
