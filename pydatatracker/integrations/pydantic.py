"""Models of pydantic 2 that remember every change of their fields.

`TrackedModel` is a `pydantic.BaseModel`. pydantic keeps the fields of a model in its ``__dict__``; here that dict is a
tracked one, whose methods the attribute ``tracking`` gives. Everything else is pydantic's: validation, dumps, copies,
pickles and equality. Where pydantic replaces the whole ``__dict__`` (`validate_assignment`) or writes past its methods,
the difference is stored into the tracked one.

The containers need no module to be types of fields: ``tags: TrackedList[str]`` works in any model.
"""

from __future__ import annotations

import types
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydatatracker import _core
from pydatatracker.containers import TrackedDict

try:
    from pydantic import BaseModel, model_validator
except ImportError as error:
    raise ImportError(
        "pydatatracker.integrations.pydantic needs pydantic 2, which is not installed here (or is version 1): pip"
        " install 'pydantic>=2.12'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TrackedModel"]

_DEFAULTS: Final = {"tracking_auto_convert": True, "tracking_follow": True}  # as `track` has them
_store: Final = object.__setattr__
_LATER: Final = object()  # in the slot of a copy whose history has not begun
_assigning: Final[set[int]] = set()  # ids of models while pydantic validates an assignment to them
_classes: weakref.WeakKeyDictionary[type, type[_Fields]] = weakref.WeakKeyDictionary()


class _Fields(TrackedDict[str, Any]):
    """The ``__dict__`` of a model; records its fields only.

    What else is stored there is a `cached_property`, which is no data.
    """

    __slots__ = ()
    names: ClassVar[frozenset[str]] = frozenset()

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self.names:
            super().__setitem__(name, value)
        else:
            dict.__setitem__(self, name, value)

    def tracking_verify(self) -> Any:
        """Return where history and fields differ, or None."""
        others = {name: dict.pop(self, name) for name in list(self) if name not in self.names}
        try:
            return super().tracking_verify()
        finally:
            dict.update(self, others)


