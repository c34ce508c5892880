"""expect_changes fails unless exactly the expected paths changed."""

from __future__ import annotations

import copy
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modified import message_of

from pydatatracker import (
    MISSING,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    track,
)
from pydatatracker.history.walk import linked_copy
from pydatatracker.testing import ModifiedError, expect_changes
from pydatatracker.testing.expecting import differences


def offending_function(x: Any) -> None:
    x["ports"].append(443)


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x = 1


def test_expected_changes_pass() -> None:
    """Expected changes pass: values, `...`, functions and MISSING.

    A path whose final value equals its first one has not changed.
    """
    x = track({"a": 1, "b": {"c": [1, 2]}, "gone": 5, "same": 1})
    expected = {"/a": (1, 2), "/b/c/1": (2, ...), "/new": (MISSING, lambda v: v > 5), "/gone": (5, MISSING)}
    with expect_changes(x, expected) as seen:
        x["a"] = 2
        x["b"]["c"][1] = "x"
        x["new"] = 9
        del x["gone"]
        x["same"] = 2
        x["same"] = 1
    assert 6 == len(seen.changes)


def test_every_difference_is_shown_with_its_actor() -> None:
    """Missing, different and unexpected changes are all shown.

    Different and unexpected ones have their actor and stack.
    """
    x = track({"a": 1, "b": 1, "ports": [1]})

    def act() -> None:
        x["b"] = 6
        offending_function(x)

    block = expect_changes(x, {"/a": (1, 2), "/b": (1, 5)})
    with pytest.raises(ModifiedError) as caught, block:
        act()
    missing, other = str(caught.value).split("changed in another way:")
    different, unexpected = other.split("should not have changed:")
    assert "/a: is 1, expected 1 -> 2" in missing
    assert "/b: 1 -> 6; after it should have been 5" in different
    assert 'x["b"] = 6' in different
    assert "/ports/1: nothing -> 443" in unexpected
    assert "in offending_function" in unexpected
    assert ["/b", "/ports/1"] == [change.pointer for change in caught.value.changes]


CULPRITS: list[tuple[Any, str, list[Any], int]] = [
    # data, path that should not change, calls, index of the call that is named: the last one that changed the path
    ([1, 2], "/0", [lambda x: x.__setitem__(0, 5), lambda x: x.append(3)], 0),
    ([1, 2], "/1", [lambda x: x.insert(0, 9), lambda x: x.append(3)], 0),
    ([1, 2, 3], "/0", [lambda x: x.__delitem__(slice(0, 1)), lambda x: x.extend([7, 8])], 0),
    ([1, 2, 3], "/2", [lambda x: x.__setitem__(0, 9), lambda x: x.reverse(), lambda x: x.__setitem__(0, 8)], 1),
    ([1, 2, 3], "/2", [lambda x: x.__setitem__(slice(None, None, 2), [8, 9]), lambda x: x.__setitem__(1, 0)], 0),
    ({"a": 1, "b": 1}, "/a", [lambda x: x.update(a=2, b=2), lambda x: x.update(b=3, c=1)], 0),
    ({"a": {"x": 1}, "b": 1}, "/a/x", [lambda x: x["a"].update(x=2), lambda x: x.update(b=2)], 0),
    ({"a": {"x": 1}, "b": 1}, "/a/x", [lambda x: x.update(a=track({"x": 3})), lambda x: x.update(b=2)], 0),
    ({"a": {"x": 1}}, "/a", [lambda x: x["a"].update(x=2), lambda x: x.pop("a")], 1),
    ({1, 2}, "/2", [lambda x: x.difference_update({2}), lambda x: x.update({7, 8})], 0),
]


@pytest.mark.parametrize(("data", "place", "acts", "offending"), CULPRITS)
def test_the_newest_change_of_the_path_is_named(data: Any, place: str, acts: Any, offending: int) -> None:
    """The newest change of a path is named; moves in a list count."""
    x = track(data)
    seqs = []

    def act() -> None:
        for each in acts:
            each(x)
            seqs.append(x.last_change().seq)

    text = message_of(expect_changes(x, {}), act).split(f"\n  {place}: ")[1]
    named = x.tracking_changes()[1:][offending]
    assert seqs[offending] == named.seq
    assert f"{named.pointer or 'the whole'}: {named.action} by {named.method}()" in text.splitlines()[1]


def test_other_paths_may_be_allowed_to_change() -> None:
    """With others="allow" other paths may change; named ones still must."""
    x = track({"a": 1, "l": [1]})
    with expect_changes(x, {"/a": (1, 2)}, others="allow"):
        x["a"] = 2
        x["l"].clear()
    assert "/a: is 2" in message_of(expect_changes(x, {"/a": (2, 3)}, others="allow"), lambda: x["l"].append(1))


