"""Changes reach asyncio in order, without blocking a loop or growing."""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from restless import restless

from pydatatracker import TrackedDict, TrackedList
from pydatatracker.observers.async_ import TaskObserver, async_queue_observer, changes


def in_threads(work: Callable[[int], None], count: int = 4) -> list[threading.Thread]:
    """Start threads and wait for them."""
    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    return threads


def go(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine with a time limit.

    A coroutine that was never awaited, or a task that was destroyed, is an error.
    """

    async def limited() -> Any:
        return await asyncio.wait_for(main, 60)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = asyncio.run(limited())
        gc.collect()
    return found


# ---- a queue


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["loop", "thread", "turn"]), max_size=30))
def test_in_order_from_the_loop_and_from_a_thread(where: list[str]) -> None:
    """The queue has the order of the changes, from any thread."""

    async def main() -> list[int]:
        d = TrackedDict()
        found: asyncio.Queue[Any] = asyncio.Queue()
        d.tracking_add_observer(async_queue_observer(found))
        made = 0
        for place in where:
            if place == "turn":
                await asyncio.sleep(0)
                continue
            if place == "loop":
                d["k"] = made
            else:
                thread = threading.Thread(target=d.__setitem__, args=("k", made))
                thread.start()
                thread.join()
            made += 1
        return [(await found.get())["after"] for _ in range(made)]

    expected = list(range(sum(place != "turn" for place in where)))
    assert expected == go(main())


def test_before_the_loop_runs_and_after_it_ended() -> None:
    """Changes made before the loop starts wait for it.

    Changes made after it is closed are counted, and are not an error.
    """
    d = TrackedDict()
    kept: list[Any] = []

    async def main() -> list[int]:
        d["k"] = 3
        return [(await kept[0].get())["after"] for _ in range(3)]

    kept.append(asyncio.Queue())
    observer = async_queue_observer(kept[0])
    d.tracking_add_observer(observer)
    d["k"] = 1
    d["k"] = 2
    assert [1, 2, 3] == go(main())
    d["k"] = 4
    assert 1 == observer.dropped


def test_a_given_loop_in_another_thread() -> None:
    """A queue can be read in the loop of another thread."""
    d = TrackedDict()
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    found: asyncio.Queue[Any] = asyncio.Queue()
    d.tracking_add_observer(async_queue_observer(found, loop=loop))

    def work(k: int) -> None:
        for n in range(200):
            d[k] = n

    with restless(1e-5):
        for thread in in_threads(work):
            thread.join()

    async def read() -> list[tuple[int, int]]:
        return [(line["path"][0], line["after"]) for line in [await found.get() for _ in range(800)]]

    got = asyncio.run_coroutine_threadsafe(read(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    runner.join()
    loop.close()
    for k in range(4):
        assert list(range(200)) == [n for key, n in got if key == k]


@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest", "block"])
def test_a_loop_that_is_busy_and_a_full_queue(on_full: Any) -> None:
    """A busy loop has a bounded backlog, and every change is accounted for."""
    count = 20_000

    async def main() -> None:
        d = TrackedList(tracking_max_changes=16)
        found: asyncio.Queue[Any] = asyncio.Queue(10)
        observer = async_queue_observer(found, on_full=on_full)
        d.tracking_add_observer(observer)
        loop: Any = asyncio.get_running_loop()
        thread = threading.Thread(target=lambda: [d.append(n) for n in range(count)])
        thread.start()
        thread.join()  # the loop cannot turn meanwhile
        assert len(loop._ready) + len(loop._scheduled) < 10
        assert len(observer._waiting) <= 10
        got = []
        while observer._waiting or not found.empty():
            if found.empty():
                await asyncio.sleep(0.001)
                continue
            got.append((await found.get())["after"])
        assert count == len(got) + observer.dropped
        assert got == sorted(got)
        assert (got[-1] == count - 1) if on_full == "drop_oldest" else got[0] == 0

    go(main())


def test_blocking_in_the_loops_own_thread_does_not_lock_up() -> None:
    """In its own thread a loop is not waited for: changes are counted."""

    async def main() -> int:
        d = TrackedDict()
        found: asyncio.Queue[Any] = asyncio.Queue(2)
        observer = async_queue_observer(found, on_full="block")
        d.tracking_add_observer(observer)
        for n in range(10):
            d["k"] = n
        got = [(await found.get())["after"] for _ in range(4)]
        assert [0, 1, 2, 3] == got
        return observer.dropped

    assert 6 == go(main())


@pytest.mark.parametrize(("on_full", "left"), [("drop_oldest", [3, 4]), ("drop_newest", [0, 1]), ("block", [0, 1])])
def test_a_plain_queue(on_full: Any, left: list[int]) -> None:
    """queue.Queue follows on_full, too; values are as they were."""
    d = TrackedDict()
    found: queue.Queue[Any] = queue.Queue(2)
    observer = async_queue_observer(found, on_full=on_full, timeout=0.001)
    d.tracking_add_observer(observer)
    for n in range(5):
        value = [n]
        d["k"] = value
        value.append("later")
    assert [[n] for n in left] == [found.get()["after"] for _ in range(2)]
    assert 3 == observer.dropped


class Noting(queue.Queue[Any]):
    """A queue that notes how it is asked, and another consumer of it."""

    def __init__(self, size: int = 0) -> None:
        super().__init__(size)
        self.asked: list[tuple[bool, float | None]] = []
        self.others = 0  # items that another consumer takes just before ours does

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self.asked.append((block, timeout))
        super().put(item, False)

    def get_nowait(self) -> Any:
        if self.others:
            self.others -= 1
            super().get_nowait()
            raise queue.Empty
        return super().get_nowait()


@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest", "block"])
def test_only_block_waits_for_a_plain_queue(on_full: Any) -> None:
    """The changing thread waits with on_full="block" alone, for timeout."""
    d = TrackedDict()
    found = Noting(2)
    d.tracking_add_observer(async_queue_observer(found, on_full=on_full, timeout=7.5))
    for n in range(4):
        d["k"] = n
    assert {(on_full == "block", 7.5)} == set(found.asked)


def test_a_change_that_another_consumer_took_is_not_dropped() -> None:
    """The count is of changes that nobody gets."""
    d = TrackedDict()
    found = Noting(1)
    observer = async_queue_observer(found)
    d.tracking_add_observer(observer)
    d["k"] = 1
    found.others = 1
    d["k"] = 2
    assert (0, 2) == (observer.dropped, found.get()["after"])
    d["k"] = 3
    d["k"] = 4
    assert (1, 4) == (observer.dropped, found.get()["after"])


def test_any_object_with_a_put_is_a_queue() -> None:
    """Its put is called with the dict; a coroutine function in the loop."""

    class Own:
        def __init__(self) -> None:
            self.got: list[Any] = []

        def put(self, item: Any) -> None:
            self.got.append(item["after"])

    class Slow(Own):
        async def put(self, item: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            self.got.append(item["after"])

    async def main() -> None:
        d, own, slow, simple = TrackedDict(), Own(), Slow(), queue.SimpleQueue[Any]()
        for each in (own, slow, simple):
            d.tracking_add_observer(async_queue_observer(each))
        for n in range(5):
            d["k"] = n
        assert [0, 1, 2, 3, 4] == own.got == [simple.get_nowait()["after"] for _ in range(5)]
        while len(slow.got) < 5:
            await asyncio.sleep(0)
        assert own.got == slow.got

    go(main())


def test_a_wrong_queue_is_refused() -> None:
    """A wrong queue or on_full is refused, with what is allowed."""
    with pytest.raises(TypeError, match=r"an asyncio.Queue or a queue.Queue, not list"):
        async_queue_observer([])
    with pytest.raises(ValueError, match="'drop_oldest', 'drop_newest' or 'block', not 'spill'"):
        async_queue_observer(queue.Queue(), on_full="spill")  # type: ignore[arg-type]


# ---- an iterator


def test_every_change_once_from_any_thread() -> None:
    """`async for` gives every matching change once, in order, from any thread."""

    async def main() -> None:
        d = TrackedDict(before=1)
        async with changes(d, path="/k*", actions=["add", "update"], max_queue=10_000) as found:

            def work(k: int) -> None:
                for n in range(300):
                    d[f"k{k}"] = n
                    d["other"] = n

            threads = in_threads(work)
            got = []
            async for change in found:
                got.append((change.pointer, change.after))
                if len(got) == 1200:
                    break
            for thread in threads:
                thread.join()
            assert 0 == found.dropped
        for k in range(4):
            assert list(range(300)) == [n for pointer, n in got if pointer == f"/k{k}"]

    with restless(1e-5):
        go(main())


def test_closing_cancelling_and_forgetting() -> None:
    """An iterator ends on aclose, loses nothing when a wait is cancelled.

    One that is no longer referenced stops listening.
    """

    async def main() -> None:
        d = TrackedDict()
        found = changes(d)
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        d["a"] = 1
        assert "/a" == (await anext(found)).pointer
        d["b"] = 2
        await found.aclose()
        d["c"] = 3
        assert ["/b"] == [change.pointer async for change in found]
        await found.aclose()
        forgotten = changes(d)
        del forgotten
        gc.collect()
        d["d"] = 4
        from pydatatracker import _core

        assert [] == list(_core.observers_of(d))
        waiting = asyncio.ensure_future(anext(second := changes(d)))
        await asyncio.sleep(0)
        await second.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting

    go(main())


def test_a_bounded_iterator() -> None:
    """The newest max_queue changes wait, and drops are counted.

    Two iterators each get every change.
    """

    async def main() -> None:
        l = TrackedList()  # noqa: E741
        few, all_of_them = changes(l, max_queue=3), changes(l)
        for n in range(10):
            l.append(n)
        assert ([7, 8, 9], 7) == ([(await anext(few)).after for _ in range(3)], few.dropped)
        assert list(range(10)) == [(await anext(all_of_them)).after for _ in range(10)]
        await few.aclose()
        await all_of_them.aclose()

    go(main())


def test_a_loop_that_is_closed_while_others_change() -> None:
    """Closing a loop raises nothing in the threads that change data."""
    d = TrackedDict()
    kept = []

    async def main() -> None:
        kept.append(found := changes(d))
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    go(main())
    d["a"] = 1
    assert "/a" == asyncio.run(anext(kept[0])).pointer  # type: ignore[arg-type]


# ---- coroutine functions


def test_a_coroutine_function_is_run_for_each_change_in_order() -> None:
    """A coroutine function runs for one change at a time, in order."""

    async def main() -> None:
        d = TrackedDict()
        got: list[Any] = []
        busy = 0

        async def observer(change: Any) -> None:
            nonlocal busy
            busy += 1
            assert busy == 1
            await asyncio.sleep(0)
            got.append((change.path[0], change.after))
            busy -= 1

        d.tracking_add_observer(observer)
        threads = in_threads(lambda k: [d.__setitem__(k, n) for n in range(100)] and None, 3)
        for n in range(100):
            d["loop"] = n
            await asyncio.sleep(0)
        while any(thread.is_alive() for thread in threads) or len(got) < 400:
            await asyncio.sleep(0)
        for key in (0, 1, 2, "loop"):
            assert list(range(100)) == [n for k, n in got if k == key]
        d.tracking_remove_observer(observer)
        d["loop"] = "unseen"
        await asyncio.sleep(0)
        assert 400 == len(got)

    go(main())


def test_an_error_in_a_coroutine_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An error in a coroutine is logged, and the next change is delivered."""

    async def main() -> list[int]:
        d = TrackedDict()
        got = []

        async def observer(change: Any) -> None:
            if change.after == 1:
                raise ValueError("one")
            got.append(change.after)

        task = TaskObserver(observer)
        d.tracking_add_observer(task)
        for n in range(3):
            d["k"] = n
        await task.drain()
        return got

    with caplog.at_level(logging.ERROR, logger="pydatatracker"):
        assert [0, 2] == go(main())
    assert "an async observer failed" in caplog.text
    assert "ValueError: one" in caplog.text


def test_a_coroutine_function_outlives_its_loop() -> None:
    """Outside any loop changes wait for the next one.

    Also after a loop was left in the middle.
    """
    d = TrackedDict()
    got: list[int] = []
    never = []

    async def observer(change: Any) -> None:
        if change.after == "hang":
            never.append(1)
            await asyncio.Event().wait()
        got.append(change.after)

    d.tracking_add_observer(observer)
    d["k"] = 1

    async def first() -> None:
        d["k"] = 2
        d["k"] = "hang"
        while not never:
            await asyncio.sleep(0)

    go(first())  # its end cancels what hangs
    d["k"] = 4

    async def second() -> None:
        d["k"] = 5
        while len(got) < 4:
            await asyncio.sleep(0)

    go(second())
    assert [1, 2, 4, 5] == got


def test_only_so_many_wait_for_a_coroutine() -> None:
    """Without a loop memory is bounded, and drops are counted."""
    d = TrackedDict()

    async def observer(change: Any) -> None:
        """Accept the change."""

    task = TaskObserver(observer, most=5)
    d.tracking_add_observer(task)
    for n in range(12):
        d["k"] = n
    assert (5, 7) == (len(task._waiting), task.dropped)


def test_removing_one_coroutine_function_leaves_the_others() -> None:
    """Only the coroutine function that is named is removed."""

    async def one(change: object) -> None: ...

    async def other(change: object) -> None: ...

    from pydatatracker.observers.async_ import TaskObserver, is_task_for

    held = TaskObserver(one)
    assert (True, False) == (is_task_for(held, one), is_task_for(held, other))
    assert not is_task_for(one, one)
