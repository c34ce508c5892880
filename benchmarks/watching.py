"""Measure what a watch costs: `just benchmark-watching`.

Each row compares the same code unwatched and watched, in turns within one process; the fastest turn of each counts. The
last rows are programs of pyperformance in a process that watches something else: they should not notice. pyperformance
is installed under build/, with a folder of its own.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pydatatracker import watch

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "pyperformance"
SUITE = SITE / "pyperformance" / "data-files" / "benchmarks"
TURNS = 15
OBJECTS = 20_000


class Order:
    """An object with two attributes."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.total = n


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    call()
    taken = time.perf_counter() - start
    gc.enable()
    return taken


def in_turns(
    call: Callable[[], Any], watched: Callable[[], AbstractContextManager[Any]], turns: int = TURNS
) -> tuple[float, float]:
    """Return the fastest turn without and with a watch."""
    best = [float("inf")] * 2
    for _ in range(turns):
        for i, scope in enumerate((nullcontext, watched)):
            with scope():
                best[i] = min(best[i], seconds(call))
    return best[0], best[1]


def show(name: str, without: float, with_: float, scale: float, unit: str) -> None:
    """Print one row."""
    print(f"{name:46}{without * scale:10.1f}{with_ * scale:10.1f} {unit:5}{with_ / without:7.2f}", flush=True)


def stores() -> None:
    """Measure stores, births and comparing."""
    n = 50_000
    values = [{"a": i + 1000} for i in range(n)]
    fresh = [i + 10**6 for i in range(n)]
    d: dict[str, Any] = {"a": 0}
    order = Order(0)
    items: list[int] = []
    holder = {"items": items, "n": 0}

    def store() -> None:
        for each in fresh:
            d["a"] = each

    def attribute() -> None:
        for each in fresh:
            order.total = each

    def add_dicts() -> None:
        for each in values:
            d["a"] = each

    def append() -> None:
        items.clear()
        for each in fresh[:1000]:
            items.append(each)

    def append_and_store() -> None:
        items.clear()
        for each in fresh[:1000]:
            items.append(each)
            holder["n"] = each

    def births() -> None:
        for each in fresh[:10_000]:
            Order(each)

    ns = 1e9 / n
    show("d[k] = v", *in_turns(store, lambda: watch(d)), ns, "ns")
    show("o.attr = v", *in_turns(attribute, lambda: watch(order)), ns, "ns")
    show("d[k] = another dict", *in_turns(add_dicts, lambda: watch(d), 5), ns, "ns")
    show("list.append, list below a watch", *in_turns(append, lambda: watch(holder)), 1e6, "ns")
    show("list.append and a store beside it", *in_turns(append_and_store, lambda: watch(holder), 5), 1e6, "ns")
    show("new object of a watched class", *in_turns(births, lambda: watch(Order), 5), 1e5, "ns")


