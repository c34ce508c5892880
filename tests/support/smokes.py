"""A short use of each exporter and each command.

They are for processes in which little else can be imported: ``tests/exporters/test_fresh_processes.py`` runs them here,
and ``scripts/test_extras.py`` where only one extra is installed. They are text, since these have none of the tests.
"""

from __future__ import annotations

import pathlib

__all__ = ["ARGUMENTS", "LOG", "OBSERVE", "OWN", "PROGRAM", "SERVER", "SMOKES", "arguments_of", "write_files"]

# sys.argv[-1] is a folder
OBSERVE = """
import os, sys
from pydatatracker import TrackedDict
d = TrackedDict()
folder = sys.argv[-1]
def use(exporter, wait=20):
    d.tracking_add_observer(exporter)
    d["a"] = 1
    exporter.flush(wait)
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
from pydatatracker import exporters
"""
OWN = "True 1 None\n"  # what `use` prints

# name -> (extra, code after OBSERVE and SERVER)
SMOKES = {
    "jsonlines": ("", "use(exporters.JsonLinesExporter(folder + '/a', buffered=True, rotate_size=9, compress='gzip'))"),
    "jsonlines direct": ("", "use(exporters.JsonLinesExporter(folder + '/b'))"),
    "sqlite": ("", "use(exporters.SqliteExporter(folder + '/a.db'))"),
    "http client": ("", "use(exporters.HttpExporter(lambda url, json: None, url))"),
    "s3 client": ("", "class C:\n    def put_object(self, **k): pass\nuse(exporters.S3Exporter(C(), bucket='b'))"),
    "kafka client": ("", "class C:\n    def produce(self, *a): pass\nuse(exporters.KafkaExporter(C(), topic='t'))"),
    "otel headers": ("otel", "use(exporters.OpenTelemetryExporter(url, headers={'X-Key': 'x'}))"),
    "http": ("http", "use(exporters.HttpExporter(url, compress=True))"),
    "otel": ("otel", "use(exporters.OpenTelemetryExporter(url))"),
    "s3": ("s3", "use(exporters.S3Exporter('bucket', endpoint=url, config=dict(skip_signature=True, region='x')))"),
    "jsonlines sealed": ("", "use(exporters.JsonLinesExporter(folder + '/s', seal=True))"),
    "jsonlines signed": (
        "seal",
        ("from pydatatracker.io.keys import new_key\nnew_key(folder + '/k', folder + '/k.pub')\n"
        "use(exporters.JsonLinesExporter(folder + '/k.jsonl', seal=True, seal_key=folder + '/k'))"),
    ),
    "sqlite sealed": ("", "use(exporters.SqliteExporter(folder + '/s.db', seal=True))"),
    "sql sealed": ("sql", "use(exporters.SqlExporter(f'sqlite:///{folder}/sealed.db', seal=True))"),
    "sql sqlite": ("sql", "use(exporters.SqlExporter(f'sqlite:///{folder}/sql.db'))"),
    "kafka": (
        "kafka",  # librdkafka has a broker for tests in itself
        "use(exporters.KafkaExporter('t', config={'bootstrap.servers': 'x', 'test.mock.num.brokers': 1}))",
    ),
    "prometheus": (
        "prometheus",
        ("from pydatatracker.observers import telemetry_observer\n"
        "d.tracking_add_observer(telemetry_observer())\nd['a'] = 1\nimport prometheus_client\n"
        "n = prometheus_client.REGISTRY.get_sample_value('pydatatracker_changes_total', {'action': 'add'})\n"
         "print(True, int(n), None)"),
    ),
    "query": (
        "query",
        ("from pydatatracker.io import ChangeWriter\nfrom pydatatracker.query import connect, write_parquet\n"
        "with ChangeWriter(folder + '/q.jsonl') as w:\n    d.tracking_add_observer(w.write)\n    d['a'] = 1\n"
        "with open(folder + '/q.jsonl', 'rb') as file:\n    write_parquet(file.read(), folder + '/q.parquet')\n"
        "c = connect([folder + '/q.jsonl', folder + '/q.parquet'])\n"
        "print(*c.execute('select count(*) = 2, min(cast(after as int)), null from changes').fetchone())"),
    ),
}  # fmt: skip

LOG = b'{"v":1,"action":"add","seq":1,"path":["a"],"pointer":"/a","after":1,"root":"r","pid":1}\n'
PROGRAM = "from pydatatracker import TrackedDict\nTrackedDict()['a'] = 1\n"
ARGUMENTS = {
    "demo": [], "schema": [], "completion": ["bash"], "blame": ["LOG", "/a"], "history": ["LOG", "/a"],
    "at": ["LOG", "1"], "diff": ["LOG", "0..1"], "patch": ["LOG", "0..1"],
    "undo-script": ["LOG", "--actor", "x"], "convert": ["--to", "csv", "LOG"], "query": ["SELECT 1", "LOG"],
    "seal-key": ["OUT"], "report": ["LOG", "-o", "OUT"], "sql": ["--dialect", "duckdb", "--from", "LOG"], "run": ["--log", "OUT", "PROGRAM"],
}  # fmt: skip


def write_files(folder: pathlib.Path) -> None:
    """Write the log and the program that the commands use."""
    (folder / "log.jsonl").write_bytes(LOG)
    (folder / "program.py").write_text(PROGRAM)


def arguments_of(command: str, folder: pathlib.Path) -> list[str]:
    """Return arguments with which a command does something."""
    names = {"LOG": "log.jsonl", "OUT": "out", "PROGRAM": "program.py"}
    return [str(folder / names[each]) if each in names else each for each in ARGUMENTS.get(command, ["LOG"])]
