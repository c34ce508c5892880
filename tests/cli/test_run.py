"""``pydatatracker run`` and PYDATATRACKER_LOG: the program is what it was, and all it changes is in the log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import environment, run

from pydatatracker import MISSING
from pydatatracker.io import LogLine, read_changes

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


def plain(*args: object, cwd: Path, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program without us."""
    return run(*args, cwd=cwd, stdin=stdin, python=(), **env)


def replayed(path: Path) -> dict[tuple[int | None, str], Any]:
    """Return the value of every root, by process and id, from nothing but the log (as process.py says)."""
    lines: dict[tuple[int | None, str], list[LogLine]] = {}
    for line in read_changes(path, strict=True):
        lines.setdefault((line.pid, line.root), []).append(line)
    return {root: _value(each) for root, each in lines.items()}


def _value(lines: list[LogLine]) -> Any:
    inits = [line for line in lines if line.action == "init"]
    since = inits[-1].seq if inits else -1
    assert since is not None
    kinds = {"TrackedDict": dict, "TrackedList": list, "TrackedSet": set}
    start = inits[-1].after if inits else kinds.get(next(x.type for x in lines if len(x.path) < 2), dict)()
    box = [start]
    for line in sorted(lines, key=lambda line: line.seq or 0):
        if line.seq is not None and line.seq > since:
            _apply(box, line)
    return box[0]


def _apply(box: list[Any], line: LogLine) -> None:
    whole = line.splice is not None or line.order is not None or bool(line.changes)
    path = (0, *line.path)
    target: Any = box
    for key in path if whole else path[:-1]:
        target = target[key]
    if line.splice is not None:
        start, removed, inserted = line.splice
        assert list(removed) == target[start : start + len(removed)]
        target[start : start + len(removed)] = inserted
    elif line.order is not None:
        target[:] = [target[old] for old in line.order]
    elif line.changes:
        for key, _, after in line.changes:
            _put(target, key, after)
    elif isinstance(target, list) and line.action == "add":
        target.insert(path[-1], line.after)
    elif line.action in ("add", "update", "remove"):
        key = path[-1]
        if isinstance(target, set):
            (target.add if line.action == "add" else target.discard)(key)
        else:
            assert line.before is MISSING or line.before == target[key]
            _put(target, key, line.after)


def _put(target: Any, key: Any, after: Any) -> None:
    if isinstance(target, set):
        (target.discard if after is MISSING else target.add)(key)
    elif after is MISSING:
        del target[key]
    else:
        target[key] = after


