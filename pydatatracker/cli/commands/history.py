"""Commands about single paths: ``blame`` and ``history``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pydatatracker.cli.base import PROGRAM, cli
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.cli.library_option import library_option
from pydatatracker.cli.root_option import LOG, ROOT, chosen_roots, open_roots, split_pointer
from pydatatracker.cli.terminal import cells, clean, cut_left, pad, plain_columns, wants_colour

if TYPE_CHECKING:
    from pydatatracker.cli.replay.roots import Key

__all__ = ["blame_command", "history_command"]


@cli.command("blame", example=f"{PROGRAM} blame changes.jsonl /users/0/email\n{PROGRAM} blame changes.jsonl --all")
@LOG
@click.argument("pointer", required=False)
@click.option("--all", "everything", is_flag=True, help="Every path in the log.")
@ROOT
@filter_options
@library_option
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
def blame_command(
    file: str, pointer: str | None, everything: bool, root: str | None, wanted: Filter, verbose: bool
) -> None:
    """Show the last change of a path, or of every path.

    If the log has stacks, the culprit follows: the innermost call outside of libraries. With filters, the last of the
    changes that they select. An item of a list is followed through insertions, removals and sorts; its present path
    stands in front of the line.
    """
    from pydatatracker.cli.replay.rebuilt import Rebuilt

    root, pointer = split_pointer(root, pointer)
    if (pointer is None) == (not everything):
        raise click.UsageError("give a pointer such as /users/0/email, or --all", click.get_current_context())
    if pointer is not None:
        _check_pointer(pointer)
    rows: list[tuple[str, Any]] = []
    with open_roots(file) as roots:
        for label, key in chosen_roots(roots, root):
            # what is remembered is the last change of each path below the root, not of the root itself
            remember = wanted.is_empty and pointer != ""
            found = list(Rebuilt(roots, key, wanted=wanted, remember=remember).blame(pointer))
            if not found and remember:  # a change of what is gone by now is not remembered
                found = list(Rebuilt(roots, key, wanted=wanted).blame(pointer))
            rows += [(label + path, line) for path, line in found]
        if not rows:
            click.echo(f"{PROGRAM}: the log has no such change at {pointer or 'any path'}", err=True)
        _show_paths(rows, verbose, pointer is not None, dict(zip(roots.by_root, roots.labels(), strict=True)))


def _show_paths(rows: list[tuple[str, Any]], verbose: bool, named: bool, labels: dict[Key, str]) -> None:
    """Print (present path, line) pairs, the lines as `show` prints them.

    named: each with its culprit on a line of its own.
    """
    from pydatatracker.cli.line_view import LineView, painter

    if not rows:
        return
    columns = plain_columns(sys.stdout)
    rows = [(clean(path) or "(root)", line) for path, line in rows]
    width = max(cells(path) for path, _ in rows)
    if columns is not None:
        width = min(width, columns // 4)
    paint = painter(wants_colour(sys.stdout))
    room = None if columns is None else columns - width - 2
    view = LineView(room, wants_colour(sys.stdout), [line for _, line in rows], labels, not (named or verbose))
    for path, line in rows:
        path = path if columns is None else cut_left(path, width)
        sys.stdout.write(f"{paint('bold', pad(path, width))}  {view.line(line)}".rstrip() + "\n")
        for text in view.details(line, columns) if verbose else view.culprit_of(line, columns) if named else ():
            sys.stdout.write(text + "\n")
    sys.stdout.flush()


@cli.command("history", example=f"{PROGRAM} history changes.jsonl /users/0/email")
@LOG
@click.argument("pointer")
@ROOT
@filter_options
@library_option
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines of the log themselves.")
def history_command(file: str, pointer: str, root: str | None, wanted: Filter, verbose: bool, as_json: bool) -> None:
    """Show all changes of a path, oldest first.

    These are the changes that stored something there or removed it. An item of a list is followed through shifts and
    sorts. For what happened inside of it: show --path '/users/**'.
    """
    from pydatatracker.cli import line_view
    from pydatatracker.cli.replay.rebuilt import Rebuilt

    root, path = split_pointer(root, pointer)
    pointer = _check_pointer(path or "")
    lines: list[Any] = []
    with open_roots(file) as roots:
        for _, key in chosen_roots(roots, root):
            lines += Rebuilt(roots, key, wanted=wanted).history(pointer)
        if not lines:
            click.echo(f"{PROGRAM}: the log has no such change at {pointer}", err=True)
        labels = dict(zip(roots.by_root, roots.labels(), strict=True))
        line_view.show(lines, sys.stdout, line_view.Layout(as_json, False, verbose, labels))


def _check_pointer(text: str) -> str:
    """Return text if it is a pointer; anything else is a usage error."""
    from pydatatracker.values.pointer import parse_pointer

    try:
        parse_pointer(text)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    return text
