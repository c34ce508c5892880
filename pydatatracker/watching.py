"""Watching objects that were not written for this library: `watch`.

The object stays what it is. The core hears of its changes from CPython's dict watchers, and compares what has none.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pydatatracker import _core, _forks
from pydatatracker._core import Watching
from pydatatracker.containers.mixin import TrackingMixin, Untracked
from pydatatracker.values.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Untracked", "Watch", "package_of", "watch"]

_OPTIONS = ("tracking_auto_convert", "tracking_capture_snapshots", "tracking_follow", "tracking_remember_last")


class Watch(TrackingMixin, Watching):
    """The history of an object that was not written for this library.

    `watch` makes it. It has the methods of a tracked container. The history stays readable after the watch has ended.
    """

    __slots__ = ("_name", "_subclass_hook")
    _name: str
    _subclass_hook: tuple[Any, Any, Any] | None

    def close(self) -> None:
        """End the watch.

        Nothing is left on the object. The history stays readable. O(objects).
        """
        hooked = getattr(self, "_subclass_hook", None)
        if hooked is not None:
            self._subclass_hook = None
            _unhook_subclasses(*hooked)
        _core.end_watch(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self.is_open else ", ended"
        return f"<watch of {self._name}: {self.objects} objects{state}>"

    @property
    def object(self) -> Any:
        """The watched object, or None.

        None once it is gone, and where only its dict is known. O(1).
        """
        return _core.object_watched(self)

    @property
    def untracked(self) -> list[Untracked]:
        """What is below the object, may change, and is not followed.

        Rows of pointer, class name and reason. O(items).

        >>> import io
        >>> state = {"log": io.StringIO(), "level": 1}
        >>> with watch(state) as w:
        ...     [(row.pointer, row.type) for row in w.untracked]
        [('/log', 'StringIO')]
        """
        return [
            Untracked(to_pointer(path), _core.bare_class_name(cls), reason)
            for path, cls, reason in _core.untracked_rows(self)
        ]

    def tracking_untracked(self) -> list[Untracked]:
        """Return `untracked`."""
        return self.untracked

    def lock(self, name: str | None = None) -> NoReturn:
        """Raise TypeError: changes of a watched object cannot be refused."""
        raise TypeError(
            "a watched object cannot be locked: its changes are seen, and nothing stands between them and the object;"
            " use a tracked container"
        )

    def unlock(self, name: str | None = None) -> NoReturn:
        """Raise TypeError, as `lock` does."""
        self.lock(name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a watch cannot be copied or pickled: it belongs to one object in one process")

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __copy__(self) -> Any:
        return self.__reduce_ex__(2)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.__reduce_ex__(2)


def watch(
    x: Any,
    /,
    *,
    name: str | None = None,
    into: Iterable[type | str] | type | str = (),
    depth: int | None = None,
    max_objects: int = 100_000,
    keep: bool = False,
    existing: bool = False,
    **options: Any,
) -> Watch:
    """Remember every change of an object.

    The object was not written for this library. ``x`` is a dict of any class, an object with attributes, a module or
    the name of one, or a class. It stays what it is: its class, its identity, and who refers to it.

    Everything below it is followed: dicts, lists, sets, deques, tuples; objects of dataclasses, attrs and pydantic;
    objects of classes of the package that x belongs to, or of ``__main__``. ``into`` adds classes, and names of modules
    or packages. What is not followed is listed in `Watch.untracked`.

    Stores into dicts and attributes, ``__slots__`` included, are recorded when they happen, also those made in C.
    Changes of lists, sets and deques are found by comparing, when something near them changes or the history is asked
    for. Their method is ``"found"``, and they have no stack.

    Of a class, every instance that is made from now on is followed, from before its first attribute is set, also those
    of its subclasses; with ``existing=True`` also those that exist. Their paths begin with a name: ``/Order#1/total``.

    ``name``: shown instead of the class name. ``depth``: levels below x that are followed. ``max_objects``: objects
    that are followed at most. ``keep=True``: the watch keeps x alive. The other options are those of `TrackedDict`.

    O(objects). Needs CPython 3.12. Raises TypeError for what cannot be watched, and RuntimeError where the interpreter
    cannot watch, or all of its dict watchers are taken.

    >>> config = {"debug": False, "hosts": {"db": "a"}}
    >>> w = watch(config)
    >>> config["hosts"]["db"] = "b"
    >>> w.last_change().pointer, w.last_change().before
    ('/hosts/db', 'a')
    """
    _require_watchers()
    if isinstance(x, str):
        x = _module_named(x)
    if _core.tracker(x) is not None and not _core.is_watched(x):
        raise TypeError(
            f"{type(x).__name__} is tracked already; it has the methods of a watch, such as tracking_changes()"
        )
    _refuse_unwatchable(x)
    given, also_named, rest = _core.options_from(options)
    for option in _OPTIONS:
        if option in options:
            raise TypeError(f"watch() has no {option}: that needs a tracked container")
    if rest:
        raise TypeError(f"watch() takes tracking_... options, not {next(iter(rest))!r}")
    if callable(options.get("tracking_redact")):
        raise TypeError(
            "watch() takes tracking_redact as globs, not as a function: a change is recorded before it happens, when no"
            " Python code may run"
        )
    places = (into,) if isinstance(into, (type, str)) else tuple(into)
    for place in places:
        if not isinstance(place, (type, str)):
            raise TypeError(f"into= takes classes and names of modules, not {place!r}")
    made = Watch()
    made._name = name or _label(x)
    if isinstance(x, type):
        _core.begin_class_watch(
            made,
            x,
            given,
            name or also_named or x.__name__,
            places,
            -1 if depth is None else _count(depth, "depth"),
            _count(max_objects, "max_objects"),
            _package_of_class(x),
            existing,
        )
        _hear_of_subclasses(made, x)
        return _reported(made)
    _core.begin_watch(
        made,
        x,
        given,
        name if name is not None else also_named,
        places,
        -1 if depth is None else _count(depth, "depth"),
        _count(max_objects, "max_objects"),
        package_of(x),
        keep,
    )
    return _reported(made)


def _reported(w: Watch) -> Watch:
    """Obey `tracking_untracked` for what is not followed."""
    try:
        _core.report_untracked_now(w)
    except BaseException:
        w.close()
        raise
    return w


def _count(given: Any, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise TypeError(f"{name}= takes a whole number of 0 or more, not {given!r}")
    return given


def _hear_of_subclasses(w: Watch, cls: Any) -> None:
    """Let the core report objects of classes that are derived from now on."""
    original = vars(cls).get("__init_subclass__")

    def __init_subclass__(sub: Any, /, **kwargs: Any) -> None:
        _core.report_class(sub)
        if original is None:
            super(cls, sub).__init_subclass__(**kwargs)
        else:
            original.__get__(None, sub)(**kwargs)

    hook = classmethod(__init_subclass__)
    try:
        cls.__init_subclass__ = hook
    except Exception:  # a metaclass that allows no attribute: classes that are derived later are not seen
        return
    w._subclass_hook = (cls, hook, original)


def _unhook_subclasses(cls: Any, hook: Any, original: Any) -> None:
    if vars(cls).get("__init_subclass__") is not hook:
        return  # somebody else's stands there by now
    if original is None:
        del cls.__init_subclass__
    else:
        cls.__init_subclass__ = original


def _package_of_class(cls: Any) -> str:
    module = vars(cls).get("__module__")
    top = module.partition(".")[0] if isinstance(module, str) else ""
    return "" if top in ("builtins", "__main__") else top


def _label(x: Any) -> str:
    if isinstance(x, type):
        return f"class {x.__module__}.{x.__qualname__}"
    return x.__name__ if type(x) is types.ModuleType else f"{type(x).__module__}.{type(x).__qualname__}"


def package_of(x: Any) -> str:
    """Return the top-level package of x; "" for what comes with Python."""
    module = type.__dict__["__dict__"].__get__(type(x)).get("__module__") if type(x).__flags__ & _HEAP_TYPE else ""
    if issubclass(type(x), types.ModuleType):
        module = types.ModuleType.__getattribute__(x, "__name__")
    top = module.partition(".")[0] if isinstance(module, str) else ""
    return "" if top in ("builtins", "__main__") else top


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def _module_named(name: str) -> types.ModuleType:
    module = sys.modules.get(name)
    if module is None:
        raise TypeError(f"watch() takes an object, or the name of a module that is imported; {name!r} is not imported")
    return module


def _refuse_unwatchable(x: Any) -> None:
    """Raise TypeError for what cannot be the root of a watch."""
    cls = type(x)
    if issubclass(cls, type):
        if not x.__flags__ & _HEAP_TYPE or issubclass(x, type):
            raise TypeError(f"watch() takes classes that are written in Python, not {x.__name__}")
        return
    if cls in (list, set) or cls.__name__ == "deque" or issubclass(cls, (list, set, bytearray)):
        raise TypeError(
            f"a {cls.__name__} by itself cannot be watched, because nothing tells when it changes; use x = track(x), or"
            " watch what holds it"
        )
    if not issubclass(cls, dict) and not _has_state(x):
        raise TypeError(f"watch() takes a dict, an object with attributes, or a module, not {cls.__name__}")


def _has_state(x: Any) -> bool:
    cls = type(x)
    if issubclass(cls, (str, bytes, int, float, tuple, frozenset)) or inspect.isroutine(x):
        return False
    return _core.way_to_watch(Watch(), x) in ("attributes", "slots")


def _require_watchers() -> None:
    code = _core.can_watch()
    if code == 0:
        _end_with_the_process()
        return
    if code == 1:
        raise RuntimeError(
            "watch() needs a dict watcher, and other tools have taken all eight of this interpreter (PyDict_AddWatcher)"
        )
    import sysconfig

    kind = "the free-threaded " if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    raise RuntimeError(
        f"watch() needs CPython 3.12 or newer with the GIL, this is {kind}{sys.version.split()[0]}; track() works here"
    )


_ended: list[Callable[[], None]] = []


def _end_with_the_process() -> None:
    if not _ended:
        _ended.append(_core.end_watching)
        _forks.at_end(_core.end_watching)
