"""A random program gives the same result with its data watched.

And the log knows every state that it went through. The oracle is the same program without a watch. Two worlds are built alike, one is watched, both run the same steps.
"""

import gc
import sys
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import _core as core
from pydatatracker import track, watch

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")


class Plain:
    pass


class Slotted:
    __slots__ = ("a", "b", "c")


@dataclass
class Record:
    a: Any = None
    b: Any = field(default_factory=list)


MAKERS = (
    dict, OrderedDict, lambda: defaultdict(list), Counter, Plain, Slotted, Record, SimpleNamespace, list, deque,
    lambda: deque(maxlen=3), set, lambda: (1, {}, [2]),
)  # fmt: skip
INTO = (Plain, Slotted)
NAMES = ("a", "b", "c")
SCALARS = st.sampled_from([0, 1, -1, True, None, 1.5, "x", "y" * 40, b"z"])


def world():
    """Every kind of container, each reachable by name from one dict."""
    pool = [make() for make in MAKERS]
    root = {f"n{i}": each for i, each in enumerate(pool)}
    return root, pool


def value(pool, given):
    """Return a scalar or one of the containers: an alias, often a cycle."""
    kind, scalar, number = given
    if kind == "scalar":
        return scalar
    if kind == "new":
        return MAKERS[number % len(MAKERS)]()
    if kind == "tuple":
        return (scalar, pool[number % len(pool)])
    return pool[number % len(pool)]


VALUES = st.tuples(st.sampled_from(["scalar", "scalar", "new", "tuple", "alias"]), SCALARS, st.integers(0, 50))
STEPS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 60), st.sampled_from(NAMES), VALUES, st.integers(-3, 5)), max_size=14
)


def run(root, pool, step):
    """One step of a program; returns what it would print."""
    target, what, name, given, number = step
    each = pool[target % len(pool)]
    new = value(pool, given)
    if given[0] == "new":
        pool.append(new)
    try:
        return change(each, what, name, new, number, root)
    except Exception as error:
        return type(error).__name__


def change(each, what, name, new, number, root):
    if isinstance(each, dict):
        match what % 12:
            case 0 | 1 | 2:
                each[name] = new
            case 3:
                del each[name]
            case 4:
                return each.pop(name, None) is None
            case 5:
                return type(each.setdefault(name, new)).__name__
            case 6:
                each.update({name: new, number: number})
            case 7:
                return str(each.popitem()[0])
            case 8:
                each.clear()
            case 9 if not isinstance(each, OrderedDict):  # which has a list of its keys beside the table
                dict.__setitem__(each, name, new)
            case 10:
                each |= {number: new}
            case 11:
                root[name] = each
    elif isinstance(each, (list, deque)):
        match what % 9:
            case 0 | 1:
                each.append(new)
            case 2:
                return type(each.pop()).__name__
            case 3:
                each.insert(number, new)
            case 4:
                each[number] = new
            case 5:
                each.reverse()
            case 6:
                each.extend([new, new])
            case 7:
                del each[number]
            case 8:
                each.clear()
    elif isinstance(each, set):
        match what % 4:
            case 0 | 1:
                each.add(new if new.__hash__ else number)
            case 2:
                each.discard(number)
            case 3:
                each.clear()
    elif not isinstance(each, tuple):
        match what % 8:
            case 0 | 1 | 2:
                setattr(each, name, new)
            case 3:
                delattr(each, name)
            case 4:
                vars(each).update({name: new})
            case 5:
                object.__setattr__(each, name, new)
            case 6:
                return type(getattr(each, name)).__name__
            case 7:
                each.__dict__ = {name: new}
    return None


