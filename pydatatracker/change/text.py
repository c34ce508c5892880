"""A change as text for people: ``extra``, one line, or several.

Text is made when it is read, not when the change is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatracker import _core
from pydatatracker._core import MISSING, Tracker
from pydatatracker.change.rewind import shown_at
from pydatatracker.change.stack import as_text
from pydatatracker.values.text import clean, shown, text

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["detailed", "extra_of", "layout", "location_of", "one_line"]

_VALUE = 60  # characters of one in a line
_SEPARATORS = {"dict": ":", "list": "|", "set": ":", "attr": ".", "tuple": "|"}


def layout(place: Any) -> list[tuple[Any, Tracker]]:
    """Return (key, tracker) from the root down to place. O(depth)."""
    steps = []
    while place is not None:
        steps.append((_core.shown_key(place), place.tracker))
        place = place.parent
    steps.reverse()
    return steps


def location_of(change: ChangeLogEntry) -> Any:
    """Return the key of a change in the container that was queried.

    For a change further down it is one str that joins the keys.
    """
    step = change._step
    steps = layout(change.place)
    for n, (_, tracker) in enumerate(steps):
        if tracker is change.viewer:
            steps = steps[n:]
            break
    kinds = [tracker.kind for _, tracker in steps]
    keys = [*(key for key, _ in steps[1:]), *step]
    if not keys:
        return MISSING
    if len(keys) == 1:
        short = type(keys[0]) is str or (type(keys[0]) is int and keys[0].bit_length() <= 10_000)
        return keys[0] if short else text(keys[0])
    joined = text(keys[0])
    for kind, key in zip(kinds[1:], keys[1:], strict=False):
        joined += _SEPARATORS[kind] + text(key)
    return joined


def extra_of(change: ChangeLogEntry) -> dict[str, Any]:
    """Build ``change.extra``."""
    change = _core.as_shown(change)
    action = change.action
    extra: dict[str, Any] = {"action": action}
    location = location_of(change)
    if location is not MISSING:
        extra["location"] = location
    slot = _slot_texts(change) if change._shape == "slot" else None
    if slot is not None:
        _put_slot(extra, change, *slot)
    elif change._shape in ("splice", "elements", "rows", "fill"):
        _put_several(extra, change)
    elif action == "init":
        extra["init_data"] = "" if change.after is MISSING else text(change.after)
    extra["method"] = change.method
    extra["locked"] = str(action == "lock")
    extra["type"] = change.type
    if change._node.kind == "attr":
        if change.location is not None:
            extra["attribute_name"] = text(change.location)
            extra["attribute_locked"] = str(action == "lock")
        if slot is not None:
            extra["data_pre_change"] = "" if change.old is MISSING else slot[0]
            extra["data_post_change"] = "" if change.new is MISSING else slot[1]
    if "data_pre_change" not in extra:
        pre_post = _snapshots(change)
        if pre_post is not None:
            extra["data_pre_change"], extra["data_post_change"] = pre_post
    return extra


def _kept_texts(change: ChangeLogEntry) -> tuple[str | None, str | None]:
    """Return the texts of old and new value made at the time of the change.

    None where there is none.
    """
    return (None, None) if change.details is None else (change.details.old_text, change.details.new_text)


def _slot_texts(change: ChangeLogEntry) -> tuple[str, str]:
    old, new = _kept_texts(change)
    return text(change.old) if old is None else old, text(change.new) if new is None else new


def _put_slot(extra: dict[str, Any], change: ChangeLogEntry, before: str, after: str) -> None:
    action = change.action
    extra["value"] = before if action == "remove" else after
    if action == "remove" or (change.index >= 0 and change.old is not MISSING):
        extra["removed_items"] = f"[{_in_list(change.old, _kept_texts(change)[0])}]"
    if change.index >= 0 and change.key is not MISSING:
        extra["passed_index"] = text(change.key)
    if change.method == "setdefault":
        extra["default"] = extra["return_value"] = after
    elif change.method in ("pop", "popitem"):
        extra["return_value"] = before


def _put_several(extra: dict[str, Any], change: ChangeLogEntry) -> None:
    old_text, new_text = _kept_texts(change)
    if change._shape in ("splice", "elements"):
        removed = text(list(change.old)) if old_text is None else old_text
        extra["value"] = removed if not change.new else text(list(change.new)) if new_text is None else new_text
        if change.old:
            extra["removed_items"] = removed
        return
    rows = change.changes
    old = [row for row in rows if row[1] is not MISSING]
    new = [row for row in rows if row[2] is not MISSING]
    removed = text([row[1] for row in old]) if old_text is None else old_text
    extra["value"] = _pairs(new, 2, new_text) if new else _pairs(old, 1, old_text)
    if old:
        extra["removed_items"] = removed


def _in_list(value: Any, kept: str | None) -> str:
    return kept if kept is not None else shown(value)


def _pairs(rows: list[Any], which: int, kept: str | None) -> str:
    return kept if kept is not None else "{" + ", ".join(f"{shown(r[0])}: {shown(r[which])}" for r in rows) + "}"


def _snapshots(change: ChangeLogEntry) -> tuple[str, str] | None:
    """Return the state before and after as text, if snapshots are captured.

    None without ``tracking_capture_snapshots``, or if the state is no longer known.
    """
    if change.settled is not None:
        pre, post, _rules = change.settled
        return pre, post
    container = change.viewer.container
    if container is None or change.action == "init" or _core.describe(container)[4].snapshots != 1:
        return None
    try:
        pre, post = shown_at(container, change.seq - 1), shown_at(container, change.seq)
    except LookupError:
        return None
    return text(pre), text(post)


def one_line(change: ChangeLogEntry) -> str:
    """Return a change as one line, with what is not printable escaped.

    ``<change 41 update /cfg/ports/0: 8080 -> 9090 by job-123>``
    """
    change = _core.as_shown(change)
    line = f"<change {change.seq} {change.action} {change.pointer or '(whole)'}"
    if change._shape == "slot":
        before = "" if change.old is MISSING else shown(change.before, _VALUE)
        after = "" if change.new is MISSING else shown(change.after, _VALUE)
        line += f": {before} -> {after}" if before and after else f": {before or after}"
    elif change._shape == "splice":
        line += f": [{change.index}] -{len(change.old)} +{len(change.new)}"
    if change.actor:
        line += f" by {change.actor}"
    return clean(line + ">")  # a key, an actor or a repr may hold a line break, and would forge a line of a log


def detailed(change: ChangeLogEntry) -> str:
    """Return a change as several lines, for `ChangeLogEntry.format_detailed`."""
    rows: list[tuple[str, object]] = [
        ("change", f"{change.seq} ({change.uuid})"),
        ("time", change.created_time.isoformat()),
        ("action", f"{change.action} by {change.method}()"),
        ("path", f"{clean(change.pointer) or '(whole container)'} in {change.type} {change.tracked_item_uuid}"),
    ]
    if change.before is not MISSING:
        rows.append(("before", shown(change.before)))
    if change.after is not MISSING:
        rows.append(("after", shown(change.after)))
    if change.splice is not None:
        rows.append(("splice", text(change.splice)))
    if change.order is not None:
        rows.append(("order", text(change.order)))
    rows.extend(("row", text(row)) for row in change.changes[:20])
    if change.actor:
        rows.append(("actor", clean(change.actor)))
    if change.context:
        rows.append(("context", text(dict(change.context))))
    if change.transaction:
        rows.append(("transaction", change.transaction))
    culprit = change.culprit
    if culprit is not None:
        rows.append(("culprit", as_text(culprit)))
    lines = [f"{name + ':':<12} {value}" for name, value in rows]
    if change.stack:
        lines += ["stack:", "".join(change.stack.format()).rstrip("\n")]
    return "\n".join(lines)
