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
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["COLUMNS", "connect", "write_parquet"]

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
_EMPTY: Final = ("actor", "pointer", "method", "type", "root", "uuid")  # left out of a line where they say nothing


def connect(sources: Iterable[str | os.PathLike[str]], database: str = ":memory:") -> Any:
    """Return a DuckDB connection with the view ``changes`` over logs: JSONL (also .gz, .zst), Parquet, globs, s3://.

    Nothing is read before it is asked for. Lines that cannot be read are passed over; ``pydatatracker verify`` names
    them. Beside the names of a line there is ``time``, a TIMESTAMP in UTC. Raises ImportError without duckdb, and
    duckdb.Error for what is not there.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError('queries need duckdb: pip install "pydatatracker[query]"') from None
    names = [os.fspath(source) for source in sources]
    if not names:
        raise ValueError("connect() needs a log at least")
    connection = duckdb.connect(database)
    parts = []
    lines = [name for name in names if not name.endswith(".parquet")]
    tables = [name for name in names if name.endswith(".parquet")]
    quoted = ", ".join(f'"{name}"' for name in COLUMNS)
    if lines:
        fields = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in COLUMNS.items())
        parts.append(
            f"SELECT {quoted} FROM read_json([{', '.join(map(_text, lines))}], format = 'newline_delimited',"
            f" columns = {{{fields}}}, ignore_errors = true, maximum_object_size = 268435456)"
        )
    if tables:
        parts.append(f"SELECT {quoted} FROM read_parquet([{', '.join(map(_text, tables))}], union_by_name = true)")
    filled = ", ".join(f'coalesce("{name}", \'\') AS "{name}"' for name in _EMPTY)
    connection.execute(
        f"CREATE VIEW changes AS SELECT * REPLACE ({filled}), make_timestamp(time_ns // 1000) AS time"
        f" FROM ({' UNION ALL BY NAME '.join(parts)}) WHERE action IS NOT NULL"
    )
    return connection


def write_parquet(lines: bytes, path: str | os.PathLike[str]) -> None:
    """Write JSON lines as a Parquet file (zstd), with the columns of the table. O(lines).

    Raises ImportError without duckdb.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "lines.jsonl")
        with open(source, "wb") as file:
            file.write(lines)
        with connect([source]) as connection:
            connection.execute(f"COPY (SELECT * FROM changes ORDER BY seq) TO {_text(os.fspath(path))} {PARQUET}")


PARQUET: Final = "(FORMAT parquet, COMPRESSION zstd)"


def _text(text: str) -> str:
    # as SQL has it
    return "'" + text.replace("'", "''") + "'"
