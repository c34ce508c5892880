"""Reading a sealed table: its lines, and whether the rows are as they say."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import json
import os
import sqlite3
from collections.abc import Iterator
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Final, Self

from pydatatracker.exporters.secrets import clean, cleaned_errors, secrets_in
from pydatatracker.exporters.table_seals import seals_of
from pydatatracker.io.seals import SealError, is_seal_line, mark_of

__all__ = ["SealedTable"]

_PLAIN: Final = ("id", "seq", "root", "time_ns", "action", "method", "type", "pointer", "actor", "transaction_id")
_JSON: Final = ("before", "after", "line")
_IN_LINE: Final = {"id": "uuid", "transaction_id": "transaction"}
_EXACT: Final = Context(prec=20_000, Emax=MAX_EMAX, Emin=MIN_EMIN)
_BITS: Final = 32  # of the number of a chain
_NAMED: Final = 1000  # rows that are named one by one
_SQLITE: Final = b"SQLite format 3\0"


class SealedTable:
    """A table that an exporter has sealed, for `check_seals`.

    Everything is read in one transaction, where the database can do that: others may write meanwhile. A file of SQLite
    is only read. Memory: about 400 bytes per row.

    :param target: the path of an SQLite file, a URL of SQLAlchemy or an Engine.
    :param table: the name of the table of changes.
    :raises OSError: there is no such file. SealError: the database or its table cannot be read.
    :raises ImportError: it is a URL, and SQLAlchemy is not installed (extra ``sql``).

    >>> import os, tempfile
    >>> from pydatatracker import TrackedDict
    >>> from pydatatracker.exporters import SqliteExporter
    >>> from pydatatracker.io.seal_check import check_seals
    >>> path = os.path.join(tempfile.mkdtemp(), "changes.db")
    >>> d = TrackedDict()
    >>> with SqliteExporter(path, seal=True) as exporter:
    ...     d.tracking_add_observer(exporter)
    ...     d["port"] = 80
    >>> with SealedTable(path) as table:
    ...     check_seals(table).faults
    []
    """

    def __init__(self, target: Any, *, table: str = "changes") -> None:
        self._rows: dict[bytes, int] = {}  # what a row has to be -> number and chain of the last line that says so
        self._chains: dict[str, int] = {}
        self._counts: dict[bytes, int] = {}  # lines that say the same, where there are several
        self._table = table
        self._database: _File | _Server
        if isinstance(target, (str, os.PathLike)) and "://" not in os.fspath(target):
            self._database = _File(os.fspath(target), table)
        else:
            with cleaned_errors(target):
                self._database = _opened(target, table)
        self.name = self._database.name
        self.takes_turns = self._database.is_sqlite

    @staticmethod
    def is_one(name: str) -> bool:
        """Return whether a name is a URL, or an SQLite file. O(1)."""
        if "://" in name and not os.path.exists(name):
            return True
        try:
            if not os.path.isfile(name):  # to open a pipe would wait for a writer
                return False
            with open(name, "rb") as file:
                return file.read(16) == _SQLITE
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; an Engine that was passed in stays open."""
        self._database.close()

    def sealed(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield chain, number and line of the rows of seals, in their order.

        A row that says another chain or number than its line comes where its line belongs.
        """
        moved = [row for row in self._database.seals() if _is_moved(row)]
        placed: Any = self._database.seals()
        if moved:
            placed = heapq.merge((row for row in placed if not _is_moved(row)), sorted(moved, key=_place), key=_place)
        for chain, number, text in placed:
            raw = _bytes(text) + b"\n"
            if not is_seal_line(raw):
                line = _without_seal(raw)
                if self._database.is_jsonb:  # which has no NUL
                    line = line.replace(b"\\u0000", b"\\\\u0000")
                digest = self._digest(line)
                if digest in self._rows:
                    self._counts[digest] = self._counts.get(digest, 1) + 1
                place = self._chains.setdefault(str(chain), len(self._chains))
                self._rows[digest] = (number if isinstance(number, int) else 0) << _BITS | place
            yield str(chain), number if isinstance(number, int) and 0 <= number < 1 << 63 else 0, raw

    def differences(self) -> Iterator[str]:
        """Yield what is wrong with rows of the table of changes.

        O(rows).
        """
        seen: set[bytes] = set()
        ids: set[str] = set()  # of gaps
        changed: dict[tuple[Any, Any], str] = {}  # (root, seq) of rows with a line that is not sealed
        for row in self._database.changes():
            where = f"the row of {self._table} with root {row['root']!r}, seq {row['seq']} and id {row['id']!r}"
            digest = self._digest(_bytes(row["line"]))
            if row["action"] == "gap":
                ids.add(str(row["id"]))
            if digest not in self._rows:
                changed[row["root"], row["seq"]] = where
                if len(changed) >= _NAMED:
                    yield from self._said_changed(changed)
                    changed.clear()
                continue
            for column in self._differing(row):
                yield f"{where} was changed: its column {column} is not what its line says"
            if digest in seen:
                self._counts[digest] = self._counts.get(digest, 1) - 1
                if self._counts[digest] < 1:
                    yield f"{where} is there twice"
            seen.add(digest)
        chains = list(self._chains)
        for digest, place in self._rows.items():
            if digest in seen:
                continue
            chain, number = chains[place & ((1 << _BITS) - 1)], place >> _BITS
            line = _loaded(_without_seal(_bytes(self._database.seal(chain, number)) + b"\n"))
            if line.get("action") == "gap" and f"gap-{line.get('from')}-{line.get('to')}" in ids:
                continue  # another process had the same gap
            where = changed.pop((line.get("root", ""), line.get("seq", line.get("to"))), "")
            if where:
                yield f"{where} was changed: its line is not the one that is sealed"
            else:
                yield (
                    f"row {number} of the chain {chain} has no row in {self._table} any more (root"
                    f" {line.get('root', '')!r}, seq {line.get('seq', line.get('to'))}): it was removed"
                )
        yield from self._said_changed(changed)

    @staticmethod
    def _said_changed(rows: dict[tuple[Any, Any], str]) -> Iterator[str]:
        for where in rows.values():
            yield f"{where} has no seal: it was added or changed"

    def _digest(self, line: bytes) -> bytes:
        if self._database.is_jsonb:
            line = repr(_canonical(line)).encode("utf-8", "surrogateescape")
        return hashlib.sha256(line).digest()

    def _differing(self, row: dict[str, Any]) -> Iterator[str]:
        """Yield the columns that are not what the line of the row says."""
        line = _loaded(_bytes(row["line"]))
        is_gap = line.get("action") == "gap" and "seq" not in line
        if is_gap:
            said = {"id": f"gap-{line.get('from')}-{line.get('to')}", "seq": line.get("to"), "root": ""}
        for column in _PLAIN:
            name = _IN_LINE.get(column, column)
            if is_gap and column in ("id", "seq", "root"):
                expected = said[column]
            elif name not in line and column in ("id", "seq", "root", "time_ns"):
                continue  # a line without it does not say what it is
            else:
                expected = line.get(name)
            found = row[column]
            if isinstance(expected, str) and isinstance(found, str):
                expected, found = _shown(expected), _shown(found)
            if type(found) is not type(expected) or found != expected:
                yield column
        exact = _canonical(_bytes(row["line"]))
        for column in ("before", "after"):
            text = row[column]
            if self._database.is_jsonb and text == "null" and column not in exact:
                continue  # as SQLAlchemy writes None
            if (text is None) != (column not in exact) or (
                text is not None and repr(_canonical(_bytes(text), ...)) != repr(exact[column])
            ):
                yield column


class _File:
    """An SQLite file, read with the standard library."""

    is_sqlite = True
    is_jsonb = False

    def __init__(self, path: str, table: str) -> None:
        self.name = os.fspath(path)
        with open(path, "rb") as file:
            if file.read(16) != _SQLITE:
                raise SealError(f"{path} is not an SQLite database")
        self._table = _quoted(table)
        self._seals = _quoted(seals_of(table))
        address = "file:" + _escaped(os.path.abspath(path))
        try:
            try:
                self._connection = self._open(f"{address}?mode=ro")
            except sqlite3.OperationalError:  # a folder in which the other files of WAL mode cannot be created
                if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):
                    raise
                self._connection = self._open(f"{address}?immutable=1")
            names = {name for (name,) in self._read("SELECT name FROM sqlite_master")}
        except sqlite3.Error as error:
            raise SealError(f"cannot read {path}: {error}") from None
        for name in (table, seals_of(table)):
            if name not in names:
                self.close()
                raise SealError(f"{path} has no table {name}: it was not written with seal=True")

    def _open(self, address: str) -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise SealError(f"cannot read {self.name}: {error}") from None

    def seals(self) -> Iterator[tuple[Any, ...]]:
        return self._read(f"SELECT chain, number, line FROM {self._seals} ORDER BY chain, number")

    def seal(self, chain: str, number: int) -> Any:
        found = list(self._read(f"SELECT line FROM {self._seals} WHERE chain = ? AND number = ?", (chain, number)))
        return found[0][0] if found else ""

    def changes(self) -> Iterator[dict[str, Any]]:
        columns = (*_PLAIN, *_JSON)
        names = ", ".join(map(_quoted, columns))
        for row in self._read(f"SELECT {names} FROM {self._table}"):
            yield dict(zip(columns, row, strict=True))

    def close(self) -> None:
        self._connection.close()


class _Server:
    """A database of SQLAlchemy."""

    def __init__(self, engine: Any, is_own: bool, name: str, table: str) -> None:
        import sqlalchemy

        self._sql: Any = sqlalchemy
        self.name = name
        self._engine = engine
        self._is_own = is_own
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.is_jsonb = engine.dialect.name == "postgresql"
        metadata = self._sql.MetaData()
        columns = [self._sql.Column(column) for column in (*_PLAIN, *_JSON)]
        self._changes = self._sql.Table(table, metadata, *columns)
        own = (self._sql.Column(column) for column in ("chain", "number", "line"))
        self._seals = self._sql.Table(seals_of(table), metadata, *own)
        with self._errors():
            options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name in _SNAPSHOTS else {}
            self._connection = engine.connect().execution_options(stream_results=True, **options)
            there = set(sqlalchemy.inspect(self._connection).get_table_names())
        for name in (table, seals_of(table)):
            if name not in there:
                self.close()
                raise SealError(f"{self.name} has no table {name}: it was not written with seal=True")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (self._sql.exc.SQLAlchemyError, OSError) as error:
            original = getattr(error, "orig", None) or error
            text = str(original).splitlines()
            raise SealError(f"cannot read {self.name}: {text[0] if text else type(original).__name__}") from None

    def _read(self, query: Any) -> Iterator[Any]:
        with self._errors(), self._connection.execute(query) as result:
            yield from result

    def seals(self) -> Iterator[tuple[Any, ...]]:
        c = self._seals.c
        return self._read(self._sql.select(c.chain, c.number, c.line).order_by(c.chain, c.number))

    def seal(self, chain: str, number: int) -> Any:
        c = self._seals.c
        found = list(self._read(self._sql.select(c.line).where(c.chain == chain, c.number == number)))
        return found[0][0] if found else ""

    def changes(self) -> Iterator[dict[str, Any]]:
        sql, c = self._sql, self._changes.c
        texts = [sql.cast(c[name], sql.Text()).label(name) if self.is_jsonb else c[name] for name in _JSON]
        for row in self._read(sql.select(*(c[name] for name in _PLAIN), *texts)):
            yield dict(row._mapping)

    def close(self) -> None:
        with contextlib.suppress(self._sql.exc.SQLAlchemyError):
            self._connection.close()
            if self._is_own:
                self._engine.dispose()


_SNAPSHOTS: Final = ("postgresql", "mysql", "mariadb")


def _opened(target: Any, table: str) -> _File | _Server:
    try:
        import sqlalchemy
        import sqlalchemy.pool
    except ImportError:
        raise ImportError('a table in a database needs sqlalchemy: pip install "pydatatracker[sql]"') from None
    if hasattr(target, "connect") and hasattr(target, "dialect"):
        return _Server(target, False, target.url.render_as_string(hide_password=True), table)
    if not isinstance(target, str):
        raise TypeError(f"a sealed table is in a file, URL or SQLAlchemy Engine, not in a {type(target).__name__}")
    from pydatatracker.exporters.sql import placed

    try:
        url, file = placed(sqlalchemy.make_url(target))
        if file:
            return _File(file, table)  # an engine would create it
        engine: Any = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    except sqlalchemy.exc.ArgumentError as error:
        raise SealError(str(error)) from None
    secrets = secrets_in(url.render_as_string(hide_password=False), dict(url.query), {"password": url.password})
    return _Server(engine, True, clean(url.render_as_string(hide_password=True), secrets), table)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escaped(path: str) -> str:
    from urllib.parse import quote

    return quote(path.encode("utf-8", "surrogateescape"))


def _bytes(value: Any) -> bytes:
    """Return text as it was written, nothing for other values."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else b""


def _without_seal(raw: bytes) -> bytes:
    at = raw.rfind(b',"seal":"')
    return raw[:-1] if at < 0 else raw[:at] + b"}"


def _loaded(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if type(found) is dict else {}


def _shown(text: str) -> str:
    """Return text as it is in a database that has no NUL."""
    return text.replace("\0", "\\0").replace("\\u0000", "\\0")


def _number(text: str) -> Any:
    made = Decimal(text).normalize(_EXACT)
    return made if made else Decimal(0)


def _sorted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(dict(pairs).items()))


def _canonical(line: bytes, default: Any = {}) -> Any:  # noqa: B006
    """Return JSON, equal for the same data in any spelling.

    jsonb of PostgreSQL has its own order of keys and its own way to write numbers.
    """
    try:
        text = line.decode("utf-8", "surrogateescape")
        return json.loads(text, parse_int=_number, parse_float=_number, object_pairs_hook=_sorted)
    except (ValueError, RecursionError, ArithmeticError):
        return default


def _is_moved(row: tuple[Any, ...]) -> bool:
    """Return whether a row has the seal of another row."""
    mark = mark_of(_bytes(row[2]) + b"\n")
    return mark is not None and (mark.chain, mark.number) != (row[0], row[1])


def _place(row: tuple[Any, ...]) -> tuple[str, int]:
    """Return where a row belongs: by its seal, or else as it says."""
    mark = mark_of(_bytes(row[2]) + b"\n")
    if mark is not None:
        return mark.chain, mark.number
    return str(row[0]), row[1] if isinstance(row[1], int) else 0
