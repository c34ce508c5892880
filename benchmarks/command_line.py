"""Measure the command line on a long log: `just benchmark-cli [LINES]`.

Each row is a process of its own, compared with one that does as little as possible: a Python that starts, or one that
decodes the same file into a struct with msgspec. They take turns, and the fastest turn counts. The log is written here,
by the library: 1,000,000 lines (a minute, then kept in build/), whole ones as an observer writes them, or with
``--compact`` those of the exporters.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [str(Path(sys.executable).with_name("pydatatracker"))]
ACTORS = ("importer", "pricing", "checkout", "auditor", "cleaner", "nightly", "")

DECODE = """
import sys, msgspec
from typing import Any
class Change(msgspec.Struct):
    v: int; seq: int; uuid: str; created_time: str; time_ns: int; action: str; method: str; type: str
    pointer: str = ""; path: list[str | int] = []; before: Any = None; after: Any = None
    location: str | int | None = None; actor: str = ""; context: dict[str, Any] = {}; root: str = ""
    tracked_item_uuid: str = ""; pid: int = 0
    thread: str = ""; stack: list[Any] = []; tree: list[Any] = []; extra: dict[str, Any] = {}
decode = msgspec.json.Decoder(Change).decode_lines
count = 0
with open(sys.argv[1], "rb") as file:
    while block := file.read(1 << 18):
        count += len(decode(block + file.readline()))
print(count)
"""

REPLAY = """
import sys
from pydatatracker import replay
replay(sys.argv[1])
"""


def make(path: Path, lines: int, compact: bool) -> None:
    """Write the log: seven actors change a thousand products."""
    from pydatatracker import track, tracking_actor
    from pydatatracker.exporters import JsonLinesExporter
    from pydatatracker.observers import json_file_observer

    data = track({"products": {f"p{n}": {"price": n, "stock": [n, n], "tags": []} for n in range(1000)}})
    made = path.with_suffix(".part")
    made.unlink(missing_ok=True)
    if compact:
        observer = JsonLinesExporter(made, buffered=True, compact=True, block_timeout=60.0)
    else:
        observer = json_file_observer(made)
    with observer:
        data.tracking_add_observer(observer)
        for n in range(lines - 1):
            product = data["products"][f"p{n * 7919 % 1000}"]
            with tracking_actor(ACTORS[n % 7]):
                if n % 3 == 0:
                    product["price"] = n / 4
                elif n % 3 == 1:
                    product["stock"][n % 2] = n
                elif len(product["tags"]) < 5:
                    product["tags"].append(f"tag {n}")
                else:
                    product["tags"].pop(0)
    made.rename(path)


def run(*command: object) -> tuple[float, float]:
    """Run a process without output; return (seconds, peak memory in MB)."""
    with open(os.devnull, "wb") as nowhere:
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return took, usage.ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)


def table(title: str, turns: int, rows: list[tuple[str, list[object], float | None]]) -> None:
    """Print rows (name, command, goal), compared with the first of them."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(turns):
        for name, command, _ in rows:
            best[name] = min(best.get(name, (1e9, 0.0)), run(*command))
    base = best[rows[0][0]][0]
    print(f"\n{title:46} {'ms':>9} {'ratio':>7} {'goal':>5} {'MB':>6}")
    for name, _, goal in rows:
        took, memory = best[name]
        said = "" if goal is None else f"{goal:g}"
        verdict = "" if goal is None else "met" if took / base <= goal else "missed"
        print(f"{name:46} {took * 1000:9.1f} {took / base:6.2f}x {said:>5} {memory:6.0f} {verdict}")


def main() -> None:
    """Write the log if it is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--all", action="store_true", help="also commands that replay the log: a minute or two")
    given = parser.parse_args()
    log = ROOT / "build" / f"benchmark-{given.lines}{'-compact' if given.compact else ''}.jsonl"
    if not log.exists():
        log.parent.mkdir(exist_ok=True)
        make(log, given.lines, given.compact)
    print(f"{given.lines:,} lines, {log.stat().st_size / 1e6:,.0f} MB; CPython {sys.version.split()[0]}")

    python = [sys.executable, "-c"]
    start: list[tuple[str, list[object], float | None]] = [
        ("python -c pass", [*python, "pass"], None),
        ("--help", [*PROGRAM, "--help"], 2.5),
        ("python -c 'import click, msgspec'", [*python, "import click, msgspec"], None),
        ("show --tail 10", [*PROGRAM, "show", log, "--tail", 10], None),
    ]
    table("beside a Python that starts", 15, start)
    table("beside --help", 15, [start[1], (*start[3][:2], 3.0)])
    filters = (
        ("--path", "/products/p7/price"),
        ("--path", "/products/p7/**", "--actor", "pricing"),
        ("--actor", "nobody"),
        ("--seq", "500000..500100"),
        ("--grep", "tag 4999"),
    )
    rows: list[tuple[str, list[object], float | None]] = [
        ("decode_lines into a typed struct", [*python, DECODE, log], None),
        ("stats", [*PROGRAM, "stats", log], 2),
        ("stats --actor pricing", [*PROGRAM, "stats", log, "--actor", "pricing"], 2),
        *((f"show {' '.join(words)}", [*PROGRAM, "show", log, *words], 2) for words in filters),
    ]
    table("beside msgspec decoding the file", 3, rows)
    if given.all:
        goals = {"verify": 3, "at 500000": 3, "blame --all": 3, "history /products/p7/price": 3}
        goals |= {"show": None, "convert --to csv": None}
        more = [(name, [*PROGRAM, name.split()[0], log, *name.split()[1:]], goal) for name, goal in goals.items()]
        replay: tuple[str, list[object], float | None] = ("replay(log)", [*python, REPLAY, log], 3)
        table("replayed, beside msgspec", 1, [rows[0], replay, *more])


if __name__ == "__main__":
    main()
