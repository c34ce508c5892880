"""Logs as the commands read them: several files as one, or the end of one."""

from __future__ import annotations

import errno
import heapq
import io
import os
import shlex
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, Self

from pydatatracker.cli.catalog import PROGRAM
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.progress import Bar
from pydatatracker.io.line import LogLine, nanoseconds_of
from pydatatracker.io.parsing import Block, NotAChange, parse
from pydatatracker.io.reader import ChangeReader, LogFormatError

__all__ = ["BLOCK", "Logs", "NotLines", "Report", "expanded", "is_compressed"]

Report = Callable[[LogFormatError], object]
BLOCK: Final = 1 << 18  # bytes that are read at once
_SQLITE: Final = b"SQLite format 3\0"


class Logs:
    """Several logs, read as one in the order of time.

    ``-`` is standard input. ``bad`` counts the lines that could not be read or used. Raises OSError if a file cannot be
    opened, before anything is read.
    """

    def __init__(self, names: Iterable[str], report: Report) -> None:
        self.readers: list[ChangeReader] = []
        self.names = list(names) or ["-"]
        self.bar = Bar()
        self.faults = 0  # lines that were read but could not be used
        self._on_error = report
        try:
            for name in self.names:
                self.readers.append(self._open(name))
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> ChangeReader:
        if name != "-":
            if is_compressed(name) == "zstd" and sys.version_info < (3, 14):
                import zstandard  # noqa: F401  # without it, this is an error of the installation, not of the log
            reader = ChangeReader(name, on_error=self._report)
            reader.name = name
            return reader
        if sys.stdin is None:
            raise FileNotFoundError(2, "there is no standard input", "-")
        file = open(0, "rb", closefd=False)  # noqa: SIM115
        if file.peek(len(_SQLITE)).startswith(_SQLITE):
            raise NotLines("<stdin>")
        reader = ChangeReader(file, on_error=self._report)
        reader.name = "<stdin>"
        return reader

    def _report(self, error: LogFormatError) -> None:
        self.bar.hide()
        self._on_error(error)

    @property
    def bad(self) -> int:
        """The number of lines so far that could not be read or used."""
        return self.faults + sum(reader.skipped for reader in self.readers)

    @property
    def is_file(self) -> bool:
        """Whether the logs are regular files, and not a pipe or a terminal.

        The lines of a pipe may arrive slowly, and are shown as they arrive.
        """
        if len(self.names) != 1:
            return True
        try:
            status = os.fstat(0) if self.names[0] == "-" else os.stat(self.names[0])
            return stat.S_ISREG(status.st_mode)
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self.bar.hide()
        for reader in self.readers:
            reader.close()

    def lines(self, wanted: Filter | None = None) -> Iterator[LogLine]:
        """Yield the wanted lines, those of several files by time.

        Memory: one block per file.
        """
        return (line for _, line in self.numbered(wanted))

    def numbered(self, wanted: Filter | None = None) -> Iterator[tuple[int, LogLine]]:
        """Yield (index of the log, line) as `lines` does."""
        self._begin()
        if not self.is_file:
            for n, line in enumerate(self.readers[0]):  # line by line, as they may arrive slowly
                if not n & 127:
                    self.bar.update(self._position())
                if wanted is None or wanted.keeps(line):
                    yield 0, line
        elif len(self.readers) == 1:
            for line in self._wanted(self.readers[0], wanted):
                yield 0, line
        else:
            timed = [_timed(self._wanted(reader, wanted), n) for n, reader in enumerate(self.readers)]
            for _, number, line in heapq.merge(*timed, key=lambda each: each[:2]):
                yield number, line
        self.bar.hide()

    def blocks(self, purpose: str) -> Iterator[Block]:
        """Yield the lines of a single log as `ChangeReader.blocks` does."""
        (reader,) = self.readers
        self._begin()
        for block in reader.blocks(purpose):
            self.bar.update(self._position())
            yield block
        self.bar.hide()

    def heads(self, wanted: Filter) -> Iterator[list[Any]]:
        """Yield the heads of the wanted lines, many at a time, file by file.

        For commands that need no values.
        """
        wants, may_hold, keeps = wanted.wants, wanted.may_hold, wanted.keeps
        self._begin()
        for reader in self.readers:
            for block in reader.blocks():
                self.bar.update(self._position())
                if wanted.is_empty:
                    yield block.heads
                elif wanted.is_of_heads:
                    yield [head for head in block.heads if wants(head)]
                else:
                    yield [
                        head
                        for n, head in enumerate(block.heads)
                        if wants(head) and may_hold(block.raws[n], head) and keeps(block.line(n))
                    ]
        self.bar.hide()

    def _begin(self) -> None:
        sizes = [reader.size for reader in self.readers]
        self.bar.start("reading", None if None in sizes else sum(filter(None, sizes)))

    def _position(self) -> int:
        return sum(reader.position for reader in self.readers)

    def _wanted(self, reader: ChangeReader, wanted: Filter | None) -> Iterator[LogLine]:
        if wanted is None or wanted.is_empty:
            for n, line in enumerate(reader):
                if not n & 127:
                    self.bar.update(self._position())
                yield line
            return
        wants, may_hold, keeps, exact = wanted.wants, wanted.may_hold, wanted.keeps, wanted.is_of_heads
        for block in reader.blocks():
            self.bar.update(self._position())
            for n, head in enumerate(block.heads):
                if wants(head) and may_hold(block.raws[n], head):
                    line = block.line(n)
                    if exact or keeps(line):
                        yield line

    def first_root(self) -> dict[tuple[int | None, str], str]:
        """Return the root of the first line, which has no number in front.

        Empty if the log can be read only once.
        """
        for name in self.names[:1]:
            if name != "-" and self.is_file:
                with ChangeReader(name, on_error=lambda error: None) as reader:
                    for line in reader:
                        if not line.is_gap:
                            return {(line.pid, line.root): ""}
        return {}

    def tail(self, count: int, wanted: Filter, end: int | None = None) -> list[LogLine]:
        """Return the last wanted lines, before byte ``end``.

        Only the end is read of a single uncompressed file.
        """
        if len(self.names) == 1 and self.names[0] != "-" and self.is_file:
            with open(self.names[0], "rb") as file:
                if file.read(4)[:2] not in (b"\x1f\x8b", b"\x28\xb5"):
                    return self._tail_of(file, count, wanted, file.seek(0, io.SEEK_END) if end is None else end)
        return list(deque(self.lines(wanted), maxlen=count)) if count else []

    def _tail_of(self, file: IO[bytes], count: int, wanted: Filter, end: int) -> list[LogLine]:
        found: deque[LogLine] = deque()
        rest: list[bytes] = []  # the beginning of a line, in pieces, last one first
        while end > 0 and len(found) < count:
            start = max(0, end - BLOCK)
            file.seek(start)
            block = file.read(end - start)
            end = start
            first = block.find(b"\n") + 1 if start else 0
            if start and not first:
                rest.append(block)
                continue
            text = block[first:] + b"".join(reversed(rest))
            rest = [block[:first]]
            if not text.endswith(b"\n"):
                text += b"\n"  # the file's last line, torn
            offset = start + first + len(text)
            for raw in reversed(text[:-1].split(b"\n")):
                offset -= len(raw) + 1
                if len(found) == count:
                    break
                if offset == 0 and raw[:3] == b"\xef\xbb\xbf":
                    raw, offset = raw[3:], 3
                if not raw.strip():
                    continue
                try:
                    line = parse(raw + b"\n", 0, offset)
                except NotAChange as error:
                    self.readers[0].skipped += 1
                    self._report(LogFormatError(self.names[0], 0, offset, str(error)))
                    continue
                if not line.is_seal and wanted.keeps(line):
                    found.appendleft(line)
        return list(found)


