"""assert_unmodified and expect_changes: they fail when they should and only then, and show who did it."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import (
    MISSING,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    track,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker._expecting import differences, snapshot
from pydatatracker.testing import ModifiedError, assert_unmodified, expect_changes


def guilty_function(x: Any) -> None:
    x["ports"].append(443)


def message_of(block: Any, act: Any) -> str:
    """What the block says about act."""
    with pytest.raises(ModifiedError) as caught, block:
        act()
    return str(caught.value)


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x = 1


# ---- assert_unmodified


def test_what_only_reads_passes() -> None:
    """Reading, copying, comparing; and afterwards nothing watches any more."""
    x = track({"ports": [80]})
    with assert_unmodified(x) as block:
        sorted(x["ports"]), dict(x), x == {"ports": [80]}, copy.deepcopy(x), list(x.items())
    x["ports"].append(1)
    assert [] == block.changes


def test_the_message_shows_the_change_and_its_stack() -> None:
    """Who, where, what, and the calls from the block on, with file, line and source; innermost last."""
    x = track({"ports": [80]}, tracking_name="config")
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x), tracking_actor("eve"):
        guilty_function(x)
    lines = str(caught.value).splitlines()
    first = guilty_function.__code__.co_firstlineno
    assert "config was modified once:" == lines[0]
    assert "/ports/1: add by append() by eve, nothing -> 443" == lines[1].strip()
    assert f"{__file__}:{first + 1} in guilty_function" == lines[-2].strip()
    assert 'x["ports"].append(443)' == lines[-1].strip()
    assert ["test_the_message_shows_the_change_and_its_stack", "guilty_function"] == [
        frame.name for frame in caught.value.stacks[0]
    ]
    assert x.tracking_changes()[1:] == caught.value.changes


SHAPES: list[tuple[str, Any, Any, list[str]]] = [
    ("update", {"a": 1}, lambda x: x.update(a=5, b=6), ["'a': 1 -> 5", "'b': nothing -> 6"]),
    ("extend", [1], lambda x: x.extend([2, 3]), ["[] -> [2, 3]"]),
    ("slice", [1, 2, 3], lambda x: x.__setitem__(slice(0, 2), [7]), ["[1, 2] -> [7]"]),
    ("sort", [3, 1], lambda x: x.sort(), ["[1, 0]", "order"]),
    ("clear", {"a": 1}, lambda x: x.clear(), ["'a': 1 -> nothing"]),
    ("add", {1}, lambda x: x.add(2), ["nothing -> 2"]),
    ("set algebra", {1, 2}, lambda x: x.symmetric_difference_update({2, 3}), ["2: 2 -> nothing", "3: nothing -> 3"]),
    ("a mutable value", {"a": 1}, lambda x: (x.__setitem__("a", seen := [1]), seen.append(2)), ["1 -> [1]"]),
]


@pytest.mark.parametrize(("data", "act", "told"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_every_kind_of_change_is_told_with_its_values(data: Any, act: Any, told: list[str]) -> None:
    """As they were at that moment, though they changed later in the block."""
    x = track(data)
    text = message_of(assert_unmodified(x), lambda: act(x))
    assert [] == [words for words in told if words not in text]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_small_ring_hides_nothing(size: int) -> None:
    """Nor does setting back."""
    x = TrackedDict(tracking_max_changes=size)
    with pytest.raises(ModifiedError, match="3 times, first") as caught, assert_unmodified(x):
        x["a"] = 1
        x["b"] = 1
        x.clear()
    assert "/a" == caught.value.changes[0].pointer
    assert 3 == len(caught.value.changes)


def test_a_cleared_log_hides_nothing() -> None:
    """tracking_clear_changes forgets the records, not what happened."""
    x = TrackedDict()
    with pytest.raises(ModifiedError, match="once"), assert_unmodified(x):
        x["a"] = 1
        x.tracking_clear_changes()


def test_a_rollback_is_two_changes() -> None:
    """What a transaction did and took back was done; in a transaction a block fails at once, before the commit."""
    x = TrackedList()

    def fail() -> None:
        with pytest.raises(KeyError), tracking_transaction():
            x.append(1)
            raise KeyError

    assert "modified 2 times, first" in message_of(assert_unmodified(x), fail)
    with pytest.raises(ModifiedError), tracking_transaction(), assert_unmodified(x):
        x.append(1)
    assert [] == x


def test_changes_of_other_threads_are_counted_and_told_once() -> None:
    """With the name of the thread and its own stack."""
    x = TrackedDict()

    def work(n: int) -> None:
        for _ in range(100):
            x[n] = x.get(n, 0) + 1

    def act() -> None:
        threads = [threading.Thread(target=work, args=(n,), name=f"worker-{n}") for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    text = message_of(assert_unmodified(x, x), act)
    assert "modified 400 times" in text
    assert "in thread worker-" in text
    assert "in work" in text


def test_more_changes_than_are_kept_are_counted() -> None:
    """The first thousand are kept."""
    x, y = TrackedList(), TrackedDict()
    y["x"] = x
    with pytest.raises(ModifiedError, match="modified 2500 times") as caught, assert_unmodified(x, y):
        for n in range(2500):
            x.append(n)
    assert list(range(1000)) == [change.after for change in caught.value.changes]


def test_the_blocks_own_exception_goes_on_with_a_note() -> None:
    """It is not replaced; the note names the change. Without a change there is no note."""
    x = TrackedDict()
    with pytest.raises(KeyError) as caught, assert_unmodified(x):
        x["a"] = 1
        x["b"]
    (note,) = caught.value.__notes__
    assert "/a: add by __setitem__(), nothing -> 1" in note
    with pytest.raises(KeyError) as caught, assert_unmodified(x):
        x["b"]
    assert not hasattr(caught.value, "__notes__")


def test_an_exception_that_takes_no_note_goes_on_all_the_same() -> None:
    """A class that lets nothing be set."""

    class Frozen(Exception):
        def __setattr__(self, name: str, value: Any) -> None:
            raise TypeError("frozen")

    x = TrackedDict()
    error = Frozen()
    with pytest.raises(Frozen) as caught, assert_unmodified(x):
        x["a"] = 1
        raise error
    assert error is caught.value


def test_blocks_in_blocks() -> None:
    """The inner one fails; the outer one repeats nothing, but notes what else was changed."""
    x, y = TrackedDict(), TrackedDict()
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x), assert_unmodified(x):
        x["a"] = 1
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(ModifiedError) as caught, assert_unmodified(y), assert_unmodified(x):
        y["other"] = 1
        x["a"] = 2
    assert "/a" == caught.value.changes[0].pointer
    assert "/other" in caught.value.__notes__[0]


def test_a_block_is_entered_once_at_a_time() -> None:
    """Entering it twice is an error; after its end it may watch anew, with a clean slate."""
    x = TrackedDict()
    block = assert_unmodified(x)
    with block, pytest.raises(RuntimeError, match="entered already"):
        block.__enter__()
    message_of(block, lambda: x.update(a=1))
    with block:
        pass


def test_locks_and_refused_changes_are_none() -> None:
    """No data changes."""
    x = track({"a": [1]})
    with assert_unmodified(x):
        x.lock()
        with pytest.raises(TrackingLockedError):
            x["a"].append(1)
        x.unlock()
        with x.tracking_break("/**", do="raise"), pytest.raises(RuntimeError):
            x["a"].append(1)
    x.lock()
    with assert_unmodified(x):
        pass


def test_only_what_changed_is_named() -> None:
    """Of several containers; one in several places, or below another that is watched, changes once."""
    shared = TrackedList(tracking_name="shared")
    x = TrackedDict(one=shared, two=shared)
    other = TrackedSet(tracking_name="other")
    text = message_of(assert_unmodified(other, shared, x), lambda: shared.append(1))
    assert "shared, TrackedDict was modified once:" == text.splitlines()[0]
    other.add(1)
    with assert_unmodified(other):
        shared.append(2)


def test_what_comes_in_is_watched_and_what_is_taken_out_is_not() -> None:
    """Taking out is the change; what happens to it later is not x's."""
    x = track({"a": [1]})
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        gone = x.pop("a")
        gone.append(2)
        x["b"] = come = TrackedList()
        come.append(3)
    assert ["/a", "/b", "/b/0"] == [change.pointer for change in caught.value.changes]