def write(folder: Path, program: str, name: str = "program.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(program, "utf-8")
    return path


# ---- the program is what it was


def test_the_program_cannot_tell(tmp_path: Path) -> None:
    """Arguments, path, ``__main__``, modules, flags, frames and standard input are as without us."""
    write(tmp_path, WHO_AM_I, "sub/who.py")
    args = ("sub/who.py", "--log", "x", "-m", "--", "a b", "")
    expected = plain(*args, cwd=tmp_path, stdin=b"hello")
    done = run("run", *args, cwd=tmp_path, stdin=b"hello")
    assert (0, expected.stdout) == (done.returncode, done.stdout)
    assert "hello" == json.loads(done.stdout)["stdin"]


def test_a_module_cannot_tell(tmp_path: Path) -> None:
    """The same with ``-m``, of which everything after the module's name is the program's."""
    write(tmp_path, WHO_AM_I, "pack/__main__.py")
    write(tmp_path, "", "pack/__init__.py")
    expected = plain("-m", "pack", "--stack", "-h", cwd=tmp_path)
    done = run("run", "-m", "pack", "--stack", "-h", cwd=tmp_path)
    assert (0, expected.stdout) == (done.returncode, done.stdout)


def test_options_of_the_interpreter_are_kept(tmp_path: Path) -> None:
    """``python -W error -X dev -m pydatatracker run`` runs the program with -W error -X dev."""
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
    """What the program ends with is what we end with, and no frame of ours is in a traceback."""
    write(tmp_path, program)
    expected = plain("program.py", cwd=tmp_path)
    done = run("run", "program.py", cwd=tmp_path)
    assert (status, expected.stderr) == (done.returncode, done.stderr)
    assert expected.returncode == done.returncode


def test_a_program_may_come_from_standard_input(tmp_path: Path) -> None:
    """``run -`` is ``python -``."""
    done = run("run", "-", "a", cwd=tmp_path, stdin=b"import sys; print(sys.argv)")
    assert (0, "['-', 'a']\n") == (done.returncode, done.stdout)


def test_multiprocessing_works(tmp_path: Path) -> None:
    """A pool that spawns finds the program's functions, and the log has what all of its processes did."""
    write(
        tmp_path,
        """
import multiprocessing
from pydatatracker import TrackedDict

def work(number):
    data = TrackedDict()
    data["number"] = number
    return number * 2

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(work, range(4)))
        pool.close()
        pool.join()
""",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert (0, "[0, 2, 4, 6]\n") == (done.returncode, done.stdout)
    assert [{"number": n} for n in range(4)] == sorted(
        replayed(tmp_path / "changes.jsonl").values(), key=lambda value: value["number"]
    )


# ---- everything is in the log

CHANGES = """
import json
from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, tracking_actor

empty = TrackedDict(tracking_auto_convert=True)
full = TrackedDict({"a": {"b": [1, 2]}}, tracking_auto_convert=True)
items = TrackedList([3, 1, 2])
names = TrackedSet({"x"})
with tracking_actor("job", reason="test"):
    empty["k"] = [1]
    empty["k"].append(2)
    full["a"]["b"] += [3, 4]
    items.sort()
    items.reverse()
    del items[0]
    names |= {"y", "z"}
    names.discard("x")
    full.update(c=1, d=2)

    # a root that moves under another tree, is changed there, in two trees, and becomes a root again
    full["items"] = items
    items.append(5)
    empty["items"] = items
    items.append(6)
    del full["items"]
    items.append(7)
    del empty["items"]
    items.append(8)

    # a child that becomes a root
    child = full.pop("a")
    child["b"][0] = 100
    full["late"] = 1
print(json.dumps([empty, full, items, child]), sorted(names))
"""
FINAL = [
    {"k": [1, 2]},
    {"c": 1, "d": 2, "late": 1},
    [2, 1, 5, 6, 7, 8],
    {"b": [100, 2, 3, 4]},
    {"y", "z"},
]


@pytest.mark.parametrize("how", ["run", "environment"])
def test_the_log_replays_to_the_state_of_every_root(tmp_path: Path, how: str) -> None:
    """By the command or by PYDATATRACKER_LOG: the log alone gives every root as the program left it."""
    write(tmp_path, CHANGES)
    if how == "run":
        done = run("run", "--log", "x.jsonl", "program.py", cwd=tmp_path)
    else:
        done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG="x.jsonl")
    assert 0 == done.returncode, done.stderr
    assert f"{json.dumps(FINAL[:4])} ['y', 'z']\n" == done.stdout
    found = list(replayed(tmp_path / "x.jsonl").values())
    assert len(FINAL) == len(found)
    for value in FINAL:
        assert value in found
    lines = list(read_changes(tmp_path / "x.jsonl"))
    assert {"job"} == {line.actor for line in lines if line.action != "init"}
    assert {""} == {line.actor for line in lines if line.action == "init"}
    both = [line for line in lines if line.uuid == next(x.uuid for x in lines if x.after == 6)]
    assert [("/items/3", 6), ("/items/3", 6)] == [(line.pointer, line.after) for line in both]


def test_an_empty_root_needs_no_init_line(tmp_path: Path) -> None:
    """Its first change is the first line; a root that was filled has its state before that."""
    write(tmp_path, "from pydatatracker import *\nTrackedDict()['a'] = 1\nTrackedDict(b=2)['a'] = 1\nTrackedList([0])")
    run("run", "program.py", cwd=tmp_path)
    lines = [(line.action, line.pointer, line.after) for line in read_changes(tmp_path / "changes.jsonl")]
    assert [("add", "/a", 1), ("init", "", {"b": 2}), ("add", "/a", 1)] == lines


def test_roots_without_records_are_in_the_log(tmp_path: Path) -> None:
    """``tracking_max_changes=0`` keeps nothing in memory, and the log replays all the same."""
    write(
        tmp_path,
        "from pydatatracker import *\nd = TrackedDict({'a': 1}, tracking_max_changes=0)\n"
        "for n in range(5):\n    d['n'] = n\ndel d['a']",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 0 == done.returncode
    assert [{"n": 4}] == list(replayed(tmp_path / "changes.jsonl").values())


@pytest.mark.parametrize(
    "end", ["1 / 0", "import sys; sys.exit(3)", "import os; os._exit(1)", "os.kill(os.getpid(), 9)"]
)
def test_the_log_is_whole_however_the_program_ends(tmp_path: Path, end: str) -> None:
    """Exception, exit, or killed on the spot: every change that was made is a line."""
    write(
        tmp_path,
        "import os\nfrom pydatatracker import *\nd = TrackedDict()\nfor n in range(50):\n    d[n % 5] = n\n" + end,
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 0 != done.returncode
    assert 50 == sum(1 for _ in read_changes(tmp_path / "changes.jsonl", strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX")
def test_forked_children_write_to_the_same_log(tmp_path: Path) -> None:
    """Parent and child go their ways; each is complete under its own process id."""
    write(
        tmp_path,
        """
import os
from pydatatracker import TrackedDict
d = TrackedDict(a=1)
d["b"] = 2
if os.fork() == 0:
    d["child"] = 3
    raise SystemExit
os.wait()
d["parent"] = 4
""",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 1 == done.stderr.count("pydatatracker: 2 changes in changes.jsonl")
    found = list(replayed(tmp_path / "changes.jsonl").values())
    assert [{"a": 1, "b": 2, "parent": 4}, {"a": 1, "b": 2, "child": 3}] == found


def test_eight_threads(tmp_path: Path) -> None:
    """Threads that share a filled list and make roots of their own lose nothing."""
    write(
        tmp_path,
        """
import json, sys, threading
from pydatatracker import TrackedDict, TrackedList
sys.setswitchinterval(1e-5)
shared = TrackedDict({"items": [0] * 10, "n": 0}, tracking_auto_convert=True, tracking_max_changes=None)
start = threading.Barrier(8)
def work(number):
    start.wait()
    for n in range(100):
        shared[f"{number}-{n % 7}"] = n
        shared["items"].append(n)
        if n % 3 == 0:
            shared["items"].pop(0)
        own = TrackedDict({"mine": number})
        own["n"] = n
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(json.dumps(shared))
""",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    found = list(replayed(tmp_path / "changes.jsonl").values())
    assert 801 == len(found)
    assert 1 == found.count(json.loads(done.stdout))


def test_stack_and_snapshots_are_defaults(tmp_path: Path) -> None:
    """--stack and --snapshots hold for containers that do not say; the program's own frames only."""
    write(
        tmp_path,
        """
from pydatatracker import TrackedDict
def change(d):
    d["a"] = 1
for data in TrackedDict(), TrackedDict(tracking_capture_stack=False, tracking_capture_snapshots=False):
    change(data)
""",
    )
    run("run", "--stack", "--snapshots", "program.py", cwd=tmp_path)
    first, second = read_changes(tmp_path / "changes.jsonl")
    assert [("<module>", 6), ("change", 4)] == [(frame["name"], frame["lineno"]) for frame in first.stack]
    assert ("{}", "{'a': 1}") == (first.extra["data_pre_change"], first.extra["data_post_change"])
    assert ([], False) == (second.stack, "data_pre_change" in second.extra)


def test_the_log_is_appended_to(tmp_path: Path) -> None:
    """A second run adds to the log of the first, and a torn last line does not spoil it."""
    write(tmp_path, "from pydatatracker import *\nTrackedDict()['a'] = 1")
    run("run", "--log", "logs/x.jsonl", "program.py", cwd=tmp_path)
    log = tmp_path / "logs" / "x.jsonl"
    log.write_bytes(log.read_bytes()[:-1])
    run("run", "--log", "logs/x.jsonl", "program.py", cwd=tmp_path)
    assert 2 == len({line.pid for line in read_changes(log, strict=True)})


def test_a_program_that_changes_its_folder(tmp_path: Path) -> None:
    """A relative log is where it was meant to be when the program was started."""
    (tmp_path / "else").mkdir()
    write(tmp_path, "import os\nos.chdir('else')\nfrom pydatatracker import *\nTrackedDict()['a'] = 1")
    run("run", "program.py", cwd=tmp_path)
    assert 1 == sum(1 for _ in read_changes(tmp_path / "changes.jsonl"))


@pytest.mark.skipif(os.name == "nt", reason="file numbers")
def test_a_program_that_closes_all_files(tmp_path: Path) -> None:
    """A daemon closes what it does not know; the log goes on, and not into the daemon's own file."""
    write(
        tmp_path,
        """
import os
from pydatatracker import TrackedDict
d = TrackedDict()
d["a"] = 1
os.closerange(3, 256)
own = [os.open(f"own{n}", os.O_CREAT | os.O_RDWR) for n in range(5)]
d["b"] = 2
os.closerange(3, 256)
d["c"] = 3
""",
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 0 == done.returncode
    assert [b""] * 5 == [(tmp_path / f"own{n}").read_bytes() for n in range(5)]
    assert [{"a": 1, "b": 2, "c": 3}] == list(replayed(tmp_path / "changes.jsonl").values())


# ---- the program comes first


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is played by /dev/full")
def test_a_full_disk_is_one_warning(tmp_path: Path) -> None:
    """The program runs to its end; one line on standard error says that changes are missing."""
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict()\nfor n in range(9):\n    d[n] = n\nprint(len(d))")
    done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG="/dev/full")
    assert (0, "9\n") == (done.returncode, done.stdout)
    assert "the log /dev/full cannot be written (No space left on device): changes are missing there\n" == done.stderr


def test_a_log_that_cannot_be_opened_is_one_warning(tmp_path: Path) -> None:
    """By the environment: the program runs, with one warning."""
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict()\nd[1] = 1\nd[2] = 2\nprint(d)")
    done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG=str(tmp_path))
    assert (0, "{1: 1, 2: 2}\n") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("cannot be written")
    assert 1 == len(done.stderr.splitlines())


def test_the_command_says_so_before_it_starts(tmp_path: Path) -> None:
    """By the command, where somebody asked for the log: exit status 2 before the program has done anything."""
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


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    """One sentence, exit status 2, no log."""
    done = run("run", "missing.py", cwd=tmp_path)
    assert (2, "pydatatracker: there is no script missing.py\n") == (done.returncode, done.stderr)
    assert [] == list(tmp_path.iterdir())


def test_values_that_cannot_be_put_into_words(tmp_path: Path) -> None:
    """A value whose ``__repr__`` raises, or is itself a change, does no harm to program or log."""
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
    """A thousand and five hundred levels: the changes are in the log, the program goes on."""
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


def test_nothing_is_said_or_made_without_changes(tmp_path: Path) -> None:
    """The variable alone makes no file and prints nothing."""
    write(tmp_path, "import pydatatracker")
    done = plain("program.py", cwd=tmp_path, PYDATATRACKER_LOG="x.jsonl")
    assert (0, "", "", False) == (done.returncode, done.stdout, done.stderr, (tmp_path / "x.jsonl").exists())


def test_run_ends_by_naming_the_next_command(tmp_path: Path) -> None:
    """The command it names works as it stands."""
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict()\nd['a'] = 1\nd['b'] = 2")
    done = run("run", "--log", "my log.jsonl", "program.py", cwd=tmp_path)
    assert "pydatatracker: 2 changes in my log.jsonl; next: pydatatracker show 'my log.jsonl'\n" == done.stderr
    assert 2 == len(run("show", "my log.jsonl", cwd=tmp_path).stdout.splitlines())


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_signals_reach_the_program(tmp_path: Path) -> None:
    """The process that was started is the program: what is sent to it arrives there."""
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
