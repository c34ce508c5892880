"""The change object: an immutable view of one record.

Everything else is derived from the record when an attribute is read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from pydatatracker import _core
from pydatatracker._core import ACTIONS, MISSING, Change
from pydatatracker._lazy import later
from pydatatracker.change.rewind import Rewind, shown_at
from pydatatracker.change.stack import culprit, summary
from pydatatracker.change.text import extra_of, layout
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.text import text

if TYPE_CHECKING:
    import datetime
    import traceback
else:
    later(globals(), "datetime", "traceback")

__all__ = ["DATA_ACTIONS", "ChangeLogEntry", "settle_entries", "start_of"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_UNDOING = frozenset(("tracking_undo", "tracking_redo", "tracking_revert", "tracking_revert_to", "rollback"))
DATA_ACTIONS = frozenset(ACTIONS.index(action) for action in ("add", "update", "remove"))


@functools.cache
def _mapping() -> ModuleType:  # an import statement takes a twelfth of `to_dict`
    from pydatatracker.change import mapping

    return mapping


@functools.cache
def _epoch() -> datetime.datetime:
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@functools.total_ordering
class ChangeLogEntry(Change):
    """One change: who, when, where, what, and from which line of code.

    Changes are immutable, hashable by id, and ordered by ``seq``. Paths are relative to the container that was queried.
    Creating one costs about 0.1 us; its attributes are computed when they are read.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> d["port"] = 80
    >>> change = d.last_change()
    >>> change.action, change.pointer, change.before, change.after
    ('add', '/port', MISSING, 80)
    """

    __slots__ = ()

    def __init__(self, *arguments: Any, **options: Any) -> None:  # containers make changes without calling it
        raise TypeError("a ChangeLogEntry is made by a container; to read one, use ChangeLogEntry.from_dict(data)")

    # ---- what and where

    @property
    def paths(self) -> tuple[tuple[Any, ...], ...]:
        """All paths, if the container is stored in more than one location."""
        return tuple(base + self._step for base in self._bases) or (self._step,)

    @property
    def also(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """The (id of a root, path) in which a log has it too.

        For a change that a log gets once, though it happened in several of the containers that the log is about. ()
        for all other changes. O(paths).
        """
        step = self._step
        return tuple((tracker.uuid, base + step) for tracker, base in self._also)

    @property
    def also_cut(self) -> int:
        """Number of further paths that `paths` and `also` leave out. O(1)."""
        return self._left_out

    @property
    def pointer(self) -> str:
        """The path as an RFC 6901 JSON pointer."""
        return to_pointer(self.path)

    @property
    def splice(self) -> tuple[int, tuple[Any, ...], tuple[Any, ...]] | None:
        """``(start, removed, inserted)`` of a list change, or None.

        None for a change of one item, which has `before` and `after`, and for a sort or reverse, which has `order`.
        """
        if self._shape != "splice":
            return None
        shown = _core.as_shown(self)
        removed = tuple(_as_it_was(item, self.seq - 1) for item in shown.old)
        return self.index, removed, tuple(_as_it_was(item, self.seq) for item in shown.new)

    @property
    def order(self) -> tuple[int, ...] | None:
        """For sort, reverse and rotate, the old position of each item, else None.

        ``order[new] == old``. O(items).
        """
        return self._order if self._shape in ("sort", "order", "reverse", "rotate") else None

    @property
    def position(self) -> int | tuple[int | None, ...] | None:
        """Where an undo put a dict's key back, if not at the end.

        Its position among the keys. For a change of several keys, a tuple with a position or None for each row of
        ``changes``, valid when the rows are applied in turn. None for all other changes. O(1), or O(rows).
        """
        beside = self._beside
        if type(beside) is int:
            return beside
        if self._shape != "rows" or beside is None:
            return None
        found = tuple(each if type(each) is int else None for each in beside)
        return None if set(found) == {None} else found

    @property
    def changes(self) -> tuple[tuple[Any, Any, Any], ...]:
        """Rows ``(key, before, after)`` of a bulk call.

        Empty for a change of one item. O(rows).
        """
        if self._shape not in ("rows", "fill", "elements"):
            return ()
        shown = _core.as_shown(self)
        if shown._shape == "rows":
            rows = shown.new
            return tuple(
                (key, _as_it_was(before, self.seq - 1), _as_it_was(after, self.seq))
                for key, before, after in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
            )
        if shown._shape == "fill":
            return tuple((key, MISSING, _as_it_was(value, self.seq)) for key, value in shown.new.items())
        return (*((e, e, MISSING) for e in shown.old), *((e, MISSING, e) for e in shown.new))

    # ---- who, when, from where

    @property
    def between(self) -> tuple[int, int] | None:
        """Of a change that was found: the seqs between which it happened.

        None for all others. It was found by comparing: its
        method is ``"found"``, and it has neither actor nor stack. O(1).
        """
        return None if self.details is None else self.details.between

    @property
    def context(self) -> Mapping[str, Any]:
        """Keyword arguments given to `tracking_actor`."""
        return _NOTHING if self.scope is None or self.scope.context is None else self.scope.context

    @property
    def transaction(self) -> str | None:
        """Id of the transaction that it belongs to, or None."""
        if self.scope is None or self.scope.transaction is None:
            return None
        return self.scope.transaction._id_at(self.seq)

    @property
    def undoes(self) -> int | None:
        """Seq of the change that this one undoes, or None.

        Undo, redo, revert and rollback record it.
        """
        return (self.scope.undoes or None) if self.scope is not None and self.method in _UNDOING else None

    @property
    def created_time(self) -> datetime.datetime:
        """Wall clock, UTC, in whole microseconds."""
        return _epoch() + datetime.timedelta(microseconds=self.time_ns // 1000)

    @property
    def stack(self) -> traceback.StackSummary:
        """The calls that led to it, innermost last.

        Empty unless ``tracking_capture_stack`` is on. O(frames).
        """
        return summary(None if self.details is None else self.details.stack)

    @property
    def culprit(self) -> traceback.FrameSummary | None:
        """The innermost call outside of libraries, from ``stack``, or None.

        That is who changed the data, even if a library or generated code stored the value. `set_library` sets what
        counts as a library. None if the stack was not captured, or has calls of libraries only. O(frames).

        >>> from pydatatracker import TrackedDict
        >>> d = TrackedDict(tracking_capture_stack=True)
        >>> d["port"] = 80
        >>> d.last_change().culprit.name
        '<module>'
        """
        return culprit(None if self.details is None else self.details.stack)

    # ---- the container

    @property
    def tracked_item_uuid(self) -> str:
        """Id of the container that changed."""
        return self._node.uuid

    @property
    def type(self) -> str:
        """Class name of the container that changed."""
        return self._node.type_name

    @property
    def tree(self) -> list[dict[str, Any]]:
        """The containers from the root down to the one that changed.

        Each as a dict with type, uuid and location. O(depth).
        """
        return [
            {"type": node.type_name, "uuid": node.uuid, "location": None if n == 0 else key}
            for n, (key, node) in enumerate(layout(self.place))
        ]

    @property
    def root(self) -> str:
        """Id of the container that was queried or observed.

        Paths start from it. It need not be the root of its tree.
        """
        return self.viewer.uuid

    @property
    def name(self) -> str | None:
        """The `tracking_name` of that container, or None."""
        return self.viewer.name

    # ---- text

    @property
    def extra(self) -> dict[str, Any]:
        """The change as text for people, in a dict that `json.dumps` accepts.

        O(size of the text).
        """
        return extra_of(self)

    def to_dict(self, compact: bool = False) -> dict[str, Any]:
        """Return the change as JSON data, under the names of this class.

        ``compact`` leaves out ``tree``, ``extra`` and every empty key except ``path``, ``location``, ``before`` and
        ``after``. O(size of the values).
        """
        made: dict[str, Any] = _mapping().dict_of(self, compact)
        return made

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChangeLogEntry:
        """Return the change that `to_dict` made a dict of, in any process.

        O(1). Raises TypeError if data is not a mapping.
        """
        from pydatatracker.change import mapping

        return mapping.ReadChange.make(data)

    def format_detailed(self) -> str:
        """Return several lines for a person, one for each fact.

        The stack comes last. O(size of the values).
        """
        from pydatatracker.change import text

        return text.detailed(self)

    def __repr__(self) -> str:
        from pydatatracker.change import text

        return text.one_line(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # IPython's protocol; nothing of it is imported
        printer.text(repr(self))

    def _repr_html_(self) -> str:  # that of Jupyter
        from pydatatracker.change import html

        return html.html_of(self)

    def __rich_repr__(self) -> Iterator[Any]:  # that of rich
        from pydatatracker.change import brief

        return brief.rich_fields(self)

    # ---- identity and order

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChangeLogEntry):
            return NotImplemented
        return self is other or self.uuid == other.uuid

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, ChangeLogEntry):
            return NotImplemented
        return self.seq < other.seq

    def __reduce__(self) -> Any:
        return ChangeLogEntry.from_dict, (self.to_dict(),)

    def __copy__(self) -> ChangeLogEntry:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ChangeLogEntry:
        return self


def _as_it_was(value: Any, seq: int) -> Any:
    """Return a value of a record.

    Of a watched object that is gone, return its state then. O(1), or what `state_at` costs.
    """
    if type(value) is not _core.WatchedTracker:
        return value
    from pydatatracker.change.rewind import value_at

    return value_at(value, seq)


def start_of(container: Any) -> list[ChangeLogEntry]:
    """Return [the derived init of container], or [] if it is not known.

    It is not known if changes since the container's birth are no longer kept. O(items + changes).
    """
    _time_ns, seq = _core.born(container)
    if any(log.last_lost > seq for log in _core.logs(container)):
        return []
    return [_core.init_change(container, _Start(container, seq))]


def first_state(value: Any) -> Any:
    """Return the state of an init, given its value."""
    return value.state() if isinstance(value, _Start) else value


class _Start:
    """Stands for a container's first state until it is read."""

    __slots__ = ("container", "seq")

    def __init__(self, container: Any, seq: int) -> None:
        self.container = container
        self.seq = seq

    def state(self) -> Any:
        try:
            return shown_at(self.container, self.seq)
        except LookupError:  # later changes are no longer kept
            return MISSING


def settle_entries(entries: list[ChangeLogEntry]) -> None:
    """Keep the texts that need later records, as these leave the ring.

    The core calls it with entries whose records are about to be dropped. One rewind serves all of them: O(records + the
    text of each state).
    """
    viewers = {id(entry.viewer): entry.viewer for entry in entries}
    for viewer in viewers.values():
        container = viewer.container
        if container is None:
            continue
        rewind = Rewind(container, min(entry.seq for entry in entries if entry.viewer is viewer) - 1)
        known: dict[int, tuple[str, str, Any]] = {}
        mark = _core.rules_mark(container)
        for entry in sorted((e for e in entries if e.viewer is viewer), key=lambda e: e.seq, reverse=True):
            try:
                if entry.seq not in known:
                    after = rewind.back_to(entry.seq)
                    post = text(_core.redacted_state(container, after, rewind.trackers()))
                    before = rewind.back_to(entry.seq - 1)
                    pre = _core.redacted_state(container, before, rewind.trackers())
                    known[entry.seq] = text(pre), post, mark
                entry.settled = known[entry.seq]
            except LookupError:
                break