def shape(x, seen=None):
    """Return a value as nested tuples in which identity shows.

    An object that comes again is the number of its first visit.
    """
    seen = {} if seen is None else seen
    if isinstance(x, (str, bytes, int, float, type(None))):
        return x, type(x).__name__
    if id(x) in seen:
        return ("again", seen[id(x)][0])
    seen[id(x)] = (len(seen), x)
    if isinstance(x, dict):
        return ("map", [(repr(k), shape(v, seen)) for k, v in sorted(x.items(), key=lambda item: repr(item[0]))])
    if isinstance(x, tuple):
        return ("tuple", [shape(v, seen) for v in x])
    if isinstance(x, (list, deque)):
        return ("list", [shape(v, seen) for v in x])
    if isinstance(x, (set, frozenset)):
        return ("set", sorted(map(repr, (shape(v, {}) if isinstance(v, (str, int, float)) else "object" for v in x))))
    names = (
        {n: getattr(x, n) for n in getattr(type(x), "__slots__", ()) if hasattr(x, n)}
        if not hasattr(x, "__dict__")
        else vars(x)
    )
    return ("map", [(repr(k), shape(v, seen)) for k, v in sorted(names.items(), key=lambda item: repr(item[0]))])


def classes(x, seen=None, depth=0):
    """Return the classes of everything below a value, in order."""
    seen = set() if seen is None else seen
    if id(x) in seen or depth > 30:
        return []
    seen.add(id(x))
    below = list(x.values()) if isinstance(x, dict) else list(x) if isinstance(x, (list, deque, tuple)) else []
    below += list(getattr(x, "__dict__", {}).values())
    return [type(x).__name__] + [c for each in below for c in classes(each, seen, depth + 1)]


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_a_watched_program_computes_the_same(steps):
    root, pool = world()
    other_root, other_pool = world()
    with watch(other_root, into=INTO):
        for step in steps:
            assert run(root, pool, step) == run(other_root, other_pool, step)
            assert shape(other_root) == shape(root)
            assert classes(other_root) == classes(root)
    assert shape(other_root) == shape(root)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_the_log_knows_every_state_of_a_watched_program(steps):
    root, pool = world()
    with watch(root, into=INTO, tracking_max_changes=None) as w:
        states = []
        for step in steps:
            run(root, pool, step)
            w.tracking_changes()  # asking compares what has no watcher
            states.append((w.tracking_changes()[-1].seq, shape(root)))
        for seq, state in states:
            assert shape(w.tracking_state_at(seq)) == state


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(1, 5))
def test_a_watch_leaves_no_trace(steps, rounds):
    root, pool = world()
    before = shape(root)
    for _ in range(rounds):
        with watch(root, into=INTO) as w:
            pass
        assert w.objects == 0
    assert shape(root) == before
    for step in steps:
        run(root, pool, step)
    assert len(w.tracking_changes()) == 1


def through_methods(steps):
    """Return steps without ``dict.__setitem__(d, ...)``."""
    return [(target, what if what % 12 != 9 else 0, *rest) for target, what, *rest in steps]


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_the_log_knows_every_state_of_what_tracked_data_follows(steps):
    """`track` copies plain containers, and follows all else where it is."""
    root, pool = world()
    data = track(root, tracking_max_changes=None)
    pool = [data[name] for name in root]
    states = []
    for step in through_methods(steps):
        run(data, pool, step)
        states.append((data.tracking_changes()[-1].seq, shape(data)))
    for seq, state in states:
        assert shape(data.tracking_state_at(seq)) == state
    for each in pool:
        if each is not data and core.tracker(each) is not None:
            core.check_tracker(each) if not core.is_watched(each) else None
    core.check_tracker(data)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 3))
def test_what_tracked_data_follows_dies_with_it(steps, rounds):
    gc.freeze()  # what the other tests left takes long to look at
    try:
        for _ in range(1 + rounds):
            root, pool = world()
            data = track(root)
            pool = [data[name] for name in root]
            for step in through_methods(steps):
                run(data, pool, step)
            probes = [weakref.ref(each) for each in pool if isinstance(each, (Plain, Record))]
            del root, pool, data
            gc.collect()
            assert [probe() for probe in probes] == [None] * len(probes)
    finally:
        gc.unfreeze()
