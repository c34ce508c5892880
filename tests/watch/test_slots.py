"""Slots of watched objects: each store is recorded, unnoticed."""

from __future__ import annotations

import copy
import dataclasses
import dis
import gc
import json
import pickle
import sys
import types
import weakref
from typing import Any

import pytest
from forking import in_child
from hypothesis import given, settings
from hypothesis import strategies as st
from in_threads import THREADS, run

from pydatatracker import _core, replay, track, tracking_actor
from pydatatracker.io import to_line

if sys.version_info < (3, 12):
    pytest.skip("watch() needs CPython 3.12", allow_module_level=True)

from pydatatracker import watch


class Slotted:
    """An object with slots alone."""

    __slots__ = ("a", "b", "c")


class Referable(Slotted):
    """One that can be referred to weakly, with a slot more."""

    __slots__ = ("__weakref__", "d")


class Own(Slotted):
    """One with a ``__setattr__`` of its own."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, (value,))


@dataclasses.dataclass(slots=True, frozen=True)
class Frozen:
    """One that is set with ``object.__setattr__`` alone."""

    x: int
    y: Any = None


@dataclasses.dataclass(slots=True)
class Point:
    """A dataclass with slots."""

    x: int
    parts: list[Any] = dataclasses.field(default_factory=list)


def said(w: Any) -> list[tuple[Any, ...]]:
    """Return pointer, method, before and after, without the first state."""
    return [(c.pointer, c.method, c.before, c.after) for c in w.tracking_changes() if c.action != "init"]


STORES = {
    "statement": lambda o, v: exec("o.a = v"),
    "setattr": lambda o, v: setattr(o, "a", v),
    "object.__setattr__": lambda o, v: object.__setattr__(o, "a", v),
    "bound": lambda o, v: o.__setattr__("a", v),
    "descriptor": lambda o, v: Slotted.a.__set__(o, v),  # type: ignore[attr-defined]
    "type of the descriptor": lambda o, v: types.MemberDescriptorType.__set__(Slotted.a, o, v),  # type: ignore[attr-defined]
    "super": lambda o, v: super(Referable, o).__setattr__("a", v),
}
DELETIONS = {
    "statement": lambda o: exec("del o.a"),
    "delattr": lambda o: delattr(o, "a"),
    "object.__delattr__": lambda o: object.__delattr__(o, "a"),
    "descriptor": lambda o: Slotted.a.__delete__(o),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("how", list(STORES))
@pytest.mark.parametrize("cls", [Slotted, Referable])
def test_every_store_is_recorded(cls: type[Any], how: str) -> None:
    """With its actor and stack, whoever makes it."""
    o = cls()
    if cls is Slotted and how == "super":
        pytest.skip("it is not of that class")
    with watch(o, tracking_capture_stack=True) as w, tracking_actor("eve"):
        STORES[how](o, 1)
        STORES[how](o, 2)
        STORES[how](o, 2)  # the same object: as with a dict
    assert [("/a", "__setattr__", 1, 2)] == said(w)[1:]
    assert ["/a", "/a"] == [row[0] for row in said(w)]
    assert {"eve"} == {c.actor for c in w.tracking_changes()[1:]}
    assert {"test_every_store_is_recorded"} <= {frame.name for c in w.tracking_changes()[1:] for frame in c.stack}


@pytest.mark.parametrize("how", list(DELETIONS))
def test_every_deletion_is_recorded(how: str) -> None:
    """And a deletion of what is not there raises what it raises."""
    o = Slotted()
    o.a = 1
    with watch(o) as w:
        DELETIONS[how](o)
        with pytest.raises(AttributeError, match=r"\ba\b"):
            DELETIONS[how](o)
    ((pointer, method, before, _),) = said(w)
    assert ("/a", "__delattr__", 1) == (pointer, method, before)


def test_classes_of_the_program_record() -> None:
    """Frozen dataclasses, an own `__setattr__`, subclasses made later."""
    frozen, own = Frozen(1), Own()
    with watch(frozen) as f, watch(own) as w:
        object.__setattr__(frozen, "x", 2)
        own.a = 5
        with pytest.raises(dataclasses.FrozenInstanceError):
            frozen.x = 3  # type: ignore[misc]

        class Later(Slotted):
            __slots__ = ("e",)

        later = Later()
        with watch(later) as third:
            later.a = 1
            later.e = 2
            later.e = 3
    assert [("/x", "__setattr__", 1, 2)] == said(f)
    assert [("/a", (5,))] == [(row[0], row[3]) for row in said(w)]
    assert [("/a", 1), ("/e", 2), ("/e", 3)] == [(row[0], row[3]) for row in said(third)]


def seen_of(cls: Any, o: Any) -> list[Any]:
    """Return what a program can see of a class and an object of it."""
    return [
        *[(name, id(value), type(value)) for name, value in vars(cls).items()],
        *[
            getattr(cls, name)
            for name in ("__setattr__", "__delattr__", "__getattribute__", "__new__", "__basicsize__")
        ],
        cls.__setattr__ is object.__setattr__,
        type(cls.a),
        type(cls.a).__set__,
        repr(cls.a),
        cls.a.__doc__,
        cls.a.__objclass__,
        cls.__flags__,
        cls.__mro__,
        sys.getsizeof(o),
        sys.getsizeof(cls),
        o.__reduce_ex__(2),
        pickle.dumps(o),
        cls.a.__get__(o),
        gc.is_tracked(o),
        dir(o),
    ]


def test_nothing_can_be_noticed() -> None:
    """The class and the object look the same before, during and after."""
    o = Referable()
    o.a = o.d = 1
    before = seen_of(Slotted, o), seen_of(Referable, o)
    with watch(o) as w:
        assert before == (seen_of(Slotted, o), seen_of(Referable, o))
        copied, deep, loaded = copy.copy(o), copy.deepcopy(o), pickle.loads(pickle.dumps(o))
        assert [(1, 1)] * 3 == [(each.a, each.d) for each in (copied, deep, loaded)]
        copied.a = deep.a = loaded.a = 7
        assert [] == said(w)
        for wrong in (3, object(), None):
            with pytest.raises(TypeError, match="descriptor 'a' for 'Slotted' objects doesn't apply"):
                Slotted.a.__set__(wrong, 1)  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            o.nothing = 1  # type: ignore[attr-defined]
    assert before == (seen_of(Slotted, o), seen_of(Referable, o))


def test_read_only_members_of_builtins_stay_so() -> None:
    """All other member descriptors of the process do what they did."""
    with watch(Slotted()):
        for o, name in ((len, "__self__"), ((lambda: 0), "__closure__"), (slice(1), "start")):
            with pytest.raises(AttributeError):
                setattr(o, name, 1)

        class Other:
            __slots__ = ("a",)

        other = Other()
        other.a = 1
        Other.a.__set__(other, 2)  # type: ignore[attr-defined]
        assert 2 == other.a
        del other.a
        assert not hasattr(other, "a")


def test_values_are_freed_with_the_object() -> None:
    """CPython clears slots when the object ends, watched or not."""
    for watched in (False, True):
        o, value = Referable(), Referable()
        gone = weakref.ref(value)
        w = watch(o) if watched else None
        o.a = value
        del value
        assert gone() is not None
        o.a = None
        assert gone() is None
        o.b = Referable()
        gone = weakref.ref(o.b)
        del o
        assert gone() is None
        if w is not None:
            w.close()


def opcodes_of(function: Any) -> list[str]:
    """Return the specialized stores of a function."""
    return [
        each.opname for each in dis.get_instructions(function, adaptive=True) if each.opname.startswith("STORE_ATTR")
    ]


def test_the_shortcut_of_the_interpreter_comes_back() -> None:
    """A store that was specialized is heard, and is specialized afterwards."""

    class Local:
        __slots__ = ("a",)

    o = Local()

    def store(times: int) -> None:
        for n in range(times):
            o.a = n

    store(2000)
    if sys.version_info < (3, 14):
        assert ["STORE_ATTR_SLOT"] == opcodes_of(store)
    with watch(o) as w:
        store(2000)
        assert 2000 == len(said(w))
    store(20_000)
    assert 2000 == len(said(w))
    if sys.version_info < (3, 14):
        assert ["STORE_ATTR_SLOT"] == opcodes_of(store)


def test_other_objects_of_the_class_are_not_recorded() -> None:
    """Nor is one at the address of an object that is gone."""
    held = {"o": Slotted()}
    with watch(held, into=(Slotted,)) as w:
        held["o"].a = 1
        others = [Slotted() for _ in range(100)]
        for other in others:
            other.a = 2
        assert 1 == len(said(w))
        box = [Slotted()]
        held["box"] = box
        box[0].a = 1
        count = len(w.tracking_changes())
        box.clear()  # a list says nothing: what it held may be at that address still
        made = [Slotted() for _ in range(100)]
        for each in made:
            each.a = 3
        assert {"found"} == {c.method for c in w.tracking_changes()[count:]}
        assert {"/box/0"} == {c.pointer for c in w.tracking_changes()[count:]}
        del others, made


def test_what_a_slot_holds_is_followed() -> None:
    """Containers and objects in slots record too, and are let go."""
    point = Point(1)
    with watch(point, into=(Point,)) as w:
        point.parts.append(1)
        point.parts = other = [{}]
        other[0]["k"] = 1
        point.x = Point(2)  # type: ignore[assignment]
        point.x.x = 3  # type: ignore[attr-defined]
        inner = point.x
        point.x = 4
        inner.x = 5  # type: ignore[attr-defined]
        rows = [(c.pointer, c.method) for c in w.tracking_changes() if c.action != "init"]
    assert ("/parts/0", "found") == rows[0]
    assert [
        ("/parts/0/k", "__setitem__"),
        ("/x", "__setattr__"),
        ("/x/x", "__setattr__"),
        ("/x", "__setattr__"),
    ] == rows[2:]


def test_undo_and_redo_of_a_slot() -> None:
    """One record each, with the method of undo."""
    o = Slotted()
    o.a = 1
    with watch(o) as w:
        o.a = 2
        del o.a
        assert w.tracking_undo()
        assert w.tracking_undo()
        assert 1 == o.a
        assert w.tracking_redo()
        assert 2 == o.a
        assert ["__setattr__", "__delattr__"] == [c.method for c in w.tracking_changes()[1:3]]
        assert 5 == len(said(w))
        assert not [c for c in w.tracking_changes() if c.method == "found"]


def test_observers_hear_of_a_store() -> None:
    """At the next safe moment, once."""
    o = Slotted()
    heard: list[Any] = []
    with watch(o) as w:
        w.tracking_add_observer(heard.append)
        o.a = 1
        o.a = 2
        assert ["__setattr__"] * 2 == [row[1] for row in said(w)]
        assert [1, 2] == [c.after for c in heard]


def test_instances_of_a_watched_class() -> None:
    """From the first store in `__init__` on, and their end is seen."""
    with watch(Point) as w:
        point = Point(1)
        point.x = 2
        del point
        rows = [(c.pointer, c.method) for c in w.tracking_changes() if c.action != "init"]
    assert [
        ("/Point#1", "__new__"),
        ("/Point#1/x", "__setattr__"),
        ("/Point#1/parts", "__setattr__"),
        ("/Point#1/x", "__setattr__"),
        ("/Point#1", "__del__"),
    ] == rows
    o = Point(1)
    with watch(o) as single:
        o.x = 3
    assert [("/x", "__setattr__", 1, 3)] == said(single)


def test_what_tracked_data_follows() -> None:
    """A slot of an object in tracked data is a record in its log."""
    data = track({"o": Point(1)})
    data["o"].x = 2
    assert ("/o/x", "__setattr__", 1, 2) == [(c.pointer, c.method, c.before, c.after) for c in data.tracking_changes()][
        -1
    ]


def test_many_watches_of_one_class() -> None:
    """A class has a limited number of versions; each watch hears all the same."""

    class Local:
        __slots__ = ("a",)

    o = Local()
    for n in range(250):
        with watch(o) as w:
            o.a = n
            assert ["__setattr__"] == [row[1] for row in said(w)], n


def test_a_class_is_freed_after_its_watch() -> None:
    """Nothing that is kept of a class keeps it when nothing is watched."""
    gone = []
    for _ in range(3):

        class Local:
            __slots__ = ("a",)

        o: Any = Local()
        with watch(o) as w:
            o.a = 1
            assert 1 == len(said(w))
        gone.append(weakref.ref(Local))
        del o, w, Local
        gc.collect()
    assert [None] * 3 == [each() for each in gone]


def test_threads_and_forks() -> None:
    """Every store of several threads, and of a forked child, is a record."""
    o = [Slotted() for _ in range(THREADS)]
    held = dict(enumerate(o))
    with watch(held, into=(Slotted,)) as w:

        def work(number: int) -> None:
            for n in range(50):
                o[number].a = n

        assert [] == run(work)
        assert 50 * THREADS == len(said(w))
        assert not [row for row in said(w) if row[1] == "found"]

        def check() -> None:
            o[0].a = "child"
            assert "child" == said(w)[-1][3]

        in_child(check)
        assert 50 * THREADS == len(said(w))


class Mixed(Slotted):
    """One that has a ``__dict__`` as well."""


def test_slots_beside_a_dict_are_listed_as_untracked() -> None:
    """The log says nothing of them, so it says nothing wrong."""
    o = Mixed()
    o.x, o.a = 1, [1]  # type: ignore[attr-defined]
    held = {"o": o}
    with watch(held, into=(Slotted,)) as w:
        rows = {("/o/a", "object"), ("/o/b", "object"), ("/o/c", "object")}
        assert rows == {(row.pointer, row.type) for row in w.untracked}
        o.b = {}
        o.__dict__ = {"y": 2}
        o.c = o.b
        del o.a
        o.a = {1}
        o.x = 3  # type: ignore[attr-defined]
        assert {"o": {"y": 2, "x": 3}} == w.tracking_state_at(_core.newest_seq())
        assert {"/o/x", "/o/y"} == {c.pointer for c in w.tracking_changes() if c.action != "init"}
        assert None is w.tracking_verify()


VALUES = st.sampled_from([1, 2, 1000, "x", None, (1, 2), 1.5, "list", "dict", "slotted"])
STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), VALUES, st.booleans()), max_size=25)


def run_program(steps: list[Any], objects: list[Any]) -> list[Any]:
    """Change the slots of objects as the steps say; return what can be seen."""
    seen: list[Any] = []
    for which, name, value, deletes in steps:
        o = objects[which % len(objects)]
        made = {"list": list, "dict": dict, "slotted": Slotted}.get(value, lambda value=value: value)()
        try:
            if deletes:
                delattr(o, name)
            else:
                setattr(o, name, made)
            if isinstance(made, Slotted):
                made.a = which
                objects.append(made)
        except AttributeError as error:
            seen.append(str(error))
        seen.append(state_of(o))
    return seen


def state_of(value: Any) -> Any:
    """Return slots as dicts, deep."""
    if isinstance(value, Slotted):
        return {name: state_of(getattr(value, name)) for name in "abc" if hasattr(value, name)}
    return value


@settings(max_examples=80, deadline=None)
@given(steps=STEPS)
def test_any_program_does_what_it_does(steps: list[Any]) -> None:
    """The same with and without a watch; the log replays, nothing is found."""
    plain = run_program(steps, [Slotted(), Slotted()])
    objects: list[Any] = [Slotted(), Slotted()]
    root = {"x": objects[0], "y": objects[1]}
    with watch(root, into=(Slotted,)) as w:
        assert plain == run_program(steps, objects)
        lines = [json.loads(to_line(change)) for change in w.tracking_changes()]
        assert {name: state_of(each) for name, each in root.items()} == replay(lines)
        assert not [row for row in said(w) if row[1] == "found"]
        assert None is w.tracking_verify()
