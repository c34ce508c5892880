"""Observers: callables that are called with every change."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from pydatatracker import _core
from pydatatracker._lazy import later
from pydatatracker.change.entry import ChangeLogEntry, start_of
from pydatatracker.change.text import location_of
from pydatatracker.values.pickles import Handle
from pydatatracker.values.pointer import compile_glob

if TYPE_CHECKING:
    import logging

    from pydatatracker.io import ChangeWriter
else:
    later(globals(), "logging")

__all__ = [
    "ChangeCollector",
    "FilteredObserver",
    "JsonFileObserver",
    "TelemetryObserver",
    "async_queue_observer",
    "filtered_observer",
    "json_file_observer",
    "logging_observer",
    "telemetry_observer",
]

_INFO = 20  # logging.INFO


def log_observer_error(change: ChangeLogEntry, observer: object, error: BaseException) -> None:
    """Log what an observer raised, with its traceback; never raises."""
    try:
        logging.getLogger("pydatatracker").error(
            "observer %s failed on %s %s", type(observer).__name__ if not hasattr(observer, "__qualname__") else
            observer.__qualname__, change.action, change.pointer, exc_info=error,
        )  # fmt: skip
    except Exception:  # a logging handler that raises must not reach the mutation either
        pass


class ChangeCollector:
    """An observer that keeps the changes it is called with.

    O(1) per change.

    :param capacity: keep only the newest; None: keep all.
    :param include_init_events: also keep the ``init`` of the containers that it is added to.

    >>> from pydatatracker import TrackedDict
    >>> d, collector = TrackedDict(), ChangeCollector()
    >>> d.tracking_add_observer(collector)
    >>> d["a"] = 1
    >>> [change.action for change in collector]
    ['add']
    """

    def __init__(self, capacity: int | None = None, include_init_events: bool = False) -> None:
        if capacity is not None and (isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 0):
            raise ValueError(f"capacity must be None or a whole number of at least 0, not {capacity!r}")
        self._changes: collections.deque[ChangeLogEntry] = collections.deque(maxlen=capacity)
        self._include_init_events = include_init_events

    def __call__(self, change: ChangeLogEntry) -> None:
        if change.action != "init" or self._include_init_events:
            self._changes.append(change)

    @property
    def tracking_feed(self) -> _core.Feed | None:
        """What keeps changes without a call; None if ``__call__`` is overridden."""
        if type(self).__call__ is not ChangeCollector.__call__:
            return None
        return _core.Collection(self._changes.append, self._include_init_events)

    def tracking_attached(self, container: Any) -> None:
        """Keep the state of the container, if init events are wanted."""
        if self._include_init_events:
            self._changes.extend(start_of(container))

    def as_list(self) -> list[ChangeLogEntry]:
        """Return the changes, oldest first. O(n)."""
        return list(self._changes)

    def last(self) -> ChangeLogEntry | None:
        """Return the newest change, or None. O(1)."""
        return self._changes[-1] if self._changes else None

    def filtered(self, action: str) -> list[ChangeLogEntry]:
        """Return the changes with this action, oldest first. O(n)."""
        return [change for change in self._changes if change.action == action]

    def clear(self) -> None:
        """Forget all of them. O(n)."""
        self._changes.clear()

    def __len__(self) -> int:
        return len(self._changes)

    def __bool__(self) -> bool:
        return True  # an empty collector is still an observer

    def __iter__(self) -> Iterator[ChangeLogEntry]:
        return iter(self.as_list())


def filtered_observer(
    observer: Callable[[ChangeLogEntry], Any],
    predicate: Callable[[ChangeLogEntry], Any] | None = None,
    *,
    actions: Iterable[str] | str | None = None,
    actor: str | None = None,
    path: str | None = None,
    locations: Iterable[Any] | str | None = None,
) -> Callable[[ChangeLogEntry], None]:
    """Return an observer that passes on the changes that match all filters.

    O(1) per change; with ``locations`` O(depth).

    :param observer: is called with the changes that match.
    :param predicate: is called with a change, and returns whether it matches.
    :param path: a glob over pointers.
    :param locations: values of ``change.extra["location"]``, as in 0.1.0: a key, an index, or ``"profile:score"`` for
        a change in a nested container.
    :raises ValueError: an action or the glob is wrong; TypeError: the observer cannot be called.

    >>> from pydatatracker import TrackedDict
    >>> d, collector = TrackedDict(), ChangeCollector()
    >>> d.tracking_add_observer(filtered_observer(collector, lambda change: change.after == 2))
    >>> d["a"] = 1; d["b"] = 2
    >>> len(collector)
    1
    """
    if not callable(observer):
        raise TypeError(f"an observer must be callable with a change; {observer!r} is not")
    wanted = None if actions is None else frozenset((actions,) if isinstance(actions, str) else actions)
    for action in wanted or ():
        if action not in _core.ACTIONS:
            raise ValueError(f"unknown action {action!r}; the actions are {', '.join(_core.ACTIONS)}")

    pattern = None if path is None else compile_glob(path)
    places = None if locations is None else frozenset((locations,) if isinstance(locations, str) else locations)

    def pass_on(change: ChangeLogEntry) -> None:
        if (
            (wanted is None or change.action in wanted)
            and (actor is None or change.actor == actor)
            and (pattern is None or _core.matches(change, pattern, change.viewer.container))
            and (places is None or location_of(change) in places)
            and (predicate is None or predicate(change))
        ):
            observer(change)

    return pass_on


class FilteredObserver:
    """Pass on the changes with these actions at these locations, as 0.1.0 did.

    `filtered_observer` does the same and has more filters. O(depth) per change.

    >>> from pydatatracker import TrackedDict
    >>> d, collector = TrackedDict(), ChangeCollector()
    >>> d.tracking_add_observer(FilteredObserver(collector, actions={"update"}, locations={"port"}))
    >>> d["port"] = 80; d["port"] = 8080; d["host"] = "a"; d["host"] = "b"
    >>> [change.after for change in collector]
    [8080]
    """

    def __init__(
        self,
        observer: Callable[[ChangeLogEntry], Any],
        *,
        actions: Iterable[str] | str | None = None,
        locations: Iterable[Any] | str | None = None,
    ) -> None:
        self.observer = observer
        self.actions = actions
        self.locations = locations
        self._filtered = filtered_observer(observer, actions=actions, locations=locations)

    def __call__(self, change: ChangeLogEntry) -> None:
        self._filtered(change)


def logging_observer(
    logger: logging.Logger | str | None = None, level: int | str = _INFO
) -> Callable[[ChangeLogEntry], None]:
    """Return an observer that logs one line per change.

    The change is an attribute of the log record, ``tracked_change``. O(1) if the level is disabled.

    :param logger: a logger or its name; by default ``pydatatracker.changes``.
    """
    target = logger if isinstance(logger, logging.Logger) else logging.getLogger(logger or "pydatatracker.changes")
    if isinstance(level, str):
        level = logging.getLevelNamesMapping()[level.upper()]
    number = level

    def log(change: ChangeLogEntry) -> None:
        if target.isEnabledFor(number):
            target.log(number, "%s", change, extra={"tracked_change": change})

    return log


class JsonFileObserver(Handle):
    """An observer that appends changes to a file; see `json_file_observer`."""

    tracking_once = True  # of a change in several containers that it observes
    tracking_when = "immediate"  # the file is a log of what happened: it has rollbacks too, in order

    def __init__(self, path: str | os.PathLike[str], *, compact: bool = False, mode: int | str | None = 0o600) -> None:
        from pydatatracker.io import ChangeWriter

        self._writer: ChangeWriter = ChangeWriter(path, compact=compact, mode=mode)

    def __call__(self, change: ChangeLogEntry) -> None:
        self._writer.write(change)

    @property
    def tracking_feed(self) -> _core.Feed | None:
        """What takes changes without a call of this object; None: nothing does."""
        return self._writer.tracking_feed_write if type(self).__call__ is JsonFileObserver.__call__ else None

    def tracking_attached(self, container: Any) -> None:
        """Write the state of the container, so that the log is complete."""
        state = _core.plain(container)
        if state:
            self._writer.write(_core.state_change(container, _core.redacted_state(container, state)))

    def tracking_missed(self, change: ChangeLogEntry, error: BaseException) -> None:
        """Have the file say that a change is missing, unless it is there."""
        self._writer.tracking_missed_write(change, error)

    def close(self) -> None:
        """Close the file; later changes raise."""
        self._writer.close()

    def __enter__(self) -> Self:
        self._writer.__enter__()  # which raises if it is closed
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def json_file_observer(
    path: str | os.PathLike[str], *, compact: bool = False, mode: int | str | None = 0o600
) -> JsonFileObserver:
    r"""Return an observer that appends each change to a file, as a JSON line.

    The line is in the file when the mutating statement returns. The file is created with its folders, and stays open
    until ``close()``. Costs the encoding and one write() per change.

    :param compact: see `pydatatracker.io.to_line`.
    :param mode: permissions of the file if it is new; see `pydatatracker.io.ChangeWriter`.

    >>> import os, tempfile
    >>> from pydatatracker import TrackedDict
    >>> path = os.path.join(tempfile.mkdtemp(), "logs", "changes.jsonl")
    >>> d = TrackedDict()
    >>> with json_file_observer(path) as observer:
    ...     d.tracking_add_observer(observer)
    ...     d["a"] = 1
    >>> import pathlib
    >>> pathlib.Path(path).read_text().count("\n")
    1
    """
    return JsonFileObserver(path, compact=compact, mode=mode)


class TelemetryObserver:
    """An observer that counts changes by action; see `telemetry_observer`."""

    def __init__(self, counter: Any) -> None:
        self.counter = counter
        self._by_action = hasattr(counter, "labels")

    def __call__(self, change: ChangeLogEntry) -> None:
        (self.counter.labels(action=change.action) if self._by_action else self.counter).inc()


def telemetry_observer(counter: Any = None) -> TelemetryObserver:
    """Return an observer that counts changes by action in Prometheus.

    The metric is ``pydatatracker_changes_total{action="add"}``; all such observers of a process share it.

    :param counter: one of your own, with ``labels(action=...).inc()`` or just ``inc()``.
    :raises ImportError: there is no counter, and prometheus_client (extra ``prometheus``) is not installed.

    >>> class Counter:
    ...     count = 0
    ...     def inc(self):
    ...         self.count += 1
    >>> from pydatatracker import TrackedDict
    >>> d, counter = TrackedDict(), Counter()
    >>> d.tracking_add_observer(telemetry_observer(counter))
    >>> d["a"] = 1
    >>> counter.count
    1
    """
    if counter is None:
        counter = _prometheus_counter()
    if not hasattr(counter, "labels") and not hasattr(counter, "inc"):
        raise TypeError(f"a counter needs labels() or inc(); {type(counter).__name__} has neither")
    return TelemetryObserver(counter)


_counters: dict[str, Any] = {}


def _prometheus_counter() -> Any:
    try:
        import prometheus_client
    except ImportError:
        raise ImportError(
            'telemetry_observer needs prometheus_client: pip install "pydatatracker[prometheus]",'
            " or pass a counter of your own"
        ) from None
    name = "pydatatracker_changes"
    if name not in _counters:
        _counters[name] = prometheus_client.Counter(name, "Changes of tracked data", ["action"])
    return _counters[name]


def async_queue_observer(queue: Any, **options: Any) -> Any:
    """Return an observer that puts changes into a queue, in order.

    See `pydatatracker.observers.async_.async_queue_observer`.

    >>> import queue
    >>> found = queue.Queue()
    >>> observer = async_queue_observer(found)
    >>> observer.dropped
    0
    """
    from pydatatracker.observers import async_ as async_observers  # only here: many programs do not need asyncio

    return async_observers.async_queue_observer(queue, **options)
