"""Undo and redo in the core do what plain Python does."""

from __future__ import annotations

import random
from typing import Any

from gardener import Gardener, alike, plain_copy
from hypothesis import given, settings
from hypothesis import strategies as st
from undo_in_python import back

from pydatatracker import _core, track, tracking_actor, tracking_transaction
from pydatatracker.history.undo import UndoConflictError


class Session:
    """A random program on a document; the core undoes, or Python."""

    def __init__(self, seed: int, in_core: bool, ring: int | None) -> None:
        self.random = random.Random(seed)
        document = {"rows": [[1], {"a": 2}], "cfg": {"ports": [80, 443], "tags": {1}}, "n": 0}
        self.x: Any = track(document, tracking_max_changes=ring)
        self.gardener = Gardener(self.x, random.Random(seed + 1))
        self.in_core = in_core
        self.said: list[Any] = []
        self.birth = _core.newest_seq()

    def back(self, container: Any, n: int, method: str) -> None:
        try:
            done = getattr(container, method)(n) if self.in_core else back(container, n, method)
        except (UndoConflictError, LookupError, RuntimeError) as error:
            self.said.append(type(error))
        else:
            self.said.append([story(change) for change in done])

    def below(self) -> Any:
        """Return the document or something in it."""
        found = [self.x]
        for each in found:
            found.extend(_core.children(each)[: 30 - len(found)])
        return self.random.choice(found)

    def step(self) -> None:
        what = self.random.choice(
            ["change", "change", "store", "undo", "undo", "redo", "redo", "both", "block", "lock"]
        )
        if what == "change":
            self.gardener.step()
        elif what == "store":
            self.x["n"] = self.random.choice([1, None, [1], (2, 3), object, "text"])
        elif what in ("undo", "redo"):
            self.back(self.x, self.random.choice([1, 1, 1, 2, 5]), f"tracking_{what}")
        elif what == "both":
            with tracking_actor("somebody", reason=what):
                self.back(self.below(), 1, self.random.choice(["tracking_undo", "tracking_redo"]))
        elif what == "block":
            with tracking_transaction():
                for _ in range(self.random.randrange(4)):
                    self.gardener.step()
                if self.random.random() < 0.3:
                    self.back(self.x, 1, "tracking_undo")
        elif self.random.random() < 0.3:
            self.x.lock()
            self.back(self.x, 1, "tracking_undo")
            self.x.unlock()
        if self.random.random() < 0.02 and _core.tracker(dict.get(self.x, "n")) is None:
            dict.__setitem__(self.x, "n", "bypassed")


def story(change: Any) -> tuple[Any, ...]:
    """Return what a change says, without what differs between two sessions."""
    return (
        change.action,
        change.method,
        change.pointer,
        repr(change.extra.get("value")),
        change.actor,
        change.transaction is None,
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([None, 4096, 4, 0]))
def test_the_core_undoes_and_redoes_as_python_does(seed: int, steps: int, ring: int | None) -> None:
    """The same answers, the same data and the same records."""
    sessions = [Session(seed, in_core, ring) for in_core in (True, False)]
    for _ in range(steps):
        for session in sessions:
            session.step()
        core, python = sessions
        assert core.said == python.said
        assert alike(plain_copy(core.x), plain_copy(python.x))
    core, python = ([story(change) for change in session.x.tracking_changes()] for session in sessions)
    assert core == python


def test_a_transaction_is_undone_whole_when_it_brings_back_newer_changes() -> None:
    """A container that it removed was changed elsewhere since."""
    d: Any = track({"a": {"x": 1}, "n": 0})
    a = d.pop("a")
    a["x"] = 2  # in a log of its own, which d knows from now on
    d["a"] = a
    assert [change.pointer for change in d.tracking_undo()] == ["/a"]
    assert [change.pointer for change in d.tracking_redo()] == ["/a"]
    with tracking_transaction():
        d["n"] = 1
        d.pop("a")
    a["x"] = 3
    assert [change.pointer for change in d.tracking_undo()] == ["/a", "/n"]
    assert d == {"n": 0, "a": {"x": 3}}
    assert [change.pointer for change in d.tracking_undo()] == ["/x"]  # its path when it was made
    assert d == {"n": 0, "a": {"x": 2}}
