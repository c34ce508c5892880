"""``pydatatracker convert`` and ``query``: logs in other forms, and as a table."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, TypeVar

import msgspec

from pydatatracker.cli.terminal import cells, clean, cut, escaped, json_text, pad, short
from pydatatracker.logline import LogLine
from pydatatracker.report.data import exact

__all__ = ["COLUMNS", "to_csv", "to_format", "to_parquet", "to_sqlite", "to_trace", "write_table"]

COLUMNS: Final = (
    *("seq", "created_time", "actor", "action", "pointer", "before", "after", "method", "type", "transaction", "root"),
    *("tracked_item_uuid", "uuid", "pid", "thread", "details", "context"),
)


Tell = Callable[[LogLine, str], object]
T = TypeVar("T")

# What a form may say to a line that is not as this version writes it.
_UNFIT: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_TEXTS: Final = (
    *("action", "method", "type", "pointer", "actor", "transaction", "root", "tracked_item_uuid", "uuid", "thread"),
    *("trace_id", "span_id"),
)
_NUMBERS: Final = ("seq", "time_ns", "pid")
_INT64: Final = 1 << 63
_LONE: Final = re.compile("[\ud800-\udfff]")
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _made(lines: Iterable[LogLine], make: Callable[[LogLine], T], form: str, tell: Tell) -> Iterator[T]:
    """Yield what is made of each line; a line of which nothing can be made is told."""
    for line in lines:
        try:
            made = make(line)
        except _UNFIT as error:
            tell(line, f"cannot be written as {form} ({type(error).__name__}: {error})")
        else:
            yield made


def to_csv(lines: Iterable[LogLine], out: IO[str], tell: Tell, printable: bool = False) -> None:
    """Write a row a change (RFC 4180); values as JSON. What changed at once in several places stands in ``details``.

    Text that a spreadsheet would take for a formula gets a quote in front of it, as OWASP advises. ``printable``:
    control characters but newlines are spelled out.
    """
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    rows = _made(lines, _csv_row, "csv", tell)
    writer.writerows((map(_seen, row) for row in rows) if printable else rows)


def _csv_row(line: LogLine) -> list[Any]:
    data = line.data
    details = {name: data[name] for name in ("splice", "order", "changes") if name in data}
    row = {**data, "details": details or None, "before": _json(data, "before"), "after": _json(data, "after")}
    return [_cell(row.get(name)) for name in COLUMNS]


def _json(data: dict[str, Any], name: str) -> str | None:
    return json_text(data[name]) if name in data else None


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        value = json_text(value) if value else None
    if not isinstance(value, str):
        return value
    if value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(value):
        return "'" + value
    return value


def _seen(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_format(lines: Iterable[LogLine], out: IO[bytes], form: str, tell: Tell) -> None:
    """Write each change in one of the exporters' wire formats, a line each."""
    from pydatatracker.exporters.formats import FORMATS

    write = FORMATS[form]
    assert write is not None

    def text(line: LogLine) -> str:
        return json.dumps(write(_item(line, b""), line.data), separators=(",", ":"), ensure_ascii=False)

    for made in _made(lines, text, form, tell):
        out.write(escaped(made).encode() + b"\n")


def _item(line: LogLine, text: bytes) -> Any:
    from pydatatracker.exporters.sink import Item

    # a line of 0.1.0 has no id: one that it has again when it is read again
    name = line.uuid or hashlib.blake2b(line.raw, digest_size=16, salt=line.offset.to_bytes(16, "big")).hexdigest()
    return Item(text, line.seq or 0, _LONE.sub("\ufffd", line.root), line.time_ns or 0, _LONE.sub("\ufffd", name))


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
    for name in _NUMBERS:
        number = getattr(line, name)
        if number is None and name == "time_ns" and (moment := line.created_time) is not None:
            number = int(moment.timestamp() * 1_000_000) * 1000
        if number is not None and not -_INT64 <= number < _INT64:
            raise ValueError(f"{name} has more than 64 bits")
        if type(number) is not type(data.get(name)) or number != data.get(name):
            data[name], changed = number, True
    for name in _TEXTS:
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


