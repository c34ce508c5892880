"""What tracking_redact withholds is nowhere, whatever key or value it is.

No way to look at the history lets it through.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
import re
import types
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, track
from pydatatracker.containers.breaks import TrackedChangeError
from pydatatracker.history.apply_patch import PatchError
from pydatatracker.values.pointer import key_text, to_pointer
from tests.support.everywhere import Watching, of_answer, of_container

SECRET = "s3cr3t"


class Text(str):
    """A str that shows something else."""

    def __str__(self) -> str:
        return "shown"

    __repr__ = __str__


class Word(enum.StrEnum):
    KEY = "password"


class Mixed(str, enum.Enum):  # noqa: UP042 - its __str__ is another one than that of a StrEnum
    KEY = "password"


class Color(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Silent:
    """A key without text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Point(NamedTuple):
    password: str
    n: int = 0


KEYS: list[Any] = [
    "password", "a/b~c", "", "ä\n*", "a[b]?", 7, -1, 1.5, float("nan"), True, None, b"raw", ("t", 1), (),
    frozenset({1}), 2j, Text("password"), Word.KEY, Mixed.KEY, Color.RED, Number.ONE, uuid.UUID(int=5), Point("a"),
    datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4), decimal.Decimal("1.50"), pathlib.PurePosixPath("/a"),
    Silent(), int, "\ud800",
]  # fmt: skip


