"""The delivery runtime: a bounded queue, one thread, batches, retries.

All exporters use it.

- ``put`` is called by the thread that changed something. It never waits longer than ``on_full`` allows, and errors of
  the sink never reach it. `pydatatracker.exporters.queue` is this side.
- One daemon thread per delivery takes items in order, batches them and sends them. A batch that fails is sent again,
  with exponential back-off and jitter, before the next one, so order holds. The thread starts with the first item and
  ends with ``close``. `pydatatracker.exporters.sender` is this side.
- Dropped changes are counted, and a ``gap`` line marks where they are missing.
- With ``on_full="spill"``, items that do not fit into the queue go to a local file, and so do all later ones until the
  file has been sent: order holds. What a process left in the file is sent first by the next one.
- After ``fork`` the child has an empty queue and a thread of its own: the parent sends the parent's items.
- At a normal exit of the interpreter everything accepted is sent, within ``exit_timeout`` seconds.

Delivery is at-least-once: if an answer was lost, a batch may arrive twice; seq and id identify repeats.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from types import TracebackType
from typing import Final, Self

from pydatatracker import _core
from pydatatracker.exporters.queue import ChangeQueue, OnFull
from pydatatracker.exporters.retry import Backoff
from pydatatracker.exporters.sender import Sender
from pydatatracker.exporters.sink import Item, Sink
from pydatatracker.exporters.stats import Stats, Tally

__all__ = ["Delivery", "OnFull", "Stats"]

_JOIN: Final = 5.0  # seconds more that close() waits for a sink that is in the middle of a call
_log = logging.getLogger("pydatatracker")


class Delivery:
    """Accept items and have a sink send them.

    :param sink: where they go; called by one thread, one batch at a time.
    :param max_items: how many may wait in memory; ``max_bytes`` likewise.
    :param on_full: ``"block"`` waits ``block_timeout`` seconds for room and then drops the newest; ``"drop_oldest"``,
        ``"drop_newest"``; ``"spill"`` continues in the file ``spill``.
    :param batch_items: a batch is sent when it has this many items, or ``batch_bytes`` bytes, or when its first item
        has waited ``batch_age`` seconds.
    :param retry_first: seconds before the first retry; doubled each time up to ``retry_most``, with jitter.
    :param exit_timeout: seconds that ``close`` and the exit of the interpreter wait for everything to be sent.
    :param dead_letter: a JSONL file for items that the sink rejects for good.
    :raises ValueError: an option is out of range, or ``on_full="spill"`` has no ``spill``.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        name: str,
        max_items: int = 10_000,
        max_bytes: int = 64 << 20,
        on_full: OnFull = "block",
        block_timeout: float = 1.0,
        spill: str | os.PathLike[str] | None = None,
        batch_items: int = 500,
        batch_bytes: int = 1 << 20,
        batch_age: float = 0.2,
        retry_first: float = 0.1,
        retry_most: float = 30.0,
        exit_timeout: float = 10.0,
        dead_letter: str | os.PathLike[str] | None = None,
    ) -> None:
        self.name = name
        self._exit_timeout = exit_timeout
        self._tally = Tally()
        self._queue = ChangeQueue(
            self._tally,
            max_items=max_items,
            max_bytes=max_bytes,
            on_full=on_full,
            block_timeout=block_timeout,
            spill=spill,
            batch_items=batch_items,
            batch_bytes=batch_bytes,
            batch_age=batch_age,
        )
        self._sender = Sender(
            sink,
            self._queue,
            self._tally,
            name=name,
            backoff=Backoff(retry_first, retry_most),
            dead_letter=dead_letter,
        )
        self._thread: threading.Thread | None = None
        _all.add(self)
        if self._queue.spilled:
            with self._queue.changed:
                self._start()

    @property
    def intake(self) -> _core.Intake:
        """The core's way into the queue, for changes that need no waiting."""
        return self._queue.intake

    def put(self, item: Item | _core.ChangeItem) -> bool:
        """Accept an item; False if it was dropped.

        O(1). Waits only with on_full="block", for at most block_timeout seconds.
        """
        if self._thread is not None and threading.get_ident() == self._thread.ident:
            # the sink's client changes tracked data: sending that would never end
            self._tally.counts["ignored"] += 1
            return False
        with self._queue.changed:
            if self._thread is None and not self._queue.closed:
                self._start()
            return self._queue.put(item)

    def refuses(self, seq: int) -> bool:
        """Return whether a change is dropped, before it is encoded.

        It is, and counts as dropped, if the queue is full and drops the newest. O(1).
        """
        return self._queue.refuses(seq)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything accepted so far is sent.

        Return False if that took longer than timeout seconds.
        """
        return self._queue.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Send what waits, for at most timeout seconds, and stop.

        Return True if everything was sent. The default of timeout is exit_timeout. Items that could not be sent go to
        the spill file; without one they are counted as dropped.
        """
        end = self._queue.stop(self._exit_timeout if timeout is None else timeout)
        if end is None:
            return not self._queue.is_waiting
        thread = self._thread
        if thread is None:
            self._sender.close()
        elif thread.ident != threading.get_ident():
            thread.join(max(end - time.monotonic(), 0) + _JOIN)
        lost, is_complete = self._queue.close()
        if lost:
            _log.warning(
                "%s: %d changes were not sent before it was closed; last error: %s",
                self.name,
                lost,
                self._tally.last_error,
            )
        return is_complete

    def stats(self) -> Stats:
        """Return what became of the items so far. O(1)."""
        queue = self._queue
        with queue.changed:
            return self._tally.stats(queue.queued, queue.spilled, queue.intake.accepted)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the thread

    def _start(self) -> None:
        self._thread = threading.Thread(target=_run, args=([self],), name=f"{self.name}-delivery", daemon=True)
        self._thread.start()
        self._queue.intake.sender = self._thread.ident or 0

    def _send_next(self) -> bool:
        """Wait for a batch and send it; False when that was the last one."""
        batch = self._queue.next_batch()
        if batch is None or (batch and not self._sender.send(batch)):
            self._sender.close()
            return False
        return True

    def _after_fork(self) -> None:
        self._thread = None
        self._queue.after_fork()


def _run(started: list[Delivery]) -> None:
    """Send until the delivery is closed or gone.

    The thread holds the delivery while anything waits, so that accepted items are sent even if nobody refers to it any
    more; after that it can be freed.
    """
    delivery: Delivery | None = started.pop()
    ref = weakref.ref(delivery)
    while delivery is not None:
        if not delivery._send_next():
            return
        if not delivery._queue.is_waiting:
            del delivery
            delivery = ref()


_all: weakref.WeakSet[Delivery] = weakref.WeakSet()


def _at_exit() -> None:
    for delivery in list(_all):
        delivery.close()


def _after_fork() -> None:
    for delivery in list(_all):
        delivery._after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
