"""Blame and history of a path, compared with a naive replay."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core, track, tracking_actor

MUTATIONS = (
    "set",
    "insert",
    "append",
    "del",
    "slice",
    "delslice",
    "sort",
    "reverse",
    "step",
    "delstep",
    "extend",
    "undo",
)


def mutate(x: Any, marks: list[Any], chance: random.Random, n: int) -> None:
    """Do a random operation on a list, and on the list of who set each item."""
    do = chance.choice(MUTATIONS)
    size = len(x)
    a = chance.randrange(size + 1)
    b = chance.randrange(a, size + 1)
    if do == "set" and size:
        x[a % size], marks[a % size] = n, n
    elif do == "insert":
        x.insert(a, n)
        marks.insert(a, n)
    elif do == "append":
        x.append(n)
        marks.append(n)
    elif do == "del" and size:
        del x[a % size], marks[a % size]
    elif do == "slice":
        new = [n] * chance.randrange(3)
        x[a:b] = new
        marks[a:b] = new
    elif do == "delslice":
        del x[a:b]
        del marks[a:b]
    elif do in ("sort", "reverse"):
        before = list(x)
        x.sort(key=lambda item: -item) if do == "sort" else x.reverse()
        order = sorted(range(size), key=lambda i: -before[i]) if do == "sort" else list(range(size))[::-1]
        marks[:] = [marks[i] for i in order]
    elif do == "step":
        count = len(x[a::2])
        x[a::2] = [n] * count
        marks[a::2] = [n] * count
    elif do == "delstep":
        del x[a::2]
        del marks[a::2]
    elif do == "extend":
        x.extend([n, n])
        marks.extend([n, n])


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 80), st.booleans())
def test_list_items_are_followed_through_everything(seed: int, operations: int, remember: bool) -> None:
    """Blame follows list items through every operation and any size of ring."""
    chance = random.Random(seed)
    ring = chance.choice([4, 16, 40]) if remember else None
    start = chance.randrange(5)
    x = TrackedList(range(-start, 0), tracking_max_changes=ring, tracking_remember_last=remember)
    marks: list[Any] = [None] * start
    for n in range(operations):
        with tracking_actor(str(n)):
            mutate(x, marks, chance, n)
    blamed = {int(pointer[1:]): int(change.actor) for pointer, change in x.tracking_blame().items()}
    assert {at: n for at, n in enumerate(marks) if n is not None} == blamed
    for at, n in enumerate(marks):
        change = x.tracking_blame(f"/{at}")
        if n is not None:
            assert str(n) == change.actor
            assert n in [int(c.actor) for c in x.tracking_history(f"/{at}") if c.actor]
        elif not x.tracking_dropped:
            assert "init" == change.action
    x._check()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.booleans())
def test_keys_of_a_tree_and_what_left_the_ring(seed: int, operations: int, remember: bool) -> None:
    """Blame finds the last change of every key, removed ones too.

    With remember_last also where the ring no longer has it.
    """
    chance = random.Random(seed)
    x = track(
        {"a": {}, "b": {}, "s": set()}, tracking_max_changes=8 if remember else None, tracking_remember_last=remember
    )
    last: dict[str, str] = {}
    for n in range(operations):
        part = chance.choice("ab")
        key = chance.choice(["x", "y", "z/~", 7])
        pointer = f"/{part}/" + str(key).replace("~", "~0").replace("/", "~1")
        with tracking_actor(str(n)):
            do = chance.randrange(5)
            if do == 0 and key in x[part]:
                del x[part][key]
            elif do == 1:
                x[part].update({key: n, "x": n})
                last[f"/{part}/x"] = str(n)
            elif do == 2:
                element = chance.randrange(5)
                pointer = f"/s/{element}"
                (x["s"].discard if element in x["s"] else x["s"].add)(element)
            elif do == 3 and not x[part]:
                continue
            else:
                x[part][key] = n
        last[pointer] = str(n)
    known = {pointer: change.actor for pointer, change in x.tracking_blame().items()}
    for pointer, actor in known.items():
        assert last[pointer] == actor, pointer
    changes = {c.actor for c in x.tracking_changes()}
    for pointer, actor in last.items():
        if (actor in changes or remember) and pointer in known:
            assert actor == x.tracking_blame(pointer).actor


def test_a_hot_counter_does_not_make_it_forget() -> None:
    """remember_last keeps an old change despite 100,000 newer ones elsewhere."""
    for remember in (True, False):
        x = track(
            {"cfg": {"port": 0}, "tags": set(), "l": [0]}, tracking_max_changes=100, tracking_remember_last=remember
        )
        with tracking_actor("alice"):
            x["cfg"]["port"] = 8080
            x["tags"].add("blue")
            x["l"].append(1)
        for n in range(100_000):
            x["n"] = n
        change = x.tracking_blame("/cfg/port")
        assert ("alice" if remember else None) == (change and change.actor)
        if remember:
            blamed = {pointer: c.actor for pointer, c in x.tracking_blame().items()}
            assert {"/cfg/port": "alice", "/l/1": "alice", "/n": "", "/tags/blue": "alice"} == blamed
            assert 8080 == change.after
            assert 100 <= len(x.tracking_changes())
            assert x.tracking_dropped + len(x.tracking_changes()) >= 100_000
        x._check()


@pytest.mark.parametrize("part", [slice(None, None, 2), slice(1, None, 2), slice(None, None, 3), slice(4, 1, -2)])
@pytest.mark.parametrize("how", ["undo", "undo, redo and undo"])
def test_items_that_come_back_are_blamed_on_who_brought_them(part: slice, how: str) -> None:
    """Scattered items that were removed and put back have a history of both.

    Those between them keep theirs, wherever they were meanwhile.
    """
    x = TrackedList(range(6))
    marks = dict.fromkeys(range(6), "")
    for at in (0, 1, 4):
        with tracking_actor(f"set {at}"):
            x[at] = -at
        marks[at] = f"set {at}"
    removed = list(range(6))[part]
    with tracking_actor("remove"):
        del x[part]
    for word in how.replace(",", "").split():
        if word != "and":
            with tracking_actor(word):
                x.tracking_undo() if word == "undo" else x.tracking_redo()
    for at in range(6):
        change, actors = x.tracking_blame(f"/{at}"), [each.actor for each in x.tracking_history(f"/{at}")]
        if at in removed:
            assert "undo" == change.actor
            assert "undo" == actors[-1]
        else:
            assert marks[at] == (change.actor if change.action != "init" else "")
            assert [marks[at]] == actors[-1:] or not marks[at]
    blamed = {pointer: change.actor for pointer, change in x.tracking_blame().items()}
    expected = {f"/{at}": "undo" if at in removed else mark for at, mark in marks.items()}
    assert {pointer: actor for pointer, actor in expected.items() if actor} == blamed


@pytest.mark.parametrize("replace", ["slot", "rows", "removed"])
@pytest.mark.parametrize("above", [[], ["p"], ["p", "q"]])
def test_history_goes_through_a_replaced_container_at_any_depth(replace: str, above: list[str]) -> None:
    """What the container held before counts, however it was replaced."""
    x: Any = track({"a": {"x": {"y": 1}}, "b": 0})
    for key in reversed(above):
        x = track({key: x, "a": {"x": {"y": "elsewhere"}}})
    at = x
    for key in above:
        at = at[key]
    path = "".join(f"/{key}" for key in (*above, "a", "x", "y"))
    with tracking_actor("before"):
        at["a"]["x"]["y"] = 2
    with tracking_actor("replace"):
        if replace == "rows":
            at.update({"b": 1, "a": {"x": {"y": 3}}})
        elif replace == "slot":
            at["a"] = {"x": {"y": 3}}
        else:
            del at["a"]
            at["a"] = {"x": {"y": 3}}
    with tracking_actor("after"):
        at["a"]["x"]["y"] = 4
    actors = [change.actor for change in x.tracking_history(path)]
    assert ["before", *["replace"] * (1 + (replace == "removed")), "after"] == actors


def test_numbers_come_before_names_and_by_value() -> None:
    """All paths are in reading order: 2 before 10, numbers before names."""
    x = track({"l": [0] * 12})
    for key in ("b", "a", "0", "10", "9", "02", ""):
        x[key] = 1
    for at in (11, 2, 0):
        x["l"][at] = 1
    assert ["/0", "/02", "/9", "/10", "/", "/a", "/b", "/l/0", "/l/2", "/l/11"] == list(x.tracking_blame())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 12))
def test_a_history_has_each_change_once(seed: int, operations: int, ring: int) -> None:
    """Oldest first, and none twice, also if the last is remembered."""
    chance = random.Random(seed)
    x = track({"a": 0, "l": [1, 2], "part": {"k": 0}}, tracking_max_changes=ring, tracking_remember_last=True)
    last: dict[str, int] = {}
    for n in range(operations):
        do = chance.randrange(5)
        if do == 0:
            x["a"] = n
        elif do == 1:
            x["l"][chance.randrange(2)] = n
        elif do == 2:
            x["other"] = n
        elif do == 4:
            x["part"]["k"] = n
        else:
            x["l"] = [n, n]
        if do in (0, 2, 4):
            last[{0: "/a", 2: "/other", 4: "/part/k"}[do]] = _core.newest_seq()
    for pointer in ("/a", "/l", "/l/0", "/l/1", "/other", "/part/k"):
        seqs = [change.seq for change in x.tracking_history(pointer)]
        assert sorted(set(seqs)) == seqs, pointer
        blamed = x.tracking_blame(pointer)
        assert blamed is None or blamed.seq == (seqs or [0])[-1], pointer
        if pointer in last:
            assert last[pointer] == seqs[-1], pointer
    if "/part/k" in last:  # seen from the part, whose changes have all left the ring, if need be
        assert last["/part/k"] == x["part"].tracking_history("/k")[-1].seq


def test_a_path_that_came_with_its_container() -> None:
    """A path is blamed on the change that brought its container.

    That holds until the path has a change of its own.
    """
    x = TrackedDict(tracking_auto_convert=True)
    with tracking_actor("bob"):
        x["users"] = [{"email": "a@b"}]
    assert "bob" == x.tracking_blame("/users/0/email").actor
    with tracking_actor("eve"):
        x["users"][0]["email"] = "e@b"
    x["users"].insert(0, {"email": "new"})
    assert "eve" == x.tracking_blame("/users/1/email").actor
    assert ["bob", "eve"] == [change.actor for change in x.tracking_history("/users/1/email")]
    assert [""] == [change.actor for change in x.tracking_history("/users/0/email")]


def test_history_goes_through_containers_that_held_the_path_before() -> None:
    """History of a path includes changes of containers that held it before."""
    x = TrackedDict(tracking_auto_convert=True)
    x["cfg"] = {"port": 1}
    x["cfg"]["port"] = 2
    x["cfg"] = {"port": 3}
    del x["cfg"]
    x["cfg"] = {"port": 4}
    history = x.tracking_history("/cfg/port")
    assert ["/cfg", "/cfg/port", "/cfg", "/cfg", "/cfg"] == [change.pointer for change in history]


def test_removed_and_unknown_paths() -> None:
    """A removed key is blamed on its removal, an unknown one on nothing.

    What was there from the start is blamed on the init record.
    """
    x = TrackedDict(a=1, b=1)
    del x["a"]
    assert "remove" == x.tracking_blame("/a").action
    assert "init" == x.tracking_blame("/b").action
    assert ["/a"] == list(x.tracking_blame())
    x["b"] = x.tracking_dropped
    assert ["update"] == [change.action for change in x.tracking_history("/b")[-1:]]


def test_attributes_and_sets() -> None:
    """Attributes and elements of sets have blame as keys have."""

    class Point(TrackedAttr):
        pass

    p = Point()
    p.x = 1  # type: ignore[attr-defined]
    p.x = 2  # type: ignore[attr-defined]
    assert [1, 2] == [change.after for change in p.tracking_history("/x")]
    s = TrackedSet()
    s.add("a")
    s.discard("a")
    s.update(["b"])
    assert ["add", "remove"] == [change.action for change in s.tracking_history("/a")]
    assert "add" == s.tracking_blame("/b").action


@pytest.mark.parametrize(("error", "bad"), [(ValueError, "port"), (TypeError, 5), (TypeError, ["a"])])
def test_an_invalid_pointer_is_refused(error: type[Exception], bad: Any) -> None:
    """An invalid pointer is refused with an example of a valid one."""
    with pytest.raises(error, match="/users/0/email"):
        TrackedDict().tracking_blame(bad)


def test_no_code_of_keys_runs_while_recording() -> None:
    """Keys with an __eq__ of their own are remembered by identity.

    None of their code runs when records leave the ring.
    """
    calls = []

    class Key:
        def __init__(self, name: str) -> None:
            self.name = name

        def __hash__(self) -> int:
            return hash(self.name)

        def __eq__(self, other: object) -> bool:
            calls.append(1)
            return isinstance(other, Key) and other.name == self.name

        def __str__(self) -> str:
            return self.name

    x = TrackedDict(tracking_max_changes=10, tracking_remember_last=True)
    key = Key("k")
    with tracking_actor("alice"):
        x[key] = 1
    calls.clear()
    for n in range(200):
        x["n"] = n
    assert [] == calls
    assert "alice" == x.tracking_blame("/k").actor


@pytest.mark.parametrize("what", ["children", "tuples", "removed", "elements"])
def test_remember_last_is_bounded(what: str) -> None:
    """The memory of remember_last is bounded by what is in the containers.

    Dead containers, equal keys that are new objects, and removed paths are forgotten.
    """

    def work(count: int) -> None:
        for n in range(count):
            if what == "children":
                d["l"] = TrackedList([1])
                d["l"].append(2)
            elif what == "tuples":
                d[(1, int("2"))] = n
            elif what == "removed":
                d[n] = 1
                del d[n]
            else:
                s.add(n)
                s.discard(n)

    d = TrackedDict(tracking_remember_last=True, tracking_max_changes=5)
    s = TrackedSet(tracking_remember_last=True, tracking_max_changes=5)
    work(3000)
    gc.collect()
    before = len(gc.get_objects())
    work(6000)
    gc.collect()
    assert len(gc.get_objects()) - before < 1500


def test_a_path_that_never_existed_has_no_change() -> None:
    """Only a path that exists and never changed gives the init."""
    data = TrackedDict({"a": {"b": [1]}, 2: "x", "l": TrackedList([1]), "s": TrackedSet([1])})
    for pointer in ("", "/a", "/a/b", "/a/b/0", "/2", "/l", "/l/0", "/s/1"):
        assert "init" == data.tracking_blame(pointer).action, pointer
        assert 1 == len(data.tracking_history(pointer))
    for pointer in ("/nope", "/a/nope", "/a/b/1", "/a/b/0/x", "/3", "/l/1", "/l/x", "/s/2", "/2/0"):
        assert data.tracking_blame(pointer) is None, pointer
        assert [] == data.tracking_history(pointer)
