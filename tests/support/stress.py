"""Eight threads on each kind of data, for as long as asked.

Each kind has a process of its own.

    python tests/support/stress.py [--seconds 30] [--runs 1] [KIND...]

A process works in rounds. In each, the threads change new data at once, and then the log is judged: it replays to the
state, no number is in it twice, and every ``_check()`` holds. A process that crashes or hangs has failed, too. The last
line says how many runs of how many failed; the exit status is 1 if any did.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import operator
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from in_threads import judge, run
from restless import restless

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    tracking_actor,
    tracking_transaction,
)

EVERYTHING: dict[str, Any] = {"tracking_max_changes": None}
KINDS: dict[str, Callable[[int], int]] = {}  # name -> one round; n: calls of each thread; returns calls in all


def kind(round_: Callable[[int], int]) -> Callable[[int], int]:
    """Add a round to the kinds."""
    KINDS[round_.__name__.strip("_")] = round_
    return round_


def at_once(work: Callable[[int], None]) -> None:
    """Run work(n) in eight threads at once; raise what one of them raised."""
    for error in run(work):
        raise error


class Key:
    """A key whose comparison is Python code, which other threads run beside."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and [self.n] == [other.n]

    def __hash__(self) -> int:
        return hash(str(self.n))


@kind
def dicts(n: int) -> int:
    d: Any = TrackedDict(**EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            d[f"k{(i + k) % 11}"] = i
            d.pop(f"k{i % 7}", None)
            d.setdefault(i % 5, k)
            if i % 9 == k:
                d.update({f"k{i % 3}": k, "x": [i]})
                operator.ior(d, {k: i})
            if i % 50 == k:
                d.clear()

    at_once(work)
    judge(d, {}, dict(d), past=False)
    return 8 * n


@kind
def keys(n: int) -> int:
    """Keys and elements with an ``__eq__`` of their own."""
    d: Any = TrackedDict(**EVERYTHING)
    s: Any = TrackedSet(**EVERYTHING)
    own = [Key(i) for i in range(6)]

    def work(k: int) -> None:
        for i in range(n):
            d[own[i % 6] if k % 2 else Key(i % 6)] = (k, i)
            s.add(own[i % 5])
            s.discard(Key(i % 4))

    at_once(work)
    judge(d, {}, dict(d), past=False)
    judge(s, set(), set(s), past=False)
    return 8 * n


@kind
def lists(n: int) -> int:
    items: Any = TrackedList(**EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            items.append((k, i))
            items.extend([i, k])
            items.insert(i % 3, i)
            try:
                items[i % 5] = k
                items.pop()
                items.pop(0)
                items.remove(k)
            except (IndexError, ValueError):  # another thread was faster
                pass
            if i % 40 == k:
                items[1:3] = [k]
                items.reverse()
            if len(items) > 60:
                del items[:]

    at_once(work)
    judge(items, [], list(items), past=False)
    return 8 * n


@kind
def sets(n: int) -> int:
    s: Any = TrackedSet(**EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            s.add(i % 13)
            s.discard((i + k) % 11)
            s.update([k, i % 5])
            if i % 20 == k:
                s.symmetric_difference_update({k, 1, 2})
                s.intersection_update(range(20))
            if i % 90 == k:
                s.clear()

    at_once(work)
    judge(s, set(), set(s), past=False)
    return 8 * n


class Thing(TrackedAttr):
    """An object with a dict."""


@kind
def attributes(n: int) -> int:
    thing: Any = Thing()

    def work(k: int) -> None:
        for i in range(n):
            setattr(thing, f"a{(i + k) % 5}", i)
            if i % 7 == k:
                try:
                    delattr(thing, f"a{k % 5}")
                except AttributeError:
                    pass

    at_once(work)
    thing._check()
    changes = thing.tracking_changes()
    _in_order(changes)
    last: dict[Any, Any] = {}
    for change in changes:
        if change.action in ("add", "update"):
            last[change.location] = change.after
        elif change.action == "remove":
            last.pop(change.location, None)
    if not thing.tracking_dropped:
        assert last == vars(thing), (last, vars(thing))
    return 8 * n


@kind
def twins(n: int) -> int:
    """Change the containers of ``collections``."""
    made: list[Any] = [
        TrackedOrderedDict(**EVERYTHING),
        TrackedDefaultDict(list, **EVERYTHING),
        TrackedCounter(**EVERYTHING),
        TrackedDeque(**EVERYTHING),
    ]
    ordered, default, counter, queue = made

    def work(k: int) -> None:
        for i in range(n):
            ordered[i % 9] = k
            if i % 5 == 0:
                try:
                    ordered.move_to_end(i % 9, last=bool(k % 2))
                    ordered.popitem(last=False)
                except KeyError:
                    pass
            default[i % 6].append(k)
            counter.update("ab"[k % 2])
            queue.append(k)
            queue.appendleft(i)
            if len(queue) > 40:
                try:
                    queue.popleft()
                    queue.rotate(1)
                    queue.pop()
                except IndexError:
                    pass

    at_once(work)
    for each in made:
        each._check()
        assert each.tracking_verify() is None
        _in_order(each.tracking_changes())
    assert dict(counter) == {"a": 4 * n, "b": 4 * n}
    return 8 * n


@kind
def nested(n: int) -> int:
    doc: Any = TrackedDict({k: TrackedList() for k in range(8)}, common=TrackedDict(), **EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            doc[k].append(i)
            doc["common"][f"k{k}"] = {"i": [i]}
            if i % 10 == 0:
                doc[k] = TrackedList(doc[k])

    at_once(work)
    doc._check()
    changes = doc.tracking_changes()[1:]
    _in_order(changes)
    assert len(changes) == 8 * (2 * n + (n + 9) // 10)
    assert all(doc[k] == list(range(n)) for k in range(8))
    assert doc.tracking_verify() is None
    return 8 * n


@kind
def moving(n: int) -> int:
    """Move containers between trees while others change them.

    And let trees die.
    """
    child: Any = TrackedList(**EVERYTHING)
    doc: Any = TrackedDict(**EVERYTHING)
    other: Any = TrackedList(**EVERYTHING)
    shared: Any = TrackedList()  # its records of then go with the trees

    def work(k: int) -> None:
        for i in range(n):
            if k == 0:
                doc["a"] = child
                doc.pop("a")
            elif k == 1:
                doc["b"] = [child]
                doc["b"] = child
            elif k == 2:
                other.append(child)
                del other[0]
            elif k == 3:  # a tree that is gone at once
                TrackedDict(inside=TrackedList([shared]), and_=shared)
            elif k == 4:
                part = TrackedDict(x=1)
                doc["c"] = part
                part["y"] = i
                shared.append(i)
            else:
                child.append((k, i))

    at_once(work)
    for each in (doc, child, other):
        each._check()
        _in_order(each.tracking_changes())
    mine = [c for c in child.tracking_changes() if c.tracked_item_uuid == child.tracking_uuid and c.action != "init"]
    assert [c.after for c in mine] == list(child)
    assert len(child) == 3 * n
    shared._check()
    return 8 * n


@kind
def passing(n: int) -> int:
    """Containers that one thread makes and another one drops."""
    shelf: Any = TrackedDict(**EVERYTHING)
    hands: list[Any] = [None] * 8

    def work(k: int) -> None:
        for i in range(n):
            made = TrackedDict(a=TrackedList([i]))
            shelf[k] = made
            hands[(k + 1) % 8] = made
            given = hands[k]
            if given is not None:
                given["a"].append(k)
                given.tracking_changes()
            hands[k] = None

    at_once(work)
    shelf._check()
    _in_order(shelf.tracking_changes())
    return 8 * n


@kind
def observers(n: int) -> int:
    d: Any = TrackedDict(**EVERYTHING)
    heard: list[tuple[int, int]] = []
    d.tracking_add_observer(lambda change: heard.append((change.seq, threading.get_ident())))
    threads: dict[int, int] = {}

    def work(k: int) -> None:
        threads[k] = threading.get_ident()

        def mine(change: Any) -> None:
            if change.location == str(k):
                d["seen"] = k

        for i in range(n):
            if i % 20 == k:
                d.tracking_add_observer(mine, path="/" + str(k))
            d[str(k)] = i
            if i % 20 == k + 1:
                d.tracking_remove_observer(mine)

    at_once(work)
    changes = judge(d, {}, dict(d), past=False)
    assert sorted(seq for seq, _ in heard) == [c.seq for c in changes]
    by_seq = {c.seq: c.location for c in changes}
    assert all(threads[int(by_seq[seq])] == thread for seq, thread in heard if by_seq[seq] != "seen")
    return 8 * n


@kind
def undo(n: int) -> int:
    doc: Any = TrackedDict({k: TrackedList() for k in range(8)}, **EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            doc[k].append(i)
            if i % 4 == 3:
                doc[k].tracking_undo()
                doc[k].tracking_undo()
                doc[k].tracking_redo()

    at_once(work)
    doc._check()
    _in_order(doc.tracking_changes())
    assert doc.tracking_verify() is None
    expected: list[int] = []
    for i in range(n):
        expected.append(i)
        if i % 4 == 3:
            expected.pop()
    assert all(doc[k] == expected for k in range(8)), doc[0]
    return 8 * n


@kind
def transactions(n: int) -> int:
    docs: list[Any] = [TrackedDict(**EVERYTHING) for _ in range(8)]
    common: Any = TrackedDict(**EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            try:
                with tracking_transaction(docs[k]):
                    docs[k]["a"] = i
                    docs[k][f"k{i % 3}"] = [i]
                    if i % 3 == 0:
                        raise KeyError
            except KeyError:
                pass
            common[k] = i

    at_once(work)
    for doc in docs:
        doc._check()
        _in_order(doc.tracking_changes())
        assert doc.tracking_verify() is None
        assert doc.get("a") == max(i for i in range(n) if i % 3)
    judge(common, {}, dict(common), past=False)
    return 8 * n


@kind
def actors(n: int) -> int:
    d: Any = TrackedDict(**EVERYTHING)

    def work(k: int) -> None:
        for i in range(n):
            with tracking_actor(f"actor {k}", i=i):
                d[k] = i
            d[f"no {k}"] = i

    at_once(work)
    changes = judge(d, {}, dict(d), past=False)
    for change in changes:
        named = isinstance(change.location, int)
        assert change.actor == (f"actor {change.location}" if named else "")
        assert not named or change.context == {"i": change.after}
    return 8 * n


@kind
def readers(n: int) -> int:
    """Read changes, texts, snapshots and the past while others write."""
    doc: Any = TrackedDict(
        {str(k): TrackedList() for k in range(4)}, tracking_capture_snapshots=True, tracking_max_changes=64
    )

    def work(k: int) -> None:
        for i in range(n):
            if k % 2:
                doc[str(k // 2)].append(i)
                doc["x"] = {"i": i}
                if len(doc[str(k // 2)]) > 20:
                    doc[str(k // 2)].clear()
            elif i % 10 == 0:
                for change in doc.tracking_changes(5):
                    repr(change)
                    change.to_dict()
                    assert change.extra["action"] == change.action
                doc.last_change()
                doc.changes_since(doc.last_change())

    at_once(work)
    doc._check()
    _in_order(doc.tracking_changes())
    return 8 * n


@kind
def exporters(n: int) -> int:
    """Write a log through, from all threads, and one by a thread of its own."""
    from pydatatracker import replay
    from pydatatracker.exporters.jsonlines import JsonLinesExporter
    from pydatatracker.io import ChangeWriter

    with tempfile.TemporaryDirectory() as folder:
        doc: Any = TrackedDict(**EVERYTHING)
        written, delivered = os.path.join(folder, "written.jsonl"), os.path.join(folder, "delivered.jsonl")
        with ChangeWriter(written) as writer, JsonLinesExporter(delivered) as exporter:
            doc.tracking_add_observer(writer.write)
            doc.tracking_add_observer(exporter)

            def work(k: int) -> None:
                for i in range(n):
                    doc[f"k{k}"] = i
                    doc[k] = [i, {"a": k}]

            at_once(work)
        for path in (written, delivered):
            with open(path, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            seqs = [line["seq"] for line in lines if line["action"] != "init"]
            assert len(seqs) == len(set(seqs)) == 16 * n, (path, len(seqs), 16 * n)
        with open(written, "rb") as file:
            raw = sorted(file, key=lambda line: json.loads(line)["seq"])
        in_order = os.path.join(folder, "in_order.jsonl")
        with open(in_order, "wb") as file:
            file.writelines(raw)
        assert replay(in_order) == dict(doc)
    return 8 * n


@kind
def watch(n: int) -> int:
    """Plain dicts and objects that are watched."""
    from pydatatracker import watch

    class Plain:
        """Written for nobody."""

    data: Any = {"d": {}}
    thing = Plain()
    handles = [watch(each, tracking_max_changes=None) for each in (data, thing)]

    def work(k: int) -> None:
        for i in range(n):
            data["d"][f"k{k}"] = i
            setattr(thing, f"a{k}", i)

    at_once(work)
    for handle in handles:
        changes = handle.tracking_changes()
        _in_order(changes)
        assert len([c for c in changes if c.action != "init"]) == 8 * n
    return 8 * n


@kind
def forks(n: int) -> int:
    """Fork children while others are in the middle of something.

    They go on with the data.
    """
    d: Any = TrackedDict(a=TrackedList(), tracking_max_changes=1000)
    done = threading.Event()
    failed: list[int] = []

    # no variables of the function around it: CPython locks each of these while a thread reads it, also in a child that
    # was forked meanwhile (seen on 3.13.5)
    def work(k: int, d: Any = d, done: threading.Event = done, failed: list[int] = failed) -> None:
        if k:
            for i in itertools.count():
                if done.is_set():
                    return
                d["a"].append(i)
                d[k] = i
                if len(d["a"]) > 50:
                    d["a"].clear()
        for i in range(max(1, n // 100)):
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    signal.alarm(20)  # ends a child that hangs
                    d["child"] = i
                    d["a"].append(i)
                    d._check()
                    assert d.tracking_changes()[-1].after == i
                    status = 0
                finally:
                    os._exit(status)
            status = os.waitpid(pid, 0)[1]
            if status:
                failed.append(status)
        done.set()

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "use of fork() may lead to deadlocks": that is the test
        at_once(work)
    assert failed == [], failed
    d._check()
    return 8 * n


def _in_order(changes: list[Any]) -> None:
    seqs = [change.seq for change in changes]
    assert seqs == sorted(set(seqs)), "a number is there twice, or out of order"


def stress(name: str, seconds: float, n: int = 300) -> str:
    """Run rounds of a kind for some seconds, at least one.

    Return what was done, as text.
    """
    end = time.monotonic() + seconds
    rounds = calls = 0
    with restless(1e-5):
        while not rounds or time.monotonic() < end:
            calls += KINDS[name](n)
            rounds += 1
    return f"{rounds:,} rounds, {calls:,} turns"


def _why_not(name: str) -> str:
    if name == "forks" and not hasattr(os, "fork"):
        return "no os.fork"
    if name == "watch":
        from pydatatracker import watch

        try:
            watch({}).close()
        except RuntimeError as error:
            return str(error)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the kind of a process
    given = parser.parse_args()
    if given.only:
        faulthandler.enable()
        faulthandler.dump_traceback_later(given.seconds + 240, exit=True)
        print(stress(given.only, given.seconds))
        return 0
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(
        f"CPython {sys.version.split()[0]}, {'with' if gil else 'without'} the GIL, {os.cpu_count()} processors",
        flush=True,
    )
    failed = ran = 0
    for number in range(given.runs):
        for name in given.kinds or KINDS:
            why = _why_not(name)
            if why:
                print(f"{number + 1}: {name}: not here: {why}", flush=True)
                continue
            command = [sys.executable, os.path.abspath(__file__), "--only", name, "--seconds", str(given.seconds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            ran += 1
            failed += done.returncode != 0
            said = done.stdout.strip() or "nothing"
            print(f"{number + 1}: {name}: {'FAILED' if done.returncode else 'right'}: {said}", flush=True)
    print(f"{failed} of {ran} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
