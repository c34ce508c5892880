"""Paths as text: RFC 6901 pointers, globs over them, and actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pydatatracker import _core
from pydatatracker._core import key_text
from pydatatracker._lazy import later

if TYPE_CHECKING:
    import fnmatch
    import re
else:
    later(globals(), "fnmatch", "re")

__all__ = ["action_bits", "compile_glob", "key_text", "parse_pointer", "to_pointer", "unescaped"]

Segment = str | Callable[[str], Any] | None


def to_pointer(path: Iterable[object]) -> str:
    """Return a path as an RFC 6901 JSON pointer.

    A key that is not text appears as its `key_text`, which globs match, too. O(path).

    >>> to_pointer(("cfg", "a/b", 0))
    '/cfg/a~1b/0'
    """
    return "".join(f"/{_segment(key)}" for key in path)


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """Return the segments of an RFC 6901 JSON pointer, unescaped.

    O(pointer). Raises ValueError for a pointer that does not begin with `/` (only "", the whole, may), and TypeError
    for anything but a str.

    >>> parse_pointer("/cfg/a~1b/0")
    ('cfg', 'a/b', '0')
    """
    if not isinstance(pointer, str):
        raise TypeError(f"a pointer is a str such as '/users/0/email', not {pointer!r}")
    if pointer == "":
        return ()
    if not pointer.startswith("/"):
        raise ValueError(f"the pointer {pointer!r} must begin with '/', as in '/users/0/email'")
    return tuple(map(unescaped, pointer[1:].split("/")))


def _segment(key: object) -> str:
    return key_text(key).replace("~", "~0").replace("/", "~1")


def unescaped(segment: str) -> str:
    """Return a segment of a pointer with its escapes undone."""
    return segment.replace("~1", "/").replace("~0", "~")


def compile_glob(pattern: str) -> tuple[Segment, ...]:
    """Return a glob over pointers in the form that the core matches.

    `*` and `?` match within a segment, `**` matches any number of segments. Raises ValueError for a pattern that does
    not begin with `/`, and TypeError for anything but a str.

    >>> compile_glob("/users/**")
    ('users', None)
    """
    if not isinstance(pattern, str):
        raise TypeError(f"path= takes a glob over pointers such as '/users/*/email', not {pattern!r}")
    if pattern == "":
        return ()
    if not pattern.startswith("/"):
        raise ValueError(f"path={pattern!r} must begin with '/', as in '/users/*/email'")
    segments: list[Segment] = []
    for part in pattern[1:].split("/"):
        if part == "**":
            segments.append(None)
        elif any(sign in part for sign in "*?["):
            segments.append(re.compile(fnmatch.translate(unescaped(part))).match)
        else:
            segments.append(unescaped(part))
    return tuple(segments)


def action_bits(actions: Iterable[str] | str | None) -> int:
    """Return actions as the bits that the core tests, 0 for all actions.

    Raises ValueError for an unknown action.
    """
    bits = 0
    for action in (actions,) if isinstance(actions, str) else actions or ():
        if action not in _core.ACTIONS:
            raise ValueError(f"unknown action {action!r}; write one of {', '.join(_core.ACTIONS)}")
        bits |= 1 << _core.ACTIONS.index(action)
    return bits
