"""Count the instructions of what programs do most often, with callgrind.

Unlike times, they do not depend on the load of the machine. `instructions.json` beside this file has them for each
version of CPython; this program counts again and writes the rows of the CPython that runs it:

    python tests/support/instructions.py
"""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

FILE = pathlib.Path(__file__).with_suffix(".json")
LOOPS = 200
# Each operation and number of loops in a child of its own: the interpreter starts once, which takes longer than all of
# them. The difference between two children is that of the loops, and now and then something that one of them had to do
# once; so there are four, and the middle one of the differences counts.
PROGRAM = """
import gc, os, sys
import pydatatracker
from pydatatracker import *
from pydatatracker import _core
from pydatatracker.io import to_line
from pydatatracker.observers import json_file_observer

_core.use_system_clock(True)  # the other clock reads the system's only now and then: counts would vary
folder, loops = sys.argv[1], int(sys.argv[2])

class O: pass
class A(TrackedAttr): pass
class D(dict):
    def __setitem__(self, k, v): dict.__setitem__(self, k, v)
class L(list):
    def append(self, v): list.append(self, v)
class S(set):
    def add(self, v): set.add(self, v)
class P:
    def __setattr__(self, k, v): object.__setattr__(self, k, v)
def full(x=None, **options):  # the ring is full: each record replaces one
    x = track({'a': 0} if x is None else x, tracking_max_changes=16, **options)
    for _ in range(20):
        x['a'] = 0 if isinstance(x, dict) else None
    return x
def observed(observer, **options):
    d = full()
    d.tracking_add_observer(observer, **options)
    return d
def nothing(change): pass
def reading(change): change.path; change.before; change.after; change.actor
def inside(n, f): return inside(n - 1, f) if n else f()

ROWS = {}
def row(name, prepare=lambda: None):
    def keep(loop):
        ROWS[name] = prepare, loop
    return keep

def store(d, n):
    for i in range(n): d['a'] = 1
def store_number(d, n):
    for i in range(n): d['a'] = i + 1000
def append(l, n):
    for i in range(n): l.append(1)
def add(s, n):
    for i in range(n): s.add(i)
def attribute(o, n):
    for i in range(n): o.a = 1
def call(f, n):
    for i in range(n): f(i)

row('nothing')(lambda _, n: None)  # what the parent does between two forks, which the second child inherits
row('plain: d[k] = v', lambda: {'a': 0})(store)
row('plain: l.append(v)', list)(append)
row('plain: o.a = v', O)(attribute)
row('plain: a call', lambda: nothing)(call)
row('plain: d[k] = v, a subclass that does nothing', D)(store)
row('plain: l.append(v), a subclass that does nothing', L)(append)
row('plain: s.add(v), a subclass that does nothing', S)(add)
row('plain: o.a = v, a subclass that does nothing', P)(attribute)
row('d[k] = v', full)(store)
row('d[k] = v, a new int', full)(store_number)
row('d[k] = v, of 100,000 keys', lambda: full({f'k{i}': i for i in range(100_000)} | {'a': 0}))(store)
row('d[k] = v, of 100,000 keys, with snapshots', lambda: full(
    {f'k{i}': i for i in range(100_000)} | {'a': 0}, tracking_capture_snapshots=True))(store)
row('d[k] = v, five levels deep', lambda: full({'a': {'a': {'a': {'a': {'a': 0}}}}})['a'] or
    track({'b': {'b': {'b': {'b': {'a': 0}}}}}, tracking_max_changes=16)['b']['b']['b']['b'])(store)
row('l.append(v)', lambda: track([], tracking_max_changes=16))(append)
row('s.add(v)', lambda: track(set(), tracking_max_changes=16))(add)
row('o.a = v', A)(attribute)
row('d[k] = v, an observer', lambda: observed(nothing))(store)
row('d[k] = v, an observer that reads four attributes', lambda: observed(reading))(store)
row('d[k] = v, an observer whose path refuses', lambda: observed(nothing, path='/b/*'))(store)
row('d[k] = v, a collector', lambda: observed(ChangeCollector(10)))(store)
row('d[k] = v, a line written', lambda: observed(json_file_observer(folder + '/whole')))(store)
row('d[k] = v, a compact line written', lambda: observed(json_file_observer(folder + '/compact', compact=True)))(store)
row('d[k] = v, a stack of 20 frames', lambda: full(tracking_capture_stack=20))(
    lambda d, n: inside(20, lambda: store(d, n)))

@row('d[k]', full)
def _(d, n):
    for i in range(n): d['a']

@row('d.update of ten', full)
def _(d, n):
    ten = dict.fromkeys('abcdefghij', 1)
    for i in range(n): d.update(ten)

@row('an actor')
def _(d, n):
    for i in range(n):
        with tracking_actor('a'): pass

@row('a transaction round d[k] = v', full)
def _(d, n):
    for i in range(n):
        with tracking_transaction(): d['a'] = 1

@row('d[k] = v in a transaction', full)
def _(d, n):
    with tracking_transaction():
        for i in range(n): d['a'] = 1

@row('undo and redo', full)
def _(d, n):
    d['a'] = 1
    for i in range(n):
        d.tracking_undo()
        d.tracking_redo()

@row('undo and redo of a transaction', full)
def _(d, n):
    with tracking_transaction(): d['a'] = 1
    for i in range(n):
        d.tracking_undo()
        d.tracking_redo()

@row('d.last_change()', full)
def _(d, n):
    for i in range(n): d.last_change()

@row('change.to_dict()', full)
def _(d, n):
    change = d.last_change()
    for i in range(n): change.to_dict()

@row('to_line(change)', full)
def _(d, n):
    change = d.last_change()
    for i in range(n): to_line(change)

@row('TrackedDict(a=1)')
def _(d, n):
    for i in range(n): TrackedDict(a=1)

@row('an instance of TrackedAttr')
def _(d, n):
    for i in range(n): A()

@row('track of a document')
def _(d, n):
    for i in range(n): track({'a': [1, 2, {'b': 3}], 'c': {'d': None}})

@row('d[k] = a new TrackedDict', full)
def _(d, n):
    for i in range(n): d['a'] = TrackedDict()

if sys.version_info >= (3, 12):
    keep = []
    def watched(x):
        keep.append(watch(x, tracking_max_changes=16))
        return x
    row('watched d[k] = v', lambda: watched({'a': 0}))(store_number)

    @row('watched o.a = v', lambda: watched(O()))
    def _(o, n):
        for i in range(n): o.a = i

names = list(ROWS)
for name in names:
    prepare, loop = ROWS[name]
    loop(prepare(), 30)  # imports what it needs, and lets CPython specialize its instructions
gc.collect()
gc.disable()
print(*names, sep='\\n', flush=True)
for name in names:
    for n in loops, 2 * loops, 3 * loops, 4 * loops:
        child = os.fork()
        if not child:
            prepare, loop = ROWS[name]
            loop(prepare(), n)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f'{name}: status')
"""


