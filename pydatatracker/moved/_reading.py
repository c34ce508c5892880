"""An error of the reader, where 0.2.0 had it."""

from pydatatracker.io import LogFormatError

__all__ = ["LogFormatError"]
