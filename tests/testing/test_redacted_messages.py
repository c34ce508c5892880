"""No message of an assertion shows a value that tracking_redact withholds."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pydatatracker import MISSING, TrackedAttr, TrackedDict, TrackedList, TrackedSet, track
from pydatatracker.testing import ModifiedError, assert_unmodified, expect_changes
from pydatatracker.testing.pytest_section import section

SECRET = "s3cr3t"


class Point(NamedTuple):
    password: str


class Account(TrackedAttr, tracking_redact="/password"):
    def __init__(self) -> None:
        self.password = SECRET


def refuses(value: Any) -> bool:
    raise ValueError(value, SECRET)


def tree() -> Any:
    return track(
        {"password": SECRET, "u": [{"password": SECRET + "1", "n": 1}], "p": Point(SECRET), "n": 1},
        tracking_redact="/**/password",
    )


def by_function() -> Any:
    made = TrackedDict(password=SECRET, n=1, tracking_redact=lambda path: path[-1] in ("password", 0))
    made["u"] = TrackedList([TrackedDict(password=SECRET + "1", n=1)])
    made["p"] = Point(SECRET)
    return made


def of_parts() -> Any:
    """Only the parts have rules."""
    inner = TrackedDict(password=SECRET, n=1, tracking_redact="/password")
    return TrackedDict(
        u=TrackedList([inner]), password=Account(), p=TrackedSet([1], tracking_redact="/**/password"), n=1
    )


MADE = [tree, by_function, of_parts]
WISHES: dict[str, Any] = {
    "secret": (SECRET, SECRET + "2"), "before": (SECRET + "3", ...), "after": (..., SECRET + "4"), "nothing": (MISSING,
    MISSING), "function": (refuses, refuses), "partial": (functools.partial(operator.eq, SECRET + "5"), ...),
    "approx": (pytest.approx(7), {"password": SECRET + "6"}), "nested": ({"password": SECRET}, [{"password": SECRET}]),
    "point": (Point(SECRET), {Point(SECRET)}),
}  # fmt: skip
SCALARS = [SECRET, *(f"{SECRET}{n}" for n in range(10))]  # data of the test, where no rule matches
ACTS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: None,
    "store": lambda x: x.__setitem__("password", SECRET + "7"),
    "inner": lambda x: x["u"][0].update(password=SECRET + "8", n=2),
    "gone": lambda x: x["u"].clear(),
    "all gone": lambda x: x.clear(),
    "replaced": lambda x: x["u"].__setitem__(0, {"password": SECRET + "9"}),
    "key": lambda x: x["u"].append({Point(SECRET): Point(SECRET)}),
    "plain": lambda x: x.__setitem__("n", 5),
}


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
@pytest.mark.parametrize("pointer", ["/password", "/u/0/password", "/p", "/u/0", "/u", "/password/password"])
def test_no_message_of_expect_changes_shows_a_secret(make: Any, act: Any, wish: Any, pointer: str) -> None:
    """Neither the values that were, nor those that are expected, are shown."""
    if make is of_parts and act is ACTS["store"]:
        act = lambda x: setattr(x["password"], "password", SECRET + "7")
    if make is of_parts and (act is ACTS["key"] or pointer in ("/password", "/u", "/p", "/u/0")):
        wish = (..., MISSING)  # what such a path should hold is data of the test, not of the part
    if make is of_parts and act in (ACTS["replaced"], ACTS["key"]):
        return  # the new part has no rules
    if not pointer.endswith("password"):
        wish = tuple(... if each in SCALARS else each for each in wish)
    x = make()
    with pytest.raises(ModifiedError) as caught, expect_changes(x, {pointer: wish}):
        act(x)
        x["n"] = 7
    said = "\n".join(line for line in str(caught.value).splitlines() if "SECRET" not in line)  # lines of source
    assert SECRET not in said
    shown = section(caught.value, 10)
    assert SECRET not in "\n".join(line for line in shown.splitlines() if "SECRET" not in line)


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_no_message_of_assert_unmodified_shows_a_secret(make: Any, act: Any) -> None:
    """The changes are named, their values are not."""
    if make is of_parts and act in (ACTS["replaced"], ACTS["key"], ACTS["store"]):
        return
    x = make()
    with pytest.raises(ModifiedError) as caught, assert_unmodified(x):
        act(x)
        x["n"] = 7
    said = f"{caught.value}\n{section(caught.value, 10)}"
    assert SECRET not in "\n".join(line for line in said.splitlines() if "SECRET" not in line)


def test_a_wrong_pair_is_not_shown() -> None:
    """The error for a pair that is none shows its type only."""
    x = tree()
    for wrong, what in ((SECRET, "str"), ((SECRET,), "a tuple of 1")):
        with pytest.raises(TypeError, match=f"is .before, after., not {what}$"):
            expect_changes(x, {"/password": wrong})  # type: ignore[dict-item]


def test_what_is_not_withheld_is_shown() -> None:
    """Values at other paths are shown, and so is what was expected there."""
    x = tree()
    with (
        pytest.raises(ModifiedError, match=r"/n: 1 -> 5; after it should have been 6"),
        expect_changes(x, {"/n": (1, 6)}),
    ):
        x["n"] = 5
    with pytest.raises(ModifiedError) as caught, expect_changes(x, {"/password": ("a", ...)}):
        x["password"] = "c"
    assert "/password: REDACTED -> REDACTED; before it should have been REDACTED" in str(caught.value)
