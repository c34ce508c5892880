"""``blame``, ``history``, ``at``, ``diff``, ``patch``, ``undo-script``: a log gives what its container would have given."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import jsonpatch
import pytest
from command import change, environment, run, run_in_terminal
from gardening import STEPS, Session, alike
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import _core, track, tracking_actor
from pydatatracker.cli import main
from pydatatracker.cli.replay.logs import Logs
from pydatatracker.cli.replay.rebuilt import Rebuilt, Roots
from pydatatracker.history.steps import quick_step, step_of
from pydatatracker.history.undo import take_back_all
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import parse
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import decode, encode

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: (status, standard output, standard error)."""

    def command(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(map(str, args)))
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


def logged(steps: Any, path: str, **options: Any) -> Session:
    """A random session, written to a file while it happens; the states at the lines."""
    session = Session(odd_keys=options.pop("odd_keys", True))
    with json_file_observer(path) as observer:
        first = session.root.tracking_changes()[0]
        observer(first)
        for each in session.root.tracking_changes()[1:]:
            observer(each)
        session.root.tracking_add_observer(observer)
        session.run(steps)
    return session


def fresh() -> str:
    """Return the path of a new log."""
    return os.path.join(tempfile.mkdtemp(), "log.jsonl")


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_the_quick_way_to_apply_a_line_is_the_slow_one(steps: Any, data: Any) -> None:
    """Of a line of a log, also of one with a field that is of a wrong type, it makes the same step or none."""
    path = fresh()
    logged(steps, path)
    with open(path, "rb") as file:
        raws = file.readlines()
    quick = 0
    for raw in raws:
        fields = json.loads(raw)
        name = data.draw(st.sampled_from(["order", "changes", "splice", "paths", "before", "after", "path"]))
        wrong = {**fields, name: data.draw(st.sampled_from([None, 0, "", "x", [], [1], {}, True, [[1, 2, 3]]]))}
        for each in (raw, json.dumps(wrong).encode()):
            line = parse(each)
            step = quick_step(line)
            if step is not None:
                slow = step_of(line)
                step.top = slow.top  # what the root is, which only the first line of a log is asked
                assert repr(slow) == repr(step)
                quick += each is raw
    one_place = [line for line in map(parse, raws) if line.action in ("add", "update", "remove")]
    assert quick == sum(bool(line.head.before or line.head.after) and not line.head.paths for line in one_place)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.data())
def test_states_and_patches_of_a_log(steps: Any, data: Any) -> None:
    """``at k`` is the state then, ``diff`` and ``patch`` lead from one to another, ``patch --inverse`` back."""
    path = fresh()
    session = logged(steps, path)
    first, last = sorted(
        (data.draw(st.sampled_from(session.past)), data.draw(st.sampled_from(session.past))), key=lambda each: each[0]
    )
    states = {}
    for seq, state in (first, last):
        status, out = into(path, "at", path, seq, "--compact")
        assert status == 0
        assert alike(state, decode(json.loads(out)))
        states[seq] = json.loads(out)
    span = f"{first[0]}..{last[0]}"
    for args in (("diff", path, span, "--format", "json-patch"), ("patch", path, span)):
        status, out = into(path, *args)
        assert status == 0
        assert states[last[0]] == jsonpatch.apply_patch(states[first[0]], json.loads(out))
    back = json.loads(into(path, "patch", path, span, "--inverse")[1])
    assert states[first[0]] == jsonpatch.apply_patch(states[last[0]], back)


def into(path: str, *args: object) -> tuple[int, str]:
    """Run a command in this process with its standard output in a file, as hypothesis has no fixtures."""
    before = sys.stdout
    with open(path + ".out", "w+", encoding="utf-8") as out:
        sys.stdout = out
        try:
            status = main(list(map(str, args)))
        finally:
            sys.stdout = before
        out.seek(0)
        return status, out.read()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=20))
def test_blame_and_history_of_a_log_are_those_of_its_container(steps: Any) -> None:
    """Every place has the same last change, and the same history, as the live container says."""
    path = fresh()
    x = by_three(path, steps)
    with Logs([path], fail) as logs, Roots(logs, fail) as roots:
        key = next(iter(roots.by_root))
        compare_blame(x, Rebuilt(roots, key), Rebuilt(roots, key, remember=True))


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_last_changes_alone_blame_as_all_of_them_do(steps: Any) -> None:
    """Of any session, also with containers that move and keys that are tuples: ``blame --all`` keeps no other change."""
    path = fresh()
    logged(steps, path)
    with Logs([path], fail) as logs, Roots(logs, fail) as roots:
        for key in roots.by_root:
            both = Rebuilt(roots, key), Rebuilt(roots, key, remember=True)
            whole, short = ({place: line.seq for place, line in each.blame(None)} for each in both)
            assert whole == short
            for place in whole:
                assert [whole[place]] == [line.seq for _, line in both[1].blame(place)]


