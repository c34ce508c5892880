"""The tracked containers: thin Python classes over the compiled hooks.

- ``mixin`` has the methods that all of them share, ``breaks`` stops at a change.
- ``attributes`` makes classes track their attributes, ``copying`` has copies and pickles.
- ``fields`` makes the containers types of pydantic's fields.
- ``wiring`` gives the core the Python functions that it calls.

The names in ``__all__`` are public, the modules are internal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from pydatatracker import _core, _forks
from pydatatracker._core import AttrFast, AttrHook, DictHook, ListHook, SetHook
from pydatatracker.containers.attributes import rebuilt_as_tracked
from pydatatracker.containers.fields import schema_of_field
from pydatatracker.containers.mixin import TrackingMixin
from pydatatracker.containers.twins import (
    TWINS,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedOrderedDict,
)
from pydatatracker.containers.wiring import connect

if TYPE_CHECKING:
    from _typeshed import SupportsKeysAndGetItem

    from pydatatracker._core import TrackingOptions, _Redact

__all__ = [
    "TrackedAttr",
    "TrackedCounter",
    "TrackedDefaultDict",
    "TrackedDeque",
    "TrackedDict",
    "TrackedList",
    "TrackedOrderedDict",
    "TrackedSet",
    "track",
    "tracked",
]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
C = TypeVar("C", bound=type)


class TrackedDict(TrackingMixin, DictHook[K, V]):
    """A dict that records its changes.

    It accepts what `dict` accepts, and ``tracking_...`` options as keywords. It is a dict in every respect; a store
    costs about two plain stores more, a read costs the same.

    >>> d = TrackedDict(a=1)
    >>> d["a"] = 2
    >>> d.last_change().before, d.last_change().after
    (1, 2)
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field

    if TYPE_CHECKING:  # dict.__init__ as typeshed has it, and the options beside **kwargs: an option is not an item

        @overload  # with its options by name: ty lets an unpacked TypedDict take any other keyword
        def __init__(
            self,
            /,
            *,
            tracking_name: str | None = None,
            tracking_auto_convert: bool = False,
            tracking_capture_snapshots: bool = False,
            tracking_capture_stack: bool | int = False,
            tracking_max_changes: int | None = 4096,
            tracking_keep_values: bool = True,
            tracking_observer_errors: Literal["log", "raise"] = "log",
            tracking_remember_last: bool = False,
            tracking_follow: bool = False,
            tracking_untracked: Literal["ignore", "warn", "raise"] = "ignore",
            tracking_redact: _Redact | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self: TrackedDict[str, V],
            /,
            *,
            tracking_name: str | None = None,
            tracking_auto_convert: bool = False,
            tracking_capture_snapshots: bool = False,
            tracking_capture_stack: bool | int = False,
            tracking_max_changes: int | None = 4096,
            tracking_keep_values: bool = True,
            tracking_observer_errors: Literal["log", "raise"] = "log",
            tracking_remember_last: bool = False,
            tracking_follow: bool = False,
            tracking_untracked: Literal["ignore", "warn", "raise"] = "ignore",
            tracking_redact: _Redact | None = None,
            **kwargs: V,
        ) -> None: ...
        @overload
        def __init__(self, map: SupportsKeysAndGetItem[K, V], /, **options: Unpack[TrackingOptions]) -> None: ...
        @overload
        def __init__(self, items: Iterable[tuple[K, V]], /, **options: Unpack[TrackingOptions]) -> None: ...
        @overload
        def __init__(
            self: TrackedDict[str, V],
            map: SupportsKeysAndGetItem[str, V] | Iterable[tuple[str, V]],
            /,
            *,
            tracking_name: str | None = None,
            tracking_auto_convert: bool = False,
            tracking_capture_snapshots: bool = False,
            tracking_capture_stack: bool | int = False,
            tracking_max_changes: int | None = 4096,
            tracking_keep_values: bool = True,
            tracking_observer_errors: Literal["log", "raise"] = "log",
            tracking_remember_last: bool = False,
            tracking_follow: bool = False,
            tracking_untracked: Literal["ignore", "warn", "raise"] = "ignore",
            tracking_redact: _Redact | None = None,
            **kwargs: V,
        ) -> None: ...
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...  # type: ignore[misc]  # of its overloads' self


