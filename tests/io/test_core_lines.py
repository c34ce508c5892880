"""The core writes the line that Python makes of the same change.

That holds for every kind of change.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import json
import os
import threading
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from builds import needs_watch
from gardening import STEPS, Session
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import (
    ChangeLogEntry,
    TrackedAttr,
    TrackedCounter,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    _core,
    track,
    tracking_actor,
    tracking_transaction,
    watch,
)
from pydatatracker.change.mapping import to_dict
from pydatatracker.values.codec import encoder
from pydatatracker.values.encode import encode
from pydatatracker.values.secrets import SECRETS, is_secret

encoded = encoder(encode)


class Reader:
    """An observer that compares both ways to a line of each change."""

    def __init__(self) -> None:
        self.written = 0  # lines that the core wrote
        self.left: list[str] = []  # changes that it left to Python

    def __call__(self, change: ChangeLogEntry) -> None:
        """Compare the lines of a change, whole and compact, with their order."""
        for compact in (False, True):
            line = _core.change_line(change, compact)
            made = to_dict(change, compact)
            made["pid"], made["thread"] = os.getpid(), threading.current_thread().name
            if line is None:
                self.left.append(f"{change.action} {change.method}")
            else:
                self.written += 1
                assert in_order(json.loads(encoded(made))) == in_order(json.loads(line))


def in_order(line: dict[str, Any]) -> str:
    """Return a line as text in which the order of keys shows.

    That of its ids does not matter.
    """
    if "ids" in line:
        line["ids"] = dict(sorted(line["ids"].items()))
    return json.dumps(line)


class Thing(TrackedAttr):
    """An object with tracked attributes."""


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: list[int]


class Plain:
    """An object that is not tracked, whose text has quotes."""

    def __repr__(self) -> str:
        return "Plain('\"é\\')"


def dicts() -> Any:
    """Change dicts of every kind, nested and not."""
    d = track({"a": {"b": {"c/d~": [1]}}, "none": None})
    yield d
    d["x"] = 1
    d["x"] = "text"
    d["a"]["b"]["c/d~"].append(2)
    d["a"]["b"]["k"] = {"n": [1, (2, {"m": None})]}
    d[1], d[None], d[True], d[1.5], d[(1, "a")], d[b"k"] = range(6)
    d["deep"] = {1: 2, (1, 2): "t", "$x": 1, b"b": 0}
    d.update(p=1, q=[1], x=None)
    d |= {"r": {"s": 1}}
    del d["x"]
    d.pop("p")
    d.setdefault("w", [])
    d.setdefault("word", "w")
    d.popitem()
    d.clear()
    d.update(one=1, two=[2])
    d.tracking_undo()


def lists() -> Any:
    """Change lists."""
    items = track([3, 1, 2, {"a": 1}])
    yield items
    items[0] = 9
    items[-1]["a"] = 2
    items.insert(1, "x")
    items.append([1])
    items.extend([1, {"z": 2}])
    items[1:3] = ["p", "q", "r"]
    items[::2] = [0] * len(items[::2])
    del items[0]
    items.pop()
    items.sort(key=str)
    items.reverse()
    items *= 2
    items.remove(0)
    items.clear()


def sets() -> Any:
    """Change sets."""
    elements = TrackedSet(["a", "b"])
    yield elements
    elements.add("c")
    elements |= {"d", "e"}
    elements.discard("a")
    elements ^= {"b", "z"}
    elements.add(1)
    elements.add((1, 2))
    elements.pop()
    elements.clear()
    elements.update([1])


def twins() -> Any:
    """Change the tracked twins of the standard containers."""
    root = TrackedDict(q=TrackedDeque([1, 2, 3], maxlen=4), o=TrackedOrderedDict(a=1, b=2), c=TrackedCounter("aab"))
    yield root
    root["q"].appendleft(0)
    root["q"].append([9])
    root["q"].rotate(2)
    root["q"].popleft()
    root["o"].move_to_end("a")
    root["o"]["c"] = TrackedOrderedDict(x=1)
    root["c"].update("abc")
    root["c"].subtract("a")
    root["p"] = root.pop("q")


def attributes() -> Any:
    """Change attributes, and lock."""
    thing = Thing()
    yield thing
    thing.name = "a"
    thing.parts = [1]
    thing.parts.append(2)
    thing.inner = Thing()
    thing.inner.x = {"t": 1}
    thing.inner = None
    del thing.name
    thing.lock()
    thing.unlock()


def places() -> Any:
    """Change what is at several places."""
    shared = TrackedList([1])
    root = TrackedDict(u=shared, v=shared, w=TrackedDict(s=shared))
    yield root
    shared.append(2)
    shared[0] = {"a": 1}
    root["w"]["t"] = shared
    del root["u"]


def references() -> Any:
    """Store what is elsewhere: the root, and what refers back."""
    root = TrackedDict(a=TrackedDict())
    yield root
    root["a"]["top"] = root
    root["a"]["row"] = [root, 1]
    root["b"] = TrackedDict(up=root)


def named() -> Any:
    """Store containers into data with cycles: each line has their ids."""
    root = TrackedDict(a=TrackedDict(), rows=TrackedList())
    yield root
    root["a"]["top"] = root
    root["b"] = TrackedDict({"x": TrackedList([TrackedDict()]), "t/~": (1, TrackedDict()), "$s": TrackedDict()})
    root["c"] = {1: TrackedDict(), "n": [TrackedList(), (TrackedSet(),)]}
    root["d"] = TrackedDeque([1, TrackedDict(up=root)])
    root["rows"].extend([TrackedDict(), [TrackedDict(y=TrackedDict())]])
    root.update(e=TrackedDict(), f=TrackedDict(z=TrackedList()), g=1)
    root["deep"] = TrackedDict(a={"b": {"c": [TrackedDict()]}})


def values() -> Any:
    """Store what is not JSON."""
    root = TrackedDict()
    yield root
    for n, value in enumerate(
        (datetime.datetime(2020, 1, 2, 3, 4, 5, 6), decimal.Decimal("1.50"), Plain(), object, 1 << 70, -0.0, 1e300)
    ):
        root[f"k{n}"] = value
        root[f"k{n}"] = [value, {"v": value}]
    root["nan"] = float("nan")
    root["bytes"] = (b"ab", bytearray(b"c"), frozenset([2, 1]), {"x", "y"}, ())
    root["point"] = Point(1, [2])
    root['quote"\\\n\x00é🙂'] = 'quote"\\\n\x00é🙂\u2028'


PROGRAMS = (dicts, lists, sets, twins, attributes, places, references, named, values)


def run(program: Callable[[], Any], reader: Reader) -> None:
    """Run a program, whose first step yields what is to be observed."""
    steps = program()
    next(steps).tracking_add_observer(reader)
    for _ in steps:
        raise AssertionError("one root each")


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_kind_of_change_takes_python(program: Any) -> None:
    """The core writes the line of each of these changes as Python does."""
    reader = Reader()
    run(program, reader)
    assert [] == reader.left
    assert reader.written >= 6


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_line_has_besides(program: Any) -> None:
    """So it does with a stack, an actor, a context and a transaction."""
    reader = Reader()

    def observe(change: ChangeLogEntry) -> None:
        reader(change)
        assert change.stack
        assert change.context

    steps = program()
    root = next(steps)
    root.tracking_add_observer(observe, when="immediate")
    with tracking_actor("me", why="so", at=datetime.date(2020, 1, 1), rows=[1]), tracking_transaction(root):
        _core.set_default_options(stack=25)
        try:
            for _ in steps:
                raise AssertionError("one root each")
        finally:
            _core.set_default_options(stack=0)
    assert [] == reader.left


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_sessions(steps: Any) -> None:
    """Sessions on a document: containers at several paths, moves, undo."""
    session = Session()
    reader = Reader()
    session.root.tracking_add_observer(reader)
    session.run(steps)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=4)
    | st.text('"\\/~$\x00\x7f\u2028é🙂\ud800', max_size=3)
    | st.binary(max_size=3)
)
KEYS = (
    st.text(max_size=3)
    | st.integers(-3, 3)
    | st.none()
    | st.booleans()
    | st.tuples(st.integers(0, 2))
    | st.binary(max_size=2)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.sets(KEYS, max_size=3)
        | st.frozensets(KEYS, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=5), st.booleans(), st.text(max_size=3))
def test_values_of_any_kind(items: list[tuple[Any, Any]], convert: bool, actor: str) -> None:
    """Any value under any key, in a dict, a list and an object."""
    reader = Reader()
    root = TrackedDict(items=TrackedList(), thing=Thing(), tracking_auto_convert=convert)
    root.tracking_add_observer(reader)
    with tracking_actor(actor):
        for key, value in items:
            root[key] = value
            root["items"].append(value)
            root["thing"].x = value
        root["items"][:] = [value for _, value in items]
        root.update(items)


@needs_watch
def test_watched_objects() -> None:
    """Changes of watched data, what refers back and found ones included."""

    class Agent:
        def __init__(self, model: Any) -> None:
            self.model = model
            self.wealth = 1
            self.home: Any = None

    model = types.SimpleNamespace(agents=[], index={}, kinds=collections.OrderedDict(a=1))
    watched = watch(model, into=(Agent,))
    reader = Reader()
    watched.tracking_add_observer(reader)
    for n in range(5):
        agent = Agent(model)
        model.index[n] = agent
        agent.wealth += 1
        agent.home = types.SimpleNamespace(x=n, near=[n])
        model.kinds[str(n)] = n
        model.agents.append(n)
    watched.tracking_changes()  # compares
    del model.index[2]
    model.index[3].home = Plain()
    assert reader.written >= 30
    assert {"add __setitem__"} >= set(reader.left)  # told later, when the agent had changed again


# ---- names of secrets

JOINTS = st.text('-_ .1é\n\t"\\/', max_size=3)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SECRETS),
    st.integers(1, 12),
    JOINTS,
    st.text(max_size=3),
    st.text(max_size=3),
    st.booleans(),
    st.data(),
)
def test_no_secret_passes_unseen(
    word: str, split: int, joint: str, before: str, after: str, as_value: bool, data: st.DataObject
) -> None:
    """A line with the name of a secret is never written without a look.

    However the name is joined, and wherever it stands.
    """
    letters = word.replace("_", "")
    upper = data.draw(st.lists(st.booleans(), min_size=len(letters), max_size=len(letters)))
    mixed = "".join(c.upper() if up else c for c, up in zip(letters, upper, strict=True))
    name = before + mixed[:split] + joint + mixed[split:] + after
    d = TrackedDict()
    if as_value:
        d["v"] = {name: 1}
    else:
        d[name] = 1
    if is_secret(name):
        assert _core.change_line(d.last_change(), True, True) is None


def test_ordinary_names_pass() -> None:
    """A line without such words is written at once."""
    d = TrackedDict(tracking_capture_stack=True)
    for name in ("monkey", "key", "passage", "sector", "crew", "stock", "author", "words"):
        d[name] = {"id": [name]}
        change = d.last_change()
        assert _core.change_line(change, False) == _core.change_line(change, False, True) is not None
