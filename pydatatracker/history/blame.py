"""Blame: the last change of a path, or all of them, newest first.

A path is followed backwards through the records: a list item through shifts and sorts to where it was inserted, a key
through the containers that were at its path before. For changes that left the ring there is `tracking_remember_last`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from pydatatracker import _core
from pydatatracker._core import MISSING, Change
from pydatatracker.change.bulk_rows import in_turn
from pydatatracker.change.entry import DATA_ACTIONS, ChangeLogEntry
from pydatatracker.history.inverse import Operation, operation
from pydatatracker.history.marks import back
from pydatatracker.values.pointer import key_text, parse_pointer, to_pointer

__all__ = ["blame_all", "blame_of", "history_of"]

_WITHOUT_PARTS: Final = frozenset(
    (str, bytes, bytearray, int, float, complex, bool, type(None), list, tuple, dict, set, frozenset)
)
Part = Any  # of a path: a str, which names a key by its text, or an _Exact key


def blame_of(
    container: Any, path: str | tuple[Any, ...], wanted: Callable[[Change], bool] | None = None
) -> ChangeLogEntry | None:
    """Return the last change before or after which a path existed.

    None if none is known. ``wanted`` selects changes. Costs and raises what `history_of` does.
    """
    for change, was_there in _touching(container, path):
        if was_there and (wanted is None or wanted(change)):
            return change
    return None


def history_of(container: Any, path: str | tuple[Any, ...]) -> list[ChangeLogEntry]:
    """Return the changes of one path, newest first; none if it never existed.

    ``path``: a pointer, or the keys themselves. O(records of the tree). Raises ValueError for an invalid pointer, and
    for one that names several keys.
    """
    found = list(_touching(container, path))
    return [change for change, _ in found] if any(was_there for _, was_there in found) else []


def _touching(container: Any, path: str | tuple[Any, ...]) -> Iterator[tuple[ChangeLogEntry, bool]]:
    """Yield (change, whether the path existed before or after), newest first.

    The changes that wrote the path or something above it. O(records of the tree) for all, fewer for the first.
    """
    parts: tuple[Part, ...] = tuple(map(_Exact, path)) if isinstance(path, tuple) else parse_pointer(path)
    trail = _Trail(container, parts)
    viewer: Any = _core.tracker(container)
    noted = max((_core.remembered(log)[1] for log in _core.logs(container)), default=0)
    kept: Change | None = None
    oldest = 0
    for change in _newest_first(container):
        if change.seq <= noted and kept is None:
            kept = trail.remembered(container)
            noted = 0
        if change.action_code in DATA_ACTIONS and trail.back(change):
            oldest = change.seq
            yield _core.as_shown(change), trail.was_there
        if trail.over:
            return
    if kept is None and noted:
        kept = trail.remembered(container)
    if kept is not None and (not oldest or kept.seq < oldest):
        yield _core.as_shown(kept._seen_from(viewer)), trail.was_there
    elif not oldest and trail.whole() and _is_there(container, trail.parts):  # it did not change: it was there
        from pydatatracker.change.entry import start_of

        for start in start_of(container):
            yield start, True


def _newest_first(container: Any) -> Iterator[Change]:
    """Yield the changes of a container, newest first.

    O(changes that are asked for), as pieces of eight times the size are read.
    """
    size, before = 64, _core.newest_seq() + 1
    while True:
        found = _core.recorded_changes(container, 0, size)
        for change in reversed(found):
            if change.seq < before:
                yield change
        if len(found) < size:
            return
        size, before = 8 * size, min(before, found[0].seq)


def _is_there(value: Any, parts: tuple[Part, ...], *, unknown: bool = False) -> bool:
    """Return whether a path leads to a value now, also into plain data.

    ``unknown`` is the answer below a value that is neither a container nor a scalar: nobody knows what a path names
    there.
    """
    for part in parts:
        if _core.tracker(value) is not None:
            value = step_into(value, part)[1]
        elif isinstance(value, dict):
            value = next((held for key, held in value.items() if _names(part, key)), MISSING)
        elif isinstance(value, (list, tuple)) and -1 < (index := _index_of(part)) < len(value):
            value = value[index]
        else:
            return unknown and value is not MISSING and type(value) not in _WITHOUT_PARTS
        if value is MISSING:
            return False
    return value is not MISSING


class _Exact:
    """A key of a path that was given as a tuple."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


def _names(part: Part, key: Any) -> bool:
    """Return whether a part of a path names a key that is held."""
    if isinstance(part, _Exact):
        return part.key is key or bool(part.key == key)
    return bool(key_text(key) == part)


