"""The past, from records: a container's state, by undoing what came later.

Every container is rewound on its own, newest record first, in a plain copy. Where it held another tracked container,
the copy holds the copy of that one, which is rewound in turn. A record belongs to its container for good, so this is
right for containers that were moved, removed, or are stored in several trees: the process-wide sequence number puts the
logs in one order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, Change, Tracker
from pydatatracker.change.bulk_rows import in_turn, is_move
from pydatatracker.change.key_order import KeyOrder
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.standins import is_redacted

__all__ = [
    "HistoryLostError",
    "Rewind",
    "collect",
    "is_computed",
    "require_kept",
    "shown_at",
    "state_at",
    "state_then",
    "take_back_plain",
    "value_at",
    "value_then",
]


class HistoryLostError(LookupError):
    """A point in the past is older than the oldest record that is kept."""


def state_at(container: Any, seq: int) -> Any:
    """Return plain data as a container was just after change seq.

    What `tracking_redact` names is withheld. O(result + changes undone). Raises HistoryLostError if records that are
    needed are no longer kept, and RedactedError if a value of that time was never recorded.
    """
    return state_then(container, seq)[0]


def state_then(
    container: Any, seq: int, stops: Callable[[Tracker], bool] | None = None
) -> tuple[Any, dict[int, Tracker]]:
    """Return what `state_at` returns, and the trackers of the states in it.

    By the id of the state.

    :param stops: at which containers it stops: they are in the state themselves.
    """
    rewind = Rewind(container, seq, stops)
    state = rewind.back_to(seq)
    if rewind.withheld:
        _refuse(container, state)
    trackers = rewind.trackers()
    return _core.redacted_state(container, state, trackers), trackers


def value_at(value: Any, seq: int) -> Any:
    """Return a value as it was just after change seq, if that is known.

    A tracked container is returned as plain data. It is returned as it is now if its records are no longer kept, or if
    it is nested deeper than Python recurses. Other values are returned as they are. Costs what `state_at` does.
    """
    return value_then(value, seq)[0]


def value_then(value: Any, seq: int) -> tuple[Any, dict[int, Tracker]]:
    """Return what `value_at` returns, and the trackers of the states in it.

    By the id of the state; none if it is returned as it is now, or something in it is withheld.
    """
    if _core.tracker(value) is None or not _core.changed_since(value, seq):
        return value, {}
    try:
        rewind = Rewind(value, seq)
        state = rewind.back_to(seq)
        if rewind.withheld:
            _refuse(value, state)
        shown = _core.redacted_state(value, state, rewind.trackers())
        return shown, rewind.trackers() if shown is state else {}
    except (LookupError, RecursionError):
        return value, {}


def shown_at(container: Any, seq: int) -> Any:
    """Return the state just after change seq as it may be shown to people.

    What `tracking_redact` names is withheld. Costs and raises what `state_at` does.
    """
    rewind = Rewind(container, seq)
    state = rewind.back_to(seq)
    return _core.redacted_state(container, state, rewind.trackers())


def _refuse(container: Any, state: Any) -> None:
    """Raise RedactedError with the path of the first value that is withheld."""
    from pydatatracker.values.redact import RedactedError

    todo: list[tuple[tuple[Any, ...], Any]] = [((), state)]
    seen = set()
    while todo:
        path, value = todo.pop()
        if is_redacted(value):
            raise RedactedError(
                f"the state cannot be returned: tracking_redact withholds"
                f" {to_pointer(_core.shown_path(container, path))}, so its value at that time was not recorded; omit"
                " the path from tracking_redact to record it"
            )
        if id(value) not in seen and isinstance(value, (dict, list)):
            seen.add(id(value))
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            todo.extend(((*path, key), item) for key, item in pairs)


def _has_lost_keys(change: Change) -> bool:
    """Return True if a change has a key that was not recorded.

    O(items of the change).
    """
    if change._node.kind not in ("dict", "set"):
        return False
    shape = change._shape
    if shape == "rows":
        return any(map(is_redacted, change.new[::3]))
    if shape == "elements":
        return any(map(is_redacted, (*change.old, *change.new)))
    return is_redacted(change.key)


def _refuse_keys(change: Any) -> None:
    """Raise RedactedError for a change whose keys are not known."""
    from pydatatracker.values.redact import RedactedError

    raise RedactedError(
        f"the state before {change!r} is not known: tracking_redact withholds the key or element that changed, so it"
        " was not recorded; omit what it holds from tracking_redact to record it"
    )


def require_kept(log: Any, seq: int) -> None:
    """Raise HistoryLostError if a log does not keep all changes after seq.

    O(1).
    """
    if log.last_missed > seq:
        raise HistoryLostError(
            f"the state after change {seq} is not known: change {log.last_missed} could not be recorded, for want of"
            " memory"
        )
    if log.last_dropped > seq:
        raise HistoryLostError(
            f"the state after change {seq} is gone: {log.dropped} older changes are no longer kept, the newest of"
            f" them is {log.last_dropped}; a larger tracking_max_changes keeps more"
        )


class Node:
    """One container while it is rewound."""

    __slots__ = ("changes", "last", "order", "state")

    def __init__(self, state: Any, changes: list[Change]) -> None:
        self.state = state
        self.changes = changes  # not yet undone, oldest first
        self.last = -1
        self.order: KeyOrder | None = None  # of a dict's keys, while its own is not the right one

    def settle(self) -> None:
        """Give a dict the order of keys that it should have.

        O(items) if a key returned between others.
        """
        if self.order is not None:
            items = [(key, self.state[key]) for key in self.order.in_turn()]
            self.state.clear()
            self.state.update(items)
            self.order = None


class Rewind:
    """A container and all that it holds, rewound step by step.

    Every step goes further into the past.

    :param first: the seq of the earliest state that is asked for: earlier records are not read.
    :param stops: at which containers it stops: they are in the state themselves, as they are now.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> for n in range(3):
    ...     d["n"] = n
    >>> rewind = Rewind(d)
    >>> [rewind.back_to(change.seq)["n"] for change in reversed(d.tracking_changes()[1:])]
    [2, 1, 0]
    """

    def __init__(self, container: Any, first: int = 0, stops: Callable[[Tracker], bool] | None = None) -> None:
        self._container = container
        self._first = first
        self._stops = stops
        self._stopped: dict[int, Tracker] = {}  # by the id of the container
        self._nodes: dict[int, Node] = {}  # by id of tracker
        self._trackers: list[Tracker] = []  # keeps their ids valid
        self._logs: list[Any] = []
        self._read_logs: set[int] = set()  # their ids
        self._waiting: dict[int, list[Change]] = {}  # changes of containers that were not seen yet
        self._fresh: list[Node] = []
        self._unsettled: list[Node] = []  # dicts whose order is not the right one yet
        self._seq = _core.newest_seq()
        self._lost = 0  # newest seq that may have been in a log that died
        self.withheld = False  # is a value in the state that tracking_redact withholds?
        self._of(container)

    def back_to(self, seq: int) -> Any:
        """Return the state just after change seq, as plain data.

        The next step changes it in place. O(changes undone). Raises HistoryLostError if records that are needed are no
        longer kept.
        """
        self._seq = seq
        self._require_all(seq)
        todo = list(self._nodes.values())
        while todo:
            self._fresh = []
            for node in todo:
                changes = node.changes
                while changes and changes[-1].seq > seq:
                    change = changes.pop()
                    if change.seq != node.last:  # a change in two trees is in two logs
                        self._take_back(node, change)
                    node.last = change.seq
            todo = self._fresh
            if todo:
                self._require_all(seq)
        for node in self._unsettled:
            node.settle()
        self._unsettled.clear()
        return self._of(self._container)

    def _require_all(self, seq: int) -> None:
        for log in self._logs:
            require_kept(log, seq)
        if self._lost > seq:
            raise HistoryLostError(
                f"the state after change {seq} is gone: a container that is part of it was changed in a tree whose root"
                " no longer exists, and a log ends with its root; keep a reference to the root"
            )

    def trackers(self) -> dict[int, Tracker]:
        """Return the trackers of the states, by the id of the state.

        O(containers).
        """
        found = {id(node.state): tracker for node, tracker in zip(self._nodes.values(), self._trackers, strict=True)}
        return found | self._stopped

    def plain_of(self, value: Any) -> Any:
        """Return the plain state of a tracked value at the point reached so far.

        Other values are returned as they are.
        """
        before = len(self._trackers)
        state = self._of(value)
        if len(self._trackers) > before:  # new here: it has to be rewound, too
            self.back_to(self._seq)
        return state

    def _of(self, value: Any) -> Any:
        """Return the plain copy that stands for a tracked value.

        Other values are returned as they are.
        """
        tracker = _core.tracker(value)
        if tracker is None:
            self.withheld = self.withheld or is_redacted(value)
            return value
        node = self._nodes.get(id(tracker))
        if node is None and self._stops is not None and self._stops(tracker):
            self._stopped[id(value)] = tracker
            return value
        if node is None:
            for log in _core.logs(value):
                if id(log) not in self._read_logs:
                    self._read_logs.add(id(log))
                    self._read(log)
            self._lost = max(self._lost, _core.lost_seq(value))
            state = _core.plain(value)
            if tracker.kind == "tuple":  # it does not change, but what it holds does
                state = tuple([self._of(item) for item in state])
                if id(tracker) in self._nodes:  # it holds itself, through something below it
                    return self._nodes[id(tracker)].state
            node = Node(state, sorted(self._waiting.pop(id(tracker), []), key=lambda change: change.seq))
            self._nodes[id(tracker)] = node
            self._trackers.append(tracker)
            self._fresh.append(node)
            if isinstance(state, dict):
                for key, item in state.items():
                    state[key] = self._of(item)
            elif isinstance(state, list):
                state[:] = [self._of(item) for item in state]
        return node.state

    def _read(self, log: Any) -> None:
        self._logs.append(log)
        for change in _core.log_changes(log, self._first):
            node = self._nodes.get(id(change._node))
            if node is None:
                self._waiting.setdefault(id(change._node), []).append(change)
            elif node.last < 0 or change.seq < node.last:  # else it was undone already, from another log
                node.changes.append(change)
                node.changes.sort(key=lambda each: each.seq)

    def _take_back(self, node: Node, change: Change) -> None:
        if change._node.kind == "attr" and is_computed(change):
            return
        if change._withholds and _has_lost_keys(change):
            _refuse_keys(change)
        settled = node.order is None
        _take_back(node.state, change, self._of, node)
        if settled and node.order is not None:
            self._unsettled.append(node)


def is_computed(change: Change) -> bool:
    """Return True if a change was made through a property.

    A property has no state of its own: what it computes from does. O(1).
    """
    container = change._node.container
    return isinstance(getattr(type(container), str(change.key), None), property)


def _take_back(state: Any, change: Change, plain: Any, node: Node | None = None) -> None:
    """Undo one change of a container on a plain copy of it.

    ``node``: keeps the order of a dict's keys; without it, keys that return are the last.
    ``plain`` turns values that come back into plain data. O(1), or O(items of the change).
    """
    shape = change._shape
    if isinstance(state, list):
        _take_back_list(state, change, shape, plain)
    elif isinstance(state, set):
        if shape == "slot":
            (state.discard if change.old is MISSING else state.add)(change.key)
        elif shape == "elements":
            state.difference_update(change.new)
            state.update(change.old)
    elif shape == "slot":
        _put_back(state, change.key, change.old, plain, node, change._beside)
    elif shape == "rows":
        rows, beside = change.new, change._beside
        if is_move(rows):
            _put_back(state, rows[0], MISSING, plain, node)
            _put_back(state, rows[0], rows[1], plain, node, None if beside is None else beside[0])
            return
        gone = [n for n in range(0, len(rows), 3) if rows[n + 2] is MISSING]
        for n in gone:  # their order is that of the dict
            _put_back(state, rows[n], rows[n + 1], plain, node, None if beside is None else beside[n // 3])
        for n in range(len(rows) - 3, -1, -3):
            if rows[n + 2] is not MISSING:
                _put_back(state, rows[n], rows[n + 1], plain, node)
    elif shape == "fill":
        for key in change.new:
            _put_back(state, key, MISSING, plain, node)


def _put_back(state: dict[Any, Any], key: Any, before: Any, plain: Any, node: Node | None, beside: Any = None) -> None:
    if before is MISSING:
        state.pop(key, None)
        if node is not None and node.order is not None:
            node.order.remove(key)
        return
    if node is not None and key not in state:
        if node.order is None and type(beside) is tuple:
            node.order = KeyOrder(state)
        if node.order is not None:
            node.order.add(key, beside)
    state[key] = plain(before)


def _take_back_list(state: list[Any], change: Change, shape: str, plain: Any) -> None:
    if shape == "slot":
        if change.old is MISSING:
            del state[change.index]
        elif change.new is MISSING:
            state.insert(change.index, plain(change.old))
        else:
            state[change.index] = plain(change.old)
    elif shape == "splice":
        state[change.index : change.index + len(change.new)] = [plain(item) for item in change.old]
    elif shape in ("sort", "order", "reverse", "rotate"):
        now = list(state)
        for new, old in enumerate(change._order):
            state[old] = now[new]
    elif shape == "rows":
        for rows in reversed(in_turn(change.new)):
            _take_back_rows(state, rows, plain)


def _take_back_rows(state: list[Any], rows: Any, plain: Any) -> None:
    if rows[1] is MISSING:  # inserted, each with its index at that time
        for n in range(len(rows) - 3, -1, -3):
            del state[rows[n]]
        return
    for n in range(0, len(rows), 3):
        if rows[n + 2] is MISSING:
            state.insert(rows[n], plain(rows[n + 1]))
        else:
            state[rows[n]] = plain(rows[n + 1])


def take_back_plain(state: Any, change: Change) -> None:
    """Undo one change of a container on a plain copy of it.

    Values that come back stay as they are. O(1), or O(items of the change).
    """
    _take_back(state, change, lambda value: value)


def collect(container: Any) -> tuple[dict[int, tuple[int, Any, Any]], dict[int, list[Change]]]:
    """Return the containers at or below a container, and their changes.

    The result is ({id of tracker: (id of its parent's or 0, key there, container)}, {id of tracker: changes}). The
    changes are oldest first, from every log that one of the containers wrote to. O(items + records).
    """
    nodes: dict[int, tuple[int, Any, Any]] = {}
    logs: dict[int, Any] = {}
    todo: list[tuple[int, Any, Any]] = [(0, None, container)]
    for above, at, each in todo:
        tracker = _core.tracker(each)
        if tracker is None or id(tracker) in nodes:
            continue
        nodes[id(tracker)] = (above, at, each)
        logs.update((id(log), log) for log in _core.logs(each))
        if _core.children(each):
            held = _core.plain(each)
            if isinstance(held, set):
                todo.extend((id(tracker), item, item) for item in held)
            else:
                pairs = held.items() if isinstance(held, dict) else enumerate(held)
                todo.extend((id(tracker), key, item) for key, item in pairs)
    changes: dict[int, dict[int, Change]] = {}
    for log in logs.values():
        for change in _core.log_changes(log, 0):
            if id(change._node) in nodes:
                changes.setdefault(id(change._node), {})[change.seq] = change
    return nodes, {node: [found[seq] for seq in sorted(found)] for node, found in changes.items()}
