"""S3: one object per batch, named so that a listing gives the order."""

from __future__ import annotations

import datetime
import gzip
import importlib.util
import os
import tempfile
from typing import Any, Literal

from pydatatracker.exporters.base import ClientSink, Exporter, delivery_for
from pydatatracker.exporters.folders import Folders
from pydatatracker.exporters.formats import check_format, format_item
from pydatatracker.exporters.sealing import ObjectSeals, key_of
from pydatatracker.exporters.secrets import cleaned_errors, secrets_in
from pydatatracker.exporters.sink import Item, SinkUnavailable

__all__ = ["S3Exporter", "S3Sink"]

Body = Literal["ndjson", "parquet"]
_user = 0  # the process in which obstore was used first; its threads are shared by all exporters


def _key(prefix: str, items: list[Item], ending: str, folders: Folders | None = None) -> str:
    # UTC time, then seq, both with leading zeros; a batch that is sent again has the same key
    first, last = items[0], items[-1]
    moment = datetime.datetime.fromtimestamp(first.time_ns / 1e9, datetime.UTC)
    # engines expect files, not folders, below those of the partition
    stamp = f"{moment:%Y/%m/%d/%H%M%S}" if folders is None else f"{folders.of(first)}/{moment:%Y%m%dT%H%M%S}"
    return f"{prefix}{stamp}.{moment.microsecond:06}Z-{first.seq:020}-{last.seq:020}-{first.id[:12]}{ending}"


def _as_parquet(items: list[Item]) -> bytes:
    from pydatatracker.query import write_parquet

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "batch.parquet")
        write_parquet(b"".join(item.line + b"\n" for item in items), path)
        with open(path, "rb") as file:
            return file.read()


def _check_body(body: str, format: str) -> None:
    if body not in ("ndjson", "parquet"):
        raise ValueError(f"body must be 'ndjson' or 'parquet', not {body!r}")
    if body == "parquet":
        if format != "native":
            raise ValueError(f"body='parquet' holds the changes themselves: it needs format='native', not {format!r}")
        if importlib.util.find_spec("duckdb") is None:
            raise ImportError("body='parquet' needs duckdb: pip install \"pydatatracker[query]\"")


class S3Sink:
    """Put batches into a bucket through obstore.

    An object that exists already is not written again.
    """

    any_thread = True  # obstore has its own locks

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        format: str = "native",
        body: Body = "ndjson",
        seals: ObjectSeals | None = None,
        folders: Folders | None = None,
        **config: Any,
    ) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise ImportError('S3Exporter needs obstore: pip install "pydatatracker[s3]"') from None
        self._obstore = obstore
        self.secrets = secrets_in(endpoint, config)
        self._prefix = prefix
        self._format = check_format(format)
        self._body = body
        self._seals = seals
        self._folders = folders
        self._stored: set[str] = set()  # keys of a batch that could not be put as a whole
        if endpoint is not None:
            config["endpoint"] = endpoint
            if endpoint.startswith("http://"):
                config.setdefault("client_options", {})["allow_http"] = True
        retry: Any = {"max_retries": 0, "retry_timeout": datetime.timedelta(seconds=1)}  # Delivery retries
        self._store = S3Store(bucket, retry_config=config.pop("retry_config", retry), **config)

    def send(self, items: list[Item]) -> None:
        """Put one object, or one for each folder.

        Raises SinkUnavailable where obstore cannot work.
        """
        global _user
        if _user not in (0, os.getpid()):  # its threads exist in the parent only: a call would never return
            raise SinkUnavailable(
                "obstore does not work in a forked child after its parent has used it: use the start method spawn"
            )
        _user = os.getpid()
        ending = ".parquet" if self._body == "parquet" else ".jsonl.gz"
        parts = [items] if self._folders is None else self._folders.parts(items)
        keyed = [(_key(self._prefix, part, ending, self._folders), part) for part in parts]
        with cleaned_errors(known=self.secrets):
            for key, part in keyed:
                if key not in self._stored:
                    self._put(key, part)
                    if len(keyed) > 1:
                        self._stored.add(key)
        self._stored.difference_update(key for key, _ in keyed)

    def _put(self, key: str, items: list[Item]) -> None:
        if self._body == "parquet":
            body = _as_parquet(items)
        else:
            if self._seals is not None:
                data = self._seals.sealed(key, [item.line for item in items])
            else:
                data = b"".join(format_item(item, self._format) + b"\n" for item in items)
            body = gzip.compress(data, 6, mtime=0)  # mtime: the same bytes whenever it is sent
        try:
            self._obstore.put(self._store, key, body, mode="create")
        except self._obstore.exceptions.AlreadyExistsError:  # an answer was lost: the object exists
            if self._seals is not None:
                self._seals.sent(was_there=True)
            return
        except self._obstore.exceptions.NotSupportedError:
            self._obstore.put(self._store, key, body)
        except Exception:
            raise
        except BaseException as error:  # a panic of its runtime
            raise SinkUnavailable(f"obstore: {type(error).__name__}: {error}") from None
        if self._seals is not None:
            self._seals.sent()

    def close(self) -> None:
        """Do nothing: no connection is held open."""


