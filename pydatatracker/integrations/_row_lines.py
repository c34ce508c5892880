"""Lines of the log of a row, which are kept until they are written.

A value may be in several attributes of a row. A change of it is one line with a path from each. They may be written at
different times, or some of them not at all, so such a line can be narrowed to some attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from pydatatracker.values.pointer import to_pointer

__all__ = ["Line", "narrowed", "split_lines", "with_root"]

Line = tuple[frozenset[str], dict[str, Any]]  # the attributes that a line is about, and the line


def split_lines(lines: Iterable[Line], keys: AbstractSet[str]) -> tuple[list[Line], list[Line]]:
    """Return the lines of some attributes, and those of all others.

    O(lines + paths of those that are about both).
    """
    inside: list[Line] = []
    outside: list[Line] = []
    for about, line in lines:
        for part, found in ((about & keys, inside), (about - keys, outside)):
            if part:
                found.append((part, line if part == about else narrowed(line, part)))
    return inside, outside


def narrowed(line: dict[str, Any], keys: AbstractSet[str]) -> dict[str, Any]:
    """Return a line with only the paths from some attributes. O(paths)."""
    paths = line.get("paths", ())
    found = [path for path in paths if path[0] in keys]
    if not found or len(found) == len(paths):
        return line
    made = {**line, "path": found[0], "pointer": to_pointer(found[0])}
    if len(found) > 1:
        made["paths"] = found
    else:
        del made["paths"]
    if found[0] != line["path"]:
        top, *_, last = line["tree"]  # the container that changed; what is between it and the row is not kept
        made["tree"] = [top, {**last, "location": found[0][-2 if "location" in line else -1]}]
        made["extra"] = {**line["extra"], "location": ":".join(str(each) for each in found[0])}
    return made


def with_root(line: dict[str, Any], root: str) -> dict[str, Any]:
    """Return a line of a row that has another id. O(1)."""
    old = line["root"]
    top, *below = line["tree"]
    item = root if line["tracked_item_uuid"] == old else line["tracked_item_uuid"]
    return {**line, "root": root, "tracked_item_uuid": item, "tree": [{**top, "uuid": root}, *below]}
