"""The ASGI middleware, with Starlette, FastAPI and no framework at all."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, UnauthenticatedUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from tracked import everything, who, write_all

from pydatatracker import TrackedDict, tracking_actor, tracking_scope
from pydatatracker.integrations.asgi import TrackingMiddleware, set_actor

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def user_header(scope: Any) -> str | None:
    """Return the header X-User."""
    found = dict(scope["headers"]).get(b"x-user")
    return None if found is None else found.decode()


class ByHeader(AuthenticationBackend):
    """Authenticates by the header X-User."""

    async def authenticate(self, connection: Any) -> Any:
        """Return a user."""
        name = connection.headers.get("x-user")
        return None if name is None else (AuthCredentials(), SimpleUser(name))


async def call(app: Any, path: str = "/", method: str = "GET", raise_errors: bool = True, **options: Any) -> Any:
    """Send one request to an application."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=raise_errors)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path, **options)


def send(app: Any, *arguments: Any, **options: Any) -> Any:
    """Send one request in a loop of its own."""
    return asyncio.run(call(app, *arguments, **options))


def shop(d: Any) -> FastAPI:
    """Return an application that changes data in every way FastAPI knows."""
    app = FastAPI()

    async def async_dependency() -> Any:
        d["async dependency"] = 1
        yield
        d["async dependency ends"] = 1

    def sync_dependency() -> Any:
        d["sync dependency"] = 1
        yield
        d["sync dependency ends"] = 1

    @app.get("/async", dependencies=[Depends(async_dependency), Depends(sync_dependency)])
    async def async_endpoint(tasks: BackgroundTasks) -> None:
        await asyncio.sleep(0)
        d["async"] = 1
        tasks.add_task(d.__setitem__, "sync background", 1)

        async def later() -> None:
            await asyncio.sleep(0)
            d["async background"] = 1

        tasks.add_task(later)

    @app.get("/sync", dependencies=[Depends(async_dependency), Depends(sync_dependency)])
    def sync_endpoint() -> None:
        d["sync"] = 1

    @app.get("/stream/{kind}")
    async def stream(kind: str) -> StreamingResponse:
        def chunks() -> Any:
            for n in range(3):
                d[f"chunk {n}"] = n
                yield str(n)

        async def async_chunks() -> Any:
            for n in range(3):
                await asyncio.sleep(0)
                d[f"chunk {n}"] = n
                yield str(n)

        return StreamingResponse(chunks() if kind == "sync" else async_chunks())

    @app.get("/error")
    async def error() -> None:
        d["before error"] = 1
        raise ZeroDivisionError("the application's own")

    @app.exception_handler(LookupError)
    async def handled(request: Any, error: Exception) -> PlainTextResponse:
        d["handler"] = 1
        return PlainTextResponse("handled", 404)

    @app.get("/handled")
    async def lookup() -> None:
        raise LookupError

    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        while (text := await socket.receive_text()) != "end":
            d[text] = 1
            await socket.send_text(text)
        await socket.close()

    return app


