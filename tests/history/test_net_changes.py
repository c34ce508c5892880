"""Net changes and merge patches: the difference, once per path."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from typing import Any

import pytest
from gardening import STEPS, Session, alike
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import MISSING, HistoryLostError, TrackedDict, TrackedList, _core, track, tracking_actor
from pydatatracker.history.net_changes import NetChange, merge_patch, net_changes


def told(container: Any, since: int | None = None) -> list[tuple[str, str, Any, Any]]:
    """Return net changes without who and when."""
    return [(net.action, net.pointer, net.before, net.after) for net in net_changes(container, since)]


def applied(state: Any, nets: list[NetChange]) -> Any:
    """Apply net changes to a copy of the old state, naively.

    From the top down. Of one list the removals come first, at the old indices, then additions and updates at the new ones.
    """
    holder = [copy.deepcopy(state)]
    rank = {"remove": 0, "add": 1, "update": 2}

    def order(net: NetChange) -> Any:
        last = net.path[-1] if net.path and type(net.path[-1]) is int else 0
        return len(net.path), rank[net.action], -last if net.action == "remove" else last

    for net in sorted(nets, key=order):
        at: Any = holder
        for step in (0, *net.path)[:-1]:
            at = at[step]
        last = net.path[-1] if net.path else 0
        if isinstance(at, set):
            (at.discard if net.after is MISSING else at.add)(last)
        elif net.action == "remove":
            assert alike(net.before, at[last])
            del at[last]
        elif net.action == "add" and isinstance(at, list):
            at.insert(last, copy.deepcopy(net.after))
        else:
            assert (net.action == "add") == (isinstance(at, dict) and last not in at)
            at[last] = copy.deepcopy(net.after)
    return holder[0]


def merged(target: Any, patch: Any) -> Any:
    """Return MergePatch of RFC 7396, section 2, written as it is there."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merged(target.get(key), value)
    return target


def has_null(value: Any) -> bool:
    """Return whether an object somewhere has None as a member; arrays may."""
    return isinstance(value, dict) and any(item is None or has_null(item) for item in value.values())


@given(STEPS, st.data())
def test_net_changes_lead_to_the_present_once_per_path(steps: list[Any], data: st.DataObject) -> None:
    """Net changes lead from any past state to the present one.

    None has no effect, and no path comes twice.
    """
    session = Session().run(steps)
    for n in {0, data.draw(st.integers(0, len(session.past) - 1))}:
        since, old = session.past[n]
        nets = net_changes(session.root, since)
        assert alike(session.past[-1][1], applied(old, nets)), nets
        places = [(net.path, net.action == "remove") for net in nets]
        assert len(places) == len(set(map(repr, places)))
        known = {change.seq for change in _core.changes_of(session.root, since)}
        for net in nets:
            assert net.change.seq in known
            assert not alike(net.before, net.after)
            assert not any(net.path != o.path and net.path[: len(o.path)] == o.path and o.action == "add" for o in nets)
    assert [] == net_changes(session.root, session.past[-1][0])


@given(STEPS, st.data())
def test_a_merge_patch_gives_the_present_or_says_why_not(steps: list[Any], data: st.DataObject) -> None:
    """A merge patch applied by RFC 7396 gives the present state.

    It is refused only where null would have to be set.
    """
    session = Session(odd_keys=False).run(steps)
    since, old = session.past[data.draw(st.integers(0, len(session.past) - 1))]
    new = session.past[-1][1]
    if has_null(new):
        with contextlib.suppress(ValueError):
            assert alike(new, merged(old, merge_patch(session.root, since)))
        return
    patch = merge_patch(session.root, since)
    assert alike(new, merged(old, patch)), patch
    assert alike(old, new) == (patch == {})


def test_restored_data_is_not_a_net_change() -> None:
    """Data that is as it was before is not a net change, however it got there."""
    d = track({"a": 1, "l": [1, 2, 3], "s": {1}, "c": {"x": [1]}})
    d["a"] = 2
    d["a"] = 1
    d["l"].append(4)
    d["l"].pop()
    d["l"].reverse()
    d["l"].reverse()
    d["l"].insert(0, d["l"].pop(0))
    d["s"].add(2)
    d["s"].discard(2)
    child = d.pop("c")
    child["x"].append(2)
    child["x"].pop()
    d["c"] = child
    d["l"][1:2] = [2]
    d["new"] = 1
    del d["new"]
    assert [] == told(d)
    assert {} == merge_patch(d)


def test_equal_is_not_the_same() -> None:
    """1, 1.0 and True are different values."""
    d = TrackedDict(a=1, b=[1])
    d["a"] = True
    d["b"] = [1.0]
    assert [("update", "/a", 1, True), ("update", "/b", [1], [1.0])] == told(d)
    assert '{"a": true, "b": [1.0]}' == json.dumps(merge_patch(d))


