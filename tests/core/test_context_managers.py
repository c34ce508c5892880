"""Context managers that are used wrongly say so, and leave nothing behind.

A block (actor, transaction, assertion) is entered, then left. A resource (file, exporter, break) is closed at the end
of its block, as an open file is: closing twice does nothing, and a closed one cannot be entered.
"""

from __future__ import annotations

import asyncio
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedDict, _core, tracking_actor, tracking_transaction
from pydatatracker.config.loader import Observers
from pydatatracker.exporters import Delivery, HttpExporter, JsonLinesExporter, SqliteExporter
from pydatatracker.io import ChangeReader, ChangeWriter
from pydatatracker.observers import json_file_observer
from pydatatracker.observers.async_ import changes
from pydatatracker.testing import assert_unmodified, expect_changes

Make = Callable[[TrackedDict[str, Any], pathlib.Path], Any]


class Sink:
    def send(self, items: list[Any]) -> None: ...

    def close(self) -> None: ...


def _reader(d: TrackedDict[str, Any], folder: pathlib.Path) -> ChangeReader:
    (folder / "read.jsonl").write_bytes(b"")
    return ChangeReader(folder / "read.jsonl")


BLOCKS: dict[str, Make] = {
    "tracking_actor": lambda d, folder: tracking_actor("eve", reason=1),
    "tracking_transaction": lambda d, folder: tracking_transaction(d),
    "assert_unmodified": lambda d, folder: assert_unmodified(d),
    "expect_changes": lambda d, folder: expect_changes(d, {}),
}
RESOURCES: dict[str, Make] = {
    "break": lambda d, folder: d.tracking_break("/none", do="warn"),
    "guard": lambda d, folder: d.tracking_break("/none", do="raise"),
    "json_file_observer": lambda d, folder: json_file_observer(folder / "a.jsonl"),
    "ChangeWriter": lambda d, folder: ChangeWriter(folder / "a.jsonl"),
    "ChangeReader": _reader,
    "JsonLinesExporter": lambda d, folder: JsonLinesExporter(folder / "a.jsonl"),
    "SqliteExporter": lambda d, folder: SqliteExporter(folder / "a.db"),
    "HttpExporter": lambda d, folder: HttpExporter(lambda url, data: None, "http://localhost/"),
    "Delivery": lambda d, folder: Delivery(Sink(), name="mine"),
    "Observers": lambda d, folder: Observers([json_file_observer(folder / "a.jsonl")]),
    "changes": lambda d, folder: changes(d),
}


def enter(made: Any) -> Any:
    if hasattr(made, "__enter__"):
        return made.__enter__()
    return asyncio.run(made.__aenter__())


def leave(made: Any, error: BaseException | None = None) -> Any:
    given = (None, None, None) if error is None else (type(error), error, error.__traceback__)
    if hasattr(made, "__exit__"):
        return made.__exit__(*given)
    return asyncio.run(made.__aexit__(*given))


