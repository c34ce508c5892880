"""`tracking_verify` finds what bypassed tracking, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, TrackedSet, _core, track
from pydatatracker.values.pointer import to_pointer


def dict_at_work() -> TrackedDict[Any, Any]:
    d = TrackedDict(a=1, b=2)
    d["c"] = 3
    d.update(a=4, d=5)
    return d


def list_at_work() -> TrackedList[Any]:
    x = TrackedList("abcdef")
    x[1] = "B"
    x.append("g")
    x[2:4] = "CD"
    x[::2] = "wxyz"
    x.sort()
    return x


def set_at_work() -> TrackedSet[Any]:
    s = TrackedSet([1, 2])
    s.add(3)
    s.update([4, 5])
    s.discard(2)
    return s


BYPASSED = [
    (dict_at_work, lambda x: dict.__setitem__(x, "c", 9), ("c",), 3, 9),
    (dict_at_work, lambda x: dict.__setitem__(x, "a", 9), ("a",), 4, 9),
    (dict_at_work, lambda x: (dict.pop(x, "c"), dict.__setitem__(x, "new", 3)), ("c",), 3, "nothing"),
    (dict_at_work, lambda x: dict.pop(x, "b"), (), 4, 3),
    (dict_at_work, lambda x: dict.__setitem__(x, "new", 1), ("new",), 4, 5),
    (list_at_work, lambda x: list.append(x, 1), (), None, None),
    (list_at_work, lambda x: list.pop(x), (), None, None),
    (set_at_work, lambda x: (set.discard(x, 3), set.add(x, 9)), (3,), 3, "nothing"),
    (set_at_work, lambda x: (set.discard(x, 4), set.add(x, 9)), (4,), 4, "nothing"),
    (set_at_work, lambda x: (set.discard(x, 5), set.add(x, 8)), (5,), 5, "nothing"),
    (set_at_work, lambda x: set.add(x, 9), (), 4, 5),
]


@pytest.mark.parametrize("make", [dict_at_work, list_at_work, set_at_work])
def test_tracked_changes_are_no_difference(make: Any) -> None:
    """Whatever a container records, its log agrees with it."""
    assert make().tracking_verify() is None


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("make", "bypass", "keys", "logged", "found"), BYPASSED)
def test_what_bypassed_tracking_is_named(
    make: Any, bypass: Any, keys: Any, logged: Any, found: Any, nested: bool
) -> None:
    """The first difference has its path, what the log has, and what is there."""
    x = make()
    whole = track({"in": x}) if nested else x
    bypass(x)
    wrong = whole.tracking_verify()
    assert wrong is not None
    if logged is None:
        return
    assert (to_pointer((*(["in"] if nested else []), *keys)), logged) == (wrong.pointer, wrong.logged)
    assert found == wrong.found or (found == "nothing" and "the data nothing" in str(wrong))


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.__setitem__(3, "new"),
        lambda x: x.__setitem__(slice(2, 5), ["p", "q", "r"]),
        lambda x: x.__setitem__(slice(None, None, 2), ["p", "q", "r"]),
        lambda x: x.insert(3, "new"),
    ],
)
def test_an_item_that_was_replaced_is_found_where_a_record_covers_it(change: Any, index: int) -> None:
    """Another item is a difference where a record stored one."""
    x = TrackedList("abcdef")
    start = list(x)
    change(x)
    covered = index >= len(start) or all(x[index] is not item for item in start)
    list.__setitem__(x, index, "other")
    wrong = x.tracking_verify()
    assert covered == (wrong is not None)
    assert wrong is None or f"/{index}" == wrong.pointer


def test_one_of_several_is_named() -> None:
    """The container is named in which the difference lies."""
    x = track({"a": {"k": 1}, "b": {"k": 1}, "c": [1]})
    for part in "ab":
        x[part]["k"] = 2
    assert x.tracking_verify() is None
    dict.__setitem__(x["b"], "k", 3)
    wrong = x.tracking_verify()
    assert wrong is not None
    assert "/b/k" == wrong.pointer
    assert _core.newest_seq() == x.last_change().seq, "it records nothing"
