"""The core makes of a journal what plain Python makes of it."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from forking import in_child
from hypothesis import given, settings
from hypothesis import strategies as st
from transactions import Stop

from pydatatracker import (
    RollbackConflictError,
    TrackedDict,
    TrackedList,
    _core,
    track,
    tracking_actor,
    tracking_transaction,
)


def cancelled(changes: list[Any]) -> set[int]:
    """Return the seqs of changes that amount to nothing, the obvious way."""
    known = {change.seq for change in changes}
    undoing: dict[int, list[Any]] = {}
    for change in changes:
        if undone_by(change) in known:
            undoing.setdefault(id(change.scope), []).append(change)
    gone: set[int] = set()
    for step in reversed(undoing.values()):
        seqs = {change.seq for change in step}
        if gone.isdisjoint(seqs):
            gone |= {*seqs, undone_by(step[0])}
    return gone


def undone_by(change: Any) -> int:
    """Return the seq of the change that this one undoes."""
    undoing = ("tracking_undo", "tracking_redo", "tracking_revert", "tracking_revert_to", "rollback")
    return change.scope.undoes if change.scope is not None and change.method in undoing else 0


def lasting(txn: Any) -> list[Any]:
    """Return what an open transaction did not undo, the obvious way."""
    own = [change for _, change, is_own in txn._entries() if is_own]
    gone = cancelled(own)
    return [change for change in own if change.seq not in gone]


class Program:
    """A random program of stores, blocks and undos on a few trees."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.trees: list[Any] = [
            track({"n": 0, "rows": [{"n": 1}, [2]]}, tracking_max_changes=self.random.choice([None, 5])),
            TrackedList([0]),
            TrackedDict(n=0, tracking_redact=["/n"]) if self.random.random() < 0.3 else TrackedDict(n=0),
        ]
        self.told: list[int] = []
        self.at_once: list[int] = []
        self.expected: list[int] = []  # what observers hear of after the commits
        self.dropped: set[int] = set()  # and what they never hear of, because the block undid it
        self.watched = [tree for tree in self.trees if self.random.random() < 0.7]
        for tree in self.watched:
            tree.tracking_add_observer(lambda change: self.told.append(change.seq))
            tree.tracking_add_observer(lambda change: self.at_once.append(change.seq), when="immediate")

    def containers(self) -> Iterator[Any]:
        for tree in self.trees:
            yield tree
            if "rows" in tree:
                yield from (tree["rows"], tree["rows"][0], tree["rows"][1])

    def step(self) -> None:
        what = self.random.choice(["store", "store", "store", "undo", "redo"])
        container = self.random.choice(list(self.containers()))
        if what == "undo" or what == "redo":
            try:
                getattr(container, f"tracking_{what}")()
            except (RuntimeError, ValueError, LookupError):
                pass
        elif isinstance(container, list):
            container.append(self.random.randrange(9))
        else:
            container["n"] = self.random.randrange(9)

    def block(self, depth: int) -> None:
        roots = self.random.choice([(), (), (self.trees[0],), (self.trees[1], self.trees[0]["rows"])])
        fails = self.random.random() < 0.3
        made: list[Any] = []
        own: set[int] = set()
        try:
            with tracking_actor("somebody"), tracking_transaction(*roots) as txn:
                for _ in range(self.random.randrange(1, 6)):
                    if depth < 3 and self.random.random() < 0.3:
                        self.block(depth + 1)
                    else:
                        self.step()
                    if self.random.random() < 0.1:
                        with contextlib.suppress(RollbackConflictError):
                            txn.rollback()
                made = lasting(txn)
                own = {change.seq for _, change, is_own in txn._entries() if is_own}
                assert [change.seq for change in txn.changes] == [change.seq for change in made]
                if fails:
                    made = []
                    raise Stop
        except Stop:
            pass
        except RollbackConflictError as conflict:
            made = sorted(conflict.changes)  # what stays
        recalled = [change.seq for change in txn.changes]
        known = {change.seq for tree in self.trees for change in tree.tracking_changes()}
        assert recalled == [change.seq for change in made if change.seq in known]
        assert not txn.is_open
        if txn.parent is None:
            self.dropped |= own - {change.seq for change in made}
            roots_told = {_core.tracker(tree) for tree in self.watched}
            self.expected += [change.seq for change in made if root(change) in roots_told]


def root(change: Any) -> Any:
    place = change.place
    while place.parent is not None:
        place = place.parent
    return place.tracker


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_a_block_has_the_changes_that_it_did_not_undo(seed: int) -> None:
    """`txn.changes` and what observers hear follow from the journal."""
    program = Program(seed)
    for _ in range(6):
        program.told.clear()
        program.expected.clear()
        program.block(0)
        assert [seq for seq in program.told if seq in program.expected] == program.expected
        assert program.dropped.isdisjoint(program.told)
        assert set(program.told) <= set(program.at_once)
    for tree in program.trees:
        assert tree.tracking_verify() is None
        tree._check()
    assert _core.scope_now() is None


def test_ids_are_shared_by_savepoints_and_by_nothing_else() -> None:
    """Savepoints share an id, which nothing else has."""
    d = TrackedDict()
    seen = set()
    for _ in range(100):
        with tracking_transaction() as outer:
            with tracking_transaction() as inner:
                d["a"] = 1
            assert inner.id == outer.id == d.last_change().transaction
        seen.add(outer.id)
    others = {change.uuid for change in d.tracking_changes()} | {d.tracking_uuid}
    assert 100 == len(seen)
    assert not seen & others
    assert all(len(each) == 32 and int(each, 16) for each in seen)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_an_id_is_the_same_on_both_sides_of_a_fork_and_new_ones_differ() -> None:
    """What began before a fork keeps its id in the child.

    Nobody has asked for the id before.
    """
    reader, writer = os.pipe()
    with tracking_transaction() as before:

        def child() -> None:
            os.write(writer, before.id.encode() + tracking_transaction().id.encode())

        in_child(child)
        text = os.read(reader, 64).decode()
        assert text[:32] == before.id
    assert text[32:] != tracking_transaction().id
    assert len(text) == 64
    os.close(reader)
    os.close(writer)


def test_a_transaction_keeps_no_container_and_no_value_alive() -> None:
    """A transaction that is over keeps neither containers nor values."""
    import gc
    import weakref

    class Value:
        pass

    d, value = TrackedDict(), Value()
    container, held = weakref.ref(d), weakref.ref(value)
    with tracking_transaction() as txn:
        d["a"] = value
    assert 1 == len(txn.changes)
    del d, value
    gc.collect()
    assert (None, None, []) == (container(), held(), txn.changes)
