"""A pickle that has a tree in one is loaded as one that has each part."""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedOrderedDict, TrackedSet, _core, track
from pydatatracker.containers import copying


class Point(TrackedAttr):
    """An object with attributes."""


class Own(TrackedDict):
    """A class of the program."""


class Text(str):
    """A scalar that may have anything."""


COMMON: list[Any] = [
    lambda n: TrackedDict(),
    lambda n: TrackedList(),
    lambda n: TrackedSet({1, n}),
    lambda n: track({"t": [n, {"u": {n}}]}),
]
ODD: list[Any] = [
    lambda n: Own(),
    lambda n: Point(),
    lambda n: TrackedOrderedDict(),
    lambda n: TrackedList(tracking_max_changes=3),
    lambda n: TrackedDict(tracking_name="n"),
    lambda n: {"plain": [n]},
    lambda n: (1, [n]),
    lambda n: Text("x"),
]


def grown(draw: random.Random) -> Any:
    """Return tracked data, with shared parts, names, options and cycles."""
    all_: list[Any] = [TrackedDict()]
    odd = draw.random() < 0.5
    for n in range(draw.randint(1, 14)):
        kinds = COMMON + ODD if odd else COMMON
        made = draw.choice(kinds)(n)
        for _ in range(draw.choice((1, 1, 1, 2))):
            holder = draw.choice([each for each in all_ if isinstance(each, (dict, list, TrackedAttr))])
            if isinstance(holder, list):
                holder.append(made)
            elif isinstance(holder, TrackedAttr):
                setattr(holder, f"a{n}", made)
            else:
                holder[draw.choice((n, f"k{n}"))] = made
        if _core.tracker(made) is not None:
            all_.append(made)
    if odd and draw.random() < 0.3:
        draw.choice([each for each in all_ if isinstance(each, TrackedDict)])["back"] = draw.choice(all_)
    root = all_[0]
    if draw.random() < 0.7:
        root.tracking_clear_changes()  # records hold parts, too
    return root


def seen_in(value: Any) -> list[Any]:
    """Return classes, scalars, options and names, and what is the same.

    Objects that are the same have one number.
    """
    numbers: dict[int, int] = {}
    found: list[Any] = []
    todo = [value]
    while todo:
        each = todo.pop()
        cls = type(each)
        if cls in (str, int, Text):
            found.append((cls.__name__, each))
            continue
        if id(each) in numbers:
            found.append(numbers[id(each)])
            continue
        numbers[id(each)] = len(numbers)
        if _core.tracker(each) is None:
            found.append(cls.__name__)
        else:
            options = _core.own_options(each)
            found.append((cls.__name__, options and options.__reduce__(), _core.tracker(each).name))
            _core.check_tracker(each)
        held = vars(each) if isinstance(each, TrackedAttr) else each
        if isinstance(held, dict):
            found.append(list(held))
            todo.extend(dict.values(held))
        elif isinstance(held, (list, tuple)):
            found.append(len(held))
            todo.extend(held)
        else:
            found.append(sorted(held))
    return found


@given(st.integers(0, 10**9), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_a_tree_gives_what_its_parts_give(seed: int, protocol: int) -> None:
    """The parts of a program are the same objects after it, too."""
    draw = random.Random(seed)
    root = grown(draw)
    parts = [root, *(each for each in _core.children(root) if draw.random() < 0.5)]
    value = draw.choice([root, parts, parts[::-1]])
    both = []
    # the pickler that is written in Python has no public name, and asks for a part in another way than that in C
    for dumps in (pickle.dumps, vars(pickle)["_dumps"]):
        both.append(seen_in(pickle.loads(dumps(value, protocol))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying._core, "as_tree", lambda container: None)
        one_by_one = pickle.dumps(value, protocol)
    expected = seen_in(pickle.loads(one_by_one))
    assert [expected, expected] == both


def test_loaded_data_records() -> None:
    """It has no history, and its first change has its path."""
    loaded = pickle.loads(pickle.dumps(track({"a": [1, {"b": {2}}]})))
    assert [change.action for change in loaded.tracking_changes()] == ["init"]
    loaded["a"][1]["b"].add(3)
    assert loaded.last_change().path[:3] == ("a", 1, "b")
    assert len(loaded.tracking_undo()) == 1
    assert loaded == {"a": [1, {"b": {2}}]}


def test_a_document_is_a_tree() -> None:
    """A document takes hardly more bytes than plain data."""
    document = {"users": [{"name": f"user {n}", "tags": ["a", "b"]} for n in range(50)]}
    plain = pickle.dumps(document)
    assert len(pickle.dumps(track(document))) < len(plain) + 200


def test_a_function_of_copyreg_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that was given to `copyreg` pickles each part."""
    monkeypatch.setitem(copyreg.dispatch_table, TrackedList, lambda each: (tuple, (list(each),)))
    assert pickle.loads(pickle.dumps(TrackedDict(a=TrackedList([1])))) == {"a": (1,)}


def test_what_is_no_tree_is_refused() -> None:
    """A pickle that was made by hand gets an error."""
    for data in (None, 1, "x", (1,), TrackedDict()):
        with pytest.raises(TypeError, match="a tree is a dict, list or set, not"):
            _core.from_tree(data, None)
    held = io.StringIO()
    pickletools.dis(pickle.dumps(track({"a": []})), held)
    assert "pydatatracker.rebuild" in held.getvalue()


def test_what_is_too_deep_is_refused_at_once() -> None:
    """A level is not looked at again for each one above it."""
    deep = TrackedList()
    for _ in range(100_000):
        deep = TrackedList([deep])
    with pytest.raises(RecursionError):
        pickle.dumps(deep)
