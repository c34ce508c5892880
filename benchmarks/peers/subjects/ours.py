"""What tracked containers of this library do, and what ``watch()`` shares."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydatatracker import (
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    TrackingLockedError,
    apply_change,
    replay,
    track,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.exporters import JsonLinesExporter
from subjects.base import Listener, Seen, Subject, Take, levels


class TrackedObject(TrackedAttr):
    """An object with one attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.a = 0


class Ours(Subject):
    """What containers and watches have in common: the same methods."""

    distribution = "pydatatracker"
    on_demand = ("stack",)

    @property
    def version(self) -> str:
        """Return the version of this library."""
        import pydatatracker

        return pydatatracker.__version__

    def tracked(self, data: Any) -> tuple[Any, Any]:
        """Return (data, what has its history)."""
        raise NotImplementedError

    def changes_of(self, made: Any, history: Any) -> tuple[Any, Take]:
        """Return what was made with its changes since the last time."""
        mark = 0

        def take() -> list[Any]:
            nonlocal mark
            changes = [change for change in history.tracking_changes() if change.seq > mark and change.action != "init"]
            mark = max([mark, *(change.seq for change in changes)])
            return changes

        take()
        return made, take

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return before and after."""
        return change.before, change.after

    def path(self, change: Any) -> tuple[Any, ...] | None:
        """Return the path."""
        return tuple(change.path)

    def changed(self, **options: Any) -> tuple[Any, Any]:
        """Return data with one change of ``a``, and its history."""
        made, history = self.tracked({"a": 0, "b": {"c": 0}})
        made["a"] = 1
        return made, history

    def can_time(self) -> bool:
        """Look at the time of a change."""
        before = time.time_ns()
        _, history = self.changed()
        return before <= history.last_change().time_ns <= time.time_ns()

    def can_actor(self) -> bool:
        """Name who made a change."""
        with tracking_actor("ann"):
            _, history = self.changed()
        return bool(history.last_change().actor == "ann")

    def can_async_actor(self) -> bool:
        """Two tasks in turns: each change has the actor of its task."""
        made, history = self.tracked({"a": 0, "b": 0})

        async def task(name: str, key: str) -> None:
            with tracking_actor(name):
                for n in range(1, 3):
                    await asyncio.sleep(0)
                    made[key] = n

        async def both() -> None:
            await asyncio.gather(task("ann", "a"), task("ben", "b"))

        asyncio.run(both())
        changes = [change for change in history.tracking_changes() if change.action != "init"]
        return {(change.path, change.actor) for change in changes} == {(("a",), "ann"), (("b",), "ben")}

    def can_history(self) -> bool:
        """List the changes later."""
        made, history = self.changed()
        made["a"] = 2
        return [change.after for change in history.tracking_changes() if change.action != "init"] == [1, 2]

    def can_blame(self) -> bool:
        """Ask for the last change of a path."""
        made, history = self.changed()
        made["b"]["c"] = 5
        made["a"] = 7
        return bool(history.tracking_blame("/b/c").after == 5)

    def can_past(self) -> bool:
        """Read an earlier state."""
        made, history = self.changed()
        then = history.last_change()
        made["b"]["c"] = 5
        return bool(history.tracking_state_at(then) == {"a": 1, "b": {"c": 0}})

    def can_undo(self) -> bool:
        """Undo a change."""
        made, history = self.changed()
        history.tracking_undo()
        return bool(made["a"] == 0)

    def can_redo(self) -> bool:
        """Do an undone change again."""
        made, history = self.changed()
        history.tracking_undo()
        history.tracking_redo()
        return bool(made["a"] == 1)

    def can_revert_one(self) -> bool:
        """Undo the changes of one actor only."""
        made, history = self.tracked({"a": 0, "b": 0})
        for actor, key in (("ann", "a"), ("ben", "b")):
            with tracking_actor(actor):
                made[key] = 1
        history.tracking_revert(actor="ann")
        return bool(made == {"a": 0, "b": 1})

    def can_rollback(self) -> bool:
        """Leave the data as it was if a block raises."""
        made, history = self.tracked({"a": 0, "b": {"c": 0}})
        try:
            with tracking_transaction(history):
                made["a"] = made["b"]["c"] = 1
                raise KeyError
        except KeyError:
            return bool(made == {"a": 0, "b": {"c": 0}})
        return False

    def can_observer(self) -> bool:
        """Call back for a store."""
        made, history = self.tracked({"a": 0})
        listener = Listener()
        history.tracking_add_observer(listener)
        made["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one path only."""
        made, history = self.tracked({"a": 0, "b": {"c": 0}})
        listener = Listener()
        history.tracking_add_observer(listener, path="/b/*")
        made["a"] = made["b"]["c"] = 1
        return [change.path for change in listener.take()] == [("b", "c")]

    def can_stream(self) -> bool:
        """Read changes with ``async for``."""
        from pydatatracker.observers.async_ import changes

        made, history = self.tracked({"a": 0})

        async def first() -> Any:
            async with changes(history) as stream:
                made["a"] = 1
                async for change in stream:
                    return change.after
            return None

        return asyncio.run(asyncio.wait_for(first(), 5)) == 1

    def can_batch(self) -> bool | str:
        """Deliver several stores as one event."""
        made, history = self.tracked({"a": 0, "b": 0})
        listener = Listener()
        history.tracking_add_observer(listener)
        with tracking_transaction(history):
            made["a"] = made["b"] = 1
        return len(listener.take()) == 1 or "after a transaction observers are called for each of its changes"

    def log(self, folder: str) -> tuple[Any, Path]:
        """Return data after two changes, and the log of it."""
        path = Path(folder) / "log.jsonl"
        made, history = self.tracked({"a": 0, "b": {"c": 0}})
        with JsonLinesExporter(path) as exporter:
            history.tracking_add_observer(exporter)
            made["a"] = made["b"]["c"] = 1
            exporter.flush()
            history.tracking_remove_observer(exporter)
        return made, path

    def can_jsonl(self) -> bool:
        """Write one line of JSON for each change."""
        with tempfile.TemporaryDirectory() as folder:
            _, path = self.log(folder)
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [line["pointer"] for line in lines if line["action"] == "update"] == ["/a", "/b/c"]

    def can_replay(self) -> bool:
        """Rebuild the data from what was written."""
        with tempfile.TemporaryDirectory() as folder:
            made, path = self.log(folder)
            return bool(replay(path) == made)

    def can_apply(self) -> bool:
        """Apply a change to a copy elsewhere, by way of JSON."""
        _, history = self.changed()
        copied: dict[str, Any] = {"a": 0, "b": {"c": 0}}
        apply_change(copied, json.loads(json.dumps(history.last_change().to_dict())))
        return copied == {"a": 1, "b": {"c": 0}}

    def can_patch(self) -> bool:
        """Return the changes as a JSON Patch."""
        _, history = self.changed()
        return bool(history.tracking_patch() == [{"op": "replace", "path": "/a", "value": 1}])


