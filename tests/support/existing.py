"""Run programs that were not written for this library, with and without.

A script of ``tests/programs/scripts`` says in comments what it needs and what goes wrong in it:

- ``# needs: NAME ...``: distributions, beside the standard library;
- ``# edit: STATEMENT``: where one line is added to watch the data; without it, this is a comment;
- ``# run: NAME``: what ``pydatatracker run --watch`` takes instead, so that no line is edited; without it, this is not
  tried;
- ``# wrong: POINTER BEFORE -> AFTER``: the change that does the damage; ``any`` is any value, ``missing`` is none;
- ``# culprit``: at the end of the line that does it.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

from command import environment

from pydatatracker import MISSING
from pydatatracker.values.pointer import to_pointer

SCRIPTS = pathlib.Path(__file__).parents[1] / "programs" / "scripts"
ANY = object()


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A script and what its comments say."""

    name: str
    text: str
    needs: tuple[str, ...]
    edit: str
    run: str
    pointer: str
    before: object
    after: object
    culprit: int

    @property
    def missing(self) -> list[str]:
        """Distributions that it needs and that are not installed."""
        return [name for name in self.needs if not installed(name)]

    @property
    def edited(self) -> str:
        """The script with its one line added."""
        return self.text.replace("# edit: ", "")

    def is_the_damage(self, change: Any) -> bool:
        """Whether a change has the path and the values that went wrong.

        The path may begin with the name by which the data was watched.
        """
        return (
            any(to_pointer(path).endswith(self.pointer) for path in change.paths)
            and (self.before is ANY or same(self.before, change.before))
            and (self.after is ANY or same(self.after, change.after))
        )


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def same(expected: object, found: object) -> bool:
    return type(expected) is type(found) and expected == found


def value(text: str) -> object:
    return {"any": ANY, "missing": MISSING}[text] if text in ("any", "missing") else ast.literal_eval(text)


def read(path: pathlib.Path) -> Program:
    """Read a script and its comments."""
    text = path.read_text("utf-8")
    said = {name: rest.strip() for name, rest in re.findall(r"^\s*# (needs|edit|run|wrong): (.*)$", text, re.MULTILINE)}
    pointer, _, values = said["wrong"].partition(" ")
    before, _, after = values.partition(" -> ")
    (culprit,) = (number for number, line in enumerate(text.splitlines(), 1) if line.endswith("  # culprit"))
    needs = tuple(said.get("needs", "").split())
    edit, run = said.get("edit", ""), said.get("run", "")
    return Program(path.stem, text, needs, edit, run, pointer, value(before), value(after), culprit)


def programs() -> list[Program]:
    """Return all scripts, in the order of their names."""
    return [read(path) for path in sorted(SCRIPTS.glob("*.py"))]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All that a program leaves: what it printed, its status, its files."""

    status: int
    output: bytes
    errors: bytes
    files: dict[str, bytes]


def outcome(text: str, name: str, folder: pathlib.Path, *python: str, **env: str) -> Outcome:
    """Run a script in a folder that is empty otherwise.

    Lines of this library on standard error are left out.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    script = folder / f"{name}.py"
    script.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, *python, script.name],
        cwd=folder,
        env=environment(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    script.unlink()
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    errors = b"".join(line for line in done.stderr.splitlines(True) if not line.startswith(b"pydatatracker: "))
    return Outcome(done.returncode, done.stdout, errors, files)
