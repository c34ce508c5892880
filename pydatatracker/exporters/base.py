"""What all exporters share: an observer that encodes a change where it happens and hands it on."""

from __future__ import annotations

import collections
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pydatatracker import _core
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.exporters.delivery import Delivery, Stats
from pydatatracker.exporters.sink import Item, Sink
from pydatatracker.io import to_line

__all__ = ["ClientSink", "Exporter", "item_of"]

_log = logging.getLogger("pydatatracker")


def item_of(change: ChangeLogEntry, compact: bool = False) -> Item | _core.ChangeItem:
    """Encode a change as it is now, with the ids of the current span if there is one. O(size of its values)."""
    line = to_line(change, compact=compact)[:-1]
    if type(change) is ChangeLogEntry:
        return _core.item_for(change, line)
    return Item(line, change.seq, change.root, change.time_ns, change.uuid)


class Exporter:
    """An observer that has its changes delivered; see the subclasses.

    Add it with ``tracking_add_observer``. It is told of every change at once, rollbacks included, so that what
    it delivers is the log. A container that is not empty is told first, as its ``init``. ``flush(timeout)``,
    ``close()``, ``stats()``; a ``with`` block closes it.
    """

    tracking_when = "immediate"

    def __init__(self, delivery: Delivery, *, compact: bool = False) -> None:
        self._delivery = delivery
        self._compact = compact
        intake = getattr(delivery, "intake", None)
        if intake is not None and intake.encode is None:
            intake.compact = compact
            intake.encode = lambda change: to_line(change, compact=compact)[:-1]

    def __call__(self, change: ChangeLogEntry) -> None:
        delivery = self._delivery
        if not delivery.refuses(change.seq):
            delivery.put(item_of(change, self._compact))

    @property
    def tracking_feed(self) -> _core.Intake | None:
        """What the core gives changes to, instead of calling this: the queue, as long as it takes them at once."""
        intake: _core.Intake | None = getattr(self._delivery, "intake", None)
        if intake is None or intake.compact != self._compact or type(self).__call__ is not Exporter.__call__:
            return None
        return intake

    def tracking_attached(self, container: Any) -> None:
        """Deliver the state that is found, so that the log is complete in itself."""
        state = _core.plain(container)
        if state:
            self(_core.state_change(container, _core.redacted_state(container, state)))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything so far is delivered; False if that took longer than timeout seconds."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits, for at most timeout seconds, and stop; True if all was delivered."""
        return self._delivery.close(timeout)

    def stats(self) -> Stats:
        """Return what became of the changes so far. O(1)."""
        return self._delivery.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ClientSink:
    """A client of the user's own as a sink: one call an item; what it raises is tried again."""

    def __init__(self, call: Callable[[Item], Any]) -> None:
        self._call = call

    def send(self, items: list[Item]) -> None:
        """Call the client with each item."""
        for item in items:
            self._call(item)

    def close(self) -> None:
        """The client is the user's to close."""


class _Direct:
    """Delivery then and there, in the thread that changed something: errors are counted and logged, never raised."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self.name = name
        self._counts: collections.Counter[str] = collections.Counter()
        self._last_error: str | None = None

    def refuses(self, seq: int) -> bool:
        return False

    def put(self, item: Any) -> bool:
        self._counts["accepted"] += 1
        try:
            self._sink.send([item])
        except Exception as error:
            self._counts["dropped"] += 1
            self._last_error = f"{type(error).__name__}: {error}"[:500]
            _log.error("%s: change %d was not delivered: %s", self.name, item.seq, self._last_error)
            return False
        self._counts["sent"] += 1
        return True

    def flush(self, timeout: float | None = None) -> bool:
        return True

    def close(self, timeout: float | None = None) -> bool:
        self._sink.close()
        return True

    def stats(self) -> Stats:
        counts = self._counts
        return Stats(0, 0, counts["accepted"], counts["sent"], 0, counts["dropped"], 0, 0, self._last_error)


def delivery_for(sink: Sink, name: str, background: bool, options: dict[str, Any]) -> Any:
    """A Delivery, or one that delivers then and there; options are those of Delivery."""
    if background:
        return Delivery(sink, name=name, **options)
    if options:
        raise TypeError(f"{name} delivers then and there; {', '.join(sorted(options))} need background=True")
    return _Direct(sink, name)
