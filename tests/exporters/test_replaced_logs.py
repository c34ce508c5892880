"""A log that is renamed or deleted goes on in a new file.

Nothing is lost in silence.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pydatatracker import TrackedDict, process, replay
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import ChangeWriter, files, read_changes
from pydatatracker.observers import json_file_observer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="an open file cannot be renamed here")

WRITERS: dict[str, Callable[[str], Any]] = {
    "ChangeWriter": lambda path: ChangeWriter(path),
    "ChangeWriter, buffered": lambda path: ChangeWriter(path, buffered=True),
    "json_file_observer": lambda path: json_file_observer(path),
    "JsonLinesExporter": lambda path: JsonLinesExporter(path),
    "JsonLinesExporter, buffered": lambda path: JsonLinesExporter(path, buffered=True),
}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look before each line, not ten times a second."""
    monkeypatch.setattr(files, "_LOOK", 0.0)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "logs" / "changes.jsonl"


class Session:
    """A dict that is logged by one of the writers."""

    def __init__(self, name: str, path: pathlib.Path) -> None:
        self.writer = WRITERS[name](str(path))
        self.data = TrackedDict()
        self.data.tracking_add_observer(self.writer.write if isinstance(self.writer, ChangeWriter) else self.writer)

    def store(self, *numbers: int) -> None:
        for number in numbers:
            self.data["n"] = number
        if hasattr(self.writer, "flush"):
            self.writer.flush()


def after(path: pathlib.Path) -> list[Any]:
    return [line.after for line in read_changes(path, strict=True) if not line.is_gap]


def gaps(path: pathlib.Path) -> list[Any]:
    return [line for line in read_changes(path, strict=True) if line.is_gap]


@pytest.mark.parametrize("name", WRITERS)
def test_a_renamed_log_and_the_new_one_have_every_line(name: str, log: pathlib.Path, caplog: Any) -> None:
    """As logrotate and mv rename it."""
    session = Session(name, log)
    session.store(0, 1)
    log.rename(f"{log}.1")
    session.store(2, 3)
    session.writer.close()
    assert ([0, 1], [2, 3]) == (after(pathlib.Path(f"{log}.1")), after(log))
    assert [] == gaps(log)
    assert 0o600 == log.stat().st_mode & 0o777
    assert "" == caplog.text


