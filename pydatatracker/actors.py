"""Who makes a change and why: the actor and context of a ``with`` block."""

from __future__ import annotations

import copyreg
import functools
import sys
from collections.abc import Callable, Mapping
from types import FrameType, MappingProxyType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from pydatatracker._core import ActorBlock, Scope, ScopeBlock, scope_now, words_for
from pydatatracker._lazy import SignatureOf

__all__ = ["TrackingScope", "propagate", "tracking_actor", "tracking_scope"]

F = TypeVar("F", bound=Callable[..., Any])


def _frame_id(frame: FrameType) -> int:
    """Return what identifies an async with statement while it runs.

    0 for an AsyncExitStack, whose frames come and go.
    """
    return 0 if frame.f_globals.get("__name__") == "contextlib" else id(frame)


def _initializer(actor: str, /, **context: Any) -> None: ...


class tracking_actor(ActorBlock):
    """Name the actor of all changes made in a block.

    Keyword arguments become the change's ``context``. Blocks nest: an inner actor replaces the outer one, contexts add
    up. It follows asyncio tasks (PEP 567); for threads and executors see `propagate`. It works as a decorator on
    functions, coroutines and generators. Cost: half a microsecond for the block, nothing for a change.

    One object can be entered several times at once; each entry is its own. A block that another task or thread ends,
    for instance a generator that is closed elsewhere, leaves the actor there alone.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> with tracking_actor("importer", reason="nightly"):
    ...     d["a"] = 1
    >>> d.last_change().actor, dict(d.last_change().context)
    ('importer', {'reason': 'nightly'})
    """

    __slots__ = ()
    __signature__ = SignatureOf(_initializer)

    if TYPE_CHECKING:

        def __init__(self, actor: str, /, **context: Any) -> None: ...  # the core's

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        # blocks that are open now end in this process
        return None, {"_actor": self._actor, "_context": self._context}

    def __reduce_ex__(self, protocol: Any) -> Any:
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        self._actor = state[1]["_actor"]
        self._context = state[1]["_context"]

    async def __aenter__(self) -> Self:
        self._enter(_frame_id(sys._getframe(1)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(_frame_id(sys._getframe(1)))

    def _fresh(self) -> tracking_actor:
        return tracking_actor(self._actor, **self._context)

    def __call__(self, function: F) -> F:
        if isinstance(function, type):
            raise TypeError(
                f"@tracking_actor takes a function, not the class {function.__name__}; decorate its methods"
            )
        import inspect  # a third of what the library costs to import

        wrap: Callable[[Any, Callable[[], Any]], Any] = _in_call
        if inspect.iscoroutinefunction(function):
            wrap = _in_coroutine
        elif inspect.isgeneratorfunction(function):
            wrap = _in_generator
        elif inspect.isasyncgenfunction(function):
            wrap = _in_async_generator
        return wrap(function, self._fresh)  # type: ignore[no-any-return]


class TrackingScope(NamedTuple):
    """Who changes data now: what `tracking_scope` returns."""

    actor: str
    context: Mapping[str, Any]
    transaction: str | None


_NOBODY = TrackingScope("", MappingProxyType({}), None)


def tracking_scope() -> TrackingScope:
    """Return the actor, context and transaction that a change gets now.

    Use it to write them into log messages, or into the headers of a request. Without an actor: ``""``, an empty mapping
    and None. The transaction is the id of the innermost one that is open. O(open transactions).

    >>> with tracking_actor("importer", reason="nightly"):
    ...     tracking_scope().actor, dict(tracking_scope().context)
    ('importer', {'reason': 'nightly'})
    >>> tracking_scope().actor
    ''
    """
    scope = scope_now()
    if scope is None:
        return _NOBODY
    transaction = scope.transaction
    while transaction is not None and not transaction.is_open:  # of a task that outlives the block
        transaction = transaction.parent
    context = _NOBODY.context if scope.context is None else scope.context
    return TrackingScope(scope.actor, context, None if transaction is None else transaction.id)


def propagate(function: F) -> F:
    """Bind the current actor and context to a function.

    Use it for threads, executors and processes. Only the actor is carried along, not the other context variables. Every
    call enters it anew, so one bound function may run in many threads at once. O(1).

    A bound function can be pickled if the function can, so it works for `concurrent.futures.ProcessPoolExecutor` and
    `multiprocessing`. A transaction stays in its process, and a value of the context that cannot be pickled arrives as
    its text.

    >>> import threading
    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> with tracking_actor("importer"):
    ...     thread = threading.Thread(target=propagate(d.update), args=({"a": 1},))
    >>> thread.start(); thread.join()
    >>> d.last_change().actor
    'importer'
    """
    import inspect

    bound = scope_now()
    if not inspect.iscoroutinefunction(function):
        return _Bound(function, bound)  # type: ignore[return-value]

    @functools.wraps(function)
    async def coroutine_with_scope(*args: Any, **kwargs: Any) -> Any:
        with ScopeBlock(_entry(bound)):
            return await function(*args, **kwargs)

    return coroutine_with_scope  # type: ignore[return-value]


def _entry(bound: Scope | None) -> Scope | None:
    # each call gets a scope of its own, so that calls at once do not end each other
    return None if bound is None else Scope(bound.actor, bound.context, bound.transaction, bound.undoes)


class _Bound:
    """What `propagate` makes of a function.

    It is an object because pickle knows a function only by its name. Like a function it binds as a method, has the
    attributes of what it wraps, and is its own copy.
    """

    def __init__(self, function: Callable[..., Any], scope: Scope | None) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._tracking_scope = scope

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        with ScopeBlock(_entry(self._tracking_scope)):
            return self.__wrapped__(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<propagate({self.__wrapped__!r})>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        name = getattr(self, "__qualname__", None)
        found: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        for part in (name or "").split("."):
            found = getattr(found, part, None)
        if found is self:  # a decorated function: by its name, as pickle stores functions
            return name
        scope = self._tracking_scope
        if scope is None:
            return propagated, (self.__wrapped__, None, None)
        return propagated, (self.__wrapped__, scope.actor, _pickled(scope.context))


def propagated(function: Callable[..., Any], actor: str | None, context: bytes | None) -> _Bound:
    """Make the bound function of a pickle."""
    import pickle

    if actor is None:
        return _Bound(function, None)
    return _Bound(function, Scope(actor, None if context is None else MappingProxyType(pickle.loads(context))))


propagated.__module__ = "pydatatracker.rebuild"


def _pickled(context: Mapping[str, Any] | None) -> bytes | None:
    """Return a context as a pickle; what cannot be pickled as its text."""
    import pickle

    if not context:
        return None
    try:
        return pickle.dumps(dict(context))
    except Exception:  # whatever the values raise
        return pickle.dumps({key: _picklable(value) for key, value in context.items()})


def _picklable(value: object) -> object:
    import pickle

    try:
        pickle.dumps(value)
    except Exception:
        return words_for(value)
    return value


# ---- what tracking_actor makes of a function; ``scope()`` is a new context manager each time


def _in_call(function: Any, scope: Callable[[], Any]) -> Any:
    @functools.wraps(function)
    def in_call(*args: Any, **kwargs: Any) -> Any:
        with scope():
            return function(*args, **kwargs)

    return in_call


def _in_coroutine(function: Any, scope: Callable[[], Any]) -> Any:
    @functools.wraps(function)
    async def in_coroutine(*args: Any, **kwargs: Any) -> Any:
        with scope():
            return await function(*args, **kwargs)

    return in_coroutine


def _in_generator(function: Any, scope: Callable[[], Any]) -> Any:
    @functools.wraps(function)
    def in_generator(*args: Any, **kwargs: Any) -> Any:
        # between two yields the caller runs: the actor holds only while the generator does
        generator = function(*args, **kwargs)
        step: Callable[..., Any] = generator.send
        given: tuple[Any, ...] = (None,)
        while True:
            try:
                with scope():
                    item = step(*given)
            except StopIteration as stop:
                return stop.value
            try:
                step, given = generator.send, ((yield item),)
            except GeneratorExit:
                with scope():
                    generator.close()
                raise
            except BaseException as error:  # thrown in: the generator decides
                step, given = generator.throw, (error,)

    return in_generator


def _in_async_generator(function: Any, scope: Callable[[], Any]) -> Any:
    @functools.wraps(function)
    async def in_async_generator(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        given: Any = None
        try:
            while True:
                try:
                    with scope():
                        item = await generator.asend(given)
                except StopAsyncIteration:
                    return
                given = yield item
        finally:
            with scope():
                await generator.aclose()

    return in_async_generator
