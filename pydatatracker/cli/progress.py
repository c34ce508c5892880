"""A progress bar on standard error for work of more than a second.

It is shown on terminals only, and drawn by rich.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final, Self

__all__ = ["Bar"]

_PATIENCE: Final = 1.0  # seconds before the bar is shown
_STEP: Final = 0.1  # seconds between two updates


class Bar:
    """Shows how far some work has come.

    Nothing is imported or shown before the work has taken a second.

    >>> with Bar() as bar:
    ...     bar.start("reading", 100)
    ...     bar.update(50)
    """

    def __init__(self) -> None:
        self._wanted = _is_terminal()
        self._next = time.monotonic() + _PATIENCE
        self._title = ""
        self._total: int | None = None
        self._shown: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def start(self, title: str, total: int | None) -> None:
        """Begin a part of the work of ``total`` steps, None if unknown. O(1)."""
        self.hide()
        self._title, self._total = title, total

    def update(self, done: int) -> None:
        """Report how many steps are done.

        O(1); meant to be called about every millisecond.
        """
        if not self._wanted:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _STEP
        if self._shown is None:
            self._shown = _drawn(self._title, self._total)
            if self._shown is None:
                self._wanted = False
                return
        self._shown.update(0, completed=done)
        self._shown.refresh()

    def hide(self) -> None:
        """Hide the bar so that something else can be printed.

        The next `update` shows it again. O(1).
        """
        if self._shown is not None:
            self._shown.stop()
            self._shown = None

    def end(self) -> None:
        """Hide the bar for good, as the screen is used by another program. O(1)."""
        self.hide()
        self._wanted = False


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def _drawn(title: str, total: int | None) -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    except ImportError:  # the work goes on without a bar
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    bar.add_task(title, total=total)
    bar.start()
    return bar
