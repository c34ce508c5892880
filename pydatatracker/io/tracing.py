"""The ids of the current OpenTelemetry span, which a line carries.

They are read when a change is encoded, and only where OpenTelemetry is loaded already. Field names are those of
OpenTelemetry's "Trace Context in non-OTLP Log Formats"; ``traceparent`` is W3C Trace Context.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from typing import Any

from pydatatracker.values.codec import decoder

__all__ = ["current_fields", "traceparent", "traceparent_of"]

_HEX = re.compile(r"([0-9a-f]{32}) ([0-9a-f]{16}) ([0-9a-f]{2})", re.ASCII)
_ZERO = re.compile(r"0+ |.* 0+ ")  # W3C: an id of zeros is invalid


def current_fields() -> bytes:
    """Return the ids of the current span as the end of a JSON object.

    b"" without a span. O(1), never raises. 60 ns where OpenTelemetry is not loaded: this does not import it.

    >>> import sys
    >>> current_fields() if "opentelemetry.trace" not in sys.modules else b""
    b''
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return b""
    try:
        span = trace.get_current_span().get_span_context()
        if not span.is_valid:
            return b""
        # trace_flags too: without the sampled bit a traceparent would switch the receiver's sampling off
        return b',"trace_id":"%032x","span_id":"%016x","trace_flags":"%02x"}' % (
            span.trace_id,
            span.span_id,
            span.trace_flags & 0xFF,
        )
    except Exception:  # a module that is half imported, a span of another library
        return b""


def traceparent(line: Mapping[str, Any]) -> str | None:
    """Return the W3C traceparent of a line, None without valid ids. O(1).

    >>> traceparent({"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"})
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    >>> traceparent({"action": "add"})
    """
    ids = f"{line.get('trace_id')} {line.get('span_id')} {line.get('trace_flags') or '00'}"
    if _HEX.fullmatch(ids) is None or _ZERO.match(ids) is not None:
        return None
    return "00-" + ids.replace(" ", "-")


@functools.cache
def _decoder() -> Any:
    return decoder()


def traceparent_of(line: bytes) -> str | None:
    """Return the W3C traceparent of an encoded line, None without a span.

    O(length). None also for bytes that are not a JSON object.

    >>> traceparent_of(b'{"v":1,"action":"add"}')
    """
    if b'"trace_id":"' not in line:
        return None
    try:
        data = _decoder()(line)
    except ValueError:  # not one of our lines
        return None
    return traceparent(data) if isinstance(data, dict) else None
