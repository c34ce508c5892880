"""Exporters: write changes to files, HTTP, S3, Kafka, SQL, OpenTelemetry.

All of them share one delivery runtime, `pydatatracker.exporters.delivery`.

>>> from pydatatracker.exporters import JsonLinesExporter
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatracker._lazy import lazily

if TYPE_CHECKING:
    from pydatatracker.exporters.base import Exporter
    from pydatatracker.exporters.delivery import Delivery
    from pydatatracker.exporters.http import HttpExporter
    from pydatatracker.exporters.jsonlines import JsonLinesExporter
    from pydatatracker.exporters.kafka import KafkaExporter
    from pydatatracker.exporters.otel.exporter import OpenTelemetryExporter
    from pydatatracker.exporters.s3 import S3Exporter
    from pydatatracker.exporters.sealed_table import SealedTable
    from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable
    from pydatatracker.exporters.sql import SqlExporter
    from pydatatracker.exporters.sqlite import SqliteExporter
    from pydatatracker.exporters.stats import Stats

__all__ = [
    "Delivery",
    "Exporter",
    "HttpExporter",
    "Item",
    "JsonLinesExporter",
    "KafkaExporter",
    "OpenTelemetryExporter",
    "S3Exporter",
    "SealedTable",
    "Sink",
    "SinkRejected",
    "SinkUnavailable",
    "SqlExporter",
    "SqliteExporter",
    "Stats",
]

# Imported on first use (PEP 562): one exporter does not pay for the others.
_HOMES = {
    "Delivery": "delivery",
    "Exporter": "base",
    "HttpExporter": "http",
    "Item": "sink",
    "JsonLinesExporter": "jsonlines",
    "KafkaExporter": "kafka",
    "OpenTelemetryExporter": "otel.exporter",
    "S3Exporter": "s3",
    "SealedTable": "sealed_table",
    "Sink": "sink",
    "SinkRejected": "sink",
    "SinkUnavailable": "sink",
    "SqlExporter": "sql",
    "SqliteExporter": "sqlite",
    "Stats": "stats",
}

__getattr__, __dir__ = lazily(__name__, globals(), _HOMES)
