"""Sealing what is written: files with several writers, and objects.

A writer begins a chain of its own in each file: two processes cannot share one, as neither knows what the other will
write next. The first line of a chain names the last lines of all chains that are in the file by then, so those lines
cannot be cut off later. A write that failed ends a chain, since nobody knows how much of it is in the file: the next
line begins another one, which says what it found.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import IO, Any, Final

from pydatatracker.io.files import LogFile, ident_of
from pydatatracker.io.seals import EVERY, MOST_TORN, Chain, SealError, is_torn, mark_of, text_of

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

__all__ = ["ROOM", "FileSeals", "ObjectSeals", "check_sealable", "every_of", "key_of"]

ROOM: Final = 1024  # bytes for a line with a root and another one that begins a chain
_TAIL: Final = 1 << 16  # bytes in which the last lines of other chains are looked for
_PATIENCE: Final = 1.0  # seconds to wait for another writer that begins a chain
_MOST: Final = 16  # chains that are named


def every_of(given: Any) -> int:
    """Return the number of lines per root, or raise ValueError."""
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ValueError(f"seal_every must be a whole number of lines of at least 1, not {given!r}")
    return given


def key_of(seal: bool, seal_key: Any, seal_every: int = EVERY) -> Any:
    """Return the key that signs, or None.

    :raises ValueError: options of seals are given without ``seal=True``, or a key cannot be used.
    """
    every_of(seal_every)
    if not seal:
        if seal_key is not None or seal_every != EVERY:
            raise ValueError("seal_key and seal_every need seal=True")
        return None
    if seal_key is None:
        return None
    from pydatatracker.io.keys import private_key

    return private_key(seal_key)


class _Tail:
    """The end of a log: the last line of each chain, and what is torn."""

    def __init__(self, file: IO[bytes]) -> None:
        size = file.seek(0, os.SEEK_END)
        start = size
        data = b""
        while start > 0 and (len(data) < _TAIL or b"\n" not in data):
            start = max(0, start - max(_TAIL, len(data)))
            file.seek(start)
            data = file.read(size - start)
        lines = data.split(b"\n")
        last = lines.pop()
        if last:
            lines.append(last)
        self.torn: list[str] = []  # hashes of the lines at the end that are torn
        for line in reversed(lines[1:] if start else lines):
            if mark_of(line + b"\n") is not None or len(self.torn) == MOST_TORN:
                break
            if line and is_torn(line):
                self.torn.append(hashlib.sha256(line).hexdigest())
        found: dict[str, str] = {}
        for line in reversed(lines):
            mark = mark_of(line + b"\n")
            if mark is not None and mark.chain not in found and len(found) < _MOST:
                found[mark.chain] = text_of(mark)
        self.after = found
        self.is_foreign = size > 0 and not found and not self.torn


def check_sealable(path: str) -> None:
    """Raise SealError if a file has lines, and none of the last has a seal.

    O(1). Nobody could vouch for them later.
    """
    if not os.path.isfile(path):  # to open a pipe would wait for whoever writes to it
        return
    try:
        with open(path, "rb") as file:
            foreign = _Tail(file).is_foreign
    except OSError:  # to write to it says what is wrong
        return
    if foreign:
        raise SealError(f"{path} has lines without seals, for which no seal can vouch: name a new file, or move it")


class FileSeals:
    """Seal the lines of a log file.

    The owner holds its lock around every call: `start`, `sealed` or `root`, and then `done` once what that returned was
    written, or `failed`. A signal handler may change data, and so come between: as the chain is busy then, it begins
    another one. The same happens after an interrupt at whatever moment.
    """

    def __init__(self, key: Any, every: int) -> None:
        self._key = key
        self._every = every
        self._ident = (0, 0)  # of the file that the chain is in
        self._is_valid = False
        self._is_loose = False  # a chain of ours ended without a root
        self._ends: list[str] = []  # last lines of such chains, for the next root to name
        self._is_busy = False  # a line is being sealed and written
        self._turn: IO[bytes] | None = None  # the file, locked while a chain is begun
        self.chain = self._new()

    def _new(self) -> Chain:
        chain = Chain(self._every, self._key)
        chain.open = False
        return chain

    @property
    def needs_root(self) -> bool:
        """Whether there are lines of ours after the last root."""
        return self._is_loose or bool(self._ends) or (self._is_valid and not self.chain.is_covered)

    def start(self) -> None:
        """Keep the short way out while lines are sealed and written."""
        if self._is_busy or not self.chain.open:  # the short way closes it where a line was torn
            self._end_chain()
        self._is_busy = True
        self.chain.open = False

    def sealed(self, file: LogFile, lines: list[bytes], is_alone: bool) -> tuple[Chain, bytes]:
        """Return the chain, and the bytes to write for lines without newlines.

        O(length). Behind the first line of a chain if this file has none that goes on.

        :param is_alone: whether the owner has locked the file.
        """
        parts = [] if self._goes_on(file) else [self._begin(file, is_alone)]
        chain = self.chain
        for line in lines:
            if chain.left <= 0:
                parts.append(chain.root_line())
            parts.append(chain.seal(line))
        return chain, b"".join(parts)

    def root(self, file: LogFile, is_alone: bool) -> tuple[Chain, bytes]:
        """Return the chain, and the line with the root of the last lines.

        b"" if there are none. O(lines since the last root). It names the last lines of the other chains, too.
        """
        begun = b""
        if not self._goes_on(file):
            if not self._is_loose:
                return self.chain, b""
            begun = self._begin(file, is_alone)
        chain = self.chain
        if chain.is_covered and not self._ends:
            return chain, b""
        tail = _tail_of(file)
        others = {} if tail is None else tail.after
        ends, self._ends = self._ends, []
        named = dict.fromkeys([*ends, *(seal for name, seal in others.items() if name != chain.name)])
        return chain, begun + chain.root_line(list(named))

    def done(self, chain: Chain) -> None:
        """Note that what was sealed is in the file."""
        self._end_turn()
        if chain is self.chain:
            chain.open = self._is_valid
        elif chain.count:
            self._ends.append(chain.end)  # a signal handler has begun another one meanwhile
        self._is_busy = False

    def failed(self) -> None:
        """Note that it is not, or that nobody knows: the chain has ended."""
        self._end_chain()
        self._end_turn()
        self._is_busy = False

    def forget(self) -> None:
        """Leave the chain to the parent, after a fork."""
        self.failed()
        self._is_loose = False
        self._ends = []

    def _goes_on(self, file: LogFile) -> bool:
        return self._is_valid and self._ident == file.ident

    def _begin(self, file: LogFile, is_alone: bool) -> bytes:
        follows = self.chain.end if self._is_valid else ""
        self._is_valid = False
        if not is_alone and self._turn is None:
            self._turn = _locked(file)
        tail = _tail_of(file)
        chain = self._new()
        after = [] if tail is None else list(tail.after.values())
        line = chain.begin(after, follows, [] if tail is None else tail.torn)
        self.chain = chain
        self._ident = file.ident
        self._is_loose = False
        self._ends = []  # these are among the last lines, or in another file
        self._is_valid = True
        return line

    def _end_chain(self) -> None:
        self._is_loose = self._is_loose or (self._is_valid and self.chain.count > 0)
        self._is_valid = False
        self.chain.open = False

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.close()


def _tail_of(file: LogFile) -> _Tail | None:
    """Return the end of a log; None if it cannot be read."""
    if not file.regular:
        return None
    try:
        with open(file.path, "rb") as other:
            return _Tail(other) if ident_of(other.fileno()) == file.ident else None
    except OSError:
        return None


def _locked(file: LogFile) -> IO[bytes] | None:
    """Lock a log until what is returned is closed.

    So one writer begins a chain at a time.

    Waits a second at most, and goes on without if the file cannot be locked. A descriptor of its own is locked, as a
    forked process shares the other one.
    """
    if fcntl is None or not file.regular:
        return None
    try:
        other = open(file.path, "rb")  # noqa: SIM115
    except OSError:
        return None
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(other.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return other
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(0.001)
                continue
        except OSError:  # a file system without locks
            pass
        other.close()
        return None


class ObjectSeals:
    """Seal batches, each of which becomes an object with a chain of its own."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self._last = ""  # the seal of the last line of the object before
        self._made: tuple[str, bytes, str] = ("", b"", "")
        self._attempts = 0

    def sealed(self, name: str, lines: list[bytes]) -> bytes:
        """Return the content of an object: sealed lines between two more.

        O(length). The same for the same name, as a batch that is sent again must be the same object.
        """
        if self._made[0] != name:
            chain = Chain(len(lines) + 2, self._key)
            parts = [chain.begin(follows=self._last), *map(chain.seal, lines), chain.root_line()]
            self._made = name, b"".join(parts), chain.end
            self._attempts = 0
        self._attempts += 1
        return self._made[1]

    def sent(self, was_there: bool = False) -> None:
        """Note that the object is stored: the next one names its end.

        :param was_there: it existed. It is ours only if this was not the first attempt.
        """
        if not was_there or self._attempts > 1:
            self._last = self._made[2]
        self._made = "", b"", ""
