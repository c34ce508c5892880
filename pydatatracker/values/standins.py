"""Stand-ins for values that cannot be restored when they are read.

`encode` writes each of them as the tag it came from, so a log that is read and written again stays the same.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["REDACTED", "Cut", "Redacted", "RedactedDict", "RedactedList", "Ref", "Repr", "is_redacted"]


class Repr:
    """Hold the text of a value that cannot be restored (``$repr``).

    >>> Repr("<Socket 5>", "net.Socket")
    <Socket 5>
    """

    __slots__ = ("text", "type")

    def __init__(self, text: str, type: str) -> None:
        self.text = text
        self.type = type

    def __reduce__(self) -> tuple[Any, ...]:  # for protocols 0 and 1
        return type(self), (self.text, self.type)

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Repr) and (self.text, self.type) == (other.text, other.type)

    def __hash__(self) -> int:
        return hash((self.text, self.type))


class Cut:
    """Stand for a value that exceeded the limit (``$cut``).

    It has the size, the type and the beginning.

    >>> Cut(1000, "str", "xxx")
    <str of 1000: 'xxx'...>
    """

    __slots__ = ("size", "start", "type")

    def __init__(self, size: int, type: str, start: Any) -> None:
        self.size = size
        self.type = type
        self.start = start

    def __reduce__(self) -> tuple[Any, ...]:  # for protocols 0 and 1
        return type(self), (self.size, self.type, self.start)

    def __repr__(self) -> str:
        return f"<{self.type} of {self.size}: {self.start!r}...>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cut):
            return NotImplemented
        return (self.size, self.type, self.start) == (other.size, other.type, other.start)

    def __hash__(self) -> int:
        return hash((self.size, self.type))


class Ref:
    """Stand for a cycle that could not be closed (``$ref``).

    A cycle through a tuple is one.
    """

    __slots__ = ("pointer",)

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer

    def __reduce__(self) -> tuple[Any, ...]:  # for protocols 0 and 1
        return type(self), (self.pointer,)

    def __repr__(self) -> str:
        return f"<cycle to {self.pointer!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.pointer == other.pointer

    def __hash__(self) -> int:
        return hash(self.pointer)


class Redacted:
    """Stand for a value that was withheld on purpose (``$redacted``)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REDACTED"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Redacted)

    def __hash__(self) -> int:
        return hash(Redacted)


REDACTED: Final = Redacted()


class RedactedDict(dict[Any, Any]):
    """A plain dict, or an object's attributes, with something withheld."""


class RedactedList(list[Any]):
    """A plain copy of a list, tuple or set with something withheld."""


def is_redacted(value: object) -> bool:
    """Return True if something of a value is withheld. O(1)."""
    return isinstance(value, (Redacted, RedactedDict, RedactedList))
