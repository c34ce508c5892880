"""Kafka: the key is the root container, so that the changes of one tree keep their order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from pydatatracker.exporters.base import ClientSink, Exporter, delivery_for
from pydatatracker.exporters.formats import check_format, format_item
from pydatatracker.exporters.sink import Item, SinkUnavailable
from pydatatracker.io.tracing import traceparent_of

__all__ = ["KafkaExporter", "KafkaSink"]

Headers = Callable[[Item], dict[str, str]]


class KafkaSink:
    """Produces batches with an idempotent producer; a batch is delivered when every report of it is in."""

    def __init__(
        self, topic: str, config: dict[str, Any], format: str, headers: Headers | None, timeout: float
    ) -> None:
        try:
            from confluent_kafka import Producer
        except ImportError:
            raise ImportError('KafkaExporter needs confluent-kafka: pip install "pydatatracker[kafka]"') from None
        self._topic = topic
        self._format = check_format(format)
        self._headers = headers
        self._timeout = timeout
        settings = {"enable.idempotence": True, "message.timeout.ms": int(timeout * 1000), **config}
        settings.setdefault("logger", logging.getLogger("pydatatracker.kafka"))  # not standard error
        self._producer = Producer(settings)

    def send(self, items: list[Item]) -> None:
        """Produce a batch and wait for its reports. Raises SinkUnavailable if one of them is an error, or missing."""
        failed: list[str] = []
        reports = 0

        def report(error: Any, message: Any) -> None:
            nonlocal reports
            reports += 1
            if error is not None:
                failed.append(str(error))

        end = time.monotonic() + self._timeout + 1.0
        for item in items:
            headers: dict[str, str | bytes | None] = {"id": item.id, "seq": str(item.seq)}
            parent = traceparent_of(item.line)
            if parent is not None:
                headers["traceparent"] = parent
            if self._headers is not None:
                headers.update(self._headers(item))
            while True:
                try:
                    self._producer.produce(
                        self._topic,
                        format_item(item, self._format),
                        key=item.root.encode(),
                        timestamp=item.time_ns // 1_000_000,
                        headers=headers,
                        on_delivery=report,
                    )
                    break
                except BufferError:
                    if time.monotonic() > end:
                        raise SinkUnavailable("the producer's queue stays full") from None
                    self._producer.poll(0.05)
        self._producer.flush(max(end - time.monotonic(), 0.1))
        if failed or reports < len(items):
            self._producer.purge()
            raise SinkUnavailable(failed[0] if failed else f"{len(items) - reports} delivery reports did not come")

    def close(self) -> None:
        """Let the producer end."""
        self._producer.flush(1.0)


class KafkaExporter(Exporter):
    """Produce changes to a topic.

    ``KafkaExporter(topic, config={"bootstrap.servers": ...})``: confluent-kafka, an idempotent producer, from a thread;
    the key is the root's id, so one tree's changes keep their order; headers are ``id`` and ``seq``, ``traceparent``
    where the change was made in a span of OpenTelemetry, and what ``headers(item)`` gives. A batch counts as sent when
    all its delivery reports are in; it is tried again otherwise. Options of the delivery runtime go to that. Needs
    the extra ``kafka``.

    ``KafkaExporter(producer, topic=)`` calls your own ``producer.send(topic, bytes)``, or ``produce`` where it has
    that, then and there, once a change; errors are counted and logged. ``background=True`` puts the runtime under it.

    >>> class Producer:
    ...     def send(self, topic, value):
    ...         print(topic, len(value) > 0)
    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> d.tracking_add_observer(KafkaExporter(Producer(), topic="audit"))
    >>> d["a"] = 1
    audit True
    """

    def __init__(
        self,
        target: Any,
        topic: str | None = None,
        *,
        config: dict[str, Any] | None = None,
        format: str = "native",
        headers: Headers | None = None,
        timeout: float = 10.0,
        compact: bool = False,
        background: bool | None = None,
        **options: Any,
    ) -> None:
        if isinstance(target, str) and topic is None:
            if not config or "bootstrap.servers" not in config:
                raise ValueError("KafkaExporter(topic) needs config={'bootstrap.servers': 'host:port'}")
            sink: Any = KafkaSink(target, config, format, headers, timeout)
            super().__init__(
                delivery_for(sink, f"KafkaExporter({target!r})", background is not False, options), compact=compact
            )
            return
        if not isinstance(topic, str):
            raise TypeError("KafkaExporter(producer, topic='audit') needs the topic")
        check_format(format)
        call = getattr(target, "produce", None) or getattr(target, "send", None)
        if call is None:
            raise TypeError(f"{type(target).__name__} has neither produce nor send; hand over a Kafka producer")
        sink = ClientSink(lambda item: call(topic, format_item(item, format)))
        super().__init__(delivery_for(sink, f"KafkaExporter({topic!r})", bool(background), options), compact=compact)
