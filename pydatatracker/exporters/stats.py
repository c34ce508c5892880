"""Counts of what became of the changes given to an exporter."""

from __future__ import annotations

import collections
from dataclasses import dataclass

__all__ = ["Stats", "Tally"]

_LONGEST = 500  # characters of an error that is kept


@dataclass(frozen=True)
class Stats:
    """What became of the items so far."""

    queued: int  # wait in memory
    spilled: int  # wait in the spill file
    accepted: int
    sent: int
    retried: int  # batches that were sent again
    dropped: int
    rejected: int  # went to the dead-letter file, or were counted if there is none
    ignored: int  # changes that the sink's own client made while sending
    last_error: str | None


class Tally:
    """The counts behind `Stats`, and the last error."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.last_error: str | None = None

    def note_error(self, error: BaseException) -> str:
        """Keep an error as the last one, and return its text. O(length)."""
        self.last_error = f"{type(error).__name__}: {error}"[:_LONGEST]
        return self.last_error

    def stats(self, queued: int = 0, spilled: int = 0, accepted: int = 0) -> Stats:
        """Return the counts so far. O(1).

        :param accepted: items that were accepted and counted elsewhere; added to those counted here.
        """
        counts = self.counts
        return Stats(
            queued=queued,
            spilled=spilled,
            accepted=counts["accepted"] + accepted,
            sent=counts["sent"],
            retried=counts["retried"],
            dropped=counts["dropped"],
            rejected=counts["rejected"],
            ignored=counts["ignored"],
            last_error=self.last_error,
        )