class Agent:
    """An object that refers to what holds it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.wealth = 1
        self.part: Any = None


class Model:
    """What holds the agents."""

    def __init__(self, n: int) -> None:
        self.agents = tuple(Agent(self) for _ in range(n))


def graphs() -> None:
    """Measure a new link with a store elsewhere, in graphs of two sizes."""
    turns = 500
    for n in (100, 10_000):
        model = Model(n)
        rows = [{"n": 0, "part": {"a": 0}} for _ in range(n)]
        table = {"first": dict(enumerate(rows)), "second": dict(enumerate(rows))}

        def part(model: Model = model, n: int = n) -> None:
            for i in range(turns):
                model.agents[i % n].part = {"a": {"b": i}}
                model.agents[i * 31 % n].wealth = i

        def move(table: Any = table, rows: Any = rows, n: int = n) -> None:
            for i in range(turns):
                table["second"][i % n] = table["second"].pop(i % n)
                rows[i * 31 % n]["n"] = i

        us = 1e6 / turns
        show(f"part of one of {n} agents, store in another", *in_turns(part, lambda m=model: watch(m), 5), us, "us")
        show(f"move one of {n} rows, store in another", *in_turns(move, lambda t=table: watch(t), 5), us, "us")
        if importlib.util.find_spec("networkx") is not None:
            edges_of_networkx(n, turns)


def edges_of_networkx(n: int, turns: int) -> None:
    """Measure a new edge of a DiGraph, with a store in another one."""
    import networkx

    graph = networkx.DiGraph((i, (i * 7 + 1) % n) for i in range(n))
    data = [each for _, _, each in graph.edges(data=True)]
    new = iter(range(n, 10**9))

    def add() -> None:
        for i in range(turns):
            graph.add_edge(next(new), i % n)
            data[i * 31 % n]["w"] = i

    show(f"DiGraph of {n}: add_edge, store in another", *in_turns(add, lambda: watch(graph), 5), 1e6 / turns, "us")


def beginnings() -> None:
    """Measure how long it takes to begin a watch, beside a deep copy."""
    graph = {"all": [{"n": n, "d": {"k": n}} for n in range(50_000)]}
    copied, begun = float("inf"), float("inf")
    for _ in range(5):
        copied = min(copied, seconds(lambda: copy.deepcopy(graph)))
        made: list[Any] = []
        begun = min(begun, seconds(lambda made=made: made.append(watch(graph, max_objects=200_000))))
        made[0].close()
    print(
        f"{'watch of 100,001 objects, beside deepcopy':46}{copied * 1e3:10.1f}{begun * 1e3:10.1f} ms   "
        f"{begun / copied:7.2f}"
    )


def memory() -> None:
    """Print what watching adds to an object of each kind."""
    kinds: dict[str, Callable[[int], Any]] = {
        "dict of one item": lambda n: {"n": n},
        "list of one item": lambda n: [n],
        "object of two attributes": Order,
    }
    for name, make in kinds.items():
        tracemalloc.start()
        holder = {"all": {n: make(n) for n in range(OBJECTS)}}
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        w = watch(holder)
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / OBJECTS
        w.close()
        tracemalloc.stop()
        print(f"{'memory of a watched ' + name:46}{'':10}{each:10.0f} bytes")


def growth() -> None:
    """Print by how much the memory grows with short-lived objects."""
    with watch(Order):
        tracemalloc.start()
        sizes = []
        for count in (100_000, 1_000_000):
            for n in range(count):
                Order(n)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    print(f"{'growth in 1,000,000 objects of a watched class':46}{'':10}{sizes[1] - sizes[0]:10} bytes")


def benchmark(name: str) -> Any:
    """Return a benchmark of pyperformance as a module."""
    spec = importlib.util.spec_from_file_location(name, SUITE / f"bm_{name}" / "run_benchmark.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def programs() -> None:
    """Measure unwatched programs, beside a watch of something else."""
    if not SUITE.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", SITE, "pyperformance", "pyperf"]
        subprocess.run(command, check=True)
    sys.path.insert(0, str(SITE))
    richards, deltablue, dumps = (benchmark(name) for name in ("richards", "deltablue", "json_dumps"))
    data = [(getattr(dumps, case)[0], range(max(1, getattr(dumps, case)[1]))) for case in ("EMPTY", "SIMPLE", "NESTED")]
    elsewhere = {"inner": [{"n": n} for n in range(100)]}
    calls: dict[str, Callable[[], Any]] = {
        "richards": lambda: richards.Richards().run(1),
        "deltablue": lambda: deltablue.delta_blue(1000),
        "json_dumps": lambda: dumps.bench_json_dumps(data),
    }
    for name, call in calls.items():
        show(f"{name}, with a watch elsewhere", *in_turns(call, lambda: watch(elsewhere), 31), 1e3, "ms")


if __name__ == "__main__":
    print(f"CPython {sys.version.split()[0]}{'':28}unwatched   watched        ratio")
    stores()
    graphs()
    beginnings()
    memory()
    growth()
    programs()
