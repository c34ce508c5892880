"""A file is replayed as lines that come one by one are."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from builds import MSGSPEC, needs_msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loglines import line_of
from mutating import bases, mutated

from pydatatracker import TrackedDict, TrackedList, _core, replay
from pydatatracker.history.replica_set import ReplicaSet
from pydatatracker.io import LogFormatError, read_changes
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import encode


def outcome(lines: Any, at: int | None, root: str | None) -> tuple[str, Any]:
    """Return the value that `replay` gives as JSON, or the error."""
    try:
        return "", encode(replay(lines, at, root=root), limit=None)
    except LogFormatError as error:
        return "LogFormatError", (error.line, error.reason)
    except Exception as error:
        return type(error).__name__, str(error)


def one_by_one(path: Path, at: int | None, root: str | None) -> tuple[str, Any]:
    """Return the outcome for the lines of a file, given one by one."""
    lines: list[Any] = []
    try:
        with read_changes(path, strict=True) as reader:
            lines = sorted(
                reader, key=lambda line: (line.gap[0] or 0, 1) if line.is_gap else (line.seq or 0, line.rank)
            )
    except LogFormatError as error:
        return "LogFormatError", (error.line, error.reason)
    return outcome(lines, at, root)


STEPS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 14), st.integers(0, 5000) | st.integers(0, 40), st.integers(0, 60)),
    max_size=6,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(bases()) - 1), STEPS, st.none() | st.integers(0, 60), st.booleans())
def test_a_file_gives_what_its_lines_give(
    which: int, steps: list[tuple[int, int, int, int]], at: int | None, one: bool
) -> None:
    """Broken logs, too, and with the same errors."""
    raw = mutated(bases()[which], steps)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(raw)
        root = None
        if one:
            with contextlib.suppress(ValueError, KeyError, StopIteration):
                root = json.loads(next(iter(raw.splitlines())))["root"]
            root = root if type(root) is str else None
        assert one_by_one(path, at, root) == outcome(path, at, root)


@needs_msgspec
def test_most_lines_need_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core applies stores, removals and splices of plain data."""
    path = tmp_path / "log.jsonl"
    was_root = TrackedList([1, [2]])
    was_root.append(3)
    data = TrackedDict(was_root=was_root, n=0)
    data.tracking_add_observer(json_file_observer(path))
    made = []
    monkeypatch.setattr(ReplicaSet, "apply", lambda *args, apply=ReplicaSet.apply: made.append(args) or apply(*args))
    data["n"] = 1
    data["new"] = {"a": [1.5, None, True]}
    data["was_root"].append("x")
    data["was_root"][1:3] = [7, 8, 9]
    data["new"] = {}
    del data["n"]
    del data["was_root"][0]
    assert _core.plain(data) == {"was_root": was_root, "new": {}}
    assert replay(path) == {"was_root": [7, 8, 9, "x"], "new": {}}
    assert len(made) == 1  # its state at the beginning


@pytest.mark.parametrize(
    "fields",
    [
        {"path": ["a"], "before": 2, "after": 3},
        {"path": ["a"], "after": 3},
        {"path": ["b"], "before": 1, "after": 3},
        {"path": ["b", 0], "before": 1, "after": 3},
        {"path": ["l", 3], "after": 3},
        {"path": ["l", -1], "before": 2, "after": 3},
        {"path": ["l", "0"], "before": 1, "after": 3},
        {"path": ["l", 1 << 70], "after": 3},
        {"path": ["l"], "before": [1], "after": 3},
        {"path": ["l"], "splice": [1, [3], []]},
        {"path": ["l"], "splice": [3, [], [1]]},
        {"path": ["l"], "splice": [-1, [], [1]]},
        {"path": ["d"], "before": {"x": 2}},
        {"path": ["d", "x", "y"], "after": 1},
    ],
)
def test_what_does_not_fit_is_said_and_changes_nothing(fields: dict[str, Any], tmp_path: Path) -> None:
    """The core leaves such a line to who can say why."""
    path = tmp_path / "log.jsonl"
    state = {"a": 1, "l": [1, 2], "d": {"x": 1}}
    lines = [
        line_of(seq=1, action="init", method="__init__", path=[], pointer="", before=None, after=state),
        line_of(seq=2, action="update", path=["a"], before=1, after=1),
        line_of(**{"seq": 3, "action": "update", "before": None, **fields}),
    ]
    without = [name for name in ("before", "after") if name not in fields]
    data = json.loads(lines[2])
    for name in without:
        data.pop(name, None)
    path.write_bytes(b"".join([*lines[:2], json.dumps(data).encode() + b"\n"]))
    name, said = outcome(path, None, None)
    assert name == "ReplicaError"
    assert (name, said) == one_by_one(path, None, None)
    if MSGSPEC:  # without it every line is looked at, also those after the moment
        assert outcome(path, 2, None) == ("", state)
