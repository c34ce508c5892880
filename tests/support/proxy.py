"""A TCP proxy before a real peer: down, slow, or cutting connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Proxy:
    """A proxy with its own port; ``up()`` and ``down()`` at will.

    ``cuts`` has one number for each of the next connections: after so many bytes of the request, or of the answer
    if the number is negative, both sides are reset. ``delay`` is the seconds before each piece of an answer is
    passed on.
    """

    def __init__(self, target: int) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self._target = target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.cuts: list[int] = []
        self.delay = 0.0
        self.accepted = 0
        self._over = threading.Event()

    def up(self) -> None:
        """Accept connections."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(50)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and reset open ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for each in list(self._open):
                self._reset(each)

    def close(self) -> None:
        """Close it for good."""
        self._over.set()
        self.down()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            cut = self.cuts.pop(0) if self.cuts else None
            with self._lock:
                self._open |= {client, server}
                if self._listener is not listener:  # it went down in between, and did not see these two
                    self._reset(client)
                    self._reset(server)
                    return
            for source, to, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, to, is_answer, cut), daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket, is_answer: bool, cut: Any) -> None:
        passed = 0
        limit = None if cut is None or (cut < 0) != is_answer else abs(cut)
        try:
            while data := source.recv(65536):
                if is_answer and self.delay:
                    self._over.wait(self.delay)
                if limit is not None and passed + len(data) >= limit:
                    to.sendall(data[: limit - passed])
                    break
                to.sendall(data)
                passed += len(data)
            else:
                limit = None
        except OSError:
            limit = 0
        with self._lock:
            for each in (source, to):
                if limit is not None:
                    self._reset(each)
                else:
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                    each.close()
                self._open.discard(each)

    def _reset(self, each: socket.socket) -> None:
        with contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RD)
        each.close()
        self._open.discard(each)
