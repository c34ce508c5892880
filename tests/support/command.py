"""The command line as users meet it: a process of its own, piped or under a pseudo-terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_OWN = ("NO_COLOR", "COLUMNS", "LINES", "PYDATATRACKER_LOG", "PYDATATRACKER_STACK", "PYDATATRACKER_SNAPSHOTS")


def environment(**more: str) -> dict[str, str]:
    """Return this environment without what would change the result, and with more."""
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
    """Run the same under a pseudo-terminal; return exit status and all that it showed, newlines as ``\\n``."""
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
    except OSError:  # Linux says EIO where others say end of file
        pass
    finally:
        os.close(ours)
    return process.wait(60), shown.decode().replace("\r\n", "\n")


def change(**fields: Any) -> bytes:
    """Return a line of a log."""
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
