"""Logs that are pipes or devices: no call waits for ever.

And no change is lost in silence.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pydatatracker import TrackedDict, process
from pydatatracker.exporters import (
    Delivery,
    Exporter,
    Item,
    JsonLinesExporter,
    SinkRejected,
    SqlExporter,
    SqliteExporter,
)
from pydatatracker.io import ChangeWriter, files, read_changes
from pydatatracker.observers import json_file_observer

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX")
WAIT = 0.2


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for readers only shortly."""
    monkeypatch.setattr(files, "PATIENCE", WAIT)


@pytest.fixture
def pipe(tmp_path: pathlib.Path) -> str:
    """Return the path of a pipe that nobody has opened."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return str(path)


def observing(observer: Any) -> TrackedDict:
    d = TrackedDict()
    d.tracking_add_observer(observer)
    return d


WRITERS: dict[str, Callable[[str], Any]] = {
    "ChangeWriter": lambda path: ChangeWriter(path, compact=True),
    "json_file_observer": lambda path: json_file_observer(path, compact=True),
    "JsonLinesExporter": lambda path: JsonLinesExporter(path, compact=True),
    "JsonLinesExporter, fsync": lambda path: JsonLinesExporter(path, compact=True, fsync="always"),
    "JsonLinesExporter, buffered": lambda path: JsonLinesExporter(path, compact=True, buffered=True, fsync="batch"),
}


def observer_of(writer: Any) -> Any:
    return writer.write if isinstance(writer, ChangeWriter) else writer


class Reader(threading.Thread):
    """Reads a pipe until it is closed, from a moment on."""

    def __init__(self, path: str, after: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.path, self.after, self.data = path, after, b""
        self.start()

    def run(self) -> None:
        time.sleep(self.after)
        with open(self.path, "rb") as file:
            self.data = file.read()


@contextlib.contextmanager
def quick(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


@pytest.mark.parametrize("name", WRITERS)
def test_a_pipe_without_a_reader_is_an_error(name: str, pipe: str) -> None:
    """It says what it waited for, and how long."""
    with quick(10), pytest.raises(TimeoutError, match=r"no process reads this pipe: waited 0\.2 s"):
        WRITERS[name](pipe)


@pytest.mark.parametrize("name", WRITERS)
def test_a_reader_that_comes_later_gets_every_line(name: str, pipe: str, caplog: pytest.LogCaptureFixture) -> None:
    """Opening the pipe waits for its reader.

    fsync, which pipes do not have, is left out, and the logger says so once.
    """
    reader = Reader(pipe, WAIT / 2)
    writer = WRITERS[name](pipe)
    d = observing(observer_of(writer))
    for n in range(5):
        d["n"] = n
    writer.close()
    reader.join(10)
    assert list(range(5)) == [line.after for line in lines_of(reader.data)]
    if hasattr(writer, "stats"):
        assert (0, None) == (writer.stats().dropped, writer.stats().last_error)
    assert caplog.text.count("written without fsync") == (1 if "fsync" in name or "buffered" in name else 0)


def drained(fd: int) -> bytes:
    data = b""
    with contextlib.suppress(BlockingIOError):
        while more := os.read(fd, 1 << 20):
            data += more
    return data


def lines_of(data: bytes) -> Any:
    return list(read_changes(io.BytesIO(data), strict=True))


@pytest.mark.parametrize("name", ["ChangeWriter", "JsonLinesExporter"])
def test_a_reader_that_does_not_read_costs_one_wait(name: str, pipe: str) -> None:
    """After one wait, lines are dropped at once.

    A gap says which, when it reads again.
    """
    fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = WRITERS[name](pipe)
    d = observing(observer_of(writer))
    with quick(20):
        for n in range(400):
            d["n"] = f"{n} " + "x" * 1000
    assert d["n"].startswith("399 ")
    data = drained(fd)
    d["n"] = "last"
    writer.close()
    lines = lines_of(data + drained(fd))
    os.close(fd)
    (gap,) = (line for line in lines if line.is_gap)
    seen = [line.seq for line in lines if not line.is_gap]
    first, last = gap.gap
    assert "last" == lines[-1].after
    assert list(range(seen[0], seen[-1] + 1)) == sorted({*seen, *range(first, last + 1)})
    assert set(seen).isdisjoint(range(first, last + 1))
    assert "nobody reads" in gap.reason
    if name == "JsonLinesExporter":
        assert last - first + 1 == writer.stats().dropped


def test_a_line_longer_than_the_pipe_is_ended(pipe: str) -> None:
    """A line of which a part was written ends before the next one."""
    fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with json_file_observer(pipe, compact=True) as observer:
        d = observing(observer)
        d["long"] = "x" * 1_000_000
        data = drained(fd)
        d["short"] = 1
        data += drained(fd)
    os.close(fd)
    torn, gap, short = data.splitlines()
    assert torn.endswith(b"xx")
    assert b'"gap"' in gap
    assert b'"/short"' in short


def test_a_long_line_reaches_a_reader_that_reads(pipe: str) -> None:
    """In as many pieces as it takes."""
    reader = Reader(pipe)
    with json_file_observer(pipe, compact=True) as observer:
        observing(observer)["long"] = "x" * 3_000_000
    reader.join(30)
    (line,) = lines_of(reader.data)
    assert 3_000_000 == len(line.after)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no such device here")
@pytest.mark.parametrize("fsync", ["batch", "always"])
@pytest.mark.parametrize("buffered", [False, True])
def test_a_device_is_written_without_fsync(fsync: Any, buffered: bool, caplog: pytest.LogCaptureFixture) -> None:
    """No change counts as dropped, and the logger says so once."""
    with JsonLinesExporter("/dev/null", fsync=fsync, buffered=buffered) as exporter:
        d = observing(exporter)
        for n in range(5):
            d["n"] = n
            exporter.flush(5)
    assert (5, 0, None) == (exporter.stats().sent, exporter.stats().dropped, exporter.stats().last_error)
    assert 1 == caplog.text.count("written without fsync")


def test_fsync_that_fails_for_another_reason_is_an_error(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """A disk that fails is not a file that cannot be synced.

    The line is in the file, so there is no gap.
    """

    def fsync(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with JsonLinesExporter(tmp_path / "log", fsync="always") as exporter:
        observing(exporter)["a"] = 1
        assert 1 == exporter.stats().dropped
        assert "Input/output error" in str(exporter.stats().last_error)
    assert ["add"] == [line.action for line in read_changes(tmp_path / "log")]


STDOUT = """
import sys
from pydatatracker import TrackedDict
from pydatatracker.exporters import JsonLinesExporter
d = TrackedDict()
with JsonLinesExporter("/dev/stdout", compact=True, fsync="always") as exporter:
    d.tracking_add_observer(exporter)
    d["a"] = 1
