"""Moments of a log as options: the number of a change, or a time."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, Final

import click

__all__ = ["MOMENT", "POINT", "SPAN", "Parsed", "Point", "moment", "point", "span"]

Point = tuple[int | None, int | None]  # (seq, None) or (None, nanoseconds); (None, None): the end

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO: Final = re.compile(r"-(\d+(?:\.\d+)?)([smhdw])")


def moment(text: str, now: datetime.datetime | None = None) -> int:
    """Return a time as nanoseconds since 1970.

    Accepts ``-3h``, ``today``, ``yesterday``, ``now``, and ISO 8601 in local time. Raises ValueError.

    >>> moment("2026-11-24T00:00:00+00:00")
    1795478400000000000
    """
    text = text.strip()
    now = now or datetime.datetime.now().astimezone()
    ago = _AGO.fullmatch(text)
    if ago is not None:
        found = now - datetime.timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
    elif text in ("today", "yesterday"):
        day = now.date() - datetime.timedelta(days=text == "yesterday")
        found = datetime.datetime.combine(day, datetime.time()).astimezone()
    elif text == "now":
        found = now
    else:
        try:
            found = datetime.datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError, OSError):
            raise ValueError(
                f"{text!r} is not a time; write -30m, -3h, -2d, today, yesterday, or as 2026-11-24T15:30"
            ) from None
    since = found - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def point(text: str) -> Point:
    """Return (seq, None) for a number, (None, nanoseconds) for a time.

    Raises ValueError.

    >>> point("120")
    (120, None)
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text), None
    return None, moment(text) + 999  # of a change shown with this microsecond, the state has the change


def span(text: str) -> tuple[Point, Point]:
    """Return the two points of ``A..B``, either of which may be left out.

    Raises ValueError.

    >>> span("10..")
    ((10, None), (None, None))
    """
    if ".." not in text:  # times have single dots at most
        raise ValueError(f"{text!r} is not a span; write 10..20, 10.., ..20, or -3h..now")
    first, _, last = text.strip().partition("..")
    since: Point = point(first) if first else (0, None)
    until: Point = point(last) if last else (None, None)
    if any(a is not None and b is not None and a > b for a, b in zip(since, until, strict=True)):
        raise ValueError(f"{text!r} runs backwards; write {last}..{first}; `patch --inverse` leads back")
    return since, until


class Parsed(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.3 on
    """A value that a function makes of text; its ValueError is a usage error."""

    def __init__(self, name: str, make: Callable[[str], Any]) -> None:
        self.name = name
        self._make = make

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._make(value)
        except (ValueError, OverflowError, re.error) as error:
            self.fail(str(error), param, ctx)


MOMENT: Final = Parsed("time", moment)
POINT: Final = Parsed("point", point)
SPAN: Final = Parsed("span", span)
