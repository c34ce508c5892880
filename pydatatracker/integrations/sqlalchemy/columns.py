"""The attributes of mapped classes: loads, sets and nested changes.

Each object with a tracked column has a `Row`, found by its `InstanceState`. The ORM's events keep the two the same:
what is loaded is stored quietly, what is set is recorded where somebody wants to know, and a change within a JSON value
reaches the row, which marks the attribute as modified. A row never decides: an attribute is marked only while the
object holds the very value that changed. Listeners are added per class and not with ``propagate``, since one table may
be mapped by several classes, and a subclass may have columns of its own.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, TypeVar, overload

from sqlalchemy import Column, event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import LoaderCallableStatus, Mapper, Session, class_mapper, object_session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import UnmappedClassError
from sqlalchemy.sql.base import SchemaEventTarget
from sqlalchemy.types import TypeEngine

from pydatatracker import _core
from pydatatracker._core import MISSING, Options
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.integrations._rows import DATA, Row, as_tracked, json_options, row_options

__all__ = [
    "REPORTING",
    "Spec",
    "Tracked",
    "column_changes",
    "known_row",
    "row_of",
    "spec_of",
    "stored",
    "track_columns",
]

T = TypeVar("T")
C = TypeVar("C", bound=type)

_MARK = "pydatatracker"  # of a type, and in the info of a column: the options of its values
_ROWS: weakref.WeakKeyDictionary[Any, Row] = weakref.WeakKeyDictionary()
_SPECS: weakref.WeakKeyDictionary[type, Spec] = weakref.WeakKeyDictionary()
_ASKED: weakref.WeakKeyDictionary[type, tuple[tuple[str, ...], Options | None]] = weakref.WeakKeyDictionary()


class _Reporting:
    """Whether somebody wants to know what is flushed.

    :ivar rows: a function is called with row changes, so JSON columns that are set are recorded.
    :ivar flushing: the sessions that are flushing now.
    :ivar lines: a log wants lines, so every change is kept as it was when it happened.
    """

    rows = False
    lines = False

    def __init__(self) -> None:
        self.flushing: weakref.WeakSet[Session] = weakref.WeakSet()


REPORTING = _Reporting()


class Spec:
    """What is tracked of one mapped class, by attribute.

    :ivar values: the JSON columns, with the options of their values.
    :ivar logged: the columns whose own changes are recorded.
    """

    __slots__ = ("heard", "logged", "mapper", "options", "values")

    def __init__(self, mapper: Mapper[Any]) -> None:
        self.mapper = weakref.ref(mapper)
        self.values: dict[str, Options | None] = {}
        self.logged: dict[str, None] = {}
        self.options: Options | None = None
        self.heard: set[str] = set()

    def attributes(self) -> list[str]:
        """Return all attributes, in the order of the mapper. O(columns)."""
        return list({**self.logged, **self.values})


@overload
def Tracked(sqltype: type[TypeEngine[T]], /, **options: Any) -> TypeEngine[T]: ...
@overload
def Tracked(sqltype: TypeEngine[T], /, **options: Any) -> TypeEngine[T]: ...
def Tracked(sqltype: Any, /, **options: Any) -> Any:
    """Track the values of a JSON column, so nested changes are flushed.

    Returns the type itself, so that the schema and its migrations stay as they are. Give it the finished type:
    ``Tracked(JSON().with_variant(JSONB(), "postgresql"))``. Loading a value costs O(its items).

    :param sqltype: `sqlalchemy.JSON`, ``JSONB``, or any other type of dicts and lists, as a class or an object.
    :param options: the ``tracking_...`` options of the values.
    :raises TypeError: it is not a type of SQLAlchemy, or an option is unknown.

    >>> from sqlalchemy import JSON, Integer, create_engine
    >>> from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
    >>> class Base(DeclarativeBase): pass
    >>> class User(Base):
    ...     __tablename__ = "users"
    ...     id = mapped_column(Integer, primary_key=True)
    ...     settings = mapped_column(Tracked(JSON))
    >>> engine = create_engine("sqlite://")
    >>> Base.metadata.create_all(engine)
    >>> with Session(engine) as session:
    ...     user = User(settings={"theme": {"colour": "blue"}})
    ...     session.add(user)
    ...     session.commit()
    ...     user.settings["theme"]["colour"] = "red"
    ...     session.commit()
    ...     user.settings
    {'theme': {'colour': 'red'}}
    >>> engine.dispose()
    """
    made = sqltype() if isinstance(sqltype, type) and issubclass(sqltype, TypeEngine) else sqltype
    if not isinstance(made, TypeEngine):
        raise TypeError(f"Tracked() takes a type of SQLAlchemy, such as JSON, not {sqltype!r}")
    marked = (json_options(options, "Tracked()"),)
    setattr(made, _MARK, marked)
    if isinstance(made, SchemaEventTarget):  # its copies, made as a column is copied, lose the attribute

        @event.listens_for(made, "before_parent_attach")
        def attach(_: Any, parent: Any) -> None:
            if isinstance(parent, Column):
                parent.info[_MARK] = marked

    return made


def track_columns(model: C, /, *columns: str, **options: Any) -> C:
    """Record what is set in the columns of a mapped class, and by whom.

    The records are read by `column_changes`, and reported by `on_flush`, `on_commit` and `log_commits`. Nothing is
    loaded for it: the value before is MISSING if it was not loaded. Subclasses are included. It can be a decorator.
    Setting an attribute costs about four microseconds more.

    :param model: a mapped class.
    :param columns: the attributes; by default, all columns.
    :param options: ``tracking_...`` options of the records: ``tracking_redact=["/password"]``.
    :raises TypeError: it is not a mapped class, or an option is unknown. ValueError: it has no such column.

    >>> from sqlalchemy import Integer, String
    >>> from sqlalchemy.orm import DeclarativeBase, mapped_column
    >>> from pydatatracker import tracking_actor
    >>> class Base(DeclarativeBase): pass
    >>> @track_columns
    ... class User(Base):
    ...     __tablename__ = "users"
    ...     id = mapped_column(Integer, primary_key=True)
    ...     name = mapped_column(String)
    >>> user = User(name="ann")
    >>> with tracking_actor("admin"):
    ...     user.name = "bob"
    >>> [(change.actor, change.pointer, change.after) for change in column_changes(user)]
    [('', '/name', 'ann'), ('admin', '/name', 'bob')]
    """
    given = row_options(options, "track_columns()")
    try:
        mapper: Mapper[Any] = class_mapper(model, configure=False)
    except (UnmappedClassError, InvalidRequestError) as error:
        raise TypeError(f"track_columns() takes a mapped class, not {model!r}") from error
    known = {prop.key for prop in mapper.column_attrs} if mapper.configured or columns else set()
    for key in columns:
        if key not in known:
            raise ValueError(f"{model.__name__} has no column {key!r}; it has {', '.join(sorted(known))}")
    _ASKED[model] = columns, given
    for each in mapper.self_and_descendants:
        if each.configured:
            _listen(each)
    return model


def column_changes(instance: Any) -> list[ChangeLogEntry]:
    """Return the recorded changes of the columns of an object, oldest first.

    They reach back to when it was loaded or made; SQLAlchemy's expiry, as by a commit, ends them. O(records).

    Raises TypeError for an object that is not mapped.
    """
    state = getattr(instance, "_sa_instance_state", None)
    if state is None or isinstance(instance, type):
        raise TypeError(f"column_changes() takes an object of a mapped class, not {instance!r}")
    row = _ROWS.get(state)
    return [] if row is None else [change for change in row.tracking_changes() if change.action != "init"]


def spec_of(state: Any) -> Spec | None:
    """Return what is tracked of an object's class. O(1)."""
    return _SPECS.get(state.class_)


