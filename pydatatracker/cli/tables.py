"""Commands that hand a log on: ``convert``, ``query``."""

from __future__ import annotations

import sys
from typing import Any

import click

from pydatatracker.cli.base import FILES, PROGRAM, cli, fail, logs_of, report
from pydatatracker.cli.filters import Filter, filter_options
from pydatatracker.io import LogFormatError
from pydatatracker.logline import LogLine

__all__ = ["convert_command", "query_command"]

_FORMS = ("csv", "parquet", "sqlite", "cloudevents", "debezium", "json-patch", "chrome-trace")


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
    exporters send; a chrome-trace opens in ui.perfetto.dev, a track for each actor.
    """
    from pydatatracker.cli import convert

    if output is None and not convert.is_text(form):
        raise click.UsageError(f"--to {form} needs -o FILE", click.get_current_context())
    with logs_of(files) as logs:
        lines = (line for line in logs.lines(wanted) if not line.is_gap)

        def tell(line: LogLine, reason: str) -> None:
            logs.readers[0].passed_over += 1  # the exit status says that the log is bad
            report(LogFormatError(", ".join(logs.names), line.line, line.offset, reason))

        try:
            if form == "sqlite":
                convert.to_sqlite(lines, str(output), tell)
            elif form == "parquet":
                convert.to_parquet(lines, str(output), tell)
            elif form in ("csv", "chrome-trace"):
                with convert.text_file(output, sys.stdout) as out:
                    if form == "csv":
                        convert.to_csv(lines, out, tell, printable=output is None)
                    else:
                        convert.to_trace(lines, out, tell)
            elif output is None:
                convert.to_format(lines, sys.stdout.buffer, form, tell)
                sys.stdout.buffer.flush()
            else:
                with open(output, "wb") as file:
                    convert.to_format(lines, file, form, tell)
        except ImportError as error:
            fail(str(error))
        except OSError as error:
            if output is None:
                raise
            fail(f"cannot write {output}: {error.strerror or error}")


@cli.command(
    "query", example=f"{PROGRAM} query 'select actor, count(*) from changes group by 1' changes.jsonl 'old/*.jsonl.gz'"
)
@click.argument("sql", metavar="SQL")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def query_command(sql: str, files: tuple[str, ...], form: str) -> None:
    """Ask logs in SQL, by DuckDB (extra query): the table is called changes.

    Files are JSONL, also .gz and .zst, or Parquet, globs of them, and s3://. Columns: seq time actor action pointer
    before after method type transaction root context path splice order changes uuid pid thread stack, and time_ns.
    before and after are JSON: after->>'$.price' is text of it. Lines that cannot be read are passed over.
    """
    from pydatatracker.cli import convert
    from pydatatracker.cli.terminal import plain_columns

    try:
        from pydatatracker.query import connect

        connection = connect(files)
    except ImportError as error:
        fail(str(error))
    except Exception as error:  # duckdb has its own
        fail(_first_line(error))
    try:
        answer = connection.execute(sql)
        columns = [each[0] for each in answer.description or []]
        rows: list[tuple[Any, ...]] = answer.fetchall() if columns else []
    except KeyboardInterrupt:
        raise
    except Exception as error:
        fail(_first_line(error))
    finally:
        connection.close()
    if form == "table":
        convert.write_table(columns, rows, sys.stdout, plain_columns(sys.stdout))
    else:
        convert.write_rows(columns, rows, sys.stdout, form)
    sys.stdout.flush()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n\n")[0]
