"""States of a log and what leads from one to the other: ``at``, ``diff``, ``patch``, ``undo-script``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydatatracker import _core
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.rebuilt import Point, Rebuilt, Roots, state_at
from pydatatracker.cli.terminal import clean, short
from pydatatracker.codec import encode
from pydatatracker.history.undo import take_back_all
from pydatatracker.history.walk import plain_copy
from pydatatracker.logline import LogLine

__all__ = ["as_json", "changes_between", "json_patch", "merge_patch", "operations", "script", "taking_back"]

_VALUE = 60


def as_json(value: Any, indent: int | None = 2) -> str:
    """Return a value as JSON text, types spelled out as in a log (``{"$tuple": [...]}``). O(size)."""
    return json.dumps(encode(value, limit=None), indent=indent, ensure_ascii=False)


def json_patch(old: Any, new: Any) -> list[dict[str, Any]]:
    """Return RFC 6902 operations from state to state, found by comparing them. O(size), lists O(size^2) at worst."""
    import jsonpatch

    made = jsonpatch.make_patch(encode(old, limit=None), encode(new, limit=None))
    return list(made.patch)


def merge_patch(old: Any, new: Any) -> Any:
    """Return the RFC 7396 patch from state to state; ValueError where a null would be stored, which it cannot say.

    >>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "d": 3}})
    {'a': None, 'b': {'c': 4}}
    """
    return _merge(encode(old, limit=None), encode(new, limit=None), "")


def _merge(old: Any, new: Any, at: str) -> Any:
    if not isinstance(new, dict):
        return new
    if not isinstance(old, dict):
        old = {}
    found: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key in old and _same(old[key], value):
            continue
        if value is None:
            raise ValueError(f"a merge patch cannot say that {at}/{key} is null; take --format json-patch")
        found[key] = _merge(old.get(key), value, f"{at}/{key}")
    return found


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and bool(a == b)  # 1 and True are two values


def changes_between(old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (sign, pointer, words) for each difference: ``+`` added, ``-`` removed, ``~`` replaced, ``>`` moved."""
    import jsonpatch
    import jsonpointer

    document = encode(old, limit=None)
    for operation in jsonpatch.make_patch(document, encode(new, limit=None)).patch:
        kind, pointer = operation["op"], operation["path"]
        before = None
        if kind in ("remove", "replace"):
            before = short(jsonpointer.resolve_pointer(document, pointer), _VALUE)
        if kind == "add":
            yield "+", clean(pointer), short(operation["value"], _VALUE)
        elif kind == "remove":
            yield "-", clean(pointer), str(before)
        elif kind == "replace":
            yield "~", clean(pointer), f"{before} -> {short(operation['value'], _VALUE)}"
        else:
            yield ">", clean(operation["from"]), f"to {clean(pointer)}"
        document = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)


def operations(
    roots: Roots, key: tuple[int | None, str], first: Point, last: Point, inverse: bool
) -> list[dict[str, Any]]:
    """Return RFC 6902 operations made from the changes, from the state at first to that at last, or back."""
    root = Rebuilt(roots, key)
    since, until = root.seq_at(first), root.seq_at(last)
    old, new = state_at(roots, key, first, last)
    return _patch(root, since, until, old, new, inverse)


def _patch(root: Rebuilt, since: int, until: int, old: Any, new: Any, inverse: bool = False) -> list[dict[str, Any]]:
    """Make it from the changes; where the data has keys that JSON has not, by comparing the states instead.

    Such a dict is written ``{"$dict": [[key, value], ...]}``, and a pointer into it would lead astray.
    """
    import jsonpatch

    made = [_encoded(each) for each in root.value.tracking_patch(since=since, until=until, inverse=inverse)]
    old, new = encode(old, limit=None), encode(new, limit=None)
    if inverse:
        old, new = new, old
    try:
        if _same(jsonpatch.apply_patch(old, made), new):
            return made
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValueError, TypeError, LookupError):
        pass
    return list(jsonpatch.make_patch(old, new).patch)


def _encoded(operation: dict[str, Any]) -> dict[str, Any]:
    if "value" in operation:
        return {**operation, "value": encode(operation["value"], limit=None)}
    return operation


def taking_back(
    roots: Roots, key: tuple[int | None, str], wanted: Filter
) -> tuple[list[dict[str, Any]], list[LogLine], int]:
    """Return operations that take back what is wanted, the lines that cannot be, and how many were wanted.

    Those cannot be whose place a later change, that stays, touched.
    """
    root = Rebuilt(roots, key)
    seqs = root.seqs_of(wanted.keeps)
    before = _core.newest_seq()
    old = plain_copy(root.value)
    stay = take_back_all(root.value, seqs)
    lines = {id(line): line for line in map(root.line_of, stay) if line is not None}
    made = _patch(root, before, _core.newest_seq(), old, plain_copy(root.value))
    return made, list(lines.values()), sum(map(wanted.keeps, root.lines))


_SCRIPT = '''"""Takes back {what}.

As a program: python {name} < state.json > state-before.json
In a program: undo(data), on a tracked container (it is one step to undo) or on plain data, which is changed in place.
"""

import json
import sys

from pydatatracker import track

OPERATIONS = json.loads(r"""
{operations}
""")


def undo(data):
    """Apply all operations or, with an error, none."""
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


def script(made: list[dict[str, Any]], what: str) -> str:
    """Return a Python program that applies operations. O(size)."""
    text = json.dumps(made, indent=2, ensure_ascii=True)
    what = "".join(c if c.isalnum() or c in " ,.:/-_'" else "?" for c in what)
    return _SCRIPT.format(what=what, name="undo.py", operations=text)  # JSON has no three quotes in a row
