"""A server cannot hold a request longer than its time-out.

Nor can it fill the memory with its answer.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pydatatracker import TrackedDict
from pydatatracker.exporters.base import item_of
from pydatatracker.exporters.http import HttpSink
from pydatatracker.exporters.otel.exporter import OtlpSink
from pydatatracker.exporters.sink import Item, SinkUnavailable

pytest.importorskip("urllib3", reason="the extra http is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")

SINKS: dict[str, Callable[[str], Any]] = {
    "http": lambda url: HttpSink(url, timeout=0.5),
    "otel": lambda url: OtlpSink(url, timeout=0.5),
}
OK = b"HTTP/1.1 200 OK\r\n"
FAILED = b"HTTP/1.1 500 Oh\r\n"
LENGTH = b"Content-Length: 1000000\r\n\r\n"
PAUSE = 0.05  # seconds between two bytes: a tenth of the time-out of a request
BYTES = 400  # after which a server of this test gives up: 20 seconds


class RawServer:
    """A server that answers with bytes, each connection alike."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.begin = b""  # of each answer
        self.drip = b""  # then this, byte by byte, again and again
        self.flood = b""  # then this, again and again
        self.sent = 0
        self.gave_up = False
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                while self.begin:
                    self.read(connection)
                    self.answer(connection)
                    if self.drip or self.flood:
                        break

    def read(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                raise OSError
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += connection.recv(65536)

    def answer(self, connection: socket.socket) -> None:
        connection.sendall(self.begin)
        for number in range(BYTES if self.drip else 0):
            connection.sendall(self.drip[number % len(self.drip) :][:1])
            if self.done.wait(PAUSE):
                return
        self.gave_up = bool(self.drip)
        while self.flood and self.sent < 1 << 28:
            self.sent += connection.send(self.flood)

    def close(self) -> None:
        self.done.set()
        with contextlib.suppress(OSError):  # closed before
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[RawServer]:
    running = RawServer()
    yield running
    running.close()


@pytest.fixture(params=list(SINKS))
def sink(request: pytest.FixtureRequest, server: RawServer) -> Iterator[Any]:
    made = SINKS[request.param](server.url)
    yield made
    made.close()


@pytest.fixture
def item() -> Any:
    items: list[Item] = []
    d: TrackedDict[str, int] = TrackedDict()
    d.tracking_add_observer(lambda change: items.append(item_of(change)))  # type: ignore[arg-type]
    d["a"] = 1
    return items[0]


@pytest.mark.parametrize(
    ("begin", "drip"),
    [(b"HTTP/1.1 2", b"0"), (OK, b"X-A: 1\r\n"), (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["status", "headers", "continue"],
)
def test_an_answer_that_does_not_begin(server: RawServer, sink: Any, item: Any, begin: bytes, drip: bytes) -> None:
    """It is sent again later, although there was some data all the time."""
    server.begin, server.drip = begin, drip
    with pytest.raises(SinkUnavailable):
        sink.send([item])
    assert not server.gave_up


def test_a_refusal_that_does_not_end(server: RawServer, sink: Any, item: Any) -> None:
    """The status says what became of the request."""
    server.begin, server.drip = FAILED + LENGTH, b"x"
    with pytest.raises(SinkUnavailable, match="500"):
        sink.send([item])
    assert not server.gave_up


def test_an_acceptance_that_does_not_end(server: RawServer, sink: Any, item: Any) -> None:
    """The server has taken it: it is not sent again."""
    server.begin, server.drip = OK + LENGTH, b"x"
    sink.send([item])
    assert not server.gave_up


@pytest.mark.parametrize("status", [OK, FAILED], ids=["200", "500"])
@pytest.mark.parametrize(
    ("headers", "flood"),
    [
        (b"\r\n", b"x" * 65536),
        (b"Content-Length: 100000000000\r\n\r\n", b"x" * 65536),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["no length", "length", "chunked"],
)
def test_an_endless_answer(
    server: RawServer, sink: Any, item: Any, status: bytes, headers: bytes, flood: bytes
) -> None:
    """64 KiB of it are read, and what the buffers of the system hold."""
    server.begin, server.flood = status + headers, flood
    with contextlib.nullcontext() if status is OK else pytest.raises(SinkUnavailable, match="500"):
        sink.send([item])
    server.close()
    assert server.sent < 1 << 25


@pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")
def test_a_connection_whose_number_the_program_has_taken(
    server: RawServer, sink: Any, item: Any, tmp_path: pathlib.Path
) -> None:
    """The file under that number is neither written to nor closed."""
    server.begin = OK + b"Content-Length: 0\r\n\r\n"
    sink.send([item])
    port = int(server.url.rpartition(":")[2].strip("/"))
    taken = []
    own = tmp_path / "own.txt"
    own.write_bytes(b"own\n")
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            with socket.socket(fileno=os.dup(int(name))) as copy:
                if copy.getpeername()[1] != port:
                    continue
            fd = os.open(own, os.O_RDWR)
            os.dup2(fd, int(name))
            os.close(fd)
            taken.append(int(name))
    assert 1 == len(taken)
    for _ in range(3):
        with contextlib.suppress(SinkUnavailable):
            sink.send([item])
    sink.send([item])
    sink.close()
    assert b"own\n" == own.read_bytes()
    os.close(taken[0])
