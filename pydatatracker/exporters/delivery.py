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
- At a normal exit of the interpreter, and of a process of `multiprocessing`, everything accepted is sent, within
  ``exit_timeout`` seconds. A process that its parent may kill, such as a worker of a Pool, waits for the sink after
  each change, as ``on_full="block"`` waits.
- The thread lives until ``close``, whatever the sink raises and however long it asks to wait. A sink that never returns
  cannot be stopped: then ``flush`` and ``close`` return False when their time is over, and the changes are kept in the
  spill file, or counted as dropped.

Delivery is at-least-once: if an answer was lost, a batch may arrive twice; seq and id identify repeats.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from pydatatracker import _core, _forks
from pydatatracker.exporters.queue import ChangeQueue, OnFull
from pydatatracker.exporters.retry import Backoff, Deadline, seconds_of
from pydatatracker.exporters.sender import Sender
from pydatatracker.exporters.sink import Item, Sink
from pydatatracker.exporters.stats import Stats, Tally
from pydatatracker.io.files import MODE, check_mode

__all__ = ["Delivery", "OnFull", "Stats"]

_JOIN: Final = 5.0  # seconds more that close() waits for a sink that is in the middle of a call
_PATIENCE: Final = 10.0  # seconds at least without a sent batch after which flush() gives up
_LOOK: Final = 60.0  # seconds of one wait for the thread
_QUICK: Final = 1.0  # a sink that fails faster is asked once more to take a gap line


