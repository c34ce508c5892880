"""The fields of a line that the page does not show, for its export.

The page writes a line anew from what it shows and from a few rules: the time in nanoseconds, ids, the containers from
the root down and the change as text follow from other fields in almost every line. `Fields` applies the same rules
(``assets/lines.js`` has them again) and gives the page what they do not give. So an exported line is the line of the
log, whatever is in it, and a usual line costs ten bytes more.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pydatatracker.report.values import SAFE, dumps, exact

__all__ = ["Fields", "Known", "id_of", "repr_of"]

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LAST: Final = 253_402_300_800_000_000  # microseconds until the year 10000
_DEEPEST: Final = 40  # levels of a value whose text is made anew
_NONE: Final = object()  # no rule gives this field
_BODY: Final = (("before", "b"), ("after", "a"), ("splice", "s"), ("order", "o"), ("changes", "r"), ("paths", "p"))
_NODE: Final = ("type", "uuid", "location")


class Known(NamedTuple):
    """What the page has of a line."""

    plain: dict[str, Any]  # fields by name
    path: list[Any]
    micros: int | None  # its time
    body: dict[str, Any]
    root: str  # id; "" if the page does not have it
    begin: str  # of the ids of its changes


class Fields:
    """Tells what the page cannot derive of the fields of a line.

    :param tables: the tables of the page, as JSON texts; it adds to two of them.
    """

    def __init__(self, tables: dict[str, list[str]]) -> None:
        self.shapes = tables["shapes"]  # [keys of a line, keys of its extra, separators in its extra's location]
        self.items = tables["items"]  # [number of the container around it or -1, number of its class, id]
        self._shapes: dict[Any, int] = {}
        self._items: dict[Any, int] = {}
        self._last = 0, "1970-01-01T00:00:00"

    def add(self, data: dict[str, Any], known: Known, types: Callable[[str], int]) -> tuple[Any, ...]:
        """Return (nanoseconds, shape, item, rest): numbers, and other fields.

        :param data: the line.
        :param known: what the page has of it.
        :param types: returns the number of the name of a class.
        """
        micros, path, body, root = known.micros, known.path, known.body, known.root
        item, has_tree = self._item(data, path, root, types)
        given, ns = known.plain, 0
        given["v"] = 2 if "also" in data else 1
        if micros is not None and 0 <= micros < _LAST:
            time_ns = data.get("time_ns")
            if type(time_ns) is int and 0 <= time_ns - micros * 1000 < 1000:
                ns = time_ns - micros * 1000
            given["time_ns"] = micros * 1000 + ns
            given["created_time"] = f"{self._second(micros // 1_000_000)}.{micros % 1_000_000:06d}+00:00"
        seq = given["seq"]
        if root and type(seq) is int and seq >= 0:
            given["uuid"] = f"{known.begin}c{root[17:]}" if given["action"] == "init" else f"{known.begin}{seq:016x}"
        if path:
            given["location"] = path[-1]
        if item >= 0:
            given["tracked_item_uuid"] = data["tracked_item_uuid"]
        if has_tree:
            given["tree"] = data["tree"]
        for name, letter in _BODY:
            if letter in body:
                given[name] = data[name]
        inner: tuple[str, ...] = ()
        separators = ""
        extra = data.get("extra")
        if type(extra) is dict:
            inner = tuple(extra)
            if len(path) > 1:
                separators = _separators(extra.get("location"), path)
            words = _Words(data, known, separators)
            left = {key: value for key, value in extra.items() if not _same(value, words.word(key))}
            given["extra"] = extra
        rest = {key: exact(value) for key, value in data.items() if not _same(value, given.get(key, _NONE))}
        if "ids" in rest:
            rest["ids"] = _shortened(data["ids"], root)
        if inner and left:
            rest["extra"] = exact(left)
        shape = tuple(data), inner, separators
        number = self._shapes.get(shape)
        if number is None:
            number = self._shapes[shape] = len(self.shapes)
            self.shapes.append(dumps(shape))
        return ns, number, item, rest

    def _second(self, second: int) -> str:
        """Return a second as text. Changes in turn are often of one second."""
        if second != self._last[0]:
            moment = _EPOCH + datetime.timedelta(seconds=second)
            self._last = second, moment.strftime("%Y-%m-%dT%H:%M:%S")
        return self._last[1]

    def _item(self, data: dict[str, Any], path: list[Any], root: str, types: Callable[[str], int]) -> tuple[int, bool]:
        """Return (number of what changed, whether its tree follows)."""
        own, tree = data.get("tracked_item_uuid"), data.get("tree")
        if type(own) is not str:
            return -1, False
        if type(tree) is list and 0 < len(tree) <= len(path) + 1:
            number, place = -1, None
            for n, node in enumerate(tree):
                if type(node) is not dict or tuple(node) != _NODE or not _same(node["location"], place):
                    break
                kind, uuid = node["type"], node["uuid"]
                if type(kind) is not str or type(uuid) is not str:
                    break
                number = self._node(number, types(kind), uuid, root)
                place = path[n] if n < len(path) else None
            else:
                if uuid == own:
                    return number, True
        return self._node(-1, -1, own, root), False

    def _node(self, parent: int, kind: int, uuid: str, root: str) -> int:
        key = parent, kind, uuid, root[:16]
        number = self._items.get(key)
        if number is None:
            number = self._items[key] = len(self.items)
            self.items.append(dumps([parent, kind, id_of(uuid, root)]))
        return number


class _Words:
    """The fields of the ``extra`` of a line as the page derives them."""

    def __init__(self, data: dict[str, Any], known: Known, separators: str) -> None:
        self.data = data
        self.known = known
        self.separators = separators
        self.before = data["before"] if "b" in known.body else _NONE
        self.after = data["after"] if "a" in known.body else _NONE

    def word(self, key: str) -> Any:
        """Return a field, _NONE if no rule gives it."""
        plain, path = self.known.plain, self.known.path
        if key in ("action", "method", "type"):
            return plain[key]
        if key == "value":
            return self._value()
        if key == "location":
            return _joined(path, self.separators)
        if key in ("locked", "attribute_locked"):
            return "True" if plain["action"] == "lock" else "False"
        if key == "removed_items":
            return self._removed()
        if key in ("passed_index", "attribute_name"):
            return text_of(path[-1]) if path else _NONE
        if key in ("init_data", "default"):
            return text_of(self.after)
        if key == "return_value":
            return text_of(self.after if plain["method"] == "setdefault" else self.before)
        if key in ("data_pre_change", "data_post_change"):
            value, other = (self.before, self.after) if key == "data_pre_change" else (self.after, self.before)
            return "" if value is _NONE and other is not _NONE else text_of(value)
        return _NONE

    def _value(self) -> Any:
        body, data = self.known.body, self.data
        if "s" in body:
            return repr_of(data["splice"][2] or data["splice"][1])
        if "r" in body:
            rows = data["changes"]
            new = [(row[0], row[2]) for row in rows if not _is_missing(row[2])]
            return _pairs(new or [(row[0], row[1]) for row in rows if not _is_missing(row[1])], 0)
        return text_of(self.before if self.known.plain["action"] == "remove" else self.after)

    def _removed(self) -> Any:
        body, data = self.known.body, self.data
        if "s" in body:
            return repr_of(data["splice"][1])
        if "r" in body:
            return repr_of([row[1] for row in data["changes"] if not _is_missing(row[1])])
        return _NONE if self.before is _NONE else repr_of([self.before])


def id_of(uuid: str, root: str) -> int | str:
    """Return the id of a container as the page has it.

    That is a number if it begins as the id of the root.

    >>> id_of("42465a6f8d0c7a8b800000000000001f", "42465a6f8d0c7a8b8000000000000003")
    31
    """
    if len(root) == len(uuid) == 32 and uuid.startswith(root[:16]) and uuid[16] == "8":
        try:
            number = int(uuid[17:], 16)
        except ValueError:
            return uuid
        if number < SAFE and f"{number:015x}" == uuid[17:]:
            return number
    return uuid


def _shortened(ids: Any, root: str) -> Any:
    if type(ids) is not dict:
        return [exact(ids)]
    return exact({key: id_of(value, root) if type(value) is str else [value] for key, value in ids.items()})


def _same(a: Any, b: Any) -> bool:
    """Return whether JSON data is the same, with the types of numbers."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is list:
        return len(a) == len(b) and all(map(_same, a, b))
    if kind is dict:
        return list(a) == list(b) and all(map(_same, a.values(), b.values()))
    return bool(a == b)


