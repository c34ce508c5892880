"""Make a container by calling its class, and use a change again.

Both have a short way in the core. What comes out is what the long way gives.
"""

from __future__ import annotations

import gc
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pydatatracker import ChangeLogEntry, TrackedDict, TrackedList, TrackedSet, _core


class Failing:
    """An iterable that fails in the middle."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield 1, 2
        raise LookupError("in the middle")


class Pairs:
    """A mapping that is no dict."""

    def keys(self) -> list[str]:
        return ["a", "b"]

    def __getitem__(self, key: str) -> str:
        if isinstance(key, str):
            return key * 2
        raise IndexError(key)  # or it would be a sequence without end


ARGUMENTS: dict[str, Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "nothing": lambda: ((), {}),
    "names": lambda: ((), {"a": 1, "b": [2]}),
    "a dict": lambda: (({"a": 1},), {}),
    "a dict and names": lambda: (({"a": 1, "b": 2},), {"b": 3, "c": 4}),
    "pairs": lambda: (([("a", 1), ("b", 2)],), {}),
    "a mapping": lambda: ((Pairs(),), {}),
    "a generator": lambda: ((iter([("a", 1)]),), {}),
    "tracked": lambda: ((TrackedDict(a=1),), {}),
    "text": lambda: (("ab",), {}),
    "hashable": lambda: (((1, 2, 3),), {}),
    "an option": lambda: ((), {"tracking_max_changes": 3}),
    "an option and names": lambda: ((), {"tracking_name": "x", "a": 1}),
    "all": lambda: (([("a", 1)],), {"tracking_auto_convert": True, "b": {"c": 1}}),
    "an unknown option": lambda: ((), {"tracking_nothing": 1}),
    "a name that begins like one": lambda: ((), {"tracking": 1, "tracks": 2}),
    "names of the call": lambda: ((), {"self": 1, "args": 2, "cls": 3}),
    "a number": lambda: ((7,), {}),
    "two": lambda: (({}, {}), {}),
    "two and names": lambda: ((1, 2), {"a": 1}),
    "not hashable": lambda: (([[1], [2]],), {}),
    "one that fails": lambda: ((Failing(),), {}),
    "children": lambda: ((), {"a": TrackedList([1]), "b": TrackedDict(c=1)}),
    "children in a list": lambda: (([TrackedList([1]), TrackedDict(c=1)],), {}),
}


def outcome(make: Callable[[], Any]) -> Any:
    """Return what is made, its options and what its children do; or the error."""
    try:
        made = make()
    except Exception as error:
        return type(error), str(error)
    items = list(made.items()) if isinstance(made, dict) else list(made)
    options = _core.own_options(made)
    for child in list(made.values()) if isinstance(made, dict) else items:
        if isinstance(child, TrackedList):
            child.append(5)
    made._check()
    return (
        type(made),
        items,
        made.tracking_name,
        options,
        [(each.action, each.path) for each in made.tracking_changes()],
    )


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("cls", [TrackedDict, TrackedList, TrackedSet])
def test_a_call_makes_what_type_call_makes(cls: type, arguments: str) -> None:
    """`type.__call__`, called by that name, has no short way."""
    long_args, long_names = ARGUMENTS[arguments]()
    args, names = ARGUMENTS[arguments]()
    assert outcome(lambda: cls(*args, **names)) == outcome(lambda: type.__call__(cls, *long_args, **long_names))


@pytest.mark.parametrize("cls", [TrackedDict, TrackedList, TrackedSet])
def test_what_is_derived_or_replaced_is_called(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class with its own `__new__` or `__init__` is called as ever."""
    calls = []

    class Below(cls):
        def __new__(below, *args: Any) -> Any:
            calls.append("new")
            return super().__new__(below, *args)

        def __init__(self, *args: Any) -> None:
            calls.append("init")
            super().__init__(*args)

    class Plain(cls):
        pass

    assert type(Below([])) is Below
    assert type(Plain([])) is Plain
    assert calls == ["new", "init"]

    begin = cls.__init__

    def counting(self: Any, *args: Any, **names: Any) -> None:
        calls.append("replaced")
        begin(self, *args, **names)

    with monkeypatch.context() as patch:
        patch.setattr(cls, "__init__", counting)
        assert type(cls()) is cls
    assert calls == ["new", "init", "replaced"]
    cls([])
    assert len(calls) == 3


