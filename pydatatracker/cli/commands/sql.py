"""The command ``sql``: views and questions for an engine that exists."""

from __future__ import annotations

import glob
import os
import re

import click

from pydatatracker.cli.base import PROGRAM, cli, fail
from pydatatracker.cli.points import MOMENT, POINT, Point

__all__ = ["sql_command"]


@cli.command(
    "sql",
    example=f"{PROGRAM} sql --dialect duckdb --from 'lake/' | duckdb fleet.db\n"
    f"{PROGRAM} sql --dialect spark --blame /users/0/email",
)
@click.option(
    "--dialect", type=click.Choice(["duckdb", "spark", "trino"]), required=True, help="The engine that gets the SQL."
)
@click.option(
    "--from", "source", metavar="LOCATION", help="Print the views over a folder, file, glob or s3:// address."
)
@click.option("--form", type=click.Choice(["jsonl", "parquet"]), help="Of the files, where their name does not say it.")
@click.option("--partition", metavar="day,host", help="The folders; found in a local folder or in the address.")
@click.option("--catalog", default="hive.default", show_default=True, help="Trino: catalog and schema of the table.")
@click.option("--blame", metavar="POINTER", help="Print the question: who changed a path last?")
@click.option("--actor", metavar="NAME", help="Print the question: what did an actor change?")
@click.option("--since", metavar="TIME", type=MOMENT, help="With --actor: from this time.")
@click.option("--until", metavar="TIME", type=MOMENT, help="With --actor: up to this time.")
@click.option("--values", "when", metavar="N|TIME", type=POINT, help="Print the question: the last value of each path.")
@click.option("--lines", is_flag=True, help="Print the question: all lines that a replay of --root needs.")
@click.option("--root", metavar="ID", help="Id of one container, as in the column root.")
def sql_command(
    dialect: str,
    source: str | None,
    form: str | None,
    partition: str | None,
    catalog: str,
    blame: str | None,
    actor: str | None,
    since: int | None,
    until: int | None,
    when: Point | None,
    lines: bool,
    root: str | None,
) -> None:
    """Print SQL for logs in DuckDB, Spark or Trino.

    With --from: the views changes (one row per change) and writes (one row per path that it wrote). With a question:
    a SELECT over these views. Nothing is read but names of local folders.
    """
    from pydatatracker.query import questions, views

    asked = [blame is not None, actor is not None, when is not None, lines]
    if sum(asked) > 1 or not (source or any(asked)):
        raise click.UsageError("give --from LOCATION, and one question at most", click.get_current_context())
    if lines and root is None:
        raise click.UsageError("--lines needs --root ID", click.get_current_context())
    if (since is not None or until is not None) and actor is None:
        raise click.UsageError("--since and --until need --actor", click.get_current_context())
    folders = _partitions(source, partition)
    try:
        statements = []
        if source is not None:
            found = form or _form_in(source) or views.form_of(source)
            if found is None:
                fail(f"{source}: {_unclear(source)}; give --form jsonl or --form parquet")
            statements += views.view_statements(dialect, source, form=found, partitions=folders, catalog=catalog)
        if blame is not None:
            statements.append(questions.blame_query(dialect, blame, root=root))
        elif actor is not None:
            days = "day" in folders
            statements.append(questions.actor_query(dialect, actor, since=since, until=until, partitioned=days))
        elif when is not None:
            statements.append(questions.values_query(dialect, root=root, seq=when[0], until=when[1]))
        elif lines and root is not None:
            statements.append(questions.lines_query(dialect, root))
    except ValueError as error:
        fail(str(error))
    for statement in statements:
        click.echo(f"{statement};")


def _partitions(source: str | None, given: str | None) -> tuple[str, ...]:
    if given is not None:
        return tuple(name.strip() for name in given.split(",") if name.strip())
    if source is None:
        return ()
    text = source
    if os.path.isdir(source):
        text = next(iter(glob.glob(os.path.join(glob.escape(source), "*=*", "*"))), "")
    return tuple(name for name in ("day", "host") if re.search(rf"(^|[/\\]){name}=", text))


def _unclear(source: str) -> str:
    """Return why the form of a location is not known."""
    if "://" not in source and not glob.glob(source) and not os.path.exists(source):
        return "nothing is there, and the name does not say whether there will be lines or Parquet"
    if os.path.isdir(source):
        return "nothing in this folder has a name that says whether these are lines or Parquet"
    return "the name does not say whether these are lines or Parquet"


def _form_in(source: str) -> str | None:
    """Return the form of the files in a local folder, None if unknown."""
    if not os.path.isdir(source):
        return None
    for _, _, names in os.walk(source):
        for name in names:
            if name.endswith(".parquet"):
                return "parquet"
            if re.search(r"\.jsonl?(\.gz|\.zst)?$", name):
                return "jsonl"
    return None
