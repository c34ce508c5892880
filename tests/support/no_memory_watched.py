"""Make every allocation of every watched change fail, and look.

The program's own call is done or raises MemoryError, as without a watch. The change is recorded, or the log knows that
it lacks one: it leads back to no state from before, and `Watch.missed` counts it. Nothing crashes.

    python tests/support/no_memory_watched.py [--sample N] [--verbose] [word ...]

See no_memory.py, which does the same for tracked containers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from no_memory import asked, injected

from pydatatracker import HistoryLostError, _core, watch

# CPython tells of a copy into an empty dict before it makes it, so what fails afterwards has been recorded already.
NOT_MADE = "recorded before the interpreter failed"


class Thing:
    """An object with attributes."""


class Slotted:
    """An object with slots."""

    __slots__ = ("x", "y")

    def __init__(self) -> None:
        self.x: Any = 1
        self.y: Any = {"k": 1}


def new_data(name: str = "") -> dict[str, Any]:
    thing = Thing()
    thing.x, thing.y = 1, {"k": 1}  # type: ignore[attr-defined]  # attributes of any name are the point
    slots = {"z": {"s": Slotted()}} if "slot" in name or "clear" in name else {}
    many = {str(n): Slotted() for n in range(20)} if "many" in name else {}
    return {"a": 1, "c": [[1], {"u": 1}], "e": {}, "p": thing, **slots, **many}


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "store": lambda d: d.__setitem__("a", 10),
    "new key": lambda d: d.__setitem__("n", 10),
    "new list": lambda d: d.__setitem__("a", [[1], {"k": [2]}]),
    "new object": lambda d: d.__setitem__("o", new_data()["p"]),
    "delete": lambda d: d.__delitem__("c"),
    "clear": lambda d: d.clear(),
    "clear of many objects": lambda d: d.clear(),
    "update": lambda d: d.update({"a": 1, "q": {"r": 1}}),
    "popitem": lambda d: d.popitem(),
    "fill": lambda d: d["e"].update({"x": 1, "y": [1]}),
    "attribute": lambda d: setattr(d["p"], "x", [5]),
    "append": lambda d: d["c"].append({"z": 1}),
    "pop of a list": lambda d: d["c"].pop(),
    "another __dict__": lambda d: setattr(d["p"], "__dict__", {"b": [1]}),
    "slot": lambda d: setattr(d["z"]["s"], "x", 5),
    "slot with a list": lambda d: setattr(d["z"]["s"], "x", [5]),
    "slot that held a dict": lambda d: setattr(d["z"]["s"], "y", Slotted()),
    "delete a slot": lambda d: delattr(d["z"]["s"], "y"),
    "new object with slots": lambda d: d.__setitem__("a", Slotted()),
    "the end of an object with slots": lambda d: d["z"].__setitem__("s", None),
    "the end of an object": lambda d: d.__setitem__("p", None),
}


def frozen(value: Any) -> Any:
    """Return the content as plain values that compare."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        return [frozen(item) for item in value]
    if isinstance(value, Slotted):
        return {name: frozen(getattr(value, name)) for name in ("x", "y") if hasattr(value, name)}
    return frozen(vars(value)) if isinstance(value, Thing) else value


def warm_up(name: str) -> None:
    data = new_data(name)
    watched = watch(data)
    seq = _core.newest_seq()
    CHANGES[name](data)
    watched.tracking_changes()
    watched.tracking_state_at(seq)
    watched.tracking_verify()
    watched.close()


def one(name: str, start: int, stop: int) -> str:
    """Make one change with failing allocations.

    Return "done", "ok", or what is wrong.
    """
    import _testcapi

    warm_up(name)
    data = new_data(name)
    watched = watch(data)
    watched.tracking_changes()
    before = frozen(data)
    seq = _core.newest_seq()
    error: BaseException | None = None
    _testcapi.set_nomemory(start, stop)
    try:
        CHANGES[name](data)
    except BaseException as raised:
        error = raised
    finally:
        _testcapi.remove_mem_hooks()
    if error is not None and not isinstance(error, (MemoryError, SystemError)):
        return f"raised {type(error).__name__}: {error}"
    after = frozen(data)
    changes = [change for change in watched.tracking_changes() if change.seq > seq]
    log = _core.logs(watched)[-1]
    log._check()
    if log.last_missed > seq:
        return "ok" if watched.missed else "the log lacks a change that Watch.missed does not count"
    if after != before and not changes:
        return "changed and not recorded"
    if name == "fill" and error is not None and after == before and changes:
        return NOT_MADE
    try:
        rewound = frozen(watched.tracking_state_at(seq))
    except HistoryLostError:
        return "the history is lost and the log does not know why"
    if rewound != before:
        return "the records do not lead back"
    found = watched.tracking_verify()
    if found is not None:
        return f"tracking_verify: {str(found)[:100]}"
    return "ok" if error is not None or watched.missed else "done"


def main() -> int:
    """Run the changes that are selected and print the table."""
    arguments = asked(__doc__)
    tried = failed = 0
    print(f"{'watched':46} {'tried':>6} {'failed':>6}  what is wrong")
    for name in CHANGES:
        if arguments.words and not any(word in name for word in arguments.words):
            continue
        counts: dict[str, int] = {}
        row_tried = 0
        for every in (False, True):
            for n, result in injected(functools.partial(one, name), every, arguments.sample):
                row_tried += 1
                if result in ("ok", "done"):
                    continue
                counts[result] = counts.get(result, 0) + 1
                failed += result != NOT_MADE
                if arguments.verbose:
                    print(f"   {name}, {'from ' if every else ''}{n}: {result}", flush=True)
        tried += row_tried
        said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(f"{name:46} {row_tried:6} {sum(counts.values()):6}  {said}", flush=True)
    print(f"{'all':46} {tried:6} {failed:6}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
