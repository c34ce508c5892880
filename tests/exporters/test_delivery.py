"""The delivery runtime: nothing accepted is lost, and order holds.

The program never waits longer than configured.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList
from pydatatracker.exporters.base import Exporter
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.retry import Backoff
from pydatatracker.exporters.sink import Item, SinkRejected, SinkUnavailable
from pydatatracker.exporters.spill import SpillFile
from pydatatracker.io import parse


def item(n: int, size: int = 10) -> Item:
    return Item(json.dumps({"seq": n, "action": "add", "pad": "x" * size}).encode(), n, "root", n, f"id{n}")


class Sink:
    """A sink that a test controls: closed gates, refusals, errors."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.lines: list[bytes] = []
        self.fail = 0
        self.error: Exception = SinkUnavailable("down")
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.closed = 0

    def send(self, items: list[Item]) -> None:
        self.entered.set()
        assert self.gate.wait(30)
        if self.fail:
            self.fail -= 1
            raise self.error
        self.batches.append([each.seq for each in items])
        self.lines += [each.line for each in items]

    def close(self) -> None:
        self.closed += 1

    @property
    def seqs(self) -> list[int]:
        return [seq for batch in self.batches for seq in batch]


def test_everything_arrives_in_order_and_in_batches() -> None:
    """Batches are limited by count and by bytes; close sends the rest."""
    sink = Sink()
    with Delivery(sink, name="t", batch_items=10, batch_age=5) as delivery:
        for n in range(1, 96):
            assert delivery.put(item(n))
    assert list(range(1, 96)) == sink.seqs
    assert max(map(len, sink.batches)) <= 10
    assert (1, 95, 0) == (sink.closed, delivery.stats().sent, delivery.stats().queued)
    by_bytes = Sink()
    with Delivery(by_bytes, name="t", batch_bytes=1000, batch_age=5) as delivery:
        for n in range(20):
            delivery.put(item(n, 400))
    assert max(map(len, by_bytes.batches)) <= 3


def test_age_sends_a_small_batch() -> None:
    """A small batch is sent once it is batch_age old, without a flush."""
    sink = Sink()
    delivery = Delivery(sink, name="t", batch_age=0.01)
    delivery.put(item(1))
    assert wait_for(lambda: sink.seqs == [1])
    delivery.close()


def wait_for(ready: Any) -> bool:
    for _ in range(600):
        if ready():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("by", ["items", "bytes"])
def test_a_full_batch_is_sent_at_once_and_a_smaller_one_waits(by: str) -> None:
    """Exactly batch_items, or batch_bytes, are a full batch; one less is not."""
    sink = Sink()
    size = len(item(1).line)
    options: dict[str, Any] = {"batch_items": 3} if by == "items" else {"batch_bytes": 3 * size}
    delivery = Delivery(sink, name="t", batch_age=600.0, **options)
    delivery.put(item(1))
    delivery.put(item(2))
    time.sleep(0.05)
    assert [] == sink.batches
    delivery.put(item(3))
    assert wait_for(lambda: sink.batches == [[1, 2, 3]])
    delivery.put(item(4))
    time.sleep(0.05)
    assert [[1, 2, 3]] == sink.batches
    delivery.close()
    assert [[1, 2, 3], [4]] == sink.batches


@pytest.mark.parametrize("compact", [False, True])
def test_the_core_feeds_a_delivery_and_calls_any_other(compact: bool) -> None:
    """A Delivery takes lines from the core, unless a subclass wants changes."""

    class Own(Exporter):
        def __call__(self, change: Any) -> None:
            super().__call__(change)

    class Plain:
        closed = False

        def __init__(self) -> None:
            self.got: list[Any] = []

        def refuses(self, seq: int) -> bool:
            return False

        def put(self, item: Any) -> bool:
            self.got.append(item.seq)
            return True

    with Delivery(Sink(), name="t") as delivery:
        exporter = Exporter(delivery, compact=compact)
        assert exporter.tracking_feed is delivery.intake
        assert Own(delivery, compact=compact).tracking_feed is None
    plain: Any = Plain()
    own = Exporter(plain, compact=compact)
    assert own.tracking_feed is None
    d = TrackedDict()
    d.tracking_add_observer(own)
    d["a"] = 1
    assert [d.last_change().seq] == plain.got