def test_a_container_begins_when_it_is_made() -> None:
    """What it holds then is its beginning; what comes later is a change."""
    made = TrackedDict(a=1)
    made["a"] = 2
    assert [(change.action, change.after) for change in made.tracking_changes()] == [("init", {"a": 1}), ("update", 2)]


@pytest.mark.parametrize("cls", [TrackedDict, TrackedList, TrackedSet])
def test_a_container_that_nothing_was_remembered_of_ends_as_any_object(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end has a short way, too: weak references, `__del__`, what it holds."""
    told: list[str] = []

    class Below(cls):
        def __del__(self) -> None:
            told.append("del")
            if len(told) == 1:
                kept.append(self)

    def filled(of: Any) -> Any:
        value = Value(lambda: told.append("value"))
        return of(a=value) if issubclass(of, dict) else of([value])

    kept: list[Any] = []
    made = filled(Below)
    del made
    assert told == ["del"]
    assert len(kept[0]) == 1
    kept.clear()
    assert told == ["del", "value"]

    made = filled(cls)
    reference = weakref.ref(made, lambda ref: told.append("reference"))
    del made
    assert reference() is None
    assert sorted(told[2:]) == ["reference", "value"]

    with monkeypatch.context() as patch:
        patch.setattr(cls, "__del__", lambda self: told.append("patched"), raising=False)
        filled(cls)
    filled(cls)
    assert told[4:] == ["patched", "value", "value"]


# ---- changes that are used again


class Value:
    """A value that lets its owner do something when it ends."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def __del__(self) -> None:
        self.then()


def test_a_change_that_somebody_kept_stays_as_it_was() -> None:
    """Each observer has its own change, whatever the others keep."""
    kept: list[ChangeLogEntry] = []
    told: list[tuple[Any, ...]] = []
    root = TrackedDict(child=TrackedDict())
    root.tracking_add_observer(lambda change: kept.append(change) if change.after % 3 == 0 else None)
    root["child"].tracking_add_observer(lambda change: told.append((change.path, change.before, change.after)))
    for i in range(50):
        root["child"]["x"] = i
        root["y"] = i
    assert [(change.path, change.after) for change in kept] == [
        (path, i) for i in range(0, 50, 3) for path in (("child", "x"), ("y",))
    ]
    assert [after for _, _, after in told] == list(range(50))
    assert len({id(change) for change in kept}) == len(kept)
    assert len({change.uuid for change in kept}) == len(kept)


def test_a_change_that_ends_is_told_to_who_asked() -> None:
    """A weak reference to a change ends with the notification."""
    ended: list[int] = []
    references = []

    def observer(change: ChangeLogEntry) -> None:
        seq = change.seq
        references.append(weakref.ref(change, lambda ref: ended.append(seq)))

    d = TrackedDict()
    d.tracking_add_observer(observer)
    for i in range(5):
        d["a"] = i
    assert ended == [change.seq for change in d.tracking_changes() if change.action != "init"]
    assert all(ref() is None for ref in references)


def test_nothing_of_a_change_lives_longer() -> None:
    """A value ends with its last place, though a change had it."""
    d = TrackedDict(tracking_max_changes=0)
    seen: list[Any] = []
    d.tracking_add_observer(lambda change: seen.append((change.key, change.action)))
    d["a"] = Value(lambda: d.__setitem__("ended", True))
    d["a"] = 1
    gc.collect()
    assert d == {"a": 1, "ended": True}
    assert seen == [("a", "add"), ("a", "update"), ("ended", "add")]


def test_an_observer_that_raises_or_changes_is_as_before() -> None:
    """A change is not used again while an error or a queue has it."""
    d = TrackedDict(tracking_observer_errors="raise")
    paths = []

    def changing(change: ChangeLogEntry) -> None:
        if change.path == ("a",):
            d["b"] = change.after
        paths.append((change.path, change.after))
        if change.path == ("a",) and change.after == 3:
            raise ValueError(change)

    d.tracking_add_observer(changing)
    for i in range(3):
        d["a"] = i
    with pytest.raises(ExceptionGroup) as raised:
        d["a"] = 3
    d["a"] = 4
    error = raised.value.exceptions[0]
    assert (error.args[0].path, error.args[0].before, error.args[0].after) == (("a",), 2, 3)
    assert paths == [((key,), i) for i in range(5) for key in "ab"]
    assert [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)] == [changing.__code__]
