"""``run`` beside files named like the modules that recording imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import run
from programs import plain, write

from pydatatracker.io import read_changes

RECORD = """
import pydatatracker, sys
at_import = set(sys.modules)
from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, tracking_actor
class Thing(TrackedAttr):
    pass
values = [1, 1.5, 1j, "s", b"b", None, (1, {2}), {"x": [1, {}]}, frozenset(), range(3), Thing, object(), "\\udcff"]
with tracking_actor("ann", why="test"):
    data, items, elements, thing = TrackedDict(), TrackedList(), TrackedSet(), Thing()
    for number, value in enumerate(values):
        data[str(number)] = value
        items.append(value)
        thing.value = value
    elements |= {1, (2,)}
    items.sort(key=str); items.reverse(); items[1:3] = []; data.clear()
    data["list"] = items
    items.append(3)
    data.lock(); data.unlock()
"""
LATER = "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - at_import}))\n"
OWN = "OWN = True\nprint('ran', __name__)\n"
USUAL = ["platform", "uuid", "decimal", "numbers", "pathlib", "msgspec", "threading", "logging", "json"]


def log_of(folder: Path) -> list[Any]:
    """Return what a log says, without ids and times."""
    return [(line.action, line.method, line.pointer, line.actor) for line in read_changes(folder / "changes.jsonl")]


def imported_by_recording(folder: Path) -> list[str]:
    """Return the top-level modules that a program has after it recorded."""
    program = RECORD + "import json as own; print(own.dumps([*at_import, *sys.modules]))\n"
    write(folder, program, "find.py")
    done = run("run", "--stack", "--snapshots", "--log", "found.jsonl", "find.py", cwd=folder)
    names = {name.partition(".")[0] for name in json.loads(done.stdout)}
    write(folder, "import importlib.util, sys; print(*sys.modules)\n", "needed.py")  # import hooks need these
    needed = {"cython_runtime", *(name for name in names if name.startswith("_cython"))}  # not imported by name
    needed |= {name.partition(".")[0] for name in plain("needed.py", cwd=folder).stdout.split()}
    needed |= {*sys.builtin_module_names, "pydatatracker", "__future__"}  # beside __future__.py hardly anything runs
    if sys.version_info >= (3, 13):
        needed.add("tokenize")  # linecache imports it late, and finds the program's
    return sorted(name for name in names - needed if name.isidentifier())


def test_recording_imports_nothing_later(tmp_path: Path) -> None:
    """All that recording imports is imported with the package."""
    write(tmp_path, RECORD + LATER, "prog.py")
    done = run("run", "--stack", "--snapshots", "prog.py", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert set(done.stdout.split()) <= {"encodings", "pydatatracker"}  # encodings is there before any program


@pytest.mark.parametrize("how", ["script", "module", "variable"])
def test_every_name_at_once(tmp_path: Path, how: str) -> None:
    """The log is complete, and the program gets its own files."""
    names = imported_by_recording(tmp_path)
    usual = [name for name in USUAL if name in names]  # versions of Python differ in what they import
    assert len(usual) > len(USUAL) / 2
    if how == "module":  # python -m itself imports from the folder
        names = usual
    program = f"for name in {names!r}: print(name, hasattr(__import__(name), 'OWN'))\n"
    write(tmp_path, RECORD, "plain/prog.py")
    assert 0 == run("run", "--stack", "prog.py", cwd=tmp_path / "plain").returncode
    for name in names:
        write(tmp_path, OWN, f"beside/{name}.py")
    write(tmp_path, program, "beside/alone.py")
    write(tmp_path, RECORD + program, "beside/prog.py")
    beside = tmp_path / "beside"
    expected = plain(*(("-m", "alone") if how == "module" else ("alone.py",)), cwd=beside)
    assert (0, True) == (expected.returncode, " True" in expected.stdout)
    if how == "variable":
        done = plain("prog.py", cwd=beside, PYDATATRACKER_LOG="changes.jsonl", PYDATATRACKER_STACK="25")
    elif how == "module":
        done = run("run", "--stack", "-m", "prog", cwd=beside)
    else:
        done = run("run", "--stack", "--log", "beside/changes.jsonl", "beside/prog.py", cwd=tmp_path)
    assert expected.stdout == done.stdout, done.stderr
    assert 0 == done.returncode
    assert log_of(tmp_path / "plain") == log_of(beside)


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("before", [True, False])
def test_the_program_has_its_own_module(tmp_path: Path, name: str, before: bool) -> None:
    """A program that imports its file, before or after us, has that one."""
    own = f"import {name} as first\n"
    program = (own if before else "") + RECORD + own.replace("first", "second")
    program += "import importlib, sys\nprint(second.OWN, sys.modules[second.__name__] is second)\n"
    program += "print(first is second)\n" if before else ""
    write(tmp_path, OWN, f"{name}.py")
    write(tmp_path, program, "prog.py")
    done = run("run", "prog.py", cwd=tmp_path)
    lines = [f"ran {name}", "True True"] + ["True"] * before
    assert (0, lines) == (done.returncode, done.stdout.splitlines()), done.stderr
    assert "are missing" not in done.stderr
    assert log_of(tmp_path)


def test_packages_and_vendored_libraries_are_found(tmp_path: Path) -> None:
    """A package shadows as a file does, with its submodules."""
    write(tmp_path, "OWN = True\n", "uuid/__init__.py")
    write(tmp_path, "from uuid import OWN\n", "uuid/part.py")
    write(tmp_path, "import uuid.part\n" + RECORD + "import uuid\nprint(uuid.part.OWN)\n", "prog.py")
    done = run("run", "prog.py", cwd=tmp_path)
    assert (0, "True\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("name", ["platform", "click", "json", "logging"])
def test_the_command_line_itself_is_not_shadowed(tmp_path: Path, name: str) -> None:
    """``python -m pydatatracker`` runs no file of the current folder."""
    write(tmp_path, "raise SystemExit('ran')\n", f"{name}.py")
    write(tmp_path, RECORD, "sub/prog.py")
    command = [sys.executable, "-m", "pydatatracker", "run", "sub/prog.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stdout), done.stderr
