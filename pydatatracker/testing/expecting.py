"""The state before and after a block, and whether a test expects it.

Paths are tuples of the segments of their pointers: keys that a pointer cannot tell apart are one path. A value that
holds itself is copied as one that holds itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.history.walk import linked_copy
from pydatatracker.testing.watching import printable, say
from pydatatracker.values.compare import alike
from pydatatracker.values.pointer import key_text, parse_pointer, to_pointer
from pydatatracker.values.standins import is_redacted

__all__ = ["Hiding", "Segments", "at", "differences", "fits", "is_test", "segments", "touches", "wish"]

Segments = tuple[str, ...]


def segments(pointer: str) -> Segments:
    """Return the segments of a pointer as `to_pointer` writes them.

    O(pointer). Raises what `parse_pointer` does.
    """
    return tuple(to_pointer((part,)) for part in parse_pointer(pointer))


def at(state: Any, place: Segments, strict: bool = True) -> Any:
    """Return what a snapshot holds at a path, MISSING if there is nothing.

    O(keys on the way). Raises ValueError if several keys have the text of a segment; not ``strict``: takes the first.
    """
    for segment in place:
        part = parse_pointer(segment)[0]
        if isinstance(state, dict):
            found = _keys(state, part)
            if len(found) > 1 and strict:
                raise ValueError(
                    f"the path {''.join(place)!r} names several values: {len(found)} keys have the text {part!r};"
                    " expect the dict that has them as a whole"
                )
            state = state[found[0]] if found else MISSING
        elif isinstance(state, (list, tuple)):
            is_index = part.isascii() and part.isdecimal() and str(int(part[:20])) == part
            state = state[int(part)] if is_index and int(part) < len(state) else MISSING
        elif isinstance(state, set):
            state = next((element for element in state if to_pointer((element,)) == segment), MISSING)
        else:
            return state if is_redacted(state) else MISSING
    return state


def _keys(held: dict[Any, Any], part: str) -> list[Any]:
    """Return the keys whose text is a segment of a pointer. O(keys)."""
    found = [part] if part in held else []
    return found + [
        key for key in held if type(key) is not str and key_text(key) == part and not (found and key == part)
    ]


def _keys_of(states: tuple[Any, ...], place: Segments) -> tuple[Any, ...]:
    """Return the keys that segments name in the first of some snapshots.

    A segment that names nothing there stands for itself. O(depth), or O(keys) if they are not text.
    """
    keys: list[Any] = []
    for n, segment in enumerate(place):
        part = parse_pointer(segment)[0]
        key: Any = MISSING
        for state in (at(each, place[:n], strict=False) for each in states):
            if isinstance(state, (list, tuple)):
                key = int(part) if part.isascii() and part.isdecimal() and len(part) < 20 else part
            elif isinstance(state, (dict, set)):
                key = next((each for each in state if to_pointer((each,)) == segment), MISSING)
            if key is not MISSING:
                break
        keys.append(part if key is MISSING else key)
    return tuple(keys)


class _Opaque:
    """A value that cannot be looked into, because its text is its own."""

    def __repr__(self) -> str:
        return ""


class Hiding:
    """What a message about a container may show of paths and values.

    It leaves out what `tracking_redact` withholds. ``states`` are snapshots of the container, ``known`` what
    `linked_copy` noted of all of them: a part has rules of its own, also one that is gone.
    """

    def __init__(self, container: Any, states: tuple[Any, ...], known: tuple[dict[int, tuple[Any, Any]], ...]) -> None:
        self._container = container
        self._states = states
        pairs = [pair for each in known for pair in each.values() if _core.tracker(pair[0]) is not None]
        self._parts = {id(made): value for value, made in pairs}
        self._is_on = any(_core.withholds(value) for value in (container, *self._parts.values()))

    def state(self, state: Any) -> Any:
        """Return a snapshot of the container as it may be shown."""
        nodes: Any = {made: _core.tracker(value) for made, value in self._parts.items()}
        return _core.redacted_state(self._container, state, nodes) if self._is_on else state

    def path(self, place: Segments) -> str:
        """Return a path as it may be shown."""
        if not self._is_on:
            return "".join(place)
        keys = _keys_of(self._states, place)
        for n, container in self._above(place):
            keys = (*keys[:n], *_core.shown_path(container, keys[n:]))
        return to_pointer(keys)

    def value(self, place: Segments, value: Any) -> Any:
        """Return a value at a path as it may be shown."""
        if self._is_on and value is not MISSING:
            keys = _keys_of(self._states, place)
            for n, container in self._above(place):
                value = _core.redacted_at(container, keys[n:], value)
        return value

    def _above(self, place: Segments) -> Iterator[tuple[int, Any]]:
        """Yield the containers at and above a path, each with its depth."""
        for n in range(len(place) + 1):
            found = [self._parts.get(id(at(state, place[:n], strict=False))) for state in self._states]
            for container in {id(each): each for each in found if each is not None}.values():
                yield n, container

    def hides(self, place: Segments) -> bool:
        """Return True if something at or below a path may be withheld."""
        return self._is_on and is_redacted(self.value(place, _Opaque()))


def differences(old: Any, new: Any, opened: set[Segments]) -> Iterator[tuple[Segments, Any, Any]]:
    """Yield the deepest paths where two snapshots differ.

    With both values, in document order. A container that was added or removed is one difference, unless its path is in
    ``opened``: then it is compared with an empty one. O(size).
    """
    return _differences(old, new, (), opened, set())


def _differences(
    old: Any, new: Any, place: Segments, opened: set[Segments], above: set[tuple[int, int]]
) -> Iterator[tuple[Segments, Any, Any]]:
    if place in opened:
        if old is MISSING and isinstance(new, (dict, list, set)):
            old = type(new)()
        elif new is MISSING and isinstance(old, (dict, list, set)):
            new = type(old)()
    pair = id(old), id(new)
    if type(old) is not type(new) or not isinstance(old, (dict, list, set)):
        if not alike(old, new, by_wanted=True):
            yield place, old, new
        return
    if pair in above:  # both hold themselves, and are alike so far
        return
    above.add(pair)
    rows: Iterator[tuple[Any, Any, Any]]
    if isinstance(old, dict):
        keys = [*old, *(key for key in new if key not in old)]
        rows = ((key, old.get(key, MISSING), new.get(key, MISSING)) for key in keys)
    elif isinstance(old, list):
        size = max(len(old), len(new))
        rows = ((n, old[n] if n < len(old) else MISSING, new[n] if n < len(new) else MISSING) for n in range(size))
    else:
        gone, come = [e for e in old if e not in new], [e for e in new if e not in old]
        rows = iter([*((e, e, MISSING) for e in gone), *((e, MISSING, e) for e in come)])
    for key, was, now in rows:
        yield from _differences(was, now, (*place, to_pointer((key,))), opened, above)
    above.discard(pair)


def is_test(wanted: Any) -> bool:
    """Return True for a function that tests a value. O(1)."""
    return callable(wanted) and wanted is not MISSING and _core.tracker(wanted) is None


def fits(value: Any, wanted: Any, hiding: Hiding, place: Segments) -> str:
    """Return "" if value is as wanted, otherwise what was wanted.

    ``...`` fits anything, a function fits what it approves, other values fit what is alike. What a function raises is
    part of the text, unless the path is withheld. O(size).
    """
    if wanted is ...:
        return ""
    if is_test(wanted):
        try:
            return "" if wanted(value) else wish(wanted, hiding, place)
        except Exception as error:
            raised = type(error).__name__ if hiding.hides(place) else say(error)
            return f"{wish(wanted, hiding, place)}, which raised {raised}"
    return "" if alike(value, linked_copy(wanted), by_wanted=True) else wish(wanted, hiding, place)


def wish(wanted: Any, hiding: Hiding, place: Segments) -> str:
    """Return what is expected at a path, as text.

    What `tracking_redact` withholds there is left out.
    """
    if wanted is ...:
        return "anything"
    if is_test(wanted):
        name = getattr(wanted, "__name__", None)
        if not isinstance(name, str) and hiding.hides(place):
            return f"what a {type(wanted).__name__} approves"
        return f"what {printable(name) if isinstance(name, str) else say(wanted)} approves"
    return say(hiding.value(place, linked_copy(wanted)))


def touches(change: ChangeLogEntry, place: Segments) -> bool:
    """Return True if a change concerns a path.

    It stored at the path, above it or below it, or moved it in a list. O(rows of the change).
    """
    for base in change._bases:
        start = _of(base)
        if place[: len(start)] != start[: len(place)]:
            continue
        if len(place) <= len(start) or _reaches(change, place[len(start)]):
            return True
    return False


def _reaches(change: ChangeLogEntry, segment: str) -> bool:
    """Return True if a change stored to, or moved, a segment of its container."""
    shape = change._shape
    moves = change._node.kind == "list" and (change.old is MISSING or change.new is MISSING)
    if shape == "slot" and not moves:
        return _of(change._step) == (segment,)
    if change.order is not None:
        return True
    if change._node.kind != "list":
        return any(to_pointer((row[0],)) == segment for row in change.changes)
    first = change.index if shape in ("slot", "splice") else min((row[0] for row in change.changes), default=0)
    return segment[1:].isdecimal() and int(segment[1:]) >= first


def _of(path: tuple[Any, ...]) -> Segments:
    return tuple(to_pointer((key,)) for key in path)
