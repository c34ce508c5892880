"""Tracked containers as types of pydantic fields, beside the builtins."""

import collections
import copy
import json
import pickle
import subprocess
import sys
from typing import Annotated, Any, Generic, TypeVar

import pytest

pydantic = pytest.importorskip("pydantic", minversion="2")

from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pydatatracker import (
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    track,
)

T = TypeVar("T")


class Item(BaseModel):
    n: int = 0


class Names(TrackedList[str]):
    pass


class Registry(TrackedDict[str, T], Generic[T]):
    pass


class Prices(Registry[float]):
    pass


class Traced(TrackedList[int], tracking_capture_stack=True):
    pass


class Node(BaseModel):
    kids: TrackedList["Node"] = Field(default_factory=TrackedList)


class Page(BaseModel, Generic[T]):
    rows: TrackedList[T]


# tracked type, the plain type that it behaves like
TYPES: dict[str, tuple[Any, Any]] = {
    "dict": (TrackedDict[str, int], dict[str, int]),
    "dict of int keys": (TrackedDict[int, Item], dict[int, Item]),
    "bare dict": (TrackedDict, dict),
    "list": (TrackedList[int], list[int]),
    "list of models": (TrackedList[Item], list[Item]),
    "bare list": (TrackedList, list),
    "set": (TrackedSet[int], set[int]),
    "bare set": (TrackedSet, set),
    "nested": (TrackedDict[str, TrackedList[TrackedSet[int]]], dict[str, list[set[int]]]),
    "in a list": (list[TrackedDict[str, int]], list[dict[str, int]]),
    "optional": (TrackedList[int] | None, list[int] | None),
    "ordered": (TrackedOrderedDict[str, int], collections.OrderedDict[str, int]),
    "bare ordered": (TrackedOrderedDict, collections.OrderedDict),
    "default": (TrackedDefaultDict[str, int], collections.defaultdict[str, int]),
    "counter": (TrackedCounter[str], collections.Counter[str]),
    "bare counter": (TrackedCounter, collections.Counter),
    "deque": (TrackedDeque[int], collections.deque[int]),
    "bare deque": (TrackedDeque, collections.deque),
    "subclass": (Names, list[str]),
    "generic subclass": (Registry[int], dict[str, int]),
    "subclass of a generic subclass": (Prices, dict[str, float]),
    "strict": (Annotated[TrackedList[int], Strict()], Annotated[list[int], Strict()]),
    "strict set": (Annotated[TrackedSet[int], Field(strict=True)], Annotated[set[int], Field(strict=True)]),
    "shortest": (Annotated[TrackedList[int], Field(min_length=2)], Annotated[list[int], Field(min_length=2)]),
    "longest": (Annotated[TrackedDict[str, int], Field(max_length=1)], Annotated[dict[str, int], Field(max_length=1)]),
}
INPUTS: list[Any] = [
    {}, {"a": 1}, {"a": "2", "b": 3}, {"a": "x", "b": []}, {1: {"n": "3"}}, {"1": {"n": "x"}}, {"a": [[1, 1], ["2"]]},
    {"a": [["x"], 1]}, [], [1, "2"], ["a", None], [{"n": "4"}, {}], [{"n": []}], [{"a": "5"}], [[1]], (1, 2), {1, 2},
    {"a", "b"}, frozenset([1]), None, 1, "ab", [("a", 1)], collections.OrderedDict(b=1, a=2),
    collections.defaultdict(int, a=1), collections.Counter("aab"), collections.deque([1, 2], 5), (n for n in "12"),
    {"a": 1}.items(), {"a": 1}.keys(), ["x", "y"],
]  # fmt: skip


def plain(value: Any) -> Any:
    """Return a value with builtins in the places of tracked containers."""
    if isinstance(value, collections.Counter):
        return collections.Counter(dict(value))
    if isinstance(value, collections.OrderedDict):
        return collections.OrderedDict((key, plain(each)) for key, each in value.items())
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, collections.deque):
        return collections.deque(map(plain, value), value.maxlen)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return set(value) if isinstance(value, set) else value


def outcome(validate: Any, *args: Any, **options: Any) -> Any:
    """Return what a validation gives: the value, or its errors."""
    try:
        return plain(validate(*args, **options))
    except ValidationError as error:
        return [(row["type"], row["loc"]) for row in error.errors()]


