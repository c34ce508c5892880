"""Programs that were not written for this library do the same with it.

Each script of ``scripts`` is found by its name. It uses a real library, and goes wrong deep in it.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

import final_state
import pytest
from command import run
from existing import Outcome, Program, outcome, programs

from pydatatracker.io import read_changes

PAGE = Path(__file__).parents[2] / "docs" / "existing-programs.md"
WATCHERS = pytest.mark.skipif(sys.version_info < (3, 12), reason="watching needs CPython 3.12")
LATER: set[str] = set()  # programs that cannot be watched yet
IN_TUPLES = {"toml_document"}  # what is in a tuple has no history of its own in a log
PROGRAMS = [pytest.param(program, id=program.name) for program in programs()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one path for all runs, because tracebacks show it."""
    return tmp_path_factory.mktemp("programs") / "here"


@functools.cache
def alone(program: Program, folder: Path) -> Outcome:
    """Run a program without the library."""
    return outcome(program.text, program.name, folder)


def skip_if_missing(program: Program) -> None:
    if program.missing:
        pytest.skip(f"not installed: {', '.join(program.missing)} (group programs)")


def verified(log: Path, cwd: Path) -> None:
    """Assert that ``verify`` finds no fault in a log."""
    checked = run("verify", log, cwd=cwd)
    assert (0, "") == (checked.returncode, checked.stderr)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_the_same_under_run(program: Program, folder: Path, tmp_path: Path) -> None:
    """``run`` changes nothing that a program prints, writes or returns."""
    skip_if_missing(program)
    log = tmp_path / "log.jsonl"
    expected = alone(program, folder)
    found = outcome(program.text, program.name, folder, "-m", "pydatatracker", "run", "--stack", "--log", str(log))
    assert expected == found
    assert b"" == log.read_bytes()


@WATCHERS
@pytest.mark.parametrize("program", [program for program in PROGRAMS if program.id not in LATER])
def test_a_watched_program_is_the_same_and_its_log_names_the_culprit(
    program: Program, folder: Path, tmp_path: Path
) -> None:
    """With one line added a program does the same, and the log explains it.

    The last change with the path and the values that went wrong names the line of the program that did it. The log is
    complete, and its changes fit each other.
    """
    skip_if_missing(program)
    log = tmp_path / "log.jsonl"
    assert program.edited != program.text
    expected = alone(program, folder)
    found = outcome(program.edited, program.name, folder, PYDATATRACKER_LOG=str(log), PYDATATRACKER_STACK="25")
    assert expected == found
    *_, damage = filter(program.is_the_damage, read_changes(log))
    assert damage.culprit is not None
    assert (str(folder / f"{program.name}.py"), program.culprit) == (
        damage.culprit["filename"],
        damage.culprit["lineno"],
    )
    verified(log, tmp_path)
    if program.name in IN_TUPLES:
        return
    shown = run("history", "-v", log, damage.pointer, cwd=tmp_path)
    assert f"culprit: {folder / program.name}.py:{program.culprit} in " in shown.stdout


@WATCHERS
@pytest.mark.parametrize("program", [each for each in PROGRAMS if each.id not in LATER and each.values[0].run])
def test_run_watches_a_program_of_which_no_line_is_edited(program: Program, folder: Path, tmp_path: Path) -> None:
    """``run --watch`` gives the same answer, and the program is the same."""
    skip_if_missing(program)
    log = tmp_path / "log.jsonl"
    options = ("run", "--no-redact", "--log", str(log), "--watch", program.run)
    expected = alone(program, folder)
    found = outcome(program.text, program.name, folder, "-m", "pydatatracker", *options)
    assert expected == found
    *_, damage = filter(program.is_the_damage, read_changes(log))
    assert damage.culprit is not None
    assert (str(folder / f"{program.name}.py"), program.culprit) == (
        damage.culprit["filename"],
        damage.culprit["lineno"],
    )
    verified(log, tmp_path)


@WATCHERS
@pytest.mark.parametrize("whole", [False, True], ids=["named", "main"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_log_of_a_watched_program_is_true(program: Program, whole: bool, folder: Path, tmp_path: Path) -> None:
    """A log that the library wrote itself verifies, and ends in what is there.

    That is what the records in memory say at the end of the program; only the order of keys and the texts of objects
    may be others. Once with what the program's comments name, once with all globals of the program.
    """
    skip_if_missing(program)
    log, final, start = tmp_path / "log.jsonl", tmp_path / "final.json", tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(final_state.TEXT, "utf-8")
    name = "__main__" if whole or not program.run else program.run
    variables = {"PYDATATRACKER_LOG": str(log), "PYDATATRACKER_WATCH": name, "PYDATATRACKER_REDACT": "-"}
    path = os.pathsep.join([str(start), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = outcome(program.text, program.name, folder, PYTHONPATH=path, FINAL_STATE=str(final), **variables)
    assert alone(program, folder) == found
    verified(log, tmp_path)
    said = json.loads(final.read_text("utf-8"))
    assert [] == said["differences"]
    assert said["roots"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this CPython can watch")
def test_without_watchers_one_sentence_says_so(folder: Path) -> None:
    """On CPython 3.11 `watch` is an error that says what it needs."""
    (program,) = (program for program in programs() if program.name == "arguments")
    found = outcome(program.edited, program.name, folder)
    assert 1 == found.status
    assert b"3.12" in found.errors.splitlines()[-1]


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not installed")
def test_the_page_has_every_program_and_what_it_edits() -> None:
    """The page has a row for each script, with its one line and its name."""
    rows = {
        line.split("|")[-2].strip().strip("`"): line for line in PAGE.read_text("utf-8").splitlines() if "|" in line
    }
    for program in programs():
        row = rows[program.name]
        assert program.edit.partition("; ")[2] in row, program.name
        assert program.run in row, program.name
