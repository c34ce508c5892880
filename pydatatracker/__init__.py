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

from typing import TYPE_CHECKING as _TYPE_CHECKING

from pydatatracker._core import MISSING, TrackingLockedError
from pydatatracker.actors import propagate, tracking_actor
from pydatatracker.change import ChangeLogEntry
from pydatatracker.containers import TrackedAttr, TrackedDict, TrackedList, TrackedSet, track, tracked
from pydatatracker.history import HistoryLostError
from pydatatracker.observers import ChangeCollector

if _TYPE_CHECKING:
    from pydatatracker.breaks import TrackedChangeError
    from pydatatracker.configuration import ConfigurationError, load_observers_from_json
    from pydatatracker.history.applying import PatchError
    from pydatatracker.history.net import NetChange
    from pydatatracker.history.replica import GapError, Replica, ReplicaError, apply_change, replay
    from pydatatracker.history.transaction import RollbackConflictError, tracking_transaction
    from pydatatracker.history.undo import UndoConflictError
    from pydatatracker.redact import RedactedError

__version__ = "0.2.0"

__all__ = [
    "MISSING",
    "ChangeCollector",
    "ChangeLogEntry",
    "ConfigurationError",
    "GapError",
    "HistoryLostError",
    "NetChange",
    "PatchError",
    "RedactedError",
    "Replica",
    "ReplicaError",
    "RollbackConflictError",
    "TrackedAttr",
    "TrackedChangeError",
    "TrackedDict",
    "TrackedList",
    "TrackedSet",
    "TrackingLockedError",
    "UndoConflictError",
    "__version__",
    "apply_change",
    "load_observers_from_json",
    "propagate",
    "replay",
    "track",
    "tracked",
    "tracking_actor",
    "tracking_transaction",
]

# Imported when first asked for (PEP 562): a program that only records does not pay for them.
_LATER = {
    "ConfigurationError": "configuration",
    "GapError": "history.replica",
    "NetChange": "history.net",
    "PatchError": "history.applying",
    "RedactedError": "redact",
    "Replica": "history.replica",
    "ReplicaError": "history.replica",
    "RollbackConflictError": "history.transaction",
    "TrackedChangeError": "breaks",
    "UndoConflictError": "history.undo",
    "apply_change": "history.replica",
    "load_observers_from_json": "configuration",
    "replay": "history.replica",
    "tracking_transaction": "history.transaction",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'pydatatracker' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"pydatatracker.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


if __import__("os").environ.get("PYDATATRACKER_LOG"):
    from pydatatracker import process as _process

    _process.start_from_environment()
