"""Commands that know what the changes mean: ``blame``, ``history``, ``at``, ``diff``, ``patch``, ``undo-script``."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from pydatatracker.cli.base import PROGRAM, cli, fail, logs_of, report
from pydatatracker.cli.filters import POINT, Filter, Point, filter_options, point
from pydatatracker.cli.terminal import COLOURS, clean, json_text, plain_columns, wants_colour

if TYPE_CHECKING:
    from pydatatracker.cli.replay.rebuilt import Key, Roots
    from pydatatracker.cli.replay.states import Taken

__all__ = ["at_command", "blame_command", "diff_command", "history_command", "patch_command", "undo_command"]

LOG: Final = click.argument("file", metavar="LOG")
ROOT: Final = click.option("--root", metavar="#N|ID", help="Which container of the log, as `show` numbers them.")


@contextlib.contextmanager
def roots_of(file: str) -> Iterator[Roots]:
    """Open a log, and read what is in it."""
    from pydatatracker.cli.replay.rebuilt import Roots

    with logs_of([file]) as logs, Roots(logs, report) as roots:
        yield roots


def chosen(roots: Roots, root: str | None) -> list[tuple[str, Key]]:
    """Return the (label, key) of the roots that are meant."""
    found = list(zip(roots.labels(), roots.by_root, strict=True))
    if root is not None:
        number = re.fullmatch(r"#(\d{1,9})", root)
        if number is not None:
            found = found[int(number[1]) - 1 : int(number[1])] if int(number[1]) else []
        else:
            found = [(label, key) for label, key in found if root and key[1].startswith(root.removeprefix("@"))]
        if not found:
            fail(f"there is no container {root} in the log; it has {len(roots.by_root)}")
    if not found:
        fail("there is no change in the log")
    return found


def one(roots: Roots, root: str | None) -> Key:
    """Return the key of the one root that is meant."""
    found = chosen(roots, root)
    if len(found) > 1:
        lines = [
            f"  {label or '#1'}  {key[1]}  process {key[0]}  {len(roots.by_root[key]):,} changes"
            for label, key in found[:20]
        ]
        fail_with(f"the log is of {len(found)} containers; name one with --root:", lines)
    return found[0][1]


def fail_with(message: str, lines: list[str]) -> None:
    """End with a sentence and a list; exit status 2."""
    click.echo(f"{PROGRAM}: {message}", err=True)
    for line in lines:
        click.echo(clean(line), err=True)
    raise click.exceptions.Exit(2)


def name_those_that_stay(taken: Taken) -> None:
    """Say on standard error which changes could not be taken back."""
    from pydatatracker.cli.layout import View

    view = View(None, False)
    for line in taken.stay:
        text = f"cannot be taken back, as its place was changed later: {view.line(line)}"
        click.echo(f"{PROGRAM}: {text}", err=True)


def pointer_of(text: str) -> str:
    from pydatatracker.values.pointer import parse_pointer

    try:
        parse_pointer(text)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    return text


@cli.command("blame", example=f"{PROGRAM} blame changes.jsonl /users/0/email\n{PROGRAM} blame changes.jsonl --all")
@LOG
@click.argument("pointer", required=False)
@click.option("--all", "everything", is_flag=True, help="Every place that the log knows.")
@ROOT
@filter_options
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
def blame_command(
    file: str, pointer: str | None, everything: bool, root: str | None, wanted: Filter, verbose: bool
) -> None:
    """Show the last change of a place, or of every place; with filters, the last of those that they select.

    An item of a list is followed through insertions, removals and sorts; what is shown in front of the line is where
    it is now.
    """
    from pydatatracker.cli.replay.rebuilt import Rebuilt

    root, pointer = placed(root, pointer)
    if (pointer is None) == (not everything):
        raise click.UsageError("give a pointer as /users/0/email, or --all", click.get_current_context())
    if pointer is not None:
        pointer_of(pointer)
    rows: list[tuple[str, Any]] = []
    with roots_of(file) as roots:
        for label, key in chosen(roots, root):
            each = Rebuilt(roots, key, wanted=wanted, remember=wanted.is_empty)
            rows += [(label + place, line) for place, line in each.blame(pointer)]
        if not rows:
            click.echo(f"{PROGRAM}: the log knows of no such change at {pointer or 'any place'}", err=True)
        show_places(rows, verbose, dict(zip(roots.by_root, roots.labels(), strict=True)))


def placed(root: str | None, pointer: str | None) -> tuple[str | None, str | None]:
    """Return (root, pointer) also of a pointer as `show` prints it, #2/users/0."""
    found = re.fullmatch(r"([#@]\w+)(|/.*)", pointer or "", re.DOTALL)
    return (root, pointer) if found is None or root is not None else (found[1], found[2])


