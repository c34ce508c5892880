"""Random changes of a graph of containers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core

__all__ = ["Thing", "change", "reached_from"]


class Thing(TrackedAttr, tracking_max_changes=0):
    """An object with any attributes, which no record keeps alive."""


def change(here: Any, value: Callable[[], Any], draw: random.Random, is_root: bool = False) -> None:
    """Change a container, by one of its methods. A root is not cleared."""
    name = draw.choice("abc")
    if isinstance(here, TrackedSet):
        here ^= {draw.randrange(3)}
    elif isinstance(here, TrackedList):
        _change_list(here, value, draw)
    elif isinstance(here, TrackedDict):
        what = draw.randrange(5)
        if what == 0 and not is_root:
            here.clear()
        elif what == 1:
            here.pop(name, None)
        elif what == 2:
            here.update({name: value(), "d": value()})
        else:
            here[name] = value()
    elif draw.random() < 0.2 and hasattr(here, name):
        delattr(here, name)
    else:
        setattr(here, name, value())


def _change_list(here: Any, value: Callable[[], Any], draw: random.Random) -> None:
    what = draw.randrange(7)
    spot = draw.randint(0, len(here))
    if what == 0 and here:
        del here[draw.randrange(len(here))]
    elif what == 1 and here:
        here[draw.randrange(len(here))] = value()
    elif what == 2:
        here[spot : spot + 2] = [value(), value()]
    elif what == 3:
        here[:] = sorted(here, key=lambda _: draw.random())
    elif what == 4:
        here.sort(key=lambda _: draw.random())
    else:
        here.insert(spot, value())


def reached_from(*roots: Any) -> list[Any]:
    """Return containers, and all tracked ones that they hold."""
    found = {id(root): root for root in roots}
    todo = list(roots)
    for each in todo:
        held = _core.plain(each)
        for item in held.values() if isinstance(held, dict) else held:
            if _core.tracker(item) is not None and id(item) not in found:
                found[id(item)] = item
                todo.append(item)
    return todo
