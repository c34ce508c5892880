"""Let the actor travel to the workers of an executor: `propagating`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from pydatatracker.actors import propagate

__all__ = ["PropagatingExecutor", "propagating"]

P = ParamSpec("P")
T = TypeVar("T")


def propagating(executor: Executor) -> PropagatingExecutor:
    """Return an executor whose jobs have the actor of whoever submits them.

    It submits to the one given: a thread pool, a process pool, or one of another library. Everything else is that
    executor's: its workers, initializer and ``shutdown``. O(1) per job; for processes the context is pickled.

    See `pydatatracker.propagate` for what travels.

    :raises TypeError: it is not an executor, or has no ``submit``.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from pydatatracker import TrackedDict, tracking_actor
    >>> stock = TrackedDict()
    >>> with propagating(ThreadPoolExecutor()) as pool, tracking_actor("ann"):
    ...     job = pool.submit(stock.update, {"tea": 1})
    >>> stock.last_change().actor
    'ann'
    """
    if isinstance(executor, PropagatingExecutor):
        return executor
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise TypeError(f"propagating() takes an executor, such as ThreadPoolExecutor(), not {executor!r}")
    return PropagatingExecutor(executor)


class PropagatingExecutor(Executor):
    """What `propagating` returns: an executor around another one.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> pool = PropagatingExecutor(ThreadPoolExecutor(2))
    >>> list(pool.map(abs, [-1, -2]))
    [1, 2]
    >>> pool.shutdown()
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call that runs under the present actor."""
        return self.executor.submit(propagate(fn), *args, **kwargs)

    def map(self, fn: Callable[..., T], *iterables: Any, **options: Any) -> Iterator[T]:
        """Map a function that runs under the present actor.

        The options are those of the executor: ``timeout``, ``chunksize``.
        """
        return self.executor.map(propagate(fn), *iterables, **options)

    def shutdown(self, wait: bool = True, **options: Any) -> None:
        """Shut the executor down; the options are its own."""
        self.executor.shutdown(wait, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "executor":  # of one that is being copied
            raise AttributeError(name)
        return getattr(self.executor, name)

    def __enter__(self) -> Self:
        self.executor.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self.executor.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"propagating({self.executor!r})"
