"""The reader of logs: lines one by one or in blocks, plain or compressed.

Lines that cannot be read are skipped and reported.
"""

from __future__ import annotations

import functools
import io
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any, Final, Self

from pydatatracker.io.compression import decompressed, is_file_error
from pydatatracker.io.line import LogLine
from pydatatracker.io.parsing import Block, NotAChange, SlowBlock, parse, parse_all, split
from pydatatracker.values.pickles import Handle, PicklableError

__all__ = ["ChangeReader", "LogFormatError", "read_changes"]

MAX_LINE: Final = 1 << 28  # bytes; a file with a longer line is not a log
_BLOCK: Final = 1 << 18  # bytes read at a time
_BOM: Final = b"\xef\xbb\xbf"


class LogFormatError(PicklableError, ValueError):
    """A line of a log cannot be read.

    ``name`` is the file, ``line`` the number from 1, ``offset`` the position in bytes, ``reason`` what is wrong. The
    offset is -1 for a row of a database, which the reason names.
    """

    def __init__(self, name: str, line: int, offset: int, reason: str) -> None:
        super().__init__(name, line, offset, reason)
        self.name = name
        self.line = line
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        if self.offset < 0:
            return f"{self.name}: {self.reason}"
        line = f"line {self.line}, " if self.line else ""  # lines read from the end have no number
        return f"{self.name}: {line}byte {self.offset}: {self.reason}"


def read_changes(
    source: str | os.PathLike[str] | IO[Any],
    *,
    strict: bool = False,
    on_error: Callable[[LogFormatError], object] | None = None,
) -> ChangeReader:
    r"""Return an iterator over the lines of a log, in the order of the file.

    Memory: one line. Lines that cannot be read are skipped; empty ones are ignored, and so are lines that are only
    about the seals of a log.

    :param source: a path, ``"-"`` for standard input, or a file object, binary or text; gzip and zstd are recognised.
    :param strict: raise LogFormatError at the first line that cannot be read.
    :param on_error: is called with a LogFormatError for each line that is skipped. Without it, that is a warning of
        the logger ``pydatatracker``.
    :raises OSError: the file cannot be opened.

    >>> import io
    >>> log = io.BytesIO(b'{"v":1,"action":"add"}\n[1]\n{"v":1,"action":"remove"}\n')
    >>> [line.action for line in read_changes(log, on_error=print)]
    <BytesIO>: line 2, byte 23: JSON, but list, not an object
    ['add', 'remove']
    """
    return ChangeReader(source, strict=strict, on_error=on_error)


