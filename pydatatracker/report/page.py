"""One HTML file made of the parts in ``assets/`` and the changes.

The page loads nothing. The scripts are ES modules, a file each. Here they become one inline module, in an order in
which each follows what it imports, because a page that is opened from a disk cannot load a second file. The policy in
the page has the hashes of that script and of the style: nothing else can run, whatever the log contains.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any, Final

from pydatatracker.history.undo_script import SCRIPT
from pydatatracker.io import LogLine, parse, to_line
from pydatatracker.report.data import Changes

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["MODULES", "html", "page", "policy", "script"]

MODULES: Final = ("values", "replay", "log", "address", "dom", "windowed", "list", "tree", "search", "timeline",
                  "details", "trail", "compare", "operations", "lines", "export", "live", "main")  # fmt: skip
_IMPORT: Final = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)
_MARK: Final = re.compile(r"<!--(style|policy|undo|data|script)-->")


def _asset(name: str) -> str:
    # as text: a checkout may have other line ends, which a browser converts before it computes the hash
    return importlib.resources.files(__package__).joinpath("assets", name).read_text("utf-8").replace("\r\n", "\n")


@functools.cache
def script(*modules: str) -> str:
    """Return several modules, by default all, as the text of one module.

    Reads files of the package, once.

    >>> "export " in script("values")
    False
    """
    parts = [_EXPORT.sub("", _IMPORT.sub("", _asset(f"{name}.js"))) for name in modules or MODULES]
    return "\n" + "\n".join(parts)


@functools.cache
def _style() -> str:
    return "\n" + _asset("report.css")


@functools.cache
def policy(live: bool = False) -> str:
    """Return the Content-Security-Policy: only this script and this style.

    A live page may also fetch from its own server.

    >>> policy().split("; ")[0]
    "default-src 'none'"
    """
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script(), _style())]
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{hashes[0]}'",
            f"style-src 'sha256-{hashes[1]}'",
            "connect-src 'self'" if live else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def page(changes: Changes, *, live: bool = False) -> Iterator[str]:
    """Yield the page in pieces of text. O(changes).

    :param live: the page fetches later changes from its server.

    >>> "".join(page(Changes("a.jsonl")))[:15]
    '<!doctype html>'
    """
    data = f'<script type="application/json" id="data" data-live="{"yes" if live else "no"}">'
    undo = f'<template id="undo-script">{escape(SCRIPT, quote=False)}</template>'
    parts = {"style": _style(), "policy": policy(live), "undo": undo, "script": script()}
    pieces = _MARK.split(_asset("report.html"))
    for n, piece in enumerate(pieces):
        if n % 2 == 0:
            yield piece
        elif piece == "data":
            yield data
            yield changes.text()
            yield "</script>"
        else:
            yield parts[piece]


def html(
    changes: Iterable[ChangeLogEntry | LogLine | dict[str, Any] | bytes], name: str = "changes", *, states: bool = True
) -> str:
    """Return the page of changes, or of lines of a log, as one text.

    O(changes). The data is shown as it was from the ``init`` of its container on, as a log has one.

    :param changes: changes of a container, lines that were read, or lines as bytes or as dicts.
    :param name: the title.
    :param states: False: some changes of a whole, so the page shows no data.
    :raises NotAChange: bytes that are not a line of a log.

    >>> from pydatatracker import track
    >>> data = track({"port": 80})
    >>> data["port"] = 8080
    >>> html(data.tracking_changes(), "ports").count("8080") > 0
    True
    """
    made = Changes(name, states)
    for each in changes:
        if not isinstance(each, LogLine):
            if not isinstance(each, bytes):
                each = json.dumps(each).encode() if isinstance(each, dict) else to_line(each)
            each = parse(each)
        made.add(each)
    return "".join(page(made))
