"""Runs every command that reads a log in this process, with checks.

The checks hold for every log.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pydatatracker.cli import main
from pydatatracker.io.parsing import NotAChange, parse

_LINES = {
    "show": ("show", "LOG"),
    "show -v": ("show", "-v", "LOG"),
    "show --json": ("show", "--json", "LOG"),
    "show --tail": ("show", "--tail", "1000000", "LOG"),
    "show --tail --json": ("show", "--tail", "1000000", "--json", "LOG"),
    "stats": ("stats", "LOG"),
    "verify": ("verify", "LOG"),
    "report": ("report", "LOG", "-o", "OUT.html"),
    "report -": ("report", "LOG", "-o", "-"),
    **{f"convert {form}": ("convert", "LOG", "--to", form) for form in ("csv", "cloudevents", "debezium", "json-patch", "chrome-trace")},
    **{f"convert {form} -o": ("convert", "LOG", "--to", form, "-o", f"OUT.{form}") for form in ("sqlite", "parquet", "csv", "debezium")},
}  # fmt: skip
_FILTERS = {
    "path": ("--path", "/good/**"),
    "actor": ("--actor", "ann"),
    "action": ("--action", "update"),
    "since": ("--since", "2020-01-01"),
    "until": ("--until", "2030-01-01"),
    "seq": ("--seq", "1..50"),
    "grep": ("--grep", "good"),
    "transaction": ("--transaction", "t1"),
}
_STATES = {
    "blame": ("blame", "LOG", "/good"),
    "blame --all": ("blame", "LOG", "--all", "-v"),
    "history": ("history", "LOG", "/good", "-v"),
    "history --json": ("history", "LOG", "", "--json"),
    "at": ("at", "LOG", "1000"),
    "at time": ("at", "LOG", "2030-01-01", "--compact"),
    "diff": ("diff", "LOG", "1.."),
    "diff json-patch": ("diff", "LOG", "1..", "--format", "json-patch"),
    "diff merge-patch": ("diff", "LOG", "1..", "--format", "merge-patch"),
    "patch": ("patch", "LOG", "1.."),
    "patch --inverse": ("patch", "LOG", "..1000", "--inverse"),
    "undo-script": ("undo-script", "LOG", "--actor", "ann"),
    "undo-script python": ("undo-script", "LOG", "--format", "python"),
}
_STATEFUL = tuple({words[0] for words in _STATES.values()})
_QUERIES = {
    f"query {form}": ("query", "select * from changes", "LOG", "--format", form) for form in ("table", "csv", "json")
}

COMMANDS: dict[str, tuple[str, ...]] = {
    **_LINES,
    **{f"show {name}": ("show", "LOG", *words) for name, words in _FILTERS.items()},
    **{f"stats {name}": ("stats", "LOG", *words) for name, words in _FILTERS.items()},
    **{name: (*words, "--root", "#1") for name, words in _STATES.items()},
    **_QUERIES,
}
BY_DUCKDB = tuple(name for name in COMMANDS if name.startswith(("query", "convert parquet")))
BY_US = tuple(name for name in COMMANDS if name not in BY_DUCKDB)
_MAY_HOLD_MORE = re.compile(
    "json|at|patch|undo|cloudevents|debezium|chrome|report|csv"
)  # than printable characters: JSON, HTML
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Said(NamedTuple):
    """The result of a command."""

    status: int
    out: str
    err: str


def say(*args: object) -> Said:
    """Run a command in this process; exceptions are not caught."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(map(str, args)))
    for file in (out, err):
        file.flush()
    return Said(status, *(file.buffer.getvalue().decode("utf-8", "surrogateescape") for file in (out, err)))


class Expected(NamedTuple):
    """The contents of a log, found in the simplest way."""

    good: list[bytes]
    bad: list[tuple[int, int]]  # (line, byte) of each unreadable line
    changes: int  # of the good lines; the others are gaps

    def told(self, said: Said) -> int:
        """Return how many readable lines were reported nevertheless."""
        return len(re.findall(r"^pydatatracker: .*?: line \d+, byte ", said.err, re.MULTILINE)) - len(self.bad)

    @property
    def ids(self) -> set[Any]:
        """Return the identity of each change."""
        return {
            (line.root, line.seq, line.uuid or n) for n, line in enumerate(map(parse, self.good)) if not line.is_gap
        }


