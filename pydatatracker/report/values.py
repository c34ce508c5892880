"""Values of a change as JSON that a browser reads as Python does."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from pydatatracker._core import MISSING
from pydatatracker.io.line import LogLine, read_json
from pydatatracker.values.encode import encode
from pydatatracker.values.pointer import key_text

__all__ = ["SAFE", "also_of", "body_of", "dumps", "exact", "plain", "script_safe", "text_of"]

SAFE: Final = 1 << 53  # integers up to here are exact in a browser
_SUSPECT: Final = re.compile(rb"\d\.\d|\d[eE]|\d{16}|NaN|Infinity|\d\"")  # what may need a tag, or just text
_INDEX: Final = re.compile(r"0|[1-9][0-9]*")
_ESCAPES: Final = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
_SLOTS: Final = (("before", "b"), ("after", "a"))
dumps: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def script_safe(text: str) -> str:
    r"""Return JSON text that is harmless anywhere in HTML. O(size).

    >>> script_safe(dumps("</script>\u2028<!--"))
    '"\\u003c/script\\u003e\\u2028\\u003c!--"'
    """
    return text.translate(_ESCAPES)


def body_of(line: LogLine) -> dict[str, Any]:
    """Return what a change did to the data, under one letter each.

    These are b(efore), a(fter), s(plice), o(rder), r(ows) and p(aths); w is the location in a line of 0.1.0. `Changes`
    adds m (more roots with their paths), c (the number of paths that were cut) and x (fields that are only exported).
    """
    head = line.head
    body: dict[str, Any] = {}
    if head.v == 0:
        for name, key in _SLOTS:
            value = getattr(line, name)
            if value is not MISSING:
                body[key] = encode(value)
        location = line.location
        body["w"] = location if isinstance(location, str) else "" if location is None else key_text(location)
        return body
    for name, key in _SLOTS:
        raw = getattr(head, name)
        if raw:
            value = plain(raw)
            if type(value) is not dict or "$missing" not in value:
                body[key] = value
    splice = plain(head.splice)
    if type(splice) is list and len(splice) == 3 and type(splice[0]) is int and _are(splice[1:], list):
        body["s"] = splice
    order = plain(head.order)
    if type(order) is list and _are(order, int):
        body["o"] = order
    rows = plain(head.changes)
    if type(rows) is list and _are(rows, list) and all(len(row) == 3 for row in rows):
        body["r"] = rows
    paths = plain(head.paths)
    if type(paths) is list and _are(paths, list) and paths:
        body["p"] = paths
    return body


def also_of(head: Any) -> list[list[Any]]:
    """Return [id of a root, path] of the further paths of a line."""
    also = plain(head.also)
    rows = also if type(also) is list else ()
    return [row for row in rows if type(row) is list and len(row) == 2 and type(row[0]) is str and type(row[1]) is list]


def _are(items: list[Any], kind: type) -> bool:
    return all(type(item) is kind for item in items)


def plain(raw: Any) -> Any:
    """Return the JSON in raw, with tags for numbers as `exact` has them."""
    if not raw:
        return None
    data = read_json(raw)
    return exact(data) if _SUSPECT.search(bytes(raw)) else data


def exact(data: Any) -> Any:
    """Return JSON data with tags for what a browser would change.

    These are numbers, and dicts whose keys it would order anew. O(size), without recursion.

    >>> exact([1, 1.0, 0.5, 2**60, float("nan")])
    [1, {'$float': '1.0'}, 0.5, {'$int': '0x1000000000000000'}, {'$float': 'nan'}]
    >>> exact({"b": 1, "2": 0})
    {'$dict': [['b', 1], ['2', 0]]}
    """
    top = [data]
    todo: list[tuple[Any, Any, Any]] = [(data, top, 0)]
    while todo:
        value, holder, slot = todo.pop()
        cls = type(value)
        if cls is float:
            if not math.isfinite(value) or value.is_integer():
                holder[slot] = {"$float": repr(value)}
        elif cls is int:
            if not -SAFE < value < SAFE:
                holder[slot] = {"$int": hex(value)}
        elif cls is list:
            made = holder[slot] = list(value)
            todo += [(item, made, n) for n, item in enumerate(value) if type(item) is not str]
        elif cls is dict:
            if _is_reordered(value):
                pairs = [[key, item] for key, item in value.items()]
                holder[slot] = {"$dict": pairs}
                todo += [(pair[1], pair, 1) for pair in pairs if type(pair[1]) is not str]
                continue
            copied = holder[slot] = dict(value)
            todo += [(item, copied, key) for key, item in value.items() if type(item) is not str]
    return top[0]


def _is_reordered(data: dict[str, Any]) -> bool:
    """Return whether a browser orders the keys anew: numbers come first."""
    keys = list(data)
    numbers = [int(key) for key in keys if _INDEX.fullmatch(key) and len(key) < 11]
    return bool(numbers) and (numbers != sorted(numbers) or keys[: len(numbers)] != list(map(str, numbers)))


def text_of(data: Any) -> str:
    """Return data as JSON text, or a placeholder if it is nested too deep."""
    try:
        return dumps(data)
    except (RecursionError, ValueError):  # deeper than json allows; lines of this version are not
        deep = '{"$repr":"nested too deep to be shown","type":"object"}'
        return f'{{"a":{deep}}}' if type(data) is dict else '["",[]]'
