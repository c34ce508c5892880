"""Lines of logs that are needed a second time: kept is where each stands, 40 bytes a line, and not the line.

What a command replays must be in the order of ``seq``, and threads write their lines when they come to it. So a log
is read once to see what is there, and its lines are read again one by one, from the file itself; of what can be read
only once (a pipe) or only from its start (compressed) a copy is made on disk, without a name.
"""

from __future__ import annotations

import bisect
import os
import stat
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from pydatatracker.cli.filters import Point
from pydatatracker.io.line import LogLine
from pydatatracker.io.parsing import NotAChange, parse

__all__ = ["Kept", "Source"]

_WIDEST: Final = 1 << 61  # of a seq that fits


class Source:
    """A log whose lines can be read again.

    :raises OSError: the file cannot be opened.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        file = _plain_file(name)
        self._copies = file is None
        self._file: IO[bytes] = tempfile.TemporaryFile() if file is None else file  # noqa: SIM115

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def take(self, line: LogLine) -> None:
        """Make sure that a line can be read again. O(line)."""
        if self._copies:
            self._file.seek(line.offset)  # the holes between lines take no room
            self._file.write(line.raw)

    def line(self, offset: int, size: int, number: int) -> LogLine:
        """Return the line that stands there. O(size). Raises OSError if it does not any more."""
        self._file.seek(offset)
        raw = self._file.read(size)
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


class Kept(Sequence[LogLine]):
    """The lines of one root, in order of ``seq``, an init after the changes that it holds."""

    __slots__ = ("_in_order", "_keys", "_numbers", "_offsets", "_sizes", "_sources", "_times", "_where")

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._keys = array("q")  # twice the seq, odd for all but an init
        self._times = array("q")
        self._offsets = array("q")
        self._numbers = array("q")  # of the line in its file, from 1
        self._sizes = array("L")
        self._where = array("H")  # which source
        self._in_order = True

    def add(self, source: int, line: LogLine) -> bool:
        """Take a line, in any order; False for one whose seq is none. O(1)."""
        seq = line.seq
        if seq is None or not -_WIDEST < seq < _WIDEST:
            return False
        key = 2 * seq + (line.action != "init")
        if self._keys and key < self._keys[-1]:
            self._in_order = False
        self._keys.append(key)
        time_ns = line.time_ns or 0
        self._times.append(time_ns if -_WIDEST < time_ns < _WIDEST else 0)
        self._offsets.append(line.offset)
        self._numbers.append(line.line)
        self._sizes.append(len(line.raw))
        self._where.append(source)
        self._sources[source].take(line)
        return True

    def arrange(self) -> None:
        """Put the lines in order. O(lines) where they are, which is usual; else O(lines log lines)."""
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
        """Return line n, read again. O(line)."""
        return self.source(n).line(self._offsets[n], self._sizes[n], self._numbers[n])

    def __iter__(self) -> Iterator[LogLine]:
        for n in range(len(self._keys)):
            yield self[n]

    def source(self, n: int) -> Source:
        """Return where line n stands. O(1)."""
        return self._sources[self._where[n]]

    def upto(self, point: Point) -> int:
        """Return how many lines there are up to a point, that included. O(log lines), by time O(lines)."""
        seq, ns = point
        if seq is not None:
            return bisect.bisect_right(self._keys, 2 * min(seq, _WIDEST) + 1)
        if ns is None:
            return len(self._keys)
        return next((n for n, time in enumerate(self._times) if time > ns), len(self._times))

    def repeated(self) -> int:
        """Return how many changes came twice. O(lines)."""
        keys = self._keys
        return sum(1 for n in range(1, len(keys)) if keys[n] == keys[n - 1] and keys[n] & 1)
