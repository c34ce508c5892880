"""User objects that raise, re-enter, mutate or start threads.

Nothing is lost, and the log stays true.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from calls import Boom
from oracle import Oracle

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, tracking_actor

PlainDict, PlainList, PlainSet = (type(f"Tracked{b.__name__.title()}", (b,), {}) for b in (dict, list, set))


class Key:
    """Equal by n; runs an errand in ``__eq__`` once it is armed."""

    def __init__(self, n: int, errand: Callable[[], Any] | None = None) -> None:
        self.n = n
        self.errand = errand

    def __eq__(self, other: object) -> bool:
        if self.errand is not None:
            errand, self.errand = self.errand, None
            errand()
        return isinstance(other, Key) and self.n == other.n

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return f"Key({self.n})"


class Loud:
    """Raises from every method that the library has no reason to call."""

    def __repr__(self) -> str:
        raise Boom("repr")

    __str__ = __bool__ = __len__ = __iter__ = __index__ = __format__ = __repr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise Boom("eq")

    __hash__ = object.__hash__


def boom() -> Any:
    raise Boom("errand")


def both(tracked: Any, plain: Any, do: Callable[[Any], Any]) -> None:
    """Do it on both sides, and compare outcome and state.

    The records of the tracked side replay.
    """
    oracle, outcomes = Oracle(tracked), []
    before = len(tracked.tracking_changes())
    for side in (tracked, plain):
        try:
            outcomes.append(("returned", repr(do(side))))
        except Exception as error:
            outcomes.append(("raised", type(error), str(error)))
    assert outcomes[0] == outcomes[1]
    assert repr(tracked) == repr(plain)
    oracle.catch_up(tracked.tracking_changes()[before:])
    oracle.agrees(tracked)
    tracked._check()


def after(n: int, items: list[Any]) -> Iterator[Any]:
    yield from items[:n]
    raise Boom("midway")


@pytest.mark.parametrize(
    "do",
    [
        lambda items: items.extend(after(2, [7, 8, 9])),
        lambda items: items.__iadd__(after(2, [7, 8, 9])),
        lambda items: items.__setitem__(slice(1, 2), after(2, [7, 8, 9])),
        lambda items: items.__setitem__(slice(None, None, 2), after(2, [7, 8, 9])),
        lambda items: items.__init__(after(2, [7, 8])),
        lambda items: items.sort(key=lambda item: boom() if item == 2 else item),
        lambda items: items.sort(key=lambda item: items.append(1)),
        lambda items: items.sort(key=lambda item: items.clear()),
        lambda items: items.sort(key=lambda item: len(items)),
        lambda items: items.extend(len(items) for _ in range(3)),
        lambda items: items.extend(items[-1] + items[-2] for _ in range(5)),
        lambda items: items.__iadd__(items.pop() for _ in range(2)),
        lambda items: items.extend(items.append(0) for _ in range(2)),
        lambda items: items.__setitem__(slice(0, 1), (items.pop() for _ in range(2))),
        lambda items: items.__imul__(Loud()),
        lambda items: items.insert(Loud(), 1),
        lambda items: items.pop(Loud()),
        lambda items: items.__setitem__(Loud(), 1),
        lambda items: items.__delitem__(slice(Loud(), None)),
        lambda items: items.remove(Loud()),
        lambda items: items.extend(Loud()),
    ],
)
def test_lists_that_fail_midway(do: Any) -> None:
    """Arguments that raise or change the list do what they do to a list."""
    both(TrackedList([3, 1, 2]), PlainList([3, 1, 2]), do)


@pytest.mark.parametrize(
    "do",
    [
        lambda d: d.update(after(2, [(1, "x"), (9, "y"), (8, "z")])),
        lambda d: d.__ior__(after(2, [(1, "x"), (9, "y"), (8, "z")])),
        lambda d: d.update([(9, 1), (8,), (7, 1)]),
        lambda d: d.update((n, len(d)) for n in (7, 8, 9)),
        lambda d: d.update((n, d.pop(n, None)) for n in (1, 2)),
        lambda d: d.update([(9, 1), ([], 2)]),
        lambda d: d.__init__(after(1, [(9, 1)])),
        lambda d: d.update(Loud()),
        lambda d: d.pop([], 1),
        lambda d: d.setdefault([], 1),
        lambda d: d.__setitem__(1, d),
    ],
)
def test_dicts_that_fail_midway(do: Any) -> None:
    """Arguments that raise or change the dict do what they do to a dict."""
    both(TrackedDict({1: "a", 2: "b"}), PlainDict({1: "a", 2: "b"}), do)


@pytest.mark.parametrize(
    "do",
    [
        lambda s: s.update(after(2, [7, 8, 9])),
        lambda s: s.update([7], after(1, [8, 9])),
        lambda s: s.update([7], [[]]),
        lambda s: s.update(len(s) + 10 for _ in range(3)),
        lambda s: s.difference_update(after(2, [1, 2, 3])),
        lambda s: s.difference_update([1], [2, []]),
        lambda s: s.intersection_update(after(2, [1, 2, 3])),
        lambda s: s.symmetric_difference_update(after(2, [1, 7, 3])),
        lambda s: s.symmetric_difference_update([1, []]),
        lambda s: s.__init__(after(1, [9])),
        lambda s: s.update(5),
    ],
)
def test_sets_that_fail_midway(do: Any) -> None:
    """Arguments that raise or change the set do what they do to a set."""
    both(TrackedSet([1, 2, 3]), PlainSet([1, 2, 3]), do)


CALLS: list[Callable[[Any, Key], Any]] = [
    lambda d, k: d.__setitem__(k, "new"),
    lambda d, k: d.pop(k, None),
    lambda d, k: d.setdefault(k, "new"),
    lambda d, k: d.__delitem__(k),
    lambda d, k: d.update({k: "new"}),
    lambda d, k: d.update([(k, "new"), ("other", 1)]),
    lambda d, k: d.__ior__({k: "new", "other": 2}),
]
ERRANDS: list[Callable[[Any], Any]] = [
    lambda d: boom(),
    lambda d: d.clear(),
    lambda d: d.__setitem__("side", 1),
    lambda d: d.__setitem__(Key(1), "inner"),
    lambda d: d.pop(Key(1), None),
    lambda d: d.update({Key(1): "inner", "side": 1}),
    lambda d: d.popitem(),
]


@pytest.mark.parametrize("errand", ERRANDS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_key_whose_eq_changes_the_dict(call: Any, errand: Any, n: int) -> None:
    """Records stay true when an ``__eq__`` raises or changes the dict."""
    items = {Key(0): "a", Key(1): "b"}
    d = TrackedDict(items)
    oracle = Oracle(d)
    before = len(d.tracking_changes())
    try:
        call(d, Key(n, lambda: errand(d)))
    except (Boom, KeyError, RuntimeError):
        pass
    oracle.catch_up(d.tracking_changes()[before:])
    oracle.agrees(d)
    d._check()


@pytest.mark.parametrize("errand", [boom, None, "add", "clear", "discard"])
@pytest.mark.parametrize("name", ["add", "discard", "remove", "update", "difference_update", "__ixor__", "__iand__"])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_an_element_whose_eq_changes_the_set(name: str, errand: Any, n: int) -> None:
    """Records stay true when an ``__eq__`` raises or changes the set."""
    s = TrackedSet([Key(0), Key(1)])
    oracle = Oracle(s)
    before = len(s.tracking_changes())
    errands = {"add": lambda: s.add(Key(2)), "clear": lambda: s.clear(), "discard": lambda: s.discard(Key(1))}
    key = Key(n, errands.get(errand, errand) if isinstance(errand, str) else errand)
    try:
        getattr(s, name)(key if name in ("add", "discard", "remove") else {key, "x"})
    except (Boom, KeyError, RuntimeError):
        pass
    oracle.catch_up(s.tracking_changes()[before:])
    oracle.agrees(s)
    s._check()


def test_remove_compares_with_code_that_changes_the_list() -> None:
    """`remove` with an ``__eq__`` that shortens the list does what list does."""

    def run(made: Any) -> Any:
        items = made([Key(0), Key(1), Key(2), Key(3)])
        items[1].errand = lambda: items.pop(0)
        oracle = Oracle(items) if isinstance(items, TrackedList) else None
        try:
            items.remove(Key(2))
        except ValueError:
            pass
        if oracle is not None:
            oracle.catch_up(items.tracking_changes()[1:])
            oracle.agrees(items)
        return repr(items)

    assert run(TrackedList) == run(PlainList)


def test_values_that_raise_from_everything_are_recorded() -> None:
    """Recording runs no repr, bool, eq, len or iter of a value.

    Text that is made later is guarded.
    """
    loud = Loud()
    d, items, s = TrackedDict(), TrackedList(), TrackedSet()
    heard: list[Any] = []
    for each in (d, items, s):
        each.tracking_add_observer(heard.append)
    d["a"] = loud
    d["a"] = loud
    d.update(b=loud, c=[loud])
    d.setdefault("z", loud)
    d.pop("b")
    items.append(loud)
    items[0] = loud
    items.extend([loud, (loud,)])
    items.reverse()
    items[:1] = [loud]
    del items[0]
    s.add(loud)
    s.discard(loud)
    for change in [*d.tracking_changes(), *items.tracking_changes(), *s.tracking_changes()]:
        assert isinstance(change.extra, dict)
        assert isinstance(change.to_dict(), dict)
        assert change.format_detailed()
        assert repr(change)
    assert len(heard) == 5 + 6 + 2


def test_no_user_repr_runs_while_recording() -> None:
    """Snapshots, stacks and a collector run no repr while recording either."""
    ran: list[str] = []

    class Spy:
        def __repr__(self) -> str:
            ran.append("repr")
            return "Spy()"

    for options in ({"tracking_keep_values": False}, {"tracking_capture_snapshots": True}, {}):
        d = TrackedDict(tracking_max_changes=2, **options)
        d["a"] = Spy()
        d.update(b=Spy(), c=[Spy()], d=(Spy(), {"x": Spy()}))
        d["e"] = [Spy()]
        del d["a"]
    assert ran == []


class Dies:
    """Runs an errand when it dies."""

    def __init__(self, errand: Callable[[], Any]) -> None:
        self.errand = errand

    def __del__(self) -> None:
        self.errand()


def test_a_del_that_changes_the_container_whose_ring_drops_it() -> None:
    """A ``__del__`` that runs when the ring drops a value may store again.

    The ring holds both records, in order.
    """
    d = TrackedDict(tracking_max_changes=4)
    left = [20]

    def again() -> None:
        if left[0]:
            left[0] -= 1
            d["n"] = Dies(again)
            d.pop("n", None)

    for n in range(10):
        d[n % 3] = Dies(again)
        d._check()
    d.clear()
    for n in range(10):
        d["x"] = n
        d._check()
    left[0] = 0
    assert [c.seq for c in d.tracking_changes()] == sorted(c.seq for c in d.tracking_changes())
    assert [c.after for c in d.tracking_changes()] == [6, 7, 8, 9]


@pytest.mark.parametrize("act", ["store", "clear", "forget", "thread", "check"])
def test_a_del_that_runs_when_the_container_lets_go(act: str) -> None:
    """``__del__`` of a dropped value may store, clear or start threads."""
    items: Any = TrackedList(tracking_keep_values=False)
    oracle_start = list(items)

    def errand() -> None:
        if act == "store":
            items.append(1)
        elif act == "clear":
            items.clear()
        elif act == "forget":
            items.tracking_clear_changes()
        elif act == "thread":
            thread = threading.Thread(target=items.append, args=(2,))
            thread.start()
            thread.join()
        else:
            items._check()

    assert oracle_start == []
    items.append(Dies(errand))
    items[0] = 5
    items.append(Dies(errand))
    items.pop()
    items.extend([Dies(errand), 6])
    del items[-2:]
    items._check()


def test_a_property_that_raises_or_changes_the_object() -> None:
    """A failing getter gives no value; a failing setter leaves no record."""

    class Thing(TrackedAttr):
        @property
        def fails(self) -> Any:
            raise Boom("get")

        @fails.setter
        def fails(self, value: Any) -> None:
            if value is None:
                raise Boom("set")
            self.other = value

    thing = Thing()
    thing.fails = 1
    with pytest.raises(Boom):
        thing.fails = None
    assert [c.location for c in thing.tracking_changes()[1:]] == ["other", "fails"]


def test_an_actor_context_that_cannot_be_shown() -> None:
    """Context values whose repr raises do not break the change."""
    d = TrackedDict()
    with tracking_actor("job", what=Loud()):
        d["a"] = 1
    assert isinstance(d.last_change().to_dict(), dict)
    assert d.last_change().format_detailed()
