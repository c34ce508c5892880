"""Trace ids: an exported line has those of the span of its change.

Without OpenTelemetry it has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedDict
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.exporters import HttpExporter, Item, JsonLinesExporter, KafkaExporter
from pydatatracker.exporters.base import item_of
from pydatatracker.exporters.formats import format_item
from pydatatracker.io import parse, read_changes, schema
from pydatatracker.io.tracing import traceparent, traceparent_of
from pydatatracker.observers import json_file_observer

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ON = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("on")
OFF = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("off")


def injected() -> str | None:
    """Return what OpenTelemetry itself would send from here."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


@pytest.mark.parametrize("tracer", [ON, OFF])
@pytest.mark.parametrize("compact", [True, False])
def test_a_line_has_the_ids_of_the_current_span(tracer: Any, compact: bool) -> None:
    """A line has the ids of the current span, as OpenTelemetry names them.

    The line is valid by the schema, is read back, and gives the same traceparent.
    """
    items: list[tuple[Item, str | None]] = []
    d = TrackedDict()
    d.tracking_add_observer(lambda change: items.append((item_of(change, compact), injected())))
    d["outside"] = 1
    with tracer.start_as_current_span("outer"):
        d["outer"] = 1
        with tracer.start_as_current_span("inner"):
            d["inner"] = {"trace_id": "f" * 32, "span_id": "0"}
        d["outer"] = 2
    d["outside"] = 2
    validate = jsonschema.Draft202012Validator(schema()).validate
    for item, expected in items:
        validate(json.loads(item.line))
        assert expected == traceparent_of(item.line)
        line = parse(item.line)
        assert (line.trace_id, line.span_id) == (tuple(expected.split("-")[1:3]) if expected else ("", ""))
        event = json.loads(format_item(item, "cloudevents"))
        assert expected == event.get("traceparent")
        again = line.entry()
        assert json.loads(item.line) == {**again.to_dict(), **json.loads(item.line)}
    assert [False, True, True, True, False] == [expected is not None for _, expected in items]


def test_a_change_that_was_read_keeps_its_ids() -> None:
    """A change that was read keeps its ids when it is exported again."""
    d = TrackedDict()
    items: list[Item] = []
    d.tracking_add_observer(lambda change: items.append(item_of(change)))
    with ON.start_as_current_span("then"):
        d["a"] = 1
    d["b"] = 1
    with ON.start_as_current_span("now"):
        again = [item_of(ChangeLogEntry.from_dict(json.loads(item.line))) for item in items]
    assert [json.loads(item.line) for item in items] == [json.loads(item.line) for item in again]


HEX = st.text("0123456789abcdefABCDEFg-", max_size=34)


@given(
    st.one_of(st.none(), st.integers(), HEX, st.just("0" * 32), st.text("0123456789abcdef", min_size=32, max_size=32)),
    st.one_of(st.none(), st.integers(), HEX, st.just("0" * 16), st.text("0123456789abcdef", min_size=16, max_size=16)),
    st.one_of(st.none(), HEX, st.sampled_from(["00", "01", "03", "ff"])),
)
def test_a_traceparent_is_valid_or_none(trace_id: Any, span_id: Any, flags: Any) -> None:
    """A traceparent from any line is valid to OpenTelemetry, or None."""
    line = {"trace_id": trace_id, "span_id": span_id, "trace_flags": flags}
    found = traceparent(line)
    if found is None:
        return
    context = TraceContextTextMapPropagator().extract({"traceparent": found})
    here = trace.get_current_span(context).get_span_context()
    assert here.is_valid
    assert (trace_id, span_id) == (f"{here.trace_id:032x}", f"{here.span_id:016x}")


@pytest.mark.parametrize(
    "line", [b"", b'"trace_id":"', b'["trace_id":"', b'{"a":{"trace_id":"x"}}', b'["\\"trace_id\\":\\""]']
)
def test_other_lines_have_no_traceparent(line: bytes) -> None:
    """Torn lines, invalid JSON and invalid ids give no traceparent."""
    assert traceparent_of(line) is None


def test_a_span_that_raises_loses_no_change() -> None:
    """A span that raises leaves the change without ids, and exported."""

    class Rude(trace.NonRecordingSpan):
        def __init__(self) -> None:
            pass

        def get_span_context(self) -> Any:
            raise RuntimeError("no")

    items: list[Item] = []
    d = TrackedDict(tracking_observer_errors="raise")
    d.tracking_add_observer(lambda change: items.append(item_of(change)))
    with trace.use_span(Rude()):
        d["a"] = 1
    assert "trace_id" not in json.loads(items[0].line)


