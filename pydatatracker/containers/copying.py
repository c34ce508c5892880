"""Copies and pickles: data and options are kept, history is not.

Observers are not kept either. A rebuilt container is quiet (records nothing) until all of it is there. ``copy`` calls
``__copy__``, ``pickle`` the reduce tuple; a user's subclass keeps its ``__dict__`` and ``__slots__`` through
``object.__getstate__``, unless it defines ``__getstate__`` and ``__setstate__``.

The functions that pickles call are published in `pydatatracker.rebuild`, and pickles name them there. The arguments
that they are called with have a format version:

- format 1: ``container(1, class, options, elements, name)``, where arguments at the end may be left out, and
  ``options(1, {"tracking_max_changes": 10, ...})`` with the names and values of the keyword arguments;
- before it, 0.2.0 named ``start(class, options, name, elements)`` and ``_core.Options(8 values)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from pydatatracker import _core
from pydatatracker._core import AttrHook, DictHook, ListHook, Options, SetHook

__all__ = ["FORMAT", "deep_copy", "options", "reduce", "shallow_copy"]

FORMAT: Final = 1
_F = TypeVar("_F", bound=Callable[..., Any])


def _named_by_pickles(function: _F) -> _F:
    """Have pickles look for a function in `pydatatracker.rebuild`.

    That holds wherever it is defined.
    """
    function.__module__ = "pydatatracker.rebuild"
    return function


def reduce(tracked: Any, protocol: int) -> Any:
    """Return the reduce tuple of a tracked container (PEP 307).

    Its sixth part is the state setter that Python 3.8 added.
    """
    cls, own, name = type(tracked), _core.own_options(tracked), _core.describe(tracked)[1]
    args: tuple[Any, ...]
    items = pairs = None
    if isinstance(tracked, DictHook):
        pairs = iter(dict.items(tracked))
    elif isinstance(tracked, ListHook):
        items = list.__iter__(tracked)
    if isinstance(tracked, SetHook):
        elements = list(set.__iter__(tracked))
        args = (FORMAT, cls, own, elements) if name is None else (FORMAT, cls, own, elements, name)
    elif name is not None:
        args = (FORMAT, cls, own, (), name)
    elif own is not None:
        args = (FORMAT, cls, own)
    else:
        args = (FORMAT, cls)
    return container, args, (_state(tracked),), items, pairs, finish


def _state(container: Any) -> Any:
    return container.__getstate__()  # object's own keeps __dict__ and __slots__


@_named_by_pickles
def container(
    version: int,
    cls: Any = None,
    options: Options | None = None,
    elements: Any = (),
    name: str | None = None,
    /,
    *later: Any,
) -> Any:
    """Make the empty, quiet container of a pickle; of a set with its elements.

    Raises UnpicklingError for a format that a newer version of the package wrote.
    """
    if version != FORMAT:
        _refuse(f"it has format {version}, and this version reads format {FORMAT}")
    made = cls.__new__(cls)
    _core.begin_rebuild(made, options, name)
    if elements:
        set.update(made, elements)
        _core.relink(made)
    return made


@_named_by_pickles
def options(version: int, named: dict[str, Any], /) -> Options:
    """Make the options of a pickle. O(options).

    Raises UnpicklingError for a newer format, and for an option that this version does not have: leaving it out could
    record what was to be redacted, or lose what was to be kept.
    """
    if version != FORMAT:
        _refuse(f"its options have format {version}, and this version reads format {FORMAT}")
    redact = named.get("tracking_redact")
    if type(redact) is tuple:  # a callable may be a subclass of it
        from pydatatracker.values.redact import Glob

        named["tracking_redact"] = [glob if isinstance(glob, str) else Glob(glob) for glob in redact]
    try:
        made, _, unknown = _core.options_from(named)
    except TypeError:
        unknown = {name: None for name in named if name not in _core.OPTION_NAMES}
        if not unknown:
            raise
    if unknown:
        _refuse(f"it has the option {min(unknown)!r}, which this version does not have")
    return made or Options()


def _refuse(reason: str) -> NoReturn:
    from pickle import UnpicklingError

    from pydatatracker import __version__

    raise UnpicklingError(
        f"cannot load a pickle of tracked data with pydatatracker {__version__}: {reason}; "
        "load it with the version that wrote it, or with a newer one"
    )


@_named_by_pickles
def start(cls: Any, options: Options | None = None, name: str | None = None, elements: Any = ()) -> Any:
    """Make an empty, quiet container. Pickles of 0.2.0 call it."""
    return container(FORMAT, cls, options, elements, name)


@_named_by_pickles
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
    """Return a copy that shares the items, with a log of its own.

    It has the same options. O(items).
    """
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
    """Return a copy with copies of the items, and a log of its own.

    It has the same options. O(everything below).
    """
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
