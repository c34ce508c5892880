"""The wire formats of the exporters: CloudEvents, Debezium and JSON Patch."""

from __future__ import annotations

from collections.abc import Iterable

from pydatatracker.cli.formats.lines import LONE_SURROGATE, OnUnfit, Write, compact_json, converted, id_of
from pydatatracker.exporters.formats import FORMATS
from pydatatracker.exporters.sink import Item
from pydatatracker.io.line import LogLine

__all__ = ["write_wire"]


def write_wire(lines: Iterable[LogLine], write: Write, on_unfit: OnUnfit, form: str) -> None:
    """Write one line per change in a wire format of the exporters."""
    make = FORMATS[form]
    assert make is not None

    def text(line: LogLine) -> bytes:
        item = Item(b"", line.seq or 0, LONE_SURROGATE.sub("\ufffd", line.root), line.time_ns or 0, id_of(line))
        data = line.data
        data.pop("seal", None)  # it is that of a line of the log
        return compact_json(make(item, data)) + b"\n"

    for each in converted(lines, text, form, on_unfit):
        write(each)
