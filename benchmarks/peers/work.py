"""Measure one library: ``python work.py NAME [--quick]`` prints JSON.

Every row is a loop over fresh values. A turn runs the loop on a new plain container and then on a new container of the
library; the ratio of the two times per operation is taken for each turn, and the median of the turns is printed. So a
machine that is busy for a while slows both. Times are CPU times of the process, with the loop.
"""

from __future__ import annotations

import ctypes
import gc
import json
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from subjects import Subject, subject
from subjects.base import is_mapping, levels
from subjects.plain import PlainObject

TURN = 0.008  # seconds that one turn of a library should take
PLAIN = 20_000  # operations in one turn of the builtin
SECONDS = 2.0  # after which a row has no further turns
LEAST = 3  # turns, however long they take
SIZES = (10, 1_000, 100_000)
ATTRIBUTES: list[str] = []  # rows that were measured on an attribute
BASES: dict[str, float] = {}  # seconds that one operation of the builtin takes
fresh = iter(range(10**6, 10**12))


def store(d: Any, values: list[Any]) -> None:
    """Store."""
    for value in values:
        d["a"] = value


def append(l: Any, values: list[Any]) -> None:  # noqa: E741
    """Append."""
    for value in values:
        l.append(value)


def add(s: Any, values: list[Any]) -> None:
    """Add."""
    for value in values:
        s.add(value)


def assign(o: Any, values: list[Any]) -> None:
    """Assign."""
    for value in values:
        o.a = value


def update(d: Any, values: list[Any]) -> None:
    """Update with a thousand items each."""
    for value in values:
        d.update(value)


def deep(root: Any, values: list[Any]) -> None:
    """Store five levels deep."""
    for value in values:
        root["a"]["b"]["c"]["d"]["e"] = value


def create(make: Any, values: list[Any]) -> None:
    """Create containers."""
    for value in values:
        make(value)


def unrelated(plain: Any, values: list[Any]) -> None:
    """Work on data that nothing tracks, in many lines and calls."""
    rows, counter = plain
    for value in values:
        counter.a = value
        rows["last"] = value
        rows["count"] = rows.get("count", 0) + 1
        if rows["count"] > 100:
            rows["count"] = len(rows)


def one_dict(n: int) -> list[Any]:
    """Return n dicts of a thousand items, each with fresh values."""
    return [{str(key): next(fresh) for key in range(1000)} for _ in range(n)]


def hundred(n: int) -> list[Any]:
    """Return n dicts of a hundred items, each with fresh values."""
    return [{str(key): next(fresh) for key in range(100)} for _ in range(n)]


def numbers(n: int) -> list[Any]:
    """Return n fresh numbers."""
    return [next(fresh) for _ in range(n)]


@dataclass
class Row:
    """One loop, on the builtin and on a library."""

    key: str
    plain: Callable[[], Any]
    make: Callable[[Subject], Any]
    run: Callable[[Any, list[Any]], None]
    values: Callable[[int], list[Any]] = numbers
    most: int = PLAIN


def first(*made: Callable[[], Any]) -> Any:
    """Return what the first function makes that makes something."""
    return next((each for make in made if (each := make()) is not None), None)


def ignore(*_: Any) -> None:
    """Do nothing."""


FOLDER = tempfile.mkdtemp()
THOUSAND = dict.fromkeys(map(str, range(1000)), 0)
ROWS = [
    Row("store", lambda: {"a": 0}, lambda s: s.make_dict({"a": 0}), store),
    Row("append", list, lambda s: s.make_list([]), append),
    Row("add", set, lambda s: s.make_set(set()), add),
    Row("setattr", PlainObject, lambda s: s.make_object(), assign),
    Row("update", lambda: dict(THOUSAND), lambda s: s.make_dict(dict(THOUSAND)), update, one_dict, 50),
    Row("deep", levels, lambda s: s.make_nested(), deep),
    Row("observed", lambda: {"a": 0}, lambda s: s.make_observed(ignore), store),
    Row("stacked", lambda: {"a": 0}, lambda s: s.make_stacked(), store),
    Row("line", lambda: {"a": 0}, lambda s: s.make_lines(f"{FOLDER}/log{next(fresh)}.jsonl"), store),
    Row("create", lambda: dict, lambda s: s.make_new if s.make_new({}) is not None else None, create, hundred, 500),
    Row(
        "elsewhere",
        lambda: ({}, PlainObject()),
        lambda s: None if first(lambda: s.make_dict({"a": 0}), s.make_object) is None else ({}, PlainObject()),
        unrelated,
    ),
]


