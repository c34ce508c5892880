"""Sealed tables in PostgreSQL, and in SQLite through SQLAlchemy."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from command import run

from pydatatracker import TrackedDict, track
from pydatatracker.exporters import Delivery, Item, SealedTable, SinkUnavailable, SqlExporter
from pydatatracker.exporters.sql import SqlSink
from pydatatracker.exporters.table_seals import TableSeals
from pydatatracker.io.seal_check import SealReport, check_seals
from pydatatracker.io.seals import SealError

sqlalchemy = pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
pytest.importorskip("psycopg", reason="no driver for PostgreSQL")

from postgres import Postgres, postgres

__all__ = ["postgres"]


def report_of(target: Any, table: str = "changes", **more: Any) -> SealReport:
    with SealedTable(target, table=table) as found:
        return check_seals(found, **more)


def right(target: Any, table: str = "changes", **more: Any) -> SealReport:
    report = report_of(target, table, **more)
    assert [] == [str(fault) for fault in report.faults]
    return report


def execute(url: str, *statements: str) -> list[Any]:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            found = connection.execute(sqlalchemy.text(statement))
        rows = [tuple(row) for row in found] if found.returns_rows else []
    engine.dispose()
    return rows


def faults(url: str, *statements: str, **more: Any) -> list[str]:
    """Return what the check says after statements, which are undone."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.StaticPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))
        connection.commit()
    engine.dispose()
    return [str(fault) for fault in report_of(url, **more).faults]


def fill(url: str, **options: Any) -> str:
    """Seal values that JSON columns may write in another way; return the root."""
    x = track({"l": ["é", 1], "s": {1}, "big": 2**80, "f": 1e308, "g": 1e-300, "z": -0.0, "y": 1.50, "nul": "te\0xt"})
    with SqlExporter(url, seal=True, **options) as exporter:
        x.tracking_add_observer(exporter)
        for n in range(9):
            x["l"].append(n / 4) if n % 3 else x.update(n=n)
        x["k\0ey"] = {"z": 1, "a": {"b": [1e22, 1e16, 123456789012345678901234567890]}, "": None}
        x["inf"] = (float("inf"), b"x", 2.0)
        x.tracking_remove_observer(exporter)
        return exporter.write_root()


@pytest.mark.parametrize("compact", [True, False])
def test_what_is_written_is_right(postgres: Postgres, tmp_path: pathlib.Path, compact: bool) -> None:
    """In both databases, twice, and also in a table with another name."""
    for url in (postgres.url, f"sqlite:///{tmp_path}/changes.db"):
        for table in ("changes", 'my "log'):
            roots = [fill(url, table=table, seal_every=every, compact=compact) for every in (3, 1000)]
            report = right(url, table, roots=roots)
            assert (2, []) == (report.chains, report.notes)
    assert 2 == right(tmp_path / "changes.db").chains


