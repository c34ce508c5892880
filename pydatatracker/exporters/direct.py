"""Synchronous delivery: each change is sent by the thread that made it."""

from __future__ import annotations

import logging
from typing import Any

from pydatatracker.exporters.sink import Sink
from pydatatracker.exporters.stats import Stats, Tally

__all__ = ["DirectDelivery"]


class DirectDelivery:
    """Send each item synchronously.

    Errors are counted and logged, never raised. It has the methods of `pydatatracker.exporters.Delivery`; nothing ever
    waits, so ``flush`` and ``close`` have nothing to send.
    """

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self.name = name
        self._tally = Tally(getattr(sink, "secrets", ()))

    def refuses(self, seq: int) -> bool:
        """Return False: there is room for every change."""
        return False

    def put(self, item: Any) -> bool:
        """Send an item; False if the sink failed."""
        counts = self._tally.counts
        counts["accepted"] += 1
        try:
            self._sink.send([item])
        except BaseException as error:
            counts["dropped"] += 1
            said = self._tally.note_error(error)
            self._tally.log(logging.ERROR, "%s: change %d was not delivered: %s", self.name, item.seq, said)
            if not isinstance(error, Exception):  # KeyboardInterrupt, SystemExit: the program ends
                raise
            return False
        counts["sent"] += 1
        return True

    def flush(self, timeout: float | None = None) -> bool:
        """Return True: nothing waits."""
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Close the sink. False if that failed; the error is the last one."""
        try:
            self._sink.close()
        except Exception as error:
            self._tally.log(logging.ERROR, "%s: the sink was not closed: %s", self.name, self._tally.note_error(error))
            return False
        return True

    def stats(self) -> Stats:
        """Return what became of the items so far. O(1)."""
        return self._tally.stats()
