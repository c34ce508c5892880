"""The option `tracking_untracked` ignores, names or refuses objects.

These are the objects whose changes are not recorded.
"""

from __future__ import annotations

import enum
import io
import pickle
import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from typing import Any

import pytest
from builds import needs_watch

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    UntrackedError,
    UntrackedWarning,
    track,
    watch,
)

watches = needs_watch


class Plain:
    def __init__(self) -> None:
        self.a = 1


class Slotted:
    __slots__ = ("a",)


class Colour(enum.Enum):
    RED = 1


class Object(TrackedAttr):
    kept = 0


UNTRACKED = [[1], {"a": 1}, {1}, Plain(), Slotted(), bytearray(b"a"), ([1],), io.StringIO()]
VALUES = [1, "a", None, 1.5, (1, "a"), Colour.RED, len, Plain, frozenset("a"), TrackedList([1])]
name = {"ids": lambda value: type(value).__name__}


def put_attribute(x: Any, value: Any) -> None:
    x.k = value


def put_item(x: Any, value: Any) -> None:
    x["k"] = value


STORES: dict[str, tuple[Any, Any]] = {
    "dict": (lambda **o: TrackedDict(kept=0, **o), put_item),
    "dict update": (lambda **o: TrackedDict(kept=0, **o), lambda x, v: x.update(more=1, k=v)),
    "empty dict update": (TrackedDict, lambda x, v: x.update(more=1, k=v)),
    "dict |=": (lambda **o: TrackedDict(kept=0, **o), lambda x, v: x.__ior__({"k": v})),
    "dict setdefault": (lambda **o: TrackedDict(kept=0, **o), lambda x, v: x.setdefault("k", v)),
    "dict over": (lambda **o: TrackedDict(k=0, **o), put_item),
    "OrderedDict": (lambda **o: TrackedOrderedDict(kept=0, **o), put_item),
    "defaultdict": (lambda **o: TrackedDefaultDict(None, kept=0, **o), put_item),
    "Counter": (lambda **o: TrackedCounter("a", **o), put_item),
    "list append": (lambda **o: TrackedList([0], **o), lambda x, v: x.append(v)),
    "list item": (lambda **o: TrackedList([0], **o), lambda x, v: x.__setitem__(0, v)),
    "list extend": (lambda **o: TrackedList([0], **o), lambda x, v: x.extend([1, v])),
    "list slice": (lambda **o: TrackedList([0, 1], **o), lambda x, v: x.__setitem__(slice(0, 1), [v, 2])),
    "deque": (lambda **o: TrackedDeque([0], **o), lambda x, v: x.append(v)),
    "deque extend": (lambda **o: TrackedDeque([0], **o), lambda x, v: x.extend([1, v])),
    "attribute": (lambda **o: object_with(**o), put_attribute),
}  # fmt: skip
stores = pytest.mark.parametrize(("make", "put"), STORES.values(), ids=STORES.keys())


def object_with(**options: Any) -> Any:
    class Configured(Object, **options):
        pass

    return Configured()


def state(x: Any) -> Any:
    held = dict(vars(x)) if isinstance(x, TrackedAttr) else x
    return [(k, id(v)) for k, v in held.items()] if isinstance(held, dict) else [id(each) for each in held]


def messages(caught: pytest.WarningsRecorder) -> list[Any]:
    """Return the warnings themselves."""
    return [each.message for each in caught]


@stores
@pytest.mark.parametrize("value", UNTRACKED, **name)
def test_raise_refuses_a_store_and_changes_nothing(make: Any, put: Any, value: Any) -> None:
    """A refused store leaves the container and its history as they were."""
    x = make(tracking_untracked="raise", tracking_auto_convert=False)
    before, seen = state(x), len(x.tracking_changes())
    with pytest.raises(UntrackedError, match="are not recorded") as caught:
        put(x, value)
    assert (before, seen) == (state(x), len(x.tracking_changes()))
    assert type(value).__name__ in [row.type for row in caught.value.untracked]
    x.tracking_verify()


