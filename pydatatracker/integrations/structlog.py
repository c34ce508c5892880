"""Put the actor into structlog events, and changes into the log."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from pydatatracker.actors import tracking_scope
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.integrations import _events

try:
    import structlog
except ImportError:
    raise ImportError("pydatatracker.integrations.structlog needs structlog: pip install structlog") from None

__all__ = ["StructlogObserver", "add_tracking"]


def add_tracking(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the actor, context and transaction to an event.

    A structlog processor. The keys are ``tracking_actor``, ``tracking_context`` and ``tracking_transaction``; what is
    empty is left out, and what an event has already stays. O(context).

    >>> from pydatatracker import tracking_actor
    >>> with tracking_actor("ann", order=7):
    ...     add_tracking(None, "info", {"event": "sold"})
    {'event': 'sold', 'tracking_actor': 'ann', 'tracking_context': {'order': 7}}
    """
    now = tracking_scope()
    if now.actor:
        event_dict.setdefault("tracking_actor", now.actor)
    if now.context:
        event_dict.setdefault("tracking_context", dict(now.context))
    if now.transaction is not None:
        event_dict.setdefault("tracking_transaction", now.transaction)
    return event_dict


class StructlogObserver:
    """An observer that makes a structlog event of each change.

    The event has ``seq``, ``action``, ``pointer``, ``before``, ``after`` and so on, as JSON data, and of the change
    ``tracking_actor``, ``tracking_context``, ``tracking_transaction`` and, if the container has one, ``tracking_name``.
    Redacted values stay redacted.
    O(size of the values).

    What a processor changes while it handles such an event is not logged, so one with tracked data of its own does not
    log itself without end; those changes have ``while_logging`` in their context.

    :param logger: a structlog logger; by default ``structlog.get_logger()``. Not an asynchronous one.
    :param level: the method of the logger that is called.
    :param event: the name of the event.

    >>> from pydatatracker import TrackedDict, tracking_actor
    >>> stock = TrackedDict(tracking_name="stock")
    >>> with structlog.testing.capture_logs() as events:
    ...     stock.tracking_add_observer(StructlogObserver())
    ...     with tracking_actor("ann"):
    ...         stock["tea"] = 1
    >>> events[0]["event"], events[0]["pointer"], events[0]["after"], events[0]["tracking_actor"]
    ('change', '/tea', 1, 'ann')
    """

    def __init__(self, logger: Any = None, level: str = "info", event: str = "change") -> None:
        self.logger = structlog.get_logger() if logger is None else logger
        self.level = level
        self.event = event

    def __call__(self, change: ChangeLogEntry) -> None:
        """Log a change."""
        if _events.is_of_logging(change):
            return
        fields = {  # empty ones too, or add_tracking would add what holds while the change is logged
            **_events.fields_of(change, "tracking_name"),  # a log record has a name of its own
            "tracking_actor": change.actor,
            "tracking_context": dict(change.context),
            "tracking_transaction": change.transaction,
        }
        with _events.while_logging(change):
            getattr(self.logger, self.level)(self.event, **fields)