def test_tasks_have_spans_of_their_own() -> None:
    """Each change is in the span of its task, also when tasks interleave."""
    d = TrackedDict()
    found: list[tuple[str, str | None, str | None]] = []
    d.tracking_add_observer(
        lambda change: found.append((change.path[0], traceparent_of(item_of(change).line), injected()))
    )

    async def work(name: str) -> None:
        with ON.start_as_current_span(name):
            for n in range(5):
                d[name] = n
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(name) for name in "abc"))

    asyncio.run(main())
    assert all(mine == expected for _, mine, expected in found)
    assert 3 == len({mine for _, mine, _ in found}) == len({(name, mine) for name, mine, _ in found})


@pytest.mark.parametrize("make", [JsonLinesExporter, json_file_observer])
def test_a_file_keeps_the_ids(tmp_path: pathlib.Path, make: Any) -> None:
    """The exporter and the observer write the ids to the file.

    Lines with and without ids are both read.
    """
    path = tmp_path / "changes.jsonl"
    d = TrackedDict()
    with make(path) as exporter:
        d.tracking_add_observer(exporter)
        with ON.start_as_current_span("s") as span:
            d["a"] = 1
        d["b"] = 2
    here = span.get_span_context()
    first, second = read_changes(path, strict=True)
    assert (f"{here.trace_id:032x}", f"{here.span_id:016x}") == (first.trace_id, first.span_id)
    assert ("", "") == (second.trace_id, second.span_id)


def test_a_custom_client_gets_the_ids() -> None:
    """The dict that HttpExporter posts has the ids."""
    posted: list[Any] = []
    d = TrackedDict()
    d.tracking_add_observer(HttpExporter(lambda url, json: posted.append(json), "http://x/"))
    with ON.start_as_current_span("s"):
        expected = injected()
        d["a"] = 1
    assert expected == traceparent(posted[0])


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    cluster = kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    yield ",".join(str(broker).split("/")[0] for broker in cluster.list_topics(timeout=30).brokers.values())
    cluster.flush(1)


def test_kafka_sends_a_traceparent_header(brokers: str) -> None:
    """Kafka gets a traceparent header where there was a span.

    Headers of the user's own are added.
    """
    import confluent_kafka as kafka

    d = TrackedDict()
    with KafkaExporter(
        "traced", config={"bootstrap.servers": brokers}, headers=lambda item: {"team": "a"}, batch_items=2
    ) as exporter:
        d.tracking_add_observer(exporter)
        with ON.start_as_current_span("s"):
            expected = injected()
            d["in"] = 1
        d["out"] = 1
        assert exporter.flush(60), exporter.stats()
    consumer = kafka.Consumer({"bootstrap.servers": brokers, "group.id": "t", "auto.offset.reset": "earliest"})
    partitions = consumer.list_topics("traced", timeout=30).topics["traced"].partitions
    consumer.assign([kafka.TopicPartition("traced", n, kafka.OFFSET_BEGINNING) for n in partitions])
    found: dict[str, dict[str, bytes]] = {}
    end = time.monotonic() + 30
    while len(found) < 2 and time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found[json.loads(message.value())["pointer"]] = dict(message.headers())
    consumer.close()
    assert expected == found["/in"]["traceparent"].decode()
    assert {"id", "seq", "team"} == set(found["/out"])


def test_nothing_is_imported_for_it() -> None:
    """Without OpenTelemetry nothing is imported, and lines have no ids."""
    program = (
        "import json, sys\n"
        "from pydatatracker import TrackedDict\n"
        "from pydatatracker.exporters import HttpExporter\n"
        "found = []\n"
        "d = TrackedDict(); d.tracking_add_observer(HttpExporter(lambda url, json: found.append(json), 'http://x'))\n"
        "d['a'] = 1\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules), sys.modules\n"
        "assert not {'trace_id', 'span_id', 'trace_flags'} & set(found[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert 0 == done.returncode, done.stderr


def test_while_it_is_being_imported_changes_go_on() -> None:
    """Changes work while another thread is importing OpenTelemetry.

    The module is there by name then, and is still empty.
    """
    import types

    items: list[Item] = []
    d = TrackedDict(tracking_observer_errors="raise")
    d.tracking_add_observer(lambda change: items.append(item_of(change)))
    real = sys.modules["opentelemetry.trace"]
    with contextlib.ExitStack() as stack:
        sys.modules["opentelemetry.trace"] = types.ModuleType("opentelemetry.trace")
        stack.callback(sys.modules.__setitem__, "opentelemetry.trace", real)
        thread = threading.Thread(target=d.__setitem__, args=("a", 1))
        thread.start()
        thread.join()
    assert [b"trace_id" in item.line for item in items] == [False]
