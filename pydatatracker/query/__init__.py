"""Logs as a table: SQL over JSONL and Parquet by DuckDB (extra ``query``).

The table is called ``changes`` and has one row per change. Values, paths and other nested data are JSON text.

>>> import os, tempfile
>>> from pydatatracker import TrackedDict, tracking_actor
>>> from pydatatracker.observers import json_file_observer
>>> path = os.path.join(tempfile.mkdtemp(), "changes.jsonl")
>>> d = TrackedDict()
>>> with json_file_observer(path) as observer, tracking_actor("ann"):
...     d.tracking_add_observer(observer)
...     d["port"] = 80
>>> connect([path]).execute("select actor, pointer, after from changes").fetchall()
[('ann', '/port', '80')]
"""

from __future__ import annotations

import functools
import glob
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

from pydatatracker.io.line import TAKEN_OUT
from pydatatracker.io.reader import ChangeReader

__all__ = ["COLUMNS", "LONGEST", "Lines", "StillRunning", "connect", "copy_to_parquet", "patiently", "write_parquet"]

T = TypeVar("T")

COLUMNS: Final[dict[str, str]] = {
    "seq": "BIGINT",
    "time_ns": "BIGINT",
    "actor": "VARCHAR",
    "action": "VARCHAR",
    "method": "VARCHAR",
    "type": "VARCHAR",
    "pointer": "VARCHAR",
    "before": "JSON",
    "after": "JSON",
    "splice": "JSON",
    "order": "JSON",
    "changes": "JSON",
    "path": "JSON",
    "paths": "JSON",
    "also": "JSON",
    "also_cut": "BIGINT",
    "context": "JSON",
    "transaction": "VARCHAR",
    "root": "VARCHAR",
    "tracked_item_uuid": "VARCHAR",
    "uuid": "VARCHAR",
    "pid": "BIGINT",
    "thread": "VARCHAR",
    "stack": "JSON",
    "culprit": "BIGINT",
    "extra": "JSON",
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "v": "BIGINT",
    "name": "VARCHAR",
    "position": "JSON",
    "ids": "JSON",
    "between": "JSON",
    "undoes": "BIGINT",
}
_LATER: Final = ("v", "name", "position", "ids", "between", "undoes")  # files of earlier versions lack them
LONGEST: Final = 1 << 28  # bytes of the longest line, as in `pydatatracker.io`
_USUAL: Final = 1 << 24  # bytes; DuckDB makes a buffer of twice that per thread, so LONGEST costs three times the time
_WIDE: Final = 1 << 23  # bytes of a line above which the memory is not limited
_EMPTY: Final = ("actor", "pointer", "method", "type", "root", "uuid")  # left out by `change.compact` when empty


