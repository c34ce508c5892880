"""Changes for asyncio: a queue, an async iterator, coroutine observers.

All of them keep the order of changes, which may come from any thread.
"""

from __future__ import annotations

import asyncio
import collections
import inspect
import logging
import queue as queues
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Literal, Self

from pydatatracker import _forks
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.values.pickles import Handle

__all__ = ["AsyncQueueObserver", "TaskObserver", "async_queue_observer", "changes"]

OnFull = Literal["drop_oldest", "drop_newest", "block"]
_log = logging.getLogger("pydatatracker")


class AsyncQueueObserver(Handle):
    """An observer that fills a queue; see `async_queue_observer`."""

    def __init__(self, queue: Any, loop: asyncio.AbstractEventLoop | None, on_full: OnFull, timeout: float) -> None:
        if on_full not in ("drop_oldest", "drop_newest", "block"):
            raise ValueError(f"on_full must be 'drop_oldest', 'drop_newest' or 'block', not {on_full!r}")
        self._queue = queue
        self._is_async = isinstance(queue, asyncio.Queue)
        self._is_other = not self._is_async and not isinstance(queue, queues.Queue)  # has a put() of its own
        if self._is_other and not callable(getattr(queue, "put", None)):
            raise TypeError(f"async_queue_observer needs an asyncio.Queue or a queue.Queue, not {type(queue).__name__}")
        if loop is None and self._is_async:
            loop = _running()
        self._put: Callable[[Any], Any] = queue.put
        if self._is_other and inspect.iscoroutinefunction(queue.put):
            self._put = TaskObserver(queue.put)  # one after the other, in the loop
        self._loop = loop
        self._on_full = on_full
        self._timeout = timeout
        self._lock = threading.RLock()
        self._waiting: collections.deque[Any] = collections.deque()  # on their way into the loop
        self._scheduled = False
        self.dropped = 0
        _forks.keep(self, _forks.QUEUES)

    def after_fork(self) -> None:
        """Begin anew in the child: loop and waiting changes are the parent's."""
        self._lock = threading.RLock()
        self._waiting.clear()
        self._scheduled = False
        self._loop = None

    def __call__(self, change: ChangeLogEntry) -> None:
        item = change.to_dict()
        if self._is_other:
            self._put(item)
            self.dropped = getattr(self._put, "dropped", 0)
            return
        if not self._is_async:
            self._into_plain(item)
            return
        with self._lock:  # the order of the calls is the order in the queue
            if self._loop is None:
                self._loop = _running()
            room = self._queue.maxsize or 0
            if room and len(self._waiting) >= room:  # the loop is busy: this deque is bounded, too
                self.dropped += 1
                if self._on_full != "drop_oldest":
                    return
                self._waiting.popleft()
            self._waiting.append(item)
            if self._loop is None or self._scheduled:
                return  # no loop yet: the first change in a loop moves these, too
            if self._loop is _running():
                self._move()
                return
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._move)
            except RuntimeError:  # the loop is closed: nobody will read these
                self._scheduled = False
                self.dropped += len(self._waiting)
                self._waiting.clear()

    def _move(self) -> None:
        # in the loop's thread: never waits, and makes no task
        with self._lock:
            self._scheduled = False
            while self._waiting:
                if self._queue.full():
                    if self._on_full == "drop_oldest":
                        self._queue.get_nowait()
                    elif self._on_full == "drop_newest":
                        self.dropped += len(self._waiting)
                        self._waiting.clear()
                        return
                    else:  # try again after the consumer has run
                        self._scheduled = True
                        assert self._loop is not None
                        self._loop.call_later(0.005, self._move)
                        return
                    self.dropped += 1
                self._queue.put_nowait(self._waiting.popleft())

    def _into_plain(self, item: Any) -> None:
        with self._lock:
            while True:
                try:
                    self._queue.put(item, self._on_full == "block", self._timeout)
                    return
                except queues.Full:
                    self.dropped += 1
                    if self._on_full != "drop_oldest":
                        return
                    try:
                        self._queue.get_nowait()
                    except queues.Empty:
                        self.dropped -= 1


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def async_queue_observer(
    queue: Any, *, loop: asyncio.AbstractEventLoop | None = None, on_full: OnFull = "drop_oldest", timeout: float = 1.0
) -> AsyncQueueObserver:
    """Return an observer that puts every change into a queue, in order.

    Changes are put as dicts, and may happen in the loop, in another thread or outside any loop. No tasks are created.
    ``observer.dropped`` counts the changes for which there was no room.

    :param queue: an asyncio.Queue or a queue.Queue. Of any other object the method ``put`` is called with the dict; if
        it is a coroutine function, the calls run in the loop, one after the other.
    :param loop: where the queue is read; by default the loop that runs now, or in which the first change happens.
    :param on_full: ``"drop_oldest"``, ``"drop_newest"``, or ``"block"``. The latter never blocks the loop: as many
        changes wait as the queue can hold. For a queue.Queue the changing thread waits.
    :param timeout: seconds that it waits.

    >>> import queue
    >>> from pydatatracker import TrackedDict
    >>> d, found = TrackedDict(), queue.Queue()
    >>> d.tracking_add_observer(async_queue_observer(found))
    >>> d["a"] = 1
    >>> found.get()["pointer"]
    '/a'
    """
    return AsyncQueueObserver(queue, loop, on_full, timeout)


