"""``pydatatracker convert`` and ``query``: logs in other forms, and as a table."""

from __future__ import annotations

import contextlib
import csv
import functools
import hashlib
import itertools
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring
from typing import IO, Any, Final, TextIO, TypeVar

import msgspec

from pydatatracker.cli.terminal import cells, clean, cut, escaped, json_text, pad, short
from pydatatracker.io.line import LogLine
from pydatatracker.report.data import exact

__all__ = ["COLUMNS", "Refused", "into_sqlite", "is_database", "is_text", "to_file", "to_stream", "write_rows"]
__all__ += ["write_table"]

COLUMNS: Final = (
    *("seq", "created_time", "actor", "action", "pointer", "before", "after", "method", "type", "transaction", "root"),
    *("tracked_item_uuid", "uuid", "pid", "thread", "details", "context"),
)
Told = Callable[[LogLine, str], object]
Write = Callable[[bytes], object]
T = TypeVar("T")

# What a form may say to a line that is not as this version writes it.
_UNFIT: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_PLAIN_TEXTS: Final = (
    *("action", "method", "type", "pointer", "actor", "transaction", "root", "tracked_item_uuid", "uuid", "thread"),
    *("trace_id", "span_id"),
)
_PLAIN_NUMBERS: Final = ("seq", "time_ns", "pid")
_INT64: Final = 1 << 63
_LONE: Final = re.compile("[\ud800-\udfff]")
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Refused(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def is_text(form: str) -> bool:
    """Return whether a form can go to standard output."""
    return form not in ("parquet", "sqlite")


def to_file(lines: Iterable[LogLine], name: str, form: str, told: Told) -> None:
    """Write lines in a form into a file that is new or may be written over. One pass, memory for a batch.

    ``told`` hears of each change that the form cannot say. Raises ImportError without duckdb (Parquet), and Refused.
    """
    if form == "parquet":
        from pydatatracker.query import write_parquet

        write_parquet(_made(lines, lambda line: _typed(line) + b"\n", form, told), name)
    elif form == "sqlite":
        _new_sqlite(lines, name, told)
    else:
        with open(name, "wb", buffering=1 << 18) as file:
            _TEXTS[form](lines, file.write, told)


def to_stream(lines: Iterable[LogLine], out: TextIO, form: str, told: Told) -> None:
    """Write lines in a form of text to standard output, as `to_file` does; control characters are spelled out."""
    if form == "csv":
        _to_csv(lines, _writer_to(out), told, printable=True)
    else:
        _TEXTS[form](lines, _writer_to(out), told)
    _flush(out)


def _made(lines: Iterable[LogLine], make: Callable[[LogLine], T], form: str, told: Told) -> Iterator[T]:
    """Yield what is made of each line; a line of which nothing can be made is told."""
    for line in lines:
        try:
            made = make(line)
        except _UNFIT as error:
            told(line, f"cannot be written as {form} ({type(error).__name__}: {error})")
        else:
            yield made


def _writer_to(out: TextIO) -> Write:
    """Return what writes UTF-8 to standard output, whatever its encoding; to a terminal only what can be printed."""
    if not out.isatty():
        out.flush()
        return out.buffer.write

    def shown(text: bytes) -> object:
        lines = text.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        return out.write("\n".join(map(clean, lines)))

    return shown


def _flush(out: TextIO) -> None:
    out.flush()
    out.buffer.flush()


def _to_csv(lines: Iterable[LogLine], write: Write, told: Told, printable: bool = False) -> None:
    """Write a row a change (RFC 4180); values as JSON. What changed at once in several places stands in ``details``.

    Text that a spreadsheet would take for a formula gets a quote in front of it, as OWASP advises. ``printable``:
    control characters but newlines are spelled out.
    """
    writer = csv.writer(_Encoded(write))
    writer.writerow(COLUMNS)
    rows = _made(lines, lambda line: _csv_row(line.data), "csv", told)
    writer.writerows((map(_seen, row) for row in rows) if printable else rows)


def _seen(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), value)


