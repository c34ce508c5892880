"""Verification: find where the records and the data differ.

The records are undone backwards from what is there; where one does not fit, something bypassed tracking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, Change, Words
from pydatatracker.change.rewind import collect, is_computed, take_back_plain
from pydatatracker.history.inverse import Operation, operation
from pydatatracker.values.pointer import key_text, to_pointer
from pydatatracker.values.standins import is_redacted
from pydatatracker.values.text import shortened

__all__ = ["Difference", "verify"]


@dataclass(frozen=True)
class Difference:
    """The first difference between records and data.

    ``pointer`` says where, ``logged`` what the log has, ``found`` what is there, ``text`` both in a sentence.
    """

    pointer: str
    logged: Any
    found: Any
    text: str

    def __str__(self) -> str:
        return f"{self.pointer or 'the container itself'}: {self.text}"


def verify(container: Any) -> Difference | None:
    """Implement `tracking_verify`."""
    nodes, changes = collect(container)
    below: dict[int, list[int]] = {}
    for node, (above, _, _) in nodes.items():
        below.setdefault(above, []).append(node)
    todo = below[0] if nodes else []
    while todo:  # in the order of paths
        node = todo.pop()
        found = _one(nodes[node][2], changes.get(node, []))
        if found is not None:
            key, logged, there, text = found
            path = _core.shown_path(container, (*_path(nodes, node), *key))
            return Difference(to_pointer(path), logged, there, text)
        todo.extend(sorted(below.get(node, []), key=lambda each: key_text(nodes[each][1]), reverse=True))
    return None


def _path(nodes: dict[int, tuple[int, Any, Any]], node: int) -> tuple[Any, ...]:
    """Return the keys from the container that is verified down to a node."""
    keys = []
    while nodes[node][0]:
        keys.append(nodes[node][1])
        node = nodes[node][0]
    return tuple(reversed(keys))


def _one(container: Any, changes: list[Change]) -> tuple[tuple[Any, ...], Any, Any, str] | None:
    """Return the first difference of one container, None if there is none.

    (keys below it, logged, found, text)
    """
    state = _core.plain(container)
    now = _core.plain(container)
    for change in reversed(changes):  # newest first
        done = operation(change)
        if done.shape == "whole" or (change._node.kind == "attr" and is_computed(change)):
            continue
        wrong = _differs(state, done)
        if wrong is not None:
            if _core.lost_seq(container) > change.seq:  # a later record went with the log of a tree that is gone
                return None
            key, logged = wrong
            there = _at(now, key)
            if key is not MISSING:
                logged, there = (_core.redacted_at(container, (key,), value) for value in (logged, there))
            else:
                there = _core.redacted_state(container, there)
            entry: Any = change
            text = (
                f"the log has {_say(logged)} since change {change.seq} ({entry.method}), the data {_say(there)}:"
                " the container was changed without tracking"
            )
            return () if key is MISSING else (key,), logged, there, text
        take_back_plain(state, change)
    if _core.tracker(container).kind == "attr":  # type: ignore[union-attr]
        return None
    expected, size = _core.expected_size(container), len(now)
    if expected != size:
        unlogged = _unlogged(now, changes) if isinstance(now, dict) and size > expected else MISSING
        return (
            () if unlogged is MISSING else (unlogged,),
            expected,
            size,
            f"the log accounts for {expected} items but {size} exist: the container was changed without tracking",
        )
    return None


def _unlogged(now: dict[Any, Any], changes: list[Change]) -> Any:
    """Return the last key of a dict that no record mentions.

    A dict keeps its order: a key that was stored unseen comes after those that were there.
    """
    known = {id(key) for change in changes for key in operation(change).keys}
    return next((key for key in reversed(now) if id(key) not in known), MISSING)


def _say(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    return shortened(value.text if isinstance(value, Words) else _core.words_for(value), 60)


def _at(state: Any, key: Any) -> Any:
    if key is MISSING:
        return state
    if isinstance(state, dict):
        return state.get(key, MISSING)
    if isinstance(state, list):
        return state[key] if key < len(state) else MISSING
    return key if key in state else MISSING


def _same(logged: Any, there: Any) -> bool:
    return logged is there or _core.tracker(there) is logged or _is_unknown(logged) or _is_unknown(there)


def _is_unknown(key: Any) -> bool:
    """Return True for a stand-in of what is withheld or was not kept."""
    return isinstance(key, Words) or is_redacted(key)


def _differs(state: Any, done: Operation) -> tuple[Any, Any] | None:
    """Return (key, logged) of the first slot that is not as a record left it."""
    if isinstance(state, list):
        return _list_differs(state, done)
    if isinstance(state, set):
        out, into = (done.old, done.new) if done.shape == "elements" else _as_elements(done)
        for element in into:
            if element not in state and not _same(element, MISSING):
                return element, element
        for element in out:
            if element in state and element not in into and not _is_unknown(element):
                return element, MISSING
        return None
    rows = done.new if done.shape == "rows" else (done.key, done.old, done.new)
    last: dict[Any, int] = {rows[n]: n for n in range(0, len(rows), 3)}  # an equal key is the same slot
    for n in last.values():
        if not _is_unknown(rows[n]) and not _same(rows[n + 2], state.get(rows[n], MISSING)):
            return rows[n], rows[n + 2]
    return None


def _as_elements(done: Operation) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return (() if done.old is MISSING else (done.key,)), (() if done.new is MISSING else (done.key,))


def _list_differs(state: list[Any], done: Operation) -> tuple[Any, Any] | None:
    if done.shape == "order":
        return None if len(done.new) == len(state) else (MISSING, MISSING)
    if done.shape == "slot":
        held = [] if done.new is MISSING else [(done.index, done.new)]
        if done.index > len(state):
            return done.index, MISSING
    elif done.shape == "splice":
        held = [(done.index + n, item) for n, item in enumerate(done.new)]
        if done.index > len(state):
            return done.index, MISSING
    else:
        held = [(done.new[n], done.new[n + 2]) for n in range(0, len(done.new), 3) if done.new[n + 2] is not MISSING]
    for index, item in held:
        if index >= len(state) or not _same(item, state[index]):
            return index, item
    return None
