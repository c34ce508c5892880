"""States of a log and what leads from one to the other: ``at``, ``diff``, ``patch``, ``undo-script``.

With filters all four stand on one thing: the log up to a point, and from there some changes taken back. ``at`` takes
back those that the filters leave out; the others compare what is with what would be without those that they select.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydatatracker import _core
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.replay.rebuilt import Key, Point, Rebuilt, Roots, state_at
from pydatatracker.cli.terminal import clean, escaped, short
from pydatatracker.history.undo import take_back_all
from pydatatracker.history.walk import plain_copy
from pydatatracker.io.line import LogLine
from pydatatracker.values.encode import encode

__all__ = [
    "Taken", "as_json", "changes_between", "json_patch", "merge_patch", "operations", "script", "taken_back", "undoing",
    "without",
]  # fmt: skip

_VALUE = 60


def as_json(value: Any, indent: int | None = 2) -> str:
    """Return a value as JSON text, types spelled out as in a log (``{"$tuple": [...]}``). O(size)."""
    return escaped(json.dumps(encode(value, limit=None), indent=indent, ensure_ascii=False))


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


def operations(roots: Roots, key: Key, first: Point, last: Point, inverse: bool) -> list[dict[str, Any]]:
    """Return RFC 6902 operations made from the changes, from the state at first to that at last, or back."""
    root = Rebuilt(roots, key, until=last)
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


@dataclass
class Taken:
    """A root from which changes were taken back."""

    root: Rebuilt
    before: Any  # the state with them
    after: Any  # the state without them
    stay: list[LogLine]  # those that could not be: a later change, that stays, touched their place
    count: int  # of the changes that were to be taken back

    @property
    def done(self) -> int:
        """How many were taken back."""
        return self.count - len(self.stay)


def without(roots: Roots, key: Key, wanted: Filter, after: Point = (-1, None), until: Point = (None, None)) -> Taken:
    """Take back the changes that are wanted, of those after a point, from the state at another. O(lines)."""
    root = Rebuilt(roots, key, until, wanted)
    return _taken(root, root.seqs(True, after), root.count(after))


def taken_back(roots: Roots, key: Key, wanted: Filter, until: Point) -> Taken:
    """Take back the changes that are not wanted from the state at a point. O(lines)."""
    root = Rebuilt(roots, key, until, wanted)
    return _taken(root, root.seqs(False), len(root.lines) - root.count())


def _taken(root: Rebuilt, seqs: set[int], count: int) -> Taken:
    before = plain_copy(root.value)
    stay = dict.fromkeys(root.number_of(change) for change in take_back_all(root.value, seqs))
    lines = [root.lines[n] for n in stay if n is not None]
    return Taken(root, before, plain_copy(root.value), lines, count)


def undoing(taken: Taken) -> list[dict[str, Any]]:
    """Return RFC 6902 operations made from the changes that took back what was taken back."""
    return _patch(taken.root, taken.root.seq_at((None, None)), _core.newest_seq(), taken.before, taken.after)


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