def test_a_gap_is_a_line_that_readers_know() -> None:
    """The line of a gap has the version, the range, and the reason."""
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="t", max_items=1, batch_items=1, on_full="drop_newest")
    assert delivery.put(item(1))
    assert sink.entered.wait(30)  # from now on nobody takes an item from the queue
    numbers = [n for n in range(2, 8) if not delivery.put(item(n))]
    sink.gate.set()
    delivery.close()
    (gap,) = [parse(line) for line in sink.lines if parse(line).is_gap]
    assert (1, (numbers[0], numbers[-1])) == (gap.v, gap.gap)
    assert gap.reason


def test_the_core_adds_nothing_while_a_gap_waits_for_its_place() -> None:
    """After a drop, changes go through put until the gap line is queued."""
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="t", max_items=2, batch_items=1, batch_age=0.0, on_full="drop_newest")
    n = 1
    while delivery.put(item(n)):
        n += 1
    assert not delivery.intake.open
    sink.gate.set()
    assert delivery.flush(30)
    assert delivery.put(item(n + 1))
    assert delivery.flush(30)
    assert delivery.put(item(n + 2))
    assert delivery.intake.open
    delivery.close()
    told = [json.loads(line) for line in sink.lines]
    assert [*range(1, n), (n, n), n + 1, n + 2] == [
        (line["from"], line["to"]) if line["action"] == "gap" else line["seq"] for line in told
    ]


def test_put_says_whether_an_item_was_accepted(tmp_path: pathlib.Path) -> None:
    """False means dropped and counted: full, closed, or no spill file."""
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="t", max_items=2, batch_items=1, batch_age=0.0, on_full="drop_newest")
    accepted = [delivery.put(item(n)) for n in range(1, 9)]
    assert accepted.count(True) == delivery.stats().accepted
    assert accepted.count(False) == delivery.stats().dropped > 0
    sink.gate.set()
    delivery.close()
    before = delivery.stats().dropped
    assert delivery.put(item(9)) is False
    assert before + 1 == delivery.stats().dropped
    folder = tmp_path / "folder"
    folder.mkdir()
    closed = Sink()
    closed.gate.clear()
    spilling = Delivery(closed, name="t", max_items=1, batch_items=1, on_full="spill", spill=folder / "s" / "spill")
    shutil.rmtree(folder)
    folder.write_text("now a file")
    found = [spilling.put(item(n)) for n in range(1, 6)]
    assert found.count(False) == spilling.stats().dropped > 0
    closed.gate.set()
    spilling.close()


@pytest.mark.parametrize("torn", [b"", b'[7,"root",7,"i'])
def test_a_spill_file_of_before_is_appended_to(tmp_path: pathlib.Path, torn: bytes) -> None:
    """Each item has a line of its own, also after one that a crash tore."""
    path = tmp_path / "spill"
    whole = b'[5,"root",5,"id5"]\t{"seq":5}\n'
    path.write_bytes(whole + torn)
    spill = SpillFile(str(path), 0o600)
    spill.append(item(8))
    spill.append(item(9))
    lines = path.read_bytes().split(b"\n")
    assert [whole.strip(), *([torn] if torn else [])] == lines[: 2 if torn else 1]
    assert [item(8).line, item(9).line, b""] == [line.partition(b"\t")[2] for line in lines[-3:]]
    assert [5, 8, 9] == [each.seq for each in spill.read(10, 10_000)]
    spill.sent()
    assert (0, b"") == (spill.waiting, path.read_bytes())
    spill.close()


@pytest.mark.parametrize("asked", [None, 0, -1, 0.5, 3, 1e9, "2", "soon", float("nan"), float("inf"), object()])
def test_a_pause_is_what_the_sink_asks_for_or_grows(asked: Any) -> None:
    """What is not a number above 0 counts as nothing asked; most is the limit."""
    backoff = Backoff(0.25, 8.0)
    wanted = {0.5: 0.5, 3: 3.0, 1e9: 8.0, "2": 2.0, float("inf"): 8.0}.get(asked)
    for attempt in (1, 2, 3, 20):
        pause = backoff.pause(attempt, asked)
        if wanted is not None:
            assert wanted == pause
        else:
            grown = 0.25 * 2 ** (attempt - 1)
            assert min(grown, 8.0) <= pause <= min(grown + 0.25, 8.0)


@pytest.mark.parametrize("error", [SinkUnavailable("down"), OSError("reset"), SinkUnavailable("slow", 0.01)])
def test_what_fails_is_sent_again_in_order(error: Exception) -> None:
    """A batch that fails is sent again, in order."""
    sink = Sink()
    sink.fail, sink.error = 3, error
    with Delivery(sink, name="t", batch_items=5, retry_first=0.001) as delivery:
        for n in range(20):
            delivery.put(item(n))
        assert delivery.flush(30)
    assert list(range(20)) == sink.seqs
    assert 3 == delivery.stats().retried
    assert type(error).__name__ in str(delivery.stats().last_error)


