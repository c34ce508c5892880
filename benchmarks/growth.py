"""Measure how cost grows: `just benchmark-growth [--quick] [AXIS ...]`.

Each curve is one operation at the sizes of one axis. Its exponent is the slope of the straight line through log cost
against log size (least squares): 0 means that the size does not matter, 1 that twice the size costs twice as much. A
fixed cost hides growth at small sizes, so the exponent of the three largest sizes stands beside it. A curve is marked
if its exponent is larger than expected by more than 0.15, or that of the largest sizes by more than 0.5, since caches
count there. 0 is expected of what need not look at everything.

A time is the fastest of several turns, per operation and with the loop around it. All turns of a curve touch the same
items, spread over the container, so that the processor's caches count as little as possible. The plots need matplotlib,
which the recipe installs.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import math
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, watch
from pydatatracker.io import to_line

ROOT = Path(__file__).resolve().parent.parent
TOO_MUCH = 0.15  # an exponent that is larger than expected by more is marked
TOO_MUCH_AT_END = 0.5  # the same for the three largest sizes, which do not fit into the processor's caches
OPERATIONS = 1000  # in one turn
SECONDS = 0.4  # of turns, for each size
TURNS = 3  # at least
STORES = 400_000  # by all threads together, in one turn

HISTORY = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
ITEMS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
LEVELS = (1, 2, 5, 10, 20, 50)
OBSERVERS = (0, 1, 2, 5, 10, 20, 50, 100)
THREADS = (1, 2, 4, 8)
PARENTS = (1, 3, 8, 10, 30, 100, 300, 1_000)
AGENTS = (10, 30, 100, 300, 1_000, 3_000, 10_000)

fresh = iter(range(10**6, 10**12))  # each value is another object


@dataclass
class Turn:
    """What is timed, how many operations that is, and what precedes it."""

    run: Callable[[], object]
    operations: int = OPERATIONS
    before: Callable[[], object] = lambda: None


@dataclass
class Curve:
    """One operation at all sizes of its axis."""

    name: str
    prepare: Callable[[int], Turn]
    expected: float = 0
    why: str = ""
    costs: dict[int, float] = field(default_factory=dict)  # size to nanoseconds

    def exponent(self, largest: int = 0) -> float:
        """Return the exponent of all sizes from 1 on, or the largest few."""
        points = [(math.log(size), math.log(cost)) for size, cost in self.costs.items() if size]
        sizes, costs = zip(*points[-largest:], strict=True)
        return round(statistics.linear_regression(sizes, costs).slope, 2) + 0.0  # which is no -0.0

    def grows_too_much(self) -> bool:
        """Return True if an exponent is clearly larger than expected."""
        return self.exponent() > self.expected + TOO_MUCH or self.exponent(3) > self.expected + TOO_MUCH_AT_END


@dataclass
class Axis:
    """What grows, and the curves that are measured along it."""

    what: str
    sizes: Sequence[int]
    curves: list[Curve]


def stores(places: Sequence[tuple[Any, Any]], operations: int = OPERATIONS) -> Turn:
    """Return a turn that stores fresh values into (container, key)."""
    where = [places[i % len(places)] for i in range(operations)]

    def run() -> None:
        for (container, key), value in zip(where, fresh, strict=False):
            container[key] = value

    return Turn(run, operations)


def calls(call: Callable[[], object], operations: int = OPERATIONS, before: Callable[[], object] = int) -> Turn:
    """Return a turn that calls something several times."""

    def run() -> None:
        for _ in range(operations):
            call()

    return Turn(run, operations, before)


# history: a ring that is full, so that each store drops the oldest record


def long_history(n: int) -> TrackedDict[str, int]:
    """Return a dict whose ring holds n records and is full."""
    d: TrackedDict[str, int] = TrackedDict(a=0, tracking_max_changes=n)
    for value, _ in zip(fresh, range(n), strict=False):
        d["a"] = value
    return d


def store_with_history(n: int) -> Turn:
    """Prepare stores into a dict with a long history."""
    return stores([(long_history(n), "a")])


def last_change_of_history(n: int) -> Turn:
    """Prepare queries of the last change of a long history."""
    return calls(long_history(n).last_change)


def changes_since_of_history(n: int) -> Turn:
    """Prepare queries of what changed since the last change."""
    d = long_history(n)
    last = d.last_change()
    assert last is not None
    return calls(lambda: d.changes_since(last.seq))


def undo_of_history(n: int) -> Turn:
    """Prepare undos of one change each, after the first undo."""
    d = long_history(n)
    d.tracking_undo()
    return calls(d.tracking_undo, 100, stores([(d, "a")], 100).run)


def first_undo_of_history(n: int) -> Turn:
    """Prepare the first undo of a dict."""
    kept: list[Any] = []

    def before() -> None:
        kept[:] = [long_history(n)]

    return Turn(lambda: kept[0].tracking_undo(), 1, before)


def last_change_of_quiet_part(n: int) -> Turn:
    """Prepare queries of a part that changed before all the others."""
    d: TrackedDict[str, Any] = TrackedDict(a=0, part=TrackedDict(b=0), tracking_max_changes=n)
    d["part"]["b"] = 1
    for value, _ in zip(fresh, range(n - 2), strict=False):
        d["a"] = value
    part = d["part"]
    return Turn(lambda: (part.last_change(), d), 1)


def blame_of_history(n: int) -> Turn:
    """Prepare queries of who stored last."""
    d = long_history(n)
    return calls(lambda: d.tracking_blame("/a"), 1)


def revert_of_history(n: int) -> Turn:
    """Prepare going back to before the last change."""
    d = long_history(n)
    before: list[Any] = []

    def change() -> None:
        before[:] = [d.last_change()]
        d["a"] = next(fresh)

    return Turn(lambda: d.tracking_revert_to(before[0]), 1, change)


def difference(d: TrackedDict[Any, Any], method: str) -> Turn:
    """Prepare queries of what differs from before the last change."""
    key = next(iter(d))
    d[key] = next(fresh)
    last = d.last_change()
    assert last is not None
    d[key] = next(fresh)
    return calls(lambda: getattr(d, method)(since=last.seq), 1)


# container: as many small containers as are needed, so that a turn does not make them much larger


def spread(n: int) -> tuple[int, list[int]]:
    """Return the number of containers, and keys spread over each."""
    keys = min(n, OPERATIONS)
    return OPERATIONS // keys, [i * n // keys for i in range(keys)]


def store_in_dict(n: int) -> Turn:
    """Prepare stores to keys of a dict of n items."""
    many, keys = spread(n)
    dicts = [TrackedDict.fromkeys(range(n), 0) for _ in range(many)]
    return stores([(d, key) for d in dicts for key in keys])


def store_in_list(n: int) -> Turn:
    """Prepare stores to indexes of a list of n items."""
    many, keys = spread(n)
    lists = [TrackedList([0] * n) for _ in range(many)]
    return stores([(items, key) for items in lists for key in keys])


def delete_from_dict(n: int) -> Turn:
    """Prepare deletions of keys of a dict of n items."""
    many, keys = spread(n)
    where = [(d, key) for d in [TrackedDict.fromkeys(range(n), 0) for _ in range(many)] for key in keys]

    def run() -> None:
        for d, key in where:
            del d[key]

    def before() -> None:
        for d, key in where:
            d[key] = 0

    return Turn(run, len(where), before)


def append_to_list(n: int) -> Turn:
    """Prepare appending to a list of n items."""
    many, keys = spread(n)
    lists = [TrackedList([0] * n) for _ in range(many)]
    where = [items for items in lists for _ in keys]

    def run() -> None:
        for items, value in zip(where, fresh, strict=False):
            items.append(value)

    def before() -> None:
        for items in lists:
            del items[n:]

    return Turn(run, len(where), before)


def add_to_set(n: int, discard: bool = False) -> Turn:
    """Prepare adding to a set of n elements, or discarding."""
    many, keys = spread(n)
    where = [(elements, n + key) for elements in [TrackedSet(range(n)) for _ in range(many)] for key in keys]

    def add() -> None:
        for elements, key in where:
            elements.add(key)

    def remove() -> None:
        for elements, key in where:
            elements.discard(key)

    return Turn(remove, len(where), add) if discard else Turn(add, len(where), remove)


def last_change_of_dict(n: int) -> Turn:
    """Prepare queries of the last change of a dict of n items."""
    d = TrackedDict.fromkeys(range(n), 0)
    d[0] = 1
    return calls(d.last_change)


def one_each(make: Callable[[], Any], n: int, run: Callable[[Any], object], before: Callable[[Any], object]) -> Turn:
    """Return a turn of one operation in each of some containers."""
    many = [make() for _ in range(max(1, 10_000 // n))]

    def prepare() -> None:
        for each in many:
            before(each)

    def run_all() -> None:
        for each in many:
            run(each)

    return Turn(run_all, len(many), prepare)


def insert_into_list(n: int) -> Turn:
    """Prepare insertions at the front of a list of n items."""
    return one_each(lambda: TrackedList([0] * n), n, lambda items: items.insert(0, 0), lambda items: items.pop())


def insert_before_dicts(n: int) -> Turn:
    """Prepare insertions before n dicts that changed since the last."""

    def change(items: Any) -> None:
        if len(items) > n:
            del items[0]
        for each, value in zip(items, fresh, strict=False):
            each["a"] = value

    return one_each(
        lambda: TrackedList(TrackedDict(a=0) for _ in range(n)), n, lambda items: items.insert(0, 0), change
    )


def undo_of_deletion(n: int) -> Turn:
    """Prepare undos of the deletion of a key in the middle."""

    def make() -> TrackedDict[int, int]:
        d = TrackedDict.fromkeys(range(n), 0)
        d[0] = 1
        d.tracking_undo()
        return d

    return one_each(make, n, lambda d: d.tracking_undo(), lambda d: d.__delitem__(n // 2))


def first_undo_of_dicts(n: int) -> Turn:
    """Prepare the first undo of a dict of n dicts."""
    fresh_dicts: list[Any] = [None] * max(1, 10_000 // n)

    def before() -> None:
        for i in range(len(fresh_dicts)):
            fresh_dicts[i] = TrackedDict({key: TrackedDict() for key in range(n)})
            fresh_dicts[i][0] = 1

    def run() -> None:
        for d in fresh_dicts:
            d.tracking_undo()

    return Turn(run, len(fresh_dicts), before)


def undo_in_dict(n: int) -> Turn:
    """Prepare undos of stores in a dict of n items."""
    d = TrackedDict.fromkeys(range(n), 0)
    d[0] = 1
    d.tracking_undo()
    return calls(d.tracking_undo, 100, stores([(d, key) for key in spread(n)[1]], 100).run)


# depth: dicts in dicts


def innermost(n: int) -> tuple[Any, Any]:
    """Return a dict in n - 1 others, and the outermost."""
    top = d = TrackedDict(a=0)
    for _ in range(n - 1):
        top = TrackedDict(inner=top)
    return d, top


def store_at_depth(n: int) -> Turn:
    """Prepare stores into the innermost dict."""
    d, top = innermost(n)
    turn = stores([(d, "a")])
    return Turn(lambda: (turn.run(), top), turn.operations)


def changes_at_depth(n: int, use: Callable[[Any], object]) -> Turn:
    """Prepare the use of new changes of the innermost dict."""
    d, top = innermost(n)
    changes: list[Any] = []

    def before() -> None:
        stores([(d, "a")]).run()
        changes[:] = top.tracking_changes(OPERATIONS)

    def run() -> None:
        for change in changes:
            use(change)

    return Turn(run, OPERATIONS, before)


# observers


def observed(n: int, **options: Any) -> Turn:
    """Prepare stores into a dict that n callbacks observe."""
    d = TrackedDict(a=0)
    for _ in range(n):
        d.tracking_add_observer(lambda change: None, **options)
    return stores([(d, "a")])


# threads


def in_threads(n: int, in_one: bool) -> Turn:
    """Prepare stores by n threads, each into its own dict or into one."""
    each = STORES // n
    one = TrackedDict.fromkeys(range(n), 0)
    dicts = [one if in_one else TrackedDict.fromkeys(range(n), 0) for _ in range(n)]
    threads: list[threading.Thread] = []
    begin = threading.Event()

    def work(d: Any, key: int) -> None:
        begin.wait()
        for value in range(10**6, 10**6 + each):
            d[key] = value

    def before() -> None:
        begin.clear()
        threads[:] = [threading.Thread(target=work, args=(d, key)) for key, d in enumerate(dicts)]
        for thread in threads:
            thread.start()

    def run() -> None:
        begin.set()
        for thread in threads:
            thread.join()

    return Turn(run, each * n, before)


# parents and agents


class Node(TrackedAttr):
    """A tracked object in a graph."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Plain:
    """The same as a plain object, to be watched."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def shared(n: int, in_one: bool) -> Turn:
    """Prepare stores into a dict in n others, of one tree or of none."""
    d = TrackedDict(a=0)
    parents: Any = [TrackedDict(part=d) for _ in range(n)]
    if in_one:
        parents = TrackedList(parents)
    turn = stores([(d, "a")])
    return Turn(lambda: (turn.run(), parents), turn.operations)


def model_of(n: int, cls: Any) -> tuple[Any, list[Any]]:
    """Return a model and n agents that refer to it."""
    model = cls(agents=TrackedList() if cls is Node else [], time=0)
    agents = [cls(model=model, n=0, part=None) for _ in range(n)]
    model.agents.extend(agents)
    return model, agents


def some_of(agents: list[Any]) -> list[Any]:
    """Return as many agents as a turn has operations, spread evenly."""
    return [agents[i * len(agents) // OPERATIONS] for i in range(OPERATIONS)]


def store_in_agent(n: int, cls: Any = Node) -> Turn:
    """Prepare stores into agents."""
    model, agents = model_of(n, cls)
    kept = (model, watch(model) if cls is Plain else None)
    where = some_of(agents)

    def run() -> object:
        for agent, value in zip(where, fresh, strict=False):
            agent.n = value
        return kept

    return Turn(run)


def store_in_model(n: int) -> Turn:
    """Prepare stores into the model of the agents."""
    model, agents = model_of(n, Node)

    def run() -> object:
        for value, _ in zip(fresh, range(OPERATIONS), strict=False):
            model.time = value
        return agents

    return Turn(run)


def part_of_agent(n: int, cls: Any = Node) -> Turn:
    """Prepare new parts of agents, with a store in another agent each."""
    model, agents = model_of(n, cls)
    kept = (model, watch(model) if cls is Plain else None)
    where = some_of(agents)

    def run() -> object:
        for agent, other, value in zip(where, reversed(where), fresh, strict=False):
            agent.part = cls(n=value)
            other.n = value
        return kept

    return Turn(run)


AXES = {
    "history": Axis("records in the ring", HISTORY, [
        Curve("d[k] = v", store_with_history),
        Curve("last_change()", last_change_of_history),
        Curve("changes_since(last seq)", changes_since_of_history),
        Curve("undo of one", undo_of_history),
        Curve("undo of one, the first time", first_undo_of_history),
        Curve("revert_to before the last change", revert_of_history),
        Curve("blame of the last change", blame_of_history),
        Curve("patch since the last change", lambda n: difference(long_history(n), "tracking_patch")),
        Curve("net changes since the last change", lambda n: difference(long_history(n), "tracking_net_changes")),
        Curve("last_change() of a part, long ago", last_change_of_quiet_part, 1, "searches the records"),
    ]),
    "container": Axis("items in the container", ITEMS, [
        Curve("d[k] = v", store_in_dict),
        Curve("del d[k]", delete_from_dict),
        Curve("l.append(v)", append_to_list),
        Curve("l[i] = v", store_in_list),
        Curve("s.add(v)", add_to_set),
        Curve("s.discard(v)", lambda n: add_to_set(n, discard=True)),
        Curve("last_change()", last_change_of_dict),
        Curve("undo of one", undo_in_dict),
        Curve("undo of one, the first time; dicts", first_undo_of_dicts, 1, "looks for the log of each"),
        Curve("undo of del d[k]", undo_of_deletion, 1, "restores the order"),
        Curve("l.insert(0, v)", insert_into_list, 1, "list moves each"),
        Curve("l.insert(0, v) before changed dicts", insert_before_dicts, 1, "each has a new path"),
        Curve("patch since the last change",
              lambda n: difference(TrackedDict.fromkeys(range(n), 0), "tracking_patch")),
        Curve("net changes since the last change",
              lambda n: difference(TrackedDict.fromkeys(range(n), 0), "tracking_net_changes"), 1, "in document order"),
    ]),
    "depth": Axis("dicts in each other", LEVELS, [
        Curve("d[k] = v in the innermost", store_at_depth),
        Curve("change.path", lambda n: changes_at_depth(n, lambda change: change.path), 1, "has each level"),
        Curve("to_line(change)", lambda n: changes_at_depth(n, to_line), 1, "has each level"),
    ]),
    "observers": Axis("observers of one dict", OBSERVERS, [
        Curve("d[k] = v", observed, 1, "each is called"),
        Curve("d[k] = v, other paths observed", lambda n: observed(n, path="/b/*"), 1, "each path is compared"),
    ]),
    "threads": Axis("threads", THREADS, [
        Curve("d[k] = v, a dict for each", lambda n: in_threads(n, in_one=False)),
        Curve("d[k] = v, all in one dict", lambda n: in_threads(n, in_one=True)),
    ]),
    "parents": Axis("containers that hold one dict", PARENTS, [
        Curve("d[k] = v, held within one tree", lambda n: shared(n, in_one=True)),
        Curve("d[k] = v, held by as many roots", lambda n: shared(n, in_one=False)),
    ]),
    "agents": Axis("agents that refer to their model", AGENTS, [
        Curve("store in an agent", store_in_agent),
        Curve("store in the model", store_in_model),
        Curve("part of an agent, store in another", part_of_agent),
        *([
            Curve("store in a watched agent", lambda n: store_in_agent(n, Plain)),
            Curve("watched part, store in another", lambda n: part_of_agent(n, Plain)),
        ] if sys.version_info >= (3, 12) else []),
    ]),
}  # fmt: skip


def fastest(turn: Turn, turns: int, seconds: float) -> float:
    """Return the nanoseconds per operation of the fastest turn."""
    best, spent, done = math.inf, 0.0, 0
    while done < turns or (spent < seconds and done < 1000):
        turn.before()
        gc.collect(0)
        gc.disable()
        start = time.perf_counter()
        turn.run()
        taken = time.perf_counter() - start
        gc.enable()
        best, spent, done = min(best, taken), spent + taken, done + 1
    return best * 1e9 / turn.operations


def measured(axis: Axis, quick: bool) -> Iterator[Curve]:
    """Yield each curve of an axis as soon as it has its costs."""
    for curve in axis.curves:
        for size in axis.sizes[:3] if quick else axis.sizes:
            curve.costs[size] = fastest(curve.prepare(size), *((2, 0.0) if quick else (TURNS, SECONDS)))
            gc.collect()
        yield curve


def row(curve: Curve) -> str:
    """Return the line of a curve in the table."""
    smallest, *_, largest = curve.costs.values()
    expected = f"{curve.expected:g}" + (f" ({curve.why})" if curve.why else "")
    mark = "  <- more than expected" if curve.grows_too_much() else ""
    return (
        f"  {curve.name:36}{smallest:12,.0f}{largest:14,.0f}"
        f"{curve.exponent():10.2f}{curve.exponent(3):8.2f}  {expected}{mark}"
    )


def draw(axes: Sequence[Axis], path: Path) -> None:
    """Draw a panel for each axis, with the exponents in its legend.

    Dashed curves are expected to grow.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    columns = min(2, len(axes))
    rows = math.ceil(len(axes) / columns)
    figure = Figure(figsize=(10 * columns, 4.5 * rows), layout="constrained")
    for number, axis in enumerate(axes, 1):
        panel = figure.add_subplot(rows, columns, number)
        panel.set_prop_cycle(color=mpl.colormaps["tab20"].colors)
        for curve in axis.curves:
            style = ".--" if curve.expected else ".-"
            panel.plot(*zip(*curve.costs.items(), strict=True), style, label=f"{curve.name}: {curve.exponent():.2f}")
        panel.set_xscale("symlog" if 0 in axis.sizes else "log")  # symlog shows 0, too
        panel.set_yscale("log")
        low, high = panel.get_ylim()
        panel.set_ylim(low, max(high, 10 * low))  # so that a flat curve looks flat
        panel.set_xlabel(axis.what)
        panel.set_ylabel("nanoseconds per operation")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Measure what the arguments name, print it, and draw it."""
    parser = argparse.ArgumentParser(description="Measure how cost grows, and draw it.")
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"some of {', '.join(AXES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="the three smallest sizes, twice: to try the program")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "growth.svg", help="where to write the plots")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.axes if name not in AXES]:
        parser.error(f"no such axis: {', '.join(unknown)}; there are {', '.join(AXES)}")
    if arguments.quick:
        global STORES
        STORES = 8_000
    gil = "with the GIL" if getattr(sys, "_is_gil_enabled", lambda: True)() else "without the GIL"
    print(f"CPython {sys.version.split()[0]}, {gil}")
    print(
        f"{'ns per operation, and how it grows':38}{'smallest':>12}{'largest':>14}{'exponent':>10}{'end':>8}  expected"
    )
    axes = [AXES[name] for name in arguments.axes or AXES]
    for axis in axes:
        sizes = axis.sizes[:3] if arguments.quick else axis.sizes
        print(f"{axis.what}, {sizes[0]:,} to {sizes[-1]:,}")
        for curve in measured(axis, arguments.quick):
            print(row(curve), flush=True)
    if importlib.util.find_spec("matplotlib") is None:
        print("no plots: matplotlib is not installed; `just benchmark-growth` installs it")
    else:
        draw(axes, arguments.output)
        print(arguments.output)


if __name__ == "__main__":
    main()