class _Encoded:
    # what csv writes to
    __slots__ = ("_write",)

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, text: str) -> object:
        return self._write(text.encode("utf-8", "backslashreplace"))


def _csv_row(data: dict[str, Any]) -> list[Any]:
    details = {name: data[name] for name in ("splice", "order", "changes") if name in data}
    get = data.get
    row: list[Any] = [
        *(get("seq"), get("created_time"), get("actor"), get("action"), get("pointer")),
        *(escaped(_json(data[name])) if name in data else None for name in ("before", "after")),
        *(get("method"), get("type"), get("transaction"), get("root"), get("tracked_item_uuid"), get("uuid")),
        *(get("pid"), get("thread"), details or None, get("context")),
    ]
    for n, value in enumerate(row):
        kind = type(value)
        if (kind is str and value[:1] in _FORMULA) or kind is dict or kind is list:
            row[n] = _cell(value)
    return row


_FORMULA: Final = frozenset("=+-@\t\r")


def _json(value: Any) -> str:
    """Return json.dumps(value, ensure_ascii=False), sooner where value is text or a whole number."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    return str(value) if kind is int else json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        value = json_text(value) if value else None
    if isinstance(value, str) and value[:1] in _FORMULA:
        return "'" + value if not _is_number(value) else value
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _to_format(lines: Iterable[LogLine], write: Write, told: Told, form: str) -> None:
    """Write each change in one of the exporters' wire formats, a line each."""
    from pydatatracker.exporters.formats import FORMATS
    from pydatatracker.exporters.sink import Item

    make = FORMATS[form]
    assert make is not None

    def text(line: LogLine) -> bytes:
        item = Item(b"", line.seq or 0, _LONE.sub("\ufffd", line.root), line.time_ns or 0, _id_of(line))
        return _compact(make(item, line.data)) + b"\n"

    for each in _made(lines, text, form, told):
        write(each)


def _id_of(line: LogLine) -> str:
    # a line of 0.1.0 has none: one that it has again when it is read again
    if line.uuid:
        return _LONE.sub("\ufffd", line.uuid)
    return hashlib.blake2b(line.raw, digest_size=16, salt=line.offset.to_bytes(16, "big")).hexdigest()


def _typed(line: LogLine) -> bytes:
    """Return the line as strict JSON that has its plain fields, and them as what they should be, as a table needs it.

    Raises ValueError where a number is larger than a table takes.
    """
    raw = line.raw.strip()
    try:
        data = msgspec.json.decode(raw)
        changed = False
    except (msgspec.DecodeError, UnicodeDecodeError):  # NaN, lone surrogates, 1e999
        data, changed = line.data, True
    for name in _PLAIN_NUMBERS:
        number = getattr(line, name)
        if number is None and name == "time_ns" and (moment := line.created_time) is not None:
            number = int(moment.timestamp() * 1_000_000) * 1000
        if number is not None and not -_INT64 <= number < _INT64:
            raise ValueError(f"{name} has more than 64 bits")
        if type(number) is not type(data.get(name)) or number != data.get(name):
            data[name], changed = number, True
    for name in _PLAIN_TEXTS:
        text, given = getattr(line, name) or None, data.get(name)
        if text != given and not (text is None and given == ""):
            data[name], changed = text, True
    if not changed:
        return raw
    try:
        made = json.dumps(data, allow_nan=False, ensure_ascii=False)
    except ValueError:
        made = json.dumps(exact(data), ensure_ascii=False)
    return _LONE.sub("\ufffd", made).encode()


def _compact(value: Any) -> bytes:
    """Return value as JSON without blanks, without control characters that JSON lets stand."""
    try:
        text: bytes = _encoder()(value)
    except Exception:  # a lone surrogate, an integer of more than 64 bits
        return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f").encode()
    return text if text.isascii() and b"\x7f" not in text else escaped(text.decode()).encode()