def test_rejected_items_go_to_the_dead_letters(tmp_path: pathlib.Path) -> None:
    """Only the items that a sink rejects go to the dead letters."""
    sink = Sink()
    sink.fail, sink.error = 1, SinkRejected("no", [item(2)])
    dead = tmp_path / "dead.jsonl"
    delivery = Delivery(sink, name="t", batch_age=0.05, dead_letter=dead)
    sink.gate.clear()
    for n in range(4):
        delivery.put(item(n))
    sink.gate.set()
    assert delivery.flush(30)
    delivery.close()
    assert [2] == [json.loads(line)["seq"] for line in dead.read_text().splitlines()]
    assert 1 == delivery.stats().rejected


@pytest.mark.parametrize("on_full", ["block", "drop_oldest", "drop_newest"])
def test_a_full_queue_drops_counts_and_leaves_a_gap(on_full: Any) -> None:
    """A full queue drops items, counts them, and sends a gap line.

    The line has the first and the last dropped seq, and stands where the items would be.
    """
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="t", max_items=5, batch_items=5, batch_age=0, on_full=on_full, block_timeout=0.01)
    for n in range(20):
        delivery.put(item(n))
    sink.gate.set()
    assert delivery.flush(30)
    delivery.put(item(100))
    assert delivery.flush(30)
    delivery.close()
    stats = delivery.stats()
    told = [json.loads(line) for line in sink.lines]
    gaps = [line for line in told if line.get("action") == "gap"]
    arrived = [line["seq"] for line in told if "seq" in line]
    assert sorted(arrived) == arrived
    missing = [n for n in range(20) if n not in arrived]
    assert stats.dropped == len(missing) > 0
    assert (missing[0], missing[-1]) == (min(gap["from"] for gap in gaps), max(gap["to"] for gap in gaps))
    assert "queue full" == gaps[0]["reason"]
    assert 100 == arrived[-1]


def test_the_program_waits_no_longer_than_block_timeout() -> None:
    """When a sink hangs, put returns False after block_timeout."""
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="t", max_items=1, batch_items=1, batch_age=0, block_timeout=0.05)
    started = time.monotonic()
    results = [delivery.put(item(n)) for n in range(4)]
    assert False in results
    assert time.monotonic() - started < 20  # generous, for a busy machine
    sink.gate.set()
    delivery.close()


def test_spill_keeps_everything_in_order_also_over_a_restart(tmp_path: pathlib.Path) -> None:
    """A spill file keeps items that the queue has no room for.

    The next process sends them first.
    """
    spill = tmp_path / "spill.jsonl"
    down = Sink()
    down.fail = 10**9
    first = Delivery(down, name="t", max_items=3, batch_items=2, on_full="spill", spill=spill, retry_first=0.001)
    for n in range(50):
        assert first.put(item(n))
    assert first.stats().spilled > 0
    assert not first.close(0.05)
    assert 0 == first.stats().dropped
    up = Sink()
    second = Delivery(up, name="t", max_items=3, batch_items=7, on_full="spill", spill=spill)
    for n in range(50, 60):
        second.put(item(n))
    assert second.flush(30)
    assert second.close()
    seen = list(dict.fromkeys(up.seqs))  # items arrive at least once
    assert sorted(range(60)) == sorted(seen)
    assert sorted(seen[-10:]) == list(range(50, 60))
    assert 0 == spill.stat().st_size


