"""A change as an OpenTelemetry log record, made from its line alone.

The names of attributes follow the semantic conventions. Values of the change are JSON text as in the line: ``80`` and
``"80"`` stay distinct, and backends need no nested attributes. ``log.record.uid`` is the id of the change: records with
the same id are the same.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydatatracker.change.stack import culprit_in
from pydatatracker.exporters.sink import Item

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord
    from opentelemetry.context import Context

__all__ = ["EVENT", "GAP", "attributes_of", "body_of", "record_of"]

EVENT: Final = "pydatatracker.change"
GAP: Final = "pydatatracker.gap"  # changes that are missing
_TEXTS: Final = (
    "action",
    "method",
    "type",
    "root",
    "actor",
    "transaction",
    "undoes",
    "reason",
    "from",
    "to",
)
_VALUES: Final = ("path", "paths", "before", "after", "splice", "order", "changes")
_SHORT: Final = 120  # characters of a value in the body
_INT64: Final = 1 << 63


def attributes_of(item: Item, line: Mapping[str, Any], value_limit: int | None = None) -> dict[str, str | int | float]:
    """Return the attributes of a change.

    O(size of the line). Values that are cut end with "…".

    >>> item = Item(b"", 7, "r", 0, "id")
    >>> attributes = attributes_of(item, {"action": "add", "path": ["a", 0], "pointer": "/a/0", "after": None})
    >>> [attributes[f"pydatatracker.{name}"] for name in ("seq", "path", "after")]
    [7, '["a",0]', 'null']
    """
    found: dict[str, str | int | float] = {"log.record.uid": item.id, "pydatatracker.seq": item.seq}
    found.update({f"pydatatracker.{name}": _plain(line[name], value_limit) for name in _TEXTS if line.get(name)})
    if line.get("action") == "gap":
        return found
    found["pydatatracker.pointer"] = str(line.get("pointer", ""))
    found["pydatatracker.container"] = str(line.get("tracked_item_uuid", ""))
    found.update({f"pydatatracker.{name}": _cut(_json(line[name]), value_limit) for name in _VALUES if name in line})
    also, cut = _rows(line.get("also"), value_limit)
    if isinstance(line.get("also_cut"), int):
        cut += line["also_cut"]
    if also is not None:
        found["pydatatracker.also"] = also
    if cut:
        found["pydatatracker.also_cut"] = cut
    context = line.get("context")
    if isinstance(context, dict):
        found.update({f"pydatatracker.context.{key}": _plain(value, value_limit) for key, value in context.items()})
    for name, key in (("thread.name", "thread"), ("process.pid", "pid")):
        if line.get(key):
            found[name] = line[key]
    stack = line.get("stack")
    if isinstance(stack, list) and stack:
        found.update(_code(stack, culprit_in(line, stack), value_limit))
    return found


def _rows(rows: Any, limit: int | None) -> tuple[str | None, int]:
    """Return the rows that fit, as JSON, and the number of the others."""
    if not isinstance(rows, list):
        return (None if rows is None else _cut(_json(rows), limit)), 0
    size, kept = 1, []
    for row in rows:
        text = _json(row)
        size += len(text) + 1
        if limit is not None and size > limit:
            break
        kept.append(text)
    return "[" + ",".join(kept) + "]", len(rows) - len(kept)


def _code(stack: list[dict[str, Any]], culprit: int | None, value_limit: int | None) -> dict[str, str | int | float]:
    """Return the culprit or else the innermost call, and all as a traceback."""
    frames = [
        traceback.FrameSummary(
            str(frame.get("filename", "")), frame.get("lineno"), str(frame.get("name", "")), line=frame.get("line")
        )
        for frame in stack
    ]
    inner = frames[-1 if culprit is None else culprit]
    text = "".join(traceback.StackSummary.from_list(frames).format())
    if value_limit is not None and len(text) > value_limit:  # keep the innermost calls
        text = "…" + text[-(value_limit - 1) :] if value_limit > 1 else "…"
    found: dict[str, str | int | float] = {
        "code.file.path": inner.filename,
        "code.function.name": inner.name,
        "code.stacktrace": text,
    }
    if inner.lineno is not None:
        found["code.line.number"] = inner.lineno
    return found


def body_of(line: Mapping[str, Any]) -> str:
    """Return one short sentence for people. O(size of its values).

    >>> body_of({"action": "update", "pointer": "/port", "before": 80, "after": 8080, "actor": "eve"})
    'update /port: 80 -> 8080 by eve'
    """
    action, pointer = line.get("action", ""), line.get("pointer") or "/"
    if action == "gap":
        return f"changes {line.get('from')} to {line.get('to')} are missing: {line.get('reason', '')}"
    old, new = (_cut(_json(line[name]), _SHORT) if name in line else None for name in ("before", "after"))
    said = " -> ".join(text for text in (old, new) if text is not None)
    if not said:
        said = str(line.get("method", ""))
    by = f" by {line['actor']}" if line.get("actor") else ""
    return f"{action} {pointer}{': ' if said else ''}{said}{by}"


def _plain(value: Any, limit: int | None) -> str | int | float:
    """Return a scalar that OTLP supports as it is, anything else as JSON."""
    if isinstance(value, str):
        return _cut(value, limit)
    if isinstance(value, float) or (isinstance(value, int) and -_INT64 <= value < _INT64):
        return value
    return _cut(_json(value), limit)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _cut(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def record_of(item: Item, value_limit: int | None = None) -> LogRecord:
    """Return the record of a change, in the span in which it was made.

    O(size of the line). Needs OpenTelemetry.
    """
    from opentelemetry._logs import LogRecord, SeverityNumber

    line = json.loads(item.line)
    is_gap = line.get("action") == "gap"
    return LogRecord(
        timestamp=item.time_ns,
        observed_timestamp=item.time_ns,  # seen when it happened; so a batch that is sent again is the same
        context=_context(line),
        severity_number=SeverityNumber.WARN if is_gap else SeverityNumber.INFO,
        severity_text="WARN" if is_gap else "INFO",
        body=body_of(line),
        attributes=attributes_of(item, line, value_limit),
        event_name=GAP if is_gap else EVENT,
    )


def _context(line: Mapping[str, Any]) -> Context:
    """Return a context with the span of the line.

    That is the current context, with its baggage, if it has the same span.
    """
    from opentelemetry import context, trace

    try:
        ids = int(line["trace_id"], 16), int(line["span_id"], 16)
        flags = int(line.get("trace_flags", "00"), 16)
    except (KeyError, TypeError, ValueError):
        # not an empty context: LogRecord would use the current span of the sending thread
        return trace.set_span_in_context(trace.INVALID_SPAN, context.Context())
    now = trace.get_current_span().get_span_context()
    if (now.trace_id, now.span_id) == ids:
        return context.get_current()
    span = trace.SpanContext(*ids, is_remote=False, trace_flags=trace.TraceFlags(flags))
    return trace.set_span_in_context(trace.NonRecordingSpan(span), context.Context())
