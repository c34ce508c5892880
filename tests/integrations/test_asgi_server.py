"""The ASGI middleware behind a real server: uvicorn."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
client = pytest.importorskip("websockets.sync.client")

from fastapi import FastAPI, WebSocket
from tracked import who

from pydatatracker import TrackedDict
from pydatatracker.integrations.asgi import TrackingMiddleware

# Of uvicorn's own use of asyncio and websockets.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:uvicorn", "ignore::DeprecationWarning:websockets")


@contextlib.contextmanager
def served(app: Any) -> Iterator[int]:
    """Serve an application in a thread; give the port."""
    config = uvicorn.Config(app, port=0, log_level="error", ws="websockets-sansio", http="h11", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def by_header(scope: Any) -> str | None:
    """Return the header X-User."""
    found = dict(scope["headers"]).get(b"x-user")
    return None if found is None else found.decode()


def shop(d: Any) -> FastAPI:
    """Return an application with a lifespan, a path and a WebSocket."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        d["start"] = 1
        yield
        d["stop"] = 1

    app = FastAPI(lifespan=lifespan)

    @app.get("/{name}")
    async def store(name: str) -> str:
        d[name] = 1
        return name

    @app.websocket("/socket")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        while (text := await socket.receive_text()) != "end":
            d[text] = 1
            await socket.send_text(text)
        await socket.close()

    return app


def test_a_websocket_has_one_actor_and_the_lifespan_none() -> None:
    """Every message of a connection has the actor; startup has none."""
    d: Any = TrackedDict()
    seen = []
    with served(TrackingMiddleware(shop(d), actor=by_header)) as port:
        url = f"ws://127.0.0.1:{port}/socket"
        with client.connect(url, additional_headers={"X-User": "ann"}, proxy=None) as connection:
            for text in ("one", "two"):
                connection.send(text)
                seen.append(connection.recv(20))
            connection.send("end")
    assert ["one", "two"] == seen
    assert [("start", ""), ("one", "ann"), ("two", "ann"), ("stop", "")] == [
        (change.location, change.actor) for change in d.tracking_changes()[1:]
    ]
    one, two = (context for actor, context in who(d) if actor == "ann")
    assert one == two
    assert {"request_id"} == set(one)


def test_pipelined_requests_do_not_share_a_context() -> None:
    """Requests that wait on one connection each have their own actor."""
    d: Any = TrackedDict()
    lines = "GET /{} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    extra = "X-User: ann\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    requests = [lines.format("a", extra), lines.format("b", ""), lines.format("c", "Connection: close\r\n")]
    with (
        served(TrackingMiddleware(shop(d), actor=by_header)) as port,
        socket.create_connection(("127.0.0.1", port), 20) as connection,
    ):
        connection.sendall("".join(requests).encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert 3 == answer.count(b"HTTP/1.1 200")
    (_, (ann, first), (second, two), (third, three), _) = who(d)
    assert ("ann", "anonymous", "anonymous") == (ann, second, third)
    assert ({"request_id", "trace_id", "span_id"}, {"request_id"}, {"request_id"}) == (set(first), set(two), set(three))
    assert 3 == len({context["request_id"] for context in (first, two, three)})
