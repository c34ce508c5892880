"""The delivery runtime under all exporters: a bounded queue, one thread, batches, retries, order.

- ``put`` is called by whoever changed something. It never waits longer than ``on_full`` says, and never raises
  for the sink's sake.
- One daemon thread a delivery takes items in order, batches them and sends; what fails is sent again with
  exponential back-off and jitter, so that order holds. It starts with the first item and ends with ``close``.
- What is dropped is counted, and a ``gap`` line stands in its place.
- With ``on_full="spill"`` what the queue has no room for goes to a local file, and from then on everything, until the
  file has been sent: so order holds. What a process left there is sent by the next one first.
- After ``fork`` the child's queue is empty and its thread its own: the parent's items are the parent's to send.
- At a normal exit of the interpreter everything accepted is sent, within ``exit_timeout`` seconds.

At-least-once: after an answer was lost a batch may arrive twice; seq and id tell.
"""

from __future__ import annotations

import atexit
import collections
import json
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Literal, Self

from pydatatracker import _core
from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable
from pydatatracker.exporters.spill import SpillFile

__all__ = ["Delivery", "OnFull", "Stats"]

OnFull = Literal["block", "drop_oldest", "drop_newest", "spill"]
ON_FULL: Final = ("block", "drop_oldest", "drop_newest", "spill")
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


