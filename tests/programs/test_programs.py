"""Programs that were not written for this library do the same with it.

Each script of ``scripts`` is found by its name. It uses a real library, and goes wrong deep in it.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from existing import Outcome, Program, outcome, programs

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


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_the_same_under_run(program: Program, folder: Path, tmp_path: Path) -> None:
    """``run`` changes nothing that a program prints, writes or returns."""
    skip_if_missing(program)
    log = tmp_path / "log.jsonl"
    expected = alone(program, folder)
    found = outcome(program.text, program.name, folder, "-m", "pydatatracker", "run", "--stack", "--log", str(log))
    assert expected == found
    assert b"" == log.read_bytes()
