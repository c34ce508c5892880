"""object-tracker, pydantic-changedetect, eventsourcing: attributes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from object_tracker import track
from pydantic import BaseModel, ConfigDict
from pydantic_changedetect import ChangeDetectionMixin

from subjects.base import Listener, Seen, Subject


@track("a")
class ObjectTracked:
    """An object with one attribute."""

    def __init__(self) -> None:
        self.a = 0


class ObjectTracker(Subject):
    """object-tracker."""

    title = short = distribution = "object-tracker"
    make_object = make_stacked = staticmethod(ObjectTracked)

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return an object with one observer."""

        @track("a", observers=[callback])
        class Observed:
            def __init__(self) -> None:
                self.a = 0

        return Observed()

    def see(self, kind: str) -> Seen | None:
        """Return an object, and its log."""
        if kind != "object":
            return None
        made: Any = ObjectTracked()

        def take() -> list[Any]:
            nonlocal mark
            found = made.tracker.log.log[mark:]
            mark += len(found)
            return list(found)

        mark = 0
        take()
        return made, take

    def before_after(self) -> tuple[Any, Any]:
        """Return before and after."""
        entry = self.changed()[-1]
        return entry.old, entry.new

    def changed(self) -> list[Any]:
        """Return the log of one change."""
        made: Any = ObjectTracked()
        made.a = 1
        return [*made.tracker.log.log]

    def can_history(self) -> bool:
        """List the changes later."""
        made: Any = ObjectTracked()
        made.a = 1
        made.a = 2
        return [entry.new for entry in made.tracker.log.log][-2:] == [1, 2]

    def can_blame(self) -> bool:
        """Ask for the last change of an attribute."""
        made: Any = ObjectTracked()
        made.a = 1
        made.a = 2
        return bool(made.tracker.log.filter("a").last().new == 2)

    def can_time(self) -> bool:
        """Look at the time of a change."""
        before = time.time()
        return bool(before <= self.changed()[-1].timestamp.timestamp() <= time.time())

    def can_stack(self) -> bool:
        """Find the line of a change."""
        made: Any = ObjectTracked()
        line = sys._getframe().f_lineno + 1
        made.a = 1
        frames = made.tracker.log.log[-1].stack
        return any((frame.filename, frame.lineno) == (__file__, line) for frame in frames)

    def can_bounded(self) -> bool | str:
        """Keep the newest changes only."""
        made: Any = ObjectTracked()
        for n in range(1, 2000):
            made.a = n
        return len(made.tracker.log.log) < 1999 or "all changes are kept"

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        made = self.make_observed(listener)
        listener.take()
        made.a = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one attribute only."""
        listener = Listener()

        @track("a", "b", attribute_observer_map={"b": [listener]})
        class Two:
            def __init__(self) -> None:
                self.a = self.b = 0

        made = Two()
        listener.take()
        made.a = made.b = 1
        return len(listener.take()) == 1


class Model(ChangeDetectionMixin, BaseModel):
    """An object with one attribute, and another one in it."""

    model_config = ConfigDict(validate_assignment=True)
    a: int = 0
    inner: Model | None = None


class ChangeDetect(Subject):
    """pydantic-changedetect."""

    title = short = distribution = "pydantic-changedetect"
    make_object = staticmethod(Model)

    def see(self, kind: str) -> Seen | None:
        """Return an object, and the names of its changed fields."""
        if kind != "object":
            return None
        made = Model()

        def take() -> set[str]:
            found = {*made.model_changed_fields}
            made.model_reset_changed()
            return found

        return made, take

    def before_after(self) -> tuple[Any, Any]:
        """Return before and after."""
        made = Model()
        made.a = 1
        return made.model_original["a"], made.a

    def can_nested(self) -> bool:
        """Notice a change of an object inside."""
        made = Model(inner=Model())
        assert made.inner is not None
        made.inner.a = 1
        return made.model_has_changed

    def can_path(self) -> bool:
        """Name the changed field of an object inside."""
        made = Model(inner=Model())
        assert made.inner is not None
        made.inner.a = 1
        return "inner.a" in made.model_changed_fields_recursive

    def can_undo(self) -> bool:
        """Restore the original."""
        made = Model()
        made.a = 1
        return bool(made.model_restore_original().a == 0)

    def can_types(self) -> bool:
        """Refuse a value of another type than that of the field."""
        made: Any = Model()
        try:
            made.a = "text"
        except ValueError:
            return bool(made.a == 0)
        return False


class Item(Aggregate):
    """An aggregate with an attribute and a dict."""

    @event("Created")
    def __init__(self, data: dict[str, Any]) -> None:
        self.a = 0
        self.data = data

    @event("Changed")
    def set_a(self, a: int) -> None:
        """Change the attribute."""
        self.a = a

    @event("Stored")
    def set_item(self, key: str, value: Any) -> None:
        """Change an item."""
        self.data[key] = value


class EventSourcing(Subject):
    """eventsourcing: changes are events, and methods make them."""

    title = short = distribution = "eventsourcing"

    def make_object(self) -> Any:
        """Return an aggregate."""
        return Item(data={})

    def set_attribute(self, thing: Any, value: Any) -> None:
        """Change the attribute by an event."""
        thing.set_a(value)

    def run_setattr(self, thing: Any, values: list[Any]) -> None:
        """Change the attribute by events."""
        for value in values:
            thing.set_a(value)

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Save each event in memory; read a version."""
        app: Any = Application()
        made = Item(data=data)
        app.save(made)
        self.app = app
        return made, lambda: made.version, lambda mark: app.repository.get(made.id, version=mark).data

    def run_earlier(self, thing: Any, value: Any) -> None:
        """Store an item by an event, and save it."""
        thing.set_item("a", value)
        self.app.save(thing)

    def see(self, kind: str) -> Seen | None:
        """Return an aggregate, and its events."""
        if kind != "object":
            return None
        made = Item(data={})

        def take() -> list[Any]:
            return [*made.collect_events()]

        take()
        return made, take

    def before_after(self) -> tuple[Any, Any]:
        """Return the only value that an event has."""
        return None, self.changed().a

    def changed(self) -> Any:
        """Return the event of one change."""
        made = Item(data={})
        made.set_a(1)
        return made.pending_events[-1]

    def can_history(self) -> bool:
        """List the events later."""
        app: Any = Application()
        made = Item(data={})
        made.set_a(1)
        made.set_a(2)
        app.save(made)
        return [each.a for each in app.events.get(made.id) if hasattr(each, "a")] == [1, 2]

    def can_observer(self) -> bool:
        """Call the policy of another application that follows."""
        from eventsourcing.system import ProcessApplication, SingleThreadedRunner, System

        listener = Listener()

        class First(Application):  # type: ignore[type-arg]
            pass

        class Follower(ProcessApplication):  # type: ignore[type-arg]
            def policy(self, domain_event: Any, processing_event: Any) -> None:
                """Be called with an event."""
                listener(domain_event)

        with SingleThreadedRunner(System(pipes=[[First, Follower]])) as runner:
            made = Item(data={})
            made.set_a(1)
            runner.get(First).save(made)
        return [each.a for each in listener.take() if hasattr(each, "a")] == [1]

    def can_time(self) -> bool:
        """Look at the time of an event."""
        before = time.time()
        return bool(before <= self.changed().timestamp.timestamp() <= time.time())

    def can_past(self) -> bool:
        """Read an earlier state."""
        made, mark, read = self.make_earlier({"a": 0})
        then = mark()
        self.run_earlier(made, 1)
        return bool(read(then) == {"a": 0} and read(mark()) == {"a": 1})

    def can_replay(self) -> bool:
        """Rebuild the object from its events."""
        made, mark, read = self.make_earlier({"a": 0})
        self.run_earlier(made, 1)
        return bool(read(mark()) == {"a": 1})

    def can_apply(self) -> bool:
        """Apply an event to a copy elsewhere."""
        made = Item(data={})
        copied: Any = made.pending_events[0].mutate(None)
        made.set_a(5)
        made.pending_events[-1].mutate(copied)
        return bool(copied.a == 5)

    def can_database(self) -> bool:
        """Store the object in a database, and read it in another application."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{folder}/events.db"}
            app: Any = Application(env=env)
            made = Item(data={"a": 1})
            app.save(made)
            app.close()
            again: Any = Application(env=env)
            found = again.repository.get(made.id).data
            again.close()
        return bool(found == {"a": 1})

    def can_conflict(self) -> bool:
        """Refuse the second of two writers who began at the same state."""
        app: Any = Application()
        made = Item(data={})
        app.save(made)
        one, two = app.repository.get(made.id), app.repository.get(made.id)
        one.set_a(1)
        two.set_a(2)
        app.save(one)
        try:
            app.save(two)
        except Exception:
            return bool(app.repository.get(made.id).a == 1)
        return False
