"""Apply JSON patches (RFC 6902) to live containers, all or nothing."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import jsonpatch
import pytest
from gardening import STEPS, Node, Session, alike
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import (
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    _core,
    track,
)
from pydatatracker.history.apply_patch import PatchError, apply_patch
from pydatatracker.history.patch import patch
from pydatatracker.history.walk import plain_copy


def op(op: str, path: Any, *value: Any, **more: Any) -> dict[str, Any]:
    """Return an operation; ``from_`` is its member from."""
    made = {"op": op, "path": path, **({"value": value[0]} if value else {}), **more}
    if "from_" in made:
        made["from"] = made.pop("from_")
    return made


# Document, operations, result. The first ones are the examples of RFC 6902, appendix A, written anew.
WORKS: list[tuple[Any, list[Any], Any]] = [
    ({"name": "x"}, [op("add", "/mail", "m")], {"name": "x", "mail": "m"}),  # A.1 add a member
    ({"l": ["a", "c"]}, [op("add", "/l/1", "b")], {"l": ["a", "b", "c"]}),  # A.2 add an item
    ({"a": 1, "b": 2}, [op("remove", "/a")], {"b": 2}),  # A.3 remove a member
    ({"l": ["a", "b", "c"]}, [op("remove", "/l/1")], {"l": ["a", "c"]}),  # A.4 remove an item
    ({"a": 1, "b": 2}, [op("replace", "/a", "new")], {"a": "new", "b": 2}),  # A.5 replace a value
    (
        {"from": {"k": 1, "w": 2}, "to": {"g": 3}},  # A.6 move a value
        [op("move", "/to/t", from_="/from/w")],
        {"from": {"k": 1}, "to": {"g": 3, "t": 2}},
    ),
    ({"l": ["all", "x", "y", "z"]}, [op("move", "/l/3", from_="/l/1")], {"l": ["all", "y", "z", "x"]}),  # A.7
    ({"a": "q", "l": ["a", 2, "c"]}, [op("test", "/a", "q"), op("test", "/l/1", 2)], {"a": "q", "l": ["a", 2, "c"]}),
    ({"a": 1}, [op("add", "/child", {"grand": {}})], {"a": 1, "child": {"grand": {}}}),  # A.10 a nested member
    ({"a": 1}, [op("add", "/b", 2, xyz=123)], {"a": 1, "b": 2}),  # A.11 unknown members are ignored
    ({"/": 9, "~1": 10}, [op("test", "/~01", 10)], {"/": 9, "~1": 10}),  # A.14 escapes
    ({"l": ["a"]}, [op("add", "/l/-", ["b", "c"])], {"l": ["a", ["b", "c"]]}),  # A.16 an array as a value
    # beyond the appendix
    ({"a": 1}, [], {"a": 1}),
    ({"a": 1}, [op("add", "/a", None)], {"a": None}),
    ({"": 1}, [op("replace", "/", 2)], {"": 2}),
    ({"-": 1, "01": 2}, [op("replace", "/-", 3), op("remove", "/01")], {"-": 3}),
    ({"a": {}}, [op("add", "/a/", 1)], {"a": {"": 1}}),
    ([], [op("add", "/0", 1), op("add", "/-", 2), op("add", "/2", 3)], [1, 2, 3]),
    ([[1], [2]], [op("add", "/1/1", 3), op("replace", "/0", "x")], ["x", [2, 3]]),
    ([1, 2], [op("move", "/0", from_="/1"), op("move", "/-", from_="/0")], [1, 2]),
    ({"a": [1]}, [op("copy", "/b", from_="/a"), op("add", "/b/0", 0)], {"a": [1], "b": [0, 1]}),
    ({"a": {"b": 1}}, [op("move", "/a", from_="/a/b")], {"a": 1}),
    ({"a": {"b": 1}}, [op("copy", "/a/c", from_="/a")], {"a": {"b": 1, "c": {"b": 1}}}),
    ({"a": 1}, [op("move", "/a", from_="/a")], {"a": 1}),
    ({"a": 1}, [op("copy", "/a", from_="")], {"a": {"a": 1}}),
    ({"a": 1, "b": 2}, [op("replace", "", {"b": 3})], {"b": 3}),
    ({"a": {"b": 3}}, [op("move", "", from_="/a")], {"b": 3}),
    ([1, 2], [op("add", "", [3])], [3]),
    ({1, 2}, [op("replace", "", [2, 3])], {2, 3}),
    ({"a": 1}, [op("test", "", {"a": 1.0})], {"a": 1}),
    ({"a": [True, None, 1.5, "x"]}, [op("test", "/a", [True, None, 1.5, "x"])], {"a": [True, None, 1.5, "x"]}),
    ({"é~/": {"~1": 0}}, [op("replace", "/é~0~1/~01", 1)], {"é~/": {"~1": 1}}),
]

# Document, operations, number of the wrong one, what is said.
FAILS: list[tuple[Any, list[Any], int, str]] = [
    ({"a": 1}, [op("test", "/a", 2)], 0, "test failed: at '/a' is 1, not 2"),  # A.9
    ({"a": 1}, [op("add", "/b/c", 2)], 0, "there is no key 'b' in the TrackedDict at ''"),  # A.12
    ({"/": 9, "~1": 10}, [op("test", "/~01", "10")], 0, "is 10, not '10'"),  # A.15 strings and numbers
    ({"a": 1}, [op("remove", "/b")], 0, "no key 'b'"),
    ({"a": 1}, [op("replace", "/b", 1)], 0, "no key 'b'"),
    ({"a": 1}, [op("copy", "/c", from_="/b")], 0, "no key 'b'"),
    ({"a": 1}, [op("move", "/c", from_="/b")], 0, "no key 'b'"),
    ({"a": 1}, [op("test", "/b", None)], 0, "no key 'b'"),
    ({"1": 0}, [op("add", "/x", 1), op("replace", "/01", 1)], 1, "no key '01'"),
    ([1], [op("add", "/2", 0)], 0, "no index 2 in the list at '', which has 1 items"),
    ([1], [op("replace", "/1", 0)], 0, "no index 1"),
    ([1], [op("remove", "/1")], 0, "no index 1"),
    ([1], [op("remove", "/-")], 0, "'-' is the position after the last item"),
    ([1], [op("replace", "/-", 0)], 0, "'-' is the position after the last item"),
    ([[1]], [op("add", "/-/0", 0)], 0, "'-' is the position after the last item"),
    ([1, 2], [op("test", "/00", 1)], 0, "'00' has leading zeros"),
    ([1, 2], [op("add", "/01", 1)], 0, "'01' has leading zeros"),
    ([1], [op("add", "/1e0", 1)], 0, "'1e0' is not an index"),
    ([1], [op("remove", "/-1")], 0, "'-1' is not an index"),
    ([1], [op("remove", "/٠")], 0, "is not an index"),
    ([1], [op("remove", "/" + "9" * 5000)], 0, "is not an index"),
    ([1], [op("remove", "/")], 0, "'' is not an index"),
    ([1], [op("remove", "/a")], 0, "'a' is not an index"),
    ({"a": "text"}, [op("add", "/a/0", 1)], 0, "a pointer cannot lead into the str at '/a'"),
    ({"a": (1,)}, [op("replace", "/a/0", 1)], 0, "into the tuple at '/a'; replace it as a whole"),
    ({"a": {1}}, [op("remove", "/a/1")], 0, "into the TrackedSet at '/a'; replace it as a whole"),
    ({"a": None}, [op("test", "/a/b", 1)], 0, "into the NoneType at '/a'"),
    ({"a": True}, [op("test", "/a", 1)], 0, "is True, not 1"),
    ({"a": 0}, [op("test", "/a", False)], 0, "is 0, not False"),
    ({"a": [1, 2]}, [op("test", "/a", [1])], 0, "is [1, 2], not [1]"),
    ({"a": {}}, [op("test", "/a", [])], 0, "is {}, not []"),
    ({"a": 1}, [op("remove", "")], 0, "the whole document cannot be removed"),
    ({"a": {"b": 1}}, [op("move", "/a/b/c", from_="/a")], 0, "moved into itself"),
    ({"a": 1}, [op("move", "/a", from_="")], 0, "moved into itself"),
    ({"a": 1}, [op("replace", "", [1])], 0, "the document is a TrackedDict; a list cannot replace its contents"),
    ([1], [op("add", "", None)], 0, "the document is a TrackedList; a NoneType cannot"),
    ({1}, [op("add", "", [[]])], 0, "a set cannot hold these elements"),
    ({"a": 1}, [op("spam", "/a")], 0, "no operation 'spam'; write one of add, remove"),
    ({"a": 1}, [op(["add"], "/a")], 0, "no operation ['add']"),  # type: ignore[arg-type]
    ({"a": 1}, [{"path": "/a"}], 0, "the member 'op' is missing"),
    ({"a": 1}, [{"op": "remove"}], 0, "the member 'path' is missing"),
    ({"a": 1}, [{"op": "add", "path": "/a"}], 0, "the member 'value' is missing"),
    ({"a": 1}, [{"op": "test", "path": "/a"}], 0, "the member 'value' is missing"),
    ({"a": 1}, [{"op": "copy", "path": "/a"}], 0, "the member 'from' is missing"),
    ({"a": 1}, [op("remove", "a")], 0, "must be empty or begin with '/'"),
    ({"a": 1}, [op("remove", "/~2")], 0, "is not followed by 0 or 1"),
    ({"a": 1}, [op("remove", "/a~")], 0, "is not followed by 0 or 1"),
    ({"a": 1}, [op("remove", None)], 0, "a pointer is a str, not None"),
    ({"a": 1}, [op("add", "/b", 2), "remove"], 1, "an operation is a mapping, not str"),
    ({"a": 1}, [op("add", "/b", 2), op("add", "/c", 3), op("remove", "/b"), op("remove", "/b")], 3, "no key 'b'"),
]


@pytest.mark.parametrize(("document", "operations", "expected"), WORKS)
@pytest.mark.parametrize("deep", [True, False], ids=["tracked", "plain below"])
def test_operations_follow_the_rfc(document: Any, operations: Any, expected: Any, deep: bool) -> None:
    """Every operation has the result that RFC 6902 and jsonpatch give.

    On a document tracked to its leaves, and on one that is plain below the root.
    """
    kind = {dict: TrackedDict, list: TrackedList, set: TrackedSet}[type(document)]
    live = track(copy.deepcopy(document)) if deep else kind(copy.deepcopy(document))
    since = _core.newest_seq()
    assert apply_patch(live, copy.deepcopy(operations)) is None
    assert alike(expected, plain_copy(live))
    live._check()
    if type(document) is not set:
        assert alike(expected, jsonpatch.apply_patch(document, operations))
    assert alike(document, patch_back(live, since)), "not everything was recorded"


def patch_back(live: Any, since: int) -> Any:
    return jsonpatch.apply_patch(plain_copy(live), patch(live, since, inverse=True))


@pytest.mark.parametrize(("document", "operations", "number", "said"), FAILS)
@pytest.mark.parametrize("deep", [True, False], ids=["tracked", "plain below"])
def test_a_wrong_operation_is_named_and_changes_nothing(
    document: Any, operations: Any, number: int, said: str, deep: bool
) -> None:
    """A wrong operation changes nothing.

    The error names it by number, shows it, and says what was wrong where.
    """
    kind = {dict: TrackedDict, list: TrackedList, set: TrackedSet}[type(document)]
    live = track(copy.deepcopy(document)) if deep else kind(copy.deepcopy(document))
    said = said if deep else said.replace("TrackedSet at '/a'", "set at '/a'")
    with pytest.raises(PatchError) as caught:
        apply_patch(live, operations)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"operation {number} of the patch, ")
    assert (number, operations[number]) == (caught.value.number, caught.value.operation)
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))
    assert alike(document, plain_copy(live))
    if type(document) is dict:
        assert list(document) == list(live)
    live._check()


@given(STEPS)
def test_a_patch_from_records_brings_a_copy_up_to_date(steps: list[Any]) -> None:
    """A patch made from records brings a tracked copy up to date, and back."""
    session = Session()
    copied = track(copy.deepcopy(session.past[0][1]))
    session.run(steps)
    apply_patch(copied, patch(session.root, session.past[0][0], test=True))
    assert alike(session.past[-1][1], plain_copy(copied))
    copied._check()
    apply_patch(copied, patch(session.root, session.past[0][0], inverse=True, test=True))
    assert alike(session.past[0][1], plain_copy(copied))


@given(STEPS, st.data())
def test_a_patch_that_fails_anywhere_leaves_the_document(steps: list[Any], data: st.DataObject) -> None:
    """A patch that fails anywhere leaves the document unchanged."""
    session = Session()
    copied = track(copy.deepcopy(session.past[0][1]))
    session.run(steps)
    operations = patch(session.root, session.past[0][0])
    at = data.draw(st.integers(0, len(operations)))
    operations.insert(at, op("test", "/none/such", 1))
    with pytest.raises(PatchError, match=f"^operation {at} "):
        apply_patch(copied, operations)
    assert alike(session.past[0][1], plain_copy(copied))
    copied._check()


def test_values_are_copied_and_tracked() -> None:
    """Values of a patch are copied, and tracked where the container converts."""
    value = {"l": [1]}
    operations = [op("add", "/a", value), op("add", "/b", value), op("add", "/a/l/-", 2)]
    live = track({})
    apply_patch(live, operations)
    assert {"a": {"l": [1, 2]}, "b": {"l": [1]}} == live
    assert type(live["a"]["l"]) is TrackedList
    assert {"l": [1]} == value
    plain = TrackedDict()
    apply_patch(plain, operations)
    assert type(plain["a"]) is dict
    assert {"a": {"l": [1, 2]}, "b": {"l": [1]}} == plain


def test_a_move_keeps_the_container() -> None:
    """A move keeps the object and its history; a copy is another object."""
    live = track({"a": {"x": 1}, "b": []})
    child = live["a"]
    apply_patch(live, [op("move", "/b/0", from_="/a"), op("copy", "/c", from_="/b/0")])
    assert live["b"][0] is child
    assert live["c"] == child
    assert live["c"] is not child


def test_attributes_can_be_patched_and_internals_cannot() -> None:
    """Attributes can be patched; methods, private and dunder names cannot."""

    class Point(TrackedAttr):
        scale = 1

    point = Point()
    point.x = [1]
    point._secret = 1
    doc = track({"p": point})
    apply_patch(doc, [op("add", "/p/x/-", 2), op("add", "/p/y", 3), op("replace", "/p/y", 4)])
    assert ([1, 2], 4) == (point.x, point.y)
    assert type(doc["p"]) is Point
    apply_patch(point, [op("replace", "", {"z": 5})])
    assert {"z": 5} == _core.attributes(point)
    for name in ("lock", "__class__", "_secret", "no name", "", "tracking_changes"):
        with pytest.raises(PatchError, match="cannot be an attribute that a patch adds"):
            apply_patch(doc, [op("replace", "/p/z", 6), op("add", f"/p/{name}", 1)])
        with pytest.raises(PatchError, match="there is no tracked attribute"):
            apply_patch(doc, [op("replace", "/p/z", 6), op("replace", f"/p/{name}", 1)])
        assert {"z": 5} == _core.attributes(point)

    class Listed(TrackedAttr):
        tracking_attributes_to_monitor = ("a",)

    listed = Listed()
    apply_patch(listed, [op("add", "/a", 1)])
    with pytest.raises(PatchError, match="'b' cannot be an attribute"):
        apply_patch(listed, [op("replace", "/a", 2), op("add", "/b", 1)])
    assert {"a": 1} == _core.attributes(listed)
    with pytest.raises(PatchError, match="no tracked attribute 'q'"):
        apply_patch(doc, [op("remove", "/p/z"), op("remove", "/p/q")])
    assert {"z": 5} == _core.attributes(point)


def test_the_error_of_a_container_is_raised() -> None:
    """A locked child or a validator stops the patch with its own error.

    The error has a note, and everything is rolled back.
    """
    doc = track({"a": 1, "l": [1], "s": {1}})
    doc["l"].lock()
    with pytest.raises(TrackingLockedError) as caught:
        apply_patch(doc, [op("remove", "/a"), op("add", "/s2", 1), op("add", "/l/0", 0)])
    assert "operation 2 of the patch" in caught.value.__notes__[0]
    assert {"a": 1, "l": [1], "s": {1}} == doc

    class Small(TrackedAttr):
        def __setattr__(self, name: str, value: Any) -> None:
            if value > 9:
                raise OverflowError(f"{value} is too large")
            super().__setattr__(name, value)

    small = Small()
    small.n = 1
    with pytest.raises(OverflowError, match="too large"):
        apply_patch(small, [op("replace", "/n", 2), op("replace", "/n", 10)])
    assert small.n == 1


def test_observers_are_notified_after_the_patch() -> None:
    """Observers are notified after the whole patch, and not of a failed one."""
    doc = track({"a": 1, "l": [1, 2]})
    heard: list[Any] = []
    doc.tracking_add_observer(lambda change: heard.append((change.pointer, copy.deepcopy(doc))))
    with pytest.raises(PatchError):
        apply_patch(doc, [op("add", "/l/0", 7), op("remove", "/a"), op("remove", "/a")])
    assert [] == heard
    apply_patch(doc, [op("add", "/l/0", 7), op("remove", "/a")])
    assert [("/l/0", {"l": [7, 1, 2]}), ("/a", {"l": [7, 1, 2]})] == heard


@pytest.mark.parametrize("options", [{"tracking_max_changes": 0}, {"tracking_max_changes": 2}])
def test_a_small_ring_is_rolled_back_too(options: dict[str, Any]) -> None:
    """A failed patch is rolled back however few changes the ring keeps."""
    doc = track({"l": [1, 2, 3], "d": {"a": 1}}, **options)
    operations = [op("remove", "/l/0"), op("add", "/d/b", 2), op("move", "/l/-", from_="/d"), op("remove", "/x")]
    with pytest.raises(PatchError, match="no key 'x'"):
        apply_patch(doc, operations)
    assert {"l": [1, 2, 3], "d": {"a": 1}} == doc
    doc._check()


@pytest.mark.parametrize("steps", [[], [1], [1, "k"], [1, "k", 0], [1, "k", 0, 1]])
def test_plain_data_in_a_tracked_container_is_changed_at_any_depth(steps: list[Any]) -> None:
    """Of plain data inside, only the item of the path is another one.

    What was there before is not modified: it is the old value of the log.
    """

    def document() -> Any:
        return [0, {"k": [[1, [2, 3]], 4], "m": 5}, 6]

    x = TrackedDict(plain=document(), other=1)
    before = x["plain"]
    pointer = "".join(f"/{step}" for step in ("plain", *steps))
    held: Any = document()
    for step in steps:
        held = held[step]
    added = f"{pointer}/{'new' if isinstance(held, dict) else '-'}"
    for operation in ({"op": "add", "path": added, "value": 7}, {"op": "replace", "path": pointer, "value": 8}):
        expected = jsonpatch.apply_patch({"plain": document(), "other": 1}, [operation])
        apply_patch(y := TrackedDict(plain=document(), other=1), [operation])
        assert expected == y
    apply_patch(x, [{"op": "add", "path": added, "value": 7}])
    assert document() == before


def test_no_list_of_operations() -> None:
    """One operation, JSON text and a plain document are refused at once."""
    for wrong in (op("remove", "/a"), '[{"op": "remove"}]', b"[]"):
        with pytest.raises(TypeError, match="a patch is a list of operations"):
            apply_patch(track({}), wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="see track"):
        apply_patch({}, [])


def test_a_tracked_container_in_a_plain_one_is_changed_itself() -> None:
    """A tracked list below a plain one stays the same object and is changed."""
    inner = TrackedList([1])
    doc = TrackedDict(p=[inner, 2], n=Node())
    apply_patch(doc, [op("add", "/p/0/-", 5), op("replace", "/p/1", 3)])
    assert doc["p"][0] is inner
    assert [[1, 5], 3] == doc["p"]
