"""``convert --to chrome-trace``: its structure, and what Perfetto reads."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from browser import Browser
from chromium import browser
from command import change
from perfetto import Perfetto

from pydatatracker.cli import main

__all__ = ["browser"]

QUARTER = 256  # nanoseconds: Perfetto reads the time as a float, which is this exact for present times
START = 1_795_437_930_422_044_123
# (nanoseconds, pid, actor, transaction): pids that equal numbers of tracks, several processes, one actor in two
ROWS: list[tuple[int, int, str, str]] = [
    (0, 1, "ann", ""),
    (1_000, 1, "ann", "t1"),
    (900_000, 1, "bob", ""),
    (2_001_000, 1, "ann", "t1"),
    (5_000_000, 2, "ann", ""),
    (6_000_000, 1, "ann", "t1"),
    (7_000_000, 1, "ann", "t2"),
    (8_000_000, 2, "", "t3"),
    (8_500_000, 7, '</script>"\n\u2028', ""),
]


def traced(folder: pathlib.Path) -> bytes:
    (folder / "log.jsonl").write_bytes(
        b"".join(
            change(seq=n, time_ns=START + ns, pid=pid, actor=actor, pointer=f"/x{n}", path=[f"x{n}"], after={"n": n},
                   **({"transaction": transaction} if transaction else {}))
            for n, (ns, pid, actor, transaction) in enumerate(ROWS)
        )
    )  # fmt: skip
    assert 0 == main(["convert", str(folder / "log.jsonl"), "--to", "chrome-trace", "-o", str(folder / "t.json")])
    return (folder / "t.json").read_bytes()


def test_the_structure_is_that_of_the_trace_event_format(tmp_path: pathlib.Path) -> None:
    """Every event has the fields that its phase requires.

    Each process and track is named once, before it is used.
    """
    named: dict[Any, str] = {}
    for event in json.loads(traced(tmp_path))["traceEvents"]:
        assert {"name", "ph", "pid", "tid"} <= set(event)
        if event["ph"] == "M":
            place = event["pid"], event["tid"] if event["name"] == "thread_name" else None
            assert place not in named
            named[place] = event["args"]["name"]
            continue
        assert (event["pid"], event["tid"]) in named
        assert (event["pid"], None) in named
        assert {"i": {"s", "ts", "cat", "args"}, "X": {"dur", "ts", "cat", "args"}}[event["ph"]] <= set(event)
    tids = [tid for _, tid in named if tid is not None]
    assert len(set(tids)) == len(tids)
    assert not {1, 2, 7} & set(tids)


def test_perfetto_reads_it(tmp_path: pathlib.Path, browser: Browser) -> None:
    """Perfetto finds every change in its process and track, at its time.

    It reports no errors.
    """
    with Perfetto(browser, traced(tmp_path)) as perfetto:
        wrong = perfetto.ask("select name, value from stats where severity in ('error', 'data_loss') and value > 0")
        assert [] == wrong
        found = perfetto.ask(
            "select slice.ts, process.pid, thread.name, slice.name from slice join thread_track on"
            " slice.track_id = thread_track.id join thread using (utid) join process using (upid)"
            " where category != 'transaction' order by slice.ts"
        )
        wanted = [(pid, actor or "(nobody)", f"update /x{n}") for n, (_, pid, actor, _) in enumerate(ROWS)]
        assert wanted == [row[1:] for row in found]
        assert all(abs(row[0] - START - ns) <= QUARTER for row, (ns, *_) in zip(found, ROWS, strict=True))
        found = perfetto.ask(
            "select dur, process.pid, thread.name, extract_arg(slice.arg_set_id, 'args.transaction'),"
            " extract_arg(slice.arg_set_id, 'args.changes') from slice join thread_track on slice.track_id = thread_track.id"
            " join thread using (utid) join process using (upid) where category = 'transaction' order by slice.ts"
        )
        assert [
            (5_999_000, 1, "ann", "t1", 3),
            (0, 1, "ann", "t2", 1),
            (0, 2, "(nobody)", "t3", 1),
        ] == found
        assert [("Python",)] == perfetto.ask("select distinct process.name from process where pid > 0")
        inside = perfetto.ask(
            "select inner.name, outer.name from slice as inner join slice as outer on inner.parent_id = outer.id"
        )
        assert ("update /x3", "transaction") in inside  # the first and last change are at its edges
        assert [("7",)] == [
            (str(value),) for (value,) in perfetto.ask(
                "select extract_arg(arg_set_id, 'args.after.n') from slice where name = 'update /x7'")
        ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1])
def test_small_traces(tmp_path: pathlib.Path, count: int) -> None:
    """A log of no change or one change makes a valid trace."""
    (tmp_path / "log.jsonl").write_bytes(change(pointer="/x", path=["x"], pid=None) * count)
    assert 0 == main(["convert", str(tmp_path / "log.jsonl"), "--to", "chrome-trace", "-o", str(tmp_path / "t.json")])
    assert 3 * count == len(json.loads((tmp_path / "t.json").read_bytes())["traceEvents"])
