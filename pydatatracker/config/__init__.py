"""Observers from a file: JSON, TOML or data, checked as a whole before anything is opened.

A configuration is a list of entries ``{"type": ..., "options": {...}}``, in TOML ``[[observers]]``. Everything that
is wrong is told at once: people mend a file in one go. What the options of a type may be stands in one class each,
from which the check and the nearest names come.
"""

from __future__ import annotations

import difflib
import importlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, get_type_hints

if TYPE_CHECKING:
    Positive = int  # see _fields

__all__ = ["ConfigurationError", "Observers", "load_observers_from_json"]

_VARIABLE: Final = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<wrong>\{))")


class ConfigurationError(ValueError):
    """A configuration cannot be used; ``problems`` are all that is wrong, a sentence each. Nothing was opened."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))


class Observers(list[Any]):
    """What a configuration gave, for `tracking_add_observer`; ``close()``, or the end of a with block, closes all."""

    def close(self) -> None:
        """Close what can be closed, in turn; the first error is raised after all were closed."""
        failed: list[BaseException] = []
        for observer in self:
            close = getattr(observer, "close", None)
            if close is not None:
                try:
                    close()
                except Exception as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_observers_from_json(
    source: str | os.PathLike[str] | list[Any] | Mapping[str, Any],
    *,
    allow_import: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Observers:
    """Make observers from a JSON file, a TOML file (``.toml``), or such data.

    That is a list of entries, or ``{"observers": [...]}``; an entry is ``{"type": "http", "options": {...}}``, and
    docs/configuration.md has the types and their options.
    ``${NAME}`` in a text is an environment variable, ``${NAME:-default}`` with a default, ``$$`` a dollar.
    ``allow_import=True`` permits ``"type": "package.module:factory"``. O(entries). Raises OSError for a file that
    cannot be read, ConfigurationError with all that is wrong; then nothing was opened, imported or kept open.

    >>> from pydatatracker import TrackedDict
    >>> observers = load_observers_from_json([{"type": "change_collector", "options": {"capacity": 10}}])
    >>> d = TrackedDict()
    >>> d.tracking_add_observer(observers[0])
    >>> d["a"] = 1
    >>> len(observers[0])
    1
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        data = _read(name)
    else:
        name, data = "the configuration", source
    return _Loader(name, allow_import, os.environ if environ is None else environ).load(data)


def _read(name: str) -> Any:
    with open(name, "rb") as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
        if name.endswith(".toml"):
            import tomllib

            return tomllib.loads(text)
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigurationError(name, [f"is not UTF-8 (byte {error.start})"]) from None
    except ValueError as error:
        kind = "TOML" if name.endswith(".toml") else "JSON"
        raise ConfigurationError(name, [f"is not {kind}: {error}"]) from None
    except RecursionError:
        raise ConfigurationError(name, ["is nested too deep"]) from None


# ---- the types and their options; values are Python types that msgspec checks, ... marks one that has to be given


def _positive() -> Any:
    import msgspec

    return Annotated[int, msgspec.Meta(ge=1)]


class _Delivery:
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


class _Collector:
    capacity: int | None
    include_init_events: bool


class _JsonFile:
    path: str = ...  # type: ignore[assignment]
    compact: bool


class _Logging:
    logger: str
    level: str | int


class _Nothing:
    pass


class _Filtered:
    observer: dict[str, Any] = ...  # type: ignore[assignment]
    path: str
    actions: list[str] | str
    actor: str
    locations: list[str | int] | str


class _JsonLines(_Delivery):
    path: str = ...  # type: ignore[assignment]
    buffered: bool
    compact: bool
    rotate_size: Positive | None
    rotate_time: float | str | None
    keep: Positive | None
    compress: Literal["gzip", "zstd"] | None
    fsync: Literal["never", "batch", "always"]


_Format = Literal["native", "cloudevents", "debezium", "json-patch"]


