"""One line of a log as an object that parses little and decodes values only when asked.

`parse` splits a line once, in C, into the fields that are text or numbers; what may be large
(values, stack, tree) stays bytes until somebody looks. Lines that were not written by this version
(0.1.0, or somebody's ``json.dumps(change.extra)``) take a slower way and answer as far as they go.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import json
from typing import TYPE_CHECKING, Any, Final

from pydatatracker._core import MISSING, nests_deeper, one_nests_deeper
from pydatatracker.values.decode import decode
from pydatatracker.values.encode import NESTING
from pydatatracker.values.pointer import key_text
from pydatatracker.values.standins import Repr

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["LogLine", "NotAChange", "parse", "read_json"]

VERSION: Final = 1
TOO_DEEP: Final = f"JSON nested too deep: a line may have {NESTING} levels"
_TAKEN_OUT: Final = frozenset(("__delitem__", "clear", "discard", "pop", "popitem", "remove"))  # 0.1.0


class NotAChange(ValueError):
    """The bytes of a line are not a change; the message says why."""


@functools.cache
def _tools() -> tuple[Any, Any, Any]:
    """Return (decoder of a head, decoder of anything, the head's class). Imports msgspec."""
    import msgspec

    raw = msgspec.Raw
    fields: list[Any] = [("action", str), ("v", int, 0), ("seq", int | None, None), ("time_ns", int | None, None)]
    for name in (
        *("uuid", "created_time", "method", "type", "pointer", "actor", "root", "tracked_item_uuid"),
        *("transaction", "thread", "reason", "trace_id", "span_id"),
    ):
        fields.append((name, str, ""))
    for name in ("path", "paths", "location", "before", "after", "splice", "order", "changes", "context"):
        fields.append((name, raw, raw()))
    for name in ("stack", "tree", "extra"):
        fields.append((name, raw, raw()))
    fields += [("pid", int | None, None), ("first", int | None, None), ("to", int | None, None)]
    head = msgspec.defstruct("Head", fields, rename={"first": "from"}, gc=False)
    return msgspec.json.Decoder(head).decode, msgspec.json.Decoder().decode, head


def parse(raw: bytes, line: int = 0, offset: int = 0) -> LogLine:
    """Return the line in raw, an UTF-8 JSON object with or without its newline. O(length), 1 us for 1 KB.

    Raises NotAChange, with the reason, also for a line that nests more than `values.encode.NESTING` levels of JSON.

    >>> parse(b'{"v":1,"action":"add","pointer":"/a","after":{"$tuple":[1,2]}}').after
    (1, 2)
    """
    if nests_deeper(raw, NESTING):  # before anything recurses
        raise NotAChange(TOO_DEEP)
    head_of, _, _ = _tools()
    try:
        head = head_of(raw)
    except Exception:  # one of many kinds; the slow way says what is wrong
        head = _other_head(raw)
    if head.v > VERSION:
        raise NotAChange(f"format {head.v} is newer than this version of pydatatracker reads ({VERSION})")
    return LogLine(head, raw, line, offset)


class Block:
    """Some lines of a log: their heads as one list, and a LogLine of whichever is wanted.

    A head has ``action seq time_ns actor pointer root transaction`` as attributes, and ``paths splice changes`` as
    bytes: what filters and counts look at.
    """

    __slots__ = ("_first", "_offset", "_starts", "heads", "raws")

    def __init__(self, heads: list[Any], raws: list[bytes], first: int, offset: int) -> None:
        self.heads = heads
        self.raws = raws
        self._first = first
        self._offset = offset
        self._starts: list[int] | None = None

    def line(self, n: int) -> LogLine:
        """Return the line of heads[n]. O(1), the first time O(lines)."""
        if self._starts is None:
            self._starts = list(itertools.accumulate(map(len, self.raws), initial=self._offset))
        return parse(self.raws[n], self._first + n, self._starts[n])


class SlowBlock(Block):
    """A block in which some lines cannot be read, or are not as this version writes them."""

    __slots__ = ("lines",)

    def __init__(self, lines: list[LogLine]) -> None:
        super().__init__([line.head for line in lines], [line.raw for line in lines], 0, 0)
        self.lines = lines

    def line(self, n: int) -> LogLine:
        """Return the line of heads[n]. O(1)."""
        return self.lines[n]


def parse_all(block: bytes, raws: list[bytes], number: int, offset: int) -> Block | None:
    """Return the lines of block, which are raws, numbered from number + 1; None if one needs `parse`. O(length)."""
    # msgspec takes any white space between two values, none too, and does not look into the text that it passes over:
    # so that every line is one value, and one that `parse` takes, the rest is seen to here
    if block[:1] != b"{" or block.count(b"}\n{") != len(raws) - 1 or not block.endswith((b"}\n", b"}")):
        return None
    if one_nests_deeper(block, NESTING):
        return None
    try:
        if not block.isascii():
            block.decode()
        heads = _line_decoder()(block)
    except Exception:
        return None
    if len(heads) != len(raws) or any(head.v > VERSION for head in heads):
        return None  # an empty line, or one from the future
    return Block(heads, raws, number + 1, offset)


@functools.cache
def _line_decoder() -> Any:
    import msgspec

    raw = msgspec.Raw
    fields: list[Any] = [("action", str), ("v", int, 0), ("seq", int | None, None), ("time_ns", int | None, None)]
    fields += [(name, str, "") for name in ("pointer", "actor", "root", "transaction")]
    fields += [(name, raw, raw()) for name in ("paths", "splice", "changes")]
    light = msgspec.defstruct("LightHead", fields, gc=False)
    return msgspec.json.Decoder(light).decode_lines


def _other_head(raw: bytes) -> Any:
    """Return a head for what the fast way does not take, or raise NotAChange."""
    try:
        data = _loads(raw)
    except UnicodeDecodeError as error:
        raise NotAChange(f"not UTF-8 (byte {_not_utf8(raw, error.start)} of the line)") from None
    except ValueError as error:
        if raw[:1] == b"{" and not raw.endswith(b"\n"):
            raise NotAChange(f"cut off ({error})") from None
        raise NotAChange(f"not JSON ({error})") from None
    if type(data) is not dict:
        raise NotAChange(f"JSON, but {type(data).__name__}, not an object")
    extra = data.get("extra")
    words = extra if type(extra) is dict else data
    action = data.get("action", words.get("action"))
    if type(action) is not str:
        raise NotAChange("JSON, but no change: it has no action")
    _, _, head_class = _tools()
    head = head_class(action=action)
    for name in head_class.__struct_fields__:
        key = "from" if name == "first" else name
        value = data.get(key, words.get(key) if name in ("method", "type", "location") else None)
        now = getattr(head, name)
        if type(now) is str:
            setattr(head, name, value if type(value) is str else now)
        elif name == "v":
            head.v = value if type(value) is int else 0
        elif now is None:
            setattr(head, name, value if type(value) is int else None)
        elif key in data or value is not None:
            setattr(head, name, type(now)(json.dumps(value).encode()))
    return head


def _not_utf8(raw: bytes, otherwise: int) -> int:
    try:
        raw.decode()
    except UnicodeDecodeError as error:  # msgspec counts from the beginning of the text that it is in
        return error.start
    return otherwise


def _loads(raw: bytes) -> Any:
    """Parse JSON: fast, or as Python's json module takes it (NaN, lone surrogates, a BOM)."""
    try:
        return _tools()[1](raw)
    except UnicodeDecodeError:
        raise
    except Exception:
        return json.loads(raw.decode("utf-8-sig"))


class LogLine:
    """One line of a log: its fields as attributes, its place in the file, its bytes.

    Names as in `ChangeLogEntry`; what the line does not say is "", (), None or MISSING. O(1) but for
    ``path location before after splice order changes context stack tree extra data``, which are parsed at
    each access. Nothing raises.

    >>> line = parse(b'{"v":1,"action":"update","pointer":"/a","before":null,"after":{"$set":[1]}}')
    >>> line.action, line.pointer, line.before, line.after, line.actor
    ('update', '/a', None, {1}, '')
    """

    __slots__ = ("head", "line", "offset", "raw")

    def __init__(self, head: Any, raw: bytes, line: int, offset: int) -> None:
        self.head = head  # the fields that are text or numbers, parsed; what may be large as bytes
        self.raw = raw  # as it stands in the file, with its newline if it has one
        self.line = line  # from 1
        self.offset = offset  # of its first byte in the file

    def __repr__(self) -> str:
        return f"<LogLine {self.line}: {self.action} {self.pointer or key_text(self.location or '')}>"

    @property
    def _head(self) -> Any:
        return self.head

    # ---- what the line is

    @property
    def data(self) -> dict[str, Any]:
        """The whole line as JSON data, values not decoded; a fresh dict."""
        data = read_json(self.raw)
        return data if type(data) is dict else {}

    @property
    def v(self) -> int:
        """Version of the format; 0 for lines of 0.1.0 and for a bare ``extra``."""
        return int(self.head.v)

    @property
    def is_gap(self) -> bool:
        """Whether the line says that changes were left out (`gap`, `reason`) instead of being one."""
        return bool(self.head.action == "gap")

    @property
    def gap(self) -> tuple[int | None, int | None]:
        """Sequence numbers (first, last) that were left out."""
        return self.head.first, self.head.to

    @property
    def reason(self) -> str:
        """Why changes were left out."""
        return str(self.head.reason)

    def entry(self) -> ChangeLogEntry:
        """Return the line as a ChangeLogEntry, by `ChangeLogEntry.from_dict`. O(length)."""
        from pydatatracker.change.entry import ChangeLogEntry

        return ChangeLogEntry.from_dict(self.data)

    # ---- plain fields

    @property
    def action(self) -> str:
        """What happened; "gap" for a line that only says what is missing."""
        return str(self.head.action)

    @property
    def seq(self) -> int | None:
        """Sequence number in its process; None in lines of 0.1.0."""
        value: int | None = self.head.seq
        return value

    @property
    def uuid(self) -> str:
        """Id of the change."""
        return str(self.head.uuid)

    @property
    def method(self) -> str:
        """The method that did it."""
        return str(self.head.method)

    @property
    def type(self) -> str:
        """Class name of the container that changed."""
        return str(self.head.type)

    @property
    def pointer(self) -> str:
        """RFC 6901 pointer to what changed; "" for the root and in lines of 0.1.0 (see `location`)."""
        return str(self.head.pointer)

    @property
    def actor(self) -> str:
        """Who did it."""
        return str(self.head.actor)

    @property
    def root(self) -> str:
        """Id of the root of its tree."""
        return str(self.head.root)

    @property
    def tracked_item_uuid(self) -> str:
        """Id of the container that changed."""
        return str(self.head.tracked_item_uuid)

    @property
    def transaction(self) -> str | None:
        """Id of its transaction."""
        return self.head.transaction or None

    @property
    def pid(self) -> int | None:
        """Process that wrote the line."""
        value: int | None = self.head.pid
        return value

    @property
    def thread(self) -> str:
        """Name of the thread that wrote the line."""
        return str(self.head.thread)

    @property
    def trace_id(self) -> str:
        """Trace of the OpenTelemetry span in which it was made, 32 hex digits."""
        return str(self.head.trace_id)

    @property
    def span_id(self) -> str:
        """The OpenTelemetry span in which it was made, 16 hex digits."""
        return str(self.head.span_id)

    @property
    def time_ns(self) -> int | None:
        """Wall clock, nanoseconds since 1970."""
        value: int | None = self.head.time_ns
        return value

    @property
    def created_time(self) -> datetime.datetime | None:
        """Wall clock as aware UTC datetime; None where the line has none that can be read."""
        try:
            if self.head.created_time:
                moment = datetime.datetime.fromisoformat(self.head.created_time)
                if moment.tzinfo is None:
                    return moment.replace(tzinfo=datetime.UTC)
                return moment.astimezone(datetime.UTC)
            if self.head.time_ns is not None:
                micros = datetime.timedelta(microseconds=self.head.time_ns // 1000)
                return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + micros
        except (ValueError, OverflowError):
            pass
        return None

    # ---- fields that are decoded when asked

    @property
    def path(self) -> tuple[Any, ...]:
        """Keys and indices from the root; () in lines of 0.1.0."""
        return _row(read_json(self.head.path))

    @property
    def paths(self) -> tuple[tuple[Any, ...], ...]:
        """All places, where the container sits in more than one."""
        given = read_json(self.head.paths)
        return tuple(map(_row, given)) if type(given) is list else (self.path,)

    @property
    def location(self) -> Any:
        """The key, index or attribute; in lines of 0.1.0 the place in words (``profile:score``)."""
        value = decode(read_json(self.head.location)) if self.head.location else MISSING
        if value is MISSING and self.head.v == 0:  # a lock of one attribute has nothing else
            return self.extra.get("attribute_name")
        if value is MISSING:
            path = self.path
            return path[-1] if path and (self.head.before or self.head.after) else None
        return value

    @property
    def before(self) -> Any:
        """What the place held, or MISSING. In lines of 0.1.0 words for it (a `codec.Repr`)."""
        if self.head.v == 0:
            if self._was_taken_out():
                return self._words("value", "removed_items")
            of_attribute = "attribute_locked" in self.extra  # of anything else it is the whole container
            return self._words("data_pre_change" if of_attribute else "removed_items")
        return decode(read_json(self.head.before)) if self.head.before else MISSING

    @property
    def after(self) -> Any:
        """What the place holds now, or MISSING. In lines of 0.1.0 words for it (a `codec.Repr`)."""
        if self.head.v == 0:
            return MISSING if self._was_taken_out() else self._words("init_data", "value", "return_value")
        return decode(read_json(self.head.after)) if self.head.after else MISSING

    @property
    def splice(self) -> tuple[int, tuple[Any, ...], tuple[Any, ...]] | None:
        """(start, removed, inserted) of a list change, or None."""
        given = read_json(self.head.splice)
        if type(given) is not list or len(given) != 3 or type(given[0]) is not int:
            return None
        return given[0], _row(given[1]), _row(given[2])

    @property
    def order(self) -> tuple[int, ...] | None:
        """New position -> old position of a sort or reverse, or None."""
        given = read_json(self.head.order)
        return tuple(given) if type(given) is list else None

    @property
    def changes(self) -> tuple[tuple[Any, ...], ...]:
        """Rows (key, before, after) of a bulk change."""
        given = read_json(self.head.changes)
        rows = given if type(given) is list else ()
        return tuple(_row(row) for row in rows if type(row) is list and len(row) == 3)

    @property
    def context(self) -> dict[str, Any]:
        """Keyword arguments of the actor."""
        given = read_json(self.head.context)
        return {key: decode(value) for key, value in given.items()} if type(given) is dict else {}

    @property
    def stack(self) -> list[Any]:
        """Frames as they stand in the line; 0.1.0 wrote text, innermost first."""
        given = read_json(self.head.stack)
        return given if type(given) is list else []

    @property
    def tree(self) -> list[Any]:
        """The containers from the root down; absent in compact lines."""
        given = read_json(self.head.tree)
        return given if type(given) is list else []

    @property
    def extra(self) -> dict[str, Any]:
        """The change in words; absent in compact lines. A bare ``extra`` line is all extra."""
        given = read_json(self.head.extra) if self.head.extra else self.data if self.head.v == 0 else None
        return given if type(given) is dict else {}

    def _was_taken_out(self) -> bool:
        return self.head.action == "remove" or self.head.method in _TAKEN_OUT

    def _words(self, *names: str) -> Any:
        extra = self.extra
        for name in names:
            if type(extra.get(name)) is str:
                return Repr(extra[name], "")
        return MISSING


def read_json(raw: Any) -> Any:
    """Return the JSON in raw, None where there is none; what is wrong inside a string is replaced."""
    if not raw:
        return None
    data = bytes(raw)
    try:
        return _loads(data)
    except ValueError:
        text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return {"$repr": text, "type": "bytes"}


def _row(given: Any) -> tuple[Any, ...]:
    return tuple(decode(item) for item in given) if type(given) is list else ()
