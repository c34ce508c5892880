"""What is recorded is the key that a container holds.

A call may be given another one that is equal.
"""

from __future__ import annotations

import decimal
import enum
import fractions
import json
from collections.abc import Callable
from typing import Any

import pytest
from builds import TABLES, needs_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedDict, TrackedSet, replay, track, tracking_transaction
from pydatatracker.values.pointer import key_text, to_pointer


class One(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


class Text(str):
    pass


class Same:
    """Equal to all of its kind, and to 1; the text shows which it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) or other == 1

    def __hash__(self) -> int:
        return hash(1)

    def __repr__(self) -> str:
        return f"Same({self.name})"


class Collides:
    """Not equal to anything of the same hash but its own number."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collides) and self.n == other.n

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return f"Collides({self.n})"


ONES: list[Any] = [1, True, 1.0, decimal.Decimal("1.00"), fractions.Fraction(1), One.ONE, 1 + 0j]
FAMILIES: list[list[Any]] = [
    ONES, [0, False, 0.0, -0.0], ["a", Word.A, Text("a")], [(1, 2), (True, 2.0)],
    [frozenset({1}), frozenset({True})], [-1, -1.0], [-2, -2.0], [Same("x"), Same("y")],
    [Collides(1), Collides(1)], [Collides(2), Collides(2)], [2**61, float(2**61)],
]  # fmt: skip
PAIRS = [(held, given_) for family in FAMILIES for held in family for given_ in family]
NAMES = [f"{held!r}-{given_!r}" for held, given_ in PAIRS]


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "setitem": lambda d, key: d.__setitem__(key, 2),
    "update": lambda d, key: d.update({key: 2}),
    "update rows": lambda d, key: d.update([(key, 2)]),
    "ior": lambda d, key: d.__ior__({key: 2}),
    "ior rows": lambda d, key: d.__ior__([(key, 2), ("other", 3)]),
    "update two": lambda d, key: d.update({"new": 1, key: 2}),
    "init": lambda d, key: d.__init__({key: 2}),
    "delitem": lambda d, key: d.__delitem__(key),
    "pop": lambda d, key: d.pop(key),
    "pop default": lambda d, key: d.pop(key, None),
    "popitem": lambda d, key: d.popitem(),
    "clear": lambda d, key: d.clear(),
    "setdefault": lambda d, key: d.setdefault(key, 2),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("held", "given_"), PAIRS, ids=NAMES)
@pytest.mark.parametrize("more", [{}, {"b": 0, 9: 0}], ids=["alone", "with others"])
def test_a_dict_records_the_key_that_it_holds(call: Any, held: Any, given_: Any, more: dict[Any, Any]) -> None:
    """Records, pointers, redaction, blame and undo name the stored key object."""
    builtin: dict[Any, Any] = {**more, held: 1}
    d: TrackedDict[Any, Any] = TrackedDict({**more, held: 1})
    held = next(key for key in d if key == given_)
    before = [id(key) for key in d]
    seen: list[Any] = []
    d.tracking_add_observer(seen.append, path=to_pointer((held,)))
    call(builtin, given_)
    call(d, given_)
    assert list(map(id, builtin)) == list(map(id, d))
    changed = [row for change in seen for row in change.changes or ((change.location, change.before, change.after),)]
    assert ([] if call is CALLS["setdefault"] else [1]) == [
        before for key, before, after in changed if key is held
    ]  # fmt: skip
    assert [] == [key for key, *_ in changed if key == held and key is not held]
    if seen:
        pointer = to_pointer((held,))
        assert seen[-1] == d.tracking_blame(pointer) == d.tracking_blame()[pointer]
    assert d.tracking_verify() is None
    d.tracking_revert_to(d.tracking_changes()[0])
    assert sorted(before) == sorted(id(key) for key in d)
    assert d.tracking_verify() is None
    d.tracking_undo()
    assert builtin == d


SET_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "discard": lambda s, key: s.discard(key),
    "remove": lambda s, key: s.remove(key),
    "difference_update": lambda s, key: s.difference_update([key]),
    "difference_update set": lambda s, key: s.difference_update({key}),
    "isub": lambda s, key: s.__isub__({key}),
    "symmetric": lambda s, key: s.symmetric_difference_update({key}),
    "ixor": lambda s, key: s.__ixor__({key, "new"}),
    "iand": lambda s, key: s.__iand__({"b"}),
    "add": lambda s, key: s.add(key),
    "update": lambda s, key: s.update([key]),
    "ior": lambda s, key: s.__ior__({key}),
    "clear": lambda s, key: s.clear(),
}


