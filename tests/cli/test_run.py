"""``pydatatracker run`` runs a program as Python alone would run it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import change, environment, run
from programs import plain, write

from pydatatracker.io import read_changes

WHO_AM_I = """
import json, os, sys
import __main__
facts = {
    "argv": sys.argv,
    "path": sys.path,
    "name": __name__,
    "file": globals().get("__file__"),
    "package": __package__,
    "spec": None if __spec__ is None else __spec__.name,
    "main": __main__.__dict__ is globals(),
    "globals": sorted(globals()),
    "modules": sorted(sys.modules),
    "flags": repr(sys.flags),
    "frames": sys._getframe().f_back is None,
    "stdin": sys.stdin.read(),
}
print(json.dumps(facts))
"""


NOTHING = (
    "pydatatracker: nothing was tracked in this program: track() its data, or name it with run --watch MODULE:NAME\n"
)


# ---- the program runs as without the command


def test_a_program_runs_as_without_the_command(tmp_path: Path) -> None:
    """The program sees the same arguments, path, modules, flags and input."""
    write(tmp_path, WHO_AM_I, "sub/who.py")
    args = ("sub/who.py", "--log", "x", "-m", "--", "a b", "")
    expected = plain(*args, cwd=tmp_path, stdin=b"hello")
    done = run("run", *args, cwd=tmp_path, stdin=b"hello")
    assert (0, expected.stdout) == (done.returncode, done.stdout)
    assert "hello" == json.loads(done.stdout)["stdin"]


def test_a_module_runs_as_without_the_command(tmp_path: Path) -> None:
    """``-m`` runs a module, and passes on everything after its name."""
    write(tmp_path, WHO_AM_I, "pack/__main__.py")
    write(tmp_path, "", "pack/__init__.py")
    expected = plain("-m", "pack", "--stack", "-h", cwd=tmp_path)
    done = run("run", "-m", "pack", "--stack", "-h", cwd=tmp_path)
    assert (0, expected.stdout) == (done.returncode, done.stdout)


def test_options_of_the_interpreter_are_kept(tmp_path: Path) -> None:
    """Options of the interpreter, such as -W error and -X dev, are kept."""
    write(tmp_path, "import sys; print(sys.warnoptions, sys.flags, sorted(sys._xoptions.items()))")
    python = ("-W", "error", "-X", "dev", "-X", "int_max_str_digits=0", "-O", "-B")
    expected = plain(*python, "program.py", cwd=tmp_path)
    done = run("run", "program.py", cwd=tmp_path, python=(*python, "-m", "pydatatracker"))
    assert expected.stdout == done.stdout


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("raise SystemExit(7)", 7),
        ("import sys; sys.exit('no')", 1),
        ("import sys; sys.exit()", 0),
        ("def f():\n    1 / 0\nf()", 1),
        ("import os; os._exit(9)", 9),
        ("syntax error", 1),
        ("raise KeyboardInterrupt", -2),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
)
def test_exit_status_and_traceback_are_the_programs(tmp_path: Path, program: str, status: int) -> None:
    """Exit status and traceback are the program's, without our frames."""
    write(tmp_path, program)
    expected = plain("program.py", cwd=tmp_path)
    done = run("run", "program.py", cwd=tmp_path)
    assert (status, expected.stderr) == (done.returncode, done.stderr.removesuffix(NOTHING))
    assert expected.returncode == done.returncode


def test_a_program_may_come_from_standard_input(tmp_path: Path) -> None:
    """``run -`` reads the program from standard input."""
    done = run("run", "-", "a", cwd=tmp_path, stdin=b"import sys; print(sys.argv)")
    assert (0, "['-', 'a']\n") == (done.returncode, done.stdout)


# ---- a program in which nothing was tracked

SHOP = """
import collections, enum, settings
CONFIG = {"a": 1}
class Order: pass
class _Hidden: pass
_hidden = {}
print("hello")
"""


