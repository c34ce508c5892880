"""Tracked data in serializers, compared with trivial subclasses.

Whatever a library does with ``class D(dict): pass`` it does with a TrackedDict: the same bytes, or the same error.
"""

import collections
import copy
import importlib
import json
import marshal
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

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


class Dict(dict):
    pass


class List(list):
    pass


class Set(set):
    pass


class Ordered(collections.OrderedDict):
    pass


class Default(collections.defaultdict):
    pass


class Counter(collections.Counter):
    pass


class Deque(collections.deque):
    pass


class Own(TrackedDict):
    pass


class OwnList(TrackedList):
    pass


PAIRS: dict[str, tuple[Any, Any]] = {
    "dict": (TrackedDict(b=1, a="x"), Dict(b=1, a="x")),
    "empty dict": (TrackedDict(), Dict()),
    "other keys": (TrackedDict({1: 2, None: 3}), Dict({1: 2, None: 3})),
    "list": (TrackedList([1, 2.5, None, "é"]), List([1, 2.5, None, "é"])),
    "set": (TrackedSet([1]), Set([1])),
    "nested": (
        TrackedDict(a=TrackedList([TrackedDict(b=[1])]), c=(TrackedList([2]),)),
        Dict(a=List([Dict(b=[1])]), c=(List([2]),)),
    ),
    "set in a dict": (TrackedDict(a=TrackedSet([1])), Dict(a=Set([1]))),
    "tracked inside plain": ({"a": TrackedList([1])}, {"a": List([1])}),
    "ordered": (TrackedOrderedDict(b=1, a=2), Ordered(b=1, a=2)),
    "default": (TrackedDefaultDict(int, b=1), Default(int, b=1)),
    "counter": (TrackedCounter("aab"), Counter("aab")),
    "deque": (TrackedDeque([1, 2], 3), Deque([1, 2], 3)),
    "subclass": (Own(a=1), Dict(a=1)),
    "subclass of list": (OwnList([1]), List([1])),
}


def lib(name: str) -> Any:
    return importlib.import_module(name)


def options(name: str, *flags: str) -> Callable[[Any], Any]:
    """Return orjson.dumps with options."""
    return lambda x: lib(name).dumps(x, option=sum(getattr(lib(name), flag) for flag in flags))


def described(value: Any) -> Any:
    """Return data for a default function of a serializer."""
    if isinstance(value, (set, collections.deque)):
        return list(value)
    return dict(value) if isinstance(value, dict) else list(value)


WRITERS: dict[str, Callable[[Any], Any]] = {
    "json": json.dumps,
    "json sorted": lambda x: json.dumps(x, sort_keys=True, indent=1),
    "json in Python": lambda x: "".join(json.JSONEncoder(default=described).iterencode(x, _one_shot=False)),
    "marshal": marshal.dumps,
    "msgpack": lambda x: lib("msgpack").packb(x),
    "msgpack strict": lambda x: lib("msgpack").packb(x, strict_types=True),
    "msgpack default": lambda x: lib("msgpack").packb(x, default=described),
    "msgpack strict default": lambda x: lib("msgpack").packb(x, strict_types=True, default=described),
    "msgpack in Python": lambda x: lib("msgpack.fallback").Packer().pack(x),
    "orjson": lambda x: lib("orjson").dumps(x),
    "orjson default": lambda x: lib("orjson").dumps(x, default=described),
    "orjson any keys": options("orjson", "OPT_NON_STR_KEYS", "OPT_SORT_KEYS"),
    "orjson passes subclasses": options("orjson", "OPT_PASSTHROUGH_SUBCLASS"),
    "orjson passes subclasses to default": lambda x: lib("orjson").dumps(
        x, default=described, option=lib("orjson").OPT_PASSTHROUGH_SUBCLASS
    ),
    "simplejson": lambda x: lib("simplejson").dumps(x),
    "simplejson sorted": lambda x: lib("simplejson").dumps(x, sort_keys=True, default=described),
    "simplejson iterable": lambda x: lib("simplejson").dumps(x, iterable_as_array=True),
    "simplejson encoder": lambda x: "".join(lib("simplejson").JSONEncoder(default=described).iterencode(x)),
    "msgspec json": lambda x: lib("msgspec").json.encode(x),
    "msgspec msgpack": lambda x: lib("msgspec").msgpack.encode(x),
    "msgspec builtins": lambda x: lib("msgspec").to_builtins(x),
}
ERRORS = {"Tracked" + name: name for name in ("Dict", "List", "Set", "Counter", "Deque")}
ERRORS |= {"TrackedOrderedDict": "Ordered", "TrackedDefaultDict": "Default", "OwnList": "List", "Own": "Dict"}
HOMES = ("pydatatracker.containers.twins.", "pydatatracker.containers.", f"{__name__}.")


