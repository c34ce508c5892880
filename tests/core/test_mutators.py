"""Every mutator is tracked, and wrong arguments raise as in the builtin.

A refused call changes and records nothing.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest

from pydatatracker import (
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
)

# Neighbours of the same name: messages name the class.
PAIRS = [
    (TrackedDict, type("TrackedDict", (dict,), {}), [("a", 1)]),
    (TrackedList, type("TrackedList", (list,), {}), [1, 2]),
    (TrackedSet, type("TrackedSet", (set,), {}), [1, 2]),
    (TrackedOrderedDict, type("TrackedOrderedDict", (OrderedDict,), {}), [("a", 1)]),
    (TrackedDefaultDict, type("TrackedDefaultDict", (defaultdict,), {}), None),
    (TrackedCounter, type("TrackedCounter", (Counter,), {}), "a"),
    (TrackedDeque, type("TrackedDeque", (deque,), {}), [1, 2]),
]
NAMES = {
    dict: "__setitem__ __delitem__ __ior__ clear pop popitem setdefault update __init__",
    list: "__setitem__ __delitem__ __iadd__ __imul__ append clear extend insert pop remove reverse sort __init__",
    set: "__iand__ __ior__ __isub__ __ixor__ add clear difference_update discard intersection_update pop remove"
    " symmetric_difference_update update __init__",
    OrderedDict: "__setitem__ __delitem__ __ior__ clear move_to_end pop popitem setdefault update __init__",
    defaultdict: "__setitem__ __delitem__ __ior__ __missing__ clear pop popitem setdefault update __init__",
    Counter: "__setitem__ __delitem__ __iadd__ __iand__ __ior__ __isub__ clear pop popitem setdefault"
    " subtract update __init__",
    deque: "__setitem__ __delitem__ __iadd__ __imul__ append appendleft clear extend extendleft insert pop popleft remove"
    " reverse rotate __init__",
}
READERS = {
    dict: "__contains__ __getitem__ __iter__ __len__ __or__ __ror__ __reversed__ copy fromkeys get items keys values",
    list: "__add__ __contains__ __getitem__ __iter__ __len__ __mul__ __rmul__ __reversed__ copy count index",
    set: "__and__ __contains__ __iter__ __len__ __or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ copy difference"
    " intersection isdisjoint issubset issuperset symmetric_difference union",
    deque: "__add__ __contains__ __copy__ __getitem__ __iter__ __len__ __mul__ __rmul__ __reversed__ copy count index maxlen",
}
READERS[OrderedDict] = READERS[dict] + " __dict__"
READERS[defaultdict] = READERS[dict] + " __copy__ default_factory"
# _keep_positive deletes through __delitem__
READERS[Counter] = READERS[dict] + " __missing__ __add__ __and__ __sub__ __pos__ __neg__ elements most_common total"
READERS[Counter] += " _keep_positive __dict__ __weakref__ __module__"
# Readers that are defined anew: to make them faster, to keep tracked what they return, or to record nothing of it.
ANEW = {"__getitem__", "__contains__", "fromkeys", "__copy__", "__dict__", "__weakref__", "__module__"}
ANEW |= {"__add__", "__mul__", "__rmul__"}

ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (([],), {}),
    ((5,), {}),
    ((None,), {}),
    ((1, 2), {}),
    ((1, 2, 3), {}),
    ((1, 2, 3, 4), {}),
    (("x",), {"value": 1}),
    ((), {"x": 1}),
    ((), {"key": 1}),
    ((1,), {"default": 2}),
]


def original(text: str) -> str:
    for twin in ("defaultdict", "deque"):
        text = re.sub(f"Tracked{twin}", twin, text, flags=re.IGNORECASE)
    return text.replace("Tracked", "")


def outcome(container: Any, name: str, args: Any, kwargs: Any) -> Any:
    """Return what a call did, with the names of the originals."""
    try:
        return "returned", original(repr(getattr(container, name)(*args, **kwargs)))
    except Exception as error:
        return "raised", type(error), original(str(error))


CASES = [
    (tracked, plain, items, name, args, kwargs)
    for tracked, plain, items in PAIRS
    for name in NAMES[plain.__base__].split()
    for args, kwargs in ARGUMENTS
    if name != "__imul__"  # called by its name it is no slot of a sequence any more; `*=` is in test_random_calls
]


@pytest.mark.parametrize(
    ("tracked", "plain", "items", "name", "args", "kwargs"),
    CASES,
    ids=[f"{c[1].__base__.__name__}.{c[3]}{c[4]}{c[5] or ''}" for c in CASES],
)
def test_arguments_are_accepted_and_refused_as_by_the_builtin(
    tracked: Any, plain: Any, items: Any, name: str, args: Any, kwargs: Any
) -> None:
    """Arguments are accepted and refused as by the builtin.

    The type of the exception and the state after it are the same; a refused call is not in the log.
    """
    ours, theirs = tracked(items), plain(items)
    mine, its = outcome(ours, name, args, kwargs), outcome(theirs, name, args, kwargs)
    assert mine[:2] == its[:2]
    assert ours == theirs
    if mine[0] == "raised" and theirs == plain(items):
        assert [change.action for change in ours.tracking_changes()] == ["init"]


# OrderedDict takes keywords too, and has texts of its own for these two
WITH_MESSAGES = [
    c
    for c in CASES
    if c[3] != "__init__"
    and not c[5]
    and not (c[0] is TrackedOrderedDict and (c[4] == (None,) or len(c[4]) in (0, 3, 4)))
]


@pytest.mark.parametrize(
    ("tracked", "plain", "items", "name", "args", "kwargs"),
    WITH_MESSAGES,
    ids=[f"{c[1].__base__.__name__}.{c[3]}{c[4]}" for c in WITH_MESSAGES],
)
def test_messages_are_the_builtins(tracked: Any, plain: Any, items: Any, name: str, args: Any, kwargs: Any) -> None:
    """Messages about positional arguments are those of the builtin.

    For keywords Cython and CPython have different texts.
    """
    assert outcome(tracked(items), name, args, kwargs) == outcome(plain(items), name, args, kwargs)


@pytest.mark.parametrize("base", [dict, list, set, OrderedDict, defaultdict, Counter, deque])
def test_no_mutator_is_forgotten(base: type) -> None:
    """Every method of the builtin is listed as a mutator or as a reader."""
    known = {*NAMES[base].split(), *READERS[base].split()}
    everywhere = {
        "__class_getitem__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__", "__hash__", "__new__", "__repr__", "__sizeof__", "__reduce__", "__reduce_ex__",
        "__getattribute__", "__init_subclass__", "__subclasshook__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__",
    }  # fmt: skip
    own = {name for name in dir(base) if getattr(base, name) is not getattr(object, name, None)}
    assert own - known - everywhere == set()


@pytest.mark.parametrize(("tracked", "plain", "items"), PAIRS)
def test_every_mutator_is_overridden(tracked: Any, plain: Any, items: Any) -> None:
    """Every mutator is overridden, and readers only to make them faster."""
    base = plain.__base__
    anew = ANEW | ({"copy", "__or__"} if base is Counter else set())
    for name in NAMES[base].split():
        assert getattr(tracked, name) is not getattr(base, name), name
    for name in READERS[base].split():
        if name not in anew:
            assert getattr(tracked, name) is getattr(base, name), name
