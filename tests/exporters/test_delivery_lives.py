"""The thread of a delivery lives until close, or flush and close say so.

Whatever a sink raises, a server asks for, a file, a clock or a handler does.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server import ScriptedServer, reply

from pydatatracker import TrackedDict
from pydatatracker.exporters import Delivery, HttpExporter, Item, SinkRejected, SinkUnavailable
from pydatatracker.exporters.http import check_answer
from pydatatracker.exporters.retry import Backoff, Deadline

QUICK: dict[str, Any] = {"retry_first": 0.001, "retry_most": 0.01, "batch_age": 0.0}


def item(n: int) -> Item:
    return Item(json.dumps({"seq": n}).encode(), n, "root", n, f"id{n}")


class Odd(BaseException):
    """As the panic of a library in Rust, which is not an Exception."""


class Unprintable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Sink:
    """A sink that raises the given errors first."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)
        self.seqs: list[int] = []
        self.gaps: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def send(self, items: list[Item]) -> None:
        self.gate.wait(60)
        if self.errors:
            error = self.errors.pop(0)
            if error is not None:
                raise error
        for each in items:
            line = json.loads(each.line)
            if line.get("action") == "gap":
                self.gaps.append(line)
            else:
                self.seqs.append(each.seq)

    def close(self) -> None:
        pass


