"""Tracked twins of the containers in `collections`."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatracker import _core
from pydatatracker._core import MISSING, DefaultDictHook, DequeHook, DictHook, OrderedDictHook
from pydatatracker.containers.fields import schema_of_field
from pydatatracker.containers.mixin import TrackingMixin

if TYPE_CHECKING:
    from typing import Self

__all__ = ["TrackedCounter", "TrackedDefaultDict", "TrackedDeque", "TrackedOrderedDict"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


def _as_original(container: Any, twin: type, original: type, text: str) -> str:
    """Return the repr of a twin as that of its original.

    A program prints what it printed before. A subclass keeps its own name.
    """
    if type(container) is not twin or not text.startswith(twin.__name__):  # "...", where it holds itself
        return text
    return original.__name__ + text.removeprefix(twin.__name__)


class TrackedOrderedDict(TrackingMixin, OrderedDictHook[K, V]):
    """An OrderedDict that records its changes.

    It accepts what `collections.OrderedDict` accepts, and ``tracking_...`` options as keywords. ``move_to_end`` is one
    record; with ``last=False`` it is O(items). Its repr is that of an OrderedDict.

    >>> d = TrackedOrderedDict(a=1, b=2)
    >>> d.move_to_end("a")
    >>> d.last_change().method, list(d)
    ('move_to_end', ['b', 'a'])
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field

    def __repr__(self) -> str:
        return _as_original(self, TrackedOrderedDict, collections.OrderedDict, super().__repr__())


class TrackedDefaultDict(TrackingMixin, DefaultDictHook[K, V]):
    """A defaultdict that records its changes.

    It accepts what `collections.defaultdict` accepts, and ``tracking_...`` options as keywords. What the factory makes
    is an ``add`` whose method is ``__missing__``. Its repr is that of a defaultdict.

    >>> d = TrackedDefaultDict(list)
    >>> d["a"].append(1)
    >>> d.last_change().method, d
    ('__missing__', defaultdict(<class 'list'>, {'a': [1]}))
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field

    def __repr__(self) -> str:
        return _as_original(self, TrackedDefaultDict, collections.defaultdict, super().__repr__())


class TrackedDeque(TrackingMixin, DequeHook[T]):
    """A deque that records its changes.

    It accepts what `collections.deque` accepts, and ``tracking_...`` options as keywords. One call is one record, also
    when ``maxlen`` lets items fall out at the other end. Its repr is that of a deque.

    >>> d = TrackedDeque("ab", 2)
    >>> d.append("c")
    >>> d.last_change().changes, d
    (((0, 'a', MISSING), (1, MISSING, 'c')), deque(['b', 'c'], maxlen=2))
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field

    def __repr__(self) -> str:
        return _as_original(self, TrackedDeque, collections.deque, super().__repr__())


def _counts_itself(counter: Any) -> bool:
    """Return whether a Counter may be counted in without calling its methods."""
    return type(counter).get is dict.get and type(counter).__setitem__ is DictHook.__setitem__


class TrackedCounter(TrackingMixin, DictHook[T, int], collections.Counter[T]):
    """A Counter that records its changes.

    It accepts what `collections.Counter` accepts, and ``tracking_...`` options as keywords. ``update``, ``subtract``,
    ``+=`` and the like are one record each, with one row for each element. Its repr is that of a Counter.

    >>> c = TrackedCounter("abc")
    >>> c.subtract("aab")
    >>> c.last_change().changes, c
    ((('a', 1, -1), ('b', 1, 0)), Counter({'c': 1, 'b': 0, 'a': -1}))
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field

    def __init__(self, iterable: Any = None, /, **kwargs: Any) -> None:
        rest = {name: kwargs.pop(name) for name in list(kwargs) if not name.startswith("tracking_")}
        if type(self).update is not TrackedCounter.update or not _counts_itself(self) or _core.begun(self):
            DictHook.__init__(self, **kwargs)
            self.update(iterable, **rest)
        else:
            DictHook.__init__(self, dict(collections.Counter(iterable, **rest)), **kwargs)

    def update(self, iterable: Any = None, /, **kwargs: Any) -> None:
        """Add counts, as `Counter.update`: one record. O(elements)."""
        if _counts_itself(self):
            _core.tally(self, iterable, kwargs, False)
        else:
            if not self and isinstance(iterable, Mapping):  # Counter would call dict.update, past the hook
                DictHook.update(self, iterable)
                iterable = None
            collections.Counter.update(self, iterable, **kwargs)

    def subtract(self, iterable: Any = None, /, **kwargs: Any) -> None:
        """Subtract counts, as `Counter.subtract`: one record. O(elements)."""
        if _counts_itself(self):
            _core.tally(self, iterable, kwargs, True)
        else:
            collections.Counter.subtract(self, iterable, **kwargs)

    def __delitem__(self, elem: Any) -> None:
        if elem in self:
            DictHook.__delitem__(self, elem)

    def copy(self) -> Self:
        """Return a copy without the history, as `Counter.copy`. O(elements)."""
        return self.__class__(self)

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], v: Any = None) -> Any:
        """Raise NotImplementedError, as `Counter.fromkeys`."""
        return collections.Counter.fromkeys(iterable, v)

    def __or__(self, other: Any) -> Any:
        return collections.Counter.__or__(self, other)

    def __iadd__(self, other: Any) -> Self:  # type: ignore[misc, override]
        return self._become(collections.Counter.__iadd__, other, "__iadd__")

    def __isub__(self, other: Any) -> Self:  # type: ignore[misc]
        return self._become(collections.Counter.__isub__, other, "__isub__")

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        return self._become(collections.Counter.__ior__, other, "__ior__")

    def __iand__(self, other: Any) -> Self:  # type: ignore[misc]
        return self._become(collections.Counter.__iand__, other, "__iand__")

    def _become(self, operation: Any, other: Any, method: str) -> Self:
        """Do an operation on a plain copy, then here as one record."""
        counts: collections.Counter[Any] = collections.Counter(dict(self))
        try:
            operation(counts, counts if other is self else other)
        finally:
            # the copy has the same keys, which need not be hashed to find them
            made = {id(element): after for element, after in counts.items()}
            rows: list[Any] = []
            for element, before in self.items():
                after = made.pop(id(element), MISSING)
                if after is not before:
                    rows += element, before, after
            for element, after in counts.items():
                if id(element) in made:
                    rows += element, MISSING, after
            if rows:
                _core.restore(self, "rows", -1, MISSING, MISSING, tuple(rows), _core.M_CODES[method])
        return self

    def __repr__(self) -> str:
        return _as_original(self, TrackedCounter, collections.Counter, collections.Counter.__repr__(self))


TWINS: dict[type, type] = {
    collections.OrderedDict: TrackedOrderedDict,
    collections.defaultdict: TrackedDefaultDict,
    collections.Counter: TrackedCounter,
    collections.deque: TrackedDeque,
}
