"""SqlExporter to PostgreSQL and SQLite: every change once."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from pydatatracker import TrackedDict, tracking_actor
from pydatatracker.exporters import Delivery, Item, SqlExporter
from pydatatracker.exporters.sql import SqlSink, _said

sqlalchemy = pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
pytest.importorskip("psycopg", reason="no driver for PostgreSQL")

from postgres import Postgres, postgres

__all__ = ["postgres"]


def rows(url: str, what: str = "seq, pointer, after") -> list[Any]:
    """Return the rows of the table, in order."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(sqlalchemy.text(f"select {what} from changes order by seq"))]
    engine.dispose()
    return found


def test_changes_are_in_the_table(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """Values can be queried as JSON, in PostgreSQL and in SQLite.

    Also text with quotes and control characters.
    """
    values = [1, "te\x00xt", {"deep": [1, None]}, "é'\"\\ ; drop table changes", 2**70, (1, 2), float("inf")]
    for url in (postgres.url, f"sqlite:///{tmp_path}/changes.db"):
        d = TrackedDict()
        with SqlExporter(url) as exporter, tracking_actor("ann"):
            d.tracking_add_observer(exporter)
            for n, value in enumerate(values):
                d[f"k{n}"] = value
        assert (len(values), 0, None) == (exporter.stats().sent, exporter.stats().rejected, exporter.stats().last_error)
        found = rows(url)
        assert [f"/k{n}" for n in range(len(values))] == [row[1] for row in found]
        assert [("ann", "add")] * len(values) == rows(url, "actor, action")
        loaded = [
            json.loads(row[2]) if isinstance(row[2], str) and url.startswith("sqlite") else row[2] for row in found
        ]
        assert [1, {"deep": [1, None]}] == [loaded[0], loaded[2]]
    assert "1" == rows(postgres.url, "line->>'after'")[0][0]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sqlalchemy.exc.DBAPIError("INSERT secret", {"a": 1}, OSError("gone\nstatement")), "OSError: gone"),
        (sqlalchemy.exc.NoSuchTableError("changes"), "NoSuchTableError: changes"),
        (OSError("reset"), "OSError: reset"),
        (ValueError(), "ValueError: "),
    ],
    ids=["of a driver", "of SQLAlchemy", "of the system", "without text"],
)
def test_an_error_is_said_without_the_statement(error: Exception, expected: str) -> None:
    """The first line of what the driver said, or of the error itself."""
    assert expected == _said(error)


def test_the_columns_that_queries_ask_for_have_an_index(tmp_path: pathlib.Path) -> None:
    """Time and actor have one; a line, and its time, are never NULL."""
    d = TrackedDict()
    url = f"sqlite:///{tmp_path}/changes.db"
    with SqlExporter(url) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
    engine = sqlalchemy.create_engine(url)
    table = sqlalchemy.inspect(engine)
    assert {("time_ns",), ("actor",)} == {tuple(each["column_names"]) for each in table.get_indexes("changes")}
    assert ["root", "seq", "id"] == table.get_pk_constraint("changes")["constrained_columns"]
    required = {column["name"] for column in table.get_columns("changes") if not column["nullable"]}
    assert {"root", "seq", "id", "time_ns", "line"} == required
    engine.dispose()


def test_down_in_the_middle_and_back(postgres: Postgres) -> None:
    """A crash of the database loses, reorders and repeats nothing."""
    d = TrackedDict()
    exporter = SqlExporter(
        postgres.url, retry_first=0.01, retry_most=0.1, batch_items=7, batch_age=0.01, exit_timeout=30.0
    )
    d.tracking_add_observer(exporter)
    for n in range(100):
        d["k"] = n
    assert exporter.flush(30)
    postgres.stop("immediate")
    for n in range(100, 300):
        d["k"] = n
    while exporter.stats().retried == 0:
        assert not exporter.flush(0.05)
    postgres.start()
    for n in range(300, 400):
        d["k"] = n
    assert exporter.close(60)
    assert list(range(400)) == [row[2] for row in rows(postgres.url)]
    assert "OperationalError" in str(exporter.stats().last_error)
    assert (400, 0) == (exporter.stats().sent, exporter.stats().dropped)


def test_down_from_the_start() -> None:
    """The table is created when the database comes up."""
    server = Postgres()
    d = TrackedDict()
    exporter = SqlExporter(server.url, retry_first=0.01, retry_most=0.1)
    d.tracking_add_observer(exporter)
    d["a"] = 1
    assert not exporter.flush(0.2)
    server.start()
    try:
        assert exporter.close(30)
        assert [("/a", 1)] == [row[1:] for row in rows(server.url)]
    finally:
        server.close()


def test_repeats_and_refused_rows(postgres: Postgres) -> None:
    """A repeated batch is stored once; only refused rows are rejected."""
    sink = SqlSink(postgres.url, "changes")
    line = b'{"v":1,"seq":%d,"action":"add","pointer":"/a","after":1}'
    items = [Item(line % n, n, "r", n, f"id{n}") for n in range(5)]
    sink.send(items)
    sink.send(items[2:] + [Item(line % 9, 9, "r", 9, "id9")])
    assert [0, 1, 2, 3, 4, 9] == [row[0] for row in rows(postgres.url)]
    bad = Item(line % 10, 10, "r", 2**63, "id10")  # more than a bigint holds
    delivery = Delivery(sink, name="test", batch_age=0.01)
    for item in (Item(line % 11, 11, "r", 11, "id11"), bad, Item(line % 12, 12, "r", 12, "id12")):
        delivery.put(item)
    delivery.close(30)
    assert (2, 1) == (delivery.stats().sent, delivery.stats().rejected)
    assert [11, 12] == [row[0] for row in rows(postgres.url)][-2:]


def test_a_custom_engine(tmp_path: pathlib.Path) -> None:
    """A user's engine stays open, and a wrong target is a TypeError.

    Names of exporters contain no passwords.
    """
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/x.db")
    d = TrackedDict()
    with SqlExporter(engine, table="mine") as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
    with engine.connect() as connection:
        assert [("/a",)] == [tuple(row) for row in connection.execute(sqlalchemy.text("select pointer from mine"))]
    engine.dispose()
    with pytest.raises(TypeError, match="a URL or a SQLAlchemy Engine, not int"):
        SqlExporter(5)
    exporter = SqlExporter("postgresql+psycopg://me:secret@127.0.0.1:9/x")
    assert "secret" not in exporter._delivery.name
    exporter.close(0)