def test_other_observers_hide_nothing() -> None:
    """One that raises what is no Exception, or that changes the data itself; a block within an observer."""
    x = track({"a": [1]})

    def stop(change: Any) -> None:
        raise KeyboardInterrupt

    x["a"].tracking_add_observer(stop)
    with pytest.raises(KeyboardInterrupt) as caught, assert_unmodified(x):
        x["a"].append(2)
    assert "/a/1: add" in caught.value.__notes__[0]

    y, heard = TrackedDict(tracking_observer_errors="raise"), []

    def react(change: Any) -> None:
        if change.location == "first":
            with assert_unmodified(y):
                y["second"] = 1
        else:
            heard.append(change)

    y.tracking_add_observer(react)
    with pytest.raises(ExceptionGroup) as group:
        y["first"] = 1
    assert isinstance(group.value.exceptions[0], ModifiedError)
    assert 1 == len(heard)


def test_the_stack_of_a_change_that_an_observer_made() -> None:
    """Is its own where the container captures stacks; otherwise that of the statement it was told of."""
    for capture, name in ((True, "react"), (False, "test_the_stack_of_a_change_that_an_observer_made")):
        x = TrackedDict(tracking_capture_stack=capture)

        def react(change: Any, x: Any = x) -> None:
            if change.location == "first":
                x["second"] = 1

        x.tracking_add_observer(react)
        with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
            x["first"] = 1
        assert name == caught.value.stacks[1][-1].name


