"""``pydatatracker demo``: a program that goes wrong, and its log."""

from __future__ import annotations

import importlib.resources
import os
import shlex
import subprocess
import tempfile
from typing import IO

from pydatatracker import process
from pydatatracker.cli import line_view
from pydatatracker.cli.programs import launch
from pydatatracker.cli.terminal import COLOURS, wants_colour
from pydatatracker.io import ChangeReader

__all__ = ["play"]


def play(out: IO[str]) -> int:
    """Run the shop in a new folder, and print what happened.

    Returns the exit status of the shop.
    """
    bold, reset = (COLOURS["bold"], COLOURS["reset"]) if wants_colour(out) else ("", "")
    folder = tempfile.mkdtemp(prefix="pydatatracker-demo-")
    script = os.path.join(folder, "shop.py")
    log = os.path.join(folder, "changes.jsonl")
    source = importlib.resources.files("pydatatracker.cli").joinpath("programs/shop.py").read_text("utf-8")
    with open(script, "w", encoding="utf-8") as file:
        file.write(source)
    out.write(f"{bold}$ pydatatracker run --log {shlex.quote(log)} {shlex.quote(script)}{reset}\n\n")
    out.flush()
    # Not through `run`: the output goes to out, wherever that is, and no summary is printed at the end.
    variables = {**launch.environment(log), process.RUN: "", "PYTHONIOENCODING": "utf-8"}
    ended = subprocess.run(
        [*launch.interpreter(), script], env=variables, stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    out.write(ended.stdout)
    if ended.returncode:
        return ended.returncode
    out.write(f"\n{bold}$ pydatatracker show {shlex.quote(log)}{reset}\n\n")
    with ChangeReader(log, on_error=print) as lines:
        line_view.show(lines, out, line_view.Layout())
    out.write(f"\nThe program is {script}. The log alone knows who wrote that price, and where.\n")
    out.write(f"Next: pydatatracker blame {shlex.quote(log)} /products/cup/price -v\n")
    out.flush()
    return 0
