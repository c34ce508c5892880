"""The command line in a process of its own, piped or in a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and links are POSIX")
_OWN = ("NO_COLOR", "COLUMNS", "LINES", "PYDATATRACKER_LOG", "PYDATATRACKER_STACK", "PYDATATRACKER_SNAPSHOTS",
        "PYDATATRACKER_LIBRARY")  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    """Return this environment without variables that change results."""
    kept = {key: value for key, value in os.environ.items() if key not in _OWN}
    return {**kept, "TERM": "xterm-256color", "TZ": "UTC", "PYTHONIOENCODING": "utf-8", **more}


def run(
    *args: object, cwd: Path, stdin: bytes = b"", python: tuple[str, ...] = ("-m", "pydatatracker"), **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m pydatatracker ARGS`` with pipes."""
    done = subprocess.run(
        [sys.executable, *python, *map(str, args)],
        cwd=cwd,
        env=environment(**env),
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_in_terminal(*args: object, cwd: Path, columns: int = 80, **env: str) -> tuple[int, str]:
    """Run the same in a pseudo-terminal; return exit status and output."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", *map(str, args)],
        cwd=cwd,
        env=environment(**env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # Linux raises EIO at the end of the file
        pass
    finally:
        os.close(ours)
    return process.wait(60), shown.decode().replace("\r\n", "\n")


def change(**fields: Any) -> bytes:
    """Return a line of a log with these fields."""
    line = {
        "v": 1,
        "seq": 1,
        "created_time": "2026-11-23T12:45:30.422044+00:00",
        "time_ns": 1795437930422044123,
        "action": "update",
        "method": "__setitem__",
        "type": "TrackedDict",
        "actor": "",
        "root": "a3f9",
        **fields,
    }
    return json.dumps(line).encode() + b"\n"


def interrupted(
    *args: object, cwd: Path, after: float = 0, until: Callable[[], bool] | None = None
) -> tuple[int, float, bytes]:
    """Start a command and interrupt it.

    That is after some seconds, or once ``until`` returns True because the command is at work.
    Returns the exit status, the seconds from the signal to the end, and standard error.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", *map(str, args)],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(after)
    waited = time.monotonic() + 60
    while until is not None and not until() and process.poll() is None and time.monotonic() < waited:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    return process.returncode, time.monotonic() - start, errors


def lines(count: int) -> bytes:
    """Return the lines of a log in which nine keys are updated in turn."""
    return b"".join(
        change(seq=n, pointer=f"/k{n % 9}", path=[f"k{n % 9}"], after=n, uuid=f"{n:032x}") for n in range(1, count + 1)
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a log of a root that begins with data and has two changes."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        change(seq=0, action="init", pointer="", path=[], after={"users": ["ann"], "n": 1})
        + change(seq=1, pointer="/n", path=["n"], before=1, after=2, actor="bob")
        + change(seq=2, action="add", pointer="/users/1", path=["users", 1], after="x", actor="eve")
    )
    return path
