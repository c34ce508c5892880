"""Nothing of ours uses a descriptor that it does not own.

Exporters, writers, spill files and databases. A program may close all files, as a daemon does, and open its own under the same numbers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pydatatracker import TrackedDict, process
from pydatatracker.exporters import Item, JsonLinesExporter
from pydatatracker.exporters.spill import SpillFile
from pydatatracker.exporters.sqlite import SqliteSink
from pydatatracker.io import ChangeWriter, files, read_changes
from pydatatracker.observers import json_file_observer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")

TEXT = b"the program's own\n"


def rotating(path: str, **options: Any) -> JsonLinesExporter:
    return JsonLinesExporter(path, rotate_size=1 << 20, **options)


class Of:
    """An observer with the calls that the tests need."""

    def __init__(self, observer: Any) -> None:
        self.observer = observer

    def __call__(self, change: Any) -> None:
        self.observer(change)

    def flush(self) -> None:
        if hasattr(self.observer, "flush"):
            self.observer.flush()

    def close(self) -> None:
        self.observer.close()


class OfWriter(Of):
    """A ChangeWriter as an observer."""

    def __call__(self, change: Any) -> None:
        self.observer.write(change)


class OfProcess(Of):
    """The log of the process, which this test calls itself."""

    def close(self) -> None:
        if self.observer._writer is not None:
            self.observer._writer.close()


KINDS: dict[str, Callable[[str], Of]] = {
    "ChangeWriter": lambda path: OfWriter(ChangeWriter(path)),
    "ChangeWriter, buffered": lambda path: OfWriter(ChangeWriter(path, buffered=True)),
    "json_file_observer": lambda path: Of(json_file_observer(path)),
    "JsonLinesExporter": lambda path: Of(JsonLinesExporter(path)),
    "JsonLinesExporter, buffered": lambda path: Of(JsonLinesExporter(path, buffered=True)),
    "JsonLinesExporter, rotating": lambda path: Of(rotating(path)),
    "JsonLinesExporter, rotating and buffered": lambda path: Of(rotating(path, buffered=True)),
    "ProcessLog": lambda path: OfProcess(process.ProcessLog(path)),
}


def descriptors(path: pathlib.Path) -> list[int]:
    """Return the open descriptors of a file."""
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            if os.path.samestat(os.fstat(int(name)), path.stat()):
                found.append(int(name))
        except OSError:
            pass
    return found


class Program:
    """Close files by their numbers, and open others there."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "own.txt"
        self.path.write_bytes(TEXT)
        self.fds: list[int] = []

    def take(self, path: pathlib.Path) -> None:
        taken = descriptors(path)
        assert taken
        for fd in taken:
            mine = os.open(self.path, os.O_RDWR)
            os.dup2(mine, fd)
            if mine != fd:
                os.close(mine)
            self.fds.append(fd)

    def close_all_of(self, path: pathlib.Path) -> None:
        for fd in descriptors(path):
            os.close(fd)

    def check(self) -> None:
        """Its file is as it was, and its descriptors are open and not locked."""
        assert TEXT == self.path.read_bytes()
        for fd in self.fds:
            assert os.path.samestat(os.fstat(fd), self.path.stat())


