"""Blocks may end in another task or thread, and share one object."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import threading

import pytest

from pydatatracker import TrackedDict, propagate, tracking_actor, tracking_transaction


def actor_now():
    """Return the actor that a change gets now."""
    d = TrackedDict()
    d["a"] = 1
    return d.last_change().actor


def in_thread(function):
    """Call a function in a thread and return its result."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


BLOCKS = {
    "actor": lambda: tracking_actor("block"),
    "transaction": tracking_transaction,
    "both": lambda: both(),
}


@contextlib.contextmanager
def both():
    """Enter an actor and a transaction."""
    with tracking_actor("block"), tracking_transaction():
        yield


def generator(block, seen):
    """Yield in a block and note the actor after it."""
    with block:
        yield 1
    seen.append("went on")


def elsewhere(generator):
    """Close a generator in a thread with an actor; return that actor."""

    def close():
        with tracking_actor("closer"):
            generator.close()
            return actor_now()

    return in_thread(close)


def in_context(generator):
    """Close a generator in another context of this thread."""

    def close():
        with tracking_actor("closer"):
            generator.close()
            return actor_now()

    return contextvars.copy_context().run(close)


def here(generator):
    """Close a generator in an inner block of the context in which it began."""
    with tracking_actor("closer"):
        generator.close()
        return actor_now()


def by_collector(generator):
    """Let a generator be collected."""
    box = [generator]
    del generator
    with tracking_actor("closer"):
        box.clear()
        gc.collect()
        return actor_now()


@pytest.mark.parametrize("close", [elsewhere, in_context, here, by_collector])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_generator_may_be_closed_anywhere(block, close):
    with tracking_actor("outer"):
        started = generator(BLOCKS[block](), [])
        next(started)
        if close is by_collector:
            holder = [started]
            del started
            assert close(holder.pop()) == "closer"
        else:
            assert close(started) == "closer"
        assert actor_now() == "outer"
    assert actor_now() == ""


@pytest.mark.parametrize("close", [elsewhere, in_context])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_copied_context_does_not_begin_with_a_block_that_is_over(block, close):
    """A task or thread that starts later inherits what holds then."""

    def copied():
        return contextvars.copy_context().run(actor_now)

    with tracking_actor("outer"):
        started = generator(BLOCKS[block](), [])
        next(started)
        close(started)
        assert actor_now() == "outer"
        assert copied() == "outer"
        started = generator(BLOCKS[block](), [])
        next(started)
        close(started)
    assert copied() == ""


@pytest.mark.parametrize("block", BLOCKS)
def test_an_async_generator_may_be_closed_by_another_task(block):
    async def stream():
        with BLOCKS[block]():
            yield 1
            yield 2

    async def close(agen):
        with tracking_actor("closer"):
            await agen.aclose()
            return actor_now()

    async def main():
        with tracking_actor("outer"):
            agen = stream()
            await agen.__anext__()
            assert await asyncio.create_task(close(agen)) == "closer"
            assert actor_now() == "outer"
        assert actor_now() == ""
        left = stream()
        await left.__anext__()  # the loop closes it at its end, in a task of its own

    asyncio.run(main())
    assert actor_now() == ""


def test_what_a_closed_transaction_rolls_back_has_its_own_actor():
    d = TrackedDict(a=1)

    def change():
        with tracking_actor("block"), tracking_transaction():
            d["a"] = 2
            yield

    started = change()
    next(started)
    assert elsewhere(started) == "closer"
    assert d == {"a": 1}
    assert (d.last_change().method, d.last_change().actor) == ("rollback", "block")


def test_blocks_may_end_in_any_order():
    first, second, third = tracking_actor("1"), tracking_actor("2"), tracking_actor("3")
    for each in (first, second, third):
        each.__enter__()
    second.__exit__(None, None, None)
    assert actor_now() == "3"
    first.__exit__(None, None, None)
    assert actor_now() == "3"
    third.__exit__(None, None, None)
    assert actor_now() == ""


