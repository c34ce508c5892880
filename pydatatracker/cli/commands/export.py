"""Commands that hand a log on: ``convert``, ``query``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeVar

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, logs_of, report, written
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.io.line import LogLine
from pydatatracker.io.reader import LogFormatError

__all__ = ["convert_command", "query_command"]

T = TypeVar("T")
_FORMS = ("csv", "parquet", "sqlite", "cloudevents", "debezium", "json-patch", "chrome-trace")
_BATCH: Final = 1000  # rows of an answer in memory


@cli.command(
    "convert",
    example=f"{PROGRAM} convert changes.jsonl --to csv -o changes.csv",
)
@FILES
@click.option("--to", "form", type=click.Choice(_FORMS), required=True, metavar="FORM", help="As above.")
@click.option("-o", "--output", metavar="FILE", help="Where to; else standard output.")
@filter_options
def convert_command(files: tuple[str, ...], form: str, output: str | None, wanted: Filter) -> None:
    """Write logs in another form.

    csv has a row a change; parquet (extra query) and sqlite a table; cloudevents, debezium and json-patch what the
    exporters send; a chrome-trace opens in ui.perfetto.dev, a track for each actor. FILE is complete or as it was
    before; an SQLite database that is there gets the changes added.
    """
    from pydatatracker.cli import formats as convert

    if output is None and not convert.is_text(form):
        raise click.UsageError(f"--to {form} needs -o FILE", click.get_current_context())
    with logs_of(files) as logs:

        def told(line: LogLine, reason: str) -> None:
            logs.faults += 1  # the exit status says that the log is bad
            logs.bar.hide()
            report(LogFormatError(", ".join(logs.names), line.line, line.offset, reason))

        lines = (line for line in logs.lines(wanted) if not line.is_gap)
        try:
            if output is None:
                convert.to_stream(lines, sys.stdout, form, told)
            elif form == "sqlite" and convert.is_database(output):
                convert.into_sqlite(lines, output, told)
            else:
                with written(output, logs.names) as name:
                    convert.to_file(lines, name, form, told)
        except (ImportError, convert.Refused) as error:
            fail(str(error))
        except Exception as error:
            if not _is_of_duckdb(error):
                raise
            fail(f"cannot write {output}: {str(error).partition(chr(10))[0]}")


@cli.command(
    "query", example=f"{PROGRAM} query 'select actor, count(*) from changes group by 1' changes.jsonl 'old/*.jsonl.gz'"
)
@click.argument("sql", metavar="SQL")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@filter_options
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def query_command(sql: str, files: tuple[str, ...], wanted: Filter, form: str) -> None:
    """Ask logs in SQL, by DuckDB (extra query): the table is called changes.

    Files are JSONL, also .gz and .zst, or Parquet, globs of them, and s3:// (extra s3; AWS_ENDPOINT_URL,
    AWS_ACCESS_KEY_ID and so on say where and who). Columns: seq time actor action pointer before after method type
    transaction root context path splice order changes uuid pid thread stack, and time_ns. before and after are JSON:
    after->>'$.price' is text of it. Lines that cannot be read are passed over; with filters, which are for files of
    lines, they are named.
    """
    from pydatatracker.cli import formats as convert
    from pydatatracker.cli.terminal import plain_columns

    with _filtered(files, wanted) as sources:
        batches = _answer(sql, sources)
        try:
            columns = [name for name, *_ in next(batches)]
            if form == "table":
                convert.write_table(columns, batches, sys.stdout, plain_columns(sys.stdout))
            else:
                convert.write_rows(columns, batches, sys.stdout, form)
            sys.stdout.flush()
        finally:
            batches.close()


@contextlib.contextmanager
def _filtered(files: tuple[str, ...], wanted: Filter) -> Iterator[tuple[str, ...]]:
    """Yield the files or, with filters, a temporary one of the lines that they let through."""
    if wanted.is_empty and "-" not in files:
        yield files
        return
    other = next((name for name in files if name.startswith("s3://") or name.endswith(".parquet")), None)
    if other is not None:
        fail(f"the filters read files of lines, not {other}; say it in SQL, as: where actor = 'ann'")
    import tempfile

    with logs_of(files) as logs, tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "changes.jsonl")
        with open(name, "wb") as file:
            file.writelines(line.raw.strip() + b"\n" for line in logs.lines(wanted) if not line.is_gap)
        yield (name,)


def _answer(sql: str, files: tuple[str, ...]) -> Any:
    """Yield the description of the columns, then the rows, some at a time; what goes wrong ends the command."""
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
    """Nothing is said yet: it can be asked again with more room."""


def _rows(connection: Any, sql: str) -> Iterator[Any]:
    said = False
    try:
        answer = _waited(connection, lambda: connection.execute(sql))
        description = [] if answer is None else _waited(connection, lambda: answer.description) or []
        batch = _waited(connection, lambda: answer.fetchmany(_BATCH)) if description else []
        yield description
        while batch:
            said = True
            yield batch
            batch = _waited(connection, lambda: answer.fetchmany(_BATCH))
    except Exception as error:
        if not said and '"maximum_object_size"' in str(error):
            raise _LineTooLong from error
        raise
    finally:
        connection.close()


def _waited(connection: Any, work: Callable[[], T]) -> T:
    from pydatatracker.query import StillRunning, patiently

    try:
        return patiently(connection, work)
    except StillRunning:  # its threads wait for a disk or a bucket, and so would the end of the process
        os._exit(130)


def _refuse(error: Exception) -> NoReturn:
    text = str(error).partition("\n\nLINE ")[0]
    if text.startswith("Traceback"):  # of a bucket's filesystem: what it raised is the last line that begins one
        text = next(line for line in reversed(text.splitlines()) if line and not line[0].isspace()).partition(": ")[2]
    fail(text.partition("\n\n")[0])
