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


def decompressed(file: Any) -> io.RawIOBase | None:
    """Return a stream of the decompressed bytes, None if not compressed.

    :param file: binary, positioned at its start. If it can neither peek nor seek, it counts as not compressed.
    """
    start = _start_of(file)
    if start[:2] == _GZIP:
        import gzip

        return _Pieces(gzip.GzipFile(fileobj=file))
    return _Pieces(_unzstd(file)) if start == _ZSTD else None


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
    """The content of the zstd frames of a file.

    Other than the reader of zstandard, it raises EOFError for a truncated frame instead of ending there.
    """

    def __init__(self, file: Any, frame: Callable[[], Any]) -> None:
        self._file = file
        self._new = frame
        self._frame: Any = None  # the frame being read
        self._given = b""  # bytes of the file that no frame has consumed yet
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            given, self._given = self._given or self._file.read(4096), b""  # little, since it may decompress to much
            if not given:
                torn, self._frame = self._frame, None
                if torn is not None:
                    raise EOFError("the last zstd frame is truncated")
                return 0
            if self._frame is None:
                self._frame = self._new()
            self._ready = self._frame.decompress(given)
            if self._frame.eof:
                self._given, self._frame = self._frame.unused_data, None
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


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

        return zstd.ZstdFile(file)
    except ImportError:
        try:
            import zstandard  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            return _Unreadable('zstd before Python 3.14 needs zstandard: pip install "pydatatracker[cli]"')
        return _Frames(file, zstandard.ZstdDecompressor().decompressobj)
