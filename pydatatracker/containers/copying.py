"""Copies and pickles: data and options are kept, history is not.

Observers are not kept either. A rebuilt container is quiet (records nothing) until all of it is there. ``copy`` calls
``__copy__``, ``pickle`` the reduce tuple; a user's subclass keeps its ``__dict__`` and ``__slots__`` through
``object.__getstate__``. What it defines itself decides, as for any subclass of a builtin: ``__getstate__`` and
``__setstate__``, ``__getnewargs__``, ``__reduce__``, ``__copy__``, or a function that it gave to `copyreg`.

The functions that pickles call are published in `pydatatracker.rebuild`, and pickles name them there. The arguments
that they are called with have a format version:

- format 1: ``tree(1, options, data, name)`` where all that is below is of the package's own classes and scalars:
  ``data`` is plain, and all of it is tracked when it was loaded (`_core.as_tree`). Else
  ``container(1, class, options, elements, name, new)``, where arguments at the end may be left out and ``new`` is what
  ``__getnewargs_ex__`` returned, and ``options(1, {"tracking_max_changes": 10, ...})`` with the names
  and values of the keyword arguments; ``whole(1, class, options, contents, name, new, state)`` is called by YAML, whose
  library knows no state setter;
- before it, 0.2.0 named ``start(class, options, name, elements)`` and ``_core.Options(8 values)``.
"""

from __future__ import annotations

import collections
import copyreg
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from pydatatracker import _core
from pydatatracker._core import (
    AttrHook,
    DefaultDictHook,
    DequeHook,
    DictHook,
    ListHook,
    Options,
    OrderedDictHook,
    SetHook,
)

__all__ = [
    "FORMAT",
    "called_by_joblib_hash",
    "called_by_yaml",
    "deep_copy",
    "options",
    "reconstruct",
    "reduce",
    "reduced_by_user",
    "shallow_copy",
    "tree",
]

FORMAT: Final = 1
_DICTS: Final = (DictHook, OrderedDictHook, DefaultDictHook)
_DEPTH: Final = 4  # frames: a user's __reduce_ex__ may stand between
_F = TypeVar("_F", bound=Callable[..., Any])


def _named_by_pickles(function: _F) -> _F:
    """Have pickles look for a function in `pydatatracker.rebuild`.

    That holds wherever it is defined.
    """
    function.__module__ = "pydatatracker.rebuild"
    return function


def called_by_yaml() -> bool:
    """Return whether PyYAML (or ruamel.yaml) is behind the call.

    Its representer uses protocol 2, and ignores the state setter.
    """
    return _is_called_by("yaml.representer")


def called_by_joblib_hash() -> bool:
    """Return whether `joblib.hash` is behind the call. It uses protocol 3.

    It hashes a pickle, so that of equal data has to be the same.
    """
    return _is_called_by("joblib.hashing")


def _is_called_by(module: str) -> bool:
    frame: Any = sys._getframe(3)
    for _ in range(_DEPTH):
        if frame is None:
            return False
        if str(frame.f_globals.get("__name__")).endswith(module):
            return True
        frame = frame.f_back
    return False


def reduce(tracked: Any, in_one: bool = False, content_only: bool = False) -> Any:
    """Return the reduce tuple of a tracked container (PEP 307).

    Its sixth part is the state setter that Python 3.8 added. ``in_one``: everything is in the arguments instead; a
    container that contains itself cannot be stored so. ``content_only``: equal data gives equal tuples, whatever its
    options, and whoever refers to its parts.
    """
    cls, own, name = type(tracked), _core.own_options(tracked), _core.describe(tracked)[1]
    if content_only:
        own = name = None
    args: tuple[Any, ...]
    items = pairs = None
    data = None if in_one or content_only else _core.as_tree(tracked)
    if data is not None:
        return tree, (FORMAT, own, data) if name is None else (FORMAT, own, data, name)
    new = _new_arguments(tracked)
    if in_one:
        everything = [FORMAT, cls, own, _contents(tracked), name, new, _state(tracked)]
        if isinstance(tracked, (DefaultDictHook, DequeHook)):
            everything.append(_elements(tracked) or None)
        while everything[-1] is None:
            everything.pop()
        return whole, tuple(everything)
    if isinstance(tracked, _DICTS):
        pairs = iter(dict.items(tracked))
    elif isinstance(tracked, ListHook):
        items = list.__iter__(tracked)
    elif isinstance(tracked, DequeHook):
        items = collections.deque.__iter__(tracked)
    elements = _elements(tracked)
    if content_only and isinstance(tracked, SetHook):
        elements = set(elements)  # joblib sorts those of a set
    if new is not None:
        args = (FORMAT, cls, own, elements, name, new)
    elif elements != ():
        args = (FORMAT, cls, own, elements) if name is None else (FORMAT, cls, own, elements, name)
    elif name is not None:
        args = (FORMAT, cls, own, (), name)
    elif own is not None:
        args = (FORMAT, cls, own)
    else:
        args = (FORMAT, cls)
    return container, args, (_state(tracked),), items, pairs, finish


