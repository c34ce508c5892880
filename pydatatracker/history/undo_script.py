"""A Python program that undoes changes.

The command ``undo-script`` and the page of ``report`` write it.
"""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["SCRIPT", "python_script"]

SCRIPT: Final = '''"""Undo {what}.

As a program: python undo.py < state.json > state-before.json
In a program: undo(data), which changes the data in place. For a tracked container that is one step to undo.
"""

import json
import sys

from pydatatracker import track

OPERATIONS = json.loads(r"""
{operations}
""")


def undo(data):
    """Apply all operations or, if one fails, none."""
    if hasattr(data, "tracking_apply_patch"):
        data.tracking_apply_patch(OPERATIONS)
        return
    copy = track(json.loads(json.dumps(data)))
    copy.tracking_apply_patch(OPERATIONS)
    after = json.loads(json.dumps(copy))
    data.clear()
    data.extend(after) if isinstance(data, list) else data.update(after)


if __name__ == "__main__":
    state = json.load(sys.stdin)
    undo(state)
    json.dump(state, sys.stdout, indent=2)
    print()
'''


def python_script(made: list[dict[str, Any]], what: str) -> str:
    """Return a Python program that applies JSON Patch operations.

    O(size).

    :param what: what it undoes, for its docstring.

    >>> "OPERATIONS" in python_script([{"op": "remove", "path": "/a"}], "1 change of a.jsonl")
    True
    """
    text = json.dumps(made, indent=2, ensure_ascii=True)
    what = "".join(c if c.isalnum() or c in " ,.:/-_'" else "?" for c in what)
    return SCRIPT.format(what=what, operations=text)  # JSON never has three quotes in a row
