"""Print what a store costs when one or two threads store.

Each beside a plain dict in the same run.

    python benchmarks/threads.py [STORES]

Each cell is the wall time of all stores divided by their number; 1 thread and 2 threads make the same number each. What
two threads gain is the last column: 2 is twice as many stores in the same time, 1 none.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pydatatracker import TrackedDict

ROUNDS = 5


def seconds(threads: int, store: Callable[[int, int], None], stores: int) -> float:
    """Return the least wall time of some rounds of all stores."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = threading.Barrier(threads + 1)

        def work(k: int, begin: threading.Barrier = begin) -> None:
            begin.wait()
            store(k, stores)

        started = [threading.Thread(target=work, args=(k,)) for k in range(threads)]
        for thread in started:
            thread.start()
        begin.wait()
        before = time.perf_counter()
        for thread in started:
            thread.join()
        best = min(best, time.perf_counter() - before)
    return best


def storing(data: list[Any]) -> Callable[[int, int], None]:
    """Return what a thread does: it stores fresh ints into its dict."""

    def store(k: int, stores: int) -> None:
        d = data[k]
        key = f"k{k}"
        for i in range(1000, 1000 + stores):
            d[key] = i

    return store


def main(stores: int) -> None:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(
        f"CPython {sys.version.split()[0]}, {'with' if gil else 'without'} the GIL; {stores:,} stores a thread,"
        f" least of {ROUNDS}"
    )
    print("| | 1 thread, ns | plain dict | 2 threads, ns | plain dict | more stores by the second |")
    print("|---|---|---|---|---|---|")
    for name, several in (("one dict", False), ("a dict of their own each", True)):
        row = []
        for make in (lambda: TrackedDict(tracking_max_changes=1000), dict):
            one: Any = make()
            data = [make(), make()] if several else [one, one]
            row.append([1e9 * seconds(n, storing(data), stores) / (n * stores) for n in (1, 2)])
        (ours, ours_two), (plain, plain_two) = row
        print(
            f"| {name} | {ours:.0f} | {ours / plain:.1f} x | {ours_two:.0f} | {ours_two / plain_two:.1f} x"
            f" | {ours / ours_two:.2f} x |"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