@pytest.mark.parametrize("strict", [None, True], ids=["lax", "strict"])
@pytest.mark.parametrize(("tracked_type", "plain_type"), TYPES.values(), ids=TYPES)
def test_input_is_validated_as_by_the_builtin(tracked_type: Any, plain_type: Any, strict: Any) -> None:
    """Values, kinds of error and their locations are those of the builtin."""
    ours, theirs = TypeAdapter(tracked_type), TypeAdapter(plain_type)
    for given in INPUTS:
        first, second = (list("12"), list("12")) if type(given).__name__ == "generator" else (given, given)
        expected = outcome(theirs.validate_python, second, strict=strict)
        assert expected == outcome(ours.validate_python, first, strict=strict), given


@pytest.mark.parametrize("strict", [None, True], ids=["lax", "strict"])
@pytest.mark.parametrize(("tracked_type", "plain_type"), TYPES.values(), ids=TYPES)
def test_json_is_validated_as_by_the_builtin(tracked_type: Any, plain_type: Any, strict: Any) -> None:
    """A strict set is read from a JSON array, too."""
    ours, theirs = TypeAdapter(tracked_type), TypeAdapter(plain_type)
    for given in INPUTS:
        try:
            text = json.dumps(given)
        except TypeError:
            continue
        expected = outcome(theirs.validate_json, text, strict=strict)
        assert expected == outcome(ours.validate_json, text, strict=strict), text
        assert outcome(theirs.validate_strings, given) == outcome(ours.validate_strings, given), given


@pytest.mark.parametrize("mode", ["validation", "serialization"])
@pytest.mark.parametrize(("tracked_type", "plain_type"), [row for name, row in TYPES.items() if name != "longest"])
def test_the_json_schema_is_that_of_the_builtin(tracked_type: Any, plain_type: Any, mode: Any) -> None:
    """Readers of the schema see a list, a dict or a set."""
    assert TypeAdapter(plain_type).json_schema(mode=mode) == TypeAdapter(tracked_type).json_schema(mode=mode)


def test_the_json_schema_of_a_dict_names_its_constraints_as_for_a_defaultdict() -> None:
    """It has minLength for minProperties; the page says what to write."""
    assert "maxLength" in TypeAdapter(TYPES["longest"][0]).json_schema()
    inside = Annotated[dict[str, int], Field(max_length=1), pydantic.AfterValidator(TrackedDict)]
    assert 1 == TypeAdapter(inside).json_schema()["maxProperties"]
    assert TrackedDict is type(TypeAdapter(inside).validate_python({"a": 1}))


