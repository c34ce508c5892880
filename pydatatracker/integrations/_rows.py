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
from pydatatracker.integrations._row_lines import Line, narrowed, split_lines, with_root
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
    :ivar pending: changes that are not in the database yet, as lines for a log, with the attributes of each.
    :ivar base: what the database holds of the row while there are such lines, as far as it is known. It is None
        where going back from what the row holds gives the same.
    :ivar base_seq: the last change that is in ``base``.
    :ivar begun: a log has the state of the row.
    :ivar logged: the number of the last change that a log has.
    :ivar alias: an empty row whose id the log has, if it is not that of this one.
    :ivar extra: attributes that a flush filled, such as defaults.
    :ivar marks: marks of single attributes, where they are newer than the mark of the row.
    """

    __slots__ = ("alias", "base", "base_seq", "begun", "extra", "logged", "mark", "marks", "owner", "pending")

    owner: Any
    mark: int
    pending: list[Line] | tuple[()]
    alias: Row | None
    base: dict[str, Any] | None
    base_seq: int
    begun: bool
    logged: int
    extra: frozenset[str]
    marks: dict[str, int] | None

    def __init__(self, owner: Any, values: Iterable[tuple[str, Any]], options: Options | None) -> None:
        super().__init__()
        self.owner, self.mark, self.pending, self.begun, self.extra = owner, 0, (), False, frozenset()
        self.marks, self.base, self.base_seq, self.logged, self.alias = None, None, 0, 0, None
        if options is not None:
            _core.configure(self, options, None)
        self.load(values)
        self.mark = _core.newest_seq()

    def load(self, values: Iterable[tuple[str, Any]], *, fresh: bool = False) -> None:
        """Store values without a record; MISSING removes one. O(values).

        While there is a log, each value is compared: O(its items). ``fresh`` values come from the database, so what
        was set before is not written, even if it is the same.
        """
        _core.set_quiet(self, True)
        try:
            for key, value in values:
                is_new = bool(self.begun or self.pending) and self._log_anew(key, value, fresh)
                if value is not MISSING:
                    self[key] = value
                elif key in self:
                    del self[key]
                if is_new:
                    self._update_base((key,))
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

    def _log_anew(self, key: str, value: Any, fresh: bool) -> bool:
        """Begin the log anew if it has another value than what is loaded.

        ``value`` is MISSING if it is forgotten. What was set before was not written. False if it is the same.
        """
        if self.pending and self.base is None:  # later, going back would not find it
            self._keep_base(self.pending[0][1]["seq"], self.pending[-1][1]["seq"])
        is_set = fresh and any(key in about for about, _ in self.pending)
        if not is_set and _is_equal(self.get(key, MISSING), value):
            return False
        self.begun = False
        self.pending = split_lines(self.pending, {key})[1] or ()
        return True

    def _update_base(self, keys: Iterable[str]) -> None:
        """Note that the database holds of some attributes what the row holds."""
        if not self.pending:
            self.base = None
        elif self.base is not None:
            for key in keys:
                self.base.pop(key, None)
                if key in self:
                    self.base[key] = _shown(self, key, self[key])

    def note(self, change: ChangeLogEntry, keys: Iterable[str]) -> None:
        """Keep a change for a log, as it is now. O(its values)."""
        about = frozenset(keys)
        line = narrowed(change.to_dict(), about)
        if not self.begun and self.base is None:
            self._keep_base(line["seq"], line["seq"])
        if not isinstance(self.pending, list):
            self.pending = []
        self.pending.append((about, line))

    def _keep_base(self, first: int, last: int) -> None:
        """Keep the state before the first pending change, or after the last."""
        state: dict[str, Any]
        try:
            state, self.base_seq = self.tracking_state_at(first - 1), first - 1
        except (HistoryLostError, RedactedError):
            state, self.base_seq = dict(self), last
        self.base = {key: _shown(self, key, value) for key, value in state.items()}

    def take(
        self, keys: Iterable[str] | None, name: str, *, keep: bool = False, actor: str = ""
    ) -> list[ChangeLogEntry]:
        """Return the lines of some attributes, or of all; forget the rest.

        ``keep`` does not forget it. ``actor`` is that of lines without one. O(pending), and O(items) of these
        attributes if something is kept. In the order in which they are returned, the lines lead to what the
        database holds once these attributes are written.
        """
        noted = [*self.pending]
        wanted: set[str] = {key for about, _ in noted for key in about} if keys is None else {*keys}
        taken, rest = split_lines(noted, wanted)
        if taken and rest and keep and self.base is None:
            self._keep_base(noted[0][1]["seq"], noted[-1][1]["seq"])
        lines = self._lines([line for _, line in taken], name, actor) if taken else []
        self.pending = rest if keep and rest else ()
        self._update_base(wanted if taken else ())
        return lines

    def _lines(self, lines: list[dict[str, Any]], name: str, actor: str) -> list[ChangeLogEntry]:
        """Return lines for a log, with the state that they begin with."""
        first = lines[0]
        if first["seq"] <= self.logged:  # they were kept while newer ones were written, so the log has to begin anew
            self.begun, self.alias = False, Row(None, (), None)
        self.logged = lines[-1]["seq"]
        who = {"actor": actor} if actor else {}
        made = [{**line, **({} if line.get("actor") else who)} for line in lines]
        if not self.begun:
            seq = max(self.base_seq, first["seq"] - 1)
            begin = _core.init_change(self if self.alias is None else self.alias, self.base).to_dict()
            moment = {"seq": seq, "created_time": first["created_time"], "time_ns": first["time_ns"]}
            number = sum(line["seq"] < seq for line in made)
            made.insert(number, {**begin, **moment})
            self.begun = True
        if self.alias is not None:
            root = _core.init_change(self.alias, {}).to_dict()["root"]
            made = [with_root(line, root) for line in made]
        return [ChangeLogEntry.from_dict({**line, "name": name}) for line in made]


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