@stores
@pytest.mark.parametrize("value", UNTRACKED, **name)
def test_warn_names_the_object_at_the_line_that_stores_it(make: Any, put: Any, value: Any) -> None:
    """There is one warning, and the change is recorded."""
    x = make(tracking_untracked="warn", tracking_auto_convert=False)
    seen = len(x.tracking_changes())
    with pytest.warns(UntrackedWarning) as caught:
        put(x, value)
    (warning,) = caught
    (message,) = messages(caught)
    assert warning.filename == __file__
    assert message.type == type(value).__name__
    assert message.pointer in ("/k", "/0", "/1", "/2")
    assert message.reason
    assert x.last_change() is not None
    assert len(x.tracking_changes()) > seen


@stores
@pytest.mark.parametrize("value", UNTRACKED, **name)
def test_a_warning_that_is_an_error_refuses_the_store(make: Any, put: Any, value: Any) -> None:
    """The statement that raises changed nothing."""
    x = make(tracking_untracked="warn", tracking_auto_convert=False)
    before = state(x)
    with warnings.catch_warnings(), pytest.raises(UntrackedWarning):
        warnings.simplefilter("error")
        put(x, value)
    assert before == state(x)


@stores
@pytest.mark.parametrize("mode", ["ignore", "warn", "raise"])
@pytest.mark.parametrize("value", VALUES, **name)
def test_values_are_never_untracked(make: Any, put: Any, mode: str, value: Any) -> None:
    """What cannot change, and what is tracked, is stored without a word."""
    if isinstance(value, TrackedList):
        value = TrackedList(value)
    put(make(tracking_untracked=mode, tracking_auto_convert=False), value)


@stores
@pytest.mark.parametrize("value", UNTRACKED, **name)
def test_ignore_is_the_default(make: Any, put: Any, value: Any) -> None:
    """Nothing is said."""
    put(make(tracking_auto_convert=False), value)


CONSTRUCTORS: dict[str, Any] = {
    "dict": lambda v, **o: TrackedDict({"k": v}, **o),
    "OrderedDict": lambda v, **o: TrackedOrderedDict({"k": v}, **o),
    "defaultdict": lambda v, **o: TrackedDefaultDict(None, {"k": v}, **o),
    "list": lambda v, **o: TrackedList([1, v], **o),
    "deque": lambda v, **o: TrackedDeque([1, v], **o),
    "set": lambda v, **o: TrackedSet([v], **o),
    "track dict": lambda v, **o: track({"deep": [v]}, **o),
    "track OrderedDict": lambda v, **o: track(OrderedDict(k=v), **o),
    "track defaultdict": lambda v, **o: track(defaultdict(None, k=v), **o),
    "track deque": lambda v, **o: track(deque([v]), **o),
}


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS.keys())
def test_a_container_is_made_with_what_it_may_hold(make: Any) -> None:
    """The option holds for what a constructor, or track, is given."""
    opaque = io.StringIO()
    make(opaque)
    with pytest.warns(UntrackedWarning, match="StringIO") as caught:
        make(opaque, tracking_untracked="warn")
    assert [__file__] == [each.filename for each in caught]
    with pytest.raises(UntrackedError, match="StringIO"):
        make(opaque, tracking_untracked="raise")


def test_a_class_and_a_parent_set_it() -> None:
    """The option is inherited, as every other one."""

    class Strict(TrackedDict, tracking_untracked="raise"):
        pass

    with pytest.raises(UntrackedError):
        Strict(k=Plain())
    x = Strict(inner=TrackedDict())
    with pytest.raises(UntrackedError):
        x["inner"]["k"] = Plain()
    with pytest.raises(UntrackedError, match="/more/0"):
        x["more"] = TrackedList([Plain()])
    assert {"inner": {}} == x


def test_the_same_path_and_class_is_named_once_whatever_the_index() -> None:
    """A thousand items give one warning; another key gives another one."""
    x = TrackedDict(rows=TrackedList(), tracking_untracked="warn")

    def store() -> None:
        for _ in range(1000):
            x["rows"].append(Plain())
        x["a"] = Plain()
        x["a"] = Plain()
        x["a"] = Slotted()

    with pytest.warns(UntrackedWarning) as caught:
        store()
    assert ["/rows/0", "/a", "/a"] == [message.pointer for message in messages(caught)]