def _index_of(part: Part) -> int:
    """Return the index that a part of a path names; -1 if it is none."""
    if isinstance(part, _Exact):
        return part.key if type(part.key) is int else -1
    return int(part) if part.isascii() and part.isdecimal() and len(part) < 20 else -1


class _Gone:
    """Stands for a key that a path names and the container lacks.

    It is the one that was there last: older changes of another key with the same text are not its.
    """

    __slots__ = ("key", "part")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.key: Any = MISSING

    def names(self, key: Any) -> bool:
        if self.key is not MISSING:
            return _same(self.key, key)
        if not _names(self.part, key):
            return False
        self.key = key
        return True


def step_into(container: Any, part: Part) -> tuple[Any, Any]:
    """Return (key, value) that a part of a path names in a container.

    The container is a live, tracked one. The value is MISSING if it is not there. Raises ValueError if a segment of a
    pointer is the text of several keys. O(1) for a list and for a key itself, else O(items).
    """
    kind = _core.tracker(container).kind  # type: ignore[union-attr]
    if kind == "list":
        index = _index_of(part)
        if -1 < index < len(items := _core.plain(container) if not isinstance(container, list) else container):
            return index, list.__getitem__(items, index)
        return (index if index >= 0 else part), MISSING
    held = container if kind == "set" else _core.plain(container)
    if isinstance(part, _Exact):
        try:
            found = [part.key] if part.key in held else []
        except TypeError:  # not a key at all
            found = []
        if found:
            found = (
                [next(each for each in held if each == part.key)] if kind == "set" else [_core.key_in(held, part.key)]
            )
    else:
        first = _core.key_in(held, part) if kind != "set" and part in held else MISSING
        found = [] if first is MISSING else [first]  # without the text of every str
        plain = None if kind == "set" else str
        found += [key for key in list(held) if type(key) is not plain and key is not first and key_text(key) == part]
    if not found:
        return _Gone(part), MISSING
    if len(found) > 1:
        keys = ", ".join(_core.words_for(_core.shown_path(container, (key,))[0]) for key in found[:5])
        raise ValueError(
            f"{part!r} is the text of {len(found)} keys of the {type(container).__name__}: {keys}; give the path as a"
            " tuple of the keys themselves"
        )
    return found[0], found[0] if kind == "set" else held[found[0]]