PATHS = {
    "/async": {"async dependency", "sync dependency", "async", "sync background", "async background",
               "async dependency ends", "sync dependency ends"},
    "/sync": {"async dependency", "sync dependency", "sync", "async dependency ends", "sync dependency ends"},
    "/stream/sync": {"chunk 0", "chunk 1", "chunk 2"},
    "/stream/async": {"chunk 0", "chunk 1", "chunk 2"},
    "/handled": {"handler"},
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_whatever_runs_in_a_request_has_its_actor(path: str) -> None:
    """Endpoints, dependencies, tasks, streams and handlers have it.

    In the event loop and in worker threads; the response is as without the middleware.
    """
    d: Any = TrackedDict()
    app = shop(d)
    plain = send(app, path)
    d.tracking_clear_changes()
    d.clear()
    d.tracking_clear_changes()
    headers = {"X-User": "ann", "X-Request-ID": "r-1", "traceparent": PARENT}
    answer = send(TrackingMiddleware(app, actor=user_header), path, headers=headers)
    context = {
        "request_id": "r-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }
    assert PATHS[path] == set(d)
    assert [("ann", context)] * len(d) == who(d)
    assert (plain.status_code, plain.text, dict(plain.headers)) == (
        answer.status_code, answer.text, dict(answer.headers),
    )  # fmt: skip


def test_every_kind_of_container_is_covered() -> None:
    """Dicts, lists, sets, attributes and the twins record the actor."""
    containers = everything()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        write_all(containers)

    asyncio.run(TrackingMiddleware(app, actor=lambda scope: "ann")({"type": "http", "headers": []}, None, None))
    assert {"ann"} == {container.last_change().actor for container in containers}


def test_an_error_reaches_the_server_and_ends_the_actor() -> None:
    """An exception is the application's own, and no actor is left."""
    d: Any = TrackedDict()
    app = TrackingMiddleware(shop(d), actor=user_header)

    async def main() -> None:
        with pytest.raises(ZeroDivisionError, match="the application's own"):
            await call(app, "/error", headers={"X-User": "ann"})
        assert ("", {}, None) == tracking_scope()

    asyncio.run(main())
    assert "ann" == d.last_change().actor


def test_a_stream_is_not_collected_first() -> None:
    """Each chunk leaves before the next one is made."""
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for n in range(3):
            order.append(f"made {n}")
            await send({"type": "http.response.body", "body": b"x", "more_body": n < 2})

    async def sender(message: Any) -> None:
        order.append(message["type"])

    asyncio.run(TrackingMiddleware(app)({"type": "http", "headers": []}, None, sender))
    body = "http.response.body"
    assert ["http.response.start", "made 0", body, "made 1", body, "made 2", body] == order


def test_concurrent_requests_keep_their_actors() -> None:
    """Requests that are interleaved do not see each other's actor."""
    d: Any = TrackedDict()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for n in range(3):
            await asyncio.sleep(0)
            d[f"{user_header(scope)} {n}"] = n
        await asyncio.to_thread(d.__setitem__, f"{user_header(scope)} thread", 1)

    tracked = TrackingMiddleware(app, actor=user_header)

    async def main() -> None:
        await asyncio.gather(*(
            tracked({"type": "http", "headers": [(b"x-user", str(n).encode())]}, None, None) for n in range(20)
        ))  # fmt: skip

    asyncio.run(main())
    assert 80 == len(d)
    assert all(change.location.split()[0] == change.actor for change in d.tracking_changes()[1:])
    assert 20 == len({change.context["request_id"] for change in d.tracking_changes()[1:]})


def authenticated(order: list[Any]) -> Any:
    """Return a Starlette application with these middlewares."""
    d: Any = TrackedDict()

    async def endpoint(request: Any) -> PlainTextResponse:
        d["x"] = 1
        return PlainTextResponse("done")

    return Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(*each) for each in order]), d


def test_the_user_of_an_outer_authentication_is_the_actor() -> None:
    """scope["user"] is the default; without a user it is the fallback."""

    class Backend(ByHeader):
        async def authenticate(self, connection: Any) -> Any:
            return await super().authenticate(connection) or (AuthCredentials(), UnauthenticatedUser())

    class Tracking(TrackingMiddleware):
        def __init__(self, app: Any) -> None:
            super().__init__(app, fallback="nobody")

    app, d = authenticated([(lambda app: AuthenticationMiddleware(app, Backend()),), (Tracking,)])
    send(app, headers={"X-User": "ann"})
    send(app)
    assert ["ann", "nobody"] == [actor for actor, _ in who(d)]


def test_an_inner_authentication_is_reported(caplog: Any) -> None:
    """If the user comes too late, a warning says once what to do."""
    app, d = authenticated([(TrackingMiddleware,), (lambda app: AuthenticationMiddleware(app, ByHeader()),)])
    with caplog.at_level(logging.WARNING):
        send(app)
        assert [] == caplog.messages
        send(app, headers={"X-User": "ann"})
        send(app, headers={"X-User": "ann"})
    assert ["anonymous"] * 3 == [actor for actor, _ in who(d)]
    (message,) = caplog.messages
    assert "add TrackingMiddleware first" in message


class Odd:
    """A user whose attributes raise."""

    is_authenticated = True

    @property
    def identity(self) -> str:
        """Raise, as Starlette's BaseUser does."""
        raise NotImplementedError

    display_name = "odd"


class Broken:
    """A user that cannot be looked at."""

    @property
    def is_authenticated(self) -> bool:
        """Raise, as a lazy object of Channels does."""
        raise ValueError("Accessing scope user before it is ready.")


