"""A NaN that is a key of a log is found again, although it equals nothing."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedSet
from pydatatracker.cli import main
from pydatatracker.history.replica import replay
from pydatatracker.io import ChangeWriter
from pydatatracker.values.encode import decode, encode

NAN = float("nan")
KEYS: dict[str, Callable[[], Any]] = {
    "float": lambda: NAN,
    "decimal": lambda: decimal.Decimal("NaN"),
    "payload": lambda: decimal.Decimal("NaN123"),
    "complex": lambda: complex(NAN, 1),
    "tuple": lambda: (1, NAN),
    "nested": lambda: ((1, (NAN,)), decimal.Decimal("-NaN")),
    "frozenset": lambda: frozenset((1, NAN)),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_log_of_a_nan_key_agrees_with_itself(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It verifies, and replays to what was there at every change."""
    key = KEYS[name]()
    d = TrackedDict()
    path = tmp_path / "log.jsonl"
    with ChangeWriter(path) as writer:
        d.tracking_add_observer(writer.write)
        d[key] = 1
        d[key] = 2
        d["x"] = s = TrackedSet()
        s.add(key)
        s.discard(key)
        del d[key]
    assert main(["verify", str(path)]) == 0, capsys.readouterr().out
    seqs = [change.seq for change in d.tracking_changes() if change.action_code]
    assert [next(iter(replay(path, seq).values())) for seq in seqs[:2]] == [1, 2]
    assert replay(path) == {"x": set()}


@pytest.mark.parametrize("name", KEYS)
def test_decoding_returns_one_object_for_one_nan(name: str) -> None:
    """A decoded key is found in a dict that was decoded before."""
    data = encode({KEYS[name](): 1})
    [key] = decode(data)
    assert key in decode(data)
    assert encode(decode(data)) == data
