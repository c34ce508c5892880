"""``at``, ``diff`` and ``patch``: the states of a log."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jsonpatch
import pytest
from command import change, run, run_in_terminal
from gardening import STEPS, alike
from hypothesis import given, settings
from hypothesis import strategies as st
from rebuilding import Run, by_three, fresh, into, logged, say, two, words

from pydatatracker import _core, track
from pydatatracker.history.steps import quick_step, step_of
from pydatatracker.history.undo import take_back_all
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import parse
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import decode, encode

__all__ = ["say", "two"]  # the fixtures


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_the_quick_way_to_apply_a_line_is_the_slow_one(steps: Any, data: Any) -> None:
    """The quick way to apply a line makes the same step as the slow way.

    For a line that it does not handle, as one with a field of a wrong type, it makes no step.
    """
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
                step.top = slow.top  # the type of the root, which is read from the first line of a log only
                assert repr(slow) == repr(step)
                quick += each is raw
    one_place = [line for line in map(parse, raws) if line.action in ("add", "update", "remove")]
    whole = [
        line for line in one_place if (line.head.before or line.head.after or line.head.splice) and not line.head.paths
    ]
    assert quick == sum(line.v == 1 for line in whole)  # a reference takes the slow way


@settings(max_examples=40, deadline=None)
@given(STEPS, st.data())
def test_states_and_patches_of_a_log(steps: Any, data: Any) -> None:
    """``at`` gives the states; ``diff`` and ``patch`` lead between them."""
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


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=20))
def test_the_filters_choose_whose_changes_count(steps: Any) -> None:
    """Filtered by actor, commands give what the live container gives.

    The commands are ``blame``, ``history``, ``at``, ``diff`` and ``patch``.
    """
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


def test_diff_as_text(tmp_path: pathlib.Path, say: Run) -> None:
    """``diff`` has one line per difference.

    A merge patch cannot store null, so such a difference is an error that names its path.
    """
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


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_in_a_terminal(two: pathlib.Path, columns: int) -> None:
    """Output fits the terminal, and every colour is reset."""
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
    """Any log gives an exit status of 0, 1 or 2, and no traceback."""
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
    """A missing file is an error of one sentence, with status 2."""
    done = run("blame", "nothing.jsonl", "--all", cwd=two.parent)
    assert (2, "pydatatracker: cannot read nothing.jsonl: No such file or directory\n") == (
        done.returncode,
        done.stderr,
    )
