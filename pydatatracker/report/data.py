"""Lines of a log as the JSON of the page: columns of numbers, and tables.

The numbers in the columns are positions in the tables, so what repeats (actors, paths, stacks) is written once. Values
stay as they are in the log, except numbers that a browser would read differently from Python (1.0, integers beyond
2**53, NaN), which get a ``$float`` or ``$int`` tag. The text is ASCII without ``<``, ``>`` and ``&``, so it is harmless
anywhere in a page.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, Final

from pydatatracker.io.line import LogLine, nanoseconds_of, position_of_culprit
from pydatatracker.report.fields import Fields, Known
from pydatatracker.report.values import SAFE, also_of, body_of, dumps, plain, script_safe, text_of

__all__ = ["TABLES", "Changes"]

TABLES: Final = ("actors", "actions", "methods", "types", "threads", "transactions", "contexts", "stacks", "places",
                 "shapes", "items", "roots", "kinds")  # fmt: skip
_COLUMNS: Final = ("seq", "time", "actor", "does", "method", "type", "root", "place", "thread", "transaction",
                   "context", "stack", "culprit", "ns", "shape", "item")  # fmt: skip
_DATA: Final = {"path": list, "context": dict, "stack": list}
_LISTED_ERRORS: Final = 200  # lines that could not be read and are listed


class Changes:
    """The changes of a log, in order, as the page gets them.

    ``generation`` changes when the order of changes that were there already does.

    :param states: False: the changes are not all of the log, so the page shows no data.

    >>> from pydatatracker.io import parse
    >>> changes = Changes("a.jsonl")
    >>> changes.add(parse(b'{"v":1,"seq":1,"action":"add","root":"r","path":["a"],"pointer":"/a","after":1.0}'))
    >>> '{"a":{"$float":"1.0"}}' in changes.text()
    True
    """

    def __init__(self, name: str, states: bool = True) -> None:
        self.name = name
        self._states = states
        self.generation = 1
        self.bad: list[str] = []
        self.bad_count = 0
        self._rows: list[tuple[Any, ...]] = []  # (pid, order, numbers of the columns, body, listed)
        self._tables: dict[str, dict[Any, int]] = {name: {} for name in TABLES[:-4]}
        self._entries: dict[str, list[str]] = {name: [] for name in TABLES}  # as JSON
        self._fields = Fields(self._entries)
        self._names: list[tuple[str, str, str]] = []  # of each root its id, its name, and how ids of its changes begin
        self._roots: dict[tuple[Any, str], int] = {}
        self._first: list[tuple[int, int]] = []  # of each root, the order of its first line
        self._newest: dict[Any, tuple[int, int]] = {}  # of each process, the order of its last line
        self._in_order = True

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def actors(self) -> int:
        """The number of actors."""
        return len(self._entries["actors"])

    def add_error(self, error: Exception) -> None:
        """Add the error of a line that cannot be read."""
        self.bad_count += 1
        if len(self.bad) < _LISTED_ERRORS:
            self.bad.append(str(error))

    def add(self, line: LogLine, listed: bool = True) -> None:
        """Add a line. One that is not listed only changes the data. O(line)."""
        seq = line.gap[0] if line.is_gap else line.seq
        if seq is not None and not -SAFE < seq < SAFE:
            seq = None
        newest = self._newest.get(line.pid, (0, 1))
        order = newest if seq is None else (seq, line.rank)
        if order < newest:
            self._in_order = False
        else:
            self._newest[line.pid] = order
        body = {} if line.is_gap else body_of(line)
        if line.head.also:
            body["m"] = self._further(line, order)
            if line.also_cut:
                body["c"] = line.also_cut
        if line.is_gap:
            body["g"] = [*(n if n is not None and abs(n) < SAFE else None for n in line.gap), line.reason]
        head = line.head
        numbers: tuple[Any, ...] = (
            seq if line.seq is not None else None,
            _micros(line),
            self._number("actors", line.actor),
            self._number("actions", line.action),
            self._number("methods", line.method),
            self._number("types", line.type),
            self._root(line, line.root, order),
            self._place(line.pointer, head.path),
            self._number("threads", line.thread),
            self._number("transactions", line.transaction),
            self._data("contexts", dict, head.context),
            self._data("stacks", list, head.stack),
            self._culprit(line),
        )
        numbers += self._rest(line, numbers, body)
        self._rows.append((line.pid, order, numbers, text_of(body), listed))

    def _rest(self, line: LogLine, numbers: tuple[Any, ...], body: dict[str, Any]) -> tuple[Any, ...]:
        """Return the numbers of the last columns.

        What is left of the line is put into the body.
        """
        data, columns = line.data, dict(zip(_COLUMNS, numbers, strict=False))
        path, context, stack = (_if_is(kind, data.get(name)) for name, kind in _DATA.items())
        given: dict[str, Any] = {
            "seq": columns["seq"],
            "action": line.action,
            "method": line.method,
            "type": line.type,
            "pointer": line.pointer,
            "path": path,
            "actor": line.actor,
            "transaction": line.transaction,
            "context": context,
            "stack": stack,
            "culprit": None if columns["culprit"] < 0 else columns["culprit"],
            "thread": line.thread,
        }
        root = name = begin = ""
        if columns["root"] >= 0:
            root, name, begin = self._names[columns["root"]]
            given.update(pid=line.pid, root=root, name=name)
        if "g" in body:
            given.update(zip(("from", "to", "reason"), body["g"], strict=True))
        if "c" in body:
            given["also_cut"] = body["c"]
        if "m" in body:
            given["also"] = [[self._names[number][0], path] for number, paths in body["m"] for path in paths]
        known = Known(given, path, columns["time"], {} if "w" in body else body, root, begin)
        *found, rest = self._fields.add(data, known, lambda name: self._number("types", name))
        if rest:
            body["x"] = rest
        return tuple(found)

    def arrange(self) -> None:
        """Put the changes in order: of a process by seq, of several by time.

        O(1) if they are in order already, as usual.
        """
        if self._in_order:
            return
        by_process: dict[Any, list[tuple[Any, ...]]] = {}
        for row in self._rows:
            by_process.setdefault(row[0], []).append(row)
        for rows in by_process.values():
            rows.sort(key=lambda row: row[1])
        self._rows = [row for _, _, row in heapq.merge(*map(_timed, by_process.values(), range(len(by_process))))]
        self._in_order = True
        self.generation += 1

    def text(self, known: tuple[int, ...] = ()) -> str:
        """Return the changes as JSON.

        O(result).

        :param known: the number of rows and of entries of each table that are known; by default everything is returned.
        """
        self.arrange()
        start, *marks = known or (0,) * (1 + len(TABLES))
        rows = self._rows[start:]
        columns = ",".join(
            f'"{name}":[{",".join("null" if row[2][n] is None else str(row[2][n]) for row in rows)}]'
            for n, name in enumerate(_COLUMNS)
        )
        tables = ",".join(
            f'"{name}":[{",".join(self._entries[name][mark:])}]' for name, mark in zip(TABLES, marks, strict=True)
        )
        unlisted = [start + n for n, row in enumerate(rows) if not row[4]]
        head = dumps({"name": self.name, "generation": self.generation, "bad": self.bad, "badCount": self.bad_count})
        bodies = ",".join(row[3] for row in rows)
        text = f'{head[:-1]},"unlisted":{unlisted},"columns":{{{columns},"body":[{bodies}]}},"tables":{{{tables}}}}}'
        return script_safe(text)

    def since(self, generation: int, known: tuple[int, ...]) -> str:
        """Return what is new as `text` does.

        Everything if the order has changed, "null" if nothing is new.
        """
        self.arrange()
        if generation != self.generation:
            return self.text()
        return "null" if known[0] == len(self._rows) else self.text(known)

    # ---- tables

    def _number(self, table: str, value: str | None) -> int:
        if value is None:
            return -1
        known = self._tables[table]
        number = known.get(value)
        if number is None:
            number = known[value] = len(known)
            self._entries[table].append(dumps(value))
        return number

    def _data(self, table: str, kind: type, raw: Any) -> int:
        known = self._tables[table]
        key = bytes(raw)
        number = known.get(key)
        if number is None:
            data = plain(raw)
            if type(data) is not kind or not data:
                number = known[key] = -1
            else:
                number = known[key] = len(self._entries[table])
                self._entries[table].append(text_of(data))
        return number

    def _culprit(self, line: LogLine) -> int:
        """Return the position of the culprit in the stack, -1 if there is none."""
        n = position_of_culprit(line)
        return -1 if n is None else n

    def _place(self, pointer: str, raw: Any) -> int:
        known = self._tables["places"]
        key = pointer, bytes(raw)
        number = known.get(key)
        if number is None:
            number = known[key] = len(known)
            path = plain(raw)
            self._entries["places"].append(text_of([pointer, path if type(path) is list else []]))
        return number

    def _further(self, line: LogLine, order: tuple[int, int]) -> list[Any]:
        """Return [number of a root, its paths] for each further root of a line."""
        self._root(line, line.root, order)  # which comes first
        further: dict[int, list[Any]] = {}
        for root, path in also_of(line.head):
            further.setdefault(self._root(line, root, order), []).append(path)
        further.pop(-1, None)
        return [[number, paths] for number, paths in further.items()]

    def _root(self, line: LogLine, root: str, order: tuple[int, int]) -> int:
        if line.is_gap or line.seq is None or line.v == 0 or not self._states:
            return -1  # it does not have a root
        key = line.pid, root
        number = self._roots.get(key)
        if number is None:
            number = self._roots[key] = len(self._roots)
            self._names.append((root, line.name if root == line.root else "", line.uuid[:16]))
            self._entries["roots"].append(dumps([line.pid, *self._names[-1]]))
            self._entries["kinds"].append(_kind(line.seen_from(root)))
            self._first.append(order)
        elif order < self._first[number]:  # threads write their lines in any order
            self._entries["kinds"][number] = _kind(line.seen_from(root))
            self._first[number] = order
        return number


def _if_is(kind: type, value: Any) -> Any:
    return value if type(value) is kind else kind()


def _timed(rows: list[tuple[Any, ...]], number: int) -> Iterator[tuple[float, int, tuple[Any, ...]]]:
    now = 0
    for row in rows:
        now = max(now, row[2][1] or 0)
        yield now, number, row


def _kind(line: LogLine) -> str:
    """Return the type of the root, as its first line implies it, as JSON."""
    from pydatatracker.history.replica import empty_for

    try:
        return dumps(type(empty_for(line)).__name__)
    except Exception:  # a foreign line: the page will show that it does not fit
        return '"dict"'


def _micros(line: LogLine) -> int | None:
    ns = nanoseconds_of(line)
    if ns is None or (line.time_ns is not None and abs(ns) >= SAFE * 1000):
        return None
    return ns // 1000
