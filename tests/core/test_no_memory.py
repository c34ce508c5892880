"""A mutator without memory changes nothing, or its change is recorded.

`just oom` tries all mutators in all modes; this is a sample of it.
"""

from __future__ import annotations

import gc
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from builds import FREE_THREADED

from pydatatracker import TrackedDict, TrackedList, TrackedSet

PROGRAM = pathlib.Path(__file__).parent.parent / "support" / "no_memory.py"
SAMPLE = [
    ("plain: dict d[new Key]", 2),
    ("plain: dict setdefault", 3),
    ("growing ring: list append", 3),
    ("nested: list extend iterator", 5),
    ("two parents: attr o.old", 5),
    ("observer: set add", 5),
    ("transaction: dict update pairs", 9),
    ("no values: list insert", 5),
    ("full ring: set update", 9),
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks for every allocation")
@pytest.mark.parametrize(("case", "sample"), SAMPLE, ids=[case for case, _ in SAMPLE])
def test_a_change_without_memory_is_recorded_or_did_not_happen(case: str, sample: int) -> None:
    """Each allocation fails; nothing crashes and nothing is lost."""
    pytest.importorskip("_testcapi")
    if FREE_THREADED and case == "nested: list extend iterator":
        pytest.skip("the list holds what is no object then: not understood")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--verbose", "--sample", str(sample), case],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def too_deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


CONVERTING = [
    ("extend an iterator", TrackedList, lambda c, v: c.extend(iter([7, v, 8])), [7]),
    ("extend a list", TrackedList, lambda c, v: c.extend([7, v, 8]), []),
    ("append", TrackedList, lambda c, v: c.append(v), []),
    ("insert", TrackedList, lambda c, v: c.insert(0, v), []),
    ("iadd", TrackedList, lambda c, v: c.__iadd__(iter([7, v])), [7]),
    ("slice", TrackedList, lambda c, v: c.__setitem__(slice(0, 0), [v]), []),
    ("store", TrackedDict, lambda c, v: c.__setitem__("a", v), {}),
    ("setdefault", TrackedDict, lambda c, v: c.setdefault("a", v), {}),
    ("update a dict", TrackedDict, lambda c, v: c.update({"a": 1, "b": v}), {}),
    ("update pairs", TrackedDict, lambda c, v: c.update([("a", 1), ("b", v), ("c", 2)]), {"a": 1}),
    ("update an iterator", TrackedDict, lambda c, v: c.update(iter([("a", 1), ("b", v)])), {"a": 1}),
]


@pytest.mark.parametrize(("name", "cls", "call", "left"), CONVERTING, ids=[case[0] for case in CONVERTING])
def test_a_failed_conversion_leaves_what_is_recorded(
    name: str, cls: type, call: Callable[[Any, Any], Any], left: Any
) -> None:
    """Only what came before the failure is there, and it is recorded.

    The collector is on.
    """
    container = cls(tracking_auto_convert=True)
    with pytest.raises(RecursionError):
        call(container, too_deep())
    assert gc.isenabled()
    assert container == left
    assert container.tracking_verify() is None
    assert len(container.tracking_changes()) == (2 if left else 1)
    container._check()


class Refusing:
    """Fails when it is hashed or compared for the second time."""

    def __init__(self) -> None:
        self.calls = 0

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise ValueError("not comparable")


FAILING: list[tuple[str, Callable[[], Any], Callable[[Any], Any]]] = [
    ("d[k]", lambda: TrackedDict({Refusing(): 1}), lambda d: d.__setitem__(Refusing(), 2)),
    ("d.update", lambda: TrackedDict({Refusing(): 1}), lambda d: d.update({Refusing(): 2})),
    ("d.pop", lambda: TrackedDict({Refusing(): 1}), lambda d: d.pop(Refusing())),
    ("d.setdefault", lambda: TrackedDict({Refusing(): 1}), lambda d: d.setdefault(Refusing())),
    ("s.add", lambda: TrackedSet([Refusing()]), lambda s: s.add(Refusing())),
    ("s.update", lambda: TrackedSet([Refusing()]), lambda s: s.update([1 << 61, Refusing()])),
    ("s.discard", lambda: TrackedSet([Refusing()]), lambda s: s.discard(Refusing())),
    ("s ^=", lambda: TrackedSet([Refusing()]), lambda s: s.symmetric_difference_update([Refusing()])),
    ("l.remove", lambda: TrackedList([Refusing()]), lambda items: items.remove(Refusing())),
    ("l.sort", lambda: TrackedList([1, "a"]), lambda items: items.sort()),
    ("l[::2]", lambda: TrackedList([1, 2, 3]), lambda items: items.__setitem__(slice(None, None, 2), [1])),
    ("l.extend", lambda: TrackedList([1]), lambda items: items.extend(1 // n for n in (1, 0))),
]


@pytest.mark.parametrize(("name", "make", "call"), FAILING, ids=[case[0] for case in FAILING])
def test_a_call_that_fails_leaves_the_collector_on(
    name: str, make: Callable[[], Any], call: Callable[[Any], Any]
) -> None:
    """Whatever ends a mutator, gc.isenabled() is as before."""
    container = make()
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)):
        call(container)
    assert gc.isenabled()
    container._check()
