"""Rotation that fails is reported, and loses no line.

It is in log records and in stats(). Nothing reaches threading.excepthook: pytest makes an error of what does.
"""

from __future__ import annotations

import errno
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
from typing import Any

import pytest

import pydatatracker
from pydatatracker import TrackedDict
from pydatatracker.exporters import JsonLinesExporter, compression, file_sink
from pydatatracker.io import read_changes

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=[False, True], ids=["direct", "buffered"])
def buffered(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of both deliveries."""
    return {"buffered": True, "batch_items": 1} if request.param else {}


def written(exporter: JsonLinesExporter) -> list[Any]:
    """Return all values that the files have, in order."""
    return [line.after for path in (*exporter.rotated(), exporter.path) for line in read_changes(path, strict=True)]


def store(exporter: JsonLinesExporter, numbers: range, root: TrackedDict) -> None:
    for n in numbers:
        root["n"] = n
        exporter.flush(10)


def test_what_cannot_be_compressed_stays_and_is_tried_again(
    buffered: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: Any, caplog: Any
) -> None:
    """After the next rotation, so that all of them are compressed in the end."""
    whole = compression.compressor_for
    fails = [True]

    def compressor(how: str) -> Any:
        if fails[0]:
            raise FULL
        return whole(how)

    monkeypatch.setattr(compression, "compressor_for", compressor)
    root = TrackedDict()
    exporter = JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=1500, compress="gzip", **buffered)
    root.tracking_add_observer(exporter)
    store(exporter, range(10), root)
    exporter._sink._compressing.join()
    assert exporter.rotated()
    assert not any(path.endswith((".gz", ".tmp")) for path in map(str, tmp_path.iterdir()))
    assert list(range(10)) == written(exporter)
    assert "was not compressed, and stays as it is: [Errno 28] No space left on device" in caplog.text
    assert "No space left" in str(exporter.stats().last_error)
    fails[0] = False
    exporter.close()
    assert all(path.endswith(".gz") for path in exporter.rotated())
    assert list(range(10)) == written(exporter)
    assert (10, 0) == (exporter.stats().sent, exporter.stats().dropped)


LIMITED = """
import os, resource, sys
import pydatatracker
from pydatatracker import TrackedDict
from pydatatracker.exporters import JsonLinesExporter
root = TrackedDict()
exporter = JsonLinesExporter(sys.argv[1], rotate_size=60_000, compress=sys.argv[2], compact=True, buffered=sys.argv[3] == "1")
root.tracking_add_observer(exporter)
while os.path.getsize(sys.argv[1]) < 59_500:
    root["k"] = os.urandom(200)
    exporter.flush(10)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
for n in range(20, 50):
    root[f"k{n}"] = os.urandom(700)
    exporter.flush(0.02)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
exporter.flush(30)
exporter.close()
print(exporter.stats().dropped, exporter.stats().last_error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
@pytest.mark.parametrize("buffered", ["0", "1"])
@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_a_disk_that_is_really_full(compress: str, buffered: str, tmp_path: pathlib.Path) -> None:
    """The process prints records of the logger, and nothing else."""
    if compress == "zstd":
        pytest.importorskip("zstandard", reason="zstandard is not installed")
    path = tmp_path / "a.jsonl"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, str(path), compress, buffered],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    for what in ("Traceback", "Exception ignored", "Exception in thread"):
        assert what not in done.stderr
    assert "File too large" in done.stdout
    files = sorted(tmp_path.iterdir())
    torn: list[Exception] = []  # of the line that no longer fitted
    lines = [line for each in files for line in read_changes(each, on_error=torn.append)]
    assert len(torn) <= 1
    seen = sorted({line.seq for line in lines if not line.is_gap})
    missing = [n for line in lines if line.is_gap for n in range(line.gap[0], line.gap[1] + 1)]
    assert set(range(1, 1 + max(*seen, *missing))) == {*seen, *missing}
    assert int(done.stdout.split()[0]) == len(missing)
    assert bool(missing) == (buffered == "0")  # the buffered one sends again


def test_a_file_that_cannot_be_renamed_grows(
    buffered: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: Any, caplog: Any
) -> None:
    """It is tried again later, not for each line."""
    rename = os.rename
    tries = []

    def denied(*args: Any) -> None:
        tries.append(args)
        raise PermissionError(errno.EACCES, "Permission denied", args[0])

    monkeypatch.setattr(os, "rename", denied)
    root = TrackedDict()
    exporter = JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=1500, **buffered)
    root.tracking_add_observer(exporter)
    store(exporter, range(10), root)
    assert 1 == len(tries)
    assert [] == exporter.rotated()
    assert "was not rotated, and grows" in caplog.text
    assert "Permission denied" in str(exporter.stats().last_error)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(exporter._sink, "_rotate_at", 0.0)
    store(exporter, range(10, 12), root)
    exporter.close()
    assert 1 == len(exporter.rotated())
    assert list(range(12)) == written(exporter)
    assert 0 == exporter.stats().dropped


