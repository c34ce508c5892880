"""SQL: the table of SqliteExporter in any database of SQLAlchemy Core."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from pydatatracker import _core, _forks
from pydatatracker.exporters.base import Exporter, delivery_for
from pydatatracker.exporters.sealing import key_of
from pydatatracker.exporters.secrets import clean, cleaned_errors, secrets_in
from pydatatracker.exporters.sink import Item, SinkRejected, SinkUnavailable, is_within
from pydatatracker.exporters.sqlite import new_database, row_of
from pydatatracker.exporters.table_seals import FOREIGN, RECENT, Row, TableSeals, seals_of
from pydatatracker.io.files import MODE, check_mode
from pydatatracker.io.seals import EVERY, SealError

__all__ = ["SqlExporter", "SqlSink", "placed"]

_JSON = ("before", "after", "line")
_COLUMNS = ("id", "seq", "root", "time_ns", "action", "method", "type", "pointer", "actor", "transaction_id")


class SqlSink:
    """Insert batches into a table, one transaction each.

    A change that is delivered twice is one row.

    :param seals: what seals the rows.
    """

    def __init__(self, target: Any, table: str, mode: int | None = MODE, seals: TableSeals | None = None) -> None:
        try:
            import sqlalchemy
            import sqlalchemy.dialects.postgresql  # these are imported by nothing else
            import sqlalchemy.dialects.sqlite
            import sqlalchemy.pool
        except ImportError:
            raise ImportError('SqlExporter needs sqlalchemy: pip install "pydatatracker[sql]"') from None
        self._sql: Any = sqlalchemy
        if isinstance(target, str):
            url, file = placed(sqlalchemy.make_url(target))
            # some dialects have a pool of their own for databases in memory, which takes other arguments
            pool = {"poolclass": sqlalchemy.pool.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
            self._engine: Any = sqlalchemy.create_engine(url, **pool)
            self._is_own = True
            if file is not None:
                new_database(file, mode, "SqlExporter")
        elif hasattr(target, "begin") and hasattr(target, "dialect"):
            self._engine, self._is_own = target, False
        else:
            raise TypeError(f"SqlExporter needs a URL or a SQLAlchemy Engine, not {type(target).__name__}")
        url = self._engine.url
        whole = url.render_as_string(hide_password=False)
        self.secrets = secrets_in(whole, dict(url.query), {"password": url.password})
        self.shown = clean(url.render_as_string(hide_password=True), self.secrets)
        self._table = self._make_table(table)
        self._seals = seals
        self._seal_table: Any = None if seals is None else self._make_seal_table(seals_of(table))
        self._lock = threading.RLock()
        self._ready = False
        self._is_sealable = seals is None
        self.report: Callable[[str, BaseException | None], object] | None = None
        if seals is not None and url.get_backend_name() == "sqlite":
            self._check_file()
        _forks.keep(self, _forks.FILES)

    def after_fork(self) -> None:
        """Leave the connections to the parent, and connect anew in the child."""
        self._lock = threading.RLock()
        if self._seals is not None:
            self._seals.forget()
        _core.never_free(getattr(self._engine, "pool", None))  # a driver may close what it frees
        self._engine.dispose(close=False)

    def _make_table(self, name: str) -> Any:
        sql = self._sql
        text, big = sql.Text(), sql.BigInteger()
        data = sql.Text().with_variant(sql.dialects.postgresql.JSONB(), "postgresql")
        short = sql.String(80)  # columns of a key need a length in MySQL
        return sql.Table(
            name,
            sql.MetaData(),
            sql.Column("root", short, primary_key=True),
            sql.Column("seq", big, primary_key=True, autoincrement=False),
            sql.Column("id", short, primary_key=True),
            sql.Column("time_ns", big, nullable=False, index=True),
            *(sql.Column(column, sql.String(40)) for column in ("action", "method")),
            sql.Column("type", text),
            sql.Column("pointer", text),
            sql.Column("actor", sql.String(255), index=True),
            sql.Column("transaction_id", short),
            *(sql.Column(column, data, nullable=column != "line") for column in _JSON),
        )

    def _make_seal_table(self, name: str) -> Any:
        from sqlalchemy.dialects.mysql import LONGTEXT

        sql = self._sql
        big = sql.BigInteger()
        text = sql.UnicodeText().with_variant(LONGTEXT(), "mysql", "mariadb")
        return sql.Table(
            name,
            self._table.metadata,
            sql.Column("id", big.with_variant(sql.Integer(), "sqlite"), primary_key=True, autoincrement=True),
            sql.Column("chain", sql.String(16), nullable=False),
            sql.Column("number", big, nullable=False),
            sql.Column("line", text, nullable=False),
            sql.UniqueConstraint("chain", "number"),
            mysql_charset="utf8mb4",
        )

    def _check_file(self) -> None:
        """Raise SealError now if a table of a file cannot be sealed."""
        try:
            with self._engine.begin() as connection:
                self._prepare(connection)
        except (self._sql.exc.SQLAlchemyError, OSError):  # the first batch says what is wrong
            return
        except SealError:
            if self._is_own:
                self._engine.dispose()
            raise

    def _prepare(self, connection: Any) -> None:
        """Create the tables if there are none.

        Raises SealError if there are rows, and none has a seal.
        """
        if not self._is_sealable:
            changes, seals = (self._table, "seq"), (self._seal_table, "number")
            is_foreign = not self._has_rows(connection, *seals) and self._has_rows(connection, *changes)
            # a second look: another process may have inserted the first rows of both meanwhile
            if is_foreign and not self._has_rows(connection, *seals):
                raise SealError(f"the table {self._table.name} of {self.shown} {FOREIGN}")
        self._table.metadata.create_all(connection, checkfirst=True)

    def _has_rows(self, connection: Any, table: Any, column: str) -> bool:
        if not self._sql.inspect(connection).has_table(table.name):
            return False
        return connection.execute(self._sql.select(table.c[column]).limit(1)).first() is not None

    def send(self, items: list[Item]) -> None:
        """Insert a batch.

        Raises SinkUnavailable if the database cannot be reached, SinkRejected for rows that it rejects.
        """
        with cleaned_errors(known=self.secrets), self._lock:
            self._check_alone(is_within(self, SqlSink.send.__code__, SqlSink.write_root.__code__))
            self._send(items)

    def _check_alone(self, is_between: bool) -> None:
        if is_between:
            raise SinkUnavailable(f"{self.shown}: a signal handler came between the same thread's last rows")

    def _send(self, items: list[Item]) -> None:
        rows = [self._row(item) for item in items]
        try:
            self._write(items, rows)
        except self._sql.exc.DataError as error:
            self._one_by_one(items, rows, error)
        except SealError as error:
            raise SinkUnavailable(str(error)) from None
        except (self._sql.exc.SQLAlchemyError, OSError) as error:
            self._ready = False  # the table may have been dropped
            raise SinkUnavailable(f"{self.shown}: {_said(error)}") from None

    def _write(self, items: list[Item], rows: list[dict[str, Any]]) -> None:
        """Insert rows, and what seals them, in one transaction."""
        made: list[Row] = []
        with self._engine.begin() as connection:
            if not self._ready or not self._is_sealable:
                self._prepare(connection)
            self._insert(connection, self._table, rows)
            if self._seals is not None:  # after what the database may reject
                ids, lines = tuple(item.id for item in items), [item.line for item in items]
                made = self._seals.rows(ids, lines, lambda: self._recent(connection))
                self._insert_seals(connection, made)
        self._ready = self._is_sealable = True  # the tables are committed
        if self._seals is not None:
            self._seals.done(made)

    def _insert_seals(self, connection: Any, rows: list[Row]) -> None:
        self._insert(connection, self._seal_table, [row._asdict() for row in rows])

    def _recent(self, connection: Any) -> list[str]:
        c = self._seal_table.c
        found = connection.execute(self._sql.select(c.line).order_by(c.id.desc()).limit(RECENT))
        return [line for (line,) in found if isinstance(line, str)]

    def write_root(self) -> str:
        """Insert a root of the last rows; return the last root.

        O(lines since the one before). Raises SinkUnavailable.
        """
        seals = self._seals
        if seals is None:
            raise ValueError("only a log with seal=True has roots")
        with cleaned_errors(known=self.secrets), self._lock:
            self._check_alone(is_within(self, SqlSink.send.__code__, SqlSink.write_root.__code__))
            if seals.needs_root:
                try:
                    with self._engine.begin() as connection:
                        made = seals.root_rows(lambda: self._recent(connection))
                        self._insert_seals(connection, made)
                    seals.done(made)
                except (self._sql.exc.SQLAlchemyError, OSError) as error:
                    raise SinkUnavailable(f"{self.shown}: {_said(error)}") from None
            return seals.root

    def _row(self, item: Item) -> dict[str, Any]:
        found = dict(zip((*_COLUMNS, *_JSON), row_of(item), strict=True))
        if self._engine.dialect.name == "postgresql":
            for name in _JSON:
                text = found[name]
                # jsonb accepts no NUL: it is spelled out
                found[name] = None if text is None else json.loads(text.replace("\\u0000", "\\\\u0000"))
        return {key: value.replace("\0", "\\0") if isinstance(value, str) else value for key, value in found.items()}

    def _insert(self, connection: Any, table: Any, rows: list[dict[str, Any]]) -> None:
        # each database has its own syntax for skipping a row that exists
        name = self._engine.dialect.name
        sql = self._sql
        if name in ("postgresql", "sqlite"):
            insert = getattr(sql.dialects, name).insert
            connection.execute(insert(table).on_conflict_do_nothing(), rows)
        elif name in ("mysql", "mariadb"):
            connection.execute(sql.insert(table).prefix_with("IGNORE"), rows)
        else:
            first, *others = ("seq", "root", "id") if table is self._table else ("number", "chain")
            columns = [table.c[column] for column in (first, *others)]
            keys = [(row[first], *(row[column] for column in others)) for row in rows]
            there = set(connection.execute(sql.select(*columns).where(columns[0].in_([key[0] for key in keys]))))
            fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in {tuple(t) for t in there}}
            if fresh:
                connection.execute(sql.insert(table), list(fresh.values()))

    def _one_by_one(self, items: list[Item], rows: list[dict[str, Any]], error: Exception) -> None:
        refused = []
        for item, row in zip(items, rows, strict=True):
            try:
                self._write([item], [row])
            except self._sql.exc.DataError:
                refused.append(item)
            except (self._sql.exc.SQLAlchemyError, OSError, SealError) as failed:
                raise SinkUnavailable(f"{self.shown}: {_said(failed)}") from None
        if refused:
            raise SinkRejected(f"{self.shown}: {_said(error)}", refused)

    def close(self) -> None:
        """Close the connections; an engine that was passed in stays open."""
        if self._seals is not None:
            try:
                self.write_root()
            except Exception as error:  # the rows are there, without a root
                if self.report is not None:
                    self.report(f"the last rows of {self.shown} have no root: {error}", error)
        if self._is_own:
            with contextlib.suppress(self._sql.exc.SQLAlchemyError):
                self._engine.dispose()


def placed(url: Any) -> tuple[Any, str | None]:
    """Return a URL and the database file that it names.

    A URL of SQLite is returned with a full path. The file is None if it is not one that is made here: for another
    database, or one in memory that the process shares.
    """
    if url.get_backend_name() != "sqlite":
        return url, None
    path = url.database or ""
    if str(url.query.get("uri", "")).lower() not in ("true", "1", "yes", "on", "y", "t"):
        return url, path
    address, _, query = path.removeprefix("file:").partition("?")  # SQLite's own kind of URL
    options = {**parse_qs(query), **{key: [value] for key, value in url.query.items()}}
    path = unquote(address.removeprefix("//localhost"))
    path = path[2:] if path.startswith("///") else path
    if path in ("", ":memory:") or "memory" in options.get("mode", ()):
        return url, None if "shared" in options.get("cache", ()) else ""
    full = os.path.abspath(path)  # the program may change its folder later
    return url.set(database="file:" + quote(full) + (f"?{query}" if query else "")), full


def _said(error: BaseException) -> str:
    # without the statement and its values
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"


class SqlExporter(Exporter):
    """Insert every change into a table of a database.

    From a thread, in batches. A missing table is created with the columns of `SqliteExporter`; in PostgreSQL before,
    after and line are jsonb. A change that is delivered twice is one row. Needs the extra ``sql`` and the driver of the
    database.

    :param target: a URL of SQLAlchemy (``postgresql+psycopg://user@host/db``, ``sqlite:///changes.db``), or an Engine
        of your own.
    :param table: its name.
    :param mode: permissions of new files, that of an SQLite URL included: ``0o640``, or ``"0640"``; None: as the umask
        says. By default only the owner may read them. What an Engine of your own creates is yours to decide.
    :param seal: seal every row, in a table named as ``table`` with ``_seals`` behind; ``seal_key`` and ``seal_every``
        are as those of `JsonLinesExporter` (docs/sealed-logs.md). Rows are not inserted, and tried again, while the
        table has others without seals.
    :param options: those of `Delivery`.
    :raises ValueError: a URL of SQLite in memory, which nobody could read. Pass an Engine with a StaticPool for that.
        SealError: a table of SQLite is to be sealed, and has rows without seals.
    """

    def __init__(
        self,
        target: Any,
        *,
        table: str = "changes",
        compact: bool = False,
        mode: int | str | None = MODE,
        seal: bool = False,
        seal_key: Any = None,
        seal_every: int = EVERY,
        **options: Any,
    ) -> None:
        key = key_of(seal, seal_key, seal_every)
        with cleaned_errors(target):
            sink = SqlSink(target, table, check_mode(mode), TableSeals(key, seal_every) if seal else None)
            options["mode"] = mode
            delivery = delivery_for(sink, f"SqlExporter({sink.shown!r})", True, options)
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
            raise TimeoutError(f"not everything was inserted into {self._sink.shown}: {self.stats().last_error}")
        return self._sink.write_root()
