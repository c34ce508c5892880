"""Logs of changes as files: the one writer and the one reader of JSONL.

>>> import os, tempfile
>>> from pydatatracker import TrackedDict
>>> path = os.path.join(tempfile.mkdtemp(), "logs", "changes.jsonl")
>>> ports = TrackedDict()
>>> with ChangeWriter(path) as writer:
...     ports.tracking_add_observer(writer.write)
...     ports["http"] = 80
>>> [(line.action, line.pointer, line.after) for line in read_changes(path)]
[('add', '/http', 80)]

A line is complete when the statement that made the change returns: one ``write()`` to a file opened
for appending, so that several processes can share a log and a crash tears at most its last line.
"""

from __future__ import annotations

import json
from typing import Any

from pydatatracker.io.line import LogLine
from pydatatracker.io.parsing import NotAChange, parse
from pydatatracker.io.reader import ChangeReader, LogFormatError, read_changes
from pydatatracker.io.writer import ChangeWriter, to_line

__all__ = [
    "ChangeReader",
    "ChangeWriter",
    "LogFormatError",
    "LogLine",
    "NotAChange",
    "parse",
    "read_changes",
    "schema",
    "to_line",
]


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a log line, as a fresh dict. Reads a file of the package.

    >>> schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    import importlib.resources

    text = importlib.resources.files("pydatatracker").joinpath("io/schema/change.schema.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
