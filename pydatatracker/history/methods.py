"""The history methods of every tracked container.

The work is done in one module each, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry
    from pydatatracker.history.net_changes import NetChange
    from pydatatracker.history.points import Point
    from pydatatracker.history.verify import Difference

__all__ = ["HistoryMixin"]

# kept, because an import statement takes longer than the step that is undone
_undo: Any = None
_redo: Any = None


class HistoryMixin:
    """Time travel, undo, blame and patches of a tracked container."""

    __slots__ = ()

    def tracking_state_at(self, point: Point) -> Any:
        """Return plain data as this container was at a point in the past.

        A point is a seq, a change (the state just after it), or a time. The result is a dict, list or set with
        everything in it; for an object with tracked attributes a dict. O(result + changes undone). Raises
        HistoryLostError, which says how many changes are missing, if the point is older than what is kept.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(port=80)
        >>> d["port"] = 8080
        >>> d["host"] = "db1"
        >>> d.tracking_state_at(d.tracking_changes()[1])
        {'port': 8080}
        """
        from pydatatracker.change import rewind
        from pydatatracker.history import points

        return rewind.state_at(self, points.seq_of(self, point))

    def tracking_blame(self, pointer: str | tuple[Any, ...] | None = None) -> Any:
        """Return the last change of the value at pointer, None if none is known.

        Without a pointer, return {pointer: change} for all paths with a known change. A tuple of keys is a path, too:
        it names 1 or "1", which have the same pointer.

        A list item is followed through shifts and sorts. A value that arrived inside a container was last changed by
        what stored that container. A value that never changed was set by the ``init``; for a path that never existed
        it is None. Of removed values only keys of containers that still exist are listed. With
        ``tracking_remember_last=True`` changes that left the ring count too. O(records of the tree). Raises ValueError
        for an invalid pointer (RFC 6901), and for a pointer that names several keys.

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
        return blame.blame_of(self, pointer)

    def tracking_history(self, pointer: str | tuple[Any, ...]) -> list[ChangeLogEntry]:
        """Return all known changes of the value at pointer, oldest first.

        Costs and raises what `tracking_blame` does.

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

    def tracking_verify(self) -> Difference | None:
        """Return the first difference between records and data, or None.

        It finds writes that bypassed tracking in C (``dict.__setitem__(d, k, v)``, ``list.append(l, x)``,
        ``heapq.heappush(l, x)``): where a record says what must be there, and by the number of items. O(items +
        records).

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict()
        >>> d["port"] = 80
        >>> d.tracking_verify() is None
        True
        >>> dict.__setitem__(d, "port", 8080)
        >>> difference = d.tracking_verify()
        >>> difference.pointer, difference.logged, difference.found
        ('/port', 80, 8080)
        """
        from pydatatracker.history import verify

        return verify.verify(self)

    def tracking_patch(
        self, since: Point | None = None, until: Point | None = None, *, inverse: bool = False, test: bool = False
    ) -> list[dict[str, Any]]:
        """Return the JSON Patch (RFC 6902) from one state to a later one.

        It is made from the records. Points are as for `tracking_state_at`; None is the birth of the container, and now.
        ``inverse=True``: back from until to since. ``test=True``: before each replace, remove and move comes a ``test``
        of what is there. For what a pointer cannot name (below a set, or below a key that is not a str), the nearest
        container above is replaced as a whole. O(items + changes + size of their values). Raises HistoryLostError, and
        ValueError if since is after until.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(port=80)
        >>> d["port"] = 8080
        >>> d.tracking_patch()
        [{'op': 'replace', 'path': '/port', 'value': 8080}]
        """
        from pydatatracker.history.patch import patch

        return patch(self, _seq(self, since), _seq(self, until), inverse=inverse, test=test)

    def tracking_apply_patch(self, operations: Iterable[Mapping[str, Any]]) -> None:
        """Apply JSON Patch operations (RFC 6902): all of them, or none.

        PatchError says which one was wrong, and why. The operations are a transaction and use the ordinary methods. A
        segment below an object is an attribute name; the path "" replaces the contents of this container. O(operations
        + size of their values).

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([80])
        >>> l.tracking_apply_patch([{"op": "add", "path": "/-", "value": 443}])
        >>> l
        [80, 443]
        """
        from pydatatracker.history.apply_patch import apply_patch

        apply_patch(self, operations)

    def tracking_net_changes(self, since: Point | None = None) -> list[NetChange]:
        """Return the differences from the state at a point, one for each path.

        What was changed and set back is not listed. Each difference has path, pointer, action, before, after (plain
        data) and ``change``, the last one that touched the path. Items of lists are followed through shifts. O(items +
        changes). Raises HistoryLostError.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(a=1, b=2)
        >>> d.update(a=5, b=3)
        >>> d["a"] = 1
        >>> [(net.action, net.pointer, net.before, net.after) for net in d.tracking_net_changes()]
        [('update', '/b', 2, 3)]
        """
        from pydatatracker.history.net_changes import net_changes

        return net_changes(self, _seq(self, since))

    def tracking_merge_patch(self, since: Point | None = None) -> Any:
        """Return the JSON Merge Patch (RFC 7396) from the state at a point to now.

        Lists and sets are replaced as a whole, removed keys are None. O(items + changes). Raises HistoryLostError, and
        ValueError for what a merge patch cannot express: None as a new value of a key, and a key that is not a str.

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(a=1, b=2)
        >>> del d["a"]
        >>> d["c"] = 3
        >>> d.tracking_merge_patch()
        {'a': None, 'c': 3}
        """
        from pydatatracker.history.net_changes import merge_patch

        return merge_patch(self, _seq(self, since))

    def tracking_undo(self, n: int = 1) -> list[ChangeLogEntry]:
        """Undo the last n steps at or below this container.

        Returns the changes that were undone, newest first; fewer than n, or none, if there is no more to undo.

        A step is a change, or a whole transaction. Undoing is recorded, with the method ``tracking_undo``; values that
        return are the same objects. O(1) for each change, or O(items of the change); the first call reads the log.
        Raises UndoConflictError if something bypassed tracking, HistoryLostError if everything left to undo is no
        longer kept.

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.append(2)
        >>> [change.pointer for change in l.tracking_undo()]
        ['/1']
        >>> l, l.last_change().method
        ([1], 'tracking_undo')
        """
        global _undo
        if _undo is None:
            from pydatatracker.history.undo import undo as _undo
        done: list[ChangeLogEntry] = _undo(self, n)
        return done

    def tracking_redo(self, n: int = 1) -> list[ChangeLogEntry]:
        """Redo the last n steps that were undone.

        A new change clears what can be redone. Returns, costs and raises what `tracking_undo` does.

        >>> from pydatatracker import TrackedList
        >>> l = TrackedList([1])
        >>> l.append(2)
        >>> undone = l.tracking_undo()
        >>> redone = l.tracking_redo()
        >>> l
        [1, 2]
        """
        global _redo
        if _redo is None:
            from pydatatracker.history.undo import redo as _redo
        done: list[ChangeLogEntry] = _redo(self, n)
        return done

    def tracking_revert_to(self, point: Point) -> list[ChangeLogEntry]:
        """Bring everything back to how it was at a seq, a change or a time.

        Returns the changes that were undone. It is recorded as one transaction, which is one step to undo. O(changes
        since). Raises HistoryLostError if the point is older than what is kept; then nothing is changed.

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
        """Undo only the changes that match.

        Returns the matching changes that cannot be undone, because later ones touched the same location.

        ``path`` is a glob over pointers; of a bulk call it selects the rows that match. ``since`` selects what came
        after a point. Later changes of others stay, and items of lists are followed through them. Recorded as one
        transaction. O(changes of the tree), and O(items + changes) for a change of a list that others changed since.

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


def _seq(container: Any, point: Point | None) -> int | None:
    from pydatatracker.history import points

    return None if point is None else points.seq_of(container, point)
