"""Tracked attributes, for each way to make a class.

Plain classes, slots, properties, dataclasses, attrs and @tracked; and which names are tracked.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Any

import attr
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import MISSING, TrackedAttr, TrackedDict, TrackedList, tracked, tracking_actor


def facts(thing: Any) -> list[tuple[Any, ...]]:
    return [(c.action, c.location, c.before, c.after) for c in thing.tracking_changes()[1:]]


def made_by_hand() -> Any:
    class Point(TrackedAttr):
        def __init__(self, x: Any, y: Any = 0) -> None:
            self.x = x
            self.y = y

    return Point


def made_with_slots() -> Any:
    class Point(TrackedAttr):
        __slots__ = ("x", "y", "z")

        def __init__(self, x: Any, y: Any = 0) -> None:
            self.x = x
            self.y = y

    return Point


def made_by_dataclass(**options: Any) -> Any:
    @dataclasses.dataclass(**options)
    class Point(TrackedAttr):
        x: Any
        y: Any = 0

    return Point


def made_by_attrs(decorate: Any, **options: Any) -> Any:
    @decorate(**options)
    class Point(TrackedAttr):
        x: Any = attr.ib()
        y: Any = attr.ib(default=0)

    return Point


def made_by_tracked(**options: Any) -> Any:
    @tracked(**options)
    class Point:
        def __init__(self, x: Any, y: Any = 0) -> None:
            self.x = x
            self.y = y

    return Point


def made_by_tracked_slots() -> Any:
    @tracked
    class Point:
        __slots__ = ("x", "y")

        def __init__(self, x: Any, y: Any = 0) -> None:
            super().__init__()
            self.x = x
            self.y = y

    return Point


def made_by_tracked_over_dataclass(**options: Any) -> Any:
    @tracked
    @dataclasses.dataclass(**options)
    class Point:
        x: Any
        y: Any = 0

    return Point


MAKES = {
    "plain": made_by_hand,
    "slots": made_with_slots,
    "dataclass": made_by_dataclass,
    "dataclass-slots": functools.partial(made_by_dataclass, slots=True),
    "dataclass-eq-false": functools.partial(made_by_dataclass, eq=False),
    "dataclass-order": functools.partial(made_by_dataclass, order=True, unsafe_hash=True),
    "attrs-define": functools.partial(made_by_attrs, attrs.define),
    "attrs-define-no-slots": functools.partial(made_by_attrs, attrs.define, slots=False),
    "attr-s": functools.partial(made_by_attrs, attr.s),
    "attr-s-slots": functools.partial(made_by_attrs, attr.s, slots=True),
    "tracked": made_by_tracked,
    "tracked-options": functools.partial(made_by_tracked, tracking_max_changes=100),
    "tracked-slots": made_by_tracked_slots,
    "tracked-dataclass": made_by_tracked_over_dataclass,
    "tracked-dataclass-slots": functools.partial(made_by_tracked_over_dataclass, slots=True),
}


@pytest.mark.parametrize("make", MAKES.values(), ids=list(MAKES))
def test_every_kind_of_class_records(make: Any) -> None:
    """Every kind of class gives the same records for the same statements."""
    cls = make()
    point = cls(1)
    assert facts(point) == [("add", "x", MISSING, 1), ("add", "y", MISSING, 0)]
    point.x = 2
    del point.y
    point.y = [1]
    point.y.append(2)
    assert facts(point)[2:4] == [("update", "x", 1, 2), ("remove", "y", 0, MISSING)]
    assert type(point.y) is TrackedList
    assert (point.last_change().path, point.last_change().pointer) == (("y", 1), "/y/1")
    assert (cls.__name__, point.tracking_changes()[1].type) == ("Point", "Point")
    with pytest.raises(AttributeError):
        del point.missing
    point._check()
    assert isinstance(point, TrackedAttr)


@pytest.mark.parametrize("make", [made_by_dataclass, functools.partial(made_by_attrs, attrs.define)])
def test_methods_of_the_decorators_still_work(make: Any) -> None:
    """The repr, eq and replace of a decorator work as without tracking."""
    cls = make()
    assert cls(1, 2) == cls(1, 2)
    assert cls(1, 2) != cls(1, 3)
    assert repr(cls(1, 2)).endswith("Point(x=1, y=2)")


@pytest.mark.parametrize(
    "make",
    [functools.partial(made_by_dataclass, frozen=True), functools.partial(made_by_attrs, attrs.frozen)],
    ids=["dataclass", "attrs"],
)
def test_frozen_classes_stay_frozen(make: Any) -> None:
    """Frozen classes refuse changes with their own error.

    They can be created, and report the changes of what they hold.
    """
    point = make()(1, TrackedDict())
    with pytest.raises(AttributeError):
        point.x = 2
    assert point.x == 1
    point._check()


def test_attrs_validators_and_converters_run() -> None:
    """Validators and converters of attrs run before the change is recorded.

    A refused value is not recorded, a converted one is recorded as it is stored.
    """

    @attrs.define
    class Account(TrackedAttr):
        balance: int = attrs.field(converter=int, validator=attrs.validators.ge(0))
        rows: Any = attrs.field(factory=list)

    account = Account("5")
    account.balance = "7"
    with pytest.raises(ValueError):
        account.balance = -1
    account.rows.append(1)
    assert [f for f in facts(account) if f[1] == "balance"][-1] == ("update", "balance", 5, 7)
    assert account.balance == 7
    account._check()


# ---- what a generated __init__ stores


def stored(decorate: Any, frozen: bool = False, **options: Any) -> Any:
    """Make a class by a decorator, with fields of all kinds."""
    field: Any = attrs.field if decorate in (attrs.define, attrs.frozen) else attr.ib
    more = {} if frozen else {"on_setattr": lambda instance, attribute, value: value}

    class Stored(TrackedAttr):
        plain: Any = field(factory=list)
        valid: Any = field(factory=list, validator=attrs.validators.instance_of(list))
        converted: Any = field(factory=list, converter=list)
        both: Any = field(factory=list, converter=list, validator=attrs.validators.instance_of(list))
        hooked: Any = field(factory=list, **more)
        _hidden: Any = field(factory=list, converter=list)

    return decorate(**options)(Stored)


FIELDS = ["plain", "valid", "converted", "both", "hooked"]
STORED: dict[str, Any] = {
    f"{name}-{'slots' if slots else 'dict'}": functools.partial(stored, decorate, slots=slots, **options)
    for slots in (True, False)
    for name, decorate, options in [
        ("define", attrs.define, {}),
        ("define-no-hooks", attrs.define, {"on_setattr": attrs.setters.NO_OP}),
        ("attr.s", attr.s, {"auto_attribs": False}),
        ("attr.s-hooks", attr.s, {"on_setattr": attrs.setters.validate}),
        ("frozen", attrs.frozen, {"frozen": True}),
        ("keywords", attrs.define, {"kw_only": True}),
        ("eq-hash", attrs.define, {"unsafe_hash": True, "cache_hash": True}),
    ]
}
WAYS_TO_INHERIT = {
    "itself": lambda cls: cls,
    "plain subclass": lambda cls: type("Sub", (cls,), {}),
    "attrs subclass": lambda cls: attrs.define(slots=False)(type("Sub", (cls,), {"__annotations__": {}})),
    "own init": lambda cls: type("Sub", (cls,), {"__init__": lambda self: cls.__init__(self)}),
}


@pytest.mark.parametrize("inherit", WAYS_TO_INHERIT)
@pytest.mark.parametrize("name", STORED)
def test_what_init_of_attrs_stores_is_recorded(name: str, inherit: str) -> None:
    """Each field that __init__ stores is one change, and its list is tracked.

    With validators, converters and hooks, in slots or not, frozen or not, inherited or not.
    """
    if "frozen" in name and inherit == "attrs subclass":
        pytest.skip("attrs does not allow a class that is not frozen below a frozen one")
    made = WAYS_TO_INHERIT[inherit](STORED[name]())()
    assert [("init", "")] + [("add", f"/{field}") for field in FIELDS] == [
        (change.action, change.pointer) for change in made.tracking_changes()
    ]
    for field in FIELDS:
        getattr(made, field).append(1)
        assert f"/{field}/0" == made.last_change().pointer
    assert type(made._hidden) is list
    made._check()


def test_an_attrs_class_that_is_not_tracked_is_left_alone() -> None:
    """A base of attrs that others use untracked stores as ever."""

    @attrs.define(slots=False)
    class Base:
        rows: Any = attrs.field(factory=list, converter=list)

    class Tracked(Base, TrackedAttr):
        pass

    assert type(Tracked().rows) is TrackedList
    assert type(Base().rows) is list


@pytest.mark.parametrize("slots", [True, False])
def test_what_init_of_a_frozen_dataclass_stores_is_recorded(slots: bool) -> None:
    """A frozen dataclass records what its __init__ stores."""
    cls = dataclasses.dataclass(frozen=True, slots=slots)(
        type("Row", (TrackedAttr,), {"__annotations__": {"a": list, "b": int}, "b": 1})
    )
    row = cls([1])
    row.a.append(2)
    assert ["", "/a", "/b", "/a/1"] == [change.pointer for change in row.tracking_changes()]
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.a = 1
    row._check()


def test_names_that_begin_with_an_underscore_are_not_tracked() -> None:
    """Names with a leading underscore are tracked only on request."""

    class Thing(TrackedAttr):
        pass

    thing = Thing()
    thing._rows = rows = TrackedList()
    thing._n = 1
    rows.append(1)
    assert facts(thing) == []
    thing.tracking_add_attribute_to_monitor("_rows")
    rows.append(2)
    thing._n = 2
    assert [c.path for c in thing.tracking_changes()[1:]] == [("_rows", 1)]
    thing._rows = 5
    assert facts(thing)[-1] == ("update", "_rows", rows, 5)
    other = Thing()
    other._rows = 1
    assert facts(other) == []
    thing._check()


def test_a_class_level_list_names_what_is_tracked() -> None:
    """A class-level list names what is tracked; a subclass may have its own."""

    class Thing(TrackedAttr):
        tracking_attributes_to_monitor = ["a", "_b"]

    class Sub(Thing):
        tracking_attributes_to_monitor = ("c",)

    thing, sub = Thing(), Sub()
    for each in (thing, sub):
        each.a = each._b = each.c = 1
    assert [f[1] for f in facts(thing)] == ["a", "_b"]
    assert [f[1] for f in facts(sub)] == ["c"]
    thing.tracking_add_attribute_to_monitor("c")
    thing.c = 2
    assert facts(thing)[-1] == ("update", "c", 1, 2)


def test_properties_are_recorded_with_the_values_of_the_getter() -> None:
    """The before and after of a property are the values of its getter.

    A read-only property raises as usual; a class default is not a before.
    """

    class Thing(TrackedAttr):
        shown = "default"

        @property
        def half(self) -> Any:
            return self._n / 2

        @half.setter
        def half(self, value: Any) -> None:
            self._n = value * 2

        @property
        def fixed(self) -> int:
            return 1

    thing = Thing()
    thing._n = 2
    thing.half = 5
    with pytest.raises(AttributeError):
        thing.fixed = 2
    thing.shown = "own"
    del thing.shown
    assert facts(thing) == [
        ("update", "half", 1.0, 5.0), ("add", "shown", MISSING, "own"), ("remove", "shown", "own", MISSING),
    ]  # fmt: skip


def test_inheritance_super_and_a_custom_setattr() -> None:
    """A __setattr__ of the class runs, and what it passes on is recorded."""

    class Upper(TrackedAttr):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value.upper() if isinstance(value, str) else value)

    class Sub(Upper):
        pass

    sub = Sub()
    sub.name = "ann"
    assert facts(sub) == [("add", "name", MISSING, "ANN")]


def test_tracked_keeps_the_properties_of_the_class() -> None:
    """@tracked keeps name, module, doc, methods, super() and class attributes.

    Instances are instances of the first class, too, where it has no slots.
    """

    class Base:
        def hello(self) -> str:
            return "base"

    @tracked
    class Child(Base):
        """Doc."""

        limit = 3

        def hello(self) -> str:
            return super().hello() + " child"

    child = Child()
    child.x = 1
    assert (Child.__name__, Child.__doc__, Child.__module__, Child.limit) == ("Child", "Doc.", __name__, 3)
    assert child.hello() == "base child"
    assert isinstance(child, Base)
    assert facts(child) == [("add", "x", MISSING, 1)]
    assert tracked(Child) is Child
    with pytest.raises(TypeError):
        tracked(5)
    with pytest.raises(TypeError):
        tracked(int)


def test_a_custom_setattr_runs_whatever_the_module_of_its_class() -> None:
    """The module of a class does not decide which of its methods are called."""

    class Upper(TrackedAttr):
        __module__ = TrackedAttr.__module__

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value.upper())

    class Below(Upper):
        pass

    for kind in (Upper, Below):
        thing = kind()
        thing.a = "x"
        assert "X" == thing.a == thing.last_change().after


def test_getattr_setattr_delattr_and_dunder_dict() -> None:
    """`setattr` and `delattr` are recorded as the statements are.

    A write to __dict__ bypasses tracking: it is not recorded and does no harm.
    """

    class Thing(TrackedAttr):
        pass

    thing = Thing()
    thing.a = 1
    delattr(thing, "a")
    assert [f[0] for f in facts(thing)] == ["add", "remove"]
    thing.__dict__["a"] = child = TrackedList()
    child.append(1)
    thing.a = 2
    assert facts(thing)[-1] == ("update", "a", child, 2)
    thing._check()


def test_invalid_names_and_class_attributes() -> None:
    """Invalid names raise as in object; a store on the class is not recorded."""

    class Name(str):
        pass

    class Thing(TrackedAttr):
        pass

    thing = Thing()
    with pytest.raises(TypeError):
        setattr(thing, 5, 1)  # type: ignore[call-overload]
    setattr(thing, Name("a"), 1)
    assert facts(thing) == [("add", "a", MISSING, 1)]
    Thing.b = 1
    assert len(facts(thing)) == 1


def test_objects_have_a_log_and_an_identity_of_their_own() -> None:
    """Identity, hash and weak references are those of a plain object."""
    import weakref

    class Thing(TrackedAttr):
        pass

    one, two = Thing(), Thing()
    one.a = 1
    assert facts(two) == []
    assert one != two
    assert {one: 1}[one] == 1
    assert weakref.ref(one)() is one
    with pytest.raises(TypeError):
        Thing(5)
    with pytest.raises(TypeError):
        Thing(a=5)


def test_a_class_whose_metaclass_allows_no_attribute() -> None:
    """A class that cannot be given attributes is tracked by look-up."""

    class Closed(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError("immutable class")

    class A(TrackedAttr, metaclass=Closed):
        pass

    a = A()
    a.x = 1  # type: ignore[attr-defined]
    assert "/x" == a.last_change().pointer  # type: ignore[union-attr]


def test_enums_and_actor_classes_are_refused() -> None:
    """An Enum cannot be @tracked, and a class cannot be an actor's block.

    Both raise a TypeError that says what to do instead.
    """

    class Colour(enum.Enum):
        RED = 1

    with pytest.raises(TypeError, match="cannot give Colour the base TrackedAttr"):
        tracked(Colour)
    with pytest.raises(TypeError, match="not the class Colour; decorate its methods"):
        tracking_actor("me")(Colour)


def test_a_slotted_class_with_an_unfilled_cell_can_be_tracked() -> None:
    """A method may close over a name that its function binds later."""

    class Late:
        __slots__ = ("x",)

        def f(self) -> int:
            return later

    made = tracked(Late)()
    made.x = 1
    later = 5
    assert (5, "/x") == (made.f(), made.last_change().pointer)


class Loud(str):
    """A name that compares in Python."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


