"""What a sink is: where a batch of encoded changes goes. The delivery runtime does queueing, threads and retries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Item", "Sink", "SinkRejected", "SinkUnavailable"]


@dataclass(frozen=True, slots=True)
class Item:
    """One encoded change: line is compact JSON (UTF-8, no newline) of change.to_dict plus process facts."""

    line: bytes
    seq: int
    root: str  # uuid of the root container: changes of one root keep their order
    time_ns: int
    id: str  # uuid of the change, for receivers that drop repeats


class SinkUnavailable(Exception):
    """The sink cannot take it now: the batch is sent again later, after ``retry_after`` seconds if it said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SinkRejected(Exception):
    """The sink will never take these items: they go to the dead-letter file. items None: the whole batch."""

    def __init__(self, message: str, items: list[Item] | None = None) -> None:
        super().__init__(message)
        self.items = items


class Sink(Protocol):
    def send(self, items: list[Item]) -> None:
        """Deliver items in order, or raise SinkUnavailable (send again) or SinkRejected; one thread at a time."""

    def close(self) -> None:
        """Let go of connections. Called once, by the same thread."""
