"""The commands, in terms of click; what they do is in the modules that they import."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.cli.terminal import clean

if TYPE_CHECKING:
    from pydatatracker.cli.logs import Logs

__all__ = ["cli", "run"]

PROGRAM = "pydatatracker"


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


def fail(message: str) -> NoReturn:
    """End with one sentence and exit status 2."""
    click.echo(f"{PROGRAM}: {clean(message)}", err=True)
    raise click.exceptions.Exit(2)


class Command(click.Command):
    """A command whose help ends with an example, as it is typed."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"  {line}\n")


class Commands(click.Group):
    """The group; its help, too, ends with an example."""

    command_class = Command
    example = f"{PROGRAM} demo"
    format_epilog = Command.format_epilog


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from pydatatracker import __version__

        click.echo(f"{PROGRAM} {__version__}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print it and exit."
)
def cli() -> None:
    """Know what happened to the data in a running Python program."""


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


@contextlib.contextmanager
def logs_of(files: Iterable[str]) -> Iterator[Logs]:
    """Open the logs; exit status 1 afterwards if lines could not be read."""
    from pydatatracker.cli.logs import Logs, expanded

    names = expanded(files)
    if not names:
        if sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError("name a log, or - for standard input", click.get_current_context())
        names = ["-"]
    try:
        logs = Logs(names, report)
    except OSError as error:
        fail(f"cannot read {error.filename or names[0]}: {error.strerror or error}")
    with logs:
        yield logs
    if logs.bad:
        raise click.exceptions.Exit(1)


def report(error: Any) -> None:
    """Name a line that cannot be read, on standard error, in its place among what is printed."""
    sys.stdout.flush()
    click.echo(f"{PROGRAM}: {clean(str(error))}", err=True)


FILES: Final = click.argument("files", metavar="[FILE|-]...", nargs=-1)


@cli.command(
    "show",
    example=f"{PROGRAM} show changes.jsonl --since -1h --path '/cfg/**'\ntail -f changes.jsonl | {PROGRAM} show -",
)
@FILES
@filter_options
@click.option("--json", "as_json", is_flag=True, help="Print the lines themselves, those that can be read.")
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
@click.option("--tail", metavar="N", type=click.IntRange(0), help="Only the last N.")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what is written later; of one file.")
@click.option("--pager/--no-pager", default=None, help="By default where the terminal is too short.")
def show_command(
    files: tuple[str, ...],
    wanted: Filter,
    as_json: bool,
    verbose: bool,
    tail: int | None,
    following: bool,
    pager: bool | None,
) -> None:
    """Print logs, one line a change; several are merged by time. - reads standard input.

    Columns: time, number, actor, action, place, before -> after. Where a log has several roots, #2 in front of a
    place is the second one. Lines that cannot be read are named on standard error and passed over; the exit status
    is then 1. On a terminal lines are cut to its width and coloured, unless NO_COLOR is set.
    """
    from pydatatracker.cli import logs as sources
    from pydatatracker.cli import view

    if following:
        names = sources.expanded(files)
        if len(names) != 1 or names[0] == "-":
            fail("--follow takes one file")
        how = view.Layout(as_json, True, verbose)
        try:
            view.show(sources.follow(names[0], report, wanted, tail), sys.stdout, how)
        except FileNotFoundError as error:
            fail(f"cannot read {names[0]}: {error.strerror}")
        return
    with logs_of(files) as logs:
        lines = logs.lines(wanted) if tail is None else logs.tail(tail, wanted)
        how = view.Layout(as_json, not logs.is_file and tail is None, verbose)
        if sys.stdout.isatty() and pager is not False and (pager or not how.at_once):
            page(view.texts(lines, sys.stdout, how))
        else:
            view.show(lines, sys.stdout, how)


def page(texts: Iterable[str | None]) -> None:
    """Print lines through the user's pager; at once if they fit the screen, or there is no pager."""
    height = shutil.get_terminal_size().lines
    lines = (f"{text}\n" for text in texts if text is not None)
    first = list(itertools.islice(lines, height - 1))
    if len(first) < height - 1 or not (os.environ.get("PAGER") or shutil.which("less")):
        for text in itertools.chain(first, lines):
            sys.stdout.write(text)
        sys.stdout.flush()
        return
    os.environ.setdefault("LESS", "FRX")
    click.echo_via_pager(itertools.chain(first, lines), color=True)


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
