"""``verify`` names what is wrong with a log."""

from __future__ import annotations

import json
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


def test_pointer_and_path_of_a_line_agree(tmp_path: pathlib.Path, say: Run) -> None:
    """A line whose pointer names another path than its path is a fault.

    In one file, in several and in a pipe. What the library writes agrees, whatever the keys are, and so does a line
    without a path.
    """
    path = tmp_path / "log.jsonl"

    class Odd(str):
        def __str__(self) -> str:
            return "odd"

    class Number(int):
        __str__ = __repr__ = lambda self: "odd"

    x = track({"prices": {"tea": 1}, "l": [1], "s": {1}})
    with json_file_observer(path) as observer:
        x.tracking_add_observer(observer)
        for key in ("a/b", "~1", "", "\ud800", "ü", Odd("x"), Number(7), 10**30, b"x", True, None, 1.5, (1, "a/b")):
            x["prices"][key] = 1
        x["prices"]["tea"] = 2
        x["l"].insert(0, 2)
        x["s"].add("a/b")
    lines = path.read_bytes().splitlines(keepends=True)
    assert (0, "") == (lambda done: (done[0], done[2]))(say("verify", path))
    n = next(n for n, raw in enumerate(lines) if b'"pointer":"/prices/tea"' in raw)
    for pointer in (b"p", b"/pea", b"/prices/pea", b"", b"/prices", b"/prices/tea/x", b"prices/tea", b"/prices~1tea"):
        edited = lines[n].replace(b'"pointer":"/prices/tea"', b'"pointer":"%s"' % pointer)
        path.write_bytes(b"".join([*lines[:n], edited, *lines[n + 1 :]]))
        status, out, err = say("verify", path)
        assert (1, 1, True) == (status, err.count("\n"), f"line {n + 1}, " in err), err
        assert "is not that of its path ['prices', 'tea']" in err
        assert "1 fault" in out
        (tmp_path / "empty.jsonl").write_bytes(b"")
        assert (status, out) == say("verify", path, tmp_path / "empty.jsonl")[:2]
    document = json.loads(lines[n])
    del document["path"]
    path.write_bytes(b"".join([*lines[:n], json.dumps(document).encode() + b"\n"]))
    assert "is not that of" not in say("verify", path)[2]
