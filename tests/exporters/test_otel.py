"""OpenTelemetry: log records, a user's own providers, the counter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from gardening import STEPS, Session
from hypothesis import given, settings

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http", reason="opentelemetry-exporter-otlp-proto-http is not installed"
)

from collector import Collector
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import log_attributes, process_attributes, thread_attributes
from opentelemetry.semconv.attributes import code_attributes

from pydatatracker import TrackedDict, TrackedList, track, tracking_actor
from pydatatracker.exporters import OpenTelemetryExporter

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.stop()


def memory_of() -> tuple[LoggerProvider, InMemoryLogRecordExporter]:
    """Return a provider, and the exporter that keeps its records."""
    provider, memory = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    return provider, memory


# ---- the contents of a record


def test_a_record_has_the_facts_of_the_change(collector: Collector) -> None:
    """A record has the change's time, id, values, actor, path and code.

    Names follow the semantic conventions; values are JSON.
    """
    x = track({"cfg": {"port": 80}}, tracking_capture_stack=True)
    resource = {"service.name": "billing"}
    with OpenTelemetryExporter(collector.url, headers={"X-Key": "secret"}, resource=resource) as exporter:
        x["cfg"].tracking_add_observer(exporter)
        with tracking_actor("eve", reason="rotate", ticket=7, parts=[1, 2]):
            x["cfg"]["port"] = 8080
        change = x.last_change()
        assert change is not None
        assert exporter.flush(30), exporter.stats()
    first, record = collector.records
    assert ("init", '{"port":80}') == (first["action"], first["after"])
    assert ("pydatatracker.change", "pydatatracker", "INFO") == (record.event, record.scope, record.severity)
    assert (change.time_ns, change.time_ns) == (record.time_ns, record.observed_ns)
    assert "billing" == record.resource["service.name"]
    assert "update /port: 80 -> 8080 by eve" == record.body
    assert (change.seq, "eve", x["cfg"].tracking_uuid) == (record["seq"], record["actor"], record["root"])
    assert ('["port"]', "/port", "80", "8080") == tuple(record[n] for n in ("path", "pointer", "before", "after"))
    assert ("rotate", 7, "[1,2]") == tuple(record[f"context.{name}"] for name in ("reason", "ticket", "parts"))
    assert change.uuid == record.attributes[log_attributes.LOG_RECORD_UID]
    assert os.getpid() == record.attributes[process_attributes.PROCESS_PID]
    assert threading.current_thread().name == record.attributes[thread_attributes.THREAD_NAME]
    frame = change.stack[-1]
    assert (frame.filename, frame.name, frame.lineno) == (
        record.attributes[code_attributes.CODE_FILE_PATH],
        record.attributes[code_attributes.CODE_FUNCTION_NAME],
        record.attributes[code_attributes.CODE_LINE_NUMBER],
    )
    assert "".join(change.stack.format()) == record.attributes[code_attributes.CODE_STACKTRACE]
    path, headers = collector.requests[0]
    assert ("/v1/logs", "secret") == (path, {name.lower(): value for name, value in headers.items()}["x-key"])


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_any_change_becomes_a_record_with_its_values(steps: Any) -> None:
    """A record has exactly the fields that the change's own line has."""
    provider, memory = memory_of()
    session = Session()
    session.root.tracking_add_observer(OpenTelemetryExporter(logger_provider=provider, value_limit=None))
    lines: list[Any] = []
    session.root.tracking_add_observer(lambda change: lines.append(json.loads(json.dumps(change.to_dict()))))
    session.run(steps)
    records = [each.log_record for each in memory.get_finished_logs()][1:]  # without the initial state
    assert [line["seq"] for line in lines] == [record.attributes["pydatatracker.seq"] for record in records]
    for line, record in zip(lines, records, strict=True):
        for name in ("path", "paths", "before", "after", "splice", "order", "changes"):
            if (line.get(name) in ([], None) and name not in ("path", "before", "after")) or name not in line:
                assert f"pydatatracker.{name}" not in record.attributes
            else:
                assert line[name] == json.loads(record.attributes[f"pydatatracker.{name}"])
        assert line["uuid"] == record.attributes["log.record.uid"]
        assert isinstance(record.body, str)


