"""An error of redaction, where 0.2.0 had it."""

from pydatatracker.values.redact import RedactedError

__all__ = ["RedactedError"]
