"""Writing logs: a line is in the file when write() returns."""

from __future__ import annotations

import functools
import io
import json
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

import pytest
from builds import needs_gil
from loglines import LINE, line_of, read

import pydatatracker
from pydatatracker.io import ChangeWriter, parse, read_changes, to_line
from pydatatracker.io.files import check_mode, like
from pydatatracker.values.encode import Repr, encode


def test_a_change_is_in_the_file_when_write_returns(tmp_path: pathlib.Path) -> None:
    """write() makes folders and file, and leaves nothing in the process."""
    path = tmp_path / "a" / "b" / "log.jsonl"
    with ChangeWriter(path) as writer:
        for n in range(3):
            writer.write({**LINE, "seq": n})
            assert n == [line.seq for line in read_changes(path, strict=True)][-1]
    assert writer.closed


def test_a_line_is_what_it_was_given_and_the_process(tmp_path: pathlib.Path) -> None:
    """A line gets pid and thread, and keeps those that are there.

    The dict that was passed is not modified.
    """
    bare = {key: value for key, value in LINE.items() if key not in ("pid", "thread")}
    given = dict(bare)
    written = json.loads(to_line(given))
    assert {**bare, "pid": os.getpid(), "thread": threading.current_thread().name} == written
    assert bare == given
    assert LINE == json.loads(to_line(LINE))


def test_compact_leaves_out_what_follows_and_what_is_empty() -> None:
    """Compact lines have every value, but no tree, extra or empty field."""
    line = {**LINE, "before": "", "after": [], "actor": "", "context": {}, "stack": [], "path": [], "transaction": None}
    compact = json.loads(to_line(line, compact=True))
    assert {"tree", "extra", "actor", "context", "stack", "transaction"} == set(line) - set(compact)
    assert ("", [], []) == (compact["before"], compact["after"], compact["path"])
    null = json.loads(to_line({**LINE, "before": None}, compact=True))
    assert (None, True) == (null["before"], "before" in null)


@pytest.mark.parametrize("tail", [b'{"v":1,"act', b"x", b'{"v":1,"action":"lock"}', b"\0"])
def test_a_torn_last_line_is_ended_first(tmp_path: pathlib.Path, tail: bytes) -> None:
    """The first line appended to a torn file begins on its own."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(line_of() + tail)
    with ChangeWriter(path) as writer:
        writer.write(LINE)
        writer.write(LINE)
    assert line_of() + tail + b"\n" + 2 * to_line(LINE) == path.read_bytes()


def test_a_whole_file_is_appended_to_as_it_is(tmp_path: pathlib.Path) -> None:
    """A whole or empty file gets no newline; opening it writes nothing."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(line_of())
    ChangeWriter(path).close()
    assert line_of() == path.read_bytes()
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with ChangeWriter(empty) as writer:
        writer.write(LINE)
    assert to_line(LINE) == empty.read_bytes()


def test_lone_surrogates_in_text_do_not_stop_a_line(tmp_path: pathlib.Path) -> None:
    """Lone surrogates in a text are escaped, and the line is UTF-8."""
    path = tmp_path / "log.jsonl"
    with ChangeWriter(path) as writer:
        writer.write({**LINE, "actor": "\ud800", "path": ["\ud800"], "extra": {"action": "add", "\udc80": ["\udc80"]}})
    (line,) = read_changes(path, strict=True)
    assert ("\\ud800", ("\ud800",)) == (line.actor, line.path)
    assert {"action": "add", "\\udc80": ["\\udc80"]} == line.extra


def test_values_that_are_not_json_are_encoded() -> None:
    """A dict with values that are not JSON is encoded."""
    line = parse(to_line({"v": 1, "action": "add", "before": {1, 2}, "after": Repr("<x>", "X")}))
    assert Repr("<x>", "X") == line.after


def test_after_close(tmp_path: pathlib.Path) -> None:
    """A closed writer raises; a second close() does nothing.

    A file object that was passed stays open.
    """
    writer = ChangeWriter(tmp_path / "log.jsonl")
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed: open a new ChangeWriter"):
        writer.write(LINE)
    file = io.BytesIO()
    with ChangeWriter(file) as writer:
        writer.write(LINE)
    assert to_line(LINE) == file.getvalue()
    with pytest.raises(ValueError, match="closed"):
        writer.write(LINE)


def test_file_objects(tmp_path: pathlib.Path) -> None:
    """Binary files, text files of any encoding and buffers get UTF-8 lines."""
    path = tmp_path / "log.jsonl"
    line = to_line({**LINE, "actor": "ü"})
    for mode, encoding in (("wb", None), ("w", "ascii"), ("w", "utf-16")):
        with path.open(mode, encoding=encoding) as file:
            ChangeWriter(file).write({**LINE, "actor": "ü"})
            assert line == path.read_bytes()
    text = io.StringIO()
    ChangeWriter(text).write({**LINE, "actor": "ü"})
    assert line.decode() == text.getvalue()


