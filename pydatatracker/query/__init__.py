"""Logs as a table: SQL over JSONL and Parquet by DuckDB (extra ``query``).

The table is called ``changes``, a row a change; values, paths and what has no column type are JSON text.

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

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

__all__ = ["COLUMNS", "LONGEST", "StillRunning", "connect", "patiently", "write_parquet"]

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
    "context": "JSON",
    "transaction": "VARCHAR",
    "root": "VARCHAR",
    "tracked_item_uuid": "VARCHAR",
    "uuid": "VARCHAR",
    "pid": "BIGINT",
    "thread": "VARCHAR",
    "stack": "JSON",
    "extra": "JSON",
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
}
LONGEST: Final = 1 << 28  # bytes of a line at the most, as `pydatatracker.io` has it
_USUAL: Final = 1 << 24  # DuckDB makes a buffer of twice that a thread: room for the longest takes three times as long
_WIDE: Final = 1 << 23  # bytes of a line from which on memory is as that line needs it
_EMPTY: Final = ("actor", "pointer", "method", "type", "root", "uuid")  # left out of a line where they say nothing


def connect(sources: Iterable[str | os.PathLike[str]], database: str = ":memory:", *, longest: int = _USUAL) -> Any:
    """Return a DuckDB connection with the view ``changes`` over logs: JSONL (also .gz, .zst), Parquet, globs, s3://.

    Nothing is read before it is asked for, but that buckets are listed. Lines that cannot be read are passed over;
    ``pydatatracker verify`` names them. Beside the names of a line there is ``time``, a TIMESTAMP in UTC. ``s3://``
    is read through obstore (extra ``s3``), with the variables that AWS clients know: ``AWS_ENDPOINT_URL``,
    ``AWS_REGION``, ``AWS_ACCESS_KEY_ID`` ... A line longer than ``longest`` bytes is a duckdb.Error when it is met.

    Raises ImportError without a package, OSError for a bucket that cannot be read, duckdb.Error for what is not there.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError('queries need duckdb: pip install "pydatatracker[query]"') from None
    names = [os.fspath(source) for source in sources]
    if not names:
        raise ValueError("connect() needs a log at least")
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
            raise FileNotFoundError(f"{name}: there is no such object")
        found += matches
    return found


def _make_view(connection: Any, names: list[str], longest: int) -> None:
    parts = []
    lines = [name for name in names if not name.endswith(".parquet")]
    tables = [name for name in names if name.endswith(".parquet")]
    quoted = ", ".join(f'"{name}"' for name in COLUMNS)
    if lines:
        fields = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in COLUMNS.items())
        parts.append(
            f"SELECT {quoted} FROM read_json([{', '.join(map(_text, lines))}], format = 'newline_delimited',"
            f" columns = {{{fields}}}, ignore_errors = true, maximum_object_size = {longest})"
        )
    if tables:
        parts.append(f"SELECT {quoted} FROM read_parquet([{', '.join(map(_text, tables))}], union_by_name = true)")
    filled = ", ".join(f'coalesce("{name}", \'\') AS "{name}"' for name in _EMPTY)
    connection.execute(
        f"CREATE VIEW changes AS SELECT * REPLACE ({filled}), make_timestamp(time_ns // 1000) AS time"
        f" FROM ({' UNION ALL BY NAME '.join(parts)}) WHERE action IS NOT NULL"
    )


class StillRunning(KeyboardInterrupt):
    """Ctrl-C was pressed, and the query has not stopped: it waits for a disk, or for a bucket."""


def patiently(connection: Any, work: Callable[[], T]) -> T:
    """Return work(), done in a thread: Ctrl-C, which DuckDB alone may not hear, stops what connection does.

    ``connection`` is None where there is none yet. Raises KeyboardInterrupt when the query has stopped, StillRunning
    if it has not in two seconds.
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

    done = threading.Event()  # a join that is interrupted believes, before Python 3.13, that the thread has ended
    threading.Thread(target=run, daemon=True).start()
    try:
        while not done.wait(0.5):  # Windows hears Ctrl-C only between two waits
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
    """Write JSON lines, one text or each with its newline, as a Parquet file (zstd) with the columns of the table.

    The rows keep their order. O(lines) in time; memory: a quarter of a gigabyte at the most, whatever the number of
    lines. Raises ImportError without duckdb.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "lines.jsonl")
        count = longest = size = 0
        with open(source, "wb") as file:
            for line in lines.splitlines(keepends=True) if isinstance(lines, bytes) else lines:
                file.write(line)
                longest = max(longest, len(line))
                count += 1
            size = file.tell()
        rows = min(122_880, max(2048, (32 << 20) * max(count, 1) // max(size, 1)))  # a group of rows is held as a whole
        with connect([source], longest=max(longest, 1 << 20)) as connection:
            connection.execute(f"SET temp_directory = {_text(folder)}")
            connection.execute(f"SET threads = {2 if longest < _WIDE else 1}")
            if longest < _WIDE:
                connection.execute("SET memory_limit = '256MB'")
            command = f"COPY (SELECT * FROM changes) TO {_text(os.fspath(path))} {PARQUET[:-1]}, ROW_GROUP_SIZE {rows})"
            patiently(connection, lambda: connection.execute(command))


PARQUET: Final = "(FORMAT parquet, COMPRESSION zstd)"


def _text(text: str) -> str:
    # as SQL has it
    return "'" + text.replace("'", "''") + "'"
