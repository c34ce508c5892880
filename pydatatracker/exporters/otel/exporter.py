"""OpenTelemetry: a change as a log record, in the span in which it was made; changes by action as a metric.

With a provider of the user's, records go to its ``Logger``, the public API, and what becomes of them is its
processors' business. With an endpoint, at-least-once has to hold, and the SDK's own pipeline cannot give that: its
``BatchLogRecordProcessor`` drops a batch that failed, and what its queue has no room for. So our runtime queues and
retries, and below it stands the lowest public piece of the SDK, ``OTLPLogExporter.export(batch)``, which encodes
and sends. Its answer alone is not enough either: "failed" is said of a receiver that is down and of one that will never
take this batch, and it sleeps between attempts of its own. Hence a ``requests.Session`` of ours, which it takes as an
argument: every request is made once, and its true answer is kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.exporters.base import Exporter, delivery_for
from pydatatracker.exporters.http import check_answer
from pydatatracker.exporters.otel.records import record_of
from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import Counter, MeterProvider
    from opentelemetry.sdk._logs import ReadableLogRecord

__all__ = ["LoggerSink", "OpenTelemetryExporter", "OtlpSink"]

_log = logging.getLogger("pydatatracker")
_NEEDS = 'OpenTelemetryExporter needs {}: pip install "pydatatracker[otel]"'
_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"  # of the attributes' names


def _version() -> str:
    from pydatatracker import __version__

    return __version__


class LoggerSink:
    """Emits into a logger provider of the user's."""

    def __init__(self, provider: LoggerProvider, value_limit: int | None) -> None:
        self._logger = provider.get_logger("pydatatracker", _version(), _SCHEMA)
        self._value_limit = value_limit

    def send(self, items: list[Item]) -> None:
        """Emit a record an item. Raises what the provider's processors raise."""
        for item in items:
            self._logger.emit(record_of(item, self._value_limit))

    def close(self) -> None:
        """The provider is the user's to shut down."""


class OtlpSink:
    """Sends batches over OTLP/HTTP; see OpenTelemetryExporter."""

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        resource: Mapping[str, Any] | None = None,
        value_limit: int | None = 4096,
    ) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
            from opentelemetry.sdk._logs import ReadableLogRecord
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError:
            raise ImportError(
                _NEEDS.format("opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http, 1.39 or newer")
            ) from None
        self._url = _logs_url(endpoint)
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._value_limit = value_limit
        self._resource = Resource.create(dict(resource or {}))
        self._scope = InstrumentationScope("pydatatracker", _version(), _SCHEMA)
        self._record = ReadableLogRecord
        self._exporter_class = OTLPLogExporter
        self._connect()

    def _connect(self) -> None:
        self._pid = os.getpid()
        self._session = _session()
        self._exporter: Any = self._exporter_class(
            endpoint=self._url, headers=self._headers, timeout=self._timeout, session=self._session
        )

    def send(self, items: list[Item]) -> None:
        """Send one batch. SinkUnavailable: 408, 425, 429, 5xx and network errors; SinkRejected: what stays refused."""
        if self._pid != os.getpid():  # the connection is the parent's
            self._connect()
        batch, bad = [], []
        for item in items:
            try:
                batch.append(self._record(record_of(item, self._value_limit), self._resource, self._scope))
            except Exception:  # no line of ours: a spill file that was torn, or written by somebody else
                bad.append(item)
        if batch:
            self._export(batch)
        if bad:
            raise SinkRejected(f"{len(bad)} lines are no changes", bad)

    def _export(self, batch: list[ReadableLogRecord]) -> None:
        from opentelemetry.sdk._logs.export import LogRecordExportResult

        session = self._session
        session.answer = session.failure = None
        error: Exception | None = None
        result = LogRecordExportResult.FAILURE
        with _not_traced():
            try:
                result = self._exporter.export(batch)
            except Exception as raised:  # older ones let what the session raises through
                error = raised
        if session.failure is not None:
            raise SinkUnavailable(f"{self._url}: {type(session.failure).__name__}: {session.failure}")
        if session.answer is None:  # nothing was sent, now or the next time: it cannot be encoded, or is too large
            raise SinkRejected(f"the OTLP exporter sent nothing to {self._url}: {error or 'see its log'}")
        status, body, retry_after = session.answer
        check_answer(self._url, status, body, retry_after)
        if result is not LogRecordExportResult.SUCCESS:
            raise SinkUnavailable(f"{self._url}: the OTLP exporter reports a failure: {error or 'see its log'}")
        self._check_partial(body, len(batch))

    def _check_partial(self, body: bytes, count: int) -> None:
        """A receiver may answer 200 and say how many records it refused, but not which; OTLP forbids another try."""
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

        try:
            partial = ExportLogsServiceResponse.FromString(body).partial_success
        except Exception:  # DecodeError of protobuf, which has no types: some answer JSON, or "OK"
            return
        if partial.rejected_log_records > 0:
            raise SinkRejected(
                f"{self._url} refused {partial.rejected_log_records} of {count} and does not say which: "
                f"{partial.error_message[:200]}"
            )
        if partial.error_message:
            _log.warning("%s says: %s", self._url, partial.error_message[:200])

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


