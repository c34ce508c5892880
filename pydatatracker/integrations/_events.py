"""What the observers that log changes share: fields, and their end."""

from __future__ import annotations

from typing import Any

from pydatatracker.actors import tracking_actor, tracking_scope
from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["WHILE_LOGGING", "fields_of", "is_of_logging", "while_logging"]

# In the context of what a log handler changes. A flag in the observer would not do: what an observer changes is
# reported once it has returned.
WHILE_LOGGING = "while_logging"

_KEPT = ("seq", "action", "method", "type", "pointer", "before", "after", "splice", "order", "changes")


def is_of_logging(change: ChangeLogEntry) -> bool:
    """Return whether a change was made by a handler that logs a change."""
    return WHILE_LOGGING in change.context


def while_logging(change: ChangeLogEntry) -> tracking_actor:
    """Return the block in which a change is logged."""
    return tracking_actor(tracking_scope().actor, **{WHILE_LOGGING: change.seq})


def fields_of(change: ChangeLogEntry, name: str = "name") -> dict[str, Any]:
    """Return what a log event says of a change, as JSON data.

    O(size of the values). ``name`` is the field for the name of the container.
    """
    data = change.to_dict(compact=True)
    fields = {key: data[key] for key in _KEPT if key in data}
    fields["pointer"] = change.pointer  # "" is left out of data
    if change.name:  # as is this, but in an init
        fields[name] = change.name
    culprit = change.culprit
    if culprit is not None:
        fields["culprit"] = f"{culprit.filename}:{culprit.lineno}"
    return fields
