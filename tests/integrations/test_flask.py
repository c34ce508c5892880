"""The Flask extension."""

from __future__ import annotations

import sys
from typing import Any

import pytest

flask = pytest.importorskip("flask")

from tracked import everything, who, write_all

from pydatatracker import TrackedDict, track, tracking_actor, tracking_scope
from pydatatracker.integrations.flask import TrackedRequests, set_actor
from pydatatracker.integrations.wsgi import TrackingMiddleware


def by_header(request: Any) -> str | None:
    """Return the header X-User."""
    found: str | None = request.headers.get("X-User")
    return found


HEADERS = {"X-User": "ann", "X-Request-ID": "r"}


def shop(d: Any) -> Any:
    """Return an application that changes data wherever Flask calls it."""
    app = flask.Flask("shop")
    blueprint = flask.Blueprint("admin", "shop", url_prefix="/admin")

    @app.get("/view")
    def view() -> str:
        d["view"] = 1
        return "view"

    @app.get("/stream")
    def stream() -> Any:
        def chunks() -> Any:
            for n in range(3):
                d[f"{flask.request.path} {n}"] = 1
                yield str(n)

        return flask.Response(flask.stream_with_context(chunks()))

    @app.get("/bare-stream")
    def bare_stream() -> Any:
        def chunks() -> Any:
            for n in range(3):
                d[f"bare {n}"] = 1
                yield str(n)

        response = flask.Response(chunks())
        response.call_on_close(lambda: d.update(closed=1))
        return response

    @app.get("/error")
    def error() -> None:
        d["error"] = 1
        raise ZeroDivisionError

    @app.errorhandler(404)
    def missing(error: Any) -> Any:
        d["missing"] = 1
        return "missing", 404

    @app.after_request
    def after(response: Any) -> Any:
        d["after"] = 1
        return response

    @app.teardown_request
    def teardown(error: Any) -> None:
        d["teardown"] = 1

    @blueprint.before_request
    def before() -> None:
        d["before"] = 1

    @blueprint.get("/view")
    def admin() -> str:
        d["admin"] = 1
        return "admin"

    app.register_blueprint(blueprint)
    return app


PATHS = {
    "/view": {"view", "after", "teardown"},
    "/stream": {"/stream 0", "/stream 1", "/stream 2", "after", "teardown"},
    "/bare-stream": {"bare 0", "bare 1", "bare 2", "closed", "after", "teardown"},
    "/error": {"error", "after", "teardown"},
    "/nowhere": {"missing", "after", "teardown"},
    "/admin/view": {"before", "admin", "after", "teardown"},
}


@pytest.mark.parametrize("path", PATHS)
def test_whatever_runs_in_a_request_has_its_actor(path: str) -> None:
    """Views, hooks, handlers, blueprints, teardowns and streams have it.

    The response is as without the extension.
    """
    d: Any = TrackedDict()
    plain = shop(TrackedDict()).test_client().get(path, headers=HEADERS, buffered=True)
    app = shop(d)
    TrackedRequests(app, actor=by_header)
    answer = app.test_client().get(path, headers=HEADERS)
    assert plain.data == answer.data  # which reads a stream to its end
    answer.close()
    assert PATHS[path] == set(d)
    assert all(each == ("ann", {"request_id": "r"}) for each in who(d))
    assert (plain.status, dict(plain.headers)) == (answer.status, dict(answer.headers))
    assert ("", {}, None) == tracking_scope()


def test_an_error_that_is_not_handled_passes_through() -> None:
    """With PROPAGATE_EXCEPTIONS the caller gets it, and no actor is left."""
    d: Any = TrackedDict()
    app = shop(d)
    app.testing = True
    TrackedRequests(app, actor=by_header)
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/error", headers=HEADERS)
    assert ("", {}, None) == tracking_scope()
    assert {"ann"} == {actor for actor, _ in who(d)}


