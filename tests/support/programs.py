"""Programs in a file, run with and without the package's command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from command import run


def plain(*args: object, cwd: Path, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program without the package's command."""
    return run(*args, cwd=cwd, stdin=stdin, python=(), **env)


def write(folder: Path, program: str, name: str = "program.py") -> Path:
    """Write a program to a file, and make its folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(program, "utf-8")
    return path
