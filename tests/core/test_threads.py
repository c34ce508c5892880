"""Eight threads on one container: no record is lost, and the log replays.

Bounded loops, no sleeping: a small switch interval makes the threads take turns within statements.
"""

from __future__ import annotations

import gc
import operator
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from calls import Slow
from oracle import apply
from restless import restless

from pydatatracker import MISSING, TrackedAttr, TrackedDict, TrackedList, TrackedSet, track

THREADS = 8
ROUNDS = int(os.environ.get("PYDATATRACKER_ROUNDS", "100"))


class PythonKey(Slow):
    """A key whose ``__eq__`` and ``__hash__`` run interruptible Python."""

    def __eq__(self, other: object) -> bool:
        for _ in range(3):
            found = isinstance(other, Slow) and other.n == self.n
        return found

    def __hash__(self) -> int:
        # No two keys have the same hash: while an unequal key's __eq__ runs, other threads can make CPython's own
        # dict hold a key twice, and its own set crash (3.11); nothing can be checked then.
        return hash(str(self.n))


class Thing(TrackedAttr):
    pass


class Slotted(TrackedAttr):
    __slots__ = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    with restless():
        yield


def run(work: Callable[[int], None]) -> list[BaseException]:
    """Run work(n) in eight threads at once; return what they raised."""
    failed: list[BaseException] = []
    gate = threading.Barrier(THREADS)

    def each(n: int) -> None:
        gate.wait()
        try:
            work(n)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=each, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def judge(container: Any, start: Any, now: Any, past: bool = True) -> list[Any]:
    """Replay the log, and check each record against the state before it.

    The log has no gaps and ends in the present state.
    """
    changes = container.tracking_changes()[1:]
    assert [c.seq for c in changes] == sorted({c.seq for c in changes})
    for change in changes:
        apply(start, change, lambda value: value, check=past)
    assert start == now
    if isinstance(container, dict) and past:
        assert list(start) == list(now)
    container._check()
    return changes


def str_key(n: int) -> Any:
    return f"k{n}"


def same_slow_key(n: int, _shared: list[Any] = [PythonKey(n) for n in range(8)]) -> Any:  # noqa: B006
    return _shared[n]


def new_slow_key(n: int) -> Any:
    return PythonKey(n)


KEYS = pytest.mark.parametrize("key", [str_key, same_slow_key, new_slow_key])


@KEYS
def test_stores_into_one_dict(key: Any) -> None:
    """The `before` of every store is the value that it really replaced."""
    d = TrackedDict(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            d[key(i % 7)] = (n, i)

    assert run(work) == []
    changes = judge(d, {}, dict(d))
    assert len(changes) == THREADS * ROUNDS
    assert {c.after for c in changes} == {(n, i) for n in range(THREADS) for i in range(ROUNDS)}


@KEYS
def test_stores_and_removals_in_one_dict(key: Any) -> None:
    """Stores and removals from many threads replay step by step."""
    d = TrackedDict(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            k = key((i + n) % 7)
            d[k] = (n, i)
            d.pop(key(i % 7), None)
            d.setdefault(k, (n, -i))
            try:
                del d[key((i * 3) % 7)]
            except KeyError:
                pass
            if i % 50 == n:
                d.clear()
            elif i % 10 == n:
                try:
                    d.popitem()
                except KeyError:
                    pass

    assert run(work) == []
    judge(d, {}, dict(d))


@KEYS
def test_updates_of_one_dict(key: Any) -> None:
    """The `before` of every row of a bulk update is what was there."""
    d = TrackedDict(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS // 5):
            d.update({key((i + j) % 7): (n, i, j) for j in range(3)})
            d[key(i % 7)] = (n, i)
            operator.ior(d, {key(n % 7): n})
            d.update([(key(i % 5), n)])
            d.pop(key((i + n) % 7), None)

    assert run(work) == []
    judge(d, {}, dict(d))


def test_calls_on_one_list() -> None:
    """List calls from many threads lose nothing and replay in order."""
    items = TrackedList(tracking_max_changes=None)
    appended = TrackedList(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            appended.append((n, i))
            items.append((n, i))
            items.insert(i % 5, (n, -i))
            items.extend([(n, i, 1), (n, i, 2)])
            items[-1] = (n, i, i)
            items.reverse()
            try:
                items.pop(i % 3)
                items.remove((n, i))
            except (ValueError, IndexError):
                pass
            items[1:3] = [(n, 0)]
            if len(items) > 50:
                del items[::2]
            if i % 50 == n:
                items.sort()

    assert run(work) == []
    judge(items, [], list(items))
    assert len(judge(appended, [], list(appended))) == THREADS * ROUNDS


def test_a_sort_with_a_python_key_against_other_threads() -> None:
    """What list.sort discards of other threads' work is not in the log."""
    items = TrackedList(range(20), tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS // 5):
            if n % 2:
                try:
                    items.sort(key=lambda item: -item if i % 2 else item)
                except ValueError:  # list modified during sort
                    pass
            else:
                items.append(n)
                if items:
                    try:
                        items.pop(0)
                    except IndexError:
                        pass

    assert run(work) == []
    judge(items, list(range(20)), list(items))


def test_values_with_a_python_eq_in_one_list() -> None:
    """list.remove records the item that it removed, also with a Python __eq__."""
    items = TrackedList(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            items.append(PythonKey(i % 7))
            try:
                items.remove(PythonKey((i + n) % 7))
            except ValueError:
                pass

    assert run(work) == []
    judge(items, [], list(items))


# CPython's own set (3.11.7) crashes or hangs where pop, clear and the algebra meet a Python __eq__ in many threads,
# so the two tests below keep them apart.


@KEYS
def test_elements_of_one_set(key: Any) -> None:
    """An element is recorded by the call that really added or removed it."""
    s = TrackedSet(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            s.add(key((i + n) % 7))
            s.discard(key(i % 7))
            try:
                s.remove(key((i * 3) % 7))
                s.pop()
            except KeyError:
                pass
            if i % 50 == n:
                s.clear()

    assert run(work) == []
    judge(s, set(), set(s))


@pytest.mark.parametrize("key", [str_key])  # with a Python __eq__, CPython 3.11's own set crashes in this test
def test_algebra_of_one_set(key: Any) -> None:
    """What a record of set algebra says was added was not there before."""
    s = TrackedSet(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            s.add(key((i + n) % 7))
            s.discard(key(i % 7))
            try:
                s.remove(key((i * 3) % 7))
            except KeyError:
                pass
            if i % 10 == n:
                s.update([key(1), key(2), key(3)])
                s.difference_update([key(2), key(n % 7)])
                operator.ixor(s, {key(3), key(4)})

    failed = run(work)
    # set itself raises where its table changes under a Python __eq__; any other error is ours
    assert [e for e in failed if "changed size during iteration" not in str(e)] == []
    judge(s, set(), set(s))


@pytest.mark.parametrize("made", [Thing, Slotted])
def test_attributes_of_one_object(made: Any) -> None:
    """The `before` of every attribute store is the value that it replaced."""
    thing = made(tracking_max_changes=None)

    def work(n: int) -> None:
        for i in range(ROUNDS):
            setattr(thing, "abc"[i % 3], (n, i))
            if i % 5 == n % 5:
                try:
                    delattr(thing, "abc"[n % 3])
                except AttributeError:
                    pass

    assert run(work) == []
    now = {name: getattr(thing, name) for name in "abc" if hasattr(thing, name)}
    judge(thing, {}, now)


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
