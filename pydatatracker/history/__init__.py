"""What records make possible: undo, transactions, blame, patches, replays.

Everything is computed when it is called; recording costs nothing extra.

- ``undo`` and ``transaction`` change the live container; ``inverse`` computes how, ``points`` names moments.
- ``blame``, ``net_changes``, ``patch`` and ``verify`` only read; ``walk`` steps through the states they compare, and
  ``marks`` keeps the last change of list items that leave the ring.
- ``apply_patch`` applies a JSON Patch, and ``undo_script`` writes a program that does.
- ``replica`` follows a log: ``steps`` turns its lines into plain values, ``apply_step`` applies them to a container.
- ``methods`` has the methods that every tracked container inherits; they import the other modules on first use.

The names in ``__all__`` are public, the modules are internal.
"""

from __future__ import annotations

from pydatatracker import __path__ as _folders
from pydatatracker._lazy import lazily

# old names of modules, which old pickles hold
__path__ += [f"{_folder}/history" for _folder in _folders if _folder.endswith("/moved")]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydatatracker.change.rewind import HistoryLostError, state_at
    from pydatatracker.history.apply_patch import PatchError
    from pydatatracker.history.net_changes import NetChange
    from pydatatracker.history.replica import GapError, Replica, ReplicaError, apply_change, replay
    from pydatatracker.history.transaction import RollbackConflictError, tracking_transaction
    from pydatatracker.history.undo import UndoConflictError

__all__ = [
    "GapError",
    "HistoryLostError",
    "NetChange",
    "PatchError",
    "Replica",
    "ReplicaError",
    "RollbackConflictError",
    "UndoConflictError",
    "apply_change",
    "replay",
    "state_at",
    "tracking_transaction",
]

_HOMES = {
    "GapError": "replica",
    "HistoryLostError": ".change.rewind",
    "NetChange": "net_changes",
    "PatchError": "apply_patch",
    "Replica": "replica",
    "ReplicaError": "replica",
    "RollbackConflictError": "transaction",
    "UndoConflictError": "undo",
    "apply_change": "replica",
    "replay": "replica",
    "state_at": ".change.rewind",
    "tracking_transaction": "transaction",
}

__getattr__, __dir__ = lazily(__name__, globals(), _HOMES)