def row_of(state: Any, spec: Spec) -> Row:
    """Return the row of an object; make it of what is loaded.

    O(1), or O(columns).
    """
    row = _ROWS.get(state)
    if row is None:
        now = state.dict
        loaded = [(key, stored(now[key])) for key in spec.attributes() if key in now]
        row = _ROWS[state] = Row(weakref.ref(state), loaded, spec.options)
        row.tracking_add_observer(_changed, actions=DATA, when="immediate")
    return row


def known_row(state: Any) -> Row | None:
    """Return the row of an object if it has one. O(1)."""
    return _ROWS.get(state)


def stored(value: Any) -> Any:
    """Return what a row holds of a value.

    That is the text of an SQL expression, which cannot be compared.
    """
    return str(value) if hasattr(value, "__clause_element__") or hasattr(value, "_sa_propagate_attrs") else value


def _is_value(value: Any) -> bool:
    return _core.tracker(value) is not None


def _changed(change: ChangeLogEntry) -> None:
    """Mark attributes with nested changes; keep the change for a log."""
    row = change.viewer.container
    state = row.owner()
    instance = None if state is None else state.obj()
    if instance is None:
        return
    keys = {path[0] for path in change.paths if path}
    if change.place.tracker is _core.tracker(row):
        keys = keys or {key for key, _, _ in change.changes}  # it was cleared
    else:
        now = state.dict  # what was loaded or set otherwise is not the row's
        keys = {key for key in keys if key in now and now[key] is row.get(key)}
        for key in keys:
            flag_modified(instance, key)
    if REPORTING.lines and keys:
        row.note(change, keys)


# ---- events of attributes


class _Attribute:
    """What listens to one attribute of one class."""

    def __init__(self, spec: Spec, key: str, where: str) -> None:
        self.spec = spec
        self.key = key
        self.where = where

    def set(self, state: Any, value: Any, old: Any, initiator: Any) -> Any:
        spec, key = self.spec, self.key
        if value is old:
            return value
        if key in spec.values:
            value = as_tracked(value, spec.values[key], self.where)
        if key in spec.logged or REPORTING.rows or REPORTING.lines:
            row = row_of(state, spec)
            is_known = not isinstance(old, LoaderCallableStatus)
            if is_known is not (key in row):
                row.load([(key, stored(old) if is_known else MISSING)])
            row.put(key, stored(value))
        elif _is_value(value):
            row_of(state, spec).load([(key, value)])
        elif (known := _ROWS.get(state)) is not None and key in known:
            known.load([(key, MISSING)])
        return value

    def remove(self, state: Any, value: Any, initiator: Any) -> None:
        spec, key = self.spec, self.key
        row = _ROWS.get(state)
        if key in spec.logged or REPORTING.rows or REPORTING.lines:
            row = row_of(state, spec)
            row.pop(key, None)
        elif row is not None and key in row:
            row.load([(key, MISSING)])


