"""The pauses between attempts: exponential back-off with jitter."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

__all__ = ["Backoff"]

_EVEN = 1.0  # seconds between attempts without tenacity


@dataclass(frozen=True)
class Backoff:
    """Pauses that double from ``first`` seconds up to ``most``."""

    first: float
    most: float

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt, counted from 1. O(1)."""
        # tenacity comes with the extras of the network sinks; a local file is retried at even pauses
        try:
            import tenacity
        except ImportError:
            return min(_EVEN, self.most)
        exponential = tenacity.wait_exponential(multiplier=self.first, max=self.most)
        wait = exponential + tenacity.wait_random(0, self.first)
        state = SimpleNamespace(attempt_number=attempt)  # all that this kind of wait looks at
        return wait(state)  # type: ignore[arg-type]