def expected(log: bytes) -> Expected:
    """Return which lines can be read, one by one.

    O(log).
    """
    good, bad, changes, offset = [], [], 0, 0
    for number, raw in enumerate(log.split(b"\n"), 1):
        if not raw.strip():
            offset += len(raw) + 1
            continue
        start = 3 if number == 1 and raw[:3] == b"\xef\xbb\xbf" else 0
        try:
            changes += not parse(raw[start:] + b"\n").is_gap
            good.append(raw[start:])
        except NotAChange:
            if raw[start:].strip():
                bad.append((number, offset + start))
        offset += len(raw) + 1
    return Expected(good, bad, changes)


def check(name: str, said: Said, log: Expected, made: Path | None = None) -> None:
    """Assert what holds for every command and every log.

    ``made`` is the file that was written.
    """
    assert said.status in (0, 1, 2)
    assert "Traceback" not in said.err
    assert said.err.replace("\n", "").isprintable()
    text = said.out.replace("\r\n", "\n") if "csv" in name else said.out
    assert [] == _CONTROL.findall(text.replace("\t", " ") if _MAY_HOLD_MORE.search(name) else text)
    if not _MAY_HOLD_MORE.search(name):
        assert said.out.replace("\n", "").isprintable()
    if log.bad and not name.startswith("query"):  # a query skips them, as its help says
        assert 0 != said.status
        told = set(re.findall(r": (?:line (\d+), )?byte (\d+): ", said.err))
        assert set() == {("" if "--tail" in name else str(line), str(byte)) for line, byte in log.bad} - told
    if 2 == said.status:
        assert name.startswith(_STATEFUL)  # the log has no change, contains itself, or nests too deep for Python
        assert 1 <= said.err.count("\n")
        return
    _CHECKS.get(name, _nothing)(said, log, made)


def _nothing(said: Said, log: Expected, made: Path | None) -> None:
    pass


def _shown(said: Said, log: Expected, made: Path | None) -> None:
    assert len(log.good) == said.out.count("\n")
    assert bool(log.bad) == said.status


def _shown_as_json(said: Said, log: Expected, made: Path | None) -> None:
    _shown(said, log, made)
    for raw, line in zip(log.good, said.out.split("\n")[:-1], strict=True):
        try:
            known = repr(_loads(raw.decode()))  # NaN does not equal itself
        except ValueError:  # text that is not UTF-8, or an int of 4,301 digits
            continue
        assert known == repr(_loads(line))


def _loads(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"))


def _one_json(said: Said, log: Expected, made: Path | None) -> None:
    json.loads(said.out)


def _converted(said: Said, log: Expected, made: Path | None) -> None:
    lines = [json.loads(line) for line in said.out.split("\n")[:-1]]
    assert log.changes - log.told(said) == len(lines)


def _as_csv(said: Said, log: Expected, made: Path | None) -> None:
    csv.field_size_limit(1 << 30)
    text = said.out if made is None else made.read_bytes().decode()
    assert 1 + log.changes - log.told(said) == sum(1 for _ in csv.reader(io.StringIO(text, newline="")))


def _as_rows(said: Said, log: Expected, made: Path | None) -> None:
    with contextlib.closing(sqlite3.connect(made)) as connection:
        ((count,),) = connection.execute("select count(*) from changes")
    assert len(log.ids) - log.told(said) <= count <= log.changes - log.told(said)


def _as_parquet(said: Said, log: Expected, made: Path | None) -> None:
    import duckdb

    ((count,),) = duckdb.sql(f"select count(*) from '{made}'").fetchall()
    assert log.changes - log.told(said) == count


_CHECKS: dict[str, Callable[[Said, Expected, Path | None], None]] = {
    "show": _shown,
    "show --tail": _shown,
    "show --json": _shown_as_json,
    "show --tail --json": _shown_as_json,
    "convert csv": _as_csv,
    "convert csv -o": _as_csv,
    "convert sqlite -o": _as_rows,
    "convert parquet -o": _as_parquet,
    **dict.fromkeys(["convert cloudevents", "convert debezium", "convert json-patch"], _converted),
    **dict.fromkeys(["convert chrome-trace", "at", "at time", "diff json-patch"], _one_json),
    **dict.fromkeys(["diff merge-patch", "patch", "patch --inverse", "undo-script"], _one_json),
}
