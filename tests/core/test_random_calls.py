"""Random calls on a tracked container and a plain subclass, side by side.

After every step both have the same result, exception and state; the records replay the first state to the present one,
and `_check()` passes. PYDATATRACKER_FUZZ=N runs N examples of each machine instead of a few.
"""

from __future__ import annotations

import os
import re
from typing import Any

from calls import attr_calls, dict_calls, hashable, list_calls, perform, realise, set_calls
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from oracle import TRACKED, Oracle, public

import pydatatracker
from pydatatracker import MISSING, _core

FUZZ = int(os.environ.get("PYDATATRACKER_FUZZ", "0"))
SETTINGS = settings(
    max_examples=FUZZ or 60,
    stateful_step_count=60 if FUZZ else 30,
    deadline=None,
    derandomize=not FUZZ,
    database=None,
    phases=[Phase.generate] if os.environ.get("PYDATATRACKER_FUZZ_FAST") else list(Phase),
    suppress_health_check=list(HealthCheck),
)

# The neighbour is a subclass of the same name that does nothing: messages name the class.
PlainDict = type("TrackedDict", (dict,), {})
PlainList = type("TrackedList", (list,), {})
PlainSet = type("TrackedSet", (set,), {})


class _Body:
    shown = "default"

    @property
    def fixed(self) -> str:
        return "fixed"


class PlainNode(_Body):
    pass


class Node(_Body, pydatatracker.TrackedAttr):
    pass


PlainNode.__name__ = PlainNode.__qualname__ = "Node"
Node.__qualname__ = "Node"


class Side:
    """One of the two sides of a comparison, for `calls.realise`."""

    def __init__(self, container: Any, nested: bool, nodes: list[Any]) -> None:
        self.container = container
        self.nested = nested
        self.nodes = nodes

    def value(self, plain: Any) -> Any:
        return plain

    def other(self, n: int) -> Any:
        return self.nodes[n % len(self.nodes)]


class Model(Side):
    """The plain side: it converts what is stored as the tracked side does."""

    def value(self, plain: Any) -> Any:
        return plain


def converted(value: Any) -> Any:
    """Convert exact dicts, lists and sets as auto_convert does, at any depth."""
    if type(value) is dict:
        return PlainDict({k: converted(v) for k, v in value.items()})
    if type(value) is list:
        return PlainList([converted(v) for v in value])
    if type(value) is set:
        return PlainSet(value)
    return value


def convert_below(container: Any) -> None:
    if isinstance(container, dict):
        for key, value in container.items():
            container[key] = converted(value)
    elif isinstance(container, list):
        container[:] = [converted(v) for v in container]
    elif isinstance(container, PlainNode):
        for key, value in vars(container).items():
            if not key.startswith("_"):
                vars(container)[key] = converted(value)


def alike(a: Any, b: Any, pairs: dict[int, Any]) -> bool:
    """Return whether a tracked value looks as its plain counterpart does.

    ``pairs`` holds the containers that were compared.
    """
    if isinstance(a, TRACKED):
        if id(a) in pairs:
            return pairs[id(a)] is b
        pairs[id(a)] = b
        if type(a).__name__ != type(b).__name__:
            return False
        if isinstance(a, dict):
            return len(a) == len(b) and all(
                alike(k, m, pairs) and alike(v, w, pairs) for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
            )
        if isinstance(a, list):
            return len(a) == len(b) and all(alike(v, w, pairs) for v, w in zip(a, b, strict=True))
        if isinstance(a, set):
            return set(a) == set(b)
        return alike_items(public(a), public(b), pairs)
    if type(a) in (list, tuple) and type(a) is type(b):
        return len(a) == len(b) and all(alike(v, w, pairs) for v, w in zip(a, b, strict=True))
    if type(a) is dict and type(b) is dict:
        return alike_items(a, b, pairs)
    return a is b or (type(a) is type(b) and a == b)


def alike_items(a: dict[Any, Any], b: dict[Any, Any], pairs: dict[int, Any]) -> bool:
    return list(a) == list(b) and all(alike(a[k], b[k], pairs) for k in a)


def said(outcome: tuple[Any, ...]) -> str:
    """Return the text of an exception, empty for a wrong number of arguments.

    Those have a table in test_mutators.
    """
    return "" if re.search(r"argument|expected at (most|least)|expected \d", outcome[2]) else outcome[2]