print(exporter.stats().sent, exporter.stats().dropped, file=sys.stderr)
"""


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no such device here")
def test_standard_output_that_is_a_pipe() -> None:
    """A container writes its log there."""
    done = subprocess.run([sys.executable, "-c", STDOUT], capture_output=True, timeout=60, check=True)
    assert ["/a"] == [line.pointer for line in lines_of(done.stdout)]
    assert b"1 0" == done.stderr.splitlines()[-1]


REGULAR: dict[str, Callable[[str], Any]] = {
    "a log that is rotated by size": lambda path: JsonLinesExporter(path, rotate_size=10),
    "a log that is rotated by time": lambda path: JsonLinesExporter(path, rotate_time=10),
    "spill file": lambda path: Delivery(Rejecting(), name="t", on_full="spill", spill=path),
    "SQLite": lambda path: SqliteExporter(path),
    "SQL": lambda path: SqlExporter(f"sqlite:///{path}"),
}


class Rejecting:
    """A sink that takes nothing."""

    def send(self, items: list[Item]) -> None:
        raise SinkRejected("no")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", ["pipe", "/dev/null"])
@pytest.mark.parametrize("name", REGULAR)
def test_what_is_read_back_or_renamed_must_be_a_regular_file(name: str, kind: str, pipe: str) -> None:
    """A database, a spill file and a log that is rotated; nothing waits."""
    if name == "SQL":
        pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    with quick(10), pytest.raises(ValueError, match="must be a regular file"):
        REGULAR[name](pipe if kind == "pipe" else kind)


def test_dead_letters_into_a_pipe(pipe: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a reader the logger says that they are not there.

    With a reader they are.
    """
    delivery = Delivery(Rejecting(), name="t", dead_letter=pipe)
    with Exporter(delivery) as exporter:
        d = observing(exporter)
        d["a"] = 1
        assert exporter.flush(10)
        assert "rejected changes are not in" in caplog.text
        assert "no process reads this pipe" in str(exporter.stats().last_error)
        reader = Reader(pipe)
        d["b"] = 1
        assert exporter.flush(10)
    reader.join(10)
    assert ["/b"] == [line.pointer for line in lines_of(reader.data)]


def test_the_log_of_a_process_into_a_pipe(pipe: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a reader the program goes on after one wait.

    With a reader it is logged.
    """
    d = TrackedDict()
    with quick(10):
        process.start(pipe)
        for n in range(100):
            d["n"] = n
        process.stop()
    assert 1 == caplog.text.count("no process reads this pipe")
    reader = Reader(pipe)
    process.start(pipe)
    d["n"] = "x"
    process.stop()
    reader.join(10)
    assert ["init", "update"] == [line.action for line in lines_of(reader.data)]


def test_a_handler_that_raises_does_not_reach_the_program(monkeypatch: Any) -> None:
    """The message that a file cannot be synced ends nowhere else."""

    def warning(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(logging.getLogger("pydatatracker"), "warning", warning)
    with JsonLinesExporter("/dev/null", fsync="always") as exporter:
        observing(exporter)["a"] = 1
    assert 0 == exporter.stats().dropped
