"""SQLAlchemy, sqlalchemy-json and ZODB: flags for what is to be saved."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import transaction
import ZODB
from BTrees.OOBTree import OOTreeSet
from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from sqlalchemy import JSON, PickleType, create_engine, event, inspect
from sqlalchemy.ext.mutable import MutableDict, MutableList, MutableSet
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy_json import mutable_json_type
from ZODB.FileStorage import FileStorage
from ZODB.MappingStorage import MappingStorage

from subjects.base import Listener, Seen, Subject, levels


class Base(DeclarativeBase):
    """The base of the table."""


class Row(Base):
    """A row with a column of each kind."""

    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    a: Mapped[int] = mapped_column(default=0)
    d = mapped_column(MutableDict.as_mutable(JSON), default=dict)
    l = mapped_column(MutableList.as_mutable(JSON), default=list)  # noqa: E741
    s = mapped_column(MutableSet.as_mutable(PickleType), default=set)
    n = mapped_column(mutable_json_type(dbtype=JSON, nested=True), default=dict)
    __mapper_args__ = {"version_id_col": version}


FIELDS = {"dict": "d", "list": "l", "set": "s", "object": "a", "nested": "n"}


class SqlAlchemy(Subject):
    """SQLAlchemy's mutable columns and its session."""

    title = short = "SQLAlchemy"
    distribution = "sqlalchemy"

    def __init__(self) -> None:
        self.engine = create_engine("sqlite://")
        Base.metadata.create_all(self.engine)
        self.session = Session(self.engine)
        self.kept: list[Any] = []
        self.listening: list[Any] = []

    def saved(self, **columns: Any) -> Any:
        """Return a row that is in the database."""
        row = Row(**columns)
        self.session.add(row)
        self.session.commit()
        self.session.refresh(row)
        self.kept.append(row)
        return row

    def close(self) -> None:
        """Forget what was changed."""
        self.session.rollback()
        self.kept.clear()
        while self.listening:
            event.remove(*self.listening.pop())

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return the dict of a row."""
        return self.saved(d=data).d

    def make_list(self, data: list[Any]) -> Any:
        """Return the list of a row."""
        return self.saved(l=data).l

    def make_set(self, data: set[Any]) -> Any:
        """Return the set of a row."""
        return self.saved(s=data).s

    def make_object(self) -> Any:
        """Return a row."""
        return self.saved()

    def make_new(self, data: dict[Any, Any]) -> Any:
        """Return the dict of a row that is in no database."""
        return Row(d=data).d

    def listen(self, column: Any, name: str, call: Callable[..., None]) -> None:
        """Subscribe until ``close``."""
        event.listen(column, name, call)
        self.listening.append((column, name, call))

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return a row whose attribute has one observer."""
        self.listen(Row.a, "set", lambda target, value, old, initiator: callback((old, value)))
        return self.saved()

    def see(self, kind: str) -> Seen | None:
        """Return the value of a column, and whether the row has to be saved."""
        row = self.saved(d={"a": {"b": {"c": {"d": {"e": 0}}}}}) if kind == "nested" else self.saved()

        def take() -> bool:
            found = bool(inspect(row).modified)
            self.session.flush()
            return found

        name = "d" if kind == "nested" else FIELDS[kind]
        return row if kind == "object" else getattr(row, name), take

    def before_after(self) -> tuple[Any, Any]:
        """Return before and after of an attribute."""
        row = self.saved()
        row.a = 1
        history = inspect(row).attrs.a.history
        return history.deleted[0], history.added[0]

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener).a = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one attribute only."""
        listener = Listener()
        row = self.make_observed(listener)
        row.d = {"b": 1}
        row.a = 1
        return len(listener.take()) == 1

    def can_undo(self) -> bool:
        """Restore what is in the database."""
        row = self.saved()
        row.a = 1
        self.session.refresh(row)
        return bool(row.a == 0)

    def can_rollback(self) -> bool:
        """Leave the data as it was if a block raises."""
        row = self.saved(d={"a": 0})
        try:
            with self.session.begin_nested():
                row.d["a"] = 1
                raise KeyError
        except KeyError:
            return bool(row.d == {"a": 0})
        return False

    def can_database(self) -> bool:
        """Store the data in a database, and read it in another session."""
        row = self.saved(d={"a": 0})
        row.d["a"] = 1
        self.session.commit()
        with Session(self.engine) as other:
            found: Any = other.get(Row, row.id)
            return bool(found.d == {"a": 1})

    def can_conflict(self) -> bool:
        """Refuse the second of two writers who began at the same state."""
        row = self.saved()
        with Session(self.engine, expire_on_commit=False) as other:
            twin: Any = other.get(Row, row.id)
            twin.a = 1
            other.commit()
        row.a = 2
        try:
            self.session.commit()
        except StaleDataError:
            return True
        return False

    def can_types(self) -> bool | str:
        """Refuse a value of another type than that of the field."""
        row: Any = self.saved()
        row.a = "text"
        return bool(row.a != "text") or "the database may refuse it, the object does not"


class SqlAlchemyJson(SqlAlchemy):
    """sqlalchemy-json: the same, nested."""

    title = short = distribution = "sqlalchemy-json"
    make_set = Subject.make_set
    make_object = Subject.make_object

    def make_dict(self, data: dict[Any, Any]) -> Any:
        """Return the dict of a row."""
        return self.saved(n=data).n

    def make_list(self, data: list[Any]) -> Any:
        """Return a list in the dict of a row."""
        return self.saved(n={"l": data}).n["l"]

    def make_nested(self) -> Any:
        """Return dicts in each other."""
        return self.saved(n=levels()).n

    def make_observed(self, callback: Callable[..., None]) -> Any:
        """Return the dict of a row, with one observer."""
        self.listen(Row.n, "modified", lambda target, initiator: callback(target))
        return self.saved(n={"a": 0}).n

    def make_new(self, data: dict[Any, Any]) -> Any:
        """Return the dict of a row that is in no database."""
        return Row(n=data).n

    def see(self, kind: str) -> Seen | None:
        """Return a part of a column, and whether the row has to be saved."""
        if kind in ("set", "object"):
            return None
        row = self.saved(n=levels() if kind == "nested" else {"inner": {"dict": {}, "list": []}[kind]})

        def take() -> bool:
            found = bool(inspect(row).modified)
            self.session.flush()
            return found

        return row.n if kind == "nested" else row.n["inner"], take

    def before_after(self) -> tuple[Any, Any]:
        """Return the only value that the column has."""
        row = self.saved(n={"a": 0})
        row.n["a"] = 1
        history = inspect(row).attrs.n.history
        return (history.deleted or (None,))[0], history.added[0]["a"]

    def can_observer(self) -> bool:
        """Call back for a store."""
        listener = Listener()
        self.make_observed(listener)["a"] = 1
        return len(listener.take()) == 1

    def can_filter(self) -> bool:
        """Call back for one column only."""
        listener = Listener()
        made = self.make_observed(listener)
        self.kept[-1].l.append(1)
        made["a"] = 1
        return len(listener.take()) == 1

    can_types = None  # type: ignore[assignment]


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
        import time

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
