"""Hypothesis: strategies for data, mutations, sessions and changes.

For tests of your own observers, exporters and functions of changes. A session is start data and a list of calls, which
are valid one after the other. A failing one shrinks to few calls with small values, since each call is drawn by itself
and takes what it is about from the data that is there by then.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("pydatatracker.integrations.hypothesis needs hypothesis: pip install hypothesis") from error

from pydatatracker import _core
from pydatatracker.actors import tracking_actor
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.containers import TrackedAttr, track

__all__ = ["Mutation", "Session", "changes", "json_values", "mutations", "sessions", "values"]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One call of a method of a container, or of one below it.

    :param path: keys that lead to the container.
    :param method: its name, such as ``"__setitem__"``.
    :param args: its arguments; they are copied for each call.
    :param actor: who makes the change, "" for nobody.

    >>> x = {"a": [1]}
    >>> Mutation(("a",), "append", (2,)).apply(x)
    >>> x
    {'a': [1, 2]}
    """

    path: tuple[Any, ...]
    method: str
    args: tuple[Any, ...] = ()
    actor: str = ""

    def apply(self, container: Any) -> None:
        """Call the method. Raises what it raises."""
        for key in self.path:
            container = getattr(container, key) if isinstance(container, TrackedAttr) else container[key]
        with tracking_actor(self.actor) if self.actor else contextlib.nullcontext():
            getattr(container, self.method)(*copy.deepcopy(self.args))


@dataclasses.dataclass(frozen=True)
class Session:
    """Start data, and the mutations that are applied to it in turn.

    >>> session = Session({"a": 1}, (Mutation((), "__setitem__", ("a", 2)),))
    >>> session.run(lambda change: print(change.pointer, change.before, change.after))
    /a 1 2
    {'a': 2}
    """

    start: Any
    steps: tuple[Mutation, ...]

    def begin(self, **options: Any) -> Any:
        """Return the start data as a tracked container, with options.

        O(items).
        """
        return track(copy.deepcopy(self.start), **options)

    def run(self, *observers: Callable[[ChangeLogEntry], Any], **options: Any) -> Any:
        """Apply all steps to a new tracked container, and return it.

        The observers are added before the first step. Raises what ``tracking_observer_errors="raise"`` raises.
        """
        container = self.begin(**options)
        for observer in observers:
            container.tracking_add_observer(observer)
        for step in self.steps:
            step.apply(container)
        return container


# ---- values

_KEYS = st.text("abc", min_size=1, max_size=2)
_PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_HASHABLE = (
    st.binary(max_size=4)
    | st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31))
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
    | st.frozensets(st.integers(), max_size=2)
    | st.tuples(st.integers(), st.text(max_size=2))
)


def json_values(max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Generate what JSON has: None, bool, numbers, text, lists, dicts.

    :param max_leaves: values in it that are no containers, at most.
    """
    return st.recursive(
        _PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
        max_leaves=max_leaves,
    )


def values(max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Generate what a log restores: JSON, and values that JSON has not.

    Those are bytes, dates, times, decimals, UUIDs, complex numbers, tuples, sets, infinities.
    """
    leaves = _PLAIN | _HASHABLE | st.sampled_from([float("inf"), float("-inf")])
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(_KEYS | st.integers(0, 3), inner, max_size=3)
            | st.sets(st.integers() | st.text(max_size=2), max_size=3)
        ),
        max_leaves=max_leaves,
    )


# ---- mutations: the digits of one number choose the actor, the container, the item and the call. The shrinker of
# Hypothesis deletes at most five draws together, so a call that draws more would not be left out of a session.

_BASE = 32
_Choice = tuple[int, Any]


class _Digits(NamedTuple):
    actor: str
    where: int
    which: int
    what: int


def _choices(value: st.SearchStrategy[Any]) -> st.SearchStrategy[_Choice]:
    return st.tuples(st.integers(0, 4 * _BASE**3 - 1), value)


def _digits(number: int, actors: tuple[str, ...]) -> _Digits:
    number, what = divmod(number, _BASE)
    number, which = divmod(number, _BASE)
    who, where = divmod(number, _BASE)
    return _Digits(("", *actors)[who % (1 + len(actors))], where, which, what)


def mutations(container: Any, *, value: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Mutation]:
    """Generate one mutation that is valid for a container as it is now.

    It may be about a container below. Of an object with tracked attributes, its attributes are set. O(items).

    :param container: tracked or plain; it is not changed.
    :param value: strategy of new values; `json_values` by default.
    :raises TypeError: for what is not a dict, list, set, deque or `TrackedAttr`.
    """
    if _kind(container) is None:
        raise TypeError(f"mutations() takes a dict, list, set, deque or TrackedAttr, not {type(container).__name__}")
    chosen = _choices(json_values() if value is None else value)
    return chosen.map(lambda choice: _mutation(container, _digits(choice[0], ()), choice[1]))


def sessions(
    start: st.SearchStrategy[Any] | None = None,
    *,
    value: st.SearchStrategy[Any] | None = None,
    min_steps: int = 0,
    max_steps: int = 10,
    actors: Iterable[str] = (),
    undo: bool = False,
) -> st.SearchStrategy[Session]:
    """Generate sessions: data, and calls that are valid in turn.

    :param start: strategy of the data, a dict or list; by default JSON with a dict on top.
    :param value: strategy of new values; `json_values` by default.
    :param min_steps: number of mutations, at least.
    :param max_steps: and at most.
    :param actors: names that make some of the changes.
    :param undo: steps may be ``tracking_undo`` and ``tracking_redo``.
    :raises TypeError: ``actors`` is one name.
    """
    if isinstance(actors, str):
        raise TypeError(f"actors is a tuple of names, not a str: actors=({actors!r},)")
    names = tuple(actors)
    inner = json_values() if value is None else value
    begin = st.dictionaries(_KEYS, inner, max_size=3) if start is None else start
    chosen = st.lists(_choices(inner), min_size=min_steps, max_size=max_steps)
    return st.builds(lambda data, choices: _session(data, choices, names, undo), begin, chosen)


