"""One of every public error, to be raised in another process."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from pydatatracker import TrackedDict

_MODULES = (
    "pydatatracker",
    *(f"pydatatracker.{name}" for name in ["config", "exporters", "history", "io", "observers", "query", "testing"]),
)


def _change() -> Any:
    data = TrackedDict()
    data["a"] = 1
    return data.last_change()


ARGUMENTS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "ConfigurationError": lambda: ("app.json", ["a is wrong", "b is wrong"]),
    "LogFormatError": lambda: ("changes.jsonl", 3, 77, "not JSON"),
    "ModifiedError": lambda: ("changed", [_change()], [traceback.extract_stack()]),
    "PatchError": lambda: ("no such key", 2, {"op": "remove", "path": "/a"}),
    "RollbackConflictError": lambda: ("conflict", [_change(), _change()]),
    "SinkRejected": lambda: ("no", []),
    "SinkUnavailable": lambda: ("later", 3.5),
    "TrackedChangeError": lambda: ("refused", _change()),
}


def public_errors() -> Iterator[type[BaseException]]:
    """Yield each public error once."""
    for name in _MODULES:
        module = importlib.import_module(name)
        for public in module.__all__:
            found = getattr(module, public)
            if inspect.isclass(found) and issubclass(found, BaseException):
                yield found


def every_error() -> dict[str, type[BaseException]]:
    """Return every error class of the package that has a public name."""
    return {found.__name__: found for found in public_errors()}


def make(name: str) -> BaseException:
    """Make an error, with a note."""
    made = every_error()[name](*ARGUMENTS.get(name, lambda: ("what went wrong",))())
    made.add_note("a note")
    return made


def raise_it(name: str) -> None:
    """Raise an error, in a worker."""
    raise make(name)
