"""What a child of multiprocessing changes arrives, however it was started."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

PROGRAM = """
import concurrent.futures, multiprocessing, os, sys, threading, time
from pydatatracker import TrackedDict
from pydatatracker.exporters import JsonLinesExporter, SqliteExporter
from pydatatracker.io import ChangeWriter

how, way, path = sys.argv[1:4]
d = TrackedDict()
if how == "sqlite":
    exporter = SqliteExporter(path, batch_age=30.0)
elif how == "buffered":
    exporter = JsonLinesExporter(path, buffered=True, batch_age=30.0)
elif how == "direct":
    exporter = JsonLinesExporter(path)
else:
    exporter = ChangeWriter(path, buffered=True).write
d.tracking_add_observer(exporter)

def change(n):
    d[f"k{n}"] = n

def change_late(n):
    def later():
        time.sleep(0.05)
        change(n)
    threading.Thread(target=later).start()

if __name__ == "__main__":
    method = way.partition("-")[0]
    context = multiprocessing.get_context(method)
    kind = way.partition("-")[2]
    if method == "fork":
        d["parent"] = 1
    if kind in ("process", "late"):
        target = change if kind == "process" else change_late
        children = [context.Process(target=target, args=(n,)) for n in range(20)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    elif kind == "pool":
        with context.Pool(3) as pool:  # its end is terminate()
            pool.map(change, range(20))
    elif kind == "closed":
        pool = context.Pool(3)
        pool.map(change, range(20))
        pool.close()
        pool.join()
    else:
        with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as executor:
            list(executor.map(change, range(20)))
"""
HOW = ["sqlite", "buffered", "direct", "writer"]
FORKED = ["fork-process", "fork-late", "fork-pool", "fork-closed", "fork-executor"]
OTHERS = ["spawn-process", "spawn-pool", "forkserver-process", "forkserver-pool", "forkserver-executor"]
METHODS = multiprocessing.get_all_start_methods()


def keys(how: str, path: pathlib.Path) -> list[str]:
    if how == "sqlite":
        connection = sqlite3.connect(path)
        found = [row[0] for row in connection.execute("SELECT pointer FROM changes WHERE action = 'add'")]
        connection.close()
        return found
    lines = map(json.loads, path.read_text().splitlines())
    return [line["pointer"] for line in lines if line["action"] == "add"]


@pytest.mark.parametrize("way", [*FORKED, *OTHERS])
@pytest.mark.parametrize("how", HOW)
def test_every_change_of_a_worker_arrives_once(how: str, way: str, tmp_path: pathlib.Path) -> None:
    """Each of 20 changes arrives once, and so does what the parent had queued."""
    if way.partition("-")[0] not in METHODS:
        pytest.skip("no such start method here")
    if way not in FORKED and how in ("buffered", "direct"):
        pytest.skip("the others show it")  # each start costs a second
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-W", "ignore", str(program), how, way, str(path)], check=True, timeout=120)
    mine = ["/parent"] if way.startswith("fork-") else []
    assert sorted([*mine, *(f"/k{n}" for n in range(20))]) == sorted(keys(how, path))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_an_orphaned_spill_file_is_adopted(tmp_path: pathlib.Path) -> None:
    """The next process sends what an ended child left in its spill file."""
    from pydatatracker.exporters import Delivery, Item

    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    head = json.dumps([7, "root", 0, "id"]).encode()
    (tmp_path / f"spill.{int(child.stdout)}").write_bytes(head + b'\t{"seq":7}\n')
    sent: list[int] = []

    class Sink:
        def send(self, items: list[Item]) -> None:
            sent.extend(item.seq for item in items)

        def close(self) -> None:
            pass

    with Delivery(Sink(), name="t", on_full="spill", spill=tmp_path / "spill") as delivery:
        assert delivery.flush(30)
    assert [7] == sent
    assert ["spill"] == [path.name for path in tmp_path.iterdir()]
