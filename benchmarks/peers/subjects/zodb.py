"""ZODB: persistent objects, and transactions that can be undone."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import transaction
import ZODB
from BTrees.OOBTree import OOTreeSet
from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from ZODB.FileStorage import FileStorage
from ZODB.MappingStorage import MappingStorage

from subjects.base import Seen, Subject


class PersistentObject(Persistent):  # type: ignore[misc]
    """An object with one attribute."""

    def __init__(self) -> None:
        self.a = 0


class Zodb(Subject):
    """ZODB's persistent objects."""

    title, short, distribution = "ZODB", "ZODB", "zodb"

    def __init__(self) -> None:
        self.opened: list[Any] = []

    def open(self, storage: Any = None) -> tuple[Any, Any]:
        """Return a connection with its own transactions."""
        manager = transaction.TransactionManager()
        connection = ZODB.DB(MappingStorage() if storage is None else storage).open(manager)
        self.opened.append((connection, manager))
        return connection, manager

    def put(self, made: Any, storage: Any = None) -> Any:
        """Return an object that is in a database."""
        connection, manager = self.open(storage)
        connection.root()["x"] = made
        manager.commit()
        return made

    def close(self) -> None:
        """Forget what was changed, and close the databases."""
        while self.opened:
            connection, manager = self.opened.pop()
            manager.abort()
            connection.db().close()

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return a mapping."""
        return self.put(PersistentMapping(data))

    def make_list(self, data: list[Any]) -> Any:
        """Return a list."""
        return self.put(PersistentList(data))

    def make_set(self, data: set[Any]) -> Any:
        """Return the set of the package BTrees."""
        return self.put(OOTreeSet(data))

    def make_object(self) -> Any:
        """Return an object."""
        return self.put(PersistentObject())

    def make_nested(self) -> Any:
        """Return mappings in each other."""
        inner: Any = 0
        for key in "edcba":
            inner = PersistentMapping({key: inner})
        return self.put(inner)

    def make_new(self, data: dict[Any, Any]) -> Any:
        """Return a mapping that is in no database."""
        return PersistentMapping(data)

    def make_earlier(self, data: dict[Any, Any]) -> Any:
        """Commit each change; read from a connection to the past."""
        made = self.make_dict(data)
        connection, manager = self.opened[-1]
        self.manager = manager

        def read(mark: Any) -> Any:
            past = connection.db().open(at=mark)
            state = dict(past.root()["x"])
            past.close()
            return state

        return made, lambda: made._p_serial, read

    def run_earlier(self, thing: Any, value: Any) -> None:
        """Store an item, and commit it."""
        thing["a"] = value
        self.manager.commit()

    def see(self, kind: str) -> Seen | None:
        """Return an object, and whether it has to be saved."""
        made = {
            "dict": lambda: self.make_dict({}),
            "list": lambda: self.make_list([]),
            "set": lambda: self.make_set(set()),
            "object": self.make_object,
            "nested": self.make_nested,
        }[kind]()
        _, manager = self.opened[-1]
        part = made["a"]["b"]["c"]["d"] if kind == "nested" else made

        def take() -> bool:
            found = bool(part._p_changed)
            manager.commit()
            return found

        return made, take

    def file(self) -> tuple[Any, Any, Any]:
        """Return a mapping in a file, its connection and transactions."""
        self.folder = tempfile.TemporaryDirectory()
        made = self.put(PersistentMapping({"a": 0}), FileStorage(f"{self.folder.name}/data.fs"))
        return made, *self.opened[-1]

    def can_history(self) -> bool:
        """List the transactions that changed an object."""
        made, connection, manager = self.file()
        for value in (1, 2):
            made["a"] = value
            manager.commit()
        return len(connection.db().history(made._p_oid, 10)) == 3

    def can_blame(self) -> bool:
        """Ask for the last transaction that changed an object."""
        made, connection, manager = self.file()
        made["a"] = 1
        manager.get().setUser("ann")
        manager.commit()
        return "ann" in str(connection.db().history(made._p_oid, 1)[0]["user_name"])

    can_actor = can_blame

    def can_time(self) -> bool:
        """Look at the time of a transaction."""
        before = time.time()
        made, connection, manager = self.file()
        made["a"] = 1
        manager.commit()
        return before - 1 <= connection.db().history(made._p_oid, 1)[0]["time"] <= time.time() + 1

    def can_past(self) -> bool:
        """Read an earlier state."""
        made, mark, read = self.make_earlier({"a": 0})
        then = mark()
        self.run_earlier(made, 1)
        return bool(read(then) == {"a": 0})

    def can_undo(self) -> bool:
        """Undo a transaction."""
        made, connection, manager = self.file()
        made["a"] = 1
        manager.commit()
        connection.db().undo(connection.db().undoLog(0, 5)[0]["id"], manager.get())
        manager.commit()
        return bool(made["a"] == 0)

    def can_redo(self) -> bool:
        """Undo the undo."""
        made, connection, manager = self.file()
        made["a"] = 1
        manager.commit()
        for _ in range(2):
            connection.db().undo(connection.db().undoLog(0, 5)[0]["id"], manager.get())
            manager.commit()
        return bool(made["a"] == 1)

    def can_rollback(self) -> bool:
        """Leave the data as it was if a block raises."""
        made = self.make_nested()
        try:
            with self.opened[-1][1]:
                made["a"]["b"]["c"]["d"]["e"] = 1
                raise KeyError
        except KeyError:
            return bool(made["a"]["b"]["c"]["d"]["e"] == 0)
        return False

    def can_merge(self) -> bool:
        """Add to a set of BTrees in two transactions at once."""
        self.folder = tempfile.TemporaryDirectory()
        made = self.put(OOTreeSet([0]), FileStorage(f"{self.folder.name}/data.fs"))
        other = transaction.TransactionManager()
        twin = self.opened[-1][0].db().open(other).root()["x"]
        made.add(1)
        twin.add(2)
        other.commit()
        self.opened[-1][1].commit()
        self.opened[-1][0].sync()
        return [*made] == [0, 1, 2]

    def can_database(self) -> bool:
        """Store the data in a file, and read it in another database object."""
        made, _, manager = self.file()
        made["a"] = 1
        manager.commit()
        self.close()
        again, _ = self.open(FileStorage(f"{self.folder.name}/data.fs"))
        return bool(again.root()["x"] == {"a": 1})

    def can_conflict(self) -> bool:
        """Refuse the second of two writers who began at the same state."""
        made = self.make_dict({"a": 0})
        other = transaction.TransactionManager()
        twin = self.opened[-1][0].db().open(other).root()["x"]
        made["a"], twin["a"] = 1, 2
        other.commit()
        try:
            self.opened[-1][1].commit()
        except ZODB.POSException.ConflictError:
            return True
        return False