class changes(Handle):
    """Iterate over the changes of a container as they happen.

    ``async for change in changes(x, path="/users/**"): ...``. It observes the container from its creation until the
    iterator is freed or ``aclose()`` is called. Changes may come from any thread.

    :param path: a glob over pointers.
    :param actions: one action, or several.
    :param max_queue: how many changes may wait; older ones are dropped, and counted in ``dropped``.

    >>> import asyncio
    >>> from pydatatracker import TrackedDict
    >>> async def first():
    ...     d = TrackedDict()
    ...     async with changes(d, path="/a") as found:
    ...         d["b"] = 1
    ...         d["a"] = 2
    ...         async for change in found:
    ...             return change.pointer
    >>> asyncio.run(first())
    '/a'
    """

    def __init__(
        self,
        container: Any,
        path: str | None = None,
        *,
        actions: Iterable[str] | str | None = None,
        max_queue: int = 1000,
    ) -> None:
        self._container = container
        self._found: collections.deque[ChangeLogEntry] = collections.deque()
        self._max = max_queue
        self._waiter: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = _running()
        self._closed = False
        self.dropped = 0
        _forks.keep(self, _forks.QUEUES)
        ref = weakref.ref(self)

        def observe(change: ChangeLogEntry) -> None:
            self = ref()
            if self is None:  # freed without being closed
                container.tracking_remove_observer(observe)
            else:
                self._take(change)

        self._observe = observe
        container.tracking_add_observer(observe, path=path, actions=actions)

    def after_fork(self) -> None:
        """Begin anew in the child: the loop and who waits in it are the parent's."""
        self._found.clear()
        self._waiter = None
        self._loop = None

    def _take(self, change: ChangeLogEntry) -> None:
        if len(self._found) >= self._max:
            self._found.popleft()
            self.dropped += 1
        self._found.append(change)
        loop = self._loop
        if self._waiter is None or loop is None:
            return
        if loop is _running():
            self._wake()
            return
        try:
            loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed
            pass

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> AsyncIterator[ChangeLogEntry]:
        return self

    async def __anext__(self) -> ChangeLogEntry:
        self._loop = asyncio.get_running_loop()
        while True:
            waiter = self._waiter = self._loop.create_future()
            if self._found:
                self._waiter = None
                return self._found.popleft()
            if self._closed:
                raise StopAsyncIteration
            await waiter

    async def aclose(self) -> None:
        """Stop observing; changes that wait are still yielded."""
        if not self._closed:
            self._closed = True
            self._container.tracking_remove_observer(self._observe)
            self._wake()

    async def __aenter__(self) -> Self:
        if self._closed:
            raise RuntimeError("these changes are closed; call changes() again for another block")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


class TaskObserver(Handle):
    """Run a coroutine function for each change, in order, in its loop.

    Made by ``tracking_add_observer(async_function)``. The calls run one after the other; at most ``most`` changes wait,
    older ones are dropped and counted. An exception is logged, and the next change is handled all the same.
    """

    def __init__(self, function: Callable[[ChangeLogEntry], Awaitable[Any]], most: int = 10_000) -> None:
        self.function = function
        self._most = most
        self._waiting: collections.deque[ChangeLogEntry] = collections.deque()
        self._lock = threading.RLock()
        self._loop = _running()
        self._task: asyncio.Task[None] | None = None
        self._is_scheduled = False
        self.dropped = 0
        _forks.keep(self, _forks.QUEUES)

    def after_fork(self) -> None:
        """Begin anew in the child: loop and waiting changes are the parent's."""
        self._lock = threading.RLock()
        self._waiting.clear()
        self._is_scheduled = False
        self._loop = None
        self._task = None

    def __call__(self, change: ChangeLogEntry) -> None:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop = _running()
                self._is_scheduled = False  # the old loop is gone
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(change)
            if self._loop is None or self._is_scheduled:
                return  # it waits for the first change in a loop
            self._is_scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._begin)
            except RuntimeError:  # it was closed meanwhile: the next loop handles these, too
                self._is_scheduled = False

    def _begin(self) -> None:
        assert self._loop is not None
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                with self._lock:
                    if not self._waiting:
                        self._is_scheduled = False
                        return
                    change = self._waiting.popleft()
                try:
                    await self.function(change)
                except Exception:
                    _log.exception("an async observer failed: %r on %r", self.function, change)
        except BaseException:  # cancelled, since the loop ends: the next change starts again
            with self._lock:
                self._is_scheduled = False
            raise

    async def drain(self) -> None:
        """Wait until every change so far is handled."""
        while self._waiting or (self._task is not None and not self._task.done()):
            await asyncio.sleep(0)


def is_task_for(held: Any, function: Any) -> bool:
    """Return whether held was made for this coroutine function."""
    return isinstance(held, TaskObserver) and held.function == function