class ChangeReader(Handle):
    r"""An iterator over a log, which `read_changes` returns.

    It counts the lines that it skips, and can be closed.

    >>> import io
    >>> with ChangeReader(io.BytesIO(b"?\n"), on_error=lambda error: None) as reader:
    ...     list(reader), reader.skipped
    ([], 1)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | IO[Any],
        *,
        strict: bool = False,
        on_error: Callable[[LogFormatError], object] | None = None,
    ) -> None:
        self.skipped = 0  # lines that could not be read, so far
        self._strict = strict
        self._on_error = on_error
        self._packed = False
        self._closed = False
        self._own: list[Callable[[], object]] = []  # what close() has to call, outermost first
        self._outer: Any = None  # the file as it was given, compressed or not
        self._file, self.name = self._open(source)
        self._lines = self._run()

    def __iter__(self) -> Iterator[LogLine]:
        return self._lines

    def __next__(self) -> LogLine:
        return next(self._lines)

    def __enter__(self) -> Self:
        if self._closed:
            raise ValueError(f"the reader of {self.name} is closed: open another one to read the log again")
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and close the file if it was opened here.

        O(1). Happens by itself at the end of the file.
        """
        self._closed = True
        self._lines.close()
        self._close_own()

    def _close_own(self) -> None:
        while self._own:
            self._own.pop(0)()

    @property
    def size(self) -> int | None:
        """Bytes of the file, before decompression; None if not a file. O(1)."""
        try:
            status = os.fstat(self._outer.fileno())
        except (OSError, ValueError, AttributeError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    @property
    def position(self) -> int:
        """Bytes of the file read so far; 0 where that is unknown. O(1)."""
        try:
            return int(self._outer.tell())
        except (OSError, ValueError, AttributeError):
            return self.size or 0

    def _open(self, source: Any) -> tuple[Any, str]:
        """Return (object with readline() for bytes, name for messages)."""
        if isinstance(source, (str, bytes, os.PathLike)):
            name: Any = os.fsdecode(source)
            if name == "-":
                return self._open(sys.stdin)[0], "<stdin>"
            file: Any = open(name, "rb", buffering=_BLOCK)  # noqa: SIM115
            self._own.append(file.close)
        else:
            name = getattr(source, "name", None)
            name = name if isinstance(name, str) else f"<{type(source).__name__}>"
            file = getattr(source, "buffer", source)
            if not callable(getattr(file, "readline", None)):
                raise TypeError(f"a log is a path or a file object, not {type(source).__name__}")
            if isinstance(file, io.RawIOBase):
                file = io.BufferedReader(file, _BLOCK)
                self._own.append(file.detach)  # the file stays the caller's, and open
            if isinstance(file, io.TextIOBase):
                return _Encoded(file), name
        self._outer = file
        unpacked = decompressed(file)
        if unpacked is not None:
            file = io.BufferedReader(unpacked, _BLOCK)
            self._own.insert(0, file.close)
            self._packed = True
        return file, name

    def _run(self) -> Generator[LogLine, None, None]:
        number = offset = 0
        readline = functools.partial(self._file.readline, MAX_LINE)
        try:
            while raw := readline():
                number += 1
                if offset == 0 and raw[:3] == _BOM:
                    raw, offset = raw[3:], 3
                if len(raw) == MAX_LINE and raw[-1:] != b"\n":
                    self._bad(number, offset, f"no newline for {MAX_LINE:,} bytes")
                    offset += len(raw) + _skip_line(readline)
                    continue
                if raw and not raw.isspace():  # a file may consist of a BOM
                    try:
                        line = parse(raw, number, offset)
                    except NotAChange as error:
                        self._bad(number, offset, str(error))
                    else:
                        if not line.is_seal:
                            yield line
                offset += len(raw)
        except Exception as error:  # a torn gzip, a disk that fails
            if not is_file_error(error):
                raise
            self._bad(number + 1, offset, f"reading stopped ({type(error).__name__}: {error})")
        finally:
            self._close_own()

    def blocks(self, purpose: str = "filter") -> Iterator[Block]:
        """Yield the lines in blocks, which is faster for long logs.

        Memory: a block of 256 KB. A block is yielded when it is full, so this is for files, not for pipes.

        :param purpose: what the heads are for: a filter, the order of the lines, or a replay.
        """
        number = offset = 0
        file = self._file
        read, size = (file.read, _BLOCK) if hasattr(file, "read") else (file.readline, MAX_LINE)
        if self._packed:
            read = file.read1  # keeps what was read of a torn file before the error
        stopped: Exception | None = None
        try:
            while stopped is None and (block := read(size)):
                if block[-1:] != b"\n":
                    try:
                        block += file.readline(MAX_LINE)
                    except Exception as error:
                        stopped = error
                        block = block[: block.rfind(b"\n") + 1]
                if len(block) >= MAX_LINE and block[-1:] != b"\n":
                    self._bad(number + 1, offset, f"no newline for {MAX_LINE:,} bytes")
                    number, offset = number + 1, offset + len(block) + _skip_line(file.readline)
                    continue
                whole = parse_all(block, number, offset, purpose)
                if whole is not None:
                    yield from whole.without_seals()
                    number += len(whole.heads)
                else:
                    raws = split(block)
                    yield self._parsed(raws, number, offset)
                    number += len(raws)
                offset += len(block)
            if stopped is not None:
                raise stopped
        except Exception as error:
            if not is_file_error(error):
                raise
            self._bad(number + 1, offset, f"reading stopped ({type(error).__name__}: {error})")
        finally:
            self._close_own()

    def _parsed(self, raws: list[bytes], number: int, offset: int) -> Block:
        found = []
        for raw in raws:
            number += 1
            start = offset
            offset += len(raw)
            if start == 0 and raw[:3] == _BOM:
                raw, start = raw[3:], 3
            if raw.isspace() or not raw:
                continue
            try:
                line = parse(raw, number, start)
            except NotAChange as error:
                self._bad(number, start, str(error))
            else:
                if not line.is_seal:
                    found.append(line)
        return SlowBlock(found)

    def _bad(self, number: int, offset: int, reason: str) -> None:
        error = LogFormatError(self.name, number, offset, reason)
        self.skipped += 1
        if self._strict:
            raise error
        if self._on_error is None:
            import logging

            logging.getLogger("pydatatracker").warning("%s", error)
        else:
            self._on_error(error)


def _skip_line(readline: Callable[[], bytes]) -> int:
    """Read to the end of the line; return how many bytes that were."""
    size = 0
    while raw := readline():
        size += len(raw)
        if raw[-1:] == b"\n":
            break
    return size


class _Encoded:
    """Lines of a text file as bytes."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readline(self, size: int) -> bytes:
        text: str = self._file.readline(size)
        return text.encode("utf-8", "surrogatepass")
