"""Net changes: what differs from a state in the past, path by path.

Each path has at most one change; `merge_patch` gives the same as a merge patch (RFC 7396).

The container is rewound beside a copy of its present state. A slot that was stored to is compared as a whole, then and
now; below one that was not, the same container has been there all the time, and its slots are compared in turn. Items
of lists are followed by tokens: every item has one, a shift moves it, a removal removes it.
"""

from __future__ import annotations

import pickle
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any, Final

from pydatatracker import _core
from pydatatracker._core import MISSING, Change
from pydatatracker.change.bulk_rows import in_turn
from pydatatracker.change.rewind import Rewind
from pydatatracker.history.walk import Walk, addressable, linked_copy, plain_copy, span
from pydatatracker.values.compare import alike
from pydatatracker.values.encode import decode, encode
from pydatatracker.values.pointer import to_pointer

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["NetChange", "merge_patch", "net_changes"]

Path = tuple[Any, ...]

_PATHS: Final = 256  # of one container in which it is compared, as many as `change.paths` has
_PATCHED: Final = 1_000_000  # the same for a merge patch, which has to write each of them


@dataclass(frozen=True, slots=True)
class NetChange:
    """The difference at one path: the plain data before and after.

    ``change`` is the last change that touched it.
    """

    path: Path
    pointer: str
    action: str  # add, update, remove
    before: Any
    after: Any
    change: ChangeLogEntry

    def __getstate__(self) -> list[Any]:
        """Return the fields, each of which can be pickled.

        O(values). What cannot be pickled is as a log would have it.
        """
        path, before, after = (_picklable(value) for value in (self.path, self.before, self.after))
        return [path, self.pointer, self.action, before, after, self.change]

    def __setstate__(self, state: list[Any]) -> None:
        for name, value in zip(_FIELDS, state, strict=True):
            object.__setattr__(self, name, value)


_FIELDS = ("path", "pointer", "action", "before", "after", "change")


def _picklable(value: Any) -> Any:
    try:
        pickle.dumps(value)
    except Exception:  # whatever a class raises
        return decode(encode(value, limit=None))
    return value


def net_changes(container: Any, since: int | None = None) -> list[NetChange]:
    """Return the differences from the state after change since.

    At most one for each path, in document order. ``since=None``: the birth of the container.

    What was set and set back is not listed; what was added is one difference with everything that it holds now. A list
    is compared item by item. An item is known through shifts and has its index as it is now (a removed one: as it was
    then); a list whose items changed their order is one update. ``change`` is the last that touched the value or
    anything in it. Of a container with more than 256 paths, the shortest 256 are compared. A value that holds itself
    is copied as one that holds itself.

    O(items of container + changes). Raises HistoryLostError if records that are needed are no longer kept, TypeError
    for anything but a seq.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict(a=1, b=2)
    >>> d.update(a=5, b=3, c=4)
    >>> d["a"] = 1
    >>> [(net.action, net.pointer, net.before, net.after) for net in net_changes(d)]
    [('update', '/b', 2, 3), ('add', '/c', MISSING, 4)]
    """
    return list(_Comparison(container, since).changes())


def merge_patch(container: Any, since: int | None = None) -> Any:
    """Return the RFC 7396 merge patch from the state after since to now.

    It is made from the net changes: objects are merged, removed keys are null, lists and sets are replaced as a whole;
    {} if nothing changed. For a list or set it is all of it. Costs and raises what `net_changes` does; ValueError for
    what a merge patch cannot express: None as a new value of a key (null removes it), a key that is not a str, a value
    that holds itself, and a container with more than a million paths.

    >>> from pydatatracker import track
    >>> d = track({"a": 1, "cfg": {"ports": [80], "on": True}})
    >>> del d["a"]
    >>> d["cfg"]["ports"].append(443)
    >>> merge_patch(d)
    {'a': None, 'cfg': {'ports': [80, 443]}}
    """
    comparison = _Comparison(container, since)
    root = comparison.root
    if not isinstance(root, dict):
        return _sayable(plain_copy(_core.redacted_state(container, root, comparison.trackers)), ())
    patch: dict[str, Any] = {}
    whole: set[Path] = set()
    for net in comparison.changes(_PATCHED):
        at, target = root, patch
        for n, step in enumerate(net.path):
            path = net.path[: n + 1]
            _check_key(step, path)
            if n == len(net.path) - 1:
                target[step] = None if net.after is MISSING else _merging(net.before, plain_copy(net.after), path)
            elif isinstance(at[step], dict):
                at = at[step]
                target = target.setdefault(step, {})
            else:
                if path not in whole:
                    whole.add(path)
                    target[step] = _sayable(plain_copy(comparison.shown(path, at[step])), path)
                break
    if comparison.is_cut:
        raise ValueError(
            f"the data has the same containers in more than {_PATCHED:,} places, and a patch writes each of them"
        )
    return patch


