"""The JSON lines file: no written line is lost.

Other processes may write to the file, it may be rotated, and its process may be killed.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, replay, track, tracking_transaction
from pydatatracker.exporters.file_sink import FileSink
from pydatatracker.exporters.jsonlines import JsonLinesExporter
from pydatatracker.exporters.sink import Item


def lines_of(*paths: str | os.PathLike[str]) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        raw = pathlib.Path(path).read_bytes()
        text = gzip.decompress(raw) if os.fspath(path).endswith(".gz") else raw
        found += [json.loads(line) for line in text.splitlines() if line.strip()]
    return found


@pytest.mark.parametrize("options", [{}, {"buffered": True}, {"fsync": "always"}, {"buffered": True, "fsync": "batch"}])
def test_every_change_is_a_line_and_the_log_is_complete_in_itself(tmp_path: pathlib.Path, options: Any) -> None:
    """The log begins with the state, and replaying it gives the value."""
    path = tmp_path / "logs" / "changes.jsonl"
    x = track({"l": [1], "t": 0}, tracking_auto_convert=True)
    with JsonLinesExporter(path, compact=True, **options) as exporter:
        x.tracking_add_observer(exporter)
        x["l"].extend([(2,), {3}])
        for n in range(50):
            x["t"] = n
        with tracking_transaction():
            x["new"] = {"a": b"x"}
        if not options.get("buffered"):
            assert 53 == len(lines_of(path))
        assert exporter.flush(30)
    assert {"l": [1, (2,), {3}], "t": 49, "new": {"a": b"x"}} == replay(path)


def test_a_line_is_there_when_the_statement_returns(tmp_path: pathlib.Path) -> None:
    """Other readers see a line as soon as its statement has returned."""
    d = TrackedDict()
    with JsonLinesExporter(tmp_path / "a.jsonl") as exporter:
        d.tracking_add_observer(exporter)
        for n in range(3):
            d["n"] = n
            assert n + 1 == len(lines_of(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("compress", [None, "gzip"])
@pytest.mark.parametrize("buffered", [False, True])
def test_rotation_by_size_keeps_every_line_once(tmp_path: pathlib.Path, compress: Any, buffered: bool) -> None:
    """Rotated files have a bounded size, and every line once, in order."""
    d = TrackedDict()
    options = {"batch_items": 7} if buffered else {}
    with JsonLinesExporter(
        tmp_path / "a.jsonl", rotate_size=6000, compress=compress, buffered=buffered, **options
    ) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(100):
            d["n"] = n
        assert exporter.flush(30)
    rotated = exporter.rotated()
    assert len(rotated) > 2
    assert all(path.endswith(".gz") for path in rotated) == (compress == "gzip")
    assert list(range(100)) == [line["after"] for line in lines_of(*rotated, exporter.path)]
    if compress is None:
        assert max(map(os.path.getsize, rotated)) <= 6000


def test_only_the_newest_are_kept(tmp_path: pathlib.Path) -> None:
    """keep=2 keeps two rotated files and the current one."""
    d = TrackedDict()
    with JsonLinesExporter(tmp_path / "a.jsonl", rotate_size=1500, keep=2) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(30):
            d["n"] = n
    assert 2 == len(exporter.rotated())
    assert 29 == lines_of(exporter.path)[-1]["after"]


def test_rotation_by_time(tmp_path: pathlib.Path) -> None:
    """A new period begins a new file, also after a restart."""
    path = tmp_path / "a.jsonl"
    d = TrackedDict()
    with JsonLinesExporter(path) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
    d.tracking_remove_observer(exporter)
    yesterday = time.time() - 90_000
    os.utime(path, (yesterday, yesterday))
    with JsonLinesExporter(path, rotate_time="1d") as exporter:
        d.tracking_add_observer(lambda change: exporter(change))
        d["a"] = 2
        assert 1 == len(exporter.rotated())
    assert [1] == [line["after"] for line in lines_of(*exporter.rotated())]
    assert [2] == [line["after"] for line in lines_of(path)]


@pytest.mark.parametrize("options", [{}, {"rotate_size": 10**9}])
def test_a_log_is_its_lines_and_nothing_else(tmp_path: pathlib.Path, options: Any) -> None:
    """A new log begins with its first line; a whole one is appended to."""
    path = tmp_path / "a.jsonl"
    for n in range(2):
        d = TrackedDict()
        with JsonLinesExporter(path, **options) as exporter:
            d.tracking_add_observer(exporter)
            d["a"] = n
    raw = path.read_bytes()
    assert [0, 1] == [json.loads(line)["after"] for line in raw.removesuffix(b"\n").split(b"\n")]
    assert raw.endswith(b"}\n")


@pytest.mark.parametrize(("fsync", "syncs"), [("never", 0), ("batch", 1), ("always", 5)])
def test_a_batch_is_one_write_and_on_disk_as_asked(
    tmp_path: pathlib.Path, monkeypatch: Any, fsync: str, syncs: int
) -> None:
    """fsync="always" writes and syncs each line, "batch" all of them once."""
    done: list[str] = []
    for name in ("write", "fsync"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, real=real, name=name: (done.append(name), real(*given))[1])
    sink = FileSink(tmp_path / "a.jsonl", None, None, None, None, fsync)
    sink.send([Item(b'{"seq":%d}' % n, n, "root", n, f"id{n}") for n in range(5)])
    assert (syncs or 1, syncs) == (done.count("write"), done.count("fsync"))
    sink.close()
    assert 5 == (tmp_path / "a.jsonl").read_bytes().count(b"\n")


def test_a_torn_last_line_is_ended(tmp_path: pathlib.Path) -> None:
    """A torn last line gets a newline before the next line is written."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"v":1,"seq":1,"action":"add"}\n{"v":1,"seq"')
    d = TrackedDict()
    with JsonLinesExporter(path) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
    raw = path.read_bytes().split(b"\n")
    assert b'{"v":1,"seq"' == raw[1]
    assert 1 == json.loads(raw[2])["after"]


