"""SQLite: changes as a table in a file, ready for queries."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from pydatatracker import _core, _forks
from pydatatracker.exporters.base import Exporter, delivery_for
from pydatatracker.exporters.retry import Deadline
from pydatatracker.exporters.sealing import key_of
from pydatatracker.exporters.sink import Item, SinkUnavailable, gap_item, is_within, wider_gap
from pydatatracker.exporters.table_seals import FOREIGN, RECENT, Row, TableSeals
from pydatatracker.io.files import MODE, check_mode, check_regular, ident_of, is_own, open_log, path_of
from pydatatracker.io.seals import EVERY, SealError

__all__ = ["INDEXES", "INSERT", "TABLE", "SqliteExporter", "SqliteSink", "new_database", "row_of"]

TABLE = """
CREATE TABLE IF NOT EXISTS changes (
    id TEXT NOT NULL, seq INTEGER NOT NULL, root TEXT NOT NULL, time_ns INTEGER NOT NULL, action TEXT, method TEXT,
    type TEXT, pointer TEXT, actor TEXT, transaction_id TEXT, before TEXT, after TEXT, line TEXT NOT NULL,
    PRIMARY KEY (root, seq, id)
) WITHOUT ROWID"""
_SEALS = """
CREATE TABLE IF NOT EXISTS changes_seals (
    id INTEGER PRIMARY KEY, chain TEXT NOT NULL, number INTEGER NOT NULL, line TEXT NOT NULL, UNIQUE (chain, number))"""
_RECENT = 64  # changes of which it is known whether they were inserted; one per thread is enough
INDEXES = ("pointer", "actor", "time_ns")
INSERT = "INSERT OR IGNORE INTO changes VALUES (" + ", ".join("?" * 13) + ")"
_INSERT_SEAL = "INSERT OR IGNORE INTO changes_seals (chain, number, line) VALUES (?, ?, ?)"


class SqliteSink:
    """Insert batches into a table, one transaction each.

    A change that is delivered twice is one row.

    :param sends_again: whether items that failed are sent again. If not, a ``gap`` row precedes the next one.
    :param seals: what seals the rows.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        timeout: float,
        mode: int | None = MODE,
        sends_again: bool = True,
        seals: TableSeals | None = None,
    ) -> None:
        self._seals = seals
        self._lock = threading.RLock()
        self._is_sealable = seals is None
        self.report: Callable[[str, BaseException | None], object] | None = None
        self._sends_again = sends_again
        self._written: collections.deque[int] = collections.deque(maxlen=_RECENT)  # the last changes
        self._lost: tuple[int, int, str] | None = None  # first and last change that are missing, and why
        self.path = new_database(path_of(path), mode, "SqliteExporter")
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None
        self._files: dict[int, tuple[int, int]] = {}  # descriptors of the connection, as far as they are known
        self._connect().close()  # a path that cannot be opened is an error now
        _forks.keep(self, _forks.FILES)
        if seals is not None:
            _sealing[id(self)] = weakref.ref(self)

    def after_fork(self) -> None:
        """Leave the connection to the parent.

        SQLite forbids to use it in the child, and to close it there.
        """
        self._lock = threading.RLock()
        if self._seals is not None:
            self._seals.forget()
        self._abandon()

    def _abandon(self) -> None:
        """Forget the connection without closing it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _core.never_free(connection)

    def _check(self) -> None:
        """Forget the connection if the program closed its files.

        SQLite does not look: it would write to files of the program that have the same numbers.
        """
        if not all(is_own(fd, ident) for fd, ident in self._files.items()):
            self._abandon()

    def _connect(self) -> sqlite3.Connection:
        before = _descriptors(self.path)
        connection = self._open()
        self._files = {fd: ident for fd, ident in _descriptors(self.path).items() if before.get(fd) != ident}
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        end = Deadline(self._timeout)
        while True:
            try:
                self._prepare(connection)
                return connection
            except sqlite3.OperationalError as error:
                # several processes create the file: SQLite does not wait for the change to WAL mode
                if "locked" not in str(error) or end.is_over:
                    connection.close()
                    raise
                time.sleep(0.01)
            except BaseException:
                connection.close()
                raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if not self._is_sealable:
            _check_sealable(connection, self.path)
        connection.execute(TABLE)
        for column in INDEXES:
            connection.execute(f"CREATE INDEX IF NOT EXISTS changes_{column} ON changes ({column})")
        if self._seals is not None:
            connection.execute(_SEALS)
            self._is_sealable = True

    def send(self, items: list[Item]) -> None:
        """Insert a batch.

        Raises SinkUnavailable while another process holds the file.
        """
        try:
            self._insert(items)
        except BaseException as error:
            if self._has(items[-1]) and not isinstance(error, SinkUnavailable):  # Ctrl-C, after it was inserted
                self._lost = None
                self._written.append(items[-1].seq)
            elif not self._sends_again:
                self._lost = wider_gap(
                    self._lost, items[0].seq, items[-1].seq, f"{type(error).__name__}: {error}"[:500]
                )
            raise

    def _has(self, item: Item) -> bool:
        if self._sends_again or self._connection is None:
            return False
        try:
            found = self._connection.execute(
                "SELECT 1 FROM changes WHERE root = ? AND seq = ? AND id = ?", (item.root, item.seq, item.id)
            )
            return found.fetchone() is not None
        except sqlite3.Error:
            return False

    def lose(self, seq: int, reason: str) -> bool:
        """Note that a change is missing; False if it was inserted after all. O(1)."""
        if seq in self._written:
            return False
        self._lost = wider_gap(self._lost, seq, seq, reason)
        return True

    def _insert(self, items: list[Item]) -> None:
        lost = self._lost
        if lost is not None:
            items = [gap_item(*lost), *items]
        with self._lock:
            self._write([row_of(item) for item in items], self._sealed, items)
            if items:
                self._written.append(items[-1].seq)
            if self._lost is lost:
                self._lost = None

    def _sealed(self, connection: sqlite3.Connection, items: list[Item]) -> list[Row]:
        if self._seals is None or not items:
            return []
        ids, lines = tuple(item.id for item in items), [item.line for item in items]
        return self._seals.rows(ids, lines, lambda: _recent(connection))

    def _root(self, connection: sqlite3.Connection, items: list[Item]) -> list[Row]:
        return [] if self._seals is None else self._seals.root_rows(lambda: _recent(connection))

    def _write(self, rows: list[tuple[Any, ...]], sealed: Callable[..., list[Row]], items: list[Item]) -> None:
        """Insert rows, and what seals them, in one transaction."""
        seals = self._seals
        try:
            if self._connection is not None:
                self._check()
            if self._connection is None:
                self._connection = self._connect()
            connection = self._connection
            if connection.in_transaction and is_within(self, SqliteSink._write.__code__):
                raise SinkUnavailable(f"{self.path}: a signal handler came between the same thread's last change")
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, rows)
                made = sealed(connection, items)
                if made:
                    connection.executemany(_INSERT_SEAL, made)
                connection.execute("COMMIT")
                if seals is not None:
                    seals.done(made)
            except BaseException:
                if connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error says more
                        connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise SinkUnavailable(f"{self.path}: {error}") from error

    def write_root(self) -> str:
        """Insert a root of the last rows; return the last root.

        O(lines since the one before). Raises SinkUnavailable.
        """
        if self._seals is None:
            raise ValueError("only a log with seal=True has roots")
        with self._lock:
            if self._seals.needs_root:
                self._write([], self._root, [])
            return self._seals.root

    def end(self) -> None:
        """Insert a root if one is due, at the end; never raises."""
        if self._seals is None:
            return
        try:
            self.write_root()
        except Exception as error:  # the rows are there, without a root
            if self.report is not None:
                self.report(f"the last rows of {self.path} have no root: {error}", error)

    def close(self) -> None:
        """Close the file."""
        if self._lost is not None and not self._sends_again:
            with contextlib.suppress(SinkUnavailable):  # it was reported when it was lost
                self._insert([])
        self.end()
        if self._connection is not None:
            self._check()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


# A plain dict can be copied at any moment, also in a child that was forked while another thread changed it.
_sealing: dict[int, weakref.ref[SqliteSink]] = {}


def _write_roots() -> None:
    """Insert the roots of databases that were not closed: at the end."""
    for number, reference in list(_sealing.items()):
        sink = reference()
        if sink is None or sink._connection is None:
            _sealing.pop(number, None)
        else:
            sink.end()


_forks.at_end(_write_roots)


def _recent(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT line FROM changes_seals ORDER BY id DESC LIMIT ?", (RECENT,))
    return [line for (line,) in found if isinstance(line, str)]


def _check_sealable(connection: sqlite3.Connection, path: str) -> None:
    """Raise SealError if the table has rows, and none has a seal. O(1)."""
    connection.execute("BEGIN")  # another process may create the tables meanwhile
    try:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        there = [
            name in names and connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is not None
            for name in ("changes", "changes_seals")
        ]
    finally:
        connection.execute("COMMIT")
    if there == [True, False]:
        raise SealError(f"the table changes of {path} {FOREIGN}")


def _descriptors(path: str) -> dict[int, tuple[int, int]]:
    """Return the open descriptors of a database, with their files.

    O(open files). The files by their identity. Empty where the system does not list them.
    """
    idents = set()
    for name in (path, f"{path}-wal", f"{path}-shm"):
        with contextlib.suppress(OSError):
            found = os.stat(name)
            idents.add((found.st_dev, found.st_ino))
    open_ones = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/dev/fd"):
            with contextlib.suppress(OSError, ValueError):  # the one of the list itself
                ident = ident_of(int(name))
                if ident in idents:
                    open_ones[int(name)] = ident
    return open_ones


def new_database(path: str, mode: int | None, name: str) -> str:
    """Create a database if there is none; return its full path.

    O(1). Its folders are created, too. SQLite gives its other files the same permissions.

    :raises ValueError: the database would be in memory, where nobody else could read it, or path is not a file.
    """
    if not path or path == ":memory:":
        raise ValueError(f"{name} needs a file: nobody could read a database in its memory")
    check_regular(path, "an SQLite database")
    full = os.path.abspath(path)  # the program may change its folder later
    os.makedirs(os.path.dirname(full), exist_ok=True)
    os.close(open_log(full, os.O_RDWR, mode))
    return full


def row_of(item: Item) -> tuple[Any, ...]:
    """Return the columns of a change, in the order of the table.

    O(size of the line).
    """
    line = json.loads(item.line)
    values = (json.dumps(line[name], ensure_ascii=False) if name in line else None for name in ("before", "after"))
    return (
        item.id,
        item.seq,
        item.root,
        item.time_ns,
        *(line.get(name) for name in ("action", "method", "type", "pointer", "actor", "transaction")),
        *values,
        item.line.decode(),
    )


class SqliteExporter(Exporter):
    """Insert every change into the table ``changes`` of an SQLite file.

    From a thread, in batches. Columns: id, seq, root, time_ns, action, method, type, pointer, actor, transaction_id,
    before, after (JSON), line (the whole change). Several processes may write (the file is in WAL mode); a change that
    is delivered twice is one row. ``background=False`` inserts synchronously. ``mode`` are the permissions of a new
    file, by default ``0o600``. All other options are those of `Delivery`. Needs only the standard library. Raises
    ValueError if the path is not a file: nobody could read ``":memory:"``.

    ``seal=True`` seals every row, in the table ``changes_seals``, and ``seal_key`` and ``seal_every`` are as those of
    `JsonLinesExporter`. Raises SealError if the table has rows without seals (docs/sealed-logs.md).

    >>> import os, sqlite3, tempfile
    >>> from pydatatracker import TrackedDict
    >>> path = os.path.join(tempfile.mkdtemp(), "changes.db")
    >>> d = TrackedDict()
    >>> with SqliteExporter(path) as exporter:
    ...     d.tracking_add_observer(exporter)
    ...     d["port"] = 80
    >>> connection = sqlite3.connect(path)
    >>> connection.execute("SELECT pointer, after FROM changes").fetchall()
    [('/port', '80')]
    >>> connection.close()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = 5.0,
        compact: bool = False,
        background: bool = True,
        mode: int | str | None = MODE,
        seal: bool = False,
        seal_key: Any = None,
        seal_every: int = EVERY,
        **options: Any,
    ) -> None:
        key = key_of(seal, seal_key, seal_every)
        seals = TableSeals(key, seal_every) if seal else None
        sink = SqliteSink(path, timeout, check_mode(mode), background, seals)
        if background:
            options["mode"] = mode
        delivery = delivery_for(sink, f"SqliteExporter({sink.path!r})", background, options)
        sink.report = delivery._tally.report
        self._sink = sink
        super().__init__(delivery, compact=compact)

    def write_root(self, timeout: float | None = None) -> str:
        """Insert a root for the rows since the last one; return it in hex.

        O(rows since then). Keep it elsewhere: with it, ``pydatatracker verify --seal --root`` finds that the last rows
        were deleted. "" if no row was inserted.

        :param timeout: seconds to wait until what waits is inserted.
        :raises ValueError: the table has no seals. TimeoutError: not everything was inserted in time. SinkUnavailable:
            the database cannot be written.
        """
        if not self.flush(timeout):
            raise TimeoutError(f"not everything was inserted into {self._sink.path}: {self.stats().last_error}")
        return self._sink.write_root()
