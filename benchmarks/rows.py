"""The rows of the table of costs: an operation on both types, its goal."""

from __future__ import annotations

import sys
from dataclasses import dataclass

RESULTS: list[tuple[str, str, str, str, str]] = []  # what a run measured, as text

PREPARE = """
from pydatatracker import *
class P(dict):
    def __setitem__(self, k, v): dict.__setitem__(self, k, v)
class D(dict): pass
class L(list): pass
class O: pass
class A(TrackedAttr): pass
big = {str(i): i for i in range(100000)}; items = list(range(100000)); elements = set(items)
def deep(n, f): return deep(n - 1, f) if n else f()
def setting(d):
    for _ in range(1000): d['a'] = 1
"""

# What leaves the core is measured beside a dict subclass that somebody would write by hand.
PREPARE += """
import json, tempfile, time
from pydatatracker import process
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.observers import json_file_observer
class H(dict):
    def __setitem__(self, k, v):
        old = self.get(k); dict.__setitem__(self, k, v)
        self.file.write(json.dumps({'time': time.time(), 'key': k, 'before': old, 'after': v, 'actor': 'me'}) + '\\n')
        self.file.flush()
kept = []
def path(): return tempfile.mkdtemp() + '/log.jsonl'
def hand():
    h = H(a=0); h.file = open(path(), 'w'); kept.append(h.file); return h
def sent(observer, d=None, **options):
    d = TrackedDict(a=0) if d is None else d
    d.tracking_add_observer(observer, **options)
    return d
def deep_down(observer):
    root = track({'a': {'b': {'c': {'a': 0}}}}); kept.append(root)
    root.tracking_add_observer(observer)
    return root['a']['b']['c']
def logged(**options):
    d = TrackedDict(a=0); process.start(path(), **options); d['a'] = 1; return d
def reading(c): c.path; c.before; c.after; c.actor
def acting():
    with tracking_actor('a'): pass
def transaction(d):
    with tracking_transaction(): d['a'] = 1
def undoing():
    d = TrackedDict(a=0); transaction(d); return d
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    plain: tuple[str, str]  # set-up, statement
    tracked: tuple[str, str]
    goal: float
    unit: str = "x"  # "u": overhead in stores into a plain dict; "x": ratio; "us": microseconds more
    number: int = 20_000  # loops in one sample; 1: a bulk call with a fresh set-up


def same(statement: str, plain: str, tracked: str) -> dict[str, tuple[str, str]]:
    """Return the same statement for the builtin and the tracked type."""
    return {"plain": (plain, statement), "tracked": (tracked, statement)}


STORE = "d['a'] = 1"
DEEP = "d = track({'a': {'a': {'a': {'a': {'a': {}}}}}}); d = d['a']['a']['a']['a']['a']; d['a'] = 1"
ROWS = [
    Row("d[k] = v (base)", **same(STORE, "d = {'a': 0}", "d = TrackedDict(a=0)"), goal=1.75, unit="u"),
    Row("  beside a do-nothing Python subclass", **same(STORE, "d = P(a=0)", "d = TrackedDict(a=0)"), goal=0.6),
    Row("l.append(v)", **same("l.append(1)", "l = []", "l = TrackedList()"), goal=2.5, unit="u"),
    Row("s.add(v)", **same("s.add(next(i))", "s = set(); i = iter(range(10**9))",
                           "s = TrackedSet(); i = iter(range(10**9))"), goal=2.5, unit="u"),
    Row("o.attr = v", **same("o.a = 1", "o = O(); o.a = 0", "o = A(); o.a = 0"), goal=2.5, unit="u"),
    Row("d[k]", **same("d['a']", "d = D(a=0)", "d = TrackedDict(a=0)"), goal=1.1),
    Row("k in d", **same("'a' in d", "d = D(a=0)", "d = TrackedDict(a=0)"), goal=1.1),
    Row("l[i]", **same("l[0]", "l = L([0])", "l = TrackedList([0])"), goal=1.1),
    Row("len(l)", **same("len(l)", "l = L([0])", "l = TrackedList([0])"), goal=1.1),
    Row("iteration, 100,000 items", **same("for x in l: pass", "l = L(items)", "l = TrackedList(items)"), goal=1.1,
        number=1),
    Row("d.update(dict), into empty", **same("d.update(big)", "d = {}", "d = TrackedDict()"), goal=2, number=1),
    Row("d.update(dict), keys there", **same("d.update(big)", "d = dict(big)", "d = TrackedDict(big)"), goal=2,
        number=1),
    Row("l.extend(list)", **same("l.extend(items)", "l = []", "l = TrackedList()"), goal=2, number=1),
    Row("l.extend(iterator)", **same("l.extend(iter(items))", "l = []", "l = TrackedList()"), goal=2, number=1),
    Row("s |= set, into empty", **same("s |= elements", "s = set()", "s = TrackedSet()"), goal=2, number=1),
    Row("s |= set, elements there", **same("s |= elements", "s = set(elements)", "s = TrackedSet(elements)"), goal=2,
        number=1),
    Row("l[100:50000] = list", **same("l[100:50000] = items", "l = list(items)", "l = TrackedList(items)"), goal=2,
        number=1),
    Row("del l[100:50000]", **same("del l[100:50000]", "l = list(items)", "l = TrackedList(items)"), goal=2, number=1),
    Row("five levels deep, beside flat", ("d = TrackedDict(a=0)", STORE), (DEEP, STORE), goal=1.2),
    Row("actor set, beside unset", ("d = TrackedDict(a=0)", STORE),
        ("d = TrackedDict(a=0); c = tracking_actor('x', reason=1); c.__enter__()", STORE), goal=1.1),
    Row("snapshot on, 10 keys, beside off", ("d = TrackedDict.fromkeys('abcdefghij')", STORE),
        ("d = TrackedDict(dict.fromkeys('abcdefghij'), tracking_capture_snapshots=True)", STORE), goal=1.3),
    Row("snapshot on, 100,000 keys, beside off", ("d = TrackedDict(big, a=0)", STORE),
        ("d = TrackedDict(big, a=0, tracking_capture_snapshots=True)", STORE), goal=1.3),
    Row("stack of 20 frames, 1000 stores", ("d = TrackedDict(a=0)", "deep(17, lambda: setting(d))"),
        ("d = TrackedDict(a=0, tracking_capture_stack=20)", "deep(17, lambda: setting(d))"), goal=1, unit="us",
        number=1),
    Row("full: actor, snapshot, stack; 1000 stores", ("d = TrackedDict(a=0)", "deep(17, lambda: setting(d))"),
        (("d = TrackedDict(a=0, tracking_capture_stack=20, tracking_capture_snapshots=True); "
         "c = tracking_actor('x'); c.__enter__()"), "deep(17, lambda: setting(d))"), goal=1.2, unit="us", number=1),
    Row("one observer, beside none", ("d = TrackedDict(a=0)", STORE),
        ("d = TrackedDict(a=0); d.tracking_add_observer(lambda change: None)", STORE), goal=6),
]  # fmt: skip

SET = "setting(d)"  # 1,000 stores
PLAIN = ("d = TrackedDict(a=0)", SET)
HAND = ("d = hand()", SET)
ROWS += [
    Row("json_file_observer, beside one by hand", HAND, ("d = sent(json_file_observer(path()))", SET), goal=1,
        number=1),
    Row("  compact", PLAIN, ("d = sent(json_file_observer(path(), compact=True))", SET), goal=2.5, unit="us", number=1),
    Row("JsonLinesExporter", PLAIN, ("d = sent(JsonLinesExporter(path()))", SET), goal=2, unit="us", number=1),
    Row("  compact", PLAIN, ("d = sent(JsonLinesExporter(path(), compact=True))", SET), goal=1.5, unit="us", number=1),
    Row("  buffered", PLAIN, ("d = sent(JsonLinesExporter(path(), buffered=True))", SET), goal=1.5, unit="us",
        number=1),
    Row("  buffered, compact", PLAIN, ("d = sent(JsonLinesExporter(path(), buffered=True, compact=True))", SET), goal=1,
        unit="us", number=1),
    Row("  four levels deep", PLAIN, ("d = deep_down(JsonLinesExporter(path()))", SET), goal=2.5, unit="us", number=1),
    Row("  sealed, beside not sealed", ("d = sent(JsonLinesExporter(path()))", SET),
        ("d = sent(JsonLinesExporter(path(), seal=True)); d['a'] = 0", SET), goal=1, unit="us", number=1),
    Row("  sealed, compact, beside not sealed", ("d = sent(JsonLinesExporter(path(), compact=True))", SET),
        ("d = sent(JsonLinesExporter(path(), compact=True, seal=True)); d['a'] = 0", SET), goal=1, unit="us", number=1),
    Row("  with a stack of 20 frames", ("d = TrackedDict(a=0)", "deep(17, lambda: setting(d))"),
        ("d = sent(JsonLinesExporter(path()), TrackedDict(a=0, tracking_capture_stack=20))",
         "deep(17, lambda: setting(d))"), goal=8, unit="us", number=1),
    Row("log of the process", PLAIN, ("d = logged(redact_names=True)", f"{SET}; process.stop()"), goal=4, unit="us",
        number=1),
    Row("an observer whose path refuses", ("d = TrackedDict(a=0)", STORE), ("d = sent(print, path='/b/*')", STORE),
        goal=1.3),
    Row("an observer whose actions refuse", ("d = TrackedDict(a=0)", STORE),
        ("d = sent(print, actions='remove')", STORE), goal=1.3),
    Row("an observer that reads four attributes", ("d = sent(lambda change: None)", SET), ("d = sent(reading)", SET),
        goal=0.35, unit="us", number=1),
    Row("ChangeCollector", PLAIN, ("d = sent(ChangeCollector(10))", SET), goal=0.2, unit="us", number=1),
    Row("with tracking_actor('a'), 1000 times", ("", "for _ in range(1000): pass"),
        ("", "for _ in range(1000): acting()"), goal=0.25, unit="us", number=1),
    Row("a transaction round one store, 1000 times", ("d = TrackedDict(a=0)", SET),
        ("d = TrackedDict(a=0)", "for _ in range(1000): transaction(d)"), goal=1.5, unit="us", number=1),
    Row("undo and redo of it, 1000 times", ("", "for _ in range(1000): pass"),
        ("d = undoing()", "for _ in range(1000): d.tracking_undo(); d.tracking_redo()"), goal=4, unit="us", number=1),
    Row("change.to_dict(), 1000 times", ("", "for _ in range(1000): pass"),
        ("d = TrackedDict(a=0); d['a'] = 1; c = d.last_change()", "for _ in range(1000): c.to_dict()"), goal=2,
        unit="us", number=1),
]  # fmt: skip

DOCUMENT = """
import copy, pickle
document = {'users': [{'name': f'u{n}', 'tags': ['a', 'b'], 'at': {'street': 'x', 'zip': str(n)}} for n in range(2000)]}
text = json.dumps(document); data = track(document); plain, tracked = pickle.dumps(document), pickle.dumps(data)
"""
ROWS += [
    Row("TrackedDict()", ("", "dict()"), ("", "TrackedDict()"), goal=2),
    Row("TrackedDict(a=1, b=2)", ("", "dict(a=1, b=2)"), ("", "TrackedDict(a=1, b=2)"), goal=2),
    Row("A(), of TrackedAttr", ("", "O()"), ("", "A()"), goal=3),
    Row("r[i] = TrackedDict()", ("r = {}; i = iter(range(10**9))", "r[next(i)] = {}"),
        ("r = TrackedDict(); i = iter(range(10**9))", "r[next(i)] = TrackedDict()"), goal=4),
    Row("track(json.loads(text))", (DOCUMENT, "json.loads(text)"), (DOCUMENT, "track(json.loads(text))"), goal=1.5,
        number=1),
    Row("pickle.dumps of a document", (DOCUMENT, "pickle.dumps(document)"), (DOCUMENT, "pickle.dumps(data)"), goal=3,
        number=1),
    Row("pickle.loads of it", (DOCUMENT, "pickle.loads(plain)"), (DOCUMENT, "pickle.loads(tracked)"), goal=3, number=1),
    Row("copy.deepcopy of it", (DOCUMENT, "copy.deepcopy(document)"), (DOCUMENT, "copy.deepcopy(data)"), goal=2.5,
        number=1),
    Row("json.dumps of it", (DOCUMENT, "json.dumps(document)"), (DOCUMENT, "json.dumps(data)"), goal=1.8, number=1),
]  # fmt: skip

NEXT = "i = iter(range(10**9))"  # a store of the same object is no event
GRAPH = "import copy; g = {'all': [{'n': n, 'd': {'k': n}} for n in range(50000)]}"
if sys.version_info >= (3, 12):
    ROWS += [
        Row("watched d[k] = v", **same("d['a'] = next(i)", f"d = {{'a': -1}}; {NEXT}",
            f"d = {{'a': -1}}; w = watch(d); {NEXT}"), goal=2, unit="u"),
        Row("watched o.attr = v", **same("o.a = next(i)", f"o = O(); o.a = -1; {NEXT}",
            f"o = O(); o.a = -1; w = watch(o); {NEXT}"), goal=2.5, unit="u"),
        Row("store elsewhere, beside no watch", **same(STORE, "d = {'a': 0}", "x = {}; w = watch(x); d = {'a': 0}"),
            goal=1.0),
        Row("watch, 100,000 objects, beside deepcopy", (GRAPH, "copy.deepcopy(g)"), (GRAPH, "w = watch(g)"), goal=3,
            number=1),
    ]  # fmt: skip
