"""Print the table of costs at the end of a run, with the goals."""

from __future__ import annotations

from typing import Any

from rows import RESULTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print one table for the whole run."""
    if not RESULTS:
        return
    rows = [("operation", "builtin", "tracked", "measured", "goal"), *RESULTS]
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    terminalreporter.section("costs, all in this run; u = d[k] = v on a plain dict")
    for row in rows:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
