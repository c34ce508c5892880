"""Files that hold changes: permissions, paths and pipes.

A log holds every value that a program changes, names and addresses of people among them. So a new file can be read and
written by its owner only (``0o600``), whatever the umask says; a ``mode`` says otherwise. A file that exists keeps its
permissions.

A log may also be a pipe or a terminal. Then no call waits for its reader longer than `PATIENCE` seconds.

A program may close all files, as a daemon does, and give their numbers to files of its own. So whoever keeps a
descriptor keeps the identity of its file, too, and neither writes to, locks nor closes a descriptor of another file.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import math
import os
import stat
import time
from typing import Any, Final

from pydatatracker._core import OpenLog

__all__ = [
    "MODE",
    "PATIENCE",
    "LogFile",
    "check_mode",
    "check_name",
    "check_regular",
    "close_own",
    "ident_of",
    "is_own",
    "like",
    "open_log",
    "path_of",
]

MODE: Final = 0o600
PATIENCE: Final = 5.0  # seconds to wait for the reader of a pipe: that it opens the pipe, or that it reads
_LOOK: Final = 0.1  # seconds between two looks whether a log is still the file of its path; one costs 2 us
_OTHERS: Final = 1 << 16  # bytes that other processes may have written after ours
_PAUSE: Final = 0.02  # seconds between two attempts to open a pipe
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)
# what fsync raises for files that cannot be synced: pipes, devices, some network file systems
_UNSYNCED: Final = frozenset((errno.EINVAL, errno.EROFS, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP))


def path_of(path: Any) -> str:
    r"""Return a path as text: a str, bytes, or an object with ``__fspath__``.

    O(length). What no file can have as its path is an error now, not when the first line is written.

    :raises TypeError: it is none of these. ValueError: it has a null character.

    >>> path_of(b"changes.jsonl")
    'changes.jsonl'
    """
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError(f"a path cannot have a null character: {name!r}")
    return name


def check_name(path: str, ending: str, what: str) -> None:
    """Raise ValueError if a file cannot be renamed as it will be.

    O(depth of the path).

    :param ending: what is added to its name.
    """
    folder, name = os.path.split(os.path.abspath(path))
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:  # it will be created
        folder = os.path.dirname(folder)
    try:
        most = os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # unknown
        return
    size, more = len(os.fsencode(name)), len(os.fsencode(ending))
    if 0 < most < size + more:
        raise ValueError(
            f"the name of {what} is too long: {size} bytes, and {more} are added to it, but names may have {most}"
            f" there. Use one of at most {most - more} bytes: {name!r}"
        )


def check_mode(mode: Any) -> int | None:
    """Return the permissions of new files; None: the umask decides.

    :param mode: ``0o640``, or text in octal, ``"0640"``.
    :raises ValueError: it is neither, or the owner could not read and write.

    >>> oct(check_mode("0640"))
    '0o640'
    """
    number = mode
    if isinstance(mode, str):
        try:
            number = int(mode, 8)
        except ValueError:
            number = -1
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 0o777 or number & 0o600 != 0o600:
        raise ValueError(
            f"mode must be permissions such as 0o640 or '0640', with read and write for the owner, not {mode!r}"
        )
    return number


def check_regular(path: str, what: str) -> None:
    """Raise ValueError for a pipe, a device or a socket.

    For files that are read back, or renamed. A path that does not exist is fine.
    """
    try:
        kind = os.stat(path).st_mode
    except OSError:  # to open it says what is wrong
        return
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise ValueError(f"{what} must be a regular file: {path} is a pipe, a device or a socket")


def open_log(path: str, flags: int, mode: int | None = MODE, patience: float | None = None) -> int:
    """Open a file, and create it if it does not exist; return its descriptor.

    O(1). Only a file created here gets the mode; None: what the umask says. The descriptor of a regular file is
    blocking; that of a pipe or a device is not.

    :param patience: seconds to wait until somebody opens a pipe for reading; by default `PATIENCE`.
    :raises TimeoutError: nobody did. OSError: the file cannot be opened.
    """
    flags |= os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | _NONBLOCK
    patience = PATIENCE if patience is None else patience
    end: float | None = None
    while True:
        try:
            fd = _open_now(path, flags, mode)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or not _is_pipe(path):
                raise
            now = time.monotonic()
            end = now + patience if end is None else end
            if now >= end:
                raise TimeoutError(
                    errno.ETIMEDOUT, f"no process reads this pipe: waited {patience:g} s", path
                ) from None
            time.sleep(_PAUSE)
    if _NONBLOCK and stat.S_ISREG(os.fstat(fd).st_mode):
        os.set_blocking(fd, True)
    return fd


def _open_now(path: str, flags: int, mode: int | None) -> int:
    if mode is None:
        return os.open(path, flags, 0o666)
    try:
        fd = os.open(path, flags | os.O_EXCL, mode)
    except FileExistsError:  # also a link to a file that does not exist
        return os.open(path, flags, mode)
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):  # a file system without permissions
            os.fchmod(fd, mode)  # the umask may have removed some
    return fd


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def like(path: str, fd: int) -> None:
    """Give an open file the permissions of another one, if that is possible."""
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            os.fchmod(fd, os.stat(path).st_mode & 0o777)


def ident_of(fd: int) -> tuple[int, int]:
    """Return device and inode of an open file. O(1). Raises OSError."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def is_own(fd: int, ident: tuple[int, int]) -> bool:
    """Return whether a descriptor is still that of a file opened before.

    O(1), one call of the system. -1 is not.

    :param ident: what `ident_of` returned then.
    """
    try:
        return fd >= 0 and ident_of(fd) == ident
    except OSError:
        return False


