"""Where changes go: files, HTTP, S3, Kafka, OpenTelemetry, SQL; all over one delivery runtime."""
