"""The spill file: changes that do not fit into the queue of a delivery.

They are on disk until they are sent. One line per item: a JSON head (seq, root, time, id), a tab, the line of the
change.
"""

from __future__ import annotations

import contextlib
import glob
import json
import logging
import os
import weakref
from collections.abc import Callable, Iterable

from pydatatracker import _core
from pydatatracker.exporters.sink import Item
from pydatatracker.io.files import check_name, check_regular, close_own, ident_of, is_own, like, open_log

_ENDING = ".4194304.taken"  # the longest one, of what a forked child left

__all__ = ["SpillFile"]

_log = logging.getLogger("pydatatracker")


class SpillFile:
    """Items in the order in which they came.

    Not safe to use from several threads: the queue holds its lock around every call.

    :param mode: the permissions of the file if it is new.
    """

    def __init__(self, path: str, mode: int | None) -> None:
        self.path = os.path.abspath(path)  # the program may change its folder later
        self._mode = mode
        check_regular(self.path, "the spill file")
        check_name(self.path, _ENDING, "the spill file")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.last = -1  # the change that was appended last
        self._fd = -1
        self._ident = (0, 0)  # of the open file
        self._freed: Callable[[], object] | None = None  # closes it once, at the latest when this object is freed
        self._offset = 0  # everything before it was sent
        self._reading = 0  # end of the items being sent
        self._lines = 0  # how many lines those are
        self._adopt()
        self.waiting = self._count()  # items not sent yet

    def _adopt(self) -> None:
        """Append what forked children left that have ended."""
        for path in sorted(glob.glob(glob.escape(self.path) + ".*")):
            pid = path.rpartition(".")[2]
            if not pid.isascii() or not pid.isdigit() or _is_alive(int(pid)):
                continue
            mine = f"{path}.taken"
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(path, mine)
                with open(mine, "rb") as file:
                    self._write(file.read())
                os.unlink(mine)
        self._close_file()

    def _count(self) -> int:
        try:
            with open(self.path, "rb") as file:
                return sum(1 for line in file if line.endswith(b"\n"))
        except FileNotFoundError:
            return 0

    def _write(self, data: bytes) -> None:
        """Append whole lines, or nothing."""
        if not is_own(self._fd, self._ident):  # not open, or closed by the program
            self._close_file()
            fd = open_log(self.path, os.O_APPEND | os.O_RDWR, self._mode)
            self._fd, self._ident = fd, ident_of(fd)
            self._freed = weakref.finalize(self, close_own, fd, self._ident)
            size = os.fstat(fd).st_size
            if size:
                os.lseek(fd, size - 1, os.SEEK_SET)
                if os.read(fd, 1) != b"\n":  # a crash tore the last line
                    data = b"\n" + data
                    self.waiting = getattr(self, "waiting", 0) + 1
        before = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except BaseException:  # a full disk: half an item would spoil the next one
            if is_own(self._fd, self._ident):
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, before)
            raise

    def append(self, item: Item | _core.ChangeItem) -> None:
        """Append an item, with one write. Raises OSError."""
        self._write(_line_of(item))
        self.last = item.seq
        self.waiting += 1

    def read(self, items: int, size: int) -> list[Item]:
        """Return the oldest items; they stay until `sent` is called.

        Raises OSError; if the file was removed, nothing waits any more.

        :param items: at most this many.
        :param size: about this many bytes.
        """
        found: list[Item] = []
        try:
            file = open(self.path, "rb")  # noqa: SIM115
        except FileNotFoundError:
            self._close_file()
            self.waiting = self._offset = self._reading = self._lines = 0
            raise
        with file:
            file.seek(self._offset)
            lines = 0
            while len(found) < items and size > 0:
                line = file.readline()
                if not line.endswith(b"\n"):
                    break
                lines += 1
                head, _, body = line[:-1].partition(b"\t")
                try:
                    seq, root, time_ns, id = json.loads(head)
                    found.append(Item(body, seq, root, time_ns, id))
                    size -= len(line)
                except (ValueError, TypeError):
                    _log.warning("%s: skipped a line that is not a spilled item", self.path)
            self._reading = file.tell()
            self._lines = lines
        if not found:  # only lines that are not items, or nothing
            self.sent()
            self.waiting = 0
        return found

    def sent(self) -> None:
        """Remove the items that `read` returned last."""
        if self._reading <= self._offset:
            return
        self.waiting -= self._lines
        self._offset = self._reading
        self._lines = 0
        if self.waiting <= 0:
            self.waiting = 0
            self._offset = self._reading = 0
            self._close_file()
            with contextlib.suppress(FileNotFoundError):
                os.truncate(self.path, 0)

    def close(self, first: Iterable[Item | _core.ChangeItem] = ()) -> None:
        """Close the file. Items not sent stay at its beginning.

        :param first: items that come before those in the file.
        """
        self._close_file()
        older = b"".join(map(_line_of, first))
        if not self._offset and not older:  # the next process reads from the beginning
            return
        rest = b""
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as old:
            old.seek(self._offset)
            rest = old.read()
        new = self.path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        with open(open_log(new, os.O_WRONLY | os.O_TRUNC, self._mode), "wb") as file:
            like(self.path, file.fileno())
            file.write(older)
            file.write(rest)
        os.replace(new, self.path)
        self._offset = self._reading = self._lines = 0
        self.waiting += older.count(b"\n")

    def _close_file(self) -> None:
        self._fd = -1
        if self._freed is not None:
            self._freed()

    def forget(self) -> None:
        """Use another file after a fork, and leave this one to the parent."""
        self._close_file()
        self.path = f"{self.path}.{os.getpid()}"
        self._offset = self._reading = self._lines = self.waiting = 0


def _line_of(item: Item | _core.ChangeItem) -> bytes:
    head = json.dumps([item.seq, item.root, item.time_ns, item.id]).encode()
    return head + b"\t" + item.line + b"\n"


def _is_alive(pid: int) -> bool:
    if os.name != "posix":  # there is no fork
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
