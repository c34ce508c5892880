"""The twins of the containers in `collections` do what those do.

One call is one record. Random programs run on a twin and on its original. After each step both hold the same in the same order, and the
history leads back to every state: by `tracking_state_at`, by undo and redo, and by a log that is replayed.
"""

from __future__ import annotations

import copy
import functools
import gc
import json
import pickle
import random
import sys
import threading
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest
from builds import FREE_THREADED, TABLES

from pydatatracker import (
    MISSING,
    Replica,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    replay,
    track,
)

KEYS: list[Any] = ["a", "b", "c", "d", "e", 1, 2.5, (1, 2), None, True]


class Loud:
    """A key whose hash and comparison are Python code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self.name == getattr(other, "name", other)

    def __repr__(self) -> str:
        return f"Loud({self.name!r})"


def pairs(r: random.Random, keys: list[Any]) -> list[tuple[Any, Any]]:
    return [(r.choice(keys), r.randrange(100)) for _ in range(r.randrange(5))]


def dict_call(r: random.Random, keys: list[Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    key = r.choice(keys)
    return r.choice(
        [
            ("__setitem__", (key, r.randrange(100)), {}),
            ("__setitem__", (key, r.randrange(100)), {}),
            ("__delitem__", (key,), {}),
            ("pop", (key,), {}),
            ("pop", (key, None), {}),
            ("popitem", (), {}),
            ("setdefault", (key, 7), {}),
            ("update", (pairs(r, keys),), {}),
            ("update", (dict(pairs(r, keys)),), {}),
            ("update", (iter(pairs(r, keys)),), {"z": 1}),
            ("__ior__", (dict(pairs(r, keys)),), {}),
            ("clear", (), {}),
        ]
    )


def ordered_call(r: random.Random, keys: list[Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if r.random() < 0.5:
        return r.choice(
            [
                ("move_to_end", (r.choice(keys),), {}),
                ("move_to_end", (r.choice(keys),), {"last": False}),
                ("popitem", (False,), {}),
                ("popitem", (), {"last": True}),
                ("pop", (), {"key": r.choice(keys), "default": 1}),
                ("setdefault", (), {"key": r.choice(keys)}),
            ]
        )
    return dict_call(r, keys)


def default_call(r: random.Random, keys: list[Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    return ("__getitem__", (r.choice(keys),), {}) if r.random() < 0.3 else dict_call(r, keys)


def counter_call(r: random.Random, keys: list[Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    def words() -> list[Any]:
        return [r.choice(keys) for _ in range(r.randrange(12))]

    if r.random() < 0.7:
        return r.choice(
            [
                ("update", (words(),), {}),
                ("update", (iter(words()),), {"z": 2}),
                ("update", ({"a": 3, "b": -4},), {}),
                ("subtract", (words(),), {}),
                ("subtract", ({"a": 3},), {"b": 1}),
                ("__iadd__", (Counter(words()),), {}),
                ("__isub__", (Counter(words()),), {}),
                ("__ior__", (Counter(words()),), {}),
                ("__iand__", (Counter(words()),), {}),
                ("__missing__", ("nothing",), {}),
            ]
        )
    call = dict_call(r, keys)
    return call if call[0] not in ("__ior__", "update") else ("popitem", (), {})


def deque_call(r: random.Random, keys: list[Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    def items() -> list[Any]:
        return [r.randrange(100) for _ in range(r.randrange(6))]

    at = r.randrange(-9, 9)
    return r.choice(
        [
            ("append", (r.randrange(100),), {}),
            ("append", (r.randrange(100),), {}),
            ("appendleft", (r.randrange(100),), {}),
            ("extend", (items(),), {}),
            ("extend", (iter(items()),), {}),
            ("extendleft", (items(),), {}),
            ("__iadd__", (tuple(items()),), {}),
            ("__imul__", (r.choice([0, 1, 1, 1, 2, 3]),), {}),
            ("insert", (at, r.randrange(100)), {}),
            ("pop", (), {}),
            ("popleft", (), {}),
            ("remove", (r.randrange(100),), {}),
            ("rotate", (at,), {}),
            ("rotate", (), {}),
            ("reverse", (), {}),
            ("__setitem__", (at, r.randrange(100)), {}),
            ("__delitem__", (at,), {}),
            ("clear", (), {}) if r.random() < 0.3 else ("rotate", (2,), {}),
        ]
    )


def count() -> Any:
    """Return a factory of the numbers from 0 on."""
    numbers = iter(range(10_000))
    return lambda: next(numbers)


KINDS: dict[str, Any] = {
    "OrderedDict": (lambda: (TrackedOrderedDict(a=1, b=2, c=3), OrderedDict(a=1, b=2, c=3)), ordered_call),
    "defaultdict": (lambda: (TrackedDefaultDict(count(), a=1), defaultdict(count(), a=1)), default_call),
    "Counter": (lambda: (TrackedCounter("abracadabra"), Counter("abracadabra")), counter_call),
    "deque": (lambda: (TrackedDeque("abc"), deque("abc")), deque_call),
    "deque of 5": (lambda: (TrackedDeque("abc", 5), deque("abc", 5)), deque_call),
    "deque of 1": (lambda: (TrackedDeque("a", maxlen=1), deque("a", maxlen=1)), deque_call),
    "deque of 0": (lambda: (TrackedDeque("", maxlen=0), deque(maxlen=0)), deque_call),
}


def held(container: Any) -> list[Any]:
    return list(container.items()) if isinstance(container, dict) else list(container)


def do(container: Any, call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
    name, args, kwargs = call
    if name == "__imul__":
        container *= args[0]
        return "the same"
    try:
        result = getattr(container, name)(*args, **kwargs)
    except Exception as error:
        return type(error)
    return "the same" if result is container else result


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("keys", ["quiet", "loud"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_random_program_does_what_it_does_on_the_original(kind: str, keys: str, seed: int) -> None:
    """Results, contents and order are those of the original.

    The history leads back to every state.
    """
    make, call = KINDS[kind]
    r = random.Random(f"{kind} {seed}")
    twin, original = make()
    twin.tracking_changes()
    names = KEYS if keys == "quiet" else [*KEYS, *(Loud(name) for name in "abcde")]
    lines: list[str] = []
    twin.tracking_add_observer(lambda change: lines.append(json.dumps(change.to_dict())))
    start = held(twin)
    states = {twin.tracking_changes()[0].seq: start}
    for _ in range(60):
        state = r.getstate()
        step = call(r, names)
        before = twin.last_change()
        r.setstate(state)
        mine = do(twin, step)
        theirs = do(original, call(r, names))
        assert mine == theirs, step
        assert held(twin) == held(original), step
        assert type(twin.tracking_changes()[0].after) in (dict, list)
        twin._check()
        new = twin.changes_since(before, inclusive=False)
        assert keys == "loud" or len(new) <= 1, step
        states |= {change.seq: held(twin) for change in new[-1:]}
    assert twin.tracking_verify() is None
    if not TABLES:  # an earlier order is not known
        return
    for seq, state in reversed(states.items()):
        assert held(twin.tracking_state_at(seq)) == state
    end = held(twin)
    if keys == "quiet":
        empty: Any = [] if isinstance(original, deque) else {}
        for value in (type(empty)(dict(start) if type(empty) is dict else start), make()[0]):
            replica = Replica(value)
            for line in lines:
                replica.apply(line)
            assert held(replica.value) == end
        assert replica.value.tracking_verify() is None
    for change in twin.tracking_undo(1000):
        assert change is not None
    assert held(twin) == start
    twin._check()
    twin.tracking_redo(1000)
    assert held(twin) == end
    assert twin.tracking_verify() is None


MADE: dict[str, Any] = {
    "OrderedDict": lambda: (TrackedOrderedDict(b=1, a=[2]), OrderedDict(b=1, a=[2])),
    "defaultdict": lambda: (TrackedDefaultDict(list, b=1, a=[2]), defaultdict(list, b=1, a=[2])),
    "Counter": lambda: (TrackedCounter("aab"), Counter("aab")),
    "deque": lambda: (TrackedDeque([[1], 2], 3), deque([[1], 2], 3)),
}


def pickled(value: Any, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(value, protocol))


BY = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "copy()": lambda x: x.copy(),
    "class": lambda x: type(x)(x) if not isinstance(x, defaultdict) else type(x)(x.default_factory, x),
    **{f"pickle {n}": functools.partial(pickled, protocol=n) for n in range(6)},
}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("kind", MADE)
def test_copies_are_those_of_the_original(kind: str, by: str) -> None:
    """A copy has the same class and contents, and records from there on."""
    twin, original = MADE[kind]()
    mine, theirs = BY[by](twin), BY[by](original)
    assert type(mine) is type(twin)
    assert (held(mine), repr(mine)) == (held(theirs), repr(theirs))
    for name in ("maxlen", "default_factory"):
        assert getattr(mine, name, None) == getattr(theirs, name, None)
    if by != "copy()":
        assert [change.action for change in mine.tracking_changes()] == ["init"]
    mine._check()
    mine.clear()
    assert mine.last_change().method == "clear"
    assert held(twin) == held(original)


@pytest.mark.parametrize("kind", MADE)
def test_a_twin_is_its_original(kind: str) -> None:
    """It is an instance of it, equal to it, and shown like it."""
    twin, original = MADE[kind]()
    plain = type("Plain", (type(original),), {})
    assert isinstance(twin, type(original))
    assert twin == original
    assert original == twin
    assert twin == original
    assert f"{twin} {twin!r} {[twin]}" == f"{original} {original!r} {[original]}"
    if isinstance(original, deque):
        assert twin + original == original + original == original + twin
        assert type(twin + original) is type(twin)
        assert type(twin * 2) is type(twin)
        assert held(twin * 2) == held(original * 2)
        assert held(2 * twin) == held(2 * original)
        assert (twin * 2).tracking_verify() is None
        assert (twin + twin).tracking_verify() is None
    else:
        mine, its = twin | {"z": 1} if kind != "Counter" else twin | twin, plain
        assert isinstance(mine, type(original))
        assert its
        assert mine == (original | {"z": 1} if kind != "Counter" else original | original)
        assert json.dumps(twin) == json.dumps(original)


def test_what_a_default_factory_makes_is_an_add_by_missing() -> None:
    """The method is ``__missing__``; the caller gets what was converted."""
    d = track(defaultdict(lambda: defaultdict(list)))
    d["a"]["b"].append(1)
    assert [(c.action, c.method, c.pointer) for c in d.tracking_changes()[1:]] == [
        ("add", "__missing__", "/a"),
        ("add", "__missing__", "/a/b"),
        ("add", "append", "/a/b/0"),
    ]
    assert d == {"a": {"b": [1]}}
    assert type(d["a"]["b"]) is TrackedList
    with pytest.raises(KeyError):
        TrackedDefaultDict(None)["x"]


def test_what_a_class_defines_itself_is_called() -> None:
    """An own ``__setitem__`` is called where the original calls it."""

    class Upper(TrackedOrderedDict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key.upper(), value)

    d = Upper(a=1)
    d.update(b=2)
    d.setdefault("c", 3)
    assert list(d) == ["A", "B", "C"]
    assert [change.pointer for change in d.tracking_changes()] == ["", "/B", "/C"]

    class Made(TrackedDefaultDict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, [*value, 1])

    made = Made(list, tracking_auto_convert=True)
    assert made["a"] == [1]
    assert type(made["a"]) is TrackedList


def test_counting_is_one_record_with_one_row_for_each_element() -> None:
    """Each element has one row with its count before and after."""
    c = TrackedCounter()
    c.update("abracadabra")
    c.subtract("aab", r=2)
    c += Counter("z")
    assert [change.method for change in c.tracking_changes()[1:]] == ["update", "subtract", "__iadd__"]
    assert c.tracking_changes()[1].changes == tuple(
        (letter, MISSING, n) for letter, n in Counter("abracadabra").items()
    )
    assert c.tracking_changes()[2].changes == (("a", 5, 3), ("b", 2, 1), ("r", 2, 0))
    assert c.tracking_changes()[3].changes == (("z", MISSING, 1), ("r", 0, MISSING))


def test_counting_that_fails_keeps_what_was_counted() -> None:
    """It leaves what Counter leaves, and that is recorded."""

    def words() -> Any:
        yield from "aab"
        raise ValueError

    c = TrackedCounter(a=1)
    with pytest.raises(ValueError):
        c.update(words())
    assert c == {"a": 3, "b": 1}
    assert c.last_change().changes == (("a", 1, 3), ("b", MISSING, 1))


def test_an_iterator_sees_a_deque_grow() -> None:
    """Extending goes step by step; what the iterator does is in order."""
    plain, twin = deque([1, 2, 3]), TrackedDeque([1, 2, 3])
    for each in (plain, twin):
        each.extend(each.popleft() * 10 + len(each) for _ in range(5))
    assert list(plain) == list(twin)
    assert twin.tracking_verify() is None
    twin._check()


def test_children_keep_their_paths() -> None:
    """Paths follow when items move, fall out or come back."""
    q = track(deque([{"n": n} for n in range(3)], 3))
    middle = q[1]
    q.rotate(1)
    middle["n"] = 10
    assert q.last_change().pointer == "/2/n"
    q.append({"n": 3})
    middle["n"] = 11
    assert q.last_change().pointer == "/1/n"
    q.extend([{"n": 4}, {"n": 5}])
    middle["n"] = 12
    assert q.last_change().method == "extend"
    assert middle.last_change().path == ("n",)
    q._check()
    o = track(OrderedDict(a={}, b={}))
    o.move_to_end("a")
    o["a"]["x"] = 1
    assert o.last_change().pointer == "/a/x"
    o._check()


def test_conversion_keeps_the_kind_and_what_belongs_to_it() -> None:
    """Twins keep the factory, maxlen, order and attributes."""
    ordered: Any = OrderedDict(a=[1])
    ordered.note = "kept"
    ordered.move_to_end("a")
    t = track({"o": ordered, "d": defaultdict(list, x=[1]), "c": Counter("aab"), "q": deque([{}], 4)})
    assert [type(value) for value in t.values()] == [
        TrackedOrderedDict,
        TrackedDefaultDict,
        TrackedCounter,
        TrackedDeque,
    ]
    assert (t["o"].note, t["d"].default_factory, t["q"].maxlen) == ("kept", list, 4)
    assert type(t["o"]["a"]) is TrackedList
    assert type(t["q"][0]) is TrackedDict
    t._check()
    d = TrackedDict(tracking_auto_convert=True)
    d["q"] = deque([1])
    d["c"] = Counter("a")
    assert type(d["q"]) is TrackedDeque
    assert type(d["c"]) is TrackedCounter


def test_a_log_of_a_deque_with_a_maxlen_rebuilds_it(tmp_path: Any) -> None:
    """What falls out, rotates or is reversed replays from the lines."""
    from pydatatracker.io import ChangeWriter

    q = TrackedDeque([1, 2], 3)
    with ChangeWriter(tmp_path / "log.jsonl") as log:
        q.tracking_add_observer(log.write)
        for n in range(5):
            q.append(n)
        q.rotate(1)
        q.appendleft(9)
        q.reverse()
        q.extendleft("ab")
    assert replay(tmp_path / "log.jsonl") == list(q)


def test_a_patch_of_a_deque_leads_to_the_same(tmp_path: Any) -> None:
    """The patch of all changes leads from the first state to the last."""
    for seed in range(20):
        r = random.Random(seed)
        twin = TrackedDeque([1, 2, 3], 5)
        for _ in range(10):
            do(twin, deque_call(r, KEYS))
        other = TrackedDeque([1, 2, 3], 5)
        other.tracking_apply_patch(twin.tracking_patch(0))
        assert other == twin
        assert [change.pointer for change in twin.tracking_net_changes()] or held(twin) == [1, 2, 3]


def test_blame_follows_an_item_of_a_deque() -> None:
    """The change of an item is the one that stored it, wherever it is now."""
    for options in ({}, {"tracking_max_changes": 4, "tracking_remember_last": True}):
        q: Any = TrackedDeque([0], 4, **options)
        for n in range(1, 7):
            q.append(n)
        q.rotate(1)
        q.reverse()
        q[0] = "x"
        assert list(q) == ["x", 4, 3, 6]
        start = q.last_change().seq - 9  # nine changes: six appends, rotate, reverse, a store
        blamed = q.tracking_blame()
        assert {key: change.seq - start for key, change in blamed.items()} == {"/0": 9, "/1": 4, "/2": 3, "/3": 6}
        assert q.tracking_blame("/1").seq == blamed["/1"].seq


def made(cls: Any) -> Any:
    return cls(list) if issubclass(cls, defaultdict) else cls()


def put(container: Any, value: Any) -> None:
    if isinstance(container, deque):
        container.append(value)
    else:
        container["a"] = value


TWINS = [TrackedOrderedDict, TrackedDefaultDict, TrackedCounter, TrackedDeque]


@pytest.mark.parametrize("base", TWINS)
@pytest.mark.parametrize("derived", [False, True])
def test_a_twin_is_freed_and_its_class_with_it(base: Any, derived: bool) -> None:
    """In cycles through itself and through its class, and nested deeply."""
    cls = type("Derived", (base,), {}) if derived else base
    one = made(cls)
    put(one, TrackedDict(a=one))
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None
    before = sys.getrefcount(cls)
    for n in range(1000):
        one = made(cls)
        put(one, n)
    del one
    assert sys.getrefcount(cls) == before
    top = made(cls)
    for _ in range(30_000):
        below, top = top, made(cls)
        put(top, below)
    del top, below
    if derived:
        cls.instance = made(cls)
        gone = weakref.ref(cls)
        del cls
        gc.collect()
        if FREE_THREADED and gone() is not None:
            pytest.skip("the class stays on a free-threaded CPython: not understood")
        assert gone() is None


def test_threads_share_twins() -> None:
    """What several threads do is in the log, in order."""
    queue: Any = TrackedDeque(maxlen=50, tracking_max_changes=None)
    ordered: Any = TrackedOrderedDict(tracking_max_changes=None)
    counts: Any = TrackedCounter(tracking_max_changes=None)

    def work(name: int) -> None:
        for n in range(500):
            queue.append(n)
            queue.extend(iter([1, 2]))
            queue.rotate(1)
            ordered[name, n % 10] = n
            ordered.move_to_end((name, n % 7))
            counts.update([name, n % 5])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in (queue, ordered, counts):
        each._check()
        assert each.tracking_verify() is None
        assert not each.tracking_state_at(each.tracking_changes()[0])
    assert sum(counts.values()) == 4 * 500 * 2
