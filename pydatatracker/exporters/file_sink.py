"""Append lines to a file: with rotation, compression, several writers."""

from __future__ import annotations

import collections
import contextlib
import datetime
import errno
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Final

from pydatatracker import _core, _forks
from pydatatracker.exporters.compression import compress_file
from pydatatracker.exporters.retry import Deadline
from pydatatracker.exporters.sealing import ROOM, FileSeals, check_sealable
from pydatatracker.exporters.sink import Item, wider_gap
from pydatatracker.io.files import (
    MODE,
    LogFile,
    check_name,
    check_regular,
    close_own,
    like,
    path_of,
)
from pydatatracker.io.seals import SEAL_SIZE
from pydatatracker.io.writer import gap_line

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileSink"]

_PATIENCE: Final = 5.0  # seconds to wait for other processes that write to the same file
_LATER: Final = 10.0  # seconds until a rotation that failed is tried again
_ENDINGS: Final[dict[str | None, str]] = {None: "", "gzip": ".gz.tmp", "zstd": ".zst.tmp"}  # the longest ones
_RECENT: Final = 64  # changes of which it is known whether they were written; one per thread that writes is enough
_ATTEMPTS: Final = 100  # to get the lock of the file that is at the path
_UNLOCKED: Final = frozenset((errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP))
_log = logging.getLogger("pydatatracker")


def _report(message: str, error: BaseException | None) -> None:
    with contextlib.suppress(Exception):  # a handler of the program that raises
        _log.warning("%s", message)


