"""Stand-ins for values that cannot be restored when they are read.

`encode` writes each of them as the tag it came from, so a log that is read and written again stays the same.
"""

from __future__ import annotations

from typing import Any, Final

from pydatatracker.values.pointer import to_pointer

__all__ = ["REDACTED", "At", "Cut", "Redacted", "RedactedDict", "RedactedList", "Ref", "Repr", "is_redacted"]


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


class At:
    """Stand for a container that is elsewhere in the data (``$at``).

    ``path`` leads to it from the root of the line, in the state just before the change. ``also`` has the paths from
    the further roots of the line, each as (id of the root, path). A root from which none leads there has None, and
    what the container held is ``other``; or None as well, if the log has it as a root and it is large.

    >>> At(("agents", 0))
    <what is at '/agents/0'>
    """

    __slots__ = ("also", "other", "path")

    def __init__(
        self,
        path: tuple[Any, ...] | None,
        also: tuple[tuple[str, tuple[Any, ...]], ...] = (),
        other: Any = None,
    ) -> None:
        self.path = path
        self.also = also
        self.other = other

    def seen_from(self, root: str) -> At:
        """Return it as another root has it. O(roots)."""
        return At(next((path for each, path in self.also if each == root), None), (), self.other)

    def __reduce__(self) -> tuple[Any, ...]:  # for protocols 0 and 1
        return type(self), (self.path, self.also, self.other)

    def __repr__(self) -> str:
        if self.path is not None:
            return f"<what is at {to_pointer(self.path)!r}>"
        return "<a container of another root>" if self.other is None else repr(self.other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, At):
            return NotImplemented
        return (self.path, self.also, self.other) == (other.path, other.also, other.other)

    def __hash__(self) -> int:
        return hash(self.path)


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
