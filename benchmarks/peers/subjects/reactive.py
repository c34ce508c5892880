"""observ: proxies of plain data. watchpoints: traces every line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from subjects.base import Listener, Seen, Subject, levels
from subjects.plain import PlainObject

# watch() of watchpoints 0.2.5 reads the statement, and on CPython 3.13 it fails in a function.
FILE = Path(__file__).parent / "top_level.py"
TOP_LEVEL = compile(FILE.read_text("utf-8"), FILE, "exec")


class Observ(Subject):
    """observ."""

    title = short = distribution = "observ"

    def __init__(self) -> None:
        import observ

        self.observ = observ
        self.make_dict = self.make_list = self.make_set = observ.reactive
        self.kept: list[Any] = []

    def close(self) -> None:
        """End the watchers."""
        self.kept.clear()

    def watched(self, data: Any, callback: Callable[..., None]) -> Any:
        """Return a proxy of data with a watcher."""
        made = self.observ.reactive(data)
        self.kept.append(self.observ.watch(made, callback, sync=True, deep=True))
        return made

    def make_nested(self) -> Any:
        """Return a proxy, with the watcher that a notice needs."""
        return self.watched(levels(), lambda new: None)

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a proxy with a watcher."""
        return self.watched({"a": 0}, lambda new: callback(new))

    def see(self, kind: str) -> Seen | None:
        """Return a proxy and the calls of its watcher."""
        makers: dict[str, Any] = {"dict": dict, "list": list, "set": set, "nested": levels}
        if kind not in makers:
            return None
        listener = Listener()
        return self.watched(makers[kind](), lambda new: listener(new)), listener.take

    def before_after(self) -> tuple[Any, Any]:
        """Return before and after of a watched value."""
        made, listener = self.observ.reactive({"a": 0}), Listener()
        watcher = self.observ.watch(lambda: made["a"], lambda new, old: listener((old, new)), sync=True)
        made["a"] = 1
        del watcher
        (change,) = listener.take()
        return tuple(change)  # type: ignore[return-value]

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener)["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one key only."""
        made, listener = self.observ.reactive({"a": 0, "b": 0}), Listener()
        watcher = self.observ.watch(lambda: made["b"], lambda new, old: listener(new), sync=True)
        made["a"] = made["b"] = 1
        del watcher
        return len(listener.take()) == 1

    def can_batch(self) -> bool:
        """Deliver several stores as one event: its scheduler does."""
        made, listener = self.observ.reactive({"a": 0}), Listener()
        watcher = self.observ.watch(made, lambda new: listener(new), deep=True)
        self.observ.scheduler.register_request_flush(lambda: None)
        made["a"] = made["b"] = 1
        self.observ.scheduler.flush()
        del watcher
        return len(listener.take()) == 1

    def can_computed(self) -> bool:
        """Notify of a value that depends on another one."""
        made, listener = self.observ.reactive({"a": 0}), Listener()

        @self.observ.computed
        def double() -> int:
            return int(made["a"]) * 2

        watcher = self.observ.watch(double, lambda new, old: listener(new), sync=True)
        made["a"] = 4
        del watcher
        return listener.take() == [8]


class Watchpoints(Subject):
    """watchpoints."""

    title = short = distribution = "watchpoints"

    def __init__(self) -> None:
        import watchpoints

        self.unwatch = watchpoints.unwatch

    def watched(self, data: Any, callback: Callable[..., None] | None = None, **options: Any) -> Any:
        """Watch data; it is compared at each line from now on."""
        call = callback or (lambda frame, element, info: None)
        exec(TOP_LEVEL, {"data": data, "call": call, "options": options})
        return data

    def close(self) -> None:
        """End tracing."""
        self.unwatch()

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return a watched dict."""
        return self.watched(dict(data))

    def make_list(self, data: list[Any]) -> Any:
        """Return a watched list."""
        return self.watched(list(data))

    def make_set(self, data: set[Any]) -> Any:
        """Return a watched set."""
        return self.watched(set(data))

    def make_object(self) -> Any:
        """Return a watched object."""
        return self.watched(PlainObject())

    def make_nested(self) -> Any:
        """Return dicts that are copied and compared as a whole."""
        return self.watched(levels(), deepcopy=True)

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a watched dict."""
        return self.watched({"a": 0}, lambda frame, element, info: callback(element))

    def make_stacked(self) -> Any:
        """Return a watched dict: the callback gets the line."""
        return self.make_dict({"a": 0})

    def see(self, kind: str) -> Seen | None:
        """Return watched data, and what was noticed one line later."""
        makers: dict[str, Any] = {"dict": dict, "list": list, "set": set, "nested": levels, "object": PlainObject}
        listener = Listener()

        def note(frame: Any, element: Any, info: Any) -> None:
            listener((element.prev_obj, element.obj, info))

        options = {"deepcopy": True} if kind == "nested" else {}
        return self.watched(makers[kind](), note, **options), listener.take

    def values(self, change: Any) -> tuple[Any, Any]:
        """Return before and after."""
        return change[0].get("a"), change[1].get("a")

    def adopt(self, plain: Any) -> Any:
        """Watch it."""
        listener = Listener()
        return self.watched(plain, lambda frame, element, info: listener(element)), listener.take

    def can_observer(self) -> bool:
        """Call back for a store."""
        made, take = self.see("dict") or (None, None)
        made["a"] = 1
        found = take and take()
        return len(found or ()) == 1

    def can_filter(self) -> bool:
        """Call back for one key only."""
        listener = Listener()
        made = {"a": 0, "b": 0}
        call = lambda frame, element, info: listener(element.obj)  # noqa: E731
        exec(TOP_LEVEL, {"data": made, "call": call, "key": "b"})
        made["a"] = 1
        made["b"] = 1
        found = listener.take()
        return found == [1]

    def can_stack(self) -> bool:
        """Find the line of a change."""
        made, take = self.see("dict") or (None, None)
        line = sys._getframe().f_lineno + 1
        made["a"] = 1
        found = take and take()
        return bool(found and found[0][2][1:] == (__file__, line))
