"""Commands name the culprit first, and the rest of the stack on demand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import run, run_in_terminal

from pydatatracker.cli.terminal import cells
from pydatatracker.io import read_changes

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SHOP = """\
import collections, concurrent.futures
from pydatatracker import TrackedDict

prices = TrackedDict(tracking_name="prices")

def start_sale():
    collections.ChainMap(prices)["cup"] = "8.10"  # the bug

def load():
    prices["cup"] = 9.0

load()
start_sale()
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    pool.submit(prices.__setitem__, "tea", 1).result()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    assert 0 == run("run", "--stack", "--log", "shop.jsonl", "shop.py", cwd=tmp_path).returncode
    return tmp_path / "shop.jsonl"


def test_blame_names_the_culprit_and_not_the_messenger(log: Path, tmp_path: Path) -> None:
    """Without -v there is the culprit alone, with -v all calls below it."""
    where = f'{tmp_path / "shop.py"}:7 in start_sale: collections.ChainMap(prices)["cup"] = "8.10"  # the bug'
    lines = run("blame", log, "/cup", cwd=tmp_path).stdout.splitlines()
    assert 2 == len(lines)
    assert f"    culprit: {where}" == lines[1]
    assert lines[0].endswith("9.0 -> '8.10'")
    verbose = run("blame", "-v", log, "/cup", cwd=tmp_path).stdout.splitlines()
    assert lines == verbose[:2]
    assert f"    stack: {where}" in verbose
    assert "collections" in verbose[-1].split(" in ")[0]


def test_nobody_is_named_for_what_libraries_did(log: Path, tmp_path: Path) -> None:
    """Then -v still shows the stack."""
    assert 1 == len(run("blame", log, "/tea", cwd=tmp_path).stdout.splitlines())
    shown = run("blame", "-v", log, "/tea", cwd=tmp_path).stdout
    assert "culprit:" not in shown
    assert "    stack: " in shown


@pytest.mark.parametrize("command", [("show",), ("history", "/cup"), ("blame", "--all")], ids=lambda given: given[0])
def test_each_line_ends_with_the_culprit(log: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """As file and line; a line without one ends with its values."""
    name, *rest = command
    lines = run(name, log, *rest, cwd=tmp_path).stdout.splitlines()
    ends = {"load": "-> 9.0  shop.py:10", "start_sale": "9.0 -> '8.10'  shop.py:7", "tea": "/tea -> 1"}
    wanted = {"show": ["load", "start_sale", "tea"], "history": ["load", "start_sale"], "blame": ["start_sale", "tea"]}
    assert len(wanted[name]) == len(lines)
    for line, each in zip(lines, wanted[name], strict=True):
        assert re.sub(" +", " ", line).endswith(re.sub(" +", " ", ends[each])), line


@pytest.mark.parametrize("columns", [40, 60, 72, 80, 100, 160])
def test_no_line_exceeds_the_terminal(log: Path, tmp_path: Path, columns: int) -> None:
    """A narrow terminal has no room for culprits, a wide one has."""
    status, shown = run_in_terminal("show", log, cwd=tmp_path, columns=columns)
    assert status == 0
    assert all(cells(COLOUR.sub("", line)) <= columns for line in shown.splitlines())
    assert (columns >= 72) == ("shop.py:7" in shown)


def test_the_reader_can_set_what_a_library_is(log: Path, tmp_path: Path) -> None:
    """``--library`` overrules what the log says, as the variable does."""
    assert "in start_sale" in run("blame", log, "/cup", "--library", "*/nothing.py", cwd=tmp_path).stdout
    assert "culprit:" not in run("blame", log, "/cup", "--library", tmp_path, cwd=tmp_path).stdout
    shown = run("blame", log, "/cup", "--library", "!*/collections/*", cwd=tmp_path).stdout
    assert "__init__.py" in shown.split("culprit: ")[1]
    assert shown == run("blame", log, "/cup", cwd=tmp_path, PYDATATRACKER_LIBRARY="!*/collections/*").stdout
    shown = run("show", log, "--library", "!*/collections/*", cwd=tmp_path).stdout
    assert "collections/__init__.py:" in shown


def test_a_log_without_culprits_is_shown_as_ever(log: Path, tmp_path: Path) -> None:
    """Lines of an earlier version name nobody, unless a library is set."""
    old = tmp_path / "old.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert ["culprit" in line for line in lines] == [True, True, True]
    assert [line.pop("culprit") for line in lines][2] is None
    old.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "shop.py" not in run("show", old, cwd=tmp_path).stdout
    assert "culprit:" not in run("blame", "-v", old, "/cup", cwd=tmp_path).stdout
    assert "in start_sale" in run("blame", old, "/cup", "--library", "/nowhere", cwd=tmp_path).stdout


def test_the_program_is_told_what_a_library_is(tmp_path: Path) -> None:
    """The log of a process obeys PYDATATRACKER_LIBRARY."""
    (tmp_path / "shop.py").write_text(SHOP)
    done = run("run", "--stack", "shop.py", cwd=tmp_path, PYDATATRACKER_LIBRARY=str(tmp_path))
    assert 0 == done.returncode
    assert [None] * 3 == [line.culprit for line in read_changes(tmp_path / "changes.jsonl")]


def test_other_forms_have_the_culprit(log: Path, tmp_path: Path) -> None:
    """A trace names it, and a page has its position in the stack."""
    done = run("convert", log, "--to", "chrome-trace", "-o", "trace.json", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    events = [each["args"] for each in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]]
    found = [each.get("culprit", "").rpartition("/")[2] for each in events if "seq" in each]
    assert ["shop.py:10 load", "shop.py:7 start_sale", ""] == found
    from pydatatracker.report.data import Changes

    changes = Changes("log")
    for line in read_changes(log):
        changes.add(line)
    columns = json.loads(changes.text())["columns"]
    assert [1, 1, -1] == columns["culprit"]


def test_sql_has_the_culprit(log: Path, tmp_path: Path) -> None:
    """It is a column, the position in ``stack``."""
    pytest.importorskip("duckdb")
    done = run(
        "query", "select culprit, stack->culprit->>'name' as name from changes", log, "--format", "csv", cwd=tmp_path
    )
    assert (0, ["1,load", "1,start_sale", ","]) == (done.returncode, done.stdout.split()[1:]), done.stderr
