"""Classes that mix a tracked container with another of its kind.

Either both hear of every change, or the class is refused when it is defined.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
)

MUTATORS: dict[type, dict[str, tuple[Any, ...]]] = {
    dict: {
        "__setitem__": ("a", 1),
        "__delitem__": ("k",),
        "__ior__": ({"a": 1},),
        "clear": (),
        "pop": ("k",),
        "popitem": (),
        "setdefault": ("a", 1),
        "update": ({"a": 1},),
    },
    list: {
        "__setitem__": (0, 1),
        "__delitem__": (0,),
        "__iadd__": ([1],),
        "append": (1,),
        "clear": (),
        "extend": ([1],),
        "insert": (0, 1),
        "pop": (),
        "remove": ("k",),
        "reverse": (),
    },
    set: {
        "add": (1,),
        "discard": ("k",),
        "remove": ("k",),
        "clear": (),
        "update": ([1],),
        "__ior__": ({1},),
        "pop": (),
    },
    deque: {"append": (1,), "appendleft": (1,), "popleft": (), "rotate": (1,), "extend": ([1],), "__setitem__": (0, 1)},
}
TRACKED: dict[type, list[type]] = {
    dict: [TrackedDict, TrackedDefaultDict, TrackedOrderedDict, TrackedCounter],
    list: [TrackedList],
    set: [TrackedSet],
    deque: [TrackedDeque],
}
ORIGINALS = {TrackedDefaultDict: defaultdict, TrackedOrderedDict: OrderedDict, TrackedCounter: Counter}
CASES = [
    (tracked, ORIGINALS.get(tracked, kind), name)  # type: ignore[call-overload]
    for kind, methods in MUTATORS.items()
    for tracked in TRACKED[kind]
    for name in methods
]


def library_class(base: type, name: str, calls: Callable[[Any, Any, Any], Any], heard: list[str]) -> type:
    """Return a class that overrides one mutator and reports each call."""

    def method(self: Any, *args: Any) -> Any:
        heard.append(name)
        return calls(lib, self, args)

    method.__name__ = name
    lib = type("Lib", (base,), {name: method})
    return lib


def filled(cls: type) -> Any:
    made = cls(list, k=1) if issubclass(cls, defaultdict) else cls({"k": 1}) if issubclass(cls, dict) else cls(["k", 2])
    made.tracking_changes()
    return made


@pytest.mark.parametrize(("tracked", "base", "name"), CASES, ids=[f"{t.__name__}.{n}" for t, _, n in CASES])
def test_a_class_that_calls_super_comes_first_and_both_hear(tracked: Any, base: Any, name: str) -> None:
    """One call is heard by the other class, and recorded."""
    heard: list[str] = []
    lib = library_class(base, name, lambda lib, self, args: getattr(super(lib, self), name)(*args), heard)
    both = type("Both", (lib, tracked), {})
    made = filled(both)
    heard.clear()
    kind = next(each for each in MUTATORS if issubclass(base, each))
    arguments = MUTATORS[kind][name] if base is not Counter or name != "__ior__" else (Counter("aa"),)
    getattr(made, name)(*arguments)
    assert heard == [name]
    assert made.last_change().action != "init"
    assert made.tracking_verify() is None


@pytest.mark.parametrize(("tracked", "base", "name"), CASES, ids=[f"{t.__name__}.{n}" for t, _, n in CASES])
def test_a_class_that_comes_second_is_refused(tracked: Any, base: Any, name: str) -> None:
    """Its mutator would never be called, and the error says what to do."""
    lib = library_class(base, name, lambda lib, self, args: getattr(super(lib, self), name)(*args), [])
    with pytest.raises(TypeError, match=rf"Lib\.{name} is never called; name Lib first"):
        type("Both", (tracked, lib), {})


@pytest.mark.parametrize("name", MUTATORS[dict])
def test_a_class_that_calls_the_builtin_itself_is_refused(name: str) -> None:
    """By a global, by a closure, or in a nested function."""
    bare = getattr(dict, name)

    def by_global(self: Any, *args: Any) -> Any:
        dict.__setitem__(self, *args)

    def by_closure(self: Any, *args: Any) -> Any:
        return bare(self, *args)

    def nested(self: Any, *args: Any) -> Any:
        return [dict.update(self, each) for each in args]

    for method in (by_global, by_closure, nested):
        lib = type("Lib", (dict,), {name: method})
        with pytest.raises(TypeError, match=rf"Lib\.{name} calls dict\.\w+, so TrackedDict does not hear of it"):
            type("Both", (lib, TrackedDict), {})


def test_a_mutator_of_another_name_that_calls_the_builtin_is_refused() -> None:
    """A method, a class method or a property that the builtin does not have."""

    class Lib(dict):  # type: ignore[type-arg]
        def put(self, key: Any) -> None:
            dict.__setitem__(self, key, 1)

    with pytest.raises(TypeError, match=r"Lib\.put calls dict\.__setitem__"):

        class Both(Lib, TrackedDict[Any, Any]):
            pass


def test_readers_may_call_the_builtin() -> None:
    """Nothing is missed by ``dict.__getitem__`` and ``dict.__init__``."""

    class Lib(dict):  # type: ignore[type-arg]
        def __init__(self, *args: Any) -> None:
            dict.__init__(self, *args)

        def __getitem__(self, key: Any) -> Any:
            return dict.__getitem__(self, key.lower())

    class Both(Lib, TrackedDict[Any, Any]):
        pass

    both = Both({"a": 1})
    both["b"] = 2
    assert both["A"] == 1
    assert [change.action for change in both.tracking_changes()] == ["init", "add"]
    assert both.tracking_changes()[0].after == {"a": 1}


@pytest.mark.parametrize("name", ["__getitem__", "__contains__", "__init__"])
def test_a_reader_that_would_be_hidden_is_refused(name: str) -> None:
    """The class that comes second would be deaf to reads, or not initialised."""
    lib = type("Lib", (dict,), {name: lambda self, *args: None})
    with pytest.raises(TypeError, match=rf"Lib\.{name} is never called"):
        type("Both", (TrackedDict, lib), {})


@pytest.mark.parametrize("first", [OrderedDict, defaultdict, Counter, deque, list, set])
def test_another_container_of_the_standard_library_is_refused_or_works(first: type) -> None:
    """No order of bases gives a class in which one is deaf."""
    with pytest.raises(TypeError):
        type("Both", (TrackedDict, first), {})
    if first is not Counter:
        with pytest.raises(TypeError):
            type("Both", (first, TrackedDict), {})
        return
    made: Any = type("Both", (Counter, TrackedDict), {})("aab")
    made.update("b")
    assert made == Counter("aabb")
    assert made.tracking_verify() is None


def test_classes_that_only_add_methods_may_come_second() -> None:
    """Nothing of theirs is hidden."""

    class Lib(dict):  # type: ignore[type-arg]
        def total(self) -> int:
            return sum(self.values())

    class Both(TrackedDict[Any, Any], Lib):
        pass

    assert Both(a=1, b=2).total() == 3


def test_other_bases_are_left_alone() -> None:
    """Abstract classes, mix-ins that are no dicts, and several tracked bases."""

    class Named:
        def name(self) -> str:
            return "named"

    class Both(Named, MutableMapping, TrackedDict[Any, Any]):  # type: ignore[type-arg, misc]
        pass

    class Own(TrackedDict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            dict.__setitem__(self, key, value)  # its own business: it says so itself

    class Deeper(Own):
        pass

    class Wrapped(TrackedAttr, UserDict):  # type: ignore[type-arg]
        pass

    assert Both
    assert Deeper
    assert Wrapped


@pytest.mark.parametrize(
    "base", [TrackedDict, TrackedList, TrackedSet, TrackedOrderedDict, TrackedDeque, TrackedCounter]
)
def test_options_can_be_given_to_a_class(base: Any) -> None:
    """A subclass adds to them; what ``__init__`` is given comes first."""

    class Config(base, tracking_capture_stack=True, tracking_auto_convert=True):  # type: ignore[misc]
        pass

    class Small(Config, tracking_max_changes=2):
        pass

    for cls in (Config, Small):
        made = cls()
        change = {TrackedList: "append", TrackedDeque: "append", TrackedSet: "add"}.get(base, "setdefault")
        getattr(made, change)("a")
        assert made.last_change().stack[-1].name == "test_options_can_be_given_to_a_class"
    made = Small(tracking_capture_stack=False)
    for n in range(4):
        made.update([n]) if base in (TrackedSet, TrackedCounter) else made.append(n) if hasattr(
            made, "append"
        ) else made.update({n: n})
    assert len(made.tracking_changes()) == 2
    assert not made.last_change().stack
    with pytest.raises(TypeError, match="tracking_name names one container"):
        type("Named", (base,), {}, tracking_name="x")
    with pytest.raises(TypeError, match="did you mean 'tracking_max_changes'"):
        type("Named", (base,), {}, tracking_max_change=1)


def test_options_of_a_class_hold_for_what_it_begins_with() -> None:
    """What ``__init__`` is given is converted."""

    class Config(TrackedDict[Any, Any], tracking_auto_convert=True):
        pass

    class Items(TrackedList[Any], tracking_auto_convert=True):
        pass

    class Queue(TrackedDeque[Any], tracking_auto_convert=True):
        pass

    assert type(Config(a={})["a"]) is TrackedDict
    assert type(Items([[]])[0]) is TrackedList
    assert type(Queue([[]])[0]) is TrackedList
