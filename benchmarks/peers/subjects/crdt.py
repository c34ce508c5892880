"""pycrdt: shared data that merges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pycrdt import Array, Doc, Map, Snapshot, UndoManager

from subjects.base import Listener, Seen, Subject


class Pycrdt(Subject):
    """pycrdt."""

    title = short = distribution = "pycrdt"
    native = True

    def __init__(self) -> None:
        self.docs: list[Any] = []
        self.kept: list[Any] = []

    def close(self) -> None:
        """Let go of the documents."""
        self.docs.clear()
        self.kept.clear()

    def put(self, made: Any, **options: Any) -> Any:
        """Return a part of a new document."""
        doc: Any = Doc(**options)
        self.docs.append(doc)
        doc["x"] = made
        return doc["x"]

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return a map."""
        return self.put(Map(data))

    def make_list(self, data: list[Any]) -> Any:
        """Return an array."""
        return self.put(Array(data))

    def make_nested(self) -> Any:
        """Return maps in each other, with the observer that a notice needs."""
        made = self.put(Map({"a": Map({"b": Map({"c": Map({"d": Map({"e": 0})})})})}))
        self.kept.append(made.observe_deep(lambda events, transaction: None))
        return made

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a map with one observer."""
        made = self.make_dict({"a": 0})
        self.kept.append(made.observe(lambda event: callback(event)))
        return made

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Take a snapshot, and restore it as a document."""
        made = self.put(Map(data), skip_gc=True)
        doc = self.docs[-1]

        def read(mark: Any) -> Any:
            return Doc.from_snapshot(mark, doc).get("x", type=Map).to_py()

        return made, lambda: Snapshot.from_doc(doc), read

    def see(self, kind: str) -> Seen | None:
        """Return a part of a document, and its events."""
        listener = Listener()
        if kind == "nested":
            made = self.make_nested()
            self.kept.append(
                made.observe_deep(lambda events, transaction: [listener((each.path, each.keys)) for each in events])
            )
            return made, listener.take
        if kind not in ("dict", "list"):
            return None
        made = self.make_dict({}) if kind == "dict" else self.make_list([])
        self.kept.append(made.observe(lambda event: listener(getattr(event, "keys", event.target))))
        return made, listener.take

    def before_after(self) -> tuple[Any, Any]:
        """Return before and after."""
        made, listener = self.make_dict({"a": 0}), Listener()
        self.kept.append(made.observe(lambda event: listener(event.keys["a"])))
        made["a"] = 1
        (change,) = listener.take()
        return change["oldValue"], change["newValue"]

    def path(self, change: Any) -> tuple[Any, ...] | None:
        """Return the path."""
        return (*change[0], *change[1])

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener)["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one map only."""
        made, listener = self.make_nested(), Listener()
        self.kept.append(made["a"].observe(lambda event: listener(event)))
        made["x"] = 1
        made["a"]["y"] = 1
        return len(listener.take()) == 1

    def can_batch(self) -> bool:
        """Deliver several stores as one event."""
        listener = Listener()
        made = self.make_observed(listener)
        with self.docs[-1].transaction():
            made["a"] = 1
            made["b"] = 1
        return len(listener.take()) == 1

    def can_stream(self) -> bool:
        """Read changes with ``async for``."""
        import anyio

        made = self.make_dict({"a": 0})
        doc = self.docs[-1]

        async def first() -> bool:
            with anyio.fail_after(5):
                async with doc.events() as events:
                    made["a"] = 1
                    async for each in events:
                        return bool(each.update)
            return False

        return asyncio.run(first())

    def can_actor(self) -> bool:
        """Name who made a change: the origin of a transaction."""
        made, origins = self.make_dict({"a": 0}), []
        self.kept.append(made.observe(lambda event, transaction: origins.append(transaction.origin)))
        with self.docs[-1].transaction(origin="ann"):
            made["a"] = 1
        return origins == ["ann"]

    def can_undo(self) -> bool:
        """Undo a change."""
        made = self.make_dict({"a": 0})
        manager = UndoManager(scopes=[made], capture_timeout_millis=0)
        made["a"] = 1
        manager.undo()
        return bool(made["a"] == 0)

    def can_redo(self) -> bool:
        """Do an undone change again."""
        made = self.make_dict({"a": 0})
        manager = UndoManager(scopes=[made], capture_timeout_millis=0)
        made["a"] = 1
        manager.undo()
        manager.redo()
        return bool(made["a"] == 1)

    def can_revert_one(self) -> bool:
        """Undo the changes of one origin only."""
        made = self.make_dict({"a": 0, "b": 0})
        manager = UndoManager(scopes=[made], capture_timeout_millis=0)
        manager.include_origin("ann")
        for origin, key in (("ann", "a"), ("ben", "b")):
            with self.docs[-1].transaction(origin=origin):
                made[key] = 1
        manager.undo()
        return bool(made.to_py() == {"a": 0, "b": 1})

    def can_past(self) -> bool:
        """Read an earlier state."""
        made, mark, read = self.make_earlier({"a": 0})
        then = mark()
        made["a"] = 1
        return bool(read(then) == {"a": 0})

    def can_rollback(self) -> bool | str:
        """Leave the data as it was if a block raises."""
        made = self.make_dict({"a": 0})
        try:
            with self.docs[-1].transaction():
                made["a"] = 1
                raise KeyError
        except KeyError:
            return bool(made["a"] == 0) or "a transaction that raises is committed"

    def can_apply(self) -> bool:
        """Apply a change to a copy elsewhere."""
        made, copied = self.make_dict({"a": 0}), Doc()
        made["a"] = 1
        copied.apply_update(self.docs[-1].get_update())
        return bool(copied.get("x", type=Map).to_py() == {"a": 1})

    def can_merge(self) -> bool:
        """Merge two copies that were changed apart."""
        made, other = self.make_list([0]), Doc()
        other.apply_update(self.docs[-1].get_update())
        twin = other.get("x", type=Array)
        made.append(1)
        twin.insert(0, 2)
        updates = self.docs[-1].get_update(), other.get_update()
        other.apply_update(updates[0])
        self.docs[-1].apply_update(updates[1])
        return bool(made.to_py() == twin.to_py() == [2, 0, 1])
