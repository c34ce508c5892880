"""Questions to the views of `pydatatracker.query.views`, as SQL.

Each function returns one SELECT with its arguments as literals, so it runs wherever the views exist.

>>> "'/users/0'" in blame_query("duckdb", "/users/0/email")
True
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydatatracker.query import COLUMNS
from pydatatracker.query.dialects import DIALECTS, Dialect
from pydatatracker.query.views import VIEW_COLUMNS
from pydatatracker.values.pointer import parse_pointer

__all__ = ["actor_query", "blame_query", "line_of", "lines_query", "values_query"]

_RANK: Final = "CASE WHEN action <> 'init' THEN 1 WHEN method = 'again' THEN 2 ELSE 0 END"
_ONE: Final = "pid, uuid, root, seq"  # what a line has in common with its repetition: an init has the uuid of its root
_SHOWN: Final = ("time", "seq", "actor", "action", "pointer", "before", "after", "uuid")


def blame_query(dialect: str, pointer: str, *, root: str | None = None) -> str:
    """Return the SELECT of the last change of a path, one row per root.

    The column ``exact`` is true where SQL can know: no item of a list on the path moved since, no key on the way has a
    text that only Python knows, no value refers to a container elsewhere, and the path is what the change wrote or is
    seen in the value that it stored. There the row is the line that
    `pydatatracker blame` prints, and no row means that there is none. Else ask that command, with the lines of
    `lines_query`; then the row may be empty.

    :param root: id of one root; by default all.
    :raises ValueError: the pointer is invalid.
    """
    sql = DIALECTS[dialect]
    raw = parse_pointer(pointer)
    parts = [part.replace("~", "~0").replace("/", "~1") for part in raw]
    paths = ["".join(f"/{part}" for part in parts[:n]) for n in range(len(parts) + 1)]
    if parts:
        written = f"written IN ({', '.join(map(sql.text, paths[1:]))})"
        steps = [
            f"(w.holder = {sql.text(container)} AND w.moves_from <= {part})"
            for container, part in _indices(paths, parts)
        ]
        steps.append(f"(w.opaque AND w.holder IN ({', '.join(map(sql.text, paths[:-1]))}))")
    else:  # of the root itself: every change of the container
        written = "holder = '' AND action IN ('init', 'add', 'update', 'remove') AND method <> 'again'"
        steps = ["false"]
    only = "" if root is None else f" WHERE of_root = {sql.text(root)}"
    shown = ", ".join(f"f.{name}" for name in _SHOWN)
    moved = " OR ".join(steps)
    return f"""WITH w AS (SELECT *, {_RANK} AS rank_of FROM writes{only}),
found AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY host, pid, of_root ORDER BY seq DESC, rank_of DESC) AS n
    FROM w WHERE {written}
  ) AS numbered WHERE n = 1
),
doubts AS (
  SELECT w.of_root, w.pid, w.host,
    max(CASE WHEN w.seq >= coalesce(f.seq, 0) AND ({moved}) THEN 1
      WHEN {_unseen(sql, paths, raw)} THEN 1
      WHEN w.refers OR w.also_cut > 0 THEN 1
      WHEN w.action <> 'init' OR w.method = 'again' THEN 0
      WHEN f.action <> 'init' AND w.seq >= f.seq THEN 1
      WHEN f.action = 'init' AND (w.uuid <> f.uuid OR w.seq <> f.seq) THEN 1
      ELSE 0 END) AS doubt
  FROM w LEFT JOIN found f ON {_same_root("f", "w")}
  GROUP BY w.of_root, w.pid, w.host
)
SELECT d.host, d.pid, d.of_root, {shown}, d.doubt = 0 AS exact
FROM doubts d LEFT JOIN found f ON {_same_root("f", "d")}
WHERE f.uuid IS NOT NULL OR d.doubt = 1
ORDER BY f.time_ns DESC, d.host, d.pid, d.of_root"""


_NAME: Final = re.compile(r"[A-Za-z0-9_][\w -]*", re.ASCII)  # a key that each engine reads in a JSON path as it stands


def _unseen(sql: Dialect, paths: list[str], parts: Sequence[str]) -> str:
    """Return the condition that a change above a path does not show it.

    The change is f, and what it stored does not have the path. So the path may never have existed: SQL cannot tell.
    """
    order = sql.column("order")
    simple = f"f.splice IS NULL AND f.changes IS NULL AND f.{order} IS NULL"
    cases = []
    for n in range(1, len(parts)):
        inside = _member(sql, "f.after", parts[n:])
        of_state = _member(sql, "f.after", parts[n - 1 :])
        seen = f"({simple} AND CASE WHEN f.action = 'init' THEN {of_state} ELSE {inside} END IS NOT NULL)"
        cases.append(f"(f.written = {sql.text(paths[n])} AND NOT coalesce({seen}, false))")
    return " OR ".join(cases) or "false"


def _member(sql: Dialect, json: str, parts: Sequence[str]) -> str:
    """Return a value inside of JSON, as SQL; NULL if it is not known."""
    for part in parts:
        if _NAME.fullmatch(part) is None:
            return "NULL"
        found = sql.member(json, part)
        is_index = part.isdecimal() and len(part) < 10
        json = f"coalesce({found}, {sql.item(json, int(part))})" if is_index else found
    return json


def _same_root(a: str, b: str) -> str:
    return f"{a}.of_root = {b}.of_root AND {a}.pid = {b}.pid AND coalesce({a}.host, '') = coalesce({b}.host, '')"


def _indices(paths: list[str], parts: list[str]) -> list[tuple[str, str]]:
    return [
        (container, str(int(part)))
        for container, part in zip(paths, parts, strict=False)
        if part.isascii() and part.isdecimal() and len(part) < 18
    ]


def actor_query(
    dialect: str, actor: str, *, since: int | None = None, until: int | None = None, partitioned: bool = False
) -> str:
    """Return the SELECT of all changes of an actor in a span, each once.

    A change that was delivered twice has one ``uuid``.

    :param since: nanoseconds since 1970, inclusive; so is ``until``.
    :param partitioned: the layout has folders of days, so that others need not be read.
    """
    sql = DIALECTS[dialect]
    conditions = [f"actor = {sql.text(actor)}"]
    for sign, moment in ((">=", since), ("<=", until)):
        if moment is not None:
            conditions.append(f"time_ns {sign} {moment}")
            if partitioned:
                conditions.append(f"day {sign} {sql.text(_day(moment))}")
    names = ", ".join(sql.column(name) for name in (*_VIEW_ORDER,))
    return f"""SELECT {names} FROM (
  SELECT *, row_number() OVER (PARTITION BY {_ONE} ORDER BY host) AS n FROM changes
  WHERE {" AND ".join(conditions)}
) AS numbered WHERE n = 1
ORDER BY host, pid, seq"""


_VIEW_ORDER: Final = ("time", "time_ns", "day", "host", "pid", "seq", "actor", "action", "pointer", "before", "after",
                      "splice", "order", "changes", "method", "type", "root", "transaction", "uuid")  # fmt: skip


def _day(ns: int) -> str:
    import datetime

    return f"{datetime.datetime.fromtimestamp(ns / 1e9, datetime.UTC):%Y-%m-%d}"


def lines_query(dialect: str, root: str) -> str:
    """Return the SELECT of all rows that a replay of one root needs.

    `line_of` makes lines of them, of which `pydatatracker.replay` or the command ``at`` makes the state at any time.
    SQL cannot: where an item of a list is now depends on all changes of the list before. What was delivered twice is
    there once.

    :param root: id of the root.
    """
    sql = DIALECTS[dialect]
    name = sql.text(root)
    has = f"(root = {name} OR also LIKE {sql.text('%' + json.dumps(root) + '%')})"
    names = ", ".join(sql.column(each) for each in (*VIEW_COLUMNS, "host", "line"))
    return f"""WITH mine AS (SELECT DISTINCT pid, host FROM changes WHERE {has}),