class OwnDict(dict[str, Any]):
    pass


NAMES = ("a", "b", "c", "".join(["long", "er"]), "_private")
ATTRIBUTE_STEPS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(NAMES), st.sampled_from([None, 0, 1.5, "x", True])), max_size=30
)


def take_step(o: Any, step: tuple[int, str, Any]) -> str | None:
    """Store, delete or replace attributes in one of the ways of Python.

    Return the name of the error, if any.
    """
    what, name, value = step
    try:
        match what:
            case 0 | 1 | 2:
                setattr(o, name, value)
            case 3:
                setattr(o, "".join(name), value)
            case 4:
                delattr(o, name)
            case 5:
                vars(o)[Loud(name)] = value
            case 6:
                o.__dict__ = dict(vars(o))
            case 7:
                o.__dict__ = OwnDict(vars(o))
            case 8:
                vars(o).pop(name, None)
    except Exception as error:
        return type(error).__name__
    return None


@settings(max_examples=300, deadline=None)
@given(st.booleans(), ATTRIBUTE_STEPS)
def test_before_is_what_the_attribute_held_wherever_the_object_keeps_it(
    shared: bool, steps: list[tuple[int, str, Any]]
) -> None:
    """In a layout that all instances share, or in a dict of any class."""

    class Plain:
        a: Any = "of the class"

    class Tracked(TrackedAttr):
        a: Any = "of the class"

    if shared:
        first: Any = Tracked()
        first.b = first.c = 0
    plain, tracked = Plain(), Tracked()
    for step in steps:
        before = dict(vars(plain))
        seq = tracked.tracking_changes()[-1].seq if tracked.tracking_changes() else 0
        assert take_step(tracked, step) == take_step(plain, step)
        assert list(vars(tracked).items()) == list(vars(plain).items())
        assert type(vars(tracked)) is type(vars(plain))
        name = step[1]
        changes = [change for change in tracked.tracking_changes() if change.seq > seq]
        if step[0] <= 3 and not name.startswith("_"):
            assert [(c.location, c.before, c.after) for c in changes] == [(name, before.get(name, MISSING), step[2])]
