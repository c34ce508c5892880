"""`untracked` lists an OrderedDict whose order the log does not have."""

import random
import sys
from collections import OrderedDict

import pytest

from pydatatracker import watch

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")

MOVED = "its order was changed by move_to_end, which is not seen"


class OwnIterator(OrderedDict):
    """One whose iterator is not the builtin's."""

    def __iter__(self):
        raise AssertionError("user code was called")


class Key:
    """A key that counts how often it is hashed."""

    hashed = 0

    def __hash__(self):
        Key.hashed += 1
        return 1


def listed(w):
    return [(row.pointer, row.reason) for row in w.untracked]


@pytest.mark.parametrize("kind", [OrderedDict, OwnIterator])
@pytest.mark.parametrize("seed", range(20))
def test_an_order_is_listed_where_it_is_not_that_of_the_stores(kind, seed):
    """A plain dict of the same stores and removals is the oracle."""
    chance = random.Random(seed)
    data, stored = {"k": kind(a=1, b=2, c=3)}, {"a": 1, "b": 2, "c": 3}
    ordered = data["k"]
    outcomes = set()
    with watch(data) as w:
        for _ in range(200):
            key = chance.choice("abcde")
            act = chance.choice(["store", "store", "store", "move", "remove", "popitem"])
            if act == "store":
                ordered[key] = stored[key] = chance.random()
            elif act == "popitem" and stored:
                del stored[ordered.popitem(last=chance.random() < 0.5)[0]]
            elif key in stored and act == "move":
                ordered.move_to_end(key, last=chance.random() < 0.5)
            elif key in stored and act == "remove":
                del ordered[key], stored[key]
            differs = list(OrderedDict.__iter__(ordered)) != list(stored)
            assert listed(w) == ([("/k", MOVED)] if differs else [])
            outcomes.add(differs)
    assert outcomes == {False, True}


def test_the_order_of_the_root_itself_is_listed():
    data = OrderedDict(a=1, b=2)
    with watch(data) as w:
        assert [] == listed(w)
        data.move_to_end("a")
        assert [("", MOVED)] == listed(w)
        data.move_to_end("b")
        assert [] == listed(w)


def test_keys_are_not_hashed_for_it():
    """Where reading the order would call `__hash__`, a row says so."""
    data = {"k": OrderedDict({Key(): 1})}
    with watch(data) as w:
        before = Key.hashed
        rows = listed(w)
        assert Key.hashed == before
    assert ("/k", "its order is not compared: the __hash__ of a key is not a builtin one") in rows