class TrackedList(TrackingMixin, ListHook[T]):
    """A list that records its changes.

    It accepts what `list` accepts, and ``tracking_...`` options as keywords.

    >>> l = TrackedList("ab")
    >>> l.append("c")
    >>> l.last_change().path
    (2,)
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field


class TrackedSet(TrackingMixin, SetHook[T]):
    """A set that records its changes.

    It accepts what `set` accepts, and ``tracking_...`` options as keywords.

    >>> s = TrackedSet([1])
    >>> s.add(2)
    >>> s.last_change().action
    'add'
    """

    __slots__ = ()

    __get_pydantic_core_schema__ = schema_of_field


class TrackedAttr(TrackingMixin, AttrHook, AttrFast):
    """A base class whose instances record changes of their attributes.

    Options are class keywords (``class Account(TrackedAttr, tracking_capture_stack=True)``) or keyword arguments of
    ``__init__``. Plain dicts, lists and sets that are assigned become tracked unless ``tracking_auto_convert=False``.
    Names that begin with ``_`` are not tracked; a class attribute ``tracking_attributes_to_monitor`` lists exactly the
    names that are.

    >>> class Account(TrackedAttr):
    ...     def __init__(self, owner):
    ...         self.owner = owner
    >>> account = Account("ann")
    >>> account.owner = "bob"
    >>> account.last_change().pointer, account.last_change().before
    ('/owner', 'ann')
    """

    __slots__ = ("__weakref__",)

    __setattr__ = AttrHook._tracking_setattr
    __delattr__ = AttrHook._tracking_delattr

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs:
            options, name, kwargs = _core.options_from(kwargs)
            _core.configure(self, options, name)
        super().__init__(*args, **kwargs)

    def tracking_add_attribute_to_monitor(self, name: str) -> None:
        """Track an attribute of this object from now on, whatever its name.

        O(attributes).
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"an attribute name is an identifier, not {name!r}")
        _core.monitor(self, name)

    def lock(self, name: str | None = None) -> None:
        """Refuse changes of everything here and below, or of one attribute.

        O(1). A refused change raises TrackingLockedError.

        >>> class Point(TrackedAttr):
        ...     pass
        >>> p = Point()
        >>> p.lock("x")
        >>> p.x = 1
        Traceback (most recent call last):
        pydatatracker._core.TrackingLockedError: attribute 'x' of Point is locked; call unlock('x') first
        """
        if name is None:
            super().lock()
        else:
            _core.set_name_lock(self, name, True)

    def unlock(self, name: str | None = None) -> None:
        """Allow changes again. O(1)."""
        if name is None:
            super().unlock()
        else:
            _core.set_name_lock(self, name, False)


@overload
def tracked(cls: C, /) -> C: ...
@overload
def tracked(**options: Any) -> Any: ...
def tracked(cls: Any = None, /, **options: Any) -> Any:
    """Make a class track its attributes, as a subclass of TrackedAttr does.

    A decorator, with or without options. The class that it returns is a new one of the same name (one with
    ``__slots__`` is rebuilt, as dataclasses do it). Raises TypeError for a class that cannot have the base.

    >>> @tracked
    ... class Point:
    ...     def __init__(self, x):
    ...         self.x = x
    >>> p = Point(1)
    >>> p.x = 2
    >>> p.last_change().before
    1
    """
    if cls is None:
        return lambda each: rebuilt_as_tracked(each, TrackedAttr, options)
    if not isinstance(cls, type):
        raise TypeError(f"@tracked takes a class, not {cls!r}; for data use track()")
    return rebuilt_as_tracked(cls, TrackedAttr, options)


def track(obj: Any, /, **options: Any) -> Any:
    """Return nested plain data as tracked data.

    A dict, list, set, OrderedDict, defaultdict, Counter or deque is copied into its tracked twin, and so is every one
    below it. Tuples and other objects stay what they are, and are followed as by `watch` on CPython 3.12 and newer.
    ``tracking_auto_convert`` and ``tracking_follow`` are on by default. Warns if something else holds a part of the
    data, and so keeps the plain original. O(items). Raises TypeError for what cannot be tracked; `watch` remembers
    other objects.

    >>> cfg = track({"ports": [80, 443]})
    >>> cfg["ports"].append(8080)
    >>> cfg.last_change().pointer
    '/ports/2'
    """
    given, name, rest = _core.options_from({"tracking_auto_convert": True, "tracking_follow": True, **options})
    if rest:
        raise TypeError(f"track() takes tracking_... options, not {next(iter(rest))!r}")
    if _core.tracker(obj) is not None:
        return obj
    cls = type(obj)
    if cls not in _core.CONVERTED:
        if issubclass(cls, (*_core.CONVERTED, tuple)):
            base = next(each for each in cls.__mro__ if each in (*_core.CONVERTED, tuple))
            raise TypeError(
                f"track() makes tracked copies of plain containers, and {cls.__name__} is a subclass of"
                f" {base.__name__}; use watch(x), which remembers the object itself"
            )
        raise TypeError(
            f"track() takes a dict, list or set, or a container of `collections`, not {cls.__name__}; use watch(x) for"
            " an object, or @tracked or TrackedAttr for its class"
        )
    made, shared = _core.convert(obj, given)
    if shared:
        from pydatatracker.containers.aliases import warn_of_aliases

        warn_of_aliases(obj, shared)
    _core.configure(made, None, name)
    if "tracking_untracked" in options:
        _core.report_untracked_now(made)
    return made


_core.set_following_hook(lambda: _forks.at_end(_core.end_watching))
connect(TrackedDict, TrackedList, TrackedSet, TrackedAttr, TWINS)
