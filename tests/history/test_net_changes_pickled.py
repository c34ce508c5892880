"""Net changes are pickled whatever their values are, as changes are."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pydatatracker import TrackedDict
from pydatatracker.values.standins import Repr

UNPICKLABLE: dict[str, Callable[[], Any]] = {
    "lock": threading.Lock,
    "lambda": lambda: lambda: 0,
    "generator": lambda: (n for n in ()),
    "nested": lambda: {"a": [(threading.Lock(),)]},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", UNPICKLABLE)
def test_a_net_change_is_pickled_with_any_value(name: str, protocol: int) -> None:
    """What cannot be pickled becomes the text that a log has of it."""
    d = TrackedDict(b=UNPICKLABLE[name]())
    d["a"] = UNPICKLABLE[name]()
    del d["b"]
    nets = d.tracking_net_changes(d.tracking_changes()[0])
    found = pickle.loads(pickle.dumps(nets, protocol))
    assert [(net.path, net.action, net.change) for net in found] == [(net.path, net.action, net.change) for net in nets]
    assert all(isinstance(net.after if net.action == "add" else net.before, (Repr, dict)) for net in found)
    assert copy.deepcopy(found) == found


def test_a_net_change_keeps_what_can_be_pickled() -> None:
    """Values come back as they were."""
    d = TrackedDict()
    d["a"] = (1, {"b": {2}}, complex(1, 2), frozenset((3,)))
    nets = d.tracking_net_changes()
    assert pickle.loads(pickle.dumps(nets)) == nets
    assert copy.copy(nets[0]) == nets[0]
