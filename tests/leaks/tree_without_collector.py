"""Trees without cycles are freed by reference counting alone.

Whatever their logs hold. The collector is off.
"""

import gc
import sys
import weakref

from pydatatracker import ChangeCollector, TrackedAttr, TrackedDict, TrackedList, TrackedSet, track, tracking_actor

gc.collect()
gc.disable()


class Thing(TrackedAttr):
    pass


class Slotted(TrackedAttr):
    __slots__ = ("a", "b")


def plain_tree():
    doc = TrackedDict(a=TrackedList([TrackedDict(x=1), TrackedSet([1])]))
    doc["a"][0]["x"] = 2
    doc["a"][1].add(2)
    return doc


def converted():
    doc = track({"rows": [{"a": [1, 2, {3}]}, [[[[]]]]], "cfg": {"x": {"y": {}}}})
    doc["rows"][0]["a"][2].add(4)
    doc["new"] = {"deep": [{"er": {}}]}
    doc["new"]["deep"][0]["er"]["x"] = 1
    return doc


def children_removed():
    doc = track({"a": {"b": []}, "rows": [[1], [2], [3]]})
    doc["a"]["b"].append(1)
    del doc["a"]
    doc["rows"].pop(0).append(7)
    doc["rows"].clear()
    doc["rows"] = None
    doc["rows"] = [[1]]
    doc["rows"][:] = []
    return doc


def child_that_goes_on():
    doc = track({"a": {"b": []}})
    child = doc.pop("a")
    child["b"].append(1)
    doc["c"] = child
    child["b"].append(2)
    del doc["c"]
    child["b"].append(3)
    return doc


def moved_about():
    doc = track([[1], [2], [3], {"a": [4]}])
    doc[0], doc[1] = doc[1], doc[0]
    doc.reverse()
    doc.sort(key=str)
    doc.insert(0, doc.pop())
    doc[0]["x" if isinstance(doc[0], dict) else slice(0, 0)] = [5]
    doc.append(doc[0])
    doc[-1].clear()
    doc[1:2] = [doc[0], doc[0]]
    return doc


def locked():
    doc = track({"a": {"b": []}})
    doc["a"].lock()
    doc.lock()
    doc["a"].tracking_changes()
    return doc


def observed():
    doc = track({"a": {"b": []}})
    collector = ChangeCollector()
    doc.tracking_add_observer(collector, path="/a/**")
    doc["a"]["b"].append(1)
    doc["a"].tracking_add_observer(print, actions="lock", weak=True)
    doc["a"]["b"].append(2)
    assert len(collector) == 2
    return doc


def attributes():
    thing, slotted = Thing(), Slotted()
    thing.child = slotted
    slotted.a = {"x": [1]}
    slotted.a["x"].append(2)
    thing.rows = [slotted]
    slotted.b = 1
    thing.rows.pop()
    del slotted.a
    return thing


def in_sets():
    thing = Thing()
    s = TrackedSet([thing])
    doc = TrackedDict(s=s)
    thing.x = 1
    s.discard(thing)
    thing.x = 2
    s |= {thing}
    return doc


def several_places():
    child = TrackedList()
    doc = TrackedDict(a=child, b=child, c=TrackedList([child, child]))
    child.append(1)
    del doc["a"]
    child.append(2)
    return doc


def two_trees():
    child = TrackedList()
    one, two = TrackedDict(a=child), TrackedDict(b=child)
    child.append(1)
    del one["a"]
    child.append(2)
    two["one"] = one
    return two


def everything_on():
    doc = track({"a": []}, tracking_capture_snapshots=True, tracking_capture_stack=True, tracking_name="doc")
    with tracking_actor("job", reason="x"):
        doc["a"].append(1)
    for change in doc.tracking_changes():
        str(change.extra), change.stack, repr(change), change.to_dict()
    return doc


def small_ring():
    doc = track({"a": []}, tracking_max_changes=3, tracking_capture_snapshots=True)
    held = []
    for n in range(20):
        doc["a"].append({"n": n})
        held.append(doc.last_change())
    assert held[0].extra["action"] == "add"
    return doc


def no_ring():
    doc = track({"a": []}, tracking_max_changes=0)
    doc["a"].append([1])
    return doc


def no_values():
    doc = track({"a": []}, tracking_keep_values=False)
    doc["a"].append([1])
    doc["a"].pop()
    return doc


def cleared():
    doc = track({"a": []})
    doc["a"].append([1])
    doc.tracking_clear_changes()
    doc["a"].append([1])
    return doc


def failed_calls():
    doc = track({"a": []})
    for call in (
        lambda: doc["a"].extend(1 // n for n in (1, 0)),
        lambda: doc.update((n, 1 // n) for n in (1, 0)),
        lambda: doc["a"].sort(key=lambda item: 1 // 0),
        lambda: doc.pop("missing"),
        lambda: doc["a"].__setitem__(99, [1]),
    ):
        try:
            call()
        except (ZeroDivisionError, LookupError):
            pass
    return doc


def cycle_taken_apart():
    a = TrackedDict()
    a["b"] = b = TrackedDict(tracking_keep_values=False)
    a.tracking_clear_changes()
    return a


def watched(container, refs):
    from pydatatracker import _core

    if _core.tracker(container) is None or id(container) in refs:
        return
    refs[id(container)] = weakref.ref(container), weakref.ref(_core.logs(container)[-1])
    for each in _core.contents(container):
        watched(each, refs)


MAKES = (
    plain_tree, converted, children_removed, child_that_goes_on, moved_about, locked, observed, attributes, in_sets,
    several_places, two_trees, everything_on, small_ring, no_ring, no_values, cleared, failed_calls, cycle_taken_apart,
)  # fmt: skip
for make in MAKES:
    for n in range(500):  # to fill the free lists of the interpreter
        make()
    before = sys.getallocatedblocks()
    for n in range(50):
        refs = {}
        made = make()
        if n % 2:
            made._check()
            made.tracking_changes()
        watched(made, refs)
        del made
        alive = [ref() for pair in refs.values() for ref in pair if ref() is not None]
        assert not alive, f"{make.__name__}: {alive} held by {gc.get_referrers(alive[0])}"
        del alive, refs
    more = sys.getallocatedblocks() - before
    assert more < 300, f"{make.__name__}: {more} blocks are left of 50 trees"
