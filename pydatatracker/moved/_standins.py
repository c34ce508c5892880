"""Stand-ins, where 0.2.0 had them."""

from pydatatracker.values.standins import Cut, Redacted, RedactedDict, RedactedList, Ref, Repr

__all__ = ["Cut", "Redacted", "RedactedDict", "RedactedList", "Ref", "Repr"]
