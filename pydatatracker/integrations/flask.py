"""Name the actor of what a Flask application changes: `TrackedRequests`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydatatracker.integrations import _requests
from pydatatracker.integrations._requests import Request, Step, set_actor
from pydatatracker.integrations.wsgi import run

try:
    import flask
except ImportError:
    raise ImportError("pydatatracker.integrations.flask needs Flask: pip install flask") from None

__all__ = ["TrackedRequests", "set_actor"]

_STEP = "pydatatracker.step"  # in the environ of a request that did not come through wsgi_app


class TrackedRequests:
    """Name the actor, request id and trace of all changes in a request.

    A Flask extension: ``TrackedRequests(app)``, or ``init_app(app)`` later. Views, hooks, error handlers, teardowns and
    streamed bodies are covered, with and without ``stream_with_context``. O(1) per request.

    ``change.context`` gets ``request_id`` (the header ``X-Request-ID``, or a new one), and ``trace_id`` and ``span_id``
    (of the current span of OpenTelemetry, or of the header ``traceparent``).

    The actor is found in a ``before_request`` function, in the order in which these are registered; until then it is
    the fallback. By default it is the user of Flask-Login if the application uses that: the id in the session, and
    whoever logs in or is loaded from a token or cookie later in the request. The user is not loaded for it. Else it is
    ``REMOTE_USER``.

    :param app: the application; None: call `init_app`.
    :param actor: is called with the request, and returns the name, or None. If it raises, the error is logged, and the
        fallback used.
    :param fallback: the actor of a request without a user.
    :param context: is called with the request, and returns more context: a mapping, or None.

    >>> import flask
    >>> from pydatatracker import TrackedDict
    >>> stock, app = TrackedDict(), flask.Flask("shop")
    >>> tracked = TrackedRequests(app, actor=lambda request: request.headers.get("X-User"))
    >>> @app.post("/tea")
    ... def tea():
    ...     stock["tea"] = 1
    ...     return "done"
    >>> response = app.test_client().post("/tea", headers={"X-User": "ann", "X-Request-ID": "r-7"})
    >>> stock.last_change().actor, dict(stock.last_change().context)
    ('ann', {'request_id': 'r-7'})
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        actor: Callable[[flask.Request], Any] | None = None,
        fallback: str = "anonymous",
        context: Callable[[flask.Request], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self._actor = actor
        self._fallback = _requests.checked_fallback(fallback, actor=actor, context=context)
        self._context = context
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Add it to an application.

        Once per application. O(1).

        :raises RuntimeError: the application has it already.

        >>> import flask
        >>> tracked, app = TrackedRequests(), flask.Flask("shop")
        >>> tracked.init_app(app)
        >>> app.extensions["pydatatracker"] is tracked
        True
        """
        if "pydatatracker" in app.extensions:
            raise RuntimeError(f"{app!r} has TrackedRequests already; make it once, where the application is made")
        app.extensions["pydatatracker"] = self
        inner = app.wsgi_app

        def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = self._request(environ)
            environ[_requests.KEY] = request
            return run(inner, environ, start_response, request)

        app.wsgi_app = wsgi_app  # type: ignore[method-assign]
        app.before_request(self._begin)
        app.teardown_request(self._end)
        login = sys.modules.get("flask_login")
        if login is not None:
            for signal in (login.user_logged_in, login.user_loaded_from_request, login.user_loaded_from_cookie):
                signal.connect(_is_user, app)

    def _request(self, environ: dict[str, Any]) -> Request:
        outer: Request | None = environ.get(_requests.KEY)
        found = _requests.request_context(environ.get("HTTP_X_REQUEST_ID"), environ.get("HTTP_TRACEPARENT"), outer)
        return Request(None, found, fallback=self._fallback, outer=outer)

    def _begin(self) -> None:
        environ = flask.request.environ
        tracked = environ.get(_requests.KEY)
        if tracked is None:  # of test_request_context: no wsgi_app is around it
            tracked = environ[_requests.KEY] = self._request(environ)
            environ[_STEP] = step = Step(tracked)
            step.__enter__()
        actor, context = None, {}
        try:
            request = flask.request._get_current_object()  # type: ignore[attr-defined]
            actor = _requests.text_of(_user() if self._actor is None else self._actor(request))
            if self._context is not None:
                context = _requests.mapping_of(self._context(request))
        except Exception as error:
            _requests.report(error)
        if tracked.chosen:  # by set_actor, in a function that ran before
            actor = None
        if actor or context:
            tracked.become(actor or None, context)

    def _end(self, error: BaseException | None) -> None:
        step = flask.request.environ.pop(_STEP, None)
        if step is not None:
            flask.request.environ.pop(_requests.KEY, None)
            step.__exit__(None, None, None)


def _user() -> Any:
    """Return the user of Flask-Login, or of the server, or None."""
    login = sys.modules.get("flask_login")
    if login is None or not hasattr(flask.current_app, "login_manager"):
        return flask.request.remote_user
    if "_login_user" in flask.g:
        return login.current_user._get_current_object()
    return _peek("_user_id")


def _peek(key: str) -> Any:
    """Return an item of the session without marking it as accessed.

    That would add ``Vary: Cookie`` to the response.
    """
    context = flask.globals.request_ctx._get_current_object()  # type: ignore[attr-defined]
    session = getattr(context, "_session", None)
    if session is None:  # a plain attribute before Flask 3.1.3, or not opened yet
        session = context.session
        if "session" not in vars(context):
            session.accessed = False
    return dict.get(session, key) if isinstance(session, dict) else None


def _is_user(app: flask.Flask, user: Any = None, **_: Any) -> None:
    """Go on as the user that Flask-Login found during a request."""
    tracked = flask.request.environ.get(_requests.KEY) if flask.has_request_context() else None
    if tracked is None or tracked.chosen or app.extensions["pydatatracker"]._actor is not None:
        return
    try:
        name = _requests.name_of(user)
    except Exception as error:
        _requests.report(error)
        return
    if name is not None:
        tracked.become(name, {})
