"""Random data and changes for the tests of SQL over logs."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator
from typing import Any

from pydatatracker import process, track, tracking_actor
from pydatatracker.values.pointer import to_pointer

KEYS = ["a", "b/c", "~", "ü", "it's", "0", "x\\y", '"q"', "日本", "", 2, (1, 2), None, True, 1.5]
SCALARS = [None, 1, "80", 80, 1.0, "ü", True, "a/b~c"]


def value(r: random.Random, depth: int = 0) -> Any:
    kind = r.random()
    if depth < 2 and kind < 0.3:
        return {r.choice(KEYS): value(r, depth + 1) for _ in range(r.randint(0, 3))}
    if depth < 2 and kind < 0.6:
        return [value(r, depth + 1) for _ in range(r.randint(0, 3))]
    return {1, "s"} if kind < 0.65 else r.choice(SCALARS)


def change(r: random.Random, root: Any) -> None:
    """Change something at or below a root."""
    held = root
    while True:
        inner = held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()
        inner = [each for each in inner if isinstance(each, (dict, list, set))]
        if not inner or r.random() < 0.4:
            break
        held = r.choice(inner)
    kind = r.randint(0, 8)
    if isinstance(held, dict):
        if kind < 4:
            held[r.choice(KEYS)] = value(r)
        elif kind < 6 and held:
            del held[r.choice(list(held))]
        elif kind == 6:
            held.update({r.choice(KEYS): value(r), r.choice(KEYS): value(r)})
        elif r.random() < 0.1:
            held.clear()
    elif isinstance(held, list):
        n = r.randint(0, len(held))
        if kind < 3:
            held.append(value(r))
        elif kind == 3:
            held.insert(n, value(r))
        elif kind == 4 and held:
            del held[n - 1]
        elif kind == 5:
            held[n : n + r.randint(0, 2)] = [value(r) for _ in range(r.randint(0, 2))]
        elif kind == 6:
            held.extend([value(r), value(r)])
        elif kind == 7 and held:
            held[n - 1] = value(r)
        elif r.random() < 0.3:
            held.reverse()
    elif kind < 5:
        held.add(r.choice(["s", 1, "t/u"]))
    else:
        held.discard(r.choice(["s", 1, "t/u"]))


STARTS: list[Any] = [{"l": [1, {"m": 2}], "d": {"e": {"f": 1}}}, [{"a": 1}, [2]], {}]


def record(path: pathlib.Path, seed: int, count: int = 25) -> None:
    """Write the log of a random session."""
    r = random.Random(seed)
    root = track(STARTS[seed % len(STARTS)])
    process.start(path)
    for _ in range(count):
        with tracking_actor(r.choice(["ann", "bob", "it's"])):
            change(r, root)
    process.stop()


def pointers(data: Any, at: str = "") -> Iterator[str]:
    """Yield the pointer of every value."""
    yield at
    if isinstance(data, dict):
        pairs: Any = data.items()
    elif isinstance(data, (list, tuple)):
        pairs = enumerate(data)
    else:
        pairs = ((each, each) for each in data) if isinstance(data, (set, frozenset)) else ()
    for key, each in pairs:
        yield from pointers(each, at + to_pointer((key,)))
