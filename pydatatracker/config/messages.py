"""Parts of the error messages about a configuration."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal

__all__ = ["expected", "kind_of", "near", "near_choice"]


def kind_of(value: Any) -> str:
    """Return the name of a value's type in JSON or TOML."""
    names = {dict: "a table", list: "a list", str: "a string", type(None): "null", bool: "a boolean"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def near(name: str, known: Any) -> str:
    """Return ", did you mean '...'?" with the most similar known name.

    "" if no known name is similar.
    """
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


def expected(kind: Any) -> str:
    """Return a description of the values of a type."""
    choices = _choices(kind)
    if choices:
        return " or ".join(map(repr, choices))
    names = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    if kind in names:
        return names[kind]
    if hasattr(kind, "__metadata__"):
        return "a whole number of at least 1"
    origin = getattr(kind, "__origin__", None)
    if origin is dict:
        return "a table"
    if origin is list:
        return "a list"
    return " or ".join(expected(part) for part in getattr(kind, "__args__", ())) or str(kind)


def near_choice(value: Any, kind: Any) -> str:
    """Return what `near` does, for the values that a type allows."""
    choices = _choices(kind)
    return near(value, choices) if choices and isinstance(value, str) else ""
