"""What the middlewares share: who makes a request, its id and its trace."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from pydatatracker._core import Scope, ScopeBlock, scope_now, scope_variable
from pydatatracker.actors import tracking_actor

__all__ = [
    "KEY",
    "Request",
    "Step",
    "checked_fallback",
    "is_in_request",
    "mapping_of",
    "name_of",
    "report",
    "request_context",
    "set_actor",
    "text_of",
]

KEY = "pydatatracker.request"  # of the request in the scope or environ of its connection

_current: ContextVar[Request | None] = ContextVar("pydatatracker_request", default=None)
_ID = re.compile(r"[!-~]{1,128}")  # visible ASCII: it ends in logs, and a client chooses it
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class Request:
    """Who makes the changes of one request, and their context."""

    __slots__ = ("actor", "alone", "blocks", "chosen", "context", "known", "thread")

    def __init__(
        self,
        actor: str | None,
        context: Mapping[str, Any],
        *,
        fallback: str,
        outer: Request | None = None,
        one_thread: bool = False,
        alone: bool = False,
    ) -> None:
        self.known: bool = bool(actor) or (outer is not None and outer.known)  # not the fallback
        self.actor: str = actor or (outer.actor if outer is not None and outer.known else fallback)
        self.alone = alone  # no outer context is added to its own
        self.context = dict(context)
        self.chosen = False  # whether set_actor was called
        self.blocks: contextlib.ExitStack | None = None  # of the step that runs
        # Where set_actor works: from a worker thread it could not reach the task of an asynchronous request.
        self.thread = threading.get_ident() if one_thread else None

    def become(self, actor: str | None, context: Mapping[str, Any]) -> None:
        """Change the actor, unless None, and add context."""
        if actor is not None:
            self.actor, self.known = actor, True
        self.context.update(context)
        if self.blocks is not None:
            self.blocks.enter_context(tracking_actor(self.actor, **self.context))


class Step:
    """A block in which code of a request runs, under its actor."""

    __slots__ = ("_before", "_outer", "_request", "_scope")

    def __init__(self, request: Request) -> None:
        self._request = request

    def __enter__(self) -> Request:
        request = self._request
        self._before, self._outer, self._scope = _current.get(), request.blocks, scope_now()
        request.blocks = contextlib.ExitStack()
        if request.alone:
            request.blocks.enter_context(ScopeBlock(None))
        request.blocks.enter_context(tracking_actor(request.actor, **request.context))
        _current.set(request)
        return request

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        blocks, self._request.blocks = self._request.blocks, self._outer
        _current.set(self._before)
        if blocks is not None:
            blocks.close()
        if scope_now() is not self._scope:
            _restore(self._scope)


def _restore(scope: Scope | None) -> None:
    """Make a scope the current one, whatever the request left behind.

    asgiref, with which Flask runs asynchronous views, copies context variables from the context of the view to that of
    the thread: so a block of set_actor is there too, though it was entered elsewhere, and cannot be left.
    """
    block = ScopeBlock(Scope(""))
    block.__enter__()
    scope_variable.set(scope)
    block.__exit__(None, None, None)  # not the current one any more: the core looks again which one is


def set_actor(actor: str, /, **context: Any) -> None:
    """Name the actor of what the current request changes from now on.

    For code that finds out who the user is while the request runs: a login, a dependency, a hook. The keyword arguments
    are added to the context. It holds until the request ends, streamed bodies included. O(1).

    In an asynchronous application call it in an ``async def``: what a worker thread sets, the request cannot see.

    :raises RuntimeError: no request is running here, or this is a worker thread of an asynchronous application.

    >>> set_actor("ann")
    Traceback (most recent call last):
        ...
    RuntimeError: set_actor() found no request here: call it in a request, in an application that has the middleware
    """
    if not isinstance(actor, str):
        raise TypeError(f"an actor is a str, not {type(actor).__name__}")
    request = _current.get()
    if request is None or request.blocks is None:
        raise RuntimeError(
            "set_actor() found no request here: call it in a request, in an application that has the middleware"
        )
    if request.thread is not None and request.thread != threading.get_ident():
        raise RuntimeError(
            "set_actor() was called in a worker thread, where it cannot reach the request: make the function that calls"
            " it async def, or use `with tracking_actor(...)` around the changes"
        )
    request.chosen = True
    request.become(actor, context)


def is_in_request() -> bool:
    """Return whether this context is that of a request, or a copy of it."""
    return _current.get() is not None


def request_context(request_id: str | None, parent: str | None, outer: Request | None = None) -> dict[str, str]:
    """Return the context of a request: its id, and its trace if any.

    :param request_id: the header ``X-Request-ID``; one that is missing or no short visible text is replaced.
    :param parent: the header ``traceparent``; a current span of OpenTelemetry comes before it.
    :param outer: what an outer middleware made of the same request; the id of it is kept.
    """
    if request_id is None or not _ID.fullmatch(request_id):
        request_id = uuid.uuid4().hex if outer is None else str(outer.context["request_id"])
    context = {"request_id": request_id}
    trace = _span() or _trace(parent)
    if trace is not None:
        context["trace_id"], context["span_id"] = trace
    return context


def _trace(parent: str | None) -> tuple[str, str] | None:
    """Return the ids of a W3C traceparent, or None if it is not valid."""
    found = _TRACEPARENT.fullmatch(parent.strip()) if parent else None
    if found is None or (found[1] == "00" and found[4]):  # later versions may append fields
        return None
    return found[2], found[3]


def _span() -> tuple[str, str] | None:
    """Return the ids of the current span of OpenTelemetry, if there is one."""
    trace = sys.modules.get("opentelemetry.trace")  # a program that did not import it has no span
    if trace is None:
        return None
    try:
        span = trace.get_current_span().get_span_context()
        return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None
    except Exception:  # a module that is half imported, or a propagator of the program
        return None


def name_of(user: Any) -> str | None:
    """Return the name of a user object of a web framework, or None.

    None for a user who is not authenticated, and for an object without a name: its repr may have anything in it.
    """
    if user is None or isinstance(user, str):
        return user or None
    is_authenticated = getattr(user, "is_authenticated", True)
    if callable(is_authenticated):  # a method, in old frameworks
        is_authenticated = is_authenticated()
    if not is_authenticated:
        return None
    for attribute in ("get_username", "get_id", "identity", "username", "display_name"):
        try:
            found = getattr(user, attribute)
            if callable(found):
                found = found()
        except (AttributeError, NotImplementedError):  # Starlette's BaseUser raises the latter
            continue
        if found is not None and found != "":
            return str(found)
    return None


def report(error: Exception) -> None:
    """Log that the actor or context could not be found."""
    logging.getLogger("pydatatracker").warning(
        "the actor or context of a request could not be found; its changes are recorded without", exc_info=error
    )


def text_of(actor: Any) -> str | None:
    """Return what a function found, a name, an id or a user, as a name."""
    if isinstance(actor, (int, uuid.UUID)):
        return str(actor)
    name = name_of(actor)
    if name is None and actor is not None and actor != "" and not hasattr(actor, "is_authenticated"):
        raise TypeError(f"actor= has to return a name, an id, a user or None, not {type(actor).__name__}")
    return name


def mapping_of(context: Any) -> dict[str, Any]:
    """Return what a function found as a context; {} for None."""
    return {} if context is None else {str(key): value for key, value in dict(context).items()}


def checked_fallback(fallback: str, **functions: Any) -> str:
    """Check the options of a middleware; return the fallback."""
    if not isinstance(fallback, str):
        raise TypeError(f"fallback is the name of an actor, a str, not {type(fallback).__name__}")
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be None or a function, not {type(function).__name__}")
    return fallback