class Delivery:
    """Accept items and have a sink send them.

    :param sink: where they go; called by one thread, one batch at a time.
    :param max_items: how many may wait in memory; ``max_bytes`` likewise.
    :param on_full: ``"block"`` waits ``block_timeout`` seconds for room and then drops the newest; ``"drop_oldest"``,
        ``"drop_newest"``; ``"spill"`` continues in the file ``spill``.
    :param batch_items: a batch is sent when it has this many items, or ``batch_bytes`` bytes, or when its first item
        has waited ``batch_age`` seconds.
    :param retry_first: seconds before the first retry; doubled each time up to ``retry_most``, with jitter. No
        pause is longer than ``retry_most``, also if the sink asks for one (``Retry-After``).
    :param exit_timeout: seconds that ``close`` and the exit of the interpreter wait for everything to be sent.
    :param dead_letter: a JSONL file for items that the sink rejects for good.
    :param mode: permissions of the files that are created here, spill file and dead letters: ``0o640``, or ``"0640"``;
        None: as the umask says. By default only the owner may read them, since they hold the program's data.
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
        mode: int | str | None = MODE,
    ) -> None:
        self.name = name
        self._exit_timeout = seconds_of("exit_timeout", exit_timeout)
        backoff = Backoff(seconds_of("retry_first", retry_first), seconds_of("retry_most", retry_most))
        permissions = check_mode(mode)
        self._tally = Tally(getattr(sink, "secrets", ()))
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
            mode=permissions,
            patience=max(self._exit_timeout, _PATIENCE),
        )
        self._sender = Sender(
            sink,
            self._queue,
            self._tally,
            name=name,
            backoff=backoff,
            dead_letter=dead_letter,
            mode=permissions,
        )
        self._thread: threading.Thread | None = None
        _all[id(self)] = weakref.ref(self, _forgetting(id(self)))
        _forks.keep(self, _forks.QUEUES)
        if _forks.is_worker():
            self._queue.be_eager()
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

    def lose(self, seq: int, error: BaseException) -> None:
        """Count a change that was not given to `put`, or did not get through it.

        O(what waits). A ``gap`` line marks it.
        """
        said = self._tally.note_error(error)
        with self._queue.changed:
            if self._queue.lose(seq, said) and self._thread is None and not self._queue.closed:
                self._start()

    def refuses(self, seq: int) -> bool:
        """Return whether a change is dropped, before it is encoded.

        It is, and counts as dropped, if the queue is full and drops the newest. O(1).
        """
        return self._queue.refuses(seq)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything accepted so far is sent.

        Return False if that took longer than timeout seconds. Without a timeout: if no batch was sent for exit_timeout
        seconds, at least 10.
        """
        with self._queue.changed:
            if self._thread is None and self._queue.is_waiting and not self._queue.closed:
                self._start()
        return self._queue.flush(None if timeout is None else _at_least_0(timeout))

    def close(self, timeout: float | None = None) -> bool:
        """Send what waits, for at most timeout seconds, and stop.

        Return True if everything was sent. The default of timeout is exit_timeout. Items that could not be sent go to
        the spill file; without one they are counted as dropped.
        """
        end = self._queue.stop(self._exit_timeout if timeout is None else _at_least_0(timeout))
        if end is None:
            return not self._queue.is_waiting
        thread = self._thread
        if thread is None or not thread.is_alive():
            while self._send_next():
                pass
        elif thread.ident != threading.get_ident():
            _join(thread, Deadline(end.left + _JOIN))
            if thread.is_alive():
                self._tally.note_error(TimeoutError(f"the sink has not returned in time ({self._tally.last_error})"))
        lost, is_complete = self._queue.close()
        if lost:
            self._tally.log(
                logging.WARNING,
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
        if self._queue.closed:
            raise ValueError(f"the delivery {self.name} is closed; make a new one for another block")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the thread

    def _start(self) -> None:
        thread = threading.Thread(target=_run, args=([self],), name=f"{self.name}-delivery", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many threads, or the interpreter ends: the next change tries again
            self._tally.note_error(error)
            return
        self._thread = thread
        self._queue.intake.sender = thread.ident or 0

    def _send_next(self) -> bool:
        """Wait for a batch and send it; False when that was the last one."""
        batch = self._queue.next_batch()
        if batch is not None and (not batch or self._sender.send(batch)):
            return True
        if self._sender.is_quick(_QUICK):
            self._sender.say_lost(self._queue.lost())
        self._sender.close()
        return False

    def _recover(self, error: BaseException, failures: int) -> None:
        """Go on after an error that is not one of sending, after a pause."""
        self._tally.log(logging.ERROR, "%s: %s; it goes on", self.name, self._tally.note_error(error))
        self._queue.put_back()
        self._sender.pause(failures)

    def after_fork(self) -> None:
        """Begin empty in the child, with a thread of its own."""
        self._thread = None
        self._queue.after_fork()


def _run(started: list[Delivery]) -> None:
    """Send until the delivery is closed or gone.

    The thread holds the delivery while anything waits, so that accepted items are sent even if nobody refers to it any
    more; after that it can be freed.
    """
    delivery: Delivery | None = started.pop()
    ref = weakref.ref(delivery)
    failures = 0
    while delivery is not None:
        try:
            if not delivery._send_next():
                return
            failures = 0
        except BaseException as error:  # a disk that fails, no memory: the thread goes on
            failures += 1
            try:
                delivery._recover(error, failures)
            except BaseException:
                time.sleep(0.1)
        if not delivery._queue.is_waiting:
            del delivery
            delivery = ref()


def _at_least_0(timeout: float) -> float:
    return timeout if timeout > 0 else 0.0  # NaN is not above 0


def _join(thread: threading.Thread, end: Deadline) -> None:
    while thread.is_alive() and not end.is_over:
        thread.join(min(end.left, _LOOK))


# A plain dict can be copied at any moment, also in a child that was forked while another thread changed it.
_all: dict[int, weakref.ref[Delivery]] = {}


def _forgetting(number: int) -> Callable[[object], None]:
    def forget(reference: object) -> None:
        if _all.get(number) is reference:
            del _all[number]

    return forget


def _close_all() -> None:
    for reference in list(_all.values()):
        delivery = reference()
        if delivery is not None:
            try:
                delivery.close()
            except Exception as error:  # the others are closed all the same
                delivery._tally.log(logging.ERROR, "%s: %s", delivery.name, delivery._tally.note_error(error))


def _be_eager() -> None:
    for reference in list(_all.values()):
        delivery = reference()
        if delivery is not None:
            delivery._queue.be_eager()


_forks.at_end(_close_all)
_forks.in_worker(_be_eager)
