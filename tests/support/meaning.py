"""Describe the meaning of stored data as JSON that versions can compare.

The version that wrote a fixture stores these answers beside it, and the tests compare them with the answers of the
version under test. Only public names of the package are used, so its modules may move. Text written for people is
not compared, so it may be reworded.
"""

from __future__ import annotations

import contextlib
import enum
import gzip
import hashlib
import html.parser
import io
import json
import logging
import re
import sqlite3
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from stored_classes import Chosen

from pydatatracker import (
    MISSING,
    ChangeCollector,
    ChangeLogEntry,
    ReplicaError,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    exporters,
    load_observers_from_json,
    replay,
)
from pydatatracker.cli import main
from pydatatracker.io import LogLine, read_changes

_TRACKED = (TrackedDict, TrackedList, TrackedSet, TrackedAttr)
_STANDARD = frozenset(("builtins", "collections", "datetime", "decimal", "uuid"))
_SECRET = "s3cret"  # a constant, because a stack shows the source of the lines that use it
_MANY = 4200  # changes; more than are kept by default
_WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (?:#(\d+) )?(\d+) ")  # root, seq

# ---- values


def describe(value: Any, met: dict[int, int] | None = None) -> Any:
    """Return class, contents, attributes and identity of a value."""
    met = {} if met is None else met
    if value is None or isinstance(value, bool | str) or type(value) in (int, float):
        return {"float": repr(value)} if isinstance(value, float) else value
    if value is MISSING:
        return {"class": "MISSING"}
    if id(value) in met:
        return {"same as": met[id(value)]}
    if isinstance(value, _TRACKED) or type(value) in (dict, list, set, frozenset, tuple):
        met[id(value)] = len(met)
    if isinstance(value, type | types.FunctionType):
        return {"class": type(value).__qualname__, "is": value.__qualname__}  # its module may differ
    if isinstance(value, ChangeLogEntry):
        return {"class": "ChangeLogEntry", "fields": settle(value.to_dict())}
    if isinstance(value, PurePath):
        return {"class": "Path", "text": value.as_posix()}
    told: dict[str, Any] = {"class": type(value).__qualname__}
    if isinstance(value, _TRACKED):
        told.update({"name": value.tracking_name} if value.tracking_name is not None else {})
        told.update({"locked": True} if value.tracking_locked else {})
    if isinstance(value, dict):
        told["items"] = [[describe(key, met), describe(item, met)] for key, item in dict.items(value)]
    elif isinstance(value, list | tuple):
        told["items"] = [describe(item, met) for item in value]
    elif isinstance(value, set | frozenset):
        told["items"] = sorted((describe(item, met) for item in value), key=json.dumps)
    elif isinstance(value, BaseException):
        told["args"] = describe(value.args, met)
    elif isinstance(value, enum.Enum) or type(value).__module__ in _STANDARD:
        return {**told, "text": repr(value)}
    if type(value).__module__ not in _STANDARD:
        attributes = {name: describe(item, met) for name, item in sorted(_attributes(value))}
        told.update({"attributes": attributes} if attributes else {})
    return told


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(value, name):
                yield name, getattr(value, name)


def settle(value: Any) -> Any:
    """Return a value as JSON gives it back, to compare with an answer."""
    return json.loads(json.dumps(value))


# ---- the options of a container, by their effects


def _put(container: Any, value: Any) -> None:
    """Change the container."""
    if isinstance(container, dict):
        container["probe"] = value
    elif isinstance(container, list):
        container.append(value)
    elif isinstance(container, set):
        container.add(value)
    else:
        setattr(container, _name(container), value)


def _deep(container: Any, value: Any, depth: int = 60) -> None:
    if depth:
        _deep(container, value, depth - 1)
    else:
        _put(container, value)


def _heard(container: Any, do: Callable[[], object]) -> Any:
    """Return the change that an observer is called with.

    A container need not keep it.
    """
    collector = ChangeCollector()
    container.tracking_add_observer(collector)
    do()
    container.tracking_remove_observer(collector)
    return list(collector)[-1]


def _last(container: Any) -> Any:
    if isinstance(container, dict):
        return container["probe"]
    if isinstance(container, list):
        return container[-1]
    return getattr(container, _name(container))


def _name(container: Any) -> str:
    if isinstance(container, Chosen):
        return "seen"
    return "probe" if hasattr(container, "__dict__") else type(container).__slots__[0]


def effects(container: Any) -> dict[str, Any]:
    """Return the effect of each option of a container.

    They are found by changing the container.
    """
    found: dict[str, Any] = {"name": container.tracking_name, "locked": container.tracking_locked}
    thing = object()
    change = _heard(container, lambda: _deep(container, thing))
    found["action"] = change.action
    found["stack"] = len(change.stack)
    found["snapshots"] = "data_pre_change" in change.extra
    found["keeps values"] = change.after is thing
    if not isinstance(container, set):
        _put(container, [1])
        found["auto convert"] = type(_last(container)).__qualname__
    heard: list[Any] = []

    def fail(change: Any) -> None:
        heard.append(change)
        raise LookupError("an observer that fails")

    container.tracking_add_observer(fail)
    log = logging.getLogger("pydatatracker")
    was, log.disabled = log.disabled, True
    try:
        _put(container, 3)
        found["observer errors"] = "log"
    except ExceptionGroup:
        found["observer errors"] = "raise"
    finally:
        log.disabled = was
        container.tracking_remove_observer(fail)
    found["heard"] = len(heard)
    if isinstance(container, dict):
        change = _heard(container, lambda: container.update(password=_SECRET))
        found["redacted"] = _SECRET not in json.dumps(change.to_dict())
    for n in range(_MANY):
        _put(container, n)
    found["kept"] = len(container.tracking_changes())
    if isinstance(container, dict):
        found["remembers last"] = "/password" in _blamed(container)
    container._check()
    return found


def _blamed(container: Any) -> list[str]:
    answer = container.tracking_blame()
    return list(answer) if isinstance(answer, Mapping) else [change.pointer for change in answer]


# ---- logs


def _fields(line: LogLine) -> dict[str, Any]:
    """Return the fields of a line that are not empty."""
    told: dict[str, Any] = {"action": line.action, "seq": line.seq, "root": line.root}
    if line.is_gap:
        return {**told, "gap": list(line.gap), "reason": line.reason}
    for name in ("method", "type", "pointer", "actor"):
        told[name] = getattr(line, name)
    told["path"] = [describe(step) for step in line.path]
    for name in ("before", "after", "splice", "order", "changes"):
        value = getattr(line, name)
        if value is not MISSING and value is not None and value != ():
            told[name] = describe(value)
    told["context"] = dict(line.context)
    told["stack"] = [list(frame.values()) for frame in line.stack]
    rest = [line.uuid, line.tracked_item_uuid, line.transaction, line.thread, line.time_ns, line.pid, line.trace_id]
    told["rest"] = digest([*rest, line.data, line.entry().to_dict(), [list(path) for path in line.paths]])
    return {name: value for name, value in told.items() if value or name in ("before", "after")}


def digest(told: Any) -> str:
    """Return a hash of an answer that is too long to be stored."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def command(*args: object) -> tuple[int, str]:
    """Run a command here; return its exit status and standard output."""
    out, said = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            status = main([str(arg) for arg in args])
        except SystemExit as end:
            status = int(end.code or 0)
    out.flush()
    return status, out.buffer.getvalue().decode()  # type: ignore[attr-defined]


def _counts(text: str) -> dict[str, int]:
    """Return {label: count} of the rows of ``stats``, without times."""
    rows = re.findall(r"^  (\S+) +([\d,]+)(?: |$)", text, re.MULTILINE)
    return {label: int(count.replace(",", "")) for label, count in rows if not re.match(r"\d\d:|\d{4}-", label)}


def _blame_of(text: str) -> list[list[Any]]:
    """Return [path, seq] of the rows of ``blame --all``."""
    rows = []
    for line in text.splitlines():
        when = _WHEN.search(line)
        if when is not None:
            rows.append([line[: when.start()].strip(), int(when[2])])
    return rows


def _state(path: Path, seq: int | None, root: str) -> Any:
    try:
        return describe(replay(path, seq, root=root))
    except ReplicaError as error:  # values were not kept
        return type(error).__qualname__


def log(path: Path) -> dict[str, Any]:
    """Return the meaning of a log: lines, states, and command output."""
    with read_changes(path, strict=True) as reader:
        lines = list(reader)
    roots = list(dict.fromkeys(line.root for line in lines if not line.is_gap))
    has_gap = any(line.is_gap for line in lines)
    told: dict[str, Any] = {"lines": [_fields(line) for line in lines], "roots": roots, "states": {}, "commands": {}}
    status, text = command("show", "--json", path)
    told["commands"]["show"] = [status, digest([json.loads(line) for line in text.splitlines()])]
    status, text = command("stats", "--top", 100, path)
    told["commands"]["stats"] = [status, _counts(text)]
    told["commands"]["verify"] = command("verify", path)[0]
    for n, root in enumerate(roots):
        seqs = [line.seq for line in lines if line.root == root and line.seq is not None]
        if not has_gap:
            told["states"][root] = [digest(_state(path, seq, root)) for seq in seqs]
            told["states"][root].append(_state(path, None, root))
        status, text = command("blame", path, "--all", "--root", f"#{n + 1}")
        told["commands"][f"blame {n + 1}"] = [status, _blame_of(text)]
        for seq in (seqs[len(seqs) // 2], seqs[-1]):
            status, text = command("at", path, seq, "--root", f"#{n + 1}", "--compact")
            told["commands"][f"at {n + 1} {seq}"] = [status, digest(json.loads(text)) if text else None]
    return settle(told)


# ---- a page, a database, files of a delivery, configurations


class _Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.data = ""
        self._inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and dict(attrs).get("id") == "data"

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data += data


def page(path: Path) -> Any:
    """Return the data in a page of ``report``."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
        data = json.loads(_Page(file.read()).data)
    columns, tables = data["columns"], data["tables"]
    told = {"seq": columns["seq"], "time": columns["time"], "body": digest(columns["body"])}
    for column, table in (("actor", "actors"), ("does", "actions"), ("place", "places"), ("stack", "stacks")):
        told[column] = [tables[table][number] if number >= 0 else None for number in columns[column]]
    return {**told, "place": [place[0] for place in told["place"]], "stack": digest(told["stack"]), "bad": data["bad"]}


def database(path: Path) -> list[dict[str, Any]]:
    """Return the rows of the table of changes."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM changes ORDER BY root, seq, id")]
    return [{**row, "line": digest(json.loads(row["line"]))} for row in rows]


def pointers(path: Path) -> list[str]:
    """Return the pointer of each line of a delivery's log."""
    with read_changes(path, strict=True) as reader:
        return [line.pointer for line in reader]


def _files(folder: Path) -> Iterator[tuple[str, list[str]]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".jsonl":
            yield path.relative_to(folder).as_posix(), pointers(path)
        elif path.suffix == ".sqlite":
            yield path.relative_to(folder).as_posix(), [row["pointer"] for row in database(path)]


def configuration(path: Path, folder: Path) -> dict[str, Any]:
    """Return the observers of a configuration, and their effects."""
    data = TrackedDict(tracking_auto_convert=True)
    public = types.SimpleNamespace(**{name: getattr(exporters, name) for name in exporters.__all__})
    public.ChangeCollector = ChangeCollector
    with load_observers_from_json(path, environ={"FOLDER": str(folder), "TOKEN": "t", "ROOM": "50"}) as observers:
        kinds = [type(observer).__qualname__ for observer in observers if hasattr(public, type(observer).__qualname__)]
        for observer in observers:
            if not isinstance(observer, public.HttpExporter):  # no server listens
                data.tracking_add_observer(observer)
        data["users"] = {}
        data["users"]["ann"] = {"password": 1}
        data["other"] = 1
        del data["users"]["ann"]
        heard = [[change.pointer for change in each] for each in observers if hasattr(each, "__len__")]
    return settle({"count": len(observers), "kinds": kinds, "heard": heard, "files": dict(_files(folder))})
