"""Copies and pickles of tracked containers.

Data and options are copied; history, observers and locks are not, and no two share a log.
"""

from __future__ import annotations

import copy
import pickle
import pickletools
from typing import Any

import pytest

from pydatatracker import ChangeCollector, TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core, rebuild, track


class MyDict(TrackedDict):
    pass


class MyList(TrackedList):
    __slots__ = ("extra_slot",)


class MySet(TrackedSet):
    pass


class Stateful(TrackedDict):
    def __getstate__(self) -> Any:
        return {"saved": self.note}

    def __setstate__(self, state: Any) -> None:
        self.note = state["saved"] + " again"


class Thing(TrackedAttr):
    pass


class Slotted(TrackedAttr):
    __slots__ = ("a", "b")


def thing(**values: Any) -> Thing:
    made = Thing()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def slotted() -> Slotted:
    made = Slotted()
    made.a = [1]
    return made


MAKES = [
    lambda: TrackedDict({"a": [1], 2: None}),
    lambda: TrackedList([1, [2], {3}]),
    lambda: TrackedSet([1, "a", (2,)]),
    lambda: TrackedDict(a=TrackedList([TrackedSet([1])])),
    lambda: track({"a": [{"b": {1}}]}),
    lambda: MyDict(a=1),
    lambda: MyList([1]),
    lambda: MySet([1]),
]
WAYS: list[Any] = [copy.copy, copy.deepcopy] + [
    (lambda protocol: lambda value: pickle.loads(pickle.dumps(value, protocol)))(n)
    for n in range(pickle.HIGHEST_PROTOCOL + 1)
]
way = pytest.mark.parametrize("way", WAYS)


@way
@pytest.mark.parametrize("make", MAKES)
def test_the_copy_is_equal_and_of_the_same_class(make: Any, way: Any) -> None:
    """A copy is equal, of the same class, and has a history of its own.

    That holds for copy, deepcopy and all pickle protocols.
    """
    original = make()
    copied = way(original)
    assert copied == original
    assert type(copied) is type(original)
    assert [c.action for c in copied.tracking_changes()] == ["init"]
    assert copied.tracking_uuid != original.tracking_uuid
    copied.clear()
    assert [c.method for c in copied.tracking_changes()[1:]] == ["clear"]
    assert len(original.tracking_changes()) == 1
    assert original == make()
    copied._check()
    original._check()


@way
def test_options_go_along(way: Any) -> None:
    """Options and name are copied; observers, locks and records are not."""
    d = TrackedDict(
        tracking_name="n", tracking_max_changes=2, tracking_auto_convert=True, tracking_capture_snapshots=True
    )
    collector = ChangeCollector()
    d.tracking_add_observer(collector)
    for n in range(5):
        d["a"] = n
    d.lock()
    told = len(collector)
    copied = way(d)
    assert copied.tracking_name == "n"
    assert not copied.tracking_locked
    for _ in range(5):
        copied["a"] = []
    assert len(copied.tracking_changes()) == 2
    assert type(copied["a"]) is TrackedList
    assert "data_pre_change" in copied.last_change().extra
    assert len(collector) == told


@way
def test_attributes_and_slots_of_subclasses_go_along(way: Any) -> None:
    """__dict__, __slots__ and a custom __getstate__ are copied."""
    d = MyDict(a=1)
    d.note = [1]
    assert way(d).note == [1]
    items = MyList([1])
    items.extra_slot = "x"
    assert way(items).extra_slot == "x"
    state = Stateful(a=1)
    state.note = "saved"
    copied = way(state)
    assert (copied, copied.note) == ({"a": 1}, "saved again")


