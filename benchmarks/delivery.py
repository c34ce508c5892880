"""What delivery costs a change, beside msgspec: `just benchmark-delivery`, optionally with a number of changes.

Both sides take turns in one process, and the fastest of five turns counts. The baseline is msgspec's encoding of an
equal dict, that exists already, and a buffered write of it; CPU time of the process for the total, of the thread for
the mutating thread.
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
    """Seconds of CPU to encode an equal dict and write it to a buffered file."""
    encode = msgspec.json.Encoder().encode
    path = os.path.join(folder, "baseline.jsonl")
    start = time.process_time()
    with open(path, "wb") as file:
        for n in range(count):
            line["after"] = n
            file.write(encode(line) + b"\n")
    return time.process_time() - start


def exported(folder: str, count: int) -> tuple[float, float]:
    """(seconds of CPU until all is in the file, of the mutating thread alone)."""
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


def down(name: str, make: Callable[[], Any], count: int) -> None:
    """`d[k] = v` while the sink is down, beside the encoding of the change."""
    d = TrackedDict()
    d["key"] = 0
    change = d.last_change()
    start = time.thread_time()
    for _ in range(count):
        to_line(change)
    encoding = (time.thread_time() - start) / count
    for full in ("with room in the queue", "with a full queue"):
        exporter = make()
        d.tracking_add_observer(exporter)
        if full == "with a full queue":
            for n in range(3000):
                d["key"] = n
        start = time.thread_time()
        for n in range(count):
            d["key"] = n
        cost = (time.thread_time() - start) / count
        d.tracking_remove_observer(exporter)
        exporter.close(0.1)
        print(f"{name + ', ' + full:<44} {cost * 1e6:8.2f} us {cost / encoding:6.2f} x   1")


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
        assert first == list(range(count)), "they are not all there, in order"
    base, total, own = (min(column) / count * 1e6 for column in zip(*turns, strict=True))
    print(f"CPython {sys.version.split()[0]}, {count:,} changes, CPU microseconds a change; goal at the right\n")
    print(f"{'msgspec and a buffered write':<44} {base:8.2f} us")
    print(f"{'JsonLinesExporter(buffered, compact), total':<44} {total:8.2f} us {total / base:6.2f} x   1.5")
    print(f"{'  of which the mutating thread':<44} {own:8.2f} us {own / base:6.2f} x   1.2")
    print("\nd[k] = v while the sink is down, beside encoding the change\n")
    options: dict[str, Any] = {"max_items": 2000, "on_full": "drop_newest", "retry_first": 1.0}
    down("HttpExporter", lambda: HttpExporter("http://127.0.0.1:9/", **options), 1500)
    down("KafkaExporter", lambda: KafkaExporter("topic", config={"bootstrap.servers": "127.0.0.1:9"}, **options), 1500)


if __name__ == "__main__":
    main()
