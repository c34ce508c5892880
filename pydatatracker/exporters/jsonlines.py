"""JSON lines in a file: with rotation, compression, several writers."""

from __future__ import annotations

import os
from typing import Any, Final, Literal

from pydatatracker.exporters.base import Exporter
from pydatatracker.exporters.compression import compressor_for
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.direct import DirectDelivery
from pydatatracker.exporters.file_sink import FileSink
from pydatatracker.exporters.sealing import FileSeals, key_of
from pydatatracker.io.files import (
    MODE,
    check_mode,
)
from pydatatracker.io.seals import EVERY

__all__ = ["JsonLinesExporter"]

Fsync = Literal["never", "batch", "always"]
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
    tore the last line, it is ended first. If the file is renamed or deleted, a new one is begun at its path.

    :param buffered: write batches from a thread; the options of `Delivery` need this.
    :param compact: see `pydatatracker.io.to_line`.
    :param rotate_size: begin a new file before this one grows beyond so many bytes.
    :param rotate_time: begin a new file after so many seconds, or ``"30m"``, ``"1h"``, ``"1d"``.
    :param keep: how many rotated files to keep. Those of ``changes.jsonl`` are named after the time (UTC):
        ``changes.20261128T190747.074532Z.jsonl``. The glob ``changes.*jsonl*`` has them and the present one.
    :param compress: ``"gzip"`` or ``"zstd"``: compress rotated files; their names end with ``.gz`` or ``.zst``.
    :param fsync: ``"never"``, after each ``"batch"``, or ``"always"``: after each line.
    :param mode: permissions of new files, rotated ones included: ``0o640``, or ``"0640"``; None: as the umask says. By
        default only the owner may read them, since a log holds the program's data. A file that exists keeps its own.
    :param seal: each line has a hash over itself and the line before, and the last of ``seal_every`` lines, of a file
        and of a process a root over all of them, so that changed, removed and inserted lines are found
        (docs/sealed-logs.md).
    :param seal_key: what signs the roots: the path of a PEM file with an Ed25519 key, its content as bytes, or a
        private key of cryptography (extra ``seal``).
    :param seal_every: lines between two roots.
    :raises ValueError: an option is out of range, the name is too long to be rotated, a key cannot be used, or a log to
        be sealed has lines without seals.
    :raises TypeError: an option needs ``buffered=True``.
    :raises OSError: the file cannot be opened. TimeoutError: it is a pipe, and no process has opened it for reading
        within 5 seconds.

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
        seal: bool = False,
        seal_key: Any = None,
        seal_every: int = EVERY,
        **options: Any,
    ) -> None:
        if fsync not in ("never", "batch", "always"):
            raise ValueError(f"fsync must be 'never', 'batch' or 'always', not {fsync!r}")
        if compress not in (None, "gzip", "zstd"):
            raise ValueError(f"compress must be 'gzip' or 'zstd', not {compress!r}")
        if compress is not None:
            compressor_for(compress)  # or an ImportError, before anything is written
        for what, value in (("rotate_size", rotate_size), ("keep", keep)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{what} must be a whole number of at least 1, not {value!r}")
        permissions = check_mode(mode)
        key = key_of(seal, seal_key, seal_every)
        seals = FileSeals(key, seal_every) if seal else None
        times = _seconds(rotate_time)
        sink = FileSink(path, rotate_size, times, keep, compress, fsync, permissions, bool(buffered), seals)
        name = f"JsonLinesExporter({sink.path!r})"
        if buffered:
            delivery: Any = Delivery(sink, name=name, **{"batch_items": 5000, "mode": mode, **options})
        elif options:
            raise TypeError(f"{name} writes synchronously: {', '.join(sorted(options))} need buffered=True")
        else:
            delivery = DirectDelivery(sink, name)
        sink.report = delivery._tally.report
        self._sink = sink
        if not buffered:
            self._appender = delivery.appender = sink.appender_for(bool(compact))
        super().__init__(delivery, compact=compact)

    @property
    def path(self) -> str:
        """The path of the current file."""
        return self._sink.path

    def write_root(self, timeout: float | None = None) -> str:
        """Write a root for the lines since the last one; return it in hex.

        O(lines since then). Keep it elsewhere: with it, ``pydatatracker verify --seal --root`` finds that the end of
        the log was cut off. "" if no line was written to the present file.

        :param timeout: seconds to wait until what waits with ``buffered=True`` is written.
        :raises ValueError: the log has no seals. TimeoutError: not everything was written in time. OSError: the file
            cannot be written.
        """
        if not self.flush(timeout):
            raise TimeoutError(f"not everything was written to {self.path}: {self.stats().last_error}")
        return self._sink.write_root()

    def rotated(self) -> list[str]:
        """Return the paths of the rotated files, oldest first.

        O(files in the folder).
        """
        return self._sink.rotated()
