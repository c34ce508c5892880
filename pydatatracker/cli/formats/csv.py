"""CSV: one row per change."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, Final

from pydatatracker.cli.formats.lines import OnUnfit, Write, converted, value_json
from pydatatracker.cli.terminal import escaped, json_text
from pydatatracker.io.line import LogLine

__all__ = ["COLUMNS", "Encoded", "cell", "printable_cell", "write_csv"]

COLUMNS: Final = (
    *("seq", "created_time", "actor", "action", "pointer", "before", "after", "method", "type", "transaction", "root"),
    *("tracked_item_uuid", "uuid", "pid", "thread", "details", "context"),
)

_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORMULA: Final = frozenset("=+-@\t\r")


def write_csv(lines: Iterable[LogLine], write: Write, on_unfit: OnUnfit, printable: bool = False) -> None:
    """Write one row per change (RFC 4180), values as JSON.

    A change of several items has them in ``details``. Text that a spreadsheet would take for a formula is prefixed
    with a quote, as OWASP advises.

    :param printable: escape control characters other than newlines.
    """
    writer = csv.writer(Encoded(write))
    writer.writerow(COLUMNS)
    rows = converted(lines, lambda line: _csv_row(line.data), "csv", on_unfit)
    writer.writerows((map(printable_cell, row) for row in rows) if printable else rows)


def printable_cell(value: Any) -> Any:
    """Return a value with its control characters escaped, except newlines."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), value)


class Encoded:
    """A text file for csv that writes UTF-8 bytes."""

    __slots__ = ("_write",)

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, text: str) -> object:
        return self._write(text.encode("utf-8", "backslashreplace"))


def _csv_row(data: dict[str, Any]) -> list[Any]:
    details = {name: data[name] for name in ("splice", "order", "changes", "also", "also_cut") if name in data}
    get = data.get
    row: list[Any] = [
        *(get("seq"), get("created_time"), get("actor"), get("action"), get("pointer")),
        *(escaped(value_json(data[name])) if name in data else None for name in ("before", "after")),
        *(get("method"), get("type"), get("transaction"), get("root"), get("tracked_item_uuid"), get("uuid")),
        *(get("pid"), get("thread"), details or None, get("context")),
    ]
    for n, value in enumerate(row):
        kind = type(value)
        if (kind is str and value[:1] in _FORMULA) or kind is dict or kind is list:
            row[n] = cell(value)
    return row


def cell(value: Any) -> Any:
    """Return a value for a spreadsheet: containers as JSON, no formulas."""
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
