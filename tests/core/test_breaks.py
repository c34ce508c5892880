"""Breaks: stop in the debugger, refuse, warn or log when data changes."""

from __future__ import annotations

import collections
import logging
import os
import pathlib
import pty
import select
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core, track, tracking_transaction
from pydatatracker.containers.breaks import TrackedChangeError


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x = 1
        self.y = 2


REFUSED = [
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.__setitem__("a", 9)),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.__setitem__("new", 9)),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.__delitem__("a")),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.pop("b")),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.popitem()),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.clear()),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.update(a=2, z=3)),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.update([("a", 2), ("a", 3), ("q", 1)])),
    (lambda: TrackedDict(a=1, b=2, c=3), lambda x: x.setdefault("z", 1)),
    (lambda: TrackedDict(), lambda x: x.update(a=1)),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.append(1)),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.insert(0, 1)),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.pop(0)),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.remove(1)),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.clear()),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.extend([1, 2])),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.extend(iter([1, 2]))),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.sort()),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.reverse()),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.__setitem__(slice(0, 2), [7])),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.__setitem__(slice(0, 3, 2), [7, 8])),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.__delitem__(slice(0, 3, 2))),
    (lambda: TrackedList([3, 1, 2]), lambda x: x.__imul__(2)),
    (lambda: TrackedSet([1, 2]), lambda x: x.add(3)),
    (lambda: TrackedSet([1, 2]), lambda x: x.discard(1)),
    (lambda: TrackedSet([1, 2]), lambda x: x.pop()),
    (lambda: TrackedSet([1, 2]), lambda x: x.update([3, 4])),
    (lambda: TrackedSet([1, 2]), lambda x: x.symmetric_difference_update({1, 9})),
    (lambda: TrackedSet([1, 2]), lambda x: x.clear()),
    (Point, lambda x: setattr(x, "x", 5)),
    (Point, lambda x: setattr(x, "z", 5)),
    (Point, lambda x: delattr(x, "x")),
]


@pytest.mark.parametrize(("make", "change"), REFUSED)
def test_a_refused_change_is_not_made(make: Any, change: Any) -> None:
    """A refused call leaves content, order, log and observers as they were.

    Afterwards the same call works.
    """
    x = make()
    told: list[Any] = []
    x.tracking_add_observer(told.append, when="immediate")
    before, records = _core.plain(x), len(x.tracking_changes())
    guard = x.tracking_break("/**", do="raise")
    with pytest.raises(TrackedChangeError, match="nothing was changed") as caught:
        change(x)
    if isinstance(before, dict) and not isinstance(x, TrackedAttr):
        assert list(before.items()) == list(x.items())
    assert before == _core.plain(x)
    assert (records, []) == (len(x.tracking_changes()), told)
    assert caught.value.change.action in ("add", "update", "remove")
    x._check()
    assert x.tracking_verify() is None
    guard.remove()
    change(x)
    assert 1 == len(told)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=30))
def test_links_and_paths_survive_refusals(script: list[tuple[int, int]]) -> None:
    """Refused moves of tracked children leave the tree linked as it was."""
    x = track({"a": [[1], [2]], "b": {"k": [3]}})
    for do, n in script:
        with x.tracking_break("/**", do="raise", when=lambda change, n=n: n % 2 == 0):
            try:
                if do == 0:
                    x["a"].append(x["b"])
                elif do == 1 and x["a"]:
                    x["a"].pop(0)
                elif do == 2:
                    x["b"].clear()
                elif do == 3:
                    x["a"].reverse()
                elif do == 4:
                    x["b"]["k"] = x["a"][n % len(x["a"])] if x["a"] else []
                elif do == 5:
                    x["a"][:] = x["a"][::-1] + [[n]]
                else:
                    x["a"] = [[n]]
            except TrackedChangeError:
                assert n % 2 == 0
        x._check()
        assert x.tracking_verify() is None


def test_path_actions_and_when_choose() -> None:
    """A break applies only where path, actions and when all match."""
    x = track({"cfg": {"port": 80, "host": "a"}})
    hits: list[str] = []
    x.tracking_break(
        "/cfg/*", actions="update", when=lambda change: change.after != 1, do=lambda change: hits.append(change.pointer)
    )
    x["cfg"]["port"] = 1
    x["cfg"]["port"] = 2
    x["cfg"]["new"] = 3
    x["other"] = 4
    assert ["/cfg/port"] == hits


def test_it_comes_before_all_observers_and_in_a_transaction() -> None:
    """A break applies at the statement, not at the commit."""
    x = TrackedDict()
    order: list[str] = []
    x.tracking_add_observer(lambda change: order.append("observer"), -(10**6))
    x.tracking_break("/a", do=lambda change: order.append("break"))
    with tracking_transaction():
        x["a"] = 1
        assert ["break"] == order
    assert ["break", "observer"] == order


def test_a_rollback_is_not_refused() -> None:
    """A rollback is not refused, or a transaction could not be undone."""
    x = TrackedDict(a=1)
    with pytest.raises(TrackedChangeError), tracking_transaction():
        x["a"] = 2
        x.tracking_break("/a", do="raise")
        x["a"] = 3
    assert {"a": 1} == x


