"""Creating and dropping containers of every kind leaks nothing.

Neither do copies, pickles and errors.
"""

import copy
import pickle

from leaking import MUTATIONS, grows

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, track


class Thing(TrackedAttr):
    pass


class Slotted(TrackedAttr):
    __slots__ = ("a",)


def fails():
    yield 1
    raise ValueError


def mutate(n):
    d = TrackedDict({"a": n}, tracking_name="d")
    d["a"] = TrackedList([n])
    d["a"].append(str(n))
    TrackedSet([n]).add(-n)
    thing, slotted = Thing(), Slotted()
    thing.x = slotted
    slotted.a = [n]
    slotted.a.append(n)
    copy.copy(d)["b"] = 1
    copy.deepcopy(d)["b"] = 1
    pickle.loads(pickle.dumps(d))["b"] = n
    for call in (
        lambda: d["a"].extend(fails()),
        lambda: TrackedList(fails()),
        lambda: TrackedDict(5),
        lambda: TrackedDict(tracking_nmae="x"),
        lambda: d["a"].insert("x", 1),
        lambda: d["a"].__setitem__(slice(0, 9, 2), [1, 2, 3, 4, 5, 6]),
        lambda: d.__setitem__([], 1),
    ):
        try:
            call()
        except (ValueError, TypeError):
            pass
    d.lock()
    try:
        d["x"] = 1
    except RuntimeError:
        pass
    track({"a": [{1}, {"b": []}]})["a"][1]["b"].append(1)


grows(mutate, max(MUTATIONS // 50, 12_000))
