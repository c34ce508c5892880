"""Long commands: a progress bar in terminals only, and Ctrl-C.

The log is a pipe that never ends. No test waits for a fixed time; each writes more lines until the bar appears.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import change, environment

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes and pseudo-terminals are POSIX")


LONGEST = 60.0  # seconds before a test gives up


def lines(first: int) -> bytes:
    """Return the next thousand lines of a consistent log."""
    return b"".join(
        change(seq=n, action="update" if n > 10 else "add", pointer=f"/k{n % 10}", path=[f"k{n % 10}"], after=n,
               **({"before": n - 10} if n > 10 else {}))
        for n in range(first, first + 1000)
    )  # fmt: skip


class Reader:
    """A command that reads a log which the test writes while it runs."""

    def __init__(self, folder: Path, *args: str, terminal: bool) -> None:
        self.log = folder / "log"
        os.mkfifo(self.log)
        words = [str(self.log) if each == "LOG" else each for each in args]
        command = [sys.executable, "-m", "pydatatracker", *words]
        self.shown = b""
        self.written = 1
        if terminal:
            import pty

            self._ours, theirs = pty.openpty()
            streams: dict[str, int] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        else:
            self._ours, theirs = os.pipe()
            streams = {"stdin": subprocess.DEVNULL, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment(COLUMNS="80"), start_new_session=True, **streams
        )
        os.close(theirs)
        self.pipe = os.open(self.log, os.O_WRONLY)  # blocks until the command opens it
        os.set_blocking(self.pipe, False)

    def write(self) -> None:
        """Write a thousand more lines."""
        rest = lines(self.written)
        self.written += 1000
        while rest:
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self.pipe, rest) :]
            self.look(0.01 if rest else 0)

    def look(self, patience: float) -> bytes:
        """Read what was printed; return all that was printed so far."""
        with contextlib.suppress(OSError):  # the other end of the terminal is closed
            while select.select([self._ours], [], [], patience)[0]:
                data = os.read(self._ours, 65536)
                self.shown += data
                patience = 0
                if not data:
                    break
        return self.shown

    def end(self) -> int:
        """End the log, read everything, and return the exit status."""
        with contextlib.suppress(OSError):
            os.close(self.pipe)
        deadline = time.monotonic() + LONGEST
        while self.process.poll() is None and time.monotonic() < deadline:
            self.look(0.1)
        self.look(0)
        return self.process.wait(1)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def reading(folder: Path, *args: str, terminal: bool = True) -> Iterator[Reader]:
    reader = Reader(folder, *args, terminal=terminal)
    try:
        yield reader
    finally:
        reader.close()


def until_seen(reader: Reader, text: bytes) -> None:
    """Write more lines until the text is on the screen."""
    deadline = time.monotonic() + LONGEST
    while text not in reader.shown:
        assert time.monotonic() < deadline, reader.shown
        reader.write()


def left_over(shown: bytes) -> list[str]:
    """Return what is on the screen in the end, without erased lines."""
    lines = [""]
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown.decode()):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif part == "\x1b[1A":
            lines.pop()
        elif part[0] not in "\x1b\r":
            lines[-1] += part
    return [line for line in lines if line]


@pytest.mark.parametrize("command", ["stats", "verify", "at"])
def test_a_bar_that_vanishes(tmp_path: Path, command: str) -> None:
    """A bar appears after a second and is erased at the end.

    The cursor is shown again, and the result is printed.
    """
    with reading(tmp_path, command, "LOG", *(["now"] if command == "at" else [])) as reader:
        until_seen(reader, b"reading")
        assert 0 == reader.end()
        assert reader.shown.rindex(b"\x1b[?25h") > reader.shown.rindex(b"\x1b[?25l")
        screen = left_over(reader.shown)
        assert [] == [line for line in screen if "reading" in line or "replaying" in line]
        assert screen[-1] == "}" if command == "at" else "change" in screen[0]


@pytest.mark.parametrize("command", ["stats", "verify"])
def test_no_bar_where_no_terminal_is(tmp_path: Path, command: str) -> None:
    """Without a terminal there is no bar, however long the command runs."""
    with reading(tmp_path, command, "LOG", terminal=False) as reader:
        began = time.monotonic()
        while time.monotonic() < began + 1.5:  # longer than the delay before a bar appears
            reader.write()
        assert 0 == reader.end()
        assert b"\x1b" not in reader.shown
        assert b"reading" not in reader.shown


def test_a_bar_gives_way_to_messages(tmp_path: Path) -> None:
    """The report of an unreadable line does not mix with the bar."""
    with reading(tmp_path, "stats", "LOG") as reader:
        until_seen(reader, b"reading")
        os.set_blocking(reader.pipe, True)
        os.write(reader.pipe, b"nonsense\n")
        reader.end()
        assert 1 == reader.process.returncode
        (said,) = [line for line in left_over(reader.shown) if "nonsense" in line or "not JSON" in line]
        assert said.startswith("pydatatracker: ")


@pytest.mark.parametrize(
    "args",
    [
        ("show", "LOG"),
        ("show", "--json", "LOG"),
        ("show", "--actor", "nobody", "LOG"),
        ("stats", "LOG"),
        ("verify", "LOG"),
        ("blame", "LOG", "--all"),
        ("history", "LOG", "/k1"),
        ("at", "LOG", "now"),
        ("diff", "LOG", "1.."),
        ("patch", "LOG", "1.."),
        ("undo-script", "LOG"),
        ("convert", "LOG", "--to", "csv"),
        ("report", "LOG"),
        ("view", "LOG"),
    ],
    ids=lambda args: " ".join(args),
)
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "piped"])
def test_ctrl_c_ends_cleanly(tmp_path: Path, args: tuple[str, ...], terminal: bool) -> None:
    """Ctrl-C ends every command that reads a log with status 130.

    There is no traceback and no partial file, and the cursor is shown again.
    """
    before = set(os.listdir(tmp_path))
    with reading(tmp_path, *args, terminal=terminal) as reader:
        reader.write()
        reader.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + LONGEST
        while reader.process.poll() is None and time.monotonic() < deadline:
            reader.look(0.05)
        assert 130 == reader.end()
        assert b"Traceback" not in reader.shown
        assert b"Error" not in reader.shown
        assert reader.shown.count(b"\x1b[?25l") == reader.shown.count(b"\x1b[?25h")
    assert {"log"} == set(os.listdir(tmp_path)) - before
