"""Logs of several containers: how commands name and select them."""

from __future__ import annotations

import json
import pathlib
from pathlib import Path

import pytest
from command import change, run
from rebuilding import Run, say, two

__all__ = ["say", "two"]  # the fixtures


def test_a_log_of_several_containers(two: pathlib.Path, say: Run) -> None:
    """With several containers, a command needs the number or id of one.

    The error lists both. Numbers are those that `show` prints.
    """
    status, out, _ = say("blame", two, "--all")
    assert (0, ["#2/x", "/x"]) == (status, sorted(line.split()[0] for line in out.splitlines()))
    status, _, err = say("at", two, "now")
    assert (2, True) == (status, "--root" in err)
    ids = [line.split()[1] for line in err.splitlines() if line.startswith("  #")]
    assert {"x": 5} == json.loads(say("at", two, "now", "--root", "#1")[1])
    assert {"x": {"deep": [1, 2]}} == json.loads(say("at", two, "now", "--root", ids[1])[1])
    assert 2 == say("at", two, "now", "--root", "#3")[0]
    assert 2 == say("at", two, "now", "--root", "#0")[0]


ROOTS = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def three(tmp_path: pathlib.Path) -> pathlib.Path:
    """Write a log of three roots."""
    path = tmp_path / "three.jsonl"
    lines = [
        change(seq=n, action="add", pointer=f"/k{n}", path=[f"k{n}"], after=n, root=ROOTS[n % 3]) for n in range(9)
    ]
    path.write_bytes(b"".join(lines))
    return path


def test_roots_have_one_name(three: pathlib.Path) -> None:
    """All commands use the same name for a root, and accept it as --root.

    With filters the name is the id, because the number is unknown then.
    """
    whole = run("show", three, cwd=three.parent).stdout.splitlines()
    assert ["/k0", "#2/k1", "#3/k2"] == [line.split(" add ")[1].split()[0] for line in whole[:3]]
    for args in (("--path", "/k4"), ("--tail", "5")):
        shown = run("show", three, *args, cwd=three.parent).stdout
        assert "@bbbbbbbb/k4" in shown
        assert "#" not in shown
    for name in ("#2/k4", "@bbbbbbbb/k4"):
        done = run("blame", three, name, cwd=three.parent)
        assert "#2/k4" == done.stdout.split()[0]
        assert done.stdout.count("#2/k4") == 2
        assert 1 == len(run("history", three, name, cwd=three.parent).stdout.splitlines())
    assert {"k1": 1, "k4": 4, "k7": 7} == json.loads(run("at", three, "9", "--root", "@bbbb", cwd=three.parent).stdout)
    told = run("at", three, "9", cwd=three.parent).stderr
    assert [f"#{n + 1}" for n in range(3)] == [line.split()[0] for line in told.splitlines()[1:]]


def test_roots_are_numbered(tmp_path: Path) -> None:
    """Paths of the second root have the prefix #2; the first root has none."""
    path = tmp_path / "roots.jsonl"
    path.write_bytes(
        change(pid=1, root="a", pointer="/x", path=["x"], after=1)
        + change(pid=1, root="b", pointer="/x", path=["x"], after=1)
        + change(pid=2, root="a", pointer="", path=[], action="lock")
        + change(pid=1, root="a", pointer="/y", path=["y"], after=1)
    )
    shown = run("show", path, cwd=tmp_path).stdout
    assert ["/x", "#2/x", "#3(root)", "/y"] == [line.split()[4] for line in shown.splitlines()]


def test_containers_with_a_name_that_is_no_label(tmp_path: Path) -> None:
    """``--root`` takes a name such as ``users/1``, and the list has it.

    A row of SQLAlchemy begins anew after a commit: of several with one name the list has number and beginning. A long
    list keeps its last ones.
    """
    path = tmp_path / "rows.jsonl"
    lines = []
    for n in range(60):
        name = "users/2" if n == 1 else "users/1"
        more = {"root": f"{n:032x}", "name": name, "created_time": f"2023-11-14T22:14:{n:02}+00:00"}
        lines.append(change(seq=2 * n, action="init", pointer="", path=[], after={"n": n}, **more))
        lines.append(change(seq=2 * n + 1, pointer="/n", path=["n"], before=n, after=n + 100, **more))
    path.write_bytes(b"".join(lines))
    for name in ("users/2", "@users/2"):
        assert {"n": 101} == json.loads(run("at", path, "999", "--root", name, cwd=tmp_path).stdout)
        assert "101" in run("blame", path, "/n", "--root", name, cwd=tmp_path).stdout
    done = run("at", path, "999", "--root", "users/1", cwd=tmp_path)
    first, *listed = done.stderr.splitlines()
    assert (2, "", "pydatatracker: the log has 59 containers users/1; name one with --root:") == (
        done.returncode, done.stdout, first,
    )  # fmt: skip
    assert ["#1", "#3", "...", "#59", "#60"] == [listed[n].split()[0] for n in (0, 1, 10, -2, -1)]
    assert (21, "  ... 39 more") == (len(listed), listed[10])
    assert listed[-1].endswith("  2 changes  since 2023-11-14 22:14:59  named users/1")
    assert {"n": 159} == json.loads(run("at", path, "999", "--root", "#60", cwd=tmp_path).stdout)
    assert "named users/2" in run("at", path, "999", cwd=tmp_path).stderr.splitlines()[2]
