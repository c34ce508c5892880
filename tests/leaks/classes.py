"""A class that tracks attributes can be freed, with all its instances.

The core remembers names by class.
"""

import gc
import weakref

from pydatatracker import TrackedAttr, TrackedDict, tracked


def make(n):
    class Local(TrackedAttr):
        pass

    @tracked
    class Decorated:
        pass

    class Mine(TrackedDict):
        pass

    for cls in (Local, Decorated, Mine):
        made = cls()
        made.x = n if cls is not Mine else None
        yield weakref.ref(cls)


refs = [ref for n in range(30) for ref in make(n)]
gc.collect()
alive = [ref() for ref in refs if ref() is not None]
assert not alive, f"{len(alive)} of {len(refs)} classes are still there"