class _Http(_Delivery):
    url: str = ...  # type: ignore[assignment]
    headers: dict[str, str]
    body: Literal["ndjson", "array"]
    format: _Format
    compress: bool
    timeout: float
    method: str
    compact: bool


class _S3(_Delivery):
    bucket: str = ...  # type: ignore[assignment]
    prefix: str
    endpoint: str
    config: dict[str, Any]
    format: _Format
    body: Literal["ndjson", "parquet"]
    compact: bool


class _Kafka(_Delivery):
    topic: str = ...  # type: ignore[assignment]
    config: dict[str, Any] = ...  # type: ignore[assignment]
    format: _Format
    timeout: float
    compact: bool


class _Sqlite(_Delivery):
    path: str = ...  # type: ignore[assignment]
    timeout: float
    compact: bool
    background: bool


class _Sql(_Delivery):
    url: str = ...  # type: ignore[assignment]
    table: str
    compact: bool


class _Otel(_Delivery):
    endpoint: str
    headers: dict[str, str]
    timeout: float
    resource: dict[str, Any]
    value_limit: Positive | None
    count_actors: bool
    compact: bool


@dataclass(frozen=True)
class _Type:
    """Where the factory of a type is, and what options it takes."""

    module: str
    factory: str
    options: type
    first: str = ""  # option that is the factory's positional argument


_TYPES: Final[dict[str, _Type]] = {
    "change_collector": _Type("pydatatracker.observers", "ChangeCollector", _Collector),
    "filtered": _Type("pydatatracker.observers", "filtered_observer", _Filtered, "observer"),
    "http": _Type("pydatatracker.exporters", "HttpExporter", _Http, "url"),
    "json_file": _Type("pydatatracker.observers", "json_file_observer", _JsonFile),
    "json_lines": _Type("pydatatracker.exporters", "JsonLinesExporter", _JsonLines),
    "kafka": _Type("pydatatracker.exporters", "KafkaExporter", _Kafka, "topic"),
    "logging": _Type("pydatatracker.observers", "logging_observer", _Logging),
    "opentelemetry": _Type("pydatatracker.exporters", "OpenTelemetryExporter", _Otel),
    "s3": _Type("pydatatracker.exporters", "S3Exporter", _S3, "bucket"),
    "sql": _Type("pydatatracker.exporters", "SqlExporter", _Sql, "url"),
    "sqlite": _Type("pydatatracker.exporters", "SqliteExporter", _Sqlite),
    "telemetry": _Type("pydatatracker.observers", "telemetry_observer", _Nothing),
}
_NOT_HERE: Final = {
    "async_queue": "needs a queue, which a file cannot hold: use async_queue_observer(queue) in the program",
}


def _fields(options: type) -> dict[str, Any]:
    """Return name -> type of the options."""
    return get_type_hints(options, globalns={**globals(), "Positive": _positive()}, include_extras=True)


def _needed(options: type) -> list[str]:
    return [name for name in _fields(options) if getattr(options, name, None) is ...]


@dataclass
class _Plan:
    """An entry that was found to be right, ready to be made."""

    where: str
    kind: _Type
    options: dict[str, Any]
    inner: _Plan | None = None