def named(key: Any) -> str:
    """Return a glob that matches one key only, as its pointer names it."""
    return to_pointer((key,)).replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def labelled(value: object) -> str:
    """Name a value for a test, without its address."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{type(key).__name__}-{key_text(key)[:20]!r}")
def test_a_glob_matches_the_text_that_the_pointer_shows(key: Any) -> None:
    """A glob matches a key of any class by the text in its pointer.

    Redaction, observers, breaks, blame, history and revert agree.
    """
    x: TrackedDict[Any, Any] = TrackedDict(tracking_redact=[named(key)])
    seen: list[Any] = []
    x.tracking_add_observer(seen.append, path=named(key))
    x[key] = SECRET
    x.update({key: SECRET + "1", "other": 1})
    del x[key]
    x["inner"] = inner = TrackedDict[Any, Any]()
    assert 3 == len(seen)
    assert seen[0].pointer == to_pointer((key,))
    assert seen == x.tracking_history(seen[0].pointer)[-3:]
    assert seen[2] == x.tracking_blame(seen[2].pointer)
    assert seen[2] == x.tracking_blame()[seen[2].pointer]
    assert [] != x.tracking_revert(path=named(key))  # withheld, so it cannot be reverted
    assert not any(SECRET in text for text in of_container(x))
    with inner.tracking_break(named(key), do="raise"):
        inner["other"] = 1
        with pytest.raises(TrackedChangeError) as caught:
            inner[key] = 1
        assert to_pointer((key,)) == caught.value.change.pointer


@pytest.mark.parametrize("glob", ["/password", "/**/passw*", "/u/?/*", "/*"])
@pytest.mark.parametrize(
    "key", [key for key in KEYS if key_text(key) == "password" or isinstance(key, Silent)], ids=labelled
)
def test_a_key_that_reads_like_the_glob_is_redacted(key: Any, glob: str, tmp_path: pathlib.Path) -> None:
    """A key is redacted by its text; one without a text by any glob."""
    x = track({"u": [{}]}, tracking_redact=glob)
    watching = Watching(x, tmp_path)
    target = x["u"][0] if "u" in glob or "**" in glob else x
    target[key] = SECRET
    target[key] = SECRET + "1"
    target |= {key: SECRET}
    target.pop(key)
    assert SECRET == target.setdefault(key, SECRET)
    watching.close()
    assert SECRET not in watching.text()


@dataclasses.dataclass
class Record:
    password: str


class Shows:
    def __init__(self, value: str) -> None:
        self.password = value

    def __repr__(self) -> str:
        return f"<{self.password}>"


class Items(tuple):  # type: ignore[type-arg]
    pass


class Rows(list):  # type: ignore[type-arg]
    def __repr__(self) -> str:
        return "rows " + super().__repr__()


class Table(dict):  # type: ignore[type-arg]
    def __repr__(self) -> str:
        return "table " + super().__repr__()


class Account(TrackedAttr):
    def __init__(self, value: str) -> None:
        self.password = value


class Own(TrackedAttr, tracking_redact="/password"):
    def __init__(self, value: str) -> None:
        self.password = value


def deep(value: str, levels: int, kind: Callable[[Any], Any]) -> Any:
    made: Any = {"password": value}
    for _ in range(levels):
        made = kind(made)
    return made


def cyclic(value: str) -> Any:
    made: list[Any] = [{"password": value}]
    made += [made, made]
    return made


def wide(value: str) -> Any:
    made: Any = {"password": value}
    for _ in range(40):
        made = [made, made]
    return made


VALUES: dict[str, Callable[[str], Any]] = {
    "dict": lambda value: {"password": value},
    "61 levels": lambda value: deep(value, 61, lambda made: [made]),
    "300 levels": lambda value: deep(value, 300, lambda made: {"a": made}),
    "tuples": lambda value: deep(value, 70, lambda made: (made,)),
    "cycle": cyclic,
    "named tuple": Point,
    "tuple of a subclass": lambda value: Items([{"password": value}]),
    "frozenset": lambda value: frozenset({Point(value)}),
    "set": lambda value: {(Point(value),)},
    "ordered": lambda value: collections.OrderedDict(password=value),
    "default": lambda value: collections.defaultdict(str, password=value),
    "deque": lambda value: collections.deque([{"password": value}]),
    "UserDict": lambda value: collections.UserDict(password=value),
    "UserList": lambda value: collections.UserList([{"password": value}]),
    "ChainMap": lambda value: collections.ChainMap({"password": value}),
    "proxy": lambda value: types.MappingProxyType({"password": value}),
    "namespace": lambda value: types.SimpleNamespace(password=value),
    "dataclass": Record,
    "object": Shows,
    "list of objects": lambda value: [Shows(value)],
    "exception": lambda value: ValueError({"password": value}),
    "list of a subclass": lambda value: Rows([{"password": value}]),
    "dict of a subclass": lambda value: Table(password=value),
    "view": lambda value: {"password": value}.items(),
    "bytes": lambda value: {"password": value.encode()},
    "tracked": lambda value: TrackedDict(password=value),
    "tracked object": Account,
    "tracked list": lambda value: TrackedList([{"password": value}]),
    "tracked set": lambda value: TrackedSet([Point(value)]),
}


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("rule", ["/**/password", lambda path: path[-1] == "password"], ids=["glob", "function"])
@pytest.mark.parametrize("options", [{}, {"tracking_auto_convert": True, "tracking_capture_snapshots": True},
                                     {"tracking_keep_values": False}, {"tracking_max_changes": 3,
                                      "tracking_remember_last": True}], ids=repr)  # fmt: skip
def test_no_value_shows_what_is_below_a_redacted_path(
    make: Callable[[str], Any], rule: Any, options: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A value that cannot be looked into is replaced whole."""
    x: TrackedDict[str, Any] = TrackedDict(
        start=make(SECRET), l=TrackedList(), s=TrackedSet(), tracking_redact=rule, **options
    )
    watching = Watching(x, tmp_path)
    x["v"] = make(SECRET + "1")
    x.update(v=make(SECRET + "2"), w=make(SECRET + "3"))
    x["l"].append(make(SECRET))
    x["l"][0:1] = [make(SECRET), 1]
    x["l"].reverse()
    x["l"].pop()
    if make(SECRET).__hash__ is not None:
        x["s"] |= {1}
    del x["v"]
    x["l"].clear()
    watching.close()
    assert SECRET not in watching.text()


def test_a_value_that_is_too_large_to_look_into_is_replaced() -> None:
    """Looking into a value ends, however often its parts are shared."""
    x: TrackedDict[str, Any] = TrackedDict(tracking_redact="/**/password")
    x["v"] = wide(SECRET)
    change = x.last_change()
    assert change is not None
    at = change.after
    while isinstance(at, list) and at:
        at = at[-1]
    assert SECRET not in repr(at)


