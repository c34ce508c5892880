"""SQLAlchemy and sqlalchemy-json: flags for what is to be saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, PickleType, create_engine, event, inspect
from sqlalchemy.ext.mutable import MutableDict, MutableList, MutableSet
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy_json import mutable_json_type

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
