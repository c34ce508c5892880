"""JSON lines in a file: with rotation, compression, several writers."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import os
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any, Final, Literal

from pydatatracker import _forks
from pydatatracker.exporters.base import Exporter
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.direct import DirectDelivery
from pydatatracker.exporters.sink import Item
from pydatatracker.io.files import MODE, check_mode, like, open_log

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileSink", "JsonLinesExporter"]

Fsync = Literal["never", "batch", "always"]
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class FileSink:
    """Append lines to a file.

    The arguments are those of `JsonLinesExporter`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rotate_size: int | None,
        rotate_time: float | None,
        keep: int | None,
        compress: str | None,
        fsync: str,
        mode: int | None = MODE,
    ) -> None:
        self.path = os.path.abspath(os.fspath(path))  # the program may change its folder later
        self._mode = mode
        self._rotate_size = rotate_size
        self._rotate_time = rotate_time
        self._keep = keep
        self._compress = compress
        self._fsync = fsync
        self._lock = threading.RLock()
        self._fd = -1
        self._torn = False
        self._period = 0
        self._compressing: threading.Thread | None = None
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._open()
        _forks.keep(self, _forks.FILES)

    def after_fork(self) -> None:
        """Make the lock anew, and open the file again.

        A lock on a file belongs to the parent's descriptor, which the child has, too. A file that is being compressed
        is compressed by the parent.
        """
        self._lock = threading.RLock()
        self._compressing = None
        if self._fd >= 0 and self._rotates:
            old = self._fd
            try:
                self._open()
            except OSError:  # without its own descriptor the child still appends
                self._fd = old
            else:
                os.close(old)

    @property
    def _rotates(self) -> bool:
        return self._rotate_size is not None or self._rotate_time is not None

    def _open(self) -> None:
        self._fd = open_log(self.path, os.O_APPEND | os.O_RDWR, self._mode)
        size = os.fstat(self._fd).st_size
        self._torn = False
        if (
            size
        ):  # a crash may have torn the last line; read from the descriptor, as the path may be another file by now
            os.lseek(self._fd, size - 1, os.SEEK_SET)
            self._torn = os.read(self._fd, 1) != b"\n"
        self._period = self._now_period(os.fstat(self._fd).st_mtime if size else time.time())

    def _now_period(self, now: float) -> int:
        return 0 if self._rotate_time is None else int(now // self._rotate_time)

    def send(self, items: list[Item]) -> None:
        """Append one line per item, all with one write()."""
        data = b"".join(item.line + b"\n" for item in items)
        with self._lock:
            if self._fsync == "always" and len(items) > 1:
                for item in items:
                    self._write(item.line + b"\n")
                return
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            raise ValueError(f"the log {self.path} is closed")
        with self._alone():
            if self._rotates and self._is_due(len(data)):
                self._rotate()
            if self._torn:
                data = b"\n" + data
            done = 0
            while done < len(data):
                done += os.write(self._fd, data[done:] if done else data)
                self._torn = data[done - 1] != 0x0A
            if self._fsync != "never":
                os.fsync(self._fd)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        # with rotation several processes take turns, and check whether another one has rotated meanwhile
        if not self._rotates or fcntl is None:
            yield
            return
        while True:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                here = os.stat(self.path)
            except FileNotFoundError:
                here = None
            mine = os.fstat(self._fd)
            if here is not None and (here.st_ino, here.st_dev) == (mine.st_ino, mine.st_dev):
                break
            os.close(self._fd)
            self._open()
        try:
            yield
        finally:
            if self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _is_due(self, more: int) -> bool:
        size = os.fstat(self._fd).st_size
        if not size:
            return False
        if self._rotate_size is not None and size + more > self._rotate_size:
            return True
        return self._rotate_time is not None and self._now_period(time.time()) != self._period

    def _rotate(self) -> None:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        root, extension = os.path.splitext(self.path)
        to = f"{root}.{stamp}{extension}"
        os.rename(self.path, to)
        old = self._fd
        self._open()
        like(to, self._fd)
        if fcntl is not None:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        os.close(old)  # the other processes continue, in the new file
        before = self._compressing
        self._compressing = threading.Thread(target=self._tidy, args=(to, before), name="rotated-log", daemon=False)
        self._compressing.start()

    def _tidy(self, path: str, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if self._compress is not None:
            _compress(path, self._compress)
        if self._keep is not None:
            for old in self.rotated()[: -self._keep or None]:
                with contextlib.suppress(OSError):  # another process was faster
                    os.unlink(old)

    def rotated(self) -> list[str]:
        """Return the paths of the rotated files, oldest first."""
        folder = os.path.dirname(self.path) or "."
        root, extension = os.path.splitext(os.path.basename(self.path))
        names = [name for name in os.listdir(folder) if name.startswith(root + ".") and f"Z{extension}" in name]
        return [os.path.join(folder, name) for name in sorted(names) if not name.endswith(".tmp")]

    def close(self) -> None:
        """Close the file, after a rotated one is compressed."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)
        if self._compressing is not None:
            self._compressing.join()


def _compress(path: str, how: str) -> None:
    to = path + (".gz" if how == "gzip" else ".zst")
    fd = open_log(to + ".tmp", os.O_WRONLY | os.O_TRUNC)
    with open(fd, "wb") as file, open(path, "rb") as source:
        like(path, fd)
        target: Any = gzip.open(file, "wb") if how == "gzip" else _zstd().open(file, "wb")  # noqa: SIM115
        with target:
            shutil.copyfileobj(source, target, 1 << 20)
    os.replace(to + ".tmp", to)
    os.unlink(path)


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


def _seconds(given: float | str | None) -> float | None:
    if given is None:
        return None
    if isinstance(given, str):
        if given[-1:] not in _UNITS or not given[:-1].replace(".", "", 1).isdigit():
            raise ValueError(f"rotate_time must be seconds, or text such as '30m', '1h', '1d', not {given!r}")
        given = float(given[:-1]) * _UNITS[given[-1]]
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given <= 0:
        raise ValueError(f"rotate_time must be seconds above 0, or text such as '1d', not {given!r}")
    return float(given)


class JsonLinesExporter(Exporter):
    """Append every change to a file, as one JSON line.

    By default the line is in the file when the mutating statement returns: one write(), nothing buffered. An error of
    the file is logged and counted, never raised into the program. Several processes may append to one file. If a crash
    tore the last line, it is ended first.

    :param buffered: write batches from a thread; the options of `Delivery` need this.
    :param compact: see `pydatatracker.io.to_line`.
    :param rotate_size: begin a new file before this one grows beyond so many bytes.
    :param rotate_time: begin a new file after so many seconds, or ``"30m"``, ``"1h"``, ``"1d"``.
    :param keep: how many rotated files to keep; they are named after the time (UTC).
    :param compress: ``"gzip"`` or ``"zstd"``: compress rotated files.
    :param fsync: ``"never"``, after each ``"batch"``, or ``"always"``: after each line.
    :param mode: permissions of new files, rotated ones included: ``0o640``, or ``"0640"``; None: as the umask says. By
        default only the owner may read them, since a log holds the program's data. A file that exists keeps its own.
    :raises ValueError: an option is out of range. TypeError: an option needs ``buffered=True``.

    >>> import os, tempfile
    >>> from pydatatracker import TrackedDict
    >>> path = os.path.join(tempfile.mkdtemp(), "changes.jsonl")
    >>> d = TrackedDict()
    >>> with JsonLinesExporter(path) as exporter:
    ...     d.tracking_add_observer(exporter)
    ...     d["a"] = 1
    >>> exporter.stats().sent
    1
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        buffered: bool = False,
        compact: bool = False,
        rotate_size: int | None = None,
        rotate_time: float | str | None = None,
        keep: int | None = None,
        compress: Literal["gzip", "zstd"] | None = None,
        fsync: Fsync = "never",
        mode: int | str | None = MODE,
        **options: Any,
    ) -> None:
        if fsync not in ("never", "batch", "always"):
            raise ValueError(f"fsync must be 'never', 'batch' or 'always', not {fsync!r}")
        if compress not in (None, "gzip", "zstd"):
            raise ValueError(f"compress must be 'gzip' or 'zstd', not {compress!r}")
        if compress == "zstd":
            _zstd()
        for what, value in (("rotate_size", rotate_size), ("keep", keep)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{what} must be a whole number of at least 1, not {value!r}")
        sink = FileSink(path, rotate_size, _seconds(rotate_time), keep, compress, fsync, check_mode(mode))
        name = f"JsonLinesExporter({sink.path!r})"
        if buffered:
            delivery: Any = Delivery(sink, name=name, **{"batch_items": 5000, "mode": mode, **options})
        elif options:
            raise TypeError(f"{name} writes synchronously: {', '.join(sorted(options))} need buffered=True")
        else:
            delivery = DirectDelivery(sink, name)
        self._sink = sink
        super().__init__(delivery, compact=compact)

    @property
    def path(self) -> str:
        """The path of the current file."""
        return self._sink.path

    def rotated(self) -> list[str]:
        """Return the paths of the rotated files, oldest first.

        O(files in the folder).
        """
        return self._sink.rotated()
