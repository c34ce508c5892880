"""Run a command, and turn the way it ended into an exit status."""

from __future__ import annotations

import os
import sys

import click

from pydatatracker.cli import completing, lost_output
from pydatatracker.cli.base import PROGRAM, cli

__all__ = ["run"]


def run(words: list[str]) -> int:
    """Run a command and return its exit status.

    A closed pipe ends quietly with 0, Ctrl-C with 130, as in shells.
    """
    if sys.stdout is None:  # started with a closed standard output
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):  # an 8-bit terminal shows letters that it lacks as escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if completing():
            cli.main(args=words, prog_name=PROGRAM)
        context = cli.make_context(PROGRAM, words)
        with context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code if isinstance(error, click.UsageError) else 2
    except OSError as error:
        return lost_output(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", PROGRAM):
            raise
        click.echo(f'{PROGRAM}: this needs {package}: pip install "{PROGRAM}[cli]"', err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    except RecursionError:  # json and copy recurse; values in logs of ours nest 256 levels at most
        click.echo(f"{PROGRAM}: the log has data that is nested too deep for Python", err=True)
        return 2
    return 0
