"""Each exporter and command works in a process of its own.

Only the extra of its own can be imported there: a module that something else has imported before is not at hand by
chance.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from pydatatracker.cli.catalog import COMMANDS

# what each extra brings, by the name that is imported
EXTRAS = {
    "http": {"urllib3", "tenacity"},
    "s3": {"obstore", "tenacity"},
    "kafka": {"confluent_kafka", "tenacity"},
    "sql": {"sqlalchemy", "tenacity", "psycopg", "typing_extensions", "greenlet"},
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
from pydatatracker import TrackedDict
d = TrackedDict()
folder = sys.argv[2]
def use(exporter, wait=20):
    d.tracking_add_observer(exporter)
    d["a"] = 1
    sent = exporter.flush(wait)
    print(exporter.close(wait), exporter.stats().sent, exporter.stats().last_error)
"""
SERVER = """
import http.server, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("ETag", "e"); self.send_header("Content-Length", "0"); self.end_headers()
    def do_PUT(self):
        self.do_POST()
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
"""
EXPORTERS = {
    "jsonlines": ("", "use(exporters.JsonLinesExporter(folder + '/a', buffered=True, rotate_size=9, compress='gzip'))"),
    "sqlite": ("", "use(exporters.SqliteExporter(folder + '/a.db'))"),
    "sql sqlite": ("sql", "use(exporters.SqlExporter(f'sqlite:///{folder}/a.db'))"),
    "http": ("http", "use(exporters.HttpExporter(url))"),
    "http client": ("", "use(exporters.HttpExporter(lambda url, json: None, url))"),
    "otel": ("otel", "use(exporters.OpenTelemetryExporter(url))"),
    "s3": ("s3", "use(exporters.S3Exporter('bucket', endpoint=url, config=dict(skip_signature=True, region='x')))"),
}  # fmt: skip


def run(code: str, extra: str, *args: str) -> subprocess.CompletedProcess[str]:
    every = set().union(*EXTRAS.values()) - EXTRAS.get(extra, set())
    return subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code, ",".join(sorted(every)), *args],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_needs_only_its_own_extra(name: str, tmp_path: pathlib.Path) -> None:
    """It sends a change in a process where nothing else was imported."""
    extra, code = EXPORTERS[name]
    found = run(BLOCK + SERVER + "from pydatatracker import exporters\n" + code, extra, str(tmp_path))
    if "needs" in found.stderr and "pip install" in found.stderr and extra:
        pytest.skip(found.stderr.splitlines()[-1])
    assert ("True 1 None\n", 0) == (found.stdout, found.returncode), found.stderr


@pytest.mark.parametrize("dialect", ["postgresql+psycopg", "postgresql", "mysql+pymysql", "sqlite+pysqlite"])
def test_the_table_is_made_for_each_dialect(dialect: str, tmp_path: pathlib.Path) -> None:
    """A database whose driver is missing says so; nothing else is missing."""
    code = BLOCK + (
        "from pydatatracker.exporters.sql import SqlSink\n"
        f"url = {dialect!r} + ('://u:p@h/db' if {dialect!r}[:6] != 'sqlite' else ':///' + folder + '/a.db')\n"
        "try:\n    SqlSink(url, 'changes')\n"
        "except ModuleNotFoundError as error:\n    print('driver', error.name)\nelse:\n    print('made')\n"
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
    found = run(BLOCK + code, "", str(tmp_path))
    assert f"pydatatracker[{extra}]" in found.stderr.splitlines()[-1]


LOG = b'{"v":1,"action":"add","seq":1,"path":["a"],"pointer":"/a","after":1,"root":"r","pid":1}\n'
ARGUMENTS = {
    "demo": [], "schema": [], "completion": ["bash"], "blame": ["LOG", "/a"], "history": ["LOG", "/a"],
    "at": ["LOG", "seq:1"], "diff": ["LOG", "seq:1", "seq:1"], "patch": ["LOG", "seq:1", "seq:1"],
    "undo-script": ["LOG", "--actor", "x"], "convert": ["csv", "LOG"], "query": ["SELECT 1", "LOG"],
    "report": ["LOG", "-o", "OUT"], "run": ["--log", "OUT", "PROGRAM"],
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"view"}))
def test_a_command_needs_only_the_extra_of_commands(command: str, tmp_path: pathlib.Path) -> None:
    """A missing module is named with the extra that brings it."""
    (tmp_path / "log.jsonl").write_bytes(LOG)
    (tmp_path / "program.py").write_text("from pydatatracker import TrackedDict\nTrackedDict()['a'] = 1\n")
    names = {"LOG": "log.jsonl", "OUT": "out", "PROGRAM": "program.py"}
    arguments = [str(tmp_path / names[each]) if each in names else each for each in ARGUMENTS.get(command, ["LOG"])]
    code = BLOCK.replace("from pydatatracker import TrackedDict\nd = TrackedDict()\n", "") + (
        f"\nsys.argv = ['pydatatracker', {command!r}, *{arguments!r}]\nfrom pydatatracker.__main__ import main\nmain()\n"
    )
    found = run(code, "cli", str(tmp_path))
    assert "Traceback" not in found.stderr, found.stderr
    if command == "query":
        assert "pydatatracker[query]" in found.stderr
    else:
        assert found.returncode in (0, 1), found.stderr
