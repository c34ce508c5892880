"""Threads on one tree: moves, readers, observers, garbage collection."""

from __future__ import annotations

import gc
import operator
import threading

from in_threads import ROUNDS, THREADS, judge, run, switch_often
from restless import restless

from pydatatracker import MISSING, TrackedDict, TrackedList, TrackedSet, track

__all__ = ["switch_often"]  # the fixtures


def test_one_tree_from_many_threads() -> None:
    """Threads that change one tree share one log, complete and in order."""
    doc = TrackedDict({n: TrackedList() for n in range(THREADS)}, common=TrackedDict(), tracking_max_changes=None)
    rounds = ROUNDS // 2

    def work(n: int) -> None:
        for i in range(rounds):
            doc[n].append(i)
            doc["common"][str(n)] = i
            if i % 10 == 0:
                doc[n] = TrackedList(doc[n])

    assert run(work) == []
    doc._check()
    changes = doc.tracking_changes()[1:]
    assert [c.seq for c in changes] == sorted({c.seq for c in changes})
    assert len(changes) == THREADS * (2 * rounds + (rounds + 9) // 10)
    for n in range(THREADS):
        assert doc[n] == list(range(rounds))
        assert [c.after for c in changes if c.path[0] == n and len(c.path) == 2] == list(range(rounds))


def test_a_child_that_moves_while_others_change_it() -> None:
    """A child that moves while others change it loses no change of its view."""
    child = TrackedList(tracking_max_changes=None)
    doc = TrackedDict(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            if n == 0:
                doc["a"] = child
                doc.pop("a")
            elif n == 1:
                doc["b"] = [child]
                doc["b"] = child
            else:
                child.append((n, i))

    assert run(work) == []
    doc._check()
    child._check()
    mine = [c for c in child.tracking_changes() if c.tracked_item_uuid == child.tracking_uuid and c.action != "init"]
    assert len(mine) == (THREADS - 2) * ROUNDS == len(child)
    assert [c.after for c in mine] == list(child)


def test_readers_beside_writers() -> None:
    """Reading changes, snapshots and texts while others write raises nothing."""
    doc = TrackedDict(
        {str(n): TrackedList() for n in range(4)}, tracking_capture_snapshots=True, tracking_max_changes=64
    )

    def work(n: int) -> None:
        for i in range(ROUNDS // 5):
            if n % 2:
                doc[str(n // 2)].append(i)
                doc["x"] = i
                if len(doc[str(n // 2)]) > 20:
                    doc[str(n // 2)].clear()
            else:
                for change in doc.tracking_changes(5):
                    repr(change)
                    assert change.extra["action"] == change.action
                    assert change.before is MISSING or change.before is not None
                doc.last_change()
                doc.changes_since(doc.last_change())

    assert run(work) == []
    doc._check()


def test_observers_in_many_threads_get_each_change_once() -> None:
    """Each change is reported once, in the thread that made it."""
    d = TrackedDict(tracking_max_changes=None)
    heard: list[tuple[int, int]] = []
    d.tracking_add_observer(lambda change: heard.append((change.seq, threading.get_ident())))
    threads: dict[int, int] = {}

    def work(n: int) -> None:
        threads[n] = threading.get_ident()
        for i in range(ROUNDS):
            d[str(n)] = i

    assert run(work) == []
    assert sorted(seq for seq, _ in heard) == [c.seq for c in d.tracking_changes()[1:]]
    by_seq = {c.seq: c.location for c in d.tracking_changes()[1:]}
    assert all(threads[int(by_seq[seq])] == thread for seq, thread in heard)


def test_a_collection_in_the_middle_of_a_call_leaves_no_gap() -> None:
    """A garbage collection in the middle of a call leaves no gap in the log.

    A callback of the collector is Python code: other threads run wherever a call makes an object.
    """
    d, items, s = (kind(tracking_max_changes=None) for kind in (TrackedDict, TrackedList, TrackedSet))

    def callback(phase: str, info: dict[str, int]) -> None:
        for _ in range(20):
            pass

    def work(n: int) -> None:
        for i in range(ROUNDS // 4):
            d.update([(str(i % 5), [n]), (n, i)])
            d.update({str(i % 7): (n, i), "x": [i]})
            d.pop(str(i % 5), None)
            items.extend([n, i])
            items.extend(iter([(n, i)]))
            items[1:2] = [[n], i]
            items.sort(key=str) if i % 50 == n else items.reverse()
            s.update(iter([i % 5, n]))
            operator.ixor(s, {i % 3, -n})
            if i % 20 == n:
                d.clear()
                items.clear()
                s.clear()

    threshold = gc.get_threshold()
    gc.set_threshold(3)
    gc.callbacks.append(callback)
    try:
        failed = run(work)
    finally:
        gc.callbacks.remove(callback)
        gc.set_threshold(*threshold)
    assert [e for e in failed if not isinstance(e, ValueError)] == []
    judge(d, {}, dict(d), past=False)
    judge(items, [], list(items), past=False)
    judge(s, set(), set(s), past=False)


def test_threads_that_sort_and_insert() -> None:
    """Children stay linked when sorts and inserts overlap."""
    x = track([[n] for n in range(20)])

    def work(k: int) -> None:
        for n in range(150):
            try:
                if k % 2:
                    x.sort(key=lambda item: item[0])
                else:
                    x.insert(1, [n])
                    if len(x) > 40:
                        x.pop()
            except (ValueError, IndexError):  # modified during sort; empty while it is sorted
                pass

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    with restless(1e-5):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    x._check()
    assert x.tracking_verify() is None


def test_threads_that_insert_containers() -> None:
    """Inserts of containers from many threads stay in order.

    Linking a child allocates memory: until 3.11 the collector let another thread run before the record was made.
    """
    x = track([[n] for n in range(20)])

    def work(k: int) -> None:
        for n in range(150):
            x.insert(1, [n])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    with restless(1e-5):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert x.tracking_verify() is None