USERS = {
    "a name": ("ann", "ann"),
    "none": (None, "anonymous"),
    "empty": ("", "anonymous"),
    "simple": (SimpleUser("ann"), "ann"),
    "unauthenticated": (UnauthenticatedUser(), "anonymous"),
    "odd": (Odd(), "odd"),
    "broken": (Broken(), "anonymous"),
    "claims, which may hold secrets": ({"sub": "ann", "token": "secret"}, "anonymous"),
}


@pytest.mark.parametrize(("user", "expected"), USERS.values(), ids=USERS)
def test_any_user_object_gives_a_name_or_the_fallback(user: Any, expected: str) -> None:
    """No user object fails a request, and none is shown by its repr."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(tracking_scope().actor)

    asyncio.run(TrackingMiddleware(app)({"type": "http", "headers": [], "user": user}, None, None))
    assert [expected] == seen


async def by_database(scope: Any) -> str:
    """Find the actor with a query."""
    await asyncio.sleep(0)
    return "ann"


def failing(scope: Any) -> str:
    """Raise."""
    raise KeyError("no such header")


ACTORS = {
    "async": (by_database, "ann", 0),
    "an id": (lambda scope: 42, "42", 0),
    "none": (lambda scope: None, "anonymous", 0),
    "a user": (lambda scope: SimpleUser("ann"), "ann", 0),
    "an error": (failing, "anonymous", 1),
    "no name": (lambda scope: {"sub": "ann"}, "anonymous", 1),
}


@pytest.mark.parametrize(("actor", "expected", "warnings"), ACTORS.values(), ids=ACTORS)
def test_the_actor_may_be_found_by_a_function(actor: Any, expected: str, warnings: int, caplog: Any) -> None:
    """It may be async; one that fails is logged, and the request goes on."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(tracking_scope())

    tracked = TrackingMiddleware(app, actor=actor, context=lambda scope: {"path": scope["path"]})
    asyncio.run(tracked({"type": "http", "path": "/p", "headers": [(b"x-request-id", b"r")]}, None, None))
    assert [expected] == [scope.actor for scope in seen]
    assert warnings == len(caplog.records)
    assert ({"request_id": "r"} if warnings else {"request_id": "r", "path": "/p"}) == dict(seen[0].context)


IDS = {
    b"r-7": "r-7",
    b"7b1c8d20-2f0e": "7b1c8d20-2f0e",
    b"": None,
    b"two words": None,
    b"a\nb": None,
    b"x" * 129: None,
    "ä".encode(): None,
}


@pytest.mark.parametrize(("given", "kept"), IDS.items())
def test_a_request_id_is_kept_if_it_can_be_logged(given: bytes, kept: str | None) -> None:
    """A client's id is kept if it is short and visible, else replaced."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(tracking_scope().context["request_id"])

    asyncio.run(TrackingMiddleware(app)({"type": "http", "headers": [(b"X-Request-Id", given)]}, None, None))
    assert seen == [kept] if kept else re.fullmatch("[0-9a-f]{32}", seen[0])


TRACES = {
    PARENT: True,
    PARENT.upper(): False,
    PARENT + "-more": False,
    "01" + PARENT[2:] + "-more": True,
    "ff" + PARENT[2:]: False,
    PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32): False,
    PARENT.replace("b7ad6b7169203331", "0" * 16): False,
    PARENT[:-1]: False,
    "": False,
    "\xff" * 55: False,
}


@pytest.mark.parametrize(("given", "valid"), TRACES.items())
def test_a_trace_is_taken_only_if_it_is_valid(given: str, valid: bool) -> None:
    """What is no W3C traceparent is ignored."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(tracking_scope().context))

    headers = [(b"traceparent", given.encode("latin-1"))]
    asyncio.run(TrackingMiddleware(app)({"type": "http", "headers": headers}, None, None))
    assert valid is ("trace_id" in seen[0])


def test_the_current_span_comes_before_the_header() -> None:
    """In a span of OpenTelemetry its ids are the trace."""
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(tracking_scope().context)

    with trace.TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        headers = [(b"traceparent", PARENT.encode())]
        asyncio.run(TrackingMiddleware(app)({"type": "http", "headers": headers}, None, None))
    ids = span.get_span_context()
    assert (f"{ids.trace_id:032x}", f"{ids.span_id:016x}") == (seen[0]["trace_id"], seen[0]["span_id"])


# ---- the actor that is found while the request runs


