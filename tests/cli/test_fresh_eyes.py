"""What a newcomer stumbled over: each is a behaviour that a person expects, and was once otherwise."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from command import change, environment, run

ROOTS = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> pathlib.Path:
    """One root that begins with data, and two changes of it."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        change(seq=0, action="init", pointer="", path=[], after={"users": ["ann"], "n": 1})
        + change(seq=1, pointer="/n", path=["n"], before=1, after=2, actor="bob")
        + change(seq=2, action="add", pointer="/users/1", path=["users", 1], after="x", actor="eve")
    )
    return path


@pytest.fixture
def three(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three roots in one log."""
    path = tmp_path / "three.jsonl"
    lines = [
        change(seq=n, action="add", pointer=f"/k{n}", path=[f"k{n}"], after=n, root=ROOTS[n % 3]) for n in range(9)
    ]
    path.write_bytes(b"".join(lines))
    return path


def test_undo_script_leaves_what_the_log_begins_with(log: pathlib.Path) -> None:
    """Whatever the filters select: the beginning of the data is no change."""
    for filters in ((), ("--seq", "..2"), ("--since", "2020-01-01"), ("--action", "init")):
        done = run("undo-script", log, *filters, cwd=log.parent)
        assert (0, "") == (done.returncode, done.stderr)
        wanted = [] if "init" in filters else [("replace", "/n"), ("remove", "/users/1")]
        assert sorted(wanted) == sorted((each["op"], each["path"]) for each in json.loads(done.stdout))
    assert "init" in run("blame", log, "/users/0", cwd=log.parent).stdout


@pytest.mark.parametrize("args", [("diff", "2..0"), ("patch", "2..1"), ("diff", "now..-3h"), ("show", "--seq", "5..2")])
def test_a_span_that_runs_backwards_is_said_so(log: pathlib.Path, args: tuple[str, ...]) -> None:
    """And not answered with nothing."""
    command, *rest = args
    done = run(command, log, *rest, cwd=log.parent)
    assert (2, "") == (done.returncode, done.stdout)
    assert "runs backwards" in done.stderr


def test_times_with_a_minus_are_arguments(log: pathlib.Path) -> None:
    """``at LOG -3h`` and ``diff LOG -3h..now``, as the help has them."""
    os.utime(log)
    for args in (("at", "-3h"), ("diff", "-3h..now"), ("patch", "-3h..now", "--inverse"), ("at", "-1.5d")):
        done = run(args[0], log, *args[1:], cwd=log.parent)
        assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "args",
    [
        ("show", "LOG", "--since", "-99999999999d"),
        ("at", "LOG", "-99999999999w"),
        ("show", "LOG", "--grep", "a{99999999999}"),
        ("at", "LOG", "5", "--root", "#" + "9" * 5000),
        ("at", "LOG", "9" * 5000),
        ("show", "-f", "log.gz"),
    ],
    ids=lambda args: " ".join(args)[:40],
)
def test_what_cannot_be_is_a_sentence(log: pathlib.Path, args: tuple[str, ...]) -> None:
    """Exit status 2, no traceback."""
    (log.parent / "log.gz").write_bytes(b"\x1f\x8b\x08\x00")
    done = run(*(log if each == "LOG" else each for each in args), cwd=log.parent)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr


def test_an_empty_query_and_standard_input(log: pathlib.Path) -> None:
    """Nothing is asked and nothing is answered; - is standard input here too."""
    pytest.importorskip("duckdb")
    assert 0 == run("query", "", log, cwd=log.parent).returncode
    done = run(
        "query", "select count(*) n from changes", "-", "--format", "csv", cwd=log.parent, stdin=log.read_bytes()
    )
    assert ["n", "3"] == done.stdout.split()


def test_roots_have_one_name(three: pathlib.Path) -> None:
    """What show calls a root is what --root takes and what blame says; with filters it is the id, never a wrong number."""
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


@pytest.mark.parametrize("package", ["jsonpatch", "zstandard"])
def test_a_missing_package_is_a_sentence(log: pathlib.Path, package: str) -> None:
    """Exit status 2, and what to install: the log is not to blame."""
    if package == "zstandard":
        if sys.version_info >= (3, 14):
            pytest.skip("Python's own zstd")
        (log.parent / "log.zst").write_bytes(pytest.importorskip("zstandard").compress(log.read_bytes()))
    folder = log.parent / "blocking"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Blocker:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocker)\n"
    )
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    args = ["diff", str(log), "0..2"] if package == "jsonpatch" else ["verify", "log.zst"]
    done = subprocess.run(
        [sys.executable, "-m", "pydatatracker", *args],
        cwd=log.parent, env=environment(PYTHONPATH=path), capture_output=True, check=False,
    )  # fmt: skip
    assert (2, b"") == (done.returncode, done.stdout)
    assert f'pydatatracker: this needs {package}: pip install "pydatatracker[cli]"' == done.stderr.decode().strip()


def test_a_program_gets_its_arguments_as_they_are(tmp_path: pathlib.Path) -> None:
    """Also those that look like a time; and a file whose name does can be named behind --."""
    (tmp_path / "say.py").write_text("import sys; print(sys.argv[1:])")
    done = run("run", "say.py", "x", "-3", "-5h", "-0.5", cwd=tmp_path)
    assert ["['x', '-3', '-5h', '-0.5']"] == done.stdout.splitlines()
    for name in ("a.jsonl", "-3.jsonl"):
        (tmp_path / name).write_bytes(change(seq=1, action="add", pointer="/k", path=["k"], after=1))
    done = run("stats", "--", "a.jsonl", "-3.jsonl", cwd=tmp_path)
    assert (0, "2 changes") == (done.returncode, done.stdout.splitlines()[0])