# ---- values as text, as `extra` has them


def text_of(data: Any) -> Any:
    """Return a text as it is, anything else as its repr; _NONE as `repr_of`."""
    return data if type(data) is str else repr_of(data)


def repr_of(data: Any, depth: int = 0) -> Any:
    """Return the text of a value, from its JSON, as Python writes it.

    A special object if the page could not make the same one. O(size).

    >>> repr_of({"a": [1, 0.5, None, "x"], "b": {"$tuple": [1]}})
    "{'a': [1, 0.5, None, 'x'], 'b': (1,)}"
    """
    if data is None or type(data) is bool:
        return str(data)
    if type(data) is int:
        return str(data) if -SAFE < data < SAFE else _NONE
    if type(data) is float:
        return repr(data)
    if type(data) is str:
        return f'"{data}"' if "'" in data else f"'{data}'"
    if depth > _DEEPEST:
        return _NONE
    if type(data) is list:
        return _items("[", data, "]", depth)
    if type(data) is not dict:
        return _NONE
    tag = next((key for key in data if key[:1] == "$"), "")
    if not tag:
        return _pairs(list(data.items()), depth)
    inner = data[tag]
    if tag == "$repr" and type(inner) is str:
        return inner
    if len(data) > 1 or type(inner) is not list:
        return _NONE
    if tag == "$tuple":
        return _items("(", inner, ",)" if len(inner) == 1 else ")", depth)
    if tag == "$set":
        return _items("{", inner, "}", depth) if inner else "set()"
    if tag == "$dict" and all(type(pair) is list and len(pair) == 2 for pair in inner):
        return _pairs(inner, depth)
    return _NONE


