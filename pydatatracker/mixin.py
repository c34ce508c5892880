"""What every tracked container can do besides being a dict, list, set or object: asked seldom, so in Python."""

from __future__ import annotations

import copy
import datetime
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydatatracker import _core
from pydatatracker._core import Observer
from pydatatracker.change import ChangeLogEntry, start_of
from pydatatracker.pointer import compile_glob
from pydatatracker.rebuild import deep_copy, reduce, shallow_copy

if TYPE_CHECKING:
    from pydatatracker.history.net import NetChange
    from pydatatracker.history.points import Point

__all__ = ["TrackingMixin"]


class TrackingMixin:
    """History, observers and locks of a tracked container."""

    __slots__ = ()

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
    def tracking_dropped(self) -> int:
        """Number of changes of this container's tree that are no longer kept. O(1)."""
        return _core.describe(self)[3]

    def tracking_changes(self, most_recent: int | None = None) -> list[ChangeLogEntry]:
        """Return the changes at or below this container, oldest first; the first is its ``init``.

        The ``init`` is derived from the others, and missing once any of them was dropped or cleared.
        ``most_recent``: only so many, the newest. O(records of the tree).

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
        """Return the newest change at or below this container (its ``init``, if there was none); None once cleared.

        O(1) for a container that is nobody's child, else O(records).
        """
        found = self.tracking_changes(1)
        return found[-1] if found else None

    def changes_since(
        self, point: datetime.datetime | ChangeLogEntry | int, *, inclusive: bool = True
    ) -> list[ChangeLogEntry]:
        """Return the changes at or after a time, a change or a seq; ``inclusive=False``: only after it.

        A naive datetime is local time. O(records of the tree). Raises TypeError for anything else.
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

    def tracking_state_at(self, point: Point) -> Any:
        """Return plain data as this container was at a seq, just after a change, or at a time.

        A dict, list or set, what is in it included; of an object with tracked attributes a dict. O(result +
        changes undone). Raises HistoryLostError, which says how many changes are missing, if the point is
        older than what is kept.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(port=80)
        >>> d["port"] = 8080
        >>> d["host"] = "db1"
        >>> d.tracking_state_at(d.tracking_changes()[1])
        {'port': 8080}
        """
        from pydatatracker.history import points, rewind

        return rewind.state_at(self, points.seq_of(self, point))

    def tracking_blame(self, pointer: str | None = None) -> Any:
        """Return the last change of the place at pointer (None if none is known); without one, {pointer: change}.

        A list item is followed through shifts and sorts. A place that came with a whole container was last changed
        by what brought that. Of places that are gone only keys of containers that are still there are listed.
        With ``tracking_remember_last=True`` changes that left the ring count too. O(records of the tree).
        Raises ValueError for what is no pointer (RFC 6901).

        >>> from pydatatracker import TrackedList, tracking_actor
        >>> l = TrackedList(["a", "b"])
        >>> with tracking_actor("eve"):
        ...     l[1] = "B"
        >>> l.insert(0, "first")
        >>> l.tracking_blame("/2").actor
        'eve'
        >>> list(l.tracking_blame())
        ['/0', '/2']
        """
        from pydatatracker.history import blame

        if pointer is None:
            return blame.blame_all(self)
        return next(blame.history_of(self, pointer), None)

    def tracking_history(self, pointer: str) -> list[ChangeLogEntry]:
        """Return all changes of the place at pointer that are known, oldest first. As tracking_blame.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict()
        >>> d["port"] = 80
        >>> d["host"] = "db1"
        >>> d["port"] = 8080
        >>> [change.after for change in d.tracking_history("/port")]
        [80, 8080]
        """
        from pydatatracker.history import blame

        return list(blame.history_of(self, pointer))[::-1]

    def tracking_patch(
        self, since: Point | None = None, until: Point | None = None, *, inverse: bool = False, test: bool = False
    ) -> list[dict[str, Any]]:
        """Return JSON Patch operations (RFC 6902), made from the records, that lead from one state to a later one.

        Points are as for tracking_state_at; None is the birth, and now. ``inverse=True``: back from until to since.
        ``test=True``: each replace, remove and move comes after a ``test`` of what is there. What a pointer cannot
        name (below a set, or a key that is no str) is told by replacing the nearest container above whole.
        O(items + changes + size of their values). Raises HistoryLostError, ValueError for since after until.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(port=80)
        >>> d["port"] = 8080
        >>> d.tracking_patch()
        [{'op': 'replace', 'path': '/port', 'value': 8080}]
        """
        from pydatatracker.history.patch import patch

        return patch(self, _seq(self, since), _seq(self, until), inverse=inverse, test=test)

    def tracking_apply_patch(self, operations: Iterable[Mapping[str, Any]]) -> None:
        """Apply JSON Patch operations (RFC 6902): all of them, or none and PatchError says which was wrong and why.

        They are a transaction, made by the ordinary methods. A step below an object is an attribute name; the path
        "" replaces the contents of this container. O(operations + size of their values).

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([80])
        >>> l.tracking_apply_patch([{"op": "add", "path": "/-", "value": 443}])
        >>> l
        [80, 443]
        """
        from pydatatracker.history.applying import apply_patch

        apply_patch(self, operations)

    def tracking_net_changes(self, since: Point | None = None) -> list[NetChange]:
        """Return what is different from the state at a point: at most one change a place, none that was set back.

        Each has path, pointer, action, before, after (plain data) and ``change``, the last one that touched the place.
        Items of lists are followed through shifts. O(items + changes). Raises HistoryLostError.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(a=1, b=2)
        >>> d.update(a=5, b=3)
        >>> d["a"] = 1
        >>> [(net.action, net.pointer, net.before, net.after) for net in d.tracking_net_changes()]
        [('update', '/b', 2, 3)]
        """
        from pydatatracker.history.net import net_changes

        return net_changes(self, _seq(self, since))

    def tracking_merge_patch(self, since: Point | None = None) -> Any:
        """Return the JSON Merge Patch (RFC 7396) that leads from the state at a point to the present one.

        Lists and sets are replaced whole, removed keys are None. O(items + changes). Raises HistoryLostError,
        and ValueError for what it cannot say: None as a new value of a key, a key that is no str.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(a=1, b=2)
        >>> del d["a"]
        >>> d["c"] = 3
        >>> d.tracking_merge_patch()
        {'a': None, 'c': 3}
        """
        from pydatatracker.history.net import merge_patch

        return merge_patch(self, _seq(self, since))

    def tracking_undo(self, n: int = 1) -> list[ChangeLogEntry]:
        """Take back the last n steps at or below this container; returns the changes taken back, newest first.

        A step is a change, or a transaction as a whole. Undoing is recorded, with the method ``tracking_undo``;
        what comes back are the same objects. Fewer than n, or none, if there is no more to undo. O(1) a change,
        or O(items of the change); the first call reads the log. Raises UndoConflictError if something wrote
        round the container, HistoryLostError if all that is left to undo is no longer kept.

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.append(2)
        >>> l.tracking_undo()
        [2 TrackedList add /1: 2 (append)]
        >>> l, l.last_change().method
        ([1], 'tracking_undo')
        """
        from pydatatracker.history import undo

        return undo.undo(self, n)

    def tracking_redo(self, n: int = 1) -> list[ChangeLogEntry]:
        """Do again the last n steps that were undone; a fresh change empties what can be redone. As tracking_undo.

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.append(2)
        >>> undone = l.tracking_undo()
        >>> redone = l.tracking_redo()
        >>> l
        [1, 2]
        """
        from pydatatracker.history import undo

        return undo.redo(self, n)

    def tracking_revert_to(self, point: Point) -> list[ChangeLogEntry]:
        """Bring everything back to how it was at a seq, a change or a time; returns what was taken back.

        Recorded as one transaction, which is one step to undo. O(changes since). Raises HistoryLostError if the
        point is older than what is kept; nothing is done then.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(a=1)
        >>> start = d.last_change()
        >>> d.update(a=2, b=3)
        >>> d["a"] = 4
        >>> len(d.tracking_revert_to(start))
        2
        >>> d
        {'a': 1}
        """
        from pydatatracker.history import undo

        return undo.revert_to(self, point)

    def tracking_revert(
        self,
        actor: str | None = None,
        path: str | None = None,
        transaction: str | None = None,
        since: Point | None = None,
    ) -> list[ChangeLogEntry]:
        """Take back only the changes that match; returns those that it cannot, as later ones touched the same place.

        ``path`` is a glob over pointers, of a bulk call it takes the rows that match; ``since`` takes what came
        after a point. Later changes of others stay, and items of lists are followed through them. Recorded as one
        transaction. O(changes of the tree), and O(items + changes) for a change of a list others changed since.

        >>> from pydatatracker import TrackedDict, tracking_actor
        >>> d = TrackedDict(a=1, b=1)
        >>> with tracking_actor("importer"):
        ...     d.update(a=2, b=2)
        ...     d["c"] = 3
        >>> d["c"] = 4
        >>> [change.pointer for change in d.tracking_revert(actor="importer")]
        ['/c']
        >>> d
        {'a': 1, 'b': 1, 'c': 4}
        """
        from pydatatracker.history import undo

        return undo.revert(self, actor, path, transaction, since)

    def tracking_clear_changes(self) -> None:
        """Forget all changes of this container's tree; they count as dropped. O(records)."""
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
        """Call observer with every change at or below this container; lower priorities first.

        ``path`` is a glob over pointers (``/users/*/email``, ``/cfg/**``), ``actions`` the actions to be told
        of; both are tested before a change object is built. ``weak=True`` does not keep observer alive. Changes in
        a transaction are told after it is committed; ``when="immediate"`` tells them at once, and also of what
        is rolled back (an observer may say so itself: ``tracking_when = "immediate"``). An observer with a
        method ``tracking_attached(container)`` is told that it was added. O(observers).
        Raises TypeError for what cannot be called, ValueError for an unknown action.

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
        bits = 0
        for action in (actions,) if isinstance(actions, str) else actions or ():
            if action not in _core.ACTIONS:
                raise ValueError(f"unknown action {action!r}; there are {', '.join(_core.ACTIONS)}")
            bits |= 1 << _core.ACTIONS.index(action)
        held: Any = observer
        if weak:
            held = weakref.WeakMethod(observer) if isinstance(observer, types.MethodType) else weakref.ref(observer)
        pattern = None if path is None else compile_glob(path)
        if when is None:
            when = getattr(observer, "tracking_when", "commit")
        if when not in ("commit", "immediate"):
            raise ValueError(f"when= takes 'commit' or 'immediate', not {when!r}")
        _core.add_observer(self, Observer(held, priority, pattern, bits, weak, when == "immediate"))
        attached = getattr(observer, "tracking_attached", None)
        if attached is not None:
            attached(self)

    def tracking_remove_observer(self, observer: Callable[[ChangeLogEntry], Any]) -> None:
        """Stop calling observer. O(observers). Raises ValueError if it was not added."""
        if not _core.remove_observer(self, observer):
            raise ValueError(f"{observer!r} is not an observer of this container")

    def lock(self) -> None:
        """Refuse every change of this container and of everything below with TrackingLockedError. O(1).

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.lock()
        >>> l.append(2)
        Traceback (most recent call last):
        pydatatracker._core.TrackingLockedError: TrackedList is locked (by lock()); call unlock() first
        """
        _core.set_lock(self, True)

    def unlock(self) -> None:
        """Allow changes again; a child that was locked by itself stays locked. O(1)."""
        _core.set_lock(self, False)

    def _check(self) -> None:
        """Raise AssertionError if links, places or records of this container and all below are wrong. O(items)."""
        todo, seen = [self], set()
        while todo:
            container = todo.pop()
            if id(container) in seen:
                continue
            seen.add(id(container))
            _core.check_tracker(container)
            todo.extend(child for child in _core.contents(container) if _core.tracker(child) is not None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return reduce(self, int(protocol))

    def __copy__(self) -> Any:
        return shallow_copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return deep_copy(self, memo, copy.deepcopy)


def _seq(container: Any, point: Point | None) -> int | None:
    from pydatatracker.history import points

    return None if point is None else points.seq_of(container, point)
