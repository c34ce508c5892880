"""What records are good for: the past, undo, transactions, blame, patches, replicas. All of it derived.

``rewind`` goes back; ``place`` follows one place of a list through shifts and sorts; the others stand on these two.
"""

from pydatatracker.history.rewind import HistoryLostError, Rewind, shown_at, state_at

__all__ = ["HistoryLostError", "Rewind", "shown_at", "state_at"]