def outcome(call: Callable[[Any], Any], value: Any) -> Any:
    """Return what a serializer gives, or its error without class names."""
    try:
        return call(value)
    except Exception as error:
        text = str(error)
        for home in HOMES:
            text = text.replace(home, "")
        for ours, theirs in ERRORS.items():
            text = text.replace(ours, theirs).replace(repr(ours), repr(theirs))
        text = text.replace("serialize deque(", "serialize Deque(")  # the repr of a twin is that of its original
        return type(error).__name__, text.partition("Set(")[0].partition("({")[0].partition("([")[0]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_serializer_treats_it_as_a_trivial_subclass(writer: str, pair: tuple[Any, Any]) -> None:
    """The bytes are the same, or the error is, with the other class named."""
    if writer.partition(" ")[0] != "json":
        pytest.importorskip(writer.partition(" ")[0])
    ours, theirs = pair
    assert outcome(WRITERS[writer], theirs) == outcome(WRITERS[writer], ours)


def test_serializing_records_nothing() -> None:
    """To write data is not to change it."""
    data = track({"a": [1, {"b": 2}]})
    for name, writer in WRITERS.items():
        if name.partition(" ")[0] in sys.modules:
            outcome(writer, data)
    assert ["init"] == [change.action for change in data.tracking_changes()]


# ---- pickles of other libraries


class Local:
    """Holds a class that only cloudpickle can write."""

    @staticmethod
    def made() -> Any:
        class Inside(TrackedDict, tracking_max_changes=7):
            def total(self) -> int:
                return sum(self.values())

        return Inside(a=1, b=2)


@pytest.mark.parametrize("pair", [pair for name, pair in PAIRS.items() if name != "tracked inside plain"])
def test_cloudpickle_keeps_data_class_and_options(pair: tuple[Any, Any]) -> None:
    """It comes back as pickle brings it back, and records."""
    cloudpickle = pytest.importorskip("cloudpickle")
    ours = copy.copy(pair[0])
    made = pickle.loads(cloudpickle.dumps(ours))
    assert (type(ours), ours) == (type(made), made)
    made.clear()
    ours.clear()
    assert (ours.last_change().method, "init") == (made.last_change().method, made.tracking_changes()[0].action)


