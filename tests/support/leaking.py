"""Shared code of the leak scripts: memory in use, and the verdict."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import Any

MUTATIONS = int(os.environ.get("PYDATATRACKER_MUTATIONS", "1000000"))
WARM_UP = 10_000
ALLOWED = 512 * 1024  # bytes that may vary: arenas of the allocator, pages of the C library


def resident() -> int:
    """Return the bytes of memory that the process uses.

    RSS where the system reports it, else the peak.
    """
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def grows(mutate: Callable[[int], Any], mutations: int = MUTATIONS) -> None:
    """Exit with a sentence if memory grows after the first mutations."""
    for n in range(WARM_UP):
        mutate(n)
    gc.collect()
    blocks, before = sys.getallocatedblocks(), resident()
    for n in range(WARM_UP, mutations):
        mutate(n)
    gc.collect()
    more_blocks, more = sys.getallocatedblocks() - blocks, resident() - before
    if more > ALLOWED or more_blocks > 2000:
        sys.exit(f"{mutations:,} mutations took {more:,} bytes and {more_blocks:,} blocks more")