def test_a_deep_recursion_shows_its_innermost_calls() -> None:
    """Bounded; the outer ones are left out."""
    x = TrackedDict()

    def down(n: int) -> None:
        x.update(a=1) if n == 0 else down(n - 1)

    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        down(700)
    assert {"down"} == {frame.name for frame in caught.value.stacks[0]}
    assert len(str(caught.value).splitlines()) < 100


def test_it_works_in_async_code() -> None:
    """As async with; what another task does meanwhile counts."""
    x = TrackedDict()

    async def other() -> None:
        x["a"] = 1

    async def body() -> None:
        async with assert_unmodified(x):
            await asyncio.create_task(other())

    with pytest.raises(ModifiedError, match="in other"):
        asyncio.run(body())

    async def expecting() -> None:
        async with expect_changes(x, {"/a": (1, 2)}):
            x["a"] = 2

    asyncio.run(expecting())


def test_hostile_values_do_not_hide_the_change() -> None:
    """A __repr__ that raises, a key that is no line of text, a value without end."""

    class Bad:
        def __repr__(self) -> str:
            raise ValueError("no")

        def __eq__(self, other: object) -> bool:
            raise ValueError("no")

        __hash__ = object.__hash__

    x = TrackedDict()
    text = message_of(assert_unmodified(x), lambda: x.__setitem__("a\n\x1b[31m\ud800", Bad()))
    assert "repr raised ValueError" in text
    assert "\x1b" not in text
    assert text.encode()
    long = message_of(assert_unmodified(x), lambda: x.__setitem__("long", "x" * 10**6))
    assert len(long) < 5000
    with expect_changes(x, {"/bad": (MISSING, ...)}):
        x["bad"] = Bad()
    assert "/bad: " in message_of(expect_changes(x, {}), lambda: x.__setitem__("bad", Bad()))


