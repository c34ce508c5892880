"""What is shown: one change with its cell, or a table of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydatatracker._core import MISSING
from pydatatracker.change import html
from pydatatracker.change.brief import values_of
from pydatatracker.integrations.ipython.cells import Cells, Origin

__all__ = ["CellBlame", "ChangeTable", "table"]


class CellBlame:
    """The last change of a value, and the cell that made it.

    ``%blame`` returns it. ``change`` is a `ChangeLogEntry`.
    """

    def __init__(self, expression: str, change: Any, cells: Cells) -> None:
        self.expression = expression
        self.change = change
        self._cells = cells
        self._origin: Origin | None = None if cells.text(change) is None else cells.origin(change)

    @property
    def cell(self) -> int | None:
        """The n of In[n], the run in which it changed. None: in no cell."""
        return None if self._origin is None or self._origin.run is None else self._origin.run.number

    @property
    def run(self) -> int | None:
        """1 if that was the first run of its cell, 2 for the second."""
        return None if self._origin is None or self._origin.run is None else self._origin.count

    @property
    def line(self) -> int | None:
        """Number of the line that did it, in its cell or file."""
        return None if self._origin is None else self._origin.line

    @property
    def source(self) -> str:
        """The line that did it, "" if it is not known."""
        return "" if self._origin is None else self._origin.source

    def __repr__(self) -> str:
        before, after = values_of(self.change, 200)
        if self.change.action == "init":
            return f"{self.expression}: not changed since its tracking began"
        shown = " -> ".join(each for each in (before, after) if each is not None)
        done = " (removed)" if self.change.action == "remove" else ""
        lines = [f"{self.expression}: {shown}{done}"]
        if self._origin is not None:
            lines.append(f"  {self._origin.text()}")
            if self._origin.source:
                lines.append(f"    {self._origin.source}")
            elif self.change.between is not None:
                lines.append("  the line is not known: the change was found by comparing")
            elif not self._origin.file:
                lines.append("  the line is not known: make the data with tracking_capture_stack=True")
        who = f"  by {self.change.actor}" if self.change.actor else ""
        lines.append(f"  {self.change.created_time:%Y-%m-%d %H:%M:%S} UTC{who}")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        for n, line in enumerate(repr(self).split("\n")):
            if n:
                printer.break_()
            printer.text(line)

    def _repr_html_(self) -> str:
        return html.html_of(self.change, self._cells.text)


class ChangeTable:
    """Changes that a notebook shows as a table: `table` makes one."""

    def __init__(self, changes: list[Any], cells: Cells | None = None, title: str = "") -> None:
        self.changes = changes
        self._cells = cells
        self._title = title

    def __len__(self) -> int:
        return len(self.changes)

    def __repr__(self) -> str:
        lines = [self._title] if self._title else []
        for change in self.changes[-html.ROWS :]:
            where = None if self._cells is None else self._cells.text(change)
            lines.append(f"{change!r}{f'  {where}' if where else ''}")
        return "\n".join(lines) or "<no changes>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        for n, line in enumerate(repr(self).split("\n")):
            if n:
                printer.break_()
            printer.text(line)

    def _repr_html_(self) -> str:
        where = None if self._cells is None else self._cells.text
        return html.table(self.changes, where, title=self._title)


def table(changes: Iterable[Any] | Mapping[str, Any]) -> ChangeTable:
    """Return changes as an object that a notebook shows as a table.

    Of a history, the lines of a log, or the dict of ``tracking_blame()``. It needs no extension. O(changes).

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> d["port"] = 80
    >>> len(table(d.tracking_changes())), len(table(d.tracking_blame()))
    (2, 1)
    """
    given = changes.values() if isinstance(changes, Mapping) else changes
    return ChangeTable([change for change in given if change is not None and change is not MISSING])