class Tracked(Ours):
    """Tracked containers."""

    title, short = "pydatatracker", "this library"
    make_dict = staticmethod(TrackedDict)
    make_list = staticmethod(TrackedList)
    make_set = staticmethod(TrackedSet)
    make_object = staticmethod(TrackedObject)

    def tracked(self, data: Any) -> tuple[Any, Any]:
        """Return tracked data, which has its own history."""
        made = track(data)
        return made, made

    def make_nested(self) -> Any:
        """Return tracked dicts in each other."""
        return track(levels())

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a dict with one observer."""
        made = TrackedDict(a=0)
        made.tracking_add_observer(callback)
        return made

    def make_stacked(self) -> Any:
        """Return a dict that records stacks."""
        return TrackedDict(a=0, tracking_capture_stack=True)

    def make_lines(self, path: str) -> Any:
        """Return a dict with an exporter, which writes each line at once."""
        made = TrackedDict(a=0)
        self.exporter = JsonLinesExporter(path)
        made.tracking_add_observer(self.exporter)
        return made

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Read the state at a change."""
        made = TrackedDict(data)
        return made, made.last_change, made.tracking_state_at

    def see(self, kind: str) -> Seen | None:
        """Return a container and its changes."""
        makers: dict[str, Any] = {"dict": TrackedDict, "list": TrackedList, "set": TrackedSet, "object": TrackedObject}
        made = self.make_nested() if kind == "nested" else makers[kind]()
        return self.changes_of(made, made)

    def can_stack(self) -> bool:
        """Find the line of a change."""
        made = TrackedDict(a=0, tracking_capture_stack=True)
        line = sys._getframe().f_lineno + 1
        made["a"] = 1
        change = made.last_change()
        return change is not None and (change.stack[-1].filename, change.stack[-1].lineno) == (__file__, line)

    def can_bounded(self) -> bool:
        """Keep the newest changes only."""
        made = TrackedDict(a=0, tracking_max_changes=100)
        for n in range(1000):
            made["a"] = n
        return len(made.tracking_changes()) <= 100

    def can_lock(self) -> bool:
        """Refuse changes."""
        made = track({"b": {"c": 0}})
        made.lock()
        try:
            made["b"]["c"] = 1
        except TrackingLockedError:
            return bool(made == {"b": {"c": 0}})
        return False

    def can_redact(self) -> bool:
        """Keep a secret out of what is recorded."""
        made = track({"password": "old"}, tracking_redact=["/password"])
        made["password"] = "hunter2"
        change = made.last_change()
        return made["password"] == "hunter2" and "hunter2" not in json.dumps(change.to_dict()) + repr(change.after)

    def can_types(self) -> bool | str:
        """Refuse a value of another type than that of the field."""

        class Typed(TrackedAttr):
            a: int = 0

        made: Any = Typed()
        made.a = "text"
        return bool(made.a != "text") or "annotations are not checked"

    def can_merge(self) -> bool | str:
        """Merge two copies that were changed apart."""
        base = {"l": [0]}
        copies = [track({"l": [0]}), track({"l": [0]})]
        copies[0]["l"].append(1)
        copies[1]["l"].insert(0, 2)
        patches = [copy.tracking_patch() for copy in copies]
        for copy, patch in zip(copies, reversed(patches), strict=True):
            copy.tracking_apply_patch(patch)
        return bool(copies[0] == copies[1] != base) or "patches of two copies do not commute"