@pytest.fixture
def program(tmp_path: pathlib.Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    for fd in made.fds:
        os.close(fd)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Callable[[str], Of]:
    return KINDS[request.param]


def numbers(path: pathlib.Path) -> list[Any]:
    return [change.after for change in read_changes(path) if change.action not in ("gap", "init")]


def observed(observer: Of) -> TrackedDict[str, Any]:
    d: TrackedDict[str, Any] = TrackedDict()
    d.tracking_add_observer(observer)
    d["n"] = 0
    observer.flush()
    return d


def test_the_number_of_another_file_is_neither_written_nor_closed(
    kind: Callable[[str], Of], program: Program, tmp_path: pathlib.Path
) -> None:
    """The log is opened again, and has every change."""
    path = tmp_path / "changes.jsonl"
    observer = kind(str(path))
    d = observed(observer)
    program.take(path)
    d["n"] = 1
    d["n"] = 2
    observer.flush()
    program.check()
    observer.close()
    program.check()
    assert [0, 1, 2] == numbers(path)


def test_a_closed_writer_leaves_the_number_to_the_program(
    kind: Callable[[str], Of], program: Program, tmp_path: pathlib.Path
) -> None:
    """Nothing is to be written, so that closing is all that it does."""
    path = tmp_path / "changes.jsonl"
    observer = kind(str(path))
    d = observed(observer)
    program.take(path)
    observer.close()
    d.tracking_remove_observer(observer)
    del observer
    program.check()
    assert [0] == numbers(path)


def test_a_path_that_cannot_be_opened_again(
    kind: Callable[[str], Of], program: Program, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says why, and a gap says what is missing.

    Once the path can be opened the log goes on. A buffered exporter sends it again, so that nothing is missing there.
    """
    path = tmp_path / "changes.jsonl"
    observer = kind(str(path))
    d = observed(observer)
    program.take(path)

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(files, "_open_now", full)
        d["n"] = 1
        program.check()
        if not hasattr(observer.observer, "stats"):
            with contextlib.suppress(OSError):
                observer.flush()
        elif observer.observer.stats().dropped:
            assert "Too many open files" in observer.observer.stats().last_error
    d["n"] = 2
    observer.flush()
    observer.close()
    program.check()
    found = list(read_changes(path))
    gaps = [change for change in found if change.action == "gap"]
    assert [0, 1, 2] == numbers(path) or ([0, 2] == numbers(path) and len(gaps) == 1)


@pytest.mark.parametrize("options", [{}, {"rotate_size": 1 << 20}], ids=["", "rotating"])
def test_a_folder_that_is_removed_and_cannot_be_made(
    options: dict[str, Any], program: Program, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is the last one.

    Once it can be made the lines from then on are there, behind a gap.
    """
    monkeypatch.setattr(files, "_LOOK", 0.0)
    path = tmp_path / "logs" / "changes.jsonl"
    exporter = JsonLinesExporter(path, **options)
    d = observed(Of(exporter))
    shutil.rmtree(path.parent)
    path.parent.write_text("a file where the folder was")
    d["n"] = 1
    assert 1 == exporter.stats().dropped
    assert "changes.jsonl" in str(exporter.stats().last_error) or "logs" in str(exporter.stats().last_error)
    assert "Bad file descriptor" not in str(exporter.stats().last_error)
    path.parent.unlink()
    d["n"] = 2
    exporter.close()
    assert [2] == numbers(path)
    assert ["gap", 2] == [change.after if change.action != "gap" else "gap" for change in read_changes(path)]


def test_a_spill_file_whose_number_is_taken(program: Program, tmp_path: pathlib.Path) -> None:
    """It neither writes to that number, nor cuts or closes it."""
    spill = SpillFile(str(tmp_path / "spill"), 0o600)
    items = [Item(b'{"n":%d}' % n, n, "r", n, f"i{n}") for n in range(3)]
    spill.append(items[0])
    program.take(tmp_path / "spill")
    spill.append(items[1])
    program.check()
    program.take(tmp_path / "spill")
    assert items[:2] == spill.read(10, 1000)
    spill.sent()
    spill.append(items[2])
    program.take(tmp_path / "spill")
    spill.close()
    del spill
    program.check()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs the list of open descriptors")
def test_a_database_whose_numbers_are_taken(program: Program, tmp_path: pathlib.Path) -> None:
    """SQLite does not look: another connection is made.

    The first one is left as it is.
    """
    path = tmp_path / "changes.db"
    sink = SqliteSink(str(path), 5.0)
    items = [Item(b'{"n":%d}' % n, n, "r", n, f"i{n}") for n in range(3)]
    sink.send(items[:1])
    for name in ("changes.db", "changes.db-wal"):
        program.take(tmp_path / name)
    sink.send(items[1:2])
    program.check()
    for name in ("changes.db", "changes.db-wal"):
        program.take(tmp_path / name)
    sink.close()
    program.check()
    sink.send(items[2:])
    sink.close()
    import sqlite3

    connection = sqlite3.connect(path)
    assert [(0,), (1,), (2,)] == connection.execute("SELECT seq FROM changes ORDER BY seq").fetchall()
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="needs fork")
def test_a_child_of_a_rotating_exporter_has_a_descriptor_of_its_own(tmp_path: pathlib.Path) -> None:
    """The lock on the parent's descriptor would be the child's, too."""
    path = tmp_path / "changes.jsonl"
    exporter = rotating(str(path))
    d = observed(Of(exporter))
    pid = os.fork()
    if not pid:
        before = exporter._sink._file.fd
        d["n"] = 1
        os._exit(0 if (before, exporter.stats().dropped) == (-1, 0) else 1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    d["n"] = 2
    exporter.close()
    assert [0, 1, 2] == numbers(path)


class Clock:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("busy", ["locked", "replaced", "both"])
def test_a_log_that_is_never_free_is_waited_for_5_seconds(
    busy: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All waits together.

    Then the change counts as dropped, and the error says why.
    """
    from pydatatracker.exporters import file_sink

    path = tmp_path / "changes.jsonl"
    exporter = rotating(str(path))
    d = observed(Of(exporter))
    clock = Clock()
    tries = 0
    monkeypatch.setattr(file_sink.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(file_sink.time, "sleep", clock.sleep)
    flock = file_sink.fcntl.flock

    def lock(fd: int, how: int) -> None:
        nonlocal tries
        tries += 1
        if busy == "locked" or (busy == "both" and tries % 60):
            raise BlockingIOError(errno.EAGAIN, "busy")
        flock(fd, how)
        if busy != "locked" and not how & file_sink.fcntl.LOCK_UN:  # another process is faster, each time
            os.rename(path, tmp_path / f"rotated{tries}")

    with monkeypatch.context() as patch:
        patch.setattr(file_sink.fcntl, "flock", lock)
        d["n"] = 1
    assert 1 == exporter.stats().dropped
    assert "waited 5 s" in str(exporter.stats().last_error)
    assert clock.now < 5.1
    d["n"] = 2
    exporter.close()
    assert 2 == numbers(path)[-1]
    assert "gap" in [change.action for change in read_changes(path)]