def test_nothing_expected_is_the_net_twin_of_assert_unmodified() -> None:
    """If nothing is expected, data that is set to its old value passes."""
    x = TrackedDict(a=1)
    with expect_changes(x, {}) as seen:
        x["a"] = 2
        x["a"] = 1
    assert 2 == len(seen.changes)
    assert "/a: 1 -> 3" in message_of(expect_changes(x, {}), lambda: x.update(a=3))


FITTING = [
    (1, 1, True), (1, True, False), (1, 1.0, False), (True, 1, False), ("1", 1, False),
    (float("nan"), float("nan"), True), ([1, [2]], [1, [2]], True), ([1, [2]], [1, (2,)], False),
    ([1], TrackedList([1]), True), ({"a": {1}}, {"a": {1}}, True), ({"a": 1}, {"a": True}, False),
    (0.1 + 0.2, pytest.approx(0.3), True), ("x", mock.ANY, True), ([1, 2], [1, mock.ANY], True), (None, None, True),
    (None, MISSING, False), (3, lambda v: v > 2, True), (3, lambda v: v > 3, False), ("x", lambda v: v > 3, False),
    (len, lambda v: v is len, True), (b"x", "x", False),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wanted", "fits"), FITTING)
def test_what_matches(value: Any, wanted: Any, fits: bool) -> None:
    """Values must match in type and value, also nested ones.

    Objects with their own comparison are compared by it. A function that raises does not match.
    """
    x = TrackedDict()
    block = expect_changes(x, {"/a": (MISSING, wanted)})
    if fits:
        with block:
            x["a"] = value
    else:
        assert "/a: nothing -> " in message_of(block, lambda: x.__setitem__("a", value))


def test_a_function_that_raises_is_reported() -> None:
    """An exception of a function is part of the message."""
    x = TrackedDict()
    text = message_of(expect_changes(x, {"/a": (MISSING, lambda v: v["deep"])}), lambda: x.update(a={}))
    assert "KeyError('deep')" in text


class Key:
    def __init__(self, words: str) -> None:
        self.words = words

    def __str__(self) -> str:
        return self.words


def test_paths_are_pointers() -> None:
    """Paths are escaped pointers, for every kind of key.

    Keys that are not str, and items of lists, sets, tuples and attributes. A star is an ordinary key.
    """
    x = track({"a/b": 1, "~": 1, 3: 1, (1, 2): 1, "": 1, "*": 1, Key("k"): 1, "s": {"e"}, "l": [0], "t": (1,)})
    x["p"] = Point()
    expected = {
        "/a~1b": (1, 2), "/~0": (1, 2), "/3": (1, 2), "/(1, 2)": (1, 2), "/": (1, 2), "/*": (1, 2), "/k": (1, 2),
        "/s/e": ("e", MISSING), "/s/f": (MISSING, "f"), "/l/0": (0, 1), "/p/x": (1, 2), "/t/0": (1, 5),
    }  # fmt: skip
    with expect_changes(x, {**expected, "/t": (..., ...)}):
        for key in list(x)[:7]:
            x[key] = 2
        x["s"].remove("e")
        x["s"].add("f")
        x["l"][0] = 1
        x["p"].x = 2
        x["t"] = (5,)
    assert "/a~1b: 2 -> 3" in message_of(expect_changes(x, {}), lambda: x.update({"a/b": 3}))


def test_an_added_or_removed_container_is_one_path_by_default() -> None:
    """An added or removed container is one path, unless paths in it are named.

    If they are, each path in it counts by itself.
    """
    x = TrackedDict(old=track({"a": 1}))

    def act() -> None:
        x["new"] = track({"a": 1, "b": {"c": 2}})
        del x["old"]

    whole = {"/new": (MISSING, {"a": 1, "b": {"c": 2}}), "/old": ({"a": 1}, MISSING)}
    inside = {"/new/a": (MISSING, 1), "/new/b/c": (MISSING, 2), "/old/a": (1, MISSING)}
    for expected in (whole, inside):
        with expect_changes(x, expected):
            act()
        x = TrackedDict(old=track({"a": 1}))
    text = message_of(expect_changes(x, {"/new/a": (MISSING, 1)}), act)
    assert "\n  /new/b: nothing -> {'c': 2}\n" in text
    assert "\n  /new: " not in text
    assert "\n  /old: {'a': 1} -> nothing\n" in text


def test_untracked_data_is_compared_too() -> None:
    """An untracked list inside is compared, too.

    The message says that no recorded change explains the difference.
    """
    x = TrackedDict(tracking_auto_convert=False)
    x["plain"] = [1]
    text = message_of(expect_changes(x, {}), lambda: x["plain"].append(2))
    assert "/plain/1: nothing -> 2" in text
    assert "by no recorded change" in text


def test_the_message_is_bounded() -> None:
    """The message is bounded, and counts the paths that it leaves out."""
    x = track({str(n): list(range(20)) for n in range(200)})

    def act() -> None:
        for each in x.values():
            each.reverse()

    text = message_of(expect_changes(x, {f"/none{n}": (MISSING, 1) for n in range(50)}), act)
    assert "and 3980 more paths" in text
    assert "and 30 more paths" in text
    assert len(text) < 30_000


def test_data_that_holds_itself_is_compared() -> None:
    """Data that contains itself is compared in finite time."""
    x = TrackedDict(a=1)
    x["me"] = x
    with expect_changes(x, {"/a": (1, 2), "/me": (..., ...)}):
        x["a"] = 2
    with expect_changes(x, {}):
        pass


def test_the_blocks_own_exception_is_not_replaced() -> None:
    """An exception in the block is raised, and nothing is checked."""
    x = TrackedDict()
    with pytest.raises(KeyError), expect_changes(x, {"/a": (1, 2)}):
        x["b"]


@pytest.mark.parametrize(
    ("error", "expected", "kwargs"),
    [
        (ValueError, {"a": (1, 2)}, {}),
        (TypeError, {1: (1, 2)}, {}),
        (TypeError, {"/a": 1}, {}),
        (TypeError, {"/a": [1, 2]}, {}),
        (TypeError, {"/a": (1, int)}, {}),
        (ValueError, {}, {"others": "maybe"}),
    ],
)
def test_bad_expectations_are_refused(error: type[Exception], expected: Any, kwargs: Any) -> None:
    """Wrong expectations are refused before the block runs."""
    with pytest.raises(error):
        expect_changes(TrackedDict(), expected, **kwargs)


# ---- against a naive oracle

leaves = st.one_of(st.integers(0, 3), st.booleans(), st.none(), st.sampled_from(["", "a", "/", "~1"]))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "/", "~", "0", ""]), inner, max_size=4),
        st.sets(st.integers(0, 4), max_size=3),
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c/d", "~", ""]), trees, max_size=4)


