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
from pydatatracker import TrackedDict, TrackedList
gc.disable()

def parents(n):
    x = TrackedList()
    keep = [TrackedList([x]) for _ in range(n)]

def leaves(n):
    x = TrackedList()
    for _ in range(n):
        y = TrackedList()
        x.append(y)
        x = y

def subtrees(n):
    x = TrackedList()
    for _ in range(n):
        y = TrackedList([TrackedList()])
        y.append(1)
        x.append(y)
        x = y[0]

def agents_of(model, n):
    for i in range(n):
        agent = TrackedDict(model=model)
        model["agents"].append(agent)
        yield i, agent

def new_model():
    return TrackedDict(agents=TrackedList(), cells=TrackedList([TrackedList() for _ in range(9)]))

def agents(n):
    for i, agent in agents_of(model := new_model(), n):
        agent["at"] = i
        model["time"] = i

def moving_agents(n):
    for i, agent in agents_of(model := new_model(), n):
        model["cells"][i % 9].append(agent)
        model["cells"][i % 9].remove(agent)
        model["cells"][(i + 1) % 9].append(agent)

def agents_that_stop(n):
    model = new_model()
    all = [agent for _, agent in agents_of(model, n)]
    for agent in all:
        agent["model"] = None
        model["time"] = 1

def agents_that_end(n):
    model = new_model()
    for _ in agents_of(model, n):
        pass
    del _
    while model["agents"]:
        model["agents"].pop()
        model["time"] = 1

def of_an_older_root(n):
    root = TrackedList()
    model = new_model()
    things = TrackedList([TrackedDict() for _ in range(n)])
    model["things"] = things
    for _ in agents_of(model, n):
        pass
    for thing in things:
        root.append(thing)

def children_that_know_their_parent(n):
    top = TrackedDict(children=TrackedList())
    for i in range(n):
        child = TrackedDict(parent=top, children=TrackedList(), data=TrackedDict())
        top["children"].append(child)
        child["data"]["n"] = i

for what in sys.argv[1].split():
    for n in sys.argv[2].split():
        child = os.fork()
        if not child:
            globals()[what](int(n))
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{what} {n}: status")
"""
KINDS = {
    "parents leaves subtrees": [1000, 3000, 7000],
    "agents moving_agents agents_that_stop agents_that_end": [80, 240, 560],
    "of_an_older_root children_that_know_their_parent": [80, 240, 560],
}


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="counts instructions with valgrind")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="valgrind cannot run under AddressSanitizer")
def test_what_grows_takes_linear_time(kinds: str) -> None:
    """Twice the links take about twice the instructions, in any graph."""
    sizes = KINDS[kinds]
    _, counts = instructions.of_children(PROGRAM, kinds, " ".join(map(str, sizes)))
    assert len(counts) == len(kinds.split()) * len(sizes)
    for kind in kinds.split():
        (few, more, most), counts = counts[:3], counts[3:]
        assert 0 < most - more < 3 * (more - few), (kind, few, more, most)


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
