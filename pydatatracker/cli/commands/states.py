"""Commands about states: ``at``, ``diff``, ``patch`` and ``undo-script``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from pydatatracker.cli.base import PROGRAM, cli, fail
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.cli.points import POINT, SPAN, Point
from pydatatracker.cli.root_option import LOG, ROOT, one_root, open_roots
from pydatatracker.cli.terminal import COLOURS, cut, json_text, plain_columns, wants_colour

if TYPE_CHECKING:
    from pydatatracker.cli.replay.undo import Undone

__all__ = ["at_command", "diff_command", "patch_command", "undo_command"]

_SPAN: Final = click.argument("span", metavar="A..B", type=SPAN)


@cli.command("at", example=f"{PROGRAM} at changes.jsonl 120\n{PROGRAM} at changes.jsonl -3h")
@LOG
@click.argument("when", metavar="N|TIME", type=POINT)
@ROOT
@filter_options
@click.option("--compact", is_flag=True, help="Print the JSON on one line.")
def at_command(file: str, when: Point, root: str | None, wanted: Filter, compact: bool) -> None:
    """Print the data as it was just after change N, or at a time, as JSON.

    With filters: the data as it would have been with only the changes that they select. The others are undone, except
    those that a selected change depends on, which are kept and reported.

    Types that JSON lacks are written as in a log: {"$tuple": [1, 2]}. A time: -3h, today, now, 2026-11-24T15:30.
    """
    from pydatatracker.cli.replay.compare import as_json
    from pydatatracker.cli.replay.states import state_at
    from pydatatracker.cli.replay.undo import undo_unwanted

    with open_roots(file) as roots:
        key = one_root(roots, root)
        if wanted.is_empty:
            state = state_at(roots, key, when)[0]
        else:
            undone = undo_unwanted(roots, key, wanted, when)
            _report_kept(undone)
            state = undone.after
        click.echo(as_json(state, None if compact else 2))


@cli.command("diff", example=f"{PROGRAM} diff changes.jsonl 100..200\n{PROGRAM} diff changes.jsonl -- -3h..now")
@LOG
@_SPAN
@ROOT
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json-patch", "merge-patch"]),
    default="text",
    show_default=True,
    help="Format of the output.",
)
def diff_command(file: str, span: tuple[Point, Point], root: str | None, wanted: Filter, form: str) -> None:
    """Compare the data after change A with that after change B.

    + added, - removed, ~ replaced, > moved. Changes in between that were reverted do not show; `patch` is made from
    the changes themselves. With filters: what the changes that they select did to the data after B.
    """
    from pydatatracker.cli.replay import compare
    from pydatatracker.cli.replay.states import state_at
    from pydatatracker.cli.replay.undo import undo_wanted

    with open_roots(file) as roots:
        key = one_root(roots, root)
        if wanted.is_empty:
            old, new = state_at(roots, key, *span)
        else:
            undone = undo_wanted(roots, key, wanted, *span)
            _report_kept(undone)
            old, new = undone.after, undone.before
        if form == "json-patch":
            click.echo(json_text(compare.json_patch(old, new), 2))
        elif form == "merge-patch":
            try:
                click.echo(json_text(compare.merge_patch(old, new), 2))
            except ValueError as error:
                fail(str(error))
        else:
            _show_differences(compare.differences(old, new))


def _show_differences(found: Iterator[tuple[str, str, str]]) -> None:
    columns = plain_columns(sys.stdout)
    colours = {"+": "green", "-": "red", "~": "yellow", ">": "cyan"} if wants_colour(sys.stdout) else {}
    for sign, pointer, values in found:
        text = f"{sign} {pointer or '(root)'}: {values}"
        text = text if columns is None else cut(text, columns)
        sys.stdout.write((COLOURS[colours[sign]] + text + COLOURS["reset"] if colours else text) + "\n")
    sys.stdout.flush()


@cli.command("patch", example=f"{PROGRAM} patch changes.jsonl 100..200 --inverse")
@LOG
@_SPAN
@ROOT
@filter_options
@click.option("--inverse", is_flag=True, help="The patch that leads back from B to A.")
def patch_command(file: str, span: tuple[Point, Point], root: str | None, wanted: Filter, inverse: bool) -> None:
    """Print a JSON Patch (RFC 6902) made from the changes after A up to B.

    Applied to `at A` it gives `at B`. With filters: a patch that leads from the data after B without the selected
    changes to the data after B.
    """
    from pydatatracker.cli.replay.compare import json_patch
    from pydatatracker.cli.replay.patch import operations_between
    from pydatatracker.cli.replay.undo import undo_wanted, undoing_operations

    with open_roots(file) as roots:
        key = one_root(roots, root)
        try:
            if wanted.is_empty:
                made = operations_between(roots, key, *span, inverse)
            else:
                undone = undo_wanted(roots, key, wanted, *span)
                _report_kept(undone)
                made = undoing_operations(undone) if inverse else json_patch(undone.after, undone.before)
        except ValueError as error:
            fail(str(error))
        click.echo(json_text(made, 2))


@cli.command(
    "undo-script",
    example=f"{PROGRAM} undo-script changes.jsonl --actor importer --since today --format python > undo.py",
)
@LOG
@ROOT
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["json-patch", "python"]),
    default="json-patch",
    show_default=True,
    help="Format of the output.",
)
def undo_command(file: str, root: str | None, wanted: Filter, form: str) -> None:
    """Print a patch that undoes the changes that the filters select.

    It applies to the data as it is at the end of the log. A change that a later one depends on is kept, and reported
    on standard error.
    """
    from pydatatracker.cli.replay.undo import undo_wanted, undoing_operations
    from pydatatracker.history.undo_script import python_script

    with open_roots(file) as roots:
        try:
            undone = undo_wanted(roots, one_root(roots, root), wanted)
            made = undoing_operations(undone)
        except ValueError as error:  # the data holds itself
            fail(str(error))
        _report_kept(undone)
        if form == "python":
            what = f"{undone.done:,} {'change' if undone.done == 1 else 'changes'} of {file}"
            click.echo(python_script(made, what), nl=False)
        else:
            click.echo(json_text(made, 2))


def _report_kept(undone: Undone) -> None:
    """Print on standard error which changes could not be undone."""
    from pydatatracker.cli.line_view import LineView

    view = LineView(None, False)
    for line in undone.kept:
        text = f"kept, as a later change depends on it: {view.line(line)}"
        click.echo(f"{PROGRAM}: {text}", err=True)
