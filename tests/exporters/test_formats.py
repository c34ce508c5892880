"""Wire formats: one change, made from its line alone."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import jsonschema
import pytest
from gardening import STEPS, Session, alike
from hypothesis import given, settings

from pydatatracker import (
    ChangeLogEntry,
    TrackedDict,
    TrackedList,
    TrackedSet,
    track,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.exporters import Delivery, Exporter
from pydatatracker.exporters.base import item_of
from pydatatracker.exporters.formats import FORMATS, format_item
from pydatatracker.exporters.sqlite import row_of
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import to_line
from pydatatracker.values.encode import encode

CLOUDEVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string", "minLength": 1},
    },
}


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_cloudevents_and_debezium_of_any_change(steps: Any) -> None:
    """Every change is a valid CloudEvent and Debezium envelope.

    Each event has its own id; the envelope has op, source and times.
    """
    session = Session()
    items = []
    session.root.tracking_add_observer(lambda change: items.append((change.action, item_of(change))))
    session.run(steps)
    ids = set()
    for action, item in items:
        event = json.loads(format_item(item, "cloudevents"))
        jsonschema.validate(event, CLOUDEVENT)
        assert json.loads(item.line) == event["data"]
        ids.add(event["id"])
        envelope = json.loads(format_item(item, "debezium"))
        assert {"add": "c", "update": "u", "remove": "d"}[action] == envelope["op"]
        assert {"before", "after", "source", "op", "ts_ms", "ts_ns"} == set(envelope)
        assert envelope["before"] or envelope["after"]
    assert len(items) == len(ids)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_json_patch_of_a_change_leads_from_state_to_state(steps: Any) -> None:
    """The JSON Patch of a change turns the state before it into the next.

    A change of a set has an empty patch, because JSON has no sets.
    """
    session = Session(odd_keys=False)
    state = [encode(plain_copy(session.root))]

    def follow(change: Any) -> None:
        item = item_of(change)
        operations = json.loads(format_item(item, "json-patch"))
        now = encode(plain_copy(session.root))
        if change._node.kind == "set":
            assert [] == operations
        else:
            assert alike(now, jsonpatch.apply_patch(state[0], operations))
        state[0] = now

    session.root.tracking_add_observer(follow)
    session.run(steps)


@pytest.mark.parametrize(
    ("start", "change"),
    [
        (list(range(6)), lambda x: x.__delitem__(slice(None, None, 2))),
        (list(range(6)), lambda x: x.__delitem__(slice(0, 2, 2))),
        (list(range(6)), lambda x: x.__setitem__(slice(None, None, 3), "ab")),
        (list(range(6)), lambda x: (x.__delitem__(slice(1, None, 2)), x.tracking_undo())),
        (list(range(6)), lambda x: x.clear()),
        ({"0": "a", "1": "b", "z": 1}, lambda x: x.clear()),
        ({"a": 1}, lambda x: x.update(a=2, b=3)),
        ({"a": {1, 2}}, lambda x: x["a"].update([3])),
        ({"a": {1, 2}}, lambda x: x["a"].add("a")),
        ({"a": {"x"}}, lambda x: x["a"].clear()),
        ({"a": "x", "x": "x"}, lambda x: x.clear()),
        ({"a": 1}, lambda x: x.update(a="a", b="b")),
    ],
)
def test_json_patch_of_every_bulk_call(start: Any, change: Any) -> None:
    """Its operations lead from the state before to the state after.

    JSON has no sets, so a change of one has no operations.
    """
    x = track(start)
    items: list[Any] = []
    state: Any = plain_copy(x)
    x.tracking_add_observer(lambda change: items.append(item_of(change)))
    change(x)
    operations = [each for item in items for each in json.loads(format_item(item, "json-patch"))]
    if isinstance(start, dict) and isinstance(start.get("a"), set):
        assert [] == operations
    else:
        assert plain_copy(x) == jsonpatch.apply_patch(state, operations)


class Items(TrackedList[Any]):
    """A list of a class that a reader of its log does not know."""


class Tags(TrackedSet[Any]):
    """A set of such a class."""


class Table(TrackedDict[Any, Any]):
    """A dict of such a class."""


@pytest.mark.parametrize(
    ("make", "change", "number"),
    [
        (lambda: Table(a=1), lambda x: x.update(a=2, b=3), 2),
        (lambda: Table(a=1), lambda x: x.clear(), 1),
        (lambda: Table({1: 1, 2: 2}), lambda x: x.clear(), 2),
        (lambda: Items(range(6)), lambda x: x.__delitem__(slice(None, None, 2)), 3),
        (lambda: Items(range(6)), lambda x: x.__setitem__(slice(None, None, 2), [1, 2, 3]), 3),
        (lambda: Tags("a"), lambda x: x.add("b"), 0),
        (lambda: Tags("a"), lambda x: x.update("bc"), 0),
        (lambda: Tags("a"), lambda x: x.clear(), 0),
    ],
)
def test_json_patch_of_a_class_of_ones_own(make: Any, change: Any, number: int) -> None:
    """What its changes are is seen from their rows."""
    x = make()
    change(x)
    (line,) = [item_of(change) for change in x.tracking_changes() if change.action != "init"]
    assert number == len(json.loads(format_item(line, "json-patch")))


def test_debezium_has_the_time_in_milliseconds_and_nanoseconds() -> None:
    """ts_ms and ts_ns are the time of the change."""
    x = track({})
    x["a"] = 1
    change = x.last_change()
    assert change is not None
    envelope = json.loads(format_item(item_of(change), "debezium"))
    assert (change.time_ns // 1_000_000, change.time_ns) == (envelope["ts_ms"], envelope["ts_ns"])


@pytest.mark.parametrize("compact", [False, True])
def test_an_item_is_the_line_of_a_change_and_its_ids(compact: bool) -> None:
    """Made here or read from a log: line, seq, root, time and id are its own."""
    x = track({"a": {}})
    x["a"]["b"] = 1
    change = x.last_change()
    assert change is not None
    for each in (change, ChangeLogEntry.from_dict(change.to_dict())):
        item = item_of(each, compact)
        assert to_line(each, compact=compact) == item.line + b"\n"
        assert (change.seq, change.root, change.time_ns, change.uuid) == (item.seq, item.root, item.time_ns, item.id)


def test_who_and_why_are_in_the_envelope() -> None:
    """Actor, context and method are in the source of the envelope."""
    x = track({"a": {"b": 1}})
    with tracking_actor("eve", ticket=7):
        x["a"]["b"] = 2
    change = x.last_change()
    assert change is not None
    envelope = json.loads(format_item(item_of(change), "debezium"))
    assert ({"/a/b": 1}, {"/a/b": 2}) == (envelope["before"], envelope["after"])
    assert ("eve", {"ticket": 7}, "__setitem__") == tuple(envelope["source"][k] for k in ("actor", "context", "method"))


def test_an_unknown_format_names_the_nearest() -> None:
    """The error for an unknown format suggests the nearest name."""
    x = track([1])
    x.append(2)
    change = x.last_change()
    assert change is not None
    with pytest.raises(ValueError, match="did you mean 'cloudevents'"):
        format_item(item_of(change), "cloudevent")
    assert {"native", "cloudevents", "debezium", "json-patch"} == set(FORMATS)
    assert item_of(change).line == format_item(item_of(change), "native")


class Kept:
    """A sink that keeps its items."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def send(self, items: list[Any]) -> None:
        """Keep them."""
        self.items.extend(items)

    def close(self) -> None:
        """Do nothing."""