def to_sqlite(lines: Iterable[LogLine], path: str, tell: Tell) -> None:
    """Write the table that SqliteExporter writes."""
    from pydatatracker.exporters.sqlite import SqliteSink

    sink = SqliteSink(path, 5.0)
    try:
        for batch in _batches(_made(lines, lambda line: _item(line, _typed(line)), "sqlite", tell), 5000):
            sink.send(batch)
    finally:
        sink.close()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


def to_parquet(lines: Iterable[LogLine], path: str, tell: Tell) -> None:
    """Write the columns of the table ``changes`` of `query`. Raises ImportError without duckdb."""
    from pydatatracker.query import write_parquet

    write_parquet(b"".join(text + b"\n" for text in _made(lines, _typed, "parquet", tell)), path)


def to_trace(lines: Iterable[LogLine], out: IO[str], tell: Tell) -> None:
    """Write a trace in the JSON format of Chrome, which Perfetto opens: an instant event a change, a track a thread.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    tracks: dict[tuple[int, str], int] = {}
    first = True
    out.write('{"displayTimeUnit":"ms","traceEvents":[')
    for text in _made(
        (line for line in lines if line.time_ns is not None), lambda line: _events(line, tracks), "chrome-trace", tell
    ):
        out.write(("\n" if first else ",\n") + text)
        first = False
    out.write("\n]}\n")


def _events(line: LogLine, tracks: dict[tuple[int, str], int]) -> str:
    pid = line.pid or 0
    track = pid, line.actor
    number = tracks.get(track, len(tracks) + 1)
    data = line.data
    args: dict[str, Any] = {
        name: data[name] for name in ("seq", "before", "after", "splice", "method", "context") if name in data
    }
    frames = data.get("stack")
    if isinstance(frames, list):
        args["stack"] = [f"{f.get('filename')}:{f.get('lineno')} {f.get('name')}" for f in frames if type(f) is dict]
    name = f"{line.action} {line.pointer or '(root)'}"
    ts = (line.time_ns or 0) / 1000
    found = [{"name": name, "cat": line.action, "ph": "i", "s": "t", "ts": ts, "pid": pid, "tid": number, "args": args}]
    if track not in tracks:
        known = {"name": line.actor or "(nobody)"}
        found.insert(0, {"name": "thread_name", "ph": "M", "pid": pid, "tid": number, "args": known})
    text = ",\n".join(json.dumps(each, separators=(",", ":")) for each in found)
    tracks[track] = number
    return text


# ---- tables of a query


def write_table(columns: list[str], rows: list[tuple[Any, ...]], out: IO[str], width: int | None) -> None:
    """Print rows in columns, as wide as they are; in a terminal none is wider than it. O(rows)."""
    texts = [[clean(name) for name in columns]]
    texts += [["" if value is None else _say(value) for value in row] for row in rows]
    widths = [max(cells(row[n]) for row in texts) for n in range(len(columns))]
    if width is not None:
        while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 8:  # the widest gives way
            widths[widths.index(max(widths))] -= 1
    right = [all(isinstance(row[n], (int, float)) or row[n] is None for row in rows) for n in range(len(columns))]
    for row in texts:
        parts = []
        for n, text in enumerate(row):
            text = cut(text, widths[n])
            parts.append(" " * (widths[n] - cells(text)) + text if right[n] else pad(text, widths[n]))
        line = "  ".join(parts).rstrip()
        out.write((line if width is None else cut(line, width)) + "\n")


def _say(value: Any) -> str:
    return short(value, 400) if isinstance(value, (dict, list)) else clean(str(value))


def write_rows(columns: list[str], rows: Iterable[tuple[Any, ...]], out: IO[str], form: str) -> None:
    """Write rows as CSV or as JSON lines, without control characters."""
    if form == "csv":
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows([_seen(_cell(value)) for value in row] for row in rows)
        return
    for row in rows:
        made = json.dumps(dict(zip(columns, row, strict=True)), default=str, ensure_ascii=False)
        out.write(escaped(made) + "\n")


def is_text(form: str) -> bool:
    """Return whether a form can go to standard output."""
    return form not in ("parquet", "sqlite")


def text_file(path: str | None, standard: IO[str]) -> Any:
    """Open a file for text, or wrap standard output so that closing it leaves it open."""
    if path is None:
        import contextlib

        return contextlib.nullcontext(standard)
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    return open(path, "w", encoding="utf-8", errors="backslashreplace", newline="")
