"""Pauses and deadlines, bounded whatever a server or a clock says."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

__all__ = ["Backoff", "Deadline", "seconds_of"]

_EVEN: Final = 1.0  # seconds between attempts without tenacity
_STEP: Final = 3600.0  # seconds of one wait; more than threading.TIMEOUT_MAX is an OverflowError


def seconds_of(name: str, value: Any) -> float:
    """Return an option that is a number of seconds of at least 0.

    Infinity is one. Raises ValueError for everything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:  # NaN is not >= 0
        raise ValueError(f"{name} must be a number of seconds of at least 0, not {value!r}")
    return min(float(min(value, 1 << 60)), float("inf"))


@dataclass(frozen=True)
class Backoff:
    """Pauses that double from ``first`` seconds up to ``most``."""

    first: float
    most: float

    def pause(self, attempt: int, asked: Any = None) -> float:
        """Return the seconds to wait after an attempt, counted from 1. O(1).

        :param asked: the seconds that the sink asks for. They are limited to ``most``; what is not a number above 0
            counts as none.
        """
        try:
            wait = float(asked) if asked is not None else 0.0
        except (TypeError, ValueError, OverflowError):
            wait = 0.0
        if not wait > 0:
            wait = self._growing(attempt)
        return max(min(wait, self.most), 0.0)

    def _growing(self, attempt: int) -> float:
        # tenacity comes with the extras of the network sinks; a local file is retried at even pauses
        try:
            import tenacity
        except ImportError:
            return _EVEN
        exponential = tenacity.wait_exponential(multiplier=self.first, max=self.most)
        wait = exponential + tenacity.wait_random(0, self.first)
        state = SimpleNamespace(attempt_number=attempt)  # all that this kind of wait looks at
        return wait(state)  # type: ignore[arg-type]


class Deadline:
    """A moment in the future, also if the clock stands still or goes back.

    A wait that timed out counts as long as it was meant to be, whatever the clock says afterwards.

    :param seconds: until then; None, or infinity: never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = float("inf") if seconds is None else seconds if seconds > 0 else 0.0
        self._begun = time.monotonic()
        self._waited = 0.0

    @property
    def left(self) -> float:
        """Seconds until then, at least 0. O(1)."""
        return max(self._seconds - max(time.monotonic() - self._begun, self._waited), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether it is in the past. O(1)."""
        return self.left <= 0

    def wait(self, condition: threading.Condition, most: float = _STEP) -> bool:
        """Wait on a condition, which is held, until then or for most seconds.

        Return False if that time is over without a notification.
        """
        seconds = min(self.left, max(most, 0.0), _STEP)
        if condition.wait(seconds):
            return True
        self._waited += seconds
        return False