def connect(sources: Iterable[str | os.PathLike[str]], database: str = ":memory:", *, longest: int = _USUAL) -> Any:
    """Return a DuckDB connection with a view ``changes`` over logs.

    Logs are read when they are queried; only buckets are listed before. Lines that cannot be read are skipped;
    ``pydatatracker verify`` reports them. In addition to the keys of a line there is ``time``, a TIMESTAMP in UTC. In
    logs that begin with a line of 0.1.0, such lines have action, method, type, time and, as text, before and after;
    their location is ``extra->>'location'``.

    :param sources: JSONL (also .gz, .zst) or Parquet: paths, globs or ``s3://`` addresses. The latter are read through
        obstore (extra ``s3``), with the environment variables of AWS clients: ``AWS_ENDPOINT_URL``, ``AWS_REGION``,
        ``AWS_ACCESS_KEY_ID`` ...
    :param database: the DuckDB file in which the view is created.
    :param longest: bytes of the longest line; a longer one is a duckdb.Error when it is read.
    :raises ImportError: a package is not installed.
    :raises OSError: a bucket cannot be read. duckdb.Error: a file does not exist.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError('queries need duckdb: pip install "pydatatracker[query]"') from None
    names = [os.fsdecode(source) for source in sources]
    if not names:
        raise ValueError("connect() needs at least one log")
    connection = duckdb.connect(database)
    try:
        if any(name.startswith("s3://") for name in names):
            names = _in_buckets(connection, names)
        _make_view(connection, names, longest)
    except BaseException:
        connection.close()
        raise
    return connection


def _in_buckets(connection: Any, names: list[str]) -> list[str]:
    try:
        from pydatatracker.query.s3 import Buckets
    except ImportError as error:
        raise ImportError(f's3:// needs {error.name}: pip install "pydatatracker[query,s3]"') from None
    buckets = Buckets()
    connection.register_filesystem(buckets)
    found: list[str] = []
    for name in names:
        matches = [f"s3://{each}" for each in buckets.glob(name)] if name.startswith("s3://") else [name]
        if not matches:
            raise FileNotFoundError(f"{name}: no such object")
        found += matches
    return found


def _make_view(connection: Any, names: list[str], longest: int) -> None:
    parts = []
    lines = [name for name in names if not name.endswith(".parquet")]
    tables = [name for name in names if name.endswith(".parquet")]
    quoted = ", ".join(f'"{name}"' for name in COLUMNS)
    if lines:
        old = any(map(_begins_with_0_1_0, lines))
        read = {**COLUMNS, "created_time": "VARCHAR"} if old else COLUMNS
        fields = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in read.items())
        table = (
            f"read_json([{', '.join(map(_text, lines))}], format = 'newline_delimited',"
            f" columns = {{{fields}}}, ignore_errors = true, maximum_object_size = {longest})"
        )
        if old:
            table = f"(SELECT * REPLACE ({_of_0_1_0()}) FROM {table})"
        parts.append(f"SELECT {quoted} FROM {table}")
    if tables:
        source = f"read_parquet([{', '.join(map(_text, tables))}], union_by_name = true, hive_partitioning = false)"
        held = {name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        since = [f'"{name}"' if name in held or name not in _LATER else f'NULL AS "{name}"' for name in COLUMNS]
        parts.append(f"SELECT {', '.join(since)} FROM {source}")
    filled = ", ".join(f'coalesce("{name}", \'\') AS "{name}"' for name in _EMPTY)
    connection.execute(
        f"CREATE VIEW changes AS SELECT * REPLACE ({filled}), make_timestamp(time_ns // 1000) AS time"
        f" FROM ({' UNION ALL BY NAME '.join(parts)}) WHERE action <> 'seal' OR (action = 'seal' AND seq IS NOT NULL)"
    )


def _begins_with_0_1_0(name: str) -> bool:
    """Return whether the first line of a log may be one of 0.1.0.

    To look for them in all lines would make each query a third slower.
    """
    if name.startswith("s3://"):
        return True
    for path in glob.glob(name, recursive=True):
        if os.path.isfile(path):
            try:
                with ChangeReader(path, on_error=lambda error: None) as reader:
                    line = next(reader, None)
            except OSError:  # DuckDB says what is wrong
                continue
            if line is not None and line.v == 0:
                return True
    return False


def _of_0_1_0() -> str:
    """Return the columns that lines of 0.1.0 have in ``extra``, as SQL.

    They are what the attributes of `pydatatracker.io.LogLine` are, values as text.
    """

    def extra(*names: str) -> str:
        found = ", ".join(f"json_extract_string(extra, '$.{name}')" for name in names)
        return f"coalesce({found}, NULL)"

    methods = ", ".join(map(_text, sorted(TAKEN_OUT)))
    is_removed = f"coalesce({extra('action')} = 'remove' OR {extra('method')} IN ({methods}), false)"
    before = (
        f"CASE WHEN {is_removed} THEN {extra('value', 'removed_items')}"
        f" WHEN json_exists(extra, '$.attribute_locked') THEN {extra('data_pre_change')}"
        f" ELSE {extra('removed_items')} END"
    )
    after = f"CASE WHEN NOT {is_removed} THEN {extra('init_data', 'value', 'return_value')} END"
    return ", ".join((
        *(f"coalesce({name}, {extra(name)}) AS {name}" for name in ("action", "method", "type")),
        "coalesce(time_ns, epoch_ns(TRY_CAST(created_time AS TIMESTAMP))) AS time_ns",
        f"CASE WHEN v IS NULL AND before IS NULL THEN to_json({before}) ELSE before END AS before",
        f"CASE WHEN v IS NULL AND after IS NULL THEN to_json({after}) ELSE after END AS after",
    ))  # fmt: skip


class StillRunning(KeyboardInterrupt):
    """Ctrl-C was pressed, but the query has not stopped.

    It waits for a disk, or for a bucket.
    """


def patiently(connection: Any, work: Callable[[], T]) -> T:
    """Return work(), which runs in a thread so that Ctrl-C stops a query.

    DuckDB itself may not notice Ctrl-C.

    :param connection: is interrupted; None if there is none yet.
    :raises KeyboardInterrupt: Ctrl-C was pressed, and the query has stopped.
    :raises StillRunning: it has not stopped within two seconds.
    """
    answer: list[T] = []
    error: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as wrong:
            error.append(wrong)
        finally:
            done.set()

    done = threading.Event()  # before Python 3.13 an interrupted join believes that the thread has ended
    threading.Thread(target=run, daemon=True).start()
    try:
        while not done.wait(0.5):  # Windows notices Ctrl-C only between two waits
            pass
    except KeyboardInterrupt:
        if connection is not None:
            connection.interrupt()
        if not done.wait(2):
            raise StillRunning from None
        raise
    if error:
        raise error[0]
    return answer[0]


def write_parquet(lines: bytes | Iterable[bytes], path: str | os.PathLike[str]) -> None:
    """Write JSON lines as a Parquet file with the columns of the table.

    The rows keep their order; the file is compressed with zstd. O(lines) in time; memory: at most a quarter of a
    gigabyte, for any number of lines. Raises ImportError without duckdb.

    :param lines: the bytes of all lines, or an iterable of lines with their newlines.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "lines.jsonl")
        count = longest = 0
        with open(source, "wb") as file:
            for line in lines.splitlines(keepends=True) if isinstance(lines, bytes) else lines:
                file.write(line)
                longest = max(longest, len(line))
                count += 1
        copy_to_parquet([Lines(source, os.fsdecode(path), count, longest)])


