"""``pydatatracker verify``: check that a log is complete and in order."""

from __future__ import annotations

from collections import Counter
from typing import IO

from pydatatracker.cli.replay.logs import Logs, Report
from pydatatracker.cli.replay.roots import Roots
from pydatatracker.cli.replay.states import check
from pydatatracker.io.line import LogLine

__all__ = ["verify"]


def verify(logs: Logs, report: Report, out: IO[str]) -> int:
    """Report the faults of a log, print a summary, and return their number.

    The first change that contradicts what the log says before it is reported per root: what follows cannot be judged.
    O(lines), 40 bytes per line.
    """
    again: dict[tuple[int | None, int], int] = {}
    with Roots(logs, report, foreign=_foreign, gap=_gap, unlike=_unlike) as roots:
        for key, index in roots.by_root.items():
            for seq, times in Counter(index.repeated()).items():  # a line may be one of several roots
                again[key[0], seq] = max(times, again.get((key[0], seq), 0))
        check(roots)
    bad = logs.bad
    twice, changes = sum(again.values()), roots.count
    if twice:
        repeated = "1 change occurs" if twice == 1 else f"{twice:,} changes occur"
        out.write(f"{repeated} twice, which does no harm\n")
    if roots.cut:
        cut = "1 change is" if roots.cut == 1 else f"{roots.cut:,} changes are"
        out.write(f"{cut} in more containers than a line lists: the others have them from their next init on\n")
    many = "1 change" if changes == 1 else f"{changes:,} changes"
    trees = "1 container" if len(roots.by_root) == 1 else f"{len(roots.by_root):,} containers"
    verdict = "complete and in order" if not bad else f"{bad:,} {'fault' if bad == 1 else 'faults'}"
    out.write(f"{many} of {trees}: {verdict}\n")
    return bad


def _foreign(roots: Roots, number: int, line: LogLine) -> None:
    roots.report(number, line, "was not written by this version: it has no seq, so it cannot be put in order")


def _gap(roots: Roots, number: int, line: LogLine) -> None:
    first, last = line.gap
    roots.report(number, line, f"changes {first} to {last} are missing ({line.reason or 'no reason is given'})")


def _unlike(roots: Roots, number: int, line: LogLine) -> None:
    roots.report(
        number, line, f"its pointer {line.pointer or '(root)'} is not that of its path {line.data.get('path')}"
    )