@needs_tables
@pytest.mark.parametrize("call", SET_CALLS.values(), ids=SET_CALLS)
@pytest.mark.parametrize(("held", "given_"), PAIRS, ids=NAMES)
@pytest.mark.parametrize("more", [set(), set("bcdefghijkl")], ids=["alone", "with others"])
def test_a_set_records_the_element_that_it_holds(call: Any, held: Any, given_: Any, more: set[Any]) -> None:
    """A set records the element that went, and undo brings that one back."""
    s: TrackedSet[Any] = TrackedSet({*more, held})
    before = sorted(map(id, s))
    call(s, given_)
    gone = [b for c in s.tracking_changes()[1:] for b in ([c.before] if not c.changes else [r[1] for r in c.changes])]
    assert [] == [each for each in gone if each == held and each is not held]
    s.tracking_revert_to(s.tracking_changes()[0])
    assert before == sorted(map(id, s))
    assert s.tracking_verify() is None


@needs_tables
def test_a_set_is_discarded_as_the_frozenset_that_is_held() -> None:
    """A set stands for an equal frozenset; the stored one is recorded."""
    held = frozenset({1})
    s = TrackedSet([held])
    s.discard({True})
    assert s.last_change().before is held  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="unhashable"):
        s.remove([])  # type: ignore[arg-type]


@pytest.mark.parametrize(("held", "given_"), PAIRS, ids=NAMES)
def test_an_equal_key_does_not_pass_redaction_by(held: Any, given_: Any) -> None:
    """The glob of the stored key redacts, whatever equal key is used."""
    if isinstance(held, (Same, Collides, frozenset)):
        held = given_
    d: TrackedDict[Any, Any] = TrackedDict({held: "s3cr3t"}, tracking_redact=to_pointer((held,)))
    d[given_] = "s3cr3t"
    d.update({given_: "s3cr3t"})
    d |= [(given_, "s3cr3t")]
    d.pop(given_)
    d.update([(held, "s3cr3t")])
    del d[given_]
    text = json.dumps([(c.to_dict(), c.to_dict(compact=True)) for c in d.tracking_changes()])
    assert "s3cr3t" not in text + repr(d.tracking_net_changes())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_records_say_what_the_dict_holds_after_any_calls(data: st.DataObject) -> None:
    """Log, undo and a replica agree on the keys that the dict holds."""
    family = [key for each in FAMILIES for key in each if not isinstance(key, (Same, Collides))]
    d: TrackedDict[Any, Any] = TrackedDict(
        data.draw(st.dictionaries(st.sampled_from(family), st.integers(), max_size=4))
    )
    start = d.tracking_changes()[0].to_dict()
    first = [(type(key), value) for key, value in d.items()]
    for n in range(data.draw(st.integers(0, 12))):
        key = data.draw(st.sampled_from(family))
        call = data.draw(st.sampled_from(["set", "pop", "update", "rows", "default", "clear", "undo", "odd"]))
        known, seq = {id(each) for each in d}, d.last_change().seq  # type: ignore[union-attr]
        if call == "set":
            d[key] = n
        elif call == "pop":
            d.pop(key, None)
        elif call == "update":
            d.update({key: n, "more": n})
        elif call == "rows":
            d.update([(key, n), (data.draw(st.sampled_from(family)), n)])
        elif call == "default":
            d.setdefault(key, n)
        elif call == "clear":
            d.clear()
        elif call == "undo":
            d.tracking_undo()
        else:
            d.fromkeys([key], n)
        change = d.last_change()
        rows = change.changes or ((change.location, change.before, change.after),)  # type: ignore[union-attr]
        if change.seq > seq:  # type: ignore[union-attr]
            known |= {id(each) for each in d}
            assert all(id(row[0]) in known for row in rows if key_text(row[0]) not in ("more",))
        d._check()
    assert d.tracking_verify() is None
    lines = [start, *(change.to_dict() for change in d.tracking_changes()[1:])]
    if not any(isinstance(row, (fractions.Fraction, complex)) for row in family if row in d):
        assert d == replay(lines)
    d.tracking_revert_to(start["seq"])
    assert sorted(map(repr, first)) == sorted(repr((type(key), value)) for key, value in d.items())


