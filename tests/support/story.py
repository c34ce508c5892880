"""The commands in the pictures of the documentation.

They run the shop of `pydatatracker demo`, and read its log.
"""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path

from command import run, run_in_terminal

__all__ = ["COLUMNS", "TIME", "play", "typed"]

COLUMNS = 100
TIME = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(\.\d+)?")  # the only difference between runs of the shop


def play(folder: Path) -> None:
    """Write shop.py into a folder and run it, with its log beside it.

    Every change is in changes.jsonl. No line has the name of the folder.
    """
    source = importlib.resources.files("pydatatracker.cli").joinpath("programs/shop.py").read_text("utf-8")
    (folder / "shop.py").write_text(source, "utf-8")
    log = folder / "changes.jsonl"
    log.unlink(missing_ok=True)
    done = run("run", "--stack", "--log", log.name, "shop.py", cwd=folder)
    if done.returncode:
        raise RuntimeError(f"the shop failed: {done.stderr}")
    script = str(folder.resolve() / "shop.py")
    log.write_text(log.read_text("utf-8").replace(script, "shop.py"), "utf-8")


def typed(command: str, folder: Path) -> str:
    """Return what a terminal shows for ``pydatatracker ARGS``, in colour.

    Raises RuntimeError if the command fails.
    """
    program, *args = command.split()
    assert program == "pydatatracker"
    status, shown = run_in_terminal(*args, cwd=folder, columns=COLUMNS)
    if status:
        raise RuntimeError(f"{command} ended with {status}: {shown}")
    return shown
