"""assert_unmodified fails exactly when data changed, and shows who did it."""

from __future__ import annotations

import asyncio
import collections
import copy
import pickle
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modified import message_of

from pydatatracker import (
    MISSING,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    track,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.testing import ModifiedError, assert_unmodified, expect_changes


def offending_function(x: Any) -> None:
    x["ports"].append(443)


def test_reading_passes() -> None:
    """Reading, copying and comparing pass.

    After the block changes are no longer recorded.
    """
    x = track({"ports": [80]})
    with assert_unmodified(x) as block:
        sorted(x["ports"]), dict(x), x == {"ports": [80]}, copy.deepcopy(x), list(x.items())
    x["ports"].append(1)
    assert [] == block.changes


def test_the_message_shows_the_change_and_its_stack() -> None:
    """The message has actor, path, values, and the stack from the block on.

    Each frame has file, line and source; the innermost is last.
    """
    x = track({"ports": [80]}, tracking_name="config")
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x), tracking_actor("eve"):
        offending_function(x)
    lines = str(caught.value).splitlines()
    first = offending_function.__code__.co_firstlineno
    assert "config was modified once:" == lines[0]
    assert "/ports/1: add by append() by eve, nothing -> 443" == lines[1].strip()
    assert f"{__file__}:{first + 1} in offending_function" == lines[-2].strip()
    assert 'x["ports"].append(443)' == lines[-1].strip()
    assert ["test_the_message_shows_the_change_and_its_stack", "offending_function"] == [
        frame.name for frame in caught.value.stacks[0]
    ]
    assert x.tracking_changes()[1:] == caught.value.changes


SHAPES: list[tuple[str, Any, Any, list[str]]] = [
    ("update", {"a": 1}, lambda x: x.update(a=5, b=6), ["'a': 1 -> 5", "'b': nothing -> 6"]),
    ("extend", [1], lambda x: x.extend([2, 3]), ["[] -> [2, 3]"]),
    ("slice", [1, 2, 3], lambda x: x.__setitem__(slice(0, 2), [7]), ["[1, 2] -> [7]"]),
    ("sort", [3, 1], lambda x: x.sort(), ["[1, 0]", "order"]),
    ("clear", {"a": 1}, lambda x: x.clear(), ["'a': 1 -> nothing"]),
    ("add", {1}, lambda x: x.add(2), ["nothing -> 2"]),
    ("set algebra", {1, 2}, lambda x: x.symmetric_difference_update({2, 3}), ["2: 2 -> nothing", "3: nothing -> 3"]),
    ("a mutable value", {"a": 1}, lambda x: (x.__setitem__("a", seen := [1]), seen.append(2)), ["1 -> [1]"]),
]


