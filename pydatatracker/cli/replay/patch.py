"""JSON Patches made from the changes of a log."""

from __future__ import annotations

from typing import Any

from pydatatracker.cli.points import Point
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.cli.replay.roots import Key, Roots
from pydatatracker.cli.replay.states import state_at
from pydatatracker.values.compare import alike
from pydatatracker.values.encode import encode

__all__ = ["operations_between", "patch_from_changes"]


def operations_between(roots: Roots, key: Key, first: Point, last: Point, inverse: bool) -> list[dict[str, Any]]:
    """Return RFC 6902 operations made from the changes between two points.

    They lead from the state at first to the state at last, or back if inverse.
    """
    root = Rebuilt(roots, key, until=last)
    since, until = root.seq_at(first), root.seq_at(last)
    old, new = state_at(roots, key, first, last)
    return patch_from_changes(root, since, until, old, new, inverse)


def patch_from_changes(
    root: Rebuilt, since: int, until: int, old: Any, new: Any, inverse: bool = False
) -> list[dict[str, Any]]:
    """Return RFC 6902 operations made from the changes between two seqs.

    If the data has keys that JSON lacks, the states are compared instead: such a dict is written
    ``{"$dict": [[key, value], ...]}``, which the pointers of the changes do not fit.
    """
    import jsonpatch

    made = [_encoded(each) for each in root.value.tracking_patch(since=since, until=until, inverse=inverse)]
    old, new = encode(old, limit=None), encode(new, limit=None)
    if inverse:
        old, new = new, old
    try:
        if alike(jsonpatch.apply_patch(old, made), new):
            return made
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValueError, TypeError, LookupError):
        pass
    return list(jsonpatch.make_patch(old, new).patch)


def _encoded(operation: dict[str, Any]) -> dict[str, Any]:
    if "value" in operation:
        return {**operation, "value": encode(operation["value"], limit=None)}
    return operation
