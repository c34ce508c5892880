"""``pydatatracker verify --seal``: check the seals of a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from typing import IO, Any

from pydatatracker.cli.base import fail
from pydatatracker.cli.replay.logs import Report, expanded
from pydatatracker.cli.terminal import clean
from pydatatracker.io.keys import public_key
from pydatatracker.io.seal_check import check_seals
from pydatatracker.io.seals import SealError

__all__ = ["verify"]


def verify(
    files: Iterable[str], key: str | None, roots: Iterable[str], table: str, report: Report, out: IO[str]
) -> int:
    """Report the faults of seals, print roots, and return how many faults.

    An empty log counts as one with a key, and from standard input. O(bytes), 48 bytes per line; 400 per row of a table.
    """
    names = expanded(files)
    try:
        with contextlib.ExitStack() as opened:
            sources = [_source(name, table, opened) for name in names]
            found = check_seals(sources, key=None if key is None else public_key(key), roots=roots)
    except OSError as error:
        fail(f"cannot read {error.filename or names[0]}: {error.strerror or error}")
    except (ImportError, SealError) as error:
        fail(str(error))
    for fault in found.faults:
        report(fault)
    for note in found.notes:
        out.write(clean(note) + "\n")
    for root in found.roots:
        signed = f", signed with {root.key}" if root.key else ""
        out.write(clean(f"root {root.root} of {root.name}: line {root.last} of {root.chain}{signed}") + "\n")
    bad = len(found.faults)
    lines = "1 line" if found.lines == 1 else f"{found.lines:,} lines"
    chains = "1 chain" if found.chains == 1 else f"{found.chains:,} chains"
    verdict = "all seals are right" if not bad else f"{bad:,} {'fault' if bad == 1 else 'faults'}"
    if not found.lines and not bad:
        verdict = "there is nothing to check"
        bad = key is not None or "-" in names  # the log was emptied, or what wrote into the pipe failed
    if found.notes:
        verdict += f", {len(found.notes):,} {'note' if len(found.notes) == 1 else 'notes'}"
    out.write(f"{lines} in {chains}: {verdict}\n")
    return bad


def _source(name: str, table: str, opened: contextlib.ExitStack) -> Any:
    """Return what is checked: a path, standard input or a table."""
    if name == "-":
        if sys.stdin is None:
            raise FileNotFoundError(2, "there is no standard input", "-")
        file = opened.enter_context(open(0, "rb", closefd=False))  # noqa: SIM115
        raw: Any = file.raw
        raw.name = "<stdin>"  # as errors name it
        return file
    if name.startswith("s3://"):
        fail(f"{name}: download it, or pipe it in: aws s3 cp {name} - | pydatatracker verify --seal -")
    from pydatatracker.exporters.sealed_table import SealedTable

    return opened.enter_context(SealedTable(name, table=table)) if SealedTable.is_one(name) else name
