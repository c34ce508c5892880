"""What the formats share: conversion by line, ids, JSON and output."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring
from typing import Any, Final, TextIO, TypeVar

from pydatatracker.cli.terminal import clean, escaped
from pydatatracker.io.line import LogLine
from pydatatracker.values.codec import encoder

__all__ = [
    "LONE_SURROGATE", "UNFIT", "OnUnfit", "Refused", "Write", "compact_json", "converted", "flush", "id_of",
    "value_json", "writer_to",
]  # fmt: skip

OnUnfit = Callable[[LogLine, str], object]
Write = Callable[[bytes], object]
T = TypeVar("T")

# What converting a line may raise that this version did not write.
UNFIT: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Refused(Exception):
    """The conversion is not possible; the message says why."""


def converted(lines: Iterable[LogLine], make: Callable[[LogLine], T], form: str, on_unfit: OnUnfit) -> Iterator[T]:
    """Yield what ``make`` returns for each line.

    ``on_unfit`` is called with (line, reason) for a line that the format cannot express.
    """
    for line in lines:
        try:
            made = make(line)
        except UNFIT as error:
            on_unfit(line, f"cannot be written as {form} ({type(error).__name__}: {error})")
        else:
            yield made


def id_of(line: LogLine) -> str:
    """Return the id of a change.

    Lines of 0.1.0 have none: they get a hash, which is the same whenever they are read.
    """
    if line.uuid:
        return LONE_SURROGATE.sub("\ufffd", line.uuid)
    return hashlib.blake2b(line.raw, digest_size=16, salt=line.offset.to_bytes(16, "big")).hexdigest()


def value_json(value: Any) -> str:
    """Return json.dumps(value, ensure_ascii=False), faster for str and int."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    return str(value) if kind is int else json.dumps(value, ensure_ascii=False)


def compact_json(value: Any) -> bytes:
    """Return a value as JSON without blanks and raw control characters."""
    try:
        text: bytes = _encoder()(value)
    except Exception:  # a lone surrogate, an integer of more than 64 bits
        return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f").encode()
    return text if text.isascii() and b"\x7f" not in text else escaped(text.decode()).encode()


@functools.cache
def _encoder() -> Callable[[Any], bytes]:
    return encoder()


def writer_to(out: TextIO) -> Write:
    """Return a function that writes UTF-8 bytes to standard output.

    It ignores the encoding of the terminal. Only printable characters are written to a terminal.
    """
    if not out.isatty():
        out.flush()
        return out.buffer.write

    def shown(text: bytes) -> object:
        lines = text.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        return out.write("\n".join(map(clean, lines)))

    return shown


def flush(out: TextIO) -> None:
    """Flush standard output and the bytes below it."""
    out.flush()
    out.buffer.flush()