@pytest.mark.parametrize("whole", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_deleted_log_leaves_a_gap(name: str, whole: bool, log: pathlib.Path, caplog: Any) -> None:
    """The new log says which changes were in the deleted one."""
    session = Session(name, log)
    session.store(0, 1, 2)
    lost = list(read_changes(log))
    if whole:
        shutil.rmtree(log.parent)
    else:
        log.unlink()
    session.store(3, 4)
    session.writer.close()
    assert [3, 4] == after(log)
    (gap,) = gaps(log)
    assert (lost[0].seq, lost[-1].seq) == gap.gap
    assert "deleted" in gap.reason
    assert 1 == caplog.text.count("was deleted while it was written")


@pytest.mark.parametrize("name", WRITERS)
def test_a_log_that_another_process_put_there_is_appended_to(name: str, log: pathlib.Path) -> None:
    """As logrotate creates it; its torn line is ended.

    Its permissions stay as they are.
    """
    session = Session(name, log)
    session.store(0)
    log.rename(f"{log}.1")
    log.write_bytes(b"torn")
    log.chmod(0o640)
    session.store(1)
    session.writer.close()
    assert log.read_bytes().startswith(b'torn\n{"v":1')
    assert 0o640 == log.stat().st_mode & 0o777


@pytest.mark.parametrize("name", WRITERS)
def test_a_renamed_log_is_written_on_while_there_is_no_new_one(name: str, log: pathlib.Path, caplog: Any) -> None:
    """As for a process that may not create files there.

    The logger says so once.
    """
    session = Session(name, log)
    session.store(0)
    log.rename(f"{log}.1")
    log.mkdir()
    session.store(1)
    session.store(2)
    log.rmdir()
    session.store(3)
    session.writer.close()
    assert ([0, 1, 2], [3]) == (after(pathlib.Path(f"{log}.1")), after(log))
    assert 1 == caplog.text.count("the renamed one is written on")


@pytest.mark.parametrize("name", ["json_file_observer", "JsonLinesExporter"])
def test_a_deleted_log_without_a_new_one_loses_nothing_in_silence(name: str, log: pathlib.Path, caplog: Any) -> None:
    """Each line is an error, and a gap says which are missing."""
    session = Session(name, log)
    session.store(0)
    (line,) = read_changes(log)
    first = line.seq or 0
    log.unlink()
    log.mkdir()
    session.store(1, 2)
    if name == "JsonLinesExporter":
        assert 2 == session.writer.stats().dropped
    assert caplog.text.count("IsADirectoryError") >= 2
    log.rmdir()
    session.store(3)
    session.writer.close()
    assert [3] == after(log)
    missing = [number for gap in gaps(log) for number in range(gap.gap[0], gap.gap[1] + 1)]
    assert [first, first + 1, first + 2] == missing


def test_a_buffered_exporter_sends_again_what_had_no_file(log: pathlib.Path) -> None:
    """Its batch waits until there is a file again.

    Only what was deleted is missing.
    """
    exporter = JsonLinesExporter(log, buffered=True, retry_first=0.01, retry_most=0.02)
    data = TrackedDict()
    data.tracking_add_observer(exporter)
    data["n"] = 0
    assert exporter.flush(10)
    log.unlink()
    log.mkdir()
    data["n"] = 1
    assert not exporter.flush(0.2)
    log.rmdir()
    assert exporter.flush(10)
    exporter.close()
    assert (2, 0) == (exporter.stats().sent, exporter.stats().dropped)
    assert [1] == after(log)


@pytest.mark.parametrize("how", ["renamed", "deleted"])
def test_the_log_of_a_process_begins_again_with_every_state(how: str, log: pathlib.Path) -> None:
    """The new file replays to the state of every root, as the first one did."""
    one, two = TrackedDict(a=1), TrackedDict(b=[1])
    process.start(log)
    one["x"], two["y"] = 1, 2
    if how == "renamed":
        log.rename(f"{log}.1")
    else:
        log.unlink()
    one["z"] = 3
    two["z"] = 4
    process.stop()
    for root in (one, two):
        found = [line for line in read_changes(log, strict=True) if line.root == root.tracking_uuid]
        assert ["init", "add"] == [line.action for line in found]
    assert [how == "deleted"] == [bool(gaps(log))]
    if how == "renamed":
        assert [dict(one), dict(two)] == [replay(log, root=root.tracking_uuid) for root in (one, two)]


def test_the_log_of_a_process_of_several_threads(log: pathlib.Path) -> None:
    """Every change is in one of the files, once."""
    roots = [TrackedDict() for _ in range(4)]
    process.start(log)
    at_work = threading.Barrier(5)

    def work(root: TrackedDict) -> None:
        at_work.wait()
        for n in range(300):
            root["n"] = n

    threads = [threading.Thread(target=work, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    at_work.wait()
    for turn in range(50):
        if log.exists():
            log.rename(f"{log}.{turn}")
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    process.stop()
    seen = [
        (line.root, line.after)
        for path in log.parent.iterdir()
        for line in read_changes(path, strict=True)
        if line.action != "init"
    ]
    assert sorted((root.tracking_uuid, n) for root in roots for n in range(300)) == sorted(seen)


def test_a_descriptor_that_the_program_closed_is_opened_again(log: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A daemon that closes all files does not get our lines.

    Not even if a file of its own has the number now.
    """
    session = Session("json_file_observer", log)
    session.store(0)
    fd = session.writer._writer.fileno()
    os.close(fd)
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY)
    os.dup2(other, fd)
    session.store(1)
    session.writer.close()
    os.fstat(fd)  # it is the program's, and still open
    os.close(fd)
    if other != fd:
        os.close(other)
    assert b"" == (tmp_path / "other").read_bytes()
    assert [0, 1] == after(log)


def test_looks_are_far_apart(log: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line costs no look at the file if one was a moment ago."""
    monkeypatch.setattr(files, "_LOOK", 1000.0)
    session = Session("json_file_observer", log)
    looks: list[Any] = []
    monkeypatch.setattr(files.LogFile, "look", lambda self: looks.append(self))
    session.store(*range(100))
    session.writer.close()
    assert [] == looks