def test_strange_values_arrive(collector: Collector) -> None:
    """Values that OTLP or JSON cannot hold are sent as text.

    Such as lone surrogates, large numbers, and objects whose repr raises.
    """

    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

    strange = ["\ud800", 2**70, -(2**63), float("nan"), Rude(), b"\xff", {1: {2}}, "x" * 10_000, None, ""]
    d = TrackedDict()
    with OpenTelemetryExporter(collector.url, value_limit=100) as exporter:
        d.tracking_add_observer(exporter)
        with tracking_actor("a", big=2**70, small=-(2**63), text="y" * 1000, nothing=None):
            for n, value in enumerate(strange):
                d[n] = value
        assert exporter.flush(30), exporter.stats()
    assert list(range(len(strange))) == [json.loads(record["path"])[0] for record in collector.records]
    assert {100} == {len(record["after"]) for record in collector.records if record["after"].endswith("…")}
    assert "null" == collector.records[8]["after"]
    assert (-(2**63), 100) == (collector.records[0]["context.small"], len(collector.records[0]["context.text"]))
    assert str(2**70) in collector.records[0]["context.big"]


# ---- a user's own provider


def test_a_custom_provider_is_called_synchronously() -> None:
    """A user's provider is called synchronously, in the span of the change."""
    provider, memory = memory_of()
    x = TrackedList()
    x.tracking_add_observer(OpenTelemetryExporter(logger_provider=provider))
    with TRACER.start_as_current_span("outer"), TRACER.start_as_current_span("inner") as span:
        x.append(1)
        assert 1 == len(memory.get_finished_logs())
    record = memory.get_finished_logs()[0].log_record
    here = span.get_span_context()
    assert (here.trace_id, here.span_id, here.trace_flags) == (record.trace_id, record.span_id, record.trace_flags)


def test_the_runtime_with_a_custom_provider() -> None:
    """background=True calls the provider from a thread, in the same span."""
    provider, memory = memory_of()
    d = TrackedDict()
    with OpenTelemetryExporter(logger_provider=provider, background=True) as exporter:
        d.tracking_add_observer(exporter)
        with TRACER.start_as_current_span("s") as span:
            d["a"] = 1
        d["b"] = 2
        assert exporter.flush(30)
    first, second = (each.log_record for each in memory.get_finished_logs())
    here = span.get_span_context()
    assert (here.trace_id, here.span_id, here.trace_flags) == (first.trace_id, first.span_id, first.trace_flags)
    assert (0, 0) == (second.trace_id, second.span_id)