def compare(ours: tuple[Any, ...], theirs: tuple[Any, ...], pairs: dict[int, Any]) -> None:
    assert ours[0] == theirs[0], f"tracked {ours}, builtin {theirs}"
    if ours[0] == "raised":
        assert ours[1] is theirs[1], f"tracked {ours}, builtin {theirs}"
        assert said(ours) == said(theirs)
    else:
        assert alike(ours[1], theirs[1], dict(pairs)), f"tracked {ours[1]!r}, builtin {theirs[1]!r}"


class Flat(RuleBasedStateMachine):
    """One container that holds anything, converting nothing."""

    tracked: Any
    plain: Any

    def begin(self, tracked: Any, plain: Any) -> None:
        self.tracked, self.plain = tracked, plain
        self.oracle = Oracle(tracked)
        self.seen = 0

    def run_both(self, call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
        name, specs, kwargs = call
        results = []
        for side in (Side(self.tracked, False, []), Model(self.plain, False, [])):
            try:
                args = [realise(spec, side) for spec in specs]
            except TypeError:  # an argument that cannot be made: a set of lists
                return
            results.append(perform(side.container, name, args, kwargs))
        compare(results[0], results[1], {id(self.tracked): self.plain})

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "tracked"):
            return
        assert alike(self.tracked, self.plain, {}), f"tracked {self.tracked!r}, builtin {self.plain!r}"
        changes = self.tracked.tracking_changes()
        assert changes[0].action == "init"
        self.oracle.catch_up(changes[1 + self.seen :])
        self.seen = len(changes) - 1
        self.oracle.agrees(self.tracked)
        self.tracked._check()


class DictMachine(Flat):
    @initialize(items=st.dictionaries(hashable.map(lambda spec: spec[1]), st.integers(0, 9), max_size=4))
    def start(self, items: Any) -> None:
        self.begin(pydatatracker.TrackedDict(items), PlainDict(items))

    @rule(call=dict_calls(hashable))
    def call(self, call: Any) -> None:
        self.run_both(call)


class ListMachine(Flat):
    @initialize(items=st.lists(st.integers(0, 9), max_size=6))
    def start(self, items: Any) -> None:
        self.begin(pydatatracker.TrackedList(items), PlainList(items))

    @precondition(lambda self: len(self.plain) < 100)
    @rule(call=list_calls(hashable))
    def call(self, call: Any) -> None:
        self.run_both(call)


class SetMachine(Flat):
    @initialize(items=st.lists(hashable.map(lambda spec: spec[1]), max_size=6))
    def start(self, items: Any) -> None:
        self.begin(pydatatracker.TrackedSet(items), PlainSet(items))

    @rule(call=set_calls(hashable))
    def call(self, call: Any) -> None:
        if call[0] == "pop":  # which element goes is not promised, and the tables of the two may differ
            call = ("remove", (("value", next(iter(self.tracked), None)),), {})
        self.run_both(call)


class AttrMachine(Flat):
    @initialize()
    def start(self) -> None:
        self.begin(Node(), PlainNode())

    @rule(call=attr_calls(hashable))
    def call(self, call: Any) -> None:
        self.run_both(call)


LEAVES = st.one_of(
    st.integers(0, 5).map(lambda v: ("value", v)),
    st.sampled_from(["a", "b"]).map(lambda v: ("value", v)),
)
KEYS = st.sampled_from(["a", "b", "c", 0, 1]).map(lambda v: ("value", v))
FRESH = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("list"), st.lists(inner, max_size=3)),
        st.tuples(st.just("dict"), st.lists(st.tuples(KEYS, inner), max_size=3)),
        st.tuples(st.just("set"), st.lists(LEAVES, max_size=3)),
    ),
    max_leaves=6,
)
VALUES = st.one_of(LEAVES, FRESH, FRESH, st.integers(0, 50).map(lambda n: ("other", n)), st.just(("self",)))


