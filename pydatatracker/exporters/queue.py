"""The program's side of a delivery: a bounded queue and its batches.

Invariants, under ``changed``:

- Items leave in the order in which they came. While anything waits in the spill file, new items go there too.
- Dropped changes are counted, and one ``gap`` line marks where they are missing.
- ``intake``, the core's way in without this lock, is open only while neither a gap nor the spill file comes first.
"""

from __future__ import annotations

import collections
import os
import threading
import weakref
from dataclasses import dataclass
from typing import Final, Literal

from pydatatracker import _core, _forks
from pydatatracker.exporters.retry import Deadline, seconds_of
from pydatatracker.exporters.sink import Item, gap_item
from pydatatracker.exporters.spill import SpillFile
from pydatatracker.exporters.stats import Tally
from pydatatracker.io.files import path_of

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
        mode: int | None,
        patience: float,
    ) -> None:
        if on_full not in ON_FULL:
            raise ValueError(f"on_full must be one of {', '.join(map(repr, ON_FULL))}, not {on_full!r}")
        if on_full == "spill" and spill is None:
            raise ValueError("on_full='spill' needs a file: pass spill=, the path of a local file")
        for name, value in (("max_items", max_items), ("batch_items", batch_items), ("batch_bytes", batch_bytes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise ValueError(f"max_bytes must be a whole number of at least 1, not {max_bytes!r}")
        self._tally = tally
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._block_timeout = seconds_of("block_timeout", block_timeout)
        self._batch_items = batch_items
        self._batch_bytes = batch_bytes
        self._batch_age = seconds_of("batch_age", batch_age)
        self._patience = patience
        self._spill = None if spill is None else SpillFile(path_of(spill), mode)
        self._is_eager = False
        self._is_undecided = _forks.is_early()  # whether to be eager: each put goes through here until that is known
        self.closed = False
        self._has_ended = False  # nothing is sent any more; what the sink still does is too late
        self.intake = _core.Intake(weakref.WeakMethod(self._wake), max_items, max_bytes, batch_items, batch_bytes)
        self._reset()

    def _reset(self) -> None:
        # reentrant: a __del__ or a signal handler may change tracked data while put holds it
        self.changed = threading.Condition(threading.RLock())
        self._items: collections.deque[Item] = collections.deque()
        self.intake.reset(self._items)  # counts the items, and accepts those that need no waiting
        if self._is_undecided:
            self.intake.open = False
        self._gap: _Gap | None = None
        self._dropped = -1  # the last one
        self._sent: tuple[int, ...] = ()  # the changes of the last batch
        self._batch: list[Item] = []  # taken out and not yet sent
        self._is_of_file = False  # the batch is from the spill file, and still in it
        self._flushing = 0
        self._finished = 0  # batches
        self._in_vain = 0  # waits for the sink since it last sent something
        self._give_up: Deadline | None = None  # when to stop sending; None while the queue is open

    def be_eager(self) -> None:
        """Have each put wait until the item is sent, as on_full="block" waits.

        For a process that may be killed at any moment: what waits in its memory would be lost.
        """
        with self.changed:
            self._is_eager = True
            self.intake.open = False

    def after_fork(self) -> None:
        """Leave what waits to the parent, and begin empty in the child."""
        self._is_eager = self._is_undecided = False
        self._reset()
        if self._spill is not None:
            self._spill.forget()

    # ---- items come in

    def put(self, item: Item | _core.ChangeItem) -> bool:
        """Accept an item; False if it was dropped.

        O(1). Waits only with on_full="block", for at most block_timeout seconds.
        """
        with self.changed:
            if self._is_undecided:
                self._is_undecided = _forks.is_early()
                self._is_eager = _forks.is_worker()
            if self.closed:
                self._drop(item.seq, "the exporter is closed")
                return False
            if self._spill is not None and (self._spill.waiting or self._is_full(item)):
                return self._put_into_file(self._spill, item)
            if self._is_full(item) and not self._make_room(item):
                return False
            self._accept(item)
            if self._is_eager and self._on_full == "block":
                self._wait_until_sent()
            return True

    def _wait_until_sent(self) -> None:
        # while the sink does not work, each wait is half as long as the one before: two block_timeout together
        end = Deadline(self._block_timeout / 2**self._in_vain)
        self._flushing += 1
        try:
            while self.is_waiting and not self.closed:
                if end.is_over:
                    self._in_vain = min(self._in_vain + 1, 60)
                    return
                end.wait(self.changed)
        finally:
            self._flushing -= 1

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
            end = Deadline(self._block_timeout)
            while self._is_full(item) and not self.closed and not end.is_over:
                end.wait(self.changed)
            if not self._is_full(item) and not self.closed:
                return True
        self._drop(item.seq, _FULL)
        return False

    def _accept(self, item: Item | _core.ChangeItem) -> None:
        if self._gap is not None and not self._gap.at_front:
            gap = self._gap
            try:
                self.intake.add(self._gap_item(), False)
            except BaseException:  # Ctrl-C
                self._gap = gap
                raise
        self.intake.add(item)
        # the thread waits by itself until a batch is old enough: it is woken for the first item and a full batch
        if len(self._items) == 1 or self._is_batch():
            self.changed.notify_all()
        self.intake.open = self._gap is None and not self.spilled and not (self._is_eager or self._is_undecided)

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def _put_into_file(self, spill: SpillFile, item: Item | _core.ChangeItem) -> bool:
        self.intake.open = False
        try:
            spill.append(item)
        except OSError as error:
            self._drop(item.seq, f"spill file: {self._tally.note_error(error)}")
            return False
        self._tally.counts["accepted"] += 1
        return True

    # ---- items that are dropped

    def lose(self, seq: int, reason: str) -> bool:
        """Drop a change that did not get here; False if it did. O(what waits)."""
        with self.changed:
            if (
                seq == self._dropped
                or seq in self._sent
                or any(item.seq == seq for item in (*self._batch, *self._items))
                or (self._spill is not None and self._spill.last == seq)
            ):
                return False
            self._drop(seq, reason)
            self.changed.notify_all()
            return True

    def _drop(self, seq: int, reason: str, at_front: bool = False) -> None:
        self._tally.counts["dropped"] += 1
        self._dropped = seq
        self.intake.open = False
        if self._gap is None:
            self._gap = _Gap(seq, seq, reason, at_front)
        else:
            self._gap.first, self._gap.last = min(self._gap.first, seq), max(self._gap.last, seq)

    def _gap_item(self) -> Item:
        gap, self._gap = self._gap, None
        assert gap is not None
        return gap_item(gap.first, gap.last, gap.reason)

    # ---- items go out, in the delivery's thread

    def next_batch(self) -> list[Item] | None:
        """Wait for a batch; return None when it is time to end, [] to look again."""
        with self.changed:
            if not self._items and not self._gap and not self.spilled:
                if self._give_up is not None:
                    return None
                self.changed.wait(_LOOK)
                return []
            if self._give_up is not None and self._give_up.is_over:
                return None
            if self._items and not self._is_batch() and not self._flushing and self._give_up is None:
                Deadline(self._batch_age).wait(self.changed)
            if self._gap is not None and (self._gap.at_front or not self._items):
                self._items.appendleft(self._gap_item())
                self.intake.taken(-len(self._items[0].line))
            size = 0
            self._is_of_file = False
            while self._items and len(self._batch) < self._batch_items and size < self._batch_bytes:
                item = self._items[0]
                self._batch.append(item)  # first, so that an item is in one of both whatever fails
                self._items.popleft()
                size += len(item.line)
                self.intake.taken(len(item.line))
            if not self._batch and self._spill is not None:
                self._batch = self._read_spilled(self._spill)
                self._is_of_file = True
            self.changed.notify_all()
            return self._batch

    def _read_spilled(self, spill: SpillFile) -> list[Item]:
        waiting = spill.waiting
        try:
            return spill.read(self._batch_items, self._batch_bytes)
        except FileNotFoundError:  # somebody removed it, and what was in it
            self._tally.counts["dropped"] += waiting
            raise

    def _is_batch(self) -> bool:
        return len(self._items) >= self._batch_items or self.intake.bytes >= self._batch_bytes

    def done(self, sent: int) -> None:
        """Note that the batch is finished, and how many items were sent."""
        with self.changed:
            self._tally.counts["sent"] += sent
            if self._has_ended:  # the sink returned after close() had given up: these are in the spill file, or counted
                if self._spill is None:
                    self._tally.counts["dropped"] -= sent
                return
            is_of_file, self._is_of_file = self._is_of_file, False
            self._sent = tuple([item.seq for item in self._batch])
            self._batch = []
            self._finished += 1
            self._in_vain = 0
            self.changed.notify_all()
            if is_of_file and self._spill is not None:
                self._spill.sent()

    def put_back(self) -> None:
        """Put a batch that was not sent back at the front.

        One from the spill file is still there.
        """
        with self.changed:
            if self._has_ended:
                return
            if not self._is_of_file:
                self._items.extendleft(reversed(self._batch))
                self.intake.taken(-sum(len(item.line) for item in self._batch))
            self._batch = []
            self._is_of_file = False

    def wait_to_retry(self, seconds: float) -> bool:
        """Wait before the next attempt; False, at once, if it is time to give up."""
        with self.changed:
            if self._has_ended:
                return False
            if self._give_up is not None:
                if self._give_up.is_over:
                    return False
                seconds = min(seconds, self._give_up.left)
            # puts notify as well: wait until the time is over or the queue is closed
            end = Deadline(seconds)
            give_up = self._give_up
            while self._give_up is give_up and not end.is_over:
                end.wait(self.changed)
            return True

    # ---- flushing and closing

    @property
    def queued(self) -> int:
        """Items in memory, those on their way included. O(1)."""
        return len(self._items) + (0 if self._is_of_file else len(self._batch))

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

        Return False if that took longer than timeout seconds; None: if nothing was sent for that long that the sink
        does not seem to return any more.
        """
        with self.changed:
            end = Deadline(self._patience if timeout is None else timeout)
            finished = self._finished
            self._flushing += 1
            self.changed.notify_all()
            try:
                while self.is_waiting:
                    if end.is_over or self._has_ended:
                        return False
                    end.wait(self.changed, _LOOK)
                    if timeout is None and self._finished != finished:
                        end, finished = Deadline(self._patience), self._finished
                return True
            finally:
                self._flushing -= 1

    def stop(self, timeout: float) -> Deadline | None:
        """Accept no more items, and have sending end within timeout seconds.

        Return the deadline; None if the queue was stopped before.
        """
        with self.changed:
            if self.closed:
                return None
            self.closed = True
            self.intake.open = False
            self._give_up = Deadline(timeout)
            self.changed.notify_all()
            return self._give_up

    def lost(self) -> Item | None:
        """Return the gap line for what will be dropped at the end, or None.

        Called by the thread that sends, after its last batch.
        """
        with self.changed:
            if self._has_ended or self._spill is not None or (self._gap is None and not self._items):
                return None
            for item in list(self._items):
                if self._gap is None:
                    self._gap = _Gap(item.seq, item.seq, "closed before it was sent", False)
                else:
                    self._gap.first = min(self._gap.first, item.seq)
                    self._gap.last = max(self._gap.last, item.seq)
            return self._gap_item()

    def close(self) -> tuple[int, bool]:
        """Keep what was not sent in the spill file; without one it is dropped.

        Return (number of items dropped here, whether everything was sent).
        """
        with self.changed:
            left = self.queued
            lost = left
            if self._spill is not None:
                older = [] if self._is_of_file else self._batch  # on its way in a sink that has not returned
                try:
                    self._spill.close([*older, *self._items])
                    lost = 0
                    if self._gap is not None:
                        self._spill.append(self._gap_item())
                        self._spill.close()
                except OSError as error:
                    self._tally.note_error(error)
            self._tally.counts["dropped"] += lost
            self._items.clear()
            self._batch = []
            self._is_of_file = False
            self._has_ended = True
            self.changed.notify_all()
            return lost, not left and not self.spilled and self._gap is None
