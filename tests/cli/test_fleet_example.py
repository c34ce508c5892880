"""``examples/fleet``: from four processes to the answers of the commands."""

from __future__ import annotations

import datetime
import gzip
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from command import environment
from peers import Bucket, brokers, bucket

from pydatatracker.cli import main

__all__ = ["brokers", "bucket"]  # the fixtures

pytest.importorskip("duckdb", reason="no duckdb for this interpreter")

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "fleet"
HOSTS = ["till-1", "till/2", "web-1", "web-2"]
POINTERS = ["", "/prices", "/prices/tea", "/prices/cup~1saucer", "/closed", "/orders/0/count", "/orders/1", "/none"]


@pytest.fixture(scope="module")
def out(bucket: Bucket, brokers: str, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Run the whole example against servers on the loopback interface.

    Then land and convert again: nothing comes twice.
    """
    out = tmp_path_factory.mktemp("fleet")
    env = environment(
        AWS_ENDPOINT_URL=bucket.endpoint, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
        AWS_REGION="us-east-1", KAFKA_BROKERS=brokers,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", EXAMPLE / "fleet.py", out], env=env, capture_output=True, timeout=120, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr), done.stdout
    assert b"importer: " in done.stdout
    before = sorted(out.rglob("*"))
    again = subprocess.run(
        [sys.executable, "-P", EXAMPLE / "land.py", out / "landing"], env=env, capture_output=True, check=True
    )
    assert ["0 messages", "0 objects"] == again.stdout.decode().splitlines()
    assert before == sorted(out.rglob("*"))
    return out


@pytest.fixture(scope="module")
def lake(out: pathlib.Path) -> Any:
    """Return the example's own class for questions, over what it wrote."""
    spec = importlib.util.spec_from_file_location("fleet_ask", EXAMPLE / "ask.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.Lake(str(out / "lake"))
    yield found
    found.engine.close()


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command and returns its output."""

    def run(*args: object) -> str:
        capfd.readouterr()
        assert 0 == main([*map(str, args)])
        return capfd.readouterr().out

    return run


def logs_of(out: pathlib.Path) -> dict[str, str]:
    """Return a glob of the landed logs of each root."""
    found = {}
    for path in (out / "landing").rglob("host=*"):
        (first, *_) = sorted(path.iterdir())
        text = gzip.decompress(first.read_bytes()) if first.suffix == ".gz" else first.read_bytes()
        found[json.loads(text.splitlines()[0])["root"]] = os.path.join(path, "*.jsonl*")
    return found


def test_every_change_of_every_host_is_in_the_lake(out: pathlib.Path, lake: Any, say: Any) -> None:
    """Each line that landed is a row, below the host that made it."""
    landed = sum(len(say("show", "--json", *pathlib.Path(name).parent.iterdir()).splitlines())
                 for name in logs_of(out).values())  # fmt: skip
    rows = lake.rows("SELECT host, count(*) AS n, count(DISTINCT uuid) AS ids FROM changes GROUP BY host ORDER BY host")
    assert HOSTS == [row["host"] for row in rows]
    assert landed == sum(row["n"] for row in rows) == sum(row["ids"] for row in rows)


def test_who_wrote_a_path_last_is_what_blame_says(out: pathlib.Path, lake: Any, say: Any) -> None:
    """One row for each host; where it is exact, it is the line of blame."""
    exact = 0
    for pointer in POINTERS:
        rows = {row["of_root"]: row for row in lake.last_writers(pointer)}
        for root, name in logs_of(out).items():
            row = rows.get(root)
            if row is None or not row["exact"]:
                assert row is not None or "" == say("blame", name, pointer, "--root", root)
                continue
            exact += 1
            history = say("history", name, pointer, "--root", root, "--json").splitlines()
            last = json.loads(history[-1])
            assert (last["uuid"], last.get("actor") or "") == (row["uuid"], row["actor"])
            assert f" {row['seq']} " in say("blame", name, pointer, "--root", root)
    assert exact >= 4 * 5
    times = [row["time"] for row in lake.last_writers("/closed")]
    assert sorted(times, reverse=True) == times


def test_changes_of_an_actor_are_what_show_selects(out: pathlib.Path, lake: Any, say: Any) -> None:
    """All changes of ann in a span, over all hosts."""
    times = sorted(row["time_ns"] for row in lake.rows("SELECT time_ns FROM changes WHERE actor = 'ann'"))
    since, until = times[2] // 1000 * 1000, times[-3] // 1000 * 1000
    span = [datetime.datetime.fromtimestamp(ns / 1e9, datetime.UTC).isoformat() for ns in (since, until)]
    logs = [file for name in logs_of(out).values() for file in sorted(pathlib.Path(name).parent.iterdir())]
    shown = say("show", "--json", "--actor", "ann", "--since", span[0], "--until", span[1], *logs).splitlines()
    rows = lake.changes_of("ann", since, until)
    assert sorted(json.loads(line)["uuid"] for line in shown) == sorted(row["uuid"] for row in rows)
    assert len(rows) > 5


def test_the_state_at_a_time_is_that_of_at(out: pathlib.Path, lake: Any, say: Any) -> None:
    """Of each root, at a time in the middle and at the end."""
    for root, name in logs_of(out).items():
        times = sorted(row["time_ns"] for row in lake.rows(f"SELECT time_ns FROM changes WHERE root = '{root}'"))
        for ns in (times[len(times) // 2], times[-1] + 1_000_000):
            moment = datetime.datetime.fromtimestamp(ns // 1000 / 1e6, datetime.UTC)
            wanted = json.loads(say("at", name, moment.isoformat(), "--root", root))
            assert wanted == lake.state(root, moment)


def test_what_landed_twice_changes_no_answer(out: pathlib.Path, lake: Any, tmp_path: pathlib.Path) -> None:
    """The consumer died before it committed: its files are there again."""
    logs = [str(file) for name in logs_of(out).values() for file in pathlib.Path(name).parent.iterdir()]
    for file in (out / "landing" / "kafka").rglob("*.jsonl"):
        again = tmp_path / file.parent.name / f"again-{file.name}"
        again.parent.mkdir(exist_ok=True)
        again.write_bytes(file.read_bytes())
        logs.append(str(again))
    args = ["--to", "parquet", "--partition", "day,host", "-o", str(tmp_path / "lake")]
    assert 0 == main(["convert", *logs, *args])
    twice = type(lake)(str(tmp_path / "lake"))
    rows = "SELECT count(*) AS n FROM changes WHERE host LIKE 'till%'"
    assert 2 * lake.rows(rows)[0]["n"] == twice.rows(rows)[0]["n"] > 0
    for pointer in POINTERS:
        assert lake.last_writers(pointer) == twice.last_writers(pointer)
    assert lake.changes_of("ann", 0, 1 << 62) == twice.changes_of("ann", 0, 1 << 62)
    for row in lake.last_writers("/closed"):
        moment = row["time"].replace(tzinfo=datetime.UTC)
        assert lake.state(row["of_root"], moment) == twice.state(row["of_root"], moment)
    twice.engine.close()
