"""Commands that make a page of a log: ``report`` writes it to a file, ``view`` serves it and goes on reading."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, logs_of, report, written
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.cli.terminal import clean

__all__ = ["report_command", "view_command"]


@cli.command(
    "report", example=f"{PROGRAM} report changes.jsonl -o report.html\n{PROGRAM} report changes.jsonl --since today"
)
@FILES
@filter_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="report.html",
    show_default=True,
    help="Written over; - for standard output.",
)
def report_command(files: tuple[str, ...], wanted: Filter, output: str) -> None:
    """Write one HTML file that shows a log: a timeline by actor, the data at any change, who wrote each place.

    It opens offline and loads nothing. What the filters leave out is not listed; the data shown is that of all
    changes.
    """
    from pydatatracker.report.data import Changes
    from pydatatracker.report.page import page

    bad: list[Exception] = []

    def told(error: Any) -> None:
        bad.append(error)
        report(error)

    def read(logs: Any) -> Changes:
        changes = Changes(", ".join(map(_title, logs.names)))
        for line in logs.lines():
            changes.add(line, wanted.is_empty or wanted.keeps(line))
        for error in bad:
            changes.tell(error)
        return changes

    with logs_of(files, told) as logs:
        if output == "-":  # as bytes: the page is UTF-8 whatever the terminal is
            sys.stdout.buffer.writelines(piece.encode() for piece in page(read(logs)))
            return
        with written(output, logs.names) as name:
            changes = read(logs)
            with open(name, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(page(changes))
        size = os.path.getsize(output) / 1e6
        click.echo(f"{clean(output)}: {len(changes):,} changes, {size:.1f} MB; open it in a browser")


def _title(name: str) -> str:
    return "standard input" if name == "-" else os.path.basename(name)


@cli.command("view", example=f"{PROGRAM} view changes.jsonl --open")
@click.argument("file", metavar="LOG")
@filter_options
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="By default any that is free.")
@click.option("--open", "opening", is_flag=True, help="Open it in a browser.")
def view_command(file: str, wanted: Filter, port: int, opening: bool) -> None:
    """Serve the page of `report` to this machine, and show what is written to the log while it is open.

    The address that is printed is the only one that answers, on 127.0.0.1. Ctrl-C ends it.
    """
    import webbrowser

    from pydatatracker.cli.replay.logs import follow
    from pydatatracker.report.data import Changes
    from pydatatracker.report.live import Server

    try:
        server = Server(Changes(_title(file)), port)
    except OSError as error:
        fail(f"cannot listen on port {port}: {error.strerror}")

    def told(error: Any) -> None:
        server.tell(error)
        report(error)

    def listed(line: Any) -> bool:
        return wanted.is_empty or wanted.keeps(line)

    try:
        if _grows(file):
            lines = follow(file, told, Filter())
            for line in lines:
                if line is None:  # all that is there now
                    break
                server.add(line, listed(line))
            server.follow(lines, listed)
        else:
            try:
                with logs_of([file], told) as logs:
                    for line in logs.lines():
                        server.add(line, listed(line))
            except click.exceptions.Exit as end:
                if end.exit_code != 1:  # lines that cannot be read were named: the others are shown
                    raise
        click.echo(f"{server.url}  (Ctrl-C ends it)")
        if opening:
            webbrowser.open(server.url)
        server.serve()
    finally:
        server.close()


def _grows(name: str) -> bool:
    # what is compressed, or comes through a pipe, is read once
    try:
        if name == "-" or not os.path.isfile(name):
            return False
        with open(name, "rb") as file:
            return file.read(2) not in (b"\x1f\x8b", b"\x28\xb5")
    except OSError as error:
        fail(f"cannot read {name}: {error.strerror}")
