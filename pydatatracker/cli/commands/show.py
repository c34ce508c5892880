"""Commands that read lines as they stand: ``show``, ``stats``, ``verify``."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, logs_of, report
from pydatatracker.cli.filters import Filter, filter_options

if TYPE_CHECKING:
    from pydatatracker.cli.progress import Bar

__all__ = ["show_command", "stats_command", "verify_command"]


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
    from pydatatracker.cli import layout as view
    from pydatatracker.cli.replay import logs as sources

    if following:
        names = sources.expanded(files)
        if len(names) != 1 or names[0] == "-":
            fail("--follow takes one file")
        if sources.is_compressed(names[0]):
            fail(f"--follow reads lines as they are written; {names[0]} is compressed")
        how = view.Layout(as_json, True, verbose)
        try:
            view.show(sources.follow(names[0], report, wanted, tail), sys.stdout, how)
        except FileNotFoundError as error:
            fail(f"cannot read {names[0]}: {error.strerror}")
        return
    with logs_of(files) as logs:
        lines = logs.lines(wanted) if tail is None else logs.tail(tail, wanted)
        labels = None if wanted.is_empty and tail is None else logs.first_root()
        how = view.Layout(as_json, not logs.is_file and tail is None, verbose, labels)
        if sys.stdout.isatty() and pager is not False and (pager or not how.at_once):
            page(view.texts(lines, sys.stdout, how), logs.bar)
        else:
            view.show(lines, sys.stdout, how, logs.bar.hide)


def page(texts: Iterable[str | None], bar: Bar) -> None:
    """Print lines through the user's pager; at once if they fit the screen, or there is no pager."""
    import shutil

    height = shutil.get_terminal_size().lines
    lines = (f"{text}\n" for text in texts if text is not None)
    first = list(itertools.islice(lines, height - 1))
    bar.end()
    if len(first) < height - 1 or not (os.environ.get("PAGER") or shutil.which("less")):
        for text in itertools.chain(first, lines):
            sys.stdout.write(text)
        sys.stdout.flush()
        return
    os.environ.setdefault("LESS", "FRX")
    click.echo_via_pager(_joined(itertools.chain(first, lines)), color=True)


def _joined(lines: Iterable[str]) -> Iterator[str]:
    # the last one without its newline, as click adds one
    before = ""
    for line in lines:
        yield before + line[:-1]
        before = "\n"


@cli.command("stats", example=f"{PROGRAM} stats --since today changes.jsonl")
@FILES
@filter_options
@click.option("--top", metavar="N", type=click.IntRange(1), default=10, show_default=True, help="Rows of each table.")
def stats_command(files: tuple[str, ...], wanted: Filter, top: int) -> None:
    """Count the changes by actor, action, place and time.

    The place is the pointer of the line: of the item, or of the container where several items changed at once.
    """
    from pydatatracker.cli import summary as stats

    with logs_of(files) as logs:
        stats.show(stats.Stats(logs.heads(wanted)), sys.stdout, top)


@cli.command("verify", example=f"{PROGRAM} verify changes.jsonl")
@FILES
def verify_command(files: tuple[str, ...]) -> None:
    """Say whether a log is complete and in order; exit status 1 if it is not.

    Looked for are lines that cannot be read or are torn, lines of others, gaps, changes that came twice, and changes
    that do not fit what the log says before them, as lines between are missing or were changed.
    """
    from pydatatracker.cli.replay import verify

    with logs_of(files) as logs:
        bad = verify.verify(logs, report, sys.stdout)
    if bad:
        raise click.exceptions.Exit(1)
