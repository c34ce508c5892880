"""The spill file: changes that do not fit into the queue of a delivery.

They are on disk until they are sent. One line per item: a JSON head (seq, root, time, id), a tab, the line of the
change.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from pydatatracker import _core
from pydatatracker.exporters.sink import Item

__all__ = ["SpillFile"]

_log = logging.getLogger("pydatatracker")


class SpillFile:
    """Items in the order in which they came.

    Not safe to use from several threads: the queue holds its lock around every call.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        self._file: Any = None
        self._offset = 0  # everything before it was sent
        self._reading = 0  # end of the items being sent
        self.waiting = self._count()  # items not sent yet

    def _count(self) -> int:
        try:
            with open(self.path, "rb") as file:
                return sum(1 for line in file if line.endswith(b"\n"))
        except FileNotFoundError:
            return 0

    def append(self, item: Item | _core.ChangeItem) -> None:
        """Append an item, with one write. Raises OSError."""
        if self._file is None:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - held open
        head = json.dumps([item.seq, item.root, item.time_ns, item.id]).encode()
        self._file.write(head + b"\t" + item.line + b"\n")
        self.waiting += 1

    def read(self, items: int, size: int) -> list[Item]:
        """Return the oldest items; they stay until `sent` is called.

        :param items: at most this many.
        :param size: about this many bytes.
        """
        found: list[Item] = []
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            while len(found) < items and size > 0:
                line = file.readline()
                if not line.endswith(b"\n"):
                    break
                size -= len(line)
                head, _, body = line[:-1].partition(b"\t")
                try:
                    seq, root, time_ns, id = json.loads(head)
                    found.append(Item(body, seq, root, time_ns, id))
                except ValueError:
                    _log.warning("%s: skipped a line that is not a spilled item", self.path)
                    self.waiting = max(self.waiting - 1, 0)
            self._reading = file.tell()
        if not found:
            self.waiting = 0
        return found

    def sent(self) -> None:
        """Remove the items that `read` returned last."""
        if self._reading <= self._offset:
            return
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            self.waiting -= file.read(self._reading - self._offset).count(b"\n")
        self._offset = self._reading
        if self.waiting <= 0:
            self.waiting = 0
            self._offset = self._reading = 0
            self.close()
            os.truncate(self.path, 0)

    def close(self) -> None:
        """Close the file. Items not sent stay at its beginning."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
        if self._offset:  # the next process reads from the beginning
            with open(self.path, "rb") as old:
                old.seek(self._offset)
                rest = old.read()
            with open(self.path + ".new", "wb") as new:
                new.write(rest)
            os.replace(self.path + ".new", self.path)
            self._offset = self._reading = 0

    def forget(self) -> None:
        """Use another file after a fork, and leave this one to the parent."""
        self._file = None
        self.path = f"{self.path}.{os.getpid()}"
        self._offset = self._reading = self.waiting = 0