class FileSink:
    """Append lines to a file.

    The arguments are those of `pydatatracker.exporters.JsonLinesExporter`.

    :param sends_again: whether items that failed are sent again. If not, a ``gap`` line precedes the next one.
    """

    any_thread = True  # it has a lock of its own

    def __init__(
        self,
        path: str | os.PathLike[str],
        rotate_size: int | None,
        rotate_time: float | None,
        keep: int | None,
        compress: str | None,
        fsync: str,
        mode: int | None = MODE,
        sends_again: bool = False,
        seals: FileSeals | None = None,
    ) -> None:
        self._rotate_size = rotate_size
        self._rotate_time = rotate_time
        self._keep = keep
        self._compress = compress
        self._fsync = fsync
        self._sends_again = sends_again
        self._seals = seals
        self._lock = threading.RLock()
        self._written: collections.deque[int] = collections.deque(maxlen=_RECENT)  # the last changes
        self._lost: tuple[int, int, str] | None = None  # first and last change that are missing, and why
        self._appender: _core.Appender | None = None
        self._rotate_at = 0.0  # not before, since the last attempt failed
        self._is_locked = fcntl is not None  # with rotation: whether the file can be locked
        self._untidy: list[str] = []  # rotated files that are still to be compressed
        self._compressing: threading.Thread | None = None
        self.report: Callable[[str, BaseException | None], object] = _report  # is called without the lock
        self._reports: collections.deque[tuple[str, BaseException | None]] = collections.deque()
        name = path_of(path)
        if seals is not None:
            check_sealable(name)
        if self._rotates:
            check_regular(name, "a log that is rotated")
            check_name(name, f".{_stamp()}{_ENDINGS[compress]}", "a log that is rotated")
        self._file = LogFile(name, mode)
        self.path = self._file.path
        _forks.keep(self, _forks.FILES)
        if seals is not None:
            _sealing[id(self)] = weakref.ref(self)

    def after_fork(self) -> None:
        """Make the lock anew, and have the next line open the file again.

        A lock on a file belongs to the parent's descriptor, which the child has, too. A file that is being compressed
        is compressed by the parent.
        """
        self._lock = threading.RLock()
        if self._appender is not None:
            self._appender.use_lock(self._lock)
        self._compressing = None
        self._untidy = []
        if self._seals is not None:
            self._seals.forget()
        self._set_lost(None)
        if self._rotates:
            self._file.leave()

    def appender_for(self, compact: bool) -> _core.Appender | None:
        """Return what writes ordinary lines through without this object.

        None if there is more to do for each line than to write it.
        """
        if not self._rotates and self._fsync == "never":
            self._appender = _core.Appender(self._file, self._lock, compact)
            if self._seals is not None:
                self._appender.chain = self._seals.chain
        return self._appender

    @property
    def _rotates(self) -> bool:
        return self._rotate_size is not None or self._rotate_time is not None

    def _period(self, seconds: float) -> int:
        return 0 if self._rotate_time is None else int(seconds // self._rotate_time)

    def send(self, items: list[Item]) -> None:
        """Append one line per item, all with one write()."""
        try:
            with self._lock:
                if self._fsync == "always" and len(items) > 1:
                    for item in items:
                        self._write([item])
                    return
                self._write(items)
        finally:
            self._say()

    def _write(self, items: list[Item]) -> None:
        file = self._file
        if file.closed:
            raise ValueError(f"the log {self.path} is closed")
        file.is_written = False
        lines = [item.line for item in items]
        size = sum(map(len, lines)) + len(lines) * (1 if self._seals is None else SEAL_SIZE)
        first, last = items[0].seq, items[-1].seq
        written = False
        try:
            if self._seals is not None:
                self._seals.start()
                size += ROOM
            with self._alone():
                if self._rotates:
                    if self._is_due(size):
                        self._rotate()
                elif time.monotonic() >= file.look_at and (missing := file.look()) is not None:
                    self._set_lost(wider_gap(self._lost, missing[0] or 0, missing[1] or 0, missing[2]))
                if self._lost is not None:
                    lines, first = [gap_line(*self._lost)[:-1], *lines], min(self._lost[0], first)
                self._put(lines, first, last)
                self._set_lost(None)
                written = True
                if self._fsync != "never":
                    file.sync()
                self._written.append(last)
        except BaseException as error:
            if self._seals is not None:
                self._seals.failed()
            if written or file.is_written:
                self._set_lost(None)
                self._written.append(last)
            elif not self._sends_again:
                self._set_lost(wider_gap(self._lost, first, last, f"{type(error).__name__}: {error}"[:500]))
            raise

    def _put(self, lines: list[bytes], first: int | None = None, last: int | None = None) -> None:
        """Write lines without newlines, with their seals if the log has any."""
        file, seals = self._file, self._seals
        if seals is None:
            file.write(b"\n".join([*lines, b""]), first, last)
            return
        file.own()  # it may become another file, in which another chain begins
        chain, data = seals.sealed(file, lines, self._rotates and self._is_locked)
        if self._appender is not None:
            self._appender.chain = seals.chain
        file.write(data, first, last)
        seals.done(chain)

    def write_root(self) -> str:
        """End the lines since the last root with a root; return the last root.

        O(lines since then). "" if this object has written no line to the present file. Raises OSError.
        """
        seals = self._seals
        if seals is None:
            raise ValueError("only a log with seal=True has roots")
        with self._lock:
            if not self._file.closed and seals.needs_root:
                try:
                    seals.start()
                    with self._alone():
                        self._put_root(seals)
                except BaseException:
                    seals.failed()
                    raise
            return seals.chain.root

    def _put_root(self, seals: FileSeals) -> None:
        file = self._file
        file.own()
        chain, data = seals.root(file, self._rotates and self._is_locked)
        if self._appender is not None:
            self._appender.chain = seals.chain
        if data:
            file.write(data)
            if self._fsync != "never":
                file.sync()
        seals.done(chain)

    def _set_lost(self, lost: tuple[int, int, str] | None) -> None:
        if self._appender is not None:
            self._appender.ready = lost is None and not self._file.closed  # a gap comes first
        self._lost = lost

    def lose(self, seq: int, reason: str) -> bool:
        """Note that a change is missing; False if it was written after all. O(1)."""
        with self._lock:
            if seq in self._written or (self._appender is not None and self._appender.wrote(seq)):
                return False
            self._set_lost(wider_gap(self._lost, seq, seq, reason))
            return True

    def _say(self) -> None:
        if self._file.messages:
            self._file.say()
        while self._reports:
            try:
                report = self._reports.popleft()
            except IndexError:  # another thread was faster
                return
            self.report(*report)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        # with rotation several processes take turns, and check whether another one has rotated meanwhile
        if not self._rotates or not self._is_locked:
            yield
            return
        file = self._file
        end = Deadline(_PATIENCE)  # of all waits together
        try:
            for _ in range(_ATTEMPTS):
                file.own()
                self._take_lock(end)
                try:
                    here = os.stat(self.path)
                except FileNotFoundError:
                    here = None
                if here is not None and (here.st_dev, here.st_ino) == file.ident:
                    break
                if end.is_over:
                    raise self._too_long("other processes replace the log all the time")
                file.reopen()
            else:
                raise self._too_long("other processes replace the log all the time")
            yield
        finally:
            if self._is_locked and file.is_mine:
                with contextlib.suppress(OSError):
                    fcntl.flock(file.fd, fcntl.LOCK_UN)

    def _too_long(self, what: str) -> TimeoutError:
        return TimeoutError(errno.ETIMEDOUT, f"{what}: waited {_PATIENCE:g} s", self.path)

    def _take_lock(self, end: Deadline) -> None:
        pause = 0.0005
        while self._is_locked:
            try:
                fcntl.flock(self._file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if end.is_over:
                    raise self._too_long("another process has locked the log") from None
                time.sleep(pause)
                pause = min(pause * 2, 0.05)
            except OSError as error:
                if error.errno not in _UNLOCKED:
                    raise
                self._is_locked = False
                self._reports.append(
                    (f"{self.path} cannot be locked ({error.strerror}): use one process per log", None)
                )

    # ---- rotation

    def _is_due(self, more: int) -> bool:
        size = os.fstat(self._file.fd).st_size
        if not size or time.monotonic() < self._rotate_at:
            return False
        if self._rotate_size is not None and size + more > self._rotate_size:
            return True
        return self._rotate_time is not None and self._period(time.time()) != self._period(self._file.modified)

    def _rotate(self) -> None:
        """Rename the file and begin a new one.

        If that fails, the logger and `stats` say so, lines go on to the same file, and it is tried again later.
        """
        stamp = _stamp()
        root, extension = os.path.splitext(self.path)
        to = f"{root}.{stamp}{extension}"
        if self._seals is not None:
            try:
                self._put_root(self._seals)
            except OSError as error:
                self._seals.failed()
                self._reports.append((f"the last lines of {self.path} have no root: {error}", error))
            self._seals.start()
        old, ident = self._file.fd, self._file.ident
        try:
            os.rename(self.path, to)
            try:
                self._file.begin()
            except BaseException:
                if not os.path.lexists(self.path):
                    os.rename(to, self.path)
                raise
        except OSError as error:
            self._rotate_at = time.monotonic() + _LATER
            self._reports.append((f"the log {self.path} was not rotated, and grows: {error}", error))
            return
        try:
            like(to, self._file.fd)
            self._take_lock(Deadline(_PATIENCE))
        finally:
            close_own(old, ident)  # the other processes continue, in the new file
        self._untidy.append(to)
        before = self._compressing
        thread = threading.Thread(target=self._tidy, args=(before,), name="rotated-log", daemon=False)
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter ends: the next rotation or close() does it
            return
        self._compressing = thread

    def _tidy(self, before: threading.Thread | None) -> None:
        """Compress what was rotated, and remove what is too old; never raises.

        A file that cannot be compressed stays as it is, and is tried again after the next rotation.
        """
        if before is not None:
            before.join()
        try:
            for path in list(self._untidy) if self._compress is not None else ():
                self._compress_one(path, self._compress or "")
            if self._keep is not None:
                for old in self.rotated()[: -self._keep or None]:
                    with contextlib.suppress(FileNotFoundError):  # another process was faster
                        os.unlink(old)
        except Exception as error:
            self.report(f"the rotated files of {self.path} are not as they should be: {error}", error)

    def _compress_one(self, path: str, how: str) -> None:
        try:
            compress_file(path, how)
        except Exception as error:
            if os.path.exists(path):  # another process may have removed it
                self.report(f"the rotated log {path} was not compressed, and stays as it is: {error}", error)
                return
        self._untidy.remove(path)

    def rotated(self) -> list[str]:
        """Return the paths of the rotated files, oldest first."""
        folder = os.path.dirname(self.path) or "."
        root, extension = os.path.splitext(os.path.basename(self.path))
        names = [name for name in os.listdir(folder) if name.startswith(root + ".") and f"Z{extension}" in name]
        return [os.path.join(folder, name) for name in sorted(names) if not name.endswith(".tmp")]

    def close(self) -> None:
        """Close the file, after a rotated one is compressed."""
        try:
            with self._lock:
                if self._appender is not None:
                    self._appender.ready = False
                if self._lost is not None and not self._file.closed:
                    lost, self._lost = self._lost, None
                    with contextlib.suppress(OSError):  # it was reported when it was lost
                        try:
                            if self._seals is not None:
                                self._seals.start()
                            self._put([gap_line(*lost)[:-1]])
                        except BaseException:
                            if self._seals is not None:
                                self._seals.failed()
                            raise
                if self._seals is not None:
                    try:
                        self.write_root()
                    except OSError as error:
                        self._reports.append((f"the last lines of {self.path} have no root: {error}", error))
                self._file.close()
            if self._compressing is not None:
                self._compressing.join()
            if self._untidy and self._compress is not None:
                self._tidy(None)
        finally:
            self._say()


# A plain dict can be copied at any moment, also in a child that was forked while another thread changed it.
_sealing: dict[int, weakref.ref[FileSink]] = {}


def _write_roots() -> None:
    """Write the roots of logs that were not closed: at the end of the process."""
    for number, reference in list(_sealing.items()):
        sink = reference()
        if sink is None or sink._file.closed:
            _sealing.pop(number, None)
        else:
            try:
                sink.write_root()
            except Exception as error:  # a full disk: the lines are there, without a root
                _report(f"the last lines of {sink.path} have no root: {error}", error)


_forks.at_end(_write_roots)


def _stamp() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