def test_warnings_for_one_tree_are_bounded() -> None:
    """There are at most 100, and the last one says so."""
    x = TrackedDict(tracking_untracked="warn")

    def store() -> None:
        for n in range(200):
            x[str(n)] = Plain()

    with pytest.warns(UntrackedWarning) as caught:
        store()
    assert len(caught) == 100
    assert "no more than 100" in str(caught[-1].message)


def test_a_large_guarded_dict_is_not_copied_for_each_store() -> None:
    """The order of the keys is kept for guards only."""
    x = TrackedDict(dict.fromkeys(map(str, range(1000))), tracking_untracked="raise")
    with pytest.raises(UntrackedError):
        x["5"] = Plain()
    assert list(map(str, range(1000))) == list(x)


def test_the_error_and_the_warning_can_be_pickled() -> None:
    """They cross process boundaries with what they say."""
    with pytest.raises(UntrackedError) as caught:
        TrackedDict(k=Plain(), tracking_untracked="raise")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(caught.value), caught.value.untracked) == (str(error), error.untracked)
    warning = pickle.loads(pickle.dumps(UntrackedWarning("said", "/a", "T", "why")))
    assert ("/a", "T", "why") == (warning.pointer, warning.type, warning.reason)


@pytest.mark.parametrize("wrong", [True, None, 1, "error"])
def test_another_value_is_refused(wrong: Any) -> None:
    """The error names what the option takes."""
    with pytest.raises(TypeError, match="'ignore', 'warn' or 'raise'"):
        TrackedDict(tracking_untracked=wrong)


@watches
def test_watch_refuses_before_it_begins() -> None:
    """With "raise", an object with opaque parts is not watched."""
    state = {"deep": [io.StringIO()]}
    with pytest.raises(UntrackedError, match="/deep/0"):
        watch(state, tracking_untracked="raise")
    w = watch(state)
    assert w.is_open
    assert w.objects == 2
    w.close()


@watches
def test_watch_warns_at_the_line_that_calls_it() -> None:
    """With "warn" there is one warning for each path and class."""
    state = {"deep": [io.StringIO(), io.StringIO()], "b": bytearray()}
    with pytest.warns(UntrackedWarning) as caught:
        w = watch(state, tracking_untracked="warn")
    assert [__file__] * 2 == [each.filename for each in caught]
    assert {"/deep/0", "/b"} == {message.pointer for message in messages(caught)}
    w.close()


@watches
@pytest.mark.parametrize("mode", ["warn", "raise"])
def test_what_is_added_to_watched_data_is_named_after_the_store(mode: str) -> None:
    """A warning names the line that stored the object."""
    state: dict[str, Any] = {"deep": {"a": 1}}
    with watch(state, tracking_untracked=mode) as w:
        with pytest.warns(UntrackedWarning) as caught:  # noqa: PT031
            state["deep"]["log"] = io.StringIO(); line = sys._getframe().f_lineno  # noqa: E702  # fmt: skip
            for _ in range(10):
                pass
        (warning,) = caught
        message: Any = warning.message
        assert ("/deep/log", __file__, line) == (message.pointer, warning.filename, warning.lineno)
        state["plain"] = (1, "a")
        state["list"] = [1]
        assert w.tracking_state_at(w.last_change())["deep"].keys() == {"a", "log"}


@watches
def test_the_warning_of_watched_data_keeps_nothing_alive() -> None:
    """The object that is named is freed when the program lets it go."""
    gone: list[str] = []

    class File(io.StringIO):
        def __del__(self) -> None:
            gone.append("gone")

    state: dict[str, Any] = {}
    with watch(state, tracking_untracked="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state["log"] = File()
        del state["log"]
        for _ in range(10):
            pass
        assert gone == ["gone"]


@watches
def test_objects_inside_tracked_data_obey() -> None:
    """What an object holds is refused at the store, and named later."""
    data = track({}, tracking_untracked="raise")
    plain = Plain()
    plain.log = io.StringIO()  # type: ignore[attr-defined]
    with pytest.raises(UntrackedError, match="/plain/log"):
        data["plain"] = plain
    assert data == {}
    del plain.log  # type: ignore[attr-defined]
    data["plain"] = plain
    with pytest.warns(UntrackedWarning, match="/plain/log"):  # noqa: PT031
        plain.log = io.StringIO()  # type: ignore[attr-defined]
        for _ in range(10):
            pass