def test_every_container_in_sync_and_async_views() -> None:
    """Async views run in a thread with an event loop; they have it too."""
    pytest.importorskip("asgiref")
    app = flask.Flask("shop")
    TrackedRequests(app, actor=by_header)
    found = []

    @app.get("/sync")
    def view() -> str:
        containers = everything()
        write_all(containers)
        found.append({container.last_change().actor for container in containers})
        return ""

    @app.get("/async")
    async def async_view() -> str:
        view()
        set_actor("bob")
        view()
        return ""

    @app.after_request
    def after(response: Any) -> Any:
        found.append({tracking_scope().actor})
        return response

    for path in ("/sync", "/async"):
        assert 200 == app.test_client().get(path, headers=HEADERS).status_code
    assert [{"ann"}, {"ann"}, {"ann"}, {"bob"}, {"bob"}] == found
    assert ("", {}, None) == tracking_scope()
    assert "" == write_one()
    with tracking_actor("server", region="eu"):
        app.test_client().get("/async", headers=HEADERS)
        assert ("server", {"region": "eu"}, None) == tracking_scope()
        assert "server" == write_one()
    assert ("", {}, None) == tracking_scope()
    assert "" == write_one()


def write_one() -> str:
    """Return the actor of a change."""
    d = TrackedDict()
    d["x"] = 1
    return d.last_change().actor


def test_a_nested_request_does_not_change_the_outer_one() -> None:
    """test_request_context in a view has an actor of its own."""
    app = flask.Flask("shop")
    TrackedRequests(app, actor=by_header)
    seen = []

    @app.get("/")
    def view() -> str:
        seen.append(tracking_scope().actor)
        with app.test_request_context("/inner", headers={"X-User": "bob"}):
            seen.append(tracking_scope().actor)
            app.preprocess_request()
            seen.append(tracking_scope().actor)
            set_actor("eve")
            seen.append(tracking_scope().actor)
            with app.test_request_context("/deeper"):
                app.preprocess_request()
                seen.append(tracking_scope().actor)
        seen.append(tracking_scope().actor)
        app.test_client().get("/other", headers={"X-User": "tom"})
        seen.append(tracking_scope().actor)
        return ""

    app.add_url_rule("/other", "other", lambda: (seen.append(tracking_scope().actor), "")[1])
    app.test_client().get("/", headers=HEADERS)
    assert ["ann", "ann", "bob", "eve", "anonymous", "ann", "tom", "ann"] == seen
    with app.test_request_context("/", headers=HEADERS):
        assert "" == tracking_scope().actor
        app.full_dispatch_request()
        assert "ann" == tracking_scope().actor
    assert ("", {}, None) == tracking_scope()


def test_a_client_that_keeps_its_context_leaves_no_actor() -> None:
    """`with client:` ends the request's context late."""
    app = flask.Flask("shop")
    TrackedRequests(app, actor=by_header)
    app.add_url_rule("/", "view", lambda: tracking_scope().actor)
    with app.test_client() as client:
        assert "ann" == client.get("/", headers=HEADERS).text
        assert "" == tracking_scope().actor
        assert "anonymous" == client.get("/").text
        assert flask.request.path == "/"
    assert ("", {}, None) == tracking_scope()


def test_set_actor_in_a_hook_comes_before_the_default() -> None:
    """A before_request function that authenticates may run before or after."""
    for order in (0, 1):
        app = flask.Flask("shop")

        def authenticate() -> None:
            set_actor("hook", role="x")

        if order:
            TrackedRequests(app, actor=by_header)
        app.before_request(authenticate)
        if not order:
            TrackedRequests(app, actor=by_header)
        app.add_url_rule("/", "view", lambda: f"{tracking_scope().actor} {tracking_scope().context['role']}")
        assert "hook x" == app.test_client().get("/", headers=HEADERS).text


def test_a_server_s_user_is_the_default() -> None:
    """REMOTE_USER, if there is no Flask-Login; the fallback without one."""
    app = flask.Flask("shop")
    tracked = TrackedRequests(fallback="nobody", context=lambda request: {"path": request.path})
    tracked.init_app(app)
    app.add_url_rule("/", "view", lambda: f"{tracking_scope().actor} {tracking_scope().context['path']}")
    client = app.test_client()
    assert ["ann /", "nobody /"] == [client.get("/", environ_base={"REMOTE_USER": user}).text for user in ("ann", None)]
    with pytest.raises(RuntimeError, match="has TrackedRequests already"):
        tracked.init_app(app)


