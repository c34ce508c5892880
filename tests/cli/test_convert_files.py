"""``convert`` writes a whole file or none, in bounded memory.

Also when it is interrupted by Ctrl-C.
"""

from __future__ import annotations

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading

import pytest
from command import POSIX, change, environment, interrupted, lines, run
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker.cli import main
from pydatatracker.exporters.sqlite import SqliteSink, row_of
from pydatatracker.io import files
from pydatatracker.io.parsing import parse

FORMS = ("csv", "parquet", "sqlite", "cloudevents", "debezium", "json-patch", "chrome-trace")


def form_is_there(form: str) -> None:
    if form == "parquet":
        pytest.importorskip("duckdb", reason="no duckdb for this interpreter")


# ---- whole files or none


@pytest.mark.parametrize("form", FORMS)
def test_the_log_itself_is_not_overwritten(tmp_path: pathlib.Path, form: str) -> None:
    """The log is refused as the target, under any name or link of it."""
    form_is_there(form)
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(3))
    names = ["log.jsonl", "./log.jsonl"]
    if sys.platform != "win32":
        os.symlink(log, tmp_path / "link")
        os.link(log, tmp_path / "twin")
        names += ["link", "twin"]
    for name in names:
        done = run("convert", log, "--to", form, "-o", name, cwd=tmp_path)
        assert (2, f"pydatatracker: {name} is the log; name another file with -o\n") == (done.returncode, done.stderr)
    assert lines(3) == log.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_replaced_when_all_is_written(tmp_path: pathlib.Path, form: str) -> None:
    """A file is replaced only when the new one is complete.

    No other file is left in the folder, and the old file's permissions stay. A missing folder is an error; it is
    not made.
    """
    form_is_there(form)
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(3))
    done = run("convert", log, "--to", form, "-o", tmp_path / "new" / "out", cwd=tmp_path)
    assert (2, True) == (done.returncode, "No such file or directory" in done.stderr)
    assert not (tmp_path / "new").exists()
    target = tmp_path / "folder" / "out"
    target.parent.mkdir()
    assert 0 == main(["convert", str(log), "--to", form, "-o", str(target)])
    first = target.read_bytes()
    if form != "sqlite":
        target.write_bytes(b"old" * 1_000_000)
        target.chmod(0o640)
    assert 0 == main(["convert", str(log), "--to", form, "-o", str(target)])
    assert ["out"] == os.listdir(target.parent)
    if form != "sqlite":
        assert len(first) == target.stat().st_size
        assert sys.platform == "win32" or target.stat().st_mode & 0o777 == 0o640


@POSIX
@pytest.mark.parametrize("form", FORMS)
def test_ctrl_c_leaves_the_old_file(tmp_path: pathlib.Path, form: str) -> None:
    """Ctrl-C leaves the old file unchanged and exits with status 130."""
    form_is_there(form)
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(20_000) * 20)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    status, seconds, errors = interrupted(
        *("convert", log, "--to", form, "-o", folder / "old"), cwd=tmp_path, until=lambda: len(os.listdir(folder)) > 1
    )
    assert (130, b"") == (status, errors)
    assert seconds < 5
    assert ["old"] == os.listdir(folder)
    assert b"old" == (folder / "old").read_bytes()


@POSIX
def test_links_and_devices_are_written_to(tmp_path: pathlib.Path) -> None:
    """A link stays a link, and a device receives the text.

    A file without write permission is refused.
    """
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(2))
    (tmp_path / "real").write_bytes(b"old")
    os.symlink("real", tmp_path / "link")
    assert 0 == run("convert", log, "--to", "csv", "-o", "link", cwd=tmp_path).returncode
    assert (tmp_path / "link").is_symlink()
    assert 3 == len((tmp_path / "real").read_text().splitlines())
    done = run("convert", log, "--to", "csv", "-o", "/dev/stdout", cwd=tmp_path)
    assert (0, 3) == (done.returncode, len(done.stdout.splitlines()))
    if os.geteuid():
        (tmp_path / "real").chmod(0o400)
        done = run("convert", log, "--to", "csv", "-o", "link", cwd=tmp_path)
        assert (2, "pydatatracker: cannot write link: Permission denied\n") == (done.returncode, done.stderr)
    done = run("convert", log, "--to", "csv", "-o", log / "x", cwd=tmp_path)
    assert (2, True) == (done.returncode, done.stderr.startswith("pydatatracker: cannot write "))


# ---- SQLite


def test_a_database_gets_the_changes_added(tmp_path: pathlib.Path) -> None:
    """Changes are added to a database, once each.

    Other tables stay. A database with another table named changes is refused and left unchanged.
    """
    (tmp_path / "log.jsonl").write_bytes(lines(3))
    (tmp_path / "more.jsonl").write_bytes(lines(5))
    with sqlite3.connect(tmp_path / "app.db") as app:
        app.execute("CREATE TABLE mine (x)")
    app.close()
    for log, count in (("log.jsonl", 3), ("more.jsonl", 5)):
        assert 0 == run("convert", log, "--to", "sqlite", "-o", "app.db", cwd=tmp_path).returncode
        app = sqlite3.connect(tmp_path / "app.db")
        assert [(count,)] == app.execute("SELECT count(*) FROM changes").fetchall()
        assert [] == app.execute("SELECT * FROM mine").fetchall()
        app.close()
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE changes (x)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    done = run("convert", "log.jsonl", "--to", "sqlite", "-o", "other.db", cwd=tmp_path)
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith("pydatatracker: cannot write other.db: ")
    assert before == (tmp_path / "other.db").read_bytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional={"actor": JSON, "before": JSON, "after": JSON, "seq": JSON,
    "transaction": JSON, "changes": JSON, "path": JSON, "pid": JSON, "time_ns": JSON, "stack": JSON}), max_size=4))  # fmt: skip
