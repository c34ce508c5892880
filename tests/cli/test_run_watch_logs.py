"""The log of ``run --watch`` says what the watched data was, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import run
from programs import plain, write

from pydatatracker import MISSING, _core, replay
from pydatatracker.io import read_changes
from pydatatracker.values.pointer import to_pointer

pytestmark = pytest.mark.skipif(_core.can_watch() != 0, reason="watch() needs CPython 3.12 or newer with the GIL")

LIBRARY = """
class Table(dict):
    def __init__(self, **items):
        super().__init__(items)
        self.body = {"lines": 1}

class Part:
    def __init__(self):
        self.x = 1
"""


def logged(tmp_path: Path, text: str, *watch: str) -> list[Any]:
    """Run a program with and without us; return its lines.

    ``verify`` finds nothing wrong with them.
    """
    write(tmp_path, LIBRARY, "library.py")
    write(tmp_path, text, "program.py")
    expected = plain("program.py", cwd=tmp_path)
    assert 0 == expected.returncode, expected.stderr
    options = [part for each in watch for part in ("--watch", each)]
    done = run("run", "--log", "log.jsonl", *options, "program.py", cwd=tmp_path)
    assert (expected.returncode, expected.stdout) == (done.returncode, done.stdout)
    checked = run("verify", "log.jsonl", cwd=tmp_path)
    assert (0, "") == (checked.returncode, checked.stderr)
    return list(read_changes(tmp_path / "log.jsonl", strict=True))


def test_attributes_of_a_dict_come_with_it(tmp_path: Path) -> None:
    """A dict of a class is written with its attributes when it is stored.

    They are what later lines change. So it is in the line of a global, and below it.
    """
    text = """
import library
table = library.Table(a=1)
table.body["lines"] = 2
shop = {}
shop["table"] = library.Table(b=1)
shop["table"].body["lines"] = 3
del shop["table"]
"""
    lines = logged(tmp_path, text, "__main__:table", "__main__:shop")
    assert {"a": 1, "__dict__": {"body": {"lines": 1}}} == lines[0].after
    assert {"table": {"a": 1, "__dict__": {"body": {"lines": 2}}}, "shop": {}} == replay(tmp_path / "log.jsonl")


def test_what_is_under_names_that_are_not_logged_too(tmp_path: Path) -> None:
    """A line shows, and refers to, an object by a name that the log has.

    ``env`` is a global that is not named, and its path is shorter.
    """
    text = """
class Env:
    pass

class Event:
    def __init__(self, env):
        self.env = env

env = Env()
env.queue = []
tank = Env()
tank.env = env
env.now = 1
env.event = Event(env)
env.event.n = 1
env.queue.append(env.event)
env.again = env.event
env.again.n = 2
env.queue[0].n = 3
"""
    lines = logged(tmp_path, text, "__main__:tank")
    assert {"/tank"} == {line.pointer[:5] for line in lines if line.pointer}
    assert all(line.pointer == to_pointer(line.path) for line in lines)
    data = replay(tmp_path / "log.jsonl")
    assert 3 == data["tank"]["env"]["event"]["n"]
    assert data["tank"]["env"]["again"] is data["tank"]["env"]["event"] is data["tank"]["env"]["queue"][0]


def test_a_class_that_is_followed_later(tmp_path: Path) -> None:
    """A global of a library's class has the whole library followed.

    What the log has of it under other names are words: the state is written once more before the next line.
    """
    text = """
import library
part = library.Part()
other = {"part": part, "pair": (library.Part(), 1), "parts": [library.Part()]}
other["part"].x = 2
for _ in range(3): pass
named = library.Part()
for _ in range(3): pass
other["part"].x = 3
other["pair"][0].x = 4
other["parts"][0].x = 5
other["parts"].append(part)
named.n = 1
part.x = 9
"""
    lines = logged(tmp_path, text, "__main__:other", "__main__:named")
    assert ["init"] == [line.action for line in lines if not line.path]
    expected = {"part": {"x": 9}, "pair": ({"x": 4}, 1), "parts": [{"x": 5}, {"x": 9}]}
    assert {"other": expected, "named": {"x": 1, "n": 1}} == replay(tmp_path / "log.jsonl")


SHORT_LIVED = {
    "list": ('[{"a": 1}]', "[0]"),
    "tuple": ('({"a": 1},)', "[0]"),
    "nested": ('([({"a": 1},)],)', "[0][0][0]"),
    "slots": ('Slots({"a": 1})', ".held"),
    "deque": ('collections.deque([{"a": 1}])', "[0]"),
    "dict": ('{"b": {"a": 1}}', '["b"]'),
    "table": ("library.Table(b=1)", ".body"),
}


@pytest.mark.parametrize("made", SHORT_LIVED)
def test_what_is_gone_before_its_line_is_written(tmp_path: Path, made: str) -> None:
    """A line has what a value was just after the change.

    Also if it changed and ended before the line was written. The program is not interrupted between its statements, so all lines are written after the last of them.
    """
    value, step = SHORT_LIVED[made]
    text = f"""
import collections, library

class Slots:
    __slots__ = ("held",)
    def __init__(self, held):
        self.held = held

class Box:
    pass

value, box = {value}, Box()
box.value, value = value, None
box.value{step}["a"] = 2
box.value = None
box.n = 1
"""
    lines = logged(tmp_path, text, "__main__:box")
    (stored,) = (line for line in lines if line.pointer == "/box/value" and line.action == "add")
    (changed,) = (line for line in lines if line.path[-1:] == ("a",))
    (removed,) = (line for line in lines if line.pointer == "/box/value" and line.action == "update")
    found: list[Any] = [stored.after, removed.before]
    for key in changed.path[2:-1]:
        found = [each[key] for each in found]
    assert [changed.before, changed.after] == [each.get("a", MISSING) for each in found]
    assert type(stored.after) is type(removed.before)
    assert {"box": {"value": None, "n": 1}} == replay(tmp_path / "log.jsonl")


def test_what_is_compared_is_in_one_line(tmp_path: Path) -> None:
    """What changed in a list since its store is in lines of its own.

    The line of the store is written later, and does not have it.
    """
    text = """
class Box:
    pass

box = Box()
box.rows = [1]
box.rows.append({"k": 1})
box.n = 1
box.rows[1]["k"] = 2
box.rows.append(3)
box.n = 2
box.rows.pop(1)
box.n = 3
box.others = box.rows
box.others.append(4)
box.n = 4
"""
    logged(tmp_path, text, "__main__:box")
    rows = [1, 3, 4]
    assert {"box": {"rows": rows, "others": rows, "n": 4}} == replay(tmp_path / "log.jsonl")
