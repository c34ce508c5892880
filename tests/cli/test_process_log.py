"""The log of a whole process, by ``run`` or PYDATATRACKER_LOG.

It has every change of every root.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from command import run
from programs import plain, write

from pydatatracker import MISSING, TrackedDict, process, replay
from pydatatracker.io import LogLine, read_changes


def replayed(path: Path) -> dict[tuple[int | None, str], Any]:
    """Return the value of every root, by process and id, from the log alone."""
    lines: dict[tuple[int | None, str], list[LogLine]] = {}
    for line in read_changes(path, strict=True):
        for each in line.roots:
            lines.setdefault((line.pid, each), []).append(line.seen_from(each))
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


def test_multiprocessing_works(tmp_path: Path) -> None:
    """A spawning pool works, and the log has the changes of all processes."""
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
    """The log replays to the state of every root.

    It may be written by ``run`` or by PYDATATRACKER_LOG.
    """
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
    assert [("/items/3", 6, [("items", 3)])] == [(x.pointer, x.after, [path for _, path in x.also]) for x in both]


def test_an_empty_root_needs_no_init_line(tmp_path: Path) -> None:
    """A root that starts with data has an init line, an empty one has none."""
    write(tmp_path, "from pydatatracker import *\nTrackedDict()['a'] = 1\nTrackedDict(b=2)['a'] = 1\nTrackedList([0])")
    run("run", "program.py", cwd=tmp_path)
    lines = [(line.action, line.pointer, line.after) for line in read_changes(tmp_path / "changes.jsonl")]
    assert [("add", "/a", 1), ("init", "", {"b": 2}), ("add", "/a", 1)] == lines


def test_roots_without_records_are_in_the_log(tmp_path: Path) -> None:
    """With ``tracking_max_changes=0`` the log still replays."""
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
    """The log has every change, however the program ends.

    It may end by an exception, by an exit, or be killed.
    """
    write(
        tmp_path,
        "import os\nfrom pydatatracker import *\nd = TrackedDict()\nfor n in range(50):\n    d[n % 5] = n\n" + end,
    )
    done = run("run", "program.py", cwd=tmp_path)
    assert 0 != done.returncode
    assert 50 == sum(1 for _ in read_changes(tmp_path / "changes.jsonl", strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX")
def test_forked_children_write_to_the_same_log(tmp_path: Path) -> None:
    """After a fork, parent and child write complete logs to the same file.

    Each is found by its process id.
    """
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
    """No change is lost when threads share a list and make their own roots."""
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
    """--stack and --snapshots are defaults; options of a container win.

    Stacks have the program's own frames only.
    """
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


@pytest.mark.parametrize(
    ("options", "stack", "snapshots"),
    [
        ([], 1, 0),
        (["--stack"], 1, 0),
        (["--no-stack"], 0, 0),
        (["--snapshots"], 1, 1),
        (["--no-stack", "--snapshots"], 0, 1),
    ],
)
def test_each_default_is_set_alone(tmp_path: Path, options: list[str], stack: int, snapshots: int) -> None:
    """--stack captures no snapshots, and --snapshots no stack."""
    write(tmp_path, "from pydatatracker import *\nTrackedDict()['a'] = 1")
    run("run", *options, "program.py", cwd=tmp_path)
    (line,) = read_changes(tmp_path / "changes.jsonl")
    assert (stack, snapshots) == (len(line.stack), int("data_pre_change" in line.extra))


def test_an_init_has_the_number_before_the_first_change(tmp_path: Path) -> None:
    """So a replay up to it is the state before, and one beyond it has more."""
    write(tmp_path, "from pydatatracker import *\nd = TrackedDict(a=1)\nd['b'] = 2\nd['c'] = 3")
    run("run", "program.py", cwd=tmp_path)
    init, first, second = read_changes(tmp_path / "changes.jsonl")
    assert ("init", {"a": 1}) == (init.action, init.after)
    assert [first.seq - 1, first.seq, first.seq + 1] == [init.seq, first.seq, second.seq]
    for seq, expected in ((init.seq, {"a": 1}), (first.seq, {"a": 1, "b": 2})):
        assert expected == replay(tmp_path / "changes.jsonl", at=seq)


def test_no_line_of_a_root_comes_before_its_init(tmp_path: Path) -> None:
    """A thread waits while another one writes the init of the root."""
    log, d = process.ProcessLog(str(tmp_path / "log"), 0o600), TrackedDict(a=1)
    d.tracking_add_observer(log)
    d["b"] = 2
    log._begins[id(d)] = threading.Event()
    thread = threading.Thread(target=d.__setitem__, args=("c", 3))
    thread.start()
    thread.join(0.1)
    waited = thread.is_alive()
    log._begins.pop(id(d)).set()
    thread.join()
    assert waited
    assert ["init", "add", "add"] == [line.action for line in read_changes(tmp_path / "log")]


def test_the_log_is_appended_to(tmp_path: Path) -> None:
    """A second run appends to the log, also after a torn last line."""
    write(tmp_path, "from pydatatracker import *\nTrackedDict()['a'] = 1")
    run("run", "--log", "logs/x.jsonl", "program.py", cwd=tmp_path)
    log = tmp_path / "logs" / "x.jsonl"
    log.write_bytes(log.read_bytes()[:-1])
    run("run", "--log", "logs/x.jsonl", "program.py", cwd=tmp_path)
    assert 2 == len({line.pid for line in read_changes(log, strict=True)})


def test_a_program_that_changes_its_folder(tmp_path: Path) -> None:
    """A relative path of the log refers to the folder at the start."""
    (tmp_path / "else").mkdir()
    write(tmp_path, "import os\nos.chdir('else')\nfrom pydatatracker import *\nTrackedDict()['a'] = 1")
    run("run", "program.py", cwd=tmp_path)
    assert 1 == sum(1 for _ in read_changes(tmp_path / "changes.jsonl"))


@pytest.mark.skipif(os.name == "nt", reason="file descriptors are POSIX")
def test_a_program_that_closes_all_files(tmp_path: Path) -> None:
    """The log continues after the program closed all file descriptors.

    It does not write into the program's own files.
    """
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


def test_a_threaded_log_replays_from_its_file(tmp_path: pathlib.Path) -> None:
    """The log of several threads replays, because replay() sorts its lines."""
    program = (
        "import threading; from pydatatracker import TrackedDict, TrackedList\n"
        "d = TrackedDict(l=TrackedList())\n"
        "def work(k):\n"
        "    for n in range(100): d[k] = n; d['l'].append(n)\n"
        "threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    log = tmp_path / "log.jsonl"
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYDATATRACKER_LOG": str(log)}, check=True)
    found = replay(log)
    assert 400 == len(found["l"])
    assert {0: 99, 1: 99, 2: 99, 3: 99} == {k: v for k, v in found.items() if k != "l"}


def test_a_root_that_comes_back_empty_has_an_init_line(tmp_path: pathlib.Path) -> None:
    """A root that leaves another tree while empty gets an init line.

    Otherwise its earlier lines would be replayed.
    """
    program = (
        "from pydatatracker import TrackedDict\n"
        "d, outer = TrackedDict(), TrackedDict()\n"
        "d['old'] = 1\n"
        "outer['d'] = d\n"
        "d.clear()\n"
        "del outer['d']\n"
        "d['new'] = 2\n"
        "print(d.tracking_uuid)\n"
    )
    log = tmp_path / "log.jsonl"
    out = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYDATATRACKER_LOG": str(log)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert {"new": 2} == replay([line for line in read_changes(log) if line.root == out.stdout.strip()])
