"""An interrupt leaves a block entered and left, or not entered.

CPython runs the handlers of signals where Python code begins, jumps back or has called something. So an exception is
raised at every single one of these moments in the library's own code, while a block is entered, left or rolled back.
"""

from __future__ import annotations

import dis
import functools
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, Self

import pytest

import pydatatracker
from pydatatracker import TrackedDict, _core, tracking_actor, tracking_transaction

PACKAGE = pydatatracker.__file__.rpartition("__init__")[0]


class Interrupt(BaseException):
    """What the handler of a signal raises."""


CHECKED = {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "RESUME", "JUMP_BACKWARD"}  # signals are handled after these


@functools.cache
def handlers(code: CodeType) -> list[tuple[int, int, int]]:
    """Return (start, end, handler) of what has an exception handler."""
    return [(entry.start, entry.end, entry.target) for entry in dis.Bytecode(code).exception_entries]


def is_checked(code: CodeType, last: int, now: int) -> bool:
    """Return whether signals are handled between two instructions.

    It is the first one that raises, so where another handler begins with the second there is no such moment.
    """
    if dis.opname[code.co_code[last]] not in CHECKED:
        return False
    one, two = ([h for start, end, h in handlers(code) if start <= at < end] for at in (last, now))
    return one == two


class InterruptAt:
    """Raise Interrupt at moment number n of the package's Python code."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.last: dict[FrameType, int] = {}

    def __enter__(self) -> Self:
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            last = self.last.get(frame)
            self.last[frame] = frame.f_lasti
            if last is not None and is_checked(frame.f_code, last, frame.f_lasti):
                self.left -= 1
                if self.left == 0:
                    raise Interrupt
        return self.trace


def actor_block(d: Any) -> None:
    with tracking_actor("inner", reason="r"):
        d["a"] = 1


def transaction(d: Any) -> None:
    with tracking_transaction(message="m"):
        d["a"] = 1
        d["b"] = 2


def savepoint(d: Any) -> None:
    with tracking_transaction():
        d["a"] = 1
        with tracking_transaction():
            d["b"] = 2


def failing(d: Any) -> None:
    with tracking_transaction():
        d["a"] = 1
        d["b"] = 2
        raise ValueError("the block fails")


def failing_savepoint(d: Any) -> None:
    with tracking_transaction():
        d["a"] = 1
        try:
            with tracking_transaction():
                d["b"] = 2
                raise ValueError("the savepoint fails")
        except ValueError:
            pass


CALLS = [actor_block, transaction, savepoint, failing, failing_savepoint]


def interrupted(call: Callable[[Any], None]) -> Iterator[tuple[Any, list[Any], BaseException | None]]:
    """Yield (dict, what observers heard of, what was raised) for each moment."""
    n = 0
    while True:
        n += 1
        d: TrackedDict[str, int] = TrackedDict(start=0)
        heard: list[Any] = []
        d.tracking_add_observer(heard.append)
        raised: BaseException | None = None
        at = InterruptAt(n)
        with tracking_actor("outer"):
            try:
                with at:
                    call(d)
            except (Interrupt, ValueError) as error:
                raised = error
        yield d, heard, raised
        if at.left > 0:
            assert n > 1 or call not in (failing, failing_savepoint), "no instruction of the package runs"
            return


@pytest.mark.parametrize("call", CALLS, ids=[call.__name__ for call in CALLS])
def test_no_block_is_left_open(call: Callable[[Any], None]) -> None:
    """Afterwards the actor is the one of before, and no transaction is open."""
    for d, heard, _raised in interrupted(call):
        assert _core.scope_now() is None
        d["later"] = 1
        last = d.last_change()
        assert (last.actor, last.transaction) == ("", None)
        assert heard[-1].seq == last.seq
        assert d.tracking_verify() is None
        d._check()


@pytest.mark.parametrize("call", CALLS, ids=[call.__name__ for call in CALLS])
def test_observers_hear_of_all_that_stays(call: Callable[[Any], None]) -> None:
    """What they heard of leads from the start to the state."""
    for d, heard, _raised in interrupted(call):
        state = {"start": 0}
        for change in heard:
            if change.action == "remove":
                del state[change.location]
            else:
                state[change.location] = change.after
        assert state == d


@pytest.mark.parametrize("call", [failing], ids=["failing"])
def test_a_failed_transaction_is_rolled_back(call: Callable[[Any], None]) -> None:
    """One interrupt does not keep a rollback from its end."""
    for d, _heard, raised in interrupted(call):
        assert raised is not None
        assert d == {"start": 0}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no timers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of callbacks of the collector
@pytest.mark.parametrize("call", CALLS, ids=[call.__name__ for call in CALLS])
def test_signals_leave_no_block_open(call: Callable[[Any], None]) -> None:
    """The same with real signals, at 200 moments."""
    armed = False

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Interrupt

    d: TrackedDict[str, int] = TrackedDict()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for n in range(200):
            try:
                armed = True
                # again and again: CPython drops an exception that a handler raises within a finalizer
                signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + n % 50), 1e-3)
                for _ in range(100_000):
                    armed = True
                    try:
                        call(d)
                    except ValueError:
                        pass
            except Interrupt:
                pass
            assert _core.scope_now() is None, n
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    d["later"] = 1
    assert (d.last_change().actor, d.last_change().transaction) == ("", None)
    assert d.tracking_verify() is None
