"""Models that know what changed, and report what was saved.

An object has a `Row` from when a field is set or a JSON value is read for the first time; it is made of what is loaded,
so nothing is queried for it. A new object has none: all that it has is new. The row is in the ``__dict__`` of the
``_state`` of the object, under `ROW`, and is False there while Django itself stores what it loads. It is not in that of
the object, which programs read, as in ``Article(**vars(article))``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Self

from django.db import router, transaction

from pydatatracker import _core
from pydatatracker._core import MISSING, Options
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.rewind import HistoryLostError
from pydatatracker.integrations._rows import DATA, Row, RowChange, net_rows, row_options, whole_rows
from pydatatracker.integrations.django.fields import TrackedJSONField
from pydatatracker.integrations.django.middleware import actor_now
from pydatatracker.values.redact import RedactedError
from pydatatracker.values.standins import is_redacted

__all__ = ["SaveObserver", "TrackedModel", "log_commits", "on_commit", "on_save"]

ROW = "_tracking_row"

_OBSERVERS: list[SaveObserver] = []


class SaveObserver:
    """A function that is called with what is saved.

    `on_save`, `on_commit` and `log_commits` return one. ``remove()`` ends it, and so does the end of a ``with`` block.
    """

    def __init__(self, model: Any, call: Callable[..., Any], when: str) -> None:
        if not isinstance(model, type) or not issubclass(model, TrackedModel):
            raise TypeError(f"a class with the base TrackedModel is observed, or TrackedModel itself, not {model!r}")
        if not callable(call):
            raise TypeError(f"a function is called with the changes; {call!r} cannot be called")
        self.model = model
        self.call = call
        self.when = when
        _OBSERVERS.append(self)

    def remove(self) -> None:
        """Stop calling the function; a second call does nothing. O(observers)."""
        if self in _OBSERVERS:
            _OBSERVERS.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def on_save(model: Any, function: Callable[[Any, list[RowChange]], Any]) -> SaveObserver:
    """Call a function with what each save and delete writes.

    ``function(instance, changes)`` gets a list of `RowChange`, one for each path that differs. It is called right after
    the write, before a transaction around it is committed; what it raises reaches the caller of ``save()``.
    O(changes + items of the values that changed).

    :param model: a class with the base `TrackedModel`, with its subclasses; `TrackedModel` itself for all.
    :raises TypeError: it is not such a class.
    """
    return SaveObserver(model, function, "save")


def on_commit(model: Any, function: Callable[[Any, list[RowChange]], Any]) -> SaveObserver:
    """Call a function with what each save and delete wrote, once committed.

    It is as `on_save`, and uses ``transaction.on_commit``: what is rolled back is not reported.
    """
    return SaveObserver(model, function, "commit")


def log_commits(model: Any, observer: Callable[[ChangeLogEntry], Any]) -> SaveObserver:
    """Give an exporter or another observer what was saved, once committed.

    It gets every change of a field that was saved, not only the differences, with the table and the primary key as
    ``name`` (``shop_article/7``), and before the first one an ``init`` with what was loaded of the object. Each change
    is encoded when it is made: O(its values).

    :param observer: a `JsonLinesExporter`, for instance.
    """
    return SaveObserver(model, observer, "lines")


def _wanted(cls: type) -> set[str]:
    """Return what observers of a model want: save, commit, lines."""
    return {each.when for each in _OBSERVERS if issubclass(cls, each.model)}


def _fields(cls: Any) -> dict[str, Any]:
    """Return the fields of a model that have a column, by attribute. O(1)."""
    fields = cls._meta.concrete_fields
    known = cls.__dict__.get("_tracking_fields")
    if known is None or known[0] is not fields:  # fields may be added while the models are loaded
        known = fields, {field.attname: field for field in fields}
        type.__setattr__(cls, "_tracking_fields", known)
    return known[1]


def _options(cls: Any) -> Options | None:
    return row_options(dict(cls.tracking_options), f"{cls.__name__}.tracking_options")


def _stored(value: Any) -> Any:
    """Return what a row holds of a value: of an expression its text."""
    return str(value) if hasattr(value, "resolve_expression") else value


class TrackedModel:
    """A base class of models that know what changed, and by whom.

    Name it before ``models.Model``: ``class Article(TrackedModel, models.Model)``. It has no fields, so it needs no
    migration, and it makes no queries. Setting a field of a loaded object costs about five microseconds more.

    :cvar tracking_options: ``tracking_...`` options of the records: ``{"tracking_redact": ["/password"]}``.
    """

    tracking_options: dict[str, Any] = {}

    def unsaved_changes(self) -> list[RowChange]:
        """Return what differs from what was loaded or saved last.

        One for each path, also within a `TrackedJSONField`. Of a new object these are all its fields. ``before`` is
        MISSING for a deferred field. O(changes + items of the values that changed).
        """
        return _Save(self, None).changes()

    # ---- what Django and Python call

    def __setattr__(self, name: str, value: Any) -> None:
        data = self.__dict__
        state = data.get("_state")
        if state is None or state.adding or state.__dict__.get(ROW) is False or name not in _fields(type(self)):
            super().__setattr__(name, value)
            return
        row = _row_of(self)
        field = _fields(type(self))[name]
        if isinstance(field, TrackedJSONField):
            value = field.track(value)
        if name in data and name not in row:
            row.load([(name, _stored(data[name]))])
        super().__setattr__(name, value)
        row.put(name, _stored(data.get(name, value)))

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        row = _held(self).get(ROW)
        if isinstance(row, Row) and name in row:
            row.load([(name, MISSING)])
        elif isinstance(row, dict):
            row.pop(name, None)

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        held = state["_state"].__dict__  # of a copy
        row = held.pop(ROW, None)
        if isinstance(row, Row):
            changes = {change.pointer: change for change in _Save(self, None).changes()}
            if changes:
                names = {pointer.split("/")[1] for pointer in changes}
                held[ROW] = {name: _saved(row, name, changes.get(f"/{name}")) for name in names}
        elif isinstance(row, dict):
            held[ROW] = row
        return state

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Load fields again, as Django does; what is loaded is not recorded."""
        data, held = self.__dict__, _held(self)
        row, held[ROW] = held.get(ROW), False
        try:
            super().refresh_from_db(*args, **kwargs)  # type: ignore[misc]
        finally:
            held[ROW] = row
        fields = kwargs.get("fields", args[1] if len(args) > 1 else None)
        if not isinstance(row, Row):
            return
        if fields is None:
            del held[ROW]
        else:
            names = _attnames(type(self), fields)
            row.load([(name, _stored(data[name])) for name in names if name in data], fresh=True)

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """Save the object, as Django does, and report what was written."""
        data = self.__dict__
        is_new = data["_state"].adding
        super().save_base(*args, **kwargs)  # type: ignore[misc]
        fields = kwargs.get("update_fields", args[4] if len(args) > 4 else None)
        _Save(self, fields, "insert" if is_new else "update").report()

    save_base.alters_data = True  # type: ignore[attr-defined]

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Delete the object, as Django does, and report it."""
        save = _Save(self, None, "delete")
        using = kwargs.get("using", args[0] if args else None) or router.db_for_write(type(self), instance=self)
        deleted = super().delete(*args, **kwargs)  # type: ignore[misc]
        save.report(using)
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]

    def _tracking_attach(self, name: str, value: Any) -> None:
        """Have a JSON value in the row, so that its changes are recorded there."""
        row = _held(self).get(ROW)
        if isinstance(row, Row):
            if row.get(name) is not value:
                row.load([(name, value)])
        elif row is not False and not self.__dict__["_state"].adding:
            _row_of(self).load([(name, value)])


TrackedModel.__module__ = "pydatatracker.integrations.django"  # migrations name it as a base


def _values(instance: Any, names: Iterable[str]) -> list[tuple[str, Any]]:
    """Return what is loaded of some fields.

    O(names + items of values with redaction).
    """
    data, fields = instance.__dict__, _fields(type(instance))
    found = []
    for name in names:
        if name in data:
            field = fields[name]
            if isinstance(field, TrackedJSONField) and field.redacts:  # before it gets into a record
                data[name] = field.track(data[name])
            found.append((name, _stored(data[name])))
    return found


def _held(instance: Any) -> dict[str, Any]:
    """Return the dict that has the row of an object. O(1)."""
    held: dict[str, Any] = instance.__dict__["_state"].__dict__
    return held


def _row_of(instance: Any) -> Row:
    """Return the row of an object, made of what is loaded. O(1), or O(fields)."""
    held = _held(instance)
    row = held.get(ROW)
    if isinstance(row, Row):
        return row
    values = dict(_values(instance, _fields(type(instance))))
    unsaved = {name: row[name] for name in values if name in row} if row else {}  # of a pickle
    made = Row(None, {**values, **unsaved}.items(), _options(type(instance)))
    made.tracking_add_observer(_noted, actions=DATA, when="immediate")
    held[ROW] = made
    made.owner = type(instance)
    for name in unsaved:
        made[name] = values[name]
    return made


def _saved(row: Row, name: str, change: RowChange | None) -> Any:
    """Return what a field held when it was loaded or saved.

    MISSING if that was not kept. ``change`` is that of the whole field, if there is one. O(items + records).
    """
    if change is not None:
        return MISSING if is_redacted(change.before) else change.before
    try:
        return row[name].tracking_state_at(row.mark_of(name))
    except (HistoryLostError, RedactedError):
        return MISSING


def _noted(change: ChangeLogEntry) -> None:
    """Keep a change for a log."""
    row = change.viewer.container
    if "lines" in _wanted(row.owner):
        keys = {path[0] for path in change.paths if path}
        row.note(change, keys or {key for key, _, _ in change.changes})


def _attnames(cls: Any, names: Iterable[str]) -> list[str]:
    """Return the attributes of fields that are named as `save` accepts it."""
    wanted = {*names}
    return [name for name, field in _fields(cls).items() if name in wanted or field.name in wanted]


class _Save:
    """What a save or a delete writes of one object."""

    def __init__(self, instance: Any, fields: Iterable[str] | None, operation: str = "update") -> None:
        self.instance = instance
        self.cls = type(instance)
        self.names = [*_fields(self.cls)] if fields is None else _attnames(self.cls, fields)
        self.is_whole = fields is None
        self.operation = "insert" if instance._state.adding and operation != "delete" else operation
        self.key: tuple[Any, ...] = ()
        self.actor = ""
        if operation == "delete":
            self.key = self._primary_key()

    def changes(self) -> list[RowChange]:
        """Return the differences. O(changes + items of the values that changed)."""
        data = self.instance.__dict__
        self.key = self.key or self._primary_key()
        if self.operation == "insert":
            row = Row(None, _values(self.instance, self.names), _options(self.cls))
            return list(whole_rows(row, self.names, self._made, gone=False))
        if self.operation == "delete":
            row = _row_of(self.instance)
            return list(whole_rows(row, self.names, self._made, gone=True))
        if not _held(self.instance).get(ROW):
            return []
        row = _row_of(self.instance)
        groups: dict[int, list[str]] = {}
        for name in self.names:
            groups.setdefault(row.mark_of(name), []).append(name)
        found: list[RowChange] = []
        for since, names in groups.items():
            now = {name: _stored(data[name]) for name in names if name in data}
            found += net_rows(row, names, self._made, now, {}, since)
        order = {name: number for number, name in enumerate(self.names)}
        return sorted(found, key=lambda change: order[change.pointer.split("/")[1]])

    def report(self, using: str | None = None) -> None:
        """Call the observers, now or after the commit, and begin anew."""
        held = _held(self.instance)
        wanted = _wanted(self.cls)
        row = held.get(ROW)
        if row and self.operation == "update":
            row = _row_of(self.instance)  # also of a pickle
        if self.operation == "insert" or self.operation == "delete":
            row = (
                self._new_row() if wanted and self.operation == "insert" else _row_of(self.instance) if wanted else None
            )
        if wanted:
            self.actor = actor_now()
        changes = self.changes() if wanted & {"save", "commit"} else []
        lines: list[ChangeLogEntry] = []
        if isinstance(row, Row):
            if self.operation == "delete":
                row.clear()
            if row.pending:
                names = None if self.operation == "delete" else self.names
                lines = row.take(names, self._name(), keep=True, actor=self.actor)
            self._mark(row)
        elif row is not False:
            held.pop(ROW, None)
        if changes or lines:
            self._call(changes, lines, using or self.instance._state.db)

    def _new_row(self) -> Row:
        """Return a row in which everything was just stored."""
        _held(self.instance)[ROW] = row = Row(self.cls, (), _options(self.cls))
        row.tracking_add_observer(_noted, actions=DATA, when="immediate")
        for name, value in _values(self.instance, self.names):
            row[name] = value
        return row

    def _mark(self, row: Row) -> None:
        newest = _core.newest_seq()
        if self.is_whole:
            row.mark, row.marks = newest, None
        else:
            row.marks = {**(row.marks or {}), **dict.fromkeys(self.names, newest)}

    def _call(self, changes: list[RowChange], lines: list[ChangeLogEntry], using: str) -> None:
        observers = [each for each in _OBSERVERS if issubclass(self.cls, each.model)]
        for each in observers:
            if each.when == "save" and changes:
                each.call(self.instance, list(changes))
            elif each.when == "commit" and changes:
                transaction.on_commit(functools.partial(each.call, self.instance, list(changes)), using=using)
            elif each.when == "lines" and lines:
                transaction.on_commit(functools.partial(_write, each.call, lines), using=using)

    def _made(self, key: str, pointer: str, before: Any, after: Any, actor: str, *rest: Any) -> RowChange:
        field = _fields(self.cls)[key]
        table, column = field.model._meta.db_table, field.column
        return RowChange(
            self.instance, self.operation, table, self.key, column, pointer, before, after, actor or self.actor, *rest
        )

    def _primary_key(self) -> tuple[Any, ...]:
        data = self.instance.__dict__
        fields = getattr(self.cls._meta, "pk_fields", (self.cls._meta.pk,))
        return tuple(data.get(field.attname, MISSING) for field in fields)

    def _name(self) -> str:
        return f"{self.cls._meta.db_table}/{','.join(str(each) for each in self.key or self._primary_key())}"


def _write(observer: Callable[[ChangeLogEntry], Any], lines: list[ChangeLogEntry]) -> None:
    for line in lines:
        observer(line)