def test_what_somebody_did_to_postgresql(postgres: Postgres) -> None:
    """Fields, rows and keys, in both tables."""
    url = postgres.url
    root = fill(url, seal_every=4)
    count = execute(url, "SELECT count(*) FROM changes")[0][0]
    some = execute(url, "SELECT min(seq) + 3 FROM changes")[0][0]
    backup = ("CREATE TABLE a AS TABLE changes", "CREATE TABLE b AS TABLE changes_seals")
    execute(url, *backup)
    restore = (
        "DELETE FROM changes", "DELETE FROM changes_seals",
        "INSERT INTO changes SELECT * FROM a", "INSERT INTO changes_seals SELECT * FROM b",
    )  # fmt: skip
    for statement, text in (
        ("UPDATE changes SET actor = 'eve' WHERE seq = {n}", "its column actor is not"),
        ("UPDATE changes SET time_ns = time_ns + 1 WHERE seq = {n}", "its column time_ns is not"),
        ("UPDATE changes SET after = '77' WHERE seq = {n}", "its column after is not"),
        ("UPDATE changes SET after = NULL WHERE seq = {n}", "its column after is not"),
        ("UPDATE changes SET before = '{}' WHERE action = 'add'", "its column before is not"),
        ("UPDATE changes SET line = jsonb_set(line, '{actor}', '\"eve\"') WHERE seq = {n}", "its line is not the one"),
        ("UPDATE changes SET line = line - 'pid' WHERE seq = {n}", "its line is not the one"),
        ("UPDATE changes SET seq = 99 WHERE seq = {n}", "its column seq is not"),
        ("UPDATE changes SET root = 'x' WHERE seq = {n}", "its column root is not"),
        ("DELETE FROM changes WHERE seq = {n}", "it was removed"),
        (("INSERT INTO changes SELECT root, 99, 'x', time_ns, action, method, type, pointer, actor, transaction_id,"
         " before, after, jsonb_set(line, '{seq}', '99') FROM changes WHERE seq = {n}"), "it was added or changed"),
        ("UPDATE changes_seals SET line = replace(line, 'seq\"\\:{n}', 'seq\"\\:{m}')", "its hash is not that"),
        ("UPDATE changes_seals SET number = number + 100 WHERE number = 5", "was moved"),
        ("DELETE FROM changes_seals WHERE number = 5", "1 line is missing before it"),
        ("DELETE FROM changes_seals WHERE number = (SELECT max(number) FROM changes_seals)", "end was cut off"),
    ):  # fmt: skip
        found = faults(url, statement.replace("{n}", str(some)).replace("{m}", str(some + 1)), roots=[root])
        assert any(text in each for each in found), (statement, found)
        assert all(url.rpartition("/")[2] in each for each in found)
        execute(url, *restore)
    right(url, roots=[root])
    assert execute(url, "SELECT count(*) FROM changes") == [(count,)]


def test_down_in_the_middle_and_back(postgres: Postgres) -> None:
    """A crash of the database loses nothing, and is no fault of the table."""
    d = TrackedDict()
    more: Any = {"retry_first": 0.01, "retry_most": 0.1, "batch_items": 7, "batch_age": 0.01, "exit_timeout": 30.0}
    exporter = SqlExporter(postgres.url, seal=True, seal_every=10, **more)
    d.tracking_add_observer(exporter)
    for n in range(50):
        d["k"] = n
    assert exporter.flush(30)
    for _ in range(2):
        for n in range(100):
            d["k"] = n
        postgres.stop("immediate")
        while exporter.stats().retried == 0:
            assert not exporter.flush(0.05)
        postgres.start()
    assert exporter.close(60)
    assert [(250,)] == execute(postgres.url, "SELECT count(*) FROM changes")
    assert [] == right(postgres.url).notes


def items(first: int, last: int) -> list[Item]:
    line = '{"v":1,"seq":%d,"action":"add","pointer":"/a","after":%d,"root":"r","uuid":"id%d","time_ns":%d}'
    return [Item((line % (n, n, n, n)).encode(), n, "r", n, f"id{n}") for n in range(first, last)]


