"""A row of a table as tracked data, for the adapters of ORMs.

A `Row` mirrors the columns of one object. A column that is set is stored in it too, so the record has the actor, the
time and the stack, as that of any other change. A JSON value is in the row itself, so its nested changes have a path
that begins with the column.

The ORM decides what the object holds. What it loads is stored quietly, without a record.
"""

from __future__ import annotations

import datetime
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydatatracker import _core
from pydatatracker._core import MISSING, Options
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.change.rewind import HistoryLostError
from pydatatracker.containers import TrackedDict
from pydatatracker.containers.untracked import UntrackedWarning
from pydatatracker.history.walk import plain_copy
from pydatatracker.values.compare import PLAIN, alike
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.redact import RedactedError
from pydatatracker.values.standins import is_redacted

__all__ = ["DATA", "Row", "RowChange", "as_tracked", "json_options", "net_rows", "row_options", "whole_rows"]

DATA: Final = ("add", "update", "remove")  # the actions that change the data; locks do not


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a flush or a save wrote at one path of a column.

    ``before`` and ``after`` are plain copies, or MISSING: a value that was not loaded, or that there was not.

    :ivar operation: ``"insert"``, ``"update"`` or ``"delete"`` of the row.
    :ivar primary_key: a tuple, also of one column.
    :ivar pointer: the attribute, and the path within its value: ``/settings/theme/colour``.
    :ivar change: the last change that touched it, or None if it was made past the attributes of the object.
    """

    instance: Any
    operation: str
    table: str
    primary_key: tuple[Any, ...]
    column: str
    pointer: str
    before: Any
    after: Any
    actor: str
    context: Mapping[str, Any]
    time: datetime.datetime
    seq: int
    change: ChangeLogEntry | None


class Row(TrackedDict[str, Any]):
    """The columns of one object, by attribute.

    :ivar owner: a weak reference to what it mirrors.
    :ivar mark: the number of the last change that was reported.
    :ivar pending: what a log has to be given, as lines, once it was written to the database.
    :ivar begun: a log has the state of the row.
    :ivar extra: attributes that a flush filled, such as defaults.
    :ivar marks: marks of single attributes, where they are newer than the mark of the row.
    """

    __slots__ = ("begun", "extra", "mark", "marks", "owner", "pending")

    owner: Any
    mark: int
    pending: list[tuple[frozenset[str], dict[str, Any]]] | tuple[()]
    begun: bool
    extra: frozenset[str]
    marks: dict[str, int] | None

    def __init__(self, owner: Any, values: Iterable[tuple[str, Any]], options: Options | None) -> None:
        super().__init__()
        self.owner, self.mark, self.pending, self.begun, self.extra = owner, 0, (), False, frozenset()
        self.marks = None
        if options is not None:
            _core.configure(self, options, None)
        self.load(values)
        self.mark = _core.newest_seq()

    def load(self, values: Iterable[tuple[str, Any]]) -> None:
        """Store values without a record; MISSING removes one. O(values).

        While there is a log, each value is compared: O(its items).
        """
        _core.set_quiet(self, True)
        try:
            for key, value in values:
                if self.begun or self.pending:
                    self._log_anew(key, value)
                if value is not MISSING:
                    self[key] = value
                elif key in self:
                    del self[key]
        finally:
            _core.set_quiet(self, False)

    def mark_of(self, key: str) -> int:
        """Return the mark of an attribute, or that of the row. O(1)."""
        return self.mark if self.marks is None else self.marks.get(key, self.mark)

    def put(self, key: str, value: Any) -> None:
        """Store a value, with a record unless it is the same as before.

        O(its items).
        """
        old = self.get(key, MISSING)
        if type(value) in PLAIN:
            is_same = type(old) is type(value) and old == value
        elif isinstance(old, (dict, list)):  # it may be tracked data by now
            is_same = alike(plain_copy(old), plain_copy(value))
        else:
            is_same = alike(old, value)
        if is_same:
            self.load([(key, value)])
        else:
            self[key] = value

    def _log_anew(self, key: str, value: Any) -> None:
        """Begin the log anew if it has another value than what is loaded.

        ``value`` is MISSING if it is forgotten. What was set before was not written.
        """
        if not _is_equal(self.get(key, MISSING), value):
            self.begun = False
            self.pending = [(about, line) for about, line in self.pending if about and about != {key}]

    def note(self, change: ChangeLogEntry, keys: Iterable[str]) -> None:
        """Keep a change for a log, as it is now. O(its values)."""
        line = change.to_dict()
        if not self.begun:
            self._begin_log(self.pending[0][1] if self.pending else line)
        if not isinstance(self.pending, list):
            self.pending = []
        self.pending.append((frozenset(keys), line))

    def _begin_log(self, line: dict[str, Any]) -> None:
        """Put the state before a line, as far as it is known, in front."""
        self.begun, before = True, line["seq"] - 1
        moment: dict[str, Any] = {}
        try:
            state, make = self.tracking_state_at(before), _core.init_change
        except (HistoryLostError, RedactedError):  # what follows the change, and stands for it
            state, make = dict(self), _core.state_change
        else:
            moment = {"seq": before, "created_time": line["created_time"], "time_ns": line["time_ns"]}
        first = make(self, {key: _shown(self, key, value) for key, value in state.items()})
        self.pending = [(frozenset(), {**first.to_dict(), **moment}), *self.pending]

    def take(
        self, keys: Iterable[str] | None, name: str, *, keep: bool = False, actor: str = ""
    ) -> list[ChangeLogEntry]:
        """Return the lines of some attributes, or of all; forget the rest.

        ``keep`` does not forget it. ``actor`` is that of lines without one. O(pending).
        """
        if self.pending and not self.begun:
            self._begin_log(self.pending[0][1])
        noted, self.pending = self.pending, ()
        if keep and keys is not None:
            self.pending = [(about, line) for about, line in noted if about and about.isdisjoint(keys)]
        lines = [(about, line) for about, line in noted if keys is None or not about or not about.isdisjoint(keys)]
        if not any(about for about, _ in lines):
            self.begun = self.begun and not lines  # the state goes with the first change that is written
            return []
        who = {"actor": actor} if actor else {}
        return [
            ChangeLogEntry.from_dict({**line, "name": name, **({} if line.get("actor") or not about else who)})
            for about, line in lines
        ]


def row_options(given: dict[str, Any], what: str) -> Options | None:
    """Return ``tracking_...`` keywords as options.

    Raises TypeError for anything else, and for a name.
    """
    options, name, rest = _core.options_from(given)
    if rest:
        raise TypeError(f"{what} takes tracking_... options, not {next(iter(rest))!r}")
    if name is not None:
        raise TypeError(f"{what} takes no tracking_name: the name is the table and the primary key")
    return options


def json_options(given: dict[str, Any], what: str) -> Options | None:
    """Return the options of the values of a JSON column."""
    return row_options({"tracking_auto_convert": True, **given}, what)


def as_tracked(value: Any, options: Options | None, where: str) -> Any:
    """Return a value of a JSON column as tracked data. O(items).

    Tracked data and scalars are returned as they are. Warns of a container that cannot be tracked.
    """
    if value is None or _core.tracker(value) is not None:
        return value
    if type(value) in _core.CONVERTED:
        return _core.convert(value, options)[0]
    if isinstance(value, tuple(_core.CONVERTED)):
        warnings.warn(
            f"{where} was given a {type(value).__name__}, whose changes are not seen; give it a dict or a list, or a"
            " subclass of TrackedDict or TrackedList",
            UntrackedWarning,
            stacklevel=4,
        )
    return value


def whole_rows(row: Row, keys: Iterable[str], make: Callable[..., RowChange], *, gone: bool) -> Iterator[RowChange]:
    """Yield a change for each attribute of a new or deleted row.

    O(records + values).
    """
    newest = {} if gone else {change.path[0]: change for change in row.changes_since(0) if change.path}
    for key in keys:
        if key in row:
            value = _shown(row, key, row[key])
            before, after = (value, MISSING) if gone else (MISSING, value)
            yield _made(make, key, to_pointer((key,)), before, after, newest.get(key))


def net_rows(
    row: Row,
    keys: Iterable[str],
    make: Callable[..., RowChange],
    now: Mapping[str, Any],
    old: Mapping[str, Any],
    since: int | None = None,
) -> Iterator[RowChange]:
    """Yield what differs in some attributes since the mark of a row.

    O(items + records). ``now`` has the values of the object and ``old`` those before, as far as the ORM knows them;
    they are what is reported of an attribute that was set past the row, or whose records are no longer kept.
    """
    mark = row.mark if since is None else since
    try:
        nets = row.tracking_net_changes(mark)
        lost = False
    except HistoryLostError:
        nets, lost = [], True
    for key in keys:
        if key in now and (lost or not _is_same(row.get(key, MISSING), now[key])):
            before = _shown(row, key, old.get(key, MISSING))
            yield _made(make, key, to_pointer((key,)), before, _shown(row, key, now[key]), None)
            continue
        found = [net for net in nets if net.path and net.path[0] == key]
        for net in found:
            yield _made(make, key, net.pointer, net.before, net.after, net.change)
        if not found and key in now:
            newest = [change for change in row.changes_since(mark, inclusive=False) if change.path == (key,)]
            hidden = bool(newest) and is_redacted(newest[-1].after)
            if hidden if key not in old else not alike(old[key], now[key]):  # its records are redacted
                before, after = _shown(row, key, old.get(key, MISSING)), _shown(row, key, now[key])
                yield _made(make, key, to_pointer((key,)), before, after, newest[-1] if newest else None)


def _is_equal(value: Any, other: Any) -> bool:
    """Return whether two values are the same data, tracked or not.

    O(items).
    """
    if value is other:
        return True
    try:
        return alike(plain_copy(value), plain_copy(other))
    except ValueError:  # one that holds itself
        return False


def _is_same(value: Any, other: Any) -> bool:
    return value is other or (type(value) is str is type(other) and value == other)


def _made(
    make: Callable[..., RowChange], key: str, pointer: str, before: Any, after: Any, change: ChangeLogEntry | None
) -> RowChange:
    """Return a row change with the actor and time of a change, or of now."""
    if change is None:
        scope = _core.scope_now()
        actor, context = ("", {}) if scope is None else (scope.actor, scope.context or {})
        moment = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
        who = (actor, context, moment, _core.newest_seq())
    else:
        who = (change.actor, change.context, change.created_time, change.seq)
    return make(key, pointer, before, after, *who, change)


def _shown(row: Row, key: str, value: Any) -> Any:
    """Return a plain copy of the value of an attribute, redacted. O(items)."""
    return _core.redacted_at(row, (key,), plain_copy(value))
