"""With rules, only scalars of known types are shown by their own text."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import ipaddress
import json
import pathlib
import re
import uuid
import zoneinfo
from types import ModuleType
from typing import Any

import pytest

from pydatatracker import TrackedDict

SECRET = "s3cr3t"
DATA = {"password": SECRET}


class Odd(enum.Enum):
    DICT = DATA
    TUPLE = ("password", SECRET)


class Own(enum.Flag):
    A = 1

    def __repr__(self) -> str:
        return repr(DATA)


class Said(bytes):
    def __repr__(self) -> str:
        return repr(DATA)


class Mixed(Said, enum.Enum):
    A = b"a"


class Zone(datetime.tzinfo):
    def utcoffset(self, when: Any) -> datetime.timedelta:
        return datetime.timedelta(0)

    def __repr__(self) -> str:
        return repr(DATA)


class Meta(type):
    def __repr__(cls) -> str:
        return repr(DATA)


class Class(metaclass=Meta):
    pass


class Date(datetime.date):
    def __repr__(self) -> str:
        return repr(DATA)


class Number(decimal.Decimal):
    def __repr__(self) -> str:
        return repr(DATA)


UUID = type("UUID", (), {"__module__": "uuid", "__repr__": lambda self: repr(DATA)})
MODULE = ModuleType("m")
MODULE.__spec__ = DATA  # type: ignore[assignment]

OPAQUE = {
    "slice": slice(DATA, None), "enum of a dict": Odd.DICT, "enum of a tuple": Odd.TUPLE, "flag": Own.A, "mixed": Mixed.A,
    "datetime": datetime.datetime(2020, 1, 1, tzinfo=Zone()), "time": datetime.time(1, tzinfo=Zone()), "class": Class,
    "date": Date(2020, 1, 1), "number": Number(1), "named like a UUID": UUID(), "module": MODULE,
    "pattern": re.compile(repr(DATA)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPAQUE)
@pytest.mark.parametrize("nested", [False, True], ids=["itself", "in a list"])
def test_a_value_whose_text_may_hold_data_is_withheld(name: str, nested: bool) -> None:
    """No text of a change shows what the value holds."""
    d = TrackedDict(tracking_redact=["/**/password"])
    value = OPAQUE[name]
    d["v"] = [value] if nested else value
    change = d.last_change()
    said = json.dumps(change.to_dict()) + repr(change) + change.format_detailed() + repr(d.tracking_blame())
    assert SECRET not in said
    assert "REDACTED" in said


class Plain(enum.Enum):
    A = "a"


class Number2(enum.IntFlag):
    A = 1
    B = 2


class Word(enum.StrEnum):
    A = "a"


SCALARS = [
    1, 1.5, 2j, "a", b"a", None, True, ..., range(3), slice(1, None, 2), Plain.A, Number2.A | Number2.B, Word.A,
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.time(1),
    datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), datetime.timedelta(1), decimal.Decimal("1.5"),
    fractions.Fraction(1, 3), uuid.UUID(int=5), ipaddress.ip_address("::1"), pathlib.Path("a"), int, Plain,
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=[f"{type(each).__name__}-{n}" for n, each in enumerate(SCALARS)])
def test_a_scalar_is_shown(value: Any) -> None:
    """A scalar of a known type is recorded as it is."""
    d = TrackedDict(tracking_redact=["/**/password"])
    d["v"] = [value]
    assert d.last_change().after == [value]


@pytest.mark.parametrize("value", [lambda: 0, (n for n in ()), test_a_scalar_is_shown, json, Class.__init__, object()],
                         ids=["lambda", "generator", "function", "module", "wrapper", "object"])  # fmt: skip
def test_a_tree_without_rules_records_what_holds_no_container_with_rules(value: Any) -> None:
    """Rules of another tree withhold nothing here."""
    TrackedDict(tracking_redact=["/**/password"])
    d = TrackedDict()
    d["v"] = [value]
    assert d.last_change().after == [value]
    assert d.tracking_net_changes()[0].after == [value]