class TrackedModel(BaseModel):
    """A BaseModel that records changes of its fields.

    `tracking` has the history, and the methods of a `TrackedDict`. Options are class keywords
    (``class User(TrackedModel, tracking_capture_stack=True)``). Lists, dicts and sets in fields become tracked, unless
    ``tracking_auto_convert=False``; models in them are followed on CPython 3.12 and newer. Extra values and private
    attributes are not recorded.

    A validation costs a copy of the fields more, O(items), and an assignment a call and a record.

    >>> class User(TrackedModel):
    ...     name: str
    ...     tags: list[str] = []
    >>> user = User(name="ann")
    >>> user.tags.append("admin")
    >>> user.name = "bob"
    >>> [change.pointer for change in user.tracking.tracking_changes()[1:]]
    ['/tags/0', '/name']
    """

    __slots__ = ("_tracking_fields",)  # the tracked __dict__, also while pydantic has put another one there
    __tracking_options__: ClassVar[dict[str, Any]] = _DEFAULTS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name) for name in list(kwargs) if name.startswith("tracking_")}
        if "tracking_name" in given:
            raise TypeError("tracking_name names one container, and these options are for all models of a class")
        _core.options_from(dict(given))  # says what is wrong with them
        cls.__tracking_options__ = {**cls.__tracking_options__, **given}
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "tracking" in cls.model_fields:
            raise TypeError(
                f"{cls.__name__}: a field cannot be called 'tracking', which is the history of a TrackedModel; name it"
                " otherwise and give it the alias, as in tracking_: str = Field(alias='tracking')"
            )
        super().__pydantic_init_subclass__(**kwargs)

    @model_validator(mode="after")
    def _tracking_begin(self) -> Self:
        fields, stored = _begin(self), self.__dict__
        if stored is not fields and id(self) not in _assigning:  # __init__ was called again
            _store(self, "__dict__", fields)
            _take_over(fields, stored, None)
        return self

    @property
    def tracking(self) -> TrackedDict[str, Any]:
        """The tracked dict of the fields, with the history of the model. O(1).

        A model that was made by `copy.copy` or `copy.deepcopy` begins its history here, or with its first assignment.

        >>> class Point(TrackedModel):
        ...     x: int = 0
        >>> point = Point()
        >>> point.x = 5
        >>> point.tracking.last_change().before
        0
        >>> _ = point.tracking.tracking_undo()
        >>> point.x
        0
        """
        return _begin(self)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Make a model without validation, as `BaseModel.model_construct`."""
        made = super().model_construct(_fields_set, **values)
        _begin(made)
        return made

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with a history of its own, as `BaseModel.model_copy`."""
        made = super().model_copy(update=update, deep=deep)
        _begin(made)
        return made

    def __copy__(self) -> Self:
        return _without_history(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _without_history(super().__deepcopy__(memo))

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__dict__": dict(state["__dict__"])}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        _begin(self)

    if not TYPE_CHECKING:  # as in BaseModel: a type checker would allow every attribute

        def __setattr__(self, name: str, value: Any) -> None:
            fields = _fields_of(self)
            if fields is _LATER and name[:1] != "_":
                fields = _begin(self)
            if fields is None or self.__dict__ is not fields or not self.model_config.get("validate_assignment"):
                super().__setattr__(name, value)  # into the tracked dict; a plain one while the model is validated
                return
            given, extra = set(self.__pydantic_fields_set__), self.__pydantic_extra__
            _assigning.add(id(self))
            try:
                super().__setattr__(name, value)
            finally:  # a validator of the model may fail after pydantic has stored the values
                _assigning.discard(id(self))
                stored = self.__dict__
                if stored is not fields:
                    _store(self, "__dict__", fields)
                    try:
                        _take_over(fields, stored, name)
                    except BaseException:
                        _store(self, "__pydantic_fields_set__", given)
                        _store(self, "__pydantic_extra__", extra)
                        raise

        def __delattr__(self, name: str) -> None:
            fields = _fields_of(self)
            if fields is _LATER:
                fields = _begin(self)
            if fields is None or self.__dict__ is not fields or name not in fields.names:
                super().__delattr__(name)
                return
            before = dict(fields)
            super().__delattr__(name)  # past the methods of the dict
            if name in fields or name not in before:
                return
            dict.__setitem__(fields, name, before[name])
            try:
                del fields[name]
            except BaseException:
                dict.clear(fields)
                dict.update(fields, before)  # in the order that it had
                raise


_slot: Final[Any] = TrackedModel.__dict__["_tracking_fields"]


def _fields_of(model: Any) -> Any:
    """Return the tracked dict of a model, or None before it has one."""
    try:
        return _slot.__get__(model)
    except AttributeError:
        return None


def _begin(model: Any) -> Any:
    """Give a model its tracked dict, once."""
    fields = _fields_of(model)
    if fields is None or fields is _LATER:
        fields = _class_for(type(model))(model.__dict__)
        _slot.__set__(model, fields)
        _store(model, "__dict__", fields)
    return fields


def _class_for(cls: type[TrackedModel]) -> type[_Fields]:
    """Return the class of the tracked dict of a model's class. O(1)."""
    made = _classes.get(cls)
    if made is None:
        names = frozenset(cls.model_fields)
        space = {"__module__": cls.__module__, "__slots__": (), "__doc__": None, "names": names}
        made = types.new_class(cls.__name__, (_Fields,), cls.__tracking_options__, lambda body: body.update(space))
        _classes[cls] = made
    return made


def _without_history(model: Any) -> Any:
    """Return a copy that has its fields in a plain dict so far."""
    if isinstance(model.__dict__, _Fields):
        _store(model, "__dict__", dict(model.__dict__))
    _slot.__set__(model, _LATER)
    return model


def _take_over(fields: _Fields, stored: dict[str, Any], name: str | None) -> None:
    """Store what pydantic put into a new ``__dict__``.

    ``name``: what was assigned, which is a change also if it is the same object.
    """
    changed = {key: value for key, value in stored.items() if key == name or fields.get(key, fields) is not value}
    removed = [key for key in fields if key not in stored]
    for key in removed:
        del fields[key]
    if len(changed) == 1:
        ((key, value),) = changed.items()
        fields[key] = value
    elif changed:
        fields.update(changed)
    if list(fields) != list(stored):
        values = dict(fields)
        dict.clear(fields)
        dict.update(fields, {key: values[key] for key in stored})
