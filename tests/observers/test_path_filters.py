"""An observer with a path is called for what a naive matcher matches."""

from __future__ import annotations

import fnmatch
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import ChangeLogEntry, TrackedDict, TrackedList

KEYS = ["a", "b", "ab", "a/b", "0", 0, 1, True]
SEGMENTS = st.sampled_from(["a", "b", "ab", "a~1b", "0", "1", "True", "*", "a*", "?", "**", "[ab]"])
STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 3)), min_size=1, max_size=12)


def matches(glob: list[str], path: list[str]) -> bool:
    """Match segment by segment; ** is any number of segments."""
    if not glob:
        return not path
    if glob[0] == "**":
        return any(matches(glob[1:], path[n:]) for n in range(len(path) + 1))
    segment = glob[0].replace("~1", "/")
    return bool(path) and fnmatch.fnmatchcase(path[0], segment) and matches(glob[1:], path[1:])


@settings(max_examples=200, deadline=None)
@given(st.lists(SEGMENTS, max_size=4), STEPS, st.integers(0, 2))
def test_the_observer_hears_what_matches(glob: list[str], steps: list[tuple[int, int, int]], where: int) -> None:
    """Whatever the glob, the depth, and the container that is observed."""
    root = TrackedDict(a=TrackedDict(b=TrackedDict(), ab=TrackedList([1, 2])), b=TrackedList([TrackedDict()]))
    containers: list[Any] = [root, root["a"], root["a"]["b"], root["a"]["ab"], root["b"], root["b"][0]]
    observed = containers[where]
    heard: list[int] = []
    changes: list[ChangeLogEntry] = []
    observed.tracking_add_observer(lambda change: heard.append(change.seq), path="".join(f"/{part}" for part in glob))
    observed.tracking_add_observer(changes.append)
    for which, key, value in steps:
        target = containers[which]
        if isinstance(target, TrackedList):
            target[key % len(target)] = value
        elif value == 3 and KEYS[key] in target and target[KEYS[key]] not in containers:
            del target[KEYS[key]]
        elif not (KEYS[key] in target and any(target[KEYS[key]] is each for each in containers)):
            target[KEYS[key]] = value
    assert [change.seq for change in changes if matches(glob, [str(part) for part in change.path])] == heard
