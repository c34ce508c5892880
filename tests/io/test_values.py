"""Values to JSON and back: equal, of the same type, and without errors."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import json
import math
import os
import pathlib
import subprocess
import sys
import threading
import uuid
import zoneinfo
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from roundtrip import same, through_json

from pydatatracker import MISSING, TrackedAttr, TrackedDict, TrackedList, TrackedSet
from pydatatracker.values.encode import REDACTED, Cut, Ref, Repr, decode, encode

# ---- written and read back


def unfolded(moment):
    """Return a moment without its fold, which ISO 8601 does not have."""
    return moment.replace(fold=0)


# Whole seconds: datetime.fromisoformat reads an offset of less than a second as UTC (CPython 3.11 to 3.13).
offsets = st.integers(-86_399, 86_399).map(lambda seconds: datetime.timedelta(seconds=seconds))
any_text = st.text(st.characters(exclude_categories=()), max_size=30)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(1 << 3000), max_value=1 << 3000),
    st.floats(),
    st.complex_numbers(),
    any_text,
    st.binary(max_size=30),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)).map(unfolded),
    st.datetimes(timezones=st.builds(datetime.timezone, offsets)).map(unfolded),
    st.dates(),
    st.times().map(unfolded),
    st.timedeltas(),
    st.decimals().filter(lambda number: not number.is_snan()),  # those have no hash
    st.uuids(),
    any_text.filter(lambda text: "\0" not in text).map(pathlib.Path),
    st.just(MISSING),
    st.just(REDACTED),
)
hashables = st.recursive(
    scalars, lambda each: st.lists(each, max_size=4).map(tuple) | st.frozensets(each, max_size=4), max_leaves=6
)
keys = any_text | any_text.map("${}".format) | hashables
values = st.recursive(
    scalars | st.sets(hashables, max_size=5) | st.binary(max_size=5).map(bytearray),
    lambda each: st.one_of(
        st.lists(each, max_size=5),
        st.lists(each, max_size=5).map(tuple),
        st.dictionaries(keys, each, max_size=5),
        st.dictionaries(st.sampled_from(["$set", "$ref", "$dict", "$cut", "a", "$"]), each, max_size=3),
    ),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_round_trip(value: object) -> None:
    """A decoded value equals the encoded one, types included."""
    assert same(value, through_json(value))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example({"0": bytearray(b"")}, 1, 2)  # the key took all room, and nothing is still cut
@example([None, {"0": None, "": ""}], 20, 3)
@given(values, st.integers(0, 40), st.integers(1, 6))
def test_limits_always_hold(value: object, limit: int, depth: int) -> None:
    """Any limit bounds the depth and length of the JSON, which decodes."""
    data = encode(value, limit=limit, depth=depth)
    text = json.dumps(data, allow_nan=False)
    assert levels(data) <= depth + 6  # a tag in a $cut in a row of a $dict
    assert len(text) <= 500 + 200 * limit
    json.dumps(encode(decode(json.loads(text))), allow_nan=False)


def levels(data: object) -> int:
    """Return how deep JSON data nests."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


tags = (
    "$tuple $set $frozenset $bytes $datetime $date $time $timedelta $decimal $uuid $path $complex $float $int "
    "$str $dict $repr $cut $redacted $ref $missing $nonsense type start a"
)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.sampled_from(tags.split()), each, max_size=3),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None)
@given(json_data)
def test_decode_accepts_any_json(data: object) -> None:
    """JSON with wrong, unknown or malformed tags decodes, and stays unchanged."""
    before = json.dumps(data)
    decode(data)
    assert before == json.dumps(data)