def test_items_are_followed_through_shifts() -> None:
    """An item is found after insertions before it, also among equal ones."""
    rows = track([{"n": 0}, {"n": 0}, {"n": 0}])
    middle = rows[1]
    rows.insert(0, "first")
    middle["n"] = 5
    del rows[1]
    assert [("update", "/0", {"n": 0}, "first"), ("update", "/1/n", 0, 5)] == told(rows)
    since = _core.newest_seq()
    rows[1:1] = ["a", "b"]
    middle["n"] = 6
    rows.append("end")
    assert [("add", "/1", MISSING, "a"), ("add", "/2", MISSING, "b"), ("update", "/3/n", 5, 6), ("add", "/5", MISSING, "end")] == told(rows, since)  # fmt: skip


@pytest.mark.parametrize("then", [[], [1], [1, 2, 3, 4], [1, 1, 2, 2], [0, 1, 2, 3, 4, 5]])
@pytest.mark.parametrize("now", [[], [1], [1, 9, 4], [1, 2, 4], [4], [1, 4], [0, 1, 2, 2, 3, 4, 5], [9, 1, 2, 3, 4]])
def test_items_that_were_replaced_by_equal_ones_are_no_net_change(then: list[int], now: list[int]) -> None:
    """All items replaced: equal beginnings and ends are left out.

    The rest is every old item against the new one at its side.
    """
    items = TrackedList(then)
    since = _core.newest_seq()
    items[:] = now
    first = next(
        (n for n, pair in enumerate(zip(then, now, strict=False)) if pair[0] != pair[1]), min(len(then), len(now))
    )
    olds, news = list(enumerate(then))[first:], list(enumerate(now))[first:]
    while olds and news and olds[-1][1] == news[-1][1]:
        olds.pop()
        news.pop()
    both = min(len(olds), len(news))
    expected: list[Any] = [
        ("update", f"/{n}", old, new) for (_, old), (n, new) in zip(olds, news, strict=False) if old != new
    ]
    expected += [("remove", f"/{n}", old, MISSING) for n, old in olds[both:]]
    expected += [("add", f"/{n}", MISSING, new) for n, new in news[both:]]
    assert expected == told(items, since)


def test_a_reordered_list_is_one_update() -> None:
    """A list whose items changed their order is one update of the list."""
    d = track({"l": [3, 1, 2]})
    d["l"].sort()
    d["l"].append(4)
    assert [("update", "/l", [3, 1, 2], [1, 2, 3, 4])] == told(d)
    assert d.last_change() == net_changes(d)[0].change


def test_an_added_container_is_one_net_change() -> None:
    """Changes inside an added container are part of its addition.

    The last of them names who changed the path.
    """
    d = track({})
    with tracking_actor("ann"):
        d["new"] = {"l": []}
    with tracking_actor("bob"):
        d["new"]["l"].append(1)
    (net,) = net_changes(d)
    assert ("add", "/new", MISSING, {"l": [1]}, "bob") == (
        net.action,
        net.pointer,
        net.before,
        net.after,
        net.change.actor,
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.path = ()  # type: ignore[misc]


def test_who_and_when_are_those_of_the_last_touch() -> None:
    """Each path has its own last change, removed ones too."""
    d = track({"a": 1, "b": 2, "l": [1, 2, 3]})
    for actor, act in {
        "one": lambda: d.update(a=5, b=6),
        "two": lambda: d.update(a=7),
        "three": lambda: d["l"].pop(0),
        "four": lambda: d["l"].__setitem__(1, 9),
        "five": lambda: d.pop("b"),
    }.items():
        with tracking_actor(actor):
            act()
    assert {("/b", "five"), ("/a", "two"), ("/l/0", "three"), ("/l/1", "four")} == {
        (net.pointer, net.change.actor) for net in net_changes(d)
    }


def test_shared_containers_are_reported_at_every_path() -> None:
    """One change of a container at two paths is two net changes."""
    shared = TrackedList()
    d = TrackedDict(a=shared, b=shared)
    shared.append(1)
    assert [("add", "/a/0", MISSING, 1), ("add", "/b/0", MISSING, 1)] == told(d)
    assert {"a": [1], "b": [1]} == merge_patch(d)


def test_values_are_copies() -> None:
    """Later changes do not alter a net change."""
    d = track({"a": {"x": [1]}})
    d["b"] = {"y": [1]}
    since = d.pop("a")
    nets = net_changes(d)
    d["b"]["y"].append(2)
    since["x"].append(3)
    assert [{"x": [1]}, {"y": [1]}] == [nets[0].before, nets[1].after]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda d: d["a"].__setitem__("b", None), "None at '/a/b'"),
        (lambda d: d.__setitem__("n", {"x": {"y": None}}), "None at '/n/x/y'"),
        (lambda d: d.__setitem__("a", {"b": None}), "None at '/a/b'"),
        (lambda d: d.__setitem__(1, 2), "1 at '/1'"),
        (lambda d: d["a"].__setitem__("z", {(1, 2): 3}), r"\(1, 2\) at '/a/z/\(1, 2\)'"),
        (lambda d: d["l"].append({5: 6}), "5 at '/l/0/5'"),
        (lambda d: d["odd"][7].append(1), "7 at '/odd/7'"),
    ],
)
def test_data_that_a_merge_patch_cannot_express(act: Any, said: str) -> None:
    """None for a key, and keys that are not str, are refused with their path."""
    d = track({"a": {"b": 1}, "l": [], "odd": {7: []}})
    act(d)
    with pytest.raises(ValueError, match=said):
        merge_patch(d)


