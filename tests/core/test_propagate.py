"""propagate() as an object that behaves like a function and pickles."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import functools
import inspect
import multiprocessing
import pickle
import threading
from typing import Any

import pytest
from tracked import everything, write_all

from pydatatracker import TrackedDict, propagate, tracking_actor, tracking_scope, tracking_transaction


def seen(x: Any = None) -> tuple[str, dict[str, Any], str | None]:
    """Return actor, context and transaction of a change."""
    d = TrackedDict()
    d["x"] = x
    change = d.last_change()
    return change.actor, dict(change.context), change.transaction


def seen_everywhere() -> set[str]:
    """Return the actors of a change of each kind of container."""
    containers = everything()
    write_all(containers)
    return {container.last_change().actor for container in containers}


@propagate
def decorated() -> str:
    """Return the actor; decorated when the module is imported."""
    return seen()[0]


class Job:
    """Has a method that is bound to an actor."""

    @propagate
    def run(self, x: int) -> tuple[Job, int, str]:
        """Return what it was called with."""
        return self, x, seen()[0]

    def plain(self) -> str:
        """Return the actor."""
        return seen()[0]


METHODS = [name for name in ("spawn", "fork", "forkserver") if name in multiprocessing.get_all_start_methods()]
# Python 3.12 and newer warn of a fork while threads run; the workers only compute.
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@FORKS
@pytest.mark.parametrize("method", METHODS)
def test_a_bound_function_works_in_another_process(method: str) -> None:
    """Actor and context travel to pools of processes.

    A transaction does not. A worker that was forked under an actor drops it for a job that was bound without one.
    """
    context = multiprocessing.get_context(method)
    with tracking_actor("stale", old=1):
        with_workers = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
        with_workers.submit(seen).result(60)
    nobody = propagate(seen)
    with with_workers as executor:
        with tracking_actor("ann", order=7), tracking_transaction():
            results = [executor.submit(propagate(seen), 1).result(60), *executor.map(propagate(seen), [1, 2])]
            kinds = executor.submit(propagate(seen_everywhere)).result(60)
            partial = executor.submit(propagate(functools.partial(seen, 1))).result(60)
            method_of = executor.submit(propagate(Job().plain)).result(60)
        assert ("", {}, None) == executor.submit(nobody).result(60)
        assert "" == executor.submit(decorated).result(60)
    assert [("ann", {"order": 7}, None)] * 3 == results
    assert ("ann", {"order": 7}, None) == partial
    assert ({"ann"}, "ann") == (kinds, method_of)


@FORKS
def test_it_works_for_a_multiprocessing_pool() -> None:
    """Every method of a Pool takes a bound function."""
    with multiprocessing.get_context(METHODS[-1]).Pool(1) as pool, tracking_actor("ann"):
        assert [("ann", {}, None)] * 2 == pool.map(propagate(seen), [1, 2])
        assert [("ann", {}, None)] * 2 == list(pool.imap(propagate(seen), [1, 2]))
        assert ("ann", {}, None) == pool.apply(propagate(seen))


def test_a_context_that_cannot_be_pickled_arrives_as_text() -> None:
    """Such a value does not keep the job from running."""

    class Raises:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError

    with tracking_actor("ann", lock=threading.Lock(), order=7, bad=Raises(), f=lambda: 1):
        bound = pickle.loads(pickle.dumps(propagate(seen)))
    actor, context, _ = bound()
    assert ("ann", 7, {"lock", "order", "bad", "f"}) == (actor, context["order"], set(context))
    assert all(isinstance(context[key], str) for key in ("lock", "bad", "f"))


def test_a_decorated_function_is_pickled_by_its_name() -> None:
    """As every function is: the object in the other process is its own."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert decorated is pickle.loads(pickle.dumps(decorated, protocol))
    assert decorated is copy.copy(decorated)
    assert decorated is copy.deepcopy([decorated])[0]


def test_pickles_name_the_module_that_stays() -> None:
    """A pickle refers to pydatatracker.rebuild alone."""
    with tracking_actor("ann"):
        data = pickle.dumps(propagate(len), 2)
    assert b"pydatatracker.rebuild\npropagated" in data
    assert b"pydatatracker.actors" not in data
    assert 2 == pickle.loads(data)("ab")


def test_what_cannot_be_pickled_says_what_it_is() -> None:
    """The error is that of the function, not of the wrapper."""
    with pytest.raises((AttributeError, pickle.PicklingError), match="<lambda>"):
        pickle.dumps(propagate(lambda: 1))


def test_it_behaves_like_a_function() -> None:
    """It has the function's attributes and signature, and binds."""

    def function(a: int, b: int = 2) -> int:
        """Add."""
        return a + b

    function.tag = "x"  # type: ignore[attr-defined]
    with tracking_actor("ann"):
        bound: Any = propagate(function)
    assert ("function", "Add.", "x", function) == (bound.__name__, bound.__doc__, bound.tag, bound.__wrapped__)
    assert inspect.signature(function) == inspect.signature(bound)
    assert 5 == bound(b=3, a=2)
    job = Job()
    assert (job, 1, "") == job.run(1)
    assert (job, 1, "") == Job.run(job, 1)
    assert "function" in repr(bound)
    with pytest.raises(TypeError, match="missing 1 required"):
        bound()


def test_names_of_arguments_are_the_functions_own() -> None:
    """An argument may be called self, function or scope."""

    def takes(**names: int) -> dict[str, int]:
        return names

    assert {"self": 1, "function": 2, "scope": 3} == propagate(takes)(self=1, function=2, scope=3)


def test_a_coroutine_function_stays_one() -> None:
    """Frameworks look at that to decide how to call a function."""

    async def work() -> str:
        return seen()[0]

    with tracking_actor("ann"):
        bound = propagate(work)
    assert inspect.iscoroutinefunction(bound)
    assert "ann" == asyncio.run(bound())


def test_binding_twice_keeps_the_inner_actor() -> None:
    """What was bound first is nearest to the function."""
    with tracking_actor("first"):
        bound = propagate(seen)
    with tracking_actor("second"):
        again = propagate(bound)
    assert "first" == again()[0] == pickle.loads(pickle.dumps(again))()[0]


def test_the_scope_is_what_a_change_gets() -> None:
    """tracking_scope() says the same as a change made now."""
    d = TrackedDict()

    def both() -> None:
        d["x"] = 1
        change = d.last_change()
        assert (change.actor, dict(change.context), change.transaction) == (
            tracking_scope().actor, dict(tracking_scope().context), tracking_scope().transaction,
        )  # fmt: skip

    both()
    with tracking_actor("ann", a=1):
        both()
        with tracking_transaction(message="m") as outer:
            both()
            with tracking_transaction() as inner, tracking_actor("bob", b=1):
                both()
                assert ("bob", inner.id) == (tracking_scope().actor, tracking_scope().transaction)
            assert outer.id == tracking_scope().transaction
        both()
    assert ("", {}, None) == tracking_scope()
    with pytest.raises(TypeError):
        tracking_scope().context["x"] = 1  # type: ignore[index]


def test_a_task_that_outlives_a_transaction_is_not_in_it() -> None:
    """The id of a transaction that is over is not given."""

    async def main() -> list[Any]:
        go = asyncio.Event()

        async def late() -> list[Any]:
            before = tracking_scope().transaction
            await go.wait()
            return [before, tracking_scope().transaction, seen()[2]]

        with tracking_transaction() as block:
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        go.set()
        return [block.id, *await task]

    own, before, after, recorded = asyncio.run(main())
    assert own == before
    assert (None, None) == (after, recorded)