@pytest.mark.parametrize("block", [lambda x: assert_unmodified(x), lambda x: expect_changes(x, {"/pin": (..., 1)})])
def test_no_message_has_what_is_redacted(block: Any) -> None:
    """Neither the values nor the states are shown; that it changed is."""
    x = track({"pin": "s3cr3t-old", "card": {"pin": "s3cr3t-older"}}, tracking_redact="/**/pin")

    def act() -> None:
        x["pin"] = "s3cr3t-new"
        x["card"]["pin"] = "s3cr3t-newer"

    text = message_of(block(x), act)
    assert "s3cr3t" not in "\n".join(line for line in text.splitlines() if "= " not in line)
    assert "/pin" in text


def test_the_error_can_be_pickled_and_copied() -> None:
    """As a pool of processes does with what a worker raises."""
    x = TrackedDict()
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        x["a"] = 1
    caught.value.add_note("kept")
    for error in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert str(caught.value) == str(error)
        assert ["/a"] == [change.pointer for change in error.changes]
        assert caught.value.stacks[0][-1].lineno == error.stacks[0][-1].lineno
        assert ["kept"] == error.__notes__


@pytest.mark.parametrize(
    "make", [lambda: assert_unmodified({}), lambda: expect_changes([], {}), lambda: assert_unmodified()]
)
def test_what_is_not_tracked_is_refused(make: Any) -> None:
    """The sentence says how to track it."""
    with pytest.raises(TypeError, match=r"track\(\)|needs a tracked container"):
        make()


# ---- expect_changes


def test_expected_changes_pass() -> None:
    """Values, anything, a function, nothing; a place that ends as it began is no change."""
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


def test_every_difference_is_told_with_its_culprit() -> None:
    """What did not change, what is otherwise, what was not expected; who did the latter two, and from where."""
    x = track({"a": 1, "b": 1, "ports": [1]})

    def act() -> None:
        x["b"] = 6
        guilty_function(x)

    block = expect_changes(x, {"/a": (1, 2), "/b": (1, 5)})
    with pytest.raises(ModifiedError) as caught, block:
        act()
    missing, other = str(caught.value).split("changed in another way:")
    different, unexpected = other.split("should not have changed:")
    assert "/a: is 1, expected 1 -> 2" in missing
    assert "/b: 1 -> 6; after it should have been 5" in different
    assert 'x["b"] = 6' in different
    assert "/ports/1: nothing -> 443" in unexpected
    assert "in guilty_function" in unexpected
    assert ["/b", "/ports/1"] == [change.pointer for change in caught.value.changes]


def test_other_places_may_be_allowed_to_change() -> None:
    """What is named must change all the same."""
    x = track({"a": 1, "l": [1]})
    with expect_changes(x, {"/a": (1, 2)}, others="allow"):
        x["a"] = 2
        x["l"].clear()
    assert "/a: is 2" in message_of(expect_changes(x, {"/a": (2, 3)}, others="allow"), lambda: x["l"].append(1))


def test_nothing_expected_is_the_net_twin_of_assert_unmodified() -> None:
    """What is set back passes."""
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
def test_what_fits(value: Any, wanted: Any, fits: bool) -> None:
    """Types count, in depth too; objects that compare in their own way do; a function that raises does not fit."""
    x = TrackedDict()
    block = expect_changes(x, {"/a": (MISSING, wanted)})
    if fits:
        with block:
            x["a"] = value
    else:
        assert "/a: nothing -> " in message_of(block, lambda: x.__setitem__("a", value))


def test_a_function_that_raises_is_told() -> None:
    """With what it raised."""
    x = TrackedDict()
    text = message_of(expect_changes(x, {"/a": (MISSING, lambda v: v["deep"])}), lambda: x.update(a={}))
    assert "KeyError('deep')" in text


class Key:
    def __init__(self, words: str) -> None:
        self.words = words

    def __str__(self) -> str:
        return self.words


def test_places_are_pointers() -> None:
    """Escaped, of keys that are no str, of lists, sets, tuples and attributes; a star is a key like others."""
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


def test_a_container_that_comes_or_goes_is_one_place_unless_its_inside_is_named() -> None:
    """Then each place in it stands for itself."""
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


