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
    """What is known of a chain in a file, line by line.

    A hole is a line that is missing, or that cannot be recognised. A line is doubtful if it was named as a fault, or if
    its hash cannot be compared with its content because the line before it is not known.
    """

    def __init__(self, mark: Mark, line: Line) -> None:
        self.id = mark.chain
        self.name = line.name
        self.table_chain = line.chain  # "" in a file
        self.count = 0
        self.before: tuple[bytes, ...] = (genesis(mark.chain),)  # what the next line may have been sealed after
        self.digests = bytearray()
        self.numbers = array("Q")  # of its lines in the file; 0 for a hole
        self.offsets = array("Q")
        self.doubtful: set[int] = set()
        self.early: dict[int, tuple[bytes, Line]] = {}  # lines that stand before their place: hash, where
        self.ahead: tuple[Mark, Line, bytes] | None = None  # a line after a gap: moved, or lines are missing
        self.late = (0, 0, 0)  # the last line behind its place: number in the chain, in the file, and of its fault
        self.first = 1  # of the lines that the next root is over
        self.is_clean = True  # none of these is at fault
        self.last_bad = 0  # the last line at fault
        self.is_lost = False  # after a gap that is not followed
        self.root: str | None = ""  # the last one; None: not known
        self.wrong_roots = 0
        self.ends_in_root = False
        self.knows = True  # its first line names others, or is not there
        self.since = 0  # when it began, in nanoseconds
        self.key: str | None = None  # that its roots are to be signed with; None: not known
        self.covered = 0  # up to this line a root vouches for it; with a key, one that it signed
        self.links: list[tuple[int, Mark, bool]] = []  # number of a line, what it names, whether in another file

    def take(self, mark: Mark, line: Line, before: tuple[bytes, ...]) -> None:
        """Go on with a line, after others that may be missing."""
        missing = mark.number - self.count - 1
        start = self.count
        self.digests.extend(bytes(32 * missing) + mark.digest)
        self.numbers.extend([0] * missing + [line.number])
        self.offsets.extend([0] * missing + [line.offset])
        self.count = mark.number
        self.before = before
        self.ends_in_root = False
        if missing and self.early:
            for number in sorted(self.early):
                if start < number < mark.number:
                    self.fill(number, *self.early.pop(number))

    def fill(self, number: int, digest: bytes, line: Line) -> None:
        """Put a line into a hole."""
        self.set_digest(number, digest)
        self.numbers[number - 1] = line.number
        self.offsets[number - 1] = line.offset
        self.doubtful.add(number)

    def blame(self, number: int) -> None:
        """Note that a line is at fault, or that lines are missing before it."""
        self.is_clean = False
        self.last_bad = max(self.last_bad, number)

    def digest(self, number: int) -> bytes:
        """Return the hash that a line states."""
        return bytes(self.digests[32 * (number - 1) : 32 * number])

    def set_digest(self, number: int, digest: bytes) -> None:
        """Put the hash of a line that states another one, or is a hole."""
        self.digests[32 * (number - 1) : 32 * number] = digest

    def known(self, number: int) -> bytes | None:
        """Return the hash of a line, if it is there or stands before its place."""
        if number in self.early:
            return self.early[number][0]
        if not 0 < number <= self.count or self.digest(number) == bytes(32):
            return None
        return self.digest(number)

    def is_whole(self, first: int, last: int) -> bool:
        """Return whether the hash of each of these lines is known."""
        if 0 not in self.numbers[first - 1 : last]:
            return True
        return all(self.numbers[n - 1] or self.known(n) is not None for n in range(first, last + 1))

    def is_vague(self, number: int) -> bool:
        """Return whether a line is named as a fault, or is missing."""
        return number in self.doubtful or (0 < number <= self.count and not self.numbers[number - 1])

    def present(self, first: int, last: int) -> int:
        """Return how many of these lines are there."""
        return last - first + 1 - self.numbers[first - 1 : last].count(0)

    def has(self, mark: Mark) -> bool:
        """Return whether it has this line, with this hash."""
        return self.count >= mark.number and self.digest(mark.number) == mark.digest

    def line(self, number: int) -> Line:
        """Return where a line is; of a hole, the next one."""
        while not self.numbers[number - 1]:
            number += 1
        return Line(self.name, self.numbers[number - 1], self.offsets[number - 1], self.table_chain)
