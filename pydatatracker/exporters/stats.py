"""Counts of what became of the changes given to an exporter."""

from __future__ import annotations

import collections
import logging
from dataclasses import dataclass

from pydatatracker.exporters.secrets import clean, text_of

__all__ = ["Stats", "Tally"]

_LONGEST = 500  # characters of an error that is kept
_log = logging.getLogger("pydatatracker")


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
    """The counts behind `Stats`, and the last error.

    :param secrets: text that is hidden in errors and log records.
    """

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.last_error: str | None = None
        self._secrets = secrets

    def note_error(self, error: BaseException) -> str:
        """Keep an error as the last one, and return its text. O(length).

        Never raises, whatever the error's own text does.
        """
        self.last_error = text_of(error, self._secrets)[:_LONGEST]
        return self.last_error

    def log(self, level: int, message: str, *values: object) -> None:
        """Log a message without secrets; an error of a logging handler is ignored."""
        try:
            _log.log(level, "%s", clean(message % values, self._secrets))
        except Exception:  # of a handler of the program: neither it nor the delivery may end here
            pass

    def report(self, message: str, error: BaseException | None = None) -> None:
        """Log what a sink noticed while it went on; its error is the last one."""
        if error is not None:
            self.note_error(error)
        self.log(logging.WARNING, "%s", message)

    def stats(self, queued: int = 0, spilled: int = 0, accepted: int = 0, sent: int = 0) -> Stats:
        """Return the counts so far. O(1).

        :param accepted: items that were accepted and counted elsewhere; added to those counted here.
        :param sent: the same for items that were sent.
        """
        counts = self.counts
        return Stats(
            queued=queued,
            spilled=spilled,
            accepted=counts["accepted"] + accepted,
            sent=counts["sent"] + sent,
            retried=counts["retried"],
            dropped=counts["dropped"],
            rejected=counts["rejected"],
            ignored=counts["ignored"],
            last_error=self.last_error,
        )
