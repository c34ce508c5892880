"""JSON without msgspec is the same JSON, and reads the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builds import needs_msgspec
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedDict, replay
from pydatatracker.io import ChangeWriter, read_changes
from pydatatracker.values import codec

FIELDS = (
    *("seq", "action", "method", "type", "pointer", "path", "paths", "location", "before", "after", "splice", "order"),
    *("actor", "context", "transaction", "root", "culprit", "also_cut", "pid", "thread", "time_ns"),
)
READ = f"""
import sys
sys.modules["msgspec"] = None
from pydatatracker.io import read_changes
for line in read_changes(sys.argv[1]):
    print([repr(getattr(line, name)) for name in {FIELDS}])
"""
# what one reader sees and the other does not would be wrong; so are lines that one of them refuses
STRANGE = [
    {"location": None, "extra": {"location": "a:b"}},
    {"seq": "7"},
    {"seq": None},
    {"seq": True},
    {"also_cut": None},
    {"also_cut": 1.0},
    {"actor": 5, "extra": {"actor": "x"}},
    {"path": "no list"},
    {"before": float("nan")},
    {"after": "\ud800"},
    {"time_ns": 1 << 70},
    {"v": 1.0},
    {"pid": -1, "thread": None},
    {"from": 3, "to": 5},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log with usual lines and strange ones."""
    path = tmp_path / "log.jsonl"
    data: Any = TrackedDict(a=1)
    with ChangeWriter(path) as writer:
        data.tracking_add_observer(writer.write)
        data["a"] = {"x": [1, (2, 3), {4}], "é\n": 1.5}
        data[1, 2] = b"\x00"
        data["l"] = [1, 2, 3]
        data["l"].sort(reverse=True)
        del data["a"]
    usual = json.loads(path.read_bytes().splitlines()[1])
    with path.open("a", encoding="utf-8") as file:
        for fields in STRANGE:
            file.write(json.dumps(usual | fields) + "\n")
    return path


@needs_msgspec
def test_a_log_reads_the_same_without_msgspec(log: Path) -> None:
    """Every field of every line, also of lines that nobody should write."""
    expected = [str([repr(getattr(line, name)) for name in FIELDS]) for line in read_changes(log)]
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", READ, log],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert len(expected) > len(STRANGE)
    assert expected == done.stdout.splitlines()


def test_a_log_is_written_and_replayed(tmp_path: Path) -> None:
    """With what is installed here, whatever that is."""
    data: Any = TrackedDict()
    with ChangeWriter(tmp_path / "log.jsonl") as writer:
        data.tracking_add_observer(writer.write)
        data["a"] = {"x": [1, (2, 3), {4}]}
    assert {"a": {"x": [1, (2, 3), {4}]}} == replay(tmp_path / "log.jsonl")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@needs_msgspec
@given(JSON)
def test_both_write_and_read_the_same(value: Any) -> None:
    """JSON of one is read by the other."""
    ways = []
    for library in (codec.msgspec(), None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "_library", lambda library=library: library)
            ways.append((codec.encoder(), codec.decoder()))
    (encode, decode), (plain_encode, plain_decode) = ways
    try:
        raw = encode(value)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            plain_encode(value)
        return
    assert value == plain_decode(raw) == decode(plain_encode(value))
    assert json.loads(raw) == json.loads(plain_encode(value))


@needs_msgspec
@pytest.mark.parametrize("raw", [b"[NaN]", b"[1,]", b"", b"{", b'"\xff"', b"Infinity", b"{'a': 1}"])
def test_neither_reads_what_is_no_json(raw: bytes) -> None:
    """A reader that is less strict would be another one."""
    with pytest.raises(ValueError):
        codec.decoder()(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "_library", lambda: None)
        with pytest.raises(ValueError):
            codec.decoder()(raw)


def test_what_needs_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration file does."""
    monkeypatch.setattr(codec, "_library", lambda: None)
    with pytest.raises(ImportError, match="a configuration file needs msgspec: pip install msgspec"):
        codec.msgspec("a configuration file")
