"""Text for a terminal: what is printable, how wide it is, its colour.

A log was written by others, so only its printable characters reach a terminal: `clean` escapes the rest (control
characters, escape sequences, marks that reverse the direction of text, lone surrogates).
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from typing import IO, Any, Final

from pydatatracker.values.text import clean

__all__ = [
    "COLOURS",
    "cells",
    "clean",
    "cut",
    "cut_left",
    "escaped",
    "json_text",
    "pad",
    "plain_columns",
    "short",
    "wants_colour",
]

COLOURS: Final = {
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "blue": "\x1b[34m",
    "magenta": "\x1b[35m",
    "cyan": "\x1b[36m",
    "dim": "\x1b[2m",
    "bold": "\x1b[1m",
    "reset": "\x1b[0m",
}
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_DEPTH: Final = 4  # of nested containers in a value that is shown on one line


def escaped(text: str) -> str:
    r"""Return JSON text with control characters and lone surrogates escaped.

    JSON allows some of them as they are, and a terminal would obey them. Tab and newline stay. O(length).

    >>> escaped('"\x9b31m"')
    '"\\u009b31m"'
    """
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_text(data: Any, indent: int | None = None) -> str:
    """Return data as JSON text that is safe to print. O(size)."""
    return escaped(json.dumps(data, indent=indent, ensure_ascii=False))


def cells(text: str) -> int:
    """Return how many columns of a terminal text occupies. O(length).

    >>> cells("tea"), cells("茶")
    (3, 2)
    """
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int, mark: str = "…") -> str:
    """Return text cut to width columns, with a mark at the end if it was cut.

    O(width).

    >>> cut("inventory", 6)
    'inven…'
    """
    if len(text) <= width and text.isascii():
        return text
    taken = used = fits = 0
    for letter in text[: 4 * width]:
        used += _cell(letter)
        if used > width:
            break
        taken += 1
        if used < width:
            fits = taken
    if taken == len(text):
        return text
    return text[:fits] + mark if width > 0 else ""


def cut_left(text: str, width: int, mark: str = "…") -> str:
    """Return text cut to width columns at its beginning, with a mark there.

    For pointers, whose end is more telling.

    >>> cut_left("/products/tea/price", 10)
    '…tea/price'
    """
    if cells(text) <= width:
        return text
    return cut(text[::-1], width, mark)[::-1]


def pad(text: str, width: int) -> str:
    """Return text padded with blanks to width columns."""
    return text + " " * (width - cells(text))


def short(value: Any, room: int) -> str:
    """Return a value as text on one line of at most room columns.

    O(room), whatever the value holds.

    >>> short({"stock": [1, 2, 3], "name": "tea"}, 25)
    "{'stock': [1, 2, 3], 'na…"
    """
    parts: list[str] = []
    _append(value, parts, room, _DEPTH)
    return cut("".join(parts), room)


def _append(value: Any, parts: list[str], room: int, depth: int) -> int:
    """Append the text of a value, and return the columns that are left."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple or kind is set or kind is frozenset:
        return _append_container(value, parts, room, depth)
    if kind is str or kind is bytes:
        text = repr(value[: max(room, 0) + 8])
    else:
        try:
            text = repr(value)
        except Exception as error:  # an int of ten thousand digits, for one
            text = f"<{kind.__name__}: {type(error).__name__}>"
    text = clean(text[: max(room, 0) + 8])
    parts.append(text)
    return room - len(text)


def _append_container(value: Any, parts: list[str], room: int, depth: int) -> int:
    opening, closing = "()" if type(value) is tuple else "[]" if type(value) is list else "{}"
    if not value:
        parts.append(opening + closing if type(value) in (dict, list, tuple) else "set()")
        return room - 4
    parts.append(opening)
    room -= 2
    first = True
    for item in _in_order(value):
        if not first:
            parts.append(", ")
            room -= 2
        first = False
        if room <= 0 or depth == 0:
            parts.append("…")
            return room  # not closed, as the whole is cut anyway
        room = _append(item, parts, room, depth - 1)
        if type(value) is dict:
            parts.append(": ")
            room = _append(value[item], parts, room - 2, depth - 1)
    if type(value) is tuple and len(value) == 1:
        parts.append(",")
    parts.append(closing)
    return room


def _in_order(value: Any) -> Any:
    if type(value) is set or type(value) is frozenset:
        try:
            return sorted(value)
        except TypeError:
            pass
    return value


def wants_colour(file: IO[str]) -> bool:
    """Return whether file is a terminal on which colours are wanted.

    ``NO_COLOR`` (https://no-color.org) and ``TERM=dumb`` turn them off.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return file.isatty()
    except ValueError:  # closed
        return False


def plain_columns(file: IO[str]) -> int | None:
    """Return the width of the terminal that file is, or None if it is not one.

    ``COLUMNS`` has precedence.
    """
    try:
        if not file.isatty():
            return None
        given = os.environ.get("COLUMNS", "")
        if given.isdecimal() and int(given) > 0:
            return int(given)
        return os.get_terminal_size(file.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
