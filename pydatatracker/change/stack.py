"""Stacks: captured as code objects and offsets, shown by `traceback`.

A record holds (code objects, instruction offsets); a ``traceback.StackSummary`` is made when it is read. The culprit is
one of its calls; `library` says which code is not it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final

from pydatatracker._lazy import later
from pydatatracker.change.library import culprit_in_log, culprit_index, has_patterns

if TYPE_CHECKING:
    import array
    import linecache
    import traceback
else:
    later(globals(), "array", "linecache", "traceback")

__all__ = [
    "OWN",
    "Captured",
    "as_text",
    "culprit",
    "culprit_in",
    "culprit_of",
    "frame_in_line",
    "in_line",
    "level_of_culprit",
    "summary",
]

Captured = tuple[tuple[CodeType, ...], bytes]

OWN: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # the root of the package


def summary(captured: Captured | None) -> traceback.StackSummary:
    """Return a captured stack as `traceback` shows it, innermost call last.

    The library's own frames are left out. O(frames).
    """
    return traceback.StackSummary.from_list([_frame(code, offset) for code, offset in _outside(captured)])


def frame_in_line(code: CodeType, offset: int) -> dict[str, Any] | None:
    """Return a call as a line has it; None if it is of this package. O(1)."""
    return None if _is_own(code) else in_line(_frame(code, offset))


def in_line(frame: traceback.FrameSummary) -> dict[str, Any]:
    """Return a frame as a line has it.

    O(1), the first time for a file O(file).
    """
    return {"filename": frame.filename, "lineno": frame.lineno, "name": frame.name, "line": frame.line or ""}


def culprit(captured: Captured | None) -> traceback.FrameSummary | None:
    """Return the innermost call outside of libraries, or None. O(frames)."""
    calls = _outside(captured)
    n = culprit_index([code.co_filename for code, _ in calls])
    return None if n is None else _frame(*calls[n])


def culprit_of(stack: traceback.StackSummary) -> traceback.FrameSummary | None:
    """Return the innermost call outside of libraries, or None. O(frames)."""
    n = culprit_index([frame.filename for frame in stack])
    return None if n is None else stack[n]


def culprit_in(line: Mapping[str, Any], frames: Sequence[Any]) -> int | None:
    """Return the position of the culprit in a line's frames, or None.

    A line without the key ``culprit`` was written by an earlier version; then it has one only if `set_library` or its
    environment variable says what a library is. O(frames).
    """
    recorded, known = line.get("culprit"), "culprit" in line
    if not frames or not (known or has_patterns()):
        return None
    files = [str(frame.get("filename", "")) if isinstance(frame, Mapping) else "" for frame in frames]
    n = culprit_in_log(files, recorded if type(recorded) is int else None, known)
    return n if n is not None and isinstance(frames[n], Mapping) else None


def level_of_culprit() -> tuple[int, traceback.FrameSummary | None]:
    """Return how far above the caller's caller the culprit is running, and it.

    The distance is what ``stacklevel`` adds; (0, None) if no call is outside of libraries. O(depth of the stack).
    """
    frame: FrameType | None = sys._getframe(2)
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    n = culprit_index([each.f_code.co_filename for each in reversed(frames) if not _is_own(each.f_code)])
    if n is None:
        return 0, None
    found = [each for each in reversed(frames) if not _is_own(each.f_code)][n]
    return frames.index(found), _frame(found.f_code, found.f_lasti)


def as_text(frame: traceback.FrameSummary) -> str:
    """Return a call as one line, as in ``shop.py:7 in buy``."""
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def _is_own(code: CodeType) -> bool:
    return code.co_filename.startswith(OWN)


def _outside(captured: Captured | None) -> list[tuple[CodeType, int]]:
    """Return the calls outside of this package, innermost last."""
    if captured is None:
        return []
    calls = [
        (code, offset)
        for code, offset in zip(captured[0], array.array("i", captured[1]), strict=True)
        if not code.co_filename.startswith(OWN)
    ]
    calls.reverse()
    return calls


def _frame(code: CodeType, offset: int) -> traceback.FrameSummary:
    linecache.lazycache(code.co_filename, {})
    return traceback.FrameSummary(code.co_filename, _line(code, offset), code.co_name, lookup_line=False)


def _line(code: CodeType, offset: int) -> int:
    for start, stop, line in code.co_lines():
        if start <= offset < stop and line is not None:
            return line
    return code.co_firstlineno
