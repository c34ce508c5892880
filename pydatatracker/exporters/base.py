"""The base of all exporters: an observer that delivers encoded changes."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pydatatracker import _core
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.direct import DirectDelivery
from pydatatracker.exporters.formats import ROOTLESS
from pydatatracker.exporters.sink import Item, Sink
from pydatatracker.exporters.stats import Stats
from pydatatracker.io import to_line
from pydatatracker.values.pickles import Handle

__all__ = ["ClientSink", "Exporter", "item_of"]


def item_of(change: ChangeLogEntry, compact: bool = False) -> Item | _core.ChangeItem:
    """Return a change encoded as it is now, with the ids of the current span.

    O(size of its values).
    """
    line = to_line(change, compact=compact)[:-1]
    if type(change) is ChangeLogEntry:
        return _core.item_for(change, line)
    return Item(line, change.seq, change.root, change.time_ns, change.uuid)


class Exporter(Handle):
    """An observer that delivers its changes; see the subclasses.

    Add it with ``tracking_add_observer``. It is called with every change immediately, rollbacks included, so what it
    delivers is the log. If the container is not empty, its state is delivered first, as an ``init``. A change below
    several containers to which it was added is delivered once, with the further ones in ``also``. A ``with`` block
    closes the exporter.

    :param delivery: a `Delivery`, or an object with the same methods.
    :param compact: see `pydatatracker.io.to_line`.
    :param format: what the sink makes of a line. A change is delivered once for each root if that cannot name several.
    """

    tracking_when = "immediate"
    tracking_once = True  # of a change below several containers that it observes
    _closed = False
    _appender: _core.Appender | None = None  # of a file that is written through

    def __init__(self, delivery: Delivery, *, compact: bool = False, format: str = "native") -> None:
        self._delivery = delivery
        self._compact = compact
        if format in ROOTLESS:
            self.tracking_once = False
        intake = getattr(delivery, "intake", None)
        if intake is not None and intake.encode is None:
            intake.compact = compact
            intake.encode = lambda change: to_line(change, compact=compact)[:-1]

    def __call__(self, change: ChangeLogEntry) -> None:
        delivery = self._delivery
        if not delivery.refuses(change.seq):
            delivery.put(item_of(change, self._compact))

    @property
    def tracking_feed(self) -> _core.Feed | None:
        """What takes changes directly: a queue, or a file written through.

        None if this object has to be called with them.
        """
        if type(self).__call__ is not Exporter.__call__:
            return None
        intake: _core.Intake | None = getattr(self._delivery, "intake", None)
        if intake is None:
            return self._appender
        return intake if intake.compact == self._compact else None

    def tracking_attached(self, container: Any) -> None:
        """Deliver the state of the container, so that the log is complete."""
        state = _core.plain(container)
        if state:
            self(_core.state_change(container, _core.redacted_state(container, state)))

    def tracking_missed(self, change: ChangeLogEntry, error: BaseException) -> None:
        """Count a change that could not be encoded or queued, and mark the gap.

        Called when this observer raised, at whatever moment: Ctrl-C, an error of a value.
        """
        lose = getattr(self._delivery, "lose", None)
        if lose is not None:
            lose(change.seq, error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything so far is delivered.

        Return False if that took longer than timeout seconds.
        """
        return self._delivery.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits, for at most timeout seconds, and stop.

        Return True if everything was delivered.
        """
        self._closed = True
        return self._delivery.close(timeout)

    def stats(self) -> Stats:
        """Return what became of the changes so far. O(1)."""
        return self._delivery.stats()

    def __enter__(self) -> Self:
        if self._closed:
            raise ValueError(f"this {type(self).__name__} is closed; make a new one for another block")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ClientSink:
    """A sink that calls a client of the user, once per item.

    Errors of the client are handled by the delivery: a background delivery retries, a direct one logs.
    """

    any_thread = True  # the client is the user's, and no lock is held while it runs

    def __init__(self, call: Callable[[Item], Any], secrets: tuple[str, ...] = ()) -> None:
        self._call = call
        self.secrets = secrets

    def send(self, items: list[Item]) -> None:
        """Call the client with each item."""
        for item in items:
            self._call(item)

    def close(self) -> None:
        """Do nothing: the user closes the client."""


def delivery_for(sink: Sink, name: str, background: bool, options: dict[str, Any]) -> Any:
    """Return a Delivery, or a DirectDelivery if not in the background.

    :param options: those of Delivery. Raises TypeError if there are any and nothing runs in the background.
    """
    if background:
        return Delivery(sink, name=name, **options)
    if options:
        raise TypeError(f"{name} delivers synchronously: {', '.join(sorted(options))} need background=True")
    return DirectDelivery(sink, name)