def dependencies(d: Any) -> FastAPI:
    """Return an application whose dependencies find the user."""
    app = FastAPI()

    async def user() -> str:
        set_actor("ann", role="buyer")
        return "ann"

    def sync_user() -> str:
        set_actor("ann")
        return "ann"

    async def with_block() -> Any:
        with tracking_actor("ann", role="buyer"):
            yield

    def sync_with_block() -> Any:
        with tracking_actor("ann"):
            yield

    for name, dependency in {
        "set": user,
        "set-sync": sync_user,
        "block": with_block,
        "block-sync": sync_with_block,
    }.items():

        @app.get(f"/{name}/async")
        async def async_endpoint(tasks: BackgroundTasks, user: Any = Depends(dependency)) -> StreamingResponse:
            d["endpoint"] = 1
            tasks.add_task(d.__setitem__, "task", 1)

            def chunks() -> Any:
                d["chunk"] = 1
                yield "x"

            return StreamingResponse(chunks(), background=tasks)

        @app.get(f"/{name}/sync")
        def sync_endpoint(user: Any = Depends(dependency)) -> None:
            d["endpoint"] = 1

    return app


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("name", ["set", "block"])
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_an_async_dependency_sets_the_actor(name: str, kind: str, base: bool) -> None:
    """set_actor() and tracking_actor work in an ``async def`` dependency.

    For endpoints of both kinds, also inside of a BaseHTTPMiddleware, which runs the application in another task.
    """
    d: Any = TrackedDict()
    app: Any = dependencies(d)
    if base:

        async def dispatch(request: Any, call_next: Any) -> Any:
            return await call_next(request)

        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    app.add_middleware(TrackingMiddleware)

    async def main() -> None:
        await call(app, f"/{name}/{kind}", headers={"X-Request-ID": "r"})
        assert ("", {}, None) == tracking_scope()

    asyncio.run(main())
    assert {"ann"} == {actor for actor, _ in who(d)}
    assert {"role": "buyer", "request_id": "r"} == who(d)[0][1]
    assert (3 if kind == "async" else 1) == len(d)


def test_a_dependency_in_a_thread_says_so() -> None:
    """set_actor() in a ``def`` dependency raises.

    It could not reach the endpoint.
    """
    with pytest.raises(RuntimeError, match="make the function that calls it async def"):
        send(TrackingMiddleware(dependencies(TrackedDict())), "/set-sync/async")


def test_a_block_in_a_sync_dependency_does_not_reach_the_endpoint() -> None:
    """The documented miss: FastAPI runs it in a copy of the context."""
    d: Any = TrackedDict()
    send(TrackingMiddleware(dependencies(d)), "/block-sync/sync")
    assert ["anonymous"] == [actor for actor, _ in who(d)]


def test_set_actor_holds_for_the_rest_of_one_request() -> None:
    """It replaces the actor from there on, and is gone in the next request."""
    d: Any = TrackedDict()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        d["first"] = 1
        if user_header(scope):
            set_actor("ann", step=1)
            d["second"] = 1
            set_actor("admin", step=2)
            await asyncio.create_task(asyncio.to_thread(d.__setitem__, "third", 1))

    tracked = TrackingMiddleware(app, fallback="nobody")

    async def main() -> None:
        for headers in ([(b"x-user", b"ann")], []):
            await tracked({"type": "http", "headers": headers}, None, None)
            assert "" == tracking_scope().actor

    asyncio.run(main())
    assert [("nobody", None), ("ann", 1), ("admin", 2), ("nobody", None)] == [
        (actor, context.get("step")) for actor, context in who(d)
    ]
    with pytest.raises(RuntimeError, match="found no request here"):
        set_actor("ann")
    with pytest.raises(TypeError, match="an actor is a str"):
        set_actor(5)  # type: ignore[arg-type]


