"""The WSGI middleware, with the checker of the standard library."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from tracked import everything, who, write_all

from pydatatracker import TrackedDict, tracking_actor, tracking_scope
from pydatatracker.integrations.wsgi import TrackingMiddleware, set_actor


def environ(**more: Any) -> dict[str, Any]:
    """Return the environ of a request."""
    found: dict[str, Any] = {"QUERY_STRING": "", **more}
    setup_testing_defaults(found)
    return found


def respond(app: Any, **more: Any) -> bytes:
    """Serve one request; return the whole response."""
    out = io.BytesIO()
    handler = SimpleHandler(io.BytesIO(), out, io.StringIO(), environ(**more))
    handler.http_version = "1.1"
    handler.run(app)
    return b"\n".join(line for line in out.getvalue().splitlines() if not line.startswith((b"Date", b"Server")))


class Chunks:
    """A body that changes data when it is made, read and closed."""

    def __init__(self, d: Any) -> None:
        self.d = d

    def __iter__(self) -> Iterator[bytes]:
        self.d["iter"] = 1
        for n in range(2):
            self.d[f"chunk {n}"] = 1
            yield b"x"

    def close(self) -> None:
        """Close."""
        self.d["close"] = 1


def streaming(d: Any) -> Any:
    """Return an application with a body like that."""

    def app(environ: Any, start_response: Any) -> Any:
        d["call"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Chunks(d)

    return app


def test_the_body_is_generated_under_the_actor() -> None:
    """Call, iteration and close have it; between them the server has none."""
    d: Any = TrackedDict()
    app = TrackingMiddleware(streaming(d))
    plain = respond(validator(streaming(TrackedDict())))
    assert plain == respond(validator(app), REMOTE_USER="ann", HTTP_X_REQUEST_ID="r")
    assert {"call", "iter", "chunk 0", "chunk 1", "close"} == set(d)
    assert [("ann", {"request_id": "r"})] * 5 == who(d)
    body = app(environ(), lambda *_: None)
    for _ in body:
        assert ("", {}, None) == tracking_scope()
    body.close()  # type: ignore[attr-defined]
    assert ("", {}, None) == tracking_scope()


def test_a_generator_may_be_the_application() -> None:
    """Then start_response is called by the first step."""
    seen = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        seen.append(tracking_scope())
        yield b"x"
        if tracking_scope().actor:
            set_actor("bob", late=1)
        seen.append(tracking_scope())
        yield b"y"
        seen.append(tracking_scope())

    assert respond(app) == respond(TrackingMiddleware(app), REMOTE_USER="ann")
    assert ["", "", "", "ann", "bob", "bob"] == [scope.actor for scope in seen]
    assert [None, 1, 1] == [scope.context.get("late") for scope in seen[3:]]


BODIES = {
    "a list": lambda: [b"one"],
    "a tuple": lambda: (b"one", b"two"),
    "a file": lambda: FileWrapper(io.BytesIO(b"file")),
    "a file of a server": lambda: io.BytesIO(b"file"),
}


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_a_body_in_which_nothing_runs_is_passed_on(make: Any) -> None:
    """Servers look at its type and length."""
    body = make()
    assert body is TrackingMiddleware(lambda *_: body)(environ(**{"wsgi.file_wrapper": FileWrapper}), None)


class Sized(Chunks):
    """A body that knows its length."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        yield b"12345"


def test_a_length_is_kept() -> None:
    """A server computes Content-Length from a body of one chunk."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Sized(TrackedDict())

    assert b"Content-Length: 5" in respond(app)
    assert respond(app) == respond(TrackingMiddleware(app))


def test_an_error_is_the_applications_own() -> None:
    """It passes through, in the call and in the body, and no actor is left."""

    def app(environ: Any, start_response: Any) -> Any:
        if "early" in environ:
            raise ZeroDivisionError
        yield b"x"
        raise LookupError

    with pytest.raises(ZeroDivisionError):
        list(TrackingMiddleware(app)(environ(early=1), None))
    with pytest.raises(LookupError):
        list(TrackingMiddleware(app)(environ(), None))
    assert ("", {}, None) == tracking_scope()


def test_every_container_and_each_thread() -> None:
    """Requests in threads have actors of their own."""
    found: dict[str, set[str]] = {}

    def app(environ: Any, start_response: Any) -> Any:
        containers = everything()
        write_all(containers)
        found[environ["REMOTE_USER"]] = {container.last_change().actor for container in containers}
        return []

    tracked = TrackingMiddleware(app)
    threads = [threading.Thread(target=tracked, args=(environ(REMOTE_USER=str(n)), None)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {str(n): {str(n)} for n in range(8)} == found


def test_functions_find_actor_and_context(caplog: Any) -> None:
    """One that fails is logged, and the fallback is used."""
    seen = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(tracking_scope())
        return []

    tracked = TrackingMiddleware(
        app, actor=lambda environ: environ["user"], fallback="nobody", context=lambda environ: {"n": 1}
    )
    with tracking_actor("server", region="eu"):
        tracked(environ(user="ann"), None)
        tracked(environ(), None)
    assert [("ann", 1, "eu"), ("nobody", None, "eu")] == [
        (scope.actor, scope.context.get("n"), scope.context["region"]) for scope in seen
    ]
    assert 1 == len(caplog.records)
    with pytest.raises(RuntimeError, match="found no request"):
        set_actor("ann")