def test_a_function_that_fails_does_not_fail_the_request(caplog: Any) -> None:
    """It is logged, and the fallback is used."""
    app = flask.Flask("shop")
    TrackedRequests(app, actor=lambda request: request.headers["X-Missing"])
    app.add_url_rule("/", "view", lambda: tracking_scope().actor)
    assert "anonymous" == app.test_client().get("/").text
    assert 1 == len(caplog.records)


# ---- Flask-Login


def with_login(track: bool, loaded: list[str]) -> Any:
    """Return an application with Flask-Login, and what its views saw."""
    login = pytest.importorskip("flask_login")
    app = flask.Flask("shop")
    app.secret_key = "x"
    manager = login.LoginManager(app)

    class User(login.UserMixin):  # type: ignore[misc, name-defined]
        def __init__(self, name: str) -> None:
            self.id = name

    @manager.user_loader
    def load(name: str) -> Any:
        loaded.append(name)
        return User(name)

    @manager.request_loader
    def by_token(request: Any) -> Any:
        token = request.headers.get("Authorization")
        return None if token is None else User(token)

    if track:
        TrackedRequests(app)

    @app.post("/login/<name>")
    def log_in(name: str) -> str:
        before = tracking_scope().actor
        login.login_user(User(name))
        return f"{before} {tracking_scope().actor}"

    @app.get("/public")
    def public() -> str:
        return tracking_scope().actor

    @app.get("/private")
    @login.login_required
    def private() -> str:
        return f"{tracking_scope().actor} {login.current_user.id}"

    return app


LOGIN = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # of Flask-Login


@LOGIN
def test_the_user_of_flask_login_is_the_actor() -> None:
    """From the login on, in later requests, and by token."""
    loaded: list[str] = []
    client = with_login(True, loaded).test_client()
    assert "anonymous" == client.get("/public").text
    assert "anonymous ann" == client.post("/login/ann").text
    assert ["ann", "ann ann"] == [client.get(path).text for path in ("/public", "/private")]
    other = with_login(True, []).test_client()
    assert "bob bob" == other.get("/private", headers={"Authorization": "bob"}).text
    assert 401 == other.get("/private").status_code


@LOGIN
def test_the_extension_does_not_load_users_or_vary_responses() -> None:
    """Headers, cookies and queries for users are as without it."""

    def history(track: bool) -> list[Any]:
        loaded: list[str] = []
        client = with_login(track, loaded).test_client()
        answers = [client.get("/public"), client.post("/login/ann"), client.get("/public"), client.get("/private")]
        keys = [(a.status_code, a.headers.get("Vary"), "Set-Cookie" in a.headers) for a in answers]
        return [keys, loaded]

    assert history(False) == history(True)


@pytest.mark.parametrize(("user", "expected"), [("ann", "ann"), (None, "inside")])
def test_the_actor_of_a_middleware_around_it_stays(user: str | None, expected: str) -> None:
    """The user that a WSGI middleware found stays without one of its own."""
    d = track({})
    app = flask.Flask("shop")
    TrackedRequests(app, fallback="inside", context=lambda request: {"path": request.path})
    inner = flask.Flask("mounted")
    TrackedRequests(inner, fallback="inside")
    for each in (app, inner):

        @each.get("/")
        def write() -> str:
            d["x"] = 1
            return "done"

    for each in (app, inner):
        each.wsgi_app = TrackingMiddleware(each.wsgi_app, actor=lambda environ: user)  # type: ignore[method-assign]
        each.test_client().get("/")
        assert expected == d.last_change().actor
    assert "request_id" in d.last_change().context


def test_without_flask_the_error_says_what_to_install() -> None:
    """The import fails with the name of the package."""
    import subprocess

    program = "import sys; sys.modules['flask'] = None\nimport pydatatracker.integrations.flask"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert "ImportError: pydatatracker.integrations.flask needs Flask: pip install flask" in done.stderr
