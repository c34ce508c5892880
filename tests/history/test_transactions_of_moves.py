"""At the commit, observers hear of what was recorded below them.

Wherever the container is by then.
"""

import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, track, tracking_transaction
from pydatatracker.history import Replica


class Box(TrackedAttr):
    """An object with attributes."""


def leave_by_del(root, other):
    del root["c"]


def leave_by_pop(root, other):
    root.pop("c")


def leave_by_clear(root, other):
    root.clear()


def leave_by_popitem(root, other):
    root.popitem()


def leave_by_replacement(root, other):
    root["c"] = 0


def leave_by_update(root, other):
    root.update(c=1)


def move_below_another_key(root, other):
    root["d"] = root.pop("c")


def move_to_another_tree(root, other):
    other["x"] = root.pop("c")


def add_to_another_tree(root, other):
    other["x"] = root["c"]


def leave_and_come_back(root, other):
    held = root.pop("c")
    root["c"] = held


def leave_and_be_dropped(root, other):
    root["c"] = None
    root["c"] = track({"p": 1})


MOVES = [value for name, value in list(globals().items()) if name.startswith(("leave_", "move_", "add_"))]


@pytest.mark.parametrize("keep", [True, False], ids=["values", "no values"])
@pytest.mark.parametrize("move", MOVES)
def test_every_ancestor_hears_of_each_record_once_and_children_first(move, keep):
    root, other = TrackedDict(tracking_keep_values=keep), TrackedDict()
    root["c"] = TrackedDict(p=TrackedList([1]))
    heard = []
    for name, container in (("root", root), ("c", root["c"]), ("p", root["c"]["p"])):
        for priority in (2, 1):
            container.tracking_add_observer(
                lambda change, name=name, priority=priority: heard.append((change.seq, name, priority)),
                priority=priority,
            )
    del container
    replica = Replica({"c": {"p": [1]}})
    if keep:
        root.tracking_add_observer(replica.apply)
    with tracking_transaction():
        root["c"]["p"].append(2)
        root["c"]["q"] = 3
        move(root, other)
    first, second, *_ = sorted({seq for seq, *_ in heard})
    for seq, names in ((first, ("p", "c", "root")), (second, ("c", "root"))):
        assert [(n, p) for each, n, p in heard if each == seq] == [(n, p) for n in names for p in (1, 2)]
    assert len(heard) == len(set(heard))
    if keep:
        assert replica.value == root


def test_every_path_of_a_record_counts():
    one, two, shared = TrackedDict(), TrackedDict(), TrackedDict()
    one["s"] = two["s"] = shared
    heard = []
    for name, container in (("one", one), ("two", two), ("shared", shared)):
        container.tracking_add_observer(lambda change, name=name: heard.append((name, change.pointer)))
    with tracking_transaction():
        shared["a"] = 1
        del one["s"]
        two.clear()
    assert heard[0] == ("shared", "/a")
    assert sorted(heard[1:3]) == [("one", "/s/a"), ("two", "/s/a")]
    assert heard[3:] == [("one", "/s"), ("two", "")]


def test_a_deleted_attribute_and_a_removed_item_are_ways_to_leave():
    box = Box()
    box.items = TrackedList([TrackedDict(a=1)])
    heard = []
    box.tracking_add_observer(lambda change: heard.append(change.pointer))
    with tracking_transaction():
        box.items[0]["a"] = 2
        del box.items[0]
        box.items.append(5)
        del box.items
    assert heard == ["/items/0/a", "/items/0", "/items/0", "/items"]


def test_a_savepoint_that_is_rolled_back_is_not_heard_of():
    root = TrackedDict(c=TrackedDict(p=1))
    heard = []
    root.tracking_add_observer(lambda change: heard.append((change.pointer, change.after)))
    with tracking_transaction():
        root["c"]["p"] = 2
        with pytest.raises(ZeroDivisionError), tracking_transaction():
            root["c"]["p"] = 3
            del root["c"]
            raise ZeroDivisionError
        root["c"]["p"] = 4
        del root["c"]
    assert [pointer for pointer, _ in heard] == ["/c/p", "/c/p", "/c"]
    assert [after for _, after in heard][:2] == [2, 4]


def test_an_observer_with_a_path_hears_of_the_recorded_path():
    root, other = TrackedDict(c=TrackedDict()), TrackedDict()
    heard = []
    root.tracking_add_observer(lambda change: heard.append(change.pointer), path="/c/*")
    root.tracking_add_observer(lambda change: heard.append("now " + change.pointer), path="/c/*", when="immediate")
    with tracking_transaction():
        root["c"]["p"] = 1
        other["c"] = root.pop("c")
        other["c"]["p"] = 2
    assert heard == ["now /c/p", "/c/p"]


def test_an_observer_added_elsewhere_before_the_commit_hears_nothing_of_before():
    root, other = TrackedDict(c=TrackedDict()), TrackedDict()
    heard = []
    other.tracking_add_observer(lambda change: heard.append(change.pointer))
    with tracking_transaction():
        root["c"]["p"] = 1
        other["c"] = root.pop("c")
        other["c"]["p"] = 2
    assert heard == ["/c", "/c/p"]
