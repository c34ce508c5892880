"""Every command reads a sealed log as if it had no seals.

``verify --seal`` checks them.
"""

from __future__ import annotations

import gzip
import json
import pathlib
import re
from typing import Any

import jsonschema
import pytest
from command import run
from rebuilding import Run, say

from pydatatracker import track, tracking_actor
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import schema

__all__ = ["say"]  # the fixtures


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """Write a log with seals, and the same lines without."""
    folder = tmp_path_factory.mktemp("logs")
    sealed, plain = folder / "log.jsonl", folder / "plain" / "log.jsonl"
    plain.parent.mkdir()
    x = track({"users": [{"mail": "a"}], "n": 0}, tracking_capture_stack=True)
    with JsonLinesExporter(sealed, seal=True, seal_every=3) as exporter:
        x.tracking_add_observer(exporter)
        with tracking_actor("ann"):
            for n in range(12):
                x["users"].append({"mail": str(n)})
                x["n"] = n
        x["users"].pop(0)
        x.tracking_remove_observer(exporter)
    lines = [json.loads(line) for line in sealed.read_bytes().splitlines()]
    kept = [{key: value for key, value in line.items() if key != "seal"} for line in lines if line["action"] != "seal"]
    plain.write_bytes(
        b"".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for line in kept)
    )
    return sealed, plain


