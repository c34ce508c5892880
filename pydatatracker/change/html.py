"""Changes as HTML for a notebook: a table that loads nothing.

All text is escaped, long values are cut, and what is withheld stays so. Colours are tints of the background that is
there, so that the table is readable on a light and on a dark one. Where a viewer removes the style (GitHub), a plain
table is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Final

from pydatatracker.change.brief import line_of, path_of, seq_of, values_of
from pydatatracker.values.text import clean, shortened, text

__all__ = ["ROWS", "Where", "html_of", "table"]

Where = Callable[[Any], "str | None"]

ROWS: Final = 100  # of a table
_ROOM: Final = 160  # characters of a value
_LONG: Final = 2000  # of a value of a change that is shown by itself
_FRAMES: Final = 25
_STYLE: Final = """<style>
.pydatatracker table {border-collapse: collapse; color: inherit; background: transparent; font-size: 90%;}
.pydatatracker th, .pydatatracker td {text-align: left !important; vertical-align: top; padding: 2px 8px !important;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); color: inherit; background: transparent;}
.pydatatracker code, .pydatatracker pre {white-space: pre-wrap; overflow-wrap: anywhere; color: inherit;
  background: transparent; padding: 0;}
.pydatatracker .action {border-radius: 3px; padding: 0 5px; background: rgba(128, 128, 128, .22);}
.pydatatracker .add {background: rgba(46, 160, 67, .25);}
.pydatatracker .update {background: rgba(210, 153, 34, .25);}
.pydatatracker .remove {background: rgba(248, 81, 73, .25);}
.pydatatracker .note {opacity: .75;}
</style>"""
_HEADS: Final = ("seq", "time (UTC)", "actor", "action", "path", "before → after", "line")


def html_of(change: Any, where: Where | None = None) -> str:
    """Return one change as HTML: its row, context and stack.

    O(frames + text of its values).

    :param change: a `ChangeLogEntry`, or a line of a log.
    :param where: see `table`.

    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> d["<b>"] = 1
    >>> "/&lt;b&gt;" in html_of(d.last_change())
    True
    """
    facts = []
    context, transaction = (None, None) if change.action == "gap" else (change.context, change.transaction)
    if context:
        facts.append(f"context: <code>{_text(text(dict(context), _LONG))}</code>")
    if transaction:
        facts.append(f"transaction: <code>{_text(str(transaction))}</code>")
    parts = [_STYLE, _table([change], where, _LONG), *(f'<div class="note">{fact}</div>' for fact in facts)]
    frames = [] if change.action == "gap" else _frames(change.stack)
    if len(frames) > 1:
        shown = "\n".join(map(_text, frames[-_FRAMES:]))
        parts.append(f"<details><summary>{len(frames)} calls, innermost last</summary><pre>{shown}</pre></details>")
    return _whole(parts)


def table(changes: Sequence[Any], where: Where | None = None, *, title: str = "") -> str:
    """Return changes as an HTML table, one row each; the newest 100.

    O(rows * text of their values).

    :param changes: of a history, oldest first; of any class that `html_of` takes.
    :param where: returns the text that names the line of a change; None for the file and the line.
    :param title: text above the table.
    """
    parts = [_STYLE]
    if title:
        parts.append(f'<div class="note">{_text(title)}</div>')
    if len(changes) > ROWS:
        parts.append(f'<div class="note">the newest {ROWS} of {len(changes):,} changes</div>')
    return _whole([*parts, _table(changes[-ROWS:], where, _ROOM)])


def _whole(parts: Iterable[str]) -> str:
    return f'<div class="pydatatracker">{"".join(parts)}</div>'


def _table(changes: Iterable[Any], where: Where | None, room: int) -> str:
    head = "".join(f"<th>{each}</th>" for each in _HEADS)
    rows = "".join(f"<tr>{_row(change, where, room)}</tr>" for change in changes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(change: Any, where: Where | None, room: int) -> str:
    action = str(change.action)
    kind = f" {action}" if action in ("add", "update", "remove") else ""
    method = f' title="{_text(f"{change.method}()")}"' if change.method else ""
    cells = (
        _text(seq_of(change)),
        _text(_time(change)),
        _text(shortened(str(change.actor or ""), room)),
        f'<span class="action{kind}"{method}>{_text(shortened(action, room))}</span>',
        f"<code>{_text(shortened(path_of(change), room))}</code>",
        _values(change, room),
        _line(change, where),
    )
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _values(change: Any, room: int) -> str:
    before, after = values_of(change, room)
    shown = [f"<code>{_text(value)}</code>" for value in (before, after) if value is not None]
    return " → ".join(shown)


def _line(change: Any, where: Where | None) -> str:
    found = line_of(change)
    label = where(change) if where is not None else None
    if found is None:
        return "" if label is None else _text(label)
    file, number, name, source = found
    if label is None:
        label = f"{file.replace(chr(92), '/').rpartition('/')[2]}:{number} in {name}"
    shown = f'<span title="{_text(f"{file}:{number}")}">{_text(label)}</span>'
    return f"{shown}<br><code>{_text(shortened(source, 120))}</code>" if source else shown


def _time(change: Any) -> str:
    try:
        moment = change.created_time
    except (ValueError, OverflowError):  # of a change that was read
        return ""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03}"


def _frames(stack: Iterable[Any]) -> list[str]:
    lines = []
    for frame in stack:
        if isinstance(frame, dict):
            lines.append(
                f"{frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}: {frame.get('line') or ''}"
            )
        elif hasattr(frame, "filename"):
            lines.append(f"{frame.filename}:{frame.lineno} in {frame.name}: {(frame.line or '').strip()}")
        else:
            lines.append(str(frame))
    return [shortened(line, 400) for line in lines]


def _text(given: str) -> str:
    return escape(clean(given))
