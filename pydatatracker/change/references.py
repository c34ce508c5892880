"""References: containers of a change that are elsewhere in the data.

A log that copied them would have two of what is one, and one of them would go stale: a change is logged at the places
of its container, and a link that closes a cycle makes no place.

The paths are those of the state just before the change. A reader looks there, and then applies the change.

Where there are cycles, the line also has the id of each container that comes with it. What a root reaches only by a
link that closes a cycle may be below another root alone, and its changes are in the lines of that one: by the id, a
reader of both knows that it is one container. What was a root has its id everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydatatracker import _core
from pydatatracker._core import MISSING, Tracker
from pydatatracker.change.rewind import Rewind, value_then
from pydatatracker.values.standins import At

__all__ = ["BEGUN", "Begun", "References", "references_of"]


class Begun(NamedTuple):
    """What a process log has of its roots, while a line is written."""

    roots: set[int] | None = None  # numbers of what is or was one: lines have their ids
    graphs: Collection[int] = ()  # numbers of those whose lines have the id of each container that they hold
    states: Mapping[int, Tracker] = MappingProxyType({})  # of an init: the tracker of a plain state, by its id
    has: Callable[[str, tuple[Any, ...]], bool] | None = None  # (root, path): is it in the log? None: everything is


_NOTHING: Final = Begun()
BEGUN: Final[ContextVar[Begun]] = ContextVar("BEGUN", default=_NOTHING)

Paths = list[tuple[Any, ...] | None]  # from each viewer of a change; None if no path leads there
_DATA = (dict, list, set)
_STATES = (dict, list, tuple, set)
_KEYS = (str, int)  # of a path that a reader may follow, and tuples of these: no code runs to compare them


def _may_follow(key: Any) -> bool:
    return type(key) in _KEYS or (type(key) is tuple and all(map(_may_follow, key)))


def references_of(change: Any, in_graph: bool = False) -> References:
    """Return the references for the values of a change, as they were then.

    ``in_graph``: whether a value is known to have a container that was in a cycle.
    """
    if change.action == "init":
        return Occurrences(change, in_graph)
    return References(change, in_graph) if change.seq == _core.newest_seq() else _OldReferences(change, in_graph)


def is_large_root(tracker: Any) -> bool:
    """Return whether a line can refer to a container by its id alone. O(1).

    The log has it as a root with all ids, and it is too large for a copy.
    """
    return tracker.number in BEGUN.get().graphs and _core.is_large(tracker)


class References:
    """The references for the values of the newest change.

    ``used``: whether one was given out. ``ids``: the ids of containers, by the pointer to them in the line.
    ``met_cycle``: whether a value had a container that was in one, and that was not known before.
    """

    def __init__(self, change: Any, in_graph: bool = False) -> None:
        self.change = change
        self.used = False
        self.ids: dict[str, str] = {}
        self.met_cycle = False
        self._viewers: list[Tracker] = [change.viewer, *(change.others or ())]
        self.in_graph = in_graph or any(map(_core.has_cycles, self._viewers))  # so each container is written once
        self._pointer: str | None = None  # to the value, in the line; None: it gets no ids
        self._noted: dict[object, Paths] = {}  # by identity: its path from each of the viewers
        self._base: list[tuple[Any, ...]] | None = None  # of the value, from each of the viewers

    def then(self, value: Any) -> Any:
        """Return a value as it was just after the change.

        O(1), or what `state_at` costs.
        """
        return value

    def begin(self, key: Any, pointer: str | None) -> None:
        """Begin a value, which was at a key before the change.

        MISSING: it was not there. ``pointer``: to a new value, in the line.
        """
        self._base = None
        self._pointer = pointer
        if _may_follow(key):
            bases = self._bases()
            self._base = None if bases is None else [(*base, key) for base in bases]

    def identity(self, source: object) -> object | None:
        """Return the tracker of a container that may be elsewhere.

        That is the root, and what `_core.shared` says. None for others: they are written wherever they are.
        """
        tracker = _core.shared(source, self.in_graph)
        if tracker is None:
            own = _core.tracker(source)
            if own is not None and (own is self.change.viewer or own.number in (BEGUN.get().roots or ())):
                return own
        return tracker

    def at(self, identity: object) -> At | None:
        """Return where a container is, besides in the value; None if nowhere."""
        paths = self._noted.get(identity) or self._paths(identity)
        is_known = None in paths and is_large_root(identity)
        if not is_known and not any(path is not None for path in paths):
            return None
        self.used = True
        also = [(each.uuid, path) for each, path in zip(self._viewers[1:], paths[1:], strict=True) if path is not None]
        return At(paths[0], tuple(also), True if None in paths and not is_known else None)

    def note(self, identity: object, keys: tuple[Any, ...]) -> None:
        """Note that a container is at keys below the value, before the change."""
        if self._base is not None:
            self._noted[identity] = [(*base, *keys) for base in self._base]

    def again(self) -> None:
        """Note that a container occurs again in a value."""
        self.used = True

    def wrote(self, source: object, holder: object, pointer: Callable[[], str]) -> None:
        """Note the id of a container that is written, or referred to."""
        if self._pointer is None:
            return
        tracker = self.tracker(source)
        if tracker is None:
            return
        if self.names(tracker) or (holder is not None and self.tracker(holder) is None):
            _core.note_ids()
            self.ids[self._pointer + pointer()] = tracker.uuid
        if not self.in_graph and _core.shared(tracker, False) is not None:
            self.met_cycle = True

    def names(self, tracker: Tracker) -> bool:
        """Return whether the line has the id of a container in it."""
        return self.in_graph or tracker.number in (BEGUN.get().roots or ())

    def forget(self) -> None:
        """Forget what was noted: the value is written anew."""
        self.ids.clear()

    def tracker(self, source: object) -> Tracker | None:
        """Return the tracker of a container in a value; None if it has none."""
        return _core.tracker(source)

    def _bases(self) -> list[tuple[Any, ...]] | None:
        """Return the path to the container that changed from each viewer."""
        own: tuple[tuple[Any, ...], ...] = self.change._bases or ((),)
        has = BEGUN.get().has
        found: dict[str, tuple[Any, ...]] = {}
        for tracker, base in (
            *((self.change.viewer, base) for base in own),
            *(self.change._also if self.change.others else ()),
        ):
            if has is None or not base or has(tracker.uuid, (*base, "")):
                found.setdefault(tracker.uuid, base)
        bases = [found.get(each.uuid) for each in self._viewers]
        if any(base is None or not all(map(_may_follow, base)) for base in bases):
            return None
        return bases  # type: ignore[return-value]  # none is None

    def _paths(self, tracker: Any) -> Paths:
        """Return the path to a container from each viewer, or None."""
        has = BEGUN.get().has
        return [_core.elsewhere(self.change, tracker, viewer, has) for viewer in self._viewers]


class Occurrences(References):
    """The references of an init line: what occurs again in the state itself.

    A state that was rewound has the same object where the data has the same container.
    """

    def __init__(self, change: Any, in_graph: bool = False) -> None:
        self._states = BEGUN.get().states
        viewer = change.viewer
        in_graph = in_graph or any(
            _core.shared(each, False) is not None or (each is not viewer and is_large_root(each))
            for each in self._states.values()
        )
        super().__init__(change, in_graph)

    def names(self, tracker: Tracker) -> bool:
        return tracker is not self.change.viewer and (self.in_graph or _core.has_ids())

    def tracker(self, source: object) -> Tracker | None:
        if source is self.change.new:
            viewer: Tracker = self.change.viewer
            return viewer
        return _core.tracker(source) or self._states.get(id(source))

    def identity(self, source: object) -> object | None:
        tracker = self.tracker(source)
        return id(source) if tracker is None and issubclass(type(source), _DATA) else tracker

    def at(self, identity: object) -> At | None:
        if not isinstance(identity, Tracker) or identity is self.change.viewer or not is_large_root(identity):
            return None
        self.used = True
        return At(None)


class _OldReferences(References):
    """The references for the values of a change that others followed.

    O(records + state) if a value has a container that a cycle led to.
    """

    def __init__(self, change: Any, in_graph: bool = False) -> None:
        super().__init__(change, in_graph)
        self._trackers: dict[int, Tracker] = {}  # by the id of a state
        self._states: list[Any] = []  # keeps these ids valid
        self._before: list[dict[Tracker, tuple[Any, ...]]] | None = None  # paths from each viewer

    def then(self, value: Any) -> Any:
        state, trackers = value_then(value, self.change.seq)
        if state is not value:
            self._trackers.update(trackers)
            self._states.append(state)
        return state

    def identity(self, source: object) -> object | None:
        return super().identity(self._source(source))

    def tracker(self, source: object) -> Tracker | None:
        return _core.tracker(self._source(source))

    def _source(self, state: object) -> object:
        tracker = self._trackers.get(id(state))
        return state if tracker is None else tracker.container

    def _paths(self, tracker: Any) -> Paths:
        if self._before is None:
            self._before = [self._paths_below(viewer) for viewer in self._viewers]
        return [paths.get(tracker) for paths in self._before]

    def _paths_below(self, viewer: Tracker) -> dict[Tracker, tuple[Any, ...]]:
        """Return the shortest path to each container, before the change.

        What the change replaced or took out is not among them. O(records + state).
        """
        seq, container = self.change.seq - 1, viewer.container
        if container is None:  # it is gone
            return {}
        try:
            rewind = Rewind(container, seq)
            state = rewind.back_to(seq)
        except (LookupError, RecursionError):
            return {}
        trackers = rewind.trackers()
        has = BEGUN.get().has
        changed, gone = self.change._node, _changed_keys(self.change)
        paths: dict[Tracker, tuple[Any, ...]] = {}
        met: set[int] = set()
        level: list[tuple[Any, tuple[Any, ...]]] = [(state, ())]
        for each, path in level:
            tracker = trackers.get(id(each))
            if id(each) in met or type(each) is set:
                if tracker is not None:
                    paths.setdefault(tracker, path)
                continue
            met.add(id(each))
            if tracker is not None:
                paths.setdefault(tracker, path)
            if tracker is changed and gone is None:
                continue
            for key, item in each.items() if type(each) is dict else enumerate(each):
                if type(item) not in _STATES or not _may_follow(key):
                    continue
                if has is not None and not path and not has(viewer.uuid, (key, "")):
                    continue
                if tracker is not changed or gone is None or key not in gone:
                    level.append((item, (*path, key)))
        return paths


def _changed_keys(change: Any) -> Any:
    """Return the keys whose values a change replaced or took out.

    None: any of them, because the indices of a list are not those before.
    """
    shape = change._shape
    if shape == "slot":
        if change.old is MISSING:
            return ()
        key = change.key if change.index < 0 else change.index
        return (key,) if _may_follow(key) else ()
    if shape == "splice":
        return range(change.index, change.index + len(change.old))
    if change._node.kind in ("list", "deque"):
        return None
    return [key for key in change.new[::3] if _may_follow(key)] if shape == "rows" else ()
