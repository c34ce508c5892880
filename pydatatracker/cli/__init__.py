"""The command line: ``pydatatracker``, also ``python -m pydatatracker`` and ``scripts/cli.py`` (extra ``cli``).

Commands are click's (typer is click with 24 MB more), progress bars are rich's. A line of a log is laid out by
terminal.py: rich takes a millisecond for one, and a log has a million. Whatever a command needs is imported when it
runs, and ``--help`` needs nothing but catalog.py.
"""

from __future__ import annotations

import os
import sys

from pydatatracker.cli.catalog import PROGRAM, overview

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 fine, 1 the log is bad, 2 wrong usage or a missing extra.

    ``args``: as in ``sys.argv[1:]``, which is the default.

    >>> main(["schema", "--help"])  # doctest: +ELLIPSIS
    Usage: pydatatracker schema [OPTIONS]
    ...
    0
    """
    words = list(sys.argv[1:] if args is None else args)
    if words in (["--help"], ["-h"]) and sys.stdout is not None and not completing():
        try:
            sys.stdout.write(overview())
            sys.stdout.flush()
        except OSError as error:
            return lost_output(error)
        return 0
    try:
        from pydatatracker.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "click":
            raise
        print(f'The command line of {PROGRAM} needs click: pip install "{PROGRAM}[cli]"', file=sys.stderr)
        return 2
    return run(words)


def completing() -> bool:
    """Return whether a shell asks what could come next."""
    return f"_{PROGRAM.upper()}_COMPLETE" in os.environ


def lost_output(error: OSError) -> int:
    """Return the exit status after standard output failed: nobody reads on, or the disk is full."""
    # what is left in the buffer must not raise again at the end
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 0
    print(f"{PROGRAM}: {error.strerror or error}", file=sys.stderr)
    return 2
