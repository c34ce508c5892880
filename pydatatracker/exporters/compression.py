"""Compress a log that was rotated away."""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import Any, Final

from pydatatracker.io.files import like, open_log

__all__ = ["compress_file", "compressor_for"]

_BLOCK: Final = 1 << 15  # bytes of a log per block of zstd


def compress_file(path: str, how: str) -> None:
    """Replace a file by a compressed one, PATH.gz or PATH.zst.

    If that fails, the file is as it was.

    :param how: "gzip" or "zstd".
    """
    to = path + (".gz" if how == "gzip" else ".zst")
    part = to + ".tmp"
    try:
        compressor = compressor_for(how)
        with open(path, "rb") as source:
            fd = open_log(part, os.O_WRONLY | os.O_TRUNC)
            with open(fd, "wb", buffering=0) as file:  # a buffer would be written again when it is freed
                like(path, fd)
                while block := source.read(1 << 20):
                    _write_all(file, compressor.compress(block))
                _write_all(file, compressor.flush())
        os.replace(part, to)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    os.unlink(path)


def _write_all(file: Any, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def compressor_for(how: str) -> Any:
    """Return a compressor: "gzip" or "zstd".

    :raises ImportError: zstandard is missing, before Python 3.14.
    """
    if how == "gzip":
        return zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return _Blocks()


class _Blocks:
    """A zstd compressor that ends a block every 32 KiB.

    Of a truncated file, whole blocks can be read; zstd's own have 128 KiB. It makes files 0.5 % larger.
    """

    def __init__(self) -> None:
        zstd = _zstd()
        made: Any = zstd.ZstdCompressor()
        if hasattr(made, "compressobj"):  # zstandard's
            self._made, self._end_block = made.compressobj(), zstd.COMPRESSOBJ_FLUSH_BLOCK
        else:
            self._made, self._end_block = made, made.FLUSH_BLOCK

    def compress(self, data: bytes) -> bytes:
        """Return compressed whole blocks. O(size)."""
        made = self._made
        pieces = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)]
        return b"".join([made.compress(piece) + made.flush(self._end_block) for piece in pieces])

    def flush(self) -> bytes:
        """Return the end of the frame."""
        end: bytes = self._made.flush()
        return end


def _zstd() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # 3.14

        return zstd
    except ImportError:
        try:
            import zstandard  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise ImportError("compress='zstd' needs zstandard before Python 3.14: pip install zstandard") from None
        return zstandard
