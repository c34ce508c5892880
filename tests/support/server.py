"""An HTTP server on the loopback interface that answers as a test says."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from typing import Any


class ScriptedServer:
    """A server that answers each POST with the next entry of ``answers``.

    Subclasses define in `answer` what an entry means. ``connections`` counts connections.
    """

    def __init__(self, port: int = 0) -> None:
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
                outer.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:  # the client followed a redirect
                reply(self, 200, {})

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.port: int = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer a POST."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop listening, and cut the connections."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def reset(request: http.server.BaseHTTPRequestHandler) -> None:
    """Reset the connection of a request."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    request.close_connection = True
    request.connection.close()


def reply(request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str], data: bytes = b"") -> None:
    """Send an answer with a length."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)
