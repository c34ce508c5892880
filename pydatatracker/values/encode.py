"""Encoding: values as JSON data; this module defines the ``$`` tags.

str, int, finite float, bool, None, list, and dict with str keys are JSON as they are. Everything else is an object
with one key that begins with ``$``. A user's dict with such a key is written as ``$dict``, so in a log a tag is always
a tag.

- **Nothing raises and nothing overflows.** A log is written while a program runs, for values of any kind: a
  ``__repr__`` that fails, a list that contains itself, nesting without end, a million shared references. Both
  directions use a worklist instead of recursion, and `limit` and `depth` bound what is written; what they leave out is
  a ``$cut``.
- **A subclass is written as its builtin**, as `json.dumps` does: TrackedDict and OrderedDict as dict, IntEnum as int, a
  named tuple as tuple. What is read back compares equal. The subclass's methods do not run: data is read through the
  builtin's. An object with tracked attributes is written as the dict of them, a TrackedDeque as the list of its items.
- **Two tags exist for what no JSON reader accepts**: ``$str``, text with lone surrogates (file names have them), in
  Python's ``unicode_escape``; ``$int``, an integer with more decimal digits than Python converts, in hexadecimal.
- A ``$ref`` holds an RFC 6901 pointer into the JSON of the value itself, not into the line; an ``$at`` the path of a
  container that is elsewhere in the data, which only a line of a log can have (`Elsewhere`).
"""

from __future__ import annotations

import base64
import builtins
import datetime
import decimal
import itertools
import json
import math
import pathlib
import sys
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from pydatatracker._core import (
    MISSING,
    AttrHook,
    DequeHook,
    WatchedTracker,
    Words,
    compare_now,
    followed_attributes,
    is_watched,
    plain,
    tracker,
    words_for,
)
from pydatatracker.values.decode import decode
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.secrets import FIELDS
from pydatatracker.values.standins import REDACTED, At, Cut, Redacted, Ref, Repr
from pydatatracker.values.text import is_silent

__all__ = [
    "DEPTH",
    "LIMIT",
    "NESTING",
    "REDACTED",
    "At",
    "Cut",
    "Elsewhere",
    "Redacted",
    "Ref",
    "Repr",
    "decode",
    "encode",
    "encode_graph",
    "encode_in_place",
    "encode_key",
    "is_object_key",
]

LIMIT: Final = 10_000_000  # characters and items of one value; about the bytes of its line
# JSON levels of a line, on every interpreter: far below what any of them can parse from an ordinary stack (CPython
# 3.11 stops near 1000 frames, debug builds at 500). Readers and writers refuse a line that nests deeper.
NESTING: Final = 272
DEPTH: Final = NESTING - 16  # of a value; the rest is for what a line has around it, and for a last $cut
_TREE: Final = LIMIT // 10  # what is written of a graph as if it were a tree, before it is found out
INNER: Final = 16  # what a nested container costs of the limit: sixty levels of [x, x] must end soon
REPR_CHARS: Final = 4_096  # of one $repr, which is only read by people

_BIG: Final = 1 << 2000  # 602 digits: sys.set_int_max_str_digits cannot forbid these
_CONTAINER: Final = object()  # what leaf() returns for a container
_REF: Final = "$ref"


class Elsewhere(Protocol):
    """Tells the encoder of a line which containers are elsewhere in the data."""

    def identity(self, source: object) -> object | None:
        """Return what stands for a container, however it is represented.

        None if it is written each time.
        """

    def at(self, identity: object) -> At | None:
        """Return where a container is, besides in the value; None if nowhere."""

    def note(self, identity: object, keys: tuple[Any, ...]) -> None:
        """Note that a container is written at keys below the value."""

    def again(self) -> None:
        """Note that a container occurs again in a value."""

    def wrote(self, source: object, holder: object, pointer: Callable[[], str]) -> None:
        """Note that a container is written, or referred to.

        ``holder`` is the container that it is in, or None; ``pointer`` returns where it is in the JSON of the value.
        """

    def forget(self) -> None:
        """Forget what was noted: the value is written anew."""


