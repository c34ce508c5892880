"""An error of time travel, where 0.2.0 had it."""

from pydatatracker.history import HistoryLostError

__all__ = ["HistoryLostError"]