def close_own(fd: int, ident: tuple[int, int]) -> None:
    """Close a descriptor if it is still that of a file opened before. O(1)."""
    if is_own(fd, ident):
        os.close(fd)


class LogFile(OpenLog):
    """A file to which lines are appended, created with its folders.

    - A line that a crash tore, or a full disk, is ended before the next one.
    - If the file was renamed or deleted, a new one is opened at its path. That is noticed within a tenth of a second;
      what was written until then is in the renamed file. If it was deleted, what this object wrote there is missing,
      and `look` says so.
    - If the program closed the descriptor, the path is opened again by the next write. Until that succeeds, each write
      raises its OSError.
    - A write to a pipe waits for its reader, at most `PATIENCE` seconds. After that it does not wait again until the
      reader has read something.

    Not safe to use from several threads: the owner holds its lock around every call. Messages for the logger are kept
    until `say`, which the owner calls without the lock, since handlers of the program may do anything.

    :param name: the path as the program wrote it, for messages.
    """

    def __init__(self, name: str, mode: int | None) -> None:
        self.name = name
        self.path = os.path.abspath(name)  # the program may change its folder later
        self.mode = mode
        self.closed = False
        self.is_written = False  # all that was given to `write` last
        self.renewals = 0  # how many times the file was found to be another one
        self._is_stuck = False  # the reader of a pipe did not read in time
        self._is_gone = False  # the file was deleted, and no new one could be opened
        self._is_synced = True
        self.look_at = math.inf  # when to call `look` again, by the monotonic clock
        self._first: int | None = None  # of the changes written to this file
        self._last: int | None = None
        self.modified = 0.0  # when the file was modified last, before it was opened
        self.messages: collections.deque[tuple[Any, ...]] = collections.deque()
        self._said: set[str] = set()
        self._open()

    def _open(self, patience: float | None = None) -> None:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        fd = open_log(self.path, os.O_APPEND | os.O_WRONLY, self.mode, patience)
        try:
            found = os.fstat(fd)
            regular = stat.S_ISREG(found.st_mode)
            torn = regular and found.st_size > 0 and not _ends_line(self.path, found)
        except BaseException:
            os.close(fd)
            raise
        self.fd, self.torn, self.regular = fd, torn, regular
        self.ident = found.st_dev, found.st_ino
        self.modified = found.st_mtime if found.st_size else time.time()
        self.look_at = time.monotonic() + _LOOK if regular else math.inf
        self._is_gone = self._is_stuck = False
        self._first = self._last = None

    def reopen(self, patience: float = 0.0) -> None:
        """Open the path again, and close the old file after that.

        Raises OSError; then the old file stays open.
        """
        if not self.is_mine:
            self.fd = -1
        old, ident = self.fd, self.ident
        self._open(patience)
        close_own(old, ident)

    def own(self) -> None:
        """Open the path again if the program closed the descriptor.

        O(1), one call of the system if it did not. Raises OSError; then the next call tries again.
        """
        if self.is_mine:
            return
        before = self.ident
        self.reopen()
        if self.ident != before:
            self.renewals += 1
            self.look_at = 0.0  # whoever asks for `renewals` hears of it at the next change

    def begin(self) -> None:
        """Open the path again, and leave the old descriptor to the caller."""
        self._open(0.0)

    @property
    def is_mine(self) -> bool:
        """Whether the descriptor is still that of the file opened here.

        A program that closes all files, as a daemon does, may have reused the number.
        """
        return is_own(self.fd, self.ident)

    # ---- is the file still at its path?

    def look(self) -> tuple[int | None, int | None, str] | None:
        """Open a new file if this one was renamed or deleted.

        Return (first change, last change, reason) of what is missing since the file was deleted; None if nothing is.

        :raises OSError: it was deleted, and a new file cannot be opened.
        """
        self.look_at = time.monotonic() + _LOOK
        if self._is_there():
            self._is_gone = False
            if not self.is_mine:
                self.reopen()
            return None
        deleted = self._is_gone or not self._has_name()
        first, last = self._first, self._last
        try:
            self.reopen()
        except OSError as error:
            if deleted:
                self._is_gone = True
                self.look_at = 0.0
                raise
            if self.fd < 0:  # closed by the program, too: there is none to write on to
                self.look_at = 0.0
                raise
            self._note(
                "old", "the log %s was renamed, and a new file cannot be opened (%s): the renamed one is written on",
                self.name, error.strerror or error,
            )  # fmt: skip
            return None
        self.renewals += 1
        self._said.discard("old")
        if not deleted:
            return None
        self._note("", "the log %s was deleted while it was written: what was in it is missing", self.name)
        return first, last, "the log was deleted while it was written"

    def _is_there(self) -> bool:
        try:
            found = os.stat(self.path)
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)  # unknown: go on
        return (found.st_dev, found.st_ino) == self.ident

    def _has_name(self) -> bool:
        try:
            found = os.fstat(self.fd)
        except OSError:
            return True  # closed by the program: nothing is known
        return (found.st_dev, found.st_ino) != self.ident or found.st_nlink > 0

    # ---- writing

    def write(self, data: bytes, first: int | None = None, last: int | None = None) -> None:
        """Append whole lines. O(size).

        :param first: the sequence numbers of the changes, as far as they are known.
        :raises OSError: not all of it could be written.
        """
        self.is_written = False
        self.own()
        if self.torn:
            data = b"\n" + data
        if self._first is None:
            self._first = first
        if last is not None:
            self._last = last
        size, done = len(data), 0
        try:
            while done < size:  # more than once: a signal, a full disk, a pipe
                try:
                    done += os.write(self.fd, memoryview(data)[done:] if done else data)
                except BlockingIOError:
                    pass
                else:
                    self.torn = data[done - 1] != 0x0A
                    self._is_stuck = False
                    continue
                self._wait()
            self.is_written = True
        except BaseException as error:
            if not isinstance(error, OSError):  # Ctrl-C, perhaps after the system wrote it
                self.is_written = done == size or self._ends_with(data)
                self.torn = not self.is_written  # if in doubt: readers ignore an empty line
            raise

    def _ends_with(self, data: bytes) -> bool:
        """Return whether the end of the file has this data. O(size)."""
        try:
            with open(self.path, "rb") as file:
                if ident_of(file.fileno()) != self.ident:
                    return False
                file.seek(max(os.fstat(self.fd).st_size - len(data) - _OTHERS, 0))
                return data in file.read()
        except OSError:
            return False

    def _wait(self) -> None:
        """Wait until the reader of a pipe has read something."""
        if not self._is_stuck:
            import select

            poll = select.poll()
            poll.register(self.fd, select.POLLOUT)
            if poll.poll(PATIENCE * 1000):
                if not self.is_mine:
                    self.fd = -1
                    raise OSError(errno.EBADF, "the program closed it while it was written", self.name)
                return
            self._is_stuck = True
        raise TimeoutError(errno.ETIMEDOUT, f"nobody reads what was written: waited {PATIENCE:g} s", self.name)

    def sync(self) -> None:
        """Wait until the disk has everything.

        A file that cannot be synced is written without, and the logger says so once.
        """
        if self._is_synced:
            try:
                os.fsync(self.fd)
            except OSError as error:
                if error.errno not in _UNSYNCED:
                    raise
                self._is_synced = False
                self._note("sync", "%s cannot be synced (%s): written without fsync", self.name, error.strerror)

    def close(self) -> None:
        """Close the file; does nothing if it is closed."""
        self.closed = True
        self.leave()

    def leave(self) -> None:
        """Close the descriptor, and have the next write open the path again."""
        fd, self.fd = self.fd, -1
        close_own(fd, self.ident)

    def detach(self) -> int:
        """Give up the file without closing its descriptor, and return that."""
        fd, self.fd = self.fd, -1
        self.closed = True
        return fd

    # ---- messages

    def _note(self, once: str, *message: Any) -> None:
        if once not in self._said:
            self.messages.append(message)
            if once:
                self._said.add(once)

    def say(self) -> None:
        """Log what there is to say; never raises."""
        import logging

        while self.messages:
            try:
                message = self.messages.popleft()
            except IndexError:  # another thread was faster
                return
            with contextlib.suppress(Exception):  # a handler of the program that raises
                logging.getLogger("pydatatracker").warning(*message)


def _ends_line(path: str, expected: os.stat_result) -> bool:
    """Return whether a file ends with a newline; False if that is unknown.

    Then its last line is ended in case it is torn; readers ignore an empty line.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | _NONBLOCK)
    except OSError:
        return False
    try:
        if not os.path.samestat(os.fstat(fd), expected):
            return False
        os.lseek(fd, expected.st_size - 1, os.SEEK_SET)
        return os.read(fd, 1) == b"\n"
    except OSError:
        return False
    finally:
        os.close(fd)
