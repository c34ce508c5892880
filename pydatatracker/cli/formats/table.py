"""The answer of a query: a table for people, CSV or JSON lines."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable
from typing import IO, Any, TextIO

from pydatatracker.cli.formats.csv import Encoded, cell, printable_cell
from pydatatracker.cli.formats.lines import flush, writer_to
from pydatatracker.cli.terminal import cells, clean, cut, escaped, pad, short

__all__ = ["write_rows", "write_table"]


def write_table(columns: list[str], batches: Iterable[list[tuple[Any, ...]]], out: IO[str], width: int | None) -> None:
    """Print rows in columns that grow with their widest value.

    No line exceeds ``width``. Memory: one batch.
    """
    names = [clean(name) for name in columns]
    widths = list(map(cells, names))
    right: list[bool] = []
    head = [names]
    for rows in itertools.chain(batches, [None]):
        if rows is None and not head:
            return
        texts = [["" if value is None else _text(value) for value in row] for row in rows or ()]
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
        while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 8:  # the widest column shrinks
            widths[widths.index(max(widths))] -= 1
    return widths


def _text(value: Any) -> str:
    return short(value, 400) if isinstance(value, (dict, list)) else clean(str(value))


def write_rows(columns: list[str], batches: Iterable[list[tuple[Any, ...]]], out: TextIO, form: str) -> None:
    """Write rows as CSV or as JSON lines, in UTF-8. Memory: one batch."""
    write = writer_to(out)
    if form == "csv":
        writer = csv.writer(Encoded(write))
        writer.writerow(columns)
        for rows in batches:
            writer.writerows([printable_cell(cell(value)) for value in row] for row in rows)
    else:
        for rows in batches:
            for row in rows:
                text = json.dumps(dict(zip(columns, row, strict=True)), default=str, ensure_ascii=False)
                write(escaped(text).encode() + b"\n")
    flush(out)
