"""The changes of one object in a test: what the fixture `watched` returns."""

from __future__ import annotations

import contextlib
from typing import Any

from pydatatracker import _core
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.testing.watching import Seen, Watch
from pydatatracker.watching import watch

__all__ = ["Recording"]

_KEPT = 1_000_000  # changes; the others are counted


class Recording:
    """The changes of an object since it was made.

    Plain objects are watched where they are, on CPython 3.12 and newer.
    """

    def __init__(self, x: Any) -> None:
        __tracebackhide__ = True
        self._watch: Any = None  # of an object that is not tracked
        self._name = type(x).__name__
        if isinstance(x, _core.Watching) or (_core.tracker(x) is not None and not _core.is_watched(x)):
            container = x
        else:
            try:
                container = self._watch = watch(x, tracking_max_changes=None)
            except (TypeError, RuntimeError) as error:
                raise TypeError(f"watched() cannot record a {self._name}: {error}") from None
        self._collected = Watch((container,), "watched", _KEPT)
        self._container: Any = container
        self._collected.start()

    def end(self) -> None:
        """Record no further changes; what was recorded stays. O(changes)."""
        if self._collected.is_on:
            self._flush()
            self._collected.stop()
            if self._watch is not None:
                self._watch.close()

    def _flush(self) -> None:
        if self._collected.is_on:
            with contextlib.suppress(Exception):
                self._container.last_change()  # items of lists are found by comparing

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """The changes so far, oldest first."""
        self._flush()
        return self._collected.changes

    @property
    def last(self) -> ChangeLogEntry | None:
        """The newest change, or None."""
        found = self.changes
        return found[-1] if found else None

    @property
    def paths(self) -> list[tuple[Any, ...]]:
        """The paths that changed, each once, in their first order."""
        found = []
        for change in self.changes:
            if change.path not in found:
                found.append(change.path)
        return found

    @property
    def pointers(self) -> list[str]:
        """`paths` as JSON pointers."""
        return list(dict.fromkeys(change.pointer for change in self.changes))

    def seen(self) -> list[Seen]:
        """Return the changes with the calls that led to them."""
        self._flush()
        return self._collected.seen()

    def __len__(self) -> int:
        return len(self.changes)

    def __bool__(self) -> bool:
        return True  # also without changes: it is the recording, not a list

    def __repr__(self) -> str:
        found = self.changes
        shown = ", ".join(map(repr, found[:5])) + (f", and {len(found) - 5} more" if len(found) > 5 else "")
        return f"<recording of {self._name}: {shown or 'no changes'}>"
