"""Report objects whose changes are not recorded."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from pydatatracker import _core
from pydatatracker.change.stack import OWN, culprit, level_of_culprit
from pydatatracker.containers.mixin import Untracked
from pydatatracker.values.pickles import PicklableError
from pydatatracker.values.pointer import to_pointer

__all__ = ["UntrackedError", "UntrackedWarning", "report"]


class UntrackedWarning(PicklableError, UserWarning):
    """Warn of an object whose changes are not recorded.

    It is in tracked or watched data. ``pointer``, ``type`` and ``reason`` say which one it is, and why.
    """

    def __init__(self, message: str, pointer: str = "", type: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.pointer, self.type, self.reason = pointer, type, reason


class UntrackedError(PicklableError, TypeError):
    """Refuse objects whose changes are not recorded.

    Raised with ``tracking_untracked="raise"``. Nothing was changed. ``untracked`` has the rows of pointer, type and
    reason.
    """

    def __init__(self, message: str, untracked: Sequence[Untracked] = ()) -> None:
        super().__init__(message)
        self.untracked = list(untracked)


def report(rows: list[Any], raises: bool, change: Any, captured: Any) -> None:
    """Warn of rows of (path, class, reason), or raise.

    ``change``: it is not recorded yet, and undone if this raises. ``captured``: the calls that stored the object, where
    they are over. O(rows).
    """
    found = [Untracked(to_pointer(path), _core.bare_class_name(cls), reason) for path, cls, reason in rows]
    try:
        if raises:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise UntrackedError(
                f"{_said(found[0])}{more}; nothing was changed, because of tracking_untracked='raise'", found
            )
        _warn(found, captured)
    except BaseException:
        if change is not None:
            from pydatatracker.containers.breaks import revert

            revert(change)
        raise


def _said(row: Untracked) -> str:
    return f"changes of the {row.type} at {row.pointer!r} are not recorded: {row.reason}"


def _warn(found: list[Untracked], captured: Any) -> None:
    stored_by = culprit(captured)
    above, running = level_of_culprit()
    if running is None:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(OWN):
            frame, above = frame.f_back, above + 1
    for row in found:
        warning = UntrackedWarning(_said(row), *row)
        if stored_by is None:
            warnings.warn(warning, stacklevel=2 + above)
        else:
            warnings.warn_explicit(warning, UntrackedWarning, stored_by.filename, stored_by.lineno or 1)
