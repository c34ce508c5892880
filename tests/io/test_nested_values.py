"""Deep, shared and cyclic values to JSON and back."""

from __future__ import annotations

import json

import pytest
from roundtrip import through_json

from pydatatracker.values.codec import decoder, encoder
from pydatatracker.values.encode import DEPTH, Ref, decode, encode


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {1: v}])
def test_nesting_without_end_is_cut(wrap) -> None:
    """50,000 levels are cut to what JSON parsers accept, without an error.

    Decoding them does not recurse either.
    """
    value: object = 1
    for _ in range(50_000):
        value = wrap(value)
    data = encode(value)
    assert data == json.loads(json.dumps(data)) == decoder()(encoder()(data))
    decode(data)
    assert "$cut" in json.dumps(data)


def test_nesting_up_to_the_limit_comes_back() -> None:
    """Lists of DEPTH levels are read back whole."""
    value: list[object] = []
    for _ in range(DEPTH - 1):
        value = [value]
    assert value == through_json(value)


def test_decode_does_not_recurse() -> None:
    """Data of any depth is decoded."""
    data: object = 1
    for _ in range(50_000):
        data = {"$tuple": [data]}
    value = decode(data)
    for _ in range(50_000):
        (value,) = value
    assert 1 == value


def test_shared_references_do_not_explode() -> None:
    """The size limit ends sixty levels of [x, x], which are 2**60 items."""
    value: object = 0
    for _ in range(60):
        value = [value, value]
    assert len(json.dumps(encode(value, limit=10_000))) < 500_000


def test_a_shared_value_without_a_cycle_is_written_twice() -> None:
    """A shared value is written twice; only a cycle is a $ref."""
    shared = [1]
    assert [[1], [1]] == encode([shared, shared])


def test_cycles_through_lists_and_dicts_are_closed_again() -> None:
    """A cycle is written as a pointer to its start, and read as a cycle."""
    value: dict[str, object] = {"a/b": [1]}
    value["a/b"].append({"~": value})  # type: ignore[attr-defined]
    value["list"] = value["a/b"]
    data = encode(value)
    assert {"a/b": [1, {"~": {"$ref": ""}}], "list": [1, {"~": {"$ref": ""}}]} == data
    again = decode(data)
    assert again is again["a/b"][1]["~"]

    inner: list[object] = []
    inner.append(inner)
    assert {"x": {"y": [{"$ref": "/x/y"}]}} == encode({"x": {"y": inner}})
    closed = decode({"x": {"y": [{"$ref": "/x/y"}]}})["x"]["y"]
    assert closed is closed[0]


def test_a_pointer_leads_through_tags() -> None:
    """A $ref below a tag is the pointer into the JSON itself."""
    inner: list[object] = []
    inner.append(inner)
    data = encode({1: (0, inner)})
    assert {"$dict": [[1, {"$tuple": [0, [{"$ref": "/$dict/0/1/$tuple/1"}]]}]]} == data
    closed = decode(data)[1][1]
    assert closed is closed[0]


def test_a_cycle_through_a_tuple() -> None:
    """A cycle back to a tuple is read as a Ref, as it cannot be closed."""
    inner: list[object] = []
    outer = (inner,)
    inner.append(outer)
    data = encode(outer)
    assert {"$tuple": [[{"$ref": ""}]]} == data
    assert ([Ref("")],) == decode(data)
    assert data == encode(decode(data))


def test_a_pointer_that_leads_nowhere_stays() -> None:
    """A $ref that leads nowhere is kept."""
    assert [Ref("/5"), Ref("x"), {"$ref": 5}] == decode([{"$ref": "/5"}, {"$ref": "x"}, {"$ref": 5}])
