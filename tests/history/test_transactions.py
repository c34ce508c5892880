"""Transactions: all or nothing for what the block did, and nothing for what others did."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from typing import Any

import pytest
from gardener import Gardener, alike, plain_copy
from hypothesis import given, settings
from hypothesis import strategies as st
from restless import restless

from pydatatracker import (
    ChangeLogEntry,
    RollbackConflictError,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    _core,
    propagate,
    track,
    tracking_actor,
    tracking_transaction,
)


class Stop(Exception):
    """What a test raises in a block."""


def rolled_back(body: Any, *roots: Any) -> None:
    with pytest.raises(Stop), tracking_transaction(*roots):
        body()
        raise Stop


def test_changes_share_the_id_and_the_message_and_others_have_none() -> None:
    """The id is the block's; before and after it there is none."""
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
    """Whatever the block did, moves and detached containers included, however small the ring."""
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


def test_the_exception_goes_on_and_any_will_do() -> None:
    """KeyboardInterrupt and GeneratorExit as well: the block did not end."""
    x = TrackedList()
    for error in (KeyboardInterrupt, GeneratorExit, SystemExit, Stop):
        with pytest.raises(error), tracking_transaction():
            x.append(1)
            raise error
        assert [] == x


def test_the_log_stays_true_and_says_rollback() -> None:
    """Nothing is taken out of the log: what was done stands there, and what took it back."""
    x = TrackedDict(a=1)

    def body() -> None:
        x["a"] = 2
        x["b"] = 3

    rolled_back(body)
    done = x.tracking_changes()[1:]
    assert ["__setitem__", "__setitem__", "rollback", "rollback"] == [change.method for change in done]
    assert [None, None, done[1].seq, done[0].seq] == [change.undoes for change in done]
    assert 1 == len({change.transaction for change in done})


def test_observers_are_told_after_the_commit_in_order() -> None:
    """One who asked to be told at once is; the change is the same."""
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


def test_observers_hear_nothing_of_what_was_rolled_back() -> None:
    """Not of the change, not of the rollback, not of a savepoint's; the immediate ones hear both."""
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


def test_an_observer_may_say_itself_that_it_wants_all() -> None:
    """By an attribute, so that a file writer needs no argument."""

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
    """The inner one alone is taken back; the outer one takes back all."""
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
    """txn.rollback() takes back what was done so far; what comes then is committed."""
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


def test_what_another_thread_did_stays() -> None:
    """Only the block's own changes, also when they lie between those of others in one list."""
    x = TrackedList([0])
    seen: list[Any] = []
    x.tracking_add_observer(lambda change: seen.append(change.after))

    def other() -> None:
        x.insert(0, "theirs")

    def body() -> None:
        x.append("mine")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        x.insert(0, "mine too")
        assert ["theirs"] == seen

    rolled_back(body)
    assert ["theirs", 0] == x
    assert ["theirs"] == seen
    x._check()


def test_threads_that_roll_back_on_one_list_take_back_exactly_their_own() -> None:
    """Six threads, every third block fails: the list holds what the others appended, each item once."""
    x = track({"l": []})
    errors: list[BaseException] = []

    def work(k: int) -> None:
        try:
            for n in range(200):
                try:
                    with tracking_transaction():
                        x["l"].append((k, n))
                        x[f"by{k}"] = n
                        if n % 3 == 0:
                            raise Stop
                except Stop:
                    pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    with restless(1e-5):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [] == errors
    assert sorted((k, n) for k in range(6) for n in range(200) if n % 3) == sorted(x["l"])
    x._check()


def test_a_later_change_of_the_same_place_is_a_conflict_and_stays() -> None:
    """The error names it and carries the changes; everything else is taken back."""
    x = TrackedDict(a=1, b=1)
    with pytest.raises(RollbackConflictError, match="/a") as caught, tracking_transaction():
        x["a"] = 2
        x["b"] = 2
        thread = threading.Thread(target=x.__setitem__, args=("a", 3))
        thread.start()
        thread.join()
        raise Stop
    assert {"a": 3, "b": 1} == x
    assert ["/a"] == [change.pointer for change in caught.value.changes]
    assert isinstance(caught.value.__cause__, Stop)


