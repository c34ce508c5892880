"""``SqliteExporter``: one row per change, in a file shared with others."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import subprocess
import sys

import pytest
from peers import fill

from pydatatracker import TrackedDict, replay, track, tracking_actor
from pydatatracker.exporters import SqliteExporter


@pytest.mark.parametrize("background", [True, False])
def test_sqlite_can_be_queried(tmp_path: pathlib.Path, background: bool) -> None:
    """Every change is a row; the lines replay to the value."""
    x = track({"cfg": {"port": 80}})
    with SqliteExporter(tmp_path / "db" / "changes.db", background=background) as exporter:
        x.tracking_add_observer(exporter)
        with tracking_actor("eve"):
            x["cfg"]["port"] = 8080
        del x["cfg"]["port"]
        x["new"] = (1, b"x")
    connection = sqlite3.connect(tmp_path / "db" / "changes.db")
    rows = connection.execute("SELECT action, pointer, actor, before, after FROM changes ORDER BY seq").fetchall()
    assert ("update", "/cfg/port", "eve", "80", "8080") == rows[1]
    assert ("remove", "/cfg/port", "", "8080", None) == rows[2]
    lines = [row[0] for row in connection.execute("SELECT line FROM changes ORDER BY seq")]
    assert {"cfg": {}, "new": (1, b"x")} == replay(lines)
    assert "wal" == connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()


def test_sqlite_waits_for_who_holds_the_file(tmp_path: pathlib.Path) -> None:
    """A batch is retried while another process has the write lock."""
    path = tmp_path / "changes.db"
    d = TrackedDict()
    exporter = SqliteExporter(path, timeout=0.01, retry_first=0.001, batch_items=10)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    fill(d, exporter, 50)
    assert not exporter.flush(0.2)
    holder.execute("ROLLBACK")
    assert exporter.flush(30)
    exporter.close()
    assert list(range(50)) == [json.loads(row[0]) for row in holder.execute("SELECT after FROM changes ORDER BY seq")]
    assert exporter.stats().retried > 0
    holder.close()


def test_sqlite_from_several_processes(tmp_path: pathlib.Path) -> None:
    """Several processes can write to one file."""
    path = tmp_path / "changes.db"
    program = (
        "import sys; from pydatatracker import TrackedDict; from pydatatracker.exporters import SqliteExporter\n"
        "d = TrackedDict(); d.tracking_add_observer(SqliteExporter(sys.argv[1], timeout=30))\n"
        "for n in range(200): d[sys.argv[2]] = n\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abc"]
    assert [0, 0, 0] == [process.wait(60) for process in running]
    connection = sqlite3.connect(path)
    counts = dict(connection.execute("SELECT pointer, count(*) FROM changes GROUP BY 1").fetchall())
    assert {"/a": 200, "/b": 200, "/c": 200} == counts
    connection.close()
