"""With tracking_keep_values=False history keeps no value alive.

A value is freed when the container drops it.
"""

import gc
import weakref

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet

gc.disable()


class Big:
    pass


d = TrackedDict(tracking_keep_values=False)
refs = []
for n in range(10):
    value = Big()
    refs.append(weakref.ref(value))
    d["a"] = value
    d.update({"b": value, "c": [value]})
    d.setdefault("s%d" % n, value)
    del d["s%d" % n]
    del value
d.clear()
assert [ref() for ref in refs] == [None] * 10, refs

items = TrackedList(tracking_keep_values=False)
refs = []
for n in range(10):
    value = Big()
    refs.append(weakref.ref(value))
    items.append(value)
    items.extend([value, (value,)])
    items[0] = value
    items[1:2] = [value]
    items[::2] = [value] * len(items[::2])
    items.reverse()
    items.sort(key=id)
    del value
    items.clear()
assert [ref() for ref in refs] == [None] * 10, refs

s = TrackedSet(tracking_keep_values=False)
refs = []
for n in range(10):
    value = Big()
    refs.append(weakref.ref(value))
    s.add(value)
    s ^= {value}
    s |= {value}
    s.discard(value)
    del value
assert [ref() for ref in refs] == [None] * 10, refs

keys = TrackedDict(tracking_keep_values=False)
value = Big()
ref = weakref.ref(value)
keys[value] = 1
keys.update({value: 2, "x": 1})
del keys[value]
del value
assert ref() is None


class Thing(TrackedAttr):
    pass


thing = Thing(tracking_keep_values=False)
value = Big()
ref = weakref.ref(value)
thing.a = value
thing.a = None
del value
assert ref() is None
