"""``sql``: Apache Spark gives the answers of the commands.

Skipped where pyspark is not installed; `just test-fleet` installs it. It needs Java.
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator
from typing import Any

import click
import pytest
from fleet import pointers, record

from pydatatracker import replay
from pydatatracker.cli import main
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.cli.replay.states import state_at
from pydatatracker.cli.root_option import open_roots
from pydatatracker.io import read_changes
from pydatatracker.query.questions import actor_query, blame_query, line_of, lines_query
from pydatatracker.query.views import view_statements

sql = pytest.importorskip("pyspark.sql", reason="no pyspark: `just test-fleet` installs it")


HOST = "it's /50% ü*"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Start Spark in this process, on one core."""
    options = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1", "spark.log.level": "ERROR"}
    builder = sql.SparkSession.builder.master("local[1]")
    for name, given in options.items():
        builder = builder.config(name, given)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module", params=[(0, "lines"), (1, "lines"), (1, "folders"), (4, "folders")])
def session(
    request: pytest.FixtureRequest, spark: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, str]]:
    """Yield a function that answers a query on a random session, and its log.

    The views are over its lines, or over Parquet in folders of days and hosts.
    """
    folder = tmp_path_factory.mktemp("spark")
    log = str(folder / "log.jsonl")
    seed, form = request.param
    record(pathlib.Path(log), seed)
    if form == "lines":
        statements = view_statements("spark", log)
    else:
        pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
        lake = str(folder / "it's a lake")
        assert 0 == main(["convert", log, "--to", "parquet", "--partition", "day,host", "--host", HOST, "-o", lake])
        statements = view_statements("spark", lake, form="parquet", partitions=("day", "host"))
    for statement in statements:
        spark.sql(statement.rstrip(";\n"))
    spark.sql("CACHE TABLE writes")
    yield lambda query: [row.asDict() for row in spark.sql(query.rstrip(";\n")).collect()], log
    spark.sql("UNCACHE TABLE writes")


def test_spark_blames_as_the_command(session: tuple[Any, str]) -> None:
    """Where Spark calls its answer exact, it is the line that blame prints."""
    ask, log = session
    exact = 0
    with open_roots(log) as roots:
        for key in roots.by_root:
            rebuilt = Rebuilt(roots, key)
            paths = sorted({*pointers(state_at(roots, key, (None, None))[0]), "/nope", "/l/0", "/d/e/f"})
            for path in random.Random(1).sample(paths, min(len(paths), 8)):
                try:
                    wanted = [line.uuid for _, line in rebuilt.blame(path)]
                except click.exceptions.Exit:  # the text of two keys
                    continue
                found = ask(blame_query("spark", path, root=key[1]))
                if all(row["exact"] for row in found):
                    exact += 1
                    assert wanted == [row["uuid"] for row in found], path
    assert exact


def test_spark_selects_as_show(session: tuple[Any, str]) -> None:
    """All changes of an actor in a span are the lines that show selects."""
    ask, log = session
    with read_changes(log) as lines:
        found = list(lines)
    times = sorted({line.time_ns or 0 for line in found})
    since, until = times[2], times[-3]
    wanted = [line.uuid for line in found if line.actor == "it's" and since <= (line.time_ns or 0) <= until]
    rows = ask(actor_query("spark", "it's", since=since, until=until))
    assert wanted == [row["uuid"] for row in rows]
    assert {row["host"] for row in rows} <= {None, HOST}
    if rows and rows[0]["host"]:  # only the folders of these days are read
        assert rows == ask(actor_query("spark", "it's", since=since, until=until, partitioned=True))


def test_spark_has_the_state_of_at(session: tuple[Any, str]) -> None:
    """Rows of a root from Spark replay to what ``at`` prints."""
    ask, log = session
    with open_roots(log) as roots:
        for key in roots.by_root:
            lines = [line_of(row) for row in ask(lines_query("spark", key[1]))]
            seqs = [line.seq for line in roots.by_root[key]]
            for seq in (seqs[0], seqs[len(seqs) // 2], seqs[-1]):
                wanted = state_at(roots, key, (seq, None))[0]
                assert repr(wanted) == repr(replay(lines, at=seq, root=key[1]))
