"""``convert --partition``: Parquet in folders of days and hosts."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest
from command import POSIX, change, interrupted, lines, run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pydatatracker.cli import main
from pydatatracker.query.partitions import check_host, folder_of, host_in, partition_names, write_partitions

duckdb = pytest.importorskip("duckdb", reason="no duckdb for this interpreter")

DAY = 86_400 * 10**9
MIDNIGHT = 20_785 * DAY  # 2026-11-28 in UTC


def table(folder: pathlib.Path, columns: str = "day, host, seq") -> list[tuple[object, ...]]:
    """Return the rows of all files, with the columns of the folders."""
    name = str(folder / "**" / "*.parquet").replace("'", "''")
    found: list[tuple[object, ...]] = duckdb.sql(
        f"SELECT {columns} FROM read_parquet('{name}', hive_partitioning = true, hive_types_autocast = false)"
        " ORDER BY ALL"
    ).fetchall()
    return found


def files(folder: pathlib.Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path."""
    return {
        each.relative_to(folder).as_posix(): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()
    }


def convert(*args: object) -> int:
    return main(["convert", "--to", "parquet", *map(str, args)])


def test_each_change_is_in_the_folder_of_its_day_and_host(tmp_path: pathlib.Path) -> None:
    """Days are those of UTC; the host is that of the log's folder.

    A line without a time has no day.
    """
    times = [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY - 1, MIDNIGHT + DAY, -1, None]
    for host in ("web-1", "web-2"):
        folder = tmp_path / "landing" / f"host={host}"
        folder.mkdir(parents=True)
        folder.joinpath("log.jsonl").write_bytes(
            b"".join(change(seq=n, time_ns=time, created_time=None) for n, time in enumerate(times))
        )
    assert 0 == convert(tmp_path / "landing" / "*" / "*.jsonl", "--partition", "day,host", "-o", tmp_path / "lake")
    days = ["2026-11-27", "2026-11-28", "2026-11-28", "2026-11-29", "1969-12-31", None]
    expected = [(day, host, n) for n, day in enumerate(days) for host in ("web-1", "web-2")]
    assert sorted(expected, key=str) == sorted(table(tmp_path / "lake"), key=str)
    assert 0 == convert(tmp_path / "landing/host=web-1/log.jsonl", "--partition", "day", "-o", tmp_path / "days")
    assert {f"day={day or '__HIVE_DEFAULT_PARTITION__'}" for day in days} == set(os.listdir(tmp_path / "days"))


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20))
@example("..")
@example("a/../../b")
@example("__HIVE_DEFAULT_PARTITION__")
@example("007")
@example("50%2F")
@example("it's *[a-z]?{}")
@example('\x01\x7f\\:"<>|\r\n=+ ')
@example("日本.example")
def test_any_name_of_a_host_comes_back(tmp_path_factory: pytest.TempPathFactory, host: str) -> None:
    """An engine reads the name back, and no name leads out of the folder."""
    folder = tmp_path_factory.mktemp("lake")
    (name,) = write_partitions([(folder_of(("day", "host"), MIDNIGHT, host), change(seq=1))], folder)[0]
    assert [("2026-11-28", host, 1)] == table(folder)
    assert ["day=2026-11-28"] == os.listdir(folder)
    assert 1 == len(os.listdir(folder / "day=2026-11-28"))
    assert host == host_in(name)


def test_a_host_that_no_folder_can_have_is_refused() -> None:
    """No text, no name, and a name that no file system takes."""
    for host in ("", None, b"a", "\udcff", "x" * 201, "/" * 67):
        with pytest.raises(ValueError, match="host"):
            check_host(host)  # type: ignore[arg-type]
    assert "x" * 200 == check_host("x" * 200)
    for given_names in ("week", "day,day", "", " , ", ["day", "host", "x"]):
        with pytest.raises(ValueError, match="write day, host or both"):
            partition_names(given_names)


