"""Where changes go: files, HTTP, S3, Kafka, SQL, OpenTelemetry; all over one delivery runtime.

>>> from pydatatracker.exporters import JsonLinesExporter
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydatatracker.exporters.base import Exporter
    from pydatatracker.exporters.delivery import Delivery, Stats
    from pydatatracker.exporters.http import HttpExporter
    from pydatatracker.exporters.jsonlines import JsonLinesExporter
    from pydatatracker.exporters.kafka import KafkaExporter
    from pydatatracker.exporters.otel import OpenTelemetryExporter
    from pydatatracker.exporters.s3 import S3Exporter
    from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable
    from pydatatracker.exporters.sqlite import SqliteExporter

__all__ = [
    "Delivery",
    "Exporter",
    "HttpExporter",
    "Item",
    "JsonLinesExporter",
    "KafkaExporter",
    "OpenTelemetryExporter",
    "S3Exporter",
    "Sink",
    "SinkRejected",
    "SinkUnavailable",
    "SqliteExporter",
    "Stats",
]

# Imported when first asked for (PEP 562): one exporter does not pay for the others.
_LATER = {
    "Delivery": "delivery",
    "Exporter": "base",
    "HttpExporter": "http",
    "Item": "sink",
    "JsonLinesExporter": "jsonlines",
    "KafkaExporter": "kafka",
    "OpenTelemetryExporter": "otel",
    "S3Exporter": "s3",
    "Sink": "sink",
    "SinkRejected": "sink",
    "SinkUnavailable": "sink",
    "SqliteExporter": "sqlite",
    "Stats": "delivery",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'pydatatracker.exporters' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"pydatatracker.exporters.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