def same(a: Any, b: Any) -> bool:
    """Return whether two values are equal, with equal types.

    The order of dicts and sets does not count.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def store(state: Any, place: tuple[str, ...], value: Any) -> Any:
    """Return the state with value at a path, or without that path.

    The value MISSING removes the path.
    """
    if not place:
        return value
    part = place[0][1:].replace("~1", "/").replace("~0", "~")
    if isinstance(state, set):
        element = next(e for e in {*state, *([] if value is MISSING else [value])} if str(e) == part)
        return state - {element} if value is MISSING else state | {element}
    if isinstance(state, list):
        n = int(part)
        if value is MISSING and len(place) == 1:
            return state[:n]  # all later items are missing too, or this would be another value
        return [*state[:n], store(state[n] if n < len(state) else MISSING, place[1:], value), *state[n + 1 :]]
    new = store(state.get(part, MISSING), place[1:], value)
    return {key: item for key, item in {**state, part: new}.items() if item is not MISSING}


@settings(max_examples=100)
@given(documents, documents)
def test_the_differences_lead_from_one_state_to_the_other(old: Any, new: Any) -> None:
    """The differences, applied by hand, turn one state into the other.

    Equal states have no differences.
    """
    found = list(differences(old, new, set()))
    state = copy.deepcopy(old)
    for place, was, now in found:
        assert not same(was, now)
        state = store(state, place, now)
    assert same(state, new)
    assert same(linked_copy(track(old)), old)
    assert [] == list(differences(old, linked_copy(track(old)), set()))


@settings(max_examples=60)
@given(documents, documents, st.data())
def test_exactly_the_changed_keys_must_be_expected(old: Any, new: Any, data: Any) -> None:
    """The block passes if all changed keys are expected, and fails otherwise.

    It fails if one is left out or has a wrong value.
    """
    x = track(old)
    pointer = {key: "/" + key.replace("~", "~0").replace("/", "~1") for key in {*old, *new}}
    changed = [key for key in pointer if not same(old.get(key, MISSING), new.get(key, MISSING))]
    expected = {pointer[key]: (old.get(key, MISSING), new.get(key, MISSING)) for key in changed}

    def act() -> None:
        x.clear()
        x.update(track(new))

    with expect_changes(x, expected):
        act()
    if not changed:
        return
    key = pointer[data.draw(st.sampled_from(changed))]
    x = track(old)
    text = message_of(expect_changes(x, {name: pair for name, pair in expected.items() if name != key}), act)
    assert f"\n  {key}" in text
    x = track(old)
    text = message_of(expect_changes(x, expected | {key: (expected[key][0], "not this")}), act)
    assert f"\n  {key}: " in text
