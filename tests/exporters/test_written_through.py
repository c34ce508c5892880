"""Lines that the core appends to a file, without a call of the writer."""

from __future__ import annotations

import json
import os
import pathlib
import threading
from typing import Any

import pytest
from gardening import STEPS, Session
from hypothesis import HealthCheck, given, settings
from restless import restless

from pydatatracker import ChangeLogEntry, TrackedDict, process, track
from pydatatracker.change.mapping import to_dict
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import ChangeWriter, read_changes
from pydatatracker.observers import JsonFileObserver, json_file_observer
from pydatatracker.targets import Targets

WRITERS: dict[str, Any] = {
    "ChangeWriter": lambda path, compact: ChangeWriter(path, compact=compact),
    "json_file_observer": lambda path, compact: json_file_observer(path, compact=compact),
    "JsonLinesExporter": lambda path, compact: JsonLinesExporter(path, compact=compact),
}


def observer_of(writer: Any) -> Any:
    """Return what is added to a container."""
    return writer.write if isinstance(writer, ChangeWriter) else writer


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_every_change_of_a_session_is_its_line(name: str, compact: bool, tmp_path: pathlib.Path, steps: Any) -> None:
    """The file has what Python makes of each change at that moment."""
    path = tmp_path / "log.jsonl"
    path.unlink(missing_ok=True)
    session = Session()
    expected: list[dict[str, Any]] = []
    session.root.tracking_add_observer(lambda change: expected.append(to_dict(change, compact)))
    with WRITERS[name](path, compact) as writer:
        session.root.tracking_add_observer(observer_of(writer))
        session.run(steps)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()][1:]  # the init is the first
    for line in lines:
        assert (os.getpid(), threading.current_thread().name) == (line.pop("pid"), line.pop("thread"))
    assert json.loads(json.dumps(expected)) == lines


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_written_to_a_file_that_took_the_number(name: str, tmp_path: pathlib.Path) -> None:
    """A writer that is closed while threads store writes to no other file."""
    root = TrackedDict()
    writer = WRITERS[name](tmp_path / "log.jsonl", False)
    root.tracking_add_observer(observer_of(writer))
    root["a"] = 0
    go = threading.Event()

    def work(key: str) -> None:
        go.wait()
        for n in range(300):
            root[key] = n

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    others: list[Any] = []
    with restless(1e-5):
        for thread in threads:
            thread.start()
        go.set()
        root["a"] = 1
        writer.close()
        for n in range(8):
            others.append((tmp_path / f"other{n}").open("wb"))
        for thread in threads:
            thread.join()
    for other in others:
        other.close()
    assert [b""] * 8 == [(tmp_path / f"other{n}").read_bytes() for n in range(8)]
    lines = list(read_changes(tmp_path / "log.jsonl", strict=True))
    assert len({line.seq for line in lines}) == len(lines)


def test_threads_lose_no_line_and_tear_none(tmp_path: pathlib.Path) -> None:
    """Each line of each thread is there once, in the order of the thread."""
    root = track({f"t{n}": {} for n in range(8)}, tracking_max_changes=16)
    with json_file_observer(tmp_path / "log.jsonl") as writer, restless(1e-5):
        root.tracking_add_observer(writer)

        def work(inner: Any) -> None:
            for n in range(200):
                inner["n"] = [n] if n % 5 else n

        threads = [threading.Thread(target=work, args=(inner,)) for inner in root.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [line for line in read_changes(tmp_path / "log.jsonl", strict=True) if line.action != "init"]
    assert 1600 == len(lines) == len({line.seq for line in lines})
    for n in range(8):
        own = [line.after for line in lines if line.pointer == f"/t{n}/n"]
        assert [[k] if k % 5 else k for k in range(200)] == own


def test_a_subclass_hears_of_each_change(tmp_path: pathlib.Path) -> None:
    """What overrides the call is called."""

    class Mine(JsonFileObserver):
        def __call__(self, change: ChangeLogEntry) -> None:
            heard.append(change.pointer)
            super().__call__(change)

    class Writer(ChangeWriter):
        def write(self, change: Any) -> None:
            heard.append(change.pointer)
            super().write(change)

    heard: list[str] = []
    root = TrackedDict()
    with Mine(tmp_path / "a.jsonl") as one, Writer(tmp_path / "b.jsonl") as two:
        root.tracking_add_observer(one)
        root.tracking_add_observer(two.write)
        root["k"] = 1
    assert ["/k", "/k"] == heard
    assert [1] == [line.after for line in read_changes(tmp_path / "a.jsonl")]
    assert [1] == [line.after for line in read_changes(tmp_path / "b.jsonl")]


def test_a_log_that_begins_to_obey_targets_prunes_each_line(tmp_path: pathlib.Path) -> None:
    """Also the lines of roots that it took without a call until then."""

    class Seeing(Targets):
        def prune(self, line: dict[str, Any]) -> None:
            pruned.append(line["seq"])
            super().prune(line)

    pruned: list[int] = []
    root = TrackedDict()
    log = process.start(tmp_path / "log.jsonl")
    try:
        for n in range(3):
            root["n"] = n
        process.use(Seeing([], print))
        root["n"] = 3
        root["n"] = 4
    finally:
        process.stop()
    assert [change.seq for change in root.tracking_changes()[-2:]] == pruned
    assert 5 == log.lines == len(list(read_changes(tmp_path / "log.jsonl")))
