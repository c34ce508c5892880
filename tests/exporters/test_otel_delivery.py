"""OTLP to a receiver that is up, down, slow, refusing or resetting.

Counts match, order holds, and nothing accepted is lost.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http", reason="opentelemetry-exporter-otlp-proto-http is missing"
)

from collector import Collector, partial
from opentelemetry.sdk.trace import TracerProvider

from pydatatracker import TrackedDict
from pydatatracker.exporters import OpenTelemetryExporter

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
FAST: dict[str, Any] = {"retry_first": 0.001, "retry_most": 0.05, "batch_items": 7}


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.stop()


def counting(d: Any, numbers: Any) -> list[str]:
    """Store the numbers one after the other; return their JSON."""
    for n in numbers:
        d["n"] = n
    return [str(n) for n in numbers]


def test_batches_arrive_in_order_over_one_connection(collector: Collector) -> None:
    """Requests have many records each, and share one connection.

    Every record arrives once, in order.
    """
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url + "/", batch_items=10) as exporter:
        d.tracking_add_observer(exporter)
        expected = counting(d, range(55))
    assert expected == collector.afters()
    assert (1, 10) == (collector.connections, max(collector.batches))
    assert (55, 0, 0) == (exporter.stats().sent, exporter.stats().retried, exporter.stats().dropped)


@pytest.mark.parametrize("answer", [(429, {"Retry-After": "0"}, b""), (503, {}, b""), (500, {}, b"sorry"), "reset"])
def test_temporary_errors_are_retried(collector: Collector, answer: Any) -> None:
    """Temporary errors are retried by our runtime alone.

    After two refusals there are exactly two retries.
    """
    collector.answers = [answer, answer]
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url, **FAST) as exporter:
        d.tracking_add_observer(exporter)
        expected = counting(d, range(20))
    assert expected == collector.afters()
    assert 2 == exporter.stats().retried
    assert "SinkUnavailable" in str(exporter.stats().last_error)


def test_an_answer_that_is_lost_means_a_repetition_with_the_same_ids(collector: Collector) -> None:
    """A batch whose answer is lost is sent again, with the same ids."""
    collector.answers = ["lost", (200, {}, b""), "lost"]
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url, **FAST) as exporter:
        d.tracking_add_observer(exporter)
        expected = counting(d, range(30))
    once = {record.attributes["log.record.uid"]: record["after"] for record in collector.records}
    assert expected == list(once.values())
    assert len(collector.records) > len(once)


@pytest.mark.parametrize("answer", [(400, {}, b"bad"), (302, {"Location": "/elsewhere"}, b""), "partial"])
def test_permanent_errors_go_to_the_dead_letters(
    collector: Collector, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    """A permanently refused batch goes to the dead letters, once.

    The answer is a 4xx, a redirect (which would lose the POST), or a partial success. Later batches arrive.
    """
    collector.answers = [(200, {}, partial(2, "no such tenant")) if answer == "partial" else answer]
    dead = tmp_path / "dead.jsonl"
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url, dead_letter=dead, batch_items=3, batch_age=5) as exporter:
        d.tracking_add_observer(exporter)
        counting(d, range(3))
        assert exporter.flush(30)
        counting(d, range(3, 6))
    assert [0, 1, 2] == [json.loads(line)["after"] for line in dead.read_text().splitlines()]
    assert ["3", "4", "5"] == collector.afters()[-3:]
    assert (3, 3, 0) == (exporter.stats().sent, exporter.stats().rejected, exporter.stats().retried)
    assert ("2 of 3" if answer == "partial" else f"answered {answer[0]}") in caplog.text


def test_a_warning_of_the_receiver_is_logged(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """A warning of the receiver is logged, and is not a failure.

    A body that is not protobuf is not a failure either.
    """
    collector.answers = [(200, {}, partial(0, "deprecated field")), (200, {}, b'{"ok":true}')]
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url, batch_items=1) as exporter:
        d.tracking_add_observer(exporter)
        counting(d, range(2))
    assert (2, 0) == (exporter.stats().sent, exporter.stats().rejected)
    assert "deprecated field" in caplog.text


def test_a_receiver_that_is_down_and_comes_back() -> None:
    """The program goes on while the receiver is down; everything arrives once."""
    first = Collector()
    d = TrackedDict()
    exporter = OpenTelemetryExporter(first.url, **FAST)
    d.tracking_add_observer(exporter)
    counting(d, [-1])
    assert exporter.flush(30)
    first.stop()
    expected = counting(d, range(100))
    assert not exporter.flush(0.2)
    assert (0, 100) == (exporter.stats().dropped, exporter.stats().queued)
    second = Collector(first.port)
    assert exporter.flush(60), exporter.stats()
    exporter.close()
    second.stop()
    assert expected == second.afters()


def test_a_receiver_that_is_slow_does_not_hold_the_program(collector: Collector) -> None:
    """A batch that times out is sent again until it is answered in time."""
    gate = threading.Event()
    collector.answers = [gate] * 300  # every answer waits for the gate
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url, timeout=0.1, **FAST) as exporter:
        d.tracking_add_observer(exporter)
        expected = counting(d, range(50))  # returns although no request was answered
        assert not collector.records
        while exporter.stats().retried < 2:
            exporter.flush(0.05)
        gate.set()
        assert exporter.flush(30), exporter.stats()
    once = dict.fromkeys(record.attributes["log.record.uid"] for record in collector.records)
    assert len(expected) == len(once)
    by_id = {record.attributes["log.record.uid"]: record["after"] for record in collector.records}
    assert set(expected) == set(by_id.values())
    assert 50 == exporter.stats().sent


def test_what_a_process_could_not_send_the_next_one_does(tmp_path: pathlib.Path, collector: Collector) -> None:
    """A spill file keeps unsent changes for the next process."""
    spill = tmp_path / "spill.jsonl"
    options: dict[str, Any] = {"on_full": "spill", "spill": spill, "max_items": 5, **FAST}
    d = TrackedDict()
    with TRACER.start_as_current_span("before") as span:
        gone = Collector()
        gone.stop()
        exporter = OpenTelemetryExporter(gone.url, **options)
        d.tracking_add_observer(exporter)
        expected = counting(d, range(40))
        assert not exporter.close(0.05)
        d.tracking_remove_observer(exporter)
    with OpenTelemetryExporter(collector.url, **options) as successor:
        d.tracking_add_observer(successor)
        expected += ['{"n":39}', *counting(d, range(40, 45))]
        assert successor.flush(30), successor.stats()
    assert set(expected) == set(collector.afters())
    assert len(expected) == len(collector.records)
    mine = [record for record in collector.records if record.span_id]
    assert 40 == len(mine)
    assert {f"{span.get_span_context().span_id:016x}"} == {record.span_id for record in mine}


def test_lines_that_are_not_changes_hold_nothing_up(tmp_path: pathlib.Path, collector: Collector) -> None:
    """Torn lines of a spill file go to the dead letters; the rest is sent."""
    spill, dead = tmp_path / "spill.jsonl", tmp_path / "dead.jsonl"
    good = [f'[{n}, "r", {n}, "id{n}"]\t{{"v":1,"seq":{n},"action":"add","after":{n}}}\n' for n in range(3)]
    spill.write_text(good[0] + '[8, "r", 8, "id8"]\t{"v":1,"seq\n' + good[1] + '[9, "r", 9, "id9"]\t[]\n' + good[2])
    with OpenTelemetryExporter(collector.url, on_full="spill", spill=spill, dead_letter=dead) as exporter:
        assert exporter.flush(30), exporter.stats()
    assert ["0", "1", "2"] == collector.afters()
    assert ['{"v":1,"seq', "[]"] == dead.read_text().splitlines()
    assert (3, 2) == (exporter.stats().sent, exporter.stats().rejected)


def test_dropped_changes_are_a_record(collector: Collector) -> None:
    """Dropped changes are reported as a pydatatracker.gap record.

    The record has their range.
    """
    gate = threading.Event()
    collector.answers = [gate]
    d = TrackedDict()
    exporter = OpenTelemetryExporter(collector.url, on_full="drop_newest", max_items=3, batch_items=1)
    d.tracking_add_observer(exporter)
    counting(d, range(20))
    gate.set()
    assert exporter.flush(30), exporter.stats()
    exporter.close()
    gaps = [record for record in collector.records if record.event == "pydatatracker.gap"]
    assert exporter.stats().dropped == sum(gap["to"] - gap["from"] + 1 for gap in gaps)
    assert {"WARN"} == {gap.severity for gap in gaps}
    assert 20 == exporter.stats().dropped + len(collector.records) - len(gaps)


def test_nothing_is_lost_at_a_normal_exit(collector: Collector) -> None:
    """A process that neither flushes nor closes loses nothing at exit."""
    program = (
        "import sys; from pydatatracker import TrackedDict; from pydatatracker.exporters import OpenTelemetryExporter\n"
        "d = TrackedDict(); d.tracking_add_observer(OpenTelemetryExporter(sys.argv[1]))\n"
        "for n in range(300): d['n'] = n\n"
    )
    assert 0 == subprocess.run([sys.executable, "-c", program, collector.url], timeout=60).returncode
    assert [str(n) for n in range(300)] == collector.afters()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_has_a_connection_of_its_own(collector: Collector) -> None:
    """After a fork, parent and child each have their own connection."""
    program = (
        "import os, sys\n"
        "from pydatatracker import TrackedDict\n"
        "from pydatatracker.exporters import OpenTelemetryExporter\n"
        "d = TrackedDict(); e = OpenTelemetryExporter(sys.argv[1], batch_items=1); d.tracking_add_observer(e)\n"
        "d['start'] = 0; assert e.flush(30)\n"
        "pid = os.fork()\n"
        "for n in range(30): d['child' if pid == 0 else 'parent'] = n\n"
        "ok = e.close(30) and e.stats().retried == 0\n"
        "if pid == 0: os._exit(0 if ok else 1)\n"
        "sys.exit(0 if ok and os.waitpid(pid, 0)[1] == 0 else 1)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, collector.url], timeout=60)
    assert 0 == done.returncode
    for who in ("child", "parent"):
        mine = [record["after"] for record in collector.records if record["pointer"] == f"/{who}"]
        assert [str(n) for n in range(30)] == mine
    assert (61, 2) == (len(collector.records), collector.connections)


def test_many_threads_and_each_keeps_its_span(collector: Collector) -> None:
    """Every change arrives once, in its thread's order, with its span."""
    d = TrackedDict()
    spans: dict[str, str] = {}
    with OpenTelemetryExporter(collector.url) as exporter:
        d.tracking_add_observer(exporter)

        def work(name: str) -> None:
            with TRACER.start_as_current_span(name) as span:
                spans[name] = f"{span.get_span_context().trace_id:032x}{span.get_span_context().span_id:016x}"
                for n in range(50):
                    d[name] = n

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        d["outside"] = 1
    for name in "abcd":
        mine = [record for record in collector.records if record["pointer"] == f"/{name}"]
        assert [str(n) for n in range(50)] == [record["after"] for record in mine]
        assert {spans[name]} == {record.trace_id + record.span_id for record in mine}
    assert ("", "", 0) == (lambda last: (last.trace_id, last.span_id, last.flags))(collector.records[-1])


def test_changes_made_while_sending_do_not_loop(collector: Collector) -> None:
    """Changes made while sending are not sent in turn.

    Here a logging handler changes data for each message of the HTTP client.
    """
    d = TrackedDict()
    collector.answers = [(503, {}, b""), (400, {}, b"")]

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            d["log"] = record.getMessage()

    handler, logger = Handler(), logging.getLogger("urllib3")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with OpenTelemetryExporter(collector.url, **FAST) as exporter:
            d.tracking_add_observer(exporter)
            d["a"] = 1
            assert exporter.flush(30), exporter.stats()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert "log" in d
    assert (1, 1) == (exporter.stats().accepted, exporter.stats().rejected)
