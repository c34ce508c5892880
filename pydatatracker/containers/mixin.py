"""The methods that all tracked containers share.

They are called rarely, so they are written in Python.
"""

from __future__ import annotations

import types
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pydatatracker import _core
from pydatatracker._core import Observer
from pydatatracker._lazy import later, provided
from pydatatracker.change.entry import ChangeLogEntry, start_of
from pydatatracker.containers.copying import (
    called_by_joblib_hash,
    called_by_yaml,
    deep_copy,
    reconstruct,
    reduce,
    reduced_by_user,
    shallow_copy,
)
from pydatatracker.containers.mixing import refuse_deaf
from pydatatracker.history.methods import HistoryMixin
from pydatatracker.values.pointer import action_bits, compile_glob, to_pointer

if TYPE_CHECKING:
    import copy
    import datetime

    from pydatatracker.containers.breaks import Break, Do
    from pydatatracker.containers.reported import Report
else:
    later(globals(), "copy", "datetime")

__all__ = ["TrackingMixin", "Untracked"]


class Untracked(NamedTuple):
    """A value below a container whose changes are not recorded."""

    pointer: str
    type: str
    reason: str


class TrackingMixin(HistoryMixin):
    """History, observers and locks of a tracked container."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        options, name, rest = _core.options_from(kwargs)
        if name is not None:
            raise TypeError("tracking_name names one container; give it to __init__")
        if options is not None:
            type.__setattr__(cls, "_tracking_class_options", _core.class_options(cls, options))
        super().__init_subclass__(**rest)
        refuse_deaf(cls)

    @property
    def tracking_uuid(self) -> str:
        """Id of this container, 32 hex digits. O(1)."""
        return _core.describe(self)[0]

    @property
    def tracking_name(self) -> str | None:
        """The name given as ``tracking_name``, or None. O(1)."""
        return _core.describe(self)[1]

    @property
    def tracking_locked(self) -> bool:
        """True if this container, or one above it, is locked. O(1)."""
        return _core.describe(self)[2]

    @property
    def _tracking_locked(self) -> bool:
        """Return `tracking_locked`, under the name that 0.1.0 had for it."""
        warnings.warn("_tracking_locked is now tracking_locked", DeprecationWarning, stacklevel=2)
        return self.tracking_locked

    @property
    def tracking_dropped(self) -> int:
        """Number of changes of this container's tree that are not kept any more.

        O(1).
        """
        return _core.describe(self)[3]

    def tracking_changes(self, most_recent: int | None = None) -> list[ChangeLogEntry]:
        """Return the changes at or below this container, oldest first.

        The first is its ``init``, which is derived from the others, and missing once any of them was dropped or
        cleared. ``most_recent``: only the newest so many. O(records of the tree).

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.append(2)
        >>> [change.action for change in l.tracking_changes()]
        ['init', 'add']
        """
        if most_recent is None:
            return [*start_of(self), *_core.changes_of(self)]
        if isinstance(most_recent, bool) or not isinstance(most_recent, int) or most_recent < 0:
            raise TypeError(f"most_recent is a whole number of 0 or more, not {most_recent!r}")
        found = _core.changes_of(self, 0, most_recent)
        return found if len(found) == most_recent else [*start_of(self), *found]

    def last_change(self) -> ChangeLogEntry | None:
        """Return the newest change at or below this container.

        That is its ``init`` if there was none since, and None once the changes were cleared. O(1) for a container
        without a parent, else O(records).
        """
        found = self.tracking_changes(1)
        return found[-1] if found else None

    def changes_since(
        self, point: datetime.datetime | ChangeLogEntry | int, *, inclusive: bool = True
    ) -> list[ChangeLogEntry]:
        """Return the changes since a time, a change or a seq.

        ``inclusive``: also the changes at that time, or that change. A naive datetime is local time. O(records of the
        tree). Raises TypeError for anything else.
        """
        if isinstance(point, datetime.datetime):
            from pydatatracker.history.points import micros

            moment = micros(point)
            if inclusive:
                return [c for c in self.tracking_changes() if c.time_ns // 1000 >= moment]
            return [c for c in self.tracking_changes() if c.time_ns // 1000 > moment]
        if isinstance(point, ChangeLogEntry):
            seq, is_init = point.seq, point.action == "init"
            if is_init:
                return [c for c in self.tracking_changes() if c.seq > seq or (inclusive and c.seq == seq)]
        elif isinstance(point, int) and not isinstance(point, bool):
            seq = point
        else:
            raise TypeError(f"changes_since takes a datetime, a change or a seq, not {point!r}")
        found = _core.changes_of(self, max(seq - 1 if inclusive else seq, 0))
        return found if seq > _core.born(self)[1] else [c for c in start_of(self) if c.seq > seq] + found

    def tracking_untracked(self) -> list[Untracked]:
        """Return what is below this container and is not recorded.

        Rows of pointer, class name and reason: plain data, and objects that are not followed. O(items).

        >>> from pydatatracker import TrackedDict
        >>> [tuple(row)[:2] for row in TrackedDict(ports=[80], name="a").tracking_untracked()]
        [('/ports', 'list')]
        """
        return [
            Untracked(to_pointer(path), _core.bare_class_name(cls), reason)
            for path, cls, reason in _core.untracked_in(self)
        ]

    def tracking_report(self, height: int = 600) -> Report:
        """Return a page of the changes: timeline, data, last writers.

        A notebook shows it; ``report.save(path)`` writes a file that a browser opens offline, and ``report.html`` is
        its text. It is the page of the command ``report``. ``height``: pixels of the frame in a notebook. O(items +
        changes). Raises TypeError for another height.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict()
        >>> d["port"] = 80
        >>> d.tracking_report()
        <report: 1 change>
        """
        made: Report = provided("report_of")(self, height)
        return made

    def tracking_clear_changes(self) -> None:
        """Forget all changes of this container's tree.

        They count as dropped. O(records).
        """
        _core.clear_changes(self)

    def tracking_add_observer(
        self,
        observer: Callable[[ChangeLogEntry], Any],
        priority: int = 50,
        *,
        path: str | None = None,
        actions: Iterable[str] | str | None = None,
        weak: bool = False,
        when: str | None = None,
    ) -> None:
        """Call observer with every change at or below this container.

        Observers with a lower priority are called first. ``path`` is a glob over pointers (``/users/*/email``,
        ``/cfg/**``), ``actions`` the actions that it is called for; both are tested before a change object is built.
        ``weak=True`` does not keep the observer alive.

        Changes of a transaction are delivered after it is committed. ``when="immediate"`` delivers them synchronously,
        also those that are rolled back later (an observer may set it itself: ``tracking_when = "immediate"``). A method
        ``tracking_attached(container)`` of the observer is called once it was added. A coroutine function runs for one
        change after the other, in the loop where it was added or where the first change happens.

        O(observers). Raises TypeError for an observer that cannot be called, ValueError for an unknown action.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict()
        >>> d.tracking_add_observer(lambda change: print(change.pointer), path="/a*")
        >>> d["abc"] = d["xyz"] = 1
        /abc
        """
        if not callable(observer):
            raise TypeError(f"an observer is called with the change; {observer!r} cannot be called")
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise TypeError(f"priority is an int, not {priority!r}")
        bits = action_bits(actions)
        held: Any = observer
        if _is_coroutine_function(observer):
            from pydatatracker.observers.async_ import TaskObserver

            held, weak = TaskObserver(observer), False
        elif weak:
            held = weakref.WeakMethod(observer) if isinstance(observer, types.MethodType) else weakref.ref(observer)
        pattern = None if path is None else compile_glob(path)
        if when is None:
            when = getattr(observer, "tracking_when", "commit")
        if when not in ("commit", "immediate"):
            raise ValueError(f"when= takes 'commit' or 'immediate', not {when!r}")
        feed = None if weak else _feed_of(observer)
        _core.add_observer(self, Observer(held, priority, pattern, bits, weak, when == "immediate", feed))
        attached = getattr(observer, "tracking_attached", None)
        if attached is None and isinstance(observer, types.MethodType):  # such as the write of a ChangeWriter
            attached = getattr(observer.__self__, f"tracking_attached_{observer.__name__}", None)
        if attached is not None:
            attached(self)

    def tracking_remove_observer(self, observer: Callable[[ChangeLogEntry], Any]) -> None:
        """Stop calling observer.

        O(observers). Raises ValueError if it was not added.
        """
        if _is_coroutine_function(observer):
            from pydatatracker.observers.async_ import is_task_for

            observer = next((held for held in _core.observers_of(self) if is_task_for(held, observer)), observer)
        if not _core.remove_observer(self, observer):
            raise ValueError(f"{observer!r} is not an observer of this container")

    def tracking_break(
        self,
        path: str,
        *,
        actions: Iterable[str] | str | None = None,
        when: Callable[[ChangeLogEntry], bool] | None = None,
        do: Do = "breakpoint",
    ) -> Break:
        """Stop at the statement that changes a path.

        ``path`` is a glob over pointers, ``actions`` the actions and ``when(change)`` the condition. ``do``:
        ``"breakpoint"`` starts the debugger there (PEP 553), ``"raise"`` raises TrackedChangeError and the change is
        not made, ``"warn"`` and ``"log"`` report it; or a function of the change. It runs before all observers, also in
        a transaction.

        Returns an object whose ``remove()``, or the end of its ``with`` block, ends it. Costs as much as an observer;
        ``"raise"`` on a dict O(keys) for each change more. Raises ValueError for an invalid path, action or ``do``.

        >>> from pydatatracker import TrackedDict, track
        >>> d = track({"cfg": {"port": 80}})
        >>> guard = d.tracking_break("/cfg/port", when=lambda change: change.after < 1024, do="raise")
        >>> d["cfg"]["port"] = 8080
        >>> d["cfg"]["port"] = 22  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pydatatracker.containers.breaks.TrackedChangeError: <change ... update /cfg/port: 8080 -> 22> at ...
        >>> d
        {'cfg': {'port': 8080}}
        """
        from pydatatracker.containers.breaks import Break

        return Break(self, path, actions, when, do)

    def lock(self) -> None:
        """Refuse every change of this container and of everything below.

        O(1). A refused change raises TrackingLockedError.

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.lock()
        >>> l.append(2)
        Traceback (most recent call last):
        pydatatracker._core.TrackingLockedError: TrackedList is locked (by lock()); call unlock() first
        """
        _core.set_lock(self, True)

    def unlock(self) -> None:
        """Allow changes again; a child with a lock of its own stays locked.

        O(1).
        """
        _core.set_lock(self, False)

    def _check(self) -> None:
        """Raise AssertionError if links, places or records are wrong.

        Of this container and all below. O(items).
        """
        todo, seen = [self], set()
        while todo:
            container = todo.pop()
            if id(container) in seen:
                continue
            seen.add(id(container))
            _core.check_tracker(container)
            todo.extend(child for child in _core.contents(container) if _core.tracker(child) is not None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if type(self).__reduce__ is not TrackingMixin.__reduce__:  # the subclass has one, which `object` prefers too
            return self.__reduce__()
        return reduce(self, protocol == 2 and called_by_yaml(), protocol == 3 and called_by_joblib_hash())

    def __reduce__(self) -> Any:
        return reduce(self, called_by_yaml())

    def __copy__(self) -> Any:
        reduced = reduced_by_user(self, TrackingMixin)
        return shallow_copy(self) if reduced is None else reconstruct(self, reduced)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        reduced = reduced_by_user(self, TrackingMixin)
        if reduced is not None:
            return reconstruct(self, reduced, lambda value: copy.deepcopy(value, memo), memo)
        return deep_copy(self, memo, copy.deepcopy)


def _is_coroutine_function(observer: object) -> bool:
    import inspect  # a third of what the library costs to import

    return inspect.iscoroutinefunction(observer)


def _feed_of(observer: Any) -> _core.Feed | None:
    """Return what takes changes instead of a call of an observer, or None."""
    feed = getattr(observer, "tracking_feed", None)
    if feed is None and isinstance(observer, types.MethodType):  # such as the write of a ChangeWriter
        feed = getattr(observer.__self__, f"tracking_feed_{observer.__name__}", None)
    return feed if isinstance(feed, _core.Feed) else None
