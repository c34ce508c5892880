"""Print the instruction counts of one store, measured by callgrind.

Unlike times they do not depend on the load of the machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

PROGRAM = """
import sys
from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core
_core.use_system_clock(True)   # the other clock reads the system's only now and then: counts would vary
class D(dict):
    def __setitem__(self, k, v): dict.__setitem__(self, k, v)
class L(list):
    def append(self, v): list.append(self, v)
class S(set):
    def add(self, v): set.add(self, v)
class O: pass
class P:
    def __setattr__(self, k, v): object.__setattr__(self, k, v)
class A(TrackedAttr): pass
def store(d, n):
    for _ in range(n): d['a'] = 1
def append(l, n):
    for _ in range(n): l.append(1)
def add(s, n):
    for i in range(n): s.add(i)
def attribute(o, n):
    for _ in range(n): o.a = 1
def ignore(change): pass
def observed():
    d = TrackedDict()
    d.tracking_add_observer(ignore)
    return d
def snapshots(on, n):
    return TrackedDict({f'k{i}': i for i in range(n)} | {'a': 0}, tracking_capture_snapshots=on)
kinds = {'small': (lambda: snapshots(False, 10), lambda: snapshots(True, 10)),
         'large': (lambda: snapshots(False, 100_000), lambda: snapshots(True, 100_000)),
         'store': (dict, D, TrackedDict), 'append': (list, L, TrackedList), 'add': (set, S, TrackedSet),
         'attribute': (O, P, A), 'observed': (dict, D, observed)}
what, which, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
thing = kinds[what][which]()
{'append': append, 'add': add, 'attribute': attribute}.get(what, store)(thing, n)
"""
LOOPS = 10_000  # past the first 4096 the ring is full: the slope is of a store that overwrites
NAMES = {
    "store": "d[k] = v",
    "append": "l.append(v)",
    "add": "s.add(v)",
    "attribute": "o.a = v",
    "observed": "d[k] = v, one observer",
}


def instructions(script: str, what: str, which: int, loops: int) -> int:
    """Return the instructions of one run."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-P", script]
        environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
        subprocess.run([*command, what, str(which), str(loops)], env=environment, check=True, stderr=subprocess.DEVNULL)
        with open(out) as file:
            found = re.search(r"^(?:summary|totals): (\d+)", file.read(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def slope(script: str, what: str, which: int) -> float:
    """Return the instructions of one more loop.

    It is the median of three, since the start of a process varies a little.
    """
    found = []
    for _ in range(3):
        more = instructions(script, what, which, 2 * LOOPS)
        found.append((more - instructions(script, what, which, LOOPS)) / LOOPS)
    return sorted(found)[1]


def main() -> None:
    """Measure and print."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(PROGRAM)
        script.flush()
        instructions(script.name, "store", 0, 1)  # for what is done only once, such as writing .pyc files
        print(f"CPython {sys.version.split()[0]}, instructions per call, loop included\n")
        print("| operation | builtin | do-nothing Python subclass | tracked |\n|---|---|---|---|")
        for what, name in NAMES.items():
            counts = []
            for which in range(3):
                counts.append(slope(script.name, what, which))
            print(f"| `{name}` | " + " | ".join(f"{count:.0f}" for count in counts) + " |", flush=True)
        print("\n| snapshots, `d[k] = v` | off | on | difference |\n|---|---|---|---|")
        for what, size in (("small", "10 keys"), ("large", "100,000 keys")):
            off, on = (slope(script.name, what, which) for which in range(2))
            print(f"| {size} | {off:.0f} | {on:.0f} | {(on - off) / off:+.1%} |", flush=True)


if __name__ == "__main__":
    main()
