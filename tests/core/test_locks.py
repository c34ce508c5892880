"""Locks: a locked container and everything below it refuse every change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from oracle import Oracle

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, TrackingLockedError, track

DICT = [
    lambda d: d.__setitem__("a", 2), lambda d: d.__delitem__("a"), lambda d: d.pop("a"), lambda d: d.pop("x", 1),
    lambda d: d.popitem(), lambda d: d.clear(), lambda d: d.update(a=2), lambda d: d.__ior__({"a": 2}),
    lambda d: d.setdefault("x", 1), lambda d: d.__init__(a=2),
]  # fmt: skip
LIST = [
    lambda x: x.append(1), lambda x: x.insert(0, 1), lambda x: x.extend([1]), lambda x: x.pop(), lambda x: x.remove(3),
    lambda x: x.clear(), lambda x: x.sort(), lambda x: x.reverse(), lambda x: x.__setitem__(0, 1),
    lambda x: x.__setitem__(slice(0, 1), [1]), lambda x: x.__setitem__(slice(None, None, 2), [1, 1]),
    lambda x: x.__delitem__(0), lambda x: x.__delitem__(slice(None)), lambda x: x.__iadd__([1]), lambda x: x.__imul__(2),
    lambda x: x.__init__([1]),
]  # fmt: skip
SET = [
    lambda s: s.add(9), lambda s: s.discard(1), lambda s: s.remove(1), lambda s: s.pop(), lambda s: s.clear(),
    lambda s: s.update([9]), lambda s: s.difference_update([1]), lambda s: s.intersection_update([1]),
    lambda s: s.symmetric_difference_update([1]), lambda s: s.__ior__({9}), lambda s: s.__iand__({1}),
    lambda s: s.__isub__({1}), lambda s: s.__ixor__({1}), lambda s: s.__init__([5]),
]  # fmt: skip


class Thing(TrackedAttr):
    def __init__(self) -> None:
        self.a = 1


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    ("made", "do"),
    [(lambda: TrackedDict(a=1), do) for do in DICT]
    + [(lambda: TrackedList([3, 1, 2]), do) for do in LIST]
    + [(lambda: TrackedSet([1, 2]), do) for do in SET]
    + [
        (Thing, lambda t: setattr(t, "a", 2)),
        (Thing, lambda t: delattr(t, "a")),
        (Thing, lambda t: setattr(t, "n", 2)),
    ],
)
def test_every_mutator_is_refused(made: Any, do: Any, below: bool) -> None:
    """Every mutator raises TrackingLockedError and changes nothing.

    After unlock it works.
    """
    container = made()
    root = TrackedDict(c=TrackedList([container])) if below else container
    root.lock()
    before = repr(container) if not isinstance(container, Thing) else dict(vars(container))
    count = len(root.tracking_changes())
    with pytest.raises(TrackingLockedError):
        do(container)
    assert (repr(container) if not isinstance(container, Thing) else dict(vars(container))) == before
    assert len(root.tracking_changes()) == count
    assert container.tracking_locked
    root._check()
    root.unlock()
    do(container)


def test_locking_and_unlocking_are_changes() -> None:
    """Lock and unlock are recorded once each; a second lock records nothing.

    The path is () in the container, and its path in the root.
    """
    doc = track({"a": []})
    doc["a"].lock()
    doc["a"].lock()
    doc["a"].unlock()
    doc["a"].unlock()
    assert [(c.action, c.method, c.path) for c in doc.tracking_changes()[1:]] == [
        ("lock", "lock", ("a",)), ("unlock", "unlock", ("a",)),
    ]  # fmt: skip
    assert [c.extra["locked"] for c in doc.tracking_changes()[1:]] == ["True", "False"]


def test_a_child_locked_by_itself_stays_locked() -> None:
    """Unlocking the parent does not unlock a child that has its own lock."""
    doc = track({"a": {"b": []}})
    doc["a"]["b"].lock()
    doc.lock()
    doc.unlock()
    doc["a"]["x"] = 1
    with pytest.raises(TrackingLockedError):
        doc["a"]["b"].append(1)
    doc["a"]["b"].unlock()
    doc["a"]["b"].append(1)


def test_a_second_path_does_not_bypass_a_lock() -> None:
    """A child below a locked and an unlocked parent is locked.

    Removing it from the locked one unlocks it.
    """
    child = TrackedList()
    open_, closed = TrackedDict(c=child), TrackedDict(c=child)
    closed.lock()
    with pytest.raises(TrackingLockedError):
        child.append(1)
    open_["d"] = 1
    closed.unlock()
    del closed["c"]
    closed.lock()
    child.append(1)


def test_a_lock_applies_to_the_present_tree() -> None:
    """A lock applies to the tree as it is now.

    A child that left is unlocked; a parent above a locked child may change.
    """
    doc = track({"a": []})
    child = doc.pop("a")
    doc.lock()
    child.append(1)
    doc.unlock()
    child.lock()
    doc["a"] = child
    doc["a"] = None
    with pytest.raises(TrackingLockedError):
        child.append(2)


def test_reading_and_copying_a_locked_container() -> None:
    """A locked container can be read, and a copy of it is unlocked."""
    doc = track({"a": [1]})
    doc.lock()
    assert doc["a"][0] == 1
    copied, deep = copy.copy(doc), copy.deepcopy(doc)
    copied["x"] = 1
    deep["a"].append(2)
    assert doc == {"a": [1]}


def test_one_attribute_is_locked() -> None:
    """lock(name) refuses that attribute only, and is recorded as such."""
    thing = Thing()
    thing.lock("a")
    with pytest.raises(TrackingLockedError, match="'a'"):
        thing.a = 2
    with pytest.raises(TrackingLockedError):
        del thing.a
    thing.b = 1
    thing.unlock("a")
    thing.a = 3
    assert [(c.action, c.location) for c in thing.tracking_changes()[-4:]] == [
        ("lock", "a"), ("add", "b"), ("unlock", "a"), ("update", "a"),
    ]  # fmt: skip
    assert thing.tracking_changes()[-4].extra["attribute_locked"] == "True"


def test_an_iterator_does_not_run_for_a_locked_container() -> None:
    """A locked container refuses a call before it consumes its iterator."""
    items, source = TrackedList(), iter([1, 2])
    items.lock()
    with pytest.raises(TrackingLockedError):
        items.extend(source)
    assert list(source) == [1, 2]


def test_a_lock_that_comes_while_arguments_are_read_leaves_a_true_log() -> None:
    """An iterator may lock the list it is read into.

    Whatever is stored is recorded, and the lock holds afterwards.
    """
    items = TrackedList([0])
    oracle = Oracle(items)

    def locks() -> Any:
        items.lock()
        yield 1

    try:
        items.extend(locks())
    except TrackingLockedError:
        pass
    oracle.catch_up(items.tracking_changes()[1:])
    oracle.agrees(items)
    with pytest.raises(TrackingLockedError):
        items.append(2)
