"""The sink's side of a delivery: send batches, retry, set aside rejects.

Only the delivery's thread calls this, so that one batch is on its way at a time and order holds.
"""

from __future__ import annotations

import logging
import os

from pydatatracker.exporters.queue import ChangeQueue
from pydatatracker.exporters.retry import Backoff
from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable
from pydatatracker.exporters.stats import Tally

__all__ = ["Sender"]

_log = logging.getLogger("pydatatracker")


class Sender:
    """Send the batches of a queue to a sink.

    :param dead_letter: a JSONL file for items that the sink rejects for good.
    """

    def __init__(
        self,
        sink: Sink,
        queue: ChangeQueue,
        tally: Tally,
        *,
        name: str,
        backoff: Backoff,
        dead_letter: str | os.PathLike[str] | None,
    ) -> None:
        self._sink = sink
        self._queue = queue
        self._tally = tally
        self._name = name
        self._backoff = backoff
        self._dead_letter = None if dead_letter is None else os.fspath(dead_letter)

    def send(self, batch: list[Item]) -> bool:
        """Send a batch until the sink accepts or rejects it.

        Return False if it was time to give up; then the batch is back at the front of the queue.
        """
        attempt = 0
        while True:
            try:
                self._sink.send(batch)
                self._queue.done(sent=len(batch))
                return True
            except SinkRejected as error:
                rejected = batch if error.items is None else error.items
                self._set_aside(rejected, error)
                self._queue.done(sent=len(batch) - len(rejected))
                return True
            except Exception as error:
                self._tally.note_error(error)
                wait = getattr(error, "retry_after", None) if isinstance(error, SinkUnavailable) else None
            attempt += 1
            self._tally.counts["retried"] += 1
            if not self._queue.wait_to_retry(self._backoff.pause(attempt) if wait is None else wait):
                self._queue.put_back(batch)
                return False

    def _set_aside(self, items: list[Item], error: Exception) -> None:
        """Count and log rejected items, and write them to the dead-letter file."""
        self._tally.note_error(error)
        self._tally.counts["rejected"] += len(items)
        _log.error("%s: the sink rejected %d changes: %s", self._name, len(items), error)
        if self._dead_letter is None:
            return
        try:
            with open(self._dead_letter, "ab") as file:
                file.write(b"".join(item.line + b"\n" for item in items))
        except OSError as failed:
            _log.error("%s: rejected changes cannot be written to %s: %s", self._name, self._dead_letter, failed)

    def close(self) -> None:
        """Close the sink; an error of it is kept as the last one."""
        try:
            self._sink.close()
        except Exception as error:
            self._tally.note_error(error)
