"""The command line: ``pydatatracker``, also ``python -m pydatatracker`` and ``scripts/cli.py`` (extra ``cli``).

Built on click, and on click alone: typer is click with 24 MB more, and rich lays out a line in a millisecond where a
log has a million of them; a line of a log needs five columns and four colours (terminal.py). Everything but this
file is imported when a command needs it.
"""

from __future__ import annotations

import sys
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
    try:
        from pydatatracker.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "click":
            raise
        print('The command line of pydatatracker needs click: pip install "pydatatracker[cli]"', file=sys.stderr)
        return 2
    return run(args)
