"""What tracking_redact withholds of keys.

A key is part of the path and stays visible, unless a rule may match something inside it: then the key and its value
are withheld, wherever the key is.
"""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pydatatracker import RedactedError, TrackedDict, TrackedList, track
from pydatatracker.values.pointer import key_text
from tests.core.test_redact_earlier_records import more_of
from tests.support.everywhere import Watching, of_container

SECRET = "s3cr3t"


class Point(NamedTuple):
    password: str
    n: int = 0


class Pair(NamedTuple):
    key: str
    held: Any


@dataclasses.dataclass(frozen=True)
class Login:
    password: str


class Shows:
    """A key whose str is its own."""

    def __init__(self, password: str) -> None:
        self.password = password

    def __str__(self) -> str:
        return self.password


class Items(tuple):  # type: ignore[type-arg]
    def __repr__(self) -> str:
        return "items " + super().__repr__()


KEYS: dict[str, Callable[[str], Any]] = {
    "named tuple": Point,
    "in a tuple": lambda value: (1, Point(value)),
    "in a frozenset": lambda value: frozenset({Point(value)}),
    "in a named tuple": lambda value: Pair("a", (Point(value),)),
    "dataclass": Login,
    "own str": Shows,
    "own repr": lambda value: Items([value]),
    "exception": lambda value: ValueError(value),
    "deep": lambda value: __import__("functools").reduce(lambda made, _: (made,), range(200), Point(value)),
}
RULES: dict[str, Any] = {
    "glob": "/**/password", "function": lambda path: path[-1] == "password", "raises": lambda path: 1 / 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "options", [{}, {"tracking_keep_values": False}, {"tracking_capture_snapshots": True}], ids=repr
)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("make", KEYS.values(), ids=KEYS)
def test_a_key_with_a_secret_inside_is_withheld(
    make: Callable[[str], Any], rule: Any, options: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A key that a rule may match inside is nowhere, and neither is its value."""
    key, other = make(SECRET), make(SECRET + "1")
    x: TrackedDict[Any, Any] = TrackedDict({"a": 1, key: 0}, d=TrackedDict(), tracking_redact=rule, **options)
    watching = Watching(x, tmp_path)
    x[key] = 1
    x[other] = TrackedDict(n=1)
    if "tracking_keep_values" not in options:
        x[other]["n"] = 2
        x[other]["list"] = TrackedList([1])
        x[other]["list"].append(2)
    x.update({key: 3, "b": 4})
    x["d"][key] = 1
    x["d"].setdefault(other, 2)
    x["v"] = {key: 1, other: 2, "c": 3}
    x["v"] = [{key: 1}]
    x["v"] = Pair("a", {key: 1})
    x["d"].pop(key)
    x["d"].clear()
    del x[other]
    x |= {key: 5}
    watching.close()
    said = [watching.text(), *more_of(x), *more_of(x["d"])]
    found = [each for each in said if SECRET in each]
    assert not found, found[0][found[0].index(SECRET) - 300 :][:600]
    assert x.tracking_verify() is None
    assert 5 == x[key]
    x._check()


@pytest.mark.parametrize(
    "key", ["password", 1, 1.5, None, b"a", uuid.UUID(int=1), datetime.date(2026, 1, 1), ("t", 1), (("a", 2), "b"),
            frozenset({1})], ids=key_text,
)  # fmt: skip
@pytest.mark.parametrize("rule", ["/**/secret", "/a/*"])
def test_a_key_without_a_secret_stays_visible(key: Any, rule: str) -> None:
    """A key in which no rule matches is shown as it is."""
    x = track({"a": {}}, tracking_redact=rule)
    x["a"][key] = 1
    change = x.last_change()
    assert change is not None
    assert key == change.location
    assert change.path == ("a", key)
    assert ("REDACTED" if rule == "/a/*" else "1") == repr(change.after)


def test_where_no_rule_reaches_a_key_of_any_class_stays_visible() -> None:
    """A key that no glob can match inside is shown, whatever it holds."""
    x: TrackedDict[Any, Any] = TrackedDict(tracking_redact="/users/*/password")
    x[Point("a")] = 1
    x[Login("b")] = 2
    assert [(Point("a"),), (Login("b"),)] == [change.path for change in x.tracking_changes()[1:]]


def test_a_field_of_a_named_tuple_is_matched_by_index_and_by_name() -> None:
    """Both names of a field are tested, also where one withholds a part."""
    x: TrackedDict[str, Any] = TrackedDict(tracking_redact=["/p/1/a", "/p/held/b"])
    x["p"] = Pair("k", {"a": SECRET, "b": SECRET, "c": 1})
    assert "['k', {'a': REDACTED, 'b': REDACTED, 'c': 1}]" == repr(x.last_change().after)  # type: ignore[union-attr]


def test_verify_knows_that_a_key_was_not_kept() -> None:
    """A key that a record lacks is no difference."""
    x: TrackedDict[Any, Any] = TrackedDict(tracking_keep_values=False)
    for _ in range(2):
        x[1, 2] = 3
        x.update({(1, 2): 4, (3, 4): 5})
        x.clear()
    s = track({frozenset({1, (2,)})}, tracking_keep_values=False)
    for _ in range(2):
        s.clear()
        s.add((1, 2))
        s.discard((1, 2))
    assert x.tracking_verify() is None
    assert s.tracking_verify() is None


def test_undo_and_time_travel_say_that_a_key_was_not_recorded() -> None:
    """What needs a withheld key raises RedactedError and changes nothing."""
    x: TrackedDict[Any, Any] = TrackedDict(tracking_redact="/**/password")
    start = x.last_change()
    x[Point(SECRET)] = 1
    for act in (x.tracking_undo, lambda: x.tracking_state_at(start), lambda: x.tracking_revert_to(start),
                x.tracking_net_changes):  # fmt: skip
        with pytest.raises(RedactedError, match="tracking_redact withholds") as caught:
            act()
        assert SECRET not in str(caught.value)
        assert {Point(SECRET): 1} == x
    assert not any(SECRET in text for text in of_container(x))
