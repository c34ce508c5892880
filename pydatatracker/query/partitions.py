"""Parquet in folders of days and hosts, as engines partition tables.

The layout is that of Hive: ``day=2026-11-28/host=web-1/part-….parquet``. An engine that knows it reads only the folders
that a question needs. The day is that of the change, in UTC. A line does not name its host: whoever writes or collects
the log does.

>>> folder_of(("day", "host"), 1_795_824_000_000_000_000, "rack 1/web")
'day=2026-11-28/host=rack%201%2Fweb'
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterable
from typing import IO, Final

from pydatatracker.query import Lines, copy_to_parquet

__all__ = ["PARTITIONS", "check_host", "day_of", "folder_of", "host_in", "partition_names", "write_partitions"]

PARTITIONS: Final = ("day", "host")
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"  # engines read it as NULL
_SAFE: Final = re.compile(r"[\x00-\x7f]")
_KEPT: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")
_DAY: Final = 86_400 * 1_000_000_000  # in nanoseconds
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_OPEN: Final = 64  # files that are open at a time
_LONGEST: Final = 200  # bytes of a host in a folder: names of files have at most 255


def partition_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names in ``"day,host"``, or in a list of names.

    O(1). They are nested in the order in which they are given.

    :raises ValueError: a name is neither day nor host, is there twice, or there is none.

    >>> partition_names("host, day")
    ('host', 'day')
    """
    parts = given.split(",") if isinstance(given, str) else given
    names = tuple(name for name in (part.strip() for part in parts) if name)
    unknown = next((name for name in names if name not in PARTITIONS), None)
    if unknown is not None:
        raise ValueError(f"unknown partition {unknown!r}; write day, host or both")
    if len(set(names)) < len(names):
        raise ValueError(f"the partition {','.join(names)} names one folder twice; write day, host or both")
    if not names:
        raise ValueError("the partition is empty; write day, host or both")
    return names


def check_host(host: str) -> str:
    """Return a name of a host, or raise ValueError if no folder can have it.

    O(length). Any text of at most 200 bytes can be used, as folders have it escaped.
    """
    if not isinstance(host, str) or not host:
        raise ValueError(f"the host is {host!r}; write its name as text")
    try:
        size = len(_escaped(host).encode())
    except UnicodeEncodeError:
        raise ValueError(f"the host {host!r} is no valid text; write its name in UTF-8") from None
    if size > _LONGEST:
        raise ValueError(f"the host {host[:20]!r}... has {size} bytes in the name of a folder; at most {_LONGEST} fit")
    return host


def day_of(time_ns: int | None) -> str | None:
    """Return the day of a time in UTC, as ``2026-11-28``.

    O(1).

    :param time_ns: nanoseconds since 1970; None has no day.
    :raises ValueError: the year is not between 1 and 9999.
    """
    if time_ns is None:
        return None
    try:
        return datetime.date.fromordinal(_EPOCH + time_ns // _DAY).isoformat()
    except OverflowError:
        raise ValueError(f"the time {time_ns} has a year beyond 9999") from None


def folder_of(partition: Iterable[str], time_ns: int | None, host: str | None) -> str:
    """Return the folder of a change, with ``/`` between its parts.

    O(1). What is not known (a line without a time, a host of ``None`` or ``""``) is NULL for engines.
    """
    known = {"day": day_of(time_ns), "host": host}
    return "/".join(f"{name}={_escaped(known[name] or '') or _NULL}" for name in partition)


def _escaped(text: str) -> str:
    """Return text as Hive, Spark, Trino and DuckDB read it back.

    They agree on %XX of ASCII characters, and on all others as they are.
    """
    if text == _NULL:
        return "%5F" + text[1:]
    return _SAFE.sub(lambda found: found[0] if found[0] in _KEPT else f"%{ord(found[0]):02X}", text)


def host_in(name: str) -> str | None:
    """Return the host that a folder ``host=NAME`` of a path names.

    O(length). None if there is no such folder; ``""`` if it says that the host is not known.

    >>> host_in("landing/day=2026-11-28/host=rack%201%2Fweb/log.jsonl")
    'rack 1/web'
    """
    folders = re.split(r"[/\\]" if os.sep == "\\" else "/", name)[:-1]
    found = next((each[5:] for each in reversed(folders) if each.startswith("host=")), None)
    return "" if found == _NULL else None if found is None else urllib.parse.unquote(found)


class _Part:
    """The lines of one folder, in a temporary file."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.count = self.longest = 0
        self.digest = hashlib.blake2b(digest_size=12)


def _spooled(rows: Iterable[tuple[str, bytes]], folder: str) -> dict[str, _Part]:
    """Sort rows into a file for each folder; O(folders) of memory."""
    parts: dict[str, _Part] = {}
    files: collections.OrderedDict[str, IO[bytes]] = collections.OrderedDict()
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [file.close() for file in files.values()])
        for name, line in rows:
            part = parts.get(name)
            if part is None:
                part = parts[name] = _Part(os.path.join(folder, f"{len(parts)}.jsonl"))
            file = files.get(name)
            if file is None:
                if len(files) >= _OPEN:
                    files.popitem(last=False)[1].close()
                file = files[name] = open(part.source, "ab")  # noqa: SIM115  # closed by the stack
            else:
                files.move_to_end(name)
            file.write(line)
            part.digest.update(line)
            part.count += 1
            part.longest = max(part.longest, len(line))
    return parts


def write_partitions(rows: Iterable[tuple[str, bytes]], folder: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """Write JSON lines as one Parquet file per folder.

    No file is overwritten. A file is named after the lines in it, so lines that are written again into the same folder
    are the file that is there. Files appear when all of them are complete; after an error there is none. O(lines) in
    time; memory: O(folders) and a quarter of a gigabyte. The files are written to a temporary folder first.

    :param rows: pairs of a folder, as `folder_of` returns it, and a line with its newline. Rows of a folder keep their
        order.
    :param folder: where the folders are; it is made if only its last part is missing.
    :returns: the paths of the files that were written, and of those that were there, each in order.
    :raises ImportError: duckdb is not installed. OSError: a file cannot be written.
    """
    root = os.fspath(folder)
    is_new = not os.path.isdir(root)
    if is_new:
        os.mkdir(root)
    staging = os.path.join(root, f".pydatatracker-{secrets.token_hex(6)}")  # engines skip names that begin with a dot
    written: list[str] = []
    there: list[str] = []
    try:
        os.mkdir(staging)
        with tempfile.TemporaryDirectory() as spool:
            parts = sorted(_spooled(rows, spool).items())
            copy_to_parquet(
                Lines(part.source, os.path.join(staging, str(n)), part.count, part.longest)
                for n, (_, part) in enumerate(parts)
            )
        for n, (name, part) in enumerate(parts):
            place = os.path.join(root, *name.split("/"))
            os.makedirs(place, exist_ok=True)
            target = os.path.join(place, f"part-{part.digest.hexdigest()}.parquet")
            if os.path.exists(target):
                there.append(target)
            else:
                os.rename(os.path.join(staging, str(n)), target)
                written.append(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if is_new:
            with contextlib.suppress(OSError):  # it has files
                os.rmdir(root)
    return written, there