def show_places(rows: list[tuple[str, Any]], verbose: bool, labels: dict[Key, str]) -> None:
    """Print (place, line of the log) pairs: where it is now, and the change as `show` has it."""
    from pydatatracker.cli.layout import View, painter
    from pydatatracker.cli.terminal import cells, clean, cut_left, pad

    if not rows:
        return
    columns = plain_columns(sys.stdout)
    rows = [(clean(place) or "(root)", line) for place, line in rows]
    width = max(cells(place) for place, _ in rows)
    if columns is not None:
        width = min(width, columns // 4)
    paint = painter(wants_colour(sys.stdout))
    room = None if columns is None else columns - width - 2
    view = View(room, wants_colour(sys.stdout), [line for _, line in rows], labels)
    for place, line in rows:
        place = place if columns is None else cut_left(place, width)
        sys.stdout.write(f"{paint('bold', pad(place, width))}  {view.line(line)}".rstrip() + "\n")
        if verbose:
            for text in view.details(line, columns):
                sys.stdout.write(text + "\n")
    sys.stdout.flush()


@cli.command("history", example=f"{PROGRAM} history changes.jsonl /users/0/email")
@LOG
@click.argument("pointer")
@ROOT
@filter_options
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines themselves.")
def history_command(file: str, pointer: str, root: str | None, wanted: Filter, verbose: bool, as_json: bool) -> None:
    """Show all changes of a place, oldest first; an item of a list is followed through shifts and sorts.

    They are those that put something there or took it away. What happened inside of it: show --path '/users/**'.
    """
    from pydatatracker.cli import layout as view
    from pydatatracker.cli.replay.rebuilt import Rebuilt

    root, place = placed(root, pointer)
    pointer = pointer_of(place or "")
    lines: list[Any] = []
    with roots_of(file) as roots:
        for _, key in chosen(roots, root):
            lines += Rebuilt(roots, key, wanted=wanted).history(pointer)
        if not lines:
            click.echo(f"{PROGRAM}: the log knows of no such change at {pointer}", err=True)
        labels = dict(zip(roots.by_root, roots.labels(), strict=True))
        view.show(lines, sys.stdout, view.Layout(as_json, False, verbose, labels))


@cli.command("at", example=f"{PROGRAM} at changes.jsonl 120\n{PROGRAM} at changes.jsonl -3h")
@LOG
@click.argument("when", metavar="N|TIME", type=POINT)
@ROOT
@filter_options
@click.option("--compact", is_flag=True, help="On one line.")
def at_command(file: str, when: Point, root: str | None, wanted: Filter, compact: bool) -> None:
    """Print the data as it was just after change N, or at a time, as JSON.

    With filters, as it would have been with the changes alone that they select, from what the log begins with: the
    others are taken back, but for those whose place a selected one touched later, which are named.

    What JSON does not have is spelled as in a log: {"$tuple": [1, 2]}. A time: -3h, today, now, 2026-11-24T15:30.
    """
    from pydatatracker.cli.replay.rebuilt import state_at
    from pydatatracker.cli.replay.states import as_json, taken_back

    with roots_of(file) as roots:
        key = one(roots, root)
        if wanted.is_empty:
            state = state_at(roots, key, when)[0]
        else:
            taken = taken_back(roots, key, wanted, when)
            name_those_that_stay(taken)
            state = taken.after
        click.echo(as_json(state, None if compact else 2))


def _span(text: str) -> tuple[Point, Point]:
    # A..B, either may be left out; times have single dots at most
    if ".." not in text:
        raise ValueError(f"{text!r} is no span; write 10..20, 10.., ..20, or -3h..now")
    first, _, last = text.strip().partition("..")
    since: Point = point(first) if first else (0, None)
    until: Point = point(last) if last else (None, None)
    if any(a is not None and b is not None and a > b for a, b in zip(since, until, strict=True)):
        raise ValueError(f"{text!r} runs backwards; write {last}..{first}; `patch --inverse` is the way back")
    return since, until


class _Span(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return _span(value) if isinstance(value, str) else value
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


SPAN: Final = click.argument("span", metavar="A..B", type=_Span())


@cli.command("diff", example=f"{PROGRAM} diff changes.jsonl 100..200\n{PROGRAM} diff changes.jsonl -- -3h..now")
@LOG
@SPAN
@ROOT
@filter_options
@click.option(
    "--format", "form", type=click.Choice(["text", "json-patch", "merge-patch"]), default="text", show_default=True
)
def diff_command(file: str, span: tuple[Point, Point], root: str | None, wanted: Filter, form: str) -> None:
    """Compare the data after change A with that after change B.

    + was added, - removed, ~ replaced, > moved. What happened in between and was set back is not seen; `patch` is
    made from the changes themselves. With filters: what the changes that they select have done to the data after B.
    """
    from pydatatracker.cli.replay import states
    from pydatatracker.cli.replay.rebuilt import state_at

    with roots_of(file) as roots:
        key = one(roots, root)
        if wanted.is_empty:
            old, new = state_at(roots, key, *span)
        else:
            taken = states.without(roots, key, wanted, *span)
            name_those_that_stay(taken)
            old, new = taken.after, taken.before
        if form == "json-patch":
            click.echo(json_text(states.json_patch(old, new), 2))
        elif form == "merge-patch":
            try:
                click.echo(json_text(states.merge_patch(old, new), 2))
            except ValueError as error:
                fail(str(error))
        else:
            _show_differences(states.changes_between(old, new))


def _show_differences(found: Iterator[tuple[str, str, str]]) -> None:
    from pydatatracker.cli.terminal import cut

    columns = plain_columns(sys.stdout)
    colours = {"+": "green", "-": "red", "~": "yellow", ">": "cyan"} if wants_colour(sys.stdout) else {}
    for sign, pointer, words in found:
        text = f"{sign} {pointer or '(root)'}: {words}"
        text = text if columns is None else cut(text, columns)
        sys.stdout.write((COLOURS[colours[sign]] + text + COLOURS["reset"] if colours else text) + "\n")
    sys.stdout.flush()


@cli.command("patch", example=f"{PROGRAM} patch changes.jsonl 100..200 --inverse")
@LOG
@SPAN
@ROOT
@filter_options
@click.option("--inverse", is_flag=True, help="The way back, from B to A.")
def patch_command(file: str, span: tuple[Point, Point], root: str | None, wanted: Filter, inverse: bool) -> None:
    """Print a JSON Patch (RFC 6902) made from the changes after A up to B; applied to `at A` it gives `at B`.

    With filters: from the data after B without the changes that they select to the data after B.
    """
    from pydatatracker.cli.replay import states

    with roots_of(file) as roots:
        key = one(roots, root)
        try:
            if wanted.is_empty:
                made = states.operations(roots, key, *span, inverse)
            else:
                taken = states.without(roots, key, wanted, *span)
                name_those_that_stay(taken)
                made = states.undoing(taken) if inverse else states.json_patch(taken.after, taken.before)
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
@click.option("--format", "form", type=click.Choice(["json-patch", "python"]), default="json-patch", show_default=True)
def undo_command(file: str, root: str | None, wanted: Filter, form: str) -> None:
    """Print what takes back the changes that the filters select, and leaves all others.

    It is for the data as the log leaves it. A change whose place another one touched later, that stays, cannot be
    taken back: those are named on standard error.
    """
    from pydatatracker.cli.replay import states

    with roots_of(file) as roots:
        try:
            taken = states.without(roots, one(roots, root), wanted)
            made = states.undoing(taken)
        except ValueError as error:  # the data holds itself
            fail(str(error))
        name_those_that_stay(taken)
        if form == "python":
            what = f"{taken.done:,} {'change' if taken.done == 1 else 'changes'} of {file}"
            click.echo(states.script(made, what), nl=False)
        else:
            click.echo(json_text(made, 2))
