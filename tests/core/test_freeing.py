"""Freeing never recurses deeper than a bound.

That holds whatever is chained, and however small the stack of the thread is. A program of its own builds each chain, since a fault here ends the process.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = '''
import gc, sys, threading
from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet

class Thing(TrackedAttr):
    """An element of sets, as it is hashable."""

class Slotted(TrackedAttr):
    __slots__ = ("inside",)

def lists(n):
    x = TrackedList()
    for _ in range(n):
        x = TrackedList([x])
    return x

def dicts(n):
    x = TrackedDict()
    for _ in range(n):
        x = TrackedDict(inside=x)
    return x

def attributes(n):
    x = Thing()
    for _ in range(n):
        outer = Thing()
        outer.inside = x
        x = outer
    return x

def slots(n):
    x = Slotted()
    for _ in range(n):
        outer = Slotted()
        outer.inside = x
        x = outer
    return x

def sets(n):
    x = Thing()
    for _ in range(n):
        outer = Thing()
        outer.inside = TrackedSet([x])
        x = outer
    return x

def mixed(n):
    x = TrackedList()
    for _ in range(n // 4):
        thing = Thing()
        thing.inside = TrackedDict(a=TrackedList([x]), b=[x])
        x = TrackedList([thing])
    return x

def with_builtins(n):
    x = TrackedList()
    for _ in range(n // 2):
        x = TrackedList([[(x,)]])
    return x

def grown(n):
    """Grown at its end, each level changed at its place: trackers, links, places and one log."""
    top = x = TrackedList()
    for _ in range(n):
        x.append(TrackedList())
        x = x[0]
    x.append(1)
    return top

def parents(n):
    """One child with n parents: a chain of links."""
    child = TrackedList()
    held = [TrackedList([child]) for _ in range(n)]
    del held
    return child

def logs(n):
    """Each list holds the next one only in a record of its own log: a chain of logs."""
    x = TrackedList()
    for _ in range(n):
        outer = TrackedList()
        outer.append(x)
        outer.pop()
        x = outer
    return x

def changes(n):
    """Each change holds the next one as a value of its record."""
    x = None
    for _ in range(n):
        d = TrackedDict()
        d["change"] = x
        x = d.tracking_changes()[-1]
    return x

def contexts(n):
    from pydatatracker import tracking_actor
    x = None
    for i in range(n):
        d = TrackedDict()
        with tracking_actor("somebody", before=x):
            d["n"] = i
        x = d.tracking_changes()[-1]
    return x

def savepoints(n):
    from pydatatracker import _core
    x = None
    for i in range(n):
        with _core.ScopeBlock(_core.Scope("", None, x)):
            y = _core.Transaction()
        y._open()
        if x is not None:
            x._close()
        x = y
    x._close()
    return x

def main():
    x = globals()[sys.argv[1]](int(sys.argv[2]))
    if sys.argv[3] == "collector":
        cycle = [x]
        cycle.append(cycle)
        del cycle, x
        gc.collect()
    else:
        del x
    print("freed")

threading.stack_size(int(sys.argv[4]))
thread = threading.Thread(target=main)
thread.start()
thread.join()
'''
CHAINS = [
    *("lists", "dicts", "attributes", "slots", "sets", "mixed", "with_builtins", "grown", "parents"),
    *("logs", "changes", "contexts", "savepoints"),
]
SMALL = 512 * 1024


def freed(chain: str, n: int, by: str, stack: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, chain, str(n), by, str(stack)], capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("by", ["counting", "collector"])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_of_25000_is_freed_on_a_small_stack(chain: str, by: str) -> None:
    """25,000 links of any chain are freed in a thread with 512 KiB.

    They are freed by reference counts, and by the collector.
    """
    assert freed(chain, 25_000, by, SMALL) == (0, "freed\n")


@pytest.mark.parametrize("chain", ["lists", "dicts"])
def test_a_chain_of_400000_is_freed_on_a_small_stack(chain: str) -> None:
    """The depth of freeing does not depend on the length of the chain."""
    assert freed(chain, 400_000, "counting", SMALL) == (0, "freed\n")
