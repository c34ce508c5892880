"""`TrackedModel`: a BaseModel with a history, and `watch` of a plain one."""

import copy
import gc
import pickle
import sys
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

import pytest

pydantic = pytest.importorskip("pydantic", minversion="2")

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    ValidationError,
    computed_field,
    field_validator,
    model_validator,
)

from pydatatracker import (
    TrackedList,
    TrackingLockedError,
    track,
    tracked,
    tracking_actor,
    tracking_transaction,
    watch,
)
from pydatatracker.integrations.pydantic import TrackedModel
from pydatatracker.testing import ModifiedError, assert_unmodified

T = TypeVar("T")
FOLLOWS = pytest.mark.skipif(sys.version_info < (3, 12), reason="objects are followed on CPython 3.12 and newer")


class Address(BaseModel):
    city: str = "x"


def family(base: Any, name: str = "Model", /, **config: Any) -> Any:
    """Return a model with everything that pydantic has, over a base."""

    class Model(base):
        model_config = ConfigDict(**config)
        x: Annotated[int, Field(ge=0)] = 1
        tags: list[str] = []
        table: dict[str, list[int]] = Field(default_factory=dict)
        address: Address = Address()
        more: list[Address] = []
        _secret: int = PrivateAttr(3)
        _cache: list[int] = PrivateAttr(default_factory=list)

        def model_post_init(self, context: Any) -> None:
            self._secret += 1

        @field_validator("x")
        @classmethod
        def not_13(cls, value: int) -> int:
            assert value != 13, "unlucky"
            return value

        @model_validator(mode="after")
        def tags_fit(self) -> Any:
            if len(self.tags) > 3:
                raise ValueError("too many tags")
            return self

        @cached_property
        def twice(self) -> list[int]:
            return [self.x * 2]

        @computed_field
        @property
        def area(self) -> int:
            return self.x * 3

    Model.__qualname__ = Model.__name__ = name
    return Model


Tracked = family(TrackedModel, "Tracked")
Assigned = family(TrackedModel, "Assigned", validate_assignment=True)
CONFIGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "validate_assignment": {"validate_assignment": True},
    "extra": {"extra": "allow"},
    "extra, validated": {"extra": "allow", "validate_assignment": True},
    "forbidding": {"extra": "forbid", "validate_assignment": True, "revalidate_instances": "always"},
    "frozen": {"frozen": True},
}


def put(**values: Any) -> Callable[[Any], Any]:
    return lambda model: [setattr(model, name, value) for name, value in values.items()] and None


STEPS: dict[str, Callable[[Any], Any]] = {
    "store": put(x=2),
    "store text": put(x="3"),
    "store what is refused": put(x="many"),
    "store what a field validator refuses": put(x=13),
    "store what the model refuses": put(tags=list("abcde")),
    "store again": put(tags=["a"], x=5),
    "append": lambda m: m.tags.append("b"),
    "append to a default": lambda m: m.table.setdefault("a", []).append(1),
    "nested model": lambda m: setattr(m.address, "city", "y"),
    "nested in a list": lambda m: m.more.append(Address(city="z")),
    "another nested model": put(address=Address(city="w")),
    "unknown": put(other=1),
    "unknown, again": put(other=[2]),
    "private": put(_secret=8),
    "cached": lambda m: (m.twice is m.twice, m.twice),
    "store a cached property": put(twice=[0]),
    "delete a cached property": lambda m: delattr(m, "twice"),
    "delete": lambda m: delattr(m, "table"),
    "delete again": lambda m: delattr(m, "table"),
    "delete unknown": lambda m: delattr(m, "other"),
    "delete nothing": lambda m: delattr(m, "nothing"),
    "delete private": lambda m: delattr(m, "_cache"),
    "store what was deleted": put(table={}),
    "a method": put(model_dump=1),
    "computed": put(area=1),
}