def test_no_file_is_overwritten_and_none_is_there_twice(tmp_path: pathlib.Path) -> None:
    """The same lines again add nothing; other lines of that day add a file."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(3))
    args = ("--partition", "day,host", "--host", "a", "-o", tmp_path / "lake")
    assert 0 == convert(log, *args)
    first = files(tmp_path / "lake")
    done = run("convert", log, "--to", "parquet", *args, cwd=tmp_path)
    assert (0, True) == (done.returncode, "1 of the files were there" in done.stderr)
    assert first == files(tmp_path / "lake")
    more = tmp_path / "more.jsonl"
    more.write_bytes(lines(5)[len(lines(3)) :])
    assert 0 == convert(more, *args)
    second = files(tmp_path / "lake")
    assert (2, first) == (len(second), {name: second[name] for name in first})
    assert [1, 2, 3, 4, 5] == [seq for (seq,) in table(tmp_path / "lake", "seq")]
    again = tmp_path / "again"
    for name in (log, more):  # the names follow from the lines alone
        assert 0 == convert(name, *args[:-1], again)
    assert second.keys() == files(again).keys()


def test_rows_keep_their_order_in_more_folders_than_files_may_be_open(tmp_path: pathlib.Path) -> None:
    """Lines of 100 days in turn are in the files of their days, in order."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(change(seq=n, time_ns=n % 100 * DAY) for n in range(300)))
    assert 0 == convert(log, "--partition", "day", "-o", tmp_path / "lake")
    folders = sorted((tmp_path / "lake").iterdir())
    assert 100 == len(folders)
    for n, folder in enumerate(folders):
        (name,) = folder.iterdir()
        rows = duckdb.sql(f"SELECT seq FROM read_parquet('{name}')").fetchall()
        assert [(n,), (n + 100,), (n + 200,)] == rows


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--partition", "day,host", "-o", "lake"), "the host of log.jsonl is not known: name it with --host"),
        (("--partition", "week", "-o", "lake"), "unknown partition 'week'"),
        (("--partition", "host", "--host", "", "-o", "lake"), "the host is ''"),
        (("--partition", "day"), "needs -o FILE"),
        (("--host", "a", "-o", "lake"), "--host needs --partition"),
        (("--partition", "day", "-o", "new/lake"), "cannot write new/lake: No such file"),
        (("--partition", "day", "-o", "log.jsonl"), "cannot write log.jsonl: File exists"),
        (("--partition", "day", "-o", "lake", "nothing.jsonl"), "cannot read nothing.jsonl"),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path: pathlib.Path, args: tuple[str, ...], message: str) -> None:
    """The message says what to do, the status is 2, and no file is left."""
    (tmp_path / "log.jsonl").write_bytes(lines(3))
    done = run("convert", "log.jsonl", "--to", "parquet", *args, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert message in done.stderr
    assert ["log.jsonl"] == os.listdir(tmp_path)


def test_partitions_are_of_parquet(tmp_path: pathlib.Path) -> None:
    """Other formats have no folders, and the message says so."""
    (tmp_path / "log.jsonl").write_bytes(lines(3))
    done = run("convert", "log.jsonl", "--to", "csv", "--partition", "day", "-o", "lake", cwd=tmp_path)
    assert (2, True) == (done.returncode, "--partition needs --to parquet" in done.stderr)


def test_what_cannot_be_read_is_reported_and_the_rest_is_written(tmp_path: pathlib.Path) -> None:
    """A torn line and a time beyond all years are status 1, in each log."""
    for n in range(2):
        (tmp_path / f"{n}.jsonl").write_bytes(
            change(seq=n) + b'{"torn\n' + change(seq=5, time_ns=2**70) + change(seq=n + 10) + b'{"action":"gap"}\n'
        )
    done = run("convert", "0.jsonl", "1.jsonl", "--to", "parquet", "--partition", "day", "-o", "lake", cwd=tmp_path)
    assert (1, 4) == (done.returncode, len(done.stderr.splitlines()))
    assert [0, 1, 10, 11] == [seq for (seq,) in table(tmp_path / "lake", "seq")]


def test_many_logs_are_read_one_at_a_time(tmp_path: pathlib.Path) -> None:
    """There may be more logs than files that a process may open."""
    resource = pytest.importorskip("resource", reason="this system has no limits of files")
    folder = tmp_path / "host=a"
    folder.mkdir()
    for n in range(200):
        folder.joinpath(f"{n:03}.jsonl").write_bytes(change(seq=n))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 120), hard))
    try:
        assert 0 == convert(folder / "*.jsonl", "--partition", "host", "-o", tmp_path / "lake")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [("a", n) for n in range(200)] == table(tmp_path / "lake", "host, seq")


@POSIX
def test_ctrl_c_leaves_what_was_there(tmp_path: pathlib.Path) -> None:
    """Ctrl-C exits with status 130, and no part of a file is left."""
    (tmp_path / "log.jsonl").write_bytes(lines(20_000) * 10)
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "old").write_bytes(b"old")
    args = ("convert", "log.jsonl", "--to", "parquet", "--partition", "day", "-o", lake)
    status, _, errors = interrupted(*args, cwd=tmp_path, until=lambda: len(os.listdir(lake)) > 1)
    assert (130, b"") == (status, errors)
    assert {"old": b"old"} == files(lake)


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX")
def test_a_disk_that_refuses_leaves_nothing(tmp_path: pathlib.Path) -> None:
    """What is in the way of a folder is named; no file is written elsewhere."""
    (tmp_path / "log.jsonl").write_bytes(change(seq=1, time_ns=MIDNIGHT) + change(seq=2, time_ns=MIDNIGHT + DAY))
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "day=2026-11-28").write_bytes(b"in the way")
    done = run("convert", "log.jsonl", "--to", "parquet", "--partition", "day", "-o", "lake", cwd=tmp_path)
    assert (2, "pydatatracker: cannot write lake: File exists\n") == (done.returncode, done.stderr)
    assert {"day=2026-11-28": b"in the way"} == files(tmp_path / "lake")


def test_filters_select_what_is_written(tmp_path: pathlib.Path) -> None:
    """The folders have the selected changes only."""
    (tmp_path / "log.jsonl").write_bytes(b"".join(change(seq=n, actor="ab"[n % 2]) for n in range(6)))
    args = ("--partition", "day", "-o", tmp_path / "lake")
    assert 0 == convert(tmp_path / "log.jsonl", "--actor", "b", *args)
    assert [(1, "b"), (3, "b"), (5, "b")] == table(tmp_path / "lake", "seq, actor")