WRITER = """
import sys
from pydatatracker import TrackedDict
from pydatatracker.exporters.file_sink import FileSink
from pydatatracker.exporters.jsonlines import JsonLinesExporter
from pydatatracker.exporters.sink import Item
path, name, count, buffered, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1", int(sys.argv[5])
d = TrackedDict()
exporter = JsonLinesExporter(path, compact=True, buffered=buffered, rotate_size=size or None)
d.tracking_add_observer(exporter)
print("ready", flush=True)
for n in range(count):
    d[name] = n
    if count > 10**6:
        print(n, flush=True)   # the parent knows: this line was written
exporter.close()
"""


@pytest.mark.parametrize(("buffered", "size"), [("0", 0), ("1", 0), ("0", 20_000), ("1", 20_000)])
def test_several_processes_on_one_file(tmp_path: pathlib.Path, buffered: str, size: int) -> None:
    """Several processes write to one file without mixing or losing lines.

    They may also rotate it. The lines of each process are in order.
    """
    path = tmp_path / "a.jsonl"
    count = 300
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(count), buffered, str(size)], stdout=subprocess.DEVNULL)
        for name in "abcd"
    ]  # fmt: skip
    assert [0] * 4 == [process.wait(120) for process in running]
    files = sorted(tmp_path.glob("a.2*.jsonl")) + [path]
    lines = lines_of(*files)
    for name in "abcd":
        assert list(range(count)) == [line["after"] for line in lines if line["path"] == [name]]
    assert (len(files) > 2) == bool(size)


