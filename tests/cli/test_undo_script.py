"""``undo-script``: a program or patch that undoes selected changes."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import jsonpatch
from command import environment, log, run
from hypothesis import given, settings
from hypothesis import strategies as st
from rebuilding import Run, by_three, fresh, into, say

from pydatatracker import track, tracking_actor
from pydatatracker.history.walk import plain_copy
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import encode

__all__ = ["log", "say"]  # the fixtures


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=20))
def test_undo_script_equals_revert(steps: Any) -> None:
    """``undo-script`` of an actor gives the data that tracking_revert gives."""
    path = fresh()
    x = by_three(path, steps)
    before = encode(plain_copy(x))
    status, out = into(path, "undo-script", path, "--actor", "b")
    assert status == 0
    x.tracking_revert(actor="b")
    assert encode(plain_copy(x)) == jsonpatch.apply_patch(before, json.loads(out))


def test_the_python_of_undo_script_runs(tmp_path: pathlib.Path, say: Run) -> None:
    """The generated Python program runs, whatever the log is called.

    It reads a state as JSON, and prints the state with the changes undone.
    """
    path = tmp_path / 'evil"""\n name.jsonl'
    x = track({"a": 1, "l": [1, 2]})
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        with tracking_actor("eve"):
            x["a"] = '"""'
            x["l"].append(3)
    status, program, _ = say("undo-script", path, "--actor", "eve", "--format", "python")
    assert status == 0
    (tmp_path / "undo.py").write_text(program)
    state = say("at", path, "now")[1]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "undo.py")],
        input=state,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert {"a": 1, "l": [1, 2]} == json.loads(done.stdout)


def test_a_change_that_cannot_be_undone_is_named(tmp_path: pathlib.Path, say: Run) -> None:
    """A change that was overwritten later is kept, and named on stderr."""
    path = tmp_path / "log.jsonl"
    x = track({"a": 1})
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        with tracking_actor("eve"):
            x["a"] = 2
            x["b"] = 3
        x["a"] = 4
    _, out, err = say("undo-script", path, "--actor", "eve")
    assert [{"op": "remove", "path": "/b"}] == json.loads(out)
    assert "kept, as a later change depends on it" in err
    assert "/a" in err


def test_undo_script_keeps_the_first_state(log: pathlib.Path) -> None:
    """The initial state of a log is never undone."""
    for filters in ((), ("--seq", "..2"), ("--since", "2020-01-01"), ("--action", "init")):
        done = run("undo-script", log, *filters, cwd=log.parent)
        assert (0, "") == (done.returncode, done.stderr)
        wanted = [] if "init" in filters else [("replace", "/n"), ("remove", "/users/1")]
        assert sorted(wanted) == sorted((each["op"], each["path"]) for each in json.loads(done.stdout))
    assert "init" in run("blame", log, "/users/0", cwd=log.parent).stdout
