"""``sql``: views that other engines run give the answers of the commands."""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Iterator
from typing import Any

import click
import pytest
from command import run
from fleet import pointers, record

from pydatatracker import TrackedDict, process, replay, track, tracking_actor
from pydatatracker.cli import main
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.cli.replay.states import state_at
from pydatatracker.cli.root_option import open_roots
from pydatatracker.io import read_changes
from pydatatracker.query.dialects import DIALECTS
from pydatatracker.query.questions import actor_query, blame_query, line_of, lines_query, values_query
from pydatatracker.query.views import view_statements

duckdb = pytest.importorskip("duckdb", reason="no duckdb for this interpreter")


def views(*args: Any, **options: Any) -> Any:
    """Return a connection with the views, ``writes`` computed once."""
    connection = duckdb.connect()
    for statement in view_statements("duckdb", *args, **options):
        connection.execute(statement)
    connection.execute("CREATE TABLE written_once AS FROM writes")
    connection.execute("CREATE OR REPLACE VIEW writes AS FROM written_once")
    return connection


def rows(connection: Any, sql: str) -> list[dict[str, Any]]:
    answer = connection.execute(sql)
    names = [name for name, *_ in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


@pytest.fixture(scope="module", params=[(0, "lines"), (1, "lines"), (2, "folders"), (4, "folders")])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """Yield the views of a random session, and its log.

    The views are over its lines, or over Parquet in folders of days and hosts.
    """
    folder = tmp_path_factory.mktemp("fleet")
    log = folder / "log.jsonl"
    seed, form = request.param
    record(log, seed)
    if form == "lines":
        connection = views(str(log))
    else:
        lake = folder / "it's a lake"
        args = ["--to", "parquet", "--partition", "day,host", "--host", "007"]
        assert 0 == main(["convert", str(log), *args, "-o", str(lake)])
        connection = views(str(lake), form="parquet", partitions=("day", "host"))
        assert [("007",)] == connection.execute("SELECT DISTINCT host FROM changes").fetchall()
    yield connection, str(log)
    connection.close()


def test_blame_is_that_of_the_command(session: tuple[Any, str]) -> None:
    """Where SQL calls its answer exact, it is the line that blame prints."""
    connection, log = session
    exact = 0
    with open_roots(log) as roots:
        for key in roots.by_root:
            rebuilt = Rebuilt(roots, key)
            state = state_at(roots, key, (None, None))[0]
            paths = sorted({*pointers(state), "", "/nope", "/l/0", "/l/9", "/d/e/f", "/a/0", "/0", "/3", "/~0"})
            for path in random.Random(1).sample(paths, min(len(paths), 40)):
                try:
                    wanted = [line.uuid for _, line in rebuilt.blame(path)]
                except click.exceptions.Exit:  # the text of two keys
                    continue
                found = rows(connection, blame_query("duckdb", path, root=key[1]))
                if all(row["exact"] for row in found):
                    exact += 1
                    assert wanted == [row["uuid"] for row in found], path
    assert exact > 5


def test_state_is_that_of_at(session: tuple[Any, str]) -> None:
    """Rows of a root, made lines again, replay to what ``at`` prints."""
    connection, log = session
    with open_roots(log) as roots:
        for key in roots.by_root:
            lines = [line_of(row) for row in rows(connection, lines_query("duckdb", key[1]))]
            seqs = [line.seq for line in roots.by_root[key]]
            for seq in (seqs[0], seqs[len(seqs) // 2], seqs[-1]):
                wanted = state_at(roots, key, (seq, None))[0]
                assert repr(wanted) == repr(replay(lines, at=seq, root=key[1]))  # order of keys, 1 and 1.0


def test_changes_of_an_actor_are_those_of_show(session: tuple[Any, str]) -> None:
    """All changes of an actor in a span are the lines that show selects."""
    connection, log = session
    with read_changes(log) as lines:
        times = sorted({line.time_ns for line in lines})
    since, until = times[2], times[-3]
    with read_changes(log) as lines:
        wanted = [
            (line.seq, line.action, line.pointer, line.data.get("before"), line.data.get("after"), line.uuid)
            for line in lines
            if line.actor == "it's" and since <= (line.time_ns or 0) <= until
        ]
    found = rows(connection, actor_query("duckdb", "it's", since=since, until=until))
    if found and found[0]["host"]:  # only the folders of these days are read
        assert found == rows(connection, actor_query("duckdb", "it's", since=since, until=until, partitioned=True))
    got = [
        (
            row["seq"],
            row["action"],
            row["pointer"],
            *(json.loads(row[n] or "null") for n in ("before", "after")),
            row["uuid"],
        )
        for row in found
    ]
    assert wanted == got


def test_last_values_of_dicts_are_the_state(tmp_path: pathlib.Path) -> None:
    """Last values, set from the shortest path on, are the state of dicts."""
    log = tmp_path / "log.jsonl"
    r = random.Random(3)
    keys = ["a", "b/c", "~x", "ü", "it's"]
    root = track({"a": {"a": 1}, "gone": 1})
    process.start(log)
    for _ in range(40):
        held = root[r.choice(list(root))] if root and r.random() < 0.6 else root
        held = held if isinstance(held, dict) else root
        if held and r.random() < 0.25:
            del held[r.choice(list(held))]
        else:
            held[r.choice(keys)] = r.choice([None, 1, {"a": None, "ü": {}}, "80"])
    process.stop()
    connection = views(str(log))
    with open_roots(str(log)) as roots:
        (key,) = roots.by_root
        seqs = [line.seq for line in roots.by_root[key]]
        for seq in (seqs[0], seqs[15], seqs[-1]):
            state: dict[str, Any] = {}
            for row in rows(connection, values_query("duckdb", root=key[1], seq=seq)):
                parts = [each.replace("~1", "/").replace("~0", "~") for each in row["written"].split("/")[1:]]
                after = None if row["after"] is None else json.loads(row["after"])
                held = state
                for part in parts[:-1]:
                    held = held[part]
                if row["action"] == "init":
                    held[parts[-1]] = after[parts[-1]]
                elif row["action"] == "remove":
                    held.pop(parts[-1], None)
                else:
                    held[parts[-1]] = after
            assert state_at(roots, key, (seq, None))[0] == state
    connection.close()


@pytest.mark.parametrize("data", [{"a": 1, "c": 1}, [1, 2], {1, 2}], ids=["dict", "list", "set"])
def test_an_empty_state_ends_what_was_known(tmp_path: pathlib.Path, data: Any) -> None:
    """A root that another one held, and that was emptied there, is asked for.

    Its second state is empty: it stores nothing, but nothing that was written before is there any more.
    """
    log = tmp_path / "log.jsonl"
    part = track(type(data)())
    process.start(log)
    for each in data:
        if isinstance(part, dict):
            part[each] = 1
        else:
            (part.append if isinstance(part, list) else part.add)(each)
    whole = TrackedDict(part=part)
    part.clear()
    del whole["part"]
    if isinstance(part, dict):
        part["b"] = 2
    else:
        (part.append if isinstance(part, list) else part.add)(7)
    process.stop()
    connection = views(str(log))
    with open_roots(str(log)) as roots:
        for key in roots.by_root:
            rebuilt = Rebuilt(roots, key)
            for path in ("", "/a", "/b", "/c", "/0", "/1", "/2", "/7", "/part", "/part/a"):
                found = rows(connection, blame_query("duckdb", path, root=key[1]))
                if all(row["exact"] for row in found):
                    assert [line.uuid for _, line in rebuilt.blame(path)] == [row["uuid"] for row in found], path
    connection.close()


def test_what_was_delivered_twice_counts_once(tmp_path: pathlib.Path) -> None:
    """The answers are the same if every line is there twice."""
    log, twice = tmp_path / "log.jsonl", tmp_path / "twice.jsonl"
    record(log, 1)
    twice.write_bytes(log.read_bytes() * 2)
    once, both = views(str(log)), views(str(twice))
    (root,) = once.execute("SELECT DISTINCT of_root FROM writes").fetchone()
    for question in (
        *(blame_query("duckdb", path) for path in ("", "/0", "/0/a", "/1", "/1/0", "/2")),
        actor_query("duckdb", "it's"),
        lines_query("duckdb", root),
        values_query("duckdb"),
    ):
        assert rows(once, question) == rows(both, question)
    once.close()
    both.close()


def test_none_is_not_nothing(tmp_path: pathlib.Path) -> None:
    """A value None is JSON null in the views; no value is NULL."""
    log = tmp_path / "log.jsonl"
    root = TrackedDict(a=1)
    process.start(log)
    root["a"] = None
    root["b"] = None
    del root["a"]
    root.update(c=None)
    process.stop()
    connection = views(str(log))
    found = connection.execute(
        "SELECT action, before, after FROM changes WHERE action <> 'init' ORDER BY seq"
    ).fetchall()
    assert [("update", "1", "null"), ("add", None, "null"), ("remove", "null", None)] == found[:3]
    connection.close()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("folders", ["", "day,host"])
def test_each_dialect_can_be_parsed(dialect: str, form: str, folders: str) -> None:
    """What is printed is SQL of its dialect, by sqlglot's parser."""
    sqlglot = pytest.importorskip("sqlglot", reason="sqlglot is not installed")
    partitions = tuple(filter(None, folders.split(",")))
    statements = view_statements(dialect, "s3://it's/lake", form=form, partitions=partitions)
    statements += [
        blame_query(dialect, "/it's/a~1b/0/\\"),
        blame_query(dialect, ""),
        actor_query(dialect, "it's\\", since=1, until=2, partitioned=True),
        values_query(dialect, root="r", seq=3),
        lines_query(dialect, "r"),
    ]
    for statement in statements:
        if statement.startswith("CALL "):  # sqlglot does not parse it
            continue
        (parsed,) = sqlglot.parse(statement, dialect=dialect)
        assert "Command" != type(parsed).__name__, statement


def test_the_command_prints_what_duckdb_runs(tmp_path: pathlib.Path) -> None:
    """The output of the command, as it is, creates views and answers."""
    log = tmp_path / "it's.jsonl"
    root = TrackedDict()
    process.start(log)
    with tracking_actor("ann"):
        root["ü/~"] = 1
    process.stop()
    printed = run("sql", "--dialect", "duckdb", "--from", log, "--blame", "/ü~1~0", cwd=tmp_path)
    assert (0, "") == (printed.returncode, printed.stderr)
    connection = duckdb.connect()
    answer = connection.execute(printed.stdout)
    found = [dict(zip([name for name, *_ in answer.description], row, strict=True)) for row in answer.fetchall()]
    assert [("ann", "1", True)] == [(row["actor"], row["after"], row["exact"]) for row in found]
    connection.close()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--dialect", "duckdb"), "give --from"),
        (("--dialect", "duckdb", "--blame", "/a", "--actor", "b"), "one question"),
        (("--dialect", "duckdb", "--blame", "a"), "must begin with '/'"),
        (("--dialect", "duckdb", "--from", "s3://bucket/lake"), "does not say whether"),
        (("--dialect", "duckdb", "--from", "s3://bucket/lake"), "give --form jsonl or --form parquet"),
        (("--dialect", "duckdb", "--from", "nowhere"), "nowhere: nothing is there"),
        (("--dialect", "duckdb", "--from", "nowhere"), "give --form jsonl or --form parquet"),
        (("--dialect", "duckdb", "--from", "."), "nothing in this folder has a name"),
        (("--dialect", "trino", "--from", "a.jsonl"), "Trino reads folders"),
        (("--dialect", "trino", "--from", "s3://b", "--form", "jsonl", "--catalog", "x; drop"), "CATALOG.SCHEMA"),
        (("--dialect", "spark", "--from", "s3://b", "--form", "jsonl", "--partition", "week"), "'week'"),
        (("--dialect", "spark", "--lines"), "needs --root"),
        (("--dialect", "spark", "--blame", "/a", "--since", "-3h"), "need --actor"),
    ],
)
def test_wrong_arguments_are_named(tmp_path: pathlib.Path, args: tuple[str, ...], message: str) -> None:
    """A wrong argument ends the command with status 2, and a sentence."""
    done = run("sql", *args, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert message in done.stderr


def test_a_path_that_never_existed_has_no_exact_answer(tmp_path: pathlib.Path) -> None:
    """What a change stored has to show a path for an exact answer.

    Below a container, and below a value that has no parts, a typo is not one. A path that exists is one.
    """
    log = tmp_path / "log.jsonl"
    root = track({"prices": {"tea": 1, "none": None, "l": [{"a": 1}, None]}, "it's": {"x": 1}})
    process.start(log)
    root["prices"]["tea"] = 2
    root["new"] = {"sub": {"0": 5, "a": [1]}}
    process.stop()
    connection = views(str(log))
    for path in (
        "/prices/nope",
        "/prices/tea/x",
        "/new/sub/1",
        "/new/sub/a/1",
        "/prices/l/2",
        "/prices/l/0/b",
        "/it's/y",
    ):
        assert all(not row["exact"] for row in rows(connection, blame_query("duckdb", path))), path
    for path, seq in (
        ("/prices/l/0/a", 0),
        ("/prices/l/1", 0),
        ("/prices/none", 0),
        ("/new/sub/0", 1),
        ("/new/sub/a/0", 1),
    ):
        (row,) = rows(connection, blame_query("duckdb", path))
        assert (True, seq) == (row["exact"], ["init", "add"].index(row["action"])), path
    connection.close()
