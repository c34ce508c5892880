"""``convert``: other formats hold the same changes for their readers."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import pathlib
import sqlite3
import tempfile
from typing import Any

import pytest
from command import change
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker.cli import main
from pydatatracker.query import connect, write_parquet

by_duckdb = pytest.mark.skipif(importlib.util.find_spec("duckdb") is None, reason="no duckdb for this interpreter")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n'\"", max_size=3), inner, max_size=3),
    max_leaves=5,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)


def logged(fields: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Write lines to a file; return its path and the lines."""
    path = os.path.join(tempfile.mkdtemp(), "it's a log.jsonl")
    raws = [change(**{**each, "seq": n + 1}) for n, each in enumerate(fields)]
    with open(path, "wb") as file:
        file.write(b"".join(raws))
    return path, [json.loads(raw) for raw in raws]


LINES = st.lists(
    st.fixed_dictionaries({"actor": TEXT, "pointer": TEXT, "after": JSON}, optional={"before": JSON}),
    min_size=1,
    max_size=6,
)


@by_duckdb
@settings(max_examples=40, deadline=None)
@given(LINES)
def test_the_table_has_the_values_of_the_lines(fields: list[dict[str, Any]]) -> None:
    """SQL over JSONL and over Parquet gives the values of the lines."""
    path, lines = logged(fields)
    parquet = path + ".parquet"
    with open(path, "rb") as file:
        write_parquet(file.read(), parquet)
    for source in (path, parquet):
        with connect([source]) as connection:
            rows = connection.execute("select seq, actor, pointer, before, after from changes order by seq").fetchall()
        assert [(line["seq"], line["actor"], line["pointer"]) for line in lines] == [row[:3] for row in rows]
        for line, row in zip(lines, rows, strict=True):
            for name, text in zip(("before", "after"), row[3:], strict=True):
                if line.get(name) is not None:
                    assert line[name] == json.loads(text)


@settings(max_examples=60, deadline=None)
@given(LINES)
def test_csv_is_read_back(fields: list[dict[str, Any]]) -> None:
    """Python's csv module reads the CSV back; no cell is a formula."""
    path, lines = logged(fields)
    target = path + ".csv"
    assert 0 == main(["convert", path, "--to", "csv", "-o", target])
    with open(target, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for line, row in zip(lines, rows, strict=True):
        for name in ("actor", "pointer"):
            assert line[name] in (row[name], row[name].removeprefix("'"))
            assert row[name][:1] not in ("=", "@", "\t", "\r")
        text = row["after"] if row["after"][:1] != "'" else row["after"][1:]
        assert line["after"] == json.loads(text)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a log of eight changes by two actors, and a gap."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        b"".join(
            change(seq=n, actor="ab"[n % 2], pointer="/x", path=["x"], before=n, after=n + 1, uuid=f"u{n}")
            for n in range(1, 9)
        )
        + b'{"v":1,"action":"gap","from":9,"to":12}\n'
    )
    return path


@by_duckdb
def test_parquet(log: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Parquet has every selected change, and no gap lines."""
    assert 0 == main(["convert", str(log), "--to", "parquet", "--actor", "a", "-o", str(tmp_path / "x.parquet")])
    with connect([tmp_path / "x.parquet"]) as table:
        assert [(2,), (4,), (6,), (8,)] == table.execute("select seq from changes").fetchall()


def test_sqlite_and_formats(log: pathlib.Path, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each format has every selected change, and no gap lines."""
    assert 0 == main(["convert", str(log), "--to", "sqlite", "--actor", "a", "-o", str(tmp_path / "x.db")])
    connection = sqlite3.connect(tmp_path / "x.db")
    assert [(2,), (4,), (6,), (8,)] == connection.execute("select seq from changes order by seq").fetchall()
    connection.close()
    capfd.readouterr()
    for form, path in (("cloudevents", ("data", "seq")), ("debezium", ("source", "sequence"))):
        assert 0 == main(["convert", str(log), "--to", form])
        found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        assert list(range(1, 9)) == [int(each[path[0]][path[1]]) for each in found]
    assert 2 == main(["convert", str(log), "--to", "sqlite"])
    assert 2 == main(["convert", str(log), "--to", "csv", "-o", str(tmp_path)])


def test_cloudevents_are_read_by_their_sdk(tmp_path: pathlib.Path) -> None:
    """The CloudEvents SDK reads each line as an event with its own id."""
    pytest.importorskip("cloudevents.core", reason="the SDK of CloudEvents is not installed")
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    from pydatatracker import TrackedDict, track, tracking_actor
    from pydatatracker.observers import json_file_observer

    value = track({"cfg": {"ports": [3, 1, 2]}, "tags": {"a"}})
    assert isinstance(value, TrackedDict)
    with json_file_observer(str(tmp_path / "log.jsonl")) as observer, tracking_actor("ann", reason="é\u2028"):
        value.tracking_add_observer(observer)
        value["cfg"]["ports"].sort()
        value["cfg"]["ports"][1:] = [b"x", (1, float("inf"))]
        value["tags"] |= {"b", "c"}
        value["a/b~"] = None
        value.update(x=1, y={})
        del value["x"]
        value.clear()
    assert 0 == main(["convert", str(tmp_path / "log.jsonl"), "--to", "cloudevents", "-o", str(tmp_path / "events")])
    events = [JSONFormat().read(CloudEvent, line) for line in (tmp_path / "events").read_bytes().splitlines()]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_bytes().splitlines()]
    assert lines == [event.get_data() for event in events]
    assert [line["time_ns"] // 1000 for line in lines] == [
        int(event.get_time().timestamp()) * 1_000_000 + event.get_time().microsecond  # type: ignore[union-attr]
        for event in events
    ]
    assert len(lines) == len({event.get_id() for event in events})


def test_a_chrome_trace(tmp_path: pathlib.Path) -> None:
    """A Chrome trace has one track per actor, and times in microseconds."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(
        b"".join(
            change(seq=n, time_ns=n * 10**9, actor="ab"[n % 2], pointer="/x", path=["x"], after="</script>", pid=7)
            for n in range(4)
        )
    )
    assert 0 == main(["convert", str(log), "--to", "chrome-trace", "-o", str(tmp_path / "t.json")])
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    names = {(each["pid"], each["tid"]): each["args"]["name"] for each in events if each["ph"] == "M"}
    instants = [each for each in events if each["ph"] == "i"]
    assert [0, 1e6, 2e6, 3e6] == [each["ts"] for each in instants]
    assert ["a", "b", "a", "b"] == [names[each["pid"], each["tid"]] for each in instants]