KILLS = int(os.environ.get("PYDATATRACKER_KILLS", "20"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_kill_9_at_any_moment_loses_no_line_that_was_written(tmp_path: pathlib.Path) -> None:
    """After kill -9 the file has every change whose statement returned.

    Set PYDATATRACKER_KILLS=200 to kill more often.
    """
    chance = random.Random(5)
    for turn in range(KILLS):
        path = tmp_path / f"{turn}.jsonl"
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "k", str(10**9), "0", "0"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        time.sleep(chance.random() * 0.02)
        process.kill()
        with process.stdout:
            told = process.stdout.read().split()
        process.wait(30)
        raw = path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        written = [json.loads(line)["after"] for line in whole.splitlines()]
        assert list(range(len(written))) == written
        complete = told[:-1] if told and len(told) > 1 and int(told[-1]) != int(told[-2]) + 1 else told
        assert len(written) >= len(complete), "a written line was lost"


def test_an_error_of_the_file_does_not_reach_the_program(tmp_path: pathlib.Path, caplog: Any) -> None:
    """A file error, such as a full disk, is counted and logged, not raised."""
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full stands for a full disk, and is missing here")
    d = TrackedDict()
    exporter = JsonLinesExporter("/dev/full")
    d.tracking_add_observer(exporter)
    d["a"] = 1
    assert {"a": 1} == d
    assert (1, 0) == (exporter.stats().dropped, exporter.stats().sent)
    assert "No space left" in caplog.text


@pytest.mark.parametrize(
    ("error", "kwargs"),
    [
        (ValueError, {"fsync": "sometimes"}),
        (ValueError, {"compress": "rar"}),
        (ValueError, {"rotate_size": 0}),
        (ValueError, {"rotate_time": "1 fortnight"}),
        (ValueError, {"rotate_time": -1}),
        (ValueError, {"keep": True}),
        (TypeError, {"on_full": "block"}),
    ],
)
def test_bad_options_are_refused(tmp_path: pathlib.Path, error: type[Exception], kwargs: Any) -> None:
    """Wrong options are refused, and no file is made."""
    with pytest.raises(error):
        JsonLinesExporter(tmp_path / "a.jsonl", **kwargs)


@pytest.fixture
def number_0() -> Iterator[None]:
    """Close standard input for the time of a test."""
    before = os.dup(0)
    os.close(0)
    yield
    os.dup2(before, 0)
    os.close(before)


@pytest.mark.usefixtures("number_0")
@pytest.mark.parametrize("options", [{}, {"buffered": True}, {"rotate_size": 10**9}])
def test_a_log_may_have_descriptor_0(tmp_path: pathlib.Path, options: Any) -> None:
    """A program whose standard input is closed has its log like any other."""
    d = TrackedDict()
    with JsonLinesExporter(tmp_path / "log", **options) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        os.fstat(0)
    assert [1] == [line["after"] for line in lines_of(tmp_path / "log")]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(0)


@pytest.mark.usefixtures("number_0")
def test_a_gap_is_written_on_closing_to_descriptor_0_too(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """What a full disk kept out is said at the end, whatever the descriptor."""

    def full(*given: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    sink = FileSink(tmp_path / "log", None, None, None, None, "never")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            sink.send([Item(b'{"seq":%d}' % n, n, "root", n, f"id{n}") for n in (1, 2)])
    sink.close()
    (gap,) = lines_of(tmp_path / "log")
    assert ("gap", 1, 2) == (gap["action"], gap["from"], gap["to"])


def test_a_list_and_a_dict_in_one_file(tmp_path: pathlib.Path) -> None:
    """One exporter may watch several containers; each can be replayed."""
    one, two = TrackedDict(), TrackedList()
    with JsonLinesExporter(tmp_path / "a.jsonl", buffered=True) as exporter:
        one.tracking_add_observer(exporter)
        two.tracking_add_observer(exporter)
        one["a"] = 1
        two.append(2)
    assert {"a": 1} == replay(tmp_path / "a.jsonl", root=one.tracking_uuid)
    assert [2] == replay(tmp_path / "a.jsonl", root=two.tracking_uuid)