class Lines(NamedTuple):
    """A file of JSON lines that becomes a Parquet file."""

    source: str
    target: str
    number: int
    longest: int  # bytes of a line


def copy_to_parquet(files: Iterable[Lines]) -> None:
    """Write files of JSON lines as `write_parquet` does, one after the other.

    O(lines) in time; memory as there. What DuckDB does not hold in memory goes to the folder of the first source.

    :raises ImportError: duckdb is not installed.
    """
    connection: Any = None  # one for all: to make it takes longer than to write a small file
    try:
        for each in files:
            longest = max(each.longest, 1 << 20)
            if connection is None:
                connection = connect([each.source], longest=longest)
                connection.execute(f"SET temp_directory = {_text(os.path.dirname(each.source))}")
            else:
                connection.execute("DROP VIEW changes")
                _make_view(connection, [each.source], longest)
            is_wide = each.longest >= _WIDE
            connection.execute(f"SET threads = {1 if is_wide else 2}")
            connection.execute("RESET memory_limit" if is_wide else "SET memory_limit = '256MB'")
            # a group of rows is held in memory
            rows = min(122_880, max(2048, (32 << 20) * max(each.number, 1) // max(os.path.getsize(each.source), 1)))
            command = f"COPY (SELECT * FROM changes) TO {_text(each.target)} {PARQUET[:-1]}, ROW_GROUP_SIZE {rows})"
            patiently(connection, functools.partial(connection.execute, command))
    finally:
        if connection is not None:
            connection.close()


PARQUET: Final = "(FORMAT parquet, COMPRESSION zstd)"


def _text(text: str) -> str:
    # as a literal of SQL
    return "'" + text.replace("'", "''") + "'"