@dataclass
class _Loader:
    """One configuration on its way to observers."""

    source: str
    allow_import: bool
    environ: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def load(self, data: Any) -> Observers:
        entries = self._entries(data)
        plans = [self._plan(entry, f"entry {n + 1}") for n, entry in enumerate(entries)]
        if self.problems:
            raise ConfigurationError(self.source, self.problems)
        made = Observers()
        try:
            for plan in plans:
                if plan is not None:
                    made.append(self._make(plan, made))
        except BaseException:
            made.close()
            raise
        return made

    def _entries(self, data: Any) -> list[Any]:
        if isinstance(data, Mapping):
            if "type" in data:
                return [data]
            unknown = [str(key) for key in data if key != "observers"]
            if "observers" not in data or unknown:
                near = _near(unknown[0], ["observers"]) if unknown else ""
                what = f"has {', '.join(map(repr, unknown))}" if unknown else "is empty"
                self.problems.append(f"the table {what}; it takes 'observers', a list of entries{near}")
            data = data.get("observers", [])
        if not isinstance(data, list):
            self.problems.append(f"a list of entries is needed, not {_kind(data)}")
            return []
        return data

    def _plan(self, entry: Any, where: str) -> _Plan | None:
        if not isinstance(entry, Mapping):
            return self._wrong(where, f"an entry is a table with 'type' and 'options', not {_kind(entry)}")
        name = entry.get("type")
        if not isinstance(name, str):
            return self._wrong(where, f"'type' is missing; there are {', '.join(_TYPES)}")
        where = f"{where} ({name})"
        beside = name == "filtered" and "observer" in entry  # where 0.1.0 has it: beside the options
        for key in entry:
            if key not in ("type", "options") and not (beside and key == "observer"):
                self._wrong(where, f"unknown field {str(key)!r}; an entry has 'type' and 'options'")
        options = entry.get("options", {})
        if not isinstance(options, Mapping):
            return self._wrong(where, f"options is a table, not {_kind(options)}")
        if beside:
            if "observer" in options:
                return self._wrong(where, "'observer' is there twice, in the entry and in its options")
            options = {"observer": entry["observer"], **options}
        if name not in _TYPES:
            return self._other(name, dict(options), where)
        kind = _TYPES[name]
        return self._checked(kind, options, where)

    def _other(self, name: str, options: dict[str, Any], where: str) -> _Plan | None:
        if name in _NOT_HERE:
            return self._wrong(where, f"{name} {_NOT_HERE[name]}")
        if ":" not in name and "." not in name:
            return self._wrong(where, f"unknown type {name!r}{_near(name, _TYPES)}; there are {', '.join(_TYPES)}")
        if not self.allow_import:
            return self._wrong(where, "a type with a dotted path is imported only with allow_import=True")
        module, colon, factory = name.partition(":")
        if not colon or not factory.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            return self._wrong(where, "a dotted path is written package.module:factory")
        filled = {key: self._filled(value, where)[0] for key, value in options.items()}
        return _Plan(where, _Type(module, factory, _Nothing), filled)

    def _checked(self, kind: _Type, options: Mapping[str, Any], where: str) -> _Plan | None:
        import msgspec

        before = len(self.problems)
        fields = _fields(kind.options)
        values: dict[str, Any] = {}
        inner = None
        for name in options:
            if name not in fields:
                known = ", ".join(sorted(fields)) or "none"
                self._wrong(where, f"unknown option {str(name)!r}{_near(str(name), fields)}; there are {known}")
                continue
            if kind.options is _Filtered and name == "observer":
                inner = self._plan(options[name], f"{where}, observer")
                continue
            value, from_environment = self._filled(options[name], f"{where}: options.{name}")
            try:
                values[name] = msgspec.convert(value, fields[name], strict=not from_environment)
            except msgspec.ValidationError as error:
                said = "what the environment holds does not fit" if from_environment else str(error)
                expected = _expected(fields[name])
                self._wrong(where, f"options.{name}: {said}; it takes {expected}{_near_choice(value, fields[name])}")
        for name in _needed(kind.options):
            if name not in options:
                self._wrong(where, f"options.{name} is missing")
        self._look_closer(kind, values, where)
        return _Plan(where, kind, values, inner) if len(self.problems) == before else None

    def _look_closer(self, kind: _Type, values: dict[str, Any], where: str) -> None:
        # what types cannot say, and the factories would say only when others are open already
        from pydatatracker.values.pointer import action_bits, compile_glob

        try:
            if "actions" in values:
                action_bits(values["actions"])
            if kind.options is _Filtered and "path" in values:
                compile_glob(values["path"])
            if kind.options is _Logging and isinstance(values.get("level"), str):
                levels, level = logging.getLevelNamesMapping(), values["level"].upper()
                if level not in levels:
                    raise ValueError(f"unknown level {level!r}{_near(level, levels)}")
                values["level"] = levels[level]
            if kind.options is _Logging and "logger" in values:
                values["logger"] = logging.getLogger(values["logger"])
            if kind.options is _Http and "url" in values and not values["url"].startswith(("http://", "https://")):
                raise ValueError("options.url begins with http:// or https://")
            if values.get("on_full") == "spill" and "spill" not in values:
                raise ValueError("on_full = 'spill' needs options.spill, the path of a local file")
        except ValueError as error:
            self._wrong(where, str(error))

    def _filled(self, value: Any, where: str) -> tuple[Any, bool]:
        """Return value with environment variables put in, and whether that is all that it is."""
        if isinstance(value, str):
            if "$" not in value:
                return value, False
            whole = _VARIABLE.fullmatch(value)
            text = _VARIABLE.sub(lambda found: self._variable(found, where), value)
            return text, whole is not None and whole["name"] is not None
        if isinstance(value, Mapping):
            return {key: self._filled(item, where)[0] for key, item in value.items()}, False
        if isinstance(value, list):
            return [self._filled(item, where)[0] for item in value], False
        return value, False

    def _variable(self, found: re.Match[str], where: str) -> str:
        if found["wrong"]:
            self.problems.append(f"{where}: '${{' that is no ${{NAME}}; a dollar is written $$")
            return ""
        if found["name"] is None:
            return "$"
        value: str | None = self.environ.get(found["name"], found["default"])
        if value is None:
            self.problems.append(f"{where}: the environment variable {found['name']} is not set")
            return ""
        return value

    def _wrong(self, where: str, what: str) -> _Plan | None:
        self.problems.append(f"{where}: {what}")
        return None

    def _make(self, plan: _Plan, made: Observers) -> Any:
        kind = plan.kind
        options = dict(plan.options)
        first: list[Any] = []
        if plan.inner is not None:
            inner = self._make(plan.inner, made)
            first = [inner]
        elif kind.first:
            first = [options.pop(kind.first)]
        try:
            factory = getattr(importlib.import_module(kind.module), kind.factory)
            observer = factory(*first, **options)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            if plan.inner is not None:
                Observers(first).close()
            raise ConfigurationError(self.source, [f"{plan.where}: {error}"]) from error
        if plan.inner is not None and hasattr(first[0], "close"):
            return _Closing(observer, first[0])
        return observer


