"""Breaks: stop at the statement that changes a path, before observers run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from traceback import FrameSummary
from types import TracebackType
from typing import Any, Literal, Self

from pydatatracker import _core
from pydatatracker._core import Observer
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.stack import as_text, level_of_culprit
from pydatatracker.history.inverse import inverse, operation
from pydatatracker.values.pickles import Handle, PicklableError
from pydatatracker.values.pointer import action_bits, compile_glob

__all__ = ["Break", "TrackedChangeError"]

Do = Literal["breakpoint", "raise", "warn", "log"] | Callable[[ChangeLogEntry], Any]

_FIRST = -(2**31)  # before all other observers
_log = logging.getLogger("pydatatracker")


class TrackedChangeError(PicklableError, RuntimeError):
    """A change was refused by `tracking_break(..., do="raise")`.

    The container is as it was. ``change`` is the one that was refused.
    """

    def __init__(self, message: str, change: ChangeLogEntry) -> None:
        super().__init__(message)
        self.change = change

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """The change that was refused, as a list."""
        return [self.change]


class Break(Handle):
    """A watched path, as `tracking_break` returns it.

    ``remove()``, or the end of a ``with`` block, ends it.
    """

    def __init__(
        self,
        container: Any,
        path: str,
        actions: Iterable[str] | str | None,
        when: Callable[[ChangeLogEntry], bool] | None,
        do: Do,
    ) -> None:
        if when is not None and not callable(when):
            raise TypeError(f"when= takes a function of the change that says whether to stop, not {when!r}")
        if not callable(do) and do not in ("breakpoint", "raise", "warn", "log"):
            raise ValueError(f"do= takes 'breakpoint', 'raise', 'warn', 'log' or a function of the change, not {do!r}")
        pattern, bits = compile_glob(path), action_bits(actions)
        self.path = path
        self._container: Any = container
        self._guard: tuple[Any, ...] | None = None
        self._observer: Any = None
        if do == "raise":
            if _core.is_watched(container):
                raise TypeError(
                    "tracking_break(do='raise') needs a tracked container: nothing stands between a watched object and"
                    " its changes; do='breakpoint', 'warn', 'log' and functions work"
                )
            self._guard = (pattern, bits, when, self)
            _core.add_guard(container, self._guard)
        else:
            act = {"breakpoint": None, "warn": _warn, "log": _write}[do] if isinstance(do, str) else do
            self._observer = _core.Stop(act, when, _announced)
            _core.add_observer(container, Observer(self._observer, _FIRST, pattern, bits, False, True))

    def remove(self) -> None:
        """Stop watching; a second call does nothing. O(observers)."""
        container, self._container = self._container, None
        if container is not None and self._guard is not None:
            _core.remove_guard(container, self._guard)
        elif container is not None:
            _core.remove_observer(container, self._observer)

    def __enter__(self) -> Self:
        if self._container is None:
            raise RuntimeError(f"{self!r} watches nothing any more; call tracking_break() again for another block")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<tracking_break {self.path!r}{'' if self._container is not None else ', removed'}>"


def _warn(change: ChangeLogEntry) -> None:
    above, culprit = level_of_culprit()
    warnings.warn(f"tracked data changed: {_said(change, culprit)}", RuntimeWarning, stacklevel=2 + above)


def _write(change: ChangeLogEntry) -> None:
    above, culprit = level_of_culprit()
    _log.warning("tracked data changed: %s", _said(change, culprit), stacklevel=2 + above)


def _announced(change: ChangeLogEntry) -> str:
    """Return what is printed before the debugger starts."""
    return f"pydatatracker: {_said(change, level_of_culprit()[1])}\n"


def _said(change: ChangeLogEntry, culprit: FrameSummary | None) -> str:
    """Return a change and its culprit as text.

    The captured stack is better than the running one: an observer may be called later.
    """
    culprit = change.culprit or culprit
    return f"{change!r}" if culprit is None else f"{change!r} at {as_text(culprit)}"


def revert(change: Any) -> None:
    """Undo a change that is not recorded yet.

    O(1), or O(items of the change).
    """
    container = change._node.container
    step = inverse(operation(change), change._node.kind, change.action_code)
    _core.set_quiet(container, True)
    try:
        _core.restore(container, step.shape, step.index, step.key, step.old, step.new, _core.M_CODES["rollback"])
    finally:
        _core.set_quiet(container, False)


def refuse(change: Any, guard: tuple[Any, ...], error: BaseException | None) -> None:
    """Undo a change that is not recorded yet, and raise.

    O(1), or O(items of the change).
    """
    revert(change)
    if error is not None:
        raise error
    change, culprit = _core.as_shown(change), level_of_culprit()[1]
    raise TrackedChangeError(
        f"{_said(change, culprit)} was refused by tracking_break({guard[3].path!r}, do='raise'); nothing was changed",
        change,
    )
