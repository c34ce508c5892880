"""After a fork every lock, connection and thread of the package is right.

A child is forked at the worst moment: while another thread holds the lock of an object, or uses its connection.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pydatatracker
from pydatatracker import TrackedDict, _forks
from pydatatracker.exporters import Delivery, Item, JsonLinesExporter, SqliteExporter
from pydatatracker.io import ChangeWriter, read_changes
from pydatatracker.observers.async_ import AsyncQueueObserver, TaskObserver
from pydatatracker.process import ProcessLog

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]
LIMIT = 60  # seconds after which a child counts as hung


def in_fork(work: Callable[[], object]) -> str:
    """Return "done", what went wrong in a forked child, or that it hung."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(LIMIT)  # ends the child without our help
        said = b"done"
        try:
            work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return said.decode() or f"hung: ended by signal {os.WTERMSIG(status)}"


@contextlib.contextmanager
def held(lock: Any) -> Iterator[None]:
    """Have another thread hold a lock in the block."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            over.wait(LIMIT)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


class ListSink:
    """A sink that keeps what it is sent."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def send(self, items: list[Item]) -> None:
        self.seqs += [item.seq for item in items]

    def close(self) -> None:
        pass


def writer(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    made = ChangeWriter(folder / "log")
    return made, made._lock, lambda: made.write({"v": 1, "action": "lock", "seq": 1})


def exporter_of(exporter: Any, lock: Any) -> tuple[Any, Any, Callable[[], object]]:
    d = TrackedDict()
    d.tracking_add_observer(exporter)
    d["parent"] = 1
    assert exporter.flush(30)

    def work() -> None:
        d["child"] = 2
        assert exporter.flush(LIMIT / 2)
        assert exporter.close(LIMIT / 2)
        assert 0 == exporter.stats().dropped, exporter.stats()
        assert exporter.stats().last_error is None, exporter.stats()

    return exporter, lock, work


def lines(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    made = JsonLinesExporter(folder / "log")
    return exporter_of(made, made._sink._lock)


def rotated(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    made = JsonLinesExporter(folder / "log", rotate_size=10, compress="gzip")
    return exporter_of(made, made._sink._lock)


def delivery(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    made = JsonLinesExporter(folder / "log", buffered=True)
    return exporter_of(made, made._delivery._queue.changed)


def sqlite(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    made = SqliteExporter(folder / "log.db")
    return exporter_of(made, made._delivery._queue.changed)


def process_log(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    made = ProcessLog(folder / "log")
    d = TrackedDict(a=1)
    d["b"] = 1
    change = d.tracking_changes()[-1]

    def work() -> None:
        made(change)
        assert 1 == made.lines

    return made, made._lock, work


def queue_observer(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    import queue

    found: Any = queue.Queue()
    made = AsyncQueueObserver(found, None, "drop_oldest", 1.0)
    d = TrackedDict()
    d.tracking_add_observer(made)

    def work() -> None:
        d["a"] = 1
        assert "/a" == found.get(timeout=1)["pointer"]

    return made, made._lock, work


def task_observer(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    import asyncio

    found = []

    async def function(change: Any) -> None:
        found.append(change.pointer)

    made = TaskObserver(function)
    d = TrackedDict()

    async def main() -> None:
        d["a"] = 1
        await made.drain()
        for _ in range(20):
            await asyncio.sleep(0)

    def work() -> None:
        d.tracking_add_observer(made)
        asyncio.run(main())
        assert ["/a"] == found

    return made, made._lock, work


def view(folder: pathlib.Path) -> tuple[Any, Any, Callable[[], object]]:
    from pydatatracker.report.data import Changes
    from pydatatracker.report.live import Server

    made = Server(Changes("log"))
    return made, made._lock, made.whole


PLACES = [writer, lines, rotated, delivery, sqlite, process_log, queue_observer, task_observer, view]


@pytest.mark.parametrize("make", PLACES, ids=lambda make: make.__name__)
def test_a_child_works_whatever_another_thread_held(make: Any, tmp_path: pathlib.Path) -> None:
    """A fork while another thread holds the lock leaves a child that works."""
    owner, lock, work = make(tmp_path)
    with held(lock):
        said = in_fork(work)
    close = getattr(owner, "close", None)
    if close is not None:
        close()
    assert "done" == said


def test_parent_and_child_go_on_with_one_sqlite_file(tmp_path: pathlib.Path) -> None:
    """The child never uses nor closes the connection of its parent."""
    path = tmp_path / "log.db"
    exporter = SqliteExporter(path)
    d = TrackedDict()
    d.tracking_add_observer(exporter)
    for n in range(10):
        d[f"before{n}"] = n
        assert exporter.flush(30)

        def work(n: int = n) -> None:
            d[f"child{n}"] = n
            assert exporter.close(30)

        assert "done" == in_fork(work)
        d[f"after{n}"] = n
    assert exporter.close(30)
    connection = sqlite3.connect(path)
    found = {row[0] for row in connection.execute("SELECT pointer FROM changes")}
    assert {f"/{part}{n}" for part in ("before", "child", "after") for n in range(10)} == found
    assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()


def test_many_forks_beside_four_writing_threads(tmp_path: pathlib.Path) -> None:
    """No child of 200 hangs, and each of its changes arrives."""
    path = tmp_path / "log.jsonl"
    exporters: list[Any] = [
        JsonLinesExporter(path, rotate_size=1 << 20),
        JsonLinesExporter(tmp_path / "b.jsonl", buffered=True, compact=True),
    ]
    log = ChangeWriter(tmp_path / "w.jsonl", buffered=True)
    stop = threading.Event()

    def write(n: int) -> None:
        d = TrackedDict()
        for exporter in (*exporters, log.write):
            d.tracking_add_observer(exporter)
        while not stop.is_set():
            d["n"] = d.get("n", 0) + 1
            time.sleep(0.0005)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    mine = TrackedDict()
    for exporter in (*exporters, log.write):
        mine.tracking_add_observer(exporter)

    def work() -> None:
        mine["child"] = os.getpid()
        log.close()
        for exporter in exporters:
            assert exporter.close(LIMIT / 2)

    said = [in_fork(work) for _ in range(200)]
    stop.set()
    for thread in threads:
        thread.join()
    log.close()
    for exporter in exporters:
        assert exporter.close(30)
    assert ["done"] * 200 == said
    for name in ("b.jsonl", "w.jsonl"):
        found = [line for line in read_changes(tmp_path / name, strict=True) if line.pointer == "/child"]
        assert 200 == len(found), name


def test_s3_in_a_forked_child_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of obstore would never return there."""
    pytest.importorskip("obstore", reason="the extra s3 is not installed")
    from pydatatracker.exporters import S3Exporter, s3

    monkeypatch.setattr(s3, "_user", os.getpid())  # the parent has sent something
    exporter = S3Exporter("b", config={"region": "x"}, retry_first=0.01, retry_most=0.01)
    d = TrackedDict()
    d.tracking_add_observer(exporter)

    def work() -> None:
        d["a"] = 1
        assert not exporter.flush(0.2)
        assert not exporter.close(0.1)
        assert "start method spawn" in str(exporter.stats().last_error)

    assert "done" == in_fork(work)
    exporter.close()


IMPORTS = """
import importlib, os, signal, sys, threading
import pydatatracker
names = ["exporters.http", "exporters.sqlite", "query", "history.patch", "history.replica", "observers.async_", "config", "testing"]
hung = 0
for name in names:
    full = f"pydatatracker.{name}"
    thread = threading.Thread(target=importlib.import_module, args=(full,))
    thread.start()
    while full not in sys.modules and thread.is_alive():
        pass
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        importlib.import_module(full)
        os._exit(0)
    hung += os.waitpid(pid, 0)[1] != 0
    thread.join()
print(hung)
"""


def test_a_fork_beside_an_import_waits_for_it() -> None:
    """A child that was forked while another thread imported us does not hang."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTS], capture_output=True, text=True, check=True, timeout=300
    )
    assert "0\n" == found.stdout


def test_an_owner_that_fails_does_not_keep_others_from_being_right(tmp_path: pathlib.Path) -> None:
    """Errors while a child is set right are logged, and the rest is done."""

    class Failing:
        def after_fork(self) -> None:
            raise ValueError("no")

    failing = Failing()
    _forks.keep(failing, _forks.CORE)
    owner, lock, work = writer(tmp_path)
    with held(lock):
        assert "done" == in_fork(work)
    owner.close()
    assert failing is not None


# ---- nothing is forgotten

NEEDS = ("Lock", "RLock", "Condition", "Semaphore", "Thread")
EXEMPT = {
    "pydatatracker._forks": "the registry itself",
    "pydatatracker.exporters.queue": "Delivery is registered, and has its queue begin anew",
    "pydatatracker.query": "a thread for one query, which the fork cannot interrupt half-way",
}


def test_every_module_with_a_lock_or_thread_is_registered() -> None:
    """A module that makes a lock or thread registers in _forks, or is exempt."""
    root = pathlib.Path(pydatatracker.__file__).parent
    missing = []
    for path in root.rglob("*.py"):
        name = ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text("utf-8"))
        makes = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in NEEDS
            and isinstance(node.func.value, ast.Name) and node.func.value.id in ("threading", "_threading")
        ]  # fmt: skip
        forks = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ("keep", "in_child")]
        alone = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "register_at_fork"]
        if (makes and not forks and name not in EXEMPT) or (alone and name != "pydatatracker._forks"):
            missing.append(name)
    assert [] == missing


def test_the_registry_is_in_order_and_forgets_what_is_freed(tmp_path: pathlib.Path) -> None:
    """Owners of a lower order come first; a freed one is no longer there."""
    log = ChangeWriter(tmp_path / "log")
    queue = Delivery(ListSink(), name="t")
    # of these two alone: other tests of this process may have owners whose threads end only now
    numbers = {id(log), id(queue)}
    assert numbers <= _forks._owners.keys()
    references = [weakref.ref(log), weakref.ref(queue)]
    names = _forks.owners()
    assert names.index("ChangeWriter") < names.index("Delivery")
    log.close()
    queue.close()
    kept = [_forks._owners[number][1] for number in numbers]
    del log, queue
    deadline = time.monotonic() + 30
    while any(reference() is not None for reference in references) and time.monotonic() < deadline:
        gc.collect()  # the thread of the queue has ended, but the last of its frames may still be there
        time.sleep(0.01)
    assert [None, None] == [reference() for reference in references]
    assert not [entry for entry in _forks._owners.values() if entry[1] in kept]