@pytest.mark.parametrize(("data", "act", "told"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_every_kind_of_change_is_shown_with_its_values(data: Any, act: Any, told: list[str]) -> None:
    """Every kind of change is shown with its values at that moment."""
    x = track(data)
    text = message_of(assert_unmodified(x), lambda: act(x))
    assert [] == [words for words in told if words not in text]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_small_ring_hides_nothing(size: int) -> None:
    """Changes are found even if the ring is too small to keep them.

    So are changes that leave the data as it was before.
    """
    x = TrackedDict(tracking_max_changes=size)
    with pytest.raises(ModifiedError, match="3 times, first") as caught, assert_unmodified(x):
        x["a"] = 1
        x["b"] = 1
        x.clear()
    assert "/a" == caught.value.changes[0].pointer
    assert 3 == len(caught.value.changes)


def test_a_cleared_log_hides_nothing() -> None:
    """tracking_clear_changes removes records, but does not hide changes."""
    x = TrackedDict()
    with pytest.raises(ModifiedError, match="once"), assert_unmodified(x):
        x["a"] = 1
        x.tracking_clear_changes()


def test_a_rollback_is_two_changes() -> None:
    """A change and its rollback count as two changes.

    A block inside a transaction fails before the commit.
    """
    x = TrackedList()

    def fail() -> None:
        with pytest.raises(KeyError), tracking_transaction():
            x.append(1)
            raise KeyError

    assert "modified 2 times, first" in message_of(assert_unmodified(x), fail)
    with pytest.raises(ModifiedError) as caught, tracking_transaction(), assert_unmodified(x):
        offending_function({"ports": x})
    assert "offending_function" == caught.value.stacks[0][-1].name
    assert [] == x


def test_changes_of_other_threads_are_counted_and_shown_once() -> None:
    """Changes of other threads count, and show thread and stack."""
    x = TrackedDict()

    def work(n: int) -> None:
        for _ in range(100):
            x[n] = x.get(n, 0) + 1

    def act() -> None:
        threads = [threading.Thread(target=work, args=(n,), name=f"worker-{n}") for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    text = message_of(assert_unmodified(x, x), act)
    assert "modified 400 times" in text
    assert "in thread worker-" in text
    assert "in work" in text


def test_more_changes_than_are_kept_are_counted() -> None:
    """The first thousand changes are kept, the others counted."""
    x, y = TrackedList(), TrackedDict()
    y["x"] = x
    with pytest.raises(ModifiedError, match="modified 2500 times") as caught, assert_unmodified(x, y):
        for n in range(2500):
            x.append(n)
    assert list(range(1000)) == [change.after for change in caught.value.changes]


def test_the_blocks_own_exception_goes_on_with_a_note() -> None:
    """An exception in the block is raised, with a note that shows the change.

    Without a change there is no note.
    """
    x = TrackedDict()
    with pytest.raises(KeyError) as caught, assert_unmodified(x):
        x["a"] = 1
        x["b"]
    (note,) = caught.value.__notes__
    assert "/a: add by __setitem__(), nothing -> 1" in note
    with pytest.raises(KeyError) as caught, assert_unmodified(x):
        x["b"]
    assert not hasattr(caught.value, "__notes__")


def test_an_exception_that_accepts_no_note_is_raised() -> None:
    """An exception whose class accepts no note is raised unchanged."""

    class Frozen(Exception):
        def __setattr__(self, name: str, value: Any) -> None:
            raise TypeError("frozen")

    x = TrackedDict()
    error = Frozen()
    with pytest.raises(Frozen) as caught, assert_unmodified(x):
        x["a"] = 1
        raise error
    assert error is caught.value


def test_blocks_in_blocks() -> None:
    """The inner block fails; the outer one notes only further changes."""
    x, y = TrackedDict(), TrackedDict()
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x), assert_unmodified(x):
        x["a"] = 1
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(ModifiedError) as caught, assert_unmodified(y), assert_unmodified(x):
        y["other"] = 1
        x["a"] = 2
    assert "/a" == caught.value.changes[0].pointer
    assert "/other" in caught.value.__notes__[0]


def test_a_block_is_entered_once_at_a_time() -> None:
    """Entering a block twice is an error; after its end it can be reused."""
    x = TrackedDict()
    block = assert_unmodified(x)
    with block, pytest.raises(RuntimeError, match="entered already"):
        block.__enter__()
    message_of(block, lambda: x.update(a=1))
    with block:
        pass


def test_locks_and_refused_changes_do_not_count() -> None:
    """Locks and refused changes pass, because no data changes."""
    x = track({"a": [1]})
    with assert_unmodified(x):
        x.lock()
        with pytest.raises(TrackingLockedError):
            x["a"].append(1)
        x.unlock()
        with x.tracking_break("/**", do="raise"), pytest.raises(RuntimeError):
            x["a"].append(1)
    x.lock()
    with assert_unmodified(x):
        pass


def test_only_what_changed_is_named() -> None:
    """Only the containers that changed are named, each once.

    A container may be at several paths, or below another one that is watched.
    """
    shared = TrackedList(tracking_name="shared")
    x = TrackedDict(one=shared, two=shared)
    other = TrackedSet(tracking_name="other")
    text = message_of(assert_unmodified(other, shared, x), lambda: shared.append(1))
    assert "shared, TrackedDict was modified once:" == text.splitlines()[0]
    other.add(1)
    with assert_unmodified(other):
        shared.append(2)


def test_added_containers_are_watched_and_removed_ones_are_not() -> None:
    """Containers added in the block are watched, removed ones are not.

    The removal itself is a change.
    """
    x = track({"a": [1]})
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        gone = x.pop("a")
        gone.append(2)
        x["b"] = come = TrackedList()
        come.append(3)
    assert ["/a", "/b", "/b/0"] == [change.pointer for change in caught.value.changes]


def test_other_observers_hide_nothing() -> None:
    """Other observers hide no change, even if they raise or change data.

    A block inside an observer works, too.
    """
    x = track({"a": [1]})

    def stop(change: Any) -> None:
        raise KeyboardInterrupt

    x["a"].tracking_add_observer(stop)
    with pytest.raises(KeyboardInterrupt) as caught, assert_unmodified(x):
        x["a"].append(2)
    assert "/a/1: add" in caught.value.__notes__[0]
    with pytest.raises(ModifiedError) as failed, assert_unmodified(x):
        with pytest.raises(KeyboardInterrupt):
            x["a"].append(3)
        x["b"] = 1
    assert ["/a/2", "/b"] == [change.pointer for change in failed.value.changes]

    y, heard = TrackedDict(tracking_observer_errors="raise"), []

    def react(change: Any) -> None:
        if change.location == "first":
            with assert_unmodified(y):
                y["second"] = 1
        else:
            heard.append(change)

    y.tracking_add_observer(react)
    with pytest.raises(ExceptionGroup) as group:
        y["first"] = 1
    assert isinstance(group.value.exceptions[0], ModifiedError)
    assert 1 == len(heard)


def test_the_stack_of_a_change_that_an_observer_made() -> None:
    """A change made by an observer has its own stack, if stacks are captured.

    Otherwise it has the stack of the statement that caused the observer to be called.
    """
    for capture, name in ((True, "react"), (False, "test_the_stack_of_a_change_that_an_observer_made")):
        x = TrackedDict(tracking_capture_stack=capture)

        def react(change: Any, x: Any = x) -> None:
            if change.location == "first":
                x["second"] = 1

        x.tracking_add_observer(react)
        with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
            x["first"] = 1
        assert name == caught.value.stacks[1][-1].name


def test_a_deep_recursion_shows_its_innermost_calls() -> None:
    """A deep stack is cut to its innermost calls."""
    x = TrackedDict()

    def down(n: int) -> None:
        x.update(a=1) if n == 0 else down(n - 1)

    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        down(700)
    assert {"down"} == {frame.name for frame in caught.value.stacks[0]}
    assert len(str(caught.value).splitlines()) < 100


def test_it_works_in_async_code() -> None:
    """`async with` works, and covers changes of other tasks meanwhile."""
    x = TrackedDict()

    async def other() -> None:
        x["a"] = 1

    async def body() -> None:
        async with assert_unmodified(x):
            await asyncio.create_task(other())

    with pytest.raises(ModifiedError, match="in other"):
        asyncio.run(body())

    async def expecting() -> None:
        async with expect_changes(x, {"/a": (1, 2)}):
            x["a"] = 2

    asyncio.run(expecting())


def test_hostile_values_do_not_hide_the_change() -> None:
    """A change is shown even if its key or value is hostile.

    Such as a __repr__ that raises, a key with escapes, and a very long value.
    """

    class Bad:
        def __repr__(self) -> str:
            raise ValueError("no")

        def __eq__(self, other: object) -> bool:
            raise ValueError("no")

        __hash__ = object.__hash__

    x = TrackedDict()
    text = message_of(assert_unmodified(x), lambda: x.__setitem__("a\n\x1b[31m\ud800", Bad()))
    assert "repr raised ValueError" in text
    assert "\x1b" not in text
    assert text.encode()
    long = message_of(assert_unmodified(x), lambda: x.__setitem__("long", "x" * 10**6))
    assert len(long) < 5000
    with expect_changes(x, {"/bad": (MISSING, ...)}):
        x["bad"] = Bad()
    assert "/bad: " in message_of(expect_changes(x, {}), lambda: x.__setitem__("bad", Bad()))


@pytest.mark.parametrize("block", [lambda x: assert_unmodified(x), lambda x: expect_changes(x, {"/pin": (..., 1)})])
def test_no_message_has_redacted_values(block: Any) -> None:
    """A message names a redacted change, but not its values."""
    x = track({"pin": "s3cr3t-old", "card": {"pin": "s3cr3t-older"}}, tracking_redact="/**/pin")

    def act() -> None:
        x["pin"] = "s3cr3t-new"
        x["card"]["pin"] = "s3cr3t-newer"

    text = message_of(block(x), act)
    assert "s3cr3t" not in "\n".join(line for line in text.splitlines() if "= " not in line)
    assert "/pin" in text


def test_the_error_can_be_pickled_and_copied() -> None:
    """The error can be pickled and copied, as process pools do."""
    x = TrackedDict()
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        x["a"] = 1
    caught.value.add_note("kept")
    for error in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert str(caught.value) == str(error)
        assert ["/a"] == [change.pointer for change in error.changes]
        assert caught.value.stacks[0][-1].lineno == error.stacks[0][-1].lineno
        assert ["kept"] == error.__notes__


@pytest.mark.parametrize(
    "make", [lambda: assert_unmodified({}), lambda: expect_changes([], {}), lambda: assert_unmodified()]
)
def test_untracked_data_is_refused(make: Any) -> None:
    """Untracked data is an error that says how to track it."""
    with pytest.raises(TypeError, match=r"track\(\)|needs a tracked container"):
        make()


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["read", "lock", "store", "same", "append", "nothing", "pop"]), max_size=5))
def test_it_fails_exactly_if_the_log_has_changes(steps: list[str]) -> None:
    """The block fails exactly if the log has changes of data."""
    x = track({"a": [1], "b": 1})
    since = x.last_change().seq if x.tracking_changes() else 0
    failed = False
    try:
        with assert_unmodified(x):
            for step in steps:
                {
                    "read": lambda: x["a"][0], "lock": lambda: (x.lock(), x.unlock()), "same": lambda: x.update(b=x["b"]),
                    "store": lambda: x.update(b=2), "append": lambda: x["a"].append(1), "nothing": lambda: x["a"].sort(),
                    "pop": lambda: x["a"][1:] and x["a"].pop(),
                }[step]()  # fmt: skip
    except ModifiedError:
        failed = True
    logged = [c for c in x.tracking_changes() if c.seq > since and c.action in ("add", "update", "remove")]
    assert bool(logged) == failed


def test_the_message_names_the_culprit_before_the_calls() -> None:
    """The culprit is who called the library that stored the value."""

    def culprit() -> None:
        collections.ChainMap(x)["a"] = 2

    x = TrackedDict(a=1, tracking_name="config")
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        culprit()
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert f"{__file__}:{culprit.__code__.co_firstlineno + 1} in culprit" == lines[2]
    assert 'collections.ChainMap(x)["a"] = 2' == lines[3]
    assert "in these calls, innermost last:" == lines[4]
    assert any(line.endswith("in __setitem__") for line in lines[5:])
    x["a"] = 1
    with pytest.raises(ModifiedError) as caught, expect_changes(x, {}):
        culprit()
    assert lines[2] in [line.strip() for line in str(caught.value).splitlines()]