def test_warn_and_log_name_the_change(caplog: pytest.LogCaptureFixture) -> None:
    """`warn` raises a RuntimeWarning, `log` writes to pydatatracker's logger."""
    x = TrackedDict()
    with x.tracking_break("/a", do="log"), caplog.at_level(logging.WARNING, "pydatatracker"):
        x["a"] = 1
    assert "/a: 1" in caplog.text
    with x.tracking_break("/a", do="warn") as guard, pytest.warns(RuntimeWarning, match="/a: 1 -> 2"):
        x["a"] = 2
    assert "removed" in repr(guard)
    x["a"] = 3


def test_a_condition_that_fails_leaves_all_as_it_was() -> None:
    """An error in the condition refuses the change.

    With raise it comes out of the statement; the container is as before.
    """
    x = TrackedDict(a=1)
    x.tracking_break("/a", when=lambda change: 1 / 0, do="raise")
    with pytest.raises(ZeroDivisionError):
        x["a"] = 2
    assert ({"a": 1}, 1) == (x, len(x.tracking_changes()))


@pytest.mark.parametrize(
    ("error", "kwargs"),
    [
        (ValueError, {"path": "cfg"}),
        (ValueError, {"path": "/a", "do": "explode"}),
        (ValueError, {"path": "/a", "actions": "change"}),
        (TypeError, {"path": "/a", "when": 5}),
        (TypeError, {"path": 5}),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_watched(error: type[Exception], kwargs: Any) -> None:
    """The error for a wrong argument lists what is allowed."""
    x = TrackedDict()
    with pytest.raises(error):
        x.tracking_break(**kwargs)
    x["a"] = 1
    assert () == _core.observers_of(x)


def test_the_debugger_stops_at_the_statement(tmp_path: pathlib.Path) -> None:
    """The debugger stops in the program's own line.

    A real pdb under a pseudo-terminal: `where` shows that line as the newest frame.
    """
    script = tmp_path / "program.py"
    script.write_text(
        "from pydatatracker import TrackedDict\n"
        "d = TrackedDict(port=80)\n"
        "d.tracking_break('/port')\n"
        "def offending():\n"
        "    d['port'] = 8080\n"
        "    return 'next line'\n"
        "offending()\n"
        "print('done', d['port'])\n"
    )
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "PYTHON_COLORS": "0"}
    process = subprocess.Popen([sys.executable, str(script)], stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        end = time.monotonic() + 30
        while text not in seen:
            assert time.monotonic() < end, seen
            if select.select([parent], [], [], 0.2)[0]:
                try:
                    seen += os.read(parent, 4096).decode()
                except OSError:  # the other side closed
                    break
        assert text in seen, seen

    until("(Pdb)")
    assert "/port: 80 -> 8080" in seen
    assert "offending()" in seen
    assert "breaks.py" not in seen
    os.write(parent, b"p d\n")
    until("{'port': 8080}")
    os.write(parent, b"continue\n")
    until("done 8080")
    assert 0 == process.wait(30)
    os.close(parent)


def by_a_messenger(x: Any) -> None:
    """Change the data through the standard library."""
    collections.ChainMap(x)["a"] = 2


def test_every_kind_of_break_names_the_culprit(caplog: pytest.LogCaptureFixture) -> None:
    """Warnings and log records also have its file and line as their own.

    No stack is captured: the one that runs is enough.
    """
    line = by_a_messenger.__code__.co_firstlineno + 2
    where = f"at {__file__}:{line} in by_a_messenger"
    x = TrackedDict(a=1)
    with x.tracking_break("/a", do="log"), caplog.at_level(logging.WARNING, "pydatatracker"):
        by_a_messenger(x)
    (record,) = caplog.records
    assert (__file__, line, True) == (record.pathname, record.lineno, where in record.getMessage())
    with x.tracking_break("/a", do="warn"), pytest.warns(RuntimeWarning) as caught:
        by_a_messenger(x)
    assert (__file__, line, True) == (caught[0].filename, caught[0].lineno, where in str(caught[0].message))
    with x.tracking_break("/a", do="raise"), pytest.raises(TrackedChangeError, match="was refused") as refused:
        by_a_messenger(x)
    assert where in str(refused.value)


def test_the_debugger_is_announced_with_the_culprit(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The debugger still stops where the data was stored."""
    stopped: list[str] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stopped.append(sys._getframe(1).f_code.co_filename))
    x = TrackedDict(a=1)
    with x.tracking_break("/a"):
        by_a_messenger(x)
    assert " in by_a_messenger\n" in capsys.readouterr().err
    assert [collections.__file__] == stopped


def test_a_break_that_only_libraries_reach_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The record is that of the statement that changed the data."""
    x = TrackedDict(a=1)
    with x.tracking_break("/a", do="log"), caplog.at_level(logging.WARNING, "pydatatracker"):
        thread = threading.Thread(target=x.update, kwargs={"a": 2})
        thread.start()
        thread.join()
    (record,) = caplog.records
    assert threading.__file__ == record.pathname
    assert record.getMessage().endswith("update (whole)>")
