"""``pydatatracker run --seal``: the log of a process, with seals."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from command import environment, run
from programs import plain, write

from pydatatracker import process, replay, track
from pydatatracker.io import read_changes
from pydatatracker.io.seal_check import SealReport, check_seals
from pydatatracker.io.seals import SealError

PROGRAM = """
from pydatatracker import track
x = track({"l": [1], "s": {1}, "password": "hush"})
for n in range(30):
    x["l"].append(n)
    x["s"].add(n)
    x["password"] = str(n)
y = track({"n": {}})
x["y"] = y
y["n"]["m"] = 1
del x["y"]
y["n"] = 2
"""


def right(*paths: os.PathLike[str], **more: str) -> SealReport:
    report = check_seals(paths, **more)  # type: ignore[arg-type]
    assert [] == [str(fault) for fault in report.faults]
    return report


def test_a_program_leaves_a_sealed_log(tmp_path: pathlib.Path) -> None:
    """Every line is sealed and covered by a root; the changes are the same."""
    write(tmp_path, PROGRAM, "shop.py")
    for options in ([], ["--no-redact"], ["--snapshots", "--no-stack"]):
        for log in ("a.jsonl", "b.jsonl"):
            seal = ["--seal"] if log == "a.jsonl" else []
            (tmp_path / log).unlink(missing_ok=True)
            done = run("run", *seal, *options, "--log", log, "shop.py", cwd=tmp_path)
            assert (0, "") == (done.returncode, done.stdout), done.stderr
        report = right(tmp_path / "a.jsonl")
        assert (1, 1, []) == (report.chains, len(report.roots), report.notes)
        found, expected = (
            [(line.action, line.pointer, line.after) for line in read_changes(tmp_path / log)]
            for log in ("a.jsonl", "b.jsonl")
        )
        assert expected == found
        assert ("--no-redact" in options) == (b"hush" in (tmp_path / "a.jsonl").read_bytes())


def test_a_second_run_goes_on(tmp_path: pathlib.Path) -> None:
    """It begins a chain that names the first one; child processes have theirs."""
    write(tmp_path, PROGRAM + "import os\npid = os.fork()\ny['pid'] = pid\nif pid: os.wait()\n", "shop.py")
    for count in (2, 4):
        assert 0 == run("run", "--seal", "--log", "a.jsonl", "shop.py", cwd=tmp_path).returncode
        assert (count, []) == (right(tmp_path / "a.jsonl").chains, right(tmp_path / "a.jsonl").notes)
    done = run("verify", "--seal", "a.jsonl", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("when", ["at the end", "at once"])
def test_a_program_that_is_killed(tmp_path: pathlib.Path, when: str) -> None:
    """Its log is right up to the end, and what no root covers is said."""
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    write(
        tmp_path,
        PROGRAM + kill if when == "at the end" else PROGRAM.replace("y = track", kill + "y = track"),
        "shop.py",
    )
    done = run("run", "--seal", "--log", "a.jsonl", "shop.py", cwd=tmp_path)
    assert -signal.SIGKILL == done.returncode
    report = right(tmp_path / "a.jsonl")
    assert len(list(read_changes(tmp_path / "a.jsonl"))) > 60
    assert 1 == len([note for note in report.notes if "no root covers the last" in note])
    done = run("verify", "--seal", "a.jsonl", cwd=tmp_path)
    assert (0, True) == (done.returncode, "no root covers the last" in done.stdout)
    write(tmp_path, PROGRAM, "shop.py")
    assert 0 == run("run", "--seal", "--log", "a.jsonl", "shop.py", cwd=tmp_path).returncode
    right(tmp_path / "a.jsonl")


def test_a_key_signs(tmp_path: pathlib.Path) -> None:
    """Every line is signed for, also if the program changes its folder."""
    pytest.importorskip("cryptography")
    from pydatatracker.io.keys import new_key

    key = new_key(tmp_path / "a.pem", tmp_path / "a.pub.pem")
    write(tmp_path, "import os\nos.mkdir('d')\nos.chdir('d')\n" + PROGRAM, "shop.py")
    done = run("run", "--seal", "--seal-key", "a.pem", "--log", "a.jsonl", "shop.py", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    report = right(tmp_path / "a.jsonl", key=key)
    assert ([key], []) == ([root.key for root in report.roots], report.notes)


def test_what_cannot_be_sealed(tmp_path: pathlib.Path) -> None:
    """The program does not start if its log cannot be sealed."""
    pytest.importorskip("cryptography")
    write(tmp_path, "print('it ran')\n" + PROGRAM, "shop.py")
    (tmp_path / "plain.jsonl").write_bytes(b'{"v":1,"action":"add"}\n')
    before = (tmp_path / "plain.jsonl").read_bytes()
    for options, text in (
        (["--seal", "--log", "plain.jsonl"], "has lines without seals"),
        (["--seal-key", "a.pem"], "--seal-key needs --seal"),
        (["--seal", "--seal-key", "nowhere.pem"], "cannot read nowhere.pem"),
        (["--seal", "--seal-key", "shop.py"], "not a private key"),
    ):
        done = run("run", *options, "shop.py", cwd=tmp_path)
        assert (2, "", True) == (done.returncode, done.stdout, text in done.stderr), done.stderr
    assert before == (tmp_path / "plain.jsonl").read_bytes()


def test_the_variables_do_the_same(tmp_path: pathlib.Path) -> None:
    """A program that imports the library itself; a wrong key writes no log."""
    write(tmp_path, PROGRAM + "print('it ran')\n", "shop.py")
    variables = environment(PYDATATRACKER_LOG="a.jsonl", PYDATATRACKER_SEAL="1")
    for more, count in (({}, 1), ({"PYDATATRACKER_SEAL": "0"}, 0), ({"PYDATATRACKER_SEAL_KEY": "nowhere"}, 0)):
        for path in tmp_path.glob("a.jsonl"):
            path.unlink()
        done = subprocess.run(
            [sys.executable, "shop.py"], cwd=tmp_path, env={**variables, **more}, capture_output=True, timeout=60
        )
        assert (0, b"it ran") == (done.returncode, done.stdout.strip())
        if count:
            assert count == len(right(tmp_path / "a.jsonl").roots)
        elif "PYDATATRACKER_SEAL_KEY" in more:
            assert b"is not written: it cannot be sealed" in done.stderr
            assert not (tmp_path / "a.jsonl").exists()
        else:
            assert b'"seal"' not in (tmp_path / "a.jsonl").read_bytes()


def test_the_program_is_the_same(tmp_path: pathlib.Path) -> None:
    """Output, exit status and modules are those without the command."""
    program = "import sys\nprint(sys.argv, sorted(m for m in sys.modules if m[0] != '_'))\nsys.exit(3)\n"
    write(tmp_path, program, "who.py")
    expected = plain("who.py", "a", cwd=tmp_path)
    done = run("run", "--seal", "who.py", "a", cwd=tmp_path)
    assert (3, expected.stdout) == (done.returncode, done.stdout)


def test_start_seals_too(tmp_path: pathlib.Path) -> None:
    """The function takes the options; a renamed log goes on in a new chain."""
    pytest.importorskip("cryptography")
    log = process.start(tmp_path / "a.jsonl", seal=True)
    try:
        x = track({"a": [1]})
        x["a"].append(2)
        assert log._writer is not None
        assert 64 == len(log._writer.write_root())
        os.rename(tmp_path / "a.jsonl", tmp_path / "old.jsonl")
        log._writer._log.look_at = 0.0  # type: ignore[union-attr]
        x["a"].append(3)
    finally:
        process.stop()
    report = right(tmp_path / "old.jsonl", tmp_path / "a.jsonl")
    assert (2, []) == (report.chains, report.notes)
    assert {"a": [1, 2, 3]} == replay(read_changes(tmp_path / "a.jsonl"))
    with pytest.raises(SealError, match="nowhere|not a private key"):
        process.start(tmp_path / "b.jsonl", seal=True, seal_key=b"x")
    with pytest.raises(ValueError, match="need seal=True"):
        process.start(tmp_path / "b.jsonl", seal_key=b"x")
