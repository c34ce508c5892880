"""Synchronous delivery: each change is sent by the thread that made it."""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
from typing import Any, Final

from pydatatracker import _core, _forks
from pydatatracker.exporters.sink import Sink
from pydatatracker.exporters.stats import Stats, Tally

__all__ = ["DirectDelivery"]

_RECENT: Final = 64  # dropped changes that are known, so that none is counted twice


class DirectDelivery:
    """Send each item synchronously.

    Errors are counted and logged, never raised. It has the methods of `pydatatracker.exporters.Delivery`; nothing ever
    waits, so ``flush`` and ``close`` have nothing to send. Threads take turns, unless the sink has
    ``any_thread = True``.
    """

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self.name = name
        self._tally = Tally(getattr(sink, "secrets", ()))
        self.appender: _core.Appender | None = None  # writes most lines without this object
        self._dropped: collections.deque[int] = collections.deque(maxlen=_RECENT)  # the last ones
        self.after_fork()
        _forks.keep(self, _forks.QUEUES)

    def after_fork(self) -> None:
        """Make the lock anew: another thread may have held it."""
        self._turn: Any = contextlib.nullcontext() if getattr(self._sink, "any_thread", False) else threading.RLock()

    def refuses(self, seq: int) -> bool:
        """Return False: there is room for every change."""
        return False

    def put(self, item: Any) -> bool:
        """Send an item; False if the sink failed."""
        counts = self._tally.counts
        counts["accepted"] += 1
        try:
            with self._turn:
                self._sink.send([item])
        except BaseException as error:
            if not isinstance(error, Exception):  # KeyboardInterrupt, SystemExit: the program ends
                self.lose(item.seq, error)
                if item.seq not in self._dropped:
                    counts["sent"] += 1
                raise
            counts["dropped"] += 1
            self._dropped.append(item.seq)
            said = self._tally.note_error(error)
            self._tally.log(logging.ERROR, "%s: change %d was not delivered: %s", self.name, item.seq, said)
            return False
        counts["sent"] += 1
        return True

    def lose(self, seq: int, error: BaseException) -> None:
        """Count a change that was not given to `put`, or did not get through it.

        The sink marks the gap if it can. O(1).
        """
        said = self._tally.note_error(error)
        lose = getattr(self._sink, "lose", None)
        if lose is not None and not lose(seq, said):
            return
        if seq not in self._dropped:
            self._dropped.append(seq)
            self._tally.counts["dropped"] += 1

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
        written = 0 if self.appender is None else self.appender.taken
        return self._tally.stats(accepted=written, sent=written)
