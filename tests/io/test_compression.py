"""Compressed logs are read in bounded memory, whatever is in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import pathlib
import shutil
import subprocess
import tracemalloc
from typing import Any

import pytest

from pydatatracker.exporters.compression import compress_file
from pydatatracker.io import read_changes
from pydatatracker.io.compression import _Frames, decompressed

zstandard = pytest.importorskip("zstandard", reason="zstd needs it before Python 3.14")

LINES = b"".join(b'{"v":1,"action":"add","seq":%d,"pointer":"/a"}\n' % n for n in range(2000))
SIZE = 1 << 26


def skippable(size: int, number: int = 0) -> bytes:
    return bytes([0x50 + number, 0x2A, 0x4D, 0x18]) + size.to_bytes(4, "little") + b"{" * size


def seqs(data: bytes) -> list[int | None]:
    return [line.seq for line in read_changes(io.BytesIO(data), strict=True)]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 100_000])
@pytest.mark.parametrize("number", [0, 1, 15])
def test_skippable_frames_are_skipped_anywhere(size: int, number: int) -> None:
    """At the start, between frames, several in a row, at the end."""
    skip = skippable(size, number)
    half = len(LINES) // 2
    frames = [zstandard.compress(LINES[:half]), zstandard.compress(LINES[half:])]
    data = skip + skip + frames[0] + skip + frames[1] + skip
    assert list(range(2000)) == seqs(data)
    assert list(range(2000)) == [line for block in read_changes(io.BytesIO(data)).blocks() for line in
                                 [head.seq for head in block.heads]]  # fmt: skip
    assert [] == seqs(skip)


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_truncated_frame_is_reported(cut: int) -> None:
    """A skippable frame or one with content that ends too early."""
    errors: list[Any] = []
    for data in (zstandard.compress(LINES) + skippable(30)[:-1], skippable(3) + zstandard.compress(LINES)[:-cut]):
        found = list(read_changes(io.BytesIO(data), on_error=errors.append))
        assert len(found) <= 2000
    assert ["truncated" in str(error) for error in errors] == [True] * len(errors)
    assert 2 == len(errors)


def test_what_pzstd_writes_is_read(tmp_path: pathlib.Path) -> None:
    """A file of the parallel compressor begins with a skippable frame."""
    if shutil.which("pzstd") is None:
        pytest.skip("pzstd is not installed")
    log = tmp_path / "log.jsonl"
    log.write_bytes(LINES)
    subprocess.run(["pzstd", "-q", "-p", "4", str(log)], check=True)
    packed = tmp_path / "log.jsonl.zst"
    assert packed.read_bytes()[1:4] == b"\x2a\x4d\x18"
    assert list(range(2000)) == [line.seq for line in read_changes(packed, strict=True)]


class Counting(bytes):
    """Content that counts how much of it is copied by slices."""

    copied = 0

    def __getitem__(self, where: Any) -> Any:
        found = super().__getitem__(where)
        if isinstance(where, slice):
            Counting.copied += len(found)
            return Counting(found)
        return found


@pytest.mark.parametrize("pack", [zstandard.compress, gzip.compress])
def test_a_line_without_a_newline_needs_bounded_memory(pack: Any) -> None:
    """64 MB of content in a small file are never in memory as a whole."""
    stream = decompressed(io.BytesIO(pack(b"x" * SIZE)))
    assert stream is not None
    buffer = bytearray(1 << 16)
    total = 0
    tracemalloc.start()
    try:
        while size := stream.readinto(buffer):
            total += size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert SIZE == total
    assert peak < 20 << 20


def test_content_is_copied_once() -> None:
    """Reading a large piece in small reads does not copy its rest each time."""

    class Frame:
        eof = False
        unused_data = b""

        def decompress(self, given: bytes) -> bytes:
            return Counting(b"x" * 1_000_000)

    frames = _Frames(io.BytesIO(b"\x28\xb5\x2f\xfd" + b"y" * 1000), Frame)
    buffer = bytearray(1000)
    Counting.copied = total = 0
    with pytest.raises(EOFError):
        while size := frames.readinto(buffer):
            total += size
    assert total >= 1_000_000
    assert Counting.copied <= total


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_of_a_truncated_rotated_log_all_but_the_last_block_is_read(how: Any, tmp_path: pathlib.Path) -> None:
    """Wherever it is cut, at most 32 KiB less than with more bytes.

    And the reader says that it is truncated.
    """
    path = tmp_path / "a.jsonl"
    texts = (hashlib.sha256(b"%d" % n).hexdigest() for n in range(2000))
    path.write_bytes(b"".join(b'{"v":1,"action":"add","seq":1,"after":"%s"}\n' % text.encode() for text in texts))
    size = path.stat().st_size / 2000
    compress_file(str(path), how)
    (packed,) = tmp_path.iterdir()
    whole = packed.read_bytes()
    before = 0
    for cut in [*range(0, len(whole), 997), len(whole)]:
        problems: list[object] = []
        found = len(list(read_changes(io.BytesIO(whole[:cut]), on_error=problems.append)))
        assert 0 <= (found - before) * size < 33_000
        assert problems or cut in (0, len(whole))
        before = found
    assert 2000 == before