def test_none_in_a_list_and_an_unchanged_none() -> None:
    """None in a list is a value, and an unchanged None is not mentioned.

    A merge patch replaces arrays whole.
    """
    d = track({"l": [], "old": None, "gone": None})
    d["l"].extend([None, {"x": None}])
    del d["gone"]
    assert {"gone": None, "l": [None, {"x": None}]} == merge_patch(d)


def test_a_list_or_set_is_its_own_merge_patch() -> None:
    """The merge patch of a list or set is its whole value (RFC 7396)."""
    l = track([1, {"a": 2}])  # noqa: E741
    l[1]["a"] = 3
    assert [1, {"a": 3}] == merge_patch(l)
    s = track({1})
    s.add(2)
    assert {1, 2} == merge_patch(s)
    assert [("add", "/2", MISSING, 2)] == told(s)


def test_a_diamond_without_changes_costs_nothing() -> None:
    """Unchanged containers with 2**40 paths to them are not walked."""
    bottom = TrackedDict(n=0)
    d = bottom
    for _ in range(40):
        d = TrackedDict(left=d, right=d)
    top = TrackedDict(d=d, n=0)
    top["n"] = 1
    assert [("update", "/n", 0, 1)] == told(top)


def test_lost_history_is_an_error() -> None:
    """HistoryLostError is raised for a point before what was dropped.

    A point that is not a seq is a TypeError.
    """
    d = TrackedDict(tracking_max_changes=4)
    for n in range(10):
        d["n"] = n
    for ask in (net_changes, merge_patch):
        with pytest.raises(HistoryLostError, match="no longer kept"):
            ask(d)
        with pytest.raises(TypeError, match="seq of a change"):
            ask(d, "1")  # type: ignore[operator]


def test_a_value_that_holds_itself_is_copied_as_such() -> None:
    """Through dicts, lists and tuples; a merge patch of it is refused."""
    d = TrackedDict(n=TrackedDict())
    loop: list[Any] = [{}]
    loop[0]["pair"] = (loop,)
    d["loop"], d["n"]["root"] = loop, d
    nets = net_changes(d)
    assert ["/n/root", "/loop"] == [net.pointer for net in nets]
    assert nets[0].after["n"]["root"] is nets[0].after
    assert nets[1].after[0]["pair"][0] is loop or nets[1].after[0]["pair"][0] is nets[1].after
    assert all(net.to_dict() if hasattr(net, "to_dict") else repr(net) for net in nets)
    with pytest.raises(ValueError, match="holds itself"):
        merge_patch(d)


@pytest.mark.parametrize("size", [3, 40])
def test_a_graph_is_compared_in_the_shortest_paths(size: int) -> None:
    """Each node has a difference at its shortest path.

    In a graph of 40 nodes that all refer to each other there are more simple paths than anybody can visit.
    """
    nodes = [TrackedDict(n=n) for n in range(size)]
    for node in nodes:
        node["all"] = TrackedDict({str(n): other for n, other in enumerate(nodes)})
    since = _core.newest_seq()
    assert [] == net_changes(nodes[0], since)
    for node in nodes:
        node["n"] = -1
    nets = net_changes(nodes[0], since)
    found = [net.pointer for net in nets]
    assert {"/n", *(f"/all/{n}/n" for n in range(1, size))} <= set(found)
    assert len(found) == len(set(found)) <= 256 * size
    assert found[0] == "/n"
    assert {("update", -1)} == {(net.action, net.after) for net in nets}
    assert {net.before for net in nets} == set(range(size))


def test_values_that_share_containers_are_compared_in_linear_time() -> None:
    """Two values with 2**200 paths each are alike, or not."""

    def diamond(bottom: int) -> Any:
        made: Any = [bottom]
        for _ in range(200):
            made = [made, made]
        return made

    d = TrackedDict(same=diamond(1), other=diamond(1))
    since = _core.newest_seq()
    d["same"], d["other"] = diamond(1), diamond(2)
    nets = net_changes(d, since)
    assert ["/other"] == [net.pointer for net in nets]
    at = nets[0].after
    while isinstance(at[0], list):
        assert at[0] is at[1]
        at = at[0]
    assert [2] == at
    with pytest.raises(ValueError, match="in more than 1,000,000 places"):
        merge_patch(d, since)
