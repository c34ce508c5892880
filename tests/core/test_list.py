"""Lists: stepped slices, and sorts whose key function changes the list."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, track


def test_rows_of_a_long_stepped_slice_hold_their_indices() -> None:
    """The rows of a stepped slice hold their indices, also those above 256.

    Those are int objects of their own, which once were freed and then read.
    """
    program = (
        "from pydatatracker import TrackedList\n"
        "x = TrackedList(range(1000)); before = list(x); del x[::3]\n"
        "assert [r[0] for r in x.last_change().changes] == list(range(0, 1000, 3))\n"
        "x.tracking_undo(); assert x == before\n"
        "x[::2] = [0] * 500; x.tracking_undo(); assert x == before\n"
    )
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONMALLOC": "debug"}, check=True, timeout=60)


def test_sorts_that_overlap() -> None:
    """A sort may run in the key function of another sort.

    Children stay linked, and the record has the resulting order.
    """
    x = track([[3], [1], [2]])
    child = TrackedDict()
    first: list[int] = []

    def key(item: Any) -> Any:
        if not first:
            first.append(1)
            x.sort()
            x.append(child)
        return item[0]

    with pytest.raises(ValueError, match="modified during sort"):
        x.sort(key=key)
    x._check()
    assert x.tracking_verify() is None
    x.append(child)
    child["a"] = 1
    assert "/3/a" == x.last_change().pointer  # type: ignore[union-attr]


def test_a_key_that_changes_the_list_leaves_its_length_right() -> None:
    """Items that list.sort discards are not counted."""
    x = TrackedList([3, 1, 2])

    def key(item: int) -> int:
        x.append(0)
        return item

    with pytest.raises(ValueError, match="modified during sort"):
        x.sort(key=key)
    assert x.tracking_verify() is None
    assert 3 == len(x)