@pytest.mark.parametrize("how", ["done", "not done"])
@pytest.mark.parametrize("following", [(3, 6), (2, 7)])
def test_a_commit_whose_answer_is_lost(
    tmp_path: pathlib.Path, how: str, following: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same batch is the same rows; before another one, a chain begins."""
    sink = SqlSink(f"sqlite:///{tmp_path}/a.db", "changes", seals=TableSeals(None, 4))
    sink.send(items(0, 3))
    commit = sink._engine.dialect.do_commit

    def lost(connection: Any) -> None:
        monkeypatch.undo()
        if how == "done":
            commit(connection)
        raise sqlalchemy.exc.OperationalError("COMMIT", {}, OSError("the answer is lost"))

    monkeypatch.setattr(sink._engine.dialect, "do_commit", lost)
    with pytest.raises(SinkUnavailable, match="the answer is lost"):
        sink.send(items(3, 6))
    sink.send(items(*following))
    sink.close()
    report = right(tmp_path / "a.db")
    chains = 1 if following == (3, 6) else 2
    assert (chains, chains - 1) == (report.chains, len(report.notes))
    assert all("ends without a root" in note for note in report.notes)


def test_rows_that_the_database_rejects_have_no_seal(postgres: Postgres) -> None:
    """They go to the dead letters; the chain goes on without them."""
    sink = SqlSink(postgres.url, "changes", seals=TableSeals(None, 4))
    delivery = Delivery(sink, name="test", batch_age=0.01)
    good = items(0, 9)
    bad = Item(good[3].line, 3, "r", 2**63, "bad")
    for item in (*good[:3], bad, *good[4:6], bad, *good[6:]):
        delivery.put(item)
    delivery.close(30)
    assert (8, 2) == (delivery.stats().sent, delivery.stats().rejected)
    assert (1, []) == (right(postgres.url).chains, right(postgres.url).notes)


def test_rows_without_seals(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """They are not continued: an error at once for a file, else until renamed."""
    for url in (postgres.url, f"sqlite:///{tmp_path}/a.db"):
        d = TrackedDict()
        with SqlExporter(url) as exporter:
            d.tracking_add_observer(exporter)
            d["a"] = 1
            d.tracking_remove_observer(exporter)
        with pytest.raises(SealError, match="it was not written with seal=True"):
            SealedTable(url)
    with pytest.raises(SealError, match="has rows without seals"):
        SqlExporter(url, seal=True)
    with SqlExporter(postgres.url, seal=True, retry_first=0.01, retry_most=0.1) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 2
        assert not exporter.flush(0.3)
        assert "has rows without seals" in str(exporter.stats().last_error)
        assert "me:" not in str(exporter.stats().last_error)
        execute(postgres.url, "ALTER TABLE changes RENAME TO old")
        execute(
            postgres.url,
            "ALTER INDEX changes_pkey RENAME TO old_pkey",
            "DROP INDEX ix_changes_actor, ix_changes_time_ns",
        )
        assert exporter.flush(30)
        d.tracking_remove_observer(exporter)
    assert 1 == right(postgres.url).chains


def test_two_writers_at_once(postgres: Postgres) -> None:
    """Each process has a chain; that they begin together is no fault."""
    program = (
        "import sys; from pydatatracker import TrackedDict; from pydatatracker.exporters import SqlExporter\n"
        "d = TrackedDict(); e = SqlExporter(sys.argv[1], seal=True, seal_every=9, batch_items=5)\n"
        "d.tracking_add_observer(e)\n"
        "for n in range(200): d[sys.argv[2]] = n\n"
    )
    running = [subprocess.Popen([sys.executable, "-P", "-c", program, postgres.url, name]) for name in "abc"]
    assert [0, 0, 0] == [process.wait(60) for process in running]
    report = right(postgres.url)
    assert (3, 3) == (report.chains, len(report.roots))
    assert [] == [note for note in report.notes if "began together" not in note]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child(postgres: Postgres) -> None:
    """The child begins a chain, and leaves the parent's alone."""
    program = """
import os, sys
from pydatatracker import TrackedDict
from pydatatracker.exporters import SqlExporter
d = TrackedDict()
e = SqlExporter(sys.argv[1], seal=True)
d.tracking_add_observer(e)
d["a"] = 1
e.flush(30)
pid = os.fork()
for n in range(30): d["b" if pid else "c"] = n
if not pid:
    e.close(30)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    done = subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", program, postgres.url], timeout=60)
    assert 0 == done.returncode
    assert (2, []) == (right(postgres.url).chains, right(postgres.url).notes)
    assert [(61,)] == execute(postgres.url, "SELECT count(*) FROM changes")


def test_the_command_takes_urls(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """PostgreSQL and SQLite; a wrong URL and a missing table are errors."""
    for url in (postgres.url, f"sqlite:///{tmp_path}/a.db"):
        root = fill(url)
        done = run("verify", "--seal", "--root", root, url, cwd=tmp_path)
        assert (0, "") == (done.returncode, done.stderr)
        assert "in 1 chain: all seals are right" in done.stdout
    for url, text in (
        (f"sqlite:///{tmp_path}/none.db", "No such file"),
        ("nothing://host/x", "nothing"),
        ("postgresql+psycopg://me:hush@127.0.0.1:9/x", "cannot read postgresql+psycopg://"),
        (postgres.url.replace("/postgres", "/template1"), "no table changes"),
    ):
        done = run("verify", "--seal", url, cwd=tmp_path)
        assert (2, True, False) == (done.returncode, text in done.stderr, "hush" in done.stderr), done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "none.db").exists()
