"""A watched change without memory is recorded, or known to lack.

`just oom-watched` tries all changes and all allocations; this is a sample of it.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).parent.parent / "support" / "no_memory_watched.py"
pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks for every allocation"),
]
SAMPLE = [("store", 3), ("new list", 7), ("clear", 7), ("another __dict__", 7), ("the end of an object", 3)]


@pytest.mark.parametrize(("change", "sample"), SAMPLE, ids=[change for change, _ in SAMPLE])
def test_a_change_without_memory_is_recorded_or_known_to_lack(change: str, sample: int) -> None:
    """Each allocation fails, and the program goes on as without a watch."""
    pytest.importorskip("_testcapi")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--verbose", "--sample", str(sample), change],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


LOST = """
import sys, _testcapi
from pydatatracker import HistoryLostError, _core, watch
from pydatatracker.exporters import JsonLinesExporter
data = {"a": 1, "b": 2}
w = watch(data)
exporter = JsonLinesExporter(sys.argv[1])
w.tracking_add_observer(exporter)
data["b"] = 3
for n in range(1, 40):                    # until a change is missed: which allocation that is differs
    seq = _core.newest_seq()
    _testcapi.set_nomemory(n, 0)
    try:
        data["a"] = [n]                   # needs a record, and a tracker
    except MemoryError:
        pass
    finally:
        _testcapi.remove_mem_hooks()
    if w.missed:
        break
data["b"] = 4
try:
    w.tracking_state_at(seq)
    print("led back")
except HistoryLostError as error:
    print("lost")
exporter.close()
print(w.missed, data["b"], [c.after for c in w.tracking_changes() if c.pointer == "/b"])
"""


def test_a_lost_change_is_a_gap_in_memory_and_in_the_file(tmp_path: pathlib.Path) -> None:
    """The state before it is refused, and the file has a line."""
    pytest.importorskip("_testcapi")
    log = tmp_path / "log.jsonl"
    done = subprocess.run([sys.executable, "-c", LOST, str(log)], capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout.split("\n")[:2]) == ("", ["lost", "1 4 [3, 4]"])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    gaps = [line for line in lines if line["action"] == "gap"]
    assert len(gaps) == 1
    assert "could not be recorded" in gaps[0]["reason"]
    assert lines[-1]["after"] == 4
