"""The page of a container in this process: `tracking_report`.

The command ``report`` makes the same page of a log.
"""

from __future__ import annotations

import datetime
import functools
import html
import os
from typing import Any

from pydatatracker import _core
from pydatatracker.change.rewind import shown_at
from pydatatracker.io.parsing import parse
from pydatatracker.io.writer import to_line
from pydatatracker.report.data import Changes
from pydatatracker.report.page import page

__all__ = ["Report", "report_of"]


class Report:
    """One page of the changes of a container: timeline, data, writers.

    It shows the changes up to the call that made it. A notebook shows it in a frame that loads nothing.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict(port=80)
    >>> d["port"] = 8080
    >>> report = d.tracking_report()
    >>> report
    <report: 1 change>
    >>> report.html[:15]
    '<!doctype html>'
    """

    def __init__(self, changes: Changes, count: int, height: int) -> None:
        self._changes = changes
        self._count = count
        self._height = height

    @functools.cached_property
    def html(self) -> str:
        """The page, a whole HTML document. O(changes), the first time."""
        return "".join(page(self._changes))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, which a browser opens offline.

        It has the values of the data. O(changes). Raises OSError.
        """
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(self.html)

    def __repr__(self) -> str:
        return f"<report: {self._count:,} change{'' if self._count == 1 else 's'}>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Changes" sandbox="allow-scripts" referrerpolicy="no-referrer"'
            f' style="width: 100%; height: {self._height}px; border: 1px solid rgba(128, 128, 128, .35)"'
            f' srcdoc="{html.escape(self.html)}"></iframe>'
        )


def report_of(container: Any, height: int = 600) -> Report:
    """Return the page of a container. O(items + changes)."""
    if isinstance(height, bool) or not isinstance(height, int) or height <= 0:
        raise TypeError(f"height is a number of pixels above 0, not {height!r}")
    entries = container.tracking_changes()
    changes = Changes(container.tracking_name or _core.bare_class_name(type(container)))
    if not entries or entries[0].action != "init":
        changes.add(parse(_beginning(container, entries)))
    for entry in entries:
        changes.add(parse(to_line(entry)))
    return Report(changes, sum(entry.action != "init" for entry in entries), height)


def _beginning(container: Any, entries: list[Any]) -> bytes:
    """Return the line of the state before the first change that is kept."""
    first = entries[0] if entries else None
    state = shown_at(container, _core.newest_seq() if first is None else first.seq - 1)
    line = _core.state_change(container, state).to_dict()
    line.update(actor="", context={}, stack=[])
    line.pop("transaction", None)
    line.pop("culprit", None)
    if first is not None:
        moment: datetime.datetime = first.created_time
        line.update(seq=first.seq - 1, time_ns=first.time_ns, created_time=moment.isoformat(timespec="microseconds"))
    return to_line(line)
