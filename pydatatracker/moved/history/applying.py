"""An error of JSON Patch, where 0.2.0 had it."""

from pydatatracker.history import PatchError

__all__ = ["PatchError"]
