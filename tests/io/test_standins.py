"""Stand-ins: what is written for values that JSON cannot bring back."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pathlib
import sys
from collections.abc import Callable

import pytest

from pydatatracker import TrackedList
from pydatatracker.values.encode import Repr, decode, encode


class Plain(enum.Enum):
    ONE = 1


def test_text_of_the_core_is_a_repr() -> None:
    """A value that tracking_keep_values=False dropped is a $repr."""
    history = TrackedList(tracking_keep_values=False)
    history.append("x" * 1000)
    data = encode(history.last_change().after)
    assert {"$repr", "type"} == set(data)
    assert "str" == data["type"]
    assert data["$repr"].startswith("'xxx")


class Raises:
    def __repr__(self) -> str:
        raise ZeroDivisionError("no")


class NotText:
    def __repr__(self) -> str:
        return 1  # type: ignore[return-value]


class Deep:
    def __repr__(self) -> str:
        return repr(self)


class LyingClass:
    __class__ = dict  # type: ignore[assignment]


class Meta(type):
    def __getattribute__(cls, name: str) -> object:
        raise ValueError(name)

    def __instancecheck__(cls, other: object) -> bool:
        raise ValueError


class Nameless(metaclass=Meta):
    def __repr__(self) -> str:
        raise KeyError


class BadZone(datetime.tzinfo):
    def utcoffset(self, moment: object) -> datetime.timedelta:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "make"),
    [
        ("ZeroDivisionError", lambda: Raises()),
        ("TypeError", lambda: NotText()),
        ("RecursionError", lambda: Deep()),
        ("KeyError", lambda: Nameless()),
        ("", lambda: LyingClass()),
        ("", lambda: Plain.ONE),
        ("", lambda: datetime.datetime(2026, 1, 1, tzinfo=BadZone())),
        ("", lambda: pathlib.PureWindowsPath("C:/x")),
        ("", lambda: lambda: 0),
        ("", lambda: object),
        ("", lambda: range(3)),
        ("", lambda: ...),
    ],
)
def test_other_objects_are_text(error: str, make: Callable[[], object]) -> None:
    """Any other object is a $repr with its class.

    Where its __repr__ raises, the text has the error's name.
    """
    value = make()
    if type(value) is pathlib.PureWindowsPath and sys.platform == "win32":
        pytest.skip("it is the native kind here")
    data = encode({"value": [value]})["value"][0]
    assert {"$repr", "type"} == set(data)
    assert error in data["$repr"]
    assert isinstance(decode(data), Repr)
    assert data == encode(decode(data))


def test_a_repr_without_end_is_cut() -> None:
    """The text for an object is bounded."""

    class Long:
        def __repr__(self) -> str:
            return "\ud800" + "y" * 10_000_000

    assert len(encode(Long())["$repr"]) < 5000


def test_keyboard_interrupt_is_not_swallowed() -> None:
    """Ctrl-C inside a __repr__ interrupts."""

    class Slow:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(Slow())


@pytest.mark.parametrize(
    ("expected", "value", "limit"),
    [
        ({"$cut": 10, "type": "str", "start": "abc"}, "abcdefghij", 3),
        ({"$cut": 4, "type": "bytes", "start": {"$bytes": "YWI="}}, b"abcd", 2),
        ({"$cut": 5, "type": "list", "start": [0, 1]}, [0, 1, 2, 3, 4], 2),
        ({"$cut": 2, "type": "tuple", "start": {"$tuple": [0]}}, (0, 1), 1),
        ({"$cut": 2, "type": "dict", "start": {}}, {"a": 1, "b": 2}, 0),
        ([{"$cut": 2, "type": "str", "start": "a"}], ["aa"], 2),
    ],
)
def test_a_cut_says_size_and_beginning(expected: object, value: object, limit: int) -> None:
    """A value longer than the limit is its size, type and beginning."""
    assert expected == encode(value, limit=limit)
    cut = decode(expected)
    assert expected == encode(cut)


def test_no_limit() -> None:
    """limit=None writes the whole value."""
    assert "x" * 11_000_000 == encode("x" * 11_000_000, limit=None)
    assert 11_000_000 == encode("x" * 11_000_000)["$cut"]


def test_dataclasses_are_text() -> None:
    """A dataclass is a $repr, as it needs its class to be rebuilt."""

    @dataclasses.dataclass
    class Pair:
        a: int

    data = encode(Pair(1))
    assert data["$repr"].endswith("Pair(a=1)")
    assert data["type"].endswith("Pair")
