"""Read and write logs of changes: JSONL files, one line per change.

>>> import os, tempfile
>>> from pydatatracker import TrackedDict
>>> path = os.path.join(tempfile.mkdtemp(), "logs", "changes.jsonl")
>>> ports = TrackedDict()
>>> with ChangeWriter(path) as writer:
...     ports.tracking_add_observer(writer.write)
...     ports["http"] = 80
>>> [(line.action, line.pointer, line.after) for line in read_changes(path)]
[('add', '/http', 80)]

When the statement that made a change returns, its line is in the file: one ``write()`` to a file opened for appending.
So several processes can share a log, and a crash tears at most the last line.

``line`` has the object of a line, ``parsing`` what makes one from bytes, ``reader`` and ``writer`` the files,
``compression`` gzip and zstd, ``tracing`` the ids of OpenTelemetry, ``schema`` the JSON Schema.
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
    """Return the JSON Schema (2020-12) of a log line, as a fresh dict.

    Reads a file of the package.

    >>> schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    import importlib.resources

    text = importlib.resources.files("pydatatracker").joinpath("io/schema/change.schema.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
