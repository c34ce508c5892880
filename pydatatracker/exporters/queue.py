"""The program's side of a delivery: a bounded queue and its batches.

Invariants, under ``changed``:

- Items leave in the order in which they came. While anything waits in the spill file, new items go there too.
- Dropped changes are counted, and one ``gap`` line marks where they are missing.
- ``intake``, the core's way in without this lock, is open only while neither a gap nor the spill file comes first.
"""

from __future__ import annotations

import collections
import json
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Final, Literal

from pydatatracker import _core
from pydatatracker.exporters.sink import Item
from pydatatracker.exporters.spill import SpillFile
from pydatatracker.exporters.stats import Tally

__all__ = ["ON_FULL", "ChangeQueue", "OnFull"]

OnFull = Literal["block", "drop_oldest", "drop_newest", "spill"]
ON_FULL: Final = ("block", "drop_oldest", "drop_newest", "spill")
_FULL: Final = "queue full"  # the reason in a gap line
_LOOK: Final = 1.0  # seconds after which a wait looks again


@dataclass(slots=True)
class _Gap:
    """Dropped changes, by sequence number."""

    first: int
    last: int
    reason: str
    at_front: bool  # older than the items in the queue


class ChangeQueue:
    """Items that wait to be sent. Safe to use from several threads.

    The options are those of `pydatatracker.exporters.Delivery`.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        max_items: int,
        max_bytes: int,
        on_full: OnFull,
        block_timeout: float,
        spill: str | os.PathLike[str] | None,
        batch_items: int,
        batch_bytes: int,
        batch_age: float,
    ) -> None:
        if on_full not in ON_FULL:
            raise ValueError(f"on_full must be one of {', '.join(map(repr, ON_FULL))}, not {on_full!r}")
        if on_full == "spill" and spill is None:
            raise ValueError("on_full='spill' needs a file: pass spill=, the path of a local file")
        for name, value in (("max_items", max_items), ("batch_items", batch_items), ("batch_bytes", batch_bytes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        self._tally = tally
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._block_timeout = block_timeout
        self._batch_items = batch_items
        self._batch_bytes = batch_bytes
        self._batch_age = batch_age
        self._spill = None if spill is None else SpillFile(os.fspath(spill))
        self.closed = False
        self.intake = _core.Intake(weakref.WeakMethod(self._wake), max_items, max_bytes, batch_items, batch_bytes)
        self._reset()

    def _reset(self) -> None:
        # reentrant: a __del__ or a signal handler may change tracked data while put holds it
        self.changed = threading.Condition(threading.RLock())
        self._items: collections.deque[Item] = collections.deque()
        self.intake.reset(self._items)  # counts the items, and accepts those that need no waiting
        self._gap: _Gap | None = None
        self._busy = 0  # items that were taken out and are not yet sent
        self._flushing = 0
        self._give_up: float | None = None  # when to stop sending; None while the queue is open

    def after_fork(self) -> None:
        """Leave what waits to the parent, and begin empty in the child."""
        self._reset()
        if self._spill is not None:
            self._spill.forget()

    # ---- items come in

    def put(self, item: Item | _core.ChangeItem) -> bool:
        """Accept an item; False if it was dropped.

        O(1). Waits only with on_full="block", for at most block_timeout seconds.
        """
        with self.changed:
            if self.closed:
                self._drop(item.seq, "the exporter is closed")
                return False
            if self._spill is not None and (self._spill.waiting or self._is_full(item)):
                return self._put_into_file(self._spill, item)
            if self._is_full(item) and not self._make_room(item):
                return False
            self._accept(item)
            return True

    def refuses(self, seq: int) -> bool:
        """Return whether a change is dropped, before it is encoded.

        It is, and counts as dropped, if the queue is full and drops the newest. O(1).
        """
        if self._on_full != "drop_newest" or len(self._items) < self._max_items:
            return False
        with self.changed:
            if len(self._items) < self._max_items or threading.get_ident() == self.intake.sender:
                return False
            self._drop(seq, _FULL)
            return True

    def _is_full(self, item: Item | _core.ChangeItem) -> bool:
        if not self._items:
            return False
        return len(self._items) >= self._max_items or self.intake.bytes + len(item.line) > self._max_bytes

    def _make_room(self, item: Item | _core.ChangeItem) -> bool:
        if self._on_full == "drop_oldest":
            while self._items and self._is_full(item):
                gone = self._items.popleft()
                self.intake.taken(len(gone.line))
                self._drop(gone.seq, _FULL, at_front=True)
            return True
        if self._on_full == "block":
            end = time.monotonic() + self._block_timeout
            while self._is_full(item) and not self.closed:
                left = end - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    break
            if not self._is_full(item) and not self.closed:
                return True
        self._drop(item.seq, _FULL)
        return False

    def _accept(self, item: Item | _core.ChangeItem) -> None:
        if self._gap is not None and not self._gap.at_front:
            self.intake.add(self._gap_item(), False)
        self.intake.add(item)
        # the thread waits by itself until a batch is old enough: it is woken for the first item and a full batch
        if len(self._items) == 1 or self._is_batch():
            self.changed.notify_all()
        self.intake.open = self._gap is None and not self.spilled

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def _put_into_file(self, spill: SpillFile, item: Item | _core.ChangeItem) -> bool:
        self.intake.open = False
        try:
            spill.append(item)
        except OSError as error:
            self._tally.note_error(error)
            self._drop(item.seq, f"spill file: {error}")
            return False
        self._tally.counts["accepted"] += 1
        return True

    # ---- items that are dropped

    def _drop(self, seq: int, reason: str, at_front: bool = False) -> None:
        self._tally.counts["dropped"] += 1
        self.intake.open = False
        if self._gap is None:
            self._gap = _Gap(seq, seq, reason, at_front)
        else:
            self._gap.first, self._gap.last = min(self._gap.first, seq), max(self._gap.last, seq)

    def _gap_item(self) -> Item:
        gap, self._gap = self._gap, None
        assert gap is not None
        line = {"v": 1, "action": "gap", "from": gap.first, "to": gap.last, "reason": gap.reason}
        data = json.dumps(line, separators=(",", ":")).encode()
        return Item(data, gap.last, "", time.time_ns(), f"gap-{gap.first}-{gap.last}")

    # ---- items go out, in the delivery's thread

    def next_batch(self) -> list[Item] | None:
        """Wait for a batch; return None when it is time to end, [] to look again."""
        with self.changed:
            if not self._items and not self._gap and not self.spilled:
                if self._give_up is not None:
                    return None
                self.changed.wait(_LOOK)
                return []
            if self._give_up is not None and time.monotonic() >= self._give_up:
                return None
            if self._items and not self._is_batch() and not self._flushing and self._give_up is None:
                self.changed.wait(self._batch_age)
            batch: list[Item] = []
            if self._gap is not None and (self._gap.at_front or not self._items):
                batch.append(self._gap_item())
            size = 0
            while self._items and len(batch) < self._batch_items and size < self._batch_bytes:
                item = self._items.popleft()
                size += len(item.line)
                batch.append(item)
            self.intake.taken(size)
            if not batch and self._spill is not None:
                batch = self._spill.read(self._batch_items, self._batch_bytes)
            self._busy = len(batch)
            self.changed.notify_all()
            return batch

    def _is_batch(self) -> bool:
        return len(self._items) >= self._batch_items or self.intake.bytes >= self._batch_bytes

    def done(self, sent: int) -> None:
        """Note that the batch is finished, and how many items were sent."""
        with self.changed:
            self._tally.counts["sent"] += sent
            self._busy = 0
            if self._spill is not None:
                self._spill.sent()
            self.changed.notify_all()

    def put_back(self, batch: list[Item]) -> None:
        """Put a batch that was not sent back at the front."""
        with self.changed:
            self._items.extendleft(reversed(batch))
            self._busy = 0

    def wait_to_retry(self, seconds: float) -> bool:
        """Wait before the next attempt; False, at once, if it is time to give up."""
        with self.changed:
            if self._give_up is not None:
                left = self._give_up - time.monotonic()
                if left <= 0:
                    return False
                seconds = min(seconds, left)
            # puts notify as well: wait until the time is over or the queue is closed
            end = time.monotonic() + seconds
            give_up = self._give_up
            while self._give_up == give_up:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(left)
            return True

    # ---- flushing and closing

    @property
    def queued(self) -> int:
        """Items in memory, those on their way included. O(1)."""
        return len(self._items) + self._busy

    @property
    def spilled(self) -> int:
        """Items in the spill file. O(1)."""
        return 0 if self._spill is None else self._spill.waiting

    @property
    def is_waiting(self) -> bool:
        """Whether anything is still to be sent. O(1)."""
        return bool(self.queued or self._gap or self.spilled)

    def flush(self, timeout: float | None) -> bool:
        """Wait until everything is sent.

        Return False if that took longer than timeout seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self.changed:
            self._flushing += 1
            self.changed.notify_all()
            try:
                while self.is_waiting:
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        return False
                    self.changed.wait(min(left, _LOOK) if left is not None else _LOOK)
                return True
            finally:
                self._flushing -= 1

    def stop(self, timeout: float) -> float | None:
        """Accept no more items, and have sending end within timeout seconds.

        Return the moment of the monotonic clock at which it ends; None if the queue was stopped before.
        """
        with self.changed:
            if self.closed:
                return None
            self.closed = True
            self.intake.open = False
            self._give_up = time.monotonic() + timeout
            self.changed.notify_all()
            return self._give_up

    def close(self) -> tuple[int, bool]:
        """Keep what was not sent in the spill file; without one it is dropped.

        Return (number of items dropped here, whether everything was sent).
        """
        with self.changed:
            left = self.queued
            if self._spill is not None:
                for item in self._items:
                    self._spill.append(item)
                self._spill.close()
            else:
                self._tally.counts["dropped"] += left
            self._items.clear()
            return 0 if self._spill is not None else left, not left and not self.spilled
