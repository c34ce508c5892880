"""OpenTelemetry: changes as log records, and a counter (extra ``otel``).

``exporter`` delivers, ``records`` turns an item into a log record.
"""
