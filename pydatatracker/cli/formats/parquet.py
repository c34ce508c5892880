"""Parquet, written by DuckDB: the table that ``query`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from pydatatracker.cli.formats.lines import LONE_SURROGATE, OnUnfit, converted
from pydatatracker.io.line import LogLine, nanoseconds_of
from pydatatracker.report.values import exact
from pydatatracker.values.codec import decoder

__all__ = ["rows_of", "typed", "write_parquet_file"]

_TEXTS: Final = (
    *("action", "method", "type", "pointer", "actor", "transaction", "root", "tracked_item_uuid", "uuid", "thread"),
    *("trace_id", "span_id"),
)
_NUMBERS: Final = ("seq", "time_ns", "pid")
_INT64: Final = 1 << 63


def write_parquet_file(lines: Iterable[LogLine], name: str, on_unfit: OnUnfit) -> None:
    """Write lines into a Parquet file. Raises ImportError without duckdb."""
    from pydatatracker.query import write_parquet

    write_parquet(converted(lines, lambda line: typed(line) + b"\n", "parquet", on_unfit), name)


def rows_of(
    lines: Iterable[LogLine], partition: tuple[str, ...], host: str | None, on_unfit: OnUnfit
) -> Iterator[tuple[str, bytes]]:
    """Yield (folder, line with its newline) for `write_partitions`."""
    from pydatatracker.query.partitions import folder_of

    def row(line: LogLine) -> tuple[str, bytes]:
        return folder_of(partition, nanoseconds_of(line), host), typed(line) + b"\n"

    return converted(lines, row, "parquet", on_unfit)


def typed(line: LogLine) -> bytes:
    """Return the line as strict JSON with the types that a table needs.

    Fields that the line lacks or has with another type are set from the attributes of LogLine. Raises ValueError if a
    number has more than 64 bits.
    """
    raw = line.raw.strip()
    try:
        data = decoder()(raw)
        changed = False
    except ValueError:  # NaN, lone surrogates, 1e999
        data, changed = line.data, True
    for name in _NUMBERS:
        number = getattr(line, name)
        if name == "time_ns":
            number = nanoseconds_of(line)
        if number is not None and not -_INT64 <= number < _INT64:
            raise ValueError(f"{name} has more than 64 bits")
        if type(number) is not type(data.get(name)) or number != data.get(name):
            data[name], changed = number, True
    if not line.also_cut and data.pop("also_cut", None) is not None:
        changed = True
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
    return LONE_SURROGATE.sub("\ufffd", made).encode()