def encode(value: object, *, limit: int | None = LIMIT, depth: int = DEPTH) -> Any:
    """Return a value as JSON data, made of fresh lists and dicts.

    O(size of the value), at most `limit`. Never raises, whatever the value is.

    :param limit: characters and items to write, each nested container counting as 16 items; longer values become
        ``$cut``. None: no limit, and what has more paths than could be written has each container once (``$ref``).
    :param depth: levels of JSON to write; what lies deeper becomes ``$cut``.

    >>> encode({"when": (1, 2.5), 7: {3, 1}})
    {'$dict': [['when', {'$tuple': [1, 2.5]}], [7, {'$set': [1, 3]}]]}
    """
    cls = type(value)
    if value is None or cls is bool or (cls is int and -_BIG < value < _BIG):  # type: ignore[operator]
        return value
    if cls is str and limit is LIMIT and len(value) < 1000 and value.isascii():  # type: ignore[arg-type, attr-defined]
        return value
    if limit is None:
        return encode_graph(value, _ByIdentity(), limit=None, depth=depth)
    return _Encoder(limit, depth).run(value)


def encode_in_place(value: object, elsewhere: Elsewhere) -> Any:
    """Return a value of a line as JSON data, with references.

    They are to what is elsewhere.

    A container is written once; its further occurrences are ``$ref``, and one that is elsewhere is ``$at``. O(size of
    what is written). Never raises, whatever the value is.
    """
    return _Encoder(LIMIT, DEPTH, elsewhere).run(value)


def encode_graph(
    value: object, elsewhere: Elsewhere, *, limit: int | None = LIMIT, depth: int = DEPTH, named: bool = False
) -> Any:
    """Return a whole state as JSON data, in which a cycle can be.

    With one, as `encode_in_place`. Without one, a container is written wherever it is, as by `encode`. O(size). Never
    raises.

    :param named: whether ``elsewhere`` notes where each container is, without a cycle, too.
    """
    room = sys.maxsize if limit is None else limit
    encoder = _Encoder(min(room, _TREE), depth)
    encoder.stops = True
    encoder.noted_by = elsewhere if named else None
    try:
        return encoder.run(value)
    except _NoTreeError:
        elsewhere.forget()
        return _Encoder(room, depth, elsewhere).run(value)


def encode_key(key: object) -> Any:
    """Return a step of a path as JSON data. O(size of the key)."""
    if type(key) in _PLAIN_KEYS:
        return encode(key)
    done = _Encoder(LIMIT, DEPTH).key(key)
    return encode(key) if done is _CONTAINER else done


def is_object_key(key: object) -> bool:
    """Return True for an object that is followed, which as data is no key.

    O(1).
    """
    if type(key) in (str, int, tuple):
        return False
    return is_watched(key) or (issubclass(type(key), AttrHook) and tracker(key) is not None)


class _Place:
    """Where a container is written: to detect cycles and to name them."""

    __slots__ = ("depth", "items", "parent", "slot", "source", "via")

    def __init__(self, source: object, parent: _Place | None, slot: object, depth: int) -> None:
        self.source = source
        self.items: list[tuple[object, object]] = []  # of a $dict
        self.parent = parent
        self.slot = slot  # its key or index in the parent; (row, side) in a $dict
        self.depth = depth
        self.via = ""  # the path from its JSON to its items: "", "/$tuple", "/start/$dict" ...

    def pointer(self) -> str:
        steps: list[str] = []
        place: _Place = self
        while place.parent is not None:
            slot = place.slot
            if type(slot) is tuple:  # a pair of $dict
                steps.append(f"{place.parent.via}/{slot[0]}/{slot[1]}")
            else:
                steps.append(place.parent.via + to_pointer((slot,)))
            place = place.parent
        return "".join(reversed(steps))

    def is_in_set(self) -> bool:
        """Return whether it is in a set, whose JSON is put into another order."""
        place = self.parent
        while place is not None and not place.via.endswith(("/$set", "/$frozenset")):
            place = place.parent
        return place is not None

    def keys(self) -> tuple[Any, ...] | None:
        """Return the keys from the value down to it.

        None if one is none that a path of a line could have.
        """
        keys: list[Any] = []
        place: _Place = self
        while place.parent is not None:
            slot: Any = place.slot
            if type(slot) is tuple:
                slot = None if slot[1] == 0 else place.parent.items[slot[0]][0]
            if type(slot) not in (str, int) and not (type(slot) is tuple and all(type(k) in (str, int) for k in slot)):
                return None
            keys.append(slot)
            place = place.parent
        return tuple(reversed(keys))


