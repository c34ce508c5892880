"""Transactions while other threads and tasks change the same data."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from restless import restless
from transactions import Stop, rolled_back

from pydatatracker import RollbackConflictError, TrackedDict, TrackedList, propagate, track, tracking_transaction


def test_what_another_thread_did_stays() -> None:
    """A rollback undoes only the block's own changes, also within one list."""
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


def test_threads_on_one_list_roll_back_their_own_changes() -> None:
    """Threads that roll back on one list undo exactly their own appends."""
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


def test_a_later_change_of_the_same_path_is_a_conflict() -> None:
    """A later change of the same path is a conflict, and stays.

    The error names it and carries the changes; everything else is rolled back.
    """
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
    """An equal value that another thread stored is a conflict, too."""
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
    """Without conflicts a rollback leaves what the others alone would give."""
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
    """Two tasks with open transactions each roll back their own changes."""
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
    """A task started in the block is part of it until the block ends."""
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


def test_propagate_carries_the_transaction_to_a_thread() -> None:
    """propagate() carries the transaction to a thread, as it does the actor."""
    x = TrackedDict()

    def body() -> None:
        thread = threading.Thread(target=propagate(x.__setitem__), args=("a", 1))
        thread.start()
        thread.join()

    rolled_back(body)
    assert {} == x
