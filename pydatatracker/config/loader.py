"""Check a configuration as a whole, then make its observers, or none.

All problems are reported together, since people correct a file in one go.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from pydatatracker.config.messages import expected, kind_of, near, near_choice
from pydatatracker.config.options import (
    NOT_IN_A_FILE,
    TYPES,
    Filtered,
    Http,
    Logging,
    Nothing,
    Type,
    fields_of,
    required,
)
from pydatatracker.exporters.secrets import clean, secrets_in
from pydatatracker.values.codec import msgspec
from pydatatracker.values.pickles import PicklableError

__all__ = ["ConfigurationError", "Loader", "Observers", "read"]

_VARIABLE: Final = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<wrong>\{))")


class ConfigurationError(PicklableError, ValueError):
    """A configuration cannot be used, and no observer stays open.

    ``problems`` has one sentence per problem, ``source`` the name of the file.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = [clean(problem) for problem in problems]
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class Observers(list[Any]):
    """The observers of a configuration, for `tracking_add_observer`.

    ``close()``, or the end of a ``with`` block, closes all of them.
    """

    _closed = False

    def close(self) -> None:
        """Close the observers that can be closed, in turn.

        The first error is raised after all of them were closed.
        """
        self._closed = True
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
        if self._closed:
            raise ValueError("these observers are closed; load the configuration again for another block")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(name: str) -> Any:
    """Return the data of a JSON or TOML file.

    Raises OSError, ConfigurationError.
    """
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
        raise ConfigurationError(name, ["is nested too deeply"]) from None


@dataclass
class _Plan:
    """A valid entry, ready to become an observer."""

    where: str
    kind: Type
    options: dict[str, Any]
    inner: _Plan | None = None


