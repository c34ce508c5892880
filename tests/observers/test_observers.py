"""Observers: order, filters, errors and lifetime."""

from __future__ import annotations

import gc
import logging
import random
from typing import Any

import pytest
from gardener import Gardener
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import (
    ChangeCollector,
    ChangeLogEntry,
    TrackedDict,
    TrackedList,
    TrackedSet,
    track,
    tracking_transaction,
)
from pydatatracker.observers import filtered_observer, logging_observer


def recorder(heard: list[Any], name: str) -> Any:
    return lambda change: heard.append((name, change.path, change.after))


def test_low_priorities_are_notified_first_and_equal_ones_in_order() -> None:
    """Observers are called by priority, equal ones in order of addition.

    The default is 50.
    """
    d, heard = TrackedDict(), []
    d.tracking_add_observer(recorder(heard, "b"))
    d.tracking_add_observer(recorder(heard, "z"), 90)
    d.tracking_add_observer(recorder(heard, "a"), priority=-5)
    d.tracking_add_observer(recorder(heard, "c"), 50)
    d["x"] = 1
    assert [name for name, _, _ in heard] == ["a", "b", "c", "z"]


def test_children_notify_before_ancestors_with_paths_of_their_own() -> None:
    """Observers of children are called before those of ancestors.

    Each gets the path from the container it observes.
    """
    doc, heard = track({"a": {"b": []}}), []
    doc.tracking_add_observer(recorder(heard, "doc"), 1)
    doc["a"].tracking_add_observer(recorder(heard, "a"), 2)
    doc["a"]["b"].tracking_add_observer(recorder(heard, "b"), 3)
    doc["a"]["b"].append(5)
    assert heard == [("b", (0,), 5), ("a", ("b", 0), 5), ("doc", ("a", "b", 0), 5)]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/users/*/email", ["/users/1/email"]),
        ("/users/**", ["/users/1/email", "/users/1/tags/0", "/users/2"]),
        ("/**", ["/users/1/email", "/users/1/tags/0", "/users/2", "/a~1b", "/cfg/x"]),
        ("/**/email", ["/users/1/email"]),
        ("/users/?", ["/users/2"]),
        ("/users/[2-3]", ["/users/2"]),
        ("/a~1b", ["/a~1b"]),
        ("/cfg", []),
        ("/c*/x", ["/cfg/x"]),
        ("/nowhere/**", []),
    ],
)
def test_a_path_is_a_glob_over_the_pointer(glob: str, expected: list[str]) -> None:
    """A path glob has * and ? within a step, and ** over any number of steps."""
    doc = track({"users": {"1": {"tags": []}}, "cfg": {}})
    collector = ChangeCollector()
    doc.tracking_add_observer(collector, path=glob)
    doc["users"]["1"]["email"] = 1
    doc["users"]["1"]["tags"].append("x")
    doc["users"]["2"] = 1
    doc["a/b"] = 1
    doc["cfg"]["x"] = 1
    assert [change.pointer for change in collector] == expected


def test_a_path_is_relative_to_the_container_that_is_observed() -> None:
    """A glob on a child is matched from that child."""
    doc, collector = track({"users": {}}), ChangeCollector()
    doc["users"].tracking_add_observer(collector, path="/ann")
    doc["users"]["ann"] = 1
    doc["users"]["bob"] = 1
    assert [change.path for change in collector] == [("ann",)]


def test_a_bulk_call_matches_by_its_rows() -> None:
    """update() matches if one of its keys matches the path."""
    doc, collector = TrackedDict(), ChangeCollector()
    doc.tracking_add_observer(collector, path="/b")
    doc.update(a=1, c=2)
    doc.update(a=1, b=2)
    doc.clear()
    assert [change.method for change in collector] == ["update", "clear"]


def test_actions_choose() -> None:
    """One action or several can be selected; an unknown one is refused."""
    d, collector = TrackedDict(), ChangeCollector()
    d.tracking_add_observer(collector, actions=["add", "lock"])
    d.tracking_add_observer(collector, actions="remove")
    d["a"] = 1
    d["a"] = 2
    del d["a"]
    d.lock()
    assert [change.action for change in collector] == ["add", "remove", "lock"]
    with pytest.raises(ValueError, match="unknown action 'ad'"):
        d.tracking_add_observer(collector, actions=["ad"])


def test_a_weak_observer_may_die() -> None:
    """A weak function, object or method is not called once it is dead."""

    class Listener:
        def __init__(self) -> None:
            self.heard = 0

        def hear(self, change: Any) -> None:
            self.heard += 1

    d, listener, collector = TrackedDict(), Listener(), ChangeCollector()
    d.tracking_add_observer(listener.hear, weak=True)
    d.tracking_add_observer(collector, weak=True)
    d["a"] = 1
    assert (listener.heard, len(collector)) == (1, 1)
    d.tracking_remove_observer(listener.hear)
    d["a"] = 2
    assert (listener.heard, len(collector)) == (1, 2)
    del collector
    gc.collect()
    d["a"] = 3


