"""A rollback restores redacted values; undo and revert refuse them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builds import needs_tables

from pydatatracker import RedactedError, TrackedAttr, TrackedDict, TrackedList, TrackedSet, track, tracking_transaction
from tests.support.everywhere import of_changes, of_container

SECRET = "s3cr3t"


class Account(TrackedAttr):
    def __init__(self) -> None:
        self.password = SECRET
        self.n = 1


def made(**options: Any) -> Any:
    return TrackedDict(
        password=SECRET,
        n=1,
        l=TrackedList([{"password": SECRET}, 2]),
        s=TrackedSet([1, ("password", SECRET)]),
        o=Account(),
        tracking_redact=["/**/password", "/s"],
        **options,
    )


def state(x: Any) -> Any:
    account = x["o"]
    return list(x), x["password"], x["n"], list(x["l"]), set(x["s"]), dict(account.__dict__), x["o"] is account


ACTS: dict[str, Callable[[Any], Any]] = {
    "store": lambda x: x.__setitem__("password", "a"),
    "update": lambda x: x.update(password="a", k=1, n=2),
    "delete": lambda x: x.pop("password"),
    "new key": lambda x: x.setdefault("new", {"password": "b"}),
    "items": lambda x: x["l"].__setitem__(slice(0, 2), [{"password": "c"}, 3, 4]),
    "sort": lambda x: x["l"].sort(key=str),
    "pop": lambda x: x["l"].pop(0),
    "list clear": lambda x: x["l"].clear(),
    "elements": lambda x: x["s"].update({5, ("password", "d")}),
    "discard": lambda x: x["s"].discard(("password", SECRET)),
    "attribute": lambda x: setattr(x["o"], "password", "e"),
    "attribute gone": lambda x: delattr(x["o"], "password"),
    "clear": lambda x: x.clear(),
    "moved": lambda x: x.__setitem__("elsewhere", x.pop("l")),
}
OPTIONS = {
    "plain": {}, "no values": {"tracking_keep_values": False}, "no records": {"tracking_max_changes": 0},
    "ring": {"tracking_max_changes": 2}, "snapshots": {"tracking_capture_snapshots": True},
}  # fmt: skip


@needs_tables
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("acts", [*([act] for act in ACTS.values()), list(ACTS.values())[:-1]], ids=[*ACTS, "all"])
def test_a_failed_transaction_rolls_back_redacted_values(acts: list[Any], options: dict[str, Any]) -> None:
    """A transaction that fails leaves the data as it was, secrets too."""
    x = made(**options)
    before, account = state(x), x["o"]
    with pytest.raises(ZeroDivisionError), tracking_transaction():
        for act in acts:
            act(x)
        raise ZeroDivisionError
    assert before == state(x)
    assert account is x["o"]
    assert x.tracking_verify() is None
    assert not any(SECRET in text for text in of_container(x))
    x._check()


def test_rollback_and_savepoints_restore_redacted_values() -> None:
    """rollback() and an inner block restore what no record has."""
    x = made()
    seen: list[Any] = []
    x.tracking_add_observer(seen.append, when="immediate")
    with tracking_transaction() as tx:
        x["password"] = SECRET + "1"
        with pytest.raises(ZeroDivisionError), tracking_transaction():
            x["password"] = SECRET + "2"
            raise ZeroDivisionError
        assert SECRET + "1" == x["password"]
        tx.rollback()
        assert SECRET == x["password"]
        x["password"] = SECRET + "3"
        assert 1 == len(tx.changes)
        assert not any(SECRET in text for text in of_changes(tx.changes))
    assert SECRET + "3" == x["password"]
    assert not any(SECRET in text for text in of_changes([*tx.changes, *seen]))


def test_the_real_values_end_with_the_transaction() -> None:
    """Nothing keeps a redacted value after the block."""

    class Value:
        pass

    import gc
    import weakref

    x = TrackedDict(tracking_redact="/password")
    with tracking_transaction():
        x["password"] = value = Value()
        gone = weakref.ref(value)
        x["password"] = None
        del value
        assert gone() is not None
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("method", ["tracking_undo", "tracking_redo", "tracking_revert_to"])
@pytest.mark.parametrize(
    ("act", "pointer"),
    [(lambda x: x.__setitem__("password", "b"), "/password"), (lambda x: x.update(n=2, password="b"), "/password"),
     (lambda x: x.__delitem__("password"), "/password"), (lambda x: x["u"].append({"password": 1}), "/u/1"),
     (lambda x: x["u"].extend([1, {"password": 1}]), "/u/2")],
    ids=["store", "update", "delete", "append", "extend"],
)  # fmt: skip
def test_the_error_says_what_is_withheld_where_and_what_to_do(act: Any, pointer: str, method: str) -> None:
    """RedactedError names the path; nothing is changed, the log is true."""
    x = track({"password": SECRET, "n": 1, "u": [0]}, tracking_redact="/**/password")
    start = x.last_change()
    act(x)
    x["n"] = 7
    before, newest = repr(x), x.last_change()
    if method == "tracking_redo":
        x["m"] = 1
        x.tracking_undo()
        assert [] != x.tracking_redo()
        x.tracking_undo()
        before = repr(x)
        with pytest.raises(RedactedError, match="tracking_undo") as caught:
            x.tracking_undo(2)
    elif method == "tracking_undo":
        with pytest.raises(RedactedError) as caught:
            x.tracking_undo(2)
        assert "tracking_redo" == x.last_change().method
    else:
        with pytest.raises(RedactedError) as caught:
            x.tracking_revert_to(start)
    said = str(caught.value)
    assert f"tracking_redact withholds what was stored or removed at {pointer}, so it was not recorded" in said
    assert "set the value yourself" in said
    assert SECRET not in said
    assert before == repr(x)
    assert newest != x.last_change()
    assert x.tracking_verify() is None


def test_revert_reports_what_is_withheld_and_reverts_the_rest() -> None:
    """tracking_revert returns changes whose values were withheld."""
    x = track({"password": SECRET, "n": 1}, tracking_redact="/password")
    x["n"] = 2
    x["password"] = "b"
    assert ["/password"] == [change.pointer for change in x.tracking_revert(path="/**")]
    assert {"password": "b", "n": 1} == x