@way
def test_objects_with_attributes(way: Any) -> None:
    """Objects are copied with their attributes, in a dict or in slots.

    Children of a deep copy are linked to it, those of a shallow one to both.
    """
    for made in (thing(a=[1], b=2, _hidden=3), slotted()):
        copied = way(made)
        assert type(copied) is type(made)
        assert copied.a == [1]
        assert getattr(copied, "_hidden", 3) == 3
        assert [c.action for c in copied.tracking_changes()] == ["init"]
        copied.a.append(2)
        assert copied.last_change().path == ("a", 1)
        assert (made.last_change().path == ("a", 1)) == (way is copy.copy)
        copied._check()
        made._check()


@way
def test_children_report_to_the_copy(way: Any) -> None:
    """A shallow copy shares its children: both logs have their changes."""
    doc = track({"a": [1]})
    copied = way(doc)
    copied["a"].append(2)
    assert copied.last_change().path == ("a", 1)
    if way is copy.copy:
        assert copied["a"] is doc["a"]
        assert doc.last_change() == copied.last_change()
    else:
        assert doc["a"] == [1]
    copied["x"] = 1
    assert "x" not in doc
    doc._check()
    copied._check()


@pytest.mark.parametrize("way", WAYS[1:])
def test_cycles_and_shared_children(way: Any) -> None:
    """What was one object is one object in the copy."""
    d = TrackedDict()
    d["me"] = d
    d["rows"] = TrackedList([1])
    d["again"] = d["rows"]
    copied = way(d)
    assert copied["me"] is copied
    assert copied["rows"] is copied["again"]
    copied._check()
    copied["rows"].append(1)
    assert sorted(copied.last_change().paths) == [("again", 1), ("rows", 1)]
    loop = TrackedList([TrackedDict()])
    loop[0]["loop"] = loop
    assert way(loop)[0]["loop"] is not loop
    way(loop)._check()
    owner = thing()
    owner.me = owner
    assert way(owner).me.me is not owner
    in_set = thing()
    in_set.s = TrackedSet([in_set])
    again = way(in_set)
    assert [each is again for each in again.s] == [True]


@pytest.mark.parametrize("make", MAKES)
def test_the_methods_that_copy_give_what_a_plain_subclass_gives(make: Any) -> None:
    """copy, +, *, | and slices give the type that a plain subclass gives.

    The result shares no log with the original.
    """
    original = make()
    base = next(b for b in (dict, list, set) if isinstance(original, b))
    plain = type("P", (base,), {})(original)
    for do in (lambda x: x.copy(), lambda x: x | x, lambda x: x + x, lambda x: x[:], lambda x: x - x, lambda x: x * 2):
        try:
            expected = do(plain)
        except (TypeError, KeyError):  # a slice can be a key from 3.12 on
            continue
        got = do(original)
        assert got == expected
        assert (type(got) in (dict, list, set)) == (type(expected) in (dict, list, set))
    assert len(original.tracking_changes()) == 1


def test_plain_things_inside_are_copied_as_copy_does() -> None:
    """A shallow copy shares plain values and keys, a deep one does not."""
    d = TrackedDict(a=[1])
    assert copy.copy(d)["a"] is d["a"]
    deep = copy.deepcopy(d)
    assert deep["a"] is not d["a"]
    memo: dict[int, Any] = {}
    both = copy.deepcopy([d, d], memo)
    assert both[0] is both[1]


def test_fromkeys_and_missing() -> None:
    """`fromkeys` makes the class; __missing__ of a subclass records nothing."""

    class Default(TrackedDict):
        def __missing__(self, key: Any) -> Any:
            return key * 2

    made = Default.fromkeys("ab", 0)
    assert (type(made), made) == (Default, {"a": 0, "b": 0})
    assert made["zz"] == "zzzz"
    assert "zz" not in made


def names_in(data: bytes) -> set[str]:
    """Return ``module name`` of each global that a protocol 2 pickle names."""
    return {argument for opcode, argument, _ in pickletools.genops(data) if opcode.name == "GLOBAL"}


