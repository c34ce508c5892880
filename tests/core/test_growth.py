"""Work on deep data grows with its depth, not with the square of it."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from typing import Any

import instructions
import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, _core

# Each kind and size in a child of its own: the interpreter starts once, which takes longer than all of them.
PROGRAM = """
import gc, os, sys
from pydatatracker import TrackedList
gc.disable()

def grow(what, n):
    x = TrackedList()
    keep = []
    for _ in range(n):
        if what == "parents":
            keep.append(TrackedList([x]))
        elif what == "leaves":
            y = TrackedList()
            x.append(y)
            x = y
        else:
            y = TrackedList([TrackedList()])
            y.append(1)
            x.append(y)
            x = y[0]
    os._exit(0)

for what in sys.argv[1].split():
    for n in sys.argv[2].split():
        child = os.fork() or grow(what, int(n))
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{what} {n}: status")
"""
KINDS = ["leaves", "subtrees", "parents"]
SIZES = [1000, 3000, 7000]


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="counts instructions with valgrind")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="valgrind cannot run under AddressSanitizer")
def test_what_grows_at_its_end_takes_linear_time() -> None:
    """Twice the links take about twice the instructions."""
    _, counts = instructions.of_children(PROGRAM, " ".join(KINDS), " ".join(map(str, SIZES)))
    assert len(counts) == len(KINDS) * len(SIZES)
    for kind in KINDS:
        (few, more, most), counts = counts[:3], counts[3:]
        assert 0 < most - more < 3 * (more - few), kind


def nested(n: int) -> TrackedList:
    top = x = TrackedList()
    for _ in range(n):
        y: TrackedList = TrackedList()
        x.append(y)
        x = y
    return top


def test_verify_takes_memory_in_proportion_to_the_depth() -> None:
    """`tracking_verify` of thrice the levels takes thrice the memory."""
    peaks = []
    for n in (1000, 3000):
        top = nested(n)
        tracemalloc.start()
        try:
            assert top.tracking_verify() is None
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 5 * peaks[0]


class Node(TrackedAttr):
    """An object in a graph."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


def aliases(n: int) -> tuple[Any, Callable[[int], object]]:
    """Rows that two indexes hold; one gets another row that has parts."""
    rows = [TrackedDict(n=0, part=TrackedDict()) for _ in range(n)]
    top = TrackedDict(first=TrackedDict(enumerate(rows)), second=TrackedDict(enumerate(rows)))
    return rows, lambda i: top["second"].__setitem__(i % n, TrackedDict(part=TrackedDict()))


def moved(n: int) -> tuple[Any, Callable[[int], object]]:
    """Rows of a table; one moves to its end."""
    rows = [TrackedDict(n=0, part=TrackedDict()) for _ in range(n)]
    top = TrackedDict(enumerate(rows))
    return [top, *rows], lambda i: top.__setitem__(i % n, top.pop(i % n))


def back_references(n: int) -> tuple[Any, Callable[[int], object]]:
    """Agents that refer to their model; one of them gets a new part."""
    model = Node(agents=TrackedList())
    agents = [Node(model=model, n=0) for _ in range(n)]
    model.agents.extend(agents)
    return [model, *agents], lambda i: setattr(agents[i % n], "part", Node(part=Node()))


def new_back_references(n: int) -> tuple[Any, Callable[[int], object]]:
    """Agents that refer to their model; another one comes."""
    model = Node(agents=TrackedList())
    agents = [Node(model=model, n=0) for _ in range(n)]
    model.agents.extend(agents)
    return [model, *agents], lambda i: model.agents.append(Node(model=model, n=i))


def many_roots(n: int) -> tuple[Any, Callable[[int], object]]:
    """Trees with a row in common; one of them gets something with parts."""
    row = TrackedDict(part=TrackedDict())
    roots = [TrackedDict(row=row) for _ in range(n)]
    return [row["part"], *roots], lambda i: roots[i % n].__setitem__("other", TrackedDict(part=TrackedDict()))


@pytest.mark.parametrize("shape", [aliases, moved, back_references, new_back_references, many_roots])
def test_a_store_looks_up_as_many_places_whatever_else_is_there(shape: Any) -> None:
    """Only what a new link, or one that went, moved looks up its place again."""
    counts = []
    for n in (30, 300):
        containers, link = shape(n)
        for each in containers:  # each knows its place
            change(each, -1)
        for i in range(n):  # and keeps it, but for what is linked
            link(i)
            change(containers[0], i)
        before = _core.places_looked_up()
        for i in range(20):
            link(i)
            change(containers[i * 7 % n], i)
        counts.append(_core.places_looked_up() - before)
    assert counts[1] <= 1.2 * counts[0]
    assert counts[1] <= 20 * 12


def change(container: Any, n: int) -> None:
    """Store a plain value."""
    if isinstance(container, Node):
        container.n = n
    else:
        container["n"] = n
