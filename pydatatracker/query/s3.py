"""S3 for DuckDB: an fsspec filesystem over obstore.

obstore is the client of `S3Exporter`, too. Needs the extras ``query`` and ``s3``. DuckDB's own extension httpfs is
downloaded on first use, which a closed network does not allow, and has settings of its own. Here the bucket is found
with the environment variables of AWS clients: ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID`` and so on. An
endpoint that begins with ``http://`` permits plain HTTP. obstore's own filesystem is not used: it makes one request per
folder, and in 0.12 a glob that begins with ``s3://`` finds nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import threading
from collections.abc import Iterator
from typing import Any, Final

import obstore
from fsspec import AbstractFileSystem  # type: ignore[import-untyped,import-not-found,unused-ignore]
from fsspec.utils import glob_translate  # type: ignore[import-untyped,import-not-found,unused-ignore]
from obstore.store import S3Store

from pydatatracker import _forks

__all__ = ["Buckets"]

_BLOCK: Final = 8 << 20  # bytes per request: one request is enough for a batch of S3Exporter
_KEPT: Final = 4  # blocks that are kept per open file
_MAGIC: Final = re.compile(r"[*?\[]")
_once = threading.Lock()  # one thread fetches a large object as a whole
_RETRY: Final[Any] = {"max_retries": 2, "retry_timeout": datetime.timedelta(seconds=10)}
_CLIENT: Final[Any] = {"connect_timeout": "5s", "timeout": "30s"}


def _after_fork() -> None:
    global _once
    _once = threading.Lock()


_forks.in_child(_after_fork, _forks.QUEUES)


class Buckets(AbstractFileSystem):  # type: ignore[misc, unused-ignore]
    """All buckets, for reading.

    A missing object, or one that may not be read, raises an OSError that says so in a sentence.
    """

    protocol = "s3"  # the name in the addresses that DuckDB opens
    cachable = False  # the environment may change

    def __init__(self) -> None:
        super().__init__()
        self._stores: dict[str, Any] = {}
        self._whole: dict[str, bytes] = {}
        self._found: dict[str, Any] = {}  # path -> its entry in a listing: saves a request

    def _store(self, bucket: str) -> Any:
        if bucket not in self._stores:
            options: Any = dict(_CLIENT)
            config: dict[str, Any] = {}
            endpoint = _endpoint()
            if endpoint:
                if not re.match(r"https?://[^/]", endpoint):
                    raise OSError(f"AWS_ENDPOINT_URL is {endpoint!r}; it must begin with http:// or https://")
                config["endpoint"] = endpoint
                options["allow_http"] = endpoint.startswith("http:")
            with _errors_of(f"s3://{bucket}"):
                self._stores[bucket] = S3Store(bucket, client_options=options, retry_config=_RETRY, **config)
        return self._stores[bucket]

    def _split(self, path: str) -> tuple[str, str]:
        bucket, _, key = path.removeprefix("s3://").partition("/")
        if not bucket:
            raise FileNotFoundError(
                f"s3://{path.removeprefix('s3://')}: the address has no bucket; write s3://BUCKET/KEY"
            )
        return bucket, key

    def _about(self, path: str) -> Any:
        path = path.removeprefix("s3://")
        if path not in self._found:
            bucket, key = self._split(path)
            with _errors_of(f"s3://{path}"):
                self._found[path] = obstore.head(self._store(bucket), key)
        return self._found[path]

    # ---- the methods that DuckDB calls

    def glob(self, path: str, maxdepth: int | None = None, **_: Any) -> list[str]:
        """Return the objects whose names match, in order.

        A name that is not a pattern is looked up as it is.
        """
        path = path.removeprefix("s3://")
        bucket, pattern = self._split(path)
        magic = _MAGIC.search(pattern)
        if path in self._found or magic is None:
            self._about(path)
            return [path]
        matches = re.compile(glob_translate(pattern)).match
        folder = pattern[: magic.start()].rpartition("/")[0]
        with _errors_of(f"s3://{bucket}"):
            for page in self._store(bucket).list(folder or None):
                self._found.update((f"{bucket}/{each['path']}", each) for each in page if matches(each["path"]))
        return sorted(name for name in self._found if name.startswith(f"{bucket}/") and matches(self._split(name)[1]))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size and type, as fsspec specifies."""
        return {"name": path.removeprefix("s3://"), "size": self._about(path)["size"], "type": "file"}

    def modified(self, path: str) -> Any:
        """Return when an object was written."""
        return self._about(path)["last_modified"]

    def open(self, path: str, mode: str = "rb", **_: Any) -> _Object:
        """Open an object for reading."""
        if mode != "rb":
            raise PermissionError(f"s3://{path.removeprefix('s3://')}: buckets are opened for reading only")
        bucket, key = self._split(path)
        return _Object(self._store(bucket), key, self._about(path)["size"], f"s3://{bucket}/{key}", self._whole)


