"""Run a check in a forked child and report what failed there."""

from __future__ import annotations

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def in_child(check: Callable[[], object], seconds: int = 30) -> None:
    """Call check in a forked child.

    Raises AssertionError with the traceback if it fails there, or takes longer than some seconds.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: a fork out of threads
        child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            check()
        except BaseException:
            os.write(writing, traceback.format_exc()[-60_000:].encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended by signal {status & 127}" + said
    assert not said, said


@contextmanager
def busy(work: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """Run work(wait) in a thread, which is inside wait() while the block runs."""
    inside, go = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        go.wait(60)

    thread = threading.Thread(target=work, args=(wait,))
    thread.start()
    try:
        assert inside.wait(30)
        yield
    finally:
        go.set()
        thread.join(60)
