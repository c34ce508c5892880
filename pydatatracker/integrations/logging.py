"""Put the actor into log records, and changes into the log."""

from __future__ import annotations

import logging

from pydatatracker.actors import tracking_scope
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.integrations import _events

__all__ = ["LoggingObserver", "TrackingFilter"]


class TrackingFilter(logging.Filter):
    """Add the actor, context and transaction to each log record.

    As ``tracking_actor`` (``""`` without one), ``tracking_context`` (a dict) and ``tracking_transaction`` (an id or
    None), for formats like ``%(tracking_actor)s`` and for handlers that write ``extra`` fields. What a record has
    already stays. Add it to a handler, for all records that the handler gets, or to a logger, for those made by that
    logger. A `logging.handlers.QueueHandler` needs it itself: behind the queue another thread runs. O(context).

    :param name: only records of this logger and those below it are let through, as by every `logging.Filter`.

    >>> from pydatatracker import tracking_actor
    >>> record = logging.makeLogRecord({"msg": "sold"})
    >>> with tracking_actor("ann", order=7):
    ...     TrackingFilter().filter(record)
    True
    >>> record.tracking_actor, record.tracking_context
    ('ann', {'order': 7})
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; return whether the record is let through."""
        now = tracking_scope()
        given = record.__dict__
        given.setdefault("tracking_actor", now.actor)
        given.setdefault("tracking_context", dict(now.context))
        given.setdefault("tracking_transaction", now.transaction)
        return super().filter(record)  # type: ignore[return-value, unused-ignore]


class LoggingObserver:
    """An observer that makes a log record of each change.

    The message is a line for people. The record has ``tracking_actor``, ``tracking_context`` and
    ``tracking_transaction`` of the change, and ``tracking_change``: a dict for JSON with ``seq``, ``action``,
    ``pointer``, ``before``, ``after`` and so on. Redacted values stay redacted. O(size of the values); a level that is
    disabled costs O(1).

    What a handler changes while it handles such a record is not logged, so a handler with tracked data of its own does
    not log itself without end; those changes have ``while_logging`` in their context.

    :param logger: a logger or its name; by default ``pydatatracker.changes``.
    :param level: of the records; a number or a name.
    :raises ValueError: no level has this name.
    :raises TypeError: the logger is something else, such as a LoggerAdapter.

    >>> import sys
    >>> from pydatatracker import TrackedDict, tracking_actor
    >>> logger = logging.getLogger("shop.changes")
    >>> logger.addHandler(logging.StreamHandler(sys.stdout))
    >>> stock = TrackedDict(tracking_name="stock")
    >>> stock.tracking_add_observer(LoggingObserver(logger, logging.WARNING))
    >>> with tracking_actor("ann"):
    ...     stock["tea"] = 1
    add /tea: 1 by ann
    """

    def __init__(self, logger: logging.Logger | str | None = None, level: int | str = logging.INFO) -> None:
        if isinstance(level, str):
            levels = logging.getLevelNamesMapping()
            if level.upper() not in levels:
                raise ValueError(f"no logging level is called {level!r}; there are {', '.join(levels)}")
            level = levels[level.upper()]
        if not isinstance(logger, (logging.Logger, str, type(None))):
            raise TypeError(
                f"logger is a Logger, its name or None, not {type(logger).__name__};"
                " of a LoggerAdapter, give its logger"
            )
        self.logger = (
            logger if isinstance(logger, logging.Logger) else logging.getLogger(logger or "pydatatracker.changes")
        )
        self.level = level

    def __call__(self, change: ChangeLogEntry) -> None:
        """Log a change."""
        if not self.logger.isEnabledFor(self.level) or _events.is_of_logging(change):
            return
        extra = {
            "tracking_actor": change.actor,
            "tracking_context": dict(change.context),
            "tracking_transaction": change.transaction,
            "tracking_change": _events.fields_of(change),
        }
        with _events.while_logging(change):
            self.logger.log(self.level, "%s", _line(change), extra=extra)


def _line(change: ChangeLogEntry) -> str:
    """Return a change as a line for people: its repr without the number."""
    return repr(change)[1:-1].split(" ", 2)[2]