def test_eight_threads() -> None:
    """The items of each thread arrive in its order."""
    sink = Sink()
    delivery = Delivery(sink, name="t", max_items=50, batch_items=20, block_timeout=60)

    def work(k: int) -> None:
        for n in range(500):
            assert delivery.put(item(k * 1000 + n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert delivery.close(60)
    for k in range(8):
        assert [k * 1000 + n for n in range(500)] == [seq for seq in sink.seqs if seq // 1000 == k]


def test_a_client_that_logs_through_a_tracked_object_does_not_feed_itself() -> None:
    """Changes that the client makes itself are ignored and counted.

    Sending neither hangs nor loops.
    """
    log = TrackedList()

    class Chatty(Sink):
        def send(self, items: list[Item]) -> None:
            log.append(f"sending {len(items)}")
            super().send(items)

    sink = Chatty()
    exporter = Exporter(Delivery(sink, name="t", batch_age=0.01))
    log.tracking_add_observer(exporter)
    log.append("hello")
    assert exporter.flush(30)
    exporter.close()
    assert 1 == len(sink.seqs)
    assert 1 <= exporter.stats().ignored


def test_a_delivery_without_references_is_freed() -> None:
    """A delivery without references is freed; its thread does not keep it."""
    import gc
    import weakref

    delivery = Delivery(Sink(), name="t")
    delivery.put(item(1))
    delivery.flush(30)
    gone = weakref.ref(delivery)
    del delivery
    assert wait_for(lambda: gc.collect() is not None and gone() is None)


def test_what_a_forgotten_delivery_accepted_is_sent() -> None:
    """Everything that waits, not only the batch that is on its way."""
    sink = Sink()
    delivery = Delivery(sink, name="t", batch_items=10)
    for n in range(100):
        assert delivery.put(item(n))
    del delivery
    assert wait_for(lambda: len(sink.seqs) == 100)
    assert list(range(100)) == sink.seqs


PROGRAM = """
import json, os, sys
from pydatatracker import TrackedDict
from pydatatracker.exporters.base import Exporter
from pydatatracker.exporters.delivery import Delivery

class Sink:
    def send(self, items):
        with open(sys.argv[1], "ab") as file:
            file.write(b"".join(item.line + b"\\n" for item in items))
    def close(self):
        pass

d = TrackedDict()
d.tracking_add_observer(Exporter(Delivery(Sink(), name="t", batch_age=60, batch_items=10**6), compact=True))
d["parent"] = 1
if len(sys.argv) > 2:
    pid = os.fork()
    if pid == 0:
        d["child"] = 1
        sys.exit(0)
    os.waitpid(pid, 0)
d["parent"] = 2
"""


def run_program(tmp_path: pathlib.Path, *args: str) -> list[dict[str, Any]]:
    (tmp_path / "program.py").write_text(PROGRAM)
    out = tmp_path / "out.jsonl"
    subprocess.run([sys.executable, str(tmp_path / "program.py"), str(out), *args], check=True, timeout=60)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_normal_exit_sends_what_waits(tmp_path: pathlib.Path) -> None:
    """A normal exit sends a batch that was neither full nor old enough."""
    assert [1, 2] == [line["after"] for line in run_program(tmp_path)]


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM ends a process at once here")
def test_sigterm_with_a_handler_sends_what_waits(tmp_path: pathlib.Path) -> None:
    """A handler that calls sys.exit() is enough.

    Also for lines that a ChangeWriter has gathered.
    """
    (tmp_path / "service.py").write_text(
        PROGRAM.replace("if len(sys.argv) > 2:", "if False:")
        + "import os, signal\nfrom pydatatracker.io import ChangeWriter\n"
        + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        + "writer = ChangeWriter(sys.argv[2], buffered=True)\nd.tracking_add_observer(writer.write)\nd['parent'] = 3\n"
        + "os.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()\n"
    )
    out, log = tmp_path / "out.jsonl", tmp_path / "log.jsonl"
    subprocess.run([sys.executable, str(tmp_path / "service.py"), str(out), str(log)], check=True, timeout=60)
    assert [1, 2, 3] == [json.loads(line)["after"] for line in out.read_text().splitlines()]
    assert [3] == [json.loads(line)["after"] for line in log.read_text().splitlines()][-1:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_sends_only_its_own(tmp_path: pathlib.Path) -> None:
    """After a fork only the parent sends what was queued before."""
    lines = run_program(tmp_path, "fork")
    assert sorted([("parent", 1), ("child", 1), ("parent", 2)]) == sorted(
        (line["path"][0], line["after"]) for line in lines
    )
    pids = {line["path"][0]: line["pid"] for line in lines}
    assert pids["child"] != pids["parent"]


@pytest.mark.parametrize(
    "kwargs",
    [{"on_full": "explode"}, {"on_full": "spill"}, {"max_items": 0}, {"batch_items": True}, {"batch_bytes": 1.5}],
)
def test_bad_options_are_refused(kwargs: Any) -> None:
    """Wrong options are refused before a thread starts."""
    before = threading.active_count()
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        Delivery(Sink(), name="t", **kwargs)
    assert before == threading.active_count()


def test_a_closed_exporter_counts_and_raises_nothing() -> None:
    """A closed exporter counts changes as dropped, and raises nothing."""
    exporter = Exporter(Delivery(Sink(), name="t"))
    d = TrackedDict()
    d.tracking_add_observer(exporter)
    assert exporter.close()
    d["a"] = 1
    assert 1 == exporter.stats().dropped
