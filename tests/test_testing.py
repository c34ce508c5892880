"""assert_unmodified, expect_changes and the pytest plugin: they fail when they should, and show who did it."""

from __future__ import annotations

import asyncio
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

import pytest

from pydatatracker import MISSING, TrackedAttr, TrackedDict, TrackedList, track, tracking_actor, tracking_transaction
from pydatatracker.testing import ModifiedError, assert_unmodified, expect_changes


def guilty_function(x: Any) -> None:
    x["ports"].append(443)


def test_what_only_reads_passes() -> None:
    """Reading, copying, sorting a copy; and afterwards nothing watches any more."""
    x = track({"ports": [80]})
    with assert_unmodified(x):
        sorted(x["ports"]), dict(x), x == {"ports": [80]}
    x["ports"].append(1)


def test_the_message_shows_the_change_and_its_stack() -> None:
    """Who, where, what, and the function that did it with its line, though the container captures no stacks."""
    x = track({"ports": [80]}, tracking_name="config")
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x), tracking_actor("eve"):
        guilty_function(x)
    text = str(caught.value)
    assert "config was modified once" in text
    assert "/ports/1: add by append() by eve, nothing -> 443" in text
    assert "in guilty_function" in text
    assert 'x["ports"].append(443)' in text
    assert "pydatatracker/testing.py" not in text
    assert ["guilty_function"] == [stack[-1].name for stack in caught.value.stacks]


def test_a_small_ring_a_rollback_another_thread() -> None:
    """None of them hides a change."""
    x = TrackedDict(tracking_max_changes=0)
    with pytest.raises(ModifiedError, match="2 times"), assert_unmodified(x):
        x["a"] = 1
        del x["a"]
    y = TrackedList()
    with pytest.raises(ModifiedError), assert_unmodified(y):
        try:
            with tracking_transaction():
                y.append(1)
                raise KeyError
        except KeyError:
            pass
    with pytest.raises(ModifiedError), assert_unmodified(y):
        thread = threading.Thread(target=y.append, args=(1,))
        thread.start()
        thread.join()


def test_the_blocks_own_exception_goes_on_with_a_note() -> None:
    """It is not replaced; the note names the change."""
    x = TrackedDict()
    with pytest.raises(KeyError) as caught, assert_unmodified(x):
        x["a"] = 1
        x["b"]
    assert "/a: add" in caught.value.__notes__[0]


def test_a_lock_is_no_change_and_places_are_told_once() -> None:
    """Locking changes no data; a container in two watched places changes once."""
    shared = TrackedList()
    x = TrackedDict(one=shared, two=shared)
    with assert_unmodified(x):
        x.lock()
        x.unlock()
    with pytest.raises(ModifiedError, match="once"), assert_unmodified(x, shared):
        shared.append(1)


def test_it_works_in_async_code() -> None:
    """As async with."""
    x = TrackedDict()

    async def body() -> None:
        async with assert_unmodified(x):
            x["a"] = 1

    with pytest.raises(ModifiedError):
        asyncio.run(body())


@pytest.mark.parametrize(
    "make", [lambda: assert_unmodified({}), lambda: expect_changes([], {}), lambda: assert_unmodified()]
)
def test_what_is_not_tracked_is_refused(make: Any) -> None:
    """The sentence says how to track it."""
    with pytest.raises(TypeError, match=r"track\(\)|needs a tracked container"):
        make()


def test_expected_changes_pass() -> None:
    """Values, anything, a function, nothing; a place that ends as it began is no change."""
    x = track({"a": 1, "b": {"c": [1, 2]}, "gone": 5, "same": 1})
    expected = {"/a": (1, 2), "/b/c/1": (2, ...), "/new": (MISSING, lambda v: v > 5), "/gone": (5, MISSING)}
    with expect_changes(x, expected) as seen:
        x["a"] = 2
        x["b"]["c"][1] = "x"
        x["new"] = 9
        del x["gone"]
        x["same"] = 2
        x["same"] = 1
    assert 6 == len(seen.changes)


def test_every_difference_is_told() -> None:
    """What is missing, what is otherwise, what was not expected; with the first change and its stack."""
    x = track({"a": 1, "b": 1, "l": [1]})
    with pytest.raises(ModifiedError) as caught, expect_changes(x, {"/a": (1, 2), "/b": (1, 5)}):
        x["b"] = 6
        x["l"].append(2)
    text = str(caught.value)
    assert "/a after: expected 2, found 1" in text
    assert "/b after: expected 5, found 6" in text
    assert "/l/1: not expected, nothing -> 2" in text
    assert "test_every_difference_is_told" in text
    with expect_changes(x, {"/a": (1, 2)}, others="allow"):
        x["a"] = 2
        x["l"].clear()


def test_types_count() -> None:
    """1 is not True, nor 1.0."""
    x = TrackedDict(a=0)
    with pytest.raises(ModifiedError, match="expected 1, found True"), expect_changes(x, {"/a": (0, 1)}):
        x["a"] = True


@pytest.mark.parametrize(
    ("error", "expected", "kwargs"),
    [(ValueError, {"a": (1, 2)}, {}), (TypeError, {"/a": 1}, {}), (ValueError, {}, {"others": "maybe"})],
)
def test_bad_expectations_are_refused(error: type[Exception], expected: Any, kwargs: Any) -> None:
    """Before the block runs."""
    with pytest.raises(error):
        expect_changes(TrackedDict(), expected, **kwargs)


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x = 1


def test_attributes_are_places() -> None:
    """Of objects too."""
    p = Point()
    with expect_changes(p, {"/x": (1, 2)}):
        p.x = 2


# ---- the plugin, in a real pytest of its own

TESTS = """
from pydatatracker import track, TrackedDict
from pydatatracker.testing import assert_unmodified

CONFIG = track({"ports": [80]})

def spoil(config):
    config["ports"].append(443)

def test_direct():
    with assert_unmodified(CONFIG):
        spoil(CONFIG)

def test_chained():
    try:
        with assert_unmodified(CONFIG):
            spoil(CONFIG)
    except AssertionError as error:
        raise RuntimeError("wrapped") from error

def test_fixture(unmodified):
    unmodified(CONFIG)
    spoil(CONFIG)

def test_refused():
    with CONFIG.tracking_break("/**", do="raise"):
        spoil(CONFIG)

def test_many():
    d = TrackedDict()
    with assert_unmodified(d):
        for n in range(30):
            d[n] = n

def test_fine(unmodified):
    unmodified(CONFIG)
    assert len(CONFIG["ports"])
"""


def run_pytest(folder: pathlib.Path, *args: str) -> str:
    (folder / "test_sample.py").write_text(TESTS)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-p", "no:cacheprovider", *args],
        cwd=folder, capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_failed_test_shows_the_guilty_change(tmp_path: pathlib.Path) -> None:
    """Directly, behind another exception, from the fixture, and for a refused change; what passes shows nothing."""
    text = run_pytest(tmp_path)
    assert "1 passed, 4 failed, 1 error" in text or ("4 failed" in text and "1 error" in text)
    assert 5 == text.count("- tracked changes -")
    assert 4 <= text.count('config["ports"].append(443)')
    assert "and 20 more; --tracked-changes=30 shows them" in text


def test_the_option_and_switching_it_off(tmp_path: pathlib.Path) -> None:
    """Fewer, all, or none of it."""
    few = run_pytest(tmp_path, "--tracked-changes=2", "-k", "many")
    assert "and 28 more" in few
    off = run_pytest(tmp_path, "-p", "no:pydatatracker", "-k", "direct")
    assert "- tracked changes -" not in off
    assert "1 failed" in off
