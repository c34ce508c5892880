"""Threads that switch inside statements, and a busy collector.

The collector runs Python code wherever memory is allocated.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


def _slow(phase: str, info: dict[str, int]) -> None:
    sum(range(50))  # up to 3.11 another thread may run here, in the middle of any allocation


@contextlib.contextmanager
def restless(interval: float = 1e-6) -> Iterator[None]:
    """Switch threads as often as possible inside the with block."""
    before = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(interval)
    gc.set_threshold(150, 20, 50)
    gc.callbacks.append(_slow)
    try:
        yield
    finally:
        gc.callbacks.remove(_slow)
        gc.set_threshold(*before[1])
        sys.setswitchinterval(before[0])