def _merging(before: Any, after: Any, path: Path) -> Any:
    """Return the merge patch that turns before into after."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return _sayable(after, path)
    made: dict[str, Any] = {}
    for key in [*after, *(key for key in before if key not in after)]:
        then, now = before.get(key, MISSING), after.get(key, MISSING)
        if not alike(then, now):
            _check_key(key, (*path, key))
            made[key] = None if now is MISSING else _merging(then, now, (*path, key))
    return made


def _sayable(value: Any, path: Path, in_list: bool = False) -> Any:
    """Return value, if a merge patch can store it.

    Raises ValueError for a null outside of a list, and for a key that is not a str.
    """
    if value is None and not in_list:
        raise ValueError(
            f"None at {to_pointer(path)!r} cannot be set by a merge patch, where null removes the key; use patch"
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, (*path, key))
            _sayable(item, (*path, key), in_list)
    elif isinstance(value, (list, tuple)):
        for n, item in enumerate(value):
            _sayable(item, (*path, n), True)
    return value


def _check_key(key: Any, path: Path) -> None:
    if not addressable(key):
        raise ValueError(
            f"{key!r} at {to_pointer(path)!r} cannot be a key of a merge patch, which has str keys only; use patch"
        )


class _Token:
    """Stands for one item of a list, wherever it is shifted."""

    __slots__ = ("change",)

    def __init__(self, change: Any = None) -> None:
        self.change = change  # the newest that touched it


class _Touched:
    """What was done to one container since then."""

    __slots__ = ("keys", "newest", "now", "then")

    def __init__(self, newest: Any, state: Any) -> None:
        self.newest = newest
        self.keys: dict[Any, Any] = {}  # key or element -> the newest change that stored there
        self.then = [_Token() for _ in state] if isinstance(state, list) else []  # going back
        self.now = list(self.then)


class _Comparison:
    """The state then and the state now, container by container."""

    def __init__(self, container: Any, since: int | None) -> None:
        since, until = span(container, since, None)
        seen = {change.seq: change for change in _core.changes_of(container, since)}
        now = Rewind(container, until)
        self.root = now.back_to(until)
        self._now = now  # keeps the trackers, so that their ids stay valid
        self._ids = {id(node.state): tracker for tracker, node in now._nodes.items()}
        self._states = {tracker: node.state for tracker, node in now._nodes.items()}
        self._touched: dict[int, _Touched] = {}
        walk = Walk(container, since, until)
        while (found := walk.newest()) is not None:
            node, change = found
            if change._shape != "whole":
                entry = seen.get(change.seq) or change._seen_from(change._node)  # else it happened outside
                self._note(change, entry, node.state)
            walk.undo(node, change)
        self._then = {tracker: node.state for tracker, node in walk._nodes.items()}
        self._walk = walk
        self._container = container
        self.trackers = now.trackers() | walk.trackers()
        self._dirty = self._reaching(self._touched)
        self.is_cut = False  # were paths left out?

    def shown(self, path: Path, value: Any) -> Any:
        """Return a value without what `tracking_redact` names. O(value)."""
        return _core.redacted_at(self._container, path, value, self.trackers)

    def changes(self, most: int = _PATHS) -> list[NetChange]:
        """Return the differences in document order.

        Each container is compared in its shortest ``most`` paths. O(items * paths).
        """
        found: list[tuple[tuple[int, ...], NetChange]] = []  # each with its position in the document
        compared: Counter[int] = Counter()  # by tracker: paths
        queue: deque[tuple[Any, Path, tuple[int, ...], frozenset[int]]] = deque([(self.root, (), (), frozenset())])
        while queue:
            now, path, position, above = queue.popleft()
            tracker = self._ids.get(id(now))
            if tracker is None or tracker in above or tracker not in self._dirty:
                continue
            if compared[tracker] == most:
                self.is_cut = True
                continue
            compared[tracker] += 1
            above = above | {tracker}
            for n, each in enumerate(self._inside(now, tracker, path)):
                if isinstance(each, NetChange):
                    found.append(((*position, n), each))
                else:
                    queue.append((*each, (*position, n), above))
        found.sort(key=lambda each: each[0])
        return [net for _, net in found]

    # ---- rewinding

    def _note(self, change: Change, entry: Any, state: Any) -> None:
        touched = self._touched.get(id(change._node))
        if touched is None:
            touched = self._touched[id(change._node)] = _Touched(entry, state)
        shape = change._shape
        if isinstance(state, list):
            _note_list(touched.then, change, shape, entry)
        elif shape == "slot":
            touched.keys.setdefault(change.key, entry)
        else:
            rows = change.new
            keys = (*change.old, *rows) if shape == "elements" else rows[::3] if shape == "rows" else rows
            for key in keys:
                touched.keys.setdefault(key, entry)

    # ---- comparing

    def _inside(self, now: Any, tracker: int, path: Path) -> Iterator[NetChange | tuple[Any, Path]]:
        """Yield what differs in a container that was at this path all the time.

        A part that was there all the time, too, is yielded with its path.
        """
        then, touched = self._then[tracker], self._touched.get(tracker)
        if isinstance(now, list):
            yield from self._in_list(then, now, touched, path)
            return
        keys = touched.keys if touched is not None else {}
        if isinstance(now, set):
            for key in reversed(keys):
                before, after = key if key in then else MISSING, key if key in now else MISSING
                yield from self._place((*path, key), before, after, keys[key])
            return
        for key in [*(key for key in then if key not in now), *now]:
            if key in keys:
                yield from self._place((*path, key), then.get(key, MISSING), now.get(key, MISSING), keys[key])
            else:
                yield now[key], (*path, key)

    def _in_list(
        self, then: list[Any], now: list[Any], touched: _Touched | None, path: Path
    ) -> Iterator[NetChange | tuple[Any, Path]]:
        if touched is None:
            for n, item in enumerate(now):
                yield item, (*path, n)
            return
        old_at = {token: n for n, token in enumerate(touched.then)}
        stayed = [(old_at[token], n) for n, token in enumerate(touched.now) if token in old_at]
        if any(a[0] > b[0] for a, b in pairwise(stayed)):
            yield from self._place(path, then, now, touched.newest)
            return
        old = new = 0
        for old_end, new_end in [*stayed, (len(then), len(now))]:
            yield from self._gap(then, now, touched, path, range(old, old_end), range(new, new_end))
            if new_end < len(now):
                change = touched.now[new_end].change
                if change is None:
                    yield now[new_end], (*path, new_end)
                else:
                    yield from self._place((*path, new_end), then[old_end], now[new_end], change)
            old, new = old_end + 1, new_end + 1

    def _gap(
        self, then: list[Any], now: list[Any], touched: _Touched, path: Path, olds: range, news: range
    ) -> Iterator[NetChange]:
        """Yield the items removed and added between two that stayed."""
        # what was removed and added again is no difference
        while olds and news and alike(then[olds[0]], now[news[0]]):
            olds, news = olds[1:], news[1:]
        while olds and news and alike(then[olds[-1]], now[news[-1]]):
            olds, news = olds[:-1], news[:-1]
        for old, new in zip_longest(olds, news):
            if new is None:
                yield from self._place((*path, old), then[old], MISSING, touched.then[old].change)
            else:
                before = MISSING if old is None else then[old]
                yield from self._place((*path, new), before, now[new], touched.now[new].change)

    def _place(self, path: Path, before: Any, after: Any, change: Any) -> Iterator[NetChange]:
        then, now = linked_copy(before), linked_copy(after)
        if alike(then, now):
            return
        action = "add" if then is MISSING else "remove" if now is MISSING else "update"
        change = _core.as_shown(self._newest_in(after, change))
        if _core.withholds(self._container):
            then, now = linked_copy(self.shown(path, before)), linked_copy(self.shown(path, after))
            path = _core.shown_path(self._container, path)
        yield NetChange(path, to_pointer(path), action, then, now, change)

    def _newest_in(self, value: Any, change: Any) -> Any:
        """Return the newest of change and those at or below value."""
        todo, met = [value], set()
        while todo:
            each = todo.pop()
            if id(each) in met:
                continue
            met.add(id(each))
            touched = self._touched.get(self._ids.get(id(each), -1))
            if touched is not None and touched.newest.seq > change.seq:
                change = touched.newest
            todo += _items(each)
        return change

    def _reaching(self, touched: dict[int, _Touched]) -> set[int]:
        """Return the trackers at and above those that were touched. O(items)."""
        holders: dict[int, list[int]] = {}
        for tracker, state in self._states.items():
            for item in _items(state):
                held = self._ids.get(id(item))
                if held is not None:
                    holders.setdefault(held, []).append(tracker)
        found = set(touched)
        todo = list(found)
        while todo:
            above = [each for each in holders.get(todo.pop(), ()) if each not in found]
            found.update(above)
            todo += above
        return found


def _items(state: Any) -> Any:
    return state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()


def _note_list(tokens: list[_Token], change: Change, shape: str, entry: Any) -> None:
    """Rewind the tokens of a list over one change, marking those it touched."""
    if shape in ("sort", "order", "reverse", "rotate"):
        now = list(tokens)
        for new, old in enumerate(change._order):
            tokens[old] = now[new]
    elif shape == "slot":
        _note_slot(tokens, change.index, change.old, change.new, entry)
    elif shape == "rows":
        for rows in reversed(in_turn(change.new)):
            numbers = range(0, len(rows), 3)
            for n in reversed(numbers) if rows[1] is MISSING else numbers:  # inserted: each with its index at that time
                _note_slot(tokens, rows[n], rows[n + 1], rows[n + 2], entry)
    else:
        start, removed, added = change.index, change.old, change.new
        paired = len(added) if len(removed) == len(added) else 0  # as many as before: replaced item by item
        for n in range(paired):
            _note_slot(tokens, start + n, removed[n], added[n], entry)
        if not paired:
            for token in tokens[start : start + len(added)]:
                token.change = token.change or entry
            tokens[start : start + len(added)] = [_Token(entry) for _ in removed]


def _note_slot(tokens: list[_Token], index: int, old: Any, new: Any, entry: Any) -> None:
    if old is MISSING:
        token = tokens.pop(index)
        token.change = token.change or entry
    elif new is MISSING:
        tokens.insert(index, _Token(entry))
    elif old is not new:
        tokens[index].change = tokens[index].change or entry
