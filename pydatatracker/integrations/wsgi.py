"""Name the actor of what a WSGI application changes.

For every WSGI application; it imports none. Flask has a module of its own, `pydatatracker.integrations.flask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydatatracker.integrations import _requests
from pydatatracker.integrations._requests import Request, Step, set_actor

__all__ = ["TrackingMiddleware", "set_actor"]


class TrackingMiddleware:
    """Name the actor, request id and trace of all changes in a request.

    The response is that of the application. If its body is generated while it is sent, that runs under the actor too,
    and so does its ``close()``. O(1) per request, and per chunk of a generated body.

    ``change.context`` gets ``request_id`` (the header ``X-Request-ID``, or a new one), and ``trace_id`` and ``span_id``
    (of the current span of OpenTelemetry, or of the header ``traceparent``).

    :param app: the WSGI application.
    :param actor: is called with the environ, and returns the name, or None. By default ``REMOTE_USER``, which servers
        and authenticating middlewares set. If it raises, the error is logged, and the fallback used.
    :param fallback: the actor of a request without a user.
    :param context: is called with the environ, and returns more context: a mapping, or None.

    >>> from pydatatracker import TrackedDict
    >>> stock = TrackedDict()
    >>> def app(environ, start_response):
    ...     stock["tea"] = 1
    ...     return [b"done"]
    >>> tracked = TrackingMiddleware(app)
    >>> tracked({"REMOTE_USER": "ann", "HTTP_X_REQUEST_ID": "r-7"}, None)
    [b'done']
    >>> stock.last_change().actor, dict(stock.last_change().context)
    ('ann', {'request_id': 'r-7'})
    """

    def __init__(
        self,
        app: Callable[[dict[str, Any], Any], Iterable[bytes]],
        *,
        actor: Callable[[dict[str, Any]], Any] | None = None,
        fallback: str = "anonymous",
        context: Callable[[dict[str, Any]], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.app = app
        self._actor = actor
        self._fallback = _requests.checked_fallback(fallback, actor=actor, context=context)
        self._context = context

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Run the application, under the actor of the request."""
        outer: Request | None = environ.get(_requests.KEY)
        found = _requests.request_context(environ.get("HTTP_X_REQUEST_ID"), environ.get("HTTP_TRACEPARENT"), outer)
        actor = None
        try:
            made = environ.get("REMOTE_USER") if self._actor is None else self._actor(environ)
            actor = _requests.text_of(made)
            if self._context is not None:
                found |= _requests.mapping_of(self._context(environ))
        except Exception as error:
            _requests.report(error)
        request = environ[_requests.KEY] = Request(actor, found, fallback=self._fallback, outer=outer)
        return run(self.app, environ, start_response, request)


def run(app: Callable[..., Iterable[bytes]], environ: Any, start_response: Any, request: Request) -> Iterable[bytes]:
    """Run an application, and later the iterator that it returns."""
    with Step(request):
        body = app(environ, start_response)
    if isinstance(body, (list, tuple, bytes)):  # nothing runs in it, and a server may take its length
        return body
    wrapper = environ.get("wsgi.file_wrapper")
    if hasattr(body, "read") or (isinstance(wrapper, type) and isinstance(body, wrapper)):
        return body  # the server sends the file itself
    return _SizedBody(body, request) if hasattr(body, "__len__") else _Body(body, request)


class _Body:
    """The body of a response, each step of it under the actor."""

    def __init__(self, body: Any, request: Request) -> None:
        self._body = body
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with Step(self._request):
            iterator = iter(self._body)
        return self if iterator is self._body else _Body(iterator, self._request)

    def __next__(self) -> bytes:
        with Step(self._request):
            return next(self._body)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            with Step(self._request):
                close()


class _SizedBody(_Body):
    def __len__(self) -> int:
        return len(self._body)
