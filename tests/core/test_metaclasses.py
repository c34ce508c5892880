"""A class may have any metaclass; no change of its instances is lost.

The sentence of the kind: a log loses no change, whatever the class, its name, its metaclass or its ``__class__`` say, and
nothing that they define runs because of a record.
"""

from __future__ import annotations

import abc
import collections.abc
import io
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, track
from pydatatracker.io import ChangeWriter, read_changes


class Boom(BaseException):
    """Must not be caught where anything can raise an Exception."""


class Raising(type):
    """Raises at every attribute that is no business of the library."""

    @property
    def __name__(cls) -> str:
        raise Boom("__name__")

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise ValueError("__module__")

    def __repr__(cls) -> str:
        raise Boom("repr")

    def __eq__(cls, other: object) -> bool:
        raise Boom("eq")

    def __hash__(cls) -> int:
        raise Boom("hash")

    def __bool__(cls) -> bool:
        raise Boom("bool")

    def __instancecheck__(cls, instance: object) -> bool:
        raise Boom("isinstance")

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise Boom("issubclass")


class Misnamed(type):
    """Says that its classes have a number for a name."""

    __name__ = 5  # type: ignore[assignment]


class Counting(type):
    """Has calls of its own, as registries have."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)


METACLASSES = [abc.ABCMeta, Misnamed, Counting, Raising]
BASES = [TrackedDict, TrackedList, TrackedSet, TrackedAttr]


def made(base: type, metaclass: Any) -> Any:
    """Return an instance of a new class ``Made``."""
    return metaclass("Made", (base,), {"__module__": "made", "__qualname__": "Made"})()


def change(container: Any, value: Any = 1) -> None:
    """Change a container once."""
    if isinstance(container, dict):
        container["x"] = value
    elif isinstance(container, list):
        container.append(value)
    elif isinstance(container, set):
        container.add(value)
    else:
        container.x = value


CASES = [(base, metaclass) for base in BASES for metaclass in METACLASSES]
IDS = [f"{base.__name__}-{metaclass.__name__}" for base, metaclass in CASES]


@pytest.mark.parametrize(("base", "metaclass"), CASES, ids=IDS)
def test_a_change_has_the_name_of_its_class(base: type, metaclass: Any) -> None:
    """Everything that shows a change works, and runs no code of the metaclass."""
    container = made(base, metaclass)
    change(container)
    last = container.last_change()
    assert last.type == "Made"
    assert last.to_dict()["type"] == "Made"
    assert " in Made " in last.format_detailed()
    assert repr(last).startswith("<change")
    root = TrackedDict(child=container)
    change(container, 2)
    assert root.last_change().type == "Made"
    root["child"] = 2
    assert root.last_change().before is container
    for compact in (False, True):
        out = io.BytesIO()
        with ChangeWriter(out, compact=compact) as writer:
            for each in root.tracking_changes():
                writer.write(each)
        out.seek(0)
        assert [each.seq for each in read_changes(out)] == [each.seq for each in root.tracking_changes()]


@pytest.mark.parametrize("metaclass", METACLASSES, ids=[metaclass.__name__ for metaclass in METACLASSES])
def test_values_of_such_classes_are_logged(metaclass: Any) -> None:
    """A plain object as a value, a key or an element is shown by its class."""
    value = metaclass("Value", (), {"__module__": "made", "__qualname__": "Value"})()
    d: TrackedDict[Any, Any] = TrackedDict(tracking_keep_values=False)
    d["v"] = value
    d["list"] = [value]
    followed = track({}, tracking_keep_values=False)
    followed["v"] = value
    assert {row.pointer for row in followed.tracking_untracked()} <= {"/v"}
    items: TrackedList[Any] = TrackedList([value])
    items.append(value)
    for each in (*d.tracking_changes(), *items.tracking_changes()):
        json.dumps(each.to_dict())
        each.format_detailed()


class Lying(TrackedAttr):
    """Says that it is an int."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        return int


class Mapped(TrackedDict, collections.abc.MutableMapping):  # type: ignore[type-arg]
    """Mixes in the abstract class of mappings."""


def test_what_class_says_does_not_matter() -> None:
    """``__class__`` is not asked."""
    lying = Lying()
    lying.x = 1
    assert lying.last_change().type == "Lying"
    mapped = Mapped(a=1)
    mapped["b"] = 2
    assert [each.pointer for each in mapped.tracking_changes()] == ["", "/b"]


def test_the_log_of_a_process_has_every_such_change(tmp_path: Any) -> None:
    """No warning, no gap; the log verifies."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import abc
            from pydatatracker import TrackedAttr

            class Named(type):
                __name__ = property(lambda cls: 1 / 0)

            class Order(TrackedAttr, abc.ABC):
                pass

            class Item(TrackedAttr, metaclass=Named):
                pass

            for cls in (Order, Item):
                thing = cls()
                for n in range(5):
                    thing.count = n
            """)
    )
    log = tmp_path / "log.jsonl"
    run = [sys.executable, "-m", "pydatatracker"]
    done = subprocess.run([*run, "run", "--log", str(log), str(program)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert "warning" not in done.stderr.lower(), done.stderr
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["type"] for line in lines if line["action"] != "init"] == ["Order"] * 5 + ["Item"] * 5
    checked = subprocess.run([*run, "verify", str(log)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout
