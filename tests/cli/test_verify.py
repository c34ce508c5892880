"""``verify`` names what is wrong with a log."""

from __future__ import annotations

import pathlib

from rebuilding import Run, say

from pydatatracker import track
from pydatatracker.observers import json_file_observer

__all__ = ["say"]  # the fixtures


def test_verify(tmp_path: pathlib.Path, say: Run) -> None:
    """A complete log passes; damage is reported by line, with status 1.

    Damage is a missing, torn or foreign line, or a gap. A change that occurs twice is counted, and is not damage.
    """
    path = tmp_path / "log.jsonl"
    x = track({"a": [0]})
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        for n in range(1, 6):
            x["a"].append(n)
        x["a"].pop(0)
    lines = path.read_bytes().splitlines(keepends=True)
    status, out, err = say("verify", path)
    assert (0, "") == (status, err)
    assert "complete and in order" in out
    for broken, line, word in (
        (lines[:3] + lines[4:], 4, "does not fit"),
        ([*lines[:-1], lines[-1][:50]], len(lines), "cut off"),
        ([*lines, b'{"created_time":"2026-01-01","extra":{"action":"set"}}\n'], len(lines) + 1, "no seq"),
        ([*lines, b'{"v":1,"action":"gap","from":7,"to":9,"reason":"full"}\n'], len(lines) + 1, "7 to 9 are missing"),
        ([b"hello\n", *lines], 1, "not JSON"),
    ):
        path.write_bytes(b"".join(broken))
        status, _, err = say("verify", path)
        assert (1, True, True) == (status, f"line {line}, " in err, word in err), err
    path.write_bytes(b"".join(lines + lines[2:3]))
    status, out, _ = say("verify", path)
    assert (0, True) == (status, "1 change occurs twice" in out)
