"""A net change, where 0.2.0 had it."""

from pydatatracker.history import NetChange

__all__ = ["NetChange"]
