"""What a review with fresh eyes broke, each mended by its cause."""

from __future__ import annotations

import collections
import enum
import gc
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

import pytest
from restless import restless

from pydatatracker import (
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    replay,
    track,
    tracked,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.io import read_changes


def test_rows_of_a_long_stepped_slice_hold_their_indices() -> None:
    """Indices above 256 are objects of their own: they were freed and then read."""
    program = (
        "from pydatatracker import TrackedList\n"
        "x = TrackedList(range(1000)); before = list(x); del x[::3]\n"
        "assert [r[0] for r in x.last_change().changes] == list(range(0, 1000, 3))\n"
        "x.tracking_undo(); assert x == before\n"
        "x[::2] = [0] * 500; x.tracking_undo(); assert x == before\n"
    )
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONMALLOC": "debug"}, check=True, timeout=60)


def test_a_str_subclass_as_keyword() -> None:
    """Its items were lost."""

    class Name(str):
        pass

    d = TrackedDict(b=1)
    d.update(**{Name("a"): 1})
    assert {"b": 1, "a": 1} == d
    d.__init__(**{Name("c"): 2})  # type: ignore[misc]
    assert {"b": 1, "a": 1, "c": 2} == d
    assert d.tracking_verify() is None


def test_nesting_that_is_too_deep_is_a_recursion_error() -> None:
    """Not the end of the process; the container is as it was."""
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


def test_weak_observers_that_died_are_forgotten() -> None:
    """At the next change, and when another is added."""

    class Owner:
        def method(self, change: Any) -> None:
            pass

    d = TrackedDict()
    for _ in range(50):
        d.tracking_add_observer(Owner().method, weak=True)
    gc.collect()
    d["a"] = 1
    kinds = collections.Counter(type(each).__name__ for each in gc.get_objects() if type(each).__name__ == "Observer")
    assert kinds["Observer"] <= 1
    d.tracking_add_observer(lambda change: None)
    d["b"] = 1


@pytest.mark.parametrize("what", ["children", "tuples", "removed", "elements"])
def test_remember_last_does_not_grow_for_ever(what: str) -> None:
    """Containers that died, equal keys that are new objects, places that are gone: their marks go."""

    def work(count: int) -> None:
        for n in range(count):
            if what == "children":
                d["l"] = TrackedList([1])
                d["l"].append(2)
            elif what == "tuples":
                d[(1, int("2"))] = n
            elif what == "removed":
                d[n] = 1
                del d[n]
            else:
                s.add(n)
                s.discard(n)

    d = TrackedDict(tracking_remember_last=True, tracking_max_changes=5)
    s = TrackedSet(tracking_remember_last=True, tracking_max_changes=5)
    work(3000)
    gc.collect()
    before = len(gc.get_objects())
    work(6000)
    gc.collect()
    assert len(gc.get_objects()) - before < 1500


def test_sorts_that_overlap() -> None:
    """From a key function of its own: links hold, and the record says what came out."""
    x = track([[3], [1], [2]])
    child = TrackedDict()
    first: list[int] = []

    def key(item: Any) -> Any:
        if not first:
            first.append(1)
            x.sort()
            x.append(child)
        return item[0]

    with pytest.raises(ValueError, match="modified during sort"):
        x.sort(key=key)
    x._check()
    assert x.tracking_verify() is None
    x.append(child)
    child["a"] = 1
    assert "/3/a" == x.last_change().pointer  # type: ignore[union-attr]


def test_a_key_that_changes_the_list_leaves_its_length_right() -> None:
    """What list.sort throws away is not counted."""
    x = TrackedList([3, 1, 2])

    def key(item: int) -> int:
        x.append(0)
        return item

    with pytest.raises(ValueError, match="modified during sort"):
        x.sort(key=key)
    assert x.tracking_verify() is None
    assert 3 == len(x)


def test_threads_that_sort_and_insert() -> None:
    """Live children stay linked, whatever overlaps."""
    x = track([[n] for n in range(20)])

    def work(k: int) -> None:
        for n in range(150):
            try:
                if k % 2:
                    x.sort(key=lambda item: item[0])
                else:
                    x.insert(1, [n])
                    if len(x) > 40:
                        x.pop()
            except (ValueError, IndexError):  # modified during sort; empty while it is sorted
                pass

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    with restless(1e-5):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    x._check()
    assert x.tracking_verify() is None


def test_threads_that_insert_containers() -> None:
    """Linking a child takes memory: until 3.11 the collector let another thread in before the record stood."""
    x = track([[n] for n in range(20)])

    def work(k: int) -> None:
        for n in range(150):
            x.insert(1, [n])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    with restless(1e-5):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert x.tracking_verify() is None


def test_equal_keys_in_one_update_are_one_place() -> None:
    """1, True and another (1,): no false alarm."""
    d = TrackedDict(z=0)
    d.update([(1, 5), (True, 6), ((1, 2), 1), ((1, int("2")), 2)])
    assert d.tracking_verify() is None


def test_undo_of_a_sort_without_values() -> None:
    """Its record holds an order, which is no value."""
    x = TrackedList([3, 1], tracking_keep_values=False)
    x.sort()
    x.tracking_undo()
    assert [3, 1] == x
    assert [1, 0] == x.last_change().to_dict()["order"]  # type: ignore[union-attr]
    assert x.tracking_verify() is None


def test_lines_of_an_observer_that_is_told_after_the_commit() -> None:
    """A value is written as it was just after its change, however late that is asked."""
    x = TrackedDict()
    lines: list[Any] = []
    x.tracking_add_observer(lambda change: lines.append(change.to_dict(compact=True)))
    with tracking_transaction():
        x["k"] = TrackedList()
        x["k"].append(1)
        x.update(a=TrackedDict(), b=2)
        x["a"]["deep"] = TrackedList([1])
        x["a"]["deep"].append(2)
    assert {"k": [1], "a": {"deep": [1, 2]}, "b": 2} == replay(lines)


def test_a_class_whose_metaclass_allows_no_attribute() -> None:
    """It is tracked by look-up then."""

    class Closed(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError("immutable class")

    class A(TrackedAttr, metaclass=Closed):
        pass

    a = A()
    a.x = 1  # type: ignore[attr-defined]
    assert "/x" == a.last_change().pointer  # type: ignore[union-attr]


def test_a_threaded_log_replays_from_its_file(tmp_path: pathlib.Path) -> None:
    """Lines of several threads stand in the file in the order in which they were written; replay sorts them."""
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


def test_a_root_that_comes_back_empty_says_so_in_the_log(tmp_path: pathlib.Path) -> None:
    """It was emptied in another tree: without an init its earlier lines would be replayed as if they stood."""
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


def test_an_observer_that_always_changes_what_it_observes_is_stopped() -> None:
    """A clear error from the statement that began it instead of a program that hangs; everything is recorded."""
    d = TrackedDict(n=0, tracking_max_changes=10)
    d.tracking_add_observer(lambda change: d.__setitem__("n", d["n"] + 1))
    with pytest.raises(RecursionError, match="observers went on changing what they observe"):
        d["go"] = 1
    assert d["n"] > 1000
    assert d["n"] == d.last_change().after
    assert d.tracking_verify() is None


def test_what_cannot_be_decorated_says_so() -> None:
    """An Enum as tracked and a class as an actor's block: a TypeError that says what to do instead."""

    class Colour(enum.Enum):
        RED = 1

    with pytest.raises(TypeError, match="cannot give Colour the base TrackedAttr"):
        tracked(Colour)
    with pytest.raises(TypeError, match="not the class Colour; decorate its methods"):
        tracking_actor("me")(Colour)


def test_a_slotted_class_with_an_unfilled_cell_can_be_tracked() -> None:
    """A method may close over a name that its function binds later."""

    class Late:
        __slots__ = ("x",)

        def f(self) -> int:
            return later

    made = tracked(Late)()
    made.x = 1
    later = 5
    assert (5, "/x") == (made.f(), made.last_change().pointer)