def test_a_new_file_that_cannot_be_opened(
    buffered: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: Any, caplog: Any
) -> None:
    """The renamed one gets its name back, and grows."""
    root = TrackedDict()
    exporter = JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=1500, **buffered)
    root.tracking_add_observer(exporter)

    def begin() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(exporter._sink._file, "begin", begin)
    store(exporter, range(10), root)
    exporter.close()
    assert [] == exporter.rotated()
    assert list(range(10)) == written(exporter)
    assert "Too many open files" in caplog.text
    assert 0 == exporter.stats().dropped


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_a_folder_that_is_removed(compress: Any, buffered: dict[str, Any], tmp_path: pathlib.Path, caplog: Any) -> None:
    """It is made again, and the lines from then on are there."""
    folder = tmp_path / "logs"
    root = TrackedDict()
    exporter = JsonLinesExporter(folder / "a.jsonl", rotate_size=1500, compress=compress, keep=3, **buffered)
    root.tracking_add_observer(exporter)
    for turn in range(5):
        store(exporter, range(turn * 10, turn * 10 + 10), root)
        shutil.rmtree(folder, ignore_errors=True)
    store(exporter, range(50, 52), root)
    exporter.close()
    assert [50, 51] == written(exporter)[-2:]
    assert 0 == exporter.stats().dropped


def test_a_thread_that_cannot_be_started(buffered: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """close() compresses what was rotated, as at the end of the interpreter."""
    root = TrackedDict()
    exporter = JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=1500, compress="gzip", **buffered)
    root.tracking_add_observer(exporter)
    root["n"] = 0
    exporter.flush(10)
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name == "rotated-log":
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    store(exporter, range(1, 10), root)
    exporter.close()
    assert exporter.rotated()
    assert all(path.endswith(".gz") for path in exporter.rotated())
    assert list(range(10)) == written(exporter)
    assert (10, 0) == (exporter.stats().sent, exporter.stats().dropped)


@pytest.mark.skipif(file_sink.fcntl is None, reason="files are not locked here")
def test_a_lock_that_another_process_keeps(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """The change waits for it a few seconds, and is dropped then.

    That is counted.
    """
    import fcntl

    monkeypatch.setattr(file_sink, "_PATIENCE", 0.1)
    root = TrackedDict()
    exporter = JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=15_000)
    root.tracking_add_observer(exporter)
    with open(tmp_path / "a.jsonl") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        root["n"] = 1
    assert 1 == exporter.stats().dropped
    assert "another process has locked the log: waited 0.1 s" in str(exporter.stats().last_error)
    root["n"] = 2
    exporter.close()
    gap, line = read_changes(tmp_path / "a.jsonl", strict=True)
    assert (True, 2) == (gap.is_gap, line.after)


@pytest.mark.skipif(file_sink.fcntl is None, reason="files are not locked here")
def test_a_file_system_without_locks(
    buffered: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: Any, caplog: Any
) -> None:
    """Lines are written without, and the logger says so once."""

    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_sink.fcntl, "flock", flock)
    root = TrackedDict()
    with JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=1500, **buffered) as exporter:
        root.tracking_add_observer(exporter)
        store(exporter, range(10), root)
    assert list(range(10)) == written(exporter)
    assert 1 == caplog.text.count("cannot be locked")


def test_lines_that_are_dropped_leave_a_gap(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """A direct exporter sends nothing again, but leaves a gap."""
    root = TrackedDict()
    with JsonLinesExporter(tmp_path / "a.jsonl") as exporter:
        root.tracking_add_observer(exporter)
        root["n"] = 0
        with monkeypatch.context() as patch:
            patch.setattr(exporter._sink._file, "write", lambda *_: (_ for _ in ()).throw(FULL))
            exporter._appender.ready = False  # type: ignore[union-attr]  # the short way cannot be patched
            root["n"] = 1
            root["n"] = 2
        root["n"] = 3
    first, gap, last = read_changes(tmp_path / "a.jsonl", strict=True)
    assert (0, 3) == (first.after, last.after)
    assert (first.seq + 1, last.seq - 1) == gap.gap
    assert "No space left" in gap.reason


def test_compressed_files_are_what_gzip_reads(tmp_path: pathlib.Path) -> None:
    """Also one that is larger than a block."""
    path = tmp_path / "a"
    path.write_bytes(os.urandom(3_000_001))
    expected = path.read_bytes()
    compression.compress_file(str(path), "gzip")
    assert expected == gzip.decompress((tmp_path / "a.gz").read_bytes())
    assert not path.exists()


def test_no_other_module_starts_a_thread() -> None:
    """A new thread has to log its errors, and belongs into this list.

    The tests of delivery, of rotation, of queries, of workers and of the page show that each of these does.
    """
    package = pathlib.Path(pydatatracker.__file__).parent
    start = re.compile(r"^(?!\s*(?:>>>|\.\.\.)).*threading\.Thread\(target", re.MULTILINE)  # not in an example
    found = [path for path in package.rglob("*.py") if start.search(path.read_text("utf-8"))]
    expected = ["_forks.py", "exporters/delivery.py", "exporters/file_sink.py", "query/__init__.py", "report/live.py"]
    assert expected == sorted(path.relative_to(package).as_posix() for path in found)
