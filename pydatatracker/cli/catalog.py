"""The commands by name: where each is defined, and what it does in a few words. Imports nothing.

`pydatatracker --help` is made of this alone, without click: click takes three times as long to import as Python takes
to start. Everything else is click's.
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
        ("show", "show", "A log, one line a change"),
        ("stats", "show", "Changes by actor, action, place and time"),
        ("blame", "history", "Who changed a place last"),
        ("history", "history", "All changes of a place"),
        ("report", "page", "A log as one HTML page"),
        ("view", "page", "That page on localhost, as the log grows"),
    )),
    ("Go back", (
        ("at", "history", "The data at a change or a time"),
        ("diff", "history", "What differs between two points"),
        ("patch", "history", "A JSON Patch between two points"),
        ("undo-script", "history", "What takes chosen changes back"),
    )),
    ("Check and hand on", (
        ("verify", "show", "Is the log complete and in order?"),
        ("query", "export", "Ask logs in SQL"),
        ("convert", "export", "CSV, Parquet, SQLite, traces and more"),
        ("schema", "meta", "The JSON Schema of a line"),
        ("completion", "meta", "Completion for bash, zsh or fish"),
    )),
)  # fmt: skip

COMMANDS = {name: (module, words) for _, rows in _SECTIONS for name, module, words in rows}


def overview() -> str:
    """Return the help of the whole program: 60 columns at most, so it asks nobody how wide the terminal is."""
    parts = [
        f"Usage: {PROGRAM} [OPTIONS] COMMAND [ARGS]...\n\n",
        "  Know what happened to the data in a running Python\n  program.\n\n",
        "Options:\n  --version   Print it and exit.\n  -h, --help  Show this message and exit.\n",
    ]
    for title, rows in _SECTIONS:
        parts.append(f"\n{title}:\n")
        parts += [f"  {name:<11}  {words}\n" for name, _, words in rows]
    parts.append(f"\nMore: {PROGRAM} COMMAND --help\n\nExample:\n  {PROGRAM} demo\n")
    return "".join(parts)
