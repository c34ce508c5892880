"""A log that grows: its lines as they are written.

Rotation and truncation are detected.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator
from typing import IO, Final

from pydatatracker.cli.filters import Filter
from pydatatracker.cli.replay.logs import BLOCK, Logs, Report
from pydatatracker.io.line import LogLine
from pydatatracker.io.parsing import NotAChange, parse
from pydatatracker.io.reader import LogFormatError

__all__ = ["follow"]

_KNOWN: Final = 256  # bytes by which a file is recognized
_PATIENCE: Final = 0.2  # seconds between two looks at the file


def follow(name: str, report: Report, wanted: Filter, tail: int | None = None) -> Iterator[LogLine | None]:
    """Yield the lines of a file as they are written, without end.

    Yields None when there is nothing new at the moment. A file that is truncated is read from its start again; one that
    is replaced (rotated) is read to its end, and then the new file. A line is complete when its newline is there.

    :param tail: how many of the existing lines are yielded; by default all.
    """
    start = 0
    if tail is not None:
        with open(name, "rb") as file:
            start = _end_of_lines(file)
        with Logs([name], report) as logs:
            yield from logs.tail(tail, wanted, start)
    growing = _GrowingFile(name, report, start)
    try:
        while True:
            yield from filter(wanted.keeps, growing.new_lines())
            yield None
            time.sleep(_PATIENCE)
            growing.check()
    finally:
        growing.close()


class _GrowingFile:
    """A log read as it grows, and again if it was truncated or replaced."""

    def __init__(self, name: str, report: Report, start: int) -> None:
        self._name = name
        self._report = report
        self._file: IO[bytes] = open(name, "rb")  # noqa: SIM115
        self._number = 0  # of the last line
        self._offset = self._file.seek(start)  # of the next line
        self._pending = b""  # the beginning of the next line
        self._last = _before(self._file)  # the end of what was read: if it differs later, the file is another one

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the lines that are complete by now, and report unreadable ones."""
        while more := self._file.read(BLOCK):
            self._last = (self._last + more)[-_KNOWN:]
            *raws, self._pending = (self._pending + more).split(b"\n")
            for raw in raws:
                self._number += 1
                try:
                    line = parse(raw + b"\n", self._number, self._offset)
                except NotAChange as error:
                    if raw.strip():
                        self._report(LogFormatError(self._name, self._number, self._offset, str(error)))
                else:
                    if not line.is_seal:
                        yield line
                self._offset += len(raw) + 1

    def check(self) -> None:
        """Start again if the file was truncated, or replaced and read to its end."""
        with contextlib.suppress(OSError):  # between rotation and the new file there is no file
            now, mine = os.stat(self._name), os.fstat(self._file.fileno())
            if (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev):
                if mine.st_size > self._file.tell():
                    return  # first its last lines
                other = open(self._name, "rb")  # noqa: SIM115
                self._file.close()
                self._file = other
            elif now.st_size >= self._file.tell() and _before(self._file) == self._last:
                return
            self._file.seek(0)  # truncated, and perhaps as long as before again
            self._number = self._offset = 0
            self._pending = self._last = b""


def _before(file: IO[bytes]) -> bytes:
    here = file.tell()
    file.seek(max(0, here - _KNOWN))
    found = file.read(here - file.tell())
    file.seek(here)
    return found


def _end_of_lines(file: IO[bytes]) -> int:
    end = file.seek(0, io.SEEK_END)
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
