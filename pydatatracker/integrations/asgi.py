"""Name the actor of what an ASGI application changes.

For FastAPI, Starlette, Litestar, Quart, Django and every other ASGI application; it imports none of them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from pydatatracker.integrations import _requests
from pydatatracker.integrations._requests import Request, Step, set_actor

__all__ = ["TrackingMiddleware", "set_actor"]

_Scope = MutableMapping[str, Any]
_App = Callable[[Any, Any, Any], Awaitable[None]]


class TrackingMiddleware:
    """Name the actor, request id and trace of all changes in a request.

    It is pure ASGI: it neither reads nor changes requests and responses, and what streams goes on streaming. The
    changes of endpoints, dependencies, background tasks and bodies that are generated have it, in the event loop and in
    worker threads. A WebSocket has one actor, from connect to disconnect. O(1) per request.

    ``change.context`` gets ``request_id`` (the header ``X-Request-ID``, or a new one), and ``trace_id`` and ``span_id``
    (of the current span of OpenTelemetry, or of the header ``traceparent``).

    :param app: the ASGI application.
    :param actor: is called with the scope of the connection, and returns the name, or None; may be ``async def``. By
        default the user that an authentication in front of this middleware put there, as ``scope["user"]``. If it
        raises, the error is logged, and the fallback used.
    :param fallback: the actor of a request without a user.
    :param context: is called with the scope, and returns more context: a mapping, or None.

    >>> import asyncio
    >>> from pydatatracker import TrackedDict
    >>> stock = TrackedDict()
    >>> async def app(scope, receive, send):
    ...     stock["tea"] = 1
    >>> tracked = TrackingMiddleware(app, actor=lambda scope: dict(scope["headers"])[b"x-user"].decode())
    >>> headers = [(b"x-user", b"ann"), (b"x-request-id", b"r-7")]
    >>> asyncio.run(tracked({"type": "http", "headers": headers}, None, None))
    >>> stock.last_change().actor, dict(stock.last_change().context)
    ('ann', {'request_id': 'r-7'})
    """

    def __init__(
        self,
        app: _App,
        *,
        actor: Callable[[Any], Any] | None = None,
        fallback: str = "anonymous",
        context: Callable[[Any], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.app = app
        self._actor = actor
        self._fallback = _requests.checked_fallback(fallback, actor=actor, context=context)
        self._context = context
        self._warned = False

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        """Run the application, under the actor of the request."""
        if scope["type"] not in ("http", "websocket"):  # lifespan: the application's own
            await self.app(scope, receive, send)
            return
        headers = scope.get("headers") or ()
        if not isinstance(headers, (list, tuple)):  # any iterable is allowed: one that can be read once only is kept
            headers = scope["headers"] = list(headers)
        outer: Request | None = scope.get(_requests.KEY)
        found = _requests.request_context(_header(headers, b"x-request-id"), _header(headers, b"traceparent"), outer)
        actor = None
        try:
            made = scope.get("user") if self._actor is None else self._actor(scope)
            if inspect.isawaitable(made):
                made = await made
            actor = _requests.name_of(made) if self._actor is None else _requests.text_of(made)
            if self._context is not None:
                found |= _requests.mapping_of(self._context(scope))
        except Exception as error:
            _requests.report(error)
        # A server may start a request in a copy of the context of another one, as uvicorn does with pipelined requests.
        alone = outer is None and _requests.is_in_request()
        request = Request(actor, found, fallback=self._fallback, outer=outer, one_thread=True, alone=alone)
        scope[_requests.KEY] = request
        with Step(request):
            try:
                await self.app(scope, receive, send)
            finally:
                if self._actor is None and actor is None and not (request.chosen or self._warned):
                    self._warn_of_order(scope)

    def _warn_of_order(self, scope: _Scope) -> None:
        try:
            late = _requests.name_of(scope.get("user"))
        except Exception:
            return
        if late is not None:
            self._warned = True
            logging.getLogger("pydatatracker").warning(
                "scope['user'] was set inside of TrackingMiddleware, so changes are recorded as made by %r: put the"
                " authentication in front of it (with Starlette's add_middleware: add TrackingMiddleware first)",
                self._fallback,
            )


def _header(headers: Any, name: bytes) -> str | None:
    for key, *values in headers:
        if isinstance(key, bytes) and key.lower() == name and values and isinstance(values[0], bytes):
            return values[0].decode("latin-1")
    return None  # also of headers that are wrong, which are the application's affair
