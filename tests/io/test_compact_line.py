"""The fast way to a compact line and into a queue equals the slow way."""

from __future__ import annotations

import enum
import json
import os
import pathlib
import threading
from typing import Any

import pytest
from gardening import STEPS, Session
from hypothesis import given, settings
from hypothesis import strategies as st
from restless import restless

from pydatatracker import ChangeLogEntry, TrackedAttr, TrackedDict, TrackedList, _core, track, tracking_actor
from pydatatracker.change.compact import DERIVED, compacted
from pydatatracker.change.mapping import to_dict
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import read_changes, to_line


def test_compact_has_one_definition() -> None:
    """All compact forms leave out the same keys.

    The core's, a change's, that of the dict of it, and of a change that was read.
    """
    d = TrackedDict(a="")
    d["b"] = ""
    d["a"] = None
    with tracking_actor("me"):
        del d["b"]
    for change in d.tracking_changes()[1:]:
        whole = change.to_dict()
        expected = list(compacted(whole))
        assert DERIVED == whole.keys() - change.to_dict(compact=True).keys() - {"actor", "context", "stack"}
        assert expected == list(change.to_dict(compact=True))
        assert expected == list(ChangeLogEntry.from_dict(whole).to_dict(compact=True))
        fast = _core.change_line(change, True)
        assert fast is not None
        assert [*expected, "pid", "thread"] == list(json.loads(fast))
        assert fast + b"\n" == to_line(change, compact=True) == to_line(whole, compact=True)


class Colour(enum.IntEnum):
    """An int that is more than one."""

    RED = 1


class Text(str):
    """A subclass of str."""


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.text('"\\/~\x00\x1f\x7f\n\t\u2028é茶🙂', max_size=8)
    | st.sampled_from(
        [Colour.RED, Text("t"), b"bytes", (1, 2), 0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e22, 2**63, -(2**63)]
    )
)
KEYS = (
    st.text(max_size=6)
    | st.text('/~"\\\n\ud800', max_size=3)
    | st.integers(-5, 5)
    | st.booleans()
    | st.none()
    | st.just((1, "a"))
)


def same(fast: bytes, change: ChangeLogEntry) -> bool:
    """Return whether fast is what the slow way gives, in the same order."""
    slow = to_dict(change, True)
    slow["pid"], slow["thread"] = os.getpid(), threading.current_thread().name
    return json.dumps(json.loads(fast)) == json.dumps(slow)  # the order of the names too; 1 and 1.0 and True differ


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(KEYS, SCALARS), min_size=1, max_size=6), st.text(max_size=5), st.booleans())
def test_scalars(items: list[tuple[Any, Any]], actor: str, nested: bool) -> None:
    """Scalars of any kind and key give the same line, up to two levels deep."""
    d = track({"in/ner": {}}) if nested else TrackedDict()
    target = d["in/ner"] if nested else d
    with tracking_actor(actor):
        for key, value in items:
            target[key] = value
            change = d.last_change()
            fast = _core.change_line(change, True)
            plain = type(key) in (str, int) and type(value) in (str, bool, type(None), int)
            if plain and change.action == "add" and not any("\ud800" <= c <= "\udfff" for c in f"{key}{value}{actor}"):
                assert fast is not None or (type(value) is int and not -(2**63) <= value < 2**63)
            if fast is not None:
                assert same(fast, change)
                assert fast == to_line(change, compact=True)[:-1]


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_whole_sessions(steps: Any) -> None:
    """A session's changes give the same lines, or are left to the slow way.

    Lists, sets, objects, containers at several paths, and moves.
    """
    session = Session()
    session.run(steps)
    for change in session.root.tracking_changes():
        fast = _core.change_line(change, True)
        assert fast is None or same(fast, change)
        child = change._node.container
        if child is not None:
            for seen in _core.changes_of(child)[-3:]:  # with paths from there
                fast = _core.change_line(seen, True)
                assert fast is None or same(fast, seen)


def test_what_is_left_to_the_python_encoder() -> None:
    """The core writes no line of redacted data, or of a change that was read.

    Nor one of an earlier change that has containers, nor the derived init.
    """
    d = TrackedDict(tracking_redact=["/secret"])
    d["secret"] = "word"
    assert _core.change_line(d.last_change(), True) is None
    d = TrackedDict()
    d["a"] = 1
    assert _core.change_line(ChangeLogEntry.from_dict(d.last_change().to_dict()), True) is None
    d["l"] = [1]
    assert same(_core.change_line(d.last_change(), True) or b"", d.last_change())
    d["a"] = 2
    assert _core.change_line(d.tracking_changes()[-2], True) is None
    assert _core.change_line(TrackedDict(a=1).tracking_changes()[0], True) is None