@functools.cache
def _encoder() -> Callable[[Any], bytes]:
    return msgspec.json.Encoder().encode


def _to_trace(lines: Iterable[LogLine], write: Write, told: Told) -> None:
    """Write a trace in the JSON format of Chrome, which Perfetto opens: an instant event a change, a track an actor.

    The changes of a transaction that follow each other on a track have a slice over them, from first to last.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    tracks: dict[tuple[int, str], _Track] = {}
    pids: set[int] = set()
    before = b"\n"
    write(b'{"displayTimeUnit":"ns","traceEvents":[')

    def event(time: str, **fields: Any) -> None:
        nonlocal before
        # the time as text: a float has not the digits for nanoseconds since 1970
        write(before + _compact(fields)[:-1] + time.encode() + b"}")
        before = b",\n"

    def one(line: LogLine, now: int) -> None:
        pid = line.pid or 0
        actor = line.actor
        track = tracks.get((pid, actor))
        if track is None:
            if pid not in pids:
                pids.add(pid)
                event("", name="process_name", ph="M", pid=pid, tid=0, args={"name": "Python" if pid else "(unknown)"})
            track = tracks[pid, actor] = _Track(pid, _FIRST_TRACK + len(tracks))
            event("", name="thread_name", ph="M", pid=pid, tid=track.tid, args={"name": actor or "(nobody)"})
        data = line.data
        args: dict[str, Any] = {name: data[name] for name in _SHOWN if name in data}
        frames = data.get("stack")
        if isinstance(frames, list):
            args["stack"] = [
                f"{f.get('filename')}:{f.get('lineno')} {f.get('name')}" for f in frames if type(f) is dict
            ]
        name = f"{line.action} {line.pointer or '(root)'}"
        if track.transaction != line.transaction:
            track.end(event)
            track.begin(line.transaction, now)
        event(f',"ts":{_micros(now)}', name=name, cat=line.action, ph="i", s="t", pid=pid, tid=track.tid, args=args)
        track.last = max(track.last, now)
        track.changes += 1

    timed = ((line, line.time_ns) for line in lines)
    for line, now in timed:
        if now is None:
            continue
        try:
            one(line, now)
        except _UNFIT as error:
            told(line, f"cannot be written as chrome-trace ({type(error).__name__}: {error})")
    for track in tracks.values():
        track.end(event)
    write(b"\n]}\n")


_SHOWN: Final = ("seq", "before", "after", "splice", "order", "changes", "method", "thread", "context")
_FIRST_TRACK: Final = 1 << 30  # no process has such a number: the thread of its own number is a process' main thread


class _Track:
    """An actor in a process, and the transaction that is going on there."""

    def __init__(self, pid: int, tid: int) -> None:
        self.pid = pid
        self.tid = tid
        self.begin(None, 0)

    def begin(self, transaction: str | None, now: int) -> None:
        self.transaction = transaction
        self.first = self.last = now
        self.changes = 0

    def end(self, event: Callable[..., None]) -> None:
        if self.transaction is not None:
            times = f',"ts":{_micros(self.first)},"dur":{_micros(self.last - self.first)}'
            args = {"transaction": self.transaction, "changes": self.changes}
            event(times, name="transaction", cat="transaction", ph="X", pid=self.pid, tid=self.tid, args=args)


def _micros(nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{abs(nanoseconds) // 1000}.{abs(nanoseconds) % 1000:03}"


_TEXTS: Final[dict[str, Callable[[Iterable[LogLine], Write, Told], None]]] = {
    "csv": _to_csv,
    "chrome-trace": _to_trace,
    **{form: functools.partial(_to_format, form=form) for form in ("cloudevents", "debezium", "json-patch")},
}


# ---- SQLite


def is_database(path: str) -> bool:
    """Return whether path is an SQLite database, which is not written over."""
    try:
        with open(path, "rb") as file:
            return os.path.isfile(path) and file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def into_sqlite(lines: Iterable[LogLine], path: str, told: Told) -> None:
    """Add lines to the table of SqliteExporter in a database, all or none. Raises Refused."""
    _insert(_made(lines, _sqlite_row, "sqlite", told), path, path, ())


def _new_sqlite(lines: Iterable[LogLine], path: str, told: Told) -> None:
    """Write the table that SqliteExporter writes into an empty file, which is thrown away if that fails."""
    rows = _made(lines, _sqlite_row, "sqlite", told)
    _insert(rows, path, "the database", ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"))


def _insert(changes: Iterable[tuple[Any, ...]], path: str, name: str, pragmas: Iterable[str]) -> None:
    from pydatatracker.exporters.sqlite import INDEXES, INSERT, TABLE

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
                for column in INDEXES:  # at the end: made in one go they cost half
                    connection.execute(f"CREATE INDEX IF NOT EXISTS changes_{column} ON changes ({column})")
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
    except sqlite3.Error as error:
        raise Refused(f"cannot write {name}: {error}") from error


def _sqlite_row(line: LogLine) -> tuple[Any, ...]:
    # as exporters.sqlite.row_of has it
    data = line.data
    get = data.get
    return (
        *(_id_of(line), line.seq or 0, line.root, line.time_ns or 0, get("action"), get("method"), get("type")),
        *(get("pointer"), get("actor"), get("transaction")),
        *(_json(data["before"]) if "before" in data else None, _json(data["after"]) if "after" in data else None),
        line.raw.strip().decode("utf-8", "replace"),
    )


def _storable(value: Any) -> Any:
    """Return value, or text for what SQLite has no type for: a foreign line may hold anything."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if value is None or isinstance(value, (int, float)) else _json(value)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