@pytest.mark.parametrize("args", [("shop.py",), ("-m", "shop")], ids=["script", "module"])
def test_it_ends_with_names_that_can_be_watched(tmp_path: Path, args: tuple[str, ...]) -> None:
    """One line on standard error names dicts and classes of its own modules."""
    write(tmp_path, SHOP, "shop.py")
    write(tmp_path, "import os\nLIMITS = {'x': 1}\nenviron = os.environ\nclass Plan: pass\n", "settings.py")
    done = run("run", *args, cwd=tmp_path)
    names = ["settings:LIMITS", "__main__:CONFIG", "settings:Plan", "__main__:Order"]
    assert (0, "hello\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("pydatatracker: nothing was tracked in this program; ")
    assert names == re.findall(r"--watch (\S+)", line)


def test_a_program_that_tracks_ends_with_what_was_recorded(tmp_path: Path) -> None:
    """With tracked data, changed or not, there is nothing to advise."""
    write(tmp_path, "from pydatatracker import track\nd = track({})\nX = {}")
    done = run("run", "program.py", cwd=tmp_path)
    assert "pydatatracker: no change was recorded in changes.jsonl\n" == done.stderr
    write(tmp_path, "import pydatatracker\nX = {}")
    assert "--watch __main__:X" in run("run", "program.py", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    "program",
    [
        "import os\nif os.fork() == 0: os._exit(0) if False else None\nelse: os.wait()",
        "import sys\nsys.stderr.close()",
        "import os\nos.close(2)",
        "import sys\nsys.modules['odd'] = 3\nclass Odd:\n    __file__ = 'x'\nsys.modules['odd2'] = Odd()",
        "import sys\nsys.modules.clear()",
    ],
    ids=["forks", "closes", "closes-the-descriptor", "odd-modules", "no-modules"],
)
def test_the_end_of_any_program_is_its_own(tmp_path: Path, program: str) -> None:
    """Exit status and output are the program's; the line is printed once."""
    write(tmp_path, program)
    expected = plain("program.py", cwd=tmp_path)
    done = run("run", "program.py", cwd=tmp_path)
    assert (expected.returncode, expected.stdout) == (done.returncode, done.stdout)
    said = [line for line in done.stderr.splitlines() if not line.startswith("pydatatracker: ")]
    assert (expected.stderr.splitlines(), True) == (said, done.stderr.count("nothing was tracked") <= 1)


def test_the_environment_is_the_programs(tmp_path: Path) -> None:
    """PYTHONPATH is as it was, also for children, and a sitecustomize runs."""
    write(tmp_path, "import sys; sys.from_site = 'mine'", "site/sitecustomize.py")
    write(
        tmp_path,
        "import os, sys\nprint(os.environ.get('PYTHONPATH'), sys.path, getattr(sys, 'from_site', None),"
        " sys.modules.get('sitecustomize'), sorted(name for name in os.environ if 'PYTHON' in name or 'PYDATA' in name))",
    )
    for path in (None, str(tmp_path / "site"), f"/nowhere{os.pathsep}{tmp_path / 'site'}", ""):
        extra = {} if path is None else {"PYTHONPATH": path}
        done = [plain("program.py", cwd=tmp_path, **extra), run("run", "program.py", cwd=tmp_path, **extra)]
        expected, seen = (re.sub(r"'PYDATATRACKER_\w+', ", "", each.stdout) for each in done)  # also those of the suite
        assert (expected, 0) == (seen, done[1].returncode)
    write(tmp_path, "raise ValueError('mine')", "site/sitecustomize.py")
    expected, done = (call("program.py", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site")) for call in (plain, _run))
    assert expected.stderr * 2 == done.stderr.removesuffix(NOTHING)  # the command itself is a Python, too


def _run(*args: str, **options: Any) -> Any:
    return run("run", *args, **options)


# ---- the program comes first


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk, and is missing here")
def test_a_full_disk_is_one_warning(tmp_path: Path) -> None:
    """On a full disk the program runs to its end, with one warning."""
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict()\nfor n in range(9):\n    d[n] = n\nprint(len(d))")
    done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG="/dev/full")
    assert (0, "9\n") == (done.returncode, done.stdout)
    assert "the log /dev/full cannot be written (No space left on device): changes are missing there\n" == done.stderr


def test_a_log_that_cannot_be_opened_is_one_warning(tmp_path: Path) -> None:
    """If PYDATATRACKER_LOG cannot be opened, the program runs with a warning.

    The warning is printed once.
    """
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict()\nd[1] = 1\nd[2] = 2\nprint(d)")
    done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG=str(tmp_path))
    assert (0, "{1: 1, 2: 2}\n") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("cannot be written")
    assert 1 == len(done.stderr.splitlines())


def test_run_refuses_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    """``run`` exits with 2, without starting, if it cannot open the log."""
    write(tmp_path, "print('started')")
    done = run("run", "--log", ".", "program.py", cwd=tmp_path)
    assert (2, "", "pydatatracker: cannot write the log .: Is a directory\n") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_the_program_is_not_overwritten(tmp_path: Path) -> None:
    """A log that names the program itself is refused."""
    script = write(tmp_path, "print('started')")
    done = run("run", "--log", "program.py", "program.py", cwd=tmp_path)
    assert (2, "print('started')") == (done.returncode, script.read_text())


def test_a_missing_script(tmp_path: Path) -> None:
    """A missing script exits with status 2 and one sentence, without a log."""
    done = run("run", "missing.py", cwd=tmp_path)
    assert (2, "pydatatracker: there is no script missing.py\n") == (done.returncode, done.stderr)
    assert [] == list(tmp_path.iterdir())


def test_values_whose_repr_fails(tmp_path: Path) -> None:
    """A ``__repr__`` that raises or makes changes harms no program and no log."""
    write(
        tmp_path,
        """
from pydatatracker import TrackedDict
class Bad:
    def __repr__(self): raise RuntimeError("no")
class Changes:
    def __repr__(self):
        d["seen"] = d.get("seen", 0) + 1
        return "changes"
d = TrackedDict()
d["bad"] = Bad()
d["changes"] = Changes()
d["deep"] = deep = []
for _ in range(5000): deep.append([]); deep = deep[0]
d["surrogate"] = "\\ud800"
d["huge"] = 10 ** 6000
print(sorted(d))
""",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert (0, "['bad', 'changes', 'deep', 'huge', 'seen', 'surrogate']\n") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr
    pointers = {line.pointer for line in read_changes(tmp_path / "changes.jsonl", strict=True)}
    assert {"/bad", "/changes", "/deep", "/surrogate", "/huge", "/seen"} == pointers


def test_data_nested_deeper_than_python_goes(tmp_path: Path) -> None:
    """Changes of data with 1,500 levels are logged; the program goes on."""
    write(
        tmp_path,
        """
from pydatatracker import TrackedDict
data = bottom = TrackedDict()
for _ in range(1500):
    data = TrackedDict(x=data)
data["top"] = 1
bottom["bottom"] = 2
""",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 0 == done.returncode
    pointers = {line.pointer for line in read_changes(tmp_path / "changes.jsonl", strict=True)}
    assert {"/top", "/x" * 1500 + "/bottom"} == pointers - {""}


def test_without_changes_there_is_no_output_and_no_file(tmp_path: Path) -> None:
    """Without a change there is no file and no output."""
    write(tmp_path, "import pydatatracker")
    done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG="x.jsonl")
    assert (0, "", "", False) == (done.returncode, done.stdout, done.stderr, (tmp_path / "x.jsonl").exists())


def test_run_ends_by_naming_the_next_command(tmp_path: Path) -> None:
    """The next command that ``run`` suggests works as printed."""
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict()\nd['a'] = 1\nd['b'] = 2")
    done = run("run", "--log", "my log.jsonl", "program.py", cwd=tmp_path)
    assert "pydatatracker: 2 changes in my log.jsonl; next: pydatatracker show 'my log.jsonl'\n" == done.stderr
    assert 2 == len(run("show", "my log.jsonl", cwd=tmp_path).stdout.splitlines())


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_signals_reach_the_program(tmp_path: Path) -> None:
    """Signals to the process reach the program."""
    write(
        tmp_path,
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('got it') or exit(5))\n"
        "print('ready', flush=True)\nsignal.pause()",
    )
    with subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", "run", "program.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert b"ready\n" == process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert b"got it\n" == process.stdout.readline()
    assert 5 == process.returncode


def test_a_program_gets_its_arguments_as_they_are(tmp_path: pathlib.Path) -> None:
    """Arguments that look like a time are passed on unchanged.

    A file with such a name can be given after --.
    """
    (tmp_path / "say.py").write_text("import sys; print(sys.argv[1:])")
    done = run("run", "say.py", "x", "-3", "-5h", "-0.5", cwd=tmp_path)
    assert ["['x', '-3', '-5h', '-0.5']"] == done.stdout.splitlines()
    for name in ("a.jsonl", "-3.jsonl"):
        (tmp_path / name).write_bytes(change(seq=1, action="add", pointer="/k", path=["k"], after=1))
    done = run("stats", "--", "a.jsonl", "-3.jsonl", cwd=tmp_path)
    assert (0, "2 changes") == (done.returncode, done.stdout.splitlines()[0])
