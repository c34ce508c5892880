"""Comparison of two states: as a JSON Patch, a merge patch, or text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydatatracker.cli.terminal import clean, escaped, short
from pydatatracker.values.compare import alike
from pydatatracker.values.encode import encode

__all__ = ["as_json", "differences", "json_patch", "merge_patch"]

_VALUE = 60  # characters of a value


def as_json(value: Any, indent: int | None = 2) -> str:
    """Return a value as JSON text, with tags as in a log for other types.

    O(size).
    """
    return escaped(json.dumps(encode(value, limit=None), indent=indent, ensure_ascii=False))


def json_patch(old: Any, new: Any) -> list[dict[str, Any]]:
    """Return RFC 6902 operations that lead from one state to another.

    They are found by comparing the states. O(size), for lists O(size^2) at worst.
    """
    import jsonpatch

    made = jsonpatch.make_patch(encode(old, limit=None), encode(new, limit=None))
    return list(made.patch)


def merge_patch(old: Any, new: Any) -> Any:
    """Return the RFC 7396 patch that leads from one state to another.

    Raises ValueError if a null is stored, which such a patch cannot express.

    >>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "d": 3}})
    {'a': None, 'b': {'c': 4}}
    """
    return _merge(encode(old, limit=None), encode(new, limit=None), "")


def _merge(old: Any, new: Any, at: str) -> Any:
    if not isinstance(new, dict):
        return new
    if not isinstance(old, dict):
        old = {}
    found: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key in old and alike(old[key], value):
            continue
        if value is None:
            raise ValueError(f"a merge patch cannot set {at}/{key} to null; use --format json-patch")
        found[key] = _merge(old.get(key), value, f"{at}/{key}")
    return found


def differences(old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (sign, pointer, values as text) for each difference.

    The sign is ``+`` for added, ``-`` removed, ``~`` replaced, ``>`` moved.
    """
    import jsonpatch
    import jsonpointer

    document = encode(old, limit=None)
    for operation in jsonpatch.make_patch(document, encode(new, limit=None)).patch:
        kind, pointer = operation["op"], operation["path"]
        before = None
        if kind in ("remove", "replace"):
            before = short(jsonpointer.resolve_pointer(document, pointer), _VALUE)
        if kind == "add":
            yield "+", clean(pointer), short(operation["value"], _VALUE)
        elif kind == "remove":
            yield "-", clean(pointer), str(before)
        elif kind == "replace":
            yield "~", clean(pointer), f"{before} -> {short(operation['value'], _VALUE)}"
        else:
            yield ">", clean(operation["from"]), f"to {clean(pointer)}"
        document = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
