"""Commands about the lines of a log: ``show``, ``stats`` and ``verify``."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, files_or_stdin, open_logs, print_error
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.cli.library_option import library_option

if TYPE_CHECKING:
    from pydatatracker.cli.progress import Bar

__all__ = ["show_command", "stats_command", "verify_command"]


@cli.command(
    "show",
    example=f"{PROGRAM} show changes.jsonl --since -1h --path '/cfg/**'\ntail -f changes.jsonl | {PROGRAM} show -",
)
@FILES
@filter_options
@library_option
@click.option("--json", "as_json", is_flag=True, help="Print the readable lines of the log themselves.")
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
@click.option("--tail", metavar="N", type=click.IntRange(0), help="Only the last N lines.")
@click.option("-f", "--follow", "following", is_flag=True, help="Wait for new lines of a single file.")
@click.option("--pager/--no-pager", default=None, help="Use a pager; by default if the output exceeds the screen.")
def show_command(
    files: tuple[str, ...],
    wanted: Filter,
    as_json: bool,
    verbose: bool,
    tail: int | None,
    following: bool,
    pager: bool | None,
) -> None:
    """Print logs, one line per change. Several are merged by time.

    Columns: time, number, actor, action, path, before -> after, and, if the log has stacks, the culprit: the file and
    line of the innermost call outside of libraries. If a log has several roots, #2 in front of a path
    means the second one. - is standard input. Lines that cannot be read are skipped and reported on standard error;
    the exit status is then 1. On a terminal lines are cut to its width and coloured, unless NO_COLOR is set.
    """
    from pydatatracker.cli import line_view
    from pydatatracker.cli.replay.logs import expanded, is_compressed

    if following:
        from pydatatracker.cli.replay.follow import follow

        names = expanded(files)
        if len(names) != 1 or names[0] == "-":
            fail("--follow takes one file")
        try:
            if is_compressed(names[0]):
                fail(f"--follow cannot read {names[0]}, which is compressed")
        except OSError as error:
            fail(f"cannot read {names[0]}: {error.strerror}")
        how = line_view.Layout(as_json, True, verbose)
        try:
            line_view.show(follow(names[0], print_error, wanted, tail), sys.stdout, how)
        except FileNotFoundError as error:
            fail(f"cannot read {names[0]}: {error.strerror}")
        return
    with open_logs(files) as logs:
        lines = logs.lines(wanted) if tail is None else logs.tail(tail, wanted)
        labels = None if wanted.is_empty and tail is None else logs.first_root()
        how = line_view.Layout(as_json, not logs.is_file and tail is None, verbose, labels)
        if sys.stdout.isatty() and pager is not False and (pager or not how.at_once):
            _page(line_view.texts(lines, sys.stdout, how), logs.bar)
        else:
            line_view.show(lines, sys.stdout, how, logs.bar.hide)


def _page(texts: Iterable[str | None], bar: Bar) -> None:
    """Print lines through the user's pager.

    They are printed directly if they fit the screen, or if there is no pager.
    """
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
    """Yield lines, the last one without its newline, as click adds one."""
    before = ""
    for line in lines:
        yield before + line[:-1]
        before = "\n"


@cli.command("stats", example=f"{PROGRAM} stats --since today changes.jsonl")
@FILES
@filter_options
@click.option("--top", metavar="N", type=click.IntRange(1), default=10, show_default=True, help="Rows of each table.")
def stats_command(files: tuple[str, ...], wanted: Filter, top: int) -> None:
    """Count the changes by actor, action, path and time.

    The path is that of the item, or of the container if several items changed together.
    """
    from pydatatracker.cli import stats

    with open_logs(files) as logs:
        stats.show(stats.Stats(logs.heads(wanted)), sys.stdout, top)


@cli.command(
    "verify",
    example=f"{PROGRAM} verify changes.jsonl\n{PROGRAM} verify --seal --key audit.pub.pem 'changes.*jsonl*'",
)
@FILES
@click.option("--seal", is_flag=True, help="Check the seals of a log with seal=True instead.")
@click.option("--key", metavar="PUBLIC", help="The public key that has to vouch for every line: PEM file or hex.")
@click.option("--root", "roots", metavar="HEX", multiple=True, help="A root that was there once; may be repeated.")
@click.option("--table", metavar="NAME", help="The table of a database with seals.  [default: changes]")
def verify_command(
    files: tuple[str, ...], seal: bool, key: str | None, roots: tuple[str, ...], table: str | None
) -> None:
    """Check that a log is complete and in order; exit status 1 if not.

    Finds unreadable, truncated, foreign and duplicate lines, gaps, and changes that contradict what the log says
    before them, because lines are missing or were edited. With --seal: lines that were changed, removed, added or moved
    since they were written, whatever they say; prints the last root of each chain. That the end was cut off is found
    with --root only. FILE may then also be an SQLite file with seals, or a database URL (postgresql+psycopg://...).
    """
    if seal:
        from pydatatracker.cli.replay import seals

        names = files_or_stdin(files)
        if seals.verify(names, key, roots, table or "changes", print_error, sys.stdout):
            raise click.exceptions.Exit(1)
        return
    if key is not None or roots or table is not None:
        raise click.UsageError("--key, --root and --table need --seal", click.get_current_context())
    from pydatatracker.cli.replay import verify

    with open_logs(files) as logs:
        bad = verify.verify(logs, print_error, sys.stdout)
    if bad:
        raise click.exceptions.Exit(1)
