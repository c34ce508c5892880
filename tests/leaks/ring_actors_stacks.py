"""Actors, stacks, snapshots and observers do not grow memory."""

from leaking import MUTATIONS, grows

from pydatatracker import ChangeCollector, TrackedDict, tracking_actor

d = TrackedDict(tracking_max_changes=4096, tracking_capture_stack=True, tracking_capture_snapshots=True)
collector = ChangeCollector(capacity=100)
d.tracking_add_observer(collector)


def fails(change):
    raise ValueError("on purpose")


import logging

logging.getLogger("pydatatracker").addHandler(logging.NullHandler())
logging.getLogger("pydatatracker").propagate = False


def mutate(n):
    with tracking_actor("job", n=n):
        d[n % 10] = [n]
    if n % 1000 == 0:
        assert collector.last().extra["action"] in ("add", "update")
    if n % 500 == 0:
        d.tracking_add_observer(fails)
        d["x"] = n
        d.tracking_remove_observer(fails)


grows(mutate, MUTATIONS // 25)
