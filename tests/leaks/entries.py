"""A held change keeps the values that it names, but not the ring.

Dropping the change frees all of them.
"""

import gc
import weakref

from pydatatracker import TrackedDict, TrackedList

gc.disable()


class Big:
    pass


d = TrackedDict(tracking_max_changes=2, tracking_capture_snapshots=True)
value = Big()
ref = weakref.ref(value)
d["a"] = value
held = d.last_change()
del value
del d["a"]
for n in range(5):
    d["n"] = n
assert held.after is ref()
assert ref() is not None
del held
assert ref() is None, gc.get_referrers(ref())

items = TrackedList([TrackedList()])
items[0].append(1)
held = items.tracking_changes()[1:]  # without the init, which needs the history for the first state
container = weakref.ref(items)
del items
assert container() is None
assert [c.path for c in held] == [(0, 0)]
