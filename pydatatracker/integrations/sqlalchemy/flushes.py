"""What a session wrote: reports of flushes and commits, and a log.

The listeners are on `sqlalchemy.orm.Session` and are added by the first report. After a flush the objects still show
what was changed, so that is when the rows are read. What waits for the commit is kept beside the session, with the
savepoints that it was flushed in, and goes when one of them is rolled back.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Self

from sqlalchemy import event, inspect
from sqlalchemy.orm import LoaderCallableStatus, Session, scoped_session, sessionmaker

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.integrations._rows import Row, RowChange, net_rows, whole_rows
from pydatatracker.integrations.sqlalchemy.columns import REPORTING, Spec, known_row, row_of, spec_of, stored

__all__ = ["FlushObserver", "log_commits", "on_commit", "on_flush"]

Report = Callable[[Any, list[RowChange]], Any]

_OBSERVERS: list[FlushObserver] = []
_WAITING: weakref.WeakKeyDictionary[Session, list[_Batch]] = weakref.WeakKeyDictionary()
_listening = False


class FlushObserver:
    """A function that is called with what sessions wrote.

    `on_flush`, `on_commit` and `log_commits` return one. ``remove()`` ends it, and so does the end of a ``with`` block.
    """

    def __init__(self, target: Any, call: Callable[..., Any], when: str) -> None:
        if not callable(call):
            raise TypeError(f"a function is called with the changes; {call!r} cannot be called")
        self._chosen = _chosen_by(target)
        self._target = target
        self.call = call
        self.when = when
        _OBSERVERS.append(self)
        _update()

    def matches(self, session: Session) -> bool:
        """Return whether it is called for a session. O(1)."""
        return self._chosen(session)

    def remove(self) -> None:
        """Stop calling the function; a second call does nothing. O(observers)."""
        if self in _OBSERVERS:
            _OBSERVERS.remove(self)
            _update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<FlushObserver of {self._target!r}, calls {self.call!r}>"


def on_flush(target: Any, function: Report) -> FlushObserver:
    """Call a function with what each flush writes, within its transaction.

    ``function(session, changes)`` gets a list of `RowChange`, one for each path that differs: what was set and set back
    is not in it. What it raises, the flush raises, and the transaction is rolled back. What is reported may still be
    rolled back; `on_commit` waits. Changes made past the objects, such as ``update(User).values(...)``, are not seen.
    O(changes + the items of the values that changed).

    :param target: a session, a `sessionmaker`, `scoped_session` or class of sessions, or one of those of
        `sqlalchemy.ext.asyncio`.
    :param function: is called with the `Session` and the changes, not for a flush without any.
    :raises TypeError: the target is none of these.
    """
    return FlushObserver(target, function, "flush")


def on_commit(target: Any, function: Report) -> FlushObserver:
    """Call a function with what each transaction wrote, after its commit.

    It is as `on_flush`, with the changes of all flushes of the transaction, in order. Those of savepoints that were
    rolled back are left out. The session may not be used for SQL in the function, and an error in it reaches the caller
    of ``commit()``, although the data is written.
    """
    return FlushObserver(target, function, "commit")


def log_commits(target: Any, observer: Callable[[ChangeLogEntry], Any]) -> FlushObserver:
    """Give an exporter or another observer what each transaction wrote.

    It gets every change of a column that was written, not only the differences, after the commit: an ``init`` with what
    was loaded of the row, and one change for each that was made, with the table and the primary key as ``name``
    (``users/7``). Changes of a transaction that is rolled back are not logged. Each change is encoded when it is made:
    O(its values).

    :param target: as for `on_flush`.
    :param observer: a `JsonLinesExporter`, for instance.
    """
    return FlushObserver(target, observer, "lines")


def _chosen_by(target: Any) -> Callable[[Session], bool]:
    """Return what tells whether a session is meant by a target."""
    if isinstance(target, (scoped_session, _async("async_scoped_session"))):
        target = target.session_factory
    if isinstance(target, _async("AsyncSession")):
        target = target.sync_session
    if isinstance(target, _async("async_sessionmaker")):
        sync = target.kw.get("sync_session_class")
        if sync is None:  # a class of its own, which says whose session it is
            sync = type("Session", (target.class_.sync_session_class,), {})
            target.configure(sync_session_class=sync)
        target = sync
    if isinstance(target, sessionmaker):
        target = target.class_
    if isinstance(target, Session):
        one = weakref.ref(target)
        return lambda session: one() is session
    if isinstance(target, type) and issubclass(target, Session):
        return lambda session: isinstance(session, target)
    raise TypeError(f"a session, a sessionmaker or a class of sessions is observed, not {target!r}")


def _async(name: str) -> Any:
    """Return a class of sqlalchemy.ext.asyncio, or () if it was not imported."""
    import sys

    return getattr(sys.modules.get("sqlalchemy.ext.asyncio"), name, ())


def _update() -> None:
    """Listen to sessions while somebody wants to know."""
    global _listening
    REPORTING.rows = any(each.when != "lines" for each in _OBSERVERS)
    REPORTING.lines = any(each.when == "lines" for each in _OBSERVERS)
    if not _listening:
        _listening = True
        event.listen(Session, "before_flush", _flushing)
        event.listen(Session, "after_flush", _flushed)
        event.listen(Session, "after_commit", _committed)
        event.listen(Session, "after_soft_rollback", _rolled_back)


class _Batch:
    """What one flush wrote, until the transaction ends."""

    __slots__ = ("changes", "lines", "savepoints")

    def __init__(self, session: Session, changes: list[RowChange], lines: list[ChangeLogEntry]) -> None:
        self.changes = changes
        self.lines = lines
        self.savepoints = []
        each = session.get_nested_transaction()
        while each is not None:
            if each.nested:
                self.savepoints.append(each)
            each = each.parent


def _flushing(session: Session, context: Any, instances: Any) -> None:
    REPORTING.flushing.add(session)


def _flushed(session: Session, context: Any) -> None:
    REPORTING.flushing.discard(session)
    observers = [each for each in _OBSERVERS if each.matches(session)]
    wants_rows = any(each.when != "lines" for each in observers)
    changes: list[RowChange] = []
    lines: list[ChangeLogEntry] = []
    for operation, instances in (("insert", session.new), ("update", session.dirty), ("delete", session.deleted)):
        for instance in instances:
            state: Any = inspect(instance)
            spec = spec_of(state)
            if spec is None:
                continue
            _Flushed(instance, state, spec, operation).read(changes if wants_rows else None, lines)
    if not observers or not (changes or lines):
        return
    if any(each.when != "flush" for each in observers):
        _WAITING.setdefault(session, []).append(_Batch(session, changes, lines))
    if changes:
        for each in observers:
            if each.when == "flush":
                each.call(session, list(changes))


class _Flushed:
    """One object that a flush writes."""

    def __init__(self, instance: Any, state: Any, spec: Spec, operation: str) -> None:
        self.instance = instance
        self.state = state
        self.operation = operation
        self.spec = spec
        self.mapper = state.mapper
        self.key = self._primary_key()

    def read(self, changes: list[RowChange] | None, lines: list[ChangeLogEntry]) -> None:
        """Add the changes and lines, and begin anew."""
        spec, state = self.spec, self.state
        known = known_row(state)
        keys = spec.attributes()
        if self.operation == "insert":
            row = row_of(state, spec)
            written = [key for key in keys if key in state.dict]
            for key in written:  # filled by the flush or before anything listened
                if key not in row:
                    row[key] = stored(state.dict[key])
        elif self.operation == "delete":
            row = row_of(state, spec)
            written = [key for key in keys if key in row]
        else:
            if known is None:
                return
            row = known
            written = [key for key in keys if key in state.committed_state or key in row.extra]
        if changes is not None:
            changes.extend(self._changes(row, written))
        if self.operation == "delete" and REPORTING.lines:
            row.clear()
        if REPORTING.lines:
            lines.extend(row.take(None if self.operation == "delete" else written, self._name()))
        row.extra = frozenset()
        row.mark = _core.newest_seq()

    def _changes(self, row: Row, written: list[str]) -> list[RowChange]:
        if self.operation != "update":
            return list(whole_rows(row, written, self._made, gone=self.operation == "delete"))
        old = {
            key: value
            for key, value in self.state.committed_state.items()
            if value is not LoaderCallableStatus.NO_VALUE
        }
        now = {key: stored(self.state.dict[key]) for key in written if key in self.state.dict}
        return list(net_rows(row, written, self._made, now, old))

    def _made(self, key: str, *rest: Any) -> RowChange:
        column = self.mapper.attrs[key].columns[0]
        return RowChange(self.instance, self.operation, column.table.fullname, self.key, column.name, *rest)

    def _primary_key(self) -> tuple[Any, ...]:
        if self.state.key is not None:
            return tuple(self.state.key[1])
        props = (self.mapper.get_property_by_column(column) for column in self.mapper.primary_key)
        return tuple(self.state.dict.get(prop.key, MISSING) for prop in props)

    def _name(self) -> str:
        return "/".join([self.mapper.local_table.fullname, ",".join(str(each) for each in self.key)])


def _committed(session: Session) -> None:
    if session.get_nested_transaction() is not None or session not in _WAITING:
        return  # a savepoint
    batches = _WAITING.pop(session)
    changes = [change for batch in batches for change in batch.changes]
    lines = sorted((line for batch in batches for line in batch.lines), key=lambda line: line.seq)
    for each in [each for each in _OBSERVERS if each.matches(session)]:
        if each.when == "commit" and changes:
            each.call(session, list(changes))
        elif each.when == "lines":
            for line in lines:
                each.call(line)


def _rolled_back(session: Session, transaction: Any) -> None:
    REPORTING.flushing.discard(session)
    batches = _WAITING.get(session)
    if batches is None:
        return
    if transaction.nested:
        batches[:] = [batch for batch in batches if transaction not in batch.savepoints]
    elif transaction.parent is None:
        del _WAITING[session]
