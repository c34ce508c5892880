"""A bar on standard error for what takes longer than a second, where that is a terminal. Drawn by rich."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final, Self

__all__ = ["Bar"]

_PATIENCE: Final = 1.0  # seconds before there is anything to see
_STEP: Final = 0.1  # seconds between two looks


class Bar:
    """How far some work has come. Nothing is imported, and nothing shown, before it has taken a second.

    >>> with Bar() as bar:
    ...     bar.start("reading", 100)
    ...     bar.update(50)
    """

    def __init__(self) -> None:
        self._wanted = _is_terminal()
        self._next = time.monotonic() + _PATIENCE
        self._words = ""
        self._total: int | None = None
        self._shown: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def start(self, words: str, total: int | None) -> None:
        """Begin a part of the work, of so many steps; None where that is not known. O(1)."""
        self.hide()
        self._words, self._total = words, total

    def update(self, done: int) -> None:
        """Say how many steps are done. O(1); call it about every millisecond."""
        if not self._wanted:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _STEP
        if self._shown is None:
            self._shown = _drawn(self._words, self._total)
            if self._shown is None:
                self._wanted = False
                return
        self._shown.update(0, completed=done)
        self._shown.refresh()

    def hide(self) -> None:
        """Take the bar away, so that something else can be printed; the next `update` brings it back. O(1)."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None

    def end(self) -> None:
        """Take the bar away for good: the screen is somebody else's. O(1)."""
        self.hide()
        self._wanted = False


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def _drawn(words: str, total: int | None) -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    except ImportError:  # it is an ornament: without it the work goes on
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    bar.add_task(words, total=total)
    bar.start()
    return bar