def test_buffered_writes_batches(tmp_path: pathlib.Path) -> None:
    """buffered=True holds lines until there are many, flush() or close()."""
    path = tmp_path / "log.jsonl"
    with ChangeWriter(path, buffered=True) as writer:
        writer.write({**LINE, "seq": 0})
        assert b"" == path.read_bytes()
        writer.flush()
        assert [0] == [line.seq for line in read_changes(path)]
        for n in range(1, 1000):
            writer.write({**LINE, "seq": n})
        assert path.stat().st_size > 0
        assert path.read_bytes().endswith(b"\n")
    assert list(range(1000)) == [line.seq for line in read_changes(path, strict=True)]


def test_many_threads_one_writer(tmp_path: pathlib.Path) -> None:
    """Lines of several threads do not mix; each names its thread."""
    path = tmp_path / "log.jsonl"
    bare = {key: value for key, value in LINE.items() if key != "thread"}
    with ChangeWriter(path) as writer:

        def work(number: int) -> None:
            for n in range(300):
                writer.write({**bare, "seq": number * 300 + n, "after": "x" * (n * 7 % 5000)})

        threads = [threading.Thread(target=work, args=(n,), name=f"t{n}") for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = list(read_changes(path, strict=True))
    assert list(range(2400)) == sorted(line.seq for line in lines)
    assert all(f"t{line.seq // 300}" == line.thread for line in lines)


def test_several_writers_of_one_file(tmp_path: pathlib.Path) -> None:
    """Two writers on one path both append."""
    path = tmp_path / "log.jsonl"
    with ChangeWriter(path) as one, ChangeWriter(path) as two:
        for n in range(100):
            (one, two)[n % 2].write({**LINE, "seq": n})
    assert list(range(100)) == [line.seq for line in read_changes(path, strict=True)]


FORK = """
import os, sys, threading
from pydatatracker.io import ChangeWriter
writer = ChangeWriter(sys.argv[1], buffered=sys.argv[2] == "buffered")
writer.write({"v": 1, "action": "lock", "seq": 0})
writer._lock.acquire() if sys.argv[2] == "held" else None
if sys.argv[2] == "held":  # another thread was writing at the moment of the fork
    threading.Thread(target=lambda: None).start()
pid = os.fork()
if pid == 0:
    threading.Thread(target=lambda: [writer.write({"v": 1, "action": "lock", "seq": n}) for n in (1, 2)]).start()
    threading._shutdown()
    writer.close()
    os._exit(0)
os.waitpid(pid, 0)
if sys.argv[2] == "held":
    writer._lock.release()
writer.write({"v": 1, "action": "lock", "seq": 3})
writer.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("mode", ["plain", "buffered", "held"])
def test_after_fork(tmp_path: pathlib.Path, mode: str) -> None:
    """Parent and child append to the same file, each line once.

    Also if a lock was held and lines were buffered.
    """
    path = tmp_path / "log.jsonl"
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", FORK, str(path), mode], check=True, timeout=60)
    lines = list(read_changes(path, strict=True))
    assert [0, 1, 2, 3] == sorted(line.seq for line in lines)
    assert 2 == len({line.pid for line in lines})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")
@pytest.mark.parametrize("buffered", [False, True])
def test_a_full_disk_is_an_error(buffered: bool) -> None:
    """A line that cannot be written is an OSError of write() or flush()."""
    writer = ChangeWriter("/dev/full", buffered=buffered)
    if buffered:
        writer.write(LINE)
        write = writer.flush
    else:
        write = functools.partial(writer.write, LINE)
    with pytest.raises(OSError, match="No space"):
        write()
    with pytest.raises(OSError, match="No space"):
        writer.close()
    assert writer.closed


class Unreliable(io.BytesIO):
    """A file that fails on demand, after half of the data."""

    broken = False

    def write(self, data: Any) -> int:
        if self.broken:
            super().write(bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("buffered", [False, True])
def test_lost_lines_leave_a_gap(buffered: bool) -> None:
    """After a failure a gap says what is missing, and a new line begins."""
    file = Unreliable()
    writer = ChangeWriter(file, buffered=buffered)
    writer.write({**LINE, "seq": 1})
    writer.flush()
    file.broken = True

    def write(seq: int) -> None:
        writer.write({**LINE, "seq": seq})
        writer.flush()

    for seq in (2, 3):
        with pytest.raises(OSError, match="No space"):
            write(seq)
    file.broken = False
    writer.write({**LINE, "seq": 4})
    writer.flush()
    writer.write({**LINE, "seq": 5})
    writer.close()
    lines, errors = read(file.getvalue())
    assert [1, 4, 5] == [line.seq for line in lines if not line.is_gap]
    gap = next(line for line in reversed(lines) if line.is_gap)
    assert ((2, 3), "OSError: [Errno 28] No space left on device") == (gap.gap, gap.reason)
    assert lines.index(gap) == [line.seq for line in lines].index(4) - 1
    assert 2 >= len(errors)


def test_a_change_that_cannot_be_written_leaves_a_gap() -> None:
    """A change whose to_dict fails raises, and is a gap in the log.

    The gap is written on closing at the latest.
    """

    class Broken:
        seq = 7

        def to_dict(self, compact: bool = False) -> dict[str, Any]:
            raise ZeroDivisionError("broken")

    file = io.BytesIO()
    with ChangeWriter(file) as writer, pytest.raises(ZeroDivisionError):
        writer.write(Broken())
    (line,), _ = read(file.getvalue())
    assert ((7, 7), "ZeroDivisionError: broken") == (line.gap, line.reason)


def test_several_changes_that_cannot_be_written_are_one_gap() -> None:
    """A gap begins with the first of them, and ends with the last."""
    file = io.BytesIO()
    writer = ChangeWriter(file)
    for seq in (1, 2, 3):
        with pytest.raises(ValueError, match="deep"):
            writer.write({**LINE, "seq": seq, "after": functools.reduce(lambda value, _: [value], range(400), 1)})
    writer.write({**LINE, "seq": 4})
    lines, errors = read(file.getvalue())
    assert ([(1, 3), None], []) == ([line.gap if line.is_gap else None for line in lines], errors)


@pytest.mark.parametrize(("mode", "expected"), [((), 0o600), ((0o640,), 0o640), (("0604",), 0o604), ((None,), 0o644)])
@pytest.mark.skipif(os.name != "posix", reason="no permissions here")
def test_a_new_log_has_the_mode_that_was_asked_for(tmp_path: pathlib.Path, mode: Any, expected: int) -> None:
    """The owner's alone by default, exact if given, of the umask if None."""
    before = os.umask(0o022)
    try:
        with ChangeWriter(tmp_path / "log", **dict(zip(("mode",), mode, strict=False))) as writer:
            writer.write(LINE)
    finally:
        os.umask(before)
    assert oct(expected) == oct((tmp_path / "log").stat().st_mode & 0o777)


@pytest.mark.skipif(os.name != "posix", reason="no permissions here")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_in_place_of_another_has_its_permissions(tmp_path: pathlib.Path, mode: int) -> None:
    """`like` copies the permissions, whatever they were."""
    for name in ("one", "other"):
        (tmp_path / name).write_bytes(b"")
        (tmp_path / name).chmod(mode if name == "one" else 0o600)
    fd = os.open(tmp_path / "other", os.O_RDWR)
    like(str(tmp_path / "one"), fd)
    os.close(fd)
    assert oct(mode) == oct((tmp_path / "other").stat().st_mode & 0o777)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o777, "600", "0644", "0o660"])
