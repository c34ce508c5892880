"""What the log of a watch has after its process was killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import environment, run

from pydatatracker.io import read_changes

pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 12), reason="watch needs CPython 3.12"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9"),
]

KILLS = int(os.environ.get("PYDATATRACKER_KILLS", "6"))
PROGRAM = """
import sys
from pydatatracker import watch


class Order:
    def __init__(self):
        self.state = {"count": -1}


order = Order()
w = watch(order)
print("ready", flush=True)
for n in range(10**9):
    order.state["count"] = n
    print(n, flush=True)
"""


@pytest.mark.parametrize("from_outside", [False, True], ids=["watch", "run --watch"])
def test_kill_9_loses_no_line_of_a_watch(from_outside: bool, tmp_path: Path) -> None:
    """After kill -9 the log has every change but the last one.

    The line of a watched store follows a few instructions later, so the print after the newest one may come before it.
    Set PYDATATRACKER_KILLS=200 to kill more often.
    """
    chance = random.Random(5)
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("w = watch(order)\n", "") if from_outside else PROGRAM, "utf-8")
    for turn in range(KILLS):
        log = tmp_path / f"{turn}.jsonl"
        before = ["-m", "pydatatracker", "run", "--no-stack", "--log", str(log), "--watch", "__main__:order"]
        process = subprocess.Popen(
            [sys.executable, *(before if from_outside else []), str(script)],
            cwd=tmp_path,
            env=environment() if from_outside else environment(PYDATATRACKER_LOG=str(log)),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.random() * 0.05)
        process.kill()
        with process.stdout:
            printed = process.stdout.read().rpartition("\n")[0].split()
        process.wait(30)
        raw = log.read_bytes()
        log.write_bytes(raw[: raw.rfind(b"\n") + 1])  # the last line may be torn
        stored = [
            line.after for line in read_changes(log) if line.action != "init" and line.pointer.endswith("/state/count")
        ]
        assert stored == list(range(len(stored)))
        assert len(stored) >= len(printed) - 1, "a line was lost"
        checked = run("verify", log, cwd=tmp_path)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "complete and in order" in checked.stdout
