"""A million stores into a TrackedDict with a ring of 4096 leak nothing."""

from leaking import grows

from pydatatracker import TrackedDict

d = TrackedDict(tracking_max_changes=4096)


def mutate(n):
    d[n % 100] = [n]
    if n % 7 == 0:
        del d[n % 100]
    elif n % 11 == 0:
        d.update({n % 100: str(n), "x": n})


grows(mutate)
assert d.tracking_dropped > 4096
d._check()