def _elements(tracked: Any) -> Any:
    """Return what a container needs before its items.

    The elements of a set; ``(default_factory,)`` and ``(maxlen,)``; for all others ().
    """
    if isinstance(tracked, SetHook):
        return list(set.__iter__(tracked))
    if isinstance(tracked, DefaultDictHook):
        return (tracked.default_factory,)
    if isinstance(tracked, DequeHook) and tracked.maxlen is not None:
        return (tracked.maxlen,)
    return ()


def _contents(tracked: Any) -> Any:
    """Return the items as plain data: a dict, a list, or None for attributes.

    Those of an OrderedDict are a list of pairs, since YAML sorts the keys of a mapping.
    """
    if isinstance(tracked, OrderedDictHook):
        return [[key, value] for key, value in collections.OrderedDict.items(tracked)]
    if isinstance(tracked, _DICTS):
        return dict(dict.items(tracked))
    if isinstance(tracked, ListHook):
        return list(list.__iter__(tracked))
    if isinstance(tracked, DequeHook):
        return list(collections.deque.__iter__(tracked))
    return list(set.__iter__(tracked)) if isinstance(tracked, SetHook) else None


def _new_arguments(tracked: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return what the ``__new__`` of a user's class needs, or None."""
    both = getattr(tracked, "__getnewargs_ex__", None)
    if both is not None:
        args, kwargs = both()
        return args, kwargs
    one = getattr(tracked, "__getnewargs__", None)
    return None if one is None else (one(), {})


def _state(container: Any) -> Any:
    return container.__getstate__()  # object's own keeps __dict__ and __slots__


@_named_by_pickles
def container(
    version: int,
    cls: Any = None,
    options: Options | None = None,
    elements: Any = (),
    name: str | None = None,
    new: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    /,
    *later: Any,
) -> Any:
    """Make the empty, quiet container of a pickle; of a set with its elements.

    Raises UnpicklingError for a format that a newer version of the package wrote.
    """
    if version != FORMAT:
        _refuse(f"it has format {version}, and this version reads format {FORMAT}")
    args, kwargs = ((), {}) if new is None else new
    made = cls.__new__(cls, *args, **kwargs)
    _core.begin_rebuild(made, options, name)
    if isinstance(made, DefaultDictHook):
        collections.defaultdict.__init__(made, *elements)
    elif isinstance(made, DequeHook):
        collections.deque.__init__(made, (), *elements)
    elif elements:
        set.update(made, elements)
        _core.relink(made)
    return made


@_named_by_pickles
def tree(
    version: int, options: Options | None = None, data: Any = None, name: str | None = None, /, *later: Any
) -> Any:
    """Make the container of a pickle, with all that is below it. O(items).

    Raises UnpicklingError for a format that a newer version of the package wrote.
    """
    if version != FORMAT:
        _refuse(f"it has format {version}, and this version reads format {FORMAT}")
    made = _core.from_tree(data, options)
    _core.configure(made, None, name)
    return made


@_named_by_pickles
def whole(
    version: int,
    cls: Any = None,
    options: Any = None,
    contents: Any = (),
    name: str | None = None,
    new: Any = None,
    state: Any = None,
    elements: Any = None,
    /,
    *later: Any,
) -> Any:
    """Make the container of a YAML document, complete. O(items).

    Raises UnpicklingError for a format that a newer version of the package wrote.
    """
    made = container(version, cls, options, elements or (), name, new)
    _fill(made, contents)
    if not isinstance(made, AttrHook):
        _core.relink(made)
    finish(made, (state,))
    return made


def _fill(made: Any, contents: Any) -> None:
    """Put items into a quiet container, past its hooks."""
    if isinstance(made, OrderedDictHook):
        for key, value in contents.items() if isinstance(contents, dict) else contents:
            collections.OrderedDict.__setitem__(made, key, value)
    elif isinstance(made, _DICTS):
        dict.update(made, contents)
    elif isinstance(made, DequeHook):
        collections.deque.extend(made, contents)
    elif isinstance(made, ListHook):
        list.extend(made, contents)
    elif isinstance(made, SetHook):
        set.update(made, contents)


_container = container  # below, a parameter has this name


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
    if state is not None:
        _set_state(container, state)
    if isinstance(container, AttrHook):
        _core.relink(container)
    _core.end_rebuild(container)


def reduced_by_user(tracked: Any, mixin: type) -> Any:
    """Return the reduce tuple that a user's class or `copyreg` defines.

    None if neither has one; ``mixin`` has ours. `copy` would look for them in this order.
    """
    cls = type(tracked)
    function = copyreg.dispatch_table.get(cls)
    if function is not None:
        return function(tracked)
    if cls.__reduce_ex__ is not mixin.__reduce_ex__:
        return tracked.__reduce_ex__(4)
    return tracked.__reduce__() if cls.__reduce__ is not mixin.__reduce__ else None


def reconstruct(
    original: Any,
    reduced: Any,
    copied: Callable[[Any], Any] = lambda value: value,
    memo: dict[int, Any] | None = None,
) -> Any:
    """Return a copy from a reduce tuple, as `copy` makes it.

    Unlike `copy`, it knows the state setter of Python 3.8. ``copied`` copies a part.
    """
    if isinstance(reduced, str):  # the name of a global
        return original
    parts: list[Any] = [*reduced, *[None] * (6 - len(reduced))]
    function, args, state, items, pairs, setter = parts
    made = function(*(copied(each) for each in args))
    if memo is not None:
        memo[id(original)] = made
    if setter is None and state is not None:
        _set_state(made, copied(state))
    for item in items or ():
        made.append(copied(item))
    for key, value in pairs or ():
        made[copied(key)] = copied(value)
    if setter is not None:
        setter(made, copied(state))
    return made


def _set_state(made: Any, state: Any) -> None:
    """Give an object the state of its pickle, as `pickle` does."""
    setstate = getattr(made, "__setstate__", None)
    if setstate is not None:
        setstate(state)
        return
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    if attributes:
        made.__dict__.update(attributes)
    for name, value in (slots or {}).items():
        setattr(made, name, value)


def _empty(container: Any, new: Any) -> Any:
    """Make an empty, quiet container like another one, for a copy."""
    elements = () if isinstance(container, SetHook) else _elements(container)
    return _container(
        FORMAT, type(container), _core.own_options(container), elements, _core.describe(container)[1], new
    )


def shallow_copy(container: Any) -> Any:
    """Return a copy that shares the items, with a log of its own.

    It has the same options. O(items).
    """
    made = _empty(container, _new_arguments(container))
    _fill(made, container)
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
    data = _core.as_tree(container, whole=True)
    if data is not None:
        memo[id(container)] = made = tree(FORMAT, _core.own_options(container), data, _core.describe(container)[1])
        return made
    new = _new_arguments(container)
    made = _empty(container, None if new is None else copied(new, memo))
    memo[id(container)] = made
    if isinstance(made, DefaultDictHook):
        made.default_factory = copied(container.default_factory, memo)
    if isinstance(container, _DICTS):
        store = collections.OrderedDict if isinstance(container, OrderedDictHook) else dict
        for key, value in list(dict.items(container)):
            store.__setitem__(made, copied(key, memo), copied(value, memo))
    elif isinstance(container, ListHook):
        for item in list(list.__iter__(container)):
            list.append(made, copied(item, memo))
    elif isinstance(container, SetHook):
        for element in list(set.__iter__(container)):
            set.add(made, copied(element, memo))
    elif isinstance(container, DequeHook):
        for item in list(collections.deque.__iter__(container)):
            collections.deque.append(made, copied(item, memo))
    if not isinstance(container, AttrHook):
        _core.relink(made)
    finish(made, (copied(_state(container), memo),))
    return made
