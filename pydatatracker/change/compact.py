"""Compact lines: which keys of a change's line are left out.

This is the only definition in Python. The core writes compact lines itself (`line/line.pyx`); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["DERIVED", "MAY_BE_EMPTY", "compacted"]

DERIVED: Final = frozenset(("tree", "extra"))  # they follow from the other keys
DERIVED_LATER: Final = DERIVED | {"name"}  # the init has it
MAY_BE_EMPTY: Final = frozenset(("path", "location", "before", "after", "culprit"))  # an empty one means something


def compacted(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line without derived keys and without empty ones. O(keys).

    >>> compacted({"v": 1, "path": [], "before": "", "actor": "", "context": {}, "extra": {"a": 1}})
    {'v': 1, 'path': [], 'before': ''}
    """
    derived = DERIVED if line.get("action") == "init" else DERIVED_LATER
    return {
        key: value
        for key, value in line.items()
        if key not in derived and (key in MAY_BE_EMPTY or not _is_empty(value))
    }


def _is_empty(value: object) -> bool:
    return value is None or (type(value) in (str, list, dict, tuple) and not value)