class _Trail:
    """A path as it was at the record that was reached last."""

    def __init__(self, container: Any, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        self.nodes: list[Any] = [_core.tracker(container)]  # trackers from the container down
        self.keys: list[Any] = []
        self.over = False
        self.is_there = _is_there(container, parts, unknown=True)  # at the record that was reached last
        self.was_there = self.is_there  # just before or just after that record
        value = container
        for part in parts:
            key, value = step_into(value, part)
            self.keys.append(key)
            if len(self.keys) == len(parts) or _core.tracker(value) is None:
                break
            self.nodes.append(_core.tracker(value))
        else:
            self.nodes = self.nodes[:1]

    def whole(self) -> bool:
        """Return True if the path may be older than all records."""
        return not self.over

    def back(self, change: Change) -> bool:
        """Go back before a record; return True if it changed the path."""
        node = change._node
        level = next((n for n, each in enumerate(self.nodes) if each is node), -1)
        if level < 0:
            return False
        if level >= len(self.keys):
            self.was_there = self.is_there
            return not self.parts  # the pointer is "": all changes of the container itself
        done = operation(change)
        if node.kind == "list":
            return self._back_in_list(level, done)
        touched = _held_before(done, self.keys[level], node.kind)
        if touched is None:
            return False
        was = touched[0]
        if done.shape == "elements":
            was = next((each for each in done.old if _same(each, self.keys[level])), MISSING)
        self._was(level, was)
        self._other_below(level, touched[0])
        return True

    def _was(self, level: int, value: Any) -> None:
        """Note what was at a level of the path before a record."""
        after = self.is_there
        self.is_there = _is_there(value, self.parts[level + 1 :], unknown=True)
        self.was_there = after or self.is_there

    def _back_in_list(self, level: int, done: Operation) -> bool:
        index = self.keys[level]
        if type(index) is not int:
            return False
        before, touched, was = _index_before(done, index)
        if touched:
            self._was(level, was)
        if before < 0:
            self.over = True  # it was inserted here
        else:
            self.keys[level] = before
            if touched:
                self._other_below(level, was)
        return touched

    def _other_below(self, level: int, value: Any) -> None:
        """Follow the path below a level through the value held there before."""
        del self.nodes[level + 1 :]
        del self.keys[level + 1 :]
        tracker = _core.tracker(value)
        for part in self.parts[level + 1 :]:
            if tracker is None:
                return
            self.nodes.append(tracker)
            container = tracker.container
            key, value = (_Gone(part), MISSING) if container is None else step_into(container, part)
            self.keys.append(key)
            tracker = _core.tracker(value)

    def remembered(self, container: Any) -> Change | None:
        """Return the change that tracking_remember_last kept of this path.

        If there is none, the one of the nearest container above it.
        """
        for level in range(min(len(self.keys), len(self.nodes)) - 1, -1, -1):
            change = remembered(container, self.nodes[level], self.keys[level])
            if change is not None:
                self._remembered_at(level, change)
                return change
        return None

    def _remembered_at(self, level: int, change: Change) -> None:
        """Note whether the path existed before or after a change of a level."""
        if level == len(self.parts) - 1 or self.is_there:
            self.was_there = True
            return
        done, key = operation(change), self.keys[level]
        if self.nodes[level].kind == "list":
            was = _index_before(done, key)[2] if type(key) is int else MISSING
        else:
            was = (_held_before(done, key, self.nodes[level].kind) or (MISSING,))[0]
        self.was_there = _is_there(was, self.parts[level + 1 :], unknown=True)


def remembered(container: Any, node: Any, key: Any) -> Change | None:
    """Return the last change of a key among those that left the ring.

    None if `tracking_remember_last` is off. O(1), for a tuple as key O(keys).
    """
    best: Change | None = None
    for log in _core.logs(container):
        last = _core.remembered(log)[0]
        if last is None or node not in last:
            continue
        marks = last[node]
        if type(marks) is list:
            change = marks[key] if type(key) is int and key < len(marks) else None
        elif type(key) is _Gone:
            change = next((marks[each] for each in marks if key.names(each)), None)
        elif _core.is_quiet(key):
            change = marks.get(key)
        else:  # marked by the id of the key that was used: an equal one may have been used since
            equal = (each for each in marks.values() if any(_same(item, key) for item in operation(each).keys))
            change = max(equal, key=lambda each: each.seq, default=None)
        if change is not None and (best is None or change.seq > best.seq):
            best = change
    return best


def _held_before(done: Operation, key: Any, kind: str) -> tuple[Any] | None:
    """Return (what the key held before,) if the record touched it."""
    if done.shape == "slot":
        return (done.old,) if _same(done.key, key) else None
    if done.shape == "elements":
        if any(_same(element, key) for element in (*done.old, *done.new)):
            return (MISSING,)
        return None
    if done.shape == "rows":
        for n in range(0, len(done.new), 3):  # the first row of a key has what was there
            if _same(done.new[n], key):
                return (done.new[n + 1],)
    return None


def _same(a: Any, b: Any) -> bool:
    if type(b) is _Gone:
        return b.names(a)
    return a is b or (type(a) is type(b) and bool(a == b))


def _index_before(done: Operation, index: int) -> tuple[int, bool, Any]:
    """Return (index before or -1, whether the item changed, its old value)."""
    if done.shape == "order":
        return done.new[index] if index < len(done.new) else index, False, MISSING
    if done.shape == "slot":
        if done.old is MISSING:
            return (-1, True, MISSING) if index == done.index else (index - (index > done.index), False, MISSING)
        if done.new is MISSING:
            return index + (index >= done.index), False, MISSING
        return index, index == done.index, done.old
    if done.shape == "splice":
        offset = index - done.index
        if offset < 0:
            return index, False, MISSING
        if offset >= len(done.new):
            return index + len(done.old) - len(done.new), False, MISSING
        return (index, True, done.old[offset]) if offset < len(done.old) else (-1, True, MISSING)
    if done.shape == "rows":
        for rows in reversed(in_turn(done.new)):
            index, touched, was = _index_before_rows(rows, index)
            if touched:
                return index, touched, was
    return index, False, MISSING


def _index_before_rows(rows: Any, index: int) -> tuple[int, bool, Any]:
    indices = rows[::3]
    if rows[1] is MISSING:  # inserted, each with its index at that time
        for at in reversed(indices):
            if at == index:
                return -1, True, MISSING
            index -= at < index
        return index, False, MISSING
    if rows[2] is MISSING:  # removed, each with its index before
        for at in indices:
            index += at <= index
        return index, False, MISSING
    for n in range(0, len(rows), 3):
        if rows[n] == index:
            return index, True, rows[n + 1]
    return index, False, MISSING


# ---- all paths together


def blame_all(container: Any, wanted: Callable[[Change], bool] | None = None) -> dict[str, ChangeLogEntry]:
    """Return {pointer: last change} of every path that has a known change.

    ``wanted`` selects changes: the last one that it returns True for counts. Of a path whose records left the ring,
    only the very last change is known. O(records + items of the lists concerned).
    """
    viewer: Any = _core.tracker(container)
    paths = _paths(container)
    found: dict[tuple[Any, ...], Change] = {}
    items: dict[Any, list[int]] = {}  # tracker of a list -> present indices of its items at that time; -1: gone
    noted = max((_core.remembered(log)[1] for log in _core.logs(container)), default=0)
    for change in reversed(_core.recorded_changes(container, noted)):
        node = change._node
        if change.action_code not in DATA_ACTIONS or node not in paths:
            continue
        done = operation(change)
        path = paths[node]
        counts = wanted is None or wanted(change)
        if node.kind != "list":
            for key in done.keys if counts else ():
                found.setdefault((*path, _shown(key)), change)
            continue
        now = items.setdefault(node, list(range(_core.size(node.container))))
        for index in back(now, done):
            if index >= 0 and counts:
                found.setdefault((*path, index), change)
    for log in _core.logs(container):
        for node, marks in (_core.remembered(log)[0] or {}).items():
            if node in paths:
                _add_remembered(found, node, paths[node], marks, items.get(node))
    pointers: dict[str, Change] = {}
    texts: dict[str, str] = {}  # key -> its part of a pointer: deep data has most of them at every path
    for path, change in found.items():
        if wanted is None or wanted(change):
            shown = _core.shown_path(container, path)
            for key in shown:
                if type(key) is str and key not in texts:
                    texts[key] = to_pointer((key,))
            pointer = "".join([texts[key] if type(key) is str else to_pointer((key,)) for key in shown])
            if pointer in pointers:  # keys such as 1 and "1" have one pointer: the newest change says which
                change = max(change, pointers[pointer], key=lambda each: each.seq)
            pointers[pointer] = change
    orders: dict[str, tuple[int, int, str]] = {}
    return {
        pointer: _core.as_shown(pointers[pointer]._seen_from(viewer))
        for pointer in sorted(pointers, key=lambda pointer: _reading_order(pointer, orders))
    }


def _add_remembered(found: dict[Any, Change], node: Any, path: Any, marks: Any, now: list[int] | None) -> None:
    if type(marks) is list:
        for n, change in enumerate(marks):
            index = n if now is None else (now[n] if n < len(now) else -1)
            if change is not None and index >= 0:
                found.setdefault((*path, index), change)
    else:
        for change in sorted(set(marks.values()), key=lambda each: -each.seq):  # of equal keys the newest counts
            for key in operation(change).keys:
                if change is marks.get(key if _core.is_quiet(key) else id(key)):
                    found.setdefault((*path, _shown(key)), change)


def _shown(key: Any) -> Any:
    tracker = _core.tracker(key)
    return key if tracker is None else tracker.uuid


def _reading_order(pointer: str, orders: dict[str, tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return a sort key for pointers: numbers by value, in document order.

    Numbers are compared by their digits: int() converts no more than 4300. ``orders`` keeps the key of each segment, so
    that deep data has it once.
    """
    parts = pointer.split("/")
    for part in parts:
        if part not in orders:
            digits = part.lstrip("0")
            orders[part] = (0, len(digits), digits) if part.isdecimal() else (1, 0, part)
    return [orders[part] for part in parts]


def _paths(container: Any) -> dict[Any, tuple[Any, ...]]:
    """Return {tracker: path} of all tracked containers at or below one.

    The first path of each.
    """
    found: dict[Any, tuple[Any, ...]] = {}
    todo: list[tuple[Any, tuple[Any, ...]]] = [(container, ())]
    for each, path in todo:
        tracker = _core.tracker(each)
        if tracker is None or tracker in found:
            continue
        found[tracker] = path
        if _core.children(each):
            held = _core.plain(each)
            if tracker.kind == "set":
                todo.extend((item, (*path, _shown(item))) for item in held)
            else:
                pairs = enumerate(held) if tracker.kind in ("list", "tuple") else held.items()
                todo.extend((item, (*path, key)) for key, item in pairs)
    return found
