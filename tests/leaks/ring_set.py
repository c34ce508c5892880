"""A million changes of a TrackedSet with a ring of 4096 leak nothing."""

from leaking import grows

from pydatatracker import TrackedSet

s = TrackedSet(tracking_max_changes=4096)


def mutate(n):
    s.add(str(n % 300))
    s.discard(str((n * 7) % 300))
    if n % 20 == 0:
        s.symmetric_difference_update({n % 5, "x"})


grows(mutate)
s._check()
