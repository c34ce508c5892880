"""A JSON field whose values are tracked.

A value becomes tracked when it is read from the object for the first time, so a list of objects whose JSON nobody looks
at costs nothing. For migrations the field is Django's own: its column is the same.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from pydatatracker import _core
from pydatatracker.history.walk import plain_copy
from pydatatracker.integrations._rows import as_tracked, json_options

__all__ = ["TrackedJSONField"]


class TrackedAttribute(DeferredAttribute):
    """The value of a `TrackedJSONField` in an object."""

    field: Any

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        data = instance.__dict__
        name = self.field.attname
        if name not in data:
            super().__get__(instance, cls)
        value = data[name]
        if value is None or isinstance(value, (str, int, float)):
            return value
        if _core.tracker(value) is None:
            value = data[name] = self.field.track(value)
            if _core.tracker(value) is None:
                return value
        attach = getattr(instance, "_tracking_attach", None)
        if attach is not None:
            attach(name, value)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value

    def __delete__(self, instance: Any) -> None:
        """Forget the value, so that Django loads it again."""
        name = self.field.attname
        if name not in instance.__dict__:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {name!r}")
        del instance.__dict__[name]


class TrackedJSONField(models.JSONField):
    """A `JSONField` whose values are tracked data.

    Dicts and lists are tracked from when they are read from the object: ``article.data["a"]["b"] = 1`` is recorded, and
    can be undone with ``article.data.tracking_undo()``. In migrations it is a `JSONField`, so exchanging one for the
    other needs none. Reading a value for the first time costs O(its items).

    :param options: the arguments of `JSONField`, and the ``tracking_...`` options of the values.
    :raises TypeError: an option is unknown.

    >>> field = TrackedJSONField(default=dict, tracking_capture_stack=True)
    >>> field.deconstruct()[1:]
    ('django.db.models.JSONField', [], {'default': <class 'dict'>})
    >>> type(field.track({"a": {}})["a"])
    <class 'pydatatracker.containers.TrackedDict'>
    """

    descriptor_class = TrackedAttribute

    def __init__(self, *args: Any, **options: Any) -> None:
        self._tracking = {name: options.pop(name) for name in [*options] if name.startswith("tracking_")}
        self._options = json_options(self._tracking, "TrackedJSONField()")
        super().__init__(*args, **options)

    @property
    def redacts(self) -> bool:
        """Whether ``tracking_redact`` was given. O(1)."""
        return self._tracking.get("tracking_redact") is not None

    def track(self, value: Any) -> Any:
        """Return a value as tracked data; scalars stay what they are. O(items)."""
        return as_tracked(value, self._options, f"the field {self.name!r}")

    def deconstruct(self) -> Any:
        """Return the field as migrations write it: as a `JSONField`."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def clone(self) -> Any:
        """Return a copy that is not attached to a model."""
        _, _, args, kwargs = self.deconstruct()
        return type(self)(*args, **kwargs, **self._tracking)

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Return the value to save, as it is: writing it does not need it tracked."""
        data = model_instance.__dict__
        return data[self.attname] if self.attname in data else super().pre_save(model_instance, add)

    def value_to_string(self, obj: Any) -> Any:
        """Return the value for a serializer, as plain data."""
        return plain_copy(super().value_to_string(obj))