@dataclass
class Loader:
    """Check one configuration and make its observers."""

    source: str
    allow_import: bool
    environ: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def load(self, data: Any) -> Observers:
        """Return the observers.

        Raises ConfigurationError; then no observer stays open.
        """
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
                hint = near(unknown[0], ["observers"]) if unknown else ""
                what = f"has {', '.join(map(repr, unknown))}" if unknown else "is empty"
                self.problems.append(f"the table {what}; it needs 'observers', a list of entries{hint}")
            data = data.get("observers", [])
        if not isinstance(data, list):
            self.problems.append(f"a list of entries is needed, not {kind_of(data)}")
            return []
        return data

    def _plan(self, entry: Any, where: str) -> _Plan | None:
        if not isinstance(entry, Mapping):
            return self._wrong(where, f"an entry must be a table with 'type' and 'options', not {kind_of(entry)}")
        name = entry.get("type")
        if not isinstance(name, str):
            return self._wrong(where, f"'type' is missing; the types are {', '.join(TYPES)}")
        where = f"{where} ({name})"
        beside = name == "filtered" and "observer" in entry  # as in 0.1.0: next to the options
        for key in entry:
            if key not in ("type", "options") and not (beside and key == "observer"):
                self._wrong(where, f"unknown field {str(key)!r}; an entry has only 'type' and 'options'")
        options = entry.get("options", {})
        if not isinstance(options, Mapping):
            return self._wrong(where, f"options must be a table, not {kind_of(options)}")
        if beside:
            if "observer" in options:
                return self._wrong(where, "'observer' is given twice, in the entry and in its options")
            options = {"observer": entry["observer"], **options}
        if name not in TYPES:
            return self._other(name, dict(options), where)
        kind = TYPES[name]
        return self._checked(kind, options, where)

    def _other(self, name: str, options: dict[str, Any], where: str) -> _Plan | None:
        if name in NOT_IN_A_FILE:
            return self._wrong(where, f"{name} {NOT_IN_A_FILE[name]}")
        if ":" not in name and "." not in name:
            return self._wrong(where, f"unknown type {name!r}{near(name, TYPES)}; the types are {', '.join(TYPES)}")
        if not self.allow_import:
            return self._wrong(where, "a type with a dotted path is imported only with allow_import=True")
        module, colon, factory = name.partition(":")
        if not colon or not factory.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            return self._wrong(where, "a dotted path must be written package.module:factory")
        filled = {key: self._filled(value, where)[0] for key, value in options.items()}
        return _Plan(where, Type(module, factory, Nothing), filled)

    def _checked(self, kind: Type, options: Mapping[str, Any], where: str) -> _Plan | None:
        library = msgspec("a configuration file")
        before = len(self.problems)
        fields = fields_of(kind.options)
        values: dict[str, Any] = {}
        inner = None
        for name in options:
            if name not in fields:
                known = ", ".join(sorted(fields))
                listed = f"the options are {known}" if known else "this type has no options"
                self._wrong(where, f"unknown option {str(name)!r}{near(str(name), fields)}; {listed}")
                continue
            if kind.options is Filtered and name == "observer":
                inner = self._plan(options[name], f"{where}, observer")
                continue
            value, from_environment = self._filled(options[name], f"{where}: options.{name}")
            try:
                values[name] = library.convert(value, fields[name], strict=not from_environment)
            except library.ValidationError as error:
                said = "the value of the environment variable does not fit" if from_environment else str(error)
                takes = f"{expected(fields[name])}{near_choice(value, fields[name])}"
                self._wrong(where, f"options.{name}: {said}; it must be {takes}")
        for name in required(kind.options):
            if name not in options:
                self._wrong(where, f"options.{name} is missing")
        self._look_closer(kind, values, where)
        return _Plan(where, kind, values, inner) if len(self.problems) == before else None

    def _look_closer(self, kind: Type, values: dict[str, Any], where: str) -> None:
        # checks that types cannot express, and that factories would make when other observers are already open
        from pydatatracker.io.files import check_mode
        from pydatatracker.values.pointer import action_bits, compile_glob

        try:
            if "actions" in values:
                action_bits(values["actions"])
            if "mode" in values:
                check_mode(values["mode"])
            if kind.options is Filtered and "path" in values:
                compile_glob(values["path"])
            if kind.options is Logging and isinstance(values.get("level"), str):
                levels, level = logging.getLevelNamesMapping(), values["level"].upper()
                if level not in levels:
                    raise ValueError(f"unknown level {level!r}{near(level, levels)}")
                values["level"] = levels[level]
            if kind.options is Logging and "logger" in values:
                values["logger"] = logging.getLogger(values["logger"])
            if kind.options is Http and "url" in values and not values["url"].startswith(("http://", "https://")):
                raise ValueError("options.url must begin with http:// or https://")
            if values.get("on_full") == "spill" and "spill" not in values:
                raise ValueError("on_full = 'spill' needs options.spill, the path of a local file")
        except ValueError as error:
            self._wrong(where, str(error))

    def _filled(self, value: Any, where: str) -> tuple[Any, bool]:
        """Return value with environment variables replaced.

        Also return whether it consists of a variable alone.
        """
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
            self.problems.append(f"{where}: '${{' without a NAME and '}}'; to write a dollar, double it: $$")
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
        except Exception as error:  # clients have classes of their own
            if plan.inner is not None:
                Observers(first).close()
            if isinstance(error, OSError):  # a file that cannot be opened
                raise
            text = str(error)
            cleaned = clean(text, secrets_in(plan.options))
            # what caused it is shown, too, unless it holds a secret
            raise ConfigurationError(self.source, [f"{plan.where}: {cleaned}"]) from error if cleaned == text else None
        if plan.inner is not None and hasattr(first[0], "close"):
            return _Closing(observer, first[0])
        return observer


class _Closing:
    """A filtered observer that also closes the observer inside."""

    def __init__(self, observer: Callable[[Any], Any], inner: Any) -> None:
        self._observer = observer
        self.inner = inner

    def __call__(self, change: Any) -> None:
        self._observer(change)

    def close(self) -> None:
        """Close the observer inside."""
        self.inner.close()
