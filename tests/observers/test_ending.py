"""An observer that ends the thread or the process stops no other observer.

The sentence of the kind: every observer hears of every change, whatever one of them raises, and whatever process it is
in; what is not an Exception is raised once they all have heard.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, tracking_transaction
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import read_changes


class Ending(BaseException):
    """Ends whatever does not know it."""


ENDINGS = [SystemExit, KeyboardInterrupt, GeneratorExit, Ending]


def ender(error: type[BaseException]) -> Callable[[Any], None]:
    """Return an observer that raises at every change of ``stop``."""

    def end(change: Any) -> None:
        if change.pointer.endswith("/stop"):
            raise error("stop")

    return end


def store(root: Any, part: Any) -> None:
    part["stop"] = 1


def bulk(root: Any, part: Any) -> None:
    part.update([("first", 1), ("stop", 1)])
    part["stop"] = 2


def transaction(root: Any, part: Any) -> None:
    with tracking_transaction():
        part["first"] = 1
        part["stop"] = 1
        part["last"] = 1


@pytest.mark.parametrize("call", [store, bulk, transaction])
@pytest.mark.parametrize("where", ["part", "root"])
@pytest.mark.parametrize("error", ENDINGS)
def test_the_others_hear_of_it(error: type[BaseException], where: str, call: Callable[[Any, Any], None]) -> None:
    """The error goes through when all have heard, and no change is missing."""
    root = TrackedDict(part=TrackedDict())
    part = root["part"]
    heard: list[int] = []
    (part if where == "part" else root).tracking_add_observer(ender(error), priority=10)
    root.tracking_add_observer(lambda change: heard.append(change.seq))
    start = root.last_change().seq
    with pytest.raises(error, match="stop"):
        call(root, part)
    assert heard == [change.seq for change in root.tracking_changes() if change.seq > start]
    part["later"] = 1
    assert heard[-1] == root.last_change().seq


@pytest.mark.parametrize("error", ENDINGS)
def test_what_observers_changed_before_is_reported_too(error: type[BaseException]) -> None:
    """Changes that wait are reported before the error goes through."""
    d: TrackedDict[str, int] = TrackedDict()
    heard: list[str] = []

    def change_more(change: Any) -> None:
        if change.pointer == "/stop":
            d["more"] = 1

    d.tracking_add_observer(change_more, priority=20)
    d.tracking_add_observer(ender(error), priority=10)
    d.tracking_add_observer(lambda change: heard.append(change.pointer))
    with pytest.raises(error):
        d["stop"] = 1
    assert heard == ["/stop", "/more"]


def test_endless_observers_end_at_ctrl_c() -> None:
    """Observers that go on changing things do not go on after an interrupt."""
    items: TrackedList[int] = TrackedList()

    def more(change: Any) -> None:
        items.append(1)
        if len(items) == 50:
            raise KeyboardInterrupt

    items.tracking_add_observer(more)
    with pytest.raises(KeyboardInterrupt):
        items.append(0)
    assert len(items) < 60


def in_child(d: Any) -> None:
    d["child"] = 1
    d["child"] = 2


def by_fork(d: Any) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            in_child(d)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def by_process(d: Any) -> None:
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(d,))
    child.start()
    child.join()
    assert child.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("fork", [by_fork, by_process])
@pytest.mark.parametrize("when", ["observer", "transaction", "nested observer"])
def test_a_child_that_begins_in_an_observer_is_heard(
    tmp_path: pathlib.Path, when: str, fork: Callable[[Any], None]
) -> None:
    """The child never returns to the observer, and its changes are reported."""
    log = tmp_path / "log.jsonl"
    d: TrackedDict[str, int] = TrackedDict()
    parent = os.getpid()

    def start(change: Any) -> None:
        if os.getpid() == parent and change.pointer == ("/second" if when == "nested observer" else "/first"):
            fork(d)
        elif os.getpid() == parent and change.pointer == "/first":
            d["second"] = 1

    with JsonLinesExporter(log) as exporter:
        d.tracking_add_observer(exporter)
        d.tracking_add_observer(start)
        if when == "transaction":
            with tracking_transaction():
                d["first"] = 1
        else:
            d["first"] = 1
        d["end"] = 1
    found = [change.pointer for change in read_changes(log)]
    assert found.count("/child") == 2
    assert found.count("/first") == found.count("/end") == 1
