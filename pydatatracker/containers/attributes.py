"""Classes that track their attributes: @tracked, and support for attrs."""

from __future__ import annotations

import contextlib
import functools
import itertools
import types
import weakref
from typing import Any

from pydatatracker import _core
from pydatatracker._core import AttrFast, AttrHook

__all__ = ["prepare_class", "rebuilt_as_tracked"]


_BINDS_SETTER = "_cached_setattr_get"  # attrs: object.__setattr__.__get__, in the globals of a generated __init__
_STORE: Any = AttrHook._tracking_setattr
_WRAPPED: weakref.WeakSet[Any] = weakref.WeakSet()  # constructors that _linked_after made
_FAST = {name: AttrFast.__dict__[name] for name in ("__setattr__", "__delattr__")}


def prepare_class(base: type, cls: type) -> None:
    """Prepare a class of tracked objects, once, at its first instance.

    ``base`` is TrackedAttr.

    attrs writes a ``__setattr__`` of its own for classes with validators or converters, which stores with
    ``object.__setattr__``; that is replaced by one that runs the same hooks and stores through ours. Its ``__init__``
    stores in the same way, and gets our setter too.
    """
    for owner in cls.__mro__:
        for name in ("__init__", "__attrs_init__"):
            _store_through_hook(owner.__dict__.get(name))
        if not owner.__dict__.get("__attrs_own_setattr__"):
            continue
        original = owner.__dict__.get("__setattr__")
        cells = getattr(original, "__closure__", None) or ()
        names = getattr(getattr(original, "__code__", None), "co_freevars", ())
        hooks = dict(zip(names, (cell.cell_contents for cell in cells), strict=True)).get("sa_attrs")
        if isinstance(hooks, dict):
            owner.__setattr__ = _with_hooks(owner, hooks)  # type: ignore[method-assign]
    # by identity: a metaclass may define __eq__
    _choose_setattr(cls, tuple(itertools.takewhile(lambda each: each is not base, cls.__mro__)))


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
    for each in below:
        init, written_past = each.__dict__.get("__init__"), _written_past(each)
        if init is not None and (written_past or each is cls) and init not in _WRAPPED:
            wrapped = _linked_after(init, written_past)
            _WRAPPED.add(wrapped)
            each.__init__ = wrapped  # type: ignore[misc]
    for each in below:
        for name, fast in _FAST.items():
            if each.__dict__.get(name) is fast:
                delattr(each, name)


def _store_through_hook(init: Any) -> None:
    """Let a constructor that attrs generated store through our hook.

    attrs gives each one globals of its own, with the function that binds its setter.
    """
    init = getattr(init, "__wrapped__", init)
    names = getattr(init, "__globals__", {})
    bind = names.get(_BINDS_SETTER)
    if bind is None or "attr_dict" not in names or getattr(bind, "for_tracking", False):
        return

    def bind_setter(self: Any) -> Any:
        return functools.partial(_STORE, self) if isinstance(self, AttrHook) else bind(self)

    bind_setter.for_tracking = True  # type: ignore[attr-defined]
    names[_BINDS_SETTER] = bind_setter


def _written_past(cls: Any) -> tuple[str, ...]:
    """Return the fields that the constructor of a frozen class writes past us.

    A frozen dataclass calls object.__setattr__, a frozen attrs class without slots writes to ``__dict__``.
    """
    if getattr(cls.__dict__.get("__dataclass_params__"), "frozen", False):
        return tuple(cls.__dataclass_fields__)
    code = getattr(cls.__dict__.get("__init__"), "__code__", None)
    if "__attrs_attrs__" in cls.__dict__ and "_inst_dict" in getattr(code, "co_varnames", ()):
        return tuple(field.name for field in cls.__attrs_attrs__ if not _is_slot(cls, field.name))
    return ()


def _is_slot(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), types.MemberDescriptorType)


def _linked_after(init: Any, written_past: tuple[str, ...]) -> Any:
    """Return a constructor that links and records what the given one stored.

    ``written_past``: the attributes that it wrote past our hook. They are set again.
    """

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if isinstance(self, AttrHook):  # a base may be in use without tracking
            if written_past:
                _record_again(self, written_past)
            _core.relink(self)

    return __init__


def _record_again(self: Any, names: tuple[str, ...]) -> None:
    """Set attributes that were stored past our hook through it."""
    values = {}
    _core.set_quiet(self, True)
    try:
        for name in names:
            with contextlib.suppress(AttributeError):  # not set, or only in the class
                values[name] = object.__getattribute__(self, name)
                AttrHook._tracking_delattr(self, name)
    finally:
        _core.set_quiet(self, False)
    for name, value in values.items():
        _STORE(self, name, value)


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
    if any("__mapper__" in each.__dict__ for each in cls.__mro__):  # SQLAlchemy would map the new class, too
        raise TypeError(
            f"@tracked cannot make a new class of {cls.__name__}, which SQLAlchemy has mapped; use"
            f" track_columns({cls.__name__}) of pydatatracker.integrations.sqlalchemy"
        )
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
        reason, instead = str(error), f"use watch({cls.__name__}), which remembers its instances as they are"
        if _is_model(cls):
            reason = "a pydantic model stores its fields itself"
            instead = f"derive it from pydatatracker.integrations.pydantic.TrackedModel, or {instead}"
        raise TypeError(f"@tracked cannot give {cls.__name__} the base TrackedAttr ({reason}); {instead}") from error


def _is_model(cls: type) -> bool:
    """Return whether a class is a model of pydantic, which may be missing."""
    return any(each.__module__ == "pydantic.main" and each.__name__ == "BaseModel" for each in cls.__mro__)


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