def seconds(run: Callable[[Any, list[Any]], None], thing: Any, values: list[Any]) -> float:
    """Return the time of one operation."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    run(thing, values)
    taken = time.process_time() - start
    gc.enable()
    return taken / len(values)


def until(turns: int, ratios: list[float]) -> Iterator[int]:
    """Yield for each turn, until there are enough or the time is over."""
    end = time.monotonic() + SECONDS
    while len(ratios) < turns and (len(ratios) < LEAST or time.monotonic() < end):
        yield len(ratios)


def measure(row: Row, library: Subject, turns: int) -> float | None:
    """Return the ratio to the builtin; None if the library has no such row."""
    run = getattr(library, f"run_{row.key}", row.run)
    thing = row.make(library)
    plain_run = row.run
    if row.key in ("observed", "stacked") and thing is not None and not is_mapping(thing):
        run = plain_run = assign
        ATTRIBUTES.append(row.key)
    if thing is None:
        library.close()
        return None
    one = seconds(run, thing, row.values(1))
    few = 1 if one > TURN else min(20, row.most)
    one = seconds(run, thing, row.values(few))
    library.close()
    count = max(few, min(row.most, int(TURN / one)))
    ratios: list[float] = []
    bases: list[float] = []
    for _ in until(turns, ratios):
        plain = PlainObject() if plain_run is assign else row.plain()
        base = seconds(plain_run, plain, row.values(row.most))
        bases.append(base)
        thing = row.make(library)
        ratios.append(seconds(run, thing, row.values(count)) / base)
        del thing
        library.close()
    BASES[row.key] = statistics.median(bases)
    return statistics.median(ratios)


def earlier(library: Subject, size: int, turns: int) -> float | None:
    """Return the ratio of a store and reading the state before it.

    The builtin is copied before the store instead.
    """
    if size > library.largest:
        return None
    data: dict[Any, Any] = {**{str(n): n for n in range(size - 1)}, "a": 0}
    made = library.make_earlier(data)
    if made is None:
        return None
    thing, mark, read = made
    run = getattr(library, "run_earlier", lambda d, value: d.__setitem__("a", value))
    loops = max(1, 2_000 // size)

    def plain(d: Any, values: list[Any]) -> None:
        for value in values:
            before = dict(d)
            d["a"] = value
            del before

    def past(d: Any, values: list[Any]) -> None:
        for value in values:
            then = mark()
            run(d, value)
            read(then)

    past(thing, numbers(1))
    ratios: list[float] = []
    bases: list[float] = []
    for _ in until(turns, ratios):
        base = seconds(plain, dict(data), numbers(loops))
        bases.append(base)
        ratios.append(seconds(past, thing, numbers(max(1, loops // 10))) / base)
    library.close()
    BASES[f"earlier {size}"] = statistics.median(bases)
    return statistics.median(ratios)


class Mallinfo(ctypes.Structure):
    """What glibc says of its memory."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def allocated(library: Subject) -> int:
    """Return the bytes in use."""
    traced = tracemalloc.get_traced_memory()[0]
    if library.native:
        mallinfo = ctypes.CDLL(None).mallinfo2
        mallinfo.restype = Mallinfo
        found = mallinfo()
        traced += found.uordblks + found.hblkhd
    return int(traced)


def memory(library: Subject, count: int = 2000) -> float | None:
    """Return the bytes that one change keeps; values are not counted."""
    values = numbers(2 * count)
    thing = first(lambda: library.make_dict({"a": 0}), library.make_object)
    if thing is None:
        return None
    if not is_mapping(thing):
        ATTRIBUTES.append("memory")
    run = store if is_mapping(thing) else getattr(library, "run_setattr", assign)
    tracemalloc.start()
    run(thing, values[:count])
    gc.collect()
    before = allocated(library)
    run(thing, values[count:])
    gc.collect()
    each = (allocated(library) - before) / count
    tracemalloc.stop()
    library.close()
    return max(0.0, each)


def beside(library: Subject, row: Row, turns: int) -> float | None:
    """Return the ratio of a loop elsewhere, with and without tracked data."""
    if row.make(library) is None:
        return None
    library.close()
    ratios: list[float] = []
    for _ in until(turns, ratios):
        base = seconds(row.run, row.plain(), numbers(PLAIN))
        kept = first(lambda: library.make_observed(ignore), lambda: library.make_dict({"a": 0}), library.make_object)
        ratios.append(seconds(row.run, row.plain(), numbers(PLAIN)) / base)
        del kept
        library.close()
    return statistics.median(ratios)


def main() -> None:
    """Measure all rows of one library, and print them."""
    library = subject(sys.argv[1])
    turns = 3 if "--quick" in sys.argv else 15
    found: dict[str, float | None] = {}
    for row in ROWS:
        if row.key == "elsewhere":
            found[row.key] = beside(library, row, turns)
        else:
            found[row.key] = measure(row, library, turns)
    for size in SIZES:
        found[f"earlier {size}"] = earlier(library, size, turns)
    found["memory"] = memory(library)
    title = {"title": library.title, "short": library.short, "version": library.version}
    print(json.dumps({**title, "work": found, "builtin": BASES, "attributes": ATTRIBUTES}))


if __name__ == "__main__":
    main()
