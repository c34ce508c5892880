"""The collector frees containers that contain themselves.

They do so directly or through others.
"""

import gc
import weakref

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet


class Thing(TrackedAttr):
    pass


def in_dict():
    d = TrackedDict()
    d["me"] = d
    return d


def in_dict_history_only():
    d = TrackedDict()
    d["me"] = d
    del d["me"]
    return d


def in_list():
    items = TrackedList()
    items.append(items)
    items.extend([items, items])
    items.reverse()
    return items


def in_list_history_only():
    items = TrackedList()
    items.append(items)
    items.clear()
    return items


def in_attr():
    thing = Thing()
    thing.me = thing
    return thing


def in_set():
    thing = Thing()
    s = TrackedSet([thing])
    thing.s = s
    return s


def round_a_corner():
    a, b = TrackedDict(), TrackedList()
    a["b"] = b
    b.append({"plain": a})
    b.append(a)
    a["x"] = 1
    b.append(2)
    return a


def with_observer():
    d = TrackedDict()
    d.tracking_add_observer(lambda change: d)
    d["x"] = 1
    return d


def held_entry():
    d = TrackedDict()
    d["x"] = 1
    d["entry"] = d.last_change()
    d["all"] = d.tracking_changes()
    return d


def key_that_holds_it():
    class Key:
        pass

    d, key = TrackedDict(), Key()
    key.d = d
    d[key] = 1
    del d[key]
    return d


def value_that_holds_it():
    d = TrackedDict()
    d["f"] = lambda: d
    d["g"] = [d]
    d.update({"h": (d,)})
    return d


def sorted_objects():
    items = TrackedList()
    items.append([items])
    items.insert(0, (items, 1))
    items.sort(key=lambda item: type(item) is list)
    items.clear()
    return items


gc.collect()
for make in (
    in_dict, in_dict_history_only, in_list, in_list_history_only, in_attr, in_set, round_a_corner, with_observer,
    held_entry, key_that_holds_it, value_that_holds_it, sorted_objects,
):  # fmt: skip
    for n in range(20):
        made = make()
        ref = weakref.ref(made)
        if n % 2:
            made._check()
            made.tracking_changes()
        del made
        gc.collect()
        assert ref() is None, f"{make.__name__}: still there, held by {gc.get_referrers(ref())}"
