"""Logs as the commands take them: several files as one, the end of a file, a file that grows."""

from __future__ import annotations

import contextlib
import heapq
import io
import os
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, Self

from pydatatracker.cli.filters import Filter
from pydatatracker.cli.progress import Bar
from pydatatracker.io.line import LogLine
from pydatatracker.io.parsing import NotAChange, parse
from pydatatracker.io.reader import ChangeReader, LogFormatError

__all__ = ["Logs", "follow"]

Report = Callable[[LogFormatError], object]
_BLOCK: Final = 1 << 18
_KNOWN: Final = 256  # bytes by which a file is known again
_PATIENCE: Final = 0.2  # seconds between two looks at a file that grows


class Logs:
    """Several logs, read as one in the order of time; ``bad`` counts the lines that could not be read or used.

    ``-`` is standard input. Raises OSError for a file that cannot be opened, before anything is read.
    """

    def __init__(self, names: Iterable[str], report: Report) -> None:
        self.readers: list[ChangeReader] = []
        self.names = list(names) or ["-"]
        self.bar = Bar()
        self.faults = 0  # lines that were read, and could not be used
        self._told = report
        try:
            for name in self.names:
                self.readers.append(self._open(name))
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> ChangeReader:
        if name != "-":
            if is_compressed(name) == "zstd" and sys.version_info < (3, 14):
                import zstandard  # noqa: F401  # that it is missing is no fault of the log
            reader = ChangeReader(name, on_error=self._report)
            reader.name = name
            return reader
        if sys.stdin is None:
            raise FileNotFoundError(2, "there is no standard input", "-")
        reader = ChangeReader(open(0, "rb", closefd=False), on_error=self._report)  # noqa: SIM115
        reader.name = "<stdin>"
        return reader

    def _report(self, error: LogFormatError) -> None:
        self.bar.hide()
        self._told(error)

    @property
    def bad(self) -> int:
        """Lines that could not be read or used, so far."""
        return self.faults + sum(reader.passed_over for reader in self.readers)

    @property
    def is_file(self) -> bool:
        """Whether this is one regular file: what may come slowly is shown as it comes."""
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
        """Yield the lines that are wanted; those of several files by time. Memory: a block a file."""
        return (line for _, line in self.numbered(wanted))

    def numbered(self, wanted: Filter | None = None) -> Iterator[tuple[int, LogLine]]:
        """Yield (which log, line) as `lines` does."""
        self._begin()
        if not self.is_file:
            for n, line in enumerate(self.readers[0]):  # line by line: what comes slowly is shown as it comes
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

    def heads(self, wanted: Filter) -> Iterator[list[Any]]:
        """Yield the heads of the lines that are wanted, many at a time, file by file: where no value is looked at."""
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
        """Return the root of the first line, which is called by no number; nothing where that can be read only once."""
        for name in self.names[:1]:
            if name != "-" and self.is_file:
                with ChangeReader(name, on_error=lambda error: None) as reader:
                    for line in reader:
                        if not line.is_gap:
                            return {(line.pid, line.root): ""}
        return {}

    def tail(self, count: int, wanted: Filter, end: int | None = None) -> list[LogLine]:
        """Return the last lines, before byte end, that are wanted. Of one plain file only its end is read."""
        if len(self.names) == 1 and self.names[0] != "-" and self.is_file:
            with open(self.names[0], "rb") as file:
                if file.read(4)[:2] not in (b"\x1f\x8b", b"\x28\xb5"):
                    return self._tail_of(file, count, wanted, file.seek(0, io.SEEK_END) if end is None else end)
        return list(deque(self.lines(wanted), maxlen=count)) if count else []

    def _tail_of(self, file: IO[bytes], count: int, wanted: Filter, end: int) -> list[LogLine]:
        found: deque[LogLine] = deque()
        rest: list[bytes] = []  # the beginning of a line, in pieces, the last first
        while end > 0 and len(found) < count:
            start = max(0, end - _BLOCK)
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
                    self.readers[0].passed_over += 1
                    self._report(LogFormatError(self.names[0], 0, offset, str(error)))
                    continue
                if wanted.keeps(line):
                    found.appendleft(line)
        return list(found)


def _timed(lines: Iterable[LogLine], number: int) -> Iterator[tuple[int, int, LogLine]]:
    # a file's own order stays: a clock that was set back must not reorder it
    now = 0
    for line in lines:
        when = line.time_ns
        if when is None and (moment := line.created_time) is not None:
            when = int(moment.timestamp() * 1_000_000) * 1000
        now = max(now, when or 0)
        yield now, number, line


def follow(name: str, report: Report, wanted: Filter, tail: int | None = None) -> Iterator[LogLine | None]:
    """Yield the lines of a file as they are written, for ever; None when there is nothing new at the moment.

    A file that is cut short is read from its start, one that is replaced (rotated) to its end and then the new one. A
    line is shown when its newline is there. ``tail``: of what is there already only so many lines.
    """
    start = 0
    if tail is not None:
        with open(name, "rb") as file:
            start = _end_of_lines(file)
        with Logs([name], report) as logs:
            yield from logs.tail(tail, wanted, start)
    file = open(name, "rb")  # noqa: SIM115
    number = 0
    offset = file.seek(start)
    pending = b""
    last = _before(file)  # the end of what was read: another text in front of us is another file
    try:
        while True:
            while more := file.read(_BLOCK):
                last = (last + more)[-_KNOWN:]
                *raws, pending = (pending + more).split(b"\n")
                for raw in raws:
                    number += 1
                    try:
                        line = parse(raw + b"\n", number, offset)
                    except NotAChange as error:
                        if raw.strip():
                            report(LogFormatError(name, number, offset, str(error)))
                    else:
                        if wanted.keeps(line):
                            yield line
                    offset += len(raw) + 1
            yield None
            time.sleep(_PATIENCE)
            with contextlib.suppress(OSError):  # between rotation and the new file there is none
                now, mine = os.stat(name), os.fstat(file.fileno())
                if (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev):
                    if mine.st_size > file.tell():
                        continue  # its last lines first
                    other = open(name, "rb")  # noqa: SIM115
                    file.close()
                    file = other
                elif now.st_size >= file.tell() and _before(file) == last:
                    continue
                file.seek(0)  # cut short, and perhaps as long again as it was
                number = offset = 0
                pending = last = b""
    finally:
        file.close()


def is_compressed(name: str) -> str:
    """Return "gzip" or "zstd" for a regular file that is, else "". Raises OSError."""
    if not stat.S_ISREG(os.stat(name).st_mode):
        return ""
    with open(name, "rb") as file:
        start = file.read(2)
    return "gzip" if start == b"\x1f\x8b" else "zstd" if start == b"\x28\xb5" else ""


def _before(file: IO[bytes]) -> bytes:
    here = file.tell()
    file.seek(max(0, here - _KNOWN))
    found = file.read(here - file.tell())
    file.seek(here)
    return found


def _end_of_lines(file: IO[bytes]) -> int:
    end = file.seek(0, io.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def expanded(names: Iterable[str]) -> list[str]:
    """Return names with globs that the shell left alone resolved, in order."""
    import glob

    found = []
    for name in names:
        matches = sorted(glob.glob(name)) if any(sign in name for sign in "*?[") and not os.path.exists(name) else []
        found.extend(matches or [name])
    return found