class _Closing:
    """A filtered observer that closes what it filters for."""

    def __init__(self, observer: Callable[[Any], Any], inner: Any) -> None:
        self._observer = observer
        self.inner = inner

    def __call__(self, change: Any) -> None:
        self._observer(change)

    def close(self) -> None:
        """Close the observer inside."""
        self.inner.close()


def _kind(value: Any) -> str:
    names = {dict: "a table", list: "a list", str: "a text", type(None): "null", bool: "a truth value"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def _near(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f", did you mean {found[0]!r}?" if found else ""


def _choices(kind: Any) -> list[str]:
    return list(_flat(kind))


def _flat(kind: Any) -> Iterator[str]:
    if getattr(kind, "__origin__", None) is Literal:
        yield from map(str, kind.__args__)
    else:
        for part in getattr(kind, "__args__", ()):
            yield from _flat(part)


def _expected(kind: Any) -> str:
    choices = _choices(kind)
    if choices:
        return " or ".join(map(repr, choices))
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    if kind in words:
        return words[kind]
    if hasattr(kind, "__metadata__"):
        return "a whole number of 1 or more"
    origin = getattr(kind, "__origin__", None)
    if origin is dict:
        return "a table"
    if origin is list:
        return "a list"
    return " or ".join(_expected(part) for part in getattr(kind, "__args__", ())) or str(kind)


def _near_choice(value: Any, kind: Any) -> str:
    choices = _choices(kind)
    return _near(value, choices) if choices and isinstance(value, str) else ""
