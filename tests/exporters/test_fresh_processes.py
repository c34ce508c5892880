"""Each exporter and command works in a process of its own.

Only the extra of its own can be imported there: a module that something else has imported before is not at hand by
chance.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from smokes import OBSERVE, OWN, SERVER, SMOKES, arguments_of, write_files

from pydatatracker import exporters
from pydatatracker.cli.catalog import COMMANDS

# what each extra brings, by the name that is imported
EXTRAS = {
    "http": {"urllib3", "tenacity"},
    "s3": {"obstore", "tenacity"},
    "kafka": {"confluent_kafka", "tenacity"},
    "seal": {"cryptography"}, "sql": {"sqlalchemy", "tenacity", "psycopg", "typing_extensions", "greenlet"},
    "otel": {"opentelemetry", "requests", "urllib3", "tenacity", "google", "googleapis_common_protos", "charset_normalizer",
             "idna", "certifi", "typing_extensions"},
    "prometheus": {"prometheus_client"},
    "cli": {"rich", "rich_argparse", "zstandard", "pygments", "markdown_it", "mdurl", "watchfiles", "argcomplete"},
    "query": {"duckdb", "numpy", "pandas", "pyarrow"},
}  # fmt: skip
BLOCK = """
import importlib.machinery, os, sys
blocked = set(sys.argv[1].split(","))
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run(code: str, extra: str, *args: str) -> subprocess.CompletedProcess[str]:
    every = set().union(*EXTRAS.values()) - EXTRAS.get(extra, set())
    return subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code, ",".join(sorted(every)), *args],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", SMOKES)
def test_an_exporter_needs_only_its_own_extra(name: str, tmp_path: pathlib.Path) -> None:
    """It sends a change in a process where nothing else was imported."""
    extra, code = SMOKES[name]
    found = run(BLOCK + OBSERVE + SERVER + code, extra, str(tmp_path))
    if "pip install" in found.stderr and extra:
        pytest.skip(found.stderr.splitlines()[-1])
    assert (OWN, 0) == (found.stdout, found.returncode), found.stderr


def test_each_exporter_is_used() -> None:
    """A new exporter has a short use in `smokes`, with its extra."""
    code = "".join(code for _, code in SMOKES.values())
    names = [name for name in exporters.__all__ if name.endswith("Exporter") and name != "Exporter"]
    assert [] == [name for name in names if f".{name}(" not in code]


@pytest.mark.parametrize("dialect", ["postgresql+psycopg", "postgresql", "mysql+pymysql", "sqlite+pysqlite"])
def test_the_table_is_made_for_each_dialect(dialect: str, tmp_path: pathlib.Path) -> None:
    """A database whose driver is missing says so; nothing else is missing."""
    code = (
        BLOCK
        + OBSERVE
        + (
            "from pydatatracker.exporters.sql import SqlSink\n"
            f"url = {dialect!r} + ('://u:p@h/db' if {dialect!r}[:6] != 'sqlite' else ':///' + folder + '/a.db')\n"
            "try:\n    SqlSink(url, 'changes')\n"
            "except ModuleNotFoundError as error:\n    print('driver', error.name)\nelse:\n    print('made')\n"
        )
    )
    found = run(code, "sql", str(tmp_path))
    if "pip install" in found.stderr:
        pytest.skip("the extra sql is not installed")
    assert found.returncode == 0, found.stderr
    assert found.stdout.split()[0] in ("made", "driver")


@pytest.mark.parametrize(("type_name", "extra"), [
    ("HttpExporter", "http"), ("S3Exporter", "s3"), ("KafkaExporter", "kafka"), ("SqlExporter", "sql"),
    ("OpenTelemetryExporter", "otel"),
])  # fmt: skip
def test_a_missing_extra_is_named(type_name: str, extra: str, tmp_path: pathlib.Path) -> None:
    """Without its extra, an exporter says what to install."""
    arguments = {
        "S3Exporter": "'b'",
        "KafkaExporter": "'t', config={'bootstrap.servers': 'h'}",
        "SqlExporter": "'sqlite://'",
    }
    code = f"from pydatatracker.exporters import {type_name}\n{type_name}({arguments.get(type_name, 'chr(104) + chr(116) * 2 + chr(112) + chr(58) + chr(47) * 2 + chr(104)')})"
    found = run(BLOCK + OBSERVE + code, "", str(tmp_path))
    assert f"pydatatracker[{extra}]" in found.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"view"}))
def test_a_command_needs_only_the_extra_of_commands(command: str, tmp_path: pathlib.Path) -> None:
    """A missing module is named with the extra that brings it."""
    write_files(tmp_path)
    arguments = arguments_of(command, tmp_path)
    code = BLOCK + (
        f"\nsys.argv = ['pydatatracker', {command!r}, *{arguments!r}]\nfrom pydatatracker.__main__ import main\nsys.exit(main())\n"
    )
    found = run(code, "cli", str(tmp_path))
    assert "Traceback" not in found.stderr, found.stderr
    if command in ("query", "seal-key"):
        assert f"pydatatracker[{command.partition('-')[0]}]" in found.stderr
    else:
        assert found.returncode in (0, 1), found.stderr
