"""Where a container is, beside what a walk from the roots finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, _core

N = 7


class Thing(TrackedAttr):
    """An object with attributes."""


KINDS = (TrackedDict, TrackedList, Thing)


def items_of(container: Any) -> list[tuple[Any, Any]]:
    """Return [(key, what is there)], with keys as paths name them."""
    if isinstance(container, TrackedDict):
        return list(container.items())
    if isinstance(container, TrackedList):
        return list(enumerate(container))
    return [(name, value) for name, value in vars(container).items() if not name.startswith("_")]


def put(container: Any, key: int, value: Any) -> tuple[Any, ...]:
    """Store a value at one of two keys; return its path."""
    if isinstance(container, TrackedDict):
        container[key] = value
        return (key,)
    if isinstance(container, TrackedList):
        del container[1:]
        place = min(key, len(container))
        container.insert(place, value)
        return (place,)
    setattr(container, "ab"[key], value)
    return ("ab"[key],)


def take(container: Any, key: int) -> None:
    """Remove what is at a key, if there is anything."""
    if isinstance(container, TrackedDict):
        container.pop(key, None)
    elif isinstance(container, TrackedList):
        del container[key : key + 1]
    elif "ab"[key] in vars(container):
        delattr(container, "ab"[key])


def walked(containers: list[Any], target: Any) -> set[tuple[str, tuple[Any, ...]]]:
    """Return (id of its root, path) of each way to a container.

    Only of graphs without cycles.
    """
    held = {id(value) for each in containers for _, value in items_of(each)}
    found = set()
    todo = [(each, each, ()) for each in containers if id(each) not in held]
    for root, each, path in todo:
        if each is target:
            found.add((root.tracking_uuid, path))
        todo.extend((root, value, (*path, key)) for key, value in items_of(each) if hasattr(value, "tracking_uuid"))
    return found


def known(target: Any) -> set[tuple[str, tuple[Any, ...]]]:
    """Return (id of its root, path) of each place that the core knows."""
    return {(steps[0][1].uuid, tuple(key for key, _ in steps[1:])) for steps in _core.places(target)}


STEPS = st.lists(
    st.tuples(st.sampled_from("pppptce"), st.integers(0, N - 1), st.integers(0, N - 1), st.integers(0, 1)), max_size=40
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_a_record_has_the_places_that_a_walk_from_the_roots_finds(steps: list[tuple[str, int, int, int]]) -> None:
    """Whatever was linked and cut before, and whoever knew its place."""
    containers: list[Any] = [KINDS[n % 3]() for n in range(N)]
    for what, a, b, key in steps:
        above, below = containers[min(a, b)], containers[max(a, b)]
        if what == "p" and a != b:
            put(above, key, below)
        elif what == "t":
            take(above, key)
        elif what == "c":
            where = put(below, key, 10**6 + key)
            change = below.last_change()
            assert change.path == where
            expected = walked(containers, below)
            assert known(below) == expected
            for root in containers:
                paths = {path for uuid, path in expected if uuid == root.tracking_uuid}
                if paths:
                    assert {(*path, *where) for path in paths} == set(root.last_change().paths)
    for each in containers:
        assert known(each) == walked(containers, each)
        each._check()


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_what_is_known_of_places_is_what_looking_them_up_again_finds(steps: list[tuple[str, int, int, int]]) -> None:
    """In any graph, with cycles."""
    containers: list[Any] = [KINDS[n % 3]() for n in range(N)]
    for what, a, b, key in steps:
        if what == "p":
            put(containers[a], key, containers[b])
        elif what == "t":
            take(containers[a], key)
        elif what == "e":  # it ends, unless something holds it
            containers[b] = KINDS[b % 3]()
        else:
            put(containers[a], key, 10**6)
            before = known(containers[a])
            _core.set_default_options()  # what was looked up counts no more
            assert known(containers[a]) == before
            containers[a]._check()
    before = [known(each) for each in containers]
    _core.set_default_options()
    assert [known(each) for each in containers] == before


@pytest.mark.parametrize("what", ["held", "refers"])
def test_the_places_are_right_as_many_holders_come_and_go(what: str) -> None:
    """Of many holders, an index finds the link of one."""
    shared: Any = Thing()
    if what == "refers":
        shared.parts = TrackedDict()
    holders: list[Any] = [Thing() for _ in range(200)]
    for round_ in range(3):
        for n, holder in enumerate(holders):
            if what == "refers":
                shared.parts[n] = holder
            holder.shared = shared
            holder.again = shared
        shared.n = round_
        assert len(_core.places(shared)) == (1 if what == "refers" else 256)
        for holder in holders[::2]:
            holder.shared = None
            holder._check()
        shared._check()
        for holder in holders[1::3]:
            del holder.shared, holder.again
        shared._check()
    expected = [n for n in range(200) if n % 3 != 1]
    shared.n = -1
    known = {steps[0][1].container for steps in _core.places(shared)}
    assert known == ({shared} if what == "refers" else {holders[n] for n in expected})