def changes(
    start: st.SearchStrategy[Any] | None = None, *, value: st.SearchStrategy[Any] | None = None, read: bool = False
) -> st.SearchStrategy[ChangeLogEntry]:
    """Generate changes, as an observer gets them.

    :param start: as in `sessions`.
    :param value: strategy of new values; `json_values` by default.
    :param read: changes as they come from a log (`ChangeLogEntry.from_dict`).
    """

    def last(session: Session) -> Any:
        container = session.run()
        found = container.last_change()
        return found, container  # which the change does not keep alive

    made = sessions(start, value=value, min_steps=1, max_steps=3, actors=("ann",)).map(last)
    found = made.filter(lambda pair: pair[0] is not None and pair[0].action != "init")
    return found.map(lambda pair: ChangeLogEntry.from_dict(pair[0].to_dict()) if read else pair[0])


def _session(data: Any, choices: list[_Choice], actors: tuple[str, ...], undo: bool) -> Session:
    """Make the mutations concrete, on a tracked copy of the data."""
    container = track(copy.deepcopy(data))
    steps = []
    for number, value in choices:
        digits = _digits(number, actors)
        if undo and digits.what >= 28:  # large numbers, so that shrinking prefers a call
            step = Mutation((), "tracking_undo" if digits.what % 2 else "tracking_redo", (), digits.actor)
        else:
            step = _mutation(container, digits, value)
        step.apply(container)
        steps.append(step)
    return Session(data, tuple(steps))


def _mutation(container: Any, digits: _Digits, value: Any) -> Mutation:
    places = _containers(container)
    path, held = places[digits.where % len(places)]
    key = ("a", "b", "c", "aa")[digits.which % 4]
    method, args = _CALLS[_kind(held) or ""](held, digits.what, digits.which, value, key)
    return Mutation(path, method, args, digits.actor)


def _kind(container: Any) -> str | None:
    for kind, cls in (("dict", dict), ("list", list), ("set", set), ("deque", deque), ("attr", TrackedAttr)):
        if isinstance(container, cls):
            return kind
    return None


def _containers(root: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return (path, container) of everything that can be changed."""
    found: list[tuple[tuple[Any, ...], Any]] = []
    todo: list[tuple[tuple[Any, ...], Any]] = [((), root)]
    seen: set[int] = set()
    for path, held in todo:
        kind = _kind(held)
        if kind is None or id(held) in seen:
            continue
        seen.add(id(held))
        found.append((path, held))
        todo += [((*path, key), item) for key, item in _items(kind, held)]
    return found


def _items(kind: str, held: Any) -> Iterable[tuple[Any, Any]]:
    if kind == "set":  # its elements cannot be changed
        return ()
    if kind == "attr":
        return _attributes(held).items()
    return held.items() if kind == "dict" else enumerate(held)


def _attributes(x: Any) -> dict[str, Any]:
    return {name: value for name, value in _core.attributes(x).items() if not name.startswith("_")}


_Call = tuple[str, tuple[Any, ...]]


def _call_dict(held: Any, what: int, which: int, value: Any, key: str) -> _Call:
    keys = list(held)
    old = keys[which % len(keys)] if keys else None
    calls: list[_Call] = [("__setitem__", (key, value)), ("update", ({key: value},)), ("setdefault", (key, value))]
    if isinstance(held, Counter):
        calls = [("__setitem__", (key, which)), ("update", ([key],))]
    if keys:
        calls += [("__setitem__", (old, which if isinstance(held, Counter) else value)), ("__delitem__", (old,)),
                  ("pop", (old,)), ("popitem", ()), ("clear", ())]  # fmt: skip
    return calls[what % len(calls)]


def _call_list(held: Any, what: int, which: int, value: Any, key: str) -> _Call:
    at = which % (len(held) + 1)
    calls: list[_Call] = [("append", (value,)), ("insert", (at, value)), ("extend", ([value, which],))]
    if held:
        item = which % len(held)
        calls += [("__setitem__", (item, value)), ("__delitem__", (item,)), ("pop", (item,)), ("reverse", ()),
                  ("clear", ()),
                  ("__setitem__", (slice(item, item + 2), [value])), ("__delitem__", (slice(item, None),))]  # fmt: skip
    return calls[what % len(calls)]


def _call_set(held: Any, what: int, which: int, value: Any, key: str) -> _Call:
    calls: list[_Call] = [("add", (which,)), ("update", ([which, key],)), ("symmetric_difference_update", ([which],)),
                          ("discard", (which,)), ("clear", ())]  # fmt: skip
    return calls[what % len(calls)]


def _call_deque(held: Any, what: int, which: int, value: Any, key: str) -> _Call:
    calls: list[_Call] = [("append", (value,)), ("appendleft", (value,)), ("extend", ([value, which],))]
    if held:
        calls += [
            ("pop", ()),
            ("popleft", ()),
            ("rotate", (which,)),
            ("__setitem__", (which % len(held), value)),
            ("clear", ()),
        ]
    return calls[what % len(calls)]


def _call_attr(held: Any, what: int, which: int, value: Any, key: str) -> _Call:
    names = list(_attributes(held))
    return "__setattr__", (names[which % len(names)] if names else key, value)


_CALLS = {"dict": _call_dict, "list": _call_list, "set": _call_set, "deque": _call_deque, "attr": _call_attr}
