"""The report section for an error that carries changes.

The hooks that add it are in `pytest_plugin`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydatatracker.change.library import culprit_index
from pydatatracker.change.stack import as_text, culprit_of, in_line
from pydatatracker.values.text import shortened

if TYPE_CHECKING:
    from pydatatracker.testing.recording import Recording

__all__ = ["section", "write_report"]

_LINES = 80  # of one change
_WIDTH = 400  # characters of a line


def section(error: BaseException, limit: int, recordings: Sequence[Recording] = ()) -> str:
    """Return the first changes behind an error as text, "" if there are none.

    What the fixture `watched` recorded comes after them.
    """
    found = _changes(error, recordings)
    if not found or not limit:
        return ""
    parts = [_lines_of(change, stack) for change, stack in list(found.values())[:limit]]
    if len(found) > limit:
        parts.append(f"and {len(found) - limit} more; --tracked-changes={len(found)} shows them")
    # A lone surrogate, which a key may hold, can be sent to no other process and written to no file.
    return "\n\n".join(parts).encode("utf-8", "backslashreplace").decode("utf-8")


def write_report(error: BaseException, folder: str, test: str, recordings: Sequence[Recording] = ()) -> str:
    """Write the changes behind an error as a page; return its file name.

    "" if there are none. The file has the name of the test; a number is added if there is such a file already.
    O(changes). Raises OSError.
    """
    from pydatatracker.report.page import html

    found = _changes(error, recordings)
    if not found:
        return ""
    lines = []
    for change, stack in found.values():
        data = change.to_dict()
        if stack and not change.stack:
            data |= {"stack": list(map(in_line, stack)), "culprit": culprit_index([each.filename for each in stack])}
        lines.append(data)
    os.makedirs(folder, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "-", test).strip("-").encode()[:200].decode(errors="ignore")  # most take 255 bytes
    for n in range(1, 10_000):
        file_name = f"{name}{f'-{n}' if n > 1 else ''}.html"
        try:
            with open(os.path.join(folder, file_name), "x", encoding="utf-8", newline="\n") as file:
                file.write(html(lines, test, states=False))
        except FileExistsError:
            continue
        return file_name
    raise OSError(f"too many pages named {name} in {folder}")


def _changes(error: BaseException, recordings: Sequence[Recording]) -> dict[str, tuple[Any, Any]]:
    """Return the changes behind an error by uuid, each with its stack.

    Then those that the fixture `watched` recorded.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for each in _errors(error):
        stacks = list(getattr(each, "stacks", ()) or ())
        for n, change in enumerate(each.changes):
            found.setdefault(change.uuid, (change, stacks[n] if n < len(stacks) else None))
    seen = sorted((each for one in recordings for each in one.seen()), key=lambda each: each.change.seq)
    for each in seen:
        found.setdefault(each.change.uuid, (each.change, each.stack))
    return found


def _lines_of(change: Any, stack: Any) -> str:
    lines = change.format_detailed().splitlines()
    if stack and not change.stack:
        culprit = culprit_of(stack)
        lines += [] if culprit is None else [f"{'culprit:':<12} {as_text(culprit)}"]
        lines += ["stack:", *"".join(stack.format()).splitlines()]
    if len(lines) > _LINES:  # the change is at the top, the offending line at the end
        lines[20 : len(lines) - _LINES + 21] = [f"... {len(lines) - _LINES + 1} lines ..."]
    return "\n".join(shortened(line, _WIDTH) for line in lines)


def _errors(error: BaseException | None) -> list[Any]:
    """Return all exceptions behind one that carry changes.

    Causes, contexts and members of groups, the nearest first.
    """
    from pydatatracker.change.entry import ChangeLogEntry

    found: list[Any] = []
    seen: dict[int, None] = {}
    todo = [error]
    for each in todo:
        if each is None or id(each) in seen:
            continue
        seen[id(each)] = None
        try:
            changes = getattr(each, "changes", None)
        except Exception:  # a property of a user's exception
            changes = None
        if isinstance(changes, (list, tuple)) and changes and all(isinstance(one, ChangeLogEntry) for one in changes):
            found.append(each)
        todo += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]
    return found
