"""Copies and pickles: data and options go along, history and observers do not.

A rebuilt container is quiet (records nothing) until all of it is there. ``copy`` calls ``__copy__``,
``pickle`` the reduce tuple; a user's subclass keeps its ``__dict__`` and ``__slots__`` through
``object.__getstate__``, or says otherwise with ``__getstate__`` and ``__setstate__``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydatatracker import _core
from pydatatracker._core import AttrHook, DictHook, ListHook, Options, SetHook

__all__ = ["deep_copy", "reduce", "shallow_copy"]


def reduce(container: Any, protocol: int) -> Any:
    """Return the reduce tuple of a tracked container (PEP 307, and the state setter of 3.8)."""
    args: tuple[Any, ...] = (type(container), _core.own_options(container), _core.describe(container)[1])
    state = _state(container)
    items = pairs = None
    if isinstance(container, DictHook):
        pairs = iter(dict.items(container))
    elif isinstance(container, ListHook):
        items = list.__iter__(container)
    elif isinstance(container, SetHook):
        args += (list(set.__iter__(container)),)
    return start, args, (state,), items, pairs, finish


def _state(container: Any) -> Any:
    return container.__getstate__()  # object's own keeps __dict__ and __slots__


def start(cls: Any, options: Options | None, name: str | None, elements: Any = ()) -> Any:
    """Make an empty, quiet container."""
    made = cls.__new__(cls)
    _core.begin_rebuild(made, options, name)
    if elements:
        set.update(made, elements)
        _core.relink(made)
    return made


def finish(container: Any, wrapped: tuple[Any]) -> None:
    """Give the container the rest of its state; from here on it records."""
    state = wrapped[0]
    setstate = getattr(type(container), "__setstate__", None)
    if setstate is not None and state is not None:
        setstate(container, state)
    elif state is not None:
        attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        if attributes:
            container.__dict__.update(attributes)
        for name, value in (slots or {}).items():
            setattr(container, name, value)
    if isinstance(container, AttrHook):
        _core.relink(container)
    _core.end_rebuild(container)


def shallow_copy(container: Any) -> Any:
    """Return a copy that shares the items, has the options, and a log of its own. O(items)."""
    made = start(type(container), _core.own_options(container), _core.describe(container)[1])
    if isinstance(container, DictHook):
        dict.update(made, container)
    elif isinstance(container, ListHook):
        list.extend(made, container)
    elif isinstance(container, SetHook):
        set.update(made, set.__iter__(container))
    if not isinstance(container, AttrHook):
        _core.relink(made)
    state = _state(container)
    if isinstance(state, dict):
        state = dict(state)
    finish(made, (state,))
    return made


def deep_copy(container: Any, memo: dict[int, Any], copied: Callable[[Any, dict[int, Any]], Any]) -> Any:
    """Return a copy with copies of the items, the options, and a log of its own. O(everything below)."""
    made = start(type(container), _core.own_options(container), _core.describe(container)[1])
    memo[id(container)] = made
    if isinstance(container, DictHook):
        for key, value in list(dict.items(container)):
            dict.__setitem__(made, copied(key, memo), copied(value, memo))
    elif isinstance(container, ListHook):
        for item in list(list.__iter__(container)):
            list.append(made, copied(item, memo))
    elif isinstance(container, SetHook):
        for element in list(set.__iter__(container)):
            set.add(made, copied(element, memo))
    if not isinstance(container, AttrHook):
        _core.relink(made)
    finish(made, (copied(_state(container), memo),))
    return made


# A pickle stores a function as module and name; `pydatatracker.rebuild` is where these two stay for good.
start.__module__ = finish.__module__ = "pydatatracker.rebuild"