def key() -> str:
    """Return the key of this interpreter in the file."""
    return f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"


def of_children(program: str, *arguments: str, python: str = sys.executable) -> tuple[str, list[int]]:
    """Return what a program prints, and the instructions of its children.

    Those that it forks and waits for, in order. Raises CalledProcessError if it fails, and FileNotFoundError where there is no valgrind.
    """
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", python, "-P", "-c", program]
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    *found, _ = re.findall(r"Collected : (\d+)", done.stderr)  # the last one is the parent's
    return done.stdout, list(map(int, found))


def count(python: str = sys.executable) -> dict[str, int]:
    """Return the instructions of each operation, with the loop around it.

    Raises CalledProcessError if something fails, and FileNotFoundError where there is no valgrind.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, totals = of_children(PROGRAM, folder, str(LOOPS), python=python)
    names = output.splitlines()
    assert len(totals) == 4 * len(names)
    rows = (totals[n : n + 4] for n in range(0, len(totals), 4))
    nothing, *found = (statistics.median(b - a for a, b in itertools.pairwise(row)) for row in rows)
    return {name: round((each - nothing) / LOOPS) for name, each in zip(names[1:], found, strict=True)}


def known() -> dict[str, dict[str, int]]:
    """Return the counts of each interpreter that the file has."""
    found: dict[str, dict[str, int]] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    return found


def main() -> None:
    """Count, print what changed, and write the file."""
    counts, before = count(), known()
    for name, now in counts.items():
        was = before.get(key(), {}).get(name)
        print(f"{now:9,}  {name}" + ("" if was is None else f"  (was {was:,}, {(now - was) / was:+.1%})"))
    before[key()] = counts
    FILE.write_text(json.dumps(dict(sorted(before.items())), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