@needs_tables
def test_many_keys_and_deleted_ones_are_found() -> None:
    """The stored key is found in tables of any size, with deleted entries."""
    for size in (3, 100, 300, 70_000):
        d: TrackedDict[Any, int] = track({n * 7: n for n in range(size)})
        for n in range(0, size, 3):
            dict.pop(d, n * 7)
        d[True] = 0
        for n in range(1, min(size, 200)):
            if n % 3:
                d[float(n * 7)] = 0
                assert int is type(d.last_change().location)  # type: ignore[union-attr]
        s = TrackedSet(n * 7 for n in range(size))
        for n in range(1, min(size, 200)):
            s.discard(float(n * 7))
            assert int is type(s.last_change().before)  # type: ignore[union-attr]


# ---- whatever the call: the object that the builtin would hold

Call = Callable[[Any, Any], Any]
SETS: dict[str, Call] = {
    "&=": lambda s, o: s.__iand__(o),
    "&= frozenset": lambda s, o: s.__iand__(frozenset(o)),
    "&= tracked": lambda s, o: s.__iand__(TrackedSet(o)),
    "&= itself": lambda s, o: s.__iand__(s),
    "|=": lambda s, o: s.__ior__(o),
    "-=": lambda s, o: s.__isub__(o),
    "^=": lambda s, o: s.__ixor__(o),
    "^= itself": lambda s, o: s.__ixor__(s),
    "intersection_update": lambda s, o: s.intersection_update(o),
    "intersection_update list": lambda s, o: s.intersection_update(list(o)),
    "intersection_update dict": lambda s, o: s.intersection_update(dict.fromkeys(o)),
    "intersection_update two": lambda s, o: s.intersection_update(o, list(o)[::-1]),
    "intersection_update itself": lambda s, o: s.intersection_update(s, o),
    "intersection_update nothing": lambda s, o: s.intersection_update(),
    "update": lambda s, o: s.update(o),
    "update list": lambda s, o: s.update(list(o) * 2, o),
    "update dict": lambda s, o: s.update(dict.fromkeys(o)),
    "difference_update": lambda s, o: s.difference_update(o),
    "difference_update list": lambda s, o: s.difference_update(list(o), o),
    "symmetric_difference_update": lambda s, o: s.symmetric_difference_update(o),
    "symmetric_difference_update list": lambda s, o: s.symmetric_difference_update(list(o) * 2),
    "symmetric_difference_update dict": lambda s, o: s.symmetric_difference_update(dict.fromkeys(o)),
    "init": lambda s, o: s.__init__(o),
    "init list": lambda s, o: s.__init__(list(o)),
    "add": lambda s, o: [s.add(each) for each in o],
    "discard": lambda s, o: [s.discard(each) for each in o],
    "remove": lambda s, o: [s.remove(each) for each in o if each in s],
}
NEW_SETS: dict[str, Call] = {
    "&": lambda s, o: s & o, "|": lambda s, o: s | o, "-": lambda s, o: s - o, "^": lambda s, o: s ^ o,
    "reflected &": lambda s, o: frozenset(o) & s, "reflected |": lambda s, o: frozenset(o) | s,
    "reflected ^": lambda s, o: o ^ s, "reflected -": lambda s, o: o - s,
    "intersection": lambda s, o: s.intersection(list(o)), "union": lambda s, o: s.union(list(o)),
    "difference": lambda s, o: s.difference(list(o)), "copy": lambda s, o: s.copy(),
    "symmetric_difference": lambda s, o: s.symmetric_difference(list(o)),
}  # fmt: skip
DICTS: dict[str, Call] = {
    "update": lambda d, o: d.update(dict.fromkeys(o, 1)),
    "update tracked": lambda d, o: d.update(TrackedDict(dict.fromkeys(o, 1))),
    "update rows": lambda d, o: d.update([(each, 2) for each in [*o, *o]]),
    "|=": lambda d, o: d.__ior__(dict.fromkeys(o, 3)),
    "|= rows": lambda d, o: d.__ior__([(each, 4) for each in o]),
    "init": lambda d, o: d.__init__(dict.fromkeys(o, 5)),
    "store": lambda d, o: [d.__setitem__(each, 6) for each in o],
    "setdefault": lambda d, o: [d.setdefault(each, 7) for each in o],
    "pop": lambda d, o: [d.pop(each, None) for each in o],
    "pop and store": lambda d, o: [(d.pop(each, None), d.__setitem__(each, 8)) for each in o],
    "popitem": lambda d, o: [d.popitem() for _ in range(min(2, len(d)))],
    "clear": lambda d, o: d.clear(),
}
NEW_DICTS: dict[str, Call] = {
    "|": lambda d, o: d | dict.fromkeys(o, 1), "reflected |": lambda d, o: dict.fromkeys(o, 1) | d,
    "copy": lambda d, o: d.copy(), "fromkeys": lambda d, o: d.fromkeys([*d, *o], 1),
}  # fmt: skip
ANY_OF_ALL = st.lists(st.sampled_from([each for family in FAMILIES for each in family]), max_size=8)