def test_an_error_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    """An error of an observer is logged; the others are called.

    The statement succeeds.
    """
    d, collector = TrackedDict(), ChangeCollector()

    def fails(change: Any) -> None:
        raise ValueError("on purpose")

    d.tracking_add_observer(fails, 1)
    d.tracking_add_observer(collector, 2)
    with caplog.at_level(logging.ERROR, "pydatatracker"):
        d["a"] = 1
    assert (d, len(collector)) == ({"a": 1}, 1)
    assert [(r.name, r.exc_info[1].args) for r in caplog.records if r.exc_info] == [("pydatatracker", ("on purpose",))]


def test_errors_can_be_raised_for_tests() -> None:
    """With tracking_observer_errors="raise" the errors are one ExceptionGroup.

    All observers are called, and the change stands.
    """
    d, collector = TrackedDict(tracking_observer_errors="raise"), ChangeCollector()

    def fails(change: Any) -> None:
        raise ValueError(change.location)

    d.tracking_add_observer(fails)
    d.tracking_add_observer(collector)
    d.tracking_add_observer(lambda change: fails(change))
    with pytest.raises(ExceptionGroup) as caught:
        d["a"] = 1
    assert [type(e) for e in caught.value.exceptions] == [ValueError, ValueError]
    assert (d, len(collector), len(d.tracking_changes())) == ({"a": 1}, 1, 2)
    d._check()


def test_changes_of_an_observer_are_reported_after_the_present_one() -> None:
    """A change made by an observer is reported after the present one."""
    d, heard = TrackedDict(), []

    def mutates(change: Any) -> None:
        if change.location == "a":
            d["b"] = 1
            d["c"] = 1

    d.tracking_add_observer(mutates, 1)
    d.tracking_add_observer(recorder(heard, "late"), 2)
    d["a"] = 0
    assert [path for _, path, _ in heard] == [("a",), ("b",), ("c",)]
    assert [c.location for c in d.tracking_changes()[1:]] == ["a", "b", "c"]


def test_observers_that_change_each_others_containers_do_not_recurse() -> None:
    """Observers that change each other's containers do not recurse."""
    one, two, heard = TrackedDict(n=0), TrackedDict(n=0), []

    def to(other: Any) -> Any:
        def told(change: Any) -> None:
            heard.append(change.seq)
            if change.after < 2000:
                other["n"] = change.after + 1

        return told

    one.tracking_add_observer(to(two))
    two.tracking_add_observer(to(one))
    one["n"] = 1
    assert (one["n"], two["n"]) == (1999, 2000)
    assert heard == sorted(set(heard))
    assert len(heard) == 2000


def test_an_observer_added_or_removed_by_another_counts_from_the_next_change() -> None:
    """An observer added or removed by another counts from the next change."""
    d, heard = TrackedDict(), []
    late, gone = recorder(heard, "late"), recorder(heard, "gone")

    def changes_the_list(change: Any) -> None:
        if change.location == "a":
            d.tracking_add_observer(late)
            d.tracking_remove_observer(gone)

    d.tracking_add_observer(changes_the_list, 1)
    d.tracking_add_observer(gone, 2)
    d["a"] = 1
    assert heard == [("gone", ("a",), 1)]
    d["b"] = 2
    assert heard[1:] == [("late", ("b",), 2)]


def test_removing_an_observer() -> None:
    """Removal ends every registration; an unknown observer is an error."""
    d, collector = TrackedDict(), ChangeCollector()
    d.tracking_add_observer(collector)
    d.tracking_add_observer(collector, 3, path="/a")
    d.tracking_remove_observer(collector)
    d["a"] = 1
    assert len(collector) == 0
    with pytest.raises(ValueError):
        d.tracking_remove_observer(collector)
    with pytest.raises(TypeError):
        d.tracking_add_observer(5)  # type: ignore[arg-type]


def test_a_removed_child_notifies_only_its_own_observers() -> None:
    """A removed child is reported to its own observers only."""
    doc, heard = track({"a": []}), []
    child = doc["a"]
    doc.tracking_add_observer(recorder(heard, "doc"))
    child.tracking_add_observer(recorder(heard, "child"))
    doc.pop("a")
    child.append(1)
    assert heard == [("doc", ("a",), heard[0][2]), ("child", (0,), 1)]


def test_a_container_at_two_paths_notifies_an_ancestor_once() -> None:
    """A container at two paths is one call, with both in paths."""
    child, collector = TrackedList(), ChangeCollector()
    doc = TrackedDict(a=child, b=child)
    doc.tracking_add_observer(collector)
    child.append(1)
    assert [sorted(change.paths) for change in collector] == [[("a", 0), ("b", 0)]]