def _items(start: str, items: list[Any], end: str, depth: int) -> Any:
    found = [repr_of(item, depth + 1) for item in items]
    return _NONE if _NONE in found else f"{start}{', '.join(found)}{end}"


def _pairs(pairs: list[Any], depth: int) -> Any:
    found = [(repr_of(key, depth + 1), repr_of(value, depth + 1)) for key, value in pairs]
    if any(key is _NONE or value is _NONE for key, value in found):
        return _NONE
    return f"{{{', '.join(f'{key}: {value}' for key, value in found)}}}"


def _is_missing(data: Any) -> bool:
    return type(data) is dict and data.get("$missing") is True


def _separators(location: Any, path: list[Any]) -> str:
    """Return the characters between the keys in a location of ``extra``.

    "" if the location is not made of them.
    """
    if type(location) is not str or len(path) < 2:
        return ""
    found = ""
    for n, key in enumerate(path):
        text = text_of(key)
        if text is _NONE or not location.startswith(text):
            return ""
        location = location[len(text) :]
        if n < len(path) - 1:
            found, location = found + location[:1], location[1:]
    return "" if location or len(found) != len(path) - 1 else found


def _joined(path: list[Any], separators: str) -> Any:
    if len(path) == 1:
        return path[0] if type(path[0]) is int else text_of(path[0])
    if not path or len(separators) != len(path) - 1:
        return _NONE
    texts = [text_of(key) for key in path]
    return _NONE if _NONE in texts else texts[0] + "".join(map("".join, zip(separators, texts[1:], strict=True)))