@pytest.mark.parametrize(
    "value", [1, "a", 1.5, None, b"a", Color.RED, Word.KEY, decimal.Decimal(1), uuid.UUID(int=1), object(), int, len,
              datetime.date(2026, 1, 1), pathlib.PurePosixPath("a"), (1, 2), [1, {"a": 2}], {1, 2}, Point("a", 1).n],
    ids=labelled,
)  # fmt: skip
def test_what_holds_no_secret_is_recorded_as_it_is(value: Any) -> None:
    """Values without parts or secrets are recorded as the same object."""
    x: TrackedDict[str, Any] = TrackedDict(tracking_redact="/**/password")
    x["v"] = value
    assert x.last_change().after is value  # type: ignore[union-attr]


def test_where_no_glob_can_match_values_are_not_looked_into() -> None:
    """Where no glob reaches, an unknown object is recorded as it is."""
    x: TrackedDict[str, Any] = TrackedDict(tracking_redact=["/password", "/users/*/password"])
    x["record"] = value = Record("a")
    assert x.last_change().after is value  # type: ignore[union-attr]
    x["users"] = value
    assert "REDACTED" == repr(x.last_change().after)  # type: ignore[union-attr]


# ---- a part that leaves the tree


class Blank(TrackedAttr):
    """Has a password that was stored without a record."""

    def __init__(self, value: str) -> None:
        self.__dict__["password"] = value


WAYS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "del": (lambda user: TrackedDict(user=user, tracking_redact="/user/password"), lambda x: x.pop("user")),
    "replaced": (lambda user: TrackedDict(user=user, tracking_redact="/user/password"),
                 lambda x: x.update(user=None)),
    "cleared": (lambda user: TrackedDict(user=user, tracking_redact="/user/password"), lambda x: x.clear()),
    "list": (lambda user: TrackedDict(users=TrackedList([1, user]), tracking_redact="/users/1/password"),
             lambda x: x["users"].pop()),
    "list cleared": (lambda user: TrackedDict(users=TrackedList([user]), tracking_redact="/users/*/password"),
                     lambda x: x["users"].clear()),
    "part of a part": (lambda user: TrackedDict(a=TrackedDict(user=user), tracking_redact="/a/user/password"),
                       lambda x: x.pop("a")),
    "the tree died": (lambda user: TrackedDict(a=TrackedDict(user=user), tracking_redact="/a/user/password"),
                      lambda x: None),
    "function": (lambda user: TrackedDict(user=user, tracking_redact=lambda path: path == ("user", "password")),
                 lambda x: x.pop("user")),
    "function and list": (lambda user: TrackedDict(users=TrackedList([1, user]),
                                                   tracking_redact=lambda path: path[-1] == "password"),
                          lambda x: x["users"].pop()),
    "sorted before": (lambda user: TrackedList([user, 1], tracking_redact="/0/password"),
                      lambda x: (x.reverse(), x.clear())),
    "moved away": (lambda user: TrackedDict(user=user, tracking_redact="/user/password"),
                   lambda x: TrackedDict(other=x.pop("user"))),
}  # fmt: skip