class S3Exporter(Exporter):
    """Put changes into a bucket, one object per batch.

    ``S3Exporter(bucket)`` puts them from a thread, as gzipped NDJSON. ``body="parquet"`` writes the columns of
    `pydatatracker.query` with DuckDB (extra ``query``); it works best with large batches. Keys are ``prefix`` + UTC
    time + first and last seq, so a listing gives the order. A batch that is sent twice is one object, if the server
    supports If-None-Match. ``config`` goes to obstore's S3Store (``access_key_id``, ``region`` ...). All other options
    are those of `Delivery`. Needs the extra ``s3``.

    ``partition="day,host"`` puts objects into folders that engines read as columns, as in
    ``day=2026-11-28/host=web-1/``: the day of the changes in UTC, and ``host``, by default the name of this machine. A
    batch that goes on after midnight is two objects.

    ``S3Exporter(client, bucket=, prefix=)`` calls your own ``client.put_object(Bucket=, Key=, Body=)`` synchronously,
    once per change; errors are counted and logged. ``background=True`` calls it from a thread, with retries.

    ``seal=True`` seals the lines of each object and names the object before, and ``seal_key`` signs its root, as those
    of `JsonLinesExporter`: with a bucket and NDJSON in the native format only.
    """

    def __init__(
        self,
        target: Any = None,
        bucket: str | None = None,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        client: Any = None,
        config: dict[str, Any] | None = None,
        format: str = "native",
        body: Body = "ndjson",
        compact: bool = False,
        background: bool | None = None,
        seal: bool = False,
        seal_key: Any = None,
        partition: str | None = None,
        host: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(target, str) and bucket is None:
            bucket = target
        elif target is not None:
            client = target
        if not isinstance(bucket, str) or not bucket:
            raise TypeError(
                "S3Exporter needs a bucket: S3Exporter('audit-log'), or S3Exporter(client, bucket='audit-log')"
            )
        _check_body(body, format)
        folders = Folders.made(partition, host)
        if folders is not None and prefix and not prefix.endswith("/"):
            raise ValueError(f"with partition= the prefix is a folder: write {prefix + '/'!r}, not {prefix!r}")
        key = key_of(seal, seal_key)
        if seal and (client is not None or body != "ndjson" or format != "native"):
            raise ValueError("seal=True needs S3Exporter(bucket) with body='ndjson' and format='native'")
        name = f"S3Exporter({bucket!r})"
        if client is None:
            own: Any = {"prefix": prefix, "endpoint": endpoint, "format": format, "body": body}
            own["seals"] = ObjectSeals(key) if seal else None
            own["folders"] = folders
            with cleaned_errors(endpoint, config):
                sink: Any = S3Sink(bucket, **own, **(config or {}))
            in_background = background is not False
        else:
            check_format(format)
            if body != "ndjson":
                raise ValueError(
                    "a client of your own is called once per change, with JSON: body='parquet' needs S3Exporter(bucket)"
                )
            in_background = bool(background)

            def put(item: Item) -> None:
                key = _key(prefix, [item], ".json", folders)
                client.put_object(Bucket=bucket, Key=key, Body=format_item(item, format))

            sink = ClientSink(put)
        super().__init__(delivery_for(sink, name, in_background, options), compact=compact, format=format)