def test_no_line_stops_a_conversion(tmp_path_factory: pytest.TempPathFactory, fields: list[dict[str, object]]) -> None:
    """Any line can be converted; one that a format cannot hold is status 1."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "log.jsonl").write_bytes(b"".join(change(**{"uuid": f"u{n}", **each}) for n, each in enumerate(fields)))
    for form in FORMS:
        if form != "parquet":
            assert main(["convert", str(folder / "log.jsonl"), "--to", form, "-o", str(folder / form)]) in (0, 1)
    connection = sqlite3.connect(folder / "sqlite")
    assert [(len(fields),)] == connection.execute("SELECT count(*) FROM changes").fetchall()
    connection.close()
    json.loads((folder / "chrome-trace").read_bytes())
    for form in ("cloudevents", "debezium", "json-patch"):
        for line in (folder / form).read_bytes().splitlines():
            json.loads(line)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({"after": JSON}, optional={"before": JSON, "actor": st.text("aé", max_size=3)})))
def test_rows_are_those_of_the_exporter(
    tmp_path_factory: pytest.TempPathFactory, fields: list[dict[str, object]]
) -> None:
    """``convert`` writes the table that SqliteExporter would write."""
    from pydatatracker.exporters.sink import Item

    folder = tmp_path_factory.mktemp("rows")
    raws = [change(**{**each, "seq": n, "uuid": f"u{n}"}) for n, each in enumerate(fields, 1)]
    (folder / "log.jsonl").write_bytes(b"".join(raws))
    assert 0 == main(["convert", str(folder / "log.jsonl"), "--to", "sqlite", "-o", str(folder / "ours.db")])
    heads = [parse(raw) for raw in raws]
    items = [Item(h.raw.strip(), h.seq or 0, h.root, h.time_ns or 0, h.uuid) for h in heads]
    sink = SqliteSink(folder / "theirs.db", 1)
    sink.send(items)
    sink.close()
    found = []
    for name in ("ours.db", "theirs.db"):
        connection = sqlite3.connect(folder / name)
        found.append(connection.execute("SELECT * FROM changes ORDER BY seq").fetchall())
        found.append(sorted(connection.execute("SELECT name, sql FROM sqlite_master").fetchall(), key=str))
        connection.close()
    assert found[:2] == found[2:]
    assert [row_of(item) for item in items] == found[0]


# ---- to a terminal


def test_control_characters_are_escaped_for_a_terminal(tmp_path: pathlib.Path) -> None:
    """Every format escapes control characters for a terminal."""
    from command import run_in_terminal

    pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
    (tmp_path / "log.jsonl").write_bytes(change(actor="\x1b[31m\x9b31mred", pointer="/x", path=["x"], after="\x9b1m"))
    sql = ("query", "select actor, after->>'$' from changes", "log.jsonl", "--format")
    for args in [("convert", "log.jsonl", "--to", form) for form in ("csv", "debezium", "chrome-trace")] + [
        (*sql, "csv"),
        (*sql, "json"),
    ]:
        status, shown = run_in_terminal(*args, cwd=tmp_path, columns=500)
        assert 0 == status
        assert "red" in shown
        assert {letter for letter in shown if not letter.isprintable()} <= {"\n"}, args


@POSIX
@pytest.mark.parametrize("form", [*FORMS, "report"])
def test_a_pipe_without_a_reader_is_an_error(
    tmp_path: pathlib.Path, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends after a wait, and says what it waited for."""
    form_is_there(form)
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    (tmp_path / "log.jsonl").write_bytes(lines(3))
    os.mkfifo(tmp_path / "pipe")
    command = ["report"] if form == "report" else ["convert", "--to", form]
    assert 2 == main([*command, str(tmp_path / "log.jsonl"), "-o", str(tmp_path / "pipe")])
    assert "no process reads this pipe: waited 0.1 s" in capsys.readouterr().err


@POSIX
@pytest.mark.parametrize("form", ["csv", "json-patch", "report"])
def test_a_pipe_with_a_reader_gets_everything(tmp_path: pathlib.Path, form: str) -> None:
    """What it gets is what a file gets."""
    (tmp_path / "log.jsonl").write_bytes(lines(300))
    os.mkfifo(tmp_path / "pipe")
    command = ["report"] if form == "report" else ["convert", "--to", form]
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    for name in ("pipe", "file"):
        done = run(*command, "log.jsonl", "-o", name, cwd=tmp_path)
        assert 0 == done.returncode, done.stderr
    reader.join(30)
    assert [(tmp_path / "file").read_bytes()] == got


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units on this system")
@pytest.mark.parametrize("form", [*FORMS, "folders", "query"])
def test_memory_does_not_grow_with_the_log(tmp_path: pathlib.Path, form: str) -> None:
    """Memory is bounded for a log of 120 MB.

    The bound is 60 MB for text formats and 300 MB where DuckDB is used.
    """
    form_is_there("parquet" if form in ("folders", "query") else form)
    log = tmp_path / "log.jsonl"
    block = change(pointer="/k", path=["k"], after="x" * 800) * 1000
    with open(log, "wb") as file:
        for _ in range(120):
            file.write(block)
    args = ["convert", str(log), "--to", form, "-o", str(tmp_path / "out")]
    if form == "folders":
        args[3:4] = ["parquet", "--partition", "day,host", "--host", "a"]
    if form == "query":
        args = ["query", "--format", "csv", "select * from changes", str(log)]
    # the peak memory of a process starts at that of its parent, so the parent is a small one
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-S", "-c", program, sys.executable, "-m", "pydatatracker", *args]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, timeout=120, check=True)
    assert int(done.stdout) / 1024 < (300 if form in ("parquet", "folders", "query") else 60)
