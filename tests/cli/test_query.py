"""``query``: SQL over logs, in tables, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from command import POSIX, change, environment, interrupted, lines, log, run, run_in_terminal
from loglines import line_of

from pydatatracker import MISSING
from pydatatracker.io import read_changes
from pydatatracker.io.line import nanoseconds_of
from pydatatracker.query import connect
from pydatatracker.values.standins import Repr

__all__ = ["log"]  # the fixtures

duckdb = pytest.importorskip("duckdb", reason="no duckdb for this interpreter")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_query_in_a_terminal_and_piped(tmp_path: pathlib.Path, columns: int) -> None:
    """In a terminal the table fits and is escaped; pipes get CSV or JSON.

    --format chooses between the two.
    """
    log = tmp_path / "log.jsonl"
    log.write_bytes(
        b"".join(change(seq=n, actor="\x1b[31mred", pointer="/x" * 60, path=["x"], after=n) for n in range(3))
    )
    sql = "select seq, actor, pointer, after from changes order by seq"
    status, shown = run_in_terminal("query", sql, log, cwd=tmp_path, columns=columns)
    assert (0, False) == (status, "\x1b" in shown)
    assert columns >= max(map(len, shown.splitlines()))
    rows = list(csv.reader(io.StringIO(run("query", "--format", "csv", sql, log, cwd=tmp_path).stdout)))
    assert ["seq", "actor", "pointer", "after"] == rows[0]
    found = [json.loads(line) for line in run("query", "--format", "json", sql, log, cwd=tmp_path).stdout.splitlines()]
    assert [0, 1, 2] == [each["seq"] for each in found]


@pytest.mark.parametrize(
    ("sql", "name"), [("selec", "log.jsonl"), ("select 1", "none.jsonl"), ("select nothing from changes", "*.jsonl")]
)
def test_a_wrong_query_is_one_sentence(tmp_path: pathlib.Path, sql: str, name: str) -> None:
    """A wrong query exits with status 2 and a message, without a traceback."""
    (tmp_path / "log.jsonl").write_bytes(change(pointer="/x", path=["x"], after=1))
    done = run("query", sql, name, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("pydatatracker: ")
    assert "Traceback" not in done.stderr


def test_without_duckdb(tmp_path: pathlib.Path) -> None:
    """Without DuckDB commands exit with 2 and name the extra to install."""
    (tmp_path / "duckdb.py").write_text("raise ImportError('no duckdb')\n")
    (tmp_path / "log.jsonl").write_bytes(change(pointer="/x", path=["x"], after=1))
    for args in (("query", "select 1", "log.jsonl"), ("convert", "log.jsonl", "--to", "parquet", "-o", "x")):
        done = run(*args, cwd=tmp_path, PYTHONPATH=str(tmp_path))
        assert (2, 'pydatatracker: queries need duckdb: pip install "pydatatracker[query]"\n') == (
            done.returncode,
            done.stderr,
        )


def test_query_accepts_filters(tmp_path: pathlib.Path) -> None:
    """Filters select the rows of a query; unreadable lines are reported.

    For files that are not JSON lines the error says to filter in SQL.
    """
    lines = [change(seq=n, actor="ab"[n % 2], pointer=f"/k/{n}", path=["k", n], after=n) for n in range(10)]
    (tmp_path / "log.jsonl").write_bytes(b"".join(lines) + b"nonsense\n")
    sql = "select count(*) as n, min(seq) as first from changes"
    done = run("query", sql, "log.jsonl", "--actor", "b", "--seq", "4..", "--format", "csv", cwd=tmp_path)
    assert (1, ["n,first", "3,5"]) == (done.returncode, done.stdout.splitlines())
    assert "log.jsonl: line 11, byte" in done.stderr
    done = run("query", sql, "log.jsonl", "--path", "/k/7", "--format", "json", cwd=tmp_path)
    assert '{"n": 1, "first": 7}\n' == done.stdout
    done = run("query", sql, "x.parquet", "--actor", "b", cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert "where actor = 'ann'" in done.stderr


@POSIX
@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7",
        "select * from changes a, changes b, changes c, changes d order by 1",
        "select * from range(10000000000)",
    ],
)
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_ctrl_c_ends_a_query(tmp_path: pathlib.Path, sql: str, form: str) -> None:
    """Ctrl-C ends a query within seconds, silently, with status 130.

    It does so while the query computes, sorts or prints.
    """
    pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
    (tmp_path / "log.jsonl").write_bytes(lines(200))
    status, seconds, errors = interrupted("query", "--format", form, sql, "log.jsonl", cwd=tmp_path, after=1.5)
    assert (130, b"") == (status, errors)
    assert seconds < 5


def test_a_pipe_that_is_closed_ends_a_query(tmp_path: pathlib.Path) -> None:
    """A query ends when its pipe is closed, as by ``| head``."""
    pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
    (tmp_path / "log.jsonl").write_bytes(lines(2))
    process = subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", "query", "--format", "csv", "select * from range(10000000000)",
         "log.jsonl"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert b"range\r\n" == process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert b"" == process.stderr.read()
    process.stderr.close()
    assert 0 == process.wait(60)


def test_rows_of_many_batches_are_all_there(tmp_path: pathlib.Path) -> None:
    """All rows of many batches are printed once, in order, in every format.

    The columns of a table become wider where a later batch needs it.
    """
    pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
    (tmp_path / "log.jsonl").write_bytes(lines(2))
    sql = "select range as n, repeat('x', (range / 700)::int) as x from range(3501)"
    csv = run("query", "--format", "csv", sql, "log.jsonl", cwd=tmp_path).stdout.splitlines()
    rows = [
        json.loads(line)
        for line in run("query", "--format", "json", sql, "log.jsonl", cwd=tmp_path).stdout.splitlines()
    ]
    table = run("query", sql, "log.jsonl", cwd=tmp_path).stdout.splitlines()
    assert [row["n"] for row in rows] == list(range(3501))
    assert [f"{row['n']},{row['x']}" for row in rows] == csv[1:]
    assert [[str(row["n"]), *([row["x"]] if row["x"] else [])] for row in rows] == [line.split() for line in table[1:]]
    assert ["n"] == run("query", "select 1 as n where false", "log.jsonl", cwd=tmp_path).stdout.splitlines()


def test_a_line_of_any_length(tmp_path: pathlib.Path) -> None:
    """A line longer than DuckDB's buffers is read with larger ones."""
    pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
    (tmp_path / "log.jsonl").write_bytes(lines(2) + change(seq=3, after="x" * 40_000_000))
    done = run("query", "--format", "csv", "select seq, length(after) from changes", "log.jsonl", cwd=tmp_path)
    assert ["1,1", "2,1", "3,40000002"] == done.stdout.splitlines()[1:]
    assert 0 == run("convert", "log.jsonl", "--to", "parquet", "-o", "x.parquet", cwd=tmp_path).returncode
    done = run("query", "--format", "csv", "select seq, length(after) from changes", "x.parquet", cwd=tmp_path)
    assert ["1,1", "2,1", "3,40000002"] == done.stdout.splitlines()[1:]


