"""The formats that ``convert`` and ``query`` write, one module each.

``csv``, ``trace``, ``sqlite``, ``parquet`` and ``wire`` (what the exporters send) are for ``convert``, and ``table`` is
for the answers of ``query``. ``lines`` has what they share. A module is imported when its format is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from pydatatracker.cli.formats.lines import OnUnfit, Refused, Write, flush, writer_to
from pydatatracker.io.line import LogLine

__all__ = ["Refused", "is_text", "write_file", "write_stream"]


def is_text(form: str) -> bool:
    """Return whether a format can be written to standard output."""
    return form not in ("parquet", "sqlite")


def write_file(lines: Iterable[LogLine], name: str, form: str, on_unfit: OnUnfit) -> None:
    """Write lines in a format into a file that is new or may be overwritten.

    One pass, memory for a batch. ``on_unfit`` is called with (line, reason) for each change that the format cannot
    express. Raises ImportError without duckdb (Parquet), and Refused.
    """
    if form == "parquet":
        from pydatatracker.cli.formats.parquet import write_parquet_file

        write_parquet_file(lines, name, on_unfit)
    elif form == "sqlite":
        from pydatatracker.cli.formats.sqlite import new_sqlite

        new_sqlite(lines, name, on_unfit)
    else:
        with open(name, "wb", buffering=1 << 18) as file:
            _write_text(lines, file.write, form, on_unfit)


def write_stream(lines: Iterable[LogLine], out: TextIO, form: str, on_unfit: OnUnfit) -> None:
    """Write lines in a text format to standard output, as `write_file` does.

    Control characters are escaped.
    """
    _write_text(lines, writer_to(out), form, on_unfit, printable=True)
    flush(out)


def _write_text(lines: Iterable[LogLine], write: Write, form: str, on_unfit: OnUnfit, printable: bool = False) -> None:
    if form == "csv":
        from pydatatracker.cli.formats.csv import write_csv

        write_csv(lines, write, on_unfit, printable)
    elif form == "chrome-trace":
        from pydatatracker.cli.formats.trace import write_trace

        write_trace(lines, write, on_unfit)
    else:
        from pydatatracker.cli.formats.wire import write_wire

        write_wire(lines, write, on_unfit, form)
