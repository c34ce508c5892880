"""Records name the stored key and the value it had.

CPython reports a store with the key that was given, which may equal the stored key and be another object. Comparing the
two can run code of the program, which a watch never does. The oracle is the dict itself, before and after each step, and
the same program without a watch: every key counts the calls of its ``__eq__`` and ``__hash__``.
"""

import enum
import sys
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from builds import needs_tables
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pydatatracker import MISSING, tracking_actor, watch
from pydatatracker._core import WatchedTracker, Words

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")


class Calls:
    """Where the keys of one world write down what was called."""

    def __init__(self):
        self.made = []


class Equal:
    """Equals whatever its content equals, of any class."""

    def __init__(self, calls, content):
        self.calls = calls
        self.content = content

    def __hash__(self):
        self.calls.made.append(("hash", self.content))
        return hash(self.content)

    def __eq__(self, other):
        self.calls.made.append(("eq", self.content))
        if self.content == "raises":
            raise ValueError("compared")
        return self.content == getattr(other, "content", other)


class Colliding(Equal):
    """Has the hash of every other one, and of 1."""

    def __hash__(self):
        self.calls.made.append(("hash", self.content))
        return 1


class Text(str):
    """A str that compares and hashes in Python."""

    calls: Calls

    def __hash__(self):
        self.calls.made.append("text hash")
        return str.__hash__(self)

    def __eq__(self, other):
        self.calls.made.append("text eq")
        return str.__eq__(self, other)


class QuietText(str):
    """A str with nothing of its own."""


class HashedText(str):
    """A str that compares in Python and hashes as str does."""

    calls: Calls
    __hash__ = str.__hash__

    def __eq__(self, other):
        self.calls.made.append("hashed text eq")
        return str.__eq__(self, other)


class Several(tuple):
    """Hashes and compares what it holds.

    Unlike a tuple it has weak references, so that a record can name it.
    """


class Elements(frozenset):
    """The same for a frozenset."""


class Pair(NamedTuple):
    first: object
    second: object


@dataclass(frozen=True)
class Point:
    x: int


class Shade(enum.Enum):
    """Hashes in Python, and is the same object wherever it is used."""

    DARK = 1


def text(cls, calls, given):
    made = cls(given)
    made.calls = calls
    return made


KEYS = (
    lambda calls, n: ("a", "b", "raises")[n],
    lambda calls, n: (1, 2, 0)[n],
    lambda calls, n: (1.0, True, 2.0)[n],
    lambda calls, n: Equal(calls, ("a", "b", 1)[n]),
    lambda calls, n: Equal(calls, ("raises", 2, "a")[n]),
    lambda calls, n: Colliding(calls, n),
    lambda calls, n: text(Text, calls, "ab"[n % 2]),
    lambda calls, n: QuietText("ab"[n % 2]),
    lambda calls, n: text(HashedText, calls, "ab"[n % 2]),
    lambda calls, n: Several((1, ("a", "b", Equal(calls, "a"))[n])),
    lambda calls, n: Pair(1, "ab"[n % 2]),
    lambda calls, n: Point(n % 2),
    lambda calls, n: Shade.DARK,
    lambda calls, n: Elements([n, Equal(calls, "a")]),
    lambda calls, n: slice(Point(1), 2),
    lambda calls, n: (-1, -2, Colliding(calls, 0))[n],
)  # fmt: skip


class Ended:
    """A value whose end is written down."""

    def __init__(self, calls):
        self.calls = calls

    def __del__(self):
        self.calls.made.append("ended")


def new_value(calls, number):
    match number % 6:
        case 0:
            return Ended(calls)
        case 1:
            return [number]
        case 2:
            return {"n": number}
        case 3:
            return SimpleNamespace(n=number)
    return number + 0.25


MAKERS = (dict, OrderedDict, lambda: defaultdict(list), lambda: vars(SimpleNamespace(a=0)))
STEPS = st.lists(
    st.tuples(
        st.integers(0, 13), st.integers(0, len(KEYS) - 1), st.integers(0, 2), st.integers(0, 11), st.integers(0, 9)
    ),
    max_size=14,
)


