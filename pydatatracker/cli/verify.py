"""``pydatatracker verify``: is a log complete and in order?"""

from __future__ import annotations

from typing import IO, Any

from pydatatracker.cli.logs import Logs
from pydatatracker.cli.rebuilt import Report, Roots, state_at

__all__ = ["verify"]


def verify(logs: Logs, report: Report, out: IO[str]) -> int:
    """Report what is wrong with a log, and print how it is; return how much is wrong. O(lines), in memory.

    A change that does not fit what the log says before it is reported once a root: what follows it cannot be judged.
    """
    name = ", ".join(logs.names)
    roots = Roots(logs.lines(), name, report)
    for line in roots.foreign:
        roots.tell(line, "is not of this version: it has no seq, so it cannot be put in order")
    for line in roots.gaps:
        first, last = line.gap
        roots.tell(line, f"changes {first} to {last} are missing ({line.reason or 'no reason is given'})")
    changes = twice = 0
    for key, lines in roots.by_root.items():
        changes += len(lines)
        seen: set[Any] = set()
        for line in lines:
            if line.action != "init" and line.seq in seen:
                twice += 1
            seen.add(line.seq)
        state_at(roots, key, (None, None))
    bad = roots.bad + logs.bad
    if twice:
        out.write(f"{twice:,} changes came twice, which is no harm\n")
    many = "1 change" if changes == 1 else f"{changes:,} changes"
    trees = "1 container" if len(roots.by_root) == 1 else f"{len(roots.by_root):,} containers"
    verdict = "complete and in order" if not bad else f"{bad:,} {'fault' if bad == 1 else 'faults'}"
    out.write(f"{many} of {trees}: {verdict}\n")
    return bad
