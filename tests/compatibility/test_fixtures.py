"""Files and pickles of earlier versions still load and mean the same.

Each folder of ``tests/fixtures`` is named after the version that wrote it with ``tests/fixtures/make.py``, and
after the format if that version changed before its release: ``0.2.0-format-1`` has the first pickles with a
version. The file ``NAME.json`` beside the fixture ``NAME`` says what the fixture means.
"""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import meaning
import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, replay
from pydatatracker.exporters import JsonLinesExporter, SqliteExporter

FIXTURES = Path(__file__).parents[1] / "fixtures"


def stored(pattern: str) -> Any:
    """Return a parametrization over all fixtures that match a pattern."""
    paths = sorted(path for path in FIXTURES.glob(f"*/{pattern}"))
    assert paths, f"no fixture matches {pattern}"
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(FIXTURES).as_posix())


def expected(path: Path) -> Any:
    """Return the stored meaning of a fixture."""
    return json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))


def loads(path: Path) -> list[tuple[int, Any]]:
    """Return (protocol, value) of each pickle in a file."""
    found = []
    with open(path, "rb") as file:
        while start := file.peek(2)[:2]:  # the opcode PROTO and the protocol
            found.append((start[1], pickle.load(file)))
    return found


@stored("[pc]*/*.pickle")
def test_a_pickle_gives_the_same_value(path: Path) -> None:
    """A pickle of any protocol gives the same value, also pickled again.

    Class, contents, attributes, name and identity are compared.
    """
    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    values = loads(path)
    assert [2, 3, 4, 5] == [protocol for protocol, _ in values]
    if "value" not in told:  # see test_pickled_helpers_still_work
        return
    for protocol, value in values:
        assert told["value"] == meaning.settle(meaning.describe(value))
        if path.stem != "getstate":  # its __setstate__ appends to the state
            again = pickle.loads(pickle.dumps(value, protocol))
            assert told["value"] == meaning.settle(meaning.describe(again))


@stored("[pc]*/*.pickle")
def test_an_unpickled_container_keeps_its_options(path: Path) -> None:
    """An unpickled container keeps its options and starts a new history."""
    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    if "effects" not in told:
        return
    for _, value in loads(path):
        for way in (lambda x: x, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
            made = way(value)
            assert all("init" == change.action for change in made.tracking_changes())
            made._check()
        assert told["effects"] == meaning.settle(meaning.effects(value))


@stored("pickles")
def test_pickled_helpers_still_work(path: Path) -> None:
    """An unpickled collector, replica or actor still works."""
    for _, collector in loads(path / "collector.pickle"):
        assert [("/a", 1)] == [(change.pointer, change.after) for change in collector]
        d = TrackedDict()
        d.tracking_add_observer(collector)
        d["b"] = 2
        assert ["/a", "/b"] == [change.pointer for change in collector]
    for (_, replica), (_, actor) in zip(loads(path / "replica.pickle"), loads(path / "actor.pickle"), strict=True):
        with actor:
            replica.value["b"] = 2
        change = replica.value.last_change()
        assert ("a", {"b": 1}, {"a": 1, "b": 2}) == (change.actor, dict(change.context), replica.value)


@stored("logs/*.jsonl")
def test_a_log_keeps_its_meaning(path: Path) -> None:
    """A log gives the same lines, states and output of the commands."""
    assert expected(path) == meaning.log(path)


@stored("logs/*.jsonl.*[zt]")
def test_a_compressed_log_keeps_its_meaning(path: Path) -> None:
    """A log in gzip or zstd means the same as the plain one."""
    assert expected(path.with_suffix("")) == meaning.log(path)


@stored("logs/whole.jsonl")
def test_a_log_can_be_continued(path: Path, tmp_path: Path) -> None:
    """New changes are appended to an old file, and both parts replay."""
    log = tmp_path / path.name
    shutil.copyfile(path, log)
    state = replay(log)
    container = TrackedDict(state)
    with JsonLinesExporter(log) as exporter:
        container.tracking_add_observer(exporter)
        container["later"] = 1
    first, second = meaning.log(log)["roots"]
    assert state == replay(log, root=first)
    assert {**state, "later": 1} == replay(log, root=second)


@stored("reports/*.html.gz")
def test_a_report_can_be_read(path: Path, tmp_path: Path) -> None:
    """A stored page has the same data as a new page of the same log."""
    assert expected(path) == meaning.page(path)
    log = path.parent.parent / "logs" / path.name.replace(".html.gz", ".jsonl")
    assert 0 == meaning.command("report", log, "-o", tmp_path / "page.html")[0]
    assert expected(path) == meaning.page(tmp_path / "page.html")


@stored("exporters/*.sqlite")
def test_a_database_can_be_continued(path: Path, tmp_path: Path) -> None:
    """An old database keeps its rows, and new changes are added."""
    database = tmp_path / path.name
    shutil.copyfile(path, database)
    rows = meaning.database(database)
    assert expected(path) == rows
    d = TrackedDict()
    with SqliteExporter(database) as exporter:
        d.tracking_add_observer(exporter)
        d["later"] = 1
    now = meaning.database(database)
    assert ["/later"] == [row["pointer"] for row in now if row not in rows]
    assert len(rows) + 1 == len(now)


@stored("exporters/spill.queue")
def test_a_spill_file_is_sent(path: Path, tmp_path: Path) -> None:
    """A delivery sends the items of an old spill file, in order."""
    spill, log = tmp_path / path.name, tmp_path / "log.jsonl"
    shutil.copyfile(path, spill)
    waiting = [json.loads(line.partition(b"\t")[2])["pointer"] for line in path.read_bytes().splitlines()]
    assert [f"/key{n}" for n in range(4)] == sorted(waiting)
    with JsonLinesExporter(log, buffered=True, on_full="spill", spill=spill) as exporter:
        assert exporter.flush(60)
    assert waiting == meaning.pointers(log)
    assert 0 == spill.stat().st_size


@stored("exporters/dead-letter.jsonl")
def test_a_dead_letter_file_is_a_log(path: Path) -> None:
    """An old dead-letter file can be replayed like a log."""
    assert {f"key{n}": {"n": n, "tab": "\t"} for n in range(4)} == replay(path)


@stored("configurations/*.*[nl]")
def test_a_configuration_makes_the_same_observers(path: Path, tmp_path: Path) -> None:
    """A configuration makes the same observers, with the same output.

    Every type that needs no network is covered.
    """
    told = json.loads(path.with_name(f"{path.name}.meaning").read_text("utf-8"))
    assert told == meaning.configuration(path, tmp_path)


def test_the_fixtures_cover_every_kind_and_option() -> None:
    """There is a fixture for each class and for each option."""
    names = {path.stem for path in FIXTURES.glob("0.2.0/pickles/option-*.pickle")}
    kinds = [
        loads(FIXTURES / "0.2.0" / "pickles" / f"{name}.pickle")[0][1] for name in ("dict", "list", "set", "slots")
    ]
    for kind, value in zip((TrackedDict, TrackedList, TrackedSet, TrackedAttr), kinds, strict=True):
        assert isinstance(value, kind)
    assert 15 == len(names)
