"""Classes that track their attributes: @tracked, and support for attrs."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from pydatatracker import _core
from pydatatracker._core import AttrFast

__all__ = ["prepare_class", "rebuilt_as_tracked"]


_FAST = {name: AttrFast.__dict__[name] for name in ("__setattr__", "__delattr__")}


def prepare_class(base: type, cls: type) -> None:
    """Prepare a class of tracked objects, once, at its first instance.

    ``base`` is TrackedAttr.

    attrs writes a ``__setattr__`` of its own for classes with validators or converters, which stores with
    ``object.__setattr__``; that is replaced by one that runs the same hooks and stores through ours.
    """
    for owner in cls.__mro__:
        if not owner.__dict__.get("__attrs_own_setattr__"):
            continue
        original = owner.__dict__.get("__setattr__")
        cells = getattr(original, "__closure__", None) or ()
        names = getattr(getattr(original, "__code__", None), "co_freevars", ())
        hooks = dict(zip(names, (cell.cell_contents for cell in cells), strict=True)).get("sa_attrs")
        if isinstance(hooks, dict):
            owner.__setattr__ = _with_hooks(owner, hooks)  # type: ignore[method-assign]
    _choose_setattr(cls, cls.__mro__[: cls.__mro__.index(base)])


def _choose_setattr(cls: type, below: tuple[type, ...]) -> None:
    """Give cls the fast slots, unless it or a base defines one itself.

    ``below``: cls and its bases up to TrackedAttr. The slots are ``__setattr__`` and ``__delattr__``.
    """
    own = any(
        each.__dict__.get(name, fast) is not fast
        for each in below
        for name, fast in _FAST.items()
        if each is not object
    )
    if not own:
        for name, fast in _FAST.items():
            try:
                setattr(cls, name, fast)
            except Exception:  # a metaclass that allows no attribute: by look-up then
                return
        return
    if "__init__" in cls.__dict__:
        cls.__init__ = _linked_after(cls.__init__)  # type: ignore[misc]
    for each in below:
        for name, fast in _FAST.items():
            if each.__dict__.get(name) is fast:
                delattr(each, name)


def _linked_after(init: Any) -> Any:
    """Return a constructor that links what the given one stored.

    It may have stored attributes with object.__setattr__, past our hook.
    """

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        _core.relink(self)

    return __init__


def _with_hooks(owner: Any, hooks: dict[str, Any]) -> Any:
    def __setattr__(self: Any, name: str, value: Any) -> None:
        entry = hooks.get(name)
        if entry is not None:
            attribute, hook = entry
            value = hook(self, attribute, value)
        super(owner, self).__setattr__(name, value)

    return __setattr__


def rebuilt_as_tracked(cls: Any, base: type, options: dict[str, Any]) -> Any:
    """Return cls with TrackedAttr as a base; for `tracked`."""
    if issubclass(cls, base):
        return cls
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    try:
        if not _has_slots(cls):
            return type(cls)(cls.__name__, (cls, base), namespace, **options)
        # a class with __slots__ has a layout of its own: build it anew over our base
        namespace = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
        slots = cls.__dict__.get("__slots__", ())
        slots = (slots,) if isinstance(slots, str) else tuple(slots)
        for name in slots:
            namespace.pop(name, None)
        namespace["__slots__"] = tuple(name for name in slots if name != "__weakref__")
        bases = tuple(each for each in cls.__bases__ if each is not object)
        made = type(cls)(cls.__name__, (*bases, base), namespace, **options)
        _mend_super(made, cls)
        return made
    except (AttributeError, TypeError) as error:  # a metaclass has its own ideas, as that of an Enum
        raise TypeError(
            f"@tracked cannot give {cls.__name__} the base TrackedAttr ({error}); let the class inherit from it"
        ) from error


def _has_slots(cls: type) -> bool:
    return any(each.__dict__.get("__slots__") for each in cls.__mro__)


def _mend_super(made: type, cls: type) -> None:
    """Let ``super()`` without arguments work in a class that was rebuilt.

    It finds its class in a closure cell, which has to name the new class.
    """
    for value in made.__dict__.values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        for cell in getattr(function, "__closure__", None) or ():
            with contextlib.suppress(ValueError):  # a cell that is empty so far
                if cell.cell_contents is cls:
                    cell.cell_contents = made