ALL_OPTIONS: dict[str, Any] = {
    "tracking_name": "n",
    "tracking_auto_convert": True,
    "tracking_capture_snapshots": True,
    "tracking_capture_stack": 2,
    "tracking_max_changes": None,
    "tracking_keep_values": False,
    "tracking_observer_errors": "raise",
    "tracking_remember_last": True,
    "tracking_follow": True,
    "tracking_untracked": "warn",
    "tracking_redact": ["/a*/**", "/password"],
}


def test_a_pickle_names_only_what_stays() -> None:
    """A pickle names only the class and functions of `pydatatracker.rebuild`."""
    value = TrackedDict({"a": TrackedList([TrackedSet([1])]), "b": thing(c=1)}, **ALL_OPTIONS)
    assert {
        "pydatatracker.containers TrackedDict",
        f"{__name__} Thing",
        "pydatatracker.rebuild container",
        "pydatatracker.rebuild finish",
        "pydatatracker.rebuild options",
        "pydatatracker.rebuild tree",
        "__builtin__ set",
    } == names_in(pickle.dumps(value, 2))
    assert {"pydatatracker.rebuild tree"} == names_in(pickle.dumps(track({"a": [{}, [1]]}), 2)) - {
        "pydatatracker.rebuild options"
    }


def test_a_pickle_holds_options_by_name() -> None:
    """Each option that was given is stored under the name of its keyword."""
    assert set(ALL_OPTIONS) == set(_core.OPTION_NAMES), "a new option: store it in a pickle too"
    for name, value in ALL_OPTIONS.items():
        function, arguments, *_ = TrackedDict(**{name: value}).__reduce_ex__(2)
        of_class = MyDict(**{name: value}).__reduce_ex__(2)[1]
        assert (rebuild.tree, 1, 1) == (function, arguments[0], of_class[0])
        if name == "tracking_name":
            assert (None, {}, "n") == arguments[1:]
            assert (MyDict, None, (), "n") == of_class[1:]
        else:
            stored = tuple(value) if isinstance(value, list) else value
            assert (rebuild.options, (1, {name: stored})) == arguments[1].__reduce__() == of_class[2].__reduce__()
    assert (1, None, {}) == TrackedDict().__reduce_ex__(2)[1]
    assert (1, MyDict) == MyDict().__reduce_ex__(2)[1]


def test_options_are_equal_after_a_pickle() -> None:
    """Options are equal after a pickle, and one shared object stays one."""
    options = _core.own_options(TrackedDict(**ALL_OPTIONS))
    assert options == pickle.loads(pickle.dumps(options)) == copy.deepcopy(options)
    doc = pickle.loads(pickle.dumps(track([{}, {}], tracking_max_changes=3)))
    assert _core.own_options(doc[0]) is _core.own_options(doc[1])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: rebuild.container(2, TrackedDict), "it has format 2, and this version reads format 1"),
        (lambda: rebuild.container(3, *"any number of arguments"), "it has format 3"),
        (lambda: rebuild.options(2, {}), "its options have format 2, and this version reads format 1"),
        (lambda: rebuild.options(1, {"tracking_max_changes": 1, "tracking_later": 1}), "the option 'tracking_later'"),
        (lambda: rebuild.options(1, {"later": 1}), "the option 'later'"),
    ],
)
def test_a_pickle_of_a_newer_version_is_refused(make: Any, reason: str) -> None:
    """A pickle with unknown options is refused.

    The error names what is new and what to do; an ignored option could record what is to be redacted.
    """
    with pytest.raises(pickle.UnpicklingError, match=reason) as caught:
        make()
    assert str(caught.value).startswith("cannot load a pickle of tracked data with pydatatracker ")
    assert str(caught.value).endswith("load it with the version that wrote it, or with a newer one")


def test_wrong_values_of_options_are_refused() -> None:
    """Wrong values of options in a pickle are refused as by the constructor."""
    with pytest.raises(TypeError, match="tracking_max_changes takes a whole number"):
        rebuild.options(1, {"tracking_max_changes": "many"})
