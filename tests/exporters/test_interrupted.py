"""A change whose delivery is interrupted is in the log, or a gap is.

KeyboardInterrupt and SystemExit can come at any moment: out of a ``__repr__``, and out of every line of Python.
"""

from __future__ import annotations

import decimal
import http.server
import json
import pathlib
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import pydatatracker
from pydatatracker import TrackedDict, process
from pydatatracker.exporters import HttpExporter, JsonLinesExporter, SealedTable, SqliteExporter
from pydatatracker.exporters.sealing import FileSeals
from pydatatracker.io import ChangeWriter
from pydatatracker.io.seal_check import check_seals
from pydatatracker.observers import json_file_observer

PACKAGE = str(pathlib.Path(pydatatracker.__file__).parent)


class Ending:
    """A value whose text cannot be made, since the program ends."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


def of_file(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines() if line]


def of_database(path: pathlib.Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT line FROM changes ORDER BY seq").fetchall()
    connection.close()
    return [json.loads(line) for (line,) in rows]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[bytes]]]:
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/", got
    running.shutdown()
    thread.join()
    running.server_close()


class Log:
    """A log of one kind, and what is in it."""

    def __init__(self, kind: str, folder: pathlib.Path, server: tuple[str, list[bytes]]) -> None:
        self.kind = kind
        self.path = folder / "log"
        url, self.got = server
        self.observer: Any = {
            "JsonLinesExporter": lambda: JsonLinesExporter(self.path),
            "JsonLinesExporter, rotating": lambda: JsonLinesExporter(self.path, rotate_size=1 << 20),
            "JsonLinesExporter, buffered": lambda: JsonLinesExporter(self.path, buffered=True),
            "JsonLinesExporter, compact": lambda: JsonLinesExporter(self.path, buffered=True, compact=True),
            "JsonLinesExporter, sealed": lambda: JsonLinesExporter(self.path, seal=True, seal_every=2),
            "JsonLinesExporter, sealed, rotating": lambda: JsonLinesExporter(self.path, seal=True, rotate_size=1 << 20),
            "JsonLinesExporter, sealed, buffered": lambda: JsonLinesExporter(self.path, seal=True, buffered=True),
            "SqliteExporter": lambda: SqliteExporter(self.path),
            "SqliteExporter, synchronous": lambda: SqliteExporter(self.path, background=False),
            "SqliteExporter, sealed": lambda: SqliteExporter(self.path, seal=True),
            "SqliteExporter, sealed, synchronous": lambda: SqliteExporter(
                self.path, seal=True, seal_every=2, background=False
            ),
            "HttpExporter": lambda: HttpExporter(url),
            "json_file_observer": lambda: json_file_observer(self.path),
            "ChangeWriter": lambda: ChangeWriter(self.path),
            "ChangeWriter, buffered": lambda: ChangeWriter(self.path, buffered=True),
            "ProcessLog": lambda: process.ProcessLog(self.path),
            "ProcessLog, sealed": lambda: process.ProcessLog(self.path, seals=FileSeals(None, 2)),
        }[kind]()
        self.data: TrackedDict[str, Any] = TrackedDict()
        self.data.tracking_add_observer(getattr(self.observer, "write", self.observer))

    def flush(self) -> None:
        if hasattr(self.observer, "flush"):
            self.observer.flush()

    def close(self) -> list[dict[str, Any]]:
        """Return the lines."""
        if self.kind.startswith("ProcessLog"):
            self.observer._writer.close()
        else:
            self.observer.close()
        if self.kind.startswith("Http"):
            return [json.loads(line) for body in self.got for line in body.splitlines()]
        if "sealed" in self.kind:
            if self.kind.startswith("Sqlite"):
                with SealedTable(self.path) as table:
                    report = check_seals(table)
            else:
                report = check_seals([self.path])
            assert ([], []) == (report.faults, [note for note in report.notes if "no root" in note])
            if not self.kind.startswith("Sqlite"):
                return [line for line in of_file(self.path) if line["action"] != "seal"]
        return of_database(self.path) if self.kind.startswith("Sqlite") else of_file(self.path)

    def newest(self) -> int:
        return self.data.tracking_changes()[-1].seq


KINDS = [
    "JsonLinesExporter",
    "JsonLinesExporter, rotating",
    "JsonLinesExporter, buffered",
    "JsonLinesExporter, compact",
    "JsonLinesExporter, sealed",
    "JsonLinesExporter, sealed, rotating",
    "JsonLinesExporter, sealed, buffered",
    "SqliteExporter",
    "SqliteExporter, synchronous",
    "SqliteExporter, sealed",
    "SqliteExporter, sealed, synchronous",
    "HttpExporter",
    "json_file_observer",
    "ChangeWriter",
    "ChangeWriter, buffered",
    "ProcessLog",
    "ProcessLog, sealed",
]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: pathlib.Path, server: Any) -> Callable[[], Log]:
    made = 0

    def log() -> Log:
        nonlocal made
        made += 1
        folder = tmp_path / str(made)
        folder.mkdir()
        server[1].clear()
        return Log(request.param, folder, server)

    return log


def covered(lines: list[dict[str, Any]]) -> tuple[set[int], set[int]]:
    """Return the changes that are there, and those that a gap names."""
    gaps = {seq for line in lines if line["action"] == "gap" for seq in range(line["from"], line["to"] + 1)}
    return {line["seq"] for line in lines if line["action"] != "gap"}, gaps


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_value_whose_text_ends_the_program(make: Callable[[], Log], error: type[BaseException]) -> None:
    """The error reaches the program; the log says that the change is missing."""
    log = make()
    log.data["a"] = 1
    log.flush()
    with pytest.raises(error):
        log.data["b"] = Ending(error)
    seq = log.newest()
    dropped = log.observer.stats().dropped if hasattr(log.observer, "stats") else 1
    log.data["c"] = 3
    there, gaps = covered(log.close())
    assert {seq} == gaps
    assert {seq - 1, seq + 1} == there
    assert 1 == dropped


class Interrupting:
    """Raise KeyboardInterrupt at the nth line of the package, once."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event in ("call", "line"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def test_at_every_line(make: Callable[[], Log]) -> None:
    """Whatever line is interrupted, the change is there or a gap is."""
    log = make()
    log.data["a"] = 1
    first = log.newest()
    number = 0
    while True:
        number += 1
        interrupting = Interrupting(number)
        before = sys.gettrace()
        sys.settrace(interrupting)
        try:
            log.data["b"] = [decimal.Decimal(number)]  # which the core leaves to Python
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        log.data["c"] = number
        if interrupting.left > 0:
            break
    assert number > 5
    seqs = {change.seq for change in log.data.tracking_changes() if change.seq >= first}
    there, gaps = covered(log.close())
    assert [] == sorted(seqs - there - gaps)
    assert [] == sorted(there & gaps)
    assert number // 100 <= len(gaps)
