"""SQL: the table of SqliteExporter in any database of SQLAlchemy Core."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from pydatatracker import _core, _forks
from pydatatracker.exporters.base import Exporter, delivery_for
from pydatatracker.exporters.secrets import clean, cleaned_errors, secrets_in
from pydatatracker.exporters.sink import Item, SinkRejected, SinkUnavailable
from pydatatracker.exporters.sqlite import new_database, row_of
from pydatatracker.io.files import MODE, check_mode

__all__ = ["SqlExporter", "SqlSink"]

_JSON = ("before", "after", "line")
_COLUMNS = ("id", "seq", "root", "time_ns", "action", "method", "type", "pointer", "actor", "transaction_id")


class SqlSink:
    """Insert batches into a table, one transaction each.

    A change that is delivered twice is one row.
    """

    def __init__(self, target: Any, table: str, mode: int | None = MODE) -> None:
        try:
            import sqlalchemy
            import sqlalchemy.dialects.postgresql  # these are imported by nothing else
            import sqlalchemy.dialects.sqlite
            import sqlalchemy.pool
        except ImportError:
            raise ImportError('SqlExporter needs sqlalchemy: pip install "pydatatracker[sql]"') from None
        self._sql: Any = sqlalchemy
        if isinstance(target, str):
            url, file = _placed(sqlalchemy.make_url(target))
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
        self._ready = False
        _forks.keep(self, _forks.FILES)

    def after_fork(self) -> None:
        """Leave the connections to the parent, and connect anew in the child."""
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

    def send(self, items: list[Item]) -> None:
        """Insert a batch.

        Raises SinkUnavailable if the database cannot be reached, SinkRejected for rows that it rejects.
        """
        with cleaned_errors(known=self.secrets):
            self._send(items)

    def _send(self, items: list[Item]) -> None:
        rows = [self._row(item) for item in items]
        try:
            with self._engine.begin() as connection:
                if not self._ready:
                    self._table.metadata.create_all(connection, checkfirst=True)
                self._insert(connection, rows)
            self._ready = True  # the table is committed
        except self._sql.exc.DataError as error:
            self._one_by_one(items, rows, error)
        except (self._sql.exc.SQLAlchemyError, OSError) as error:
            self._ready = False  # the table may have been dropped
            raise SinkUnavailable(f"{self.shown}: {_said(error)}") from None

    def _row(self, item: Item) -> dict[str, Any]:
        found = dict(zip((*_COLUMNS, *_JSON), row_of(item), strict=True))
        if self._engine.dialect.name == "postgresql":
            for name in _JSON:
                text = found[name]
                # jsonb accepts no NUL: it is spelled out
                found[name] = None if text is None else json.loads(text.replace("\\u0000", "\\\\u0000"))
        return {key: value.replace("\0", "\\0") if isinstance(value, str) else value for key, value in found.items()}

    def _insert(self, connection: Any, rows: list[dict[str, Any]]) -> None:
        # each database has its own syntax for skipping a row that exists
        name = self._engine.dialect.name
        sql = self._sql
        if name in ("postgresql", "sqlite"):
            insert = getattr(sql.dialects, name).insert
            connection.execute(insert(self._table).on_conflict_do_nothing(), rows)
        elif name in ("mysql", "mariadb"):
            connection.execute(sql.insert(self._table).prefix_with("IGNORE"), rows)
        else:
            keys = [(row["root"], row["seq"], row["id"]) for row in rows]
            c = self._table.c
            there = set(connection.execute(sql.select(c.root, c.seq, c.id).where(c.seq.in_([key[1] for key in keys]))))
            fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in {tuple(t) for t in there}}
            if fresh:
                connection.execute(sql.insert(self._table), list(fresh.values()))

    def _one_by_one(self, items: list[Item], rows: list[dict[str, Any]], error: Exception) -> None:
        refused = []
        for item, row in zip(items, rows, strict=True):
            try:
                with self._engine.begin() as connection:
                    self._table.metadata.create_all(connection, checkfirst=True)
                    self._insert(connection, [row])
            except self._sql.exc.DataError:
                refused.append(item)
            except (self._sql.exc.SQLAlchemyError, OSError) as failed:
                raise SinkUnavailable(f"{self.shown}: {_said(failed)}") from None
        if refused:
            raise SinkRejected(f"{self.shown}: {_said(error)}", refused)

    def close(self) -> None:
        """Close the connections; an engine that was passed in stays open."""
        if self._is_own:
            with contextlib.suppress(self._sql.exc.SQLAlchemyError):
                self._engine.dispose()


def _placed(url: Any) -> tuple[Any, str | None]:
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
    :param options: those of `Delivery`.
    :raises ValueError: a URL of SQLite in memory, which nobody could read. Pass an Engine with a StaticPool for that.
    """

    def __init__(
        self,
        target: Any,
        *,
        table: str = "changes",
        compact: bool = False,
        mode: int | str | None = MODE,
        **options: Any,
    ) -> None:
        with cleaned_errors(target):
            sink = SqlSink(target, table, check_mode(mode))
            options["mode"] = mode
            super().__init__(delivery_for(sink, f"SqlExporter({sink.shown!r})", True, options), compact=compact)
