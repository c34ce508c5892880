"""Classes that mix a tracked container with another one of its kind.

Two classes that override the same methods hear of every change only if each calls the next one. Ours call the builtin,
so another class must come before them, and has to call ``super()``. What would leave one of the two deaf is refused
when the class is defined.
"""

from __future__ import annotations

import builtins
import collections
import types
from collections.abc import Iterator
from typing import Any

from pydatatracker._core import DefaultDictHook, DequeHook, DictHook, ListHook, OrderedDictHook, SetHook

__all__ = ["refuse_deaf"]

# by identity: a metaclass may define __eq__ and __hash__
_BUILTINS: dict[int, type] = {
    id(DictHook): dict,
    id(ListHook): list,
    id(SetHook): set,
    id(OrderedDictHook): collections.OrderedDict,
    id(DefaultDictHook): collections.defaultdict,
    id(DequeHook): collections.deque,
}
_MRO: Any = type.__dict__["__mro__"].__get__  # what a metaclass says does not count
_NAMES: Any = type.__dict__["__dict__"].__get__
_NOT_CALLED = frozenset(
    ("__getattribute__", "__new__", "__doc__", "__module__", "__dict__", "__weakref__", "__slots__")
)
_HARMLESS = frozenset(("__getitem__", "__contains__", "__init__"))  # of the builtin: nothing is missed


def refuse_deaf(cls: type) -> None:
    """Raise TypeError for a class in which a base would miss changes.

    O(classes + their code), once per class.
    """
    mro = _MRO(cls)
    at = next((n for n, each in enumerate(mro) if id(each) in _BUILTINS), -1)
    if at < 0:
        return
    hook = mro[at]
    builtin = _BUILTINS[id(hook)]
    ours = next(each for each in mro if _is_ours(each))
    own = {name for name in _NAMES(hook) if hasattr(builtin, name)} - _NOT_CALLED
    known = {id(each) for each in (builtin, dict, object)}
    if any(_is_ours(each) and issubclass(each, collections.Counter) for each in mro):
        own |= set(_NAMES(collections.Counter)) - _NOT_CALLED
        known.add(id(collections.Counter))
    for each in mro[at + 1 :]:
        if id(each) in known or not issubclass(each, builtin):
            continue
        hidden = sorted(own & set(_NAMES(each)))
        if hidden:
            raise TypeError(
                f"{cls.__name__}: {ours.__name__} comes before {each.__name__}, so {each.__name__}.{hidden[0]} is never"
                f" called; name {each.__name__} first, as in class {cls.__name__}({each.__name__}, {ours.__name__}),"
                " or use watch(x)"
            )
    below = {id(each) for each in mro[at + 1 :]}
    for each in mro[1:at]:
        if _is_ours(each) or issubclass(each, hook):
            continue
        for name, method in list(_NAMES(each).items()):
            called = _goes_past(method, below, own - _HARMLESS)
            if called is None and name in own and issubclass(each, builtin) and not _is_python(method):
                called = "is not written in Python, and may call the builtin"
            if called:
                raise TypeError(
                    f"{cls.__name__}: {each.__name__}.{name} {called}, so {ours.__name__} does not hear of it; let it"
                    " call super(), or use watch(x)"
                )


def _is_ours(cls: type) -> bool:
    module = _NAMES(cls).get("__module__")
    return type(module) is str and module.startswith(("pydatatracker.containers", "pydatatracker.history"))


def _is_python(method: Any) -> bool:
    """Return False for what may call the builtin unseen.

    None refuses every call, such as ``__setitem__ = None``.
    """
    return method is None or isinstance(getattr(method, "__func__", method), types.FunctionType)


def _goes_past(method: Any, below: set[int], own: set[str]) -> str | None:
    """Return how a method reaches the builtin without ``super()``, or None.

    ``below``: ids of the builtin and its bases; ``own``: the mutators.
    """
    seen: set[int] = set()
    todo: list[Any] = [
        each
        for each in (getattr(method, name, None) for name in ("__func__", "fget", "fset", "fdel"))
        if isinstance(each, types.FunctionType)
    ]
    if isinstance(method, types.FunctionType):
        todo.append(method)
    while todo:
        function = todo.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        for cell in function.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError:  # empty so far
                continue
            if isinstance(held, types.FunctionType):
                todo.append(held)
            elif _is_bare(held, below, own):
                return f"calls {held.__objclass__.__name__}.{held.__name__}"
        for owner, attribute in _attributes_of_globals(function.__code__):
            held = function.__globals__.get(owner, vars(builtins).get(owner))
            if (id(held) in below and attribute in own) or _is_bare(held, below, own):
                return f"calls {owner}.{attribute}".rstrip(".")
    return None


def _is_bare(held: Any, below: set[int], own: set[str]) -> bool:
    """Return True for a mutator of the builtin, such as ``dict.pop``."""
    return (
        isinstance(held, (types.WrapperDescriptorType, types.MethodDescriptorType))
        and id(held.__objclass__) in below
        and held.__name__ in own
    )


def _attributes_of_globals(code: types.CodeType) -> Iterator[tuple[str, str]]:
    """Return (global, attribute) for what a function loads.

    Nested functions included; "" for no attribute.
    """
    import dis  # few programs mix classes

    last = None
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            last = step.argval
            yield last, ""
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and last is not None:
            yield last, step.argval
            last = None
        elif step.opname not in ("CACHE", "PRECALL", "PUSH_NULL"):
            last = None
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _attributes_of_globals(each)
