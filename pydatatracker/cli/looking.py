"""Commands that know what the changes mean: ``blame``, ``history``, ``at``, ``diff``, ``patch``, ``undo-script``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from pydatatracker.cli.base import PROGRAM, cli, fail, logs_of, report
from pydatatracker.cli.filters import POINT, Filter, Point, filter_options, point
from pydatatracker.cli.terminal import COLOURS, plain_columns, wants_colour

if TYPE_CHECKING:
    from pydatatracker.cli.logs import Logs
    from pydatatracker.cli.rebuilt import Rebuilt, Roots

__all__ = ["at_command", "blame_command", "diff_command", "history_command", "patch_command", "undo_command"]

LOG: Final = click.argument("file", metavar="LOG")
ROOT: Final = click.option("--root", metavar="#N|ID", help="Which container of the log, as `show` numbers them.")


def roots_in(logs: Logs) -> Roots:
    from pydatatracker.cli.rebuilt import roots_of

    return roots_of(logs.lines(), ", ".join(logs.names), report)


def chosen(roots: Roots, root: str | None) -> list[tuple[str, tuple[int | None, str]]]:
    """Return the (label, key) of the roots that are meant."""
    found = list(zip(roots.labels(), roots.by_root, strict=True))
    if root is not None:
        number = re.fullmatch(r"#(\d+)", root)
        if number is not None:
            found = found[int(number[1]) - 1 : int(number[1])] if int(number[1]) else []
        else:
            found = [(label, key) for label, key in found if root and key[1].startswith(root)]
        if not found:
            fail(f"there is no container {root} in the log; it has {len(roots.by_root)}")
    if not found:
        fail("there is no change in the log")
    return found


def one(roots: Roots, root: str | None) -> tuple[int | None, str]:
    """Return the key of the one root that is meant."""
    found = chosen(roots, root)
    if len(found) > 1:
        lines = [f"  #{n + 1}  {key[1]}  {len(roots.by_root[key]):,} changes" for n, (_, key) in enumerate(found[:20])]
        fail_with(f"the log is of {len(found)} containers; name one with --root:", lines)
    return found[0][1]


def fail_with(message: str, lines: list[str]) -> None:
    """End with a sentence and a list; exit status 2."""
    click.echo(f"{PROGRAM}: {message}", err=True)
    for line in lines:
        click.echo(line, err=True)
    raise click.exceptions.Exit(2)


def rebuilt(logs: Logs, root: str | None) -> Iterator[tuple[str, Rebuilt]]:
    from pydatatracker.cli.rebuilt import Rebuilt

    roots = roots_in(logs)
    for label, key in chosen(roots, root):
        yield label, Rebuilt(roots, key)
    if roots.bad:
        logs.readers[0].passed_over += roots.bad  # the exit status says that the log is bad


def pointer_of(text: str) -> str:
    from pydatatracker.pointer import parse_pointer

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
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
def blame_command(file: str, pointer: str | None, everything: bool, root: str | None, verbose: bool) -> None:
    """Show the last change of a place, or of every place.

    An item of a list is followed through insertions, removals and sorts; what is shown in front of the line is where
    it is now.
    """
    if (pointer is None) == (not everything):
        raise click.UsageError("give a pointer as /users/0/email, or --all", click.get_current_context())
    if pointer is not None:
        pointer_of(pointer)
    rows: list[tuple[str, Any]] = []
    with logs_of([file]) as logs:
        for label, each in rebuilt(logs, root):
            if pointer is None:
                rows += [(label + place, each.line_of(found)) for place, found in each.value.tracking_blame().items()]
            elif (found := each.value.tracking_blame(pointer)) is not None:
                rows.append((label + pointer, each.line_of(found)))
        rows = [(place, line) for place, line in rows if line is not None]
        if not rows:
            click.echo(f"{PROGRAM}: the log knows of no change at {pointer or 'any place'}", err=True)
        show_places(rows, verbose)


def show_places(rows: list[tuple[str, Any]], verbose: bool) -> None:
    """Print (place, line of the log) pairs: where it is now, and the change as `show` has it."""
    from pydatatracker.cli.terminal import cells, clean, cut_left, pad
    from pydatatracker.cli.view import View, painter

    if not rows:
        return
    columns = plain_columns(sys.stdout)
    rows = [(clean(place) or "(root)", line) for place, line in rows]
    width = max(cells(place) for place, _ in rows)
    if columns is not None:
        width = min(width, columns // 4)
    paint = painter(wants_colour(sys.stdout))
    view = View(None if columns is None else columns - width - 2, wants_colour(sys.stdout), [line for _, line in rows])
    for place, line in rows:
        place = place if columns is None else cut_left(place, width)
        sys.stdout.write(f"{paint('bold', pad(place, width))}  {view.line(line)}".rstrip() + "\n")
        if verbose:
            for text in view.details(line):
                sys.stdout.write(text + "\n")
    sys.stdout.flush()


@cli.command("history", example=f"{PROGRAM} history changes.jsonl /users/0/email")
@LOG
@click.argument("pointer")
@ROOT
@click.option("-v", "--verbose", is_flag=True, help="Add context, stack and snapshots.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines themselves.")
def history_command(file: str, pointer: str, root: str | None, verbose: bool, as_json: bool) -> None:
    """Show all changes of a place, oldest first; an item of a list is followed through shifts and sorts."""
    from pydatatracker.cli import view

    pointer_of(pointer)
    lines: list[Any] = []
    with logs_of([file]) as logs:
        for _, each in rebuilt(logs, root):
            for change in each.value.tracking_history(pointer):
                line = each.line_of(change)
                if line is not None and (not lines or lines[-1] is not line):
                    lines.append(line)
        if not lines:
            click.echo(f"{PROGRAM}: the log knows of no change at {pointer}", err=True)
        view.show(lines, sys.stdout, view.Layout(as_json, False, verbose))


@cli.command("at", example=f"{PROGRAM} at changes.jsonl 120\n{PROGRAM} at changes.jsonl -3h")
@LOG
@click.argument("when", metavar="N|TIME", type=POINT)
@ROOT
@click.option("--compact", is_flag=True, help="On one line.")
def at_command(file: str, when: Point, root: str | None, compact: bool) -> None:
    """Print the data as it was just after change N, or at a time, as JSON.

    What JSON does not have is spelled as in a log: {"$tuple": [1, 2]}. A time: -3h, today, now, 2026-11-24T15:30.
    """
    from pydatatracker.cli.rebuilt import state_at
    from pydatatracker.cli.states import as_json

    with logs_of([file]) as logs:
        roots = roots_in(logs)
        state = state_at(roots, one(roots, root), when)[0]
        click.echo(as_json(state, None if compact else 2))
        logs.readers[0].passed_over += roots.bad


def _span(text: str) -> tuple[Point, Point]:
    # A..B, either may be left out; times have single dots at most
    if ".." not in text:
        raise ValueError(f"{text!r} is no span; write 10..20, 10.., ..20, or -3h..now")
    first, _, last = text.partition("..")
    return point(first) if first else (0, None), point(last) if last else (None, None)


class _Span(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return _span(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


SPAN: Final = click.argument("span", metavar="A..B", type=_Span())


@cli.command("diff", example=f"{PROGRAM} diff changes.jsonl 100..200\n{PROGRAM} diff changes.jsonl -- -3h..now")
@LOG
@SPAN
@ROOT
@click.option(
    "--format", "form", type=click.Choice(["text", "json-patch", "merge-patch"]), default="text", show_default=True
)
def diff_command(file: str, span: tuple[Point, Point], root: str | None, form: str) -> None:
    """Compare the data after change A with that after change B.

    + was added, - removed, ~ replaced, > moved. What happened in between and was set back is not seen; `patch` is
    made from the changes themselves.
    """
    from pydatatracker.cli import states
    from pydatatracker.cli.rebuilt import state_at

    with logs_of([file]) as logs:
        roots = roots_in(logs)
        old, new = state_at(roots, one(roots, root), *span)
        if form == "json-patch":
            click.echo(json.dumps(states.json_patch(old, new), indent=2, ensure_ascii=False))
        elif form == "merge-patch":
            try:
                click.echo(json.dumps(states.merge_patch(old, new), indent=2, ensure_ascii=False))
            except ValueError as error:
                fail(str(error))
        else:
            _show_differences(states.changes_between(old, new))
        logs.readers[0].passed_over += roots.bad


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
@click.option("--inverse", is_flag=True, help="The way back, from B to A.")
def patch_command(file: str, span: tuple[Point, Point], root: str | None, inverse: bool) -> None:
    """Print a JSON Patch (RFC 6902) made from the changes after A up to B; applied to `at A` it gives `at B`."""
    from pydatatracker.cli import states

    with logs_of([file]) as logs:
        roots = roots_in(logs)
        try:
            made = states.operations(roots, one(roots, root), *span, inverse)
        except ValueError as error:
            fail(str(error))
        logs.readers[0].passed_over += roots.bad
        click.echo(json.dumps(made, indent=2, ensure_ascii=False))


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
    from pydatatracker.cli import states
    from pydatatracker.cli.view import View

    with logs_of([file]) as logs:
        roots = roots_in(logs)
        made, stay, count = states.taking_back(roots, one(roots, root), wanted)
        logs.readers[0].passed_over += roots.bad
        for line in stay:
            text = View(None, False).line(line)
            click.echo(f"{PROGRAM}: cannot be taken back, as its place was changed later: {text}", err=True)
        done = count - len(stay)
        if form == "python":
            what = f"{done:,} {'change' if done == 1 else 'changes'} of {file}"
            click.echo(states.script(made, what), nl=False)
        else:
            click.echo(json.dumps(made, indent=2, ensure_ascii=False))
