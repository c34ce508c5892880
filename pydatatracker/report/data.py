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
from pydatatracker.report.values import SAFE, also_of, body_of, dumps, plain, script_safe, text_of

__all__ = ["TABLES", "Changes"]

TABLES: Final = ("actors", "actions", "methods", "types", "threads", "transactions", "contexts", "stacks", "places",
                 "roots", "kinds")  # fmt: skip
_COLUMNS: Final = ("seq", "time", "actor", "does", "method", "type", "root", "place", "thread", "transaction",
                   "context", "stack", "culprit")  # fmt: skip
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
        self._tables: dict[str, dict[Any, int]] = {name: {} for name in TABLES[:-2]}
        self._entries: dict[str, list[str]] = {name: [] for name in TABLES}  # as JSON
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
        numbers = (
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
        self._rows.append((line.pid, order, numbers, text_of(body), listed))

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
            self._entries["roots"].append(dumps([line.pid, root]))
            self._entries["kinds"].append(_kind(line.seen_from(root)))
            self._first.append(order)
        elif order < self._first[number]:  # threads write their lines in any order
            self._entries["kinds"][number] = _kind(line.seen_from(root))
            self._first[number] = order
        return number


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
