"""Stacks: captured as code objects and offsets, shown by `traceback`.

A record holds (code objects, instruction offsets); a ``traceback.StackSummary`` is made when it is read.
"""

from __future__ import annotations

import array
import linecache
import os
import traceback
from types import CodeType

__all__ = ["summary"]

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # the root of the package


def summary(captured: tuple[tuple[CodeType, ...], bytes] | None) -> traceback.StackSummary:
    """Return a captured stack as `traceback` shows it, innermost call last.

    The library's own frames are left out. O(frames).
    """
    frames: list[traceback.FrameSummary] = []
    if captured is not None:
        codes, offsets = captured
        for code, offset in zip(codes, array.array("i", offsets), strict=True):
            if code.co_filename.startswith(_OWN):
                continue
            linecache.lazycache(code.co_filename, {})
            frames.append(
                traceback.FrameSummary(code.co_filename, _line(code, offset), code.co_name, lookup_line=False)
            )
        frames.reverse()
    return traceback.StackSummary.from_list(frames)


def _line(code: CodeType, offset: int) -> int:
    for start, stop, line in code.co_lines():
        if start <= offset < stop and line is not None:
            return line
    return code.co_firstlineno
