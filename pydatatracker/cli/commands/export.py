"""Commands that export a log: ``convert`` and ``query``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, open_logs, print_error, replacing
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.io.line import LogLine
from pydatatracker.io.reader import LogFormatError

if TYPE_CHECKING:
    from pydatatracker.cli.replay.logs import Logs

__all__ = ["convert_command", "query_command"]

T = TypeVar("T")
_BATCH: Final = 1000  # rows of an answer in memory
_FORMATS: Final = ("csv", "parquet", "sqlite", "cloudevents", "debezium", "json-patch", "chrome-trace")


@cli.command(
    "convert",
    example=f"{PROGRAM} convert changes.jsonl --to csv -o changes.csv",
)
@FILES
@click.option("--to", "form", type=click.Choice(_FORMATS), required=True, metavar="FORM", help="See above.")
@click.option("-o", "--output", metavar="FILE", help="The file to write; by default standard output.")
@click.option("--partition", metavar="day,host", help="Parquet in folders day=2026-11-28/host=NAME below -o FOLDER.")
@click.option("--host", metavar="NAME", help="With --partition: of all lines; by default what a folder host=NAME says.")
@filter_options
def convert_command(
    files: tuple[str, ...], form: str, output: str | None, partition: str | None, host: str | None, wanted: Filter
) -> None:
    """Write logs in another format.

    csv has one row per change; parquet (extra query) and sqlite have a table; cloudevents, debezium and json-patch are
    what the exporters send; a chrome-trace opens in ui.perfetto.dev, with one track per actor. FILE is replaced only
    when everything is written; an SQLite database that exists gets the changes added, and so does a FOLDER.
    """
    from pydatatracker.cli import formats
    from pydatatracker.cli.formats.sqlite import into_sqlite, is_database

    if output is None and not formats.is_text(form):
        raise click.UsageError(f"--to {form} needs -o FILE", click.get_current_context())
    if partition is None and host is not None:
        raise click.UsageError("--host needs --partition day,host", click.get_current_context())
    if partition is not None:
        if form != "parquet" or output is None:
            raise click.UsageError("--partition needs --to parquet -o FOLDER", click.get_current_context())
        _into_folders(files, output, partition, host, wanted)
        return
    with open_logs(files) as logs, _writing(output or "standard output"):
        lines = (line for line in logs.lines(wanted) if not line.is_gap)
        if output is None:
            formats.write_stream(lines, sys.stdout, form, _on_unfit(logs))
        elif form == "sqlite" and is_database(output):
            into_sqlite(lines, output, _on_unfit(logs))
        else:
            with replacing(output, logs.names) as name:
                formats.write_file(lines, name, form, _on_unfit(logs))


def _on_unfit(logs: Logs) -> Callable[[LogLine, str], None]:
    """Return what reports a line that a format cannot express."""

    def on_unfit(line: LogLine, reason: str) -> None:
        logs.faults += 1  # so that the exit status is 1
        logs.bar.hide()
        print_error(LogFormatError(", ".join(logs.names), line.line, line.offset, reason))

    return on_unfit


@contextlib.contextmanager
def _writing(output: str) -> Iterator[None]:
    """End the command with a message if a format cannot be written."""
    from pydatatracker.cli.formats import Refused

    try:
        yield
    except (ImportError, Refused) as error:
        fail(str(error))
    except Exception as error:
        if not _is_of_duckdb(error):
            raise
        fail(f"cannot write {output}: {str(error).partition(chr(10))[0]}")


def _into_folders(files: tuple[str, ...], output: str, partition: str, host: str | None, wanted: Filter) -> None:
    """Write the lines of all logs into folders of days and hosts.

    One log at a time: there may be one for each object of a bucket.
    """
    from pydatatracker.cli.formats.parquet import rows_of
    from pydatatracker.cli.replay.logs import expanded
    from pydatatracker.query.partitions import check_host, host_in, partition_names, write_partitions

    names = expanded(files)
    try:
        folders = partition_names(partition)
        given = None if host is None else check_host(host)
    except ValueError as error:
        fail(str(error))
    hosts = {name: host_in(os.path.abspath(name)) if given is None else given for name in names or ["-"]}
    unknown = next((name for name, found in hosts.items() if found is None), None)
    if unknown is not None and "host" in folders:
        fail(f"the host of {unknown} is not known: name it with --host, or have the log in a folder host=NAME")
    is_bad = False

    def rows() -> Iterator[tuple[str, bytes]]:
        nonlocal is_bad
        for name in hosts:
            try:
                with open_logs([name] if names else []) as logs:
                    lines = (line for line in logs.lines(wanted) if not line.is_gap)
                    yield from rows_of(lines, folders, hosts[name], _on_unfit(logs))
            except click.exceptions.Exit as ended:
                if ended.exit_code != 1:
                    raise
                is_bad = True  # lines that could not be read were printed

    with _writing(output):
        try:
            _, there = write_partitions(rows(), output)
        except OSError as error:
            fail(f"cannot write {output}: {error.strerror or error}")
    if there:
        click.echo(f"{PROGRAM}: {len(there)} of the files were there, with the same changes: {there[0]}", err=True)
    if is_bad:
        raise click.exceptions.Exit(1)


@cli.command(
    "query", example=f"{PROGRAM} query 'select actor, count(*) from changes group by 1' changes.jsonl 'old/*.jsonl.gz'"
)
@click.argument("sql", metavar="SQL")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Format of the output.",
)
def query_command(sql: str, files: tuple[str, ...], wanted: Filter, form: str) -> None:
    """Query logs in SQL with DuckDB (extra query); the table is changes.

    FILE is JSONL, also .gz and .zst, or Parquet, a glob of them, or s3:// (extra s3, configured by AWS_ENDPOINT_URL,
    AWS_ACCESS_KEY_ID and so on). Columns: seq time actor action pointer before after method type transaction root
    context path splice order changes uuid pid thread stack culprit, and time_ns. before and after are JSON:
    after->>'$.price'
    is a member as text. Lines that cannot be read are skipped. With filters, which need JSONL, they are reported.
    """
    from pydatatracker.cli.formats.table import write_rows, write_table
    from pydatatracker.cli.terminal import plain_columns

    with _filtered(files, wanted) as sources:
        batches = _answer(sql, sources)
        try:
            columns = [name for name, *_ in next(batches)]
            if form == "table":
                write_table(columns, batches, sys.stdout, plain_columns(sys.stdout))
            else:
                write_rows(columns, batches, sys.stdout, form)
            sys.stdout.flush()
        finally:
            batches.close()


@contextlib.contextmanager
def _filtered(files: tuple[str, ...], wanted: Filter) -> Iterator[tuple[str, ...]]:
    """Yield the files or, with filters, a temporary one of the selected lines."""
    if wanted.is_empty and "-" not in files:
        _check_for_databases(files)
        yield files
        return
    other = next((name for name in files if name.startswith("s3://") or name.endswith(".parquet")), None)
    if other is not None:
        fail(f"the filters need files of lines, not {other}; filter in SQL, for example: where actor = 'ann'")
    import tempfile

    with open_logs(files) as logs, tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "changes.jsonl")
        with open(name, "wb") as file:
            file.writelines(line.raw.strip() + b"\n" for line in logs.lines(wanted) if not line.is_gap)
        yield (name,)


def _check_for_databases(files: tuple[str, ...]) -> None:
    """End the command if a local file is an SQLite database.

    What else may be wrong with a file, DuckDB says.
    """
    from pydatatracker.cli.replay.logs import NotLines, expanded, is_compressed

    for name in expanded(files):
        try:
            is_compressed(name)
        except NotLines as error:
            fail(f"cannot read {name}: {error.strerror}")
        except OSError:
            pass


def _answer(sql: str, files: tuple[str, ...]) -> Any:
    """Yield the description of the columns, then the rows in batches.

    Errors end the command.
    """
    try:
        from pydatatracker.query import LONGEST, connect

        try:
            yield from _rows(_waited(None, lambda: connect(files)), sql)
        except _LineTooLong:
            yield from _rows(_waited(None, lambda: connect(files, longest=LONGEST)), sql)
    except ImportError as error:
        fail(str(error))
    except OSError as error:
        _refuse(error)
    except Exception as error:  # duckdb has its own
        if not _is_of_duckdb(error):
            raise
        _refuse(error)


def _is_of_duckdb(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb")


class _LineTooLong(Exception):
    """No rows were printed yet, so the query can be repeated with more memory."""


def _rows(connection: Any, sql: str) -> Iterator[Any]:
    printed = False
    try:
        answer = _waited(connection, lambda: connection.execute(sql))
        description = [] if answer is None else _waited(connection, lambda: answer.description) or []
        batch = _waited(connection, lambda: answer.fetchmany(_BATCH)) if description else []
        yield description
        while batch:
            printed = True
            yield batch
            batch = _waited(connection, lambda: answer.fetchmany(_BATCH))
    except Exception as error:
        if not printed and '"maximum_object_size"' in str(error):
            raise _LineTooLong from error
        raise
    finally:
        connection.close()


def _waited(connection: Any, work: Callable[[], T]) -> T:
    from pydatatracker.query import StillRunning, patiently

    try:
        return patiently(connection, work)
    except StillRunning:  # its threads wait for a disk or a bucket, and a normal exit would wait for them
        os._exit(130)


def _refuse(error: Exception) -> NoReturn:
    text = str(error).partition("\n\nLINE ")[0]
    if text.startswith("Traceback"):  # of a bucket's filesystem; its last unindented line has the error
        text = next(line for line in reversed(text.splitlines()) if line and not line[0].isspace()).partition(": ")[2]
    fail(text.partition("\n\n")[0])