class _Object:
    """An object as a file, for several threads.

    It is read in blocks, the last few of which are kept. DuckDB reads at a position with a seek and a read, and another
    thread may do the same in between: so each thread has its own position after a seek. Without a seek, a read
    continues where the last one ended, in any thread.
    """

    def __init__(self, store: Any, key: str, size: int, name: str, whole: dict[str, bytes]) -> None:
        self._store = store
        self._key = key
        self._size = size
        self._name = name
        self._at = 0
        self._sought: dict[int, int] = {}  # by thread
        self._blocks: dict[int, bytes] = {}
        self._whole = whole  # objects of servers that do not support ranges, by name

    def read(self, length: int = -1) -> bytes:
        at = self._sought.pop(threading.get_ident(), self._at)
        end = self._size if length < 0 else min(at + length, self._size)
        parts = []
        while at < end:
            number, offset = divmod(at, _BLOCK)
            part = self._block(number)[offset : offset + end - at]
            if not part:
                raise OSError(f"{self._name}: the object is shorter than the bucket says")
            parts.append(part)
            at += len(part)
        self._at = at
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self._fetched(number * _BLOCK, min((number + 1) * _BLOCK, self._size))
            for old in list(self._blocks)[:-_KEPT]:
                self._blocks.pop(old, None)
        return block

    def _fetched(self, start: int, end: int) -> bytes:
        if (start or end < self._size) and self._name not in self._whole:
            try:
                with _errors_of(self._name):
                    return obstore.get_range(self._store, self._key, start=start, end=end).to_bytes()
            except OSError as error:
                if "non-partial" not in str(error.__cause__):  # rclone serve s3 1.75 sends the whole
                    raise
        if end - start == self._size:
            return self._all()
        with _once:
            if self._name not in self._whole:
                self._whole[self._name] = self._all()
        return self._whole[self._name][start:end]

    def _all(self) -> bytes:
        with _errors_of(self._name):
            return obstore.get(self._store, self._key).bytes().to_bytes()

    def seek(self, position: int) -> int:
        self._sought[threading.get_ident()] = self._at = position
        return position

    def tell(self) -> int:
        return self._sought.get(threading.get_ident(), self._at)

    def close(self) -> None:
        self._blocks.clear()


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


_STATUS: Final = re.compile(r"non-2xx status code: (\d+ ?[A-Za-z ]*)")


@contextlib.contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Raise errors of obstore as an OSError with a sentence."""
    wrong = obstore.exceptions
    try:
        yield
    except (wrong.PermissionDeniedError, wrong.UnauthenticatedError) as error:
        raise _denied(name) from error
    except (FileNotFoundError, wrong.NotFoundError) as error:
        raise FileNotFoundError(f"{name}: no such object") from error
    except wrong.BaseError as error:
        text = str(error)
        status = _STATUS.search(text)
        if "NoSuchBucket" in text:
            raise FileNotFoundError(f"{name}: no such bucket") from error
        if "169.254.169.254" in text or "169.254.170.2" in text:  # where machines of AWS find their own credentials
            raise PermissionError(
                f"{name}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true"
            ) from error
        if status is None:
            raise OSError(f"{name}: no answer from {_endpoint() or 'S3'}") from error
        if status[1][:3] in ("401", "403"):
            raise _denied(name) from error
        raise OSError(f"{name}: {_endpoint() or 'S3'} answers {status[1].strip()}") from error


def _denied(name: str) -> PermissionError:
    return PermissionError(f"{name}: access denied; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION")