@pytest.mark.parametrize("is_async", [False, True], ids=["with", "async with"])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_left_once_for_each_time_it_is_entered(name: str, is_async: bool, tmp_path: pathlib.Path) -> None:
    """Leaving without entering, or once more, raises RuntimeError."""
    d: TrackedDict[str, Any] = TrackedDict(a=1)
    made = BLOCKS[name](d, tmp_path)

    def left() -> None:
        if is_async:
            asyncio.run(made.__aexit__(None, None, None))
        else:
            leave(made)

    with pytest.raises(RuntimeError, match=f"this {name.removeprefix('tracking_')}|this tracking_actor"):
        left()
    enter(made)
    leave(made)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="as a with statement, or call __exit__ once"):
            left()
    assert _core.scope_now() is None
    d["a"] = 2
    assert ("", None) == (d.last_change().actor, d.last_change().transaction)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_that_is_entered_twice_works_or_says_so(name: str, tmp_path: pathlib.Path) -> None:
    """An actor nests, other blocks refuse; the first entry stays right."""
    made = BLOCKS[name](TrackedDict(a=1), tmp_path)
    enter(made)
    if name == "tracking_actor":
        enter(made)
        leave(made)
        assert "eve" == _core.scope_now().actor  # type: ignore[union-attr]
    else:
        with pytest.raises(RuntimeError, match="entered"):
            enter(made)
    leave(made)
    assert _core.scope_now() is None


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_that_is_over_is_new_or_says_so(name: str, tmp_path: pathlib.Path) -> None:
    """A transaction is used once; an actor and an assertion begin anew."""
    d = TrackedDict(a=1)
    made = BLOCKS[name](d, tmp_path)
    enter(made)
    leave(made)
    if name == "tracking_transaction":
        with pytest.raises(RuntimeError, match="a transaction is entered once"):
            enter(made)
        with pytest.raises(RuntimeError, match=r"this transaction is over; rollback\(\)"):
            made.rollback()
    else:
        enter(made)
        leave(made)
    assert _core.scope_now() is None


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(BLOCKS, repeat=2)))
@pytest.mark.parametrize("fails", [False, True])
def test_blocks_that_end_in_the_wrong_order_leave_nothing(
    outer: str, inner: str, fails: bool, tmp_path: pathlib.Path
) -> None:
    """After both have ended, there is no actor and no transaction."""
    d: TrackedDict[str, Any] = TrackedDict(a=1)
    first, second = (BLOCKS[name](d, tmp_path) for name in (outer, inner))
    error = KeyError("a") if fails else None
    enter(first)
    enter(second)
    leave(first, error)
    leave(second, error)
    assert _core.scope_now() is None
    d["b"] = 2
    change = d.last_change()
    assert change is not None
    assert ("", None) == (change.actor, change.transaction)
    with pytest.raises(ZeroDivisionError), tracking_transaction(d):
        d["b"] = 3
        raise ZeroDivisionError
    assert {"a": 1, "b": 2} == d
    assert () == _core.observers_of(d)


def test_transactions_in_the_wrong_order_roll_back_what_is_theirs() -> None:
    """A block that ends late rolls back its own changes only."""
    d: TrackedDict[str, Any] = TrackedDict(a=1)
    first, second = tracking_transaction(d), tracking_transaction(d)
    enter(first)
    d["first"] = 1
    enter(second)
    d["second"] = 2
    leave(first)
    leave(second, KeyError("a"))
    assert "second" not in d
    assert {"a": 1, "first": 1} == d
    assert d.tracking_verify() is None


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_can_be_closed_twice_and_is_not_entered_again(name: str, tmp_path: pathlib.Path) -> None:
    """Entering what is closed raises, as an open file does."""
    d = TrackedDict(a=1)
    made = RESOURCES[name](d, tmp_path)
    assert made is enter(made)
    assert made is enter(made)
    leave(made)
    leave(made)
    for _ in range(2):
        with pytest.raises((ValueError, RuntimeError), match="closed|removed"):
            enter(made)
    leave(made)
    never = RESOURCES[name](d, tmp_path)
    leave(never)
    with pytest.raises((ValueError, RuntimeError), match="closed|removed"):
        enter(never)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 3)), max_size=40))
def test_a_block_leaves_the_entry_of_its_frame_else_the_newest(steps: list[tuple[str, bool, int]]) -> None:
    """Two blocks that are entered and left in any order, from several frames."""
    blocks = {name: tracking_actor(name) for name in "ab"}
    entered: list[tuple[str, int]] = []  # what is entered and not left, in this order
    with _core.ScopeBlock(None):
        for name, enters, frame in steps:
            own = [each for each in entered if each[0] == name]
            if enters:
                blocks[name]._enter(frame)
                entered.append((name, frame))
            elif own:
                blocks[name]._leave(frame)
                fitting = [each for each in own if each[1] == frame] or own
                at = len(entered) - 1 - entered[::-1].index(fitting[-1])
                del entered[at]
            else:
                with pytest.raises(RuntimeError, match="left more often"):
                    blocks[name]._leave(frame)
            scope = _core.scope_now()
            assert (scope.actor if scope is not None else None) == (entered[-1][0] if entered else None)
        while entered:
            name, frame = entered.pop()
            blocks[name]._leave(frame)
    assert _core.scope_now() is None
