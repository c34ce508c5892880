"""The command line: ``pydatatracker`` or ``python -m pydatatracker``.

Needs the extra ``cli``. Commands are click's (typer is click with 24 MB more), progress bars are rich's. The lines of
a log are laid out by terminal.py: rich takes a millisecond for one, and a log has a million. A command imports what
it needs when it runs; ``--help`` needs only catalog.py.

- ``catalog``: the commands by name. ``app`` runs one, ``base`` has what all of them share.
- ``filters``, ``points``, ``root_option``: the options that say which changes, which moment and which container.
- ``terminal``, ``line_view``, ``change_text``, ``stats``, ``progress``: what is printed.
- ``commands/``: the commands. ``replay/``: logs read and replayed. ``formats/``: what ``convert`` and ``query`` write.
- ``programs/``: the programs that ``run`` and ``demo`` start.
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
    """Run the command line and return its exit status.

    The status is 0 for success, 1 if lines of a log could not be read or used, and 2 for wrong usage or a missing
    extra. ``args`` defaults to ``sys.argv[1:]``.

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
    """Return whether a shell requests completions."""
    return f"_{PROGRAM.upper()}_COMPLETE" in os.environ


def lost_output(error: OSError) -> int:
    """Return the exit status after standard output failed.

    That is 0 if its reader has gone away, and 2 for any other reason, such as a full disk, which is printed.
    """
    # what is still in the buffer must not raise again when the process ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 0
    print(f"{PROGRAM}: {error.strerror or error}", file=sys.stderr)
    return 2