def test_a_mounted_application_keeps_the_request_id() -> None:
    """Two middlewares around one request agree on its id."""
    inner, outer = TrackedDict(), TrackedDict()

    async def endpoint(request: Any) -> PlainTextResponse:
        inner["x"] = 1
        return PlainTextResponse("done")

    class Outer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            outer["x"] = 1
            await self.app(scope, receive, send)

    mounted = TrackingMiddleware(Starlette(routes=[Route("/", endpoint)]), actor=lambda scope: "inner")
    send(TrackingMiddleware(Outer(Starlette(routes=[Mount("/sub", mounted)])), actor=lambda scope: "outer"), "/sub/")
    ((first, one),) = who(outer)
    ((second, two),) = who(inner)
    assert ("outer", "inner") == (first, second)
    assert one["request_id"] == two["request_id"]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("ann", None, ["ann", "ann"]),
        ("ann", "bob", ["ann", "bob"]),
        (None, "bob", ["outside", "bob"]),
        (None, None, ["outside", "inside"]),
    ],
)
def test_a_mounted_application_without_a_user_keeps_the_actor(
    outer: str | None, inner: str | None, expected: list[str]
) -> None:
    """A middleware without a user keeps the one found around it."""
    d = TrackedDict()

    async def endpoint(request: Any) -> PlainTextResponse:
        d["inner"] = 1
        return PlainTextResponse("done")

    class Outer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            d["outer"] = 1
            await self.app(scope, receive, send)

    sub = Starlette(routes=[Route("/", endpoint)])
    mounted = TrackingMiddleware(sub, actor=lambda scope: inner, fallback="inside")
    app = Starlette(routes=[Mount("/sub", mounted)])
    send(TrackingMiddleware(Outer(app), actor=lambda scope: outer, fallback="outside"), "/sub/")
    assert expected == [actor for actor, _ in who(d)]


def test_a_context_that_leaks_from_another_request_is_not_inherited() -> None:
    """A server may start a request in the context of another one.

    uvicorn does so with pipelined requests. Neither its id nor its context come along.
    """
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(tracking_scope())
        if user_header(scope):
            await asyncio.create_task(tracked({"type": "http", "headers": []}, None, None))

    tracked = TrackingMiddleware(
        app, actor=user_header, context=lambda scope: {"by": 1} if user_header(scope) else None
    )
    asyncio.run(
        tracked({"type": "http", "headers": [(b"x-user", b"ann"), (b"traceparent", PARENT.encode())]}, None, None)
    )
    first, second = seen
    assert ("ann", {"request_id", "trace_id", "span_id", "by"}) == (first.actor, set(first.context))
    assert ("anonymous", {"request_id"}) == (second.actor, set(second.context))
    assert first.context["request_id"] != second.context["request_id"]


def test_an_actor_around_the_server_gives_its_context() -> None:
    """The context of a block around the server is added to each request's."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(tracking_scope())

    async def main() -> None:
        with tracking_actor("server", region="eu"):
            await TrackingMiddleware(app)({"type": "http", "headers": []}, None, None)

    asyncio.run(main())
    assert ("anonymous", "eu") == (seen[0].actor, seen[0].context["region"])


def test_a_cancelled_request_ends_its_actor() -> None:
    """Cancellation passes through, and the finally clause has the actor."""
    d: Any = TrackedDict()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            d["cleaned"] = 1

    async def main() -> None:
        task = asyncio.create_task(TrackingMiddleware(app)({"type": "http", "headers": []}, None, None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert "anonymous" == d.last_change().actor


@pytest.mark.parametrize("options", [{"actor": "ann"}, {"context": {}}, {"fallback": None}])
def test_wrong_options_are_refused_at_once(options: Any) -> None:
    """The message names the option and what it takes."""
    with pytest.raises(TypeError, match=next(iter(options))):
        TrackingMiddleware(None, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        lambda: iter([(b"x-request-id", b"r-7"), (b"a", b"b")]),
        lambda: ([key, b"r-7"] for key in (b"X-Request-ID", b"a")),
        lambda: [("x-request-id", "r-8"), (b"x-request-id", b"r-7")],
        lambda: [(b"a", b"b", b"c"), (b"b",), (b"x-request-id", b"r-7")],
    ],
)
def test_the_application_gets_the_headers_as_they_are(headers: Any) -> None:
    """Headers that can be read once only reach the application.

    Wrong ones do not fail the request in the middleware.
    """
    d, got = TrackedDict(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend(map(tuple, scope["headers"]))
        d["x"] = 1

    asyncio.run(TrackingMiddleware(app)({"type": "http", "headers": headers()}, None, None))
    assert list(map(tuple, headers())) == got
    assert "r-7" == d.last_change().context["request_id"]


def test_it_needs_no_framework() -> None:
    """Importing the middleware imports neither Starlette nor OpenTelemetry."""
    import subprocess
    import sys

    program = (
        "import sys, pydatatracker.integrations.asgi, pydatatracker.integrations.wsgi\n"
        "print([name for name in ('starlette', 'fastapi', 'flask', 'opentelemetry', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "[]\n" == done.stdout
