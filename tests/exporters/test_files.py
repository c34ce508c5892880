"""Files are where they were meant, and only their owner can read new ones."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import stat
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builds import needs_msgspec

from pydatatracker import TrackedDict, load_observers_from_json, process
from pydatatracker.exporters import (
    Delivery,
    Exporter,
    Item,
    JsonLinesExporter,
    SinkRejected,
    SinkUnavailable,
    SqlExporter,
)
from pydatatracker.exporters.spill import SpillFile
from pydatatracker.exporters.sqlite import SqliteExporter
from pydatatracker.io import ChangeWriter
from pydatatracker.io.files import check_mode
from pydatatracker.observers import json_file_observer

Use = Callable[..., None]


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Go to an empty folder, with an umask that removes nothing."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


class Refusing:
    """A sink that refuses everything, for good or for now."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def send(self, items: list[Item]) -> None:
        raise self.error

    def close(self) -> None:
        pass


def changed(observer: Any, close: Callable[[], object]) -> None:
    """Change a dict from another folder, and close."""
    d = TrackedDict()
    d.tracking_add_observer(observer)
    os.chdir("elsewhere")
    for n in range(4):
        d[f"k{n}"] = n
    close()
    os.chdir("..")


def writer(**mode: Any) -> None:
    log = ChangeWriter("logs/a", **mode)
    changed(log.write, log.close)


def json_file(**mode: Any) -> None:
    observer = json_file_observer("logs/a", **mode)
    changed(observer, observer.close)


def lines(**mode: Any) -> None:
    exporter = JsonLinesExporter("logs/a", **mode)
    changed(exporter, exporter.close)


def rotated(**mode: Any) -> None:
    exporter = JsonLinesExporter("logs/a", rotate_size=300, compress="gzip", **mode)
    changed(exporter, exporter.close)
    assert len(exporter.rotated()) >= 2


def buffered(**mode: Any) -> None:
    exporter = JsonLinesExporter("logs/a", buffered=True, rotate_size=300, **mode)
    changed(exporter, exporter.close)


def sqlite(**mode: Any) -> None:
    exporter = SqliteExporter("logs/a", **mode)
    changed(exporter, exporter.close)


def sqlite_direct(**mode: Any) -> None:
    exporter = SqliteExporter("logs/a", background=False, **mode)
    changed(exporter, exporter.close)


def sql(**mode: Any) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    exporter = SqlExporter("sqlite:///logs/a", **mode)
    changed(exporter, exporter.close)


def sql_uri(**mode: Any) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    exporter = SqlExporter("sqlite:///file:logs/a?uri=true", **mode)
    changed(exporter, exporter.close)


def spill(**mode: Any) -> None:
    sink = Refusing(SinkUnavailable("down"))
    delivery = Delivery(sink, name="t", max_items=1, on_full="spill", spill="logs/a", **mode)
    changed(Exporter(delivery), lambda: delivery.close(0))


def dead_letters(**mode: Any) -> None:
    os.mkdir("logs")
    delivery = Delivery(Refusing(SinkRejected("no")), name="t", dead_letter="logs/a", **mode)
    changed(Exporter(delivery), delivery.close)


def process_log(**mode: Any) -> None:
    process.start("logs/a", **mode)
    os.chdir("elsewhere")
    TrackedDict()["a"] = 1
    process.stop()
    os.chdir("..")


USES = [
    *(writer, json_file, lines, rotated, buffered, sqlite, sqlite_direct, sql, sql_uri),
    *(spill, dead_letters, process_log),
]


def modes(folder: pathlib.Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in (folder / "logs").iterdir()}


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_new_files_are_the_owners_and_where_they_were_meant(use: Use, folder: pathlib.Path) -> None:
    """No file is in the folder to which the program went."""
    use()
    assert {0o600} == modes(folder)
    assert (folder / "logs" / "a").stat().st_size > 0
    assert [] == list((folder / "elsewhere").iterdir())