class Delivery:
    """Takes items and has a sink send them.

    :param sink: where they go; called by one thread, one batch at a time.
    :param max_items: how many may wait in memory; ``max_bytes`` likewise.
    :param on_full: ``"block"`` waits ``block_timeout`` seconds for room and then drops the newest; ``"drop_oldest"``,
        ``"drop_newest"``; ``"spill"`` goes on in the file ``spill``.
    :param batch_items: a batch is sent when it has so many items, ``batch_bytes`` bytes, or its first waited
        ``batch_age`` seconds.
    :param retry_first: seconds before the first repetition; doubled each time up to ``retry_most``, with jitter.
    :param dead_letter: a JSONL file for what the sink will never take.
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
        if on_full not in ON_FULL:
            raise ValueError(f"on_full= takes {', '.join(map(repr, ON_FULL))}, not {on_full!r}")
        if on_full == "spill" and spill is None:
            raise ValueError("on_full='spill' needs spill=, the path of a local file")
        for what, value in (("max_items", max_items), ("batch_items", batch_items), ("batch_bytes", batch_bytes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{what} is a whole number of 1 or more, not {value!r}")
        self.name = name
        self._sink = sink
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._block_timeout = block_timeout
        self._batch_items = batch_items
        self._batch_bytes = batch_bytes
        self._batch_age = batch_age
        self._retry_first = retry_first
        self._retry_most = retry_most
        self._exit_timeout = exit_timeout
        self._dead_letter = None if dead_letter is None else os.fspath(dead_letter)
        self._spill = None if spill is None else SpillFile(os.fspath(spill))
        self._counts: collections.Counter[str] = collections.Counter()
        self._last_error: str | None = None
        self._closed = False
        self.intake = _core.Intake(weakref.WeakMethod(self._wake), max_items, max_bytes, batch_items, batch_bytes)
        self._reset()
        _all.add(self)
        if self._spill is not None and self._spill.waiting:
            with self._changed:
                self._start()

    def _reset(self) -> None:
        # reentrant: a __del__ or a signal handler may change tracked data while put holds it
        self._changed = threading.Condition(threading.RLock())
        self._queue: collections.deque[Item] = collections.deque()
        self.intake.reset(self._queue)  # counts what is in there, and takes what needs no waiting
        self._gap: list[Any] | None = None  # [first seq, last seq, reason, at the front?]
        self._busy = 0  # items taken out and not yet sent
        self._flushing = 0
        self._stopping: float | None = None  # when to give up
        self._thread: threading.Thread | None = None

    # ---- the side of the program

    def put(self, item: Item | _core.ChangeItem) -> bool:
        """Accept an item; False if it was dropped. O(1); waits only with on_full="block", at most block_timeout."""
        mine = self._thread is not None and threading.get_ident() == self._thread.ident
        if mine:  # the sink's client changes tracked data: sending that would never end
            self._counts["ignored"] += 1
            return False
        with self._changed:
            if self._closed:
                self._drop(item.seq, "the exporter is closed")
                return False
            if self._spill is not None and (self._spill.waiting or self._is_full(item)):
                return self._to_spill(item)
            if self._is_full(item) and not self._make_room(item):
                return False
            self._accept(item)
            return True

    def refuses(self, seq: int) -> bool:
        """Drop a change that there is no room for before it is even encoded; True if so. O(1)."""
        if self._on_full != "drop_newest" or len(self._queue) < self._max_items:
            return False
        with self._changed:
            if len(self._queue) < self._max_items or threading.get_ident() == self.intake.sender:
                return False
            self._drop(seq, "queue full")
            return True

    def _is_full(self, item: Item | _core.ChangeItem) -> bool:
        if not self._queue:
            return False
        return len(self._queue) >= self._max_items or self.intake.bytes + len(item.line) > self._max_bytes

    def _make_room(self, item: Item | _core.ChangeItem) -> bool:
        if self._on_full == "drop_oldest":
            while self._queue and self._is_full(item):
                gone = self._queue.popleft()
                self.intake.taken(len(gone.line))
                self._drop(gone.seq, "queue full", at_front=True)
            return True
        if self._on_full == "block":
            end = time.monotonic() + self._block_timeout
            while self._is_full(item) and not self._closed:
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            if not self._is_full(item) and not self._closed:
                return True
        self._drop(item.seq, "queue full")
        return False

    def _accept(self, item: Item | _core.ChangeItem) -> None:
        if self._gap is not None and not self._gap[3]:
            self.intake.add(self._gap_item(), False)
        self.intake.add(item)
        if self._thread is None:
            self._start()
        # the thread waits by itself until a batch is old enough: it is woken for the first item and a full batch
        if len(self._queue) == 1 or self._is_batch():
            self._changed.notify_all()
        self.intake.open = self._gap is None and (self._spill is None or not self._spill.waiting)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _to_spill(self, item: Item | _core.ChangeItem) -> bool:
        assert self._spill is not None
        self.intake.open = False
        try:
            self._spill.append(item)
        except OSError as error:
            self._note_error(error)
            self._drop(item.seq, f"spill file: {error}")
            return False
        self._counts["accepted"] += 1
        if self._thread is None:
            self._start()
        return True

    def _drop(self, seq: int, reason: str, at_front: bool = False) -> None:
        self._counts["dropped"] += 1
        self.intake.open = False
        if self._gap is None:
            self._gap = [seq, seq, reason, at_front]
        else:
            self._gap[0], self._gap[1] = min(self._gap[0], seq), max(self._gap[1], seq)

    def _gap_item(self) -> Item:
        assert self._gap is not None
        first, last, reason, _ = self._gap
        self._gap = None
        line = {"v": 1, "action": "gap", "from": first, "to": last, "reason": reason}
        return Item(json.dumps(line, separators=(",", ":")).encode(), last, "", time.time_ns(), f"gap-{first}-{last}")

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything accepted so far is sent; False if that took longer than timeout seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            try:
                while self._waiting():
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        return False
                    self._changed.wait(min(left, 1.0) if left is not None else 1.0)
                return True
            finally:
                self._flushing -= 1

    def _waiting(self) -> bool:
        return bool(self._queue or self._busy or self._gap or (self._spill is not None and self._spill.waiting))

    def close(self, timeout: float | None = None) -> bool:
        """Send what waits, for at most timeout seconds (default: exit_timeout), and stop; True if all was sent.

        What could not be sent goes to the spill file if there is one, else it is counted as dropped.
        """
        with self._changed:
            if self._closed:
                return not self._waiting()
            self._closed = True
            self.intake.open = False
            self._stopping = time.monotonic() + (self._exit_timeout if timeout is None else timeout)
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread.ident != threading.get_ident():
            thread.join(max(self._stopping - time.monotonic(), 0) + 5.0)
        elif thread is None:
            self._close_sink()
        with self._changed:
            left = len(self._queue) + self._busy
            if left and self._spill is not None:
                for item in self._queue:
                    self._spill.append(item)
                self._queue.clear()
            elif left:
                self._counts["dropped"] += left
                _log.warning(
                    "%s: %d changes were not sent when it was closed; last error: %s", self.name, left, self._last_error
                )
                self._queue.clear()
            if self._spill is not None:
                self._spill.close()
            return not left and not (self._spill is not None and self._spill.waiting)

    def stats(self) -> Stats:
        """Return what became of the items so far. O(1)."""
        with self._changed:
            counts = self._counts
            return Stats(
                queued=len(self._queue) + self._busy,
                spilled=0 if self._spill is None else self._spill.waiting,
                accepted=counts["accepted"] + self.intake.accepted,
                sent=counts["sent"],
                retried=counts["retried"],
                dropped=counts["dropped"],
                rejected=counts["rejected"],
                ignored=counts["ignored"],
                last_error=self._last_error,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the side of the sink

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(self),), name=f"{self.name}-delivery", daemon=True
        )
        self._thread.start()
        self.intake.sender = self._thread.ident or 0

    def _next_batch(self) -> list[Item] | None:
        """Wait for a batch; None when it is time to end; [] to look again."""
        with self._changed:
            if not self._queue and not self._gap and not (self._spill is not None and self._spill.waiting):
                if self._stopping is not None:
                    return None
                self._changed.wait(1.0)
                return []
            if self._stopping is not None and time.monotonic() >= self._stopping:
                return None
            if self._queue and not self._is_batch() and not self._flushing and self._stopping is None:
                self._changed.wait(self._batch_age)
            batch: list[Item] = []
            if self._gap is not None and (self._gap[3] or not self._queue):
                batch.append(self._gap_item())
            size = 0
            while self._queue and len(batch) < self._batch_items and size < self._batch_bytes:
                item = self._queue.popleft()
                size += len(item.line)
                batch.append(item)
            self.intake.taken(size)
            if not batch and self._spill is not None:
                batch = self._spill.read(self._batch_items, self._batch_bytes)
            self._busy = len(batch)
            self._changed.notify_all()
            return batch

    def _is_batch(self) -> bool:
        return len(self._queue) >= self._batch_items or self.intake.bytes >= self._batch_bytes

    def _send(self, batch: list[Item]) -> bool:
        """Send a batch until it is taken; False if it was time to give up."""
        attempt = 0
        while True:
            wait: float | None = None
            try:
                self._sink.send(batch)
                self._done(len(batch), "sent")
                return True
            except SinkRejected as error:
                self._reject(batch if error.items is None else error.items, error)
                self._done(len(batch) - (len(batch) if error.items is None else len(error.items)), "sent")
                return True
            except Exception as error:
                self._note_error(error)
                wait = getattr(error, "retry_after", None) if isinstance(error, SinkUnavailable) else None
            attempt += 1
            with self._changed:
                self._counts["retried"] += 1
                pause = self._pause(attempt) if wait is None else wait
                if self._stopping is not None:
                    left = self._stopping - time.monotonic()
                    if left <= 0:
                        self._queue.extendleft(reversed(batch))
                        self._busy = 0
                        return False
                    pause = min(pause, left)
                self._changed_wait(pause)

    def _changed_wait(self, seconds: float) -> None:
        # puts notify as well: wait until the time is over or it is time to stop
        end = time.monotonic() + seconds
        stopping = self._stopping
        while self._stopping == stopping:
            left = end - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _pause(self, attempt: int) -> float:
        # tenacity comes with the extras of the network sinks; a local file that fails is tried at even pauses
        try:
            import tenacity
        except ImportError:
            return min(1.0, self._retry_most)
        exponential = tenacity.wait_exponential(multiplier=self._retry_first, max=self._retry_most)
        wait = exponential + tenacity.wait_random(0, self._retry_first)
        state = SimpleNamespace(attempt_number=attempt)  # all that this kind of wait looks at
        return wait(state)  # type: ignore[arg-type]

    def _done(self, count: int, what: str) -> None:
        with self._changed:
            self._counts[what] += count
            self._busy = 0
            if self._spill is not None:
                self._spill.sent()
            self._changed.notify_all()

    def _reject(self, items: list[Item], error: Exception) -> None:
        self._note_error(error)
        with self._changed:
            self._counts["rejected"] += len(items)
        _log.error("%s: the sink will not take %d changes: %s", self.name, len(items), error)
        if self._dead_letter is not None:
            try:
                with open(self._dead_letter, "ab") as file:
                    file.write(b"".join(item.line + b"\n" for item in items))
            except OSError as failed:
                _log.error("%s: nor can they be written to %s: %s", self.name, self._dead_letter, failed)

    def _note_error(self, error: BaseException) -> None:
        self._last_error = f"{type(error).__name__}: {error}"[:500]

    def _close_sink(self) -> None:
        try:
            self._sink.close()
        except Exception as error:
            self._note_error(error)

    def _after_fork(self) -> None:
        self._reset()
        if self._spill is not None:
            self._spill.forget()


def _run(ref: weakref.ref[Delivery]) -> None:
    """The thread: it holds the delivery only while there is something to do, so that a forgotten one can go."""
    while True:
        delivery = ref()
        if delivery is None:
            return  # forgotten: what it had accepted was sent, or it would not be
        batch = delivery._next_batch()
        if batch is None or (batch and not delivery._send(batch)):
            delivery._close_sink()
            return
        del delivery


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
