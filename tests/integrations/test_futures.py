"""Executors whose jobs have the actor of whoever submits them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest
from tracked import everything, write_all

from pydatatracker import TrackedDict, propagate, tracking_actor, tracking_scope, tracking_transaction
from pydatatracker.integrations.futures import PropagatingExecutor, propagating

ready: list[str] = []


def prepare(name: str) -> None:
    """Initialize a worker."""
    ready.append(name)


def seen(*arguments: Any) -> tuple[Any, ...]:
    """Return the actor, the context, the arguments and the initializer's."""
    d = TrackedDict()
    d["x"] = 1
    change = d.last_change()
    return (change.actor, dict(change.context), arguments, tuple(ready[:1]))


def test_threads_have_the_actor_of_each_job() -> None:
    """submit, map, shutdown, initializer and the with block are the pool's."""
    ready.clear()
    pool = propagating(concurrent.futures.ThreadPoolExecutor(2, initializer=prepare, initargs=("ready",)))
    with pool as entered:
        assert entered is pool
        with tracking_actor("ann", order=7):
            first = pool.submit(seen, 1)
            rest = pool.map(seen, "ab", "cd", timeout=30)
        with tracking_actor("bob"):
            second = pool.submit(seen)
        nobody = pool.submit(seen)
        assert ("ann", {"order": 7}, (1,), ("ready",)) == first.result(30)
        assert [("ann", {"order": 7}, pair, ("ready",)) for pair in [("a", "c"), ("b", "d")]] == list(rest)
        assert ["bob", ""] == [second.result(30)[0], nobody.result(30)[0]]
        assert 2 == pool._max_workers
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(seen)
    ready.clear()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_have_it_too() -> None:
    """Including map with chunks, and functions of a module."""
    pool = concurrent.futures.ProcessPoolExecutor(1, initializer=prepare, initargs=("ready",))
    with propagating(pool) as executor, tracking_actor("ann", order=7):
        assert ("ann", {"order": 7}, (1,), ("ready",)) == executor.submit(seen, 1).result(60)
        expected = [("ann", {"order": 7}, (n,), ("ready",)) for n in range(5)]
        assert expected == list(executor.map(seen, range(5), chunksize=2))


def test_every_container_and_a_transaction_in_a_thread() -> None:
    """A job in a transaction belongs to it, and is rolled back with it."""
    containers = everything()
    d = TrackedDict()
    with propagating(concurrent.futures.ThreadPoolExecutor(1)) as pool, tracking_actor("ann"):
        pool.submit(write_all, containers).result(30)
        with pytest.raises(ZeroDivisionError), tracking_transaction():
            pool.submit(d.update, a=1).result(30)
            raise ZeroDivisionError
    assert {"ann"} == {container.last_change().actor for container in containers}
    assert {} == d


def test_an_event_loop_can_run_jobs_in_it() -> None:
    """run_in_executor takes it; the plain pool would lose the actor."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as plain, tracking_actor("ann"):
            return [(await loop.run_in_executor(pool, seen))[0] for pool in (plain, propagating(plain))]

    expected = "" if not hasattr(threading, "_thread_inherit") else "ann"
    assert [expected, "ann"] == asyncio.run(main())


def test_errors_and_cancellation_are_the_pools_own() -> None:
    """A future is that of the executor."""
    go = threading.Event()
    with propagating(concurrent.futures.ThreadPoolExecutor(1)) as pool:
        blocked = pool.submit(go.wait, 30)
        waiting = pool.submit(seen)
        failing = pool.submit(divmod, 1, 0)
        assert waiting.cancel()
        go.set()
        assert isinstance(failing.exception(30), ZeroDivisionError)
        assert blocked.result(30)
        pool.shutdown(wait=True, cancel_futures=True)


def test_wrapping_twice_is_wrapping_once() -> None:
    """And what is no executor is refused with a message."""
    with concurrent.futures.ThreadPoolExecutor(1) as plain:
        pool = propagating(plain)
        assert pool is propagating(pool)
        assert isinstance(pool, PropagatingExecutor)
        assert isinstance(pool, concurrent.futures.Executor)
        assert repr(plain) in repr(pool)
    for wrong in (None, 4, concurrent.futures.ThreadPoolExecutor):
        with pytest.raises(TypeError, match="takes an executor"):
            propagating(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["threading", "sequential", "loky"])
def test_joblib_takes_a_bound_function(backend: str) -> None:
    """propagate() works inside of delayed(), also with cloudpickle."""
    joblib = pytest.importorskip("joblib")
    with tracking_actor("ann", order=7):
        jobs = [joblib.delayed(propagate(lambda n: (tracking_scope().actor, n)))(n) for n in range(2)]
    assert [("ann", 0), ("ann", 1)] == joblib.Parallel(n_jobs=2, backend=backend)(jobs)
