"""Commands that show a log as a page: ``report`` and ``view``.

``report`` writes the page to a file; ``view`` serves it and follows the log.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, open_logs, print_error, replacing
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.cli.library_option import library_option
from pydatatracker.cli.terminal import clean

__all__ = ["report_command", "view_command"]


@cli.command(
    "report", example=f"{PROGRAM} report changes.jsonl -o report.html\n{PROGRAM} report changes.jsonl --since today"
)
@FILES
@filter_options
@library_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="report.html",
    show_default=True,
    help="The file to write; - for standard output.",
)
def report_command(files: tuple[str, ...], wanted: Filter, output: str) -> None:
    """Write one HTML file that shows a log.

    It has a timeline by actor, the data at any change, and the last writer of each path. It opens offline and loads
    nothing. Filters select the changes that are listed; the data is that of all changes.
    """
    from pydatatracker.report.data import Changes
    from pydatatracker.report.page import page

    bad: list[Exception] = []

    def on_error(error: Any) -> None:
        bad.append(error)
        print_error(error)

    def read(logs: Any) -> Changes:
        changes = Changes(", ".join(map(_title, logs.names)))
        for line in logs.lines():
            changes.add(line, wanted.is_empty or wanted.keeps(line))
        for error in bad:
            changes.add_error(error)
        return changes

    with open_logs(files, on_error) as logs:
        if output == "-":  # as bytes: the page is UTF-8, whatever the encoding of the terminal
            sys.stdout.buffer.writelines(piece.encode() for piece in page(read(logs)))
            return
        with replacing(output, logs.names) as name:
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
@library_option
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="The port; by default any free one."
)
@click.option("--open", "opening", is_flag=True, help="Open the page in a browser.")
def view_command(file: str, wanted: Filter, port: int, opening: bool) -> None:
    """Serve the page of `report` on 127.0.0.1, and follow the log.

    Only the printed address answers. Ctrl-C ends the server.
    """
    import webbrowser

    from pydatatracker.cli.replay.follow import follow
    from pydatatracker.report.data import Changes
    from pydatatracker.report.live import Server

    try:
        server = Server(Changes(_title(file)), port)
    except OSError as error:
        fail(f"cannot listen on port {port}: {error.strerror}")

    def on_error(error: Any) -> None:
        server.add_error(error)
        print_error(error)

    def listed(line: Any) -> bool:
        return wanted.is_empty or wanted.keeps(line)

    try:
        if _grows(file):
            lines = follow(file, on_error, Filter())
            for line in lines:
                if line is None:  # everything that is there now
                    break
                server.add(line, listed(line))
            server.follow(lines, listed)
        else:
            try:
                with open_logs([file], on_error) as logs:
                    for line in logs.lines():
                        server.add(line, listed(line))
            except click.exceptions.Exit as end:
                if end.exit_code != 1:  # lines that cannot be read were reported: the others are shown
                    raise
        click.echo(f"{server.url}  (Ctrl-C ends it)")
        if opening:
            webbrowser.open(server.url)
        server.serve()
    finally:
        server.close()


def _grows(name: str) -> bool:
    """Return whether a log can be followed: not if compressed or a pipe."""
    from pydatatracker.cli.replay.logs import is_compressed

    try:
        return name != "-" and os.path.isfile(name) and not is_compressed(name)
    except OSError as error:
        fail(f"cannot read {name}: {error.strerror}")
