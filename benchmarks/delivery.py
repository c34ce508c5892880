"""Measure the delivery of a change: `just benchmark-delivery [CHANGES]`.

It is compared with msgspec: encoding an equal dict that exists already, and a buffered write of it. Both take turns in
one process, and the fastest of five turns counts. The total is CPU time of the process; that of the mutating thread is
measured on its own.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import msgspec

from pydatatracker import TrackedDict
from pydatatracker.exporters import HttpExporter, JsonLinesExporter, KafkaExporter
from pydatatracker.io import read_changes, to_line

TURNS = 5


def baseline(folder: str, line: dict[str, Any], count: int) -> float:
    """Return the CPU seconds to encode an equal dict and write it, buffered."""
    encode = msgspec.json.Encoder().encode
    path = os.path.join(folder, "baseline.jsonl")
    start = time.process_time()
    with open(path, "wb") as file:
        for n in range(count):
            line["after"] = n
            file.write(encode(line) + b"\n")
    return time.process_time() - start


def exported(folder: str, count: int) -> tuple[float, float]:
    """Return the CPU seconds until all is in the file.

    The second number is the part of the mutating thread.
    """
    path = os.path.join(folder, "exported.jsonl")
    if os.path.exists(path):
        os.unlink(path)
    d = TrackedDict(tracking_max_changes=4096)
    exporter = JsonLinesExporter(path, buffered=True, compact=True, block_timeout=60.0)
    d.tracking_add_observer(exporter)
    start, own = time.process_time(), time.thread_time()
    for n in range(count):
        d["key"] = n
    own = time.thread_time() - own
    exporter.close(60.0)
    total = time.process_time() - start
    assert exporter.stats().dropped == 0
    return total, own


def down(name: str, make: Callable[[], Any]) -> None:
    """Measure `d[k] = v` while the sink is down, the fastest of the turns.

    It is compared with encoding the change.
    """
    d = TrackedDict()
    d["key"] = 0
    change = d.last_change()
    for full in ("with room in the queue", "with a full queue"):
        exporter = make()
        d.tracking_add_observer(exporter)
        for n in range(3000 if full == "with a full queue" else 1):
            d["key"] = n
        while exporter.stats().retried == 0:  # now the exporter knows that it is down
            time.sleep(0.05)
        encoding = cost = 1.0
        for _ in range(TURNS):
            start = time.thread_time()
            for _ in range(300):
                to_line(change)
            middle = time.thread_time()
            for n in range(300):
                d["key"] = n
            encoding, cost = min(encoding, middle - start), min(cost, time.thread_time() - middle)
        d.tracking_remove_observer(exporter)
        exporter.close(0.1)
        print(f"{name + ', ' + full:<44} {cost / 300 * 1e6:8.2f} us {cost / encoding:6.2f} x   1")


def main() -> None:
    """Print the table."""
    logging.disable(logging.CRITICAL)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    d = TrackedDict()
    d["key"] = 0
    line = json.loads(to_line(d.last_change(), compact=True))
    with tempfile.TemporaryDirectory() as folder:
        turns = [(baseline(folder, line, count), *exported(folder, count)) for _ in range(TURNS)]
        first = [each.after for each in read_changes(os.path.join(folder, "exported.jsonl"))]
        assert first == list(range(count)), "changes are missing, or not in order"
    base, total, own = (min(column) / count * 1e6 for column in zip(*turns, strict=True))
    print(
        f"CPython {sys.version.split()[0]}, {count:,} changes, CPU microseconds per change; goal in the last column\n"
    )
    print(f"{'msgspec and a buffered write':<44} {base:8.2f} us")
    print(f"{'JsonLinesExporter(buffered, compact), total':<44} {total:8.2f} us {total / base:6.2f} x   1.5")
    print(f"{'  of which the mutating thread':<44} {own:8.2f} us {own / base:6.2f} x   1.2")
    print("\nd[k] = v while the sink is down, beside encoding the change\n")
    options: dict[str, Any] = {"max_items": 2000, "on_full": "drop_newest", "retry_first": 5.0}
    down("HttpExporter", lambda: HttpExporter("http://127.0.0.1:9/", **options))
    down(
        "KafkaExporter",
        lambda: KafkaExporter("topic", config={"bootstrap.servers": "127.0.0.1:9"}, timeout=0.5, **options),
    )


if __name__ == "__main__":
    main()