def _timed(lines: Iterable[LogLine], number: int) -> Iterator[tuple[int, int, LogLine]]:
    # a file keeps its own order, even if the clock was set back
    now = 0
    for line in lines:
        now = max(now, nanoseconds_of(line) or 0)
        yield now, number, line


class NotLines(OSError):
    """A file is not a log of lines: an SQLite database."""

    def __init__(self, name: str) -> None:
        path = "FILE" if name == "<stdin>" else shlex.quote(name)
        super().__init__(
            errno.EINVAL,
            "it is an SQLite database, not a file of lines; read the lines in it with: sqlite3"
            f" {path} 'SELECT line FROM changes ORDER BY seq' | {PROGRAM} show -",
            name,
        )


def is_compressed(name: str) -> str:
    """Return "gzip" or "zstd" for a compressed regular file, else "".

    Raises OSError, and NotLines for an SQLite database.
    """
    if not stat.S_ISREG(os.stat(name).st_mode):
        return ""
    with open(name, "rb") as file:
        start = file.read(len(_SQLITE))
    if start == _SQLITE:
        raise NotLines(name)
    start = start[:2]
    return "gzip" if start == b"\x1f\x8b" else "zstd" if start == b"\x28\xb5" else ""


def expanded(names: Iterable[str]) -> list[str]:
    """Return names, with globs that the shell did not expand expanded."""
    import glob

    found = []
    for name in names:
        matches = sorted(glob.glob(name)) if any(sign in name for sign in "*?[") and not os.path.exists(name) else []
        found.extend(matches or [name])
    return found
