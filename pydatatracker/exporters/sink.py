"""The interface of a sink: a destination of encoded changes.

The delivery runtime does queueing, threads and retries.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from types import CodeType
from typing import Any, Protocol

from pydatatracker.values.pickles import PicklableError

__all__ = ["Item", "Sink", "SinkRejected", "SinkUnavailable", "gap_item", "is_within", "wider_gap"]


@dataclass(frozen=True, slots=True)
class Item:
    """One encoded change.

    ``line`` is JSON in UTF-8 without newline, as `pydatatracker.io.to_line` writes it.
    """

    line: bytes
    seq: int
    root: str  # uuid of the root container; changes of one root keep their order
    time_ns: int
    id: str  # uuid of the change, so that receivers can drop repeats


def is_within(owner: object, *codes: CodeType) -> bool:
    """Return whether this thread is in a method of an object already.

    Below a signal handler it may be, and would wait for itself. A flag would stay set after an interrupt at the wrong
    moment. O(depth of the stack).

    :param codes: the code of these methods; that of the caller, which is one of them, does not count.
    """
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code in codes and frame.f_locals.get("self") is owner:
            return True
        frame = frame.f_back
    return False


def gap_item(first: int, last: int, reason: str) -> Item:
    """Return the item that marks that changes are missing. O(1)."""
    line = {"v": 1, "action": "gap", "from": first, "to": last, "reason": reason}
    data = json.dumps(line, separators=(",", ":")).encode()
    return Item(data, last, "", time.time_ns(), f"gap-{first}-{last}")


def wider_gap(lost: tuple[int, int, str] | None, first: int, last: int, reason: str) -> tuple[int, int, str]:
    """Return the gap to mark, with changes first to last added. O(1)."""
    if lost is not None:
        first, last = min(lost[0], first), max(lost[1], last)
    return first, last, reason


class SinkUnavailable(PicklableError):
    """The sink is not available now: the batch is sent again later.

    :param retry_after: seconds until then; None: the back-off of the delivery.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SinkRejected(PicklableError):
    """The sink rejects items for good: they go to the dead-letter file.

    :param items: the rejected ones; None: the whole batch.
    """

    def __init__(self, message: str, items: list[Item] | None = None) -> None:
        super().__init__(message)
        self.items = items


class Sink(Protocol):
    """A destination of batches of items."""

    def send(self, items: list[Item]) -> None:
        """Deliver items in order.

        Raise SinkUnavailable to retry, SinkRejected to give up. Called by one thread at a time; without a background
        thread, a sink with ``any_thread = True`` is called by all threads that change something.
        """

    def close(self) -> None:
        """Close connections. Called once, by the same thread."""