def test_data_that_is_not_tracked_is_compared_too() -> None:
    """A plain list inside; the message says that nobody was seen."""
    x = TrackedDict(tracking_auto_convert=False)
    x["plain"] = [1]
    text = message_of(expect_changes(x, {}), lambda: x["plain"].append(2))
    assert "/plain/1: nothing -> 2" in text
    assert "by no recorded change" in text


def test_the_message_is_bounded() -> None:
    """However many places changed; of as many as are shown the rest is counted."""
    x = track({str(n): list(range(20)) for n in range(200)})

    def act() -> None:
        for each in x.values():
            each.reverse()

    text = message_of(expect_changes(x, {f"/none{n}": (MISSING, 1) for n in range(50)}), act)
    assert "and 3980 more places" in text
    assert "and 30 more places" in text
    assert len(text) < 30_000


def test_what_holds_itself_is_compared() -> None:
    """Without end, but in finite time."""
    x = TrackedDict(a=1)
    x["me"] = x
    with expect_changes(x, {"/a": (1, 2), "/me": (..., ...)}):
        x["a"] = 2
    with expect_changes(x, {}):
        pass


def test_the_blocks_own_exception_is_not_replaced() -> None:
    """Nothing is checked."""
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
    """Before the block runs."""
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
    """Equal with types: what Python shows of both is the same, but for the order of dicts and sets."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def store(state: Any, place: tuple[str, ...], value: Any) -> Any:
    """State with value at place, or without anything there: how a person would apply one difference."""
    if not place:
        return value
    part = place[0][1:].replace("~1", "/").replace("~0", "~")
    if isinstance(state, set):
        element = next(e for e in {*state, *([] if value is MISSING else [value])} if str(e) == part)
        return state - {element} if value is MISSING else state | {element}
    if isinstance(state, list):
        n = int(part)
        if value is MISSING:
            return state[:n]  # all that follow are missing too, or it were another value
        return [*state[:n], store(state[n] if n < len(state) else MISSING, place[1:], value), *state[n + 1 :]]
    new = store(state.get(part, MISSING), place[1:], value)
    return {key: item for key, item in {**state, part: new}.items() if item is not MISSING}


@settings(max_examples=100)
@given(documents, documents)
def test_the_differences_lead_from_one_state_to_the_other(old: Any, new: Any) -> None:
    """Applied one by one by hand; and none is there where nothing differs."""
    found = list(differences(old, new, set()))
    state = copy.deepcopy(old)
    for place, was, now in found:
        assert not same(was, now)
        state = store(state, place, now)
    assert same(state, new)
    assert same(snapshot(track(old)), old)
    assert [] == list(differences(old, snapshot(track(old)), set()))


@settings(max_examples=60)
@given(documents, documents, st.data())
def test_exactly_the_changed_keys_must_be_expected(old: Any, new: Any, data: Any) -> None:
    """All of them named pass; one left out, one too many or one wrong value fails and is named."""
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


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["read", "lock", "store", "same", "append", "nothing", "pop"]), max_size=5))
def test_it_fails_exactly_if_the_records_say_that_data_changed(steps: list[str]) -> None:
    """The judge is the log."""
    x = track({"a": [1], "b": 1})
    since = x.last_change().seq if x.tracking_changes() else 0
    failed = False
    try:
        with assert_unmodified(x):
            for step in steps:
                {
                    "read": lambda: x["a"][0], "lock": lambda: (x.lock(), x.unlock()), "same": lambda: x.update(b=x["b"]),
                    "store": lambda: x.update(b=2), "append": lambda: x["a"].append(1), "nothing": lambda: x["a"].sort(),
                    "pop": lambda: x["a"][1:] and x["a"].pop(),
                }[step]()  # fmt: skip
    except ModifiedError:
        failed = True
    logged = [c for c in x.tracking_changes() if c.seq > since and c.action in ("add", "update", "remove")]
    assert bool(logged) == failed
