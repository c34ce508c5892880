"""Parsing: the bytes of a log as lines, one by one or in blocks.

`parse` splits a line once, in C, into its fields that are text or numbers; values, stack and tree stay bytes until
they are read. Lines that this version did not write (those of 0.1.0, or ``json.dumps(change.extra)``) are parsed more
slowly, and have the fields that can be found in them.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

from pydatatracker._core import MISSING, count_objects, nests_deeper
from pydatatracker.io.line import LogLine, load_json
from pydatatracker.values.codec import decoder, msgspec
from pydatatracker.values.encode import NESTING

__all__ = [
    "HEADS",
    "TOO_DEEP",
    "VERSION",
    "Block",
    "NotAChange",
    "SlowBlock",
    "heads_of",
    "parse",
    "parse_all",
    "split",
]

VERSION: Final = 2  # a line that has no "also" is 1
TOO_DEEP: Final = f"JSON nested too deep: a line may have {NESTING} levels"

# What the heads of a block are for -> the fields that are text, and those that are bytes. All have action, v, seq and
# time_ns; for a replay they have path, before, after and splice, too, and for the order of lines also_cut and pid.
HEADS: Final = {
    "filter": ("pointer actor root transaction", "paths also splice changes"),
    "order": ("root method name", "also ids"),
    "verify": ("root method name pointer", "also ids"),  # the order, and the path
    "replay": ("root method tracked_item_uuid", "order changes paths also ids"),
}
_NUMBERS: Final[list[Any]] = [("v", int, 0), ("seq", int | None, None), ("time_ns", int | None, None)]


class NotAChange(ValueError):
    """The bytes of a line are not a change; the message says why."""


def parse(raw: bytes, line: int = 0, offset: int = 0) -> LogLine:
    """Return the line in raw, a JSON object in UTF-8.

    O(length), 1 us for 1 KB.

    :param raw: with or without its newline.
    :param line: its number in the file, from 1.
    :param offset: of its first byte in the file.
    :raises NotAChange: it is not a change, it nests more than `values.encode.NESTING` levels of JSON, or its format is
        newer than this version reads.

    >>> parse(b'{"v":1,"action":"add","pointer":"/a","after":{"$tuple":[1,2]}}').after
    (1, 2)
    """
    if nests_deeper(raw, NESTING):  # before anything recurses
        raise NotAChange(TOO_DEEP)
    try:
        head = _head_decoder()(raw)
    except Exception:  # of several classes; _unusual_head finds the reason
        head = _unusual_head(raw)
    if head.v > VERSION:
        raise NotAChange(f"format {head.v} is newer than this version of pydatatracker reads ({VERSION})")
    return LogLine(head, raw, line, offset)


class Block:
    """Several lines of a log: the heads of all, and a LogLine for any of them.

    A head has the fields of a line that are for a purpose: see `HEADS`. In a `SlowBlock` it has them all, as a
    `LogLine` does.
    """

    __slots__ = ("_block", "_first", "_offset", "_raws", "_starts", "heads")

    def __init__(self, heads: list[Any], block: bytes, first: int, offset: int) -> None:
        self.heads = heads
        self._block = block
        self._raws: list[bytes] | None = None
        self._first = first
        self._offset = offset
        self._starts: list[int] | None = None

    @property
    def raws(self) -> list[bytes]:
        """The bytes of the lines. O(1), the first time O(length)."""
        if self._raws is None:
            self._raws = split(self._block)
        return self._raws

    def number(self, n: int) -> int:
        """Return the number of a line in the file, from 1. O(1)."""
        return self._first + n

    def offset(self, n: int) -> int:
        """Return the first byte of a line in the file.

        O(1), the first time O(lines).
        """
        if self._starts is None:
            self._starts = list(itertools.accumulate(map(len, self.raws), initial=self._offset))
        return self._starts[n]

    def line(self, n: int) -> LogLine:
        """Return the line of heads[n]. O(1), the first time O(lines)."""
        return parse(self.raws[n], self.number(n), self.offset(n))

    def without_seals(self) -> Iterator[Block]:
        """Yield the lines between those that are only about seals.

        O(length) if there may be any.
        """
        if b'"seal"' not in self._block:
            yield self
            return
        ends = [n for n, head in enumerate(self.heads) if head.action == "seal" and head.seq is None]
        if not ends:
            yield self
            return
        start = 0
        for end in [*ends, len(self.heads)]:
            if end > start:
                lines = b"".join(self.raws[start:end])
                yield Block(self.heads[start:end], lines, self.number(start), self.offset(start))
            start = end + 1


class SlowBlock(Block):
    """A block with lines that are unreadable or from another version."""

    __slots__ = ("lines",)

    def __init__(self, lines: list[LogLine]) -> None:
        super().__init__([line.head for line in lines], b"", 0, 0)
        self._raws = [line.raw for line in lines]
        self.lines = lines

    def number(self, n: int) -> int:
        """Return the number of a line in the file, from 1. O(1)."""
        return self.lines[n].line

    def offset(self, n: int) -> int:
        """Return the first byte of a line in the file. O(1)."""
        return self.lines[n].offset

    def line(self, n: int) -> LogLine:
        """Return the line of heads[n]. O(1)."""
        return self.lines[n]


def split(block: bytes) -> list[bytes]:
    """Return the lines of a block, each with its newline. O(length)."""
    if b"\r" not in block:
        return block.splitlines(keepends=True)
    raws = block.split(b"\n")  # JSON has no bare carriage return, and splitlines would end a line at one
    return [raw + b"\n" for raw in raws[:-1]] + ([raws[-1]] if raws[-1] else [])


def parse_all(block: bytes, number: int, offset: int, purpose: str = "filter") -> Block | None:
    """Return the lines of a block, or None if one of them needs `parse`.

    O(length).

    :param block: whole lines.
    :param number: of the line before the first one.
    :param offset: of the first byte in the file.
    :param purpose: what the heads are for, a key of `HEADS`.
    """
    # msgspec accepts any white space between two values, or none, and does not check the text that it skips. So the
    # checks that every line is one value, and one that `parse` accepts, are made here.
    count = count_objects(block, NESTING)
    if count < 0:
        return None
    try:
        if not block.isascii():
            block.decode()
        heads = _block_decoder(purpose)(block)
    except Exception:
        return None
    if len(heads) != count or any(head.v > VERSION for head in heads):
        return None  # an empty line, or one of a newer format
    return Block(heads, block, number + 1, offset)


# ---- heads: the fields of a line that are parsed at once


@functools.cache
def _head_class() -> Any:
    """Return the class of a head: text and numbers parsed, the rest as bytes."""
    library = msgspec()
    raw = bytes if library is None else library.Raw
    fields: list[Any] = [("action", str), *_NUMBERS]
    for name in (
        *("uuid", "created_time", "method", "type", "pointer", "actor", "root", "tracked_item_uuid", "name"),
        *("transaction", "thread", "reason", "trace_id", "span_id"),
    ):
        fields.append((name, str, ""))
    for name in (
        *("path", "paths", "also", "location", "before", "after", "splice", "order", "changes", "context"),
        *("stack", "culprit", "tree", "extra", "ids"),
    ):
        fields.append((name, raw, raw()))
    fields += [("also_cut", int, 0), ("pid", int | None, None), ("first", int | None, None), ("to", int | None, None)]
    if library is None:
        defaults = {name: default for name, _, default in fields[1:]}
        return type("Head", (SimpleNamespace,), defaults | {"__struct_fields__": ("action", *defaults)})
    return library.defstruct("Head", fields, rename={"first": "from"}, gc=False)


@functools.cache
def _head_decoder() -> Any:
    library = msgspec()
    return _plain_head if library is None else library.json.Decoder(_head_class()).decode


def _plain_head(raw: bytes) -> Any:
    """Return the head of a line as msgspec does, or raise ValueError."""
    data = _decoder()(raw)
    if type(data) is not dict or type(data.get("action")) is not str:
        raise ValueError("not a change")
    head_class = _head_class()
    head = head_class(action=data["action"])
    for name in head_class.__struct_fields__:
        key = "from" if name == "first" else name
        if key not in data:
            continue
        value = data[key]
        default = getattr(head_class, name, "")
        if type(default) is bytes:
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        elif type(value) is not (str if type(default) is str else int) and (value is not None or default is not None):
            raise ValueError(f"{key} is {type(value).__name__}")
        setattr(head, name, value)
    return head


@functools.cache
def _decoder() -> Any:
    return decoder()


def heads_of(lines: bytes, count: int) -> list[Any]:
    """Return the heads of lines for a replay.

    None for each if one of them needs `parse`. O(length).
    """
    block = parse_all(lines, 0, 0, "replay")
    return [None] * count if block is None or len(block.heads) != count else block.heads


@functools.cache
def _block_decoder(purpose: str) -> Any:
    """Return what decodes many lines to their heads for a purpose.

    What only few lines have is bytes in them, and so are values, but for a replay.
    """
    library = msgspec("this")
    texts, rare = HEADS[purpose]
    fields: list[Any] = [("action", str), *_NUMBERS]
    fields += [(name, str, "") for name in texts.split()]
    fields += [(name, library.Raw, library.Raw()) for name in rare.split()]
    if purpose == "replay":
        fields += [("path", list, []), ("before", Any, MISSING), ("after", Any, MISSING), ("splice", list | None, None)]
    elif purpose in ("order", "verify"):
        fields += [("also_cut", int, 0), ("pid", int | None, None)]
        if purpose == "verify":
            fields += [("path", Any, None)]
    return library.json.Decoder(library.defstruct(f"{purpose.title()}Head", fields, gc=False)).decode_lines


def _unusual_head(raw: bytes) -> Any:
    """Return a head for a line that the decoder refuses, or raise NotAChange."""
    data = _object_in(raw)
    extra = data.get("extra")
    described = extra if type(extra) is dict else data  # where 0.1.0 has what others have at the top
    action = data.get("action", described.get("action"))
    if type(action) is not str:
        raise NotAChange("JSON, but not a change: it has no action")
    head_class = _head_class()
    head = head_class(action=action)
    for name in head_class.__struct_fields__:
        key = "from" if name == "first" else name
        value = data.get(key, described.get(key) if name in ("method", "type", "location") else None)
        default = getattr(head, name)
        if type(default) is str:
            setattr(head, name, value if type(value) is str else default)
        elif name in ("v", "also_cut"):
            setattr(head, name, value if type(value) is int else 0)
        elif default is None:
            setattr(head, name, value if type(value) is int else None)
        elif key in data or value is not None:
            setattr(head, name, type(default)(json.dumps(value).encode()))
    return head


def _object_in(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in raw, or raise NotAChange with the reason."""
    try:
        data = load_json(raw)
    except UnicodeDecodeError as error:
        raise NotAChange(f"not UTF-8 (byte {_not_utf8(raw, error.start)} of the line)") from None
    except ValueError as error:
        if raw[:1] == b"{" and not raw.endswith(b"\n"):
            raise NotAChange(f"cut off ({error})") from None
        raise NotAChange(f"not JSON ({error})") from None
    if type(data) is not dict:
        raise NotAChange(f"JSON, but {type(data).__name__}, not an object")
    return data


def _not_utf8(raw: bytes, otherwise: int) -> int:
    try:
        raw.decode()
    except UnicodeDecodeError as error:  # msgspec counts from the beginning of the text that it is in
        return error.start
    return otherwise
