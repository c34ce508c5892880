"""What the check of a sealed log knows of a chain."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from pydatatracker.io.seals import Mark, genesis

__all__ = ["CheckedChain", "Line"]


class Line(NamedTuple):
    """Where a line is: in a file, or in a table, which has a chain."""

    name: str
    number: int
    offset: int  # bytes; in a table the number in its chain
    chain: str = ""

    def __str__(self) -> str:
        return f"row {self.offset}" if self.chain else f"line {self.number}"


class CheckedChain:
    """What is known of a chain in a file, line by line."""

    def __init__(self, mark: Mark, line: Line) -> None:
        self.id = mark.chain
        self.name = line.name
        self.table_chain = line.chain  # "" in a file
        self.count = 0
        self.before: tuple[bytes, ...] = (genesis(mark.chain),)  # what the next line may have been sealed after
        self.digests = bytearray()
        self.numbers = array("Q")  # of its lines in the file
        self.offsets = array("Q")
        self.first = 1  # of the lines that the next root is over
        self.is_clean = True  # none of these is at fault
        self.is_lost = False  # after a gap that is not followed
        self.root = ""
        self.knows = True  # its first line names others, or is not there
        self.since = 0  # when it began, in nanoseconds
        self.key = ""  # that its roots are to be signed with
        self.covered = 0  # up to this line a root vouches for it; with a key, one that it signed
        self.links: list[tuple[int, Mark, bool]] = []  # number of a line, what it names, whether in another file

    def take(self, mark: Mark, line: Line, before: tuple[bytes, ...]) -> None:
        """Go on with a line, after others that may be missing."""
        missing = mark.number - self.count - 1
        self.digests.extend(bytes(32 * missing) + mark.digest)
        self.numbers.extend([line.number] * (missing + 1))
        self.offsets.extend([line.offset] * (missing + 1))
        self.count = mark.number
        self.before = before

    def digest(self, number: int) -> bytes:
        """Return the hash that a line states."""
        return bytes(self.digests[32 * (number - 1) : 32 * number])

    def has(self, mark: Mark) -> bool:
        """Return whether it has this line, with this hash."""
        return self.count >= mark.number and self.digest(mark.number) == mark.digest

    def line(self, number: int) -> Line:
        """Return where a line is."""
        return Line(self.name, self.numbers[number - 1], self.offsets[number - 1], self.table_chain)
