"""Lines of logs, of this version and of 0.1.0, and error callbacks."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydatatracker.cli.replay.logs import Logs
from pydatatracker.cli.replay.roots import Roots
from pydatatracker.io import LogFormatError, LogLine, read_changes

LINE: dict[str, Any] = {
    "v": 1,
    "seq": 41,
    "uuid": "0f3c" * 8,
    "created_time": "2026-11-23T12:45:30.422044+00:00",
    "time_ns": 1763901930422044123,
    "action": "update",
    "method": "__setitem__",
    "type": "TrackedList",
    "pointer": "/cfg/ports/0",
    "path": ["cfg", "ports", 0],
    "before": 8080,
    "after": {"$tuple": [1, {"$set": [2]}]},
    "actor": "job-123",
    "context": {"reason": "rotate", "at": {"$date": "2026-11-23"}},
    "root": "a3f9" * 8,
    "tracked_item_uuid": "9fe1" * 8,
    "pid": 411,
    "thread": "MainThread",
    "stack": [],
    "tree": [{"type": "TrackedDict", "uuid": "a3f9" * 8, "location": None}],
    "extra": {"action": "update", "location": "cfg:ports|0", "value": "(1, {2})"},
}
# As pydatatracker 0.1.0 writes them.
OLD_ADD = {
    "uuid": "fa13ef7504d048a396991530dda6fc19",
    "tracked_item_uuid": "682daba2d6984f5c829877a590e62320",
    "created_time": "2026-11-23T22:15:28.143696+00:00",
    "actor": 'File "/a/b.py", line 3, in main',
    "stack": ['File "/a/b.py", line 3, in main', 'File "/a/b.py", line 9, in <module>'],
    "tree": [{"type": "TrackedDict", "uuid": "682daba2d6984f5c829877a590e62320", "location": "['p']"}],
    "extra": {"action": "add", "value": "2", "location": "p:b", "method": "__setitem__", "type": "TrackedDict"},
}
OLD_POP = {**OLD_ADD, "extra": {"removed_items": "[1]", "value": "1", "action": "update", "method": "pop"}}
OLD_INIT = {**OLD_ADD, "extra": {"action": "init", "init_data": "{'a': 1}", "locked": "False", "type": "TrackedDict"}}


def line_of(**changes: Any) -> bytes:
    return json.dumps({**LINE, **changes}).encode() + b"\n"


class Errors(list[LogFormatError]):
    """A callback that keeps what it is called with."""

    __call__ = list.append

    @property
    def places(self) -> list[tuple[int, int]]:
        return [(error.line, error.offset) for error in self]


def read(data: bytes, **options: Any) -> tuple[list[LogLine], Errors]:
    errors = Errors()
    return list(read_changes(io.BytesIO(data), on_error=errors, **options)), errors


@contextlib.contextmanager
def roots_of(raws: Iterable[bytes], told: Callable[[LogFormatError], object]) -> Iterator[Roots]:
    """Return the roots of a log that is a file of these lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log.jsonl"
        path.write_bytes(b"".join(raw.rstrip(b"\n") + b"\n" for raw in raws))
        with Logs([str(path)], told) as logs, Roots(logs, told) as roots:
            yield roots