@pytest.mark.parametrize(
    "value",
    [
        0, -1, 2**53 + 1, 2**63, 2**64, -(2**64), 2**200, 10**601, -(10**602), 10**5000, -(16**3000),
        0.0, -0.0, 1e308, 5e-324, 1.0, 1e16, math.inf, -math.inf, math.nan, 0.1 + 0.2,
        "", "\0", "\n\u2028\u2029", "\ud800", "\udfff\ud800", "\ud83d" + "\ude00", "😀", "a\\ud800",
        "\\", '"', "$", "$ref",
        b"", b"\xff\0", bytearray(b"ab"), (), ((),), [], {}, set(), frozenset(),
        {"": 1}, {"$": 1}, {"$tuple": [1]}, {"\ud800": 1}, {1: 2, "1": 3}, {None: 1, True: 2, 2.5: 3}, {(1, (2,)): [3]},
        {float("inf"): {frozenset({1}): {b"x": ()}}},
        datetime.datetime(1, 1, 1), datetime.datetime.max, datetime.datetime(2026, 1, 1, 1, 2, 3, 4),
        datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=1, microseconds=1))),
        datetime.date.min, datetime.time.max, datetime.time(1, tzinfo=datetime.UTC),
        datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(microseconds=-1), datetime.timedelta(0),
        decimal.Decimal("NaN"), decimal.Decimal("sNaN"), decimal.Decimal("-0E+5"), decimal.Decimal("-Infinity"),
        decimal.Decimal("1." + "1" * 60), 1j, complex(-0.0, -0.0), complex(math.nan, math.inf), uuid.UUID(int=0),
        pathlib.Path("."), pathlib.Path("/a/\udcff b"), MISSING, REDACTED, Ref("/a"), Repr("<x>", "m.X"),
        Cut(3, "str", "a"), [None, [True, [False]]],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_edges_come_back(value: object) -> None:
    """Every value of the table is read back equal and of its type."""
    assert same(value, through_json(value))


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ({"$tuple": [1, 2]}, (1, 2)),
        ({"$set": [1, 2, 10]}, {10, 2, 1}),
        ({"$frozenset": ["a", "b"]}, frozenset("ba")),
        ({"$bytes": "AP8="}, b"\0\xff"),
        ({"$datetime": "2026-11-23T12:45:30+00:00"}, datetime.datetime(2026, 11, 23, 12, 45, 30, tzinfo=datetime.UTC)),
        ({"$date": "2026-11-23"}, datetime.date(2026, 11, 23)),
        ({"$time": "12:45:00"}, datetime.time(12, 45)),
        ({"$timedelta": "90"}, datetime.timedelta(minutes=1.5)),
        ({"$timedelta": "-0.000001"}, datetime.timedelta(microseconds=-1)),
        ({"$decimal": "1.10"}, decimal.Decimal("1.10")),
        ({"$uuid": "00000000-0000-0000-0000-000000000001"}, uuid.UUID(int=1)),
        ({"$path": "a/b"}, pathlib.PurePosixPath("a/b")),
        ({"$complex": "1+2j"}, 1 + 2j),
        ({"$float": "nan"}, math.nan),
        ({"$float": "-inf"}, -math.inf),
        ({"$dict": [[1, "a"], ["1", "b"]]}, {1: "a", "1": "b"}),
        ({"$dict": [["$x", 1]]}, {"$x": 1}),
        ({"$missing": True}, MISSING),
        ({"$redacted": True}, REDACTED),
        ({"$repr": "1/3", "type": "fractions.Fraction"}, None),
        ({"$str": "\\ud800\\\\"}, "\ud800\\"),
    ],
)  # fmt: skip
def test_the_form_on_disk(expected: object, value: object) -> None:
    """The JSON of each tag is exactly this; existing logs depend on it."""
    if expected == {"$repr": "1/3", "type": "fractions.Fraction"}:
        data = encode(fractions.Fraction(1, 3))
        assert "fractions.Fraction" == data["type"]
        assert "Fraction(1, 3)" == data["$repr"]
    else:
        assert expected == encode(value)


# ---- subclasses and tracked data


class Colour(enum.IntEnum):
    RED = 1


class Shade(enum.StrEnum):
    DARK = "dark"


class Point(NamedTuple):
    x: int
    y: int


class Liar(dict):
    """A dict whose own methods all raise."""

    def items(self):
        raise AssertionError

    __iter__ = keys = values = __len__ = __getitem__ = items


