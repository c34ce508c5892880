"""Knowing what happened to the data in a running Python program."""

from __future__ import annotations

try:
    from pydatatracker import _core  # noqa: F401 - only to see whether it is there
except ImportError as error:
    if getattr(error, "name", None) not in (None, "pydatatracker", "pydatatracker._core") and "_core" not in str(error):
        raise
    raise ImportError(
        "pydatatracker is not compiled here: run `sh scripts/just build` in the source tree, "
        "or install a wheel and start Python elsewhere"
    ) from error

from pydatatracker._core import MISSING, TrackingLockedError
from pydatatracker.actors import propagate, tracking_actor
from pydatatracker.breaks import TrackedChangeError
from pydatatracker.change import ChangeLogEntry
from pydatatracker.containers import TrackedAttr, TrackedDict, TrackedList, TrackedSet, track, tracked
from pydatatracker.history import HistoryLostError
from pydatatracker.history.transaction import RollbackConflictError, tracking_transaction
from pydatatracker.observers import ChangeCollector

__version__ = "0.2.0"

__all__ = [
    "MISSING",
    "ChangeCollector",
    "ChangeLogEntry",
    "HistoryLostError",
    "RollbackConflictError",
    "TrackedAttr",
    "TrackedChangeError",
    "TrackedDict",
    "TrackedList",
    "TrackedSet",
    "TrackingLockedError",
    "__version__",
    "propagate",
    "track",
    "tracked",
    "tracking_actor",
    "tracking_transaction",
]

if __import__("os").environ.get("PYDATATRACKER_LOG"):
    from pydatatracker import process as _process

    _process.start_from_environment()