COMMANDS: dict[str, tuple[str, ...]] = {
    "show": ("show", "LOG"),
    "show all": ("show", "-v", "LOG"),
    "show the end": ("show", "--tail", "5", "LOG"),
    "show some": ("show", "--path", "/n", "--actor", "ann", "LOG"),
    "show by action": ("show", "--action", "seal", "LOG"),
    "stats": ("stats", "LOG"),
    "stats of some": ("stats", "--grep", "mail", "LOG"),
    "blame": ("blame", "LOG", "/users/3/mail"),
    "blame all": ("blame", "LOG", "--all"),
    "history": ("history", "LOG", "/n"),
    "at": ("at", "LOG", "5"),
    "at the end": ("at", "LOG", "now"),
    "diff": ("diff", "LOG", "2..9"),
    "patch": ("patch", "LOG", "2..9"),
    "undo-script": ("undo-script", "LOG", "--actor", "ann"),
    "verify": ("verify", "LOG"),
    "csv": ("convert", "LOG", "--to", "csv"),
    "cloudevents": ("convert", "LOG", "--to", "cloudevents"),
    "debezium": ("convert", "LOG", "--to", "debezium"),
    "json-patch": ("convert", "LOG", "--to", "json-patch"),
    "chrome-trace": ("convert", "LOG", "--to", "chrome-trace"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_prints_the_same(logs: Any, say: Run, command: tuple[str, ...]) -> None:
    """Status, output and errors are those of the log without seals."""
    expected, found = ([each if word == "LOG" else word for word in command] for each in reversed(logs))
    status, out, err = say(*found)
    assert (*say(*expected),) == (status, out.replace(str(logs[0]), str(logs[1])), err)
    assert 0 == status


def test_every_command_is_in_the_table() -> None:
    """A command that reads changes and is not tried here is named."""
    from pydatatracker.cli.catalog import COMMANDS as catalog

    others = {
        "run",
        "demo",
        "report",
        "view",
        "query",
        "schema",
        "sql",
        "completion",
        "seal-key",
    }  # below, or read no log
    assert set(catalog) == {each[0] for each in COMMANDS.values()} | others


def test_show_json_leaves_out_what_is_no_change(logs: Any, say: Run) -> None:
    """The lines themselves are printed with their seals."""
    _, out, _ = say("show", "--json", logs[0])
    lines = [json.loads(line) for line in out.splitlines()]
    assert (26, True) == (len(lines), all("seal" in line for line in lines))


def test_files_and_pipes(logs: Any, tmp_path: pathlib.Path, say: Run) -> None:
    """Databases, Parquet, pages, SQL and standard input have the changes only."""
    sealed = logs[0]
    for form in ("sqlite", "parquet"):
        if form == "parquet":
            pytest.importorskip("duckdb")
        assert (0, "") == (say("convert", sealed, "--to", form, "-o", tmp_path / form)[0], "")
    status, _, _ = say("report", sealed, "-o", tmp_path / "page.html")
    assert 0 == status
    assert '"action":"seal"' not in (tmp_path / "page.html").read_text("utf-8")
    count = "SELECT count(*) AS n, count(DISTINCT action) AS a FROM changes"
    for source in (sealed, tmp_path / "parquet"):
        name = source if source == sealed else source.rename(tmp_path / "x.parquet")
        status, out, _ = say("query", count, name, "--format", "json")
        assert (0, {"n": 26, "a": 4}) == (status, json.loads(out))
    done = run("show", "-", cwd=tmp_path, stdin=sealed.read_bytes())
    assert (0, "", 26) == (done.returncode, done.stderr, len(done.stdout.splitlines()))


def test_the_schema_has_every_line(logs: Any) -> None:
    """Lines with seals and lines about seals are valid."""
    validator = jsonschema.Draft202012Validator(schema())
    lines = [json.loads(line) for line in logs[0].read_bytes().splitlines()]
    assert [] == [error.message for line in lines for error in validator.iter_errors(line)]
    kinds = {line.get("kind") for line in lines}
    assert {None, "begin", "root"} == kinds
    for line in lines:
        assert not validator.is_valid({**line, "seal": line["seal"][1:]})
    assert not validator.is_valid({key: value for key, value in lines[0].items() if key != "chain"})


def test_verify_seal(logs: Any, tmp_path: pathlib.Path, say: Run) -> None:
    """Roots are printed, and faults are named as ``verify`` names them."""
    sealed, plain = logs
    status, out, err = say("verify", "--seal", sealed)
    assert (0, "") == (status, err)
    (root,) = re.findall(r"^root ([0-9a-f]{64}) of", out, re.M)
    assert out.endswith("in 1 chain: all seals are right\n")
    assert 0 == say("verify", "--seal", "--root", root, sealed)[0]
    lines = sealed.read_bytes().splitlines(keepends=True)
    path = tmp_path / "x.jsonl"
    n = next(n for n, line in enumerate(lines) if b'"ann"' in line and n > 5)
    before, line, after = lines[:n], lines[n], lines[n + 1 :]
    for made, number, word in (
        ([*before, line.replace(b'"ann"', b'"bob"'), *after], n + 1, "was changed"),
        ([*before, *after], n + 1, "missing"),
        ([*before, after[0], line, *after[1:]], n + 1, "missing"),
        ([*before, line, line, *after], n + 2, "is there twice"),
        ([*before, plain.read_bytes().splitlines(keepends=True)[0], line, *after], n + 1, "no seal"),
        ([*lines[:-1], lines[-1][:50]], len(lines), "cut off"),
    ):
        path.write_bytes(b"".join(made))
        status, out, err = say("verify", "--seal", path)
        first = err.splitlines()[0]
        where = f"{path}: line {number}, byte {sum(map(len, made[: number - 1]))}: "
        assert (1, True, True) == (status, where in first, word in first), err
        assert "fault" in out.splitlines()[-1]
    path.write_bytes(b"".join(lines[:20]))
    assert 0 == say("verify", "--seal", path)[0]
    status, _, err = say("verify", "--seal", "--root", root, path)
    assert (1, True) == (status, root in err)


@pytest.mark.parametrize("root", ["abc", "", "0" * 20, "g" * 64, "0" * 65, "1" * 64 + "\n\n2"])
def test_what_is_not_a_root(logs: Any, say: Run, root: str) -> None:
    """A root that nobody can have been given is a wrong option, no fault."""
    status, out, err = say("verify", "--seal", "--root", root, logs[0])
    assert (2, "", True) == (status, out, "a root has 64 hex digits" in err), err


def test_verify_seal_of_standard_input(logs: Any, tmp_path: pathlib.Path) -> None:
    """Plain or compressed, by ``-`` or without a name; faults name it."""
    data = logs[0].read_bytes()
    for stdin, names in ((data, ["-"]), (data, []), (gzip.compress(data), ["-"])):
        done = run("verify", "--seal", *names, cwd=tmp_path, stdin=stdin)
        assert (0, "") == (done.returncode, done.stderr)
        assert " of <stdin>: line " in done.stdout
        assert done.stdout.endswith("in 1 chain: all seals are right\n")
    lines = data.splitlines(keepends=True)
    done = run("verify", "--seal", "-", cwd=tmp_path, stdin=b"".join(lines[:7] + lines[8:]))
    assert (1, True) == (done.returncode, "<stdin>: line 8, byte" in done.stderr), done.stderr


def test_an_empty_log_is_not_right(logs: Any, tmp_path: pathlib.Path, say: Run) -> None:
    """An emptied log, or a pipe whose writer failed, is not right."""
    (tmp_path / "empty.jsonl").write_bytes(b"")
    expected = "0 lines in 0 chains: there is nothing to check\n"
    assert (0, expected) == say("verify", "--seal", tmp_path / "empty.jsonl")[:2]
    status, out, _ = say("verify", "--seal", "--key", "0" * 64, tmp_path / "empty.jsonl")
    assert (1, "0 lines in 0 chains: there is nothing to check, 1 note") == (status, out.splitlines()[-1])
    done = run("verify", "--seal", "-", cwd=tmp_path, stdin=b"")
    assert (1, expected) == (done.returncode, done.stdout)


def test_the_verdict_counts_notes(logs: Any, tmp_path: pathlib.Path, say: Run) -> None:
    """Whoever reads only the last line learns that there is more to read."""
    lines = logs[0].read_bytes().splitlines(keepends=True)
    assert b'"kind":"root"' in lines[-1]
    (tmp_path / "cut.jsonl").write_bytes(b"".join(lines[:-1]))
    status, out, _ = say("verify", "--seal", tmp_path / "cut.jsonl")
    assert 0 == status
    assert out.endswith("in 1 chain: all seals are right, 1 note\n")


def test_seal_key_and_key(tmp_path: pathlib.Path, say: Run) -> None:
    """``seal-key`` makes what ``seal_key=`` and ``--key`` take.

    Nothing is overwritten.
    """
    pytest.importorskip("cryptography")
    status, out, err = say("seal-key", tmp_path / "audit.pem")
    assert (0, "", 65) == (status, err, len(out))
    x = track({"a": 1})
    with JsonLinesExporter(tmp_path / "a.jsonl", seal=True, seal_key=tmp_path / "audit.pem") as exporter:
        x.tracking_add_observer(exporter)
        x["a"] = 2
        x.tracking_remove_observer(exporter)
    for key in (out.strip(), tmp_path / "audit.pub.pem"):
        status, said, err = say("verify", "--seal", "--key", key, tmp_path / "a.jsonl")
        assert (0, "", True) == (status, err, f"signed with {out.strip()}" in said)
    for words, text in (
        (("seal-key", tmp_path / "audit.pem"), "never overwritten"),
        (("verify", "--key", "ab", tmp_path / "a.jsonl"), "need --seal"),
        (("verify", "--seal", "--key", tmp_path / "a.jsonl", tmp_path / "a.jsonl"), "not a public key"),
        (("verify", "--seal", "--key", "nowhere", tmp_path / "a.jsonl"), "cannot read nowhere"),
        (("verify", "--seal", tmp_path / "nowhere"), "cannot read"),
    ):
        status, _, err = say(*words)
        assert (2, True) == (status, text in err), err
    assert 1 == say("verify", "--seal", "--key", "ab" * 32, tmp_path / "a.jsonl")[0]