def test_a_mode_is_a_number_or_octal_text(mode: Any) -> None:
    """Text is octal; the owner has to read and write."""
    assert (mode if type(mode) is int else int(mode, 8)) == check_mode(mode)
    assert check_mode(None) is None


@pytest.mark.parametrize("mode", [0o400, 0o200, 0, 0o1600, -1, True, 384.0, "", "0o8", "0680", "rw", b"600"])
def test_another_mode_is_refused(mode: Any) -> None:
    """The error says what a mode is, and what was given."""
    with pytest.raises(ValueError, match="mode must be permissions such as 0o640") as caught:
        check_mode(mode)
    assert repr(mode) in str(caught.value)


def test_a_detached_writer_leaves_its_descriptor_open(tmp_path: pathlib.Path) -> None:
    """detach() gives the descriptor away; the writer has none, and is closed."""
    writer = ChangeWriter(tmp_path / "log")
    fd = writer.fileno()
    assert fd == writer.detach()
    assert (True, -1) == (writer.closed, writer.fileno())
    writer.close()
    os.write(fd, line_of())
    os.close(fd)
    assert line_of() == (tmp_path / "log").read_bytes()
    of_the_caller = ChangeWriter(io.BytesIO())
    assert (-1, -1) == (of_the_caller.fileno(), of_the_caller.detach())