def seen(model: Any) -> Any:
    """Return everything that a program sees of a model."""
    return (
        repr(model), str(model), sorted(model.model_fields_set), model.model_extra, model.__pydantic_private__,
        model.model_dump(warnings=False), list(model.__dict__), model.model_dump_json(warnings=False),
        list(model), model.model_dump(exclude_unset=True, warnings=False),
        copy.copy(model).model_dump(warnings=False), copy.deepcopy(model).model_dump(warnings=False),
        model.model_copy(update={"x": 99}).model_dump(warnings=False), model.model_copy(deep=True) == model,
        model.model_copy(update={"x": 99}, deep=True).model_fields_set, model == model.model_copy(),
    )  # fmt: skip


def outcome(call: Callable[..., Any], *args: Any) -> Any:
    """Return the result, or the class and text of the error."""
    try:
        return call(*args)
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("start", [{}, {"x": "4", "tags": ["q"], "other": 0, "more": [{}]}], ids=["defaults", "given"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_program_sees_what_it_sees_without_us(config: Any, start: Any) -> None:
    """After every step the model looks like one with the base BaseModel."""
    ours, theirs = family(TrackedModel, **config), family(BaseModel, **config)
    assert outcome(lambda: seen(theirs(**start))) == outcome(lambda: seen(ours(**start)))
    if config.get("extra") == "forbid":
        start = {name: value for name, value in start.items() if name != "other"}
    one, other = ours(**start), theirs(**start)
    for name, step in STEPS.items():
        assert outcome(step, other) == outcome(step, one), name
        assert outcome(seen, other) == outcome(seen, one), name
        assert one.tracking is one.__dict__
    if not config.get("frozen"):
        assert one.tracking.tracking_verify() is None
    assert theirs.model_json_schema() == ours.model_json_schema()


MODELS = pytest.mark.parametrize("cls", [Tracked, Assigned], ids=["plain", "validate_assignment"])


@MODELS
def test_changes_have_path_values_actor_and_stack(cls: Any) -> None:
    """Stores and changes of lists name the line of the program."""

    class Traced(cls, tracking_capture_stack=True):
        pass

    model = Traced(x=4)
    with tracking_actor("ann"):
        model.x = 5
        model.tags.append("a")
        model.table = {"k": [1]}
        model.table["k"].append(2)
        del model.tags
    rows = [(c.action, c.pointer, c.actor, c.culprit.line) for c in model.tracking.tracking_changes()[1:]]
    assert [
        ("update", "/x", "ann", "model.x = 5"),
        ("add", "/tags/0", "ann", 'model.tags.append("a")'),
        ("update", "/table", "ann", 'model.table = {"k": [1]}'),
        ("add", "/table/k/1", "ann", 'model.table["k"].append(2)'),
        ("remove", "/tags", "ann", "del model.tags"),
    ] == rows
    assert (4, 5, "Traced") == (*[(c.before, c.after, c.type) for c in model.tracking.tracking_changes()][1],)
    assert 5 == model.tracking.tracking_blame("/x").after


@MODELS
def test_undo_redo_and_revert_change_the_model(cls: Any) -> None:
    """What is undone is undone in the fields."""
    model = cls()
    before = model.model_dump()
    model.x = 5
    model.tags.append("a")
    del model.table
    after = model.model_dump(warnings=False)
    for _ in range(3):
        model.tracking.tracking_undo()
    assert before == model.model_dump()
    model.tracking.tracking_redo(3)
    assert after == model.model_dump(warnings=False)
    model.tracking.tracking_revert_to(model.tracking.tracking_changes()[0])
    assert before == model.model_dump()
    model.x = 7  # after an undo the dict is still the tracked one
    assert (7, "/x") == (model.tracking.last_change().after, model.tracking.last_change().pointer)


@MODELS
def test_a_locked_model_refuses_changes_and_keeps_everything(cls: Any) -> None:
    """Values, their order and the set of given fields stay as they are."""
    model = cls(x=4)
    model.tracking.lock()
    before = seen(model)
    for step in (put(tags=["a"]), put(x=5), lambda m: delattr(m, "x"), lambda m: m.tags.append("b")):
        with pytest.raises(TrackingLockedError, match="locked"):
            step(model)
    assert [8] == model.twice
    del model.twice
    assert before == seen(model)
    model.tracking.unlock()
    model.x = 5
    assert 5 == model.x


@MODELS
def test_a_transaction_rolls_a_model_back(cls: Any) -> None:
    """Also what a break refuses is not stored."""
    model = cls()
    before = model.model_dump()
    with pytest.raises(ZeroDivisionError), tracking_transaction(model.tracking):
        model.x = 5
        model.tags.append("a")
        1 / 0
    assert before == model.model_dump()
    guard = model.tracking.tracking_break("/x", when=lambda change: change.after > 10, do="raise")
    with pytest.raises(Exception, match="/x"):
        model.x = 11
    guard.remove()
    assert before == model.model_dump()
    with assert_unmodified(model.tracking):
        model.model_dump_json()


def test_what_a_validator_changes_with_an_assignment_is_recorded() -> None:
    """One assignment that changes several fields is one record."""

    class Model(TrackedModel, validate_assignment=True):
        a: int = 0
        b: int = 0

        @model_validator(mode="after")
        def same(self) -> Any:
            self.__dict__["b"] = self.a
            return self

    model = Model()
    model.a = 3
    change = model.tracking.last_change()
    assert ({"a": 3, "b": 3}, (("a", 0, 3), ("b", 0, 3))) == (model.model_dump(), change.changes)
    model.tracking.tracking_undo()
    assert {"a": 0, "b": 0} == model.model_dump()


def test_a_failing_validator_of_the_model_leaves_what_pydantic_leaves() -> None:
    """The value is stored before such a validator runs."""
    ours, theirs = Assigned(), family(BaseModel, validate_assignment=True)()
    for model in (ours, theirs):
        with pytest.raises(ValidationError, match="too many tags"):
            model.tags = list("abcd")
    assert theirs.tags == ours.tags
    assert ours.tracking is ours.__dict__
    assert ours.tracking.tracking_verify() is None


@FOLLOWS
@MODELS
def test_models_below_are_followed(cls: Any) -> None:
    """Nested models, also those in lists, have paths from the outermost."""
    model = cls(more=[{}])
    model.address.city = "a"
    model.more[0].city = "b"
    model.more.append(Address())
    model.more[1].city = "c"
    model.address = Address(city="d")
    model.address.city = "e"
    assert ["/address/city", "/more/0/city", "/more/1", "/more/1/city", "/address", "/address/city"] == [
        change.pointer for change in model.tracking.tracking_changes()[1:]
    ]


def test_a_nested_tracked_model_has_a_history_of_its_own() -> None:
    """On every version; from 3.12 on the outer one has the change, too."""

    class Outer(TrackedModel):
        inner: Tracked
        all: list[Tracked] = []

    outer = Outer(inner={"x": 4}, all=[{}])
    outer.inner.x = 5
    outer.all[0].tags.append("a")
    assert "/x" == outer.inner.tracking.last_change().pointer
    assert "/tags/0" == outer.all[0].tracking.last_change().pointer
    pointers = [change.pointer for change in outer.tracking.tracking_changes()[1:]]
    assert (["/inner/x", "/all/0/tags/0"] if sys.version_info >= (3, 12) else []) == pointers


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda m: m.model_copy(),
    "model_copy, deep": lambda m: m.model_copy(deep=True),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "validate": lambda m: type(m).model_validate(m.model_dump()),
    "JSON": lambda m: type(m).model_validate_json(m.model_dump_json()),
    "construct": lambda m: type(m).model_construct(**dict(m)),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
@MODELS
def test_a_copy_has_a_history_of_its_own(cls: Any, make: Any) -> None:
    """It is equal, and neither hears of the other's attributes."""
    model = cls(x=4, tags=["a"])
    model.x = 5
    made = make(model)
    assert model.model_dump() == made.model_dump()
    made.x = 6
    assert [("init", ""), ("update", "/x")] == [(c.action, c.pointer) for c in made.tracking.tracking_changes()]
    assert (5, 6, 5) == (model.x, made.x, model.tracking.last_change().after)
    assert type(made.__dict__) is type(model.__dict__)
    assert 4 <= made._secret <= 5


def test_a_copy_with_an_update_begins_with_it() -> None:
    """The history of the copy has no record of the update."""
    model = Tracked(x=4)
    for deep in (False, True):
        made = model.model_copy(update={"x": 9}, deep=deep)
        assert (9, ["init"]) == (made.x, [change.action for change in made.tracking.tracking_changes()])


def test_pickles_hold_no_tracked_dict_of_the_model() -> None:
    """The state is that of a BaseModel; the class may lose its base again."""
    state = Tracked(x=4).__getstate__()
    assert dict is type(state["__dict__"])
    assert sorted(BaseModel.__getstate__(Tracked())) == sorted(state)


def test_frozen_models_have_a_hash() -> None:
    """They are equal and hash as without us, and refuse assignments."""

    class Point(TrackedModel, frozen=True):
        x: int = 0

    assert {Point(x=1)} == {Point(x=1)}
    with pytest.raises(ValidationError, match="frozen"):
        Point().x = 1


def test_options_are_class_keywords_and_are_inherited() -> None:
    """They are checked when the class is made."""

    class Base(TrackedModel, tracking_max_changes=2, tracking_auto_convert=False):
        tags: list[str] = []

    class Sub(Base, tracking_capture_stack=6):
        x: int = 0

    model = Sub()
    for number in range(5):
        model.x = number
    stack = model.tracking.last_change().stack
    assert (3, list) == (model.tracking.tracking_dropped, type(model.tags))
    assert 1 < len(stack) <= 6
    with pytest.raises(TypeError, match="unknown tracking option 'tracking_max_change'"):
        type("Bad", (TrackedModel,), {}, tracking_max_change=1)
    with pytest.raises(TypeError, match="tracking_name names one container"):
        type("Bad", (TrackedModel,), {}, tracking_name="a")


def test_secrets_are_withheld() -> None:
    """`tracking_redact` holds for the fields."""

    class Login(TrackedModel, tracking_redact=["/password"]):
        password: str

    login = Login(password="a")
    login.password = "hunter2"
    assert "hunter2" not in str(login.tracking.last_change().to_dict())
    assert "hunter2" == login.password


def test_generic_and_root_models() -> None:
    """Both have a history."""

    class Page(TrackedModel, Generic[T]):
        rows: list[T]

    page = Page[int](rows=["1"])
    page.rows.append(2)
    assert ([1, 2], "/rows/1") == (page.rows, page.tracking.last_change().pointer)

    class Tags(TrackedModel, RootModel[list[str]]):
        pass

    tags = Tags(["a"])
    tags.root.append("b")
    assert (["a", "b"], ("root", 1)) == (tags.model_dump(), tags.tracking.last_change().path)


def test_what_happens_in_a_validation_is_no_change() -> None:
    """The history begins once the fields and `model_post_init` are done."""

    class Model(TrackedModel):
        x: int = 0

        def model_post_init(self, context: Any) -> None:
            self.x += 1

    assert ["init"] == [change.action for change in Model(x=1).tracking.tracking_changes()]
    assert {"x": 2} == Model(x=1).tracking.tracking_state_at(Model(x=1).tracking.tracking_changes()[0])


def test_a_model_can_be_weakly_referenced_and_is_freed() -> None:
    """Nothing but the program keeps a model alive."""
    model = Tracked()
    model.x = 3
    model.tags.append("a")
    seen = weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None


@MODELS
def test_calling_init_again_is_a_change(cls: Any) -> None:
    """The model stays tracked, and the history has what was replaced."""
    model = cls(x=4)
    model.__init__(x=5)
    model.x = 6
    changes = model.tracking.tracking_changes()
    assert (6, True) == (model.x, model.tracking is model.__dict__)
    assert ("x", 4, 5) in changes[1].changes
    assert (5, 6) == (changes[-1].before, changes[-1].after)


@pytest.mark.filterwarnings('ignore:Field name "tracking":UserWarning')  # pydantic warns first
def test_a_field_cannot_have_the_name_of_the_accessor() -> None:
    """The error says what to write."""
    with pytest.raises(TypeError, match=r"Parcel: .*Field\(alias='tracking'\)"):
        type("Parcel", (TrackedModel,), {"__annotations__": {"tracking": str}})

    class Parcel(TrackedModel):
        tracking_: str = Field(alias="tracking")

    parcel = Parcel(tracking="1Z")
    parcel.tracking_ = "2Z"
    assert ({"tracking": "2Z"}, "/tracking_") == (
        parcel.model_dump(by_alias=True),
        parcel.tracking.last_change().pointer,
    )


def test_tracked_on_a_model_says_what_to_use() -> None:
    """`@tracked` cannot be a base of a model; the error names what can."""
    with pytest.raises(TypeError, match=r"integrations\.pydantic\.TrackedModel, or use watch\(Address\)"):
        tracked(Address)


def test_a_tracked_model_in_tracked_data() -> None:
    """It can be put into tracked data, and keeps its history."""
    model = Tracked()
    data = track({"model": model})
    model.x = 5
    assert "/x" == model.tracking.last_change().pointer
    if sys.version_info >= (3, 12):
        assert "/model/x" == data.last_change().pointer


@FOLLOWS
@pytest.mark.parametrize("base", [BaseModel, TrackedModel])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_watching_a_model_changes_nothing(config: Any, base: Any) -> None:
    """A model that `watch` remembers looks like one that nobody does."""
    one, other = (family(each, **config)(x=4) for each in (base, BaseModel))
    with watch(one) as w:
        for name, step in STEPS.items():
            assert outcome(step, other) == outcome(step, one), name
            assert outcome(seen, other) == outcome(seen, one), name
        pointers = {change.pointer for change in w.tracking_changes()}
    if not config.get("frozen"):
        assert {"/x", "/tags", "/address", "/table"} <= pointers
    assert {"/address/city", "/table/a", "/more/0"} <= pointers


@FOLLOWS
def test_a_watched_model_with_a_tracked_field_is_exact() -> None:
    """Lists are compared, and tracked lists report each change."""

    class Model(BaseModel, validate_assignment=True):
        plain: list[int] = []
        exact: TrackedList[int] = TrackedList()

    model = Model()
    w = watch(model, tracking_capture_stack=True)
    model.plain.append(1)
    model.exact.append(2)
    model.exact = [5]
    model.exact.append(6)
    found = [(c.method, c.pointer, bool(c.stack)) for c in w.tracking_changes()[1:]]
    assert [("append", "/exact/0", True), ("__setattr__", "/exact", True), ("append", "/exact/1", True)] == [
        row for row in found if row[0] != "found"
    ]
    assert ("found", "/plain/0", False) in found
    while w.last_change().pointer != "/exact/1" or w.last_change().action == "add":
        w.tracking_undo()
    assert [5] == model.exact


def test_a_model_is_refused_with_the_name_of_its_tracked_fields() -> None:
    """`assert_unmodified` of a model names `tracking`, which it takes.

    Of a plain object the error says something else; `track` takes neither.
    """

    class Order(TrackedModel):
        total: int = 1

    order = Order()
    with pytest.raises(TypeError, match=r"not Order; .* attribute tracking: assert_unmodified\(x\.tracking\)"):
        assert_unmodified(order)
    with pytest.raises(ModifiedError), assert_unmodified(order.tracking):
        order.total = 2
    with pytest.raises(TypeError, match=r"not object; use @tracked or TrackedAttr for its class"):
        assert_unmodified(object())
