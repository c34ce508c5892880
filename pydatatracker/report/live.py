"""The page served to this machine, with later changes of the log.

A script of another site in the same browser could reach a port of this machine under a host name of its own (DNS
rebinding). So a request without the token, or for another Host, gets a 404, and other origins cannot read any
answer.
"""

from __future__ import annotations

import contextlib
import http.server
import secrets
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pydatatracker import _forks
from pydatatracker.io.line import LogLine
from pydatatracker.report.data import TABLES, Changes
from pydatatracker.report.page import page, policy

__all__ = ["Server"]

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{policy(live=True)}; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server:
    """Serves the changes on 127.0.0.1 until `close`.

    ``url`` is the only address that answers.

    :param port: 0 for any free port.
    :raises OSError: if the port is in use.
    """

    def __init__(self, changes: Changes, port: int = 0) -> None:
        self._changes = changes
        self._lock = threading.Lock()
        _forks.keep(self, _forks.LOGS)
        token = secrets.token_urlsafe(16)
        self._http = _Quiet(("127.0.0.1", port), _handler(self, f"/{token}/"))
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/{token}/"

    def after_fork(self) -> None:
        """Make the lock anew, and leave the port to the parent."""
        self._lock = threading.Lock()
        self._http.socket.close()

    def add(self, line: LogLine, listed: bool = True) -> None:
        """Add a line, which open pages show within a second. O(line)."""
        with self._lock:
            self._changes.add(line, listed)

    def add_error(self, error: Exception) -> None:
        """Add the error of a line that cannot be read."""
        with self._lock:
            self._changes.add_error(error)

    def follow(self, lines: Iterable[LogLine | None], listed: Callable[[LogLine], bool]) -> None:
        """Add the lines of a log that grows, from a thread."""

        def run() -> None:
            try:
                for line in lines:
                    if line is not None:
                        self.add(line, listed(line))
            except OSError:  # the log was removed: what was read stays
                pass
            except Exception as error:
                _log_error("the page does not follow the log any more", error)

        threading.Thread(target=run, name="pydatatracker-view", daemon=True).start()

    def serve(self) -> None:
        """Answer requests until `close`, or until an exception is raised."""
        self._http.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Close the port."""
        self._http.server_close()

    def whole(self) -> bytes:
        """Return the page."""
        with self._lock:
            return "".join(page(self._changes, live=True)).encode()

    def since(self, known: str) -> bytes:
        """Return what is new as JSON, null for nothing.

        Raises ValueError if ``known`` is not what the page sends.
        """
        numbers = [int(each) for each in known.split(".")]
        if len(numbers) != 2 + len(TABLES) or min(numbers) < 0:
            raise ValueError("not a request of the page")
        with self._lock:
            return self._changes.since(numbers[0], tuple(numbers[1:])).encode()


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # an OSError: the browser went away
            _log_error("a request of the page failed", error)


def _log_error(what: str, error: BaseException | None) -> None:
    import logging

    with contextlib.suppress(Exception):  # a handler that raises
        logging.getLogger("pydatatracker").error("%s: %s: %s", what, type(error).__name__, error)


def _handler(server: Server, home: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        server_version = "pydatatracker"
        sys_version = ""
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            hosts = (f"127.0.0.1:{server.port}", f"localhost:{server.port}")
            mine = secrets.compare_digest(where.path[: len(home)].encode(), home.encode())
            if self.headers.get("Host") not in hosts or not mine:
                self.answer(404, "text/plain", b"Nothing here. Use the whole address that was printed.\n")
            elif where.path == home:
                self.answer(200, "text/html; charset=utf-8", server.whole())
            elif where.path == f"{home}changes":
                try:
                    found = server.since(parse_qs(where.query).get("known", [""])[0])
                except ValueError as error:
                    self.answer(400, "text/plain", f"{error}\n".encode())
                else:
                    self.answer(200, "application/json", found)
            else:
                self.answer(404, "text/plain", b"Nothing here.\n")

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the tab was closed
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass  # the terminal belongs to the user

    return Handler
