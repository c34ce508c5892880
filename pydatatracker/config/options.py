"""The types of observers in a configuration, and their options.

There is one class per type: the check, the list of options in a message and the suggested names all follow from it. The
annotations are types that msgspec checks; ``...`` marks an option that is required.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_type_hints

from pydatatracker.values.codec import msgspec

if TYPE_CHECKING:
    Positive = int  # see fields_of

__all__ = ["NOT_IN_A_FILE", "TYPES", "Filtered", "Http", "Logging", "Nothing", "Type", "fields_of", "required"]


def _positive() -> Any:
    return Annotated[int, msgspec("a configuration file").Meta(ge=1)]


Mode = str | int | None  # permissions in octal, "0640"; see pydatatracker.io.files.check_mode


class Delivery:
    """Options of the delivery runtime, for all exporters."""

    max_items: Positive
    max_bytes: Positive
    on_full: Literal["block", "drop_oldest", "drop_newest", "spill"]
    block_timeout: float
    spill: str
    batch_items: Positive
    batch_bytes: Positive
    batch_age: float
    retry_first: float
    retry_most: float
    exit_timeout: float
    dead_letter: str
    mode: Mode


class Collector:
    """Options of ``change_collector``."""

    capacity: int | None
    include_init_events: bool


class JsonFile:
    """Options of ``json_file``."""

    path: str = ...  # type: ignore[assignment]
    compact: bool
    mode: Mode


class Logging:
    """Options of ``logging``."""

    logger: str
    level: str | int


class Nothing:
    """A type without options."""


class Filtered:
    """Options of ``filtered``."""

    observer: dict[str, Any] = ...  # type: ignore[assignment]
    path: str
    actions: list[str] | str
    actor: str
    locations: list[str | int] | str


class JsonLines(Delivery):
    """Options of ``json_lines``."""

    path: str = ...  # type: ignore[assignment]
    buffered: bool
    compact: bool
    rotate_size: Positive | None
    rotate_time: float | str | None
    keep: Positive | None
    compress: Literal["gzip", "zstd"] | None
    fsync: Literal["never", "batch", "always"]
    seal: bool
    seal_key: str | None  # the path of a PEM file
    seal_every: Positive


Format = Literal["native", "cloudevents", "debezium", "json-patch"]


class Http(Delivery):
    """Options of ``http``."""

    url: str = ...  # type: ignore[assignment]
    headers: dict[str, str]
    body: Literal["ndjson", "array"]
    format: Format
    compress: bool
    timeout: float
    method: str
    compact: bool


class S3(Delivery):
    """Options of ``s3``."""

    bucket: str = ...  # type: ignore[assignment]
    prefix: str
    endpoint: str
    config: dict[str, Any]
    format: Format
    body: Literal["ndjson", "parquet"]
    compact: bool
    seal: bool
    seal_key: str | None  # the path of a PEM file
    partition: str
    host: str


class Kafka(Delivery):
    """Options of ``kafka``."""

    topic: str = ...  # type: ignore[assignment]
    config: dict[str, Any] = ...  # type: ignore[assignment]
    format: Format
    headers: dict[str, str]
    timeout: float
    compact: bool


class Sqlite(Delivery):
    """Options of ``sqlite``."""

    path: str = ...  # type: ignore[assignment]
    timeout: float
    compact: bool
    background: bool
    seal: bool
    seal_key: str | None  # the path of a PEM file
    seal_every: Positive


class Sql(Delivery):
    """Options of ``sql``."""

    url: str = ...  # type: ignore[assignment]
    table: str
    compact: bool
    seal: bool
    seal_key: str | None  # the path of a PEM file
    seal_every: Positive


class Otel(Delivery):
    """Options of ``opentelemetry``."""

    endpoint: str
    headers: dict[str, str]
    timeout: float
    resource: dict[str, Any]
    value_limit: Positive | None
    count_actors: bool
    compact: bool


@dataclass(frozen=True)
class Type:
    """The factory of a type of observer, and its options."""

    module: str
    factory: str
    options: type
    first: str = ""  # the option that is the positional argument of the factory


TYPES: Final[dict[str, Type]] = {
    "change_collector": Type("pydatatracker.observers", "ChangeCollector", Collector),
    "filtered": Type("pydatatracker.observers", "filtered_observer", Filtered, "observer"),
    "http": Type("pydatatracker.exporters", "HttpExporter", Http, "url"),
    "json_file": Type("pydatatracker.observers", "json_file_observer", JsonFile),
    "json_lines": Type("pydatatracker.exporters", "JsonLinesExporter", JsonLines),
    "kafka": Type("pydatatracker.exporters", "KafkaExporter", Kafka, "topic"),
    "logging": Type("pydatatracker.observers", "logging_observer", Logging),
    "opentelemetry": Type("pydatatracker.exporters", "OpenTelemetryExporter", Otel),
    "s3": Type("pydatatracker.exporters", "S3Exporter", S3, "bucket"),
    "sql": Type("pydatatracker.exporters", "SqlExporter", Sql, "url"),
    "sqlite": Type("pydatatracker.exporters", "SqliteExporter", Sqlite),
    "telemetry": Type("pydatatracker.observers", "telemetry_observer", Nothing),
}
NOT_IN_A_FILE: Final = {
    "async_queue": "needs a queue, which a file cannot hold: use async_queue_observer(queue) in the program",
}


def fields_of(options: type) -> dict[str, Any]:
    """Return the name and type of each option."""
    return get_type_hints(options, globalns={**globals(), "Positive": _positive()}, include_extras=True)


def required(options: type) -> list[str]:
    """Return the options that have to be given."""
    return [name for name in fields_of(options) if getattr(options, name, None) is ...]