together AS (SELECT DISTINCT pid, host FROM changes WHERE ids IS NOT NULL)
SELECT {names} FROM (
  SELECT c.*, row_number() OVER (PARTITION BY host, {_ONE} ORDER BY time_ns) AS n FROM changes c
  WHERE {has} OR EXISTS (
    SELECT 1 FROM mine m JOIN together t ON m.pid = t.pid AND coalesce(m.host, '') = coalesce(t.host, '')
    WHERE m.pid = c.pid AND coalesce(m.host, '') = coalesce(c.host, ''))
) AS numbered WHERE n = 1
ORDER BY host, pid, seq, {_RANK}"""


def values_query(dialect: str, *, root: str | None = None, seq: int | None = None, until: int | None = None) -> str:
    """Return the SELECT of the last write of every path, as it stands.

    A row whose container was stored or removed later is left out. For paths through dicts alone this is the state:
    begin with the shortest paths, and set or remove ``value`` at each. For paths through lists use `lines_query`.

    :param root: id of one root; by default all.
    :param seq: only changes up to this number.
    :param until: only changes up to this time, in nanoseconds since 1970.
    """
    sql = DIALECTS[dialect]
    conditions = ["written IS NOT NULL"]
    if root is not None:
        conditions.append(f"of_root = {sql.text(root)}")
    if seq is not None:
        conditions.append(f"seq <= {seq}")
    if until is not None:
        conditions.append(f"time_ns <= {until}")
    return f"""WITH w AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY host, pid, of_root, written ORDER BY seq DESC, {_RANK} DESC) AS n
    FROM writes WHERE {" AND ".join(conditions)}
  ) AS numbered WHERE n = 1
)
SELECT b.host, b.pid, b.of_root, b.written, b.holder, b.action, b.before, b.after, b.changes, b.seq, b.time, b.actor
FROM w b WHERE NOT EXISTS (
  SELECT 1 FROM w a WHERE {_same_root("a", "b")} AND a.seq > b.seq
  AND substr(b.written, 1, length(a.written) + 1) = a.written || '/')
ORDER BY b.host, b.pid, b.of_root, length(b.written), b.written"""


def line_of(row: Mapping[str, Any]) -> bytes:
    r"""Return a row of `changes` as a line of a log, with a newline.

    For `pydatatracker.replay`, or for a file that the commands read. O(row). A row that has its line is that line.

    >>> line_of({"seq": 3, "action": "update", "pointer": "/a", "after": "null", "splice": None})
    b'{"seq":3,"action":"update","pointer":"/a","after":null}\n'
    """
    line = row.get("line")
    if line:
        return str(line).rstrip("\n").encode() + b"\n"
    found = {
        name: json.loads(row[name]) if kind == "JSON" else row[name]
        for name, kind in COLUMNS.items()
        if row.get(name) is not None and (kind == "JSON" or row[name] != "" or name == "pointer")
    }
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