@pytest.mark.parametrize("forced", [True, False, None])
@pytest.mark.parametrize("done", [True, False])
def test_flush_is_true_if_both_were_in_time(forced: bool | None, done: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are asked; a provider without an answer counts as done."""
    provider, _ = memory_of()
    asked: list[Any] = []
    monkeypatch.setattr(provider, "force_flush", lambda *given: asked.append(given) or forced)
    exporter = OpenTelemetryExporter(logger_provider=provider)
    monkeypatch.setattr(exporter._delivery, "flush", lambda timeout=None: done)
    assert (done and forced is not False) == exporter.flush(2.5)
    exporter.flush()
    assert [(2500,), ()] == asked


def test_a_provider_that_raises_never_reaches_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """An error of a provider is counted and logged, never raised.

    Also if errors of observers are configured to be raised.
    """

    class Broken:
        calls = 0

        def get_logger(self, *args: Any, **kwargs: Any) -> Broken:
            return self

        def emit(self, record: Any) -> None:
            self.calls += 1
            raise OSError("no space")

        def force_flush(self, timeout: int = 0) -> bool:
            raise OSError("no space")

    broken = Broken()
    d = TrackedDict(tracking_observer_errors="raise")
    exporter = OpenTelemetryExporter(logger_provider=broken)  # type: ignore[arg-type]
    d.tracking_add_observer(exporter)
    d["a"] = 1
    d["a"] = 2
    assert (2, 2, 0) == (broken.calls, exporter.stats().dropped, exporter.stats().sent)
    assert "OSError: no space" in caplog.text
    assert not exporter.flush()


def test_without_an_argument_the_global_provider_is_meant() -> None:
    """Without an argument the global provider is used, also if set later."""
    program = (
        "from pydatatracker import TrackedDict\n"
        "from pydatatracker.exporters import OpenTelemetryExporter\n"
        "from opentelemetry._logs import set_logger_provider\n"
        "from opentelemetry.sdk._logs import LoggerProvider\n"
        "from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor\n"
        "d = TrackedDict(); d.tracking_add_observer(OpenTelemetryExporter()); d['early'] = 1\n"
        "provider, memory = LoggerProvider(), InMemoryLogRecordExporter()\n"
        "provider.add_log_record_processor(SimpleLogRecordProcessor(memory)); set_logger_provider(provider)\n"
        "d['late'] = 1\n"
        "print([each.log_record.attributes['pydatatracker.pointer'] for each in memory.get_finished_logs()])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "['/late']\n" == done.stdout, done.stderr


# ---- metrics


def test_changes_are_counted_by_action() -> None:
    """The counter pydatatracker.changes counts by action.

    Two exporters add to the same counter. The actor is an attribute only if requested.
    """
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    provider, _ = memory_of()
    d = TrackedDict()
    d.tracking_add_observer(OpenTelemetryExporter(logger_provider=provider, meter_provider=meters))
    for n in range(5):
        d[n % 3] = n
    del d[0]
    assert {("add", None): 3, ("update", None): 2, ("remove", None): 1} == counted(reader)
    other = TrackedDict()
    exporter = OpenTelemetryExporter(logger_provider=provider, meter_provider=meters, count_actors=True)
    other.tracking_add_observer(exporter)
    with tracking_actor("eve"):
        other["a"] = 1
    assert 1 == counted(reader)["add", "eve"]
    meters.shutdown()


def counted(reader: InMemoryMetricReader) -> dict[tuple[Any, Any], int]:
    data = reader.get_metrics_data()
    assert data is not None
    points: list[Any] = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "pydatatracker.changes"
        for point in metric.data.data_points
    ]
    return {
        (each.attributes["pydatatracker.action"], each.attributes.get("pydatatracker.actor")): each.value
        for each in points
    }


def test_a_meter_that_raises_never_reaches_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """An error of a meter is logged, and the record is emitted."""

    class Meters:
        def get_meter(self, *args: Any) -> Any:
            return self

        def create_counter(self, *args: Any, **kwargs: Any) -> Any:
            return self

        def add(self, *args: Any) -> None:
            raise ZeroDivisionError

    provider, memory = memory_of()
    d = TrackedDict(tracking_observer_errors="raise")
    d.tracking_add_observer(OpenTelemetryExporter(logger_provider=provider, meter_provider=Meters()))  # type: ignore[arg-type]
    d["a"] = 1
    assert 1 == len(memory.get_finished_logs())
    assert "ZeroDivisionError" in caplog.text


# ---- arguments


@pytest.mark.parametrize(
    ("error", "args", "kwargs"),
    [
        (ValueError, ("collector:4318",), {}),
        (ValueError, (5,), {}),
        (TypeError, ("http://x",), {"logger_provider": memory_of()[0]}),
        (TypeError, (), {"headers": {}}),
        (TypeError, (), {"max_items": 5}),
        (ValueError, ("http://x",), {"on_full": "explode"}),
        (ValueError, ("http://x",), {"value_limit": 0}),
        (TypeError, ("http://x",), {"colour": "red"}),
    ],
)
def test_bad_arguments(error: type[Exception], args: Any, kwargs: Any) -> None:
    """Wrong arguments are refused at once."""
    with pytest.raises(error):
        OpenTelemetryExporter(*args, **kwargs)


@pytest.mark.parametrize(("missing", "arguments"), [("opentelemetry", ""), ("opentelemetry.exporter", "'http://x'")])
def test_a_missing_extra_is_one_sentence(missing: str, arguments: str) -> None:
    """A missing extra is an error that says what to install."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pydatatracker.exporters import OpenTelemetryExporter\n"
        f"OpenTelemetryExporter({arguments})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: OpenTelemetryExporter needs opentelemetry-sdk"), done.stderr
    assert last.endswith('pip install "pydatatracker[otel]"')
