"""``pydatatracker stats``: how many changes, by whom, of what, where and when."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import IO, Any

from pydatatracker.cli.layout import painter
from pydatatracker.cli.terminal import cells, clean, cut, cut_left, pad, plain_columns, wants_colour

__all__ = ["Stats", "show"]

_STEPS = (1, 5, 15, 60, 300, 900, 3600, 10_800, 86_400, 604_800)  # seconds that a bar may stand for
_BARS = 24
_PLACES = 200_000  # that are counted one by one; memory stays flat


class Stats:
    """Counts of what the heads of lines say.

    >>> from pydatatracker.io.parsing import parse
    >>> stats = Stats([[parse(b'{"action":"add","pointer":"/a"}').head]])
    >>> stats.actions
    Counter({'add': 1})
    """

    def __init__(self, heads: Iterable[list[Any]]) -> None:
        self.actors: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()
        self.roots: set[str] = set()
        self.rest = 0  # changes of places that came when there were too many
        for block in heads:
            self.actions.update([head.action for head in block])
            if "gap" in self.actions:
                block = [head for head in block if head.action != "gap"]
            self.actors.update([head.actor for head in block])
            self._count_places([head.pointer for head in block])
            self.seconds.update([head.time_ns // 1_000_000_000 for head in block if head.time_ns is not None])
            if len(self.roots) < _PLACES:
                self.roots.update([head.root for head in block])
        self.gaps = self.actions.pop("gap", 0)

    def _count_places(self, pointers: list[str]) -> None:
        if len(self.places) < _PLACES:
            self.places.update(pointers)
            return
        for pointer in pointers:
            if pointer in self.places:
                self.places[pointer] += 1
            else:
                self.rest += 1

    @property
    def total(self) -> int:
        """How many changes there are."""
        return self.actions.total()

    def spans(self) -> tuple[int, list[tuple[int, int]]]:
        """Return how many seconds a bar stands for, and (its first second, changes) for each. O(seconds)."""
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
        out.write(paint("red", f"{stats.gaps:,} gaps: changes that are missing") + "\n")
    if not stats.total:
        return
    named = [(clean(actor) or "(nobody)", count) for actor, count in stats.actors.most_common(top)]
    _table("actor", named, len(stats.actors), columns, paint, out, top)
    named = [(clean(action), count) for action, count in stats.actions.most_common(top)]
    _table("action", named, len(stats.actions), columns, paint, out, top)
    places = [(clean(place) or "(root)", count) for place, count in stats.places.most_common(top)]
    _table("place", places, len(stats.places), columns, paint, out, top)
    if stats.rest:
        out.write(f"  and {_many(stats.rest)} of other places\n")
    step, bars = stats.spans()
    if bars:
        form = "%Y-%m-%d" if step >= 86_400 else "%m-%d %H:%M" if step >= 60 else "%H:%M:%S"
        rows = [(_time(second, form), count) for second, count in bars]
        _table("time", rows, len(rows), columns, paint, out, len(rows))


def _time(second: int, form: str) -> str:
    try:
        return datetime.datetime.fromtimestamp(second).strftime(form)
    except (OverflowError, ValueError, OSError):  # no year that there is
        return f"{second:,} s"


def _many(count: int) -> str:
    return "1 change" if count == 1 else f"{count:,} changes"


def _table(
    title: str, rows: list[tuple[str, int]], known: int, columns: int, paint: Any, out: IO[str], top: int
) -> None:
    # as many rows as there are, the longest bar as long as there is room
    name = min(max([cells(text) for text, _ in rows] + [len(title)]), columns // 2)
    number = max(len(f"{count:,}") for _, count in rows)
    room = columns - name - number - 5
    most = max(count for _, count in rows) or 1
    out.write("\n" + paint("bold", title) + "\n")
    for text, count in rows:
        text = cut_left(text, name) if title == "place" else cut(text, name)
        bar = "█" * max(1 if count else 0, round(count * room / most)) if room > 0 else ""
        out.write(f"  {pad(text, name)} {count:>{number},} {paint('blue', bar)}".rstrip() + "\n")
    if known > top:
        out.write(f"  and {known - top:,} more\n")