def test_the_same_value_set_by_another_is_a_conflict_too() -> None:
    """It is their change now, though nothing shows it in the value."""
    x = TrackedDict(a=1)
    with pytest.raises(RollbackConflictError), tracking_transaction():
        x["a"] = 2
        thread = threading.Thread(target=x.__setitem__, args=("a", 2))
        thread.start()
        thread.join()
        raise Stop
    assert {"a": 2} == x


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 9)), max_size=30))
def test_a_rollback_leaves_what_others_alone_would_have_made(script: list[tuple[bool, int, int]]) -> None:
    """Two contexts work on one list in turn; where nothing collides, rollback is as if the first had never been."""
    x = TrackedList([f"start{n}" for n in range(3)])
    alone = list(x)
    others = contextvars.copy_context()
    with pytest.raises(Stop), tracking_transaction():
        for n, (mine, do, pick) in enumerate(script):
            item = f"{'mine' if mine else 'theirs'}{n}"
            if mine:
                x.insert(pick % (len(x) + 1), item)
                continue
            theirs = [each for each in x if not each.startswith("mine")]
            if do == 0 or not theirs:
                others.run(x.append, item)
                alone.append(item)
            elif do == 1:
                others.run(x.remove, theirs[pick % len(theirs)])
                alone.remove(theirs[pick % len(theirs)])
            elif do == 2:
                others.run(x.__setitem__, x.index(theirs[pick % len(theirs)]), item)
                alone[alone.index(theirs[pick % len(theirs)])] = item
            else:
                others.run(x.reverse)
                alone.reverse()
        raise Stop
    assert alone == x
    x._check()


def test_tasks_do_not_mix() -> None:
    """Two tasks with open transactions on one container: each takes back its own."""
    x = TrackedDict()

    async def work(name: str, fail: bool) -> None:
        async with tracking_transaction() as txn:
            for n in range(5):
                x[f"{name}{n}"] = n
                await asyncio.sleep(0)
            assert {txn.id} == {change.transaction for change in txn.changes}
            if fail:
                raise Stop

    async def both() -> None:
        results = await asyncio.gather(work("good", False), work("bad", True), return_exceptions=True)
        assert [type(None), Stop] == [type(result) for result in results]

    asyncio.run(both())
    assert {f"good{n}": n for n in range(5)} == x


def test_a_task_started_in_the_block_is_part_of_it_while_it_lasts() -> None:
    """It inherits the context; what it does after the block is its own."""
    x = TrackedDict()

    async def child(gate: asyncio.Event) -> None:
        x["during"] = 1
        await gate.wait()
        x["after"] = 1

    async def parent() -> None:
        gate = asyncio.Event()
        try:
            async with tracking_transaction():
                task = asyncio.create_task(child(gate))
                await asyncio.sleep(0)
                raise Stop
        except Stop:
            pass
        gate.set()
        await task

    asyncio.run(parent())
    assert {"after": 1} == x
    last = x.last_change()
    assert last is not None
    assert last.transaction is None


def test_propagate_takes_the_transaction_to_a_thread() -> None:
    """As it takes the actor."""
    x = TrackedDict()

    def body() -> None:
        thread = threading.Thread(target=propagate(x.__setitem__), args=("a", 1))
        thread.start()
        thread.join()

    rolled_back(body)
    assert {} == x


def test_roots_limit_what_is_part_of_it() -> None:
    """What happens elsewhere is told at once and stays."""
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


def test_lock_and_unlock_are_taken_back_too() -> None:
    """A container that the block locked is not left locked."""
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
    """All kinds, and a container that was made in the block and is put somewhere."""
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
    """Its error is logged as ever; with raise it comes out of the block's end, and everybody was told."""
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
    """The journal is empty, and containers write on their short path again."""
    x = TrackedDict()
    outer = tracking_transaction()
    with outer:
        x["a"] = 1
        with tracking_transaction():
            x["b"] = 1
        assert 2 == len(outer._entries())
    assert [] == outer.changes
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