def test_a_renamed_log_whose_place_is_taken_is_written_on(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, with the reason, and no line is lost."""
    monkeypatch.setattr("pydatatracker.io.files._LOOK", 0.0)
    path, moved = tmp_path / "log", tmp_path / "moved"
    with ChangeWriter(path) as writer:
        writer.write({**LINE, "seq": 1})
        path.rename(moved)
        path.mkdir()
        for seq in (2, 3):
            writer.write({**LINE, "seq": seq})
    assert [1, 2, 3] == [line.seq for line in read_changes(moved, strict=True)]
    (said,) = caplog.messages
    assert "was renamed, and a new file cannot be opened (Is a directory)" in said


def test_no_more_than_64_kib_are_gathered(tmp_path: pathlib.Path) -> None:
    """With buffered=True, lines of 64 KiB together are written at once."""
    path, size = tmp_path / "log", len(to_line(LINE))
    enough = -(-(1 << 16) // size)
    with ChangeWriter(path, buffered=True) as writer:
        for n in range(1, enough + 2):
            writer.write(LINE)
            assert (enough * size if n >= enough else 0) == path.stat().st_size


def test_a_log_may_have_descriptor_0(tmp_path: pathlib.Path) -> None:
    """A program whose standard input is closed has its log like any other."""
    before = os.dup(0)
    os.close(0)
    try:
        writer = ChangeWriter(tmp_path / "log", buffered=True)
        assert 0 == writer.fileno()
        writer.write(LINE)
        del writer  # which writes what was gathered
        assert [41] == [line.seq for line in read_changes(tmp_path / "log", strict=True)]
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(0)
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_a_change_made_while_writing() -> None:
    """A write() inside a write() in the same thread does not hang.

    As from __del__ or a signal handler.
    """
    inner: list[ChangeWriter] = []

    class Reentrant(io.BytesIO):
        def write(self, data: Any) -> int:
            if inner:
                inner.pop().write({**LINE, "seq": 2})
            return super().write(data)

    file = Reentrant()
    writer = ChangeWriter(file)
    inner.append(writer)
    writer.write({**LINE, "seq": 1})
    assert [1, 2] == sorted(line.seq for line in read(file.getvalue())[0])


def test_a_pipe(tmp_path: pathlib.Path) -> None:
    """A named pipe can be a log, as its end need not be read."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[int | None] = []

    def collect() -> None:
        got.extend(line.seq for line in read_changes(path))

    thread = threading.Thread(target=collect)
    thread.start()
    with ChangeWriter(path) as writer:
        writer.write(LINE)
        writer.write({**LINE, "after": "x" * 300_000})
    thread.join()
    assert [41, 41] == got


def test_near_the_end_of_the_stack() -> None:
    """Near the end of the stack a change is written or raises RecursionError.

    The log stays whole.
    """
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    file = io.BytesIO()
    writer = ChangeWriter(file)
    failed: list[int] = []

    def deeper(n: int) -> None:
        try:
            deeper(n + 1)
        except RecursionError:
            pass
        try:
            writer.write({**LINE, "seq": n, "after": encode(value)})
        except RecursionError:
            failed.append(n)
            raise

    deeper(0)
    writer.close()
    lines, errors = read(file.getvalue())
    assert [] == errors
    written = [line.seq for line in lines if not line.is_gap]
    assert list(range(len(written) - 1, -1, -1)) == written
    assert set() == set(failed) & set(written)


FREED = """
import gc, logging, resource, sys
from pydatatracker.io import ChangeWriter
writer = ChangeWriter(sys.argv[1], buffered=True)
writer.write({"v": 1, "action": "lock", "seq": 1, "after": "x" * 5000})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
if sys.argv[2] == "cycle":
    writer.me = writer
if sys.argv[2] != "exit":
    del writer
    gc.collect()
print("goes on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
@pytest.mark.parametrize("how", ["freed", "cycle", pytest.param("exit", marks=needs_gil)])
def test_lines_that_cannot_be_written_at_the_end_are_a_warning(how: str, tmp_path: pathlib.Path) -> None:
    """An error of a writer that is freed is logged.

    Nobody could catch it. The same holds for the end of the process.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FREED, str(tmp_path / "log"), how],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "goes on\n" == done.stdout
    assert "could not be written" in done.stderr
    assert "File too large" in done.stderr
    assert all(word not in done.stderr for word in ("Traceback", "Exception ignored"))


def test_no_other_class_has_a_destructor() -> None:
    """A new destructor belongs into the test above.

    Each has to be safe on a full disk.
    """
    package = pathlib.Path(pydatatracker.__file__).parent
    names = [path.name for path in package.rglob("*.py") if "def __del__" in path.read_text("utf-8")]
    assert ["writer.py"] == names
