"""Decoding: from the JSON of a log line to the values.

`encode` is the other direction. A worklist is used instead of recursion, because a log from elsewhere may nest to any
depth. Lists and dicts are created on the way down and filled later, so that cycles can be closed. Tuples, sets and the
other tags are made on the way back up, from complete parts.
"""

from __future__ import annotations

import datetime
import importlib
import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from pydatatracker._core import MISSING
from pydatatracker.values.pointer import unescaped
from pydatatracker.values.standins import REDACTED, At, Cut, Ref, Repr

__all__ = ["decode", "decode_known"]

_REF: Final = "$ref"


def decode(data: Any) -> Any:
    """Return the value that JSON data of `encode` stands for.

    O(size of data), which is not changed. Never raises for JSON data.

    - What cannot be restored becomes a `Repr`, `Cut`, `Ref` or `REDACTED`.
    - A tag that is unknown or malformed stays the plain dict that it is, so that logs of later versions can be read.
    - Containers that occur twice, and cycles through them, are made again. A ``$ref`` to what is no dict, list or set
      stays a `Ref`.

    >>> decode({"$dict": [["when", {"$tuple": [1, 2.5]}], [7, {"$set": [1, 3]}]]})
    {'when': (1, 2.5), 7: {1, 3}}
    """
    cls = type(data)
    if cls is not dict and cls is not list:
        return data
    return _Decoder().run(data)


def decode_known(data: Any, ids: dict[str, str]) -> tuple[Any, list[tuple[Any, str]]]:
    """Return the value of JSON data, and the containers in it that have ids.

    Each as (container, id); one that is elsewhere is an `At`. A pointer that leads to no container is left out.

    :param ids: by the pointer to a container in the data.

    >>> decode_known({"a": [1]}, {"/a": "x"})
    ({'a': [1]}, [([1], 'x')])
    """
    if type(data) not in _JSON:
        return data, []
    decoder = _Decoder()
    value = decoder.run(data)
    sources = [(id(_resolve(data, pointer)), name) for pointer, name in ids.items()]
    return value, [(decoder.made[source], name) for source, name in sources if source in decoder.made]


class _Decoder:
    """One walk down that makes lists and dicts, and one back up for the rest."""

    __slots__ = ("made", "refs", "tagged", "todo")

    def __init__(self) -> None:
        self.todo: list[tuple[Any, Any, Any]] = []
        self.tagged: list[tuple[str, Any, dict[str, Any], Any, Any]] = []
        self.made: dict[int, Any] = {}  # id of JSON -> what it became: a list, dict or set
        self.refs: list[tuple[dict[str, Any], Any, Any]] = []

    def run(self, data: Any) -> Any:
        root: list[Any] = [None]
        todo = self.todo
        todo.append((data, root, 0))
        while todo:
            source, holder, slot = todo.pop()
            holder[slot] = self.open(source, holder, slot)
        if self.refs:
            self.close_refs(data)
        for tag, box, source, holder, slot in reversed(self.tagged):
            try:
                holder[slot] = self.close(tag, box[0], source)
            except _WRONG:
                holder[slot] = {**source, "start" if tag == "$cut" else tag: box[0]}
        return root[0]

    def open(self, source: Any, holder: Any, slot: Any) -> Any:
        """Return the value of one list or object, with its parts still to fill in."""
        out: Any
        if type(source) is list:
            out = source.copy()
            self.made[id(source)] = out
            self.todo += [(v, out, i) for i, v in enumerate(source) if type(v) in _JSON]
            return out
        tag = next((key for key in source if key[:1] == "$"), None) if len(source) <= 3 else None
        if tag == _REF and type(source[_REF]) is str:
            self.refs.append((source, holder, slot))
            return Ref(source[_REF])
        if tag is not None and tag in _READERS:
            inner = source.get("start") if tag == "$cut" else source[tag]
            box = [inner]
            if type(inner) in _JSON:
                self.todo.append((inner, box, 0))
            self.tagged.append((tag, box, source, holder, slot))
            if tag not in _FILLED:
                return None
            out = self.made[id(source)] = {} if tag == "$dict" else set()
            return out
        out = source.copy()
        self.made[id(source)] = out
        self.todo += [(v, out, k) for k, v in source.items() if type(v) in _JSON]
        return out

    def close_refs(self, data: Any) -> None:
        """Put a container where a ``$ref`` names it.

        The value may have cycles then, and as many paths to one container as there are ways: who walks it must know
        where it has been.
        """
        for source, holder, slot in self.refs:
            target = _resolve(data, source[_REF])
            if id(target) in self.made:
                holder[slot] = self.made[id(target)]

    def close(self, tag: str, inner: Any, source: dict[str, Any]) -> Any:
        """Return the value of one tag whose inner value is complete."""
        if tag == "$dict":
            out = self.made[id(source)]
            out.update([(key, value) for key, value in inner])  # all of it or nothing
            return out
        if tag == "$set":
            out = self.made[id(source)]
            out |= set(_read_list(inner, source))
            return out
        out = _READERS[tag](inner, source)
        if tag == "$at":
            self.made[id(source)] = out
        return out