def fail(error: Exception) -> None:
    """A line that is not as it should be."""
    pytest.fail(str(error))


def compare_blame(x: Any, rebuilt: Rebuilt, remembered: Rebuilt) -> None:
    """Compare the answers of a container, of its log, and of its log with the last change of each place alone."""
    theirs = x.tracking_blame()
    ours = rebuilt.value.tracking_blame()
    whole, short = ({place: line.seq for place, line in each.blame(None)} for each in (rebuilt, remembered))
    for place in whole:
        assert [(place, whole[place])] == [(place, line.seq) for _, line in remembered.blame(place)]
    assert whole == short
    for place, each in theirs.items():
        assert each.seq == line_seq(rebuilt, ours[place])
        history = dict.fromkeys(line_seq(rebuilt, change) for change in rebuilt.value.tracking_history(place))
        born = rebuilt.lines[0].seq  # the init line, which here is a change that brings everything
        assert [change.seq for change in x.tracking_history(place)] == [seq for seq in history if seq != born]


def line_seq(rebuilt: Rebuilt, change: Any) -> int | None:
    """The number that a change of a rebuilt container has in the log."""
    line = rebuilt.line_of(change)
    return None if line is None else line.seq


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=20))
def test_undo_script_is_what_revert_would_have_done(steps: Any) -> None:
    """Taking back one actor's changes by the log leaves the data as ``tracking_revert`` leaves the container."""
    path = fresh()
    x = by_three(path, steps)
    before = encode(plain_copy(x))
    status, out = into(path, "undo-script", path, "--actor", "b")
    assert status == 0
    x.tracking_revert(actor="b")
    assert encode(plain_copy(x)) == jsonpatch.apply_patch(before, json.loads(out))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=20))
def test_the_filters_choose_whose_changes_count(steps: Any) -> None:
    """``blame``, ``history``, ``at``, ``diff`` and ``patch`` of one actor are what the live container says of them."""
    path = fresh()
    x = by_three(path, steps)
    theirs = {}
    for place in x.tracking_blame():
        theirs[place] = [change.seq for change in x.tracking_history(place) if change.actor == "b"]
    for place, seqs in theirs.items():
        _, out = into(path, "history", path, place, "--actor", "b", "--json")
        assert seqs == [json.loads(line)["seq"] for line in out.splitlines()]
        _, out = into(path, "blame", path, place, "--actor", "b")
        assert [str(seq) for seq in seqs[-1:]] == [words(place, line)[0] for line in out.splitlines()]
    _, out = into(path, "blame", path, "--all", "--actor", "b")
    found = dict(line.split("  ", 1) for line in out.splitlines())
    for place, seqs in theirs.items():
        assert [str(seq) for seq in seqs[-1:]] == ([words("", found[place])[0]] if place in found else [])
    now = encode(plain_copy(x))
    end = _core.newest_seq()
    mine = {change.seq for change in x.tracking_changes() if change.actor == "b"}
    others = {change.seq for change in x.tracking_changes() if change.actor in ("a", "c")}
    span = f"0..{end}"
    back = json.loads(into(path, "patch", path, span, "--actor", "b", "--inverse")[1])
    forth = json.loads(into(path, "patch", path, span, "--actor", "b")[1])
    shown = json.loads(into(path, "diff", path, span, "--actor", "b", "--format", "json-patch")[1])
    alone = json.loads(into(path, "at", path, end, "--actor", "b", "--compact")[1])
    take_back_all(x, mine)
    without = encode(plain_copy(x))
    assert without == jsonpatch.apply_patch(now, back)
    assert now == jsonpatch.apply_patch(without, forth) == jsonpatch.apply_patch(without, shown)
    x.tracking_revert_to(end)
    take_back_all(x, others)
    assert encode(plain_copy(x)) == alone


def words(place: str, line: str) -> list[str]:
    """Number, actor, action and place of a line of `show` or `blame`."""
    return line.removeprefix(place).split()[2:]


