"""The containers as types of pydantic's fields.

pydantic asks a class that it meets in an annotation for `__get_pydantic_core_schema__`; nothing else calls what is
here, and so pydantic is imported only where it is in use already. The schema is that of the builtin, with a function
after it that makes the tracked container. So input, errors, JSON schema and dumps are the builtin's. It is a function
*after* and not one *around* it, since pydantic hands the latter the input as Python objects, and a strict set is then
not read from JSON.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Annotated, Any, Final, get_args, get_origin

from pydatatracker._core import DefaultDictHook, DequeHook, DictHook, ListHook, OrderedDictHook, SetHook

__all__ = ["schema_of_field"]

_ORIGINALS: Final[dict[type, tuple[Any, int]]] = {  # the builtin, and how many arguments its type takes
    OrderedDictHook: (collections.OrderedDict, 2),
    DefaultDictHook: (collections.defaultdict, 2),
    DictHook: (dict, 2),
    ListHook: (list, 1),
    SetHook: (set, 1),
    DequeHook: (collections.deque, 1),
}
_HOOKS: Final = tuple(_ORIGINALS)


def _schema_of_field(cls: Any, source: Any, handler: Any) -> Any:
    """Return the core schema of a tracked container, for pydantic.

    ``source``: the annotation, such as ``TrackedDict[str, int]``. O(size of the annotation), once for each of them.
    """
    from pydantic_core import core_schema

    original, arity = _original_of(cls)
    args = _arguments(source)
    args = (*args, *[Any] * (arity - len(args)))[:arity]
    if issubclass(cls, DefaultDictHook):
        args = args[0], _with_factory(args[1])
    inner = handler.generate_schema(original[args if arity == 2 else args[0]])
    dump = None
    if issubclass(cls, DequeHook) and inner["type"] != "deque":  # before pydantic 2.14 only the class itself is written
        dump = core_schema.wrap_serializer_function_ser_schema(_dump_deque, schema=inner)
    return core_schema.no_info_after_validator_function(_maker(cls), inner, serialization=dump)


schema_of_field: Final = classmethod(_schema_of_field)


def _original_of(cls: type) -> tuple[Any, int]:
    if issubclass(cls, collections.Counter):
        return collections.Counter, 1
    return next(_ORIGINALS[hook] for hook in _ORIGINALS if issubclass(cls, hook))


def _maker(cls: Any) -> Callable[[Any], Any]:
    """Return what makes the container of a validated builtin.

    Its name is in the location of an error in a union, and so is that of the class.
    """

    def with_factory(value: Any) -> Any:
        return cls(value.default_factory, value)

    def with_length(value: Any) -> Any:
        return cls(value) if value.maxlen is None else cls(value, value.maxlen)

    if not issubclass(cls, (DefaultDictHook, DequeHook)):
        return cls  # type: ignore[no-any-return]
    made = with_factory if issubclass(cls, DefaultDictHook) else with_length
    made.__name__ = made.__qualname__ = cls.__name__
    return made


def _dump_deque(value: Any, handler: Any) -> Any:
    return handler(collections.deque(value, value.maxlen) if isinstance(value, DequeHook) else value)


def _arguments(source: Any) -> tuple[Any, ...]:
    """Return the arguments of the container's own type.

    Those of a subclass are found in its bases: ``class Names(TrackedList[str])``.
    """
    origin, args = get_origin(source) or source, get_args(source)
    bases = origin.__dict__.get("__orig_bases__", ())
    base = next((each for each in (*bases, *origin.__bases__) if _is_container(get_origin(each) or each)), None)
    if base is None or base in _HOOKS or get_origin(base) in _HOOKS:
        return args
    given = dict(zip(getattr(origin, "__parameters__", ()), args, strict=False))
    wanted = getattr(base, "__parameters__", ()) if get_args(base) else ()
    return _arguments(base[tuple(given.get(each, each) for each in wanted)] if wanted else base)


def _is_container(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, _HOOKS)


def _with_factory(values: Any) -> Any:
    """Name the default factory of values that are tracked themselves.

    pydantic knows those of the builtins only.
    """
    origin = get_origin(values) or values
    if not _is_container(origin) or issubclass(origin, DefaultDictHook):
        return values
    from pydantic import Field

    return Annotated[values, Field(default_factory=origin)]
