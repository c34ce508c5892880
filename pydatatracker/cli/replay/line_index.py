"""An index of the lines of a log: 40 bytes per line instead of the line.

Commands replay lines in the order of ``seq``, but threads write theirs in any order. So a log is read once to find
out what it has, and its lines are then read again one by one, from the file itself. A pipe can be read only once, and
a compressed file only from its start: those are copied to an unnamed temporary file.
"""

from __future__ import annotations

import bisect
import os
import stat
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from pydatatracker.cli.points import Point
from pydatatracker.io.line import LogLine, rank_of
from pydatatracker.io.parsing import Block, NotAChange, heads_of, parse

__all__ = ["LineIndex", "Source"]

_WIDEST: Final = 1 << 61  # a seq must be smaller than this
_PIECE: Final = 1 << 16  # bytes of lines that are read together


class Source:
    """A log whose lines can be read again.

    :raises OSError: if the file cannot be opened.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        file = _plain_file(name)
        self._copies = file is None
        self._file: IO[bytes] = tempfile.TemporaryFile() if file is None else file  # noqa: SIM115

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def is_read_once(self) -> bool:
        """Whether lines have to be kept, as the log cannot be read again."""
        return self._copies

    def keep(self, line: LogLine) -> None:
        """Make sure that a line can be read again. O(line)."""
        if self._copies:
            self._file.seek(line.offset)  # the holes between lines occupy no space
            self._file.write(line.raw)

    def bytes_at(self, offset: int, size: int) -> bytes:
        """Return bytes of the file. O(size)."""
        self._file.seek(offset)
        return self._file.read(size)

    def line(self, offset: int, size: int, number: int) -> LogLine:
        """Return the line at an offset.

        O(size). Raises OSError if there is no longer a line there.
        """
        raw = self.bytes_at(offset, size)
        try:
            return parse(raw, number, offset)
        except NotAChange:
            raise OSError(f"{self.name} was changed while it was read") from None


def _plain_file(name: str) -> IO[bytes] | None:
    if name == "-":
        return None
    file = open(name, "rb", buffering=0)  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(2) not in (b"\x1f\x8b", b"\x28\xb5"):
        return file
    file.close()
    return None


class LineIndex(Sequence[LogLine]):
    """The lines of one root in the order of ``seq``, as that root has them.

    An init comes before a change with the same ``seq``.
    """

    __slots__ = ("_in_order", "_keys", "_numbers", "_offsets", "_sizes", "_sources", "_times", "_where", "root")

    def __init__(self, sources: Sequence[Source], root: str) -> None:
        self._sources = sources
        self.root = root
        self._keys = array("q")  # three times the seq, and its rank
        self._times = array("q")
        self._offsets = array("q")
        self._numbers = array("q")  # of the line in its file, from 1
        self._sizes = array("L")
        self._where = array("H")  # index of the source
        self._in_order = True

    def add(self, source: int, line: LogLine) -> bool:
        """Add a line, in any order; return False if it has no usable seq. O(1)."""
        if not self._add_key(line.head):
            return False
        self._offsets.append(line.offset)
        self._numbers.append(line.line)
        self._sizes.append(len(line.raw))
        self._where.append(source)
        self._sources[source].keep(line)
        return True

    def _add_key(self, head: Any) -> bool:
        seq = head.seq
        if seq is None or not -_WIDEST < seq < _WIDEST:
            return False
        key = 3 * seq + rank_of(head)
        if self._keys and key < self._keys[-1]:
            self._in_order = False
        self._keys.append(key)
        time_ns = head.time_ns or 0
        self._times.append(time_ns if -_WIDEST < time_ns < _WIDEST else 0)
        return True

    def add_block(self, source: int, block: Block, numbers: Sequence[int]) -> list[int]:
        """Add lines of a block of a log that can be read again.

        Returns the numbers of those without a usable seq. O(lines).
        """
        heads, raws = block.heads, block.raws
        unusable = [n for n in numbers if not self._add_key(heads[n])]
        if unusable:
            numbers = [n for n in numbers if n not in unusable]
        self._offsets.extend([block.offset(n) for n in numbers])
        self._numbers.extend([block.number(n) for n in numbers])
        self._sizes.extend([len(raws[n]) for n in numbers])
        self._where.extend([source] * len(numbers))
        return unusable

    def arrange(self) -> None:
        """Put the lines in order.

        O(1) if they are in order already, as usual; else O(lines log lines).
        """
        if self._in_order:
            return
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        for name in ("_keys", "_times", "_offsets", "_numbers", "_sizes", "_where"):
            old: Any = getattr(self, name)
            setattr(self, name, array(old.typecode, map(old.__getitem__, order)))
        self._in_order = True

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, n: Any) -> Any:
        """Return line n, which is read again. O(line)."""
        return self.whole(n).seen_from(self.root)

    def whole(self, n: int) -> LogLine:
        """Return line n as it is in the log, where its root may be another one.

        O(line).
        """
        return self.source(n).line(self._offsets[n], self._sizes[n], self._numbers[n])

    def heads(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Yield (number, head for a replay) of lines.

        The head is None for one that needs `whole`. O(lines): those near each other in a log are parsed together.
        """
        while start < stop:
            first = self._offsets[start]
            end, n = first, start
            found: list[Any] = [None]
            # as long as the next line is in the same log, behind this one, and in the same piece of it
            while (
                n < stop
                and self._where[n] == self._where[start]
                and self._offsets[n] >= end
                and self._offsets[n] + self._sizes[n] <= first + _PIECE
            ):
                end = self._offsets[n] + self._sizes[n]
                n += 1
            if n == start:
                n += 1
            else:
                piece = self.source(start).bytes_at(first, end - first)
                spans = zip(self._offsets[start:n], self._sizes[start:n], strict=True)
                found = heads_of(b"".join([piece[at - first : at - first + size] for at, size in spans]), n - start)
            yield from enumerate(found, start)
            start = n

    def positions(self) -> Iterator[tuple[int, int, int]]:
        """Yield (place in the order, log, first byte) of each line."""
        return zip(self._keys, self._where, self._offsets, strict=True)

    def __iter__(self) -> Iterator[LogLine]:
        for n in range(len(self._keys)):
            yield self[n]

    def source(self, n: int) -> Source:
        """Return the log that line n is in. O(1)."""
        return self._sources[self._where[n]]

    def count_until(self, point: Point) -> int:
        """Return the number of lines up to and including a point.

        O(log lines) for a seq, O(lines) for a time.
        """
        seq, ns = point
        if seq is not None:
            return bisect.bisect_right(self._keys, 3 * min(seq, _WIDEST) + 2)
        if ns is None:
            return len(self._keys)
        return next((n for n, time in enumerate(self._times) if time > ns), len(self._times))

    def repeated(self) -> Iterator[int]:
        """Yield the seq of each change that occurs again. O(lines)."""
        keys = self._keys
        return (keys[n] // 3 for n in range(1, len(keys)) if keys[n] == keys[n - 1] and keys[n] % 3 == 1)
