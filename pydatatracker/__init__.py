"""Track changes to data in a running Python program.

Every name is imported on first use (PEP 562): a program that only records does not pay for the rest, and
``pydatatracker --help`` pays for nothing.
"""

from __future__ import annotations

import sys as _sys

if not any(_find and _find("pydatatracker._core", __path__) for _find in
           [getattr(_finder, "find_spec", None) for _finder in _sys.meta_path]):  # fmt: skip
    raise ImportError(
        "pydatatracker is not compiled here: run `sh scripts/just build` in the source tree, "
        "or install a wheel and start Python elsewhere"
    )

from pydatatracker import _forks as _forks  # before anything that a fork has to find right
from pydatatracker._lazy import lazily as _lazily
from pydatatracker._lazy import provide as _provide

__path__ += [f"{_folder}/moved" for _folder in __path__]  # old names of modules, which old pickles hold

TYPE_CHECKING = False  # as type checkers know it; importing typing takes a fifth of a Python start
if TYPE_CHECKING:
    from pydatatracker._core import MISSING, TrackingLockedError
    from pydatatracker.actors import propagate, tracking_actor, tracking_scope
    from pydatatracker.change.entry import ChangeLogEntry
    from pydatatracker.change.library import set_library
    from pydatatracker.config import ConfigurationError, load_observers_from_json
    from pydatatracker.containers import (
        TrackedAttr,
        TrackedCounter,
        TrackedDefaultDict,
        TrackedDeque,
        TrackedDict,
        TrackedList,
        TrackedOrderedDict,
        TrackedSet,
        track,
        tracked,
    )
    from pydatatracker.containers.breaks import TrackedChangeError
    from pydatatracker.containers.untracked import UntrackedError, UntrackedWarning
    from pydatatracker.history import HistoryLostError
    from pydatatracker.history.apply_patch import PatchError
    from pydatatracker.history.net_changes import NetChange
    from pydatatracker.history.replica import GapError, Replica, ReplicaError, apply_change, replay
    from pydatatracker.history.transaction import RollbackConflictError, tracking_transaction
    from pydatatracker.history.undo import UndoConflictError
    from pydatatracker.observers import ChangeCollector
    from pydatatracker.values.redact import RedactedError
    from pydatatracker.watching import watch

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
    "TrackedCounter",
    "TrackedDefaultDict",
    "TrackedDeque",
    "TrackedDict",
    "TrackedList",
    "TrackedOrderedDict",
    "TrackedSet",
    "TrackingLockedError",
    "UndoConflictError",
    "UntrackedError",
    "UntrackedWarning",
    "__version__",
    "apply_change",
    "load_observers_from_json",
    "propagate",
    "replay",
    "set_library",
    "track",
    "tracked",
    "tracking_actor",
    "tracking_scope",
    "tracking_transaction",
    "watch",
]

_HOMES = {
    "MISSING": "_core",
    "ChangeCollector": "observers",
    "ChangeLogEntry": "change.entry",
    "ConfigurationError": "config",
    "GapError": "history.replica",
    "HistoryLostError": "change.rewind",
    "NetChange": "history.net_changes",
    "PatchError": "history.apply_patch",
    "RedactedError": "values.redact",
    "Replica": "history.replica",
    "ReplicaError": "history.replica",
    "RollbackConflictError": "history.transaction",
    "TrackedAttr": "containers",
    "TrackedChangeError": "containers.breaks",
    "UntrackedError": "containers.untracked",
    "UntrackedWarning": "containers.untracked",
    "TrackedCounter": "containers",
    "TrackedDefaultDict": "containers",
    "TrackedDeque": "containers",
    "TrackedDict": "containers",
    "TrackedList": "containers",
    "TrackedOrderedDict": "containers",
    "TrackedSet": "containers",
    "TrackingLockedError": "_core",
    "UndoConflictError": "history.undo",
    "apply_change": "history.replica",
    "load_observers_from_json": "config",
    "propagate": "actors",
    "replay": "history.replica",
    "set_library": "change.library",
    "track": "containers",
    "tracked": "containers",
    "tracking_actor": "actors",
    "tracking_scope": "actors",
    "tracking_transaction": "history.transaction",
    "watch": "watching",
}
# as attributes after `import pydatatracker`
_MODULES = ("actors", "change", "config", "containers", "exporters", "history", "observers")


__getattr__, __dir__ = _lazily(__name__, globals(), _HOMES, _MODULES)

_provide("report_of", "pydatatracker.report.container")  # for the containers, which know of no report


def load_ipython_extension(shell: object) -> None:
    """Begin what ``%load_ext pydatatracker`` begins in IPython.

    It needs IPython, which nothing else imports.
    """
    from pydatatracker.integrations.ipython import load_ipython_extension as load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """End what `load_ipython_extension` began."""
    from pydatatracker.integrations.ipython import unload_ipython_extension as unload

    unload(shell)


if __import__("os").environ.get("PYDATATRACKER_LOG"):
    from pydatatracker._guarded import guarded as _guarded

    with _guarded():  # a file beside the program may be called platform.py
        from pydatatracker import process as _process

        _process.start_from_environment()