def held_by(container: Any) -> list[int]:
    """Return the ids of the keys, in the order of a dict."""
    return list(map(id, container)) if isinstance(container, dict) else sorted(map(id, container))


@settings(max_examples=80, deadline=None)
@given(ANY_OF_ALL, ANY_OF_ALL)
@pytest.mark.parametrize(("kind", "name"), [*(("set", name) for name in SETS), *(("dict", name) for name in DICTS)])
def test_a_call_leaves_the_objects_that_the_builtin_holds(
    kind: str, name: str, held: list[Any], more: list[Any]
) -> None:
    """Of equal keys the same one stays, and the log, undo and redo know it."""
    call = SETS[name] if kind == "set" else DICTS[name]
    other = set(more)
    builtin: Any = set(held) if kind == "set" else dict.fromkeys(held, 0)
    ours: Any = track(type(builtin)(builtin))
    start = held_by(ours)
    first = ours.tracking_changes()[0]
    call(builtin, other)
    call(ours, other)
    assert held_by(builtin) == held_by(ours)
    if not TABLES:
        return
    end = held_by(ours)
    assert ours.tracking_verify() is None
    state = ours.tracking_state_at(first)
    assert sorted(start) == sorted(map(id, state))
    steps = len(ours.tracking_changes()) - 1
    ours.tracking_undo(steps)
    assert sorted(start) == sorted(held_by(ours))
    ours.tracking_redo(steps)
    assert sorted(end) == sorted(held_by(ours))
    assert ours.tracking_verify() is None
    ours._check()


@settings(max_examples=60, deadline=None)
@given(ANY_OF_ALL, ANY_OF_ALL)
@pytest.mark.parametrize(
    ("kind", "name"), [*(("set", name) for name in NEW_SETS), *(("dict", name) for name in NEW_DICTS)]
)
def test_what_a_call_returns_has_the_objects_of_the_builtin(
    kind: str, name: str, held: list[Any], more: list[Any]
) -> None:
    """Operators and copies choose between equal keys as the builtin does."""
    call = NEW_SETS[name] if kind == "set" else NEW_DICTS[name]
    builtin: Any = set(held) if kind == "set" else dict.fromkeys(held, 0)
    ours: Any = track(type(builtin)(builtin))
    assert held_by(call(builtin, set(more))) == held_by(call(ours, set(more)))


@needs_tables
@pytest.mark.parametrize("others", [{1.0, "x"}, [1.0], {True: 0}, (1.0, "x")], ids=["set", "list", "dict", "tuple"])
def test_an_intersection_is_one_record_that_a_replica_follows(others: Any) -> None:
    """The element that is replaced by an equal one is in the log."""
    s: TrackedSet[Any] = TrackedSet([1, "x", "y"])
    s.intersection_update(others)
    change = s.last_change()
    assert change is not None
    assert 2 == len(s.tracking_changes())
    one = next(each for each in s if each == 1)
    assert type(one) is not int or isinstance(others, set) is False
    assert [1] == [before for _, before, after in change.changes if type(before) is int]
    again = replay([each.to_dict() for each in s.tracking_changes()])
    assert s == again
    assert sorted(type(each).__name__ for each in s) == sorted(type(each).__name__ for each in again)
    with pytest.raises(ZeroDivisionError), tracking_transaction():
        s &= {one, *s}
        s.intersection_update([1])
        raise ZeroDivisionError
    assert any(each is one for each in s)
