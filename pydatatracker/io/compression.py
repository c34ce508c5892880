"""Compressed logs: gzip and zstd.

They are recognised by their first bytes. Where a file is truncated or corrupt, everything before that is still read.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any, Final

__all__ = ["decompressed", "is_file_error"]

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"  # bytes 2 to 4 of a frame without content; the first is 0x50 to 0x5f
_FEED: Final = 256  # compressed bytes per step: at most 8 MB of content, since 4 bytes may stand for 128 KB


def decompressed(file: Any) -> io.RawIOBase | None:
    """Return a stream of the decompressed bytes, None if not compressed.

    :param file: binary, positioned at its start. If it can neither peek nor seek, it counts as not compressed.
    """
    start = _start_of(file)
    if start[:2] == _GZIP:
        import gzip

        return _Pieces(gzip.GzipFile(fileobj=file))
    return _Pieces(_unzstd(file)) if start == _ZSTD or _is_skippable(start) else None


def is_file_error(error: Exception) -> bool:
    """Return whether an error is the file's: unreadable, truncated, corrupt."""
    # ZstdError derives from Exception alone, in each of the libraries that read zstd
    return isinstance(error, (OSError, EOFError, zlib.error)) or type(error).__name__ == "ZstdError"


def _start_of(file: Any) -> bytes:
    if hasattr(file, "peek"):
        return bytes(file.peek(4)[:4])
    if hasattr(file, "seekable") and file.seekable():
        here = file.tell()
        start = file.read(4)
        file.seek(here)
        return bytes(start)
    return b""


def _is_skippable(start: bytes) -> bool:
    # pzstd, for one, begins each of its frames with one
    return start[1:] == _SKIPPABLE and 0x50 <= start[0] <= 0x5F


class _Pieces(io.RawIOBase):
    """A decompressor read in small pieces.

    A larger read of a truncated file would lose everything that came before the error.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Frames(io.RawIOBase):
    """The content of the zstd frames of a file, in bounded memory.

    Other than the reader of zstandard, it raises EOFError for a truncated frame instead of ending there. Skippable
    frames are skipped, wherever they are.
    """

    def __init__(self, file: Any, frame: Callable[[], Any]) -> None:
        self._file = file
        self._new = frame
        self._frame: Any = None  # the frame being read
        self._given = b""  # bytes of the file that no frame has consumed yet
        self._ready = io.BytesIO()  # content, which is not copied again by each read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            size = self._ready.readinto(buffer)
            if size:
                return size
            if not self._more():
                return 0

    def _more(self) -> bool:
        """Decompress a little; False at the end of the file."""
        if self._frame is None and not self._begin():
            return False
        given, self._given = self._given or self._file.read(_FEED), b""
        if not given:
            self._frame = None
            raise EOFError("the last zstd frame is truncated")
        self._ready = io.BytesIO(self._frame.decompress(given))
        if self._frame.eof:
            self._given, self._frame = self._frame.unused_data, None
        return True

    def _begin(self) -> bool:
        """Begin a frame with content; False if there is none."""
        while True:
            start = self._take(4)
            if not start:
                return False
            if len(start) < 4 or not _is_skippable(start):
                break
            size = self._take(4)
            left = int.from_bytes(size, "little")
            while left and len(size) == 4:
                piece = self._take(min(left, 1 << 16))
                if not piece:
                    break
                left -= len(piece)
            if left or len(size) < 4:
                raise EOFError("the last zstd frame is truncated")
        self._given = start + self._given
        self._frame = self._new()
        return True

    def _take(self, size: int) -> bytes:
        """Return the next bytes of the file; fewer only at its end."""
        while len(self._given) < size:
            more = self._file.read(size - len(self._given))
            if not more:
                break
            self._given += more
        taken, self._given = self._given[:size], self._given[size:]
        return taken


class _Unreadable(io.RawIOBase):
    """A stream whose reads raise OSError with a reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(self._reason)


def _unzstd(file: Any) -> Any:
    """Return the decompressed stream of a zstd file.

    Its reads raise OSError where no zstd library is installed.
    """
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # 3.14

        return _Frames(file, zstd.ZstdDecompressor)
    except ImportError:
        try:
            import zstandard  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            return _Unreadable('zstd before Python 3.14 needs zstandard: pip install "pydatatracker[cli]"')
        return _Frames(file, lambda: zstandard.ZstdDecompressor().decompressobj(write_size=1 << 15))
