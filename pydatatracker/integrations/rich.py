"""Rich: changes as a table for a terminal.

``rich.print(change)`` needs nothing of this module: a change knows the protocol of rich, and tracked containers are
shown as the builtins that they are. `table` makes a table of a history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

try:
    from rich.table import Table
    from rich.text import Text
except ImportError as error:
    raise ImportError("pydatatracker.integrations.rich needs rich: pip install rich") from error

from pydatatracker.change.brief import line_of, path_of, seq_of, values_of
from pydatatracker.values.text import clean, shortened

__all__ = ["table"]

_STYLES = {"add": "green", "update": "yellow", "remove": "red"}
_ROOM = 200  # characters of a value


def table(changes: Iterable[Any] | Mapping[str, Any], *, title: str | None = None) -> Table:
    """Return changes as a table, one row each.

    Text of the data is shown as it is: markup of rich in it has no meaning. O(changes * text of their values).

    :param changes: a history, the lines of a log, or the dict of ``tracking_blame()``.
    :param title: text above the table.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict(port=80)
    >>> d["port"] = 8080
    >>> table(d.tracking_changes()).row_count
    2
    """
    made = Table(title=None if title is None else Text(title))
    for head in ("seq", "time (UTC)", "actor", "action", "path", "before", "after", "line"):
        made.add_column(head, overflow="fold", justify="right" if head == "seq" else "left")
    given: Iterable[Any] = changes.values() if isinstance(changes, Mapping) else changes
    for change in given:
        before, after = values_of(change, _ROOM)
        where = line_of(change)
        moment = change.created_time
        action = str(change.action)
        made.add_row(
            seq_of(change),
            "" if moment is None else f"{moment:%H:%M:%S}",
            Text(clean(shortened(str(change.actor or ""), _ROOM))),
            Text(clean(shortened(action, _ROOM)), style=_STYLES.get(action, "")),
            Text(shortened(path_of(change), _ROOM)),
            Text(clean(before or "")),
            Text(clean(after or "")),
            Text("" if where is None else clean(f"{where[0]}:{where[1]}")),
        )
    return made