def run(d, calls, step, held=lambda *pairs: None):
    """Take one step of a program, and return what it would print.

    `held` is called with the pairs that it may store.
    """
    what, kind, n, number, place = step
    stored = list(d)
    key = stored[place] if 5 < place < len(stored) else KEYS[kind](calls, n)
    again = KEYS[kind](calls, n)
    value, other = new_value(calls, number), number + 0.5
    held((key, value), (again, other), (2, other), (key, other))
    calls.made.append("step")
    try:
        match what:
            case 0 | 1 | 2 | 3:
                d[key] = value
            case 4:
                del d[key]
            case 5:
                return type(d.pop(key, None)).__name__
            case 6:
                return type(d.popitem()[1]).__name__
            case 7:
                return type(d.setdefault(key, value)).__name__
            case 8:
                d.update({key: value, 2: other})
            case 9:
                d |= [(key, value), (again, other)]
            case 10 if number > 6:
                d.clear()
            case 11:
                return type(d.get(key)).__name__
            case 12 if isinstance(key, Equal):
                key.content = ("a", 1, 2)[n]  # a key that is stored can have another hash from now on
            case 13:
                d[key] = value
                d[again] = other
    except Exception as error:
        return type(error).__name__
    return None


def rows_of(change):
    """Return (key, before, after) of each key of a change."""
    if change.changes:
        return list(change.changes)
    return [(change.location, change.before, change.after)]


def is_it(recorded, seen):
    """Return whether a record means an object.

    Of a list that is no longer held, and of what has no weak references, it has the class alone.
    """
    if recorded is seen:
        return True
    name = type(seen).__name__
    return isinstance(recorded, (Words, WatchedTracker)) and name in (
        getattr(recorded, "type", ""),
        str(recorded)[1:-1],
    )


def follow(rows, changes, stored):
    """Apply records to the items of a dict.

    Each has to name the stored key, and the value that it had.
    """
    for change in changes:
        for key, before, after in rows_of(change):
            if before is MISSING:
                rows.append(next([k, v] for k, v in reversed(stored) if is_it(key, k) and is_it(after, v)))
                continue
            i = next(i for i, (k, v) in enumerate(rows) if is_it(key, k) and is_it(before, v))
            if after is MISSING:
                del rows[i]
            else:
                rows[i][1] = after
    return rows


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(MAKERS) - 1), STEPS)
@example(0, [(0, 3, 0, 4, 0), (0, 0, 0, 5, 0), (5, 3, 0, 4, 0)])
@example(0, [(0, 4, 1, 4, 0), (0, 1, 1, 5, 0)])
def test_a_record_names_the_stored_key_and_its_value(which, steps):
    calls = Calls()
    pairs = []
    d = MAKERS[which]()
    with watch(d) as w:
        rows = [list(item) for item in d.items()]
        seq = 0
        for step in steps:
            calls.made.append("step")
            run(d, calls, step, lambda *made: pairs.extend(made))
            made = list(calls.made)
            changes = [change for change in w.tracking_changes() if change.seq > seq and change.action != "init"]
            seq = changes[-1].seq if changes else seq
            assert calls.made == made
            rows = follow(rows, changes, pairs)
            assert [id(each) for row in rows for each in row] == [id(each) for row in d.items() for each in row]
            assert not any("not known" in str(before) for change in changes for _, before, _ in rows_of(change))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(MAKERS) - 1), STEPS)
def test_a_program_with_noisy_keys_computes_the_same(which, steps):
    """No code of a key is called once more.

    And every value ends when it ends without a watch.
    """
    plain, watched = Calls(), Calls()
    d, other = MAKERS[which](), MAKERS[which]()
    with watch(other):
        for step in steps:
            assert run(other, watched, step) == run(d, plain, step)
            assert watched.made == plain.made
            assert [[type(each) for each in row] for row in other.items()] == [
                [type(each) for each in row] for row in d.items()
            ]
    assert watched.made == plain.made


def stored(d, content):
    return next(key for key in d if isinstance(key, Equal) and key.content == content)


