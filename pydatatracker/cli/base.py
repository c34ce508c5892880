"""What all commands share: their group, help, logs, output and errors."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from pydatatracker.cli.catalog import COMMANDS, PROGRAM, overview
from pydatatracker.cli.terminal import clean

if TYPE_CHECKING:
    from pydatatracker.cli.replay.logs import Logs

__all__ = [
    "FILES",
    "PROGRAM",
    "Command",
    "Commands",
    "cli",
    "fail",
    "files_or_stdin",
    "open_logs",
    "print_error",
    "replacing",
]


def fail(message: str) -> NoReturn:
    """End the command with a message and exit status 2."""
    click.echo(f"{PROGRAM}: {clean(message)}", err=True)
    raise click.exceptions.Exit(2)


class Command(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # -3h is a time, not an option: click does not take it for one if a blank precedes it.
        # `run` passes the arguments of the program on unchanged.
        for n, word in enumerate(args if ctx.allow_interspersed_args else ()):
            if word == "--":
                break
            if word[:1] == "-" and word[1:2].isdigit() and (n == 0 or args[n - 1][:1] != "-"):
                args[n] = f" {word}"
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"  {line}\n")


class Commands(click.Group):
    """The group of commands, each imported when it is needed."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            importlib.import_module(f"pydatatracker.cli.commands.{COMMANDS[cmd_name][0]}")
        return super().get_command(ctx, cmd_name)

    def get_help(self, ctx: click.Context) -> str:
        return overview().rstrip("\n")


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from pydatatracker import __version__

        click.echo(f"{PROGRAM} {__version__}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version and exit."
)
def cli() -> None:
    """Know what happened to the data in a running Python program."""


def files_or_stdin(files: Iterable[str]) -> list[str]:
    """Return names, or that of standard input if there are none.

    Ends the command with an error if that is a terminal.
    """
    names = list(files)
    if not names and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("name a log, or - for standard input", click.get_current_context())
    return names or ["-"]


@contextlib.contextmanager
def open_logs(files: Iterable[str], on_error: Callable[[Any], object] | None = None) -> Iterator[Logs]:
    """Open logs, and end with exit status 1 if lines could not be read.

    ``on_error`` is called for each such line; by default it prints the error.
    """
    from pydatatracker.cli.replay.logs import Logs, expanded

    names = files_or_stdin(expanded(files))
    try:
        logs = Logs(names, on_error or print_error)
    except OSError as error:
        fail(f"cannot read {error.filename or names[0]}: {error.strerror or error}")
    with logs:
        yield logs
    if logs.bad:
        raise click.exceptions.Exit(1)


@contextlib.contextmanager
def replacing(output: str, logs: Iterable[str]) -> Iterator[str]:
    """Yield the name of a new file that replaces output in the end.

    If anything fails, the new file is removed and output stays as it was. What cannot be replaced (a pipe, a device)
    is yielded itself. The command ends with an error if output is one of the logs, or cannot be written.
    """
    import secrets
    import shutil

    from pydatatracker.io.files import open_log

    try:
        for name in logs:
            if name != "-" and os.path.exists(output) and os.path.samefile(name, output):
                fail(f"{output} is the log; name another file with -o")
        is_there = os.path.exists(output)
        if is_there and not os.path.isfile(output):
            fd = open_log(output, os.O_WRONLY)  # so that a pipe without a reader is an error, and not a wait
            try:
                yield output
            finally:
                os.close(fd)
            return
        target = os.path.realpath(output)  # of a link, the file that it points to
        if is_there and not os.access(target, os.W_OK):
            raise PermissionError(13, "Permission denied", output)
        part = os.path.join(os.path.dirname(target), f".{PROGRAM}-{secrets.token_hex(6)}")
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if is_there:
                shutil.copymode(target, part)
            yield part
            if is_there:
                shutil.copymode(target, part)  # DuckDB creates the file again
            os.replace(part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(part)
            raise
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror or error}")


def print_error(error: Any) -> None:
    """Print the error of a line that cannot be read on standard error.

    Standard output is flushed first, so that the message appears between the lines before and after.
    """
    sys.stdout.flush()
    click.echo(f"{PROGRAM}: {clean(str(error))}", err=True)


FILES: Final = click.argument("files", metavar="[FILE|-]...", nargs=-1)
