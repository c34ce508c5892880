"""Transactions: everything that the block changed is kept, or nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from gardener import Gardener, alike, plain_copy
from hypothesis import given, settings
from hypothesis import strategies as st
from transactions import Stop, rolled_back

from pydatatracker import (
    ChangeLogEntry,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    _core,
    track,
    tracking_actor,
    tracking_transaction,
)


def test_changes_share_the_id_and_the_message_and_others_have_none() -> None:
    """Changes of the block have its id and message, others have none."""
    x = TrackedDict()
    x["before"] = 1
    with tracking_actor("eve", ticket=7), tracking_transaction(x, message="move") as txn:
        x["in"] = 1
        x["in"] = 2
    x["after"] = 1
    ids = [change.transaction for change in x.tracking_changes()]
    assert [None, None, txn.id, txn.id, None] == ids
    inside = x.tracking_changes()[2]
    assert ("eve", {"ticket": 7, "message": "move"}) == (inside.actor, dict(inside.context))
    assert txn.id == inside.to_dict()["transaction"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([None, 0, 4]))
def test_a_rollback_gives_the_state_before(seed: int, operations: int, ring: int | None) -> None:
    """A rollback restores the state before, for any operations and ring.

    Moves and detached containers are included.
    """
    x = track({"rows": [[1], {"a": 2}], "cfg": {"ports": [80, 443], "tags": {1}}}, tracking_max_changes=ring)
    gardener = Gardener(x, random.Random(seed))
    for _ in range(operations // 2):
        gardener.step()
    loose = [each for each in gardener.loose if _core.tracker(each) is not None]
    before = plain_copy([plain_copy(x), *map(plain_copy, loose)])

    def body() -> None:
        for _ in range(operations):
            gardener.step()

    rolled_back(body)
    assert alike(before, [plain_copy(x), *map(plain_copy, loose)])
    x._check()


def test_any_exception_rolls_back_and_is_raised() -> None:
    """Any exception rolls back, KeyboardInterrupt too, and is raised again."""
    x = TrackedList()
    for error in (KeyboardInterrupt, GeneratorExit, SystemExit, Stop):
        with pytest.raises(error), tracking_transaction():
            x.append(1)
            raise error
        assert [] == x


def test_the_log_stays_true_and_says_rollback() -> None:
    """The log keeps the changes, and the rollback that undid them."""
    x = TrackedDict(a=1)

    def body() -> None:
        x["a"] = 2
        x["b"] = 3

    rolled_back(body)
    done = x.tracking_changes()[1:]
    assert ["__setitem__", "__setitem__", "rollback", "rollback"] == [change.method for change in done]
    assert [None, None, done[1].seq, done[0].seq] == [change.undoes for change in done]
    assert 1 == len({change.transaction for change in done})


def test_observers_are_notified_after_the_commit_in_order() -> None:
    """Observers are notified after the commit, in order.

    One with when="immediate" is notified at once, of the same change.
    """
    x = track({"l": []})
    late: list[str] = []
    at_once: list[str] = []
    x.tracking_add_observer(lambda change: late.append(change.pointer))
    x["l"].tracking_add_observer(lambda change: at_once.append(change.pointer), when="immediate")
    with tracking_transaction():
        x["a"] = 1
        x["l"].append(1)
        x["a"] = 2
        assert ([], ["/0"]) == (late, at_once)
    assert (["/a", "/l/0", "/a"], ["/0"]) == (late, at_once)


def test_observers_are_not_notified_of_a_rollback() -> None:
    """Observers are not notified of what was rolled back.

    Nor of the rollback, also of a savepoint; immediate ones are notified of both.
    """
    x = TrackedDict()
    late: list[str] = []
    at_once: list[tuple[str, str]] = []
    x.tracking_add_observer(lambda change: late.append(change.pointer))
    x.tracking_add_observer(lambda change: at_once.append((change.pointer, change.method)), when="immediate")
    with tracking_transaction():
        x["kept"] = 1
        rolled_back(lambda: x.__setitem__("gone", 1))
        x["kept"] = 2
    assert ["/kept", "/kept"] == late
    assert [
        ("/kept", "__setitem__"),
        ("/gone", "__setitem__"),
        ("/gone", "rollback"),
        ("/kept", "__setitem__"),
    ] == at_once
    rolled_back(lambda: x.clear())
    assert 2 == len(late)


def test_an_attribute_makes_an_observer_immediate() -> None:
    """An attribute of an observer makes it immediate, without an argument."""

    class Writer:
        tracking_when = "immediate"

        def __init__(self) -> None:
            self.seen: list[ChangeLogEntry] = []

        def __call__(self, change: ChangeLogEntry) -> None:
            self.seen.append(change)

    x, writer = TrackedDict(), Writer()
    x.tracking_add_observer(writer)
    rolled_back(lambda: x.__setitem__("a", 1))
    assert 2 == len(writer.seen)
    with pytest.raises(ValueError, match="immediate"):
        x.tracking_add_observer(print, when="later")


def test_a_nested_transaction_is_a_savepoint() -> None:
    """A nested transaction rolls back alone; the outer one rolls back both."""
    x = TrackedList()
    with pytest.raises(Stop), tracking_transaction() as outer:
        x.append("outer")
        with tracking_transaction() as inner:
            x.append("inner kept")
        assert outer.id == inner.id
        rolled_back(lambda: x.append("inner gone"))
        assert ["outer", "inner kept"] == x
        raise Stop
    assert [] == x


def test_rollback_by_hand_goes_on() -> None:
    """txn.rollback() undoes what was done so far; later changes are committed."""
    x = TrackedDict()
    seen: list[Any] = []
    x.tracking_add_observer(lambda change: seen.append(change.after))
    with tracking_transaction() as txn:
        x["a"] = 1
        assert [1] == [change.after for change in txn.changes]
        txn.rollback()
        assert [] == txn.changes
        x["a"] = 2
    assert ({"a": 2}, [2]) == (x, seen)
    with pytest.raises(RuntimeError, match="over"):
        txn.rollback()
    with pytest.raises(RuntimeError, match="once"), txn:
        pass


def test_roots_limit_what_is_part_of_it() -> None:
    """Changes of other roots are reported at once and stay."""
    inside, outside = track({"l": []}), TrackedDict()
    told: list[str] = []
    outside.tracking_add_observer(lambda change: told.append(change.pointer))

    def body() -> None:
        inside["l"].append(1)
        outside["x"] = 1
        assert ["/x"] == told

    rolled_back(body, inside)
    assert ({"l": []}, {"x": 1}) == (inside, outside)
    with pytest.raises(TypeError, match="tracked containers, not dict"):
        tracking_transaction({})


def test_lock_and_unlock_are_rolled_back_too() -> None:
    """A rollback undoes lock and unlock."""
    x = TrackedDict(a=1)

    def body() -> None:
        x["a"] = 2
        x.lock()

    rolled_back(body)
    x["b"] = 1
    assert {"a": 1, "b": 1} == x
    x.lock()
    rolled_back(lambda: (x.unlock(), x.clear()))
    with pytest.raises(TrackingLockedError):
        x["c"] = 1
    assert {"a": 1, "b": 1} == x


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x = 0


def test_attributes_sets_and_new_containers() -> None:
    """A rollback covers all kinds, and containers that the block created."""
    p, s = Point(), TrackedSet([1])

    def body() -> None:
        p.x = 5
        p.y = TrackedList([1])  # type: ignore[attr-defined]
        p.y.append(2)  # type: ignore[attr-defined]
        del p.x
        s.symmetric_difference_update([1, 2])

    rolled_back(body)
    assert ({"x": 0}, {1}) == (vars(p), s)


def test_a_failing_observer_does_not_stop_a_commit() -> None:
    """A failing observer does not stop a commit; its error is logged.

    With raise it comes out of the end of the block, after all observers were called.
    """
    x = TrackedDict(tracking_observer_errors="raise")
    told: list[str] = []

    def fails(change: Any) -> None:
        raise Stop

    x.tracking_add_observer(fails, 1)
    x.tracking_add_observer(lambda change: told.append(change.pointer), 2)
    with pytest.raises(ExceptionGroup) as caught, tracking_transaction():
        x["a"] = 1
        x["b"] = 1
    assert (["/a", "/b"], {"a": 1, "b": 1}) == (told, x)
    assert [Stop, Stop] == [type(error) for error in caught.value.exceptions]


def test_nothing_is_kept_once_all_are_over() -> None:
    """After the last transaction the journal is empty.

    Containers write on their short path again.
    """
    x = TrackedDict()
    outer = tracking_transaction()
    with outer:
        x["a"] = 1
        with tracking_transaction():
            x["b"] = 1
        assert 2 == len(outer._entries())
    assert [] == outer._entries()
    import gc
    import weakref

    class Value:
        pass

    value = Value()
    gone = weakref.ref(value)
    y = TrackedDict(tracking_max_changes=0)
    with tracking_transaction():
        y["v"] = value
        del y["v"]
    del value
    gc.collect()
    assert gone() is None


def test_the_changes_are_known_after_the_block() -> None:
    """`changes` has what the block made, as long as the records are kept."""
    x, y = TrackedDict(), TrackedDict(inner=TrackedDict(), tracking_max_changes=2)
    with tracking_transaction() as outer:
        x["a"] = 1
        with pytest.raises(KeyError), tracking_transaction() as failed:
            x["gone"] = 1
            raise KeyError
        with tracking_transaction() as saved:
            y["inner"]["b"] = 2
        inside = outer.changes
    assert inside == outer.changes
    assert (["/a", "/b"], ["/b"]) == tuple([c.pointer for c in each.changes] for each in (outer, saved))
    assert [] == failed.changes
    y["c"] = y["d"] = 3  # the log of y has two records
    assert ["/a"] == [change.pointer for change in outer.changes]
    del x
    assert [] == outer.changes


def test_a_transaction_keeps_a_thousand_changes_and_no_values() -> None:
    """A long transaction keeps its first thousand changes."""
    x = TrackedList(tracking_max_changes=None)
    with tracking_transaction() as long:
        for number in range(1500):
            x.append(number)
    assert list(range(1000)) == [change.after for change in long.changes]


def test_a_transaction_that_did_not_begin_has_no_changes() -> None:
    """`changes` is empty before the block."""
    assert [] == tracking_transaction().changes
