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
    file = open(name, "rb")  # noqa: SIM115
    number = 0
    offset = file.seek(start)
    pending = b""
    last = _before(file)  # the end of what was read; if it differs later, the file is another one
    try:
        while True:
            while more := file.read(BLOCK):
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
            with contextlib.suppress(OSError):  # between rotation and the new file there is no file
                now, mine = os.stat(name), os.fstat(file.fileno())
                if (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev):
                    if mine.st_size > file.tell():
                        continue  # first its last lines
                    other = open(name, "rb")  # noqa: SIM115
                    file.close()
                    file = other
                elif now.st_size >= file.tell() and _before(file) == last:
                    continue
                file.seek(0)  # truncated, and perhaps as long as before again
                number = offset = 0
                pending = last = b""
    finally:
        file.close()


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
