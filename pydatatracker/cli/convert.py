"""``pydatatracker convert`` and ``query``: logs in other forms, and as a table."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from pydatatracker.cli.terminal import cells, clean, cut, pad, short
from pydatatracker.logline import LogLine

__all__ = ["COLUMNS", "to_csv", "to_format", "to_parquet", "to_sqlite", "to_trace", "write_table"]

COLUMNS: Final = (
    *("seq", "created_time", "actor", "action", "pointer", "before", "after", "method", "type", "transaction", "root"),
    *("tracked_item_uuid", "uuid", "pid", "thread", "details", "context"),
)


def to_csv(lines: Iterable[LogLine], out: IO[str]) -> None:
    """Write a row a change (RFC 4180); values as JSON. What changed at once in several places stands in ``details``.

    Text that a spreadsheet would take for a formula gets a quote in front of it, as OWASP advises.
    """
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for line in lines:
        data = line.data
        details = {name: data[name] for name in ("splice", "order", "changes") if name in data}
        row = {**data, "details": details or None, "before": _json(data, "before"), "after": _json(data, "after")}
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])


def _json(data: dict[str, Any], name: str) -> str | None:
    return json.dumps(data[name], ensure_ascii=False) if name in data else None


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False) if value else None
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value if not _is_number(value) else value
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_format(lines: Iterable[LogLine], out: IO[bytes], form: str) -> None:
    """Write each change in one of the exporters' wire formats, a line each."""
    from pydatatracker.exporters.formats import format_item

    for line in lines:
        out.write(format_item(_item(line), form) + b"\n")


def _item(line: LogLine) -> Any:
    from pydatatracker.exporters.sink import Item

    return Item(line.raw.strip(), line.seq or 0, line.root, line.time_ns or 0, line.uuid)


def to_sqlite(lines: Iterable[LogLine], path: str) -> None:
    """Write the table that SqliteExporter writes."""
    from pydatatracker.exporters.sqlite import SqliteSink

    sink = SqliteSink(path, 5.0)
    try:
        for batch in _batches(lines, 5000):
            sink.send([_item(line) for line in batch])
    finally:
        sink.close()


def _batches(lines: Iterable[LogLine], size: int) -> Iterator[list[LogLine]]:
    batch: list[LogLine] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def to_parquet(lines: Iterable[LogLine], path: str) -> None:
    """Write the columns of the table ``changes`` of `query`. Raises ImportError without duckdb."""
    from pydatatracker.query import write_parquet

    write_parquet(b"".join(line.raw.strip() + b"\n" for line in lines), path)


def to_trace(lines: Iterable[LogLine], out: IO[str]) -> None:
    """Write a trace in the JSON format of Chrome, which Perfetto opens: an instant event a change, a track a thread.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    tracks: dict[tuple[int, str], int] = {}
    first = True
    out.write('{"displayTimeUnit":"ms","traceEvents":[')

    def event(**fields: Any) -> None:
        nonlocal first
        out.write(("\n" if first else ",\n") + json.dumps(fields, separators=(",", ":")))
        first = False

    for line in lines:
        if line.time_ns is None:
            continue
        pid = line.pid or 0
        track = pid, line.actor
        if track not in tracks:
            tracks[track] = len(tracks) + 1
            event(name="thread_name", ph="M", pid=pid, tid=tracks[track], args={"name": line.actor or "(nobody)"})
        data = line.data
        args: dict[str, Any] = {
            name: data[name] for name in ("seq", "before", "after", "splice", "method", "context") if name in data
        }
        frames = data.get("stack")
        if isinstance(frames, list):
            args["stack"] = [
                f"{f.get('filename')}:{f.get('lineno')} {f.get('name')}" for f in frames if type(f) is dict
            ]
        name = f"{line.action} {line.pointer or '(root)'}"
        event(name=name, cat=line.action, ph="i", s="t", ts=line.time_ns / 1000, pid=pid, tid=tracks[track], args=args)
    out.write("\n]}\n")


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
    """Write rows as CSV or as JSON lines."""
    if form == "csv":
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)
        return
    for row in rows:
        out.write(json.dumps(dict(zip(columns, row, strict=True)), default=str, ensure_ascii=False) + "\n")


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
    return open(path, "w", encoding="utf-8", newline="")
