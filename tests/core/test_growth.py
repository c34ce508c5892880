"""Work on deep data grows with its depth, not with the square of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tracemalloc

import pytest

from pydatatracker import TrackedList

PROGRAM = """
import gc, sys
from pydatatracker import TrackedList
gc.disable()
x = TrackedList()
for _ in range(int(sys.argv[1])):
    if sys.argv[2] == "leaves":
        y = TrackedList()
        x.append(y)
        x = y
    else:
        y = TrackedList([TrackedList()])
        y.append(1)
        x.append(y)
        x = y[0]
"""


def instructions(n: int, what: str) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-c", PROGRAM]
    done = subprocess.run([*command, str(n), what], capture_output=True, text=True, check=True, timeout=300)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="counts instructions with valgrind")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="valgrind cannot run under AddressSanitizer")
@pytest.mark.parametrize("what", ["leaves", "subtrees"])
def test_a_chain_that_grows_at_its_end_takes_linear_time(what: str) -> None:
    """Twice the links take about twice the instructions."""
    few, more, most = (instructions(n, what) for n in (1000, 3000, 7000))
    assert most - more < 3 * (more - few)


def nested(n: int) -> TrackedList:
    top = x = TrackedList()
    for _ in range(n):
        y: TrackedList = TrackedList()
        x.append(y)
        x = y
    return top


def test_verify_takes_memory_in_proportion_to_the_depth() -> None:
    """`tracking_verify` of thrice the levels takes thrice the memory."""
    peaks = []
    for n in (1000, 3000):
        top = nested(n)
        tracemalloc.start()
        try:
            assert top.tracking_verify() is None
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 5 * peaks[0]
