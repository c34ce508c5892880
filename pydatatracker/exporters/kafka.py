"""Kafka: the message key is the root, so changes of a tree keep order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from pydatatracker import _core, _forks
from pydatatracker.exporters.base import ClientSink, Exporter, delivery_for
from pydatatracker.exporters.formats import check_format, format_item
from pydatatracker.exporters.secrets import cleaned_errors, secrets_in
from pydatatracker.exporters.sink import Item, SinkUnavailable
from pydatatracker.io.tracing import traceparent_of

__all__ = ["KafkaExporter", "KafkaSink"]

Headers = Callable[[Item], dict[str, str]] | dict[str, str]


class KafkaSink:
    """Produce batches with an idempotent producer.

    A batch is delivered when all its delivery reports have arrived.
    """

    def __init__(
        self, topic: str, config: dict[str, Any], format: str, headers: Headers | None, timeout: float
    ) -> None:
        try:
            from confluent_kafka import Producer
        except ImportError:
            raise ImportError('KafkaExporter needs confluent-kafka: pip install "pydatatracker[kafka]"') from None
        self._topic = topic
        self._format = check_format(format)
        self._fixed = dict(headers) if isinstance(headers, dict) else {}
        self._headers = None if isinstance(headers, dict) else headers
        self._timeout = timeout
        settings = {"enable.idempotence": True, "message.timeout.ms": int(timeout * 1000), **config}
        settings.setdefault("logger", logging.getLogger("pydatatracker.kafka"))  # not standard error
        for name, value in settings.items():  # the program may change its folder later
            if name.startswith("ssl.") and name.endswith(".location") and isinstance(value, str) and value:
                settings[name] = os.path.abspath(value)
        self._settings = settings
        self.secrets = secrets_in(config)
        with cleaned_errors(known=self.secrets):
            self._producer: Any = Producer(settings)
        self._new = Producer
        _forks.keep(self, _forks.FILES)

    def after_fork(self) -> None:
        """Have the child make a producer of its own.

        The threads of this one exist in the parent only.
        """
        if self._producer is not None:
            _core.never_free(self._producer)  # it would wait for its threads
        self._producer = None

    def send(self, items: list[Item]) -> None:
        """Produce a batch and wait for its reports.

        Raises SinkUnavailable if one of them is missing or an error.
        """
        if self._producer is None:
            self._producer = self._new(self._settings)
        with cleaned_errors(known=self.secrets):
            self._produce(items)

    def _produce(self, items: list[Item]) -> None:
        failed: list[str] = []
        reports = 0

        def report(error: Any, message: Any) -> None:
            nonlocal reports
            reports += 1
            if error is not None:
                failed.append(str(error))

        end = time.monotonic() + self._timeout + 1.0
        for item in items:
            headers: dict[str, str | bytes | None] = {**self._fixed, "id": item.id, "seq": str(item.seq)}
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
            raise SinkUnavailable(failed[0] if failed else f"{len(items) - reports} delivery reports did not arrive")

    def close(self) -> None:
        """Flush the producer."""
        if self._producer is not None:
            self._producer.flush(1.0)


class KafkaExporter(Exporter):
    """Produce changes to a topic.

    ``KafkaExporter(topic, config={"bootstrap.servers": ...})`` produces batches from a thread, with an idempotent
    producer of confluent-kafka. The message key is the id of the root, so changes of one tree keep their order. Headers
    are ``id`` and ``seq``, ``traceparent`` if the change was made in an OpenTelemetry span, and those that
    ``headers(item)`` returns, or of a dict (``headers={"host": "web-1"}``). A batch counts as sent when all its
    delivery reports have arrived, and is retried otherwise. All other options are those of `Delivery`.
    Needs the extra ``kafka``.

    ``KafkaExporter(producer, topic=)`` calls your own ``producer.produce(topic, bytes)``, or ``send`` if it has no
    ``produce``, synchronously, once per change; errors are counted and logged. ``background=True`` calls it from a
    thread, with retries.

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
            delivery = delivery_for(sink, f"KafkaExporter({target!r})", background is not False, options)
            super().__init__(delivery, compact=compact, format=format)
            return
        if not isinstance(topic, str):
            raise TypeError("KafkaExporter(producer) needs a topic: KafkaExporter(producer, topic='audit')")
        check_format(format)
        call = getattr(target, "produce", None) or getattr(target, "send", None)
        if call is None:
            raise TypeError(f"{type(target).__name__} has neither produce nor send: pass a Kafka producer")
        sink = ClientSink(lambda item: call(topic, format_item(item, format)))
        delivery = delivery_for(sink, f"KafkaExporter({topic!r})", bool(background), options)
        super().__init__(delivery, compact=compact, format=format)
