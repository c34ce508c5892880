"""``pydatatracker stats``: count changes by actor, action, path and time."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import IO, Any

from pydatatracker.cli.line_view import painter
from pydatatracker.cli.terminal import cells, clean, cut, cut_left, pad, plain_columns, wants_colour
from pydatatracker.io.line import other_roots

__all__ = ["Stats", "show"]

_STEPS = (1, 5, 15, 60, 300, 900, 3600, 10_800, 86_400, 604_800)  # seconds that one bar may cover
_BARS = 24
_PATHS = 200_000  # paths that are counted one by one: memory stays bounded


class Stats:
    """Counts of the changes of a log, from the heads of its lines.

    >>> from pydatatracker.io.parsing import parse
    >>> stats = Stats([[parse(b'{"action":"add","pointer":"/a"}').head]])
    >>> stats.actions
    Counter({'add': 1})
    """

    def __init__(self, heads: Iterable[list[Any]]) -> None:
        self.actors: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()
        self.roots: set[str] = set()
        self.rest = 0  # changes of paths that are not counted one by one
        for block in heads:
            self.actions.update([head.action for head in block])
            if "gap" in self.actions:
                block = [head for head in block if head.action != "gap"]
            self.actors.update([head.actor for head in block])
            self._count_paths([head.pointer for head in block])
            self.seconds.update([head.time_ns // 1_000_000_000 for head in block if head.time_ns is not None])
            if len(self.roots) < _PATHS:
                self.roots.update([head.root for head in block])
                self.roots.update([root for head in block if head.also for root in other_roots(head)])
        self.gaps = self.actions.pop("gap", 0)

    def _count_paths(self, pointers: list[str]) -> None:
        if len(self.paths) < _PATHS:
            self.paths.update(pointers)
            return
        for pointer in pointers:
            if pointer in self.paths:
                self.paths[pointer] += 1
            else:
                self.rest += 1

    @property
    def total(self) -> int:
        """The number of changes."""
        return self.actions.total()

    def spans(self) -> tuple[int, list[tuple[int, int]]]:
        """Return the seconds per bar, and (first second, changes) of each bar.

        O(seconds).
        """
        if not self.seconds:
            return 0, []
        first, last = min(self.seconds), max(self.seconds)
        step = next((step for step in _STEPS if (last - first) // step < _BARS), (last - first) // _BARS + 1)
        start = first - first % step
        bars = [0] * ((last - start) // step + 1)
        for second, count in self.seconds.items():
            bars[(second - start) // step] += count
        return step, [(start + n * step, count) for n, count in enumerate(bars)]


def show(stats: Stats, out: IO[str], top: int) -> None:
    """Print the counts with bars, as wide as the terminal."""
    columns = max(40, plain_columns(out) or 100)
    paint = painter(wants_colour(out))
    roots = f" in {len(stats.roots):,} containers" if len(stats.roots) > 1 else ""
    out.write(f"{_many(stats.total)}{roots}\n")
    if stats.gaps:
        out.write(paint("red", f"{stats.gaps:,} gaps where changes are missing") + "\n")
    if not stats.total:
        return
    named = [(clean(actor) or "(nobody)", count) for actor, count in stats.actors.most_common(top)]
    _table("actor", named, len(stats.actors), columns, paint, out, top)
    named = [(clean(action), count) for action, count in stats.actions.most_common(top)]
    _table("action", named, len(stats.actions), columns, paint, out, top)
    paths = [(clean(path) or "(root)", count) for path, count in stats.paths.most_common(top)]
    _table("path", paths, len(stats.paths), columns, paint, out, top)
    if stats.rest:
        out.write(f"  and {_many(stats.rest)} of other paths\n")
    step, bars = stats.spans()
    if bars:
        form = "%Y-%m-%d" if step >= 86_400 else "%m-%d %H:%M" if step >= 60 else "%H:%M:%S"
        rows = [(_time(second, form), count) for second, count in bars]
        _table("time", rows, len(rows), columns, paint, out, len(rows))


def _time(second: int, form: str) -> str:
    try:
        return datetime.datetime.fromtimestamp(second).strftime(form)
    except (OverflowError, ValueError, OSError):  # beyond the years of the calendar
        return f"{second:,} s"


def _many(count: int) -> str:
    return "1 change" if count == 1 else f"{count:,} changes"


def _table(
    title: str, rows: list[tuple[str, int]], known: int, columns: int, paint: Any, out: IO[str], top: int
) -> None:
    """Print a table whose longest bar has the width that is left."""
    name = min(max([cells(text) for text, _ in rows] + [len(title)]), columns // 2)
    number = max(len(f"{count:,}") for _, count in rows)
    room = columns - name - number - 5
    most = max(count for _, count in rows) or 1
    out.write("\n" + paint("bold", title) + "\n")
    for text, count in rows:
        text = cut_left(text, name) if title == "path" else cut(text, name)
        bar = "█" * max(1 if count else 0, round(count * room / most)) if room > 0 else ""
        out.write(f"  {pad(text, name)} {count:>{number},} {paint('blue', bar)}".rstrip() + "\n")
    if known > top:
        out.write(f"  and {known - top:,} more\n")
