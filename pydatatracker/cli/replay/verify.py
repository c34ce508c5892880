"""``pydatatracker verify``: is a log complete and in order?"""

from __future__ import annotations

from typing import IO

from pydatatracker.cli.replay.logs import Logs
from pydatatracker.cli.replay.rebuilt import Report, Roots, state_at
from pydatatracker.io.line import LogLine

__all__ = ["verify"]


def verify(logs: Logs, report: Report, out: IO[str]) -> int:
    """Report what is wrong with a log, and print how it is; return how much is wrong. O(lines), 40 bytes a line.

    A change that does not fit what the log says before it is reported once a root: what follows it cannot be judged.
    """
    changes = twice = 0
    with Roots(logs, report, foreign=_foreign, gap=_gap) as roots:
        for key, kept in roots.by_root.items():
            changes += len(kept)
            twice += kept.repeated()
            state_at(roots, key, (None, None))
    bad = logs.bad
    if twice:
        out.write(f"{twice:,} changes came twice, which is no harm\n")
    many = "1 change" if changes == 1 else f"{changes:,} changes"
    trees = "1 container" if len(roots.by_root) == 1 else f"{len(roots.by_root):,} containers"
    verdict = "complete and in order" if not bad else f"{bad:,} {'fault' if bad == 1 else 'faults'}"
    out.write(f"{many} of {trees}: {verdict}\n")
    return bad


def _foreign(roots: Roots, number: int, line: LogLine) -> None:
    roots.tell(number, line, "is not of this version: it has no seq, so it cannot be put in order")


def _gap(roots: Roots, number: int, line: LogLine) -> None:
    first, last = line.gap
    roots.tell(number, line, f"changes {first} to {last} are missing ({line.reason or 'no reason is given'})")
