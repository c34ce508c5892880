"""Logs of random sessions, and commands run on them in this process."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from command import environment
from gardening import Session

from pydatatracker import track, tracking_actor
from pydatatracker.cli import main
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.observers import json_file_observer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command here; return status, standard output and error."""

    def command(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(map(str, args)))
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


def logged(steps: Any, path: str, **options: Any) -> Session:
    """Run a random session, and write its log at the same time."""
    session = Session(odd_keys=options.pop("odd_keys", True))
    with json_file_observer(path) as observer:
        first = session.root.tracking_changes()[0]
        observer(first)
        for each in session.root.tracking_changes()[1:]:
            observer(each)
        session.root.tracking_add_observer(observer)
        session.run(steps)
    return session


def fresh() -> str:
    """Return the path of a new log."""
    return os.path.join(tempfile.mkdtemp(), "log.jsonl")


def into(path: str, *args: object) -> tuple[int, str]:
    """Run a command here with its standard output in a file.

    Tests of hypothesis cannot use the fixtures that capture it.
    """
    before = sys.stdout
    with open(path + ".out", "w+", encoding="utf-8") as out:
        sys.stdout = out
        try:
            status = main(list(map(str, args)))
        finally:
            sys.stdout = before
        out.seek(0)
        return status, out.read()


def fail(error: Exception) -> None:
    """Fail the test with the error of a line."""
    pytest.fail(str(error))


def compare_blame(x: Any, rebuilt: Rebuilt, remembered: Rebuilt) -> None:
    """Compare blame of a container, its log, and the log's last changes."""
    theirs = x.tracking_blame()
    ours = rebuilt.value.tracking_blame()
    whole, short = ({place: line.seq for place, line in each.blame(None)} for each in (rebuilt, remembered))
    for place in whole:
        assert [(place, whole[place])] == [(place, line.seq) for _, line in remembered.blame(place)]
    assert whole == short
    for place, each in theirs.items():
        assert each.seq == line_seq(rebuilt, ours[place])
        history = dict.fromkeys(line_seq(rebuilt, change) for change in rebuilt.value.tracking_history(place))
        born = rebuilt.lines[0].seq  # the init line, which is a change of every path here
        assert [change.seq for change in x.tracking_history(place)] == [seq for seq in history if seq != born]


def line_seq(rebuilt: Rebuilt, change: Any) -> int | None:
    """Return the seq that a change of a rebuilt container has in the log."""
    line = rebuilt.line_of(change)
    return None if line is None else line.seq


def words(place: str, line: str) -> list[str]:
    """Return seq, actor, action and path of a line of `show` or `blame`."""
    return line.removeprefix(place).split()[2:]


def by_three(path: str, steps: Any) -> Any:
    """Return a container that three actors change, and write its log."""
    x = track({"l": [0, 1], "d": {"a": 0}}, tracking_max_changes=None)
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        for who, what, where, value in steps:
            with tracking_actor("abc"[who]):
                act(x, what, where, value)
        x.tracking_remove_observer(observer)
    return x


def act(x: Any, what: int, where: int, value: int) -> None:
    """Do one of several mutations."""
    if what == 0:
        x["d"][f"k{where}"] = value
    elif what == 1:
        x["l"].insert(where, value)
    elif what == 2 and x["l"]:
        x["l"].pop(where % len(x["l"]))
    elif what == 3 and x["l"]:
        x["l"][where % len(x["l"])] = value
    elif what == 4:
        x["d"].pop(f"k{where}", None)
    else:
        x["l"].sort()


@pytest.fixture
def two(tmp_path: pathlib.Path) -> pathlib.Path:
    """Write a log of two containers."""
    path = tmp_path / "two.jsonl"
    program = (
        "from pydatatracker import TrackedDict, tracking_actor\n"
        "one, other = TrackedDict(), TrackedDict()\n"
        "with tracking_actor('ann'): one['x'] = 1\n"
        "with tracking_actor('bob'): other['x'] = {'deep': [1, 2]}\n"
        "one['x'] = 5\n"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(PYDATATRACKER_LOG=str(path)), check=True)
    return path