def test_an_empty_query_and_standard_input(log: pathlib.Path) -> None:
    """An empty query is not an error, and ``-`` reads standard input."""
    pytest.importorskip("duckdb")
    assert 0 == run("query", "", log, cwd=log.parent).returncode
    done = run(
        "query", "select count(*) n from changes", "-", "--format", "csv", cwd=log.parent, stdin=log.read_bytes()
    )
    assert ["n", "3"] == done.stdout.split()


OLD = sorted((pathlib.Path(__file__).parents[1] / "fixtures" / "0.1.0").glob("*.jsonl"))


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_a_log_of_0_1_0_is_the_table_that_read_changes_gives(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Also after lines of this version, in one file."""
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(path.read_bytes() + line_of(seq=1, before=None, after={"a": 1}))
    names = ("action", "method", "type", "actor", "uuid")
    with connect([mixed]) as connection:
        found = connection.execute(f"SELECT {', '.join(names)}, time_ns, before, after FROM changes").fetchall()

    def text(value: Any) -> Any:
        return None if value is MISSING else value.text if isinstance(value, Repr) else value

    expected = [
        (*(getattr(line, name) for name in names), nanoseconds_of(line), text(line.before), text(line.after))
        for line in read_changes(mixed, strict=True)
    ]
    assert len(expected) > 2
    assert expected == [(*row[:6], *(value and json.loads(value) for value in row[6:])) for row in found]
