"""An error of a replica shows nothing that its rules withhold."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, TrackedSet, track
from pydatatracker.history.replica import ReplicaError, apply_change, replay

SECRET = "s3cr3t"


def user() -> dict[str, str]:
    return {"password": SECRET}


def replica(rules: Any) -> Any:
    return track(
        {"u": user(), "l": [user()], "plain": (user(),), "s": {1}, "d": {"password": SECRET}}, tracking_redact=rules
    )


def set_slot(x: Any) -> None:
    x["u"] = 2


def set_secret(x: Any) -> None:
    x["d"]["password"] = "other"


def set_plain(x: Any) -> None:
    x["plain"] = 1


def set_item(x: Any) -> None:
    x["l"][0] = 1


def drop_item(x: Any) -> None:
    del x["l"][0]


def reverse(x: Any) -> None:
    x["l"].reverse()


def sort(x: Any) -> None:
    x["l"].sort()


def update(x: Any) -> None:
    x.update(u=1, n=2)


def clear(x: Any) -> None:
    x.clear()


def insert(x: Any) -> None:
    x["l"].insert(5, 1)


CHANGES = [set_slot, set_secret, set_plain, set_item, drop_item, reverse, sort, update, clear, insert]


@pytest.mark.parametrize("rules", [["/**/password"], lambda path: path[-1] == "password"], ids=["glob", "function"])
@pytest.mark.parametrize("change", CHANGES, ids=[each.__name__ for each in CHANGES])
@pytest.mark.parametrize("wrapped", [False, True], ids=["root", "in a plain dict"])
def test_an_error_shows_nothing_that_is_withheld(change: Any, rules: Any, wrapped: bool) -> None:
    """Neither the content of the replica nor that of the log."""
    source = TrackedDict(
        u=1, l=TrackedList([3, 2, 1, 0, 0, 0]), plain=user(), s=TrackedSet(), d=TrackedDict(password=SECRET + "2")
    )
    if wrapped:
        source = TrackedDict(in_=source)
    change(source["in_"] if wrapped else source)
    copy = {"in_": replica(rules)} if wrapped else replica(rules)
    with pytest.raises(ReplicaError) as caught:
        apply_change(copy, source.last_change())
    assert SECRET not in str(caught.value)
    assert "does not fit" in str(caught.value)


def test_a_change_below_a_withheld_value_is_skipped() -> None:
    """What is there is not known, so nothing contradicts it.

    Changes elsewhere are applied, also of the same object under another path.
    """
    shared: list[int] = [1]
    x = track({"tokens": {"a": shared}, "n": 1}, tracking_redact="/tokens")
    x["more"] = x["tokens"]["a"]
    x["tokens"]["a"].append(2)
    x["tokens"]["b"] = 3
    x["n"] = 2
    del x["tokens"]
    state = replay([change.to_dict() for change in x.tracking_changes()])
    assert (2, False) == (state["n"], "tokens" in state)
