"""A frozendict (CPython 3.15, PEP 814) is a mapping and no dict."""

from __future__ import annotations

import builtins
import subprocess
import sys

STAND_IN = """
import builtins
from collections.abc import Mapping
class frozendict(Mapping):
    def __init__(self, items):
        self._items = dict(items)
    def __getitem__(self, key):
        return self._items[key]
    def __iter__(self):
        return iter(self._items)
    def __len__(self):
        return len(self._items)
    def __hash__(self):
        return 1
    def __repr__(self):
        return f"frozendict({self._items!r})"
builtins.frozendict = frozendict
"""
USE = """
from pydatatracker import TrackedDict, replay
value = frozendict({"name": "Ada", 7: [1, frozendict({})]})
data = TrackedDict()
data["a"] = value
change = data.last_change()
assert {"a": {"name": "Ada", 7: [1, {}]}} == replay([change.to_dict()]), change.to_dict()
assert "frozendict({'name': 'Ada', 7: [1, frozendict({})]})" == change.extra["value"], change.extra
kept = TrackedDict(tracking_keep_values=False)
kept["a"] = value
assert "frozendict({'name': 'Ada'" in repr(kept.last_change().after), kept.last_change().after
hidden = TrackedDict(tracking_redact=["/**/name"])
hidden["a"] = value
assert "Ada" not in str(hidden.last_change().to_dict()) + repr(hidden.last_change())
assert data["a"] is value
print("right")
"""


def test_its_values_are_logged_described_and_redacted() -> None:
    """With a stand-in before 3.15, of a class that is no dict either."""
    stand_in = "" if hasattr(builtins, "frozendict") else STAND_IN
    done = subprocess.run([sys.executable, "-P", "-c", stand_in + USE], capture_output=True, text=True)
    assert (0, "right\n") == (done.returncode, done.stdout), done.stderr
