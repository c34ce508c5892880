"""The writer of logs: each change becomes one line, and one ``write()``.

- The file is opened with O_APPEND, so several processes can write to it, and it is not buffered: what was written
  survives the process. ``buffered=True`` gives that up for fewer calls.
- The lock is held during the write() only, and no user code runs under it. It is reentrant, since a signal handler or
  ``__del__`` may change tracked data meanwhile.
- If a line cannot be written, the next line that can is preceded by a ``gap``.
- A log that is renamed or deleted is begun anew at its path, and a pipe is waited for a few seconds only: `LogFile`.
- After ``fork`` parent and child append to the same file, each with a lock of its own. Lines that the parent had
  gathered are written by the parent only.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import io
import os
import sys
import threading
import time
import weakref
from typing import IO, Any, Final, Self

from pydatatracker import _core, _forks
from pydatatracker._core import nests_deeper
from pydatatracker.change.compact import compacted
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.references import BEGUN
from pydatatracker.io.files import MODE, LogFile, check_mode, path_of
from pydatatracker.io.parsing import TOO_DEEP
from pydatatracker.values.codec import encoder
from pydatatracker.values.encode import NESTING, encode
from pydatatracker.values.pickles import Handle
from pydatatracker.values.secrets import FIELDS, Withheld

__all__ = ["ChangeWriter", "gap_line", "to_line"]

_BATCH: Final = 1 << 16  # bytes gathered with buffered=True before they are written
_RECENT: Final = 64  # changes of which it is known whether they were written; one per thread that writes is enough
_PATHS: Final = frozenset(("path", "paths", "location", "also"))
_NESTED: Final = (dict, list, tuple, set, frozenset)


@functools.cache
def _encoder() -> Any:
    return encoder(encode)


def to_line(change: Any, *, compact: bool = False, withheld: Withheld | None = None) -> bytes:
    r"""Return the line of a change as bytes, newline included.

    O(size of the values).

    :param change: a ChangeLogEntry, or the dict of one; it is not modified.
    :param compact: leave out ``tree``, ``extra`` and every empty key except ``path``, ``location``, ``before`` and
        ``after`` (`change.compact`).
    :param withheld: what to take out of the line.
    :raises ValueError: a dict that nests more levels than a line may have (`values.encode.NESTING`): no reader would
        accept it. The values of a ChangeLogEntry are cut before that.

    >>> to_line({"v": 1, "action": "gap", "from": 1, "to": 2, "pid": 7, "thread": "main"})
    b'{"v":1,"action":"gap","from":1,"to":2,"pid":7,"thread":"main"}\n'
    """
    end = _span_of(change)
    if isinstance(change, _core.Change) and (withheld is None or withheld.is_by_word):
        fast = _core.change_line(change, compact, withheld is not None, BEGUN.get().roots)
        if fast is not None:
            return fast[:-1] + end
    if withheld is not None:
        line = _without(change, compact, withheld)
    elif isinstance(change, dict):
        line = compacted(change) if compact else change.copy()
    else:
        line = change.to_dict(compact=compact)
    own = isinstance(change, _core.Change) and change.place is not None  # made here: encode has cut its values
    if not own and _is_deeper(line, NESTING):  # before anything recurses
        raise ValueError(TOO_DEEP)
    line.setdefault("pid", os.getpid())
    if "thread" not in line:
        line["thread"] = _thread_name()
    try:
        data: bytes = _encoder()(line)
    except UnicodeEncodeError:  # a lone surrogate: spelled out in text, but exact in a path
        data = _encoder()({key: (_exact if key in _PATHS else _readable)(value) for key, value in line.items()})
    if not own and nests_deeper(data, NESTING):  # the caller's dict has a container of another class
        raise ValueError(TOO_DEEP)
    return data[:-1] + end


def _without(change: Any, compact: bool, withheld: Withheld) -> dict[str, Any]:
    """Return the line of a change as a dict without what is withheld."""
    token = FIELDS.set(withheld.field)
    try:
        line = copy.deepcopy(change) if isinstance(change, dict) else change.to_dict()
    finally:
        FIELDS.reset(token)
    withheld.take_out(line)
    return compacted(line) if compact else line


def gap_line(first: int | None, last: int | None, reason: str) -> bytes:
    """Return the line that marks that changes are missing. O(1)."""
    gap = {"v": 1, "action": "gap", "from": first, "to": last, "reason": reason}
    return to_line({key: value for key, value in gap.items() if value is not None})


def _is_deeper(data: Any, levels: int) -> bool:
    """Return whether builtin containers nest more levels.

    O(levels x containers) at most, without recursion.
    """
    level = [data]
    for _ in range(levels):
        inside = {
            id(item): item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, _NESTED)
        }
        if not inside:
            return False
        level = list(inside.values())
    return True


def _span_of(change: Any) -> bytes:
    """Return the end of the line: the ids of the current span, if any."""
    if "opentelemetry.trace" in sys.modules and isinstance(change, _core.Change) and change.place is not None:
        from pydatatracker.io.tracing import current_fields

        fields = current_fields()
        if fields:  # not for a dict, or a change that was read: those happened elsewhere
            return fields + b"\n"
    return b"}\n"


def _thread_name() -> str:
    try:
        return threading.current_thread().name
    except Exception:  # the thread is ending
        return ""


def _readable(value: Any) -> Any:
    """Return JSON data with every lone surrogate spelled out."""
    if type(value) is str:
        return value.encode("utf-8", "backslashreplace").decode()
    if type(value) is dict:
        return {_readable(key): _readable(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [_readable(item) for item in value]
    return value


def _exact(value: Any) -> Any:
    """Return a key, a path, or several, with every lone surrogate as a tag."""
    if type(value) is list:
        return [_exact(item) for item in value]
    return encode(value) if type(value) is str else _readable(value)


class ChangeWriter(Handle):
    r"""Append changes to a log, one line per change.

    The file is created with its folders. If a crash tore its last line, that line is ended first. If it is renamed or
    deleted, a new file is begun at its path. Safe to use from several threads, and after fork. Its ``write`` can be an
    observer.

    :param target: a path, or a file object, binary or text, which `close` leaves open.
    :param compact: see `to_line`.
    :param buffered: gather lines and write them together; `flush` and `close` write those that wait,
        and so does the end of the process.
    :param mode: permissions of the file if it is new: ``0o640``, or ``"0640"``; None: as the umask says. By default
        only the owner may read it, since a log holds the program's data.
    :param withheld: what to take out of every line.
    :param seals: what seals the lines of a path (`pydatatracker.exporters.sealing.FileSeals`).
    :raises OSError: the file or its folder cannot be created. TimeoutError: it is a pipe, and no process has opened it
        for reading within 5 seconds.

    >>> import io
    >>> log = io.StringIO()
    >>> ChangeWriter(log, compact=True).write({"v": 1, "action": "lock", "actor": "", "pid": 7, "thread": "a"})
    >>> log.getvalue()
    '{"v":1,"action":"lock","pid":7,"thread":"a"}\n'
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | IO[Any],
        *,
        compact: bool = False,
        buffered: bool = False,
        mode: int | str | None = MODE,
        withheld: Withheld | None = None,
        seals: Any = None,
    ) -> None:
        permissions = check_mode(mode)
        self._seals = seals
        self._withheld = withheld
        self.compact = compact
        self.buffered = buffered
        self._lock = threading.RLock()
        self._batch: list[tuple[bytes, int | None, int | None]] = []  # data, first and last change
        self._batch_size = 0  # bytes
        self._written: collections.deque[int | None] = collections.deque(maxlen=_RECENT)  # the last changes
        self._lost: tuple[int | None, int | None, str] | None = None  # seq from, seq to, reason
        self._torn = False  # the last write() to the file object stopped inside a line
        self._log: LogFile | None = None
        self._appender: _core.Appender | None = None  # writes what is ordinary, without this object
        self._file: Any = None
        if isinstance(target, (str, bytes, os.PathLike)):
            self.name = path_of(target)
            self._log = LogFile(self.name, permissions)
            if not buffered and (withheld is None or withheld.is_by_word):
                self._appender = _core.Appender(self._log, self._lock, compact, withheld is not None)
                if seals is not None:
                    self._appender.chain = seals.chain
        elif not callable(getattr(target, "write", None)):
            raise TypeError(f"a log is a path or a file object, not {type(target).__name__}")
        else:
            self.name = str(getattr(target, "name", f"<{type(target).__name__}>"))
            if hasattr(target, "buffer"):  # a log is UTF-8 whatever the encoding of the text file
                target.flush()
            self._file = getattr(target, "buffer", target)
            self._text = isinstance(self._file, io.TextIOBase)
        _forks.keep(self, _forks.FILES)
        if buffered or seals is not None:
            _ending[id(self)] = weakref.ref(self)

    tracking_once_write = True  # of a change in several containers that it observes

    def write(self, change: Any) -> None:
        """Append a change: a ChangeLogEntry or its dict.

        O(size of the values), one ``write()``. Raises ValueError after `close`, OSError if the file cannot be written;
        then the next line that can be written is preceded by a ``gap`` line.
        """
        appender = self._appender
        if appender is not None and type(change) is ChangeLogEntry and appender.append(change):
            return
        seq = _seq_of(change)
        try:
            data = to_line(change, compact=self.compact, withheld=self._withheld)
        except BaseException as error:  # also KeyboardInterrupt, in a __repr__ of the program
            self._lose(seq, seq, error)
            raise
        self._append(data, seq)

    def withhold(self, withheld: Withheld) -> None:
        """Take this out of every line from now on, and look at each for it."""
        if self._appender is not None:
            self._appender.ready = False
            self._appender = None
        self._withheld = withheld

    @property
    def tracking_feed_write(self) -> _core.Appender | None:
        """What takes changes without a call of ``write``; None: nothing does."""
        return self._appender if type(self).write is ChangeWriter.write else None

    def flush(self) -> None:
        """Write the lines that were gathered. O(size). Raises as `write` does."""
        try:
            with self._lock:
                self._flush()
        finally:
            self._say()

    def tracking_attached_write(self, container: Any) -> None:
        """Write the state of a container that ``write`` begins to observe."""
        state = _core.plain(container)
        if state:
            self.write(_core.state_change(container, _core.redacted_state(container, state)))

    def tracking_missed_write(self, change: Any, error: BaseException) -> None:
        """Note that a change is missing, unless it was written after all."""
        seq = change.seq
        if self._appender is not None and self._appender.wrote(seq):
            return
        with self._lock:
            if seq not in self._written and all(seq != each for _, _, each in self._batch):
                self._lose(seq, seq, error)

    def close(self) -> None:
        """Write the lines that were gathered, and close the file.

        A file object that was passed in stays open. O(1); a second call does nothing.
        """
        try:
            with self._lock:
                if self._appender is not None:
                    self._appender.ready = False
                try:
                    if not self.closed:
                        if self._lost is not None:
                            self._append(b"", self._lost[1])
                        self._flush()
                        self._end_seals()
                finally:
                    self._file = None
                    if self._log is not None:
                        self._log.close()
        finally:
            self._say()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._file is None and (self._log is None or self._log.closed)

    def fileno(self) -> int:
        """Return the descriptor of the file opened here, -1 if none. O(1)."""
        return -1 if self._log is None else self._log.fd

    def detach(self) -> int:
        """Give up the descriptor without closing it, and return it. O(1).

        For a program that closed all files without using this object: the number may be another file's by now.
        """
        with self._lock:
            if self._appender is not None:
                self._appender.ready = False
            return -1 if self._log is None else self._log.detach()

    def is_usable(self) -> bool:
        """Return whether the descriptor is still that of the file opened here.

        O(1). A program that closes all files may have given the number to another one.
        """
        log = self._log
        if log is None or log.is_mine:
            return log is not None
        with self._lock:  # another thread may be opening a new file
            return log.is_mine

    def renewals(self) -> int:
        """Return how many times the file was found renamed or deleted.

        O(1), a look at the file included if the last one was a tenth of a second ago. Raises OSError if a new file
        cannot be opened.
        """
        if self._log is None or self._log.closed:
            return 0
        if time.monotonic() >= self._log.look_at:
            try:
                with self._lock:
                    self._look(self._log)
            finally:
                self._say()
        return self._log.renewals

    def __enter__(self) -> Self:
        if self.closed:
            raise ValueError(f"the log {self.name} is closed: open a new ChangeWriter to append to it")
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        log = getattr(self, "_log", None)
        if log is not None and not log.closed:
            try:
                self.close()
            except Exception as error:  # a full disk: there is nobody to raise it to
                _warn("%s was freed, and its last lines could not be written: %s", self, error)

    def __repr__(self) -> str:
        return f"<ChangeWriter {self.name!r}{' (closed)' if self.closed else ''}>"

    # ---- below the line

    def _append(self, data: bytes, seq: int | None) -> None:
        try:
            with self._lock:
                if self.closed:
                    raise ValueError(f"the log {self.name} is closed: open a new ChangeWriter to append to it")
                if not self.buffered or _forks.is_worker():  # a worker may be killed before it ends
                    self._put(data, seq, seq, True)
                    return
                lost = self._lost
                if lost is not None:
                    data = gap_line(*lost) + data
                self._batch.append((data, seq if lost is None else lost[0], seq))
                self._lost = None
                self._batch_size += len(data)
                if self._batch_size >= _BATCH:
                    self._flush()
        finally:
            if self._log is not None and self._log.messages:
                self._say()

    def _flush(self) -> None:
        if self._batch:
            data = b"".join([each for each, _, _ in self._batch])
            self._put(data, self._batch[0][1], self._batch[-1][2], False)

    def _put(self, data: bytes, first: int | None, last: int | None, single: bool) -> None:
        """Write all of data, behind the gap line of what is lost.

        Otherwise note which changes are lost, and whether the file ends inside a line.

        :param single: data is one line, not the batch.
        """
        log = self._log
        if log is not None:
            log.is_written = False
        lost = before = self._lost
        try:
            if log is not None and time.monotonic() >= log.look_at:
                self._look(log)
                lost = self._lost
            if lost is not None and (single or lost is not before):  # or it comes after the batch
                data, first = gap_line(*lost) + data, _outer(min, lost[0], first)
            else:
                lost = None
            if log is None:
                data = b"\n" + data if self._torn else data
                self._torn = True
                self._file.write(data.decode() if self._text else data)
                if hasattr(self._file, "flush"):
                    self._file.flush()
                self._torn = False
            elif self._seals is None:
                log.write(data, first, last)
            else:
                self._put_sealed(log, data, first, last)
            self._done(lost, last, single)
        except BaseException as error:  # also KeyboardInterrupt, while it waits for a reader
            if log is not None and log.is_written:
                self._done(lost, last, single)
            else:
                self._lose(first, last, error)
                if not single:
                    self._batch.clear()
                    self._batch_size = 0
            raise

    def _put_sealed(self, log: LogFile, data: bytes, first: int | None, last: int | None) -> None:
        """Write lines with their seals; the root of the last ones for b""."""
        seals = self._seals
        try:
            seals.start()
            log.own()  # it may become another file, in which another chain begins
            if data:
                chain, data = seals.sealed(log, data.split(b"\n")[:-1], False)
            else:
                chain, data = seals.root(log, False)
            if self._appender is not None:
                self._appender.chain = seals.chain
            if data:
                log.write(data, first, last)
            seals.done(chain)
        except BaseException:
            seals.failed()
            raise

    def _end_seals(self) -> None:
        if self._seals is not None and self._log is not None and self._seals.needs_root:
            self._put_sealed(self._log, b"", None, None)

    def write_root(self) -> str:
        """End the sealed lines since the last root with a root; return it.

        O(lines since then). "" if this object has written no line. Raises OSError.
        """
        if self._seals is None:
            raise ValueError("only a log with seals has roots")
        with self._lock:
            if not self.closed:
                self._flush()
                self._end_seals()
            return str(self._seals.chain.root)

    def _done(self, lost: Any, last: int | None, single: bool) -> None:
        if lost is not None and self._lost is lost:
            self._lost = None
            if self._appender is not None:
                self._appender.ready = not self.closed
        self._written.extend([last] if single else [seq for _, _, seq in self._batch])
        if not single:
            self._batch.clear()
            self._batch_size = 0

    def _look(self, log: LogFile) -> None:
        missing = log.look()
        if missing is not None:
            first, last, reason = missing
            if self._lost is not None:
                last = self._lost[1]
            self._set_lost(first, last, reason)

    def _lose(self, first: int | None, last: int | None, error: BaseException) -> None:
        """Note that these changes are not in the log."""
        with self._lock:
            if self._lost is not None:
                first, last = _outer(min, self._lost[0], first), _outer(max, self._lost[1], last)
            self._set_lost(first, last, f"{type(error).__name__}: {error}"[:500])

    def _set_lost(self, first: int | None, last: int | None, reason: str) -> None:
        if self._appender is not None:
            self._appender.ready = False  # the gap comes first
        self._lost = first, last, reason

    def _say(self) -> None:
        if self._log is not None and self._log.messages:
            self._log.say()

    def after_fork(self) -> None:
        """Make the lock anew, and leave gathered lines to the parent."""
        self._lock = threading.RLock()
        if self._appender is not None:
            self._appender.use_lock(self._lock)
        if self._seals is not None:
            self._seals.forget()
        self._batch.clear()
        self._batch_size = 0


def _outer(which: Any, one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else which(one, other)


def _seq_of(change: Any) -> int | None:
    try:
        seq = change.get("seq") if isinstance(change, dict) else change.seq
    except Exception:  # to_line raises a better error
        return None
    return seq if isinstance(seq, int) else None


def _warn(message: str, *values: object) -> None:
    import logging

    with contextlib.suppress(Exception):  # a handler of the program that raises; the interpreter ends
        logging.getLogger("pydatatracker").warning(message, *values)


_ending: dict[int, weakref.ref[ChangeWriter]] = {}


def _flush_all() -> None:
    """Write what is gathered, and roots: at the end of the process."""
    for number, reference in list(_ending.items()):
        writer = reference()
        if writer is None:
            _ending.pop(number, None)
        elif not writer.closed:
            try:
                writer.flush()
                if writer._seals is not None:
                    writer.write_root()
            except Exception as error:  # a full disk: there is nobody to raise it to
                _warn("the last lines of %s could not be written: %s", writer, error)


_forks.at_end(_flush_all)