def test_cloudpickle_writes_classes_that_are_not_importable() -> None:
    """A local subclass comes with its methods and options, elsewhere too."""
    cloudpickle = pytest.importorskip("cloudpickle")
    data = cloudpickle.dumps(Local.made())
    program = (
        "import pickle, sys; x = pickle.loads(sys.stdin.buffer.read()); x['a'] = 5;"
        "print(x.total(), type(x).__name__, x.last_change().pointer, x.tracking_changes()[0].action)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], input=data, capture_output=True, check=False)
    assert (b"7 Inside /a init", b"") == (done.stdout.strip(), done.stderr)


@pytest.mark.parametrize("compress", [0, 3])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_joblib_dumps_and_loads(pair: tuple[Any, Any], compress: int, tmp_path: Any) -> None:
    """A file of joblib holds data and class."""
    joblib = pytest.importorskip("joblib")
    joblib.dump(pair[0], tmp_path / "x", compress=compress)
    made = joblib.load(tmp_path / "x")
    assert (type(pair[0]), pair[0]) == (type(made), made)


def rebuilt(value: Any) -> Any:
    """Return an equal value that was made in another way."""
    made = copy.deepcopy(value)
    if hasattr(made, "tracking_changes"):
        contents = list(made.items()) if isinstance(made, dict) else list(made)
        made.clear()
        if isinstance(made, dict):
            for key, each in contents:
                made[key] = each
        else:
            (made.update if isinstance(made, set) else made.extend)(contents)
    return made


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_joblib_hashes_content_and_not_history(pair: tuple[Any, Any]) -> None:
    """Equal data has one hash, however often it was changed."""
    joblib = pytest.importorskip("joblib")
    ours = pair[0]
    changed = rebuilt(ours)
    assert joblib.hash(ours) == joblib.hash(changed) == joblib.hash(copy.deepcopy(ours))
    if type(ours) in (TrackedDict, TrackedList, TrackedSet):
        assert joblib.hash(ours) == joblib.hash(pickle.loads(pickle.dumps(ours, 3))) == joblib.hash(type(ours)(ours))
    assert joblib.hash(ours) != joblib.hash(TrackedList([object]))


def test_joblib_hashes_different_data_differently() -> None:
    """A nested change gives another hash, and undo the old one."""
    joblib = pytest.importorskip("joblib")
    data = track({"a": [1, {"b": 2}]})
    before = joblib.hash(data)
    data["a"][1]["b"] = 3
    assert before != joblib.hash(data)
    data.tracking_undo()
    assert before == joblib.hash(data)
    words = [str(number) for number in range(50)]
    assert joblib.hash(TrackedSet(words)) == joblib.hash(TrackedSet(reversed(words)))
    assert joblib.hash(TrackedSet(words)) != joblib.hash(TrackedSet(words[1:]))
    assert joblib.hash(TrackedDict(a=1, tracking_name="x", tracking_max_changes=5)) == joblib.hash(TrackedDict(a=1))
    assert joblib.hash(TrackedDict(a=1)) != joblib.hash(Own(a=1))


def test_joblib_memory_and_parallel(tmp_path: Any) -> None:
    """A cache finds equal tracked arguments; workers get and return them."""
    joblib = pytest.importorskip("joblib")
    calls = []

    def total(data: Any) -> Any:
        calls.append(1)
        return track({"sum": sum(data["a"])})

    memory = joblib.Memory(tmp_path, verbose=0)
    cached = memory.cache(total)
    data = track({"a": [1, 2]})
    assert ({"sum": 3}, {"sum": 3}, 1) == (cached(data), cached(track({"a": [1, 2]})), len(calls))
    data["a"].append(3)
    assert ({"sum": 6}, 2, TrackedDict) == (cached(data), len(calls), type(cached(data)))
    found = joblib.Parallel(n_jobs=1)(joblib.delayed(total)(each) for each in [data, data])
    assert [{"sum": 6}, {"sum": 6}] == found


# ---- YAML

yaml_data = {
    "shared": (lambda track: (lambda part: track({"b": part, "a": part, "c": [part]}))([1, {"x": None}])),
    "nested": lambda track: track({"b": {"z": [1.5, "text", True]}, "a": []}),
    "set": lambda track: track({"s": {1}}),
    "list": lambda track: track([[], {}, ["a"]]),
}
STYLES: list[dict[str, Any]] = [{}, {"sort_keys": False}, {"default_flow_style": True}, {"indent": 4, "width": 20}]


@pytest.fixture
def yaml() -> Any:
    found = pytest.importorskip("yaml")
    importlib.import_module("pydatatracker.integrations.yaml")
    return found


@pytest.mark.parametrize("dumper", ["SafeDumper", "CSafeDumper"])
@pytest.mark.parametrize("make", yaml_data.values(), ids=yaml_data)
def test_safe_dump_writes_plain_yaml(yaml: Any, make: Any, dumper: str) -> None:
    """The text is that of plain data, with anchors where a part is shared."""
    for style in STYLES:
        text = yaml.dump(make(lambda x: x), Dumper=getattr(yaml, dumper), **style)
        assert text == yaml.dump(make(track), Dumper=getattr(yaml, dumper), **style)
        assert make(track) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TrackedOrderedDict(b=1, a=2), "b: 1\na: 2\n"),
        (TrackedDefaultDict(list, a=[1]), "a:\n- 1\n"),
        (TrackedCounter("aab"), "a: 2\nb: 1\n"),
        (TrackedDeque([1, 2], 3), "- 1\n- 2\n"),
        (TrackedSet(["a"]), "!!set\na: null\n"),
        (Own(a=1), "a: 1\n"),
        ({"plain": [TrackedList([1])]}, "plain:\n- - 1\n"),
    ],
)
def test_safe_dump_of_twins_and_subclasses(yaml: Any, value: Any, text: str) -> None:
    """Each is written as the dict, list or set that it is."""
    assert text == yaml.safe_dump(value, sort_keys=False)


def test_safe_dump_of_data_that_contains_itself(yaml: Any) -> None:
    """A cycle is an alias, as in plain data."""
    ours, theirs = TrackedList([1]), [1]
    ours.append(ours)
    theirs.append(theirs)
    assert yaml.safe_dump(theirs) == yaml.safe_dump(ours)


def in_order(dumper: Any, data: Any) -> Any:
    """Represent a mapping with its keys in their order."""
    return dumper.represent_mapping("tag:yaml.org,2002:map", list(data.items()))