GOOD: dict[str, Any] = {
    "dict": {"a": 1}, "dict of int keys": {1: {"n": 1}}, "bare dict": {"a": [1]}, "list": [1], "list of models": [{}],
    "bare list": [{}], "set": {1}, "bare set": {1}, "nested": {"a": [{1}]}, "in a list": [{"a": 1}], "optional": [1],
    "ordered": collections.OrderedDict(b=1, a=2), "bare ordered": {"b": 1}, "default": {"a": 1}, "counter": {"a": 2},
    "bare counter": {"a": 2}, "deque": [1, 2], "bare deque": collections.deque([1], 4), "subclass": ["a"],
    "generic subclass": {"a": 1}, "subclass of a generic subclass": {"a": 1.5}, "strict": [1], "strict set": {1},
    "shortest": [1, 2], "longest": {"a": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_dumps_are_those_of_the_builtin(name: str) -> None:
    """Dumps in both modes have the same classes all the way down."""
    ours, theirs = (pydantic.create_model("M", x=(each, ...)) for each in TYPES[name])
    made, other = ours(x=GOOD[name]), theirs(x=GOOD[name])
    assert repr(other.model_dump()) == repr(made.model_dump())
    assert repr(other.model_dump(mode="json")) == repr(made.model_dump(mode="json"))
    assert other.model_dump_json() == made.model_dump_json()
    assert made == ours.model_validate(made.model_dump()) == ours.model_validate_json(made.model_dump_json())
    for copied in (made.model_copy(deep=True), copy.deepcopy(made)):
        assert (made, type(made.x)) == (copied, type(copied.x))
    assert repr(other.model_dump()) == repr(pydantic.RootModel[Any](made).model_dump())


@pytest.mark.parametrize("name", [name for name in TYPES if name != "in a list"])
def test_the_result_is_tracked(name: str) -> None:
    """What a model holds records its changes, and is of the named class."""
    made = TypeAdapter(TYPES[name][0]).validate_python(GOOD[name])
    assert type(made).__name__.startswith(("Tracked", "Names", "Registry", "Prices"))
    assert ["init"] == [change.action for change in made.tracking_changes()]
    made.clear()
    assert "clear" == made.last_change().method


def test_nested_types_are_one_tree() -> None:
    """A change deep inside has the path from the field."""
    made = TypeAdapter(TYPES["nested"][0]).validate_python(GOOD["nested"])
    made["a"][0].add(2)
    assert "/a/0/2" == made.last_change().pointer


def test_tracked_input_is_copied() -> None:
    """A field holds a copy, as of a list, with the options of its class."""

    class Model(BaseModel):
        x: TrackedList[int]
        y: Traced = Traced()

    given = track([1, 2], tracking_capture_stack=True)
    made = Model(x=given, y=given)
    assert (given, False, False) == (made.x, made.x is given, made.y is given)
    given.append(3)
    made.y.append(4)
    made.x.append(5)
    assert ([1, 2, 5], [1, 2, 4]) == (made.x, made.y)
    assert made.y.last_change().stack
    assert not made.x.last_change().stack
    assert TrackedList is type(pickle.loads(pickle.dumps(track([1]))))


def test_defaults_are_not_shared() -> None:
    """A default is copied for each model, as a list is."""

    class Model(BaseModel):
        x: TrackedList[int] = TrackedList([1])

    one, two = Model(), Model()
    one.x.append(2)
    assert ([1, 2], [1], TrackedList) == (one.x, two.x, type(two.x))


def test_forward_references_and_type_variables() -> None:
    """Models refer to themselves, and generic ones name the items."""
    node = Node(kids=[{"kids": [{}]}])
    assert [TrackedList, TrackedList] == [type(node.kids), type(node.kids[0].kids)]
    assert "$defs" in Node.model_json_schema()
    page = Page[TrackedDict[str, int]](rows=[{"a": "1"}])
    assert (TrackedDict, {"a": 1}) == (type(page.rows[0]), page.rows[0])


def test_a_default_dict_has_a_factory_for_tracked_values() -> None:
    """Tracked values bring their factories, as builtins do."""
    made = TypeAdapter(TrackedDefaultDict[str, TrackedList[int]]).validate_python({"a": ["1"]})
    made["b"].append(2)
    assert ({"a": [1], "b": [2]}, "/b/0") == (made, made.last_change().pointer)
    given = collections.defaultdict(lambda: 7)
    assert 7 == TypeAdapter(TrackedDefaultDict[str, int]).validate_python(given)["x"]
    with pytest.raises(pydantic.errors.PydanticSchemaGenerationError, match="default factory"):
        TypeAdapter(TrackedDefaultDict)


def test_a_deque_keeps_its_length() -> None:
    """The maxlen of the input holds for the field."""
    made = TypeAdapter(TrackedDeque[int]).validate_python(collections.deque([1, 2], 2))
    made.append(3)
    assert (2, [2, 3]) == (made.maxlen, list(made))


def test_pydantic_dataclasses_and_unions() -> None:
    """Fields of a dataclass are validated; a union chooses by content."""

    @dataclass
    class Order:
        items: TrackedDict[str, int]
        more: TrackedList[int] | TrackedDict[str, int]

    order = Order({"a": "1"}, {"b": "2"})
    assert (TrackedDict, {"a": 1}, TrackedDict) == (type(order.items), order.items, type(order.more))
    with pytest.raises(ValidationError) as caught:
        Order({}, 1)
    names = ["function-after[TrackedList(), list[int]]", "function-after[TrackedDict(), dict[str,int]]"]
    assert names == [row["loc"][-1] for row in caught.value.errors()]


def test_validate_assignment_gives_a_new_container() -> None:
    """An assigned list becomes tracked where pydantic validates it."""

    class Model(BaseModel):
        model_config = ConfigDict(validate_assignment=True)
        x: TrackedList[int] = Field(default_factory=TrackedList)

    made = Model()
    made.x = ["1"]
    assert (TrackedList, [1]) == (type(made.x), made.x)
    made.x.append("not an int")  # later changes are not validated, as in a list


def test_classes_with_tracked_attributes_go_on_as_before() -> None:
    """A dataclass with the base TrackedAttr is still a dataclass to pydantic."""
    import dataclasses

    from pydatatracker import TrackedAttr

    @dataclasses.dataclass
    class Point(TrackedAttr):
        x: int = 0

    made = TypeAdapter(Point).validate_python({"x": "5"})
    made.x = 6
    assert (5, 6) == (made.last_change().before, made.x)
    assert not hasattr(TrackedAttr, "__get_pydantic_core_schema__")


def test_pydantic_is_imported_by_those_who_use_it() -> None:
    """Tracked containers import neither pydantic nor its core."""
    program = (
        "import sys, pydatatracker as p; d = p.TrackedDict(a=[1]); p.TrackedDict[str, int]; d['b'] = 1;"
        "print([name for name in sys.modules if name.startswith('pydantic')])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout
