"""Objects of a watched class that come and go leave nothing behind."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

import pytest

from pydatatracker import watch

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch needs CPython 3.12")

TIMES = 20_000 * int(os.environ.get("PYDATATRACKER_LONG", "1"))


class Plain:
    def __init__(self) -> None:
        self.n = 1
        self.parts = [{"k": 1}]


class Slotted:
    __slots__ = ("n", "parts")

    def __init__(self) -> None:
        self.n = 1
        self.parts = [{"k": 1}]


class Cyclic:
    def __init__(self) -> None:
        self.me = self
        self.n = 1


@pytest.mark.parametrize("cls", [Plain, Slotted, Cyclic])
def test_short_lived_objects_leave_nothing(cls: Callable[[], object]) -> None:
    """The number of memory blocks does not grow with the number of objects.

    Set PYDATATRACKER_LONG=50 for a million of them.
    """
    blocks = []
    with watch(cls, tracking_max_changes=100) as w:
        for count in (2_000, 20_000, TIMES):  # the first collections fill what is kept for later
            for _ in range(count):
                cls()
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        assert w.born == 22_000 + TIMES
        assert w.objects == 0
    assert blocks[2] - blocks[1] < 1_000
