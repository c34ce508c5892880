"""Changes of a container that many trees hold: recorded once."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from pydatatracker import HistoryLostError, TrackedAttr, TrackedDict, TrackedList, _core

LOGS = 8  # in so many trees, each of their logs has the record
COUNTS = [1, 2, LOGS, LOGS + 1, 40]


class Holder(TrackedAttr):
    """An object that refers to something."""

    def __init__(self, held: Any) -> None:
        self.held = held


def records(containers: list[Any]) -> int:
    """Return the number of records in all logs of these containers."""
    logs = {id(log): log for container in containers for log in _core.logs(container)}
    return sum(log.count + log.dropped for log in logs.values())


@pytest.mark.parametrize("count", [*COUNTS, 256, 300])
def test_a_change_is_recorded_at_most_eight_times(count: int) -> None:
    """In more trees than that, a change is one record, also of what is deeper."""
    hub = TrackedDict({"rows": TrackedList()})
    roots = [Holder(hub) for _ in range(count)]
    hub["x"] = 0
    before = records([hub, *roots])
    hub["x"] = 1
    hub["rows"].append(1)
    expected = count if count <= LOGS else 1
    assert 2 * expected == records([hub, *roots]) - before


@pytest.mark.parametrize("count", COUNTS)
def test_every_root_has_the_change(count: int) -> None:
    """Each root has every change once, with its own path and tree."""
    hub = TrackedDict({"rows": TrackedList()})
    roots: list[Any] = [Holder(hub) if n % 2 else TrackedDict(a=hub, b=hub) for n in range(count)]
    hub["x"] = 1
    hub["rows"].append(2)
    for root in roots:
        first, second = root.tracking_changes()[-2:]
        names = ("held",) if isinstance(root, Holder) else ("a", "b")
        assert {(name, "x") for name in names} == set(first.paths)
        assert {(name, "rows", 0) for name in names} == set(second.paths)
        assert (root.tracking_uuid, root.tracking_uuid) == (first.root, second.tree[0]["uuid"])
        assert second == root.last_change()
        assert ((), 0) == (second.also, second.also_cut)
        root._check()
    assert [("x",), ("rows", 0)] == [change.path for change in hub.tracking_changes()[-2:]]
    assert [(0,)] == [change.path for change in hub["rows"].tracking_changes()[1:]]


@pytest.mark.parametrize("count", COUNTS)
def test_history_goes_on_as_roots_come_and_go(count: int) -> None:
    """A root has the right states while other roots come and go."""
    hub = TrackedDict(n=0)
    first = Holder(hub)
    others = []
    points = {}
    for n in range(count):
        hub["n"] = n + 1
        others.append(TrackedList([hub]))
        points[_core.newest_seq()] = n + 1
    for other in reversed(others):  # a log ends with its root, so they live on
        other.clear()
        hub["n"] += 1
        points[_core.newest_seq()] = hub["n"]
    for seq, value in points.items():
        assert {"n": value} == first.tracking_state_at(seq)["held"]
    blamed = first.tracking_blame("/held/n")
    assert (hub["n"], hub["n"] - 1) == (blamed.after, blamed.before)
    assert [hub["n"] - 1] == [first.tracking_undo() and hub["n"]]
    assert None is first.tracking_verify()
    first.held = None
    hub["n"] = -1
    assert "/held" == first.last_change().pointer


def test_a_root_keeps_the_history_of_what_died() -> None:
    """What many roots held stays in their histories when it is gone."""
    hub = TrackedDict()
    roots = [Holder(hub) for _ in range(20)]
    hub["x"] = 1
    seq = _core.newest_seq()
    for root in roots:
        root.held = None
    hub = None  # type: ignore[assignment]
    for root in roots:
        assert ["/held/x", "/held"] == [change.pointer for change in root.tracking_changes()[-2:]]
        assert {"held": {"x": 1}} == root.tracking_state_at(seq)


def test_all_is_freed_without_the_collector() -> None:
    """Roots, what they share, and records die by reference counting."""
    gc.collect()
    gc.disable()
    try:
        hub: Any = TrackedDict({"rows": TrackedList()})
        roots = [TrackedDict(a=hub) for _ in range(40)]
        hub["x"] = 1
        hub["rows"].append(1)
        roots[0].tracking_changes()
        watched = [weakref.ref(each) for each in (hub, hub["rows"], *roots)]
        logs = [log.ref for log in _core.logs(hub)]
        del hub, roots
        assert [None] * 42 == [each() for each in watched]
        assert {None} == {log() for log in logs}
    finally:
        gc.enable()


def test_the_options_of_the_roots_hold() -> None:
    """Records are kept as long as any root keeps its own; locks hold."""
    hub = TrackedDict(tracking_max_changes=None)
    roots = [TrackedDict(a=hub, tracking_max_changes=4) for _ in range(12)]
    for n in range(6000):
        hub["n"] = n
    assert 6000 == len(hub.tracking_changes()) - 1
    assert 6000 == sum(change.path == ("a", "n") for change in roots[3].tracking_changes())
    roots[7].lock()
    assert hub.tracking_locked
    forgetful = [TrackedDict(a=TrackedDict(), tracking_max_changes=5) for _ in range(1)]
    shared = forgetful[0]["a"]
    forgetful += [TrackedDict(a=shared, tracking_max_changes=5) for _ in range(12)]
    for n in range(50):
        shared["n"] = n
    with pytest.raises(HistoryLostError):
        forgetful[4].tracking_state_at(_core.newest_seq() - 40)


def test_many_containers_in_many_trees_are_bounded() -> None:
    """A tree refers to 1,024 further logs; others count as dropped."""
    roots = [TrackedDict() for _ in range(LOGS + 1)]
    for n in range(1100):
        hub = TrackedDict()
        for root in roots:
            root["k"] = hub
        hub["n"] = n
    own = 2 + 1100 - 1
    assert 1100 - 1024 <= roots[0].tracking_dropped <= 1100 - 1024 + own
    with pytest.raises(HistoryLostError):
        roots[0].tracking_state_at(0)