def in_one_line(dumper: Any, data: Any) -> Any:
    """Represent a sequence or set in one line."""
    return dumper.represent_sequence("tag:yaml.org,2002:seq", list(data), flow_style=True)


@pytest.mark.parametrize("dumper", ["SafeDumper", "CSafeDumper"])
def test_a_representer_of_the_program_holds_for_tracked_data(yaml: Any, dumper: str) -> None:
    """A dumper that writes builtins in its own way writes tracked ones alike."""

    class Own(getattr(yaml, dumper)):  # type: ignore[misc]
        pass

    for cls in (dict, collections.OrderedDict, collections.Counter, collections.defaultdict):
        Own.add_representer(cls, in_order)
    for cls in (list, set, collections.deque):
        Own.add_representer(cls, in_one_line)
    plain = {
        "z": [1, {"y": 1, "b": 2}],
        "a": {1},
        "d": collections.deque([1]),
        "c": collections.Counter("baa"),
        "o": collections.OrderedDict(z=1, a=2),
        "f": collections.defaultdict(list, z=[1], a=[]),
    }
    assert yaml.dump(plain, Dumper=Own) == yaml.dump(track(plain), Dumper=Own)
    assert yaml.dump(plain["c"], Dumper=Own) == yaml.dump(TrackedCounter("baa"), Dumper=Own)


def test_a_representer_of_subclasses_holds_for_tracked_data(yaml: Any) -> None:
    """A dumper treats tracked data as other subclasses of a builtin.

    As it did before the import.
    """

    class Own(yaml.SafeDumper):  # type: ignore[misc, name-defined]
        pass

    class Plain(dict):  # type: ignore[type-arg]
        pass

    Own.add_multi_representer(dict, in_order)
    Own.add_multi_representer(list, in_one_line)
    for make in (TrackedDict, TrackedOrderedDict):
        assert yaml.dump(Plain(z=1, a=2), Dumper=Own) == yaml.dump(make(z=1, a=2), Dumper=Own)
    assert "[1, 2]\n" == yaml.dump(TrackedList([1, 2]), Dumper=Own)


REGISTERED = """
import yaml
from pydatatracker import TrackedDict, track
class Sub(dict): pass
class Mine(yaml.SafeDumper): pass
Mine.add_multi_representer(complex, lambda dumper, value: dumper.represent_scalar("!c", str(value)))
def told(value, dumper=yaml.SafeDumper):
    try: return yaml.dump(value, Dumper=dumper)
    except yaml.representer.RepresenterError as error: return error.args[0]
data = track({"a": [1]})
others = [Sub(a=1), {"a": (1,)}, {1}, object]
before = [told(each) for each in others], yaml.dump(data), told(data), told(data, Mine)
from pydatatracker.integrations.yaml import register
after = [told(each) for each in others], yaml.dump(data), told(data), told(data, Mine)
print(before[:2] == after[:2], *before[2:], *after[2:])
register(Mine)
print(told(data, Mine) == told(data))
"""


def test_nothing_changes_without_the_import_nor_for_other_data() -> None:
    """`yaml.dump` writes what it wrote, other subclasses are still refused."""
    pytest.importorskip("yaml")
    done = subprocess.run([sys.executable, "-P", "-c", REGISTERED], capture_output=True, text=True, check=False)
    refused = "cannot represent an object"
    assert (f"True {refused} {refused} a:\n- 1\n {refused}\nTrue\n", "") == (done.stdout, done.stderr)


def test_register_takes_safe_dumpers_only(yaml: Any) -> None:
    """The error names what it takes."""
    from pydatatracker.integrations.yaml import register

    for wrong in (yaml.Loader, 5, yaml.SafeDumper(sys.stdout)):
        with pytest.raises(TypeError, match=r"a subclass of yaml\.SafeDumper"):
            register(wrong)


@pytest.mark.parametrize("dumper", ["Dumper", "CDumper"])
@pytest.mark.parametrize("name", PAIRS)
def test_dump_keeps_classes_and_can_be_loaded(yaml: Any, name: str, dumper: str) -> None:
    """unsafe_load gives the class, the items and their order again."""
    value = PAIRS[name][0]
    made = yaml.unsafe_load(yaml.dump(value, Dumper=getattr(yaml, dumper)))
    assert (type(value), value) == (type(made), made)
    if isinstance(value, TrackedOrderedDict):
        assert list(value) == list(made)