class NestedMachine(RuleBasedStateMachine):
    """A document that converts what is stored in it.

    Containers are stored again, elsewhere, and in themselves.
    """

    @initialize()
    def start(self) -> None:
        make = {"rows": [{"a": 1}, [1, 2]], "cfg": {"ports": [80], "tags": {1}}}
        self.tracked = pydatatracker.track(make, tracking_max_changes=None)
        self.plain = converted(make)
        self.node, self.plain_node = Node(), PlainNode()
        self.tracked["node"], self.plain["node"] = self.node, self.plain_node
        self.pairs: list[tuple[Any, Any]] = []
        self.oracle = Oracle(self.tracked)
        self.seen = _core.newest_seq()
        self.pair_up()

    def pair_up(self) -> None:
        """Pair all containers that were ever in the document with the plain ones."""
        known = {id(a): b for a, b in self.pairs}
        before = dict(known)
        known.pop(id(self.tracked), None)
        fresh: dict[int, Any] = {}
        assert alike(self.tracked, self.plain, fresh), f"tracked {self.tracked!r}, builtin {self.plain!r}"
        for key, plain in fresh.items():
            assert before.get(key, plain) is plain, "an object is another one on the other side"
        todo = [(self.tracked, self.plain)] + self.pairs
        seen = set(before)
        while todo:
            a, b = todo.pop()
            if isinstance(a, TRACKED) and id(a) not in seen:
                seen.add(id(a))
                self.pairs.append((a, b))
                if isinstance(a, dict):
                    todo.extend(zip(dict.values(a), dict.values(b), strict=True))
                elif isinstance(a, list):
                    todo.extend(zip(list(a), list(b), strict=True))
                elif not isinstance(a, set):
                    todo.extend(zip(public(a).values(), public(b).values(), strict=True))

    def on(self, n: int, kind: Any, call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
        chosen = [pair for pair in self.pairs if isinstance(pair[0], kind)]
        if not chosen:
            return
        name, specs, kwargs = call
        if name == "pop" and kind is set:
            return
        pair = chosen[n % len(chosen)]
        if isinstance(pair[0], list) and len(pair[0]) > 20:
            name, specs, kwargs = "clear", (), {}
        results = []
        for which in (0, 1):
            side = (Side, Model)[which](pair[which], True, [p[which] for p in self.pairs])
            try:
                args = [realise(spec, side) for spec in specs]
            except TypeError:
                return
            results.append(perform(side.container, name, args, kwargs))
        convert_below(pair[1])
        assert results[0][0] == results[1][0], results
        if results[0][0] == "raised":
            if "TrackedDict" in results[0][2] or results[0][1] is RecursionError:
                assert results[0][1] is results[1][1]
            else:
                assert said(results[0]) == said(results[1])

    @rule(n=st.integers(0, 50), call=dict_calls(VALUES, KEYS))
    def in_dict(self, n: int, call: Any) -> None:
        self.on(n, dict, call)

    @rule(n=st.integers(0, 50), call=list_calls(VALUES).filter(lambda c: c[0] not in ("sort", "remove")))
    def in_list(self, n: int, call: Any) -> None:
        self.on(n, list, call)

    @rule(n=st.integers(0, 50), call=set_calls(LEAVES))
    def in_set(self, n: int, call: Any) -> None:
        self.on(n, set, call)

    @rule(n=st.integers(0, 50), call=attr_calls(VALUES))
    def in_attr(self, n: int, call: Any) -> None:
        self.on(n, Node, call)

    @rule(n=st.integers(0, 50))
    def sort(self, n: int) -> None:
        """Sort by the name of the type: a stable order that both sides share."""
        chosen = [pair for pair in self.pairs if isinstance(pair[0], list)]
        pair = chosen[n % len(chosen)]
        for each in pair:
            each.sort(key=lambda item: (isinstance(item, (dict, list, set)), type(item).__name__))

    @rule(n=st.integers(0, 50), kind=st.sampled_from([dict, list, set, Node]), drop=st.booleans())
    def ask(self, n: int, kind: Any, drop: bool) -> None:
        """Read the history, which changes nothing."""
        chosen = [pair for pair in self.pairs if isinstance(pair[0], kind)]
        for a, _ in chosen[n % len(chosen) :][:1] if chosen else []:
            for change in a.tracking_changes():
                assert change.tree[-1]["uuid"] == change.tracked_item_uuid
                assert a.tracking_uuid in [step["uuid"] for step in change.tree] or len(change.paths) >= 1
                assert len(change.paths) >= 1

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "tracked"):
            return
        self.pair_up()
        newest = _core.newest_seq()
        changes = self.tracked.changes_since(self.seen, inclusive=False)
        for change in changes:
            assert change.before is not MISSING or change.after is not MISSING or change.location is None
        elsewhere = [c for a, _ in self.pairs for c in a.changes_since(self.seen, inclusive=False)]
        self.oracle.catch_up(changes, elsewhere)
        self.seen = newest
        self.oracle.agrees(self.tracked)
        self.tracked._check()


for machine in (DictMachine, ListMachine, SetMachine, AttrMachine, NestedMachine):
    machine.TestCase.settings = SETTINGS

TestDict = DictMachine.TestCase
TestList = ListMachine.TestCase
TestSet = SetMachine.TestCase
TestAttr = AttrMachine.TestCase
TestNested = NestedMachine.TestCase
