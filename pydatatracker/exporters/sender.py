"""The sink's side of a delivery: send batches, retry, set aside rejects.

Only the delivery's thread calls this, so that one batch is on its way at a time and order holds.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import Any

from pydatatracker.exporters.queue import ChangeQueue
from pydatatracker.exporters.retry import Backoff
from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable
from pydatatracker.exporters.stats import Tally
from pydatatracker.io.files import LogFile, path_of

__all__ = ["Sender"]


class Sender:
    """Send the batches of a queue to a sink.

    :param dead_letter: a JSONL file for items that the sink rejects for good.
    :param mode: the permissions of that file if it is new.
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
        mode: int | None,
    ) -> None:
        self._sink = sink
        self._queue = queue
        self._tally = tally
        self._name = name
        self._backoff = backoff
        self._dead_letter = None if dead_letter is None else os.path.abspath(path_of(dead_letter))
        if self._dead_letter is not None and os.path.isdir(self._dead_letter):
            raise IsADirectoryError(errno.EISDIR, "the dead-letter file is a folder", self._dead_letter)
        self._mode = mode
        self._took = 0.0  # seconds of the last attempt that failed

    def send(self, batch: list[Item]) -> bool:
        """Send a batch until the sink accepts or rejects it.

        Return False if it was time to give up; then the batch is back at the front of the queue.
        """
        attempt = 0
        while True:
            asked = None
            begun = time.monotonic()
            try:
                self._sink.send(list(batch))
                sent = len(batch)
                break
            except SinkRejected as error:
                rejected = batch if error.items is None else list(error.items)
                self._set_aside(rejected, error)
                sent = max(len(batch) - len(rejected), 0)
                break
            except BaseException as error:  # also SystemExit: the thread of a delivery ends with close() only
                self._tally.note_error(error)
                asked = getattr(error, "retry_after", None) if isinstance(error, SinkUnavailable) else None
            self._took = time.monotonic() - begun
            attempt += 1
            self._tally.counts["retried"] += 1
            if not self.pause(attempt, asked):
                self._queue.put_back()
                return False
        self._queue.done(sent)
        return True

    def is_quick(self, seconds: float) -> bool:
        """Return whether the last failure took less than that."""
        return self._took < seconds

    def pause(self, attempt: int, asked: Any = None) -> bool:
        """Wait after a failure; False if it is time to give up."""
        return self._queue.wait_to_retry(self._backoff.pause(attempt, asked))

    def _set_aside(self, items: list[Item], error: Exception) -> None:
        """Count and log rejected items, and write them to the dead-letter file."""
        said = self._tally.note_error(error)
        self._tally.counts["rejected"] += len(items)
        self._tally.log(logging.ERROR, "%s: the sink rejected %d changes: %s", self._name, len(items), said)
        if self._dead_letter is None:
            return
        try:
            file = LogFile(self._dead_letter, self._mode)
            try:
                file.write(b"".join(item.line + b"\n" for item in items))
            finally:
                file.close()
        except Exception as failed:
            said = self._tally.note_error(failed)
            self._tally.log(
                logging.ERROR, "%s: rejected changes are not in %s: %s", self._name, self._dead_letter, said
            )

    def say_lost(self, gap: Item | None) -> None:
        """Send the gap line of changes that were not sent, if the sink works."""
        if gap is not None:
            try:
                self._sink.send([gap])
            except BaseException as error:
                self._tally.note_error(error)

    def close(self) -> None:
        """Close the sink; an error of it is kept as the last one."""
        try:
            self._sink.close()
        except BaseException as error:
            self._tally.note_error(error)
