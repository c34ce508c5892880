"""Changes for asyncio: a queue that is filled in order from any thread, an async iterator, coroutine observers."""

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

from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["AsyncQueueObserver", "TaskObserver", "async_queue_observer", "changes"]

OnFull = Literal["drop_oldest", "drop_newest", "block"]
_log = logging.getLogger("pydatatracker")


class AsyncQueueObserver:
    """An observer that puts changes as dicts into a queue; see `async_queue_observer`."""

    def __init__(self, queue: Any, loop: asyncio.AbstractEventLoop | None, on_full: OnFull, timeout: float) -> None:
        if on_full not in ("drop_oldest", "drop_newest", "block"):
            raise ValueError(f"on_full= takes 'drop_oldest', 'drop_newest' or 'block', not {on_full!r}")
        self._queue = queue
        self._is_async = isinstance(queue, asyncio.Queue)
        self._is_other = not self._is_async and not isinstance(queue, queues.Queue)  # has a put() of its own
        if self._is_other and not callable(getattr(queue, "put", None)):
            raise TypeError(f"async_queue_observer takes an asyncio.Queue or a queue.Queue, not {type(queue).__name__}")
        if loop is None and self._is_async:
            loop = _running()
        self._put: Callable[[Any], Any] = queue.put
        if self._is_other and inspect.iscoroutinefunction(queue.put):
            self._put = TaskObserver(queue.put)  # one after the other, in the loop
        self._loop = loop
        self._on_full = on_full
        self._timeout = timeout
        self._lock = threading.RLock()
        self._waiting: collections.deque[Any] = collections.deque()  # on its way into the loop
        self._scheduled = False
        self.dropped = 0

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
            if room and len(self._waiting) >= room:  # the loop does not get to it: bounded here too
                self.dropped += 1
                if self._on_full != "drop_oldest":
                    return
                self._waiting.popleft()
            self._waiting.append(item)
            if self._loop is None or self._scheduled:
                return  # no loop yet: the first change in one takes these along
            if self._loop is _running():
                self._move()
                return
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._move)
            except RuntimeError:  # the loop is closed: nobody will ever ask
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
                    else:  # look again when the consumer had its turn
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
    """Return an observer that puts every change, as a dict, into an asyncio.Queue (or a queue.Queue), in order.

    The change may happen in the loop, in another thread or outside any loop: ``loop`` is where the queue is read, by
    default the one that runs now, or where the first change happens. A full queue: ``"drop_oldest"``,
    ``"drop_newest"``, or ``"block"``, which lets as many wait as the queue holds (the loop is never blocked; for a
    queue.Queue the change waits up to ``timeout`` seconds). ``observer.dropped`` counts. No tasks are made.
    Any other object with a ``put(item)`` is called with the dict and limits its own size. Where ``put`` is a coroutine
    function, the calls run in the loop, one after the other.

    >>> import queue
    >>> from pydatatracker import TrackedDict
    >>> d, found = TrackedDict(), queue.Queue()
    >>> d.tracking_add_observer(async_queue_observer(found))
    >>> d["a"] = 1
    >>> found.get()["pointer"]
    '/a'
    """
    return AsyncQueueObserver(queue, loop, on_full, timeout)


class changes:
    """Iterate over the changes of a container as they happen: ``async for change in changes(x, path="/users/**"):``.

    It listens from where it is made on, and until the loop is left or ``aclose()`` is called. At most
    ``max_queue`` changes wait; older ones are dropped then and counted in ``dropped``. Changes may come from any
    thread.

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
        ref = weakref.ref(self)

        def tell(change: ChangeLogEntry) -> None:
            self = ref()
            if self is None:  # left without being closed
                container.tracking_remove_observer(tell)
            else:
                self._take(change)

        self._tell = tell
        container.tracking_add_observer(tell, path=path, actions=actions)

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
        """Listen no longer; what was found already is still given."""
        if not self._closed:
            self._closed = True
            self._container.tracking_remove_observer(self._tell)
            self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


class TaskObserver:
    """Runs a coroutine function for each change, one after the other, in order, in the loop it belongs to.

    Made by ``tracking_add_observer(async_function)``. One task at a time; at most ``most`` changes wait, older ones are
    dropped and counted. An exception is logged, and does not keep the next change from being told.
    """

    def __init__(self, function: Callable[[ChangeLogEntry], Awaitable[Any]], most: int = 10_000) -> None:
        self.function = function
        self._most = most
        self._waiting: collections.deque[ChangeLogEntry] = collections.deque()
        self._lock = threading.RLock()
        self._loop = _running()
        self._task: asyncio.Task[None] | None = None
        self._asked = False
        self.dropped = 0

    def __call__(self, change: ChangeLogEntry) -> None:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop = _running()
                self._asked = False  # of a loop that is gone
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(change)
            if self._loop is None or self._asked:
                return  # it waits for the first change that is made in a loop
            self._asked = True
            try:
                self._loop.call_soon_threadsafe(self._begin)
            except RuntimeError:  # it was closed this moment: the next loop takes these along
                self._asked = False

    def _begin(self) -> None:
        assert self._loop is not None
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                with self._lock:
                    if not self._waiting:
                        self._asked = False
                        return
                    change = self._waiting.popleft()
                try:
                    await self.function(change)
                except Exception:
                    _log.exception("an async observer failed: %r, told of %r", self.function, change)
        except BaseException:  # cancelled, as the loop ends: the next change begins anew
            with self._lock:
                self._asked = False
            raise

    async def drain(self) -> None:
        """Wait until every change so far was told."""
        while self._waiting or (self._task is not None and not self._task.done()):
            await asyncio.sleep(0)


def is_task_for(held: Any, function: Any) -> bool:
    """True if held was made for this coroutine function."""
    return isinstance(held, TaskObserver) and held.function == function
