"""HTTP against a real server on the loopback interface: up, down, slow, refusing, resetting."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import gzip
import http.server
import json
import pathlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pydatatracker import TrackedDict
from pydatatracker.exporters.http import HttpExporter

pytest.importorskip("urllib3", reason="the extra http is not installed")


class Server:
    """A server that answers as the test says: a list of (status, headers), then 204 for ever."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[Any] = []
        self.connections = 0
        self.open: set[socket.socket] = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()
                outer.open.add(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = outer.answers.pop(0) if outer.answers else (204, {})
                if answer == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers = answer
                if status < 300:
                    outer.requests.append((self.path, dict(self.headers), body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/audit"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def changes(self) -> list[dict[str, Any]]:
        found = []
        for _, headers, body in self.requests:
            if headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            text = body.decode()
            found += json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.mark.parametrize(
    "options", [{}, {"body": "array"}, {"compress": True}, {"body": "array", "compress": True, "compact": True}]
)
def test_batches_arrive_in_order_over_one_connection(server: Server, options: Any) -> None:
    """As NDJSON or an array, compressed or not; the connection is kept alive."""
    d = TrackedDict()
    with HttpExporter(server.url, headers={"Authorization": "Bearer x"}, batch_items=10, **options) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(55):
            d["n"] = n
        assert exporter.flush(30)
    assert list(range(55)) == [change["after"] for change in server.changes()]
    assert 1 == server.connections
    path, headers, _ = server.requests[0]
    assert ("/audit", "Bearer x") == (path, headers["Authorization"])
    assert ("application/json" if "body" in options else "application/x-ndjson") == headers["Content-Type"]
    assert 55 == exporter.stats().sent


@pytest.mark.parametrize("answer", [(429, {"Retry-After": "0"}), (503, {}), (500, {}), (408, {}), "reset"])
def test_what_may_pass_is_tried_again(server: Server, answer: Any) -> None:
    """Counts match and order holds."""
    server.answers = [answer, answer]
    d = TrackedDict()
    with HttpExporter(server.url, retry_first=0.001, batch_items=5) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(12):
            d["n"] = n
    assert list(range(12)) == [change["after"] for change in server.changes()]
    assert 2 == exporter.stats().retried


def test_retry_after_is_honoured_as_a_date_too(server: Server) -> None:
    """RFC 9110: seconds or a date; one in the past means now."""
    past = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1), usegmt=True)
    server.answers = [(503, {"Retry-After": past}), (503, {"Retry-After": "nonsense"})]
    d = TrackedDict()
    with HttpExporter(server.url, retry_first=0.001) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        assert exporter.flush(30)
    assert 1 == len(server.changes())


def test_other_4xx_go_to_the_dead_letters(server: Server, tmp_path: pathlib.Path, caplog: Any) -> None:
    """Once, without another try; what comes after is delivered."""
    server.answers = [(400, {})]
    dead = tmp_path / "dead.jsonl"
    d = TrackedDict()
    with HttpExporter(server.url, dead_letter=dead) as exporter:
        d.tracking_add_observer(exporter)
        d["bad"] = 1
        assert exporter.flush(30)
        d["good"] = 2
    assert ["/bad"] == [json.loads(line)["pointer"] for line in dead.read_text().splitlines()]
    assert ["/good"] == [change["pointer"] for change in server.changes()]
    assert (1, 0) == (exporter.stats().rejected, exporter.stats().retried)
    assert "answered 400" in caplog.text


def test_a_server_that_is_down_and_comes_back() -> None:
    """The program goes on meanwhile; everything arrives, in order."""
    first = Server()
    port = first.port
    d = TrackedDict()
    exporter = HttpExporter(first.url, retry_first=0.01, retry_most=0.1, batch_items=7)
    d.tracking_add_observer(exporter)
    d["n"] = -1
    assert exporter.flush(30)
    first.stop()
    for n in range(100):
        d["n"] = n
    assert not exporter.flush(0.2)
    second = Server(port)
    assert exporter.flush(60)
    exporter.close()
    second.stop()
    assert list(range(100)) == [change["after"] for change in second.changes()]


def test_a_client_of_ones_own_is_called_then_and_there(caplog: pytest.LogCaptureFixture) -> None:
    """post(url, json=change, **kw), once a change; an error is counted and logged, never raised."""
    calls: list[Any] = []

    def post(url: str, json: Any, timeout: int) -> None:
        calls.append((url, json["after"], timeout))
        if json["after"] == 2:
            raise ConnectionError("gone")

    d = TrackedDict()
    exporter = HttpExporter(post, "http://x/", timeout=5)
    d.tracking_add_observer(exporter)
    d["a"] = 1
    assert [("http://x/", 1, 5)] == calls
    d["a"] = 2
    assert "ConnectionError: gone" in caplog.text
    assert (1, 1) == (exporter.stats().sent, exporter.stats().dropped)


def test_the_runtime_under_a_client_of_ones_own() -> None:
    """background=True: from a thread, and tried again."""
    calls: list[int] = []

    def post(url: str, json: Any) -> None:
        calls.append(json["after"])
        if len(calls) == 1:
            raise ConnectionError

    d = TrackedDict()
    with HttpExporter(post, "http://x/", background=True, retry_first=0.001) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
    assert [1, 1] == calls


@pytest.mark.parametrize(
    ("error", "args", "kwargs"),
    [
        (ValueError, ("ftp://x",), {}),
        (TypeError, (5,), {}),
        (TypeError, (print,), {}),
        (ValueError, ("http://x",), {"body": "xml"}),
        (ValueError, ("http://x",), {"on_full": "explode"}),
    ],
)
def test_bad_arguments(error: type[Exception], args: Any, kwargs: Any) -> None:
    """A sentence at once."""
    with pytest.raises(error):
        HttpExporter(*args, **kwargs)