# ---- events of objects


class _Class:
    """What listens to the objects of one class."""

    def __init__(self, spec: Spec, name: str) -> None:
        self.spec = spec
        self.name = name

    def load(self, state: Any, *_: Any) -> None:
        _ROWS.pop(state, None)
        self._take(state, None)

    def refresh(self, state: Any, context: Any, attrs: Iterable[str] | None) -> None:
        if not attrs:
            _ROWS.pop(state, None)
        self._take(state, attrs or None)

    def refresh_flush(self, state: Any, context: Any, attrs: Iterable[str]) -> None:
        """Take what a flush filled in, such as defaults; that is a change."""
        now, spec = state.dict, self.spec
        self._track(now, attrs)
        if spec.logged or REPORTING.rows or REPORTING.lines:
            row = row_of(state, spec)
            for key in spec.attributes():
                if key in attrs and key in now and row.get(key, MISSING) is not now[key]:
                    row[key] = stored(now[key])
                    row.extra |= {key}
        else:
            self._take(state, attrs)

    def expire(self, state: Any, attrs: Iterable[str] | None) -> None:
        if attrs is None:
            _ROWS.pop(state, None)
        elif (row := _ROWS.get(state)) is not None:
            if REPORTING.flushing and object_session(state.obj()) in REPORTING.flushing:  # it was an SQL expression
                row.extra = row.extra.union(attrs)
            else:
                row.load([(key, MISSING) for key in attrs])

    def pickle(self, state: Any, state_dict: dict[str, Any]) -> None:
        now = state.dict
        values = {key: now[key] for key in self.spec.values if key in now and _is_value(now[key])}
        if values:
            state_dict[_MARK] = values

    def unpickle(self, state: Any, state_dict: dict[str, Any]) -> None:
        values = state_dict.get(_MARK)
        if values:
            row_of(state, self.spec).load(values.items())

    def _track(self, now: Any, attrs: Iterable[str] | None) -> None:
        for key, options in self.spec.values.items():
            value = now.get(key)
            if value is not None and (attrs is None or key in attrs):
                tracked = as_tracked(value, options, f"{self.name}.{key}")
                if tracked is not value:
                    now[key] = tracked

    def _take(self, state: Any, attrs: Iterable[str] | None) -> None:
        """Track what was loaded, and have it in the row without a record."""
        now, spec = state.dict, self.spec
        self._track(now, attrs)
        row = _ROWS.get(state)
        if row is None:
            if any(_is_value(now.get(key)) for key in spec.values):
                row_of(state, spec)
            return
        loaded = [key for key in spec.attributes() if attrs is None or key in attrs]
        row.load([(key, stored(now[key]) if key in now else MISSING) for key in loaded], fresh=True)


def _listen(mapper: Mapper[Any]) -> None:
    """Listen to a mapped class; called again, to what is new."""
    cls = mapper.class_
    found: dict[str, tuple[Options | None]] = {}
    logged: dict[str, None] = {}
    options: Options | None = None
    columns = [prop for prop in mapper.column_attrs if isinstance(prop.columns[0], Column)]
    for prop in columns:
        column = prop.columns[0]
        marked = column.info.get(_MARK) or getattr(column.type, _MARK, None)
        if marked:
            found[prop.key] = marked
    for base in reversed(cls.__mro__):
        asked = _ASKED.get(base)
        if asked is not None:
            logged.update(dict.fromkeys(asked[0] or (prop.key for prop in columns)))
            options = asked[1] or options
    if not found and not logged:
        return
    spec = _SPECS.get(cls)
    if spec is None or spec.mapper() is not mapper:  # the class may have been mapped before
        spec = _SPECS[cls] = Spec(mapper)
        objects = _Class(spec, cls.__name__)
        for name in ("load", "refresh", "refresh_flush", "expire", "pickle", "unpickle"):
            event.listen(cls, name, getattr(objects, name), raw=True)
        event.listen(cls, "_sa_event_merge_wo_load", objects.load, raw=True)
    spec.values.update({key: marked[0] for key, marked in found.items()})
    spec.logged.update(logged)
    spec.options = options
    for key in spec.attributes():
        if key not in spec.heard:
            spec.heard.add(key)
            heard = _Attribute(spec, key, f"{cls.__name__}.{key}")
            event.listen(getattr(cls, key), "set", heard.set, raw=True, retval=True)
            event.listen(getattr(cls, key), "remove", heard.remove, raw=True)


@event.listens_for(Mapper, "mapper_configured")
def _configured(mapper: Mapper[Any], cls: type) -> None:
    _listen(mapper)