@needs_tables
@pytest.mark.parametrize("size", [1, 2, 64, 65, 300])
@pytest.mark.parametrize("identical", [True, False])
@pytest.mark.parametrize("how", ["store", "del", "pop"])
def test_the_entry_is_found_in_a_dict_of_any_size(size, identical, how):
    calls = Calls()
    d = {Equal(calls, n): n + 0.5 for n in range(size)}
    for n in range(0, size, max(1, size // 5)):
        with watch(d) as w:
            key = stored(d, n)
            calls.made.clear()
            given = key if identical else Equal(calls, n)
            if how == "store":
                d[given] = n + 0.75
            elif how == "del":
                del d[given]
            else:
                d.pop(given)
            change = w.last_change()
            assert len(calls.made) == (1 if identical else 2)
            assert change.location is key
            assert change.before == n + 0.5
            w.tracking_undo()
            assert stored(d, n) is key
            assert [k.content for k in d] == list(range(size))


@needs_tables
def test_a_key_whose_hash_changed_in_a_large_dict_is_said_not_to_be_known():
    """CPython finds another key, which equals the given one."""
    calls = Calls()
    d = {Equal(calls, n): n for n in range(100)}
    key = stored(d, 3)
    with watch(d) as w:
        key.content = 4
        d[key] = "new"
        assert str(w.last_change().before) == "<not known: the class of the key has its own __eq__>"
    assert d[Equal(calls, 4)] == "new"
    assert dict.__len__(d) == 100


def test_what_is_stored_under_a_noisy_key_is_followed_at_once():
    calls = Calls()
    d = {Equal(calls, n): None for n in range(3)}
    with watch(d) as w:
        d[Equal(calls, 1)] = inner = {}
        inner["a"] = [1]
        inner["a"].append(2)
        key = stored(d, 1)
        path = [change.path for change in w.tracking_changes()][1:]
        assert [step[0] is key for step in path] == [True] * 3
        assert [step[1:] for step in path] == [(), ("a",), ("a", 1)]
        d[Equal(calls, 1)] = 5
        inner["b"] = 1  # no longer part of d
        assert len(w.tracking_changes()) == 5


def test_a_list_that_a_noisy_key_held_is_let_go():
    """Another list may have its address from then on."""
    calls = Calls()
    d = {Equal(calls, n): [n] for n in range(3)}
    with watch(d) as w:
        for n in range(100):
            d[Equal(calls, n % 3)] = [n]
            assert w.objects == 4
        assert w.tracking_verify() is None


def store_from_here(d, key):
    d[key] = "new"


def test_a_record_of_a_noisy_key_has_the_stack_actor_and_time_of_its_store():
    calls = Calls()
    d = {Equal(calls, n): n for n in range(3)}
    told = []
    with watch(d, tracking_capture_stack=5) as w:
        w.tracking_add_observer(lambda change: told.append((change.before, change.actor)))
        with tracking_actor("storing"):
            store_from_here(d, Equal(calls, 1))
        d["other"] = 1
        change = w.tracking_changes()[1]
        assert change.actor == "storing"
        assert change.stack[-1].name == "store_from_here"
        assert change.before == 1
        later = w.tracking_changes()[2]
        assert later.seq > change.seq
        assert later.time_ns >= change.time_ns
    assert told == [(1, "storing"), (MISSING, "")]


def test_attributes_that_are_replaced_as_a_whole_run_no_code_of_their_keys():
    calls = Calls()
    o = SimpleNamespace()
    vars(o).update({Equal(calls, n): n for n in range(3)})

    class Plain:
        pass

    plain = Plain()
    with watch(plain) as w:
        new = {Colliding(calls, n): n for n in range(3)} | {Equal(calls, 1): 5}
        calls.made.clear()
        plain.__dict__ = new
        plain.__dict__ = dict.fromkeys(["a"])
        w.tracking_changes()
        assert calls.made == []


def test_a_dict_that_takes_all_of_another_runs_no_code_of_its_keys():
    """The keys have one hash, so a copy of the dict would compare them."""
    calls = Calls()
    source = {Colliding(calls, n): n for n in range(3)}
    d, other = {}, {}
    calls.made.clear()
    other.update(source)
    made = list(calls.made)
    calls.made.clear()
    with watch(d) as w:
        d.update(source)
        assert calls.made == made
        assert [(row[0], row[2]) for row in w.last_change().changes] == list(source.items())