def test_filters_and_the_span_go_together(tmp_path: pathlib.Path, say: Run) -> None:
    """Each actor's keys alone; the filters of time, number and place too; what cannot be left out is named."""
    path = tmp_path / "log.jsonl"
    lines = []
    for n in range(1, 7):
        key = f"{'ab'[n % 2]}{n}"
        lines.append(change(seq=n, action="add", pointer=f"/{key}", path=[key], after=n, actor="ab"[n % 2]))
    lines.append(change(seq=7, pointer="/a2", path=["a2"], before=2, after=20, actor="b"))
    path.write_bytes(b"".join(lines))
    assert {"b1": 1, "b3": 3, "b5": 5} == json.loads(say("at", path, 6, "--actor", "b")[1])
    assert {"b3": 3, "a4": 4} == json.loads(say("at", path, 6, "--seq", "3..4")[1])
    assert {"b1": 1} == json.loads(say("at", path, 6, "--path", "/b1")[1])
    status, out, told = say("at", path, 7, "--actor", "b")
    assert (0, {"b1": 1, "b3": 3, "b5": 5, "a2": 20}) == (status, json.loads(out))
    assert "cannot be taken back, as its place was changed later" in told
    assert "/a2" in told
    status, out, told = say("diff", path, "2..7", "--actor", "a")
    assert (0, "+ /a4: 4\n+ /a6: 6\n", "") == (status, out, told)
    assert "" == say("diff", path, "2..7", "--actor", "nobody")[1]
    assert [{"op": "replace", "path": "/a2", "value": 20}] == json.loads(say("patch", path, "6..", "--actor", "b")[1])


def by_three(path: str, steps: Any) -> Any:
    """A container that three actors change, with its log."""
    x = track({"l": [0, 1], "d": {"a": 0}}, tracking_max_changes=None)
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        for who, what, where, value in steps:
            with tracking_actor("abc"[who]):
                act(x, what, where, value)
        x.tracking_remove_observer(observer)
    return x


def act(x: Any, what: int, where: int, value: int) -> None:
    """One of some mutations."""
    if what == 0:
        x["d"][f"k{where}"] = value
    elif what == 1:
        x["l"].insert(where, value)
    elif what == 2 and x["l"]:
        x["l"].pop(where % len(x["l"]))
    elif what == 3 and x["l"]:
        x["l"][where % len(x["l"])] = value
    elif what == 4:
        x["d"].pop(f"k{where}", None)
    else:
        x["l"].sort()


def test_the_python_of_undo_script_runs(tmp_path: pathlib.Path, say: Run) -> None:
    """As a program on the state in JSON, whatever the log's name is."""
    path = tmp_path / 'evil"""\n name.jsonl'
    x = track({"a": 1, "l": [1, 2]})
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        with tracking_actor("eve"):
            x["a"] = '"""'
            x["l"].append(3)
    status, program, _ = say("undo-script", path, "--actor", "eve", "--format", "python")
    assert status == 0
    (tmp_path / "undo.py").write_text(program)
    state = say("at", path, "now")[1]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "undo.py")],
        input=state,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert {"a": 1, "l": [1, 2]} == json.loads(done.stdout)


def test_what_cannot_be_taken_back_is_named(tmp_path: pathlib.Path, say: Run) -> None:
    """Somebody else changed the place since: that change stays, and standard error says so."""
    path = tmp_path / "log.jsonl"
    x = track({"a": 1})
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        with tracking_actor("eve"):
            x["a"] = 2
            x["b"] = 3
        x["a"] = 4
    _, out, err = say("undo-script", path, "--actor", "eve")
    assert [{"op": "remove", "path": "/b"}] == json.loads(out)
    assert "cannot be taken back" in err
    assert "/a" in err


@pytest.fixture
def two(tmp_path: pathlib.Path) -> pathlib.Path:
    """A log of two containers."""
    path = tmp_path / "two.jsonl"
    program = (
        "from pydatatracker import TrackedDict, tracking_actor\n"
        "one, other = TrackedDict(), TrackedDict()\n"
        "with tracking_actor('ann'): one['x'] = 1\n"
        "with tracking_actor('bob'): other['x'] = {'deep': [1, 2]}\n"
        "one['x'] = 5\n"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(PYDATATRACKER_LOG=str(path)), check=True)
    return path


def test_a_log_of_several_containers(two: pathlib.Path, say: Run) -> None:
    """Blame shows them as `show` numbers them; what needs one of them asks for it, and takes a number or an id."""
    status, out, _ = say("blame", two, "--all")
    assert (0, ["#2/x", "/x"]) == (status, sorted(line.split()[0] for line in out.splitlines()))
    status, _, err = say("at", two, "now")
    assert (2, True) == (status, "--root" in err)
    ids = [line.split()[1] for line in err.splitlines() if line.startswith("  #")]
    assert {"x": 5} == json.loads(say("at", two, "now", "--root", "#1")[1])
    assert {"x": {"deep": [1, 2]}} == json.loads(say("at", two, "now", "--root", ids[1])[1])
    assert 2 == say("at", two, "now", "--root", "#3")[0]
    assert 2 == say("at", two, "now", "--root", "#0")[0]