class Shout(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError

    __len__ = encode = isascii = __str__


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (1, Colour.RED),
        ("dark", Shade.DARK),
        ({"dark": 1}, {Shade.DARK: 1}),
        ({"$tuple": [1, 2]}, Point(1, 2)),
        ({"a": 1}, collections.OrderedDict(a=1)),
        ({"a": 1}, collections.Counter("a")),
        ({"a": []}, collections.defaultdict(list, a=[])),
        ({"a": 1}, Liar(a=1)),
        ("abc", Shout("abc")),
        ({"abc": 1}, {Shout("abc"): 1}),
        ({"a": [1, {"b": {"$set": [2]}}]}, TrackedDict(a=TrackedList([1, TrackedDict(b=TrackedSet([2]))]))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_is_written_as_its_builtin(expected: object, value: object) -> None:
    """A subclass is written as its builtin, without calling its own methods."""
    data = encode(value)
    assert expected == data
    assert type(expected) is type(data)


def test_an_ordered_dict_keeps_its_order() -> None:
    """An OrderedDict is written in its own order."""
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert ["b", "a"] == list(encode(ordered))


def test_keys_of_a_subclass_that_look_alike_are_both_kept() -> None:
    """Two keys with the same text that are not equal are both written."""

    class Other(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return self is other

    assert {"$dict": [["a", 1], ["a", 2]]} == encode({Other("a"): 1, Other("a"): 2})


def test_an_object_with_tracked_attributes_is_a_dict() -> None:
    """A TrackedAttr object is written as the dict of its tracked attributes."""

    class Account(TrackedAttr):
        def __init__(self) -> None:
            self.owner = "ann"
            self.me = self
            self._private = 1

    assert {"owner": "ann", "me": {"$ref": ""}} == encode(Account())


def test_a_set_is_written_in_a_stable_order() -> None:
    """Equal sets are the same JSON for any hash seed, nested ones too."""
    code = (
        "import json, sys; from pydatatracker.values.encode import encode;"
        "s = {'b', 'a', 'zz', b'x', 1, 2.5, None, ('t',), frozenset({'x', 'y', ('z',)}), frozenset({'q', 'p'})};"
        "sys.stdout.write(json.dumps(encode(s)))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-P", "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert 1 == len(texts)


def test_an_integer_that_python_will_not_print() -> None:
    """An int beyond sys.set_int_max_str_digits is written."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        for value in (10**639, 10**640, 10**10_000, -(10**10_000)):
            assert value == through_json(value)
    finally:
        sys.set_int_max_str_digits(limit)


def test_decimal_ignores_the_context() -> None:
    """The decimal context neither rounds nor traps what is written and read."""
    value = decimal.Decimal("1." + "7" * 50)
    with decimal.localcontext() as context:
        context.prec = 3
        context.traps[decimal.Inexact] = True
        assert value == through_json(value)


def test_zones_become_offsets() -> None:
    """A named zone is read back as its offset: the same instant."""
    moment = datetime.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("UTC"))
    assert moment == through_json(moment)


def test_encode_makes_fresh_containers() -> None:
    """The result shares no container with the value."""
    value = {"a": [1, {"b": 2}]}
    data = encode(value)
    data["a"][1]["b"] = 3
    assert {"a": [1, {"b": 2}]} == value


def test_a_dict_that_another_thread_changes() -> None:
    """A container that changes meanwhile is written as it was at some moment."""
    shared: dict[int, int] = {}
    stop = threading.Event()

    def change() -> None:
        for n in range(200_000):
            shared[n % 1000] = n
            if n % 3 == 0:
                shared.pop(n % 500, None)
            if stop.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            encode([shared, shared.keys()])
    finally:
        stop.set()
        thread.join()


def test_importing_the_codec_needs_the_standard_library_only() -> None:
    """Importing the package and the codec does not import msgspec."""
    code = (
        "import sys, pydatatracker, pydatatracker.values.encode, pydatatracker.io; assert 'msgspec' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