class _NoTreeError(Exception):
    """The value has a cycle, or is as large as if it had one."""


class _ByIdentity:
    """Knows a container of plain data by its id."""

    def identity(self, source: object) -> object | None:
        return id(source) if issubclass(type(source), (dict, list, set)) else None

    def at(self, identity: object) -> None:
        return None

    def note(self, identity: object, keys: tuple[Any, ...]) -> None:
        pass

    def again(self) -> None:
        pass

    def wrote(self, source: object, holder: object, pointer: Callable[[], str]) -> None:
        pass

    def forget(self) -> None:
        pass


class _Encoder:
    """One walk over one value."""

    __slots__ = ("depth", "elsewhere", "left", "met", "noted_by", "sets", "stops", "todo")

    def __init__(self, limit: int, depth: int, elsewhere: Elsewhere | None = None) -> None:
        self.elsewhere = elsewhere
        self.noted_by = elsewhere
        self.stops = False  # at a cycle
        self.met: dict[object, _Place] = {}
        self.left = limit
        self.depth = depth
        self.todo: list[tuple[object, Any, Any, _Place | None, Any]] = []
        self.sets: list[list[Any]] = []

    def run(self, value: object) -> Any:
        """Encode a value: leaves at once, containers from the worklist."""
        root = [self.leaf(value)]
        if root[0] is not _CONTAINER:
            return root[0]
        todo = self.todo
        todo.append((value, root, 0, None, 0))
        while todo:
            source, holder, slot, parent, name = todo.pop()
            holder[slot] = self.container(source, parent, name)
        for elements in reversed(self.sets):  # inner sets first: they are part of the outer's text
            _put_in_order(elements)
        return root[0]

    def container(self, source: object, parent: _Place | None, name: object) -> Any:
        """Return the JSON of a container, its inner containers yet to be filled."""
        above, level = parent, 1 if parent is None else parent.depth
        while above is not None:
            if above.source is source:
                if self.stops:
                    raise _NoTreeError
                return {_REF: above.pointer()}
            above = above.parent
        place = _Place(source, parent, name, level)
        if self.elsewhere is not None and (found := self.found(source, place)) is not None:
            return found
        if self.noted_by is not None and not place.is_in_set():
            self.noted_by.wrote(source, parent and parent.source, place.pointer)
        if parent is not None:
            self.left -= INNER
        if self.noted_by is not None:
            compare_now(source)  # what changed in it is in lines of its own; then this line is written anew
        kind, size, items = _items(source)
        if kind == "tuple" and type(source) is not tuple and (hides := FIELDS.get()) is not None:
            items = _without_fields(source, items, hides)
        deep = level >= self.depth
        room = 0 if deep else self.left
        if not deep:
            self.need(size)
        shown = items if size <= room else list(itertools.islice(items, max(room, 0)))
        self.left -= len(shown)
        cut = "/start" if size > len(shown) else ""
        out: Any
        if kind == "dict":
            out = self.mapping(shown, place, cut)
        else:
            tag = "" if kind == "list" else f"/${kind}"
            place.via = cut + tag
            place.depth = level + (2 if tag else 1)
            is_set = kind in ("set", "frozenset")
            out = self.elements(shown, place) if is_set else self.sequence(shown, place)
            if is_set:
                self.sets.append(out)
            if tag:
                out = {tag[1:]: out}
        return {"$cut": size, "type": kind, "start": out} if cut else out

    def found(self, source: object, place: _Place) -> Any:
        """Return the reference to a container that is written elsewhere, or None."""
        elsewhere = self.elsewhere
        assert elsewhere is not None
        identity = elsewhere.identity(source)
        if identity is None:
            return None
        if identity in self.met:
            elsewhere.again()
            return {_REF: self.met[identity].pointer()}
        at = elsewhere.at(identity)
        if at is not None:
            if at.path is None or at.other is not None:  # a root has no path to it
                elsewhere.wrote(source, place.parent and place.parent.source, place.pointer)
            return _at(self, at, source)
        self.met[identity] = place
        if (keys := place.keys()) is not None:
            elsewhere.note(identity, keys)
        return None

    def sequence(self, items: Iterable[object], place: _Place) -> list[Any]:
        out: list[Any] = []
        add, leaf = out.append, self.leaf
        for item in items:
            cls = type(item)
            if cls is int and -_BIG < item < _BIG:  # type: ignore[operator]
                add(item)
                continue
            done = leaf(item)
            if done is _CONTAINER:
                self.todo.append((item, out, len(out), place, len(out)))
            add(done)
        return out

    def elements(self, items: Iterable[object], place: _Place) -> list[Any]:
        """Return the JSON of the elements of a set, of which data cannot be one."""
        rows = [self.key(item) if is_object_key(item) else _CONTAINER for item in items]
        if all(row is _CONTAINER for row in rows):
            return self.sequence(items, place)
        others = self.sequence([item for item, row in zip(items, rows, strict=True) if row is _CONTAINER], place)
        others += [row for row in rows if row is not _CONTAINER]
        return others

    def mapping(self, items: list[tuple[object, object]], place: _Place, cut: str) -> Any:
        level = place.depth
        keys = [_text_key(key) for key, _ in items]
        if None not in keys and len(set(keys)) == len(keys):
            place.via = cut
            place.depth = level + 1
            out: dict[str, Any] = {}
            for key, (_, item) in zip(keys, items, strict=True):
                assert key is not None
                self.left -= len(key)
                done = self.leaf(item)
                if done is _CONTAINER:
                    self.todo.append((item, out, key, place, key))
                out[key] = done
            return out
        place.via = cut + "/$dict"
        place.items = items
        place.depth = level + 3
        pairs: list[list[Any]] = []
        for number, pair in enumerate(items):
            row = [self.key(pair[0]), self.leaf(pair[1])]
            for side in (0, 1):
                if row[side] is _CONTAINER:
                    self.todo.append((pair[side], row, side, place, (number, side)))
            pairs.append(row)
        return {"$dict": pairs}

    def leaf(self, value: Any) -> Any:
        """Return the JSON of a value, or _CONTAINER for one that has to be queued."""
        cls = type(value)
        if cls is str:
            return self.text(value)
        if value is None or cls is bool:
            return value
        if cls is list or cls is dict or cls is tuple:
            return _CONTAINER
        if issubclass(cls, _CONTAINERS):
            return _CONTAINER
        if issubclass(cls, int):
            return self.integer(int.__int__(value))
        if issubclass(cls, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else {"$float": repr(number)}
        if issubclass(cls, str):
            return self.text(str.__str__(value))
        if issubclass(cls, (bytes, bytearray)):
            return self.binary(value, "bytes" if issubclass(cls, bytes) else "bytearray")
        if is_watched(value):
            return _CONTAINER
        if cls is WatchedTracker:  # an instance of a watched class that is gone
            return self.said(repr(value), value.type_name)
        try:
            for kinds, write in _WRITERS:
                if issubclass(cls, kinds):
                    return write(self, value)
        except Exception:  # a user's tzinfo that fails: its repr may say more
            pass
        return self.words(value, cls)

    def key(self, value: Any) -> Any:
        """Return the JSON of a key.

        An object that is followed is words there, with its id: data could not be a key.
        """
        if not is_object_key(value):
            done = self.leaf(value)
            if is_silent() and type(done) is dict and "$repr" in done and not issubclass(type(value), _WORDS):
                done["$repr"] = f"{done['$repr'].removesuffix('>')} at {id(value):#x}>"  # two keys are two
            return done
        name = _type_name(type(value))
        return self.said(f"<{name.rpartition('.')[2]} {tracker(value).uuid}>", name)  # type: ignore[union-attr]

    def need(self, size: int) -> None:
        """Stop, if that is wanted, before something has to be cut."""
        if self.stops and size > self.left:
            raise _NoTreeError

    def text(self, value: str) -> Any:
        size = len(value)
        self.need(size)
        room = max(self.left, 0)  # a key may have taken more than there was
        if size > room:
            start = self.text(value[:room])
            return {"$cut": size, "type": "str", "start": start}
        self.left -= size
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            return {"$str": value.encode("unicode_escape").decode("ascii")}
        return value

    def integer(self, value: int) -> Any:
        if -_BIG < value < _BIG:
            return value
        size = value.bit_length() // 4 + 1
        self.need(size)
        if size > self.left:
            return {"$cut": value.bit_length(), "type": "int", "start": ""}
        self.left -= size
        return {"$int": hex(value)}

    def binary(self, value: bytes | bytearray, type: str) -> Any:
        size = len(value)
        self.need(size)
        room = max(self.left, 0)
        if size > room:
            start = self.binary(value[:room], type)
            return {"$cut": size, "type": type, "start": start}
        self.left -= size
        out = {"$bytes": base64.b64encode(value).decode("ascii")}
        return out if type == "bytes" else {**out, "type": type}

    def words(self, value: object, cls: type) -> Any:
        name = _type_name(cls)
        if is_silent():
            return self.said(words_for(value), name)
        try:
            text = str.__str__(repr(value))
        except Exception as error:
            text = f"<{name}: __repr__ raised {_type_name(type(error))}>"
        return self.said(text, name)

    def said(self, text: str, type: str) -> Any:
        self.need(min(REPR_CHARS, len(text)))
        room = max(min(REPR_CHARS, self.left), 0)
        if len(text) > room:
            text = text[:room] + "..."
        self.left -= len(text)
        return {"$repr": text.encode("utf-8", "backslashreplace").decode(), "type": type}


_PLAIN_KEYS: Final = frozenset((str, int, bool, float, type(None), bytes, tuple))
_WORDS: Final = (Words, Repr, WatchedTracker)
# frozendict came with CPython 3.15 (PEP 814) and is no dict; it is written as one
_FROZEN: Final[tuple[Any, ...]] = (builtins.frozendict,) if hasattr(builtins, "frozendict") else ()
_CONTAINERS: Final = (dict, list, tuple, set, frozenset, *_FROZEN, AttrHook, DequeHook)


def _items(source: Any) -> tuple[str, int, list[Any]]:
    """Return kind, size and items of a container, read as its builtin."""
    cls = type(source)
    for _ in range(5):  # another thread may resize a dict or a set while it is read
        try:
            if issubclass(cls, dict):
                own = OrderedDict if issubclass(cls, OrderedDict) else dict
                items: list[Any] = list(own.items(source))
                attributes = None if cls is dict else followed_attributes(source)
                if attributes is not None:  # what is followed there is at this step of a path
                    items.append(("__dict__", attributes))
                return "dict", len(items), items
            if issubclass(cls, list):
                items = list.copy(source)
                return "list", len(items), items
            for kind in (tuple, set, frozenset):
                if issubclass(cls, kind):
                    items = list(kind.__iter__(source))
                    return kind.__name__, len(items), items
            for kind in _FROZEN:
                if issubclass(cls, kind):
                    items = [(key, kind.__getitem__(source, key)) for key in kind.__iter__(source)]
                    return "dict", len(items), items
            held = plain(source)
            if isinstance(held, (list, tuple)):  # a deque, or a tuple that is gone
                return "list" if isinstance(held, list) else "tuple", len(held), list(held)
            if isinstance(held, set):
                return "set", len(held), list(held)
            return "dict", len(items := list(held.items())), items  # attributes
        except RuntimeError:
            continue
    return "list", 0, []


def _without_fields(source: object, items: list[Any], hides: Callable[[str], bool]) -> list[Any]:
    """Withhold fields of a named tuple: their names are not in its JSON."""
    found = (vars(cls).get("_fields") for cls in type.mro(type(source)))
    names = next((fields for fields in found if type(fields) is tuple), ())
    hidden = {n for n, name in enumerate(names) if type(name) is str and hides(name)}
    return [REDACTED if n in hidden else item for n, item in enumerate(items)]


def _text_key(key: object) -> str | None:
    """Return key if it can be a key of a JSON object, otherwise None."""
    cls = type(key)
    if cls is not str:
        if not issubclass(cls, str):
            return None
        key = str.__str__(key)
    assert isinstance(key, str)
    if key[:1] == "$":
        return None
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            return None
    return key


def _type_name(cls: type) -> str:
    try:
        module, name = cls.__module__, cls.__qualname__
        if type(module) is str and type(name) is str:
            full = name if module == "builtins" else f"{module}.{name}"
            return full.encode("utf-8", "backslashreplace").decode()
    except Exception:  # a metaclass may do anything
        pass
    return "object"


def _put_in_order(elements: list[Any]) -> None:
    """Sort the encoded elements of a set in place.

    Numbers and text are compared as such, other elements by their JSON.
    """
    kinds = {type(element) for element in elements}
    try:
        if kinds <= {str} or kinds <= {int, float, bool}:
            elements.sort()
        else:
            elements.sort(key=lambda e: (type(e).__name__, json.dumps(e, sort_keys=True)))
    except RecursionError:  # called near the end of the stack: any order is right
        pass


def _timedelta_text(value: datetime.timedelta) -> str:
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    whole, rest = divmod(abs(micros), 1_000_000)
    return f"{'-' if micros < 0 else ''}{whole}" + (f".{rest:06d}" if rest else "")


def _path(self: _Encoder, value: pathlib.PurePath) -> Any:
    if isinstance(value, type(pathlib.PurePath())):
        return {"$path": self.text(str(value))}
    return self.words(value, type(value))  # a path of another system: it cannot be restored here


def _at(self: _Encoder, value: At, source: Any = None) -> Any:
    """Return the JSON of a reference to source."""
    out: dict[str, Any] = {"$at": None if value.path is None else [encode_key(key) for key in value.path]}
    if value.also:
        out["also"] = [[root, [encode_key(key) for key in path]] for root, path in value.also]
    if value.other is not None:
        out["else"] = _Encoder(max(self.left, 0), self.depth // 2).run(value.other if source is None else source)
        self.left -= INNER
    return out


_WRITERS: Final[tuple[tuple[Any, Callable[[_Encoder, Any], Any]], ...]] = (
    (complex, lambda self, v: {"$complex": repr(complex.__complex__(v)).strip("()")}),
    (datetime.datetime, lambda self, v: {"$datetime": datetime.datetime.isoformat(v)}),
    (datetime.date, lambda self, v: {"$date": datetime.date.isoformat(v)}),
    (datetime.time, lambda self, v: {"$time": datetime.time.isoformat(v)}),
    (datetime.timedelta, lambda self, v: {"$timedelta": _timedelta_text(v)}),
    (decimal.Decimal, lambda self, v: {"$decimal": decimal.Decimal.__str__(v)}),
    (uuid.UUID, lambda self, v: {"$uuid": uuid.UUID.__str__(v)}),
    (pathlib.PurePath, _path),
    (type(MISSING), lambda self, v: {"$missing": True}),
    (Words, lambda self, v: self.said(v.text, v.type)),
    (Repr, lambda self, v: self.said(v.text, v.type)),
    (Redacted, lambda self, v: {"$redacted": True}),
    (Ref, lambda self, v: {_REF: v.pointer}),
    (At, _at),
    (Cut, lambda self, v: {"$cut": v.size, "type": v.type, "start": encode(v.start)}),
)
