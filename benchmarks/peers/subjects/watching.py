"""What ``watch()`` of this library does with plain data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from pydatatracker import TrackingLockedError, watch
from pydatatracker.exporters import JsonLinesExporter
from subjects.base import Seen, levels
from subjects.ours import Ours
from subjects.plain import PlainObject


class Watched(Ours):
    """Plain data that is watched where it is."""

    title, short = "pydatatracker, `watch()`", "`watch()`"

    version = ""  # that of the containers

    def __init__(self) -> None:
        self.open: list[Any] = []
        self.kept: list[Any] = []  # a watch keeps nothing alive

    def tracked(self, data: Any) -> tuple[Any, Any]:
        """Return the data itself, and the watch."""
        self.open.append(watch(data))
        self.kept.append(data)
        return data, self.open[-1]

    def close(self) -> None:
        """End the watches."""
        while self.open:
            self.open.pop().close()
        self.kept.clear()

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return a watched dict."""
        return self.tracked(dict(data))[0]

    def make_object(self) -> Any:
        """Return a watched object."""
        return self.tracked(PlainObject())[0]

    def make_nested(self) -> Any:
        """Return watched dicts in each other."""
        return self.tracked(levels())[0]

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a dict with one observer."""
        made, history = self.tracked({"a": 0})
        history.tracking_add_observer(callback)
        return made

    def make_stacked(self) -> Any:
        """Return a dict of which stacks are recorded."""
        made = {"a": 0}
        self.open.append(watch(made, tracking_capture_stack=True))
        return made

    def make_lines(self, path: str) -> Any:
        """Return a dict with an exporter, which writes each line at once."""
        made, history = self.tracked({"a": 0})
        self.exporter = JsonLinesExporter(path)
        history.tracking_add_observer(self.exporter)
        return made

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Read the state at a change."""
        made, history = self.tracked(dict(data))
        return made, history.last_change, history.tracking_state_at

    def see(self, kind: str) -> Seen | None:
        """Return data and its changes; lists and sets are in a dict."""
        if kind == "nested":
            return self.changes_of(*self.tracked(levels()))
        if kind == "object":
            return self.changes_of(*self.tracked(PlainObject()))
        data: Any = {"dict": dict, "list": list, "set": set}[kind]()
        _, history = self.tracked(data if kind == "dict" else {"inner": data})
        return self.changes_of(data, history)

    def adopt(self, plain: Any) -> Any:
        """Watch it."""
        return self.changes_of(*self.tracked(plain))

    def can_stack(self) -> bool:
        """Find the line of a change."""
        made: dict[str, int] = {"a": 0}
        history = watch(made, tracking_capture_stack=True)
        line = sys._getframe().f_lineno + 1
        made["a"] = 1
        change = history.last_change()
        return change is not None and (change.stack[-1].filename, change.stack[-1].lineno) == (__file__, line)

    def can_bounded(self) -> bool:
        """Keep the newest changes only."""
        made = {"a": 0}
        history = watch(made, tracking_max_changes=100)
        for n in range(1000):
            made["a"] = n
        return len(history.tracking_changes()) <= 100

    def can_lock(self) -> bool | str:
        """Refuse changes."""
        made, history = self.tracked({"a": 0})
        try:
            history.lock()
            made["a"] = 1
        except TrackingLockedError:
            return bool(made == {"a": 0})
        except (AttributeError, NotImplementedError, TypeError, RuntimeError):
            pass
        return "what is watched cannot be locked"

    def can_redact(self) -> bool:
        """Keep a secret out of what is recorded."""
        made = {"password": "old"}
        history = watch(made, tracking_redact=["/password"])
        made["password"] = "hunter2"
        change = history.last_change()
        return made["password"] == "hunter2" and "hunter2" not in json.dumps(change.to_dict()) + repr(change.after)
