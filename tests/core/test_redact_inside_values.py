"""A tracked container inside a value is shown by its own rules."""

from __future__ import annotations

import contextlib
import io
import json
from collections import OrderedDict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, track
from pydatatracker.io import ChangeWriter

SECRET = "s3cr3t"
RULES = ["/**/password"]


class Account(TrackedAttr, tracking_redact=RULES):
    def __init__(self) -> None:
        self.password = SECRET


def kept() -> Any:
    tree = TrackedDict(tracking_redact=RULES)
    tree["u"] = TrackedDict(password=SECRET)
    return tree.pop("u")


TREES: list[Any] = []  # which have to live


def still_inside() -> Any:
    TREES.append(TrackedDict(u=TrackedDict(password=SECRET), tracking_redact=RULES))
    return TREES[-1]["u"]


def deep_inside() -> Any:
    TREES.append(
        TrackedDict(u=TrackedList([TrackedDict(password=SECRET)]), tracking_redact=lambda path: "password" in path)
    )
    return TREES[-1]["u"][0]


CHILDREN: dict[str, Callable[[], Any]] = {
    "kept": kept,
    "root": lambda: TrackedDict(password=SECRET, tracking_redact=RULES),
    "class": Account,
    "still inside": still_inside,
    "deep inside": deep_inside,
    "above": lambda: TrackedDict(u=TrackedDict(password=SECRET), tracking_redact=RULES),
}
FORMS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda c: c,
    "tuple": lambda c: (c,),
    "list": lambda c: [c],
    "dict": lambda c: {"a": c},
    "ordered": lambda c: OrderedDict(a=c),
    "deep": lambda c: {"a": [({"b": (1, [c])},)]},
    "tracked": lambda c: TrackedDict(a=(c,)),
    "deque": lambda c: deque([c]),
    "namespace": lambda c: SimpleNamespace(a=c),
}
STORES: dict[str, Callable[[Any, Any], Any]] = {
    "setitem": lambda o, v: o.__setitem__("t", v),
    "update": lambda o, v: o.update(t=v, n=1),
    "append": lambda o, v: o["l"].append(v),
    "splice": lambda o, v: o["l"].__setitem__(slice(0, 1), [v, v]),
    "remove": lambda o, v: (o.__setitem__("t", v), o.pop("t")),
    "replace": lambda o, v: (o.__setitem__("t", v), o.__setitem__("t", 1)),
    "clear": lambda o, v: (o["l"].append(v), o["l"].clear()),
}


def everything_said(o: Any, told: list[Any]) -> str:
    out = io.StringIO()
    for change in [*o.tracking_changes(), *told]:
        out.write(json.dumps(change.to_dict()) + json.dumps(change.extra) + repr(change) + change.format_detailed())
        out.write(repr((change.before, change.after, change.splice, change.changes)))
    out.write(repr(o.tracking_state_at(o.last_change().seq)))
    for ask in (o.tracking_net_changes, o.tracking_patch, o.tracking_merge_patch):
        with contextlib.suppress(LookupError):  # values are not kept
            out.write(repr(ask(0)))
    return out.getvalue()


@pytest.mark.parametrize(
    "options",
    [{}, {"tracking_keep_values": False}, {"tracking_capture_snapshots": True}],
    ids=["plain", "no values", "snapshots"],
)
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("form", FORMS)
def test_a_container_inside_a_value_keeps_its_secrets(
    form: str, store: str, options: dict[str, Any], tmp_path: Any
) -> None:
    """No record, state, text or file of another tree shows the secret."""
    for make in CHILDREN.values():
        o = TrackedDict(l=TrackedList([0]), **options)
        told: list[Any] = []
        o.tracking_add_observer(told.append)
        path = tmp_path / "log.jsonl"
        with ChangeWriter(path) as writer:
            o.tracking_add_observer(writer.write)
            STORES[store](o, FORMS[form](make()))
        said = everything_said(o, told)
        assert SECRET not in said + path.read_text()
        path.unlink()


@pytest.mark.parametrize("form", FORMS)
def test_a_container_comes_into_a_plain_value_later(form: str) -> None:
    """A record made before, and the removal, show it by its rules."""
    plain: list[Any] = []
    o = TrackedDict(t=(plain,))
    o["u"] = plain
    plain.append(FORMS[form](kept()))
    assert SECRET not in everything_said(o, [])
    del o["u"]
    assert SECRET not in everything_said(o, [])


def test_what_no_rule_names_is_shown() -> None:
    """Values of other trees are recorded as they are."""
    kept()
    o = track({"l": []})
    child = TrackedDict(name="eve", password=SECRET, tracking_redact=RULES)
    value = (child, deque([1]), {"password": "shown"})
    o["t"] = value
    said = everything_said(o, [])
    assert "eve" in said
    assert "shown" in said
    assert SECRET not in said
    o["u"] = (deque([1]), [2])
    assert o.last_change().after is o["u"]


def diamond(depth: int, end: Any) -> Any:
    """Nest ``depth`` lists, each twice in the next: 2 ** depth ways."""
    for _ in range(depth):
        end = [end, end]
    return end


@pytest.mark.parametrize("rules", [None, ["/secret"]])
def test_values_that_share_containers_are_looked_into_once(rules: Any) -> None:
    """A look costs O(containers), not O(ways to them): here 50, and 2 ** 50."""
    kept()
    o = TrackedDict(tracking_redact=rules)
    value = (diamond(50, [1]),)
    o["t"] = value
    assert o.last_change().after[0] is value[0]


@pytest.mark.parametrize("child", CHILDREN)
def test_what_refers_back_shows_no_secret(child: str) -> None:
    """A value that holds itself and a container with rules is withheld there."""
    value: list[Any] = [1, (2,)]
    value += [{"self": value, "child": CHILDREN[child]()}, (value,)]
    o = TrackedDict()
    told: list[Any] = []
    o.tracking_add_observer(told.append)
    o["t"] = (value,)
    assert SECRET not in everything_said(o, told)
    assert "REDACTED" in json.dumps(o.last_change().to_dict())


def test_what_refers_back_and_holds_no_rules_is_shown() -> None:
    """A container around it that has nothing to hide stays what it is."""
    kept()
    value: list[Any] = [1]
    value.append({"self": value})
    o = TrackedDict()
    o["t"] = (value,)
    assert o.last_change().after[0] is value


@pytest.mark.parametrize("child", CHILDREN)
def test_what_is_shared_is_withheld_in_every_place(child: str) -> None:
    """A container with rules of its own is withheld in each of four places."""
    o = TrackedDict()
    o["t"] = (diamond(2, CHILDREN[child]()),)
    said = everything_said(o, [])
    assert SECRET not in said