def check_roots(items: list[Any]) -> None:
    """Check that items have the root of their lines.

    So has what formats and tables make of them.
    """
    for item in items:
        root = json.loads(item.line)["root"]
        assert root == item.root == row_of(item)[2]
        assert f"urn:pydatatracker:{root}" == json.loads(format_item(item, "cloudevents"))["source"]
        assert root == json.loads(format_item(item, "debezium"))["source"]["name"]


@pytest.mark.parametrize("compact", [False, True])
def test_what_is_below_a_root_is_named_after_the_root(compact: bool) -> None:
    """The changes of a tree with several keys would lose their order."""
    sink = Kept()
    x, y = track({"a": {"b": [{"c": 1}]}, "s": set()}), track({})
    with Exporter(Delivery(sink, name="kept"), compact=compact) as exporter:
        x.tracking_add_observer(exporter)
        y.tracking_add_observer(exporter)
        x["a"]["b"][0]["c"] = 2
        x["a"]["b"].append(object())  # the encoder in Python writes its line
        x["s"].add(1)
        x.tracking_undo()
        y["shared"] = x["a"]  # one change below two roots
        x["a"]["b"][0]["d"] = 3
        del x["a"]
        y["shared"]["b"].append(4)
        with tracking_transaction(y):
            y["shared"]["b"].clear()
    assert {x.tracking_uuid, y.tracking_uuid} == {item.root for item in sink.items}
    check_roots(sink.items)


def test_the_graph_of_a_root_is_named_after_it() -> None:
    """Also where a container holds itself, and with the observer below."""
    sink = Kept()
    x = track({"a": {"b": {}}})
    with Exporter(Delivery(sink, name="kept")) as exporter:
        x["a"].tracking_add_observer(exporter)
        x["a"]["b"]["c"] = 1
        x["a"]["b"]["loop"] = x["a"]
        x["a"]["b"]["c"] = 2
    assert len(sink.items) >= 3
    check_roots(sink.items)
