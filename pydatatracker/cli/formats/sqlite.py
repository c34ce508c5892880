"""SQLite: the table that SqliteExporter writes."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydatatracker.cli.formats.lines import OnUnfit, Refused, converted, id_of, value_json
from pydatatracker.exporters.sqlite import INDEXES, INSERT, TABLE
from pydatatracker.io.line import LogLine

__all__ = ["into_sqlite", "is_database", "new_sqlite"]

T = TypeVar("T")


def is_database(path: str) -> bool:
    """Return whether path is an SQLite database, which is not overwritten."""
    try:
        if not os.path.isfile(path):  # to open a pipe would wait for a writer
            return False
        with open(path, "rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def into_sqlite(lines: Iterable[LogLine], path: str, on_unfit: OnUnfit) -> None:
    """Add lines to the table of SqliteExporter in a database.

    All lines are added or, if an error occurs, none. Raises Refused.
    """
    _insert(converted(lines, _sqlite_row, "sqlite", on_unfit), path, path, ())


def new_sqlite(lines: Iterable[LogLine], path: str, on_unfit: OnUnfit) -> None:
    """Write the table of SqliteExporter into an empty file.

    The file is useless if this raises Refused: it is written without a journal, which is faster.
    """
    rows = converted(lines, _sqlite_row, "sqlite", on_unfit)
    _insert(rows, path, "the database", ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"))


def _insert(changes: Iterable[tuple[Any, ...]], path: str, name: str, pragmas: Iterable[str]) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(TABLE)
                for rows in _batches(changes, 1000):
                    try:
                        connection.executemany(INSERT, rows)
                    except (UnicodeEncodeError, OverflowError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
                        connection.executemany(INSERT, [tuple(map(_storable, row)) for row in rows])
                for column in INDEXES:  # at the end: this takes half the time
                    connection.execute(f"CREATE INDEX IF NOT EXISTS changes_{column} ON changes ({column})")
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
    except sqlite3.Error as error:
        raise Refused(f"cannot write {name}: {error}") from error


def _sqlite_row(line: LogLine) -> tuple[Any, ...]:
    """Return the columns of a line, as `exporters.sqlite.row_of` does."""
    data = line.data
    get = data.get
    return (
        *(id_of(line), line.seq or 0, line.root, line.time_ns or 0, get("action"), get("method"), get("type")),
        *(get("pointer"), get("actor"), get("transaction")),
        *(value_json(data[name]) if name in data else None for name in ("before", "after")),
        line.raw.strip().decode("utf-8", "replace"),
    )


def _storable(value: Any) -> Any:
    """Return a value, or text if SQLite has no type for it.

    A line of another program may hold anything.
    """
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    if value is None or isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else value_json(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
