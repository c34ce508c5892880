"""Actors of changes: blocks, functions, coroutines, tasks and threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from typing import Any

import pytest

from pydatatracker import TrackedDict, propagate, tracking_actor


def who(d: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(change.actor, dict(change.context)) for change in d.tracking_changes()[1:]]


def test_blocks_nest_and_contexts_add_up() -> None:
    """An inner actor replaces the outer one, and its context is added.

    The end of the block restores both, also after an error.
    """
    d = TrackedDict()
    with tracking_actor("outer", a=1, b=1):
        d["x"] = 1
        with pytest.raises(ZeroDivisionError), tracking_actor("inner", b=2):
            d["x"] = 2
            1 // 0
        d["x"] = 3
    d["x"] = 4
    assert who(d) == [
        ("outer", {"a": 1, "b": 1}), ("inner", {"a": 1, "b": 2}), ("outer", {"a": 1, "b": 1}), ("", {}),
    ]  # fmt: skip


def test_one_actor_object_may_be_entered_again() -> None:
    """One actor object can be kept, reused and nested in itself."""
    d, actor = TrackedDict(), tracking_actor("again")
    with actor, actor:
        d["x"] = 1
    d["x"] = 2
    with actor:
        d["x"] = 3
    assert [name for name, _ in who(d)] == ["again", "", "again"]
    with pytest.raises(TypeError):
        tracking_actor(5)  # type: ignore[arg-type]


def test_decorator_on_functions_and_coroutines() -> None:
    """A decorated function or coroutine has the actor, also when it recurses."""
    d = TrackedDict()

    @tracking_actor("function", kind="f")
    def store(n: int) -> int:
        """Doc."""
        d["x"] = n
        return n if n == 0 else store(n - 1)

    @tracking_actor("coroutine")
    async def later(n: int) -> None:
        await asyncio.sleep(0)
        d[n] = n

    assert store(1) == 0
    assert store.__doc__ == "Doc."
    assert inspect.iscoroutinefunction(later)

    async def main() -> None:
        await asyncio.gather(later(1), later(2))
        d["end"] = 1

    asyncio.run(main())
    assert [name for name, _ in who(d)] == ["function", "function", "coroutine", "coroutine", ""]


def test_decorator_on_a_generator_holds_only_while_it_runs() -> None:
    """Between two yields the caller has its own actor again."""
    d = TrackedDict()

    @tracking_actor("generator")
    def items() -> Any:
        try:
            d["g"] = 1
            got = yield 1
            d["g"] = got
            yield 2
        finally:
            d["g"] = "end"

    running = items()
    assert next(running) == 1
    d["mine"] = 1
    assert running.send("sent") == 2
    d["mine"] = 2
    running.close()
    d["mine"] = 3
    assert [(c.actor, c.after) for c in d.tracking_changes()[1:]] == [
        ("generator", 1), ("", 1), ("generator", "sent"), ("", 2), ("generator", "end"), ("", 3),
    ]  # fmt: skip


def test_decorator_on_an_async_generator_holds_while_it_runs() -> None:
    """Between two yields of an async generator the caller has its own actor."""
    d = TrackedDict()

    @tracking_actor("async generator")
    async def items() -> Any:
        d["g"] = 1
        yield 1
        d["g"] = 2

    async def main() -> None:
        async for _ in items():
            d["mine"] = 1

    asyncio.run(main())
    assert [(c.actor, c.location) for c in d.tracking_changes()[1:]] == [
        ("async generator", "g"), ("", "mine"), ("async generator", "g"),
    ]  # fmt: skip


def test_tasks_have_the_actor_they_were_made_under() -> None:
    """A task keeps the actor under which it was created.

    That holds for interleaved tasks and for `async with`.
    """
    d = TrackedDict()

    async def work(n: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            d[n] = n

    async def main() -> None:
        tasks = []
        for n in range(3):
            async with tracking_actor(str(n)):
                tasks.append(asyncio.create_task(work(n)))
        d["main"] = 1
        await asyncio.gather(*tasks)

    asyncio.run(main())
    changes = d.tracking_changes()[1:]
    assert [c.actor for c in changes if c.location == "main"] == [""]
    assert all(c.actor == str(c.after) for c in changes if c.location != "main")
    assert len(changes) == 10


def test_threads_and_executors_need_propagate() -> None:
    """A new thread starts without an actor; propagate(fn) carries it over."""
    d = TrackedDict()

    def store(key: Any) -> None:
        d[key] = 1

    with tracking_actor("boss", job=7):
        bound = propagate(store)
        thread = threading.Thread(target=store, args=("bare",))
        thread.start()
        thread.join()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(bound, range(8)))
            list(pool.map(store, ["pool"]))
    bound("after")
    d["end"] = 1
    by_key = {c.location: (c.actor, dict(c.context)) for c in d.tracking_changes()[1:]}
    assert [by_key[key][0] for key in ("bare", "pool", "end")] == ["", "", ""]
    assert [by_key[key] for key in (*range(8), "after")] == [("boss", {"job": 7})] * 9


def test_stack_capture_leaves_the_actor_alone() -> None:
    """A stack does not set the actor, and ends in the line of the change."""
    d = TrackedDict(tracking_capture_stack=True)

    def inner() -> None:
        d["x"] = 1

    inner()
    with tracking_actor("a"):
        inner()
    first, second = d.tracking_changes()[1:]
    assert (first.actor, second.actor) == ("", "a")
    assert first.stack[-1].name == "inner"
    assert first.stack[-1].line == 'd["x"] = 1'
    assert first.stack[-2].name == "test_stack_capture_leaves_the_actor_alone"
    assert all("pydatatracker" not in frame.filename.rsplit("/", 2)[-2] for frame in first.stack)
    assert "inner" in "".join(first.stack.format())


@pytest.mark.parametrize(("option", "frames"), [(1, 1), (2, 2), (0, 0), (False, 0)])
def test_stack_depth(option: Any, frames: int) -> None:
    """A number as tracking_capture_stack limits the number of frames."""
    d = TrackedDict(tracking_capture_stack=option)
    d["x"] = 1
    assert len(d.last_change().stack) == frames