# What a reader below may raise for a tag whose content is not what encode() writes.
_WRONG: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_JSON: Final = frozenset((list, dict))
_FILLED: Final = frozenset(("$dict", "$set"))  # made on the way down, so that a $ref can name them


def _resolve(data: Any, pointer: str) -> Any:
    """Return the JSON at pointer (RFC 6901), or None."""
    if pointer[:1] not in ("", "/"):
        return None
    for step in pointer.split("/")[1:]:
        step = unescaped(step)
        try:
            data = data[int(step)] if type(data) is list else data[step]
        except (LookupError, TypeError, ValueError):
            return None
    return data


def _read_list(inner: Any, source: dict[str, Any]) -> list[Any]:
    if type(inner) is not list:
        raise TypeError
    return inner


def _read_text(inner: Any, source: dict[str, Any]) -> str:
    if type(inner) is not str:
        raise TypeError
    return inner


def _read_bytes(inner: Any, source: dict[str, Any]) -> bytes | bytearray:
    import base64

    raw = base64.b64decode(inner, validate=True)
    return bytearray(raw) if source.get("type") == "bytearray" else raw


def _places(given: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    return tuple(
        (_read_text(root, {}), tuple(map(decode, _read_list(path, {})))) for root, path in _read_list(given, {})
    )


def _made(module: str, name: str, text: str) -> Any:
    # imported when a log has one: most have none, and `show` starts sooner
    return getattr(importlib.import_module(module), name)(text)


def _read_timedelta(inner: Any, source: dict[str, Any]) -> datetime.timedelta:
    sign, text = (-1, inner[1:]) if inner[:1] == "-" else (1, inner)
    whole, _, rest = text.partition(".")
    micros = int(whole) * 1_000_000 + int(f"{rest:0<6}"[:6])
    return sign * datetime.timedelta(microseconds=micros)


# A NaN is found in a dict by its identity alone, so each text is one object. The first is the one of json.loads.
_NANS: Final[dict[tuple[type, str], Any]] = {(float, "nan"): json.loads("NaN")}
_MAX_NANS: Final = 1000


def _one_nan(value: Any, text: str) -> Any:
    """Return a number, the same object for the same NaN."""
    if value.__class__.__name__ == "Decimal" and value.is_snan():
        return value  # it has no hash, so it is no key
    if value == value or len(_NANS) >= _MAX_NANS:
        return value
    return _NANS.setdefault((type(value), text.lower()), value)


_READERS: Final[dict[str, Callable[[Any, dict[str, Any]], Any]]] = {
    "$dict": _read_list,  # _Decoder.close fills the dict that was made beforehand
    "$tuple": lambda v, _: tuple(_read_list(v, _)),
    "$set": _read_list,  # as $dict
    "$frozenset": lambda v, _: frozenset(_read_list(v, _)),
    "$bytes": _read_bytes,
    "$datetime": lambda v, _: datetime.datetime.fromisoformat(v),
    "$date": lambda v, _: datetime.date.fromisoformat(v),
    "$time": lambda v, _: datetime.time.fromisoformat(v),
    "$timedelta": _read_timedelta,
    "$decimal": lambda v, _: _one_nan(_made("decimal", "Decimal", _read_text(v, _)), v),
    "$uuid": lambda v, _: uuid.UUID(_read_text(v, _)),
    "$path": lambda v, _: _made("pathlib", "Path", _read_text(v, _)),
    "$complex": lambda v, _: _one_nan(complex(_read_text(v, _)), v),
    "$float": lambda v, _: _one_nan(float(_read_text(v, _)), v),
    "$str": lambda v, _: v.encode("ascii").decode("unicode_escape"),
    "$int": lambda v, _: int(_read_text(v, _), 16),
    "$missing": lambda v, _: MISSING,
    "$redacted": lambda v, _: REDACTED,
    "$repr": lambda v, s: Repr(_read_text(v, s), str(s.get("type", "object"))),
    "$at": lambda v, s: At(
        None if v is None else tuple(_read_list(v, s)), _places(s.get("also", [])), decode(s.get("else"))
    ),
    "$cut": lambda v, s: Cut(int(s["$cut"]), str(s.get("type", "object")), v),
}
