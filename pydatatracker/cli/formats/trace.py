"""A trace of changes over time, for ui.perfetto.dev."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from pydatatracker.cli.formats.lines import UNFIT, OnUnfit, Write, compact_json
from pydatatracker.io.line import LogLine

__all__ = ["write_trace"]

_SHOWN: Final = ("seq", "before", "after", "splice", "order", "changes", "method", "thread", "context")
_FIRST_TRACK: Final = 1 << 30  # larger than any process id: a thread with the id of its process is its main thread


def write_trace(lines: Iterable[LogLine], write: Write, on_unfit: OnUnfit) -> None:
    """Write a trace in Chrome's JSON format, which Perfetto opens.

    It has one instant event per change and one track per actor. Successive changes of a transaction on a track have a
    slice over them, from the first to the last.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    trace = _Trace(write)
    for line in lines:
        now = line.time_ns
        if now is None:
            continue
        try:
            trace.add(line, now)
        except UNFIT as error:
            on_unfit(line, f"cannot be written as chrome-trace ({type(error).__name__}: {error})")
    trace.end()


class _Trace:
    """A trace that is being written."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._tracks: dict[tuple[int, str], _Track] = {}
        self._pids: set[int] = set()
        self._separator = b"\n"
        write(b'{"displayTimeUnit":"ns","traceEvents":[')

    def end(self) -> None:
        """Write the slices that are still open, and the end of the trace."""
        for track in self._tracks.values():
            track.end(self._event)
        self._write(b"\n]}\n")

    def add(self, line: LogLine, now: int) -> None:
        """Write the event of a change. May raise one of UNFIT."""
        track = self._track(line.pid or 0, line.actor)
        data = line.data
        args: dict[str, Any] = {name: data[name] for name in _SHOWN if name in data}
        culprit = line.culprit
        if culprit is not None:
            args["culprit"] = _call(culprit)
        frames = data.get("stack")
        if isinstance(frames, list):
            args["stack"] = [_call(frame) for frame in frames if type(frame) is dict]
        if track.transaction != line.transaction:
            track.end(self._event)
            track.begin(line.transaction, now)
        name = f"{line.action} {line.pointer or '(root)'}"
        self._event(
            f',"ts":{_micros(now)}', name=name, cat=line.action, ph="i", s="t", pid=track.pid, tid=track.tid, args=args
        )
        track.last = max(track.last, now)
        track.changes += 1

    def _track(self, pid: int, actor: str) -> _Track:
        track = self._tracks.get((pid, actor))
        if track is None:
            if pid not in self._pids:
                self._pids.add(pid)
                self._name("process_name", pid, 0, "Python" if pid else "(unknown)")
            track = self._tracks[pid, actor] = _Track(pid, _FIRST_TRACK + len(self._tracks))
            self._name("thread_name", pid, track.tid, actor or "(nobody)")
        return track

    def _name(self, what: str, pid: int, tid: int, name: str) -> None:
        self._event("", name=what, ph="M", pid=pid, tid=tid, args={"name": name})

    def _event(self, time: str, **fields: Any) -> None:
        # the time as text: a float has too few digits for nanoseconds since 1970
        self._write(self._separator + compact_json(fields)[:-1] + time.encode() + b"}")
        self._separator = b",\n"


class _Track:
    """An actor in a process, and the transaction that is open there."""

    def __init__(self, pid: int, tid: int) -> None:
        self.pid = pid
        self.tid = tid
        self.begin(None, 0)

    def begin(self, transaction: str | None, now: int) -> None:
        """Open a slice, or none without a transaction."""
        self.transaction = transaction
        self.first = self.last = now
        self.changes = 0

    def end(self, event: Callable[..., None]) -> None:
        """Write the slice of the transaction that is open."""
        if self.transaction is not None:
            times = f',"ts":{_micros(self.first)},"dur":{_micros(self.last - self.first)}'
            args = {"transaction": self.transaction, "changes": self.changes}
            event(times, name="transaction", cat="transaction", ph="X", pid=self.pid, tid=self.tid, args=args)


def _micros(nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{abs(nanoseconds) // 1000}.{abs(nanoseconds) % 1000:03}"


def _call(frame: dict[str, Any]) -> str:
    return f"{frame.get('filename')}:{frame.get('lineno')} {frame.get('name')}"