@pytest.mark.parametrize(("mode", "umask", "expected"), [
    (0o640, 0o077, 0o640), ("0664", 0, 0o664), (None, 0o027, 0o640), (None, 0, 0o666),
])  # fmt: skip
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_a_mode_is_exact_and_none_is_the_umask(
    use: Use, mode: Any, umask: int, expected: int, folder: pathlib.Path
) -> None:
    """The umask takes nothing from a mode that is given."""
    os.umask(umask)
    use(mode=mode)
    found = modes(folder)
    assert found in ({expected}, {0o644 & ~umask, expected}) if use in (sqlite, sqlite_direct) else {expected} == found


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_a_file_that_exists_keeps_its_permissions(use: Use, folder: pathlib.Path) -> None:
    """Rotated and compressed files have those of the log."""
    if use is dead_letters:
        pytest.skip("makes the folder itself")
    (folder / "logs").mkdir()
    (folder / "logs" / "a").touch()
    (folder / "logs" / "a").chmod(0o644)
    use()
    assert {0o644} == modes(folder)


@pytest.mark.parametrize("mode", [0o1000, -1, 0o400, "rw", "0888", 1.5, True, "640 "[:-1] + "x", 640])
def test_a_mode_that_is_none_is_refused(mode: Any) -> None:
    """Also a decimal number that was meant as an octal one."""
    with pytest.raises(ValueError, match="0o640"):
        check_mode(mode)
    with pytest.raises(ValueError, match="0o640"):
        JsonLinesExporter("x", mode=mode)
    assert not os.path.exists("x")


@needs_msgspec
def test_a_mode_in_a_configuration(folder: pathlib.Path) -> None:
    """Text in octal; a wrong one is a problem of the configuration."""
    with load_observers_from_json([{"type": "json_lines", "options": {"path": "logs/a", "mode": "0640"}}]) as found:
        changed(found[0], lambda: None)
    assert {0o640} == modes(folder)
    with pytest.raises(ValueError, match="mode must be permissions"):
        load_observers_from_json([{"type": "sqlite", "options": {"path": "logs/b", "mode": "640x"}}])


MEMORY = [
    "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true",
    "sqlite:///file:a?mode=memory&uri=true", "", ":memory:",
]  # fmt: skip


@pytest.mark.parametrize("target", MEMORY)
def test_a_database_that_nobody_could_read_is_refused(target: str, folder: pathlib.Path) -> None:
    """It would be in the memory of one connection, and gone with it."""
    with pytest.raises(ValueError, match="needs a file"):
        if target.startswith("sqlite"):
            pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
            SqlExporter(target)
        else:
            SqliteExporter(target)
    assert ["elsewhere"] == os.listdir(folder)


def test_a_database_in_shared_memory_is_read_by_another_connection() -> None:
    """SQLite shares it within the process, so somebody can."""
    pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    with contextlib.closing(sqlite3.connect("file:t?mode=memory&cache=shared", uri=True)) as mine:
        with SqlExporter("sqlite:///file:t?mode=memory&cache=shared&uri=true") as exporter:
            d = TrackedDict()
            d.tracking_add_observer(exporter)
            d["a"] = 1
        assert [("/a",)] == mine.execute("SELECT pointer FROM changes").fetchall()


def test_an_engine_of_the_program_may_be_in_memory() -> None:
    """With one connection for all threads."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=sqlalchemy.pool.StaticPool, connect_args={"check_same_thread": False}
    )
    with SqlExporter(engine) as exporter:
        d = TrackedDict()
        d.tracking_add_observer(exporter)
        d["a"] = 1
    with engine.connect() as connection:
        assert [("/a",)] == connection.execute(sqlalchemy.text("SELECT pointer FROM changes")).fetchall()
    engine.dispose()


def test_a_full_disk_spoils_no_item_of_the_spill_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an item is removed from the file again.

    It would be one line with the next item.
    """
    spill = SpillFile(str(tmp_path / "spill"), 0o600)
    items = [Item(b'{"v":1,"n":%d}' % n, n, "r", n, f"i{n}") for n in range(3)]
    spill.append(items[0])
    write = os.write

    def fill(fd: int, data: bytes) -> int:
        if len(data) > 5:
            return write(fd, data[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill)
        with pytest.raises(OSError, match="No space"):
            spill.append(items[1])
    spill.append(items[2])
    assert [items[0], items[2]] == spill.read(10, 1000)
    spill.close()