def test_history_and_blame_of_one_place(two: pathlib.Path, say: Run) -> None:
    """All changes of it, oldest first, as lines or as JSON; a place that nobody changed is no error."""
    status, out, _ = say("history", two, "/x", "--root", "#1", "--json")
    assert (0, ["ann", None]) == (status, [json.loads(line).get("actor") or None for line in out.splitlines()])
    assert "5" in say("blame", two, "/x", "--root", "#1")[1]
    status, out, err = say("blame", two, "/nothing")
    assert (0, "", True) == (status, out, "/nothing" in err)
    assert 2 == say("blame", two, "x")[0]
    assert 2 == say("blame", two)[0]


def test_diff_in_words(tmp_path: pathlib.Path, say: Run) -> None:
    """One line a difference, with its sign; a merge patch says it cannot say null."""
    path = tmp_path / "log.jsonl"
    x = track({"a": 1, "gone": 2, "n": 0})
    with json_file_observer(path) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        start = _core.newest_seq()
        x["a"] = "two\x1b[31m"
        del x["gone"]
        x["new"] = [1]
    status, out, _ = say("diff", path, f"{start}..")
    assert status == 0
    assert ["+ /new: [1]", "- /gone: 2", "~ /a: 1 -> 'two\\x1b[31m'"] == sorted(out.splitlines())
    assert {"a": "two\x1b[31m", "gone": None, "new": [1]} == json.loads(
        say("diff", path, f"{start}..", "--format", "merge-patch")[1]
    )
    with json_file_observer(path) as observer:
        x.tracking_add_observer(observer)
        x["n"] = None
    status, _, err = say("diff", path, f"{start}..", "--format", "merge-patch")
    assert (2, True) == (status, "/n" in err)


def test_verify(tmp_path: pathlib.Path, say: Run) -> None:
    """A whole log is fine; a line that is missing, torn, of somebody else, or a gap is named, with status 1."""
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
    assert (0, True) == (status, "1 changes came twice" in out)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_in_a_terminal(two: pathlib.Path, columns: int) -> None:
    """Nothing is wider than the terminal, and what is coloured ends its colours."""
    for args in (("blame", two, "--all", "-v"), ("stats", two), ("diff", two, "0..", "--root", "#2")):
        status, shown = run_in_terminal(*args, cwd=two.parent, columns=columns)
        assert status == 0
        assert columns >= max(
            map(len, run_in_terminal(*args, cwd=two.parent, columns=columns, NO_COLOR="1")[1].splitlines())
        )
        assert shown.count("\x1b[0m") == shown.count("\x1b[") - shown.count("\x1b[0m")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["good", "torn", "binary", "list", "deep", "types", "dup", "noseq", "old"]), max_size=8), st.sampled_from(
    [("stats",), ("verify",), ("blame", "--all"), ("history", "/x"), ("at", "3"), ("diff", "1..3"), ("patch", "1..3"), ("undo-script",)]
))  # fmt: skip
def test_a_hostile_log_is_never_a_traceback(kinds: list[str], command: tuple[str, ...]) -> None:
    """Whatever stands in it: a status of 0, 1 or 2, and sentences."""
    bad = {
        "torn": b'{"v":1,"action":"add","po\n',
        "binary": b"\x00\xff\xfe\x80\n",
        "list": b"[1,2]\n",
        "deep": b'{"v":1,"action":"add","seq":3,"path":["x"],"after":' + b"[" * 2000 + b"]" * 2000 + b"}\n",
        "types": b'{"v":1,"action":"add","seq":2,"path":7,"after":{"$tuple":5},"splice":"x","order":[9],"pointer":3}\n',
        "dup": change(seq=1, action="add", pointer="/x", path=["x"], after=1),
        "noseq": b'{"v":1,"action":"add","path":["x"],"after":1}\n',
        "old": b'{"action":"set","location":"x"}\n',
    }
    path = fresh()
    with open(path, "wb") as file:
        for n, kind in enumerate(kinds):
            file.write(bad.get(kind) or change(seq=n + 1, pointer="/x", path=["x"], before=n, after=n + 1))
    name, *rest = command
    assert into(path, name, path, *rest)[0] in (0, 1, 2)


def test_a_closed_pipe_and_a_missing_file(two: pathlib.Path) -> None:
    """Quiet in the one case, a sentence and status 2 in the other."""
    done = run("blame", "nothing.jsonl", "--all", cwd=two.parent)
    assert (2, "pydatatracker: cannot read nothing.jsonl: No such file or directory\n") == (
        done.returncode,
        done.stderr,
    )
