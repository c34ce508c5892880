"""What tracked data holds and does not record is listed."""

import datetime
import enum
from typing import NamedTuple

import pytest
from builds import WATCHES

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, track, tracked


class Plain:
    def __init__(self):
        self.a = 1


class Slotted:
    __slots__ = ("a",)


@tracked
class Known:
    pass


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: object
    right: object


@pytest.mark.parametrize(
    "value",
    [[1], {"a": 1}, {1}, Plain(), Slotted(), bytearray(b"a"), Pair(1, [2]), ([1],)],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("holder", [lambda v: TrackedDict(k=v), lambda v: TrackedList([v])], ids=["dict", "list"])
def test_what_may_change_unseen_is_listed(value, holder):
    rows = holder(value).tracking_untracked()
    assert [(row.pointer.strip("/") in ("k", "0"), row.type) for row in rows] == [(True, type(value).__name__)]
    assert rows[0].reason


@pytest.mark.parametrize(
    "value",
    [1, "a", None, 1.5, (1, "a"), Pair(1, 2), Colour.RED, datetime.date(2026, 1, 1), len, Plain, frozenset("a"), Known(),
     TrackedList([1]), TrackedSet()],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_cannot_change_unseen_is_not_listed(value):
    assert TrackedDict(k=value).tracking_untracked() == []


def test_rows_are_found_at_any_depth_and_once():
    class Config(TrackedAttr, tracking_auto_convert=False):
        pass

    config = Config()
    config.plain = []
    data = track({"deep": [{"set": set()}]})
    data["deep"][0]["object"] = Plain()
    data["config"] = data["again"] = config
    data["self"] = data
    followed = WATCHES  # a plain object is, by what comes with `track`
    expected = {"/config/plain"} if followed else {"/deep/0/object", "/config/plain"}
    assert {row.pointer for row in data.tracking_untracked()} == expected