def test_a_task_keeps_the_actor_of_a_block_that_has_ended():
    async def child(go):
        await go.wait()
        with tracking_actor("child"):
            pass
        return actor_now()

    async def main():
        go = asyncio.Event()
        with tracking_actor("parent"):
            started = generator(tracking_actor("leaked"), [])
            next(started)
            task = asyncio.create_task(child(go))
            await asyncio.sleep(0)
            started.close()
            assert actor_now() == "parent"
        go.set()
        return await task

    assert asyncio.run(main()) == "leaked"


# ---- one object, entered several times at once


def test_one_object_serves_many_threads():
    shared = tracking_actor("shared")
    barrier = threading.Barrier(8)

    def work():
        seen = set()
        for _ in range(200):
            with tracking_actor("own"):
                with shared:
                    seen.add(actor_now())
                seen.add(actor_now())
            seen.add(actor_now())
        barrier.wait(20)
        return seen

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(work) for _ in range(8)]:
            assert job.result(30) == {"shared", "own", ""}


def test_one_object_serves_many_tasks():
    shared = tracking_actor("shared")

    async def work(n):
        with tracking_actor(f"own {n}"):
            async with shared:
                await asyncio.sleep(0.001 * (n * 7 % 5))
                assert actor_now() == "shared"
            assert actor_now() == f"own {n}"

    async def main():
        await asyncio.gather(*(work(n) for n in range(20)))

    asyncio.run(main())
    assert actor_now() == ""


@pytest.mark.parametrize("stacked", [False, True])
def test_one_object_may_be_entered_recursively(stacked):
    shared = tracking_actor("shared")

    def recurse(n):
        with tracking_actor(str(n)), contextlib.ExitStack() as stack:
            if stacked:
                stack.enter_context(shared)
                assert actor_now() == "shared"
                if n:
                    recurse(n - 1)
                assert actor_now() == "shared"
            else:
                with shared:
                    if n:
                        recurse(n - 1)
                    assert actor_now() == "shared"
                assert actor_now() == str(n)
            stack.close()
            assert actor_now() == str(n)

    recurse(5)
    assert actor_now() == ""


def test_one_object_serves_generators_that_end_in_any_order():
    shared = tracking_actor("shared")
    with tracking_actor("outer"):
        many = [generator(shared, []) for _ in range(6)]
        for each in many:
            next(each)
        for n in (3, 0, 5, 1):
            many[n].close()
            assert actor_now() == "shared"
        assert elsewhere(many[2]) == "closer"
        many[4].close()
        assert actor_now() == "outer"
    assert actor_now() == ""


def test_a_decorated_function_may_call_itself():
    @tracking_actor("decorated")
    def recurse(n):
        if n:
            recurse(n - 1)
        return actor_now()

    with tracking_actor("outer"):
        assert recurse(3) == "decorated"
        assert actor_now() == "outer"


def test_one_bound_function_runs_in_many_threads_at_once():
    with tracking_actor("bound"):
        bound = propagate(lambda barrier: (barrier.wait(20), actor_now())[1])
    barrier = threading.Barrier(6)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(bound, barrier) for _ in range(6)]
        assert {job.result(30) for job in jobs} == {"bound"}
    assert actor_now() == ""


def test_greenlets_have_actors_of_their_own():
    greenlet = pytest.importorskip("greenlet", reason="greenlet is not installed")
    shared = tracking_actor("shared")
    main = greenlet.getcurrent()
    seen = []

    def work():
        with shared:
            main.switch()
            seen.append(actor_now())
        seen.append(actor_now())

    with tracking_actor("outer"):
        first, second = greenlet.greenlet(work), greenlet.greenlet(work)
        first.switch()
        second.switch()
        assert actor_now() == "outer"
        first.switch()
        second.switch()
        assert actor_now() == "outer"
    assert seen == ["shared", ""] * 2