def test_times_of_every_kind() -> None:
    """The date is that of Python's own calendar, with leap days."""
    d = TrackedDict()
    for k in range(50):
        d["k"] = k
        change = d.last_change()
        assert json.loads(_core.change_line(change, True) or b"")["created_time"] == change.created_time.isoformat(
            timespec="microseconds"
        )


CHANGES = int(os.environ.get("PYDATATRACKER_CHANGES", "60000"))


def test_a_long_log_through_the_buffered_exporter(tmp_path: pathlib.Path) -> None:
    """A long log has every change, in order, on fast and slow lines in turn.

    PYDATATRACKER_CHANGES=1000000 for more.
    """
    path = tmp_path / "log.jsonl"
    d = TrackedDict(tracking_max_changes=64)
    with JsonLinesExporter(path, buffered=True, compact=True, block_timeout=60.0) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(CHANGES):
            d[n % 100] = n if n % 50 else [n]
    assert 0 == exporter.stats().dropped
    first = None
    for n, line in enumerate(read_changes(path)):
        first = line.seq if first is None else first
        assert (n, (n if n % 50 else [n])) == (line.seq - first, line.after)
    assert n == CHANGES - 1


@pytest.mark.parametrize("on_full", ["block", "drop_oldest", "drop_newest", "spill"])
def test_many_threads_and_a_small_queue(tmp_path: pathlib.Path, on_full: Any) -> None:
    """Accepted and dropped changes add up, also with many threads.

    The changes of a thread stay in order, and each missing one is in a gap.
    """
    path = tmp_path / "log.jsonl"
    d = TrackedDict(tracking_max_changes=16)
    more = {"spill": tmp_path / "spill.jsonl"} if on_full == "spill" else {}
    exporter = JsonLinesExporter(
        path, buffered=True, compact=True, max_items=20, batch_items=7, on_full=on_full, block_timeout=0.001, **more
    )
    with restless(1e-5), exporter:
        d.tracking_add_observer(exporter)

        def work(name: str) -> None:
            for n in range(400):
                d[name] = n if n % 30 else (n,)

        threads = [threading.Thread(target=work, args=(f"t{k}",)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stats = exporter.stats()
    assert (0, 0) == (stats.queued, stats.spilled)
    lines = [line for line in read_changes(path) if not line.is_gap]
    gaps = [line.gap for line in read_changes(path) if line.is_gap]
    assert len(lines) == stats.sent - len(gaps) or len(lines) == stats.sent
    seqs = {line.seq for line in lines}
    assert len(seqs) == len(lines)
    assert 1600 == len(lines) + stats.dropped
    for k in range(4):
        own = [line.after if type(line.after) is int else line.after[0] for line in lines if line.pointer == f"/t{k}"]
        assert own == sorted(own)
    missing = set(range(min(seqs), max(seqs) + 1)) - seqs
    assert all(any(first <= seq <= last for first, last in gaps) for seq in missing)  # type: ignore[operator]


def test_the_sender_and_a_subclass_go_the_slow_way(tmp_path: pathlib.Path) -> None:
    """A change made while sending is not sent; an overridden method is called."""

    class Mine(JsonLinesExporter):
        def __call__(self, change: Any) -> None:
            seen.append(change.pointer)
            super().__call__(change)

    seen: list[str] = []
    d = TrackedDict()
    with Mine(tmp_path / "a.jsonl", buffered=True, compact=True) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(5):
            d[f"k{n}"] = n
    assert [f"/k{n}" for n in range(5)] == seen
    assert exporter.stats().sent == 5


class Thing(TrackedAttr):
    """An object with tracked attributes."""


def test_objects_and_lists(tmp_path: pathlib.Path) -> None:
    """Attributes and list items that are added, replaced and removed."""
    thing = Thing()
    thing.name = "a"  # type: ignore[attr-defined]
    thing.items = TrackedList([1, 2])  # type: ignore[attr-defined]
    thing.items[0] = 5  # type: ignore[attr-defined]
    thing.items.append(7)  # type: ignore[attr-defined]
    del thing.items[0]  # type: ignore[attr-defined]
    del thing.name  # type: ignore[attr-defined]
    fast = [_core.change_line(change, True) for change in thing.tracking_changes()]
    assert 5 == sum(line is not None for line in fast)
    for line, change in zip(fast, thing.tracking_changes(), strict=True):
        assert line is None or same(line, change)