ERRORS: list[BaseException] = [
    SystemExit(1), KeyboardInterrupt(), GeneratorExit(), StopIteration(), StopAsyncIteration(), MemoryError(),
    RecursionError(), Odd("panic"), Unprintable(), AssertionError(), SinkUnavailable("x", 1e300),
    SinkUnavailable("x", float("nan")), SinkUnavailable("x", float("inf")), SinkUnavailable("x", -5),
    SinkUnavailable("x", 10**400), SinkUnavailable("x", "soon"), SinkUnavailable("x", object()),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_sink_raises_is_tried_again(error: BaseException) -> None:
    """The item arrives after three errors, and the last one is kept."""
    sink = Sink(error, error, error)
    with Delivery(sink, name="t", **QUICK) as delivery:
        delivery.put(item(1))
        assert delivery.flush(30)
        delivery.put(item(2))
        assert delivery.flush(30)
    assert [1, 2] == sink.seqs
    assert type(error).__name__ in str(delivery.stats().last_error)
    assert 3 == delivery.stats().retried


@pytest.mark.parametrize("rejected", [[], [item(9)] * 9, [None]])
def test_a_sink_that_rejects_nonsense_does_not_end_the_thread(rejected: Any, tmp_path: pathlib.Path) -> None:
    """Also if what it rejects are not its items."""
    sink = Sink(SinkRejected("no", rejected))
    with Delivery(sink, name="t", dead_letter=tmp_path / "dead", **QUICK) as delivery:
        delivery.put(item(1))
        assert delivery.flush(30)
        delivery.put(item(2))
        assert delivery.flush(30)
    assert [2] == sink.seqs
    assert delivery.stats().sent >= 1


class Server(ScriptedServer):
    """Answers 503 with the next Retry-After, then 200."""

    def answer(self, request: Any, body: bytes) -> None:
        if self.answers:
            reply(request, 503, {"Retry-After": self.answers.pop(0)})
        else:
            reply(request, 200, {})


AFTER = [
    "9999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "-1", "0", "nan", "inf",
    "1e999", "", " ", "soon", "Mon, 99 Foo 2020 99:99:99 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "\u00b2", "1,2",
    "Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 01 Jan 99999 00:00:00 GMT",
]  # fmt: skip


@pytest.mark.parametrize("value", AFTER)
def test_a_server_cannot_stop_the_delivery(value: str) -> None:
    """No Retry-After makes a pause longer than retry_most."""
    server = Server()
    server.answers = [value, value]
    try:
        d = TrackedDict()
        with HttpExporter(server.url, **QUICK) as exporter:
            d.tracking_add_observer(exporter)
            d["a"] = 1
            assert exporter.flush(30)
            assert (1, 2) == (exporter.stats().sent, exporter.stats().retried)
    finally:
        server.stop()


@given(st.text() | st.floats().map(str) | st.integers().map(str), st.integers(1, 50))
def test_every_pause_is_bounded(value: str, attempt: int) -> None:
    """Whatever the header is, the pause is between 0 and retry_most."""
    with pytest.raises(SinkUnavailable) as raised:
        check_answer("http://h", 503, b"", value)
    assert 0 <= Backoff(0.1, 7.0).pause(attempt, raised.value.retry_after) <= 7.0


@given(st.floats() | st.integers() | st.text() | st.none() | st.booleans(), st.floats(0, 1e9), st.floats(0, 1e9))
def test_every_pause_of_a_sink_is_bounded(asked: Any, first: float, most: float) -> None:
    """Whatever a sink asks for, and whatever the options are."""
    assert 0 <= Backoff(first, most).pause(3, asked) <= most


@pytest.mark.parametrize("option", ["block_timeout", "batch_age", "retry_first", "retry_most", "exit_timeout"])
@pytest.mark.parametrize("value", [float("nan"), -1, "1", None, True])
def test_a_time_that_is_none_is_refused(option: str, value: Any) -> None:
    """Options that are not seconds of at least 0 raise ValueError."""
    with pytest.raises(ValueError, match=option):
        Delivery(Sink(), name="t", **{option: value})


def test_very_long_times_are_not_an_overflow() -> None:
    """Infinity and numbers beyond threading.TIMEOUT_MAX are times like others."""
    long: Any = dict.fromkeys(("block_timeout", "exit_timeout", "retry_most"), 1e300)
    sink = Sink(SinkUnavailable("x"))
    delivery = Delivery(sink, name="t", batch_age=float("inf"), batch_items=2, retry_first=0.001, **long)
    delivery.put(item(1))
    assert delivery.flush(float("inf"))
    assert delivery.flush(float("nan"))
    delivery.put(item(2))
    assert delivery.close(float("inf"))
    assert [1, 2] == sink.seqs


@pytest.mark.parametrize("step", [-1e9, 0.0, 1e9])
def test_a_clock_that_steps_or_stands_still(step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait ends although the clock does not go on, or goes back."""
    now = time.monotonic()
    ticks = iter(range(10**9))
    monkeypatch.setattr(time, "monotonic", lambda: now + step * next(ticks))
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="t", **QUICK)
    delivery.put(item(1))
    assert not delivery.flush(0.05)
    sink.gate.set()
    end = Deadline(0.01)
    condition = threading.Condition()
    with condition:
        while not end.is_over:
            end.wait(condition)
    monkeypatch.undo()
    assert delivery.close(30)


def test_a_sink_that_never_returns_is_reported(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    """Flush and close return False, and stats and logger say what is lost."""
    monkeypatch.setattr("pydatatracker.exporters.delivery._JOIN", 0.05)
    monkeypatch.setattr("pydatatracker.exporters.delivery._PATIENCE", 0.05)
    sink = Sink()
    sink.gate.clear()
    delivery = Delivery(sink, name="hung", exit_timeout=0.05, **QUICK)
    for n in range(3):
        delivery.put(item(n))
    assert not delivery.flush()  # without a time-out
    assert not delivery.flush(0.01)
    assert not delivery.close()
    stats = delivery.stats()
    assert (3, 0, 0) == (stats.dropped, stats.queued, stats.sent)
    assert "not returned" in str(stats.last_error)
    assert "3 changes were not sent" in caplog.text
    assert not delivery.flush(0.01) or not delivery._queue.is_waiting
    sink.gate.set()
    thread = delivery._thread
    assert thread is not None
    thread.join(30)
    assert 3 == delivery.stats().dropped + delivery.stats().sent


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("first", [0, 1, 3, 5])
def test_spilled_items_keep_their_order_when_a_delivery_closes(
    hangs: bool, first: int, tmp_path: pathlib.Path, monkeypatch: Any
) -> None:
    """What is on its way and in memory is older than what is in the file."""
    monkeypatch.setattr("pydatatracker.exporters.delivery._JOIN", 0.05)
    sink = Sink(*([None] * first), *([SinkUnavailable("down")] * 10_000))
    spill = tmp_path / "spill"
    options: Any = {"max_items": 2, "batch_items": 1, "on_full": "spill", "spill": spill, **QUICK}
    one = Delivery(sink, name="t", **options)
    for n in range(first):
        one.put(item(n))
        assert one.flush(30)
    if hangs:
        sink.gate.clear()
    for n in range(first, first + 9):
        one.put(item(n))
    assert not one.close(0.05)
    assert 0 == one.stats().dropped
    second = Sink()
    two = Delivery(second, name="t", **options)
    assert two.flush(30)
    two.put(item(99))
    assert two.close(30)
    assert [*range(first, first + 9), 99] == second.seqs
    sink.gate.set()


def test_random_ends_keep_order_and_lose_nothing(tmp_path: pathlib.Path) -> None:
    """Deliveries fail and end at random: each item arrives, and in order."""
    chance = random.Random(7)
    arrived: list[int] = []
    put = 0
    for turn in range(25):
        errors = [chance.choice([None, SinkUnavailable("x"), Odd("y")]) for _ in range(chance.randrange(12))]
        is_down = turn < 24 and chance.random() < 0.5
        if is_down:
            errors += [OSError("down")] * 10_000
        sink = Sink(*errors)
        delivery = Delivery(
            sink, name="t", on_full="spill", spill=tmp_path / "spill", max_items=chance.randrange(1, 5),
            batch_items=chance.randrange(1, 4), **QUICK,
        )  # fmt: skip
        for _ in range(chance.randrange(12)):
            delivery.put(item(put))
            put += 1
        delivery.close(chance.choice([0.0, 0.02]) if is_down else 30.0)
        arrived += sink.seqs
    assert list(range(put)) == list(dict.fromkeys(arrived))


def test_a_spill_file_that_vanishes_is_counted(tmp_path: pathlib.Path) -> None:
    """Removing the file ends neither the thread nor the count."""
    sink = Sink(*[SinkUnavailable("down")] * 5)
    sink.gate.clear()
    spill = tmp_path / "spill"
    delivery = Delivery(sink, name="t", max_items=1, batch_items=1, on_full="spill", spill=spill, **QUICK)
    for n in range(6):
        delivery.put(item(n))
    lost = delivery.stats().spilled
    assert lost > 0
    os.unlink(spill)
    sink.gate.set()
    while delivery.stats().spilled:
        delivery.flush(0.05)
    delivery.put(item(9))
    assert delivery.close(30)
    assert 9 == sink.seqs[-1]
    assert lost == delivery.stats().dropped


def test_what_is_dropped_at_the_end_leaves_a_gap() -> None:
    """A sink that works again when a delivery closes is sent a gap line."""
    sink = Sink(*[SinkUnavailable("down")] * 10_000)
    delivery = Delivery(sink, name="t", **QUICK)
    for n in range(1, 4):
        delivery.put(item(n))
    while not delivery.stats().retried:
        delivery.flush(0.01)
    say_lost = delivery._sender.say_lost

    def back(gap: Any) -> None:
        sink.errors.clear()
        say_lost(gap)

    delivery._sender.say_lost = back  # type: ignore[method-assign]
    assert not delivery.close(0.05)
    assert [(1, 3)] == [(gap["from"], gap["to"]) for gap in sink.gaps]
    assert 3 == delivery.stats().dropped


def test_a_thread_that_cannot_start_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many threads, close sends by itself."""
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name.endswith("-delivery"):
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    sink = Sink(SinkUnavailable("x"))
    delivery = Delivery(sink, name="t", **QUICK)
    assert delivery.put(item(1))
    assert delivery.put(item(2))
    assert not delivery.flush(0.01)
    assert "can't start" in str(delivery.stats().last_error)
    assert delivery.close(30)
    assert [1, 2] == sink.seqs


class Handler(logging.Handler):
    """A handler of the program that raises."""

    def handle(self, record: logging.LogRecord) -> Any:
        raise RuntimeError("handler")


def test_a_logging_handler_that_raises_does_not_end_the_thread() -> None:
    """Rejected items are logged; the thread goes on."""
    handler = Handler()
    logging.getLogger("pydatatracker").addHandler(handler)
    try:
        sink = Sink(SinkRejected("no"))
        with Delivery(sink, name="t", **QUICK) as delivery:
            delivery.put(item(1))
            assert delivery.flush(30)
            delivery.put(item(2))
        assert [2] == sink.seqs
    finally:
        logging.getLogger("pydatatracker").removeHandler(handler)


def test_errors_of_the_queue_itself_are_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error between taking and sending a batch loses none of it."""
    sink = Sink()
    delivery = Delivery(sink, name="t", batch_items=3, **QUICK)
    errors = [MemoryError(), Odd("x"), OSError("disk")]
    send = delivery._sender.send

    def failing(batch: list[Item]) -> bool:
        if errors:
            raise errors.pop()
        return send(batch)

    monkeypatch.setattr(delivery._sender, "send", failing)
    for n in range(10):
        delivery.put(item(n))
    assert delivery.flush(30)
    assert delivery.close(30)
    assert list(range(10)) == sink.seqs


EXIT = """
import atexit, sys, threading, time
from pydatatracker import TrackedDict
from pydatatracker.exporters import JsonLinesExporter, Delivery, Exporter

d = TrackedDict()

class Broken:
    def send(self, items): raise SystemExit(3)
    def close(self): raise KeyboardInterrupt

one = Exporter(Delivery(Broken(), name="broken", exit_timeout=0.1))
two = JsonLinesExporter(sys.argv[1], buffered=True, batch_age=60.0)
d.tracking_add_observer(one)
d.tracking_add_observer(two)
atexit.register(lambda: d.__setitem__('atexit', 1))

threading.Thread(target=lambda: (time.sleep(0.1), d.__setitem__('thread', 1))).start()
d["main"] = 1
"""


def test_the_end_of_the_interpreter(tmp_path: pathlib.Path) -> None:
    """A sink that breaks keeps no other from sending what waits at the exit."""
    path = tmp_path / "log"
    found = subprocess.run(
        [sys.executable, "-c", EXIT, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == found.returncode
    assert "Traceback" not in found.stderr
    assert "broken: " in found.stderr
    keys = [json.loads(line)["pointer"] for line in path.read_text().splitlines()]
    assert {"/main", "/thread", "/atexit"} <= set(keys)
