"""HTTP connections with one deadline per request, and short answers.

The time-outs of HTTP clients count from one piece of data to the next: a server that sends a byte now and then holds a
client for ever. Here each wait for a socket is at most what is left of the request. Of the body of an answer so much is
read that an error can be quoted; a longer one ends the connection.

A socket neither uses nor closes its descriptor once the program has closed that, and perhaps given the number to a
file of its own.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from pydatatracker.exporters.retry import Deadline
from pydatatracker.io.files import ident_of, is_own

__all__ = ["POOLS", "limited", "short_body"]

_MOST: Final = 1 << 16  # bytes of an answer
_now = threading.local()  # .end: the deadline of the request of this thread


@contextlib.contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Give the requests of this thread so many seconds together.

    :raises TimeoutError: out of a socket, when they are over.
    """
    _now.end = Deadline(seconds)
    try:
        yield
    finally:
        _now.end = None


def short_body(answer: Any) -> bytes:
    """Return the first 64 KiB of the body of an answer.

    The connection can be used again if that was all. Never raises: the status says what became of the request.

    :param answer: of urllib3, not read yet.
    """
    try:
        data: bytes = answer.read(_MOST, decode_content=True)
    except Exception:  # it ended too early, or too late, or is not compressed as it says
        data = b""
        answer.close()
    else:
        if not answer.isclosed():
            answer.close()
    return data[:_MOST]


class _Limited:
    """What both kinds of sockets do before each call."""

    _ident: tuple[int, int] | None = None

    def _begin(self: Any) -> None:
        fd = self.fileno()
        if self._ident is None:
            self._ident = ident_of(fd)
        elif not is_own(fd, self._ident):
            self.detach()
            raise OSError(errno.EBADF, "the program closed the connection")
        end = getattr(_now, "end", None)
        if end is not None:
            left = end.left
            if left <= 0:
                raise TimeoutError("timed out")
            if left < 1 << 30:
                self.settimeout(left)

    def _real_close(self: Any, *args: Any) -> None:
        if self._ident is not None and not is_own(self.fileno(), self._ident):
            self.detach()
            return
        super()._real_close(*args)  # type: ignore[misc]

    def recv_into(self: Any, *args: Any, **kw: Any) -> int:
        self._begin()
        return super().recv_into(*args, **kw)  # type: ignore[misc,no-any-return]

    def recv(self: Any, *args: Any, **kw: Any) -> bytes:
        self._begin()
        return super().recv(*args, **kw)  # type: ignore[misc,no-any-return]

    def send(self: Any, *args: Any, **kw: Any) -> int:
        self._begin()
        return super().send(*args, **kw)  # type: ignore[misc,no-any-return]

    def sendall(self: Any, *args: Any, **kw: Any) -> None:
        self._begin()
        super().sendall(*args, **kw)  # type: ignore[misc]


class _Socket(_Limited, socket.socket):
    """A socket with the deadline of its thread."""


class _TlsSocket(_Limited, ssl.SSLSocket):
    """A TLS socket with the deadline of its thread."""


class _Connection(HTTPConnection):
    """A connection with such sockets."""

    def _new_conn(self) -> socket.socket:
        return _limit(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    """A TLS connection with such sockets."""

    def _new_conn(self) -> socket.socket:
        return _limit(super()._new_conn())

    def connect(self) -> None:
        context = self.ssl_context
        if context is None:  # as urllib3 makes its own
            context = self.ssl_context = create_urllib3_context()
            if not (self.ca_certs or self.ca_cert_dir or self.ca_cert_data):
                context.load_default_certs()
        context.sslsocket_class = _TlsSocket
        super().connect()


def _limit(found: socket.socket) -> socket.socket:
    timeout = found.gettimeout()
    made = _Socket(found.family, found.type, found.proto, fileno=found.detach())
    made.settimeout(timeout)
    made._begin()
    return made


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS: Final[Any] = {"http": _Pool, "https": _TlsPool}  # for the attribute pool_classes_by_scheme of a PoolManager
