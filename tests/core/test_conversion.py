"""Conversion of plain containers into tracked ones."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, track


class Thing(TrackedAttr):
    pass


def test_nesting_that_is_too_deep_is_a_recursion_error() -> None:
    """Too deep data raises RecursionError and leaves the container unchanged."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        track(deep)
    d = TrackedDict(a=1, tracking_auto_convert=True)
    with pytest.raises(RecursionError):
        d["x"] = deep
    assert {"a": 1} == d
    while deep:
        deep = deep[0]


def test_auto_convert_links_what_it_converts_at_any_depth() -> None:
    """A plain document stored deep in a tree is tracked down to its leaves.

    Tuples are left alone.
    """
    doc = TrackedDict(tracking_auto_convert=True)
    doc["a"] = {"b": [{"c": {1, 2}}], "t": ([1], {})}
    doc["a"]["b"][0]["c"].add(3)
    assert doc.last_change().path == ("a", "b", 0, "c", 3)
    assert type(doc["a"]["t"][0]) is list
    shared = [1]
    doc["twice"] = [shared, shared]
    assert doc["twice"][0] is doc["twice"][1]
    loop: list[Any] = []
    loop.append(loop)
    doc["loop"] = loop
    assert doc["loop"][0] is doc["loop"]
    doc._check()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_conversion_needs_no_more_stack_for_deep_data(opening: str) -> None:
    """9,000 levels are converted in a thread with 128 KB."""
    program = """
import os, sys, threading
from pydatatracker import track
opening = sys.argv[1]
deep = []
for _ in range(9_000):
    deep = [deep] if opening == "[" else {"a": deep}
found = []
def run():
    found.append(track(deep))
threading.stack_size(128 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
levels, each = 0, found[0]
while each:
    levels, each = levels + 1, each[0 if opening == "[" else "a"]
print(levels)
sys.stdout.flush()
os._exit(0)  # CPython needs more stack to free plain data
"""
    done = subprocess.run([sys.executable, "-c", program, opening], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "9000\n", "")


def test_a_linked_child_is_a_child_without_auto_convert() -> None:
    """A stored tracked value is linked, a plain one stays as it is."""
    child = TrackedList()
    doc = TrackedDict({"p": [1]}, c=child)
    assert type(doc["p"]) is list
    child.append(1)
    assert doc.last_change().path == ("c", 0)


def test_auto_convert_is_off_but_for_attributes_and_track() -> None:
    """A stored plain container stays plain unless auto_convert is on."""
    assert type(TrackedDict(a=[1])["a"]) is list
    assert type(TrackedDict(a=[1], tracking_auto_convert=True)["a"]) is TrackedList
    assert type(TrackedList([[1]], tracking_auto_convert=True)[0]) is TrackedList
    thing, other = Thing(), Thing(tracking_auto_convert=False)
    thing.a = other.a = {}
    assert (type(thing.a), type(other.a)) == (TrackedDict, dict)
    assert type(track({"a": [1]}, tracking_auto_convert=False)) is TrackedDict


def test_track_refuses_what_it_cannot_track() -> None:
    """track() refuses other types, and returns a tracked value as it is."""
    d = TrackedDict()
    assert track(d) is d
    for wrong in (5, "text", (1,), frozenset(), object()):
        with pytest.raises(TypeError):
            track(wrong)
    with pytest.raises(TypeError, match="tracking_"):
        track({}, name="x")
