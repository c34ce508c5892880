"""The commands by name: the module of each, and what it does.

Imports nothing: `pydatatracker --help` is made of this alone, without click, whose import takes three times as long as
Python takes to start. The help of a single command is click's.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "PROGRAM", "overview"]

PROGRAM = "pydatatracker"

_SECTIONS = (
    ("Record", (
        ("run", "record", "Run a program and log every change"),
        ("demo", "record", "A program goes wrong: find the line"),
    )),
    ("Look", (
        ("show", "show", "A log, one line per change"),
        ("stats", "show", "Changes by actor, action, path and time"),
        ("blame", "history", "Who changed a path last"),
        ("history", "history", "All changes of a path"),
        ("report", "page", "A log as one HTML page"),
        ("view", "page", "That page on localhost, as the log grows"),
    )),
    ("Go back", (
        ("at", "states", "The data at a change or a time"),
        ("diff", "states", "What differs between two points"),
        ("patch", "states", "A JSON Patch between two points"),
        ("undo-script", "states", "A patch that undoes chosen changes"),
    )),
    ("Check and export", (
        ("verify", "show", "Is the log complete and in order?"),
        ("query", "export", "Query logs in SQL"),
        ("sql", "sql", "SQL for DuckDB, Spark or Trino"),
        ("convert", "export", "CSV, Parquet, SQLite, traces and more"),
        ("schema", "meta", "The JSON Schema of a line"),
        ("seal-key", "meta", "A pair of keys to sign logs with"),
        ("completion", "meta", "Completion for bash, zsh or fish"),
    )),
)  # fmt: skip

COMMANDS = {name: (module, summary) for _, rows in _SECTIONS for name, module, summary in rows}


def overview() -> str:
    """Return the help of the whole program.

    No line is wider than 60 columns, so that the width of the terminal does not matter.
    """
    parts = [
        f"Usage: {PROGRAM} [OPTIONS] COMMAND [ARGS]...\n\n",
        "  Know what happened to the data in a running Python\n  program.\n\n",
        "Options:\n  --version   Print the version and exit.\n  -h, --help  Show this message and exit.\n",
    ]
    for title, rows in _SECTIONS:
        parts.append(f"\n{title}:\n")
        parts += [f"  {name:<11}  {summary}\n" for name, _, summary in rows]
    parts.append(f"\nMore: {PROGRAM} COMMAND --help\n\nExample:\n  {PROGRAM} demo\n")
    return "".join(parts)
