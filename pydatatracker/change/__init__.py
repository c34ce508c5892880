"""One change: the object, its text, its stack, and the state around it.

- ``entry`` defines `ChangeLogEntry`, ``mapping`` its ``to_dict`` and ``from_dict``, ``compact`` what a compact line
  leaves out, ``text`` what people read, ``stack`` the captured frames,
  ``library`` which of them are not the culprit.
- ``rewind`` computes an earlier state from today's state and the records since; everything in ``history`` builds on it.

The names in ``__all__`` are public, the modules are internal.
"""

from __future__ import annotations

from pydatatracker._lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry
    from pydatatracker.change.rewind import HistoryLostError, state_at

__all__ = ["ChangeLogEntry", "HistoryLostError", "state_at"]

_HOMES = {"ChangeLogEntry": "entry", "HistoryLostError": "rewind", "state_at": "rewind"}

__getattr__, __dir__ = lazily(__name__, globals(), _HOMES)