def _session() -> Any:
    """Return a requests.Session that asks once and keeps the answer; what is not 2xx ends the exporter's own tries."""
    import requests

    class Session(requests.Session):
        answer: tuple[int, bytes, str | None] | None = None
        failure: Exception | None = None

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            options["allow_redirects"] = False  # a POST that is redirected may arrive as a GET, and look delivered
            try:
                response = super().send(request, **options)
                self.answer = response.status_code, response.content, response.headers.get("Retry-After")
            except Exception as error:
                self.failure = error
                raise _NotDelivered(str(error)) from error
            if not 200 <= response.status_code < 300:
                raise _NotDelivered(f"{response.status_code} {response.reason}")
            return response

    return Session()


class _NotDelivered(Exception):
    """Of no kind that the OTLP exporter would try again: our runtime does."""


@contextlib.contextmanager
def _not_traced() -> Iterator[None]:
    """Instrumented HTTP clients make no spans of what is sent here; the SDK's own processors do the same."""
    from opentelemetry import context

    key = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    token = context.attach(context.set_value(key, True))
    try:
        yield
    finally:
        context.detach(token)


def _logs_url(endpoint: str) -> str:
    if not isinstance(endpoint, str) or not endpoint.startswith(("http://", "https://")):
        raise ValueError(f"OpenTelemetryExporter takes an http:// or https:// endpoint, not {endpoint!r}")
    return endpoint.rstrip("/") + "/v1/logs" if urlsplit(endpoint).path in ("", "/") else endpoint


class OpenTelemetryExporter(Exporter):
    """Emit every change as a log record of OpenTelemetry, and count changes by action.

    ``OpenTelemetryExporter("http://collector:4318")`` sends over OTLP/HTTP, from a thread, at least once: what fails is
    sent again, as `HttpExporter` does it. ``headers``; ``timeout`` is 10 seconds a request; ``resource`` are attributes
    like ``{"service.name": "billing"}`` beside those of ``OTEL_RESOURCE_ATTRIBUTES``. Other options are those of the
    delivery runtime. Needs the extra ``otel``.

    ``OpenTelemetryExporter(logger_provider=...)``, or without any argument the global provider: records are
    emitted then and there; what the provider raises is counted and logged. ``background=True`` puts the runtime
    under it.

    :param meter_provider: where the counter ``pydatatracker.changes`` lives; the global one if not given.
    :param count_actors: the counter has ``pydatatracker.actor`` too: one series an actor.
    :param value_limit: characters of an attribute that holds a value; None: no limit.
    :raises ValueError: the endpoint is no URL; or TypeError, both endpoint and provider are given.

    >>> from opentelemetry.sdk._logs import LoggerProvider
    >>> from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    >>> provider, memory = LoggerProvider(), InMemoryLogRecordExporter()
    >>> provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> d.tracking_add_observer(OpenTelemetryExporter(logger_provider=provider))
    >>> d["port"] = 80
    >>> record = memory.get_finished_logs()[0].log_record
    >>> record.event_name, record.body, record.attributes["pydatatracker.pointer"]
    ('pydatatracker.change', 'add /port: 80', '/port')
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        resource: Mapping[str, Any] | None = None,
        value_limit: int | None = 4096,
        count_actors: bool = False,
        compact: bool = True,
        background: bool | None = None,
        **options: Any,
    ) -> None:
        if value_limit is not None and (isinstance(value_limit, bool) or value_limit < 1):
            raise ValueError(f"value_limit is a number of characters, 1 or more, or None, not {value_limit!r}")
        try:
            from opentelemetry import metrics
            from opentelemetry._logs import get_logger_provider
        except ImportError:
            raise ImportError(_NEEDS.format("opentelemetry-sdk")) from None
        if endpoint is not None:
            if logger_provider is not None:
                raise TypeError("OpenTelemetryExporter takes an endpoint or a logger_provider, not both")
            sink: Sink = OtlpSink(
                endpoint, headers=headers, timeout=timeout, resource=resource, value_limit=value_limit
            )
            background = background is not False
            name = f"OpenTelemetryExporter({endpoint!r})"
        else:
            if headers is not None or resource is not None:
                raise TypeError("headers= and resource= go with an endpoint; a logger_provider has its own")
            logger_provider = get_logger_provider() if logger_provider is None else logger_provider
            sink = LoggerSink(logger_provider, value_limit)
            background = bool(background)
            name = f"OpenTelemetryExporter({type(logger_provider).__name__})"
        self._provider = logger_provider
        self._count_actors = count_actors
        meters = metrics.get_meter_provider() if meter_provider is None else meter_provider
        self._counter: Counter = meters.get_meter("pydatatracker", _version()).create_counter(
            "pydatatracker.changes", unit="{change}", description="Changes of tracked data"
        )
        super().__init__(delivery_for(sink, name, background, options), compact=compact)

    def __call__(self, change: ChangeLogEntry) -> None:
        super().__call__(change)
        attributes = {"pydatatracker.action": change.action}
        if self._count_actors:
            attributes["pydatatracker.actor"] = change.actor
        try:
            self._counter.add(1, attributes)
        except Exception as error:  # a meter of the user's own
            _log.error("pydatatracker.changes was not counted: %s: %s", type(error).__name__, error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything so far is delivered, the provider's own queue too; False if that took too long."""
        done = super().flush(timeout)
        force = getattr(self._provider, "force_flush", None)
        if force is None:
            return done
        try:
            forced = force() if timeout is None else force(int(timeout * 1000))
        except Exception as error:
            _log.error("the logger provider was not flushed: %s: %s", type(error).__name__, error)
            return False
        return done and forced is not False