@pytest.mark.parametrize(("place", "leave"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", [dict, Blank], ids=["dict", "object"])
@pytest.mark.parametrize("used", [False, True], ids=["untouched", "used"])
def test_a_part_that_left_goes_on_redacting(
    place: Any, leave: Any, kind: Any, used: bool, tmp_path: pathlib.Path
) -> None:
    """A container that leaves a redacting tree goes on redacting.

    Its later changes, its log and its observers have no secret, and neither has what it holds.
    """
    user: Any = TrackedDict(password=SECRET, more=TrackedDict()) if kind is dict else Blank(SECRET)
    tree = place(user)
    if used:
        user.last_change()
        if kind is dict:
            user["n"] = 1
    kept = leave(tree)
    del tree
    watching = Watching(user, tmp_path)
    if kind is dict:
        user["password"] = SECRET + "1"
        user.update(password=SECRET + "2", n=2)
    else:
        user.password = SECRET + "1"
    watching.close()
    assert SECRET not in watching.text()
    user._check()
    del kept


def test_a_tree_shows_no_secret_of_a_part_that_redacts(tmp_path: pathlib.Path) -> None:
    """A tree shows no more of a redacting part than the part itself."""
    part = TrackedDict(password=SECRET, tracking_redact="/password")
    x: TrackedDict[str, Any] = TrackedDict(part=part, tracking_capture_snapshots=True)
    watching = Watching(x, tmp_path)
    x["again"] = part
    x["part"]["password"] = SECRET + "1"
    x["own"] = Own(SECRET)
    x["own"].password = SECRET + "2"
    x["list"] = TrackedList([TrackedDict(password=SECRET, tracking_redact="/password")])
    del x["again"]
    watching.close()
    assert SECRET not in watching.text()


# ---- errors


def test_errors_show_no_secret() -> None:
    """Errors name the path, never a redacted value."""
    x = track({"password": SECRET, "u": {"password": SECRET, "n": 1}}, tracking_redact="/**/password")
    said = []
    for operations in (
        [{"op": "test", "path": "/password", "value": SECRET + "1"}],
        [{"op": "test", "path": "/u", "value": {"password": SECRET + "1"}}],
        [{"op": "test", "path": "", "value": {"password": SECRET + "1"}}],
        [{"op": "add", "path": "/u/password/-", "value": SECRET + "1"}],
        [{"op": "add", "path": "/none/password", "value": SECRET}],
        [{"op": "add", "path": "u~password", "value": SECRET}],
        [{"op": "replace", "path": "/u/password/x", "value": SECRET}],
        [{"op": "add", "value": SECRET}],
        [SECRET],
    ):
        with pytest.raises(PatchError) as caught:
            x.tracking_apply_patch(operations)
        error = caught.value
        said.append(f"{error} {error!r} {error.args} {error.operation} {error.reason}")
    x.lock()
    with pytest.raises(RuntimeError) as refused:
        x.tracking_apply_patch([{"op": "replace", "path": "/password", "value": SECRET}])
    said.append(repr((refused.value, refused.value.__notes__)))
    x.unlock()
    with x.tracking_break("/**", do="raise"):
        acts: list[Callable[[], Any]] = [
            lambda: x.update(password=SECRET), lambda: x.__setitem__("u", {"password": SECRET}),
        ]  # fmt: skip
        for act in acts:
            with pytest.raises(TrackedChangeError) as broken:
                act()
            change = broken.value.change
            said.append(f"{broken.value} {change.to_dict()} {change.extra} {change.old} {change.new} {change.changes}")
    dict.__setitem__(x, "password", SECRET + "9")
    said.append(of_answer(x.tracking_verify))
    said.append(of_answer(x.tracking_undo))
    assert not any(SECRET in each for each in said), said


def test_a_function_that_raises_withholds() -> None:
    """A redact function that raises withholds the value."""

    def broken(path: tuple[Any, ...]) -> bool:
        raise RuntimeError("no")

    x: TrackedDict[str, Any] = TrackedDict(tracking_redact=broken)
    x["a"] = SECRET
    assert "REDACTED" == repr(x.last_change().after)  # type: ignore[union-attr]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(range(len(KEYS))), st.sampled_from(range(4))), max_size=8))
def test_redaction_and_pointers_agree_for_any_keys(steps: list[tuple[int, int]]) -> None:
    """A value is withheld if and only if its pointer matches."""
    rules = ["/password", "/1*", "/a*"]
    x: TrackedDict[Any, Any] = TrackedDict(tracking_redact=rules)
    for n, (which, do) in enumerate(steps):
        key = KEYS[which]
        if do == 0:
            x[key] = n
        elif do == 1:
            x.update({key: n})
        elif do == 2:
            x.pop(key, None)
        else:
            x.setdefault(key, n)
    for change in x.tracking_changes()[1:]:
        for key, before, after in change.changes or ((change.location, change.before, change.after),):
            text = key_text(key)
            secret = text == "password" or text[:1] in ("1", "a") or isinstance(key, Silent)
            assert {"REDACTED", "MISSING"} >= {repr(before), repr(after)} if secret else "REDACTED" != repr(after)
