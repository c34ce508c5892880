"""A line that is written late has what was there when its change was made."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import watch
from pydatatracker.history.replica import Replica, empty_for
from pydatatracker.io import ChangeWriter, read_changes

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")
AT_ONCE = """
root["l"].append(m); m["b"].append(5); del root["l"]
root["l"].append(m); m["b"].append(5); root["l"].clear()
root["l"].append(m); m["b"].append(5); root["l"] = []
root["l"].append(m); m["b"].append(5); root.clear()
root["l"].append(m); m["b"].append(5); del m; del root["m"]; del root["l"]
del root["e"][0]
root["e"] = []
root["e"][0] = 3
root["h"].clear()
root["h"] = {}
root.clear()
root["e"][0].zz = 7; del root["e"][0]
root["e"].append(D(q=1)); look(); root["e"][1].zz = [3]; look(); root["e"].pop()
root["e"].append(root["h"]["g"]); del root["h"]; root["e"].pop(); root["e"].pop()
""".strip().splitlines()
STEPS = """
root["l"].append([s])
root["l"] = [[s]]
root["l"].clear()
s.b.append(1)
s.a = [2]
root["k"] = {"s": s}
root.pop("k", None)
root["k"] = s.b
root["l"].append({"k": s, "d": D(x=1)})
root["e"].append(m)
m["b"].append(5)
del root["e"][:]
look()
""".strip().splitlines()


class D(dict[str, Any]):
    """A dict that has attributes."""


class S:
    """An object whose attributes are slots."""

    __slots__ = ("a", "b")


def check(program: str, path: pathlib.Path) -> None:
    """Run a program on watched data; follow its log line by line."""
    s = S()
    s.a, s.b = 1, [1]
    root: dict[str, Any] = {"l": [], "m": {"b": [1]}, "e": [D(y=1)], "h": {"g": D(z=1)}, "s": s}
    root["e"][0].zz = 5
    root["h"]["g"].zz = 6
    path.unlink(missing_ok=True)
    w = watch(root)
    with ChangeWriter(path) as writer:
        w.tracking_add_observer(writer.write)
        exec(program, {"root": root, "m": root["m"], "s": s, "D": D, "look": w.tracking_changes})
        w.tracking_changes()
    first, *others = sorted(read_changes(path, strict=True), key=lambda line: line.seq)  # found ones may come later
    replica = Replica(empty_for(first))
    for line in (first, *others):
        replica.apply(line)


@pytest.mark.parametrize("program", AT_ONCE)
def test_what_ends_before_its_line_is_written(program: str, tmp_path: pathlib.Path) -> None:
    """No line has what another line changes, and what is gone is whole."""
    check(program, tmp_path / "log")


@given(steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=7))
def test_random_programs(steps: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No line contradicts those before it."""
    check("\n".join(steps), tmp_path_factory.getbasetemp() / "late")
