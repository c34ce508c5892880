"""HTTP: batches as NDJSON or a JSON array, retried as RFC 9110 says."""

from __future__ import annotations

import datetime
import email.utils
import gzip
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydatatracker import _forks
from pydatatracker.exporters.base import ClientSink, Exporter, delivery_for
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.formats import check_format, format_item
from pydatatracker.exporters.secrets import cleaned_errors, secrets_in, shown
from pydatatracker.exporters.sink import Item, Sink, SinkRejected, SinkUnavailable

__all__ = ["HttpExporter", "HttpSink"]

_MEDIA = {"ndjson": "application/x-ndjson", "array": "application/json"}


class HttpSink:
    """POST batches to a URL; see `HttpExporter`."""

    any_thread = True  # each has a connection of its own

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Literal["ndjson", "array"] = "ndjson",
        format: str = "native",
        compress: bool = False,
        timeout: float = 10.0,
        method: str = "POST",
    ) -> None:
        try:
            import urllib3
        except ImportError:
            raise ImportError('HttpExporter needs urllib3: pip install "pydatatracker[http]"') from None
        if body not in _MEDIA:
            raise ValueError(f"body must be 'ndjson' or 'array', not {body!r}")
        self._url = url
        self.secrets = secrets_in(url, {"headers": headers or {}})
        self._method = method
        self._body = body
        self._format = check_format(format)
        self._compress = compress
        self._timeout = timeout
        self._limits = urllib3.Timeout(connect=timeout, read=timeout)
        self._connect()
        media = "application/cloudevents-batch+json" if (format, body) == ("cloudevents", "array") else _MEDIA[body]
        self._headers = {"Content-Type": media, "User-Agent": "pydatatracker", **(headers or {})}
        if compress:
            self._headers["Content-Encoding"] = "gzip"
        _forks.keep(self, _forks.FILES)

    def after_fork(self) -> None:
        """Leave the connection to the parent, and connect anew in the child."""
        self._connect()

    def _connect(self) -> None:
        import urllib3

        from pydatatracker.exporters.bounded import POOLS

        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, timeout=self._limits)
        self._pool.pool_classes_by_scheme = POOLS

    def send(self, items: list[Item]) -> None:
        """POST one batch.

        Raises SinkUnavailable for 408, 425, 429, 5xx and network errors, SinkRejected for other 4xx.
        """
        lines = [self._encoded(item) for item in items]
        data = b"\n".join(lines) + b"\n" if self._body == "ndjson" else b"[" + b",".join(lines) + b"]"
        if self._compress:
            data = gzip.compress(data, 5)
        from pydatatracker.exporters.bounded import limited, short_body

        try:
            with limited(self._timeout):
                answer = self._pool.request(
                    self._method, self._url, body=data, headers=self._headers, preload_content=False
                )
                said = short_body(answer)
        except Exception as error:  # its text has the url
            raise SinkUnavailable(f"{shown(self._url)}: {type(error).__name__}") from None
        with cleaned_errors(known=self.secrets):
            check_answer(self._url, answer.status, said, answer.headers.get("Retry-After"))

    def _encoded(self, item: Item) -> bytes:
        return item.line if self._format == "native" else format_item(item, self._format)

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


def check_answer(url: str, status: int, data: bytes, retry_after: str | None) -> None:
    """Return if the status is 2xx; else raise.

    SinkUnavailable for 408, 425, 429 and 5xx, SinkRejected for all others.
    """
    if 200 <= status < 300:
        return
    said = f"{shown(url)} answered {status} {data[:200].decode('utf-8', 'replace')}"
    if status in (408, 425, 429) or status >= 500:
        raise SinkUnavailable(said, _retry_after(retry_after))
    raise SinkRejected(said)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date.

    See RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    try:
        if value.strip().isdigit():
            return float(value)
        when = email.utils.parsedate_to_datetime(value)
        now = datetime.datetime.now(datetime.UTC)
        return max((when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp() - now.timestamp(), 0.0)
    except Exception:  # whatever the server has sent: of several classes, as is what the parser raises
        return None


class HttpExporter(Exporter):
    """POST changes to a URL.

    ``HttpExporter(url, headers=...)`` sends batches from a thread. ``body`` is ``"ndjson"`` or ``"array"``, ``format``
    one of the wire formats, ``compress=True`` uses gzip; ``timeout`` is of a whole request, 10 seconds by default;
    ``method`` defaults to POST. At most 64 KiB of an answer are read.
    408, 425, 429, 5xx and network errors are retried, after ``Retry-After`` if the server sends it; other 4xx go to
    ``dead_letter``. All other options are those of `Delivery`. Needs the extra ``http``.

    ``HttpExporter(post, url, **kw)`` calls your own ``post(url, json=change_dict, **kw)`` synchronously, once per
    change; errors are counted and logged. ``background=True`` calls it from a thread, with retries.

    >>> sent = []
    >>> exporter = HttpExporter(lambda url, json: sent.append((url, json["pointer"])), "http://localhost/audit")
    >>> from pydatatracker import TrackedDict
    >>> d = TrackedDict()
    >>> d.tracking_add_observer(exporter)
    >>> d["a"] = 1
    >>> sent
    [('http://localhost/audit', '/a')]
    """

    def __init__(
        self,
        target: str | Callable[..., Any],
        url: str | None = None,
        *,
        background: bool | None = None,
        **options: Any,
    ) -> None:
        if callable(target):  # options that Delivery does not have go to the client
            if url is None:
                raise TypeError("HttpExporter(post, url) needs the url that post is called with")
            runtime = {name: options.pop(name) for name in list(options) if background and name in _RUNTIME}
            sink: Sink = ClientSink(_post_with(target, url, options), secrets_in(url, options))
            super().__init__(delivery_for(sink, f"HttpExporter({shown(url)!r})", bool(background), runtime))
            return
        if not isinstance(target, str) or url is not None:
            raise TypeError("HttpExporter needs a url, or a function and a url")
        if not target.startswith(("http://", "https://")):
            raise ValueError(f"HttpExporter needs a url that begins with http:// or https://, not {shown(target)!r}")
        compact = options.pop("compact", False)
        own = {name: options.pop(name) for name in list(options) if name in _OWN}
        with cleaned_errors(target, own):
            delivery = delivery_for(
                HttpSink(target, **own), f"HttpExporter({shown(target)!r})", background is not False, options
            )
        super().__init__(delivery, compact=compact, format=own.get("format", "native"))


_OWN = frozenset(("headers", "body", "format", "compress", "timeout", "method"))
_RUNTIME = frozenset(inspect.signature(Delivery).parameters) - {"sink", "name"}


def _post_with(post: Callable[..., Any], url: str, kw: dict[str, Any]) -> Callable[[Item], Any]:
    def call(item: Item) -> Any:
        return post(url, json=json.loads(item.line), **kw)

    return call