def test_observers_work_without_a_ring() -> None:
    """Observers work with tracking_max_changes=0."""
    s, collector = TrackedSet(tracking_max_changes=0), ChangeCollector()
    s.tracking_add_observer(collector)
    s.add(1)
    s |= {2}
    assert [change.method for change in collector] == ["add", "__ior__"]
    assert s.tracking_changes() == []
    assert s.tracking_dropped == 2


def test_collector() -> None:
    """The collector has capacity, filtered, last, clear and iteration.

    It is true when empty, and has the init on request.
    """
    d, collector = TrackedDict(a=0), ChangeCollector(capacity=2, include_init_events=True)
    assert bool(collector)
    assert collector.last() is None
    d.tracking_add_observer(collector)
    assert [change.action for change in collector] == ["init"]
    for n in range(3):
        d["a"] = n
    del d["a"]
    assert [change.action for change in collector.as_list()] == ["update", "remove"]
    assert collector.filtered("remove") == [collector.last()] == list(collector)[1:]
    collector.clear()
    assert len(collector) == 0


def test_filtered_and_logging_observer(caplog: pytest.LogCaptureFixture) -> None:
    """FilteredObserver applies a predicate, LoggingObserver writes a log line."""
    d = TrackedDict()
    d.tracking_add_observer(filtered_observer(logging_observer("some.logger"), lambda change: change.after == 2))
    with caplog.at_level(logging.INFO, "some.logger"):
        d["a"] = 1
        d["a"] = 2
    assert [record.tracked_change.after for record in caplog.records] == [2]


def test_tracking_attached_is_called_with_the_container() -> None:
    """tracking_attached of an observer is called with the container."""
    places: list[Any] = []

    class Listener:
        def __call__(self, change: Any) -> None:
            raise AssertionError("nothing happened")

        def tracking_attached(self, container: Any) -> None:
            places.append(container)

    d = TrackedDict()
    d.tracking_add_observer(Listener())
    assert [place is d for place in places] == [True]


def test_weak_observers_that_died_are_forgotten() -> None:
    """Dead weak observers are dropped at the next change.

    And when another one is added.
    """

    class Owner:
        def method(self, change: Any) -> None:
            pass

    def observers() -> int:
        gc.collect()
        return sum(type(each).__name__ == "Observer" for each in gc.get_objects())

    others = observers()  # of tests before
    d = TrackedDict()
    for _ in range(50):
        d.tracking_add_observer(Owner().method, weak=True)
    d["a"] = 1
    assert observers() <= others + 1
    d.tracking_add_observer(lambda change: None)
    d["b"] = 1


def test_an_observer_that_always_changes_what_it_observes_is_stopped() -> None:
    """Observers that never stop changing their data are a RecursionError.

    The statement that began it raises; everything is recorded.
    """
    d = TrackedDict(n=0, tracking_max_changes=10)
    d.tracking_add_observer(lambda change: d.__setitem__("n", d["n"] + 1))
    with pytest.raises(RecursionError, match="observers went on changing what they observe"):
        d["go"] = 1
    assert d["n"] > 1000
    assert d["n"] == d.last_change().after
    assert d.tracking_verify() is None


class Counting(ChangeCollector):
    """A collector that does something else when it is called."""

    def __call__(self, change: ChangeLogEntry) -> None:
        super().__call__(change)
        self.calls = getattr(self, "calls", 0) + 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, 0, 3]), st.booleans())
def test_a_collector_keeps_what_a_function_would(seed: int, capacity: int | None, inits: bool) -> None:
    """It is not called, and keeps the objects that another observer gets."""
    numbers = random.Random(seed)
    x: Any = track({"rows": [[1], {"n": 2}], "tags": {1}}, tracking_capture_snapshots=numbers.random() < 0.5)
    collector, counting, seen = ChangeCollector(capacity, inits), Counting(capacity, inits), []
    place = numbers.choice([x, x["rows"]])
    path = numbers.choice([None, "/**", "/1/*"])
    actions = numbers.choice([None, ["update", "add"]])
    for observer in (collector, seen.append, counting):
        place.tracking_add_observer(observer, path=path, actions=actions)
    gardener = Gardener(x, numbers)
    for _ in range(20):
        gardener.step()
    with tracking_transaction():
        gardener.step()
    kept = [change for change in collector if change.action != "init"]
    assert len(kept) == (len(seen) if capacity is None else min(capacity, len(seen)))
    assert all(a is b for a, b in zip(kept, seen[len(seen) - len(kept) :], strict=True))
    assert [change.seq for change in collector] == [change.seq for change in counting]
    assert getattr(counting, "calls", 0) == len(seen)
