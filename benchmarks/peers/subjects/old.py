"""Version 0.1.0 of this library, by what its documentation says.

It has the same import name, so its process has build/peers/old in front.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydatatracker
from pydatatracker import ChangeCollector, TrackedAttr, TrackedDict, TrackedList, tracking_actor
from pydatatracker.observers import filtered_observer, json_file_observer
from subjects.base import Listener, Seen, Subject, levels

assert not hasattr(pydatatracker, "TrackedSet"), "0.1.0 is not in front of this library"


class OldObject(TrackedAttr):
    """An object with one attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.a = 0
        self.tracking_add_attribute_to_monitor("a")


class Old(Subject):
    """pydatatracker 0.1.0."""

    title = short = "pydatatracker 0.1.0"
    version = ""
    on_demand = ("old", "stack")
    largest = 1000  # filling a dict takes a snapshot for each key: 100,000 of them took more than two minutes
    make_dict = staticmethod(TrackedDict)
    make_list = staticmethod(TrackedList)
    make_object = staticmethod(OldObject)

    def make_nested(self) -> Any:
        """Return tracked dicts in each other."""
        return TrackedDict(levels(), tracking_auto_convert=True)

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a dict with one observer."""
        made = TrackedDict({"a": 0})
        made.tracking_add_observer(callback)
        return made

    def make_stacked(self) -> Any:
        """Return a dict that records stacks."""
        return TrackedDict({"a": 0}, tracking_capture_stack=True)

    def make_lines(self, path: str) -> Any:
        """Return a dict with an observer that writes lines."""
        made = TrackedDict({"a": 0})
        made.tracking_add_observer(json_file_observer(path))
        return made

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Take a snapshot with each change; read that of the last one."""
        made = TrackedDict(data, tracking_capture_snapshots=True)
        return made, lambda: None, lambda mark: made.last_change().extra["data_pre_change"]

    def see(self, kind: str) -> Seen | None:
        """Return a container and its changes."""
        makers: dict[str, Any] = {"dict": TrackedDict, "list": TrackedList, "object": OldObject}
        if kind not in (*makers, "nested"):
            return None
        made = self.make_nested() if kind == "nested" else makers[kind]()
        mark = 0

        def take() -> list[Any]:
            nonlocal mark
            changes = made.tracking_changes()[mark:]
            mark += len(changes)
            return [change for change in changes if change.extra.get("action") != "init"]

        take()
        return made, take

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return the new value, which is text; the old one is in a snapshot."""
        return None, int(change.extra["value"])

    def path(self, change: Any) -> tuple[Any, ...] | None:
        """Return the location, which is text."""
        return tuple(change.extra["location"].split(":"))

    def can_old(self) -> bool | str:
        """Find the old value in a snapshot."""
        made = TrackedDict({"a": 0}, tracking_capture_snapshots=True)
        made["a"] = 1
        return bool(made.last_change().extra["data_pre_change"] == "{'a': 0}")

    def can_history(self) -> bool:
        """List the changes later."""
        made = TrackedDict({"a": 0})
        made["a"] = 1
        made["a"] = 2
        return [change.extra.get("value") for change in made.tracking_changes()][-2:] == ["1", "2"]

    def can_time(self) -> bool:
        """Look at the time of a change."""
        made, before = TrackedDict({"a": 0}), time.time()
        made["a"] = 1
        return before <= made.last_change().created_time.timestamp() <= time.time()

    def can_actor(self) -> bool:
        """Name who made a change."""
        made = TrackedDict({"a": 0})
        with tracking_actor("ann"):
            made["a"] = 1
        return bool(made.last_change().actor == "ann")

    def can_async_actor(self) -> bool:
        """Two tasks in turns: each change has the actor of its task."""
        made = TrackedDict({"a": 0, "b": 0})
        made.tracking_add_observer(collector := ChangeCollector())

        async def task(name: str, key: str) -> None:
            with tracking_actor(name):
                for n in range(1, 3):
                    await asyncio.sleep(0)
                    made[key] = n

        async def both() -> None:
            await asyncio.gather(task("ann", "a"), task("ben", "b"))

        asyncio.run(both())
        return {(c.extra["location"], c.actor) for c in collector.as_list()} == {("a", "ann"), ("b", "ben")}

    def can_stack(self) -> bool:
        """Find the line of a change."""
        made = TrackedDict({"a": 0}, tracking_capture_stack=True)
        line = sys._getframe().f_lineno + 1
        made["a"] = 1
        return f"{Path(__file__).name}" in str(made.last_change().stack) and str(line) in str(made.last_change().stack)

    def can_bounded(self) -> bool | str:
        """Keep the newest changes only."""
        made = TrackedDict({"a": 0})
        for n in range(6000):
            made["a"] = n
        return len(made.tracking_changes()) < 6000 or "all changes are kept"

    def can_past(self) -> bool:
        """Read an earlier state, which is text."""
        made = TrackedDict({"a": 0}, tracking_capture_snapshots=True)
        made["a"] = 1
        then = made.last_change()
        made["a"] = 2
        return bool(then.extra["data_post_change"] == "{'a': 1}")

    def can_lock(self) -> bool:
        """Refuse changes."""
        made = TrackedDict({"a": 0})
        made.lock()
        try:
            made["a"] = 1
        except Exception:
            return bool(made["a"] == 0)
        return False

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener)["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one path only."""
        made, listener = TrackedDict({"a": 0, "b": 0}), Listener()
        made.tracking_add_observer(filtered_observer(listener, locations={"b"}))
        made["a"] = made["b"] = 1
        return [change.extra["location"] for change in listener.take()] == ["b"]

    def can_jsonl(self) -> bool:
        """Write one line of JSON for each change."""
        with tempfile.TemporaryDirectory() as folder:
            self.make_lines(f"{folder}/log.jsonl")["a"] = 1
            lines = [json.loads(line) for line in Path(folder, "log.jsonl").read_text("utf-8").splitlines()]
        return [line["extra"]["location"] for line in lines] == ["a"]
