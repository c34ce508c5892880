"""What takes a path takes text, bytes and objects with ``__fspath__``.

Everything else is an error at once, and not when the first change comes.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pydatatracker import TrackedDict, process
from pydatatracker.exporters import JsonLinesExporter, SinkRejected, SqliteExporter
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.spill import SpillFile
from pydatatracker.io import ChangeWriter, read_changes
from pydatatracker.observers import json_file_observer


class Named:
    """An object with a path."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


class Sink:
    """A sink that rejects everything."""

    def send(self, items: Any) -> None:
        raise SinkRejected("no")

    def close(self) -> None:
        pass


def delivery(**options: Any) -> Any:
    return Delivery(Sink(), name="test", **options)


USERS: dict[str, Callable[[Any], Any]] = {
    "json_file_observer": json_file_observer,
    "ChangeWriter": ChangeWriter,
    "JsonLinesExporter": JsonLinesExporter,
    "JsonLinesExporter, rotating": lambda path: JsonLinesExporter(path, rotate_size=1, compress="gzip"),
    "SqliteExporter": lambda path: SqliteExporter(path, background=False),
    "ProcessLog": process.ProcessLog,
    "spill": lambda path: delivery(on_full="spill", spill=path),
    "dead_letter": lambda path: delivery(dead_letter=path),
    "read_changes": read_changes,
}
LOGS = [name for name in USERS if name not in ("spill", "dead_letter", "read_changes")]


@pytest.mark.parametrize("user", LOGS)
@pytest.mark.parametrize(
    "made",
    [str, os.fsencode, pathlib.Path, lambda path: Named(str(path)), lambda path: Named(os.fsencode(path))],
    ids=["str", "bytes", "Path", "__fspath__, str", "__fspath__, bytes"],
)
def test_every_kind_of_path_is_written_to(user: str, made: Callable[[Any], Any], tmp_path: pathlib.Path) -> None:
    """The change is in the file.

    Nothing else is in the folder but what belongs to it.
    """
    path = tmp_path / "é log"
    log = USERS[user](made(path))
    d = TrackedDict()
    d.tracking_add_observer(getattr(log, "write", log))
    d["a"] = 1
    (log._writer if user == "ProcessLog" else log).close()
    assert path.stat().st_size > 0
    assert all(name.startswith(path.name) for name in os.listdir(tmp_path))
    if not user.startswith("Sqlite"):
        assert ["/a"] == [change.pointer for change in read_changes(made(path))]


@pytest.mark.parametrize("user", ["spill", "dead_letter"])
def test_a_queue_takes_bytes(user: str, tmp_path: pathlib.Path) -> None:
    """Also for the files that it needs only in trouble."""
    USERS[user](os.fsencode(tmp_path / "file")).close()


@pytest.mark.parametrize("user", list(USERS))
@pytest.mark.parametrize(
    "path", [3.5, ["a"], Named(3), "a\0b", b"a\0b"], ids=["float", "list", "Named", "str", "bytes"]
)
def test_what_is_not_a_path_is_an_error_at_once(user: str, path: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """With a null character, too: no file can have that name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError)):
        USERS[user](path)
    assert [] == os.listdir(tmp_path)


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="the longest name is not known here")
@pytest.mark.parametrize("folder", ["", "new"])
@pytest.mark.parametrize(
    ("make", "fits"),
    [
        (lambda path: JsonLinesExporter(path, rotate_size=1), 231),
        (lambda path: JsonLinesExporter(path, rotate_size=1, compress="gzip"), 224),
        (lambda path: JsonLinesExporter(path, rotate_time="1d", compress="zstd"), 223),
        (lambda path: SpillFile(str(path), 0o600), 241),
    ],
    ids=["rotated", "gzip", "zstd", "spill"],
)
def test_a_name_that_is_too_long_to_be_renamed_is_refused(
    make: Callable[[Any], Any], fits: int, folder: str, tmp_path: pathlib.Path
) -> None:
    """Not when it is rotated for the first time; one that fits is rotated."""
    if os.pathconf(tmp_path, "PC_NAME_MAX") != 255:
        pytest.skip("another file system")
    if fits == 223 and sys.version_info < (3, 14):
        pytest.importorskip("zstandard")
    with pytest.raises(ValueError, match="too long"):
        make(tmp_path / folder / ("n" * (fits + 1)))
    assert [] == os.listdir(tmp_path)
    log = make(tmp_path / folder / ("n" * fits))
    if isinstance(log, JsonLinesExporter):
        d = TrackedDict()
        d.tracking_add_observer(log)
        d["a"] = 1
        log._sink._rotate_size = 1
        d["a"] = 2
        log.close()
        assert 1 == len(log.rotated())
        assert log.stats().last_error is None
        assert 1 == len(list(read_changes(log.rotated()[0])))
    else:
        log.close()
