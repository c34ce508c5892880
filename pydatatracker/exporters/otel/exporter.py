"""OpenTelemetry: changes as log records in their span, and as a metric.

With the user's provider, records go to its ``Logger``, the public API, and its processors handle them.

With an endpoint, delivery has to be at-least-once, and the SDK's own pipeline cannot provide that: its
``BatchLogRecordProcessor`` drops a batch that failed, and records that do not fit into its queue. So our runtime queues
and retries, and uses the lowest public part of the SDK, ``OTLPLogExporter.export(batch)``, to encode and send. The
result of that is not enough: "failed" means a receiver that is down as well as one that will never accept this batch,
and it sleeps between attempts of its own. Hence our ``requests.Session``, which it accepts as an argument: every
request is made once, and the real response is kept.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydatatracker import _forks
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.exporters.base import Exporter, delivery_for
from pydatatracker.exporters.http import check_answer
from pydatatracker.exporters.otel.records import record_of
from pydatatracker.exporters.secrets import clean, cleaned_errors, secrets_in, shown, text_of
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
    """Emit into the logger provider of the user."""

    any_thread = True  # the provider is the user's, and has its own locks

    def __init__(self, provider: LoggerProvider, value_limit: int | None) -> None:
        self._logger = provider.get_logger("pydatatracker", _version(), _SCHEMA)
        self._value_limit = value_limit

    def send(self, items: list[Item]) -> None:
        """Emit one record per item. Errors of the processors are raised."""
        for item in items:
            self._logger.emit(record_of(item, self._value_limit))

    def close(self) -> None:
        """Do nothing: the user shuts down the provider."""


class OtlpSink:
    """Send batches over OTLP/HTTP; see `OpenTelemetryExporter`."""

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
        self._shown = shown(self._url)
        self.secrets = secrets_in(endpoint, {"headers": headers or {}})
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._value_limit = value_limit
        self._resource = Resource.create(dict(resource or {}))
        self._scope = InstrumentationScope("pydatatracker", _version(), _SCHEMA)
        self._record = ReadableLogRecord
        self._exporter_class = OTLPLogExporter
        self._connect()
        _forks.keep(self, _forks.FILES)

    def after_fork(self) -> None:
        """Leave the connection to the parent, and connect anew in the child."""
        self._connect()

    def _connect(self) -> None:
        self._session = _session(self.secrets, self._timeout)
        self._exporter: Any = self._exporter_class(
            endpoint=self._url, headers=self._headers, timeout=self._timeout, session=self._session
        )

    def send(self, items: list[Item]) -> None:
        """Send one batch.

        Raises SinkUnavailable for 408, 425, 429, 5xx and network errors, SinkRejected for other refusals.
        """
        with cleaned_errors(known=self.secrets):
            self._send(items)

    def _send(self, items: list[Item]) -> None:
        batch, bad = [], []
        for item in items:
            try:
                batch.append(self._record(record_of(item, self._value_limit), self._resource, self._scope))
            except Exception:  # not our line: the spill file was torn, or another program wrote it
                bad.append(item)
        if batch:
            self._export(batch)
        if bad:
            raise SinkRejected(f"{len(bad)} lines are not changes", bad)

    def _export(self, batch: list[ReadableLogRecord]) -> None:
        from opentelemetry.sdk._logs.export import LogRecordExportResult

        session = self._session
        session.answer = session.failure = None
        error: Exception | None = None
        result = LogRecordExportResult.FAILURE
        with _not_traced():
            try:
                result = self._exporter.export(batch)
            except Exception as raised:  # older versions pass on the session's error
                error = raised
        if session.failure is not None:
            raise SinkUnavailable(f"{self._shown}: {type(session.failure).__name__}: {session.failure}")
        if session.answer is None:  # nothing was sent, and never will be: it cannot be encoded, or is too large
            raise SinkRejected(f"the OTLP exporter sent nothing to {self._shown}: {error or 'see its log'}")
        status, body, retry_after = session.answer
        check_answer(self._url, status, body, retry_after)
        if result is not LogRecordExportResult.SUCCESS:
            raise SinkUnavailable(f"{self._shown}: the OTLP exporter reports a failure: {error or 'see its log'}")
        self._check_partial(body, len(batch))

    def _check_partial(self, body: bytes, count: int) -> None:
        """Raise SinkRejected if the receiver rejected some of the records.

        It then answers 200, with the number of rejected records but not which; OTLP forbids a retry.
        """
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

        try:
            partial = ExportLogsServiceResponse.FromString(body).partial_success
        except Exception:  # DecodeError of protobuf, which has no types: some answer JSON, or "OK"
            return
        if partial.rejected_log_records > 0:
            raise SinkRejected(
                f"{self._shown} rejected {partial.rejected_log_records} of {count} records without saying which: "
                f"{partial.error_message[:200]}"
            )
        if partial.error_message:
            _log.warning("%s says: %s", self._shown, clean(partial.error_message[:200], self.secrets))

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


def _session(secrets: tuple[str, ...], timeout: float | None) -> Any:
    """Return a requests.Session that sends once and keeps the response.

    A status that is not 2xx raises, which ends the exporter's own attempts.

    :param secrets: text that is hidden in what it raises: the OTLP exporter logs that with a logger of its own.
    :param timeout: seconds of a whole request.
    """
    import requests
    from requests.adapters import HTTPAdapter

    from pydatatracker.exporters.bounded import POOLS, limited, short_body

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = POOLS

    class Session(requests.Session):
        answer: tuple[int, bytes, str | None] | None = None
        failure: Exception | None = None

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            options["allow_redirects"] = False  # a redirected POST may arrive as a GET, and look delivered
            options["stream"] = True
            try:
                with limited(timeout):
                    response = super().send(request, **options)
                    response._content = short_body(response.raw)
                    response._content_consumed = True  # type: ignore[attr-defined,unused-ignore]
                self.answer = response.status_code, response.content, response.headers.get("Retry-After")
            except Exception as error:
                self.failure = error
                raise _NotDelivered(clean(str(error), secrets)) from None
            if not 200 <= response.status_code < 300:
                raise _NotDelivered(clean(f"{response.status_code} {response.reason}", secrets))
            return response

    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return session


class _NotDelivered(Exception):
    """An error that the OTLP exporter does not retry: our runtime does."""


@contextlib.contextmanager
def _not_traced() -> Iterator[None]:
    """Keep instrumented HTTP clients from creating spans.

    The SDK's own processors do the same.
    """
    from opentelemetry import context

    key = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    token = context.attach(context.set_value(key, True))
    try:
        yield
    finally:
        context.detach(token)


def _log_error(what: str, error: Exception) -> None:
    with contextlib.suppress(Exception):  # a logging handler that raises
        _log.error("%s: %s", what, text_of(error))


def _logs_url(endpoint: str) -> str:
    if not isinstance(endpoint, str) or not endpoint.startswith(("http://", "https://")):
        raise ValueError(
            f"OpenTelemetryExporter needs an endpoint that begins with http:// or https://, not {clean(repr(endpoint))}"
        )
    return endpoint.rstrip("/") + "/v1/logs" if urlsplit(endpoint).path in ("", "/") else endpoint


class OpenTelemetryExporter(Exporter):
    """Emit every change as an OpenTelemetry log record, and count changes.

    ``OpenTelemetryExporter("http://collector:4318")`` sends over OTLP/HTTP from a thread, at least once: failures are
    retried as by `HttpExporter`. ``timeout`` is in seconds per request; ``resource`` are attributes such as
    ``{"service.name": "billing"}`` in addition to ``OTEL_RESOURCE_ATTRIBUTES``. All other options are those of
    `Delivery`. Needs the extra ``otel``.

    ``OpenTelemetryExporter(logger_provider=...)``, or without arguments the global provider, emits records
    synchronously; errors of the provider are counted and logged. ``background=True`` emits from a thread, with retries.

    :param meter_provider: of the counter ``pydatatracker.changes``, which counts by action; by default the global one.
    :param count_actors: whether the counter also has ``pydatatracker.actor``: one series per actor.
    :param value_limit: characters of an attribute that holds a value; None: no limit.
    :raises ValueError: the endpoint is not a URL. TypeError: both endpoint and provider are given.

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
            raise ValueError(f"value_limit must be a number of characters of at least 1, or None, not {value_limit!r}")
        try:
            from opentelemetry import metrics
            from opentelemetry._logs import get_logger_provider
        except ImportError:
            raise ImportError(_NEEDS.format("opentelemetry-sdk")) from None
        if endpoint is not None:
            if logger_provider is not None:
                raise TypeError("OpenTelemetryExporter accepts an endpoint or a logger_provider, not both")
            with cleaned_errors(endpoint, {"headers": headers}):
                sink: Sink = OtlpSink(
                    endpoint, headers=headers, timeout=timeout, resource=resource, value_limit=value_limit
                )
            background = background is not False
            name = f"OpenTelemetryExporter({shown(endpoint)!r})"
        else:
            if headers is not None or resource is not None:
                raise TypeError("headers= and resource= need an endpoint; a logger_provider has its own")
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
        except Exception as error:  # the user's meter
            _log_error("pydatatracker.changes was not counted", error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything so far is delivered, also by the provider.

        Return False if that took longer than timeout seconds.
        """
        done = super().flush(timeout)
        force = getattr(self._provider, "force_flush", None)
        if force is None:
            return done
        try:
            forced = force() if timeout is None else force(int(timeout * 1000))
        except Exception as error:
            _log_error("the logger provider was not flushed", error)
            return False
        return done and forced is not False