# ---- tables of a query


def write_table(columns: list[str], batches: Iterable[list[tuple[Any, ...]]], out: IO[str], width: int | None) -> None:
    """Print rows in columns, as wide as they are so far; in a terminal none is wider than it. Memory: a batch."""
    names = [clean(name) for name in columns]
    widths = list(map(cells, names))
    right: list[bool] = []
    head = [names]
    for rows in itertools.chain(batches, [None]):
        if rows is None and not head:
            return
        texts = [["" if value is None else _say(value) for value in row] for row in rows or ()]
        for n in range(len(columns)):
            widths[n] = max([widths[n], *(cells(row[n]) for row in texts)])
        if not right:
            right = [
                all(isinstance(row[n], (int, float)) or row[n] is None for row in rows or ())
                for n in range(len(columns))
            ]
        fitting = _fitting(widths, width)
        for row in head + texts:
            parts = []
            for n, text in enumerate(row):
                text = cut(text, fitting[n])
                parts.append(" " * (fitting[n] - cells(text)) + text if right[n] else pad(text, fitting[n]))
            line = "  ".join(parts).rstrip()
            out.write((line if width is None else cut(line, width)) + "\n")
        head = []


def _fitting(widths: list[int], width: int | None) -> list[int]:
    widths = list(widths)
    if width is not None:
        while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 8:  # the widest gives way
            widths[widths.index(max(widths))] -= 1
    return widths


def _say(value: Any) -> str:
    return short(value, 400) if isinstance(value, (dict, list)) else clean(str(value))


def write_rows(columns: list[str], batches: Iterable[list[tuple[Any, ...]]], out: TextIO, form: str) -> None:
    """Write rows as CSV or as JSON lines: UTF-8, whatever the terminal is. Memory: a batch."""
    write = _writer_to(out)
    if form == "csv":
        writer = csv.writer(_Encoded(write))
        writer.writerow(columns)
        for rows in batches:
            writer.writerows([_seen(_cell(value)) for value in row] for row in rows)
    else:
        for rows in batches:
            for row in rows:
                text = json.dumps(dict(zip(columns, row, strict=True)), default=str, ensure_ascii=False)
                write(escaped(text).encode() + b"\n")
    _flush(out)
