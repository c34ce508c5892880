"""OpenTelemetry: changes as log records, and a counter of changes (extra ``otel``).

``exporter`` delivers, ``records`` turns an item into a log record.
"""
