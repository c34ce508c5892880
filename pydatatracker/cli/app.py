"""The commands, in terms of click; what they do is in the modules that they import."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from pydatatracker.cli import looking, reading, report, tables
from pydatatracker.cli.base import PROGRAM, cli, fail
from pydatatracker.cli.terminal import clean

__all__ = ["cli", "looking", "reading", "report", "run", "tables"]


def run(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status. A closed pipe ends quietly, Ctrl-C with 130 as shells have it."""
    if sys.stdout is None:  # started with a closed standard output
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):  # an 8-bit terminal shows what it has no letter for as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:  # the shell asks what could come next
            cli.main(args=None if args is None else list(args), prog_name=PROGRAM)
        context = cli.make_context(PROGRAM, list(sys.argv[1:] if args is None else args))
        with context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code if isinstance(error, click.UsageError) else 2
    except OSError as error:
        # Nobody reads on, or the disk is full; what is left in the buffer must not raise again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0
        click.echo(f"{PROGRAM}: {clean(str(error.strerror or error))}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    return 0


@cli.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
    example=f"{PROGRAM} run --log changes.jsonl --stack shop.py --fast\n{PROGRAM} run -m shop.server",
)
@click.option(
    "--log",
    default="changes.jsonl",
    show_default=True,
    envvar="PYDATATRACKER_LOG",
    metavar="FILE",
    help="Where the changes go; appended to.",
)
@click.option("--stack", is_flag=True, help="Record the calls that led to each change (25 frames).")
@click.option("--snapshots", is_flag=True, help="Record the data before and after each change, in words.")
@click.option("-m", "module", is_flag=True, help="What follows is the name of a module, as in python -m.")
@click.argument("program", metavar="SCRIPT")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
def run_command(log: str, stack: bool, snapshots: bool, module: bool, program: str, arguments: tuple[str, ...]) -> None:
    """Run a Python program unchanged and log every change of its tracked data.

    The program is started as `python SCRIPT ARGS` would start it, by the same interpreter; its exit status is the
    exit status. PYDATATRACKER_LOG=FILE in the environment does the same without this command.
    """
    from pydatatracker.cli import launch

    try:
        status = launch.replace(program, arguments, log, module=module, stack=stack, snapshots=snapshots)
    except launch.CannotRun as error:
        fail(str(error))
    raise click.exceptions.Exit(status)


@cli.command("demo", example=f"{PROGRAM} demo")
def demo_command() -> None:
    """Run a small session in which an error is traced back to the line that caused it, and print its log.

    The program and its log stay in a new temporary folder.
    """
    from pydatatracker.cli import demo

    status = demo.play(sys.stdout)
    if status:
        fail(f"the demonstration ended with exit status {status}")


@cli.command("schema", example=f"{PROGRAM} schema > change.schema.json")
def schema_command() -> None:
    """Print the JSON Schema of a line of a log."""
    import json

    from pydatatracker.io import schema

    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))
